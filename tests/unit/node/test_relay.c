/* a gives b a part of its stream, b gives c all it has: at c each sequence is held, or known not to come. */
#include "common/node/parts.h"
#include "tests/unit/node/chain.h"

static bool is_level(const struct record *record) {
  return record->address.len > 6 && memcmp(record->address.data + record->address.len - 6, "/level", 6) == 0;
}

static bool keep_levels(const struct chain *chain, int at, int to, size_t feed, const struct record *record) {
  (void)to, (void)feed;
  return at != A || chain->phase > 0 || record->kind == RECORD_HEAD || is_level(record);
}

/* Blocks of three, of which one in the middle is not for b. */
static void measure_threes(struct chain *chain, int64_t from, int64_t count) {
  static const char *const addresses[] = {"a/s/g/level", "a/s/g/flow", "a/s/g/level"};
  struct node *node = chain->provinces[A].node;
  for (int64_t i = from; i < from + count; i++) {
    struct block_builder *builder = block_builder_new();
    struct store_batch *batch = store_batch_new();
    for (int k = 0; k < 3; k++) {
      struct record record = {.kind = RECORD_READING,
          .address = bytes_text(addresses[k]),
          .time = node_received(node),
          .received = node_received(node),
          .value = {.type = VALUE_INTEGER, .integer = 10 * i + k}};
      block_builder_add(builder, &record, BLOCK_MAX);
    }
    store_batch_own(batch, LANE_LIVE, bytes_text("a"), block_builder_finish(builder, bytes_text("a"), node_run(node)));
    block_builder_free(builder);
    assert_int_equal(node_submit(node, batch, NULL), 0);
    store_memory_run(chain->provinces[A].store, 1000);
    chain_deliver(chain);
    chain_measure(chain, A, "a/s/g/flow", 10 * i + 3); /* a block of which b gets nothing */
  }
}

static void assert_all_at_c(struct chain *chain, int64_t from, int64_t count, size_t flows) {
  for (int64_t i = from; i < from + count; i++) {
    assert_int_equal(chain_times(chain, C, 10 * i), 1);
    assert_int_equal(chain_times(chain, C, 10 * i + 1), flows);
    assert_int_equal(chain_times(chain, C, 10 * i + 2), 1);
    assert_int_equal(chain_times(chain, C, 10 * i + 3), flows);
  }
}

/* At c, by what b said: each sequence that a gave is held there or settled. */
static bool is_settled_at_c(struct chain *chain) {
  struct store_stream held;
  struct intervals settled = INTERVALS_NULL;
  assert_true(store_stream_get(chain->provinces[A].store, bytes_text("a"), &held));
  const uint64_t *scopes;
  size_t count = node_peer_scopes(chain->provinces[C].peers[B], &scopes);
  assert_int_equal(count, 1);
  struct store *store = chain->provinces[C].store;
  struct bytes source = bytes_text(chain->provinces[C].peers[B]->principal);
  store_claimed(store, held.stream, held.epoch, source, scopes[0], &settled);
  store_claimed(store, held.stream, held.epoch, source, link_settled_scope(scopes[0]), &settled);
  bool all = intervals_covers(&settled, 1, held.last);
  intervals_deinit(&settled);
  return all;
}

static void start(struct chain *chain) {
  chain->keep = keep_levels;
  chain_start(chain);
  chain_join(chain, A, B);
  chain_join(chain, B, C);
}

static void all_is_held_or_settled_behind_a_relay(void **state) {
  struct chain *chain = *state;
  start(chain);
  measure_threes(chain, 1, 20);
  chain_pass(chain, 5 * SECOND_US);
  assert_all_at_c(chain, 1, 20, 0);
  assert_true(is_settled_at_c(chain));
  struct intervals claimed = INTERVALS_NULL;
  chain_claimed(chain, C, B, 112, A, &claimed); /* and nothing that is not there may be taken for sent */
  assert_false(intervals_covers(&claimed, 1, chain_last(chain, A)));
  intervals_deinit(&claimed);
  assert_int_equal(chain_status(chain, C, B).refused_blocks, 0);
  assert_int_equal(chain_status(chain, C, B).duplicates, 0);
}

static void it_is_told_to_who_comes_later(void **state) {
  struct chain *chain = *state;
  chain->keep = keep_levels;
  chain_start(chain);
  chain_join(chain, A, B);
  measure_threes(chain, 1, 20);
  chain_pass(chain, 3 * SECOND_US);
  chain_join(chain, B, C);
  chain_pass(chain, 4 * SECOND_US);
  assert_all_at_c(chain, 1, 20, 0);
  assert_true(is_settled_at_c(chain));
}

