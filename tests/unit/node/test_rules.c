/* Rules that change while a session lasts, or while none does; and what is asked for by name. */
#include "common/node/parts.h"
#include "tests/unit/node/chain.h"

static bool is_of(const struct record *record, const char *tail) {
  size_t len = strlen(tail);
  return record->address.len >= len && memcmp(record->address.data + record->address.len - len, tail, len) == 0;
}

/* Feed 0: levels and heads, in phase 1 flows too, in phase 2 flows alone; feed 1: always what is called other. */
static bool keep_by_phase(const struct chain *chain, int at, int to, size_t feed, const struct record *record) {
  (void)at, (void)to;
  if (feed == 1) return is_of(record, "/other");
  if (record->kind == RECORD_HEAD) return true;
  return (chain->phase < 2 && is_of(record, "/level")) || (chain->phase > 0 && is_of(record, "/flow"));
}

static bool keep_other(const struct chain *chain, int at, int to, size_t feed, const struct record *record) {
  (void)chain, (void)at, (void)to, (void)feed;
  return is_of(record, "/other");
}

static void measure_all(struct chain *chain, int64_t from, int64_t count) {
  for (int64_t i = from; i < from + count; i++) {
    chain_measure(chain, A, "a/s/g/level", 10 * i);
    chain_measure(chain, A, "a/s/g/flow", 10 * i + 1);
    chain_measure(chain, A, "a/s/g/other", 10 * i + 2);
  }
}

/* B holds of each of these exactly what it is to have. */
static void assert_holds(struct chain *chain, int64_t from, int64_t count, bool level, bool flow, bool other) {
  for (int64_t i = from; i < from + count; i++) {
    assert_int_equal(chain_times(chain, B, 10 * i), level);
    assert_int_equal(chain_times(chain, B, 10 * i + 1), flow);
    assert_int_equal(chain_times(chain, B, 10 * i + 2), other);
  }
}

static void assert_settled(struct chain *chain, uint64_t scope) {
  struct intervals claimed = INTERVALS_NULL;
  chain_claimed(chain, B, A, scope, A, &claimed);
  assert_true(intervals_covers(&claimed, 1, chain_last(chain, A)));
  intervals_deinit(&claimed);
}

static void start(struct chain *chain) {
  chain->keep = keep_by_phase;
  chain_start(chain);
  chain_join(chain, A, B);
  measure_all(chain, 1, 5);
  chain_pass(chain, 3 * SECOND_US);
  assert_holds(chain, 1, 5, true, false, false);
}

static void assert_one_session(struct chain *chain) {
  assert_int_equal(chain->provinces[A].sessions, 1);
  assert_int_equal(chain->provinces[B].sessions, 1);
  assert_int_equal(chain_status(chain, A, B).refused_blocks, 0);
  assert_int_equal(chain_status(chain, B, A).refused_blocks, 0);
}

/* What was claimed before counts: nothing of it goes again, and in the wider rule only what came since. */
static void wider_rules_go_on_in_the_same_session(void **state) {
  struct chain *chain = *state;
  start(chain);
  chain->phase = 1;
  size_t before = chain->count;
  chain_rules(chain, A, B, 111, 101);
  measure_all(chain, 6, 3);
  chain_pass(chain, 4 * SECOND_US);
  assert_holds(chain, 1, 5, true, false, false);
  assert_holds(chain, 6, 3, true, true, false);
  assert_settled(chain, 111);
  assert_int_equal(chain_sent(chain, before, B, LINK_RULES), 1);
  assert_int_equal(chain_status(chain, B, A).duplicates, 0);
  assert_one_session(chain);
}

/* With `since` the past is offered too: what was filtered comes now, what is held is not stored twice. */
static void rules_that_inherit_nothing_are_applied_to_the_past(void **state) {
  struct chain *chain = *state;
  start(chain);
  chain->phase = 1;
  chain_rules(chain, A, B, 111, 0);
  chain_pass(chain, 4 * SECOND_US);
  assert_holds(chain, 1, 5, true, true, false);
  assert_settled(chain, 111);
  assert_one_session(chain);
}

/* At once: neither what is queued nor what comes later goes out under the old rules. */
static void narrower_rules_stop_what_is_queued(void **state) {
  struct chain *chain = *state;
  start(chain);
  store_memory_faults(chain->provinces[B].store, &(struct memory_faults){.full = true});
  measure_all(chain, 6, 3);
  chain_pass(chain, 2 * SECOND_US); /* refused for now: all of it is missed again */
  chain->phase = 2;
  chain_rules(chain, A, B, 111, 101);
  store_memory_faults(chain->provinces[B].store, &(struct memory_faults){.full = false});
  chain_pass(chain, 20 * SECOND_US);
  measure_all(chain, 9, 1);
  chain_pass(chain, 4 * SECOND_US);
  assert_holds(chain, 6, 4, false, true, false);
  assert_settled(chain, 111);
  assert_one_session(chain);
}

