#include "gateway/door.h"
#include "gateway/gateway.h"

void door_init(struct door *door, struct gateway *gateway) {
  *door = (struct door){.gateway = gateway, .is_wanted = gateway->config->local.urgent != NULL};
  if (!door->is_wanted) return;
  callers_init(&door->callers, gateway->config, NULL);
  catalogue_init(&door->catalogue);
  errands_init(&door->errands, NULL);
  readers_init(&door->readers, &door->errands, gateway->daemon.world);
}

int door_load(struct door *door) {
  return door->is_wanted ? readers_load(&door->readers, door->gateway->daemon.store) : 0;
}

/* ---- hooks of the requests ---- */

static const struct requester *requester_of(void *ctx, const char *principal) {
  const struct caller *caller = callers_by_name(&((struct gateway *)ctx)->door.callers, principal);
  return caller ? &caller->requester : NULL;
}

static enum requests_send session_send(void *ctx, uint64_t conn, struct bytes message) {
  switch (net_send(((struct gateway *)ctx)->daemon.net, conn, message)) {
    case 0: return REQUESTS_SENT;
    case NET_FULL: return REQUESTS_FULL;
    default: return REQUESTS_GONE;
  }
}

static void session_close(void *ctx, uint64_t conn) { net_close(((struct gateway *)ctx)->daemon.net, conn); }

static bool is_operator(void *ctx, const char *name) {
  const struct callers *callers = &((struct door *)ctx)->callers;
  struct table_cursor cursor = TABLE_CURSOR_NULL;
  void *value;
  while (table_next(&callers->by_name, &cursor, NULL, &value))
    if (strcmp(((const struct caller *)value)->requester.name, name) == 0) return true;
  return false;
}

static void make_parts(struct door *door) {
  struct gateway *gateway = door->gateway;
  const struct subscribers_options followed = {
      gateway->node, gateway->daemon.store, &door->errands, &door->readers, answers_units, &door->catalogue};
  const struct requests_hooks hooks = {.ctx = gateway,
      .send = session_send,
      .close = session_close,
      .requester = requester_of,
      .verb_ctx = gateway,
      .verbs = door_verbs,
      .command = &door_command_verb};
  door->errands.node = gateway->node;
  door->answers =
      (struct answers){&door->catalogue, gateway->node, gateway->daemon.store, &door->readers, is_operator, door};
  door->subscribers = subscribers_new(&followed);
  door->histories =
      (struct histories){&door->errands, door->gateway->daemon.store, answers_units, &door->catalogue, NULL};
  visits_init(&door->visits, gateway->dispatch, &door->errands, gateway->daemon.world, gateway->config->station);
  door->requests = requests_new(gateway->config->station, gateway->daemon.world, &hooks);
  requests_set_sessions(door->requests, DOOR_SESSIONS_MAX);
}

int door_open(struct door *door) {
  const char *why = "", *endpoint = door->gateway->config->local.urgent;
  if (!door->is_wanted) return 0;
  make_parts(door);
  int outcome = net_listen(door->gateway->daemon.net, endpoint, CHANNEL_TELEMETRY, door->endpoint, &why);
  if (outcome == 0) {
    log_notice("door", NULL, "operators are heard at %s", door->endpoint);
    return 0;
  }
  log_error("door", NULL, "local: cannot listen on %s: %s", endpoint, why);
  return DAEMON_FAILED;
}

void door_close(struct door *door) {
  door->requests = requests_free(door->requests);
  door->subscribers = subscribers_free(door->subscribers);
}

void door_deinit(struct door *door) {
  if (!door->is_wanted) return;
  errands_deinit(&door->errands);
  readers_deinit(&door->readers);
  catalogue_deinit(&door->catalogue);
  callers_deinit(&door->callers);
  visits_deinit(&door->visits);
  door->is_wanted = false;
}

void door_configure(struct door *door, const struct gateway_config *config, const struct roster *roster) {
  if (!door->is_wanted) return;
  struct callers stale = door->callers;
  callers_init(&door->callers, config, roster);
  if (door->requests) {
    requests_recheck(door->requests); /* before the connections are cut: they are told why */
    net_revoke(door->gateway->daemon.net, "");
  }
  callers_deinit(&stale);
}

void door_said(struct door *door, const struct ledger_entry *entry) {
  if (door->requests) visits_said(&door->visits, entry);
}

void door_describe(struct door *door, struct bytes address, struct bytes text, int64_t time) {
  if (!door->is_wanted) return;
  const struct record record = {.kind = RECORD_DESCRIPTOR,
      .address = address,
      .time = time,
      .received = time,
      .value = {.type = VALUE_TEXT, .bytes = text}};
  catalogue_take(&door->catalogue, &record, BYTES_NULL, (struct epoch){0, 0}, LANE_LIVE);
}

/* ---- hooks of node and network ---- */

void door_committed(struct door *door, const struct store_item *item) {
  struct block block;
  if (door->is_wanted && item->block && block_open(&block, blob_bytes(item->block)) == 0)
    catalogue_apply(&door->catalogue, &block, item->lane);
}

bool door_finish(struct door *door, void *cookie, const struct store_done *done) {
  bool ours = door->is_wanted && errands_has(&door->errands, cookie);
  if (ours) errands_finish(&door->errands, cookie, done);
  return ours;
}

const char *door_principal(const struct door *door, const uint8_t transport_key[32]) {
  const struct caller *caller = door->is_wanted ? callers_by_key(&door->callers, transport_key) : NULL;
  return caller ? caller->principal : NULL;
}

void door_message(struct door *door, const char *principal, uint64_t conn, struct bytes message) {
  if (door->requests) requests_receive(door->requests, principal, conn, message);
}

void door_closed(struct door *door, uint64_t conn) {
  if (door->requests) requests_closed(door->requests, conn);
}

int64_t door_tick(struct door *door) {
  if (!door->requests) return INT64_MAX;
  errands_retry(&door->errands);
  bool more = subscribers_pump(door->subscribers);
  int64_t next = requests_tick(door->requests);
  return more ? 0 : next;
}
