/* The LMDB backend between its own counters and LMDB's: pages that a reader pins, what the figures say, and batches
 * that linger for each other. */
#include "harness.h"

#include "common/store/lmdb.h"

static struct store_stats stats_of(struct fixture *f) {
  struct store_stats stats;
  store_stats(f->store, &stats);
  return stats;
}

/* ---- linger ---- */

static void put_later(struct fixture *f, const char *key, bool urgent) {
  struct store_batch *batch = store_batch_new();
  store_batch_put(batch, STORE_META, TEXT(key), TEXT("value"));
  if (urgent) store_batch_urgent(batch);
  assert_int_equal(store_submit(f->store, batch, NULL), 0);
}

static void batches_linger_until_something_is_urgent(void **state) {
  struct fixture *f = *state;
  f->store = store_close(f->store);
  f->options.linger_us = 3600 * SECOND_US;
  assert_int_equal(fixture_open(f), 0);
  put_later(f, "first", false);
  struct pollfd fd = {.fd = store_fd(f->store), .events = POLLIN};
  assert_int_equal(poll(&fd, 1, 100), 0); /* it waits for company */
  put_later(f, "second", false);
  put_later(f, "third", true);
  for (int i = 0; i < 3; i++) store_done_free(fixture_next(f));
  assert_int_equal(stats_of(f).commits, 1);
}

/* ---- LMDB has no room ---- */

static struct store_done *put(struct fixture *f, size_t len) {
  uint8_t *value = mem_alloc(len);
  struct store_batch *batch = store_batch_new();
  store_batch_put(batch, STORE_META, TEXT("key"), bytes_of(value, len));
  free(value);
  return fixture_commit(f, batch);
}

static MDB_txn *pin(struct fixture *f) {
  MDB_txn *txn;
  assert_int_equal(mdb_txn_begin(((struct lmdb *)f->store)->base.env, NULL, MDB_RDONLY, &txn), 0);
  return txn;
}

/* A reader that stays keeps every freed page: the same value written over and over fills the map, though what is in use
 * stays small. */
static void a_map_that_is_full_refuses_and_goes_on(void **state) {
  struct fixture *f = *state;
  fixture_end(f);
  fixture_init(f, LMDB, (uint64_t)8 << 20);
  assert_int_equal(fixture_open(f), 0);
  for (uint64_t i = 0; i < 20; i++)
    fixture_commit_good(f, batch_with(LANE_LIVE, block_of_size("q/s", E1, 1 + i * 10, 10, 500)));
  MDB_txn *txn = pin(f);
  bool refused = false;
  for (int i = 0; i < 200 && !refused; i++) {
    struct store_done *done = put(f, 100000);
    refused = done->kind == STORE_DONE_REFUSED;
    if (refused) assert_int_equal(done->refusal, STORE_REFUSAL_FULL);
    store_done_free(done);
  }
  assert_true(refused);
  struct store_stats full = stats_of(f);
  assert_true(full.refused_full > 0);
  assert_true(full.used_bytes < full.max_bytes / 4); /* our counters saw room */
  assert_stored(f, "q/s", E1, 1, 1, 200);
  mdb_txn_abort(txn);
  for (int i = 0; i < 3; i++) { /* the pages come back with the commits that follow */
    struct store_done *done = put(f, 1000);
    assert_int_equal(done->kind, STORE_DONE_BATCH);
    store_done_free(done);
  }
  fixture_commit_good(f, batch_with(LANE_LIVE, block_of("q/s", E1, 201, 10)));
  fixture_reopen(f);
  assert_stored(f, "q/s", E1, 1, 1, 210);
  assert_int_equal(stats_of(f).damaged, 0);
}

/* No run of pages for a segment, but single ones: the log is written in small pieces, and sealed once there is room. */
static void without_a_run_of_pages_the_log_grows_in_small_pieces(void **state) {
  struct fixture *f = *state;
  fixture_end(f);
  fixture_init(f, LMDB, (uint64_t)8 << 20);
  assert_int_equal(fixture_open(f), 0);
  MDB_txn *txn = pin(f);
  uint64_t next = 1;
  for (bool refused = false; !refused && next < 100000;) {
    struct store_done *done = fixture_commit(f, batch_with(LANE_LIVE, block_of_size("q/s", E1, next, 10, 2000)));
    refused = done->kind == STORE_DONE_REFUSED;
    if (!refused) next += 10;
    store_done_free(done);
  }
  assert_true(next < 100000);
  assert_true(((struct lmdb *)f->store)->small_pieces > 0);
  assert_stored(f, "q/s", E1, 1, 1, next - 1);
  mdb_txn_abort(txn);
  fixture_reopen(f);
  assert_stored(f, "q/s", E1, 1, 1, next - 1);
}