/* The relay does not know the rules of a source that has not greeted since its start. */
static void nothing_is_settled_before_the_source_greets(void **state) {
  struct chain *chain = *state;
  chain->keep = keep_levels;
  chain_start(chain);
  chain_join(chain, A, B);
  measure_threes(chain, 1, 5);
  chain_pass(chain, 3 * SECOND_US);
  chain_restart(chain, B);
  chain_join(chain, B, C);
  chain_pass(chain, 4 * SECOND_US);
  assert_all_at_c(chain, 1, 5, 0);
  assert_false(is_settled_at_c(chain));
  chain_join(chain, A, B);
  chain_pass(chain, 4 * SECOND_US);
  assert_true(is_settled_at_c(chain));
}

/* What was settled comes after all: the rules were widened, for the past too. It passes on, whether or not the link
 * behind the relay stood. */
static void what_comes_into_a_settled_range_passes_on(bool stands, struct chain *chain) {
  start(chain);
  measure_threes(chain, 1, 10);
  chain_pass(chain, 4 * SECOND_US);
  assert_true(is_settled_at_c(chain));
  if (!stands) chain_cut(chain, B, C);
  chain->phase = 1;
  chain_rules(chain, A, B, 111, 0);
  chain_pass(chain, 4 * SECOND_US);
  if (!stands) chain_join(chain, B, C);
  chain_pass(chain, 4 * SECOND_US);
  assert_all_at_c(chain, 1, 10, 1);
  assert_true(is_settled_at_c(chain));
}
static void late_passes_on_in_a_session(void **state) { what_comes_into_a_settled_range_passes_on(true, *state); }
static void late_passes_on_in_the_next_session(void **state) {
  what_comes_into_a_settled_range_passes_on(false, *state);
}

/* d may bring to b what a does not give it. */
static void one_source_of_two_settles_nothing(void **state) {
  struct chain *chain = *state;
  chain->keep = keep_levels;
  chain_start(chain);
  chain_join(chain, A, B);
  measure_threes(chain, 1, 3);
  chain_pass(chain, 3 * SECOND_US);
  struct node_peer_config config = {.principal = "peer d", .node = "d", .role = NODE_PEER_NEIGHBOUR};
  node_peer_add(chain->provinces[B].node, &config);
  chain_join(chain, B, C);
  chain_pass(chain, 4 * SECOND_US);
  assert_all_at_c(chain, 1, 3, 0);
  assert_false(is_settled_at_c(chain));
}

/* More pieces than one message or read knows apart: what lies between them was never at b. */
static void what_was_never_at_a_relay_is_not_named_as_gone(void **state) {
  struct chain *chain = *state;
  chain->keep = keep_levels;
  chain_start(chain);
  chain_join(chain, A, B);
  measure_threes(chain, 1, 2 * LINK_RANGES_MAX);
  chain_pass(chain, 2 * SECOND_US);
  size_t before = chain->count;
  chain_join(chain, B, C);
  chain_pass(chain, 20 * SECOND_US);
  assert_all_at_c(chain, 1, 2 * LINK_RANGES_MAX, 0);
  assert_int_equal(chain_sent(chain, before, C, LINK_DISCARD), 0);
  assert_true(is_settled_at_c(chain));
}

/* More pieces than one message tells, each in a block with a hole. */
static void a_reconnect_sends_nothing_that_was_there(void **state) {
  struct chain *chain = *state;
  start(chain);
  measure_threes(chain, 1, LINK_RANGES_MAX);
  chain_pass(chain, 5 * SECOND_US);
  chain_cut(chain, B, C);
  measure_threes(chain, LINK_RANGES_MAX + 1, 1);
  chain_pass(chain, 5 * SECOND_US);
  size_t before = chain->count;
  chain_join(chain, B, C);
  chain_pass(chain, 20 * SECOND_US);
  assert_int_equal(chain_sent(chain, before, C, LINK_BLOCK), 1);
  assert_all_at_c(chain, 1, LINK_RANGES_MAX + 1, 0);
  assert_true(is_settled_at_c(chain));
}

/* b names a range of the stream of a, that c passes on as well. */
static void name_at_b(struct chain *chain, const char *by, uint64_t from, uint64_t to) {
  struct province *b = &chain->provinces[B];
  struct store_batch *batch = store_batch_new();
  struct store_stream held;
  assert_true(store_stream_get(b->store, bytes_text("a"), &held));
  struct store_discard discard = {.stream = held.stream,
      .epoch = held.epoch,
      .from = from,
      .to = to,
      .by = bytes_text(by),
      .reason = bytes_text("keep")};
  store_batch_discard(batch, &discard);
  assert_int_equal(node_submit(b->node, batch, NULL), 0);
  store_memory_run(b->store, 1000);
  chain_deliver(chain);
  node_name_gone(b->node, &discard, 1);
}

