/* Where the broker's parts meet: what node, orders, requests and network ask their owner. Each hook finds the part that
 * knows and asks it. */
#include "broker/broker.h"
#include "broker/gaps.h"
#include "broker/hostile.h"
#include "common/node/epochs.h"

/* ---- hooks of the node ---- */

static bool node_send(void *ctx, uint64_t conn, struct bytes message) {
  struct broker *broker = ctx;
  return net_send(broker->daemon.net, conn, message) == 0;
}

static void node_close(void *ctx, uint64_t conn) {
  struct broker *broker = ctx;
  links_close(&broker->links, conn);
}

static void order_station_of(struct broker *broker, const struct link *link, struct order_station *out) {
  struct node_peer_status status;
  struct buffer stream = BUFFER_NULL;
  struct store_stream held;
  node_peer_status(broker->node, link->peer, &status);
  *out = (struct order_station){.node = bytes_text(link->node), .peer = link->is_peer, .up = status.up};
  if (!link->is_peer) {
    out->keys = link->station->keys.items;
    out->key_count = link->station->keys.count;
  }
  buffer_printf(&stream, "%s!urgent", link->node);
  if (store_stream_get(broker->daemon.store, buffer_bytes(&stream), &held)) out->epoch = held.epoch;
  buffer_deinit(&stream);
}

static enum node_admit node_admit(void *ctx, struct node_peer *peer, enum lane lane, const struct block *block,
    struct store_batch *batch, struct blob **replace, bool *drop, const char **reason) {
  struct broker *broker = ctx;
  struct link *link = node_peer_owner(peer);
  struct order_station station;
  if (link->is_peer) {
    uint32_t left_out;
    *drop = peer_accept(&link->rules, block, replace, &left_out) == PEER_ACCEPT_NOTHING;
    link->left_out += left_out;
  } else if (block->onward.len) {
    *reason = "a station grants nothing onward: the province does";
    return NODE_ADMIT_REFUSE;
  } else if (lane == LANE_URGENT) {
    order_station_of(broker, link, &station);
    block = hostile_block(broker, block);
    if (block) orders_admit(broker->orders, &station, block, batch);
    if (block) broker_audit_admit(broker, link, block, batch);
  }
  return NODE_ADMIT;
}

static bool node_accept_stream(void *ctx, struct node_peer *peer, struct bytes stream) {
  struct link *link = node_peer_owner(peer);
  (void)ctx;
  return !link->is_peer || peer_accepts_stream(&link->rules, stream);
}

static bool node_share_stream(void *ctx, struct node_peer *peer, size_t feed, struct bytes stream) {
  struct link *link = node_peer_owner(peer);
  (void)ctx;
  return link->is_peer && peer_shares_stream(&link->rules, feed, stream);
}

static bool node_names_stream(void *ctx, struct node_peer *peer, struct bytes stream) {
  struct broker *broker = ctx;
  struct link *link = node_peer_owner(peer);
  return link->is_peer && peer_knows_stream(&link->rules, stream, granted_find(&broker->granted, stream_owner(stream)));
}

static struct blob *node_share(void *ctx, struct node_peer *peer, size_t feed, struct blob *from,
    const struct block *block, enum lane lane, uint64_t position) {
  struct link *link = node_peer_owner(peer);
  (void)ctx;
  return link->is_peer ? peer_share(&link->rules, feed, from, block, lane, position) : NULL;
}

static bool node_may_send(void *ctx, struct node_peer *peer, size_t bytes) {
  struct broker *broker = ctx;
  struct link *link = node_peer_owner(peer);
  if (!link->is_peer || (!link->most.bytes && !link->most.readings)) return true;
  return quota_allows(&link->agreement->quota, &link->most, bytes, world_now(broker->daemon.world).wall);
}