/* A batch that LMDB turned away once, with what was trimmed for it, is tried again: what goes is counted once. */
static void what_is_discarded_is_counted_once(void **state) {
  struct fixture *f = *state;
  fixture_end(f);
  fixture_init(f, LMDB, (uint64_t)8 << 20);
  f->options.when_full = STORE_DISCARD_OLDEST;
  assert_int_equal(fixture_open(f), 0);
  MDB_txn *txn = NULL;
  uint64_t next = 1;
  for (int i = 0; i < 600; i++) {
    if (i % 200 == 0) txn = pin(f);
    struct store_done *done = fixture_commit(f, batch_with(LANE_LIVE, block_of_size("q/s", E1, next, 10, 2000)));
    if (done->kind == STORE_DONE_BATCH) next += 10;
    store_done_free(done);
    if (i % 200 == 150) mdb_txn_abort(txn);
  }
  struct store_stream stream;
  assert_true(store_stream_get(f->store, TEXT("q/s"), &stream));
  assert_true(((struct lmdb *)f->store)->small_pieces > 0);
  assert_int_equal(stats_of(f).discarded_records, stream.floor - 1);
  assert_stored(f, "q/s", E1, 1, stream.floor, next - 1);
}

/* Writes one value over and over, until LMDB has no room for one of that size. */
static void use_up_by(struct fixture *f, size_t len) {
  uint8_t *value = mem_alloc(len);
  int refused = 0;
  for (int i = 0; i < 5000 && refused < 3; i++) {
    struct store_batch *batch = store_batch_new();
    store_batch_put(batch, STORE_META, TEXT("key"), bytes_of(value, len));
    store_batch_urgent(batch);
    struct store_done *done = fixture_commit(f, batch);
    refused = done->kind == STORE_DONE_REFUSED ? refused + 1 : 0;
    store_done_free(done);
  }
  free(value);
  assert_int_equal(refused, 3);
}

/* Until it has not one page left. */
static void use_up(struct fixture *f) {
  use_up_by(f, 100000);
  use_up_by(f, 10000);
  use_up_by(f, 10);
}

static uint64_t floor_of(struct fixture *f, const char *name) {
  struct store_stream stream;
  assert_true(store_stream_get(f->store, TEXT(name), &stream));
  return stream.floor;
}

static struct store_batch *large_batch(uint64_t next) {
  struct store_batch *batch = store_batch_new();
  for (uint64_t i = 0; i < 15; i++)
    store_batch_block(batch, LANE_LIVE, TEXT("peer"), 1, 1, 0, block_of_size("q/s", E1, next + i * 10, 10, 2000));
  return batch;
}

static void without_a_page_to_delete_with_the_oldest_stays_a_while(void **state) {
  struct fixture *f = *state;
  fixture_end(f);
  fixture_init(f, LMDB, (uint64_t)8 << 20);
  f->options.when_full = STORE_DISCARD_OLDEST;
  assert_int_equal(fixture_open(f), 0);
  uint64_t next = 1;
  for (int i = 0; i < 30; i++, next += 150) fixture_commit_good(f, large_batch(next));
  assert_true(floor_of(f, "q/s") > 1); /* it discards with each segment from here on */
  for (int round = 0; round < 3; round++) {
    MDB_txn *txn = pin(f);
    use_up(f);
    uint64_t before = floor_of(f, "q/s");
    for (int i = 0; i < 5; i++) { /* so large that the oldest must go first */
      struct store_done *done = fixture_commit(f, large_batch(next));
      assert_int_equal(done->kind, STORE_DONE_REFUSED);
      assert_int_equal(done->refusal, STORE_REFUSAL_FULL);
      store_done_free(done);
    }
    assert_int_equal(floor_of(f, "q/s"), before);
    assert_stored(f, "q/s", E1, 1, before, next - 1);
    mdb_txn_abort(txn);
    for (int i = 0; i < 10; i++, next += 150) fixture_commit_good(f, large_batch(next));
    assert_true(floor_of(f, "q/s") > before);
    assert_int_equal(stats_of(f).discarded_records, floor_of(f, "q/s") - 1);
    assert_stored(f, "q/s", E1, 1, floor_of(f, "q/s"), next - 1);
  }
  fixture_reopen(f);
  assert_stored(f, "q/s", E1, 1, floor_of(f, "q/s"), next - 1);
  assert_int_equal(stats_of(f).damaged, 0);
}

