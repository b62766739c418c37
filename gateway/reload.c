/* SIGHUP. What needs a restart is said by name and keeps its old effect; the rest is redone. */
#include "gateway/gateway.h"

static struct gateway_config *reload_load(struct gateway *gateway) {
  struct gateway_config *fresh = NULL;
  struct buffer problems = BUFFER_NULL;
  if (gateway_config_load(&fresh, gateway->config_path, &problems) != 0) {
    log_error("gateway", NULL, "the configuration is wrong and the old one stays:\n%s", buffer_text(&problems));
    fresh = NULL;
  } else if (strcmp(fresh->station, gateway->config->station) != 0) {
    log_error("gateway", NULL, "the station's name cannot change in a reload: the old configuration stays");
    fresh = gateway_config_free(fresh);
  }
  buffer_deinit(&problems);
  return fresh;
}

/* Points are found by their configuration: new ones, which inherit what was known under the same address. */
static void reload_points(struct gateway *gateway, const struct gateway_config *fresh) {
  struct points points;
  points_init(&points, fresh);
  points_inherit(&points, &gateway->points);
  silence_deinit(&gateway->silence);
  points_deinit(&gateway->points);
  gateway->points = points;
  silence_init(&gateway->silence, &gateway->points, world_now(gateway->world).mono);
  dispatch_configure(gateway->dispatch, fresh, &gateway->points);
}

/* The clients are made anew. A batch under way is committed, and goes nowhere: its messages come again and are known. */
static void reload_mqtt(struct gateway *gateway) {
  gateway->mqtt = mqtt_free(gateway->mqtt);
  int error = mqtt_new(&gateway->mqtt, gateway->config, gateway->world);
  if (error == 0) return;
  log_error("mqtt", NULL, "the MQTT clients cannot be started again: %s", strerror(-error));
  gateway->ends = true;
}

void gateway_reload(struct gateway *gateway) {
  struct gateway_config *fresh = reload_load(gateway), *old = gateway->config;
  if (!fresh) return;
  unsigned redo = gateway_config_changed(old, fresh);
  if (redo & CONFIG_REDO_RESTART) log_warning("gateway", NULL, "what changed in identity, store or http takes effect at the next start");
  gateway->config = fresh;
  reload_points(gateway, fresh);
  uplink_configure(&gateway->uplink, &fresh->broker, (redo & CONFIG_REDO_LINKS) != 0);
  if (redo & (CONFIG_REDO_MQTT | CONFIG_REDO_DEVICES)) reload_mqtt(gateway);
  gateway_config_free(old);
  if (!gateway->ends) gateway_issue_descriptors(gateway);
  log_notice("gateway", NULL, "configuration reloaded: %zu points, %zu operators", gateway->points.count, fresh->operator_count);
}
