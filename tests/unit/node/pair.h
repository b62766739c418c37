#ifndef RIVERBUS_TESTS_UNIT_NODE_PAIR_H
#define RIVERBUS_TESTS_UNIT_NODE_PAIR_H
/*
 * What the tests of the node share. A gateway (p/s) and its broker (p) over a pipe in memory, each with a memory store
 * that commits only when the test says so; and a station written by hand, for what no honest node would send.
 */
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/link/message.h"
#include "common/node/node.h"
#include "common/store/memory.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "tests/unit/node/readings.h"

enum { GATEWAY = 0, BROKER = 1, SIDES = 2 };
enum { CONN_GATEWAY = 10, CONN_BROKER = 20, CONN_STRANGER = 30 }; /* + channel: an end of a connection */

struct sent {
  int side;
  uint64_t conn;
  struct link_message m;
  struct buffer frame;
  bool delivered;
};
struct side {
  struct memory_disk *disk;
  struct store *store;
  struct node *node;
  struct node_peer *peer;
};
struct pipe {
  struct side sides[SIDES];
  struct world world;
  int64_t now;
  uint64_t random;
  struct sent *sent; /* all that was ever sent, in order */
  size_t count, cap, next;
  uint64_t deaf_conn; /* sends on it fail */
  const char *denied; /* streams that begin so are not accepted at the broker */
  size_t clones, told_discards;
  uint64_t discard_from, discard_to;
  char discard_reason[32];
};
struct end {
  struct pipe *pipe;
  int side;
};

/* ---- the world ---- */

static inline struct instant pipe_now(void *ctx) {
  const struct pipe *p = ctx;
  return (struct instant){INT64_C(1790000000000000) + p->now, p->now};
}

static inline void pipe_random(void *ctx, void *out, size_t len) {
  struct pipe *p = ctx;
  uint8_t *bytes = out;
  for (size_t i = 0; i < len; i++)
    bytes[i] = (uint8_t)((p->random = p->random * 6364136223846793005u + 1442695040888963407u) >> 56);
}

static inline bool on_send(void *ctx, uint64_t conn, struct bytes message) {
  struct end *end = ctx;
  struct pipe *p = end->pipe;
  if (conn == p->deaf_conn) return false;
  if (p->count == p->cap) {
    p->cap = p->cap ? p->cap * 2 : 64;
    p->sent = mem_resize(p->sent, p->cap, sizeof *p->sent);
  }
  struct sent *sent = &p->sent[p->count++];
  *sent = (struct sent){.side = end->side, .conn = conn};
  buffer_append(&sent->frame, message);
  assert_int_equal(link_message_read(&sent->m, buffer_bytes(&sent->frame)), 0);
  return true;
}

static inline void on_close(void *ctx, uint64_t conn) {
  (void)ctx;
  (void)conn;
}

static inline void on_event(void *ctx, const char *name, struct bytes text) {
  struct end *end = ctx;
  (void)text;
  if (strcmp(name, "clone") == 0) end->pipe->clones++;
}

static inline bool on_accept_stream(void *ctx, struct node_peer *peer, struct bytes stream) {
  const struct end *end = ctx;
  const char *denied = end->pipe->denied;
  (void)peer;
  return end->side != BROKER || !denied || stream.len < strlen(denied) ||
         memcmp(stream.data, denied, strlen(denied)) != 0;
}

static inline bool on_share_stream(void *ctx, struct node_peer *peer, size_t feed, struct bytes stream) {
  (void)ctx, (void)peer, (void)feed, (void)stream;
  return true;
}

static inline void on_discarded(void *ctx, const struct store_discard *discards, size_t count) {
  struct end *end = ctx;
  struct pipe *p = end->pipe;
  if (end->side != BROKER || count == 0) return;
  p->told_discards += count;
  p->discard_from = discards[0].from;
  p->discard_to = discards[count - 1].to;
  assert_true(discards[0].reason.len < sizeof p->discard_reason);
  memcpy(p->discard_reason, discards[0].reason.data, discards[0].reason.len);
}

