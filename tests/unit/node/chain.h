#ifndef RIVERBUS_TESTS_UNIT_NODE_CHAIN_H
#define RIVERBUS_TESTS_UNIT_NODE_CHAIN_H
/*
 * Provinces a, b and c, neighbours of each other, each with a memory store; the links stand where a test joins them,
 * and lose nothing. What a province gives to another by a feed is decided by `keep`, record by record.
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

enum { A = 0, B = 1, C = 2, PROVINCES = 3 };

struct parcel {
  uint64_t conn; /* the end at which it arrives */
  struct link_message m;
  struct buffer frame;
};
struct chain;
struct seat { /* what a hook knows */
  struct chain *chain;
  int at;
};
struct province {
  struct seat seat;
  struct memory_disk *disk;
  struct store *store;
  struct node *node;
  struct node_peer *peers[PROVINCES];
  size_t sessions; /* that came up here */
};
struct chain {
  struct province provinces[PROVINCES];
  struct world world;
  int64_t now;
  uint64_t random;
  struct parcel *parcels; /* all that was ever sent, in order */
  size_t count, cap, next;
  struct node_feed feeds[PROVINCES][PROVINCES][NODE_FEEDS_MAX];
  size_t feed_count[PROVINCES][PROVINCES];
  bool (*keep)(const struct chain *chain, int at, int to, size_t feed, const struct record *record);
  bool (*shares)(const struct chain *chain, int at, int to, size_t feed, struct bytes stream); /* NULL: all */
  bool (*names)(const struct chain *chain, int at, int to); /* third provinces' streams; NULL: all */
  bool joined[PROVINCES][PROVINCES];
  int phase; /* for `keep` */
};

static inline const char *province_name(int n) { return n == A ? "a" : n == B ? "b" : "c"; }
static inline const char *province_principal(int n) { return n == A ? "peer a" : n == B ? "peer b" : "peer c"; }
static inline int province_of(const struct node_peer *peer) { return node_peer_node(peer)[0] - 'a'; }

/* The end at `at` of the connection to `to`. */
static inline uint64_t chain_conn(int at, int to, int channel) {
  return (uint64_t)(1000 + at * 100 + to * 10 + channel);
}

/* ---- the world and the hooks ---- */

static inline struct instant chain_now(void *ctx) {
  const struct chain *chain = ctx;
  return (struct instant){INT64_C(1790000000000000) + chain->now, chain->now};
}

static inline void chain_random(void *ctx, void *out, size_t len) {
  struct chain *chain = ctx;
  uint8_t *bytes = out;
  for (size_t i = 0; i < len; i++)
    bytes[i] = (uint8_t)((chain->random = chain->random * 6364136223846793005u + 1442695040888963407u) >> 56);
}

static inline bool chain_on_send(void *ctx, uint64_t conn, struct bytes message) {
  struct chain *chain = ((struct seat *)ctx)->chain;
  int at = (int)(conn / 100 % 10), to = (int)(conn / 10 % 10);
  if (chain->count == chain->cap) {
    chain->cap = chain->cap ? chain->cap * 2 : 64;
    chain->parcels = mem_resize(chain->parcels, chain->cap, sizeof *chain->parcels);
  }
  struct parcel *parcel = &chain->parcels[chain->count++];
  *parcel = (struct parcel){.conn = chain_conn(to, at, (int)(conn % 10))};
  buffer_append(&parcel->frame, message);
  assert_int_equal(link_message_read(&parcel->m, buffer_bytes(&parcel->frame)), 0);
  return true;
}

static inline void chain_on_close(void *ctx, uint64_t conn) { (void)ctx, (void)conn; }

static inline void chain_on_session(void *ctx, struct node_peer *peer, bool up) {
  struct seat *seat = ctx;
  (void)peer;
  seat->chain->provinces[seat->at].sessions += up;
}

static inline bool chain_on_share_stream(void *ctx, struct node_peer *peer, size_t feed, struct bytes stream) {
  const struct seat *seat = ctx;
  return !seat->chain->shares || seat->chain->shares(seat->chain, seat->at, province_of(peer), feed, stream);
}