static void without_a_page_to_delete_with_the_too_old_stays_a_while(void **state) {
  struct fixture *f = *state;
  fixture_end(f);
  fixture_init(f, LMDB, (uint64_t)8 << 20);
  f->options.keep_us = 3600 * SECOND_US;
  assert_int_equal(fixture_open(f), 0);
  uint64_t next = 1;
  for (int i = 0; i < 14; i++, next += 150) fixture_commit_good(f, large_batch(next));
  MDB_txn *txn = pin(f);
  use_up(f);
  test_world_pass(&f->clock, 2 * 3600 * SECOND_US);
  for (int i = 0; i < 5; i++) { /* after each of them the writer looks what is too old */
    test_world_pass(&f->clock, 2 * SECOND_US);
    struct store_done *done = put(f, 10);
    assert_int_equal(done->kind, STORE_DONE_REFUSED);
    store_done_free(done);
  }
  assert_int_equal(floor_of(f, "q/s"), 1);
  assert_int_equal(stats_of(f).discarded_records, 0);
  assert_stored(f, "q/s", E1, 1, 1, next - 1);
  mdb_txn_abort(txn);
  for (int i = 0; i < 100 && floor_of(f, "q/s") < next; i++) {
    test_world_pass(&f->clock, 2 * SECOND_US);
    store_done_free(put(f, 10));
  }
  assert_int_equal(floor_of(f, "q/s"), next);
  assert_int_equal(stats_of(f).discarded_records, next - 1);
}

static struct store_batch *batch_of_streams(unsigned first, unsigned streams, uint64_t number) {
  struct store_batch *batch = store_batch_new();
  for (unsigned i = 0; i < 150; i++) {
    char name[32];
    snprintf(name, sizeof name, "q/s%u", (first + i) % streams);
    store_batch_block(batch, LANE_LIVE, TEXT("peer"), 1, 1, 0, block_of(name, E1, number + i, 1));
  }
  return batch;
}

/* What little one segment holds of each of many streams touches pages of the index all over. No reader is in the way,
 * and still the pages that LMDB copies hardly fit what is kept back for them. What piles up unsealed must not keep the
 * store from finding its way back. */
static void a_small_store_of_many_streams_goes_on(void **state) {
  struct fixture *f = *state;
  enum { STREAMS = 1500, BATCHES = 410 };
  fixture_end(f);
  fixture_init(f, LMDB, (uint64_t)8 << 20);
  f->options.when_full = STORE_DISCARD_OLDEST;
  assert_int_equal(fixture_open(f), 0);
  unsigned stored = 0;
  for (unsigned i = 0; i < BATCHES; i++) {
    struct store_done *done = fixture_commit(f, batch_of_streams(i * 150 % STREAMS, STREAMS, 1 + i * 150));
    if (done->kind == STORE_DONE_BATCH && i >= BATCHES - 20) stored++;
    store_done_free(done);
  }
  assert_true(stats_of(f).discarded_records > 0);
  assert_true(((struct lmdb *)f->store)->small_pieces > 0); /* it was in need */
  assert_true(stored >= 18);
}

/* ---- figures ---- */

static void the_logs_say_how_large_they_are(void **state) {
  struct fixture *f = *state;
  assert_int_equal(stats_of(f).logs[LANE_LIVE].bytes, 0);
  uint64_t payload = 0;
  for (uint64_t i = 0; i < 100; i++) {
    struct blob *block = block_of_size("q/s", E1, 1 + i * 10, 10, 900);
    payload += block->len;
    fixture_commit_good(f, batch_with(i % 2 ? LANE_LIVE : LANE_BACKFILL, block));
  }
  for (int round = 0; round < 2; round++) {
    struct store_stats stats = stats_of(f);
    assert_int_equal(stats.logs[LANE_URGENT].bytes, 0);
    assert_in_range(stats.logs[LANE_LIVE].bytes, payload / 2, payload);
    assert_in_range(stats.logs[LANE_BACKFILL].bytes, payload / 2, payload);
    assert_true(stats.logs[LANE_LIVE].bytes + stats.logs[LANE_BACKFILL].bytes <= stats.used_bytes + 16384);
    fixture_reopen(f);
  }
}

#define ON_LMDB(test) cmocka_unit_test_setup_teardown(test, setup_lmdb, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      ON_LMDB(batches_linger_until_something_is_urgent),
      ON_LMDB(a_map_that_is_full_refuses_and_goes_on),
      ON_LMDB(without_a_run_of_pages_the_log_grows_in_small_pieces),
      ON_LMDB(what_is_discarded_is_counted_once),
      ON_LMDB(without_a_page_to_delete_with_the_oldest_stays_a_while),
      ON_LMDB(without_a_page_to_delete_with_the_too_old_stays_a_while),
      ON_LMDB(a_small_store_of_many_streams_goes_on),
      ON_LMDB(the_logs_say_how_large_they_are),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