static void node_sent(void *ctx, struct node_peer *peer, uint32_t records, size_t bytes) {
  struct broker *broker = ctx;
  struct link *link = node_peer_owner(peer);
  if (!link->is_peer) return;
  quota_sent(&link->agreement->quota, &link->most, records, bytes, world_now(broker->daemon.world).wall);
}

static void node_committed(void *ctx, const struct store_item *item, struct node_peer *from) {
  struct broker *broker = ctx;
  struct block block;
  if (item->position)
    checkpoint_applied(&broker->checkpoint, item->lane, item->position, item->block ? item->block->len : 0);
  if (!item->block || block_open(&block, blob_bytes(item->block))) return;
  catalogue_apply(&broker->catalogue, &block, item->lane);
  struct link *link = from ? node_peer_owner(from) : NULL;
  if (link && link->is_peer) broker_snapshots_granted(broker, &block);
  if (!link || link->is_peer || stream_owner(block.stream).len == block.stream.len) return;
  orders_committed(broker->orders, &block);
  broker_audit_committed(broker, link, &block);
}

static void node_session(void *ctx, struct node_peer *peer, bool up) {
  struct broker *broker = ctx;
  struct link *link = node_peer_owner(peer);
  struct order_station station;
  log_info("links", link->principal, "session %s", up ? "up" : "down");
  if (link->is_peer) broker_snapshot_session(broker, link, up);
  if (link->is_peer) broker_agreement_session(broker, link, up);
  if (link->is_peer && up) broker_audit_session(broker, link);
  if (link->is_peer && up) broker_past_session(broker, link);
  if (link->is_peer && up) broker_receipts_session(broker, link);
  if (!up) return;
  if (!link->is_peer) broker_rosters_session(broker, link);
  order_station_of(broker, link, &station);
  orders_session(broker->orders, &station);
  hostile_session(broker, link);
  broker->orders_at = 0;
}

/* The types of all who speak to brokers stand here together, so that two of a number do not compile. True: taken. */
static bool take_message(struct broker *broker, struct link *link, uint8_t type, struct bytes body) {
  if (!link->is_peer && type != EPOCHS_MESSAGE) return false;
  switch (type) {
    case EPOCHS_MESSAGE: broker_past_message(broker, link, body); break;
    case SETTLE_CHECKPOINT: broker_audit_message(broker, link, body); break;
    case HALF_MESSAGE:
    case HALF_TAKEN:
    case HALF_QUOTA: broker_agreement_message(broker, link, type, body); break;
    case RECEIPT_MESSAGE: broker_receipt_message(broker, link, body); break;
    case RECEIPT_ANSWER: broker_receipt_answer(broker, link, body); break;
    case SNAPSHOT_PIECE:
    case SNAPSHOT_TAKEN: broker_snapshot_message(broker, link, type, body); break;
    default: return type >= SNAPSHOT_PIECE; /* a later version's */
  }
  return true;
}

static void node_message_in(void *ctx, struct node_peer *peer, uint8_t type, struct bytes body) {
  struct broker *broker = ctx;
  struct link *link = node_peer_owner(peer);
  struct order_station station;
  if (take_message(broker, link, type, body)) return;
  order_station_of(broker, link, &station);
  orders_message(broker->orders, &station, type, body);
}

static void node_batch_done(void *ctx, void *cookie, const struct store_done *done) {
  struct broker *broker = ctx;
  errands_finish(&broker->errands, cookie, done);
}

static void event_done(void *ctx, void *cookie, const struct store_done *done) {
  (void)ctx, (void)cookie;
  if (done->kind == STORE_DONE_REFUSED)
    log_warning("broker", NULL, "the store is full: an event of this node was not recorded");
}