static inline bool chain_on_names_stream(void *ctx, struct node_peer *peer, struct bytes stream) {
  const struct seat *seat = ctx;
  bool own = bytes_equal(stream, bytes_text(province_name(seat->at)));
  return own || !seat->chain->names || seat->chain->names(seat->chain, seat->at, province_of(peer));
}

struct chain_filter {
  const struct chain *chain;
  int at, to;
  size_t feed;
};
static inline bool chain_keeps(void *ctx, const struct record *record) {
  const struct chain_filter *filter = ctx;
  return !filter->chain->keep || filter->chain->keep(filter->chain, filter->at, filter->to, filter->feed, record);
}

static inline struct blob *chain_on_share(void *ctx, struct node_peer *peer, size_t feed, struct blob *from,
    const struct block *block, enum lane lane, uint64_t position) {
  const struct seat *seat = ctx;
  struct chain_filter filter = {seat->chain, seat->at, province_of(peer), feed};
  struct blob *out = NULL;
  (void)lane;
  assert_true(position > 0);
  return block_filter(&out, from, block, chain_keeps, &filter) == 0 ? out : NULL;
}

/* ---- life ---- */

static inline void province_start(struct chain *chain, int n) {
  struct province *province = &chain->provinces[n];
  struct store_options store = {.path = "", .max_size = 1 << 28, .world = &chain->world};
  province->seat = (struct seat){chain, n};
  assert_int_equal(store_open_memory(&province->store, &store, province->disk), 0);
  struct node_options options = {.name = province_name(n),
      .world = &chain->world,
      .store = province->store,
      .hooks = {.ctx = &province->seat,
          .send = chain_on_send,
          .close = chain_on_close,
          .session = chain_on_session,
          .share = chain_on_share,
          .share_stream = chain_on_share_stream,
          .names_stream = chain_on_names_stream}};
  province->node = node_new(&options);
  for (int to = 0; to < PROVINCES; to++) {
    if (to == n) continue;
    struct node_peer_config config = {.principal = province_principal(to),
        .node = province_name(to),
        .role = NODE_PEER_NEIGHBOUR,
        .connects = n < to,
        .feeds = chain->feeds[n][to],
        .feed_count = chain->feed_count[n][to]};
    province->peers[to] = node_peer_add(province->node, &config);
  }
}

static inline void province_stop(struct chain *chain, int n) {
  node_free(chain->provinces[n].node);
  store_close(chain->provinces[n].store);
}

/* One feed for everything between any two. The test may set others, then starts. */
static inline int chain_setup(void **state) {
  struct chain *chain = mem_alloc(sizeof *chain);
  chain->now = SECOND_US;
  chain->world = (struct world){.ctx = chain, .now = chain_now, .random = chain_random};
  for (int n = 0; n < PROVINCES; n++) {
    chain->provinces[n].disk = memory_disk_new();
    for (int to = 0; to < PROVINCES; to++) {
      chain->feeds[n][to][0].scope = (uint64_t)(100 + 10 * n + to);
      chain->feed_count[n][to] = 1;
    }
  }
  *state = chain;
  return 0;
}

static inline void chain_start(struct chain *chain) {
  for (int n = 0; n < PROVINCES; n++) province_start(chain, n);
}

static inline int chain_teardown(void **state) {
  struct chain *chain = *state;
  for (int n = 0; n < PROVINCES; n++) {
    province_stop(chain, n);
    memory_disk_free(chain->provinces[n].disk);
  }
  for (size_t i = 0; i < chain->count; i++) buffer_deinit(&chain->parcels[i].frame);
  free(chain->parcels);
  free(chain);
  return 0;
}

/* ---- time and messages ---- */

static inline void chain_tick(struct chain *chain) {
  for (int n = 0; n < PROVINCES; n++) node_tick(chain->provinces[n].node);
}

static inline void chain_deliver(struct chain *chain) {
  for (chain_tick(chain); chain->next < chain->count; chain_tick(chain)) {
    const struct parcel *parcel = &chain->parcels[chain->next++];
    int at = (int)(parcel->conn / 100 % 10), from = (int)(parcel->conn / 10 % 10);
    if (!chain->joined[at][from]) continue;
    /* the parcels move as answers are sent */
    struct bytes frame = bytes_of(mem_copy(parcel->frame.data, parcel->frame.len), parcel->frame.len);
    node_receive(
        chain->provinces[at].node, province_principal(from), parcel->conn, (enum channel)(parcel->conn % 10), frame);
    free((void *)(uintptr_t)frame.data);
  }
}