static inline void side_start(struct pipe *p, int n) {
  static struct end ends[SIDES];
  struct side *side = &p->sides[n];
  struct store_options store = {
      .path = "", .max_size = 1 << 28, .world = &p->world, .keep_us = n == GATEWAY ? 3600 * SECOND_US : 0};
  struct node_peer_config broker = {.principal = "broker p", .node = "p", .role = NODE_PEER_UPSTREAM, .connects = true},
                          station = {.principal = "station p/s", .node = "p/s", .role = NODE_PEER_STATION};
  ends[n] = (struct end){p, n};
  assert_int_equal(store_open_memory(&side->store, &store, side->disk), 0);
  struct node_options options = {.name = n == GATEWAY ? "p/s" : "p",
      .world = &p->world,
      .store = side->store,
      .hooks = {.ctx = &ends[n],
          .send = on_send,
          .close = on_close,
          .event = on_event,
          .accept_stream = on_accept_stream,
          .share_stream = on_share_stream,
          .discarded = on_discarded}};
  side->node = node_new(&options);
  side->peer = node_peer_add(side->node, n == GATEWAY ? &broker : &station);
}

static inline int setup(void **state) {
  struct pipe *p = mem_alloc(sizeof *p);
  p->now = SECOND_US;
  p->world = (struct world){.ctx = p, .now = pipe_now, .random = pipe_random};
  for (int n = 0; n < SIDES; n++) {
    p->sides[n].disk = memory_disk_new();
    side_start(p, n);
  }
  *state = p;
  return 0;
}

static inline int teardown(void **state) {
  struct pipe *p = *state;
  for (int n = 0; n < SIDES; n++) {
    node_free(p->sides[n].node);
    store_close(p->sides[n].store);
    memory_disk_free(p->sides[n].disk);
  }
  for (size_t i = 0; i < p->count; i++) buffer_deinit(&p->sent[i].frame);
  free(p->sent);
  free(p);
  return 0;
}

/* ---- the pipe ---- */

static inline void tick(struct pipe *p) {
  for (int n = 0; n < SIDES; n++) node_tick(p->sides[n].node);
}

/* Delivers all that was sent to the other side until nothing more comes; what goes to the stranger's or a handmade
 * station's end stays for the test to look at. */
static inline void deliver(struct pipe *p) {
  for (tick(p); p->next < p->count; tick(p)) {
    struct sent *sent = &p->sent[p->next++];
    if (sent->conn >= CONN_STRANGER) continue;
    bool to_broker = sent->side == GATEWAY;
    uint64_t twin = to_broker ? sent->conn + 10 : sent->conn - 10;
    /* p->sent moves as answers are sent */
    struct bytes frame = bytes_of(mem_copy(sent->frame.data, sent->frame.len), sent->frame.len);
    node_receive(p->sides[to_broker ? BROKER : GATEWAY].node, to_broker ? "station p/s" : "broker p", twin,
        (enum channel)(sent->conn % 10), frame);
    free((void *)(uintptr_t)frame.data);
  }
}

static inline void pass(struct pipe *p, int64_t us) {
  p->now += us;
  deliver(p);
}

static inline void commit(struct pipe *p, int n) {
  store_memory_run(p->sides[n].store, 1000);
  deliver(p);
}

/* Both stores commit, time passes, until nothing is owed: rounds that hold more than any test needs. */
static inline void settle(struct pipe *p) {
  for (int i = 0; i < 30; i++) {
    for (int n = 0; n < SIDES; n++) commit(p, n);
    pass(p, 100 * MILLISECOND_US);
  }
}

static inline void connect_link(struct pipe *p) {
  node_opened(
      p->sides[GATEWAY].node, p->sides[GATEWAY].peer, CONN_GATEWAY + CHANNEL_URGENT, CONN_GATEWAY + CHANNEL_TELEMETRY);
  deliver(p);
}

static inline void disconnect_link(struct pipe *p) {
  for (uint64_t c = 0; c < CHANNELS; c++) {
    node_closed(p->sides[GATEWAY].node, CONN_GATEWAY + c);
    node_closed(p->sides[BROKER].node, CONN_BROKER + c);
  }
  p->next = p->count;
}

