/* SIGHUP. What needs a restart is said by name and keeps its old effect; the rest is redone. */
#include "broker/broker.h"
#include <string.h>

static struct broker_config *load(const struct broker *broker) {
  struct broker_config *fresh = NULL;
  struct buffer problems = BUFFER_NULL;
  if (broker_config_load(&fresh, broker->config_path, &problems) != 0) {
    log_error("broker", NULL, "the configuration is wrong and the old one stays:");
    daemon_log_problems(&problems);
    fresh = NULL;
  } else if (strcmp(fresh->node, broker->config->node) != 0) {
    log_error("broker", NULL, "the node's name cannot change in a reload: the old configuration stays");
    fresh = broker_config_free(fresh);
  }
  buffer_deinit(&problems);
  return fresh;
}

void broker_reload(struct broker *broker) {
  struct broker_config *fresh = load(broker), *old = broker->config;
  if (!fresh) return;
  if (broker_config_changed(old, fresh) & CONFIG_REDO_RESTART)
    log_warning("broker", NULL, "what changed in node, identity, listen, http or store takes effect at the next start");
  broker->config = fresh;
  orders_set_deadline(broker->orders, fresh->max_deadline_us);
  broker_principals_renew(broker); /* before the connections are cut: they are told why */
  broker->rosters.untold = true;   /* an authority may be new */
  broker_agreements_configure(broker);
  broker_config_free(old);
  broker_audit_reload(broker);
  log_notice("broker", NULL, "configuration reloaded: %zu stations, %zu operators, %zu peers", fresh->station_count,
      fresh->operator_count, fresh->peer_count);
}