/* All stores commit and read, all is delivered, time passes. */
static inline void chain_pass(struct chain *chain, int64_t us) {
  for (int64_t end = chain->now + us; chain->now < end;) {
    for (int n = 0; n < PROVINCES; n++) {
      store_memory_run(chain->provinces[n].store, 1000);
      chain_deliver(chain);
    }
    chain->now += 100 * MILLISECOND_US;
  }
}

static inline void chain_join(struct chain *chain, int one, int other) {
  int first = one < other ? one : other, second = one < other ? other : one;
  chain->joined[first][second] = chain->joined[second][first] = true;
  node_opened(chain->provinces[first].node, chain->provinces[first].peers[second], chain_conn(first, second, 0),
      chain_conn(first, second, 1));
  chain_pass(chain, SECOND_US);
}

static inline void chain_cut(struct chain *chain, int one, int other) {
  chain->joined[one][other] = chain->joined[other][one] = false;
  for (int channel = 0; channel < CHANNELS; channel++) {
    node_closed(chain->provinces[one].node, chain_conn(one, other, channel));
    node_closed(chain->provinces[other].node, chain_conn(other, one, channel));
  }
}

/* One feed from `at` to `to` under a new scope. */
static inline void chain_rules(struct chain *chain, int at, int to, uint64_t scope, uint64_t inherits) {
  chain->feeds[at][to][0] = (struct node_feed){.scope = scope, .inherits = inherits};
  node_peer_rules(
      chain->provinces[at].node, chain->provinces[at].peers[to], chain->feeds[at][to], chain->feed_count[at][to]);
}

/* The process ends and begins again; its links are cut. */
static inline void chain_restart(struct chain *chain, int n) {
  for (int to = 0; to < PROVINCES; to++)
    if (chain->joined[n][to]) chain_cut(chain, n, to);
  province_stop(chain, n);
  province_start(chain, n);
}

/* ---- records ---- */

static inline void chain_measure(struct chain *chain, int n, const char *address, int64_t value) {
  struct node *node = chain->provinces[n].node;
  struct store_batch *batch = store_batch_new();
  struct bytes stream = bytes_text(province_name(n));
  store_batch_own(batch, LANE_LIVE, stream, reading_draft(stream, address, node_received(node), value, node_run(node)));
  assert_int_equal(node_submit(node, batch, NULL), 0);
  store_memory_run(chain->provinces[n].store, 1000);
  chain_deliver(chain);
}

static inline size_t chain_times(struct chain *chain, int n, int64_t value) {
  return found_in(chain->provinces[n].store, value).times;
}

static inline struct node_peer_status chain_status(struct chain *chain, int at, int of) {
  struct node_peer_status status;
  node_peer_status(chain->provinces[at].node, chain->provinces[at].peers[of], &status);
  return status;
}

/* What `at` was told to be all, by `of` under the scope, of the stream that `origin` has in its own name. */
static inline void chain_claimed(
    struct chain *chain, int at, int of, uint64_t scope, int origin, struct intervals *out) {
  struct bytes stream = bytes_text(province_name(origin));
  struct store_stream held;
  if (store_stream_get(chain->provinces[origin].store, stream, &held))
    store_claimed(chain->provinces[at].store, stream, held.epoch, bytes_text(province_principal(of)), scope, out);
}

static inline uint64_t chain_last(struct chain *chain, int origin) {
  struct store_stream held;
  return store_stream_get(chain->provinces[origin].store, bytes_text(province_name(origin)), &held) ? held.last : 0;
}

static inline size_t chain_sent(const struct chain *chain, size_t from, int at, uint8_t type) {
  size_t count = 0;
  for (size_t i = from; i < chain->count; i++)
    count += chain->parcels[i].conn / 100 % 10 == (uint64_t)at && chain->parcels[i].m.type == type;
  return count;
}
#endif
