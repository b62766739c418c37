/* Feeds: several ways to one neighbour, each with rules, claims and a place of its own. */
#include "common/node/parts.h"
#include "tests/unit/node/chain.h"

static bool ends_with(struct bytes address, const char *tail) {
  size_t len = strlen(tail);
  return address.len >= len && memcmp(address.data + address.len - len, tail, len) == 0;
}

/* Feed 0: levels and heads; feed 1: flows. */
static bool keep_split(const struct chain *chain, int at, int to, size_t feed, const struct record *record) {
  (void)chain, (void)at, (void)to;
  if (record->kind == RECORD_HEAD) return feed == 0;
  return ends_with(record->address, feed == 0 ? "/level" : "/flow");
}

static void two_feeds(struct chain *chain, int at, int to) {
  chain->feeds[at][to][1].scope = 900 + (uint64_t)(10 * at + to);
  chain->feed_count[at][to] = 2;
}

static void assert_settled(struct chain *chain, int at, int of, uint64_t scope, int origin) {
  struct intervals claimed = INTERVALS_NULL;
  chain_claimed(chain, at, of, scope, origin, &claimed);
  assert_true(intervals_covers(&claimed, 1, chain_last(chain, origin)));
  intervals_deinit(&claimed);
}

static void measure_both(struct chain *chain, int64_t from, int64_t count) {
  for (int64_t i = from; i < from + count; i++) {
    chain_measure(chain, A, "a/s/g/level", 2 * i);
    chain_measure(chain, A, "a/s/g/flow", 2 * i + 1);
    chain_measure(chain, A, "a/s/g/secret", -i);
  }
}

static void assert_both(struct chain *chain, int at, int64_t from, int64_t count) {
  for (int64_t i = from; i < from + count; i++) {
    assert_int_equal(chain_times(chain, at, 2 * i), 1);
    assert_int_equal(chain_times(chain, at, 2 * i + 1), 1);
    assert_int_equal(chain_times(chain, at, -i), 0);
  }
}

static void each_feed_carries_its_own(void **state) {
  struct chain *chain = *state;
  chain->keep = keep_split;
  two_feeds(chain, A, B);
  chain_start(chain);
  measure_both(chain, 1, 5);
  chain_join(chain, A, B);
  measure_both(chain, 6, 5);
  chain_pass(chain, 4 * SECOND_US);
  assert_both(chain, B, 1, 10);
  assert_settled(chain, B, A, 101, A);
  assert_settled(chain, B, A, 901, A);
  assert_int_equal(chain_status(chain, B, A).refused_blocks, 0);
  assert_int_equal(chain_status(chain, B, A).duplicates, 0);
}

/* What a feed has passed in one session it does not pass in the next. */
static void each_feed_resumes_by_its_own_claims(void **state) {
  struct chain *chain = *state;
  chain->keep = keep_split;
  two_feeds(chain, A, B);
  chain_start(chain);
  chain_join(chain, A, B);
  measure_both(chain, 1, 5);
  chain_pass(chain, 4 * SECOND_US);
  chain_cut(chain, A, B);
  measure_both(chain, 6, 2);
  chain_pass(chain, 4 * SECOND_US);
  size_t before = chain->count;
  chain_join(chain, A, B);
  chain_pass(chain, 4 * SECOND_US);
  assert_both(chain, B, 1, 7);
  assert_int_equal(chain_sent(chain, before, A, LINK_HELD), 2 * 2);   /* two streams, two feeds */
  assert_true(chain_sent(chain, before, B, LINK_BLOCK) <= 2 * 2 + 4); /* what was measured since, and heads */
  assert_int_equal(chain_status(chain, B, A).duplicates, 0);
}

/* What one feed has none of, another may still bring. */
static void a_range_is_settled_when_all_feeds_claimed_it(void **state) {
  struct chain *chain = *state;
  chain->keep = keep_split;
  two_feeds(chain, A, B);
  chain_start(chain);
  chain_join(chain, A, B);
  chain_measure(chain, A, "a/s/g/secret", 1);
  chain_pass(chain, 4 * SECOND_US);
  struct node_peer *from_b = chain->provinces[B].peers[C];
  struct store_stream held;
  assert_true(store_stream_get(chain->provinces[B].store, bytes_text("a"), &held));
  struct out_stream *stream = out_stream_of(from_b, 0, held.stream, held.epoch);
  assert_true(missed_hole(from_b, stream) > chain_last(chain, A));
  chain->provinces[B].peers[A]->scopes[1] = 4711; /* a feed that claimed nothing yet */
  uint64_t hole = missed_hole(from_b, stream);
  assert_true(hole <= chain_last(chain, A));
}

/* A scope that the greeting did not name is not taken, nor is one that only another peer named. */
static void what_comes_under_unknown_rules_is_refused(void **state) {
  struct chain *chain = *state;
  chain_start(chain);
  chain_join(chain, A, B);
  chain->provinces[A].peers[B]->feeds[0].scope = 4711;
  chain_measure(chain, A, "a/s/g/level", 1);
  chain_pass(chain, 2 * SECOND_US);
  assert_int_equal(chain_times(chain, B, 1), 1); /* the stream was known: under the old scope */
  chain_measure(chain, A, "a/s/g/level", 2);
  struct out_stream *stream = chain->provinces[A].peers[B]->streams[0];
  assert_int_equal(stream->scope, 101);
  for (size_t i = 0; i < chain->provinces[A].peers[B]->stream_count; i++)
    chain->provinces[A].peers[B]->streams[i]->scope = 4711;
  chain_measure(chain, A, "a/s/g/level", 3);
  chain_pass(chain, 2 * SECOND_US);
  assert_int_equal(chain_times(chain, B, 2), 1);
  assert_int_equal(chain_times(chain, B, 3), 0);
  assert_true(chain_status(chain, B, A).refused_blocks > 0);
}

int main(void) {
  log_set_level(LOG_LEVEL_ERROR);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(each_feed_carries_its_own, chain_setup, chain_teardown),
      cmocka_unit_test_setup_teardown(each_feed_resumes_by_its_own_claims, chain_setup, chain_teardown),
      cmocka_unit_test_setup_teardown(a_range_is_settled_when_all_feeds_claimed_it, chain_setup, chain_teardown),
      cmocka_unit_test_setup_teardown(what_comes_under_unknown_rules_is_refused, chain_setup, chain_teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
