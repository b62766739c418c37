#include "gateway/gateway.h"
#include "common/node/epochs.h"
#include "common/base/mem.h"
#include "gateway/last.h"
#include "gateway/replies.h"
#include <stdio.h>
#include <stdlib.h>

#define GATEWAY_READY_US (3 * SECOND_US)
#define GATEWAY_READY_LOOK_US (10 * MILLISECOND_US)
enum { GATEWAY_PART_BYTES = 512 * 1024, GATEWAY_EVENTS_A_TURN = 256 };

static struct instant now_of(const struct gateway *gateway) { return world_now(gateway->daemon.world); }

/* ---- composition ---- */

static bool load_meta(void *ctx, struct bytes key, struct bytes value) {
  struct gateway *gateway = ctx;
  dispatch_load_meta(gateway->dispatch, key, value);
  clock_load(&gateway->clock, key, value);
  last_load_undated(&gateway->points, key, value);
  gateway_load_descriptor(gateway, key, value);
  return true;
}
static bool load_order(void *ctx, struct bytes key, struct bytes value) {
  struct gateway *gateway = ctx;
  return dispatch_load(gateway->dispatch, key, value, now_of(gateway));
}
static bool load_roster(void *ctx, struct bytes key, struct bytes value) {
  dispatch_load_roster(((struct gateway *)ctx)->dispatch, key, value);
  return true;
}
static bool load_inbox(void *ctx, struct bytes key, struct bytes value) {
  inbox_load(&((struct gateway *)ctx)->inbox, key, value);
  return true;
}

/* What must be read before the store takes its first batch. */
static int load(struct gateway *gateway) {
  int outcome = store_scan(gateway->daemon.store, STORE_META, load_meta, gateway);
  if (outcome == 0) outcome = store_scan(gateway->daemon.store, STORE_ROSTER, load_roster, gateway);
  if (outcome == 0) outcome = store_scan(gateway->daemon.store, STORE_COMMANDS, load_order, gateway);
  if (outcome == 0) outcome = store_scan(gateway->daemon.store, STORE_INBOX, load_inbox, gateway);
  if (outcome == 0) outcome = door_load(&gateway->door);
  if (outcome == 0)
    outcome = last_load(&gateway->points, gateway->door.is_wanted ? &gateway->door.catalogue : NULL,
        gateway->daemon.store, now_of(gateway));
  silence_deinit(&gateway->silence);
  silence_init(&gateway->silence, &gateway->points, now_of(gateway).mono);
  if (outcome) log_error("store", NULL, "%s: %s", gateway->config->store.path, strerror(-outcome));
  return outcome ? DAEMON_FAILED : 0;
}

static void metrics_page(void *ctx, struct buffer *out) { gateway_metrics(ctx, out); }
static const char *health_page(void *ctx) { return gateway_health(ctx); }
static void reload(void *ctx) { gateway_reload(ctx); }

static int open_mqtt(struct gateway *gateway) {
  int error = mqtt_new(&gateway->mqtt, gateway->config, gateway->daemon.world);
  gateway->mqtt_made++;
  if (error) log_error("mqtt", NULL, "the MQTT clients cannot be started: %s", strerror(-error));
  return error ? DAEMON_FAILED : 0;
}

static void init_plain(struct gateway *gateway) {
  gateway->intake.full_limit = (struct log_limit){.interval_us = 10 * SECOND_US, .burst = 1};
  gateway->intake.part_bytes = GATEWAY_PART_BYTES < gateway->config->store.max_size / 64
                                   ? GATEWAY_PART_BYTES
                                   : gateway->config->store.max_size / 64;
  clock_init(&gateway->clock, &gateway->config->clock);
  inbox_init(&gateway->inbox);
  points_init(&gateway->points, gateway->config);
  silence_init(&gateway->silence, &gateway->points, now_of(gateway).mono);
}

