/* A thinned feed behind a hole: what may not be the first of its bucket waits until the hole is filled, or named. */
#include "common/node/parts.h"
#include "tests/unit/node/pair.h"

enum { CONN_Q = 40 };
#define EVERY (2 * SECOND_US) /* the readings of `begin` are 0.4 s apart, the first 1 s after a bucket began */

static void commit_all(struct pipe *p) {
  const struct link_message alive = {.type = LINK_PING, .session = 77};
  for (int i = 0; i < 4; i++) {
    put_on(p, "peer q", CONN_Q, &alive);
    commit(p, BROKER);
    pass(p, 100 * MILLISECOND_US);
  }
}

/* The station by hand gives its readings in any order. */
static void put(struct pipe *p, uint64_t number, uint64_t sequence, const char *address) {
  struct blob *blob = draft(p, "p/s", address, (int64_t)sequence, 4711);
  block_number(blob, (struct epoch){1, 1}, sequence);
  say_on(p, CONN_STRANGER + CHANNEL_TELEMETRY,
      &(struct link_message){.type = LINK_BLOCK,
          .session = 99,
          .number = number,
          .lane = LANE_BACKFILL,
          .from = sequence,
          .to = sequence,
          .body = blob_bytes(blob)});
  blob_unref(blob);
  commit_all(p);
}

static void be_q(struct pipe *p) {
  struct node_feed feed = {.scope = 5, .every_us = EVERY};
  struct node_peer_config config = {
      .principal = "peer q", .node = "q", .role = NODE_PEER_NEIGHBOUR, .feeds = &feed, .feed_count = 1};
  const struct link_message told[] = {{.type = LINK_HELLO,
                                          .session = 77,
                                          .version_low = LINK_VERSION,
                                          .version_high = LINK_VERSION,
                                          .scope_count = 1,
                                          .run = 4713,
                                          .node = bytes_text("q")},
      {.type = LINK_HELD_END, .session = 77}};
  node_peer_add(p->sides[BROKER].node, &config);
  for (size_t i = 0; i < 2; i++) put_on(p, "peer q", CONN_Q, &told[i]);
  put_on(p, "peer q", CONN_Q + CHANNEL_TELEMETRY, &(struct link_message){.type = LINK_ATTACH, .session = 77});
  deliver(p);
}

/* Whether the record was sent to q. */
static bool q_has(struct pipe *p, uint64_t sequence) {
  for (size_t i = 0; i < p->count; i++) {
    const struct link_message *m = &p->sent[i].m;
    struct block block;
    if (p->sent[i].conn != CONN_Q + CHANNEL_TELEMETRY || m->type != LINK_BLOCK) continue;
    assert_int_equal(block_open(&block, m->body), 0);
    if (bytes_equal(block.stream, bytes_text("p/s")) && block.first <= sequence && block.last >= sequence) return true;
  }
  return false;
}

/* 3 is of the same bucket as what is missing. */
static void begin(struct pipe *p) {
  be_station(p);
  be_q(p);
  put(p, 1, 1, "p/s/g/level");
  put(p, 2, 3, "p/s/g/flow");
  assert_true(q_has(p, 1));
  assert_false(q_has(p, 3));
}

static void what_fills_the_hole_is_the_first(void **state) {
  struct pipe *p = *state;
  begin(p);
  put(p, 3, 2, "p/s/g/flow");
  assert_true(q_has(p, 2));
  assert_false(q_has(p, 3));
}

static void what_fills_the_hole_is_another(void **state) {
  struct pipe *p = *state;
  begin(p);
  put(p, 3, 2, "p/s/g/level");
  assert_false(q_has(p, 2));
  assert_true(q_has(p, 3));
}

/* One may have passed: nothing more of the bucket does. */
static void what_never_comes_may_have_passed(void **state) {
  struct pipe *p = *state;
  begin(p);
  say_on(p, CONN_STRANGER + CHANNEL_TELEMETRY,
      &(struct link_message){.type = LINK_DISCARD,
          .session = 99,
          .number = 3,
          .stream = bytes_text("p/s"),
          .epoch = {1, 1},
          .from = 2,
          .to = 2,
          .by = bytes_text("p/s"),
          .reason = bytes_text("keep")});
  commit_all(p);
  assert_false(q_has(p, 3));
  p->now += SECOND_US;
  put(p, 4, 4, "p/s/g/flow");
  assert_true(q_has(p, 4));
  const struct node_peer *q = node_peer_find(p->sides[BROKER].node, "peer q");
  for (size_t i = 0; i < q->stream_count; i++) assert_int_equal(q->streams[i]->undecided.count, 0);
}

int main(void) {
  log_set_level(LOG_LEVEL_ERROR);
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(what_fills_the_hole_is_the_first),
      TEST(what_fills_the_hole_is_another),
      TEST(what_never_comes_may_have_passed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