static void the_other_feed_is_not_touched(void **state) {
  struct chain *chain = *state;
  chain->feeds[A][B][1].scope = 901;
  chain->feed_count[A][B] = 2;
  chain->keep = keep_by_phase;
  chain_start(chain);
  chain_join(chain, A, B);
  measure_all(chain, 1, 5);
  chain_pass(chain, 3 * SECOND_US);
  chain->phase = 1;
  size_t before = chain->count;
  chain_rules(chain, A, B, 111, 101);
  measure_all(chain, 6, 3);
  chain_pass(chain, 4 * SECOND_US);
  assert_holds(chain, 6, 3, true, true, true);
  for (size_t i = before; i < chain->count; i++)
    assert_false(chain->parcels[i].m.type == LINK_HELD && chain->parcels[i].m.scope == 901);
  assert_settled(chain, 901);
  assert_one_session(chain);
}

/* Places change: the first feed goes, the second becomes the first. */
static void feeds_move_and_go(void **state) {
  struct chain *chain = *state;
  chain->feeds[A][B][1].scope = 901;
  chain->feed_count[A][B] = 2;
  chain->keep = keep_by_phase;
  chain_start(chain);
  chain_join(chain, A, B);
  measure_all(chain, 1, 5);
  chain_pass(chain, 3 * SECOND_US);
  chain->keep = keep_other;
  chain->feed_count[A][B] = 1;
  chain_rules(chain, A, B, 901, 0);
  measure_all(chain, 6, 3);
  chain_pass(chain, 4 * SECOND_US);
  assert_holds(chain, 1, 5, true, false, true);
  assert_holds(chain, 6, 3, false, false, true);
  assert_settled(chain, 901);
  assert_int_equal(chain_status(chain, B, A).duplicates, 0);
  assert_one_session(chain);
}

/* The second change comes before the first was answered. */
static void rules_change_twice_at_once(void **state) {
  struct chain *chain = *state;
  start(chain);
  chain->phase = 1;
  chain_rules(chain, A, B, 111, 101);
  chain_tick(chain);
  node_tick(chain->provinces[A].node);
  chain->now += 100 * MILLISECOND_US;
  node_tick(chain->provinces[A].node); /* told, on its way */
  assert_int_equal(chain->provinces[A].peers[B]->rules, RULES_ASKED);
  chain->phase = 2;
  chain_rules(chain, A, B, 121, 111);
  assert_int_equal(chain->provinces[A].peers[B]->rules, RULES_STALE);
  measure_all(chain, 6, 3);
  chain_pass(chain, 6 * SECOND_US);
  assert_holds(chain, 1, 5, true, false, false);
  assert_holds(chain, 6, 3, false, true, false);
  assert_settled(chain, 121);
  assert_int_equal(chain_status(chain, B, A).duplicates, 0);
  assert_one_session(chain);
}

/* The peer never heard of the rules in between. */
static void rules_change_twice_while_no_session_stands(void **state) {
  struct chain *chain = *state;
  start(chain);
  chain_cut(chain, A, B);
  chain_rules(chain, A, B, 111, 101);
  chain->phase = 1;
  chain_rules(chain, A, B, 121, 111);
  measure_all(chain, 6, 3);
  size_t before = chain->count;
  chain_join(chain, A, B);
  chain_pass(chain, 4 * SECOND_US);
  assert_holds(chain, 1, 5, true, false, false);
  assert_holds(chain, 6, 3, true, true, false);
  assert_settled(chain, 121);
  assert_int_equal(chain_status(chain, B, A).duplicates, 0);
  assert_true(chain_sent(chain, before, B, LINK_BLOCK) <= 3 * 3 + 4);
}

static void rules_by_hand(struct chain *chain) {
  struct buffer frame = BUFFER_NULL;
  link_message_write(&frame, &(struct link_message){.type = LINK_RULES,
                                 .session = chain->provinces[B].peers[A]->session,
                                 .scope_count = 1,
                                 .scopes = {101},
                                 .asked = 1});
  node_receive(
      chain->provinces[B].node, "peer a", chain_conn(B, A, CHANNEL_URGENT), CHANNEL_URGENT, buffer_bytes(&frame));
  buffer_deinit(&frame);
}

static void who_changes_rules_without_end_is_cut(void **state) {
  struct chain *chain = *state;
  start(chain);
  for (int i = 0; i < 5; i++) rules_by_hand(chain);
  assert_true(chain_status(chain, B, A).up);
  rules_by_hand(chain);
  assert_false(chain_status(chain, B, A).up);
}

/* Of an old copy of the store it is seen that the neighbour holds another past, though nothing is shared with it now:
 * shared again later, other records would come under numbers that it has. */
