/* What the parts of a gateway tell it and ask of it: the node, the dispatch, the network. */
#include "gateway/gateway.h"
#include <stdio.h>
#include <stdlib.h>

static struct instant now_of(const struct gateway *gateway) { return world_now(gateway->daemon.world); }

/* ---- hooks of the node ---- */

static bool node_send(void *ctx, uint64_t conn, struct bytes message) {
  return net_send(((struct gateway *)ctx)->daemon.net, conn, message) == 0;
}
static void node_close(void *ctx, uint64_t conn) { uplink_close(&((struct gateway *)ctx)->uplink, conn); }

static void node_session(void *ctx, struct node_peer *peer, bool up) {
  (void)peer;
  ((struct gateway *)ctx)->past_told = false;
  uplink_session(&((struct gateway *)ctx)->uplink, up);
}

static void node_message_in(void *ctx, struct node_peer *peer, uint8_t type, struct bytes body) {
  struct gateway *gateway = ctx;
  (void)peer;
  dispatch_message(gateway->dispatch, type, body, now_of(gateway));
}

static void node_discarded(void *ctx, const struct store_discard *discards, size_t count) {
  (void)ctx;
  for (size_t i = 0; i < count; i++) {
    log_warning("store", NULL, BYTES_FMT " %llu to %llu was discarded: " BYTES_FMT, BYTES_ARG(discards[i].stream),
        (unsigned long long)discards[i].from, (unsigned long long)discards[i].to, BYTES_ARG(discards[i].reason));
  }
}

static void node_committed(void *ctx, const struct store_item *item, struct node_peer *from) {
  (void)from;
  door_committed(&((struct gateway *)ctx)->door, item);
}

static void node_submitted(void *ctx, void *cookie, const struct store_done *done) {
  struct gateway *gateway = ctx;
  if (door_finish(&gateway->door, cookie, done)) return;
  struct task *task = cookie;
  bool durable = done->kind == STORE_DONE_BATCH;
  if (task->kind == TASK_INTAKE)
    intake_done(gateway, done);
  else if (task->kind == TASK_ORDER)
    dispatch_committed(gateway->dispatch, task->cookie, durable, now_of(gateway));
  else if (!durable)
    log_warning("store", NULL, "the store is full: a descriptor, an event, a stale value or the time was not recorded");
  tasks_answered(&gateway->tasks, task);
}

static void node_read_done(void *ctx, void *cookie, const struct store_done *done) {
  struct gateway *gateway = ctx;
  if (door_finish(&gateway->door, cookie, done)) return;
  struct task *task = cookie;
  struct bytes id = buffer_bytes(&task->id);
  bool found = done->keyed_count > 0 && bytes_equal(done->keyed[0].key, id);
  dispatch_found(gateway->dispatch, id, found, found ? done->keyed[0].value : BYTES_NULL, now_of(gateway));
  tasks_answered(&gateway->tasks, task);
}

/* an event of the node itself */
static void gateway_event(struct gateway *gateway, const char *name, struct bytes text) {
  char address[ADDRESS_MAX + 1];
  snprintf(address, sizeof address, "%s/riverbus/%s", gateway->config->station, name);
  struct record record = {
      .kind = RECORD_EVENT, .address = bytes_text(address), .value = {.type = VALUE_TEXT, .bytes = text}};
  record.time = record.received = node_received(gateway->node);
  log_notice("gateway", NULL, "event %s: " BYTES_FMT, name, BYTES_ARG(text));
  struct pack pack; /* its own: this may be called while a batch of readings is being made */
  pack_init(&pack, gateway->config->station, node_run(gateway->node));
  pack_add(&pack, &record);
  store_batch_urgent(pack_batch(&pack));
  tasks_submit(&gateway->tasks, TASK_OTHER, NULL, pack_take(&pack));
  pack_deinit(&pack);
}

static void node_event(void *ctx, const char *name, struct bytes text) { gateway_event(ctx, name, text); }

/* ---- hooks of the dispatch ---- */

static void dispatch_submit_hook(void *ctx, struct store_batch *batch, void *cookie) {
  tasks_submit(&((struct gateway *)ctx)->tasks, TASK_ORDER, cookie, batch);
}
static void dispatch_lookup_hook(void *ctx, struct bytes id) { tasks_lookup(&((struct gateway *)ctx)->tasks, id); }
static void dispatch_publish_hook(void *ctx, const struct dispatch_publish *p) {
  mqtt_publish(((struct gateway *)ctx)->mqtt, p->id, p->topic, p->qos, p->payload, p->life_us);
}
static void dispatch_send_hook(void *ctx, uint8_t type, struct bytes body) {
  struct gateway *gateway = ctx;
  (void)node_message(gateway->node, gateway->uplink.peer, type, body); /* the broker asks again */
}
static void dispatch_event_hook(void *ctx, const char *name, struct bytes text) { gateway_event(ctx, name, text); }
static void dispatch_said_hook(void *ctx, const struct ledger_entry *entry) {
  door_said(&((struct gateway *)ctx)->door, entry);
}
static void dispatch_operators_hook(void *ctx, const struct roster *obeyed) {
  struct gateway *gateway = ctx;
  door_configure(&gateway->door, gateway->config, obeyed);
}
static int64_t dispatch_received_hook(void *ctx) { return node_received(((struct gateway *)ctx)->node); }