void broker_event(struct broker *broker, const char *name, struct bytes text) {
  struct buffer address = BUFFER_NULL, stream = BUFFER_NULL;
  struct block_builder *builder = block_builder_new();
  buffer_printf(&address, "%s/riverbus/%s", broker->config->node, name);
  buffer_printf(&stream, "%s!urgent", broker->config->node);
  struct record record = {
      .kind = RECORD_EVENT, .address = buffer_bytes(&address), .value = {.type = VALUE_TEXT, .bytes = text}};
  record.received = node_received(broker->node);
  record.time = record.received;
  log_notice("broker", NULL, "event %s: " BYTES_FMT, name, BYTES_ARG(text));
  if (block_builder_add(builder, &record, BLOCK_MAX) == 0) {
    struct store_batch *batch = store_batch_new();
    store_batch_own(batch, LANE_URGENT, buffer_bytes(&stream),
        block_builder_finish(builder, buffer_bytes(&stream), node_run(broker->node)));
    store_batch_urgent(batch);
    errands_submit(&broker->errands, ERRAND_URGENT, batch, event_done, NULL, NULL);
  }
  block_builder_free(builder);
  buffer_deinit(&address);
  buffer_deinit(&stream);
}

static void node_event(void *ctx, const char *name, struct bytes text) { broker_event(ctx, name, text); }

/* ---- hooks of the orders ---- */

static void orders_commit(void *ctx, struct store_batch *batch, errand_fn *done, void *done_ctx, void *cookie) {
  errands_submit(&((struct broker *)ctx)->errands, ERRAND_URGENT, batch, done, done_ctx, cookie);
}

static struct errand *orders_read(
    void *ctx, enum errand_rank rank, const struct store_read *read, errand_fn *done, void *done_ctx, void *cookie) {
  return errands_read(&((struct broker *)ctx)->errands, rank, read, done, done_ctx, cookie);
}

/* A station of ours, or the neighbour whose province it is. */
static struct link *link_of(struct broker *broker, struct bytes address) {
  struct bytes province = address_segment(address, 0);
  bool ours = bytes_equal(province, bytes_text(broker->config->node));
  return ours ? links_of_address(&broker->links, address) : links_of_peer(&broker->links, province);
}

static bool orders_station(void *ctx, struct bytes address, struct order_station *out) {
  struct broker *broker = ctx;
  const struct link *link = link_of(broker, address);
  if (link) order_station_of(broker, link, out);
  return link != NULL;
}

static bool orders_send(void *ctx, struct bytes station, uint8_t type, struct bytes body) {
  struct broker *broker = ctx;
  const struct link *link = link_of(broker, station);
  return link && hostile_send(broker, link, type, body);
}

static const struct check_operators *orders_operators(void *ctx) {
  static struct check_operators operators; /* a view of what the broker holds now */
  struct broker *broker = ctx;
  operators = (struct check_operators){broker->principals.operators, broker->principals.operator_count};
  return &operators;
}

static const struct catalogue_point *orders_point(void *ctx, struct bytes address) {
  return catalogue_find(&((struct broker *)ctx)->catalogue, address);
}

static const struct broker_peer *orders_agreement(void *ctx, struct bytes peer) {
  const struct link *link = links_of_peer(&((struct broker *)ctx)->links, peer);
  return link ? link->config : NULL;
}

/* ---- hooks of the requests ---- */

static const struct requester *requester_of(void *ctx, const char *name) {
  struct broker *broker = ctx;
  const struct principal *principal = principals_by_name(&broker->principals, name);
  return principal && principal->kind == PRINCIPAL_OPERATOR ? &principal->requester : NULL;
}

static enum requests_send session_send(void *ctx, uint64_t conn, struct bytes message) {
  switch (net_send(((struct broker *)ctx)->daemon.net, conn, message)) {
    case 0: return REQUESTS_SENT;
    case NET_FULL: return REQUESTS_FULL;
    default: return REQUESTS_GONE;
  }
}

static void close_session(void *ctx, uint64_t conn) { net_close(((struct broker *)ctx)->daemon.net, conn); }

/* ---- events of the network ---- */

static const char *net_principal(void *ctx, const uint8_t transport_key[32]) {
  const struct principal *principal = principals_by_key(&((struct broker *)ctx)->principals, transport_key);
  return principal ? principal->name : NULL;
}