static bool shares_nothing(const struct chain *chain, int at, int to, size_t feed, struct bytes stream) {
  (void)chain, (void)to, (void)feed, (void)stream;
  return at != A;
}

static void an_old_copy_is_seen_where_nothing_is_shared_any_more(void **state) {
  struct chain *chain = *state;
  struct store_stream before, after;
  start(chain);
  struct memory_disk *copy = memory_disk_copy(chain->provinces[A].disk);
  measure_all(chain, 6, 2);
  chain_pass(chain, 3 * SECOND_US);
  assert_true(store_stream_get(chain->provinces[A].store, bytes_text("a"), &before));
  struct epoch epoch = before.epoch;
  chain_cut(chain, A, B);
  province_stop(chain, A);
  memory_disk_free(chain->provinces[A].disk);
  chain->provinces[A].disk = copy;
  province_start(chain, A);
  measure_all(chain, 8, 3);
  chain->shares = shares_nothing;
  chain_join(chain, A, B);
  chain_pass(chain, 3 * SECOND_US);
  assert_true(store_stream_get(chain->provinces[A].store, bytes_text("a"), &after));
  assert_true(epoch_compare(after.epoch, epoch) > 0);
}

/* ---- what is asked for by name ---- */

static void lose_store(struct chain *chain, int n) {
  for (int to = 0; to < PROVINCES; to++)
    if (chain->joined[n][to]) chain_cut(chain, n, to);
  province_stop(chain, n);
  memory_disk_free(chain->provinces[n].disk);
  chain->provinces[n].disk = memory_disk_new();
  province_start(chain, n);
}

/* b passed it on to c, and lost its store. c does not send back what was at b already, unless b asks. */
static void what_is_wanted_comes_whatever_its_path(void **state) {
  struct chain *chain = *state;
  chain_start(chain);
  chain_join(chain, A, B);
  chain_join(chain, B, C);
  measure_all(chain, 1, 3);
  chain_pass(chain, 3 * SECOND_US);
  assert_int_equal(chain_times(chain, C, 10), 1);
  lose_store(chain, B);
  chain_join(chain, B, C);
  chain_pass(chain, 4 * SECOND_US);
  assert_int_equal(chain_times(chain, B, 10), 0);
  struct store_stream held;
  struct intervals wanted = INTERVALS_NULL;
  assert_true(store_stream_get(chain->provinces[C].store, bytes_text("a"), &held));
  intervals_add(&wanted, 1, held.last + 1000);
  size_t before = chain->count;
  assert_true(node_want(chain->provinces[B].node, chain->provinces[B].peers[C], held.stream, held.epoch, &wanted));
  chain_pass(chain, 4 * SECOND_US);
  for (int64_t i = 1; i <= 3; i++) assert_int_equal(chain_times(chain, B, 10 * i), 1);
  assert_int_equal(chain_status(chain, B, C).refused_blocks, 0);
  assert_int_equal(chain_sent(chain, before, B, LINK_DISCARD), 0); /* of what c has not nothing is said */
  intervals_deinit(&wanted);
}

static void what_is_not_for_the_asker_does_not_come(void **state) {
  struct chain *chain = *state;
  start(chain);
  struct store_stream held;
  struct intervals wanted = INTERVALS_NULL;
  assert_true(store_stream_get(chain->provinces[A].store, bytes_text("a"), &held));
  intervals_add(&wanted, 1, UINT64_MAX);
  assert_true(node_want(chain->provinces[B].node, chain->provinces[B].peers[A], held.stream, held.epoch, &wanted));
  chain_pass(chain, 4 * SECOND_US);
  assert_holds(chain, 1, 5, true, false, false);
  chain_cut(chain, A, B);
  assert_false(node_want(chain->provinces[B].node, chain->provinces[B].peers[A], held.stream, held.epoch, &wanted));
  intervals_deinit(&wanted);
}

int main(void) {
  log_set_level(LOG_LEVEL_ERROR);
#define TEST(t) cmocka_unit_test_setup_teardown(t, chain_setup, chain_teardown)
  const struct CMUnitTest tests[] = {
      TEST(wider_rules_go_on_in_the_same_session),
      TEST(rules_that_inherit_nothing_are_applied_to_the_past),
      TEST(narrower_rules_stop_what_is_queued),
      TEST(the_other_feed_is_not_touched),
      TEST(feeds_move_and_go),
      TEST(rules_change_twice_at_once),
      TEST(rules_change_twice_while_no_session_stands),
      TEST(who_changes_rules_without_end_is_cut),
      TEST(an_old_copy_is_seen_where_nothing_is_shared_any_more),
      TEST(what_is_wanted_comes_whatever_its_path),
      TEST(what_is_not_for_the_asker_does_not_come),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
