#include "common/base/mem.h"
#include "common/node/parts.h"
#include <stdio.h>
#include <stdlib.h>

#ifdef RIVERBUS_TEST_HOOKS
enum node_defect node_defect = NODE_DEFECT_NONE;
#endif

bool stream_is_urgent(struct bytes stream) {
  static const char tail[] = "!urgent";
  const size_t len = sizeof tail - 1;
  return stream.len > len && memcmp(stream.data + stream.len - len, tail, len) == 0;
}

struct bytes stream_node(struct bytes stream) {
  return stream_is_urgent(stream) ? bytes_of(stream.data, stream.len - 7) : stream;
}

/* ---- work ---- */

struct work *work_new(struct node *node, enum work_kind kind) {
  struct work *work = mem_alloc(sizeof *work);
  work->kind = kind;
  work->after = node->works;
  if (node->works) node->works->before = work;
  node->works = work;
  return work;
}

void work_free(struct node *node, struct work *work) {
  if (work->before)
    work->before->after = work->after;
  else
    node->works = work->after;
  if (work->after) work->after->before = work->before;
  for (size_t i = 0; i < work->discard_count; i++) {
    free((void *)(uintptr_t)work->discards[i].stream.data);
    free((void *)(uintptr_t)work->discards[i].by.data);
    free((void *)(uintptr_t)work->discards[i].reason.data);
  }
  free(work->discards);
  for (size_t i = 0; i < work->claim_count; i++) free((void *)(uintptr_t)work->claims[i].stream.data);
  free(work->claims);
  free(work->receipts);
  free(work);
}

/* ---- life ---- */

struct newest {
  int64_t received;
};
static bool take_received(void *ctx, const struct store_entry *entry) {
  struct newest *newest = ctx;
  struct block block;
  if (entry->block && block_open(&block, blob_bytes(entry->block)) == 0 && entry->source.len == 0 &&
      block.received_to > newest->received)
    newest->received = block.received_to;
  return true;
}

/* `received` never falls within a stream, also when the clock was set back while the program was down. */
static int64_t newest_received(struct node *node) {
  struct newest newest = {0};
  struct store_stats stats;
  store_stats(node->options.store, &stats);
  for (int lane = 0; lane < LANES; lane++) {
    node->log_last[lane] = stats.logs[lane].last >= stats.logs[lane].first ? stats.logs[lane].last : 0;
    uint64_t last = node->log_last[lane];
    if (last > 0) store_replay(node->options.store, (enum lane)lane, last > 64 ? last - 64 : 1, take_received, &newest);
  }
  return newest.received;
}

/* A batch must fit into what a small store keeps free. */
static size_t inbox_most(const struct node *node) {
  struct store_stats stats;
  store_stats(node->options.store, &stats);
  uint64_t share = stats.max_bytes / RECEIVER_GROUP_SHARE;
  return share > 0 && share < RECEIVER_GROUP_BYTES ? (size_t)share : RECEIVER_GROUP_BYTES;
}

struct node *node_new(const struct node_options *options) {
  struct node *node = mem_alloc(sizeof *node);
  struct buffer urgent = BUFFER_NULL;
  node->options = *options;
  if (node->options.ring_bytes == 0) node->options.ring_bytes = 8 * 1024 * 1024;
  if (node->options.ping_us == 0) node->options.ping_us = 500 * MILLISECOND_US;
  if (node->options.dead_us == 0) node->options.dead_us = 1500 * MILLISECOND_US;
  if (node->options.head_us == 0) node->options.head_us = 60 * SECOND_US;
  node->name = mem_text(options->name, strlen(options->name));
  buffer_printf(&urgent, "%s!urgent", node->name);
  node->own[CHANNEL_TELEMETRY] = bytes_text(node->name);
  node->own[CHANNEL_URGENT] = bytes_of(mem_copy(urgent.data, urgent.len), urgent.len);
  buffer_deinit(&urgent);
  for (int lane = 0; lane < LANES; lane++)
    ring_init(&node->rings[lane], lane == LANE_LIVE ? node->options.ring_bytes / 2 : node->options.ring_bytes / 4);
  node->next_peer = 1;
  node->packer = block_packer_new();
  node->received = newest_received(node);
  node->inbox_most = inbox_most(node);
  marks_load(&node->marks, node->options.store, node_now(node));
  return node;
}

static void inbox_deinit(struct inbox *inbox) {
  store_batch_free(inbox->batch);
  *inbox = (struct inbox){0};
}