static int open_all(struct gateway *gateway) {
  struct daemon *daemon = &gateway->daemon;
  int outcome = daemon_open_identity(daemon, gateway->config->identity);
  /* no pace: the devices' MQTT broker waits for our commit */
  if (outcome == 0) outcome = daemon_open_store(daemon, &gateway->config->store, 0);
  if (outcome) return outcome;
  gateway_make_dispatch(gateway);
  pack_init(&gateway->pack, gateway->config->station, store_run(gateway->daemon.store));
  outcome = load(gateway);
  if (outcome == 0) outcome = gateway_open_net(gateway);
  if (outcome) return outcome;
  gateway_make_node(gateway);
  tasks_init(&gateway->tasks, gateway->node);
  gateway_audit_start(gateway);
  uplink_init(&gateway->uplink, gateway->config->province, gateway->daemon.world, gateway->daemon.net, gateway->node,
      &gateway->config->broker);
  outcome = door_open(&gateway->door);
  if (outcome == 0) outcome = daemon_open_http(daemon, &gateway->config->http);
  return outcome ? outcome : open_mqtt(gateway);
}

int gateway_init(
    struct gateway *gateway, const char *config_path, struct gateway_config *config, const struct world *world) {
  *gateway = (struct gateway){.config_path = mem_text(config_path, strlen(config_path)), .config = config};
  const struct daemon_hooks hooks = {gateway, reload, metrics_page, health_page};
  int outcome = daemon_init(&gateway->daemon, "gateway", world, &hooks);
  init_plain(gateway);
  door_init(&gateway->door, gateway);
  if (outcome == 0) outcome = open_all(gateway);
  if (outcome) return outcome;
  gateway_issue_descriptors(gateway);
  dispatch_start(gateway->dispatch, now_of(gateway));
  return 0;
}

void gateway_deinit(struct gateway *gateway) {
  struct daemon *daemon = &gateway->daemon;
  gateway->mqtt = mqtt_free(gateway->mqtt);
  daemon->http = http_free(daemon->http);
  door_close(&gateway->door);
  if (gateway->node) uplink_deinit(&gateway->uplink);
  daemon->net = net_free(daemon->net);
  if (gateway->node) tasks_deinit(&gateway->tasks);
  if (gateway->node) gateway->node = node_free(gateway->node);
  if (daemon->store) daemon->store = store_close(daemon->store); /* finishes what was submitted */
  gateway->intake.batch = mqtt_batch_free(gateway->intake.batch);
  gateway->intake.next = mqtt_batch_free(gateway->intake.next);
  door_deinit(&gateway->door);
  gateway->dispatch = dispatch_free(gateway->dispatch);
  pack_deinit(&gateway->pack);
  silence_deinit(&gateway->silence);
  points_deinit(&gateway->points);
  inbox_deinit(&gateway->inbox);
  table_deinit(&gateway->descriptors, free);
  gateway->config = gateway_config_free(gateway->config);
  free(gateway->config_path);
  gateway->config_path = NULL;
  daemon_deinit(daemon);
}

/* ---- the loop ---- */

static void hear_reply(void *ctx, const struct reply *reply) {
  struct gateway *gateway = ctx;
  dispatch_reply(
      gateway->dispatch, bytes_text(reply->control->address), reply->id, reply->ok, reply->reason, now_of(gateway));
}

static void take_event(struct gateway *gateway, struct mqtt_event *event) {
  switch (event->kind) {
    case MQTT_EVENT_BATCH: intake_take(gateway, event->batch); break;
    case MQTT_EVENT_PUBLISHED:
      dispatch_published(gateway->dispatch, buffer_bytes(&event->id), event->outcome, now_of(gateway));
      break;
    case MQTT_EVENT_REPLY:
      if (replies_read(
              gateway->config, buffer_text(&event->topic), buffer_bytes(&event->payload), hear_reply, gateway) == 0)
        log_debug("command", buffer_text(&event->topic), "an answer without the id of a command");
      break;
  }
}

void gateway_take_events(struct gateway *gateway) {
  struct mqtt_event *event;
  for (int i = 0; i < GATEWAY_EVENTS_A_TURN && (event = mqtt_next(gateway->mqtt)); i++) {
    take_event(gateway, event);
    mqtt_event_free(event);
  }
}

/* Ready means that messages of the devices are heard. Where their MQTT broker cannot be reached that is no reason to
 * hold up the start of the system for good. */