struct clock_reading gateway_clock_reading(struct gateway *gateway) {
  struct node_peer_status status;
  node_peer_status(gateway->node, gateway->uplink.peer, &status);
  return (struct clock_reading){.wall = now_of(gateway).wall,
      .synchronised = world_is_synchronised(gateway->daemon.world),
      .offset_known = status.round_trip > 0,
      .offset_us = -status.clock_offset};
}

enum clock_verdict gateway_clock(struct gateway *gateway, struct refusal *refusal) {
  const struct clock_reading reading = gateway_clock_reading(gateway);
  return clock_judge(&gateway->clock, &reading, refusal);
}

static enum clock_verdict dispatch_clock_hook(void *ctx, struct refusal *refusal) {
  return gateway_clock(ctx, refusal);
}

static enum clock_verdict dispatch_stop_clock_hook(void *ctx, int64_t *shift_us) {
  struct gateway *gateway = ctx;
  const struct clock_reading reading = gateway_clock_reading(gateway);
  return clock_for_stop(&gateway->clock, &reading, shift_us);
}

static struct epoch dispatch_epoch_hook(void *ctx) {
  struct gateway *gateway = ctx;
  struct store_stream stream;
  return store_stream_get(gateway->daemon.store, bytes_text(gateway->pack.urgent), &stream) ? stream.epoch
                                                                                            : (struct epoch){0, 0};
}

/* ---- events of the network ---- */

static const char *net_principal(void *ctx, const uint8_t transport_key[32]) {
  return door_principal(&((struct gateway *)ctx)->door, transport_key);
}

static void net_message(void *ctx, uint64_t conn, int channel, const char *principal, struct bytes message) {
  struct gateway *gateway = ctx;
  if (strcmp(principal, gateway->uplink.principal) == 0)
    node_receive(gateway->node, principal, conn, (enum channel)channel, message);
  else
    door_message(&gateway->door, principal, conn, message);
}
static void net_opened(void *ctx, uint64_t conn) { uplink_opened(&((struct gateway *)ctx)->uplink, conn); }
static void net_closed(void *ctx, uint64_t conn) {
  struct gateway *gateway = ctx;
  door_closed(&gateway->door, conn);
  uplink_closed(&gateway->uplink, conn);
}

static void net_failed(void *ctx, uint64_t conn, bool unknown) {
  uplink_failed(&((struct gateway *)ctx)->uplink, conn, unknown);
}

static void net_refused(void *ctx, const char *address, const char *reason) {
  daemon_refused(&((struct gateway *)ctx)->daemon, address, reason);
}

/* ---- the parts with their hooks ---- */

void gateway_make_node(struct gateway *gateway) {
  const struct node_options options = {.name = gateway->config->station,
      .world = gateway->daemon.world,
      .store = gateway->daemon.store,
      .head_us = daemon_test_head(),
      .hooks = {.ctx = gateway,
          .send = node_send,
          .close = node_close,
          .committed = node_committed,
          .discarded = node_discarded,
          .session = node_session,
          .message = node_message_in,
          .submitted = node_submitted,
          .read = node_read_done,
          .event = node_event}};
  gateway->node = node_new(&options);
}

int gateway_open_net(struct gateway *gateway) {
  const struct net_events events = {.ctx = gateway,
      .principal = net_principal,
      .message = net_message,
      .opened = net_opened,
      .closed = net_closed,
      .refused = net_refused,
      .failed = net_failed};
  return daemon_open_net(&gateway->daemon, &events);
}

void gateway_make_dispatch(struct gateway *gateway) {
  char broker[ADDRESS_MAX + 16];
  snprintf(broker, sizeof broker, "broker %s", gateway->config->province);
  const struct dispatch_options options = {.station = gateway->config->station,
      .broker = broker,
      .identity = gateway->daemon.identity,
      .store_created = store_created(gateway->daemon.store),
      .run = store_run(gateway->daemon.store),
      .hooks = {.ctx = gateway,
          .submit = dispatch_submit_hook,
          .lookup = dispatch_lookup_hook,
          .publish = dispatch_publish_hook,
          .send = dispatch_send_hook,
          .event = dispatch_event_hook,
          .said = dispatch_said_hook,
          .operators = dispatch_operators_hook,
          .clock = dispatch_clock_hook,
          .stop_clock = dispatch_stop_clock_hook,
          .received = dispatch_received_hook,
          .epoch = dispatch_epoch_hook}};
  gateway->dispatch = dispatch_new(&options);
  dispatch_configure(gateway->dispatch, gateway->config, &gateway->points);
}