static void peer_free(struct node_peer *peer) {
  sender_reset(peer);
  session_deinit(peer);
  for (int c = 0; c < CHANNELS; c++) {
    free(peer->channels[c].flights.items);
    free(peer->channels[c].missing);
  }
  free(peer->streams);
  free(peer->principal);
  free(peer->name);
  free(peer);
}

struct node *node_free(struct node *node) {
  if (!node) return NULL;
  struct store_done *done;
  /* nobody would understand their cookies any more */
  while ((done = store_next(node->options.store))) store_done_free(done);
  for (size_t i = 0; i < node->peer_count; i++) peer_free(node->peers[i]);
  for (int c = 0; c < CHANNELS; c++) inbox_deinit(&node->inbox[c]);
  while (node->works) work_free(node, node->works);
  for (int lane = 0; lane < LANES; lane++) ring_deinit(&node->rings[lane]);
  table_deinit(&node->by_principal, NULL);
  table_deinit(&node->by_name, NULL);
  table_deinit(&node->by_conn, NULL);
  lanes_forget(node);
  free((void *)(uintptr_t)node->own[CHANNEL_URGENT].data);
  free(node->peers);
  free(node->takers);
  free(node->dirty);
  block_packer_free(node->packer);
  marks_deinit(&node->marks);
  free(node->name);
  free(node);
  return NULL;
}

/* ---- peers ---- */

struct node_peer *node_peer_add(struct node *node, const struct node_peer_config *config) {
  struct node_peer *peer = mem_alloc(sizeof *peer);
  peer->node = node;
  peer->id = node->next_peer++;
  peer->principal = mem_text(config->principal, strlen(config->principal));
  peer->name = mem_text(config->node, strlen(config->node));
  peer->config = *config;
  peer->config.principal = peer->principal;
  peer->config.node = peer->name;
  rules_set(peer, config->feeds, config->feed_count);
  peer->rules_limit = (struct log_limit){.interval_us = RULES_PACE_US, .burst = 5};
  if (peer->config.window_bytes == 0) peer->config.window_bytes = 1024 * 1024;
  peer->since = node_now(node).wall;
  peer->limit = (struct log_limit){.interval_us = 10 * SECOND_US, .burst = 5};
  node->peers = mem_resize(node->peers, node->peer_count + 1, sizeof(struct node_peer *));
  node->peers[node->peer_count++] = peer;
  if (config->role != NODE_PEER_STATION) {
    node->takers = mem_resize(node->takers, node->taker_count + 1, sizeof(struct node_peer *));
    node->takers[node->taker_count++] = peer;
  }
  table_put(&node->by_principal, bytes_text(peer->principal), peer);
  table_put(&node->by_name, bytes_text(peer->name), peer);
  return peer;
}

/* In order, since ids rise with the place. */
static void take_out(struct node_peer **list, size_t *count, const struct node_peer *peer) {
  size_t at = 0;
  while (at < *count && list[at] != peer) at++;
  if (at == *count) return;
  memmove(&list[at], &list[at + 1], (*count - at - 1) * sizeof(struct node_peer *));
  --*count;
}

void node_peer_remove(struct node *node, struct node_peer *peer) {
  session_end(peer, "removed");
  table_remove(&node->by_principal, bytes_text(peer->principal));
  if (table_get(&node->by_name, bytes_text(peer->name)) == peer) table_remove(&node->by_name, bytes_text(peer->name));
  for (size_t i = 0; i < node->dirty_count; i++)
    if (node->dirty[i] == peer) node->dirty[i] = NULL;
  take_out(node->peers, &node->peer_count, peer);
  take_out(node->takers, &node->taker_count, peer);
  peer_free(peer);
}

void node_peer_rules(struct node *node, struct node_peer *peer, const struct node_feed *feeds, size_t count) {
  (void)node;
  rules_change(peer, feeds, count);
}

size_t node_peer_scopes(const struct node_peer *peer, const uint64_t **scopes) {
  *scopes = peer->scopes;
  return peer->scope_count;
}

void *node_peer_owner(const struct node_peer *peer) { return peer->config.owner; }
const char *node_peer_node(const struct node_peer *peer) { return peer->name; }
struct node_peer *node_peer_find(struct node *node, const char *principal) {
  return table_get(&node->by_principal, bytes_text(principal));
}

struct node_peer *node_peer_of_id(struct node *node, uint64_t id) { /* ids rise with the place in the list */
  size_t low = 0, high = node->peer_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (node->peers[middle]->id < id)
      low = middle + 1;
    else
      high = middle;
  }
  return low < node->peer_count && node->peers[low]->id == id ? node->peers[low] : NULL;
}

