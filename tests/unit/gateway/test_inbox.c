/* Which redelivered messages are known. */
#include "common/store/memory.h"
#include "gateway/inbox.h"
#include "tests/unit/gateway/sample.h"

static struct instant no_time(void *ctx) {
  (void)ctx;
  return (struct instant){1000000, 1000000};
}
static void no_random(void *ctx, void *out, size_t len) {
  (void)ctx;
  memset(out, 7, len);
}
static const struct world still = {.now = no_time, .random = no_random};

static struct store *open_store(struct memory_disk *disk) {
  struct store *store = NULL;
  const struct store_options options = {.path = "memory", .max_size = 64 << 20, .world = &still};
  assert_int_equal(store_open_memory(&store, &options, disk), 0);
  return store;
}

static uint64_t hash(const char *payload) { return inbox_hash(bytes_text("t"), bytes_text(payload)); }

static void commit(struct inbox *inbox, struct store *store) {
  struct store_batch *batch = store_batch_new();
  inbox_put(inbox, batch);
  assert_int_equal(store_submit(store, batch, NULL), 0);
  store_memory_run(store, 1);
  struct store_done *done = store_next(store);
  assert_int_equal(done->kind, STORE_DONE_BATCH);
  store_done_free(done);
  inbox_committed(inbox);
}

static bool load(void *ctx, struct bytes key, struct bytes value) {
  inbox_load(ctx, key, value);
  return true;
}

static void test_redelivery(void **state) {
  struct memory_disk *disk = memory_disk_new();
  struct store *store = open_store(disk);
  struct inbox inbox;
  (void)state;
  inbox_init(&inbox);
  inbox_connected(&inbox, false);
  inbox_note(&inbox, 1, hash("a"));
  inbox_note(&inbox, 2, hash("a")); /* two equal payloads are two messages */
  assert_false(inbox_holds(&inbox, 1, hash("a")));
  commit(&inbox, store);
  assert_false(inbox_holds(&inbox, 1, hash("a"))); /* a running connection compares nothing */
  inbox_note(&inbox, 3, hash("b"));
  inbox_refused(&inbox); /* not stored */

  store_memory_crash(store);
  store = open_store(disk);
  inbox_deinit(&inbox);
  assert_int_equal(store_scan(store, STORE_INBOX, load, &inbox), 0);
  inbox_connected(&inbox, true);
  assert_true(inbox_holds(&inbox, 1, hash("a")));
  assert_true(inbox_holds(&inbox, 2, hash("a")));
  assert_false(inbox_holds(&inbox, 3, hash("b")));
  assert_false(inbox_holds(&inbox, 1, hash("a"))); /* a pair answers once */
  assert_false(inbox_holds(&inbox, 0, hash("a")));

  inbox_connected(&inbox, true);
  assert_false(inbox_holds(&inbox, 1, hash("other"))); /* the same packet id with other content is a new message */
  inbox_connected(&inbox, false);
  assert_false(inbox_holds(&inbox, 2, hash("a"))); /* another session */
  inbox_connected(&inbox, true);
  inbox_deinit(&inbox);
  store_close(store);
  memory_disk_free(disk);
}

/* The table holds as many pairs as can be unacknowledged, whole batches of them, and no more. */
static void test_bounded(void **state) {
  struct memory_disk *disk = memory_disk_new();
  struct store *store = open_store(disk);
  struct inbox inbox, again;
  (void)state;
  inbox_init(&inbox);
  inbox_connected(&inbox, false);
  for (unsigned i = 0; i < 3 * INBOX_PAIRS; i += 10) {
    for (unsigned k = 0; k < 10; k++) inbox_note(&inbox, (uint16_t)(i + k + 1), i + k);
    commit(&inbox, store);
  }
  assert_in_range(inbox.pair_count, INBOX_PAIRS, INBOX_PAIRS + 9);
  inbox_init(&again);
  assert_int_equal(store_scan(store, STORE_INBOX, load, &again), 0);
  assert_int_equal(again.pair_count, inbox.pair_count);
  assert_memory_equal(&again.pairs[0].hash, &inbox.pairs[0].hash, sizeof(uint64_t));
  assert_int_equal(again.next, inbox.next);
  inbox_connected(&again, true);
  size_t held = 0;
  for (unsigned i = 0; i < 3 * INBOX_PAIRS; i++) held += inbox_holds(&again, (uint16_t)(i + 1), i);
  assert_int_equal(held, 0); /* only the first INBOX_PAIRS messages are compared */
  inbox_connected(&again, true);
  for (unsigned i = 2 * INBOX_PAIRS + 16; i < 3 * INBOX_PAIRS; i++) held += inbox_holds(&again, (uint16_t)(i + 1), i);
  assert_int_equal(held, INBOX_PAIRS - 16);
  inbox_deinit(&inbox);
  inbox_deinit(&again);
  store_close(store);
  memory_disk_free(disk);
}

/* A pair whose PUBACK is known to have arrived answers no more, and leaves the store; later ones stay. */
static void test_proven(void **state) {
  struct memory_disk *disk = memory_disk_new();
  struct store *store = open_store(disk);
  struct inbox inbox, again;
  (void)state;
  inbox_init(&inbox);
  inbox_connected(&inbox, false);
  assert_int_equal(inbox_mark(&inbox), 0);
  inbox_note(&inbox, 1, hash("flat"));
  inbox_note(&inbox, 2, hash("flat"));
  commit(&inbox, store);
  uint64_t mark = inbox_mark(&inbox);
  inbox_note(&inbox, 3, hash("flat"));
  commit(&inbox, store);
  assert_int_equal(inbox_unproven(&inbox), 3);
  inbox_prove(&inbox, mark);
  assert_int_equal(inbox_unproven(&inbox), 1);
  inbox_connected(&inbox, true);
  assert_false(inbox_holds(&inbox, 1, hash("flat"))); /* the packet id is given again: a new message */
  assert_true(inbox_holds(&inbox, 3, hash("flat")));
  inbox_prove(&inbox, mark - 1); /* an older word changes nothing */
  commit(&inbox, store);         /* idle: only what is proven leaves */
  inbox_init(&again);
  assert_int_equal(store_scan(store, STORE_INBOX, load, &again), 0);
  assert_int_equal(again.pair_count, 1);
  assert_int_equal(again.pairs[0].mid, 3);
  assert_int_equal(again.next, inbox.next);
  inbox_prove(&inbox, inbox_mark(&inbox));
  inbox_note(&inbox, 4, hash("flat"));
  commit(&inbox, store); /* with the next batch */
  inbox_deinit(&again);
  assert_int_equal(store_scan(store, STORE_INBOX, load, &again), 0);
  assert_int_equal(again.pair_count, 1);
  assert_int_equal(again.pairs[0].mid, 4);
  inbox_connected(&inbox, false);
  inbox_connected(&inbox, true);
  assert_false(inbox_holds(&inbox, 4, hash("flat"))); /* what was void with another session stays so */
  inbox_deinit(&inbox);
  inbox_deinit(&again);
  store_close(store);
  memory_disk_free(disk);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_redelivery), cmocka_unit_test(test_bounded), cmocka_unit_test(test_proven)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