static void net_message(void *ctx, uint64_t conn, int channel, const char *principal, struct bytes message) {
  struct broker *broker = ctx;
  if (strncmp(principal, "operator ", 9) == 0)
    requests_receive(broker->requests, principal, conn, message);
  else
    node_receive(broker->node, principal, conn, (enum channel)channel, message);
}

static void net_opened(void *ctx, uint64_t conn) { links_opened(&((struct broker *)ctx)->links, conn); }

static void net_closed(void *ctx, uint64_t conn) {
  struct broker *broker = ctx;
  requests_closed(broker->requests, conn);
  links_closed(&broker->links, conn);
}

static void net_failed(void *ctx, uint64_t conn, bool unknown) {
  struct broker *broker = ctx;
  links_failed(&broker->links, conn, unknown);
  broker->links_at = 0;
}

static void net_refused(void *ctx, const char *address, const char *reason) {
  daemon_refused(&((struct broker *)ctx)->daemon, address, reason);
}

/* ---- the parts with their hooks ---- */

void broker_make_node(struct broker *broker) {
  struct node_options options = {.name = broker->config->node,
      .world = broker->daemon.world,
      .store = broker->daemon.store,
      .head_us = daemon_test_head(),
      .hooks = {.ctx = broker,
          .send = node_send,
          .close = node_close,
          .admit = node_admit,
          .accept_stream = node_accept_stream,
          .share_stream = node_share_stream,
          .names_stream = node_names_stream,
          .share = node_share,
          .may_send = node_may_send,
          .sent = node_sent,
          .committed = node_committed,
          .session = node_session,
          .message = node_message_in,
          .submitted = node_batch_done,
          .read = node_batch_done,
          .event = node_event}};
  broker->gap_silent_us = options.head_us ? options.head_us * 5 / 2 : GAP_SILENT_US;
  gap_ask_init(&broker->asks, options.head_us ? options.head_us * 2 : GAP_ASK_US);
  broker->node = node_new(&options);
}

void broker_make_orders(struct broker *broker) {
  struct orders_hooks hooks = {broker, orders_commit, orders_read, orders_station, orders_send, orders_operators,
      orders_point, orders_agreement, node_event};
  broker->orders = orders_new(broker->config->node, broker->daemon.world, &hooks);
  orders_set_deadline(broker->orders, broker->config->max_deadline_us);
}

static bool is_operator(void *ctx, const char *name) {
  const struct principals *principals = &((struct broker *)ctx)->principals;
  struct table_cursor cursor = TABLE_CURSOR_NULL;
  void *value;
  while (table_next(&principals->by_name, &cursor, NULL, &value)) {
    const struct principal *principal = value;
    if (principal->kind == PRINCIPAL_OPERATOR && strcmp(principal->requester.name, name) == 0) return true;
  }
  return false;
}

void broker_make_requests(struct broker *broker) {
  struct subscribers_options followed = {
      broker->node, broker->daemon.store, &broker->errands, &broker->readers, answers_units, &broker->catalogue};
  struct requests_hooks hooks = {
      broker, session_send, close_session, requester_of, broker, broker_verbs, &broker_command_verb};
  broker->answers =
      (struct answers){&broker->catalogue, broker->node, broker->daemon.store, &broker->readers, is_operator, broker};
  broker->subscribers = subscribers_new(&followed);
  broker->histories =
      (struct histories){&broker->errands, broker->daemon.store, answers_units, &broker->catalogue, NULL};
  broker->requests = requests_new(broker->config->node, broker->daemon.world, &hooks);
}

struct net_events broker_net_events(struct broker *broker) {
  return (struct net_events){.ctx = broker,
      .principal = net_principal,
      .message = net_message,
      .opened = net_opened,
      .closed = net_closed,
      .refused = net_refused,
      .failed = net_failed};
}