void peer_mark(struct node_peer *peer) {
  struct node *node = peer->node;
  if (peer->dirty) return;
  peer->dirty = true;
  if (node->dirty_count == node->dirty_cap) {
    node->dirty_cap = node->dirty_cap ? node->dirty_cap * 2 : 16;
    node->dirty = mem_resize(node->dirty, node->dirty_cap, sizeof(struct node_peer *));
  }
  node->dirty[node->dirty_count++] = peer;
}

bool peer_send(struct node_peer *peer, enum channel channel, const struct link_message *message) {
  struct buffer frame = BUFFER_NULL;
  if (peer->conns[channel] == 0) return false;
  link_message_write(&frame, message);
  bool sent = peer->node->options.hooks.send(peer->node->options.hooks.ctx, peer->conns[channel], buffer_bytes(&frame));
  buffer_deinit(&frame);
  return sent;
}

void node_peer_status(struct node *node, const struct node_peer *peer, struct node_peer_status *out) {
  static const char *const names[] = {"down", "greeting", "resuming", "up"};
  (void)node;
  *out = peer->figures;
  out->up = peer->state == SESSION_UP;
  out->clone_refused = peer->clone_refused;
  out->state = peer->refused[0] ? peer->refused : names[peer->state];
  out->since = peer->since;
  out->backlog_records = sender_backlog(peer);
  out->in_flight_bytes = peer->window.in_flight + peer->urgent_in_flight;
  out->window_bytes = peer->window.now;
}

/* ---- messages and time ---- */

void node_opened(struct node *node, struct node_peer *peer, uint64_t urgent_conn, uint64_t telemetry_conn) {
  (void)node;
  session_opened(peer, urgent_conn, telemetry_conn);
}

void node_receive(struct node *node, const char *principal, uint64_t conn, enum channel channel, struct bytes message) {
  struct node_peer *peer = node_peer_find(node, principal);
  struct link_message m;
  if (!peer) return;
  if (link_message_read(&m, message) == 0) {
    session_message(peer, conn, channel, &m, message);
    return;
  }
  peer->figures.refused_blocks++;
  uint64_t suppressed;
  if (log_allow(&peer->limit, node_now(node).mono, &suppressed))
    log_warning("link", peer->principal, "a malformed message of %zu bytes was dropped (%llu more before)", message.len,
        (unsigned long long)suppressed);
}

void node_closed(struct node *node, uint64_t conn) {
  struct node_peer *peer = table_get(&node->by_conn, bytes_of(&conn, sizeof conn));
  if (peer) session_conn_closed(peer, conn);
}

static void tick_peer(struct node_peer *peer) {
  session_tick(peer);
  if (peer->config.role != NODE_PEER_STATION) sender_tick(peer);
}

/* For feeds that are delayed, if there are any. */
static void mark_logs(struct node *node, int64_t now) {
  int64_t smallest = 0, longest = 0;
  for (size_t i = 0; i < node->taker_count; i++)
    for (size_t feed = 0; feed < node->takers[i]->feed_count; feed++) {
      int64_t delay = node->takers[i]->feeds[feed].delay_us;
      if (delay > 0 && (smallest == 0 || delay < smallest)) smallest = delay;
      if (delay > longest) longest = delay;
    }
  marks_add(&node->marks, node->log_last, now, smallest, longest);
}

int64_t node_tick(struct node *node) {
  int64_t now = node_now(node).mono;
  node_store_ready(node);
  receiver_flush(node);
  if (now >= node->scan_at) {
    origin_tick(node);
    for (size_t i = 0; i < node->peer_count; i++) tick_peer(node->peers[i]);
    mark_logs(node, now);
    node->scan_at = now + NODE_SCAN_US;
  }
  for (size_t i = 0; i < node->dirty_count; i++) {
    struct node_peer *peer = node->dirty[i];
    if (!peer) continue;
    peer->dirty = false;
    sender_pump(peer);
  }
  node->dirty_count = 0;
  return node->scan_at;
}

/* ---- completions ---- */

static struct node_peer *peer_of_source(struct node *node, struct bytes source) {
  return source.len > 0 ? table_get(&node->by_principal, source) : NULL;
}

static void item_committed(struct node *node, const struct store_item *item) {
  struct node_peer *from = peer_of_source(node, item->source);
  struct block block;
  if (item->outcome != STORE_STORED && from) from->figures.duplicates++;
  if (!item->block || item->position == 0) return;
  ring_add(&node->rings[item->lane], item->position, item->block);
  node->log_last[item->lane] = item->position;
  if (block_open(&block, blob_bytes(item->block)) != 0) return;
  if (from) from->figures.received_records[item->lane] += block.count;
  if (node->options.hooks.committed) node->options.hooks.committed(node->options.hooks.ctx, item, from);
  for (size_t i = 0; i < node->taker_count; i++)
    if (node->takers[i] != from && node->takers[i]->state == SESSION_UP) sender_offer(node->takers[i], item, &block);
}