static void word_of_what_is_gone_does_not_go_around(const char *by, struct chain *chain) {
  start(chain);
  measure_threes(chain, 1, 2);
  chain_pass(chain, 3 * SECOND_US);
  size_t before = chain->count;
  name_at_b(chain, by, 1000, 1009);
  chain_pass(chain, 3 * SECOND_US);
  assert_in_range(chain_sent(chain, before, C, LINK_DISCARD), 1, 2);
  assert_in_range(chain_sent(chain, before, B, LINK_DISCARD), 0, 1);
  before = chain->count;
  chain_pass(chain, 5 * SECOND_US);
  assert_int_equal(chain_sent(chain, before, C, LINK_DISCARD), 0);
  assert_int_equal(chain_sent(chain, before, B, LINK_DISCARD), 0);
}

static void what_a_relay_says_is_gone_does_not_come_back(void **state) {
  word_of_what_is_gone_does_not_go_around("", *state);
}
static void what_it_heard_is_gone_does_not_go_around(void **state) {
  word_of_what_is_gone_does_not_go_around("a", *state);
}

struct told {
  struct bytes by;
  uint8_t text[64];
};
static void note_by(void *ctx, const struct store_discard *discard) {
  struct told *told = ctx;
  if (discard->from != 1000) return;
  memcpy(told->text, discard->by.data, discard->by.len);
  told->by = bytes_of(told->text, discard->by.len);
}

/* The origin's word is its own only where the origin tells it; by a relay it is the relay's. */
static void what_a_relay_says_of_the_origin_is_noted_as_its_own(void **state) {
  struct chain *chain = *state;
  struct told told = {.by = BYTES_NULL};
  start(chain);
  measure_threes(chain, 1, 2);
  chain_pass(chain, 3 * SECOND_US);
  name_at_b(chain, "a", 1000, 1009);
  chain_pass(chain, 3 * SECOND_US);
  store_discards(chain->provinces[C].store, bytes_text("a"), note_by, &told);
  assert_true(bytes_equal(told.by, bytes_text("a via b")));
}

static size_t claims_of_a_new_session(struct chain *chain) {
  chain_cut(chain, B, C);
  chain_pass(chain, 3 * SECOND_US);
  size_t before = chain->count;
  chain_join(chain, B, C);
  chain_pass(chain, 3 * SECOND_US);
  return chain_sent(chain, before, B, LINK_CLAIM);
}

/* What b had before it passed it on to c counts as nothing that c left out for b; nor is it told in each session. */
static void what_came_by_way_of_a_peer_is_an_echo(void **state) {
  struct chain *chain = *state;
  struct intervals claimed = INTERVALS_NULL, echo = INTERVALS_NULL;
  start(chain);
  for (int64_t i = 1; i <= 8; i++) chain_measure(chain, A, "a/s/g/level", i);
  chain_pass(chain, 3 * SECOND_US);
  assert_in_range(claims_of_a_new_session(chain), 1, 10);
  chain_claimed(chain, B, C, 121, A, &claimed);
  chain_claimed(chain, B, C, link_echo_scope(121), A, &echo);
  assert_int_equal(claimed.count, 0);
  assert_true(intervals_size(&echo) >= 8);
  intervals_deinit(&claimed);
  intervals_deinit(&echo);
  assert_int_equal(claims_of_a_new_session(chain), 0);
}

int main(void) {
  log_set_level(LOG_LEVEL_ERROR);
#define TEST(t) cmocka_unit_test_setup_teardown(t, chain_setup, chain_teardown)
  const struct CMUnitTest tests[] = {
      TEST(all_is_held_or_settled_behind_a_relay),
      TEST(what_came_by_way_of_a_peer_is_an_echo),
      TEST(it_is_told_to_who_comes_later),
      TEST(nothing_is_settled_before_the_source_greets),
      TEST(late_passes_on_in_a_session),
      TEST(late_passes_on_in_the_next_session),
      TEST(one_source_of_two_settles_nothing),
      TEST(a_reconnect_sends_nothing_that_was_there),
      TEST(what_was_never_at_a_relay_is_not_named_as_gone),
      TEST(what_a_relay_says_is_gone_does_not_come_back),
      TEST(what_it_heard_is_gone_does_not_go_around),
      TEST(what_a_relay_says_of_the_origin_is_noted_as_its_own),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
