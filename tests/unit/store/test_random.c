/*
 * The same random work on both backends, step by step, with reopenings: every outcome is the same, and what is stored
 * is what a reference of a few lines says. The seed is printed; RIVERBUS_SEED sets it.
 */
#include "harness.h"

enum { STREAMS = 4, STEPS = 600, SPAN = 3000 };

struct pair {
  struct fixture *on[2];
  uint64_t seed;
  struct intervals stored[STREAMS]; /* the reference: exactly these sequences of E1 */
};

static uint64_t below(struct pair *pair, uint64_t n) { return test_draw(&pair->seed) % n; }

static const char *stream_name(uint64_t i) {
  static const char *names[STREAMS] = {"q/a", "q/b", "重庆/寸滩", "q/d!urgent"};
  return names[i];
}

/* A block somewhere in the span, often with records taken out. */
static struct blob *random_block(struct pair *pair, uint64_t stream) {
  uint64_t first = 1 + below(pair, SPAN), n = 2 + below(pair, 4);
  uint32_t count = 1 + (uint32_t)below(pair, 60);
  struct blob *block = block_of_size(stream_name(stream), E1, first, count, below(pair, 3) ? 20 : 900);
  if (below(pair, 3) == 0) return block;
  struct blob *sieved = block_every(block, n, below(pair, n));
  return sieved ? sieved : block_of(stream_name(stream), E1, first, 1);
}

static void add_random(struct pair *pair, struct store_batch *batches[2]) {
  uint64_t stream = below(pair, STREAMS), from = 1 + below(pair, SPAN), scope = below(pair, 3);
  enum lane lane = (enum lane)below(pair, LANES);
  struct blob *block = random_block(pair, stream);
  for (int b = 0; b < 2; b++) {
    store_batch_block(batches[b], lane, TEXT("peer"), scope, from, scope ? from + 50 : 0, blob_ref(block));
    if (scope == 2) store_batch_claim(batches[b], TEXT("other"), scope, TEXT(stream_name(stream)), E1, from, from + 70);
  }
  struct intervals new = INTERVALS_NULL;
  collect_sequences(block, &new);
  intervals_add_all(&pair->stored[stream], &new);
  intervals_deinit(&new);
  blob_unref(block);
}

static void add_own(struct pair *pair, struct store_batch *batches[2]) {
  uint32_t count = 1 + (uint32_t)below(pair, 30);
  for (int b = 0; b < 2; b++)
    store_batch_own(
        batches[b], LANE_LIVE, TEXT("p/own"), draft_of("p/own", count, 10, store_run(pair->on[b]->store), 5000));
}

static void compare_items(const struct store_done *left, const struct store_done *right) {
  assert_int_equal(left->kind, right->kind);
  assert_int_equal(left->item_count, right->item_count);
  for (size_t i = 0; i < left->item_count; i++) {
    const struct store_item *a = &left->items[i], *b = &right->items[i];
    assert_int_equal(a->outcome, b->outcome);
    assert_int_equal(a->position, b->position);
    assert_int_equal(a->first, b->first);
    assert_int_equal(a->last, b->last);
    assert_int_equal(a->block != NULL, b->block != NULL);
    if (a->block && bytes_equal(a->source, TEXT("peer")))
      assert_true(bytes_equal(blob_bytes(a->block), blob_bytes(b->block)));
  }
}

static void step(struct pair *pair) {
  struct store_batch *batches[2] = {store_batch_new(), store_batch_new()};
  for (uint64_t i = 1 + below(pair, 5); i > 0; i--) {
    if (below(pair, 5) == 0)
      add_own(pair, batches);
    else
      add_random(pair, batches);
  }
  struct store_done *done[2];
  for (int b = 0; b < 2; b++) done[b] = fixture_commit(pair->on[b], batches[b]);
  compare_items(done[0], done[1]);
  for (int b = 0; b < 2; b++) store_done_free(done[b]);
}

static void compare_sets(const struct intervals *a, const struct intervals *b) {
  assert_int_equal(a->count, b->count);
  for (size_t i = 0; i < a->count; i++) {
    assert_int_equal(a->items[i].from, b->items[i].from);
    assert_int_equal(a->items[i].to, b->items[i].to);
  }
}

static void compare_all(struct pair *pair) {
  for (uint64_t stream = 0; stream < STREAMS; stream++) {
    struct intervals held[2] = {INTERVALS_NULL, INTERVALS_NULL}, claimed[2] = {INTERVALS_NULL, INTERVALS_NULL};
    for (int b = 0; b < 2; b++) {
      struct intervals stored = INTERVALS_NULL;
      stored_sequences(pair->on[b], stream_name(stream), E1, &stored);
      compare_sets(&stored, &pair->stored[stream]);
      intervals_deinit(&stored);
      store_held(pair->on[b]->store, TEXT(stream_name(stream)), E1, &held[b]);
      store_claimed(pair->on[b]->store, TEXT(stream_name(stream)), E1, TEXT("peer"), 1, &claimed[b]);
    }
    compare_sets(&held[0], &held[1]);
    compare_sets(&claimed[0], &claimed[1]);
    for (int b = 0; b < 2; b++) intervals_deinit(&held[b]);
    for (int b = 0; b < 2; b++) intervals_deinit(&claimed[b]);
  }
}

static void both_backends_do_the_same(void **state) {
  (void)state;
  const char *given = getenv("RIVERBUS_SEED");
  struct pair pair = {.seed = given ? strtoull(given, NULL, 10) : (uint64_t)getpid() * 2654435761U + 1};
  print_message("RIVERBUS_SEED=%llu\n", (unsigned long long)pair.seed);
  for (int b = 0; b < 2; b++) {
    pair.on[b] = mem_alloc(sizeof(struct fixture));
    fixture_start(pair.on[b], b == 0 ? MEMORY : LMDB);
  }
  for (int i = 0; i < STEPS; i++) {
    step(&pair);
    if (below(&pair, 50) == 0) fixture_reopen(pair.on[1]);
    if (below(&pair, 50) == 0) fixture_reopen(pair.on[0]);
    if (i % 200 == 199) compare_all(&pair);
  }
  for (int b = 0; b < 2; b++) {
    fixture_end(pair.on[b]);
    free(pair.on[b]);
  }
  for (int i = 0; i < STREAMS; i++) intervals_deinit(&pair.stored[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(both_backends_do_the_same)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