/* ring, committed hook, offers */
static void node_items(struct node *node, const struct store_done *done) {
  for (size_t i = 0; i < done->item_count; i++) item_committed(node, &done->items[i]);
}

static void owner_done(struct node *node, struct work *work, const struct store_done *done) {
  const struct node_hooks *hooks = &node->options.hooks;
  if (work->kind == WORK_OWNER && hooks->submitted) hooks->submitted(hooks->ctx, work->cookie, done);
  if (work->kind == WORK_OWNER_READ && hooks->read) hooks->read(hooks->ctx, work->cookie, done);
}

static void backfill_done(struct node *node, struct work *work, const struct store_done *done) {
  struct node_peer *peer = node_peer_of_id(node, work->peer_id);
  if (peer && peer->session == work->session && peer->state == SESSION_UP) missed_read_done(peer, work, done);
}

static void work_done(struct node *node, struct work *work, const struct store_done *done) {
  switch (work->kind) {
    case WORK_OWNER:
    case WORK_OWNER_READ: owner_done(node, work, done); break;
    case WORK_RECEIVE: receiver_done(node, work, done); break;
    case WORK_BACKFILL: backfill_done(node, work, done); break;
    case WORK_EPOCH: origin_epoch_done(node, work, done); break;
    case WORK_CLAIMS:
    case WORK_HEAD: break;
  }
  work_free(node, work);
}

void node_discards(struct node *node, const struct store_discard *discards, size_t count) {
  const struct node_hooks *hooks = &node->options.hooks;
  if (count > 0 && hooks->discarded) hooks->discarded(hooks->ctx, discards, count);
  for (size_t i = 0; i < node->taker_count; i++)
    for (size_t k = 0; k < count && node->takers[i]->state == SESSION_UP; k++)
      missed_gone(node->takers[i], &discards[k]);
}

void node_name_gone(struct node *node, const struct store_discard *discards, size_t count) {
  node_discards(node, discards, count);
}

static void take_done(struct node *node, const struct store_done *done) {
  const struct node_hooks *hooks = &node->options.hooks;
  if (done->kind == STORE_DONE_BATCH || done->kind == STORE_DONE_REISSUED) node_items(node, done);
  if (done->kind == STORE_DONE_TRIMMED && hooks->discarded)
    hooks->discarded(hooks->ctx, done->discards, done->discard_count);
  if (done->kind == STORE_DONE_BATCH) node_discards(node, done->discards, done->discard_count);
  if (done->cookie) work_done(node, done->cookie, done);
}

void node_store_ready(struct node *node) {
  struct store_done *done;
  while ((done = store_next(node->options.store))) {
    take_done(node, done);
    store_done_free(done);
  }
}

/* ---- the owner's own ---- */

int node_submit(struct node *node, struct store_batch *batch, void *cookie) {
  struct work *work = work_new(node, WORK_OWNER);
  work->cookie = cookie;
  int result = store_submit(node->options.store, batch, work);
  if (result != 0) work_free(node, work);
  return result;
}

int node_read(struct node *node, const struct store_read *request, void *cookie) {
  struct work *work = work_new(node, WORK_OWNER_READ);
  work->cookie = cookie;
  int result = store_read(node->options.store, request, work);
  if (result != 0) work_free(node, work);
  return result;
}

uint64_t node_run(const struct node *node) { return store_run(node->options.store); }

int64_t node_received(struct node *node) {
  int64_t wall = node_now(node).wall;
  if (wall > node->received) node->received = wall;
  return node->received;
}

static bool send_payload(struct node_peer *peer, enum channel channel, uint8_t type, struct bytes body) {
  if (peer->state != SESSION_UP) return false;
  return peer_send(peer, channel,
      &(struct link_message){.type = LINK_PAYLOAD, .session = peer->session, .payload_type = type, .body = body});
}

bool node_message(struct node *node, struct node_peer *peer, uint8_t type, struct bytes body) {
  (void)node;
  return send_payload(peer, CHANNEL_URGENT, type, body);
}

bool node_message_behind(struct node *node, struct node_peer *peer, uint8_t type, struct bytes body) {
  (void)node;
  return peer->attached && send_payload(peer, CHANNEL_TELEMETRY, type, body);
}

struct blob *node_ring_get(struct node *node, enum lane lane, uint64_t position) {
  return ring_get(&node->rings[lane], position);
}
uint64_t node_log_last(const struct node *node, enum lane lane) { return node->log_last[lane]; }
