#include "broker/broker.h"
#include "common/base/mem.h"
#include <stdlib.h>

static int64_t mono(const struct broker *broker) { return world_now(broker->daemon.world).mono; }

/* ---- composition ---- */

static int listen_on(struct broker *broker, enum channel channel, const char *endpoint) {
  const char *why = "";
  if (net_listen(broker->daemon.net, endpoint, (int)channel, broker->endpoints[channel], &why) == 0) return 0;
  log_error("net", NULL, "cannot listen on %s: %s", endpoint, why);
  return DAEMON_FAILED;
}

/* What must be read before the store takes its first batch. */
static int load(struct broker *broker) {
  int64_t began = mono(broker);
  int outcome = checkpoint_load(&broker->checkpoint, broker->daemon.store);
  if (outcome == 0) outcome = readers_load(&broker->readers, broker->daemon.store);
  if (outcome == 0) outcome = orders_load(broker->orders, broker->daemon.store);
  if (outcome == 0) outcome = rosters_load(&broker->rosters, broker->daemon.store);
  if (outcome == 0) broker_principals_renew(broker);
  if (outcome == 0) outcome = granted_load(&broker->granted, broker->daemon.store);
  if (outcome == 0) outcome = agreements_load(&broker->agreements, broker->config->node, broker->daemon.store);
  if (outcome == 0) outcome = broker_audit_load(broker);
  if (outcome == 0) outcome = receipt_books_load(&broker->receipts, broker->daemon.store);
  if (outcome)
    log_error("store", NULL, "%s: %s", broker->config->store.path, strerror(-outcome));
  else
    log_info("broker", NULL, "%zu points known, read in %lld ms", broker->catalogue.count,
        (long long)((mono(broker) - began) / MILLISECOND_US));
  return outcome ? DAEMON_FAILED : 0;
}

static int listen_all(struct broker *broker) {
  int outcome = listen_on(broker, CHANNEL_URGENT, broker->config->listen.urgent);
  if (outcome == 0) outcome = listen_on(broker, CHANNEL_TELEMETRY, broker->config->listen.telemetry);
  return outcome;
}

static void metrics_page(void *ctx, struct buffer *out) { broker_metrics(ctx, out); }
static const char *health_page(void *ctx) { return broker_health(ctx); }
static void reload(void *ctx) { broker_reload(ctx); }

static int open_node(struct broker *broker, const struct world *world) {
  const struct daemon_hooks hooks = {broker, reload, metrics_page, health_page};
  int outcome = daemon_init(&broker->daemon, "broker", world, &hooks);
  if (outcome == 0) outcome = daemon_open_identity(&broker->daemon, broker->config->identity);
  /* nobody waits for our commit but windows, which follow it */
  if (outcome == 0) outcome = daemon_open_store(&broker->daemon, &broker->config->store, 8 * MILLISECOND_US);
  return outcome;
}

int broker_init(
    struct broker *broker, const char *config_path, struct broker_config *config, const struct world *world) {
  *broker = (struct broker){.config_path = mem_text(config_path, strlen(config_path)), .config = config};
  broker->audit_limit = (struct log_limit){.interval_us = 10 * SECOND_US, .burst = 20};
  catalogue_init(&broker->catalogue);
  principals_init(&broker->principals, config, NULL);
  int outcome = open_node(broker, world);
  if (outcome) return outcome;
  const struct net_events events = broker_net_events(broker);
  errands_init(&broker->errands, NULL);
  checkpoint_init(&broker->checkpoint, &broker->catalogue, &broker->errands);
  readers_init(&broker->readers, &broker->errands, world);
  broker_make_orders(broker);
  outcome = load(broker);
  if (outcome == 0) outcome = daemon_open_net(&broker->daemon, &events);
  if (outcome) return outcome;
  broker_make_node(broker);
  broker->errands.node = broker->node;
  broker_audit_start(broker);
  broker_receipts_start(broker);
  links_init(&broker->links, config->node, world, broker->node, broker->daemon.net, &broker->agreements);
  broker_make_requests(broker);
  outcome = listen_all(broker);
  if (outcome == 0) outcome = daemon_open_http(&broker->daemon, &config->http);
  if (outcome == 0) broker_agreements_configure(broker);
  return outcome;
}

void broker_deinit(struct broker *broker) {
  struct daemon *daemon = &broker->daemon;
  daemon->http = http_free(daemon->http);
  broker->requests = requests_free(broker->requests);
  broker->subscribers = subscribers_free(broker->subscribers);
  if (broker->node) links_deinit(&broker->links);
  daemon->net = net_free(daemon->net);
  if (broker->node) broker->node = node_free(broker->node);
  if (daemon->store) daemon->store = store_close(daemon->store);
  if (broker->errands.under_way.last) errands_deinit(&broker->errands);
  broker->orders = orders_free(broker->orders);
  readers_deinit(&broker->readers);
  agreements_deinit(&broker->agreements);
  granted_deinit(&broker->granted);
  book_deinit(&broker->book);
  receipt_books_deinit(&broker->receipts);
  gap_ask_deinit(&broker->asks);
  catalogue_deinit(&broker->catalogue);
  principals_deinit(&broker->principals);
  rosters_deinit(&broker->rosters);
  broker->config = broker_config_free(broker->config);
  free(broker->config_path);
  broker->config_path = NULL;
  daemon_deinit(daemon);
}

/* ---- the loop ---- */

static int64_t earlier(int64_t a, int64_t b) { return a < b ? a : b; }

/* Everything that waits for time; returns when to wake, mono. */
static int64_t tick(struct broker *broker) {
  int64_t next = node_tick(broker->node), now = mono(broker);
  errands_retry(&broker->errands);
  if (now >= broker->orders_at)
    broker->orders_at = now + orders_tick(broker->orders) - world_now(broker->daemon.world).wall;
  broker->checkpoint_at = checkpoint_tick(&broker->checkpoint, now);
  if (now >= broker->links_at) broker->links_at = links_tick(&broker->links, now);
  broker_rosters_tick(broker);
  if (now >= broker->snapshots_at) broker->snapshots_at = broker_snapshots_tick(broker, now);
  if (now >= broker->halves_at) broker->halves_at = broker_agreements_tick(broker, now);
  broker->requests_at = requests_tick(broker->requests);
  next = earlier(
      earlier(next, broker->orders_at), earlier(earlier(broker->links_at, broker->snapshots_at), broker->requests_at));
  next = earlier(earlier(next, broker->halves_at), broker_audit_tick(broker, now));
  next = earlier(next, broker_gaps_tick(broker, now));
  next = earlier(next, broker_receipts_tick(broker, now));
  return earlier(next, broker->checkpoint_at);
}

static int turn(struct broker *broker) {
  int64_t next = tick(broker);
  if (subscribers_pump(broker->subscribers)) next = 0; /* more is at hand */
  int outcome = daemon_turn(&broker->daemon, -1, next);
  if (outcome == 0) node_store_ready(broker->node);
  return outcome;
}

int broker_run(struct broker *broker) {
  int outcome = 0;
  daemon_ready(&broker->daemon);
  log_notice("broker", NULL, "ready %s on %s and %s%s%s", broker->config->node, broker->endpoints[0],
      broker->endpoints[1], broker->daemon.http ? ", " : "", broker->daemon.http_endpoint);
  while (!broker->daemon.ends && outcome == 0) outcome = turn(broker);
  daemon_stopping();
  if (outcome == 0) broker_agreements_stop(broker);
  if (outcome == 0) broker_audit_stop(broker);
  return outcome;
}