static inline size_t sent_since(const struct pipe *p, size_t from, int side, uint8_t type) {
  size_t count = 0;
  for (size_t i = from; i < p->count; i++) count += p->sent[i].side == side && p->sent[i].m.type == type;
  return count;
}

static inline const struct link_message *last_to(const struct pipe *p, uint64_t conn, uint8_t type) {
  for (size_t i = p->count; i-- > 0;)
    if (p->sent[i].conn == conn && p->sent[i].m.type == type) return &p->sent[i].m;
  return NULL;
}

static inline struct node_peer_status status_of(struct pipe *p, int n) {
  struct node_peer_status status;
  node_peer_status(p->sides[n].node, p->sides[n].peer, &status);
  return status;
}

/* ---- records ---- */

static inline struct blob *draft(struct pipe *p, const char *stream, const char *address, int64_t value, uint64_t run) {
  return reading_draft(bytes_text(stream), address, pipe_now(p).wall, value, run);
}

static inline void measure(struct pipe *p, int64_t value) {
  struct node *gateway = p->sides[GATEWAY].node;
  struct store_batch *batch = store_batch_new();
  node_received(gateway);
  store_batch_own(batch, LANE_LIVE, bytes_text("p/s"), draft(p, "p/s", "p/s/g/level", value, node_run(gateway)));
  assert_int_equal(node_submit(gateway, batch, NULL), 0);
  commit(p, GATEWAY);
}

static inline struct found at_broker(struct pipe *p, int64_t value) { return found_in(p->sides[BROKER].store, value); }

/* ---- a station by hand ---- */

static inline void put_on(struct pipe *p, const char *principal, uint64_t conn, const struct link_message *m) {
  struct buffer frame = BUFFER_NULL;
  link_message_write(&frame, m);
  node_receive(p->sides[BROKER].node, principal, conn, (enum channel)(conn % 10), buffer_bytes(&frame));
  buffer_deinit(&frame);
}

static inline void say_on(struct pipe *p, uint64_t conn, const struct link_message *m) {
  put_on(p, "station p/s", conn, m);
  deliver(p);
}

static inline void greet_as(struct pipe *p, const char *name) {
  say_on(p, CONN_STRANGER,
      &(struct link_message){.type = LINK_HELLO,
          .session = 99,
          .version_low = LINK_VERSION,
          .version_high = LINK_VERSION,
          .scope_count = 1,
          .run = 4711,
          .node = bytes_text(name)});
}

static inline void be_station(struct pipe *p) {
  greet_as(p, "p/s");
  say_on(p, CONN_STRANGER, &(struct link_message){.type = LINK_HELD_END, .session = 99});
  say_on(p, CONN_STRANGER + CHANNEL_TELEMETRY, &(struct link_message){.type = LINK_ATTACH, .session = 99});
  assert_true(status_of(p, BROKER).up);
}

static inline void say_urgent(struct pipe *p, uint64_t number) {
  struct blob *blob = draft(p, "p/s!urgent", "p/s/g/level", 5, 4711);
  block_number(blob, (struct epoch){1, 1}, number);
  say_on(p, CONN_STRANGER + CHANNEL_URGENT,
      &(struct link_message){.type = LINK_BLOCK,
          .session = 99,
          .number = number,
          .lane = LANE_URGENT,
          .from = number,
          .to = number,
          .body = blob_bytes(blob)});
  blob_unref(blob);
}

static inline void say_block(struct pipe *p, uint64_t number, const char *stream, const char *address) {
  struct blob *blob = draft(p, stream, address, 5, 4711);
  block_number(blob, (struct epoch){1, 1}, number);
  say_on(p, CONN_STRANGER + CHANNEL_TELEMETRY,
      &(struct link_message){.type = LINK_BLOCK,
          .session = 99,
          .number = number,
          .lane = LANE_LIVE,
          .from = number,
          .to = number,
          .body = blob_bytes(blob)});
  blob_unref(blob);
}
#endif
