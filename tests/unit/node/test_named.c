/* Of a stream of which a neighbour may have no record it is told nothing: neither the records nor that there are any.
 */
#include "common/node/parts.h"
#include "tests/unit/node/chain.h"

static bool only_when_granted(const struct chain *chain, int at, int to, size_t feed, const struct record *record) {
  (void)feed, (void)record;
  return at != B || to != C || chain->phase > 0;
}
static bool names_nothing(const struct chain *chain, int at, int to) { return at != B || to != C || chain->phase > 1; }

/* Messages to `at` that name a's stream, in whatever number. */
static size_t named(const struct chain *chain, int at, int from) {
  size_t count = 0;
  for (size_t i = 0; i < chain->count; i++) {
    const struct parcel *parcel = &chain->parcels[i];
    struct bytes stream = parcel->m.stream, name = bytes_text(province_name(A));
    if (parcel->conn / 100 % 10 != (uint64_t)at || parcel->conn / 10 % 10 != (uint64_t)from) continue;
    bool block = parcel->m.type == LINK_BLOCK && memmem(parcel->m.body.data, parcel->m.body.len, "a/s/g", 5) != NULL;
    count += block || (stream.len >= name.len && memcmp(stream.data, name.data, name.len) == 0);
  }
  return count;
}

static void begin(struct chain *chain) {
  chain->keep = only_when_granted;
  chain->names = names_nothing;
  chain_start(chain);
  chain_join(chain, A, B);
  for (int64_t i = 1; i <= 10; i++) chain_measure(chain, A, "a/s/g/level", i); /* read back when c joins */
  chain_join(chain, B, C);
  for (int64_t i = 11; i <= 20; i++) chain_measure(chain, A, "a/s/g/level", i);
  chain_pass(chain, 5 * SECOND_US);
}

static bool all_is_told(struct chain *chain, uint64_t scope) {
  struct intervals claimed = INTERVALS_NULL;
  chain_claimed(chain, C, B, scope, A, &claimed);
  bool all = intervals_covers(&claimed, 1, chain_last(chain, A));
  intervals_deinit(&claimed);
  return all;
}

static void nothing_names_what_is_not_granted(void **state) {
  struct chain *chain = *state;
  begin(chain);
  assert_int_equal(chain_times(chain, B, 20), 1);
  assert_int_equal(named(chain, C, B), 0);
  /* nor what is gone of it */
  struct store_stream held;
  assert_true(store_stream_get(chain->provinces[B].store, bytes_text("a"), &held));
  struct store_discard gone = {bytes_text("a"), held.epoch, 5, 6, bytes_text("a"), bytes_text("keep"), chain->now};
  node_name_gone(chain->provinces[B].node, &gone, 1);
  chain_pass(chain, 3 * SECOND_US);
  assert_int_equal(named(chain, C, B), 0);
}

static void the_first_record_tells_of_what_was_withheld(void **state) {
  struct chain *chain = *state;
  begin(chain);
  chain->phase = 1;
  chain_measure(chain, A, "a/s/g/level", 21);
  chain_pass(chain, 5 * SECOND_US);
  assert_int_equal(chain_times(chain, C, 21), 1);
  assert_true(all_is_told(chain, 112));
  assert_int_equal(chain_status(chain, C, B).duplicates, 0);
}

/* The newest of the stream may be known, though it came from the peer itself or is there already. */
static void a_grant_tells_of_what_was_withheld(void **state) {
  struct chain *chain = *state;
  begin(chain);
  chain->names = NULL;
  chain->keep = NULL;
  chain_cut(chain, B, C);
  chain_join(chain, B, C);
  chain_pass(chain, 3 * SECOND_US);
  assert_true(all_is_told(chain, 112));
  assert_int_equal(chain_times(chain, C, 1), 1);
}

static void want(struct chain *chain, uint64_t from, uint64_t to) {
  struct intervals ranges = INTERVALS_NULL;
  struct store_stream held;
  assert_true(store_stream_get(chain->provinces[A].store, bytes_text("a"), &held));
  intervals_add(&ranges, from, to);
  assert_true(node_want(chain->provinces[C].node, chain->provinces[C].peers[B], bytes_text("a"), held.epoch, &ranges));
  intervals_deinit(&ranges);
  chain_pass(chain, 4 * SECOND_US);
}

/* c knows the stream by another way, and asks for it by name. */
static void who_asks_by_name_is_answered_for_that_alone(void **state) {
  struct chain *chain = *state;
  struct intervals settled = INTERVALS_NULL;
  begin(chain);
  chain_join(chain, A, C);
  want(chain, 3, 4);
  chain_claimed(chain, C, B, link_settled_scope(112), A, &settled);
  assert_true(intervals_covers(&settled, 3, 4));
  assert_int_equal(intervals_size(&settled), 2);
  assert_false(all_is_told(chain, 112));
  intervals_deinit(&settled);
}

/* b has nothing of it, and nobody from whom it could come but c itself. */
static bool c_alone(const struct chain *chain, int at, int to, size_t feed, struct bytes stream) {
  (void)chain, (void)feed, (void)stream;
  return at == A ? to == C : at == B;
}
static void who_has_nothing_of_it_says_so(void **state) {
  struct chain *chain = *state;
  struct intervals settled = INTERVALS_NULL;
  chain->names = names_nothing;
  chain->shares = c_alone;
  chain_start(chain);
  chain_join(chain, A, C);
  chain_join(chain, B, C);
  for (int64_t i = 1; i <= 10; i++) chain_measure(chain, A, "a/s/g/level", i);
  chain_pass(chain, 3 * SECOND_US);
  want(chain, 3, 4);
  chain_claimed(chain, C, B, link_settled_scope(112), A, &settled);
  assert_int_equal(intervals_size(&settled), 0); /* a may give it to b, as far as b knows */
  node_peer_remove(chain->provinces[B].node, chain->provinces[B].peers[A]);
  want(chain, 5, 6);
  chain_claimed(chain, C, B, link_settled_scope(112), A, &settled);
  assert_true(intervals_covers(&settled, 5, 6));
  assert_false(intervals_contains(&settled, 7));
  intervals_deinit(&settled);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(nothing_names_what_is_not_granted, chain_setup, chain_teardown),
      cmocka_unit_test_setup_teardown(the_first_record_tells_of_what_was_withheld, chain_setup, chain_teardown),
      cmocka_unit_test_setup_teardown(a_grant_tells_of_what_was_withheld, chain_setup, chain_teardown),
      cmocka_unit_test_setup_teardown(who_asks_by_name_is_answered_for_that_alone, chain_setup, chain_teardown),
      cmocka_unit_test_setup_teardown(who_has_nothing_of_it_says_so, chain_setup, chain_teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