static int64_t say_ready(struct gateway *gateway, struct instant now) {
  struct mqtt_stats stats;
  mqtt_stats(gateway->mqtt, &stats);
  if (!(stats.telemetry_up && stats.courier_up) && now.mono < gateway->daemon.started + GATEWAY_READY_US)
    return now.mono + GATEWAY_READY_LOOK_US;
  gateway->is_ready = true;
  daemon_ready(&gateway->daemon);
  log_notice("gateway", NULL, "ready %s: broker %s, mqtt %s:%u%s%s%s", gateway->config->station,
      uplink_endpoint(&gateway->uplink), gateway->config->mqtt.host, gateway->config->mqtt.port,
      stats.telemetry_up ? "" : " (not connected)", gateway->daemon.http ? ", " : "", gateway->daemon.http_endpoint);
  return INT64_MAX;
}

static int64_t earlier(int64_t a, int64_t b) { return a < b ? a : b; }

/* The highest confirmed time, once a minute. Returns when to look again. */
static int64_t note_clock(struct gateway *gateway, struct instant now) {
  if (now.mono < gateway->clock_at) return gateway->clock_at;
  const struct clock_reading reading = gateway_clock_reading(gateway);
  gateway->clock_at = now.mono + SECOND_US;
  if (clock_note(&gateway->clock, &reading)) {
    struct store_batch *batch = store_batch_new();
    clock_put(&gateway->clock, batch);
    tasks_submit(&gateway->tasks, TASK_OTHER, NULL, batch);
  }
  return gateway->clock_at;
}

/* The broker hears of our epochs, also of those that a new store begins: so it knows what of an old one is lost. */
static void tell_past(struct gateway *gateway) {
  struct epochs epochs;
  struct buffer body = BUFFER_NULL;
  struct bytes names[CHANNELS] = {bytes_text(gateway->pack.urgent), bytes_text(gateway->config->station)};
  bool told = gateway->past_told;
  if (!gateway->uplink.up) return;
  for (int own = 0; own < CHANNELS; own++) {
    struct epoch newest = {0, 0};
    struct store_stream stream;
    if (store_stream_get(gateway->daemon.store, names[own], &stream)) newest = stream.epoch;
    told = told && epoch_compare(newest, gateway->past_epochs[own]) == 0;
    gateway->past_epochs[own] = newest;
  }
  if (told) return;
  epochs_of(&epochs, gateway->daemon.store, gateway->config->station);
  epochs_put(&body, &epochs);
  gateway->past_told = node_message(gateway->node, gateway->uplink.peer, EPOCHS_MESSAGE, buffer_bytes(&body));
  buffer_deinit(&body);
}

/* Everything that waits for time; returns when to wake, mono. */
static int64_t tick(struct gateway *gateway) {
  tasks_retry(&gateway->tasks);
  struct instant now = now_of(gateway);
  int64_t next = dispatch_tick(gateway->dispatch, now);
  /* not before what the MQTT broker kept for us meanwhile can have come in */
  int64_t hears = gateway->daemon.started + GATEWAY_READY_US;
  next = earlier(next, now.mono >= hears ? intake_silence(gateway, now) : hears);
  next = earlier(next, note_clock(gateway, now));
  next = earlier(next, gateway_audit_tick(gateway, now));
  next = earlier(next, uplink_tick(&gateway->uplink, now.mono));
  next = earlier(next, node_tick(gateway->node));
  tell_past(gateway);
  next = earlier(next, door_tick(&gateway->door));
  if (!gateway->is_ready) next = earlier(next, say_ready(gateway, now));
  return next;
}

static int turn(struct gateway *gateway) {
  int64_t next = tick(gateway);
  int outcome = daemon_turn(&gateway->daemon, mqtt_fd(gateway->mqtt), next);
  if (outcome < 0) return outcome;
  node_store_ready(gateway->node);
  if (gateway->mqtt) gateway_take_events(gateway);
  return 0;
}

int gateway_run(struct gateway *gateway) {
  int outcome = 0;
  while (!gateway->daemon.ends && outcome == 0) outcome = turn(gateway);
  daemon_stopping();
  if (outcome == 0) gateway_audit_stop(gateway);
  return outcome;
}
