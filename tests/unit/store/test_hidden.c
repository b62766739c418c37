/* What LMDB's own pages may do to a store unseen: rows of the index, of the directories and of the names vanish. What
 * is held is then found without them, or named as unreadable; it is never passed over, and never stored twice. */
#include "harness.h"

#include "common/store/lmdb_base.h"

enum { BLOCKS = 120, EACH = 7, LAST = BLOCKS * EACH };

static void fill(struct fixture *f) {
  for (uint64_t i = 0; i < BLOCKS; i++)
    fixture_commit_good(f, batch_with(LANE_LIVE, block_of_size("q/s", E1, 1 + i * EACH, EACH, 900)));
}

enum rows { INDEX, DIRECTORIES, NAMES };

/* Deletes every `nth` row behind the store's back. */
static void lose(struct fixture *f, enum rows which, unsigned nth) {
  struct base base;
  MDB_txn *txn;
  MDB_cursor *cursor;
  MDB_val key, value;
  f->store = store_close(f->store);
  assert_int_equal(base_take(&base, &f->options, &f->problem), 0);
  assert_int_equal(base_open(&base, &f->problem), 0);
  assert_int_equal(mdb_txn_begin(base.env, NULL, 0, &txn), 0);
  MDB_dbi dbi = which == INDEX ? base.index : which == NAMES ? base.names : base.directory;
  assert_int_equal(mdb_cursor_open(txn, dbi, &cursor), 0);
  unsigned seen = 0, lost = 0;
  while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0)
    if (seen++ % nth == 0) {
      assert_int_equal(mdb_cursor_del(cursor, 0), 0);
      lost++;
    }
  mdb_cursor_close(cursor);
  assert_int_equal(mdb_txn_commit(txn), 0);
  assert_true(lost > 0);
  base_deinit(&base);
  assert_int_equal(fixture_open(f), 0);
}

/* Turns over a byte in the middle of every segment. */
static void break_segments(struct fixture *f) {
  struct base base;
  MDB_txn *txn;
  MDB_cursor *cursor;
  MDB_val key, value;
  f->store = store_close(f->store);
  assert_int_equal(base_take(&base, &f->options, &f->problem), 0);
  assert_int_equal(base_open(&base, &f->problem), 0);
  assert_int_equal(mdb_txn_begin(base.env, NULL, 0, &txn), 0);
  assert_int_equal(mdb_cursor_open(txn, base.sealed[LANE_LIVE], &cursor), 0);
  while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
    uint8_t *copy = mem_copy(value.mv_data, value.mv_size);
    copy[value.mv_size / 2] ^= 1;
    MDB_val changed = {.mv_size = value.mv_size, .mv_data = copy};
    assert_int_equal(mdb_cursor_put(cursor, &key, &changed, MDB_CURRENT), 0);
    free(copy);
  }
  mdb_cursor_close(cursor);
  assert_int_equal(mdb_txn_commit(txn), 0);
  base_deinit(&base);
  assert_int_equal(fixture_open(f), 0);
}

/* Reads [from, to] of the stream in pieces of max_bytes: in order, each once; what cannot be read is added to *lost. */
static void read_range(
    struct fixture *f, uint64_t from, uint64_t to, size_t max_bytes, struct intervals *got, struct intervals *lost) {
  while (from != 0 && from <= to) {
    struct store_done *done = fixture_read(f, &(struct store_read){.what = STORE_READ_STREAM,
                                                  .stream = TEXT("q/s"),
                                                  .epoch = E1,
                                                  .from = from,
                                                  .to = to,
                                                  .max_bytes = max_bytes});
    uint64_t last = 0;
    for (size_t i = 0; i < done->entry_count; i++) {
      struct block block;
      collect_sequences(done->entries[i].block, got);
      assert_int_equal(block_open(&block, blob_bytes(done->entries[i].block)), 0);
      assert_true(block.first > last);
      last = block.first;
    }
    for (size_t i = 0; i < done->unreadable_count; i++)
      intervals_add(lost, done->unreadable[i].from, done->unreadable[i].to);
    assert_true(done->next == 0 || done->next > from);
    from = done->next;
    store_done_free(done);
  }
}

static uint64_t damaged(struct fixture *f) {
  struct store_stats stats;
  store_stats(f->store, &stats);
  return stats.damaged;
}

static void assert_all_is_read(struct fixture *f) {
  static const size_t sizes[] = {1 << 30, 20000};
  for (size_t i = 0; i < 2; i++) {
    struct intervals got = INTERVALS_NULL, lost = INTERVALS_NULL;
    read_range(f, 1, UINT64_MAX - 1, sizes[i], &got, &lost);
    assert_ranges(&got, 1, N(1), (uint64_t)LAST);
    assert_int_equal(lost.count, 0);
    intervals_deinit(&got);
    intervals_deinit(&lost);
  }
}

static void assert_nothing_is_new(struct fixture *f) {
  for (uint64_t i = 0; i < BLOCKS; i += 10)
    assert_int_equal(
        fixture_commit_good(f, batch_with(LANE_BACKFILL, block_of("q/s", E1, 1 + i * EACH, EACH))), STORE_DUPLICATE);
  assert_stored(f, "q/s", E1, 1, 1, LAST);
}

static void a_whole_store_counts_nothing(void **state) {
  struct fixture *f = *state;
  fill(f);
  assert_all_is_read(f);
  assert_nothing_is_new(f);
  assert_int_equal(damaged(f), 0);
}

static void what_the_index_lost_is_read_and_counted_once(void **state) {
  struct fixture *f = *state;
  fill(f);
  lose(f, INDEX, 1);
  assert_all_is_read(f);
  uint64_t before = damaged(f);
  assert_true(before > 0);
  assert_all_is_read(f);
  assert_int_equal(damaged(f), before);
  assert_nothing_is_new(f);
}

static void what_the_index_lost_here_and_there_is_read(void **state) {
  struct fixture *f = *state;
  fill(f);
  lose(f, INDEX, 2);
  assert_all_is_read(f);
  assert_true(damaged(f) > 0);
  assert_nothing_is_new(f);
}

static void without_index_and_directories_the_segments_are_read(void **state) {
  struct fixture *f = *state;
  fill(f);
  lose(f, INDEX, 1);
  lose(f, DIRECTORIES, 2);
  assert_all_is_read(f);
  assert_true(damaged(f) > 0);
  assert_nothing_is_new(f);
}

static void without_its_name_a_stream_is_found(void **state) {
  struct fixture *f = *state;
  fill(f);
  lose(f, NAMES, 1);
  assert_all_is_read(f);
  assert_true(damaged(f) > 0);
  assert_nothing_is_new(f);
}

/* What was trimmed between the question and the answer is not damage. */
static void what_was_trimmed_is_not_damage(void **state) {
  struct fixture *f = *state;
  fixture_end(f);
  fixture_init(f, LMDB, (uint64_t)8 << 20);
  f->options.when_full = STORE_DISCARD_OLDEST;
  assert_int_equal(fixture_open(f), 0);
  struct store_read request = {
      .what = STORE_READ_STREAM, .stream = TEXT("q/s"), .epoch = E1, .from = 1, .to = 100000, .max_bytes = 1 << 16};
  uint64_t next = 1;
  for (int i = 0; i < 1500; i++, next += 10) {
    struct store_batch *batch = batch_with(LANE_LIVE, block_of_size("q/s", E1, next, 10, 2000));
    assert_int_equal(store_submit(f->store, batch, batch), 0);
    while (store_read(f->store, &request, NULL) != 0) store_done_free(fixture_next(f));
    struct store_done *done;
    while ((done = store_next(f->store))) {
      assert_int_equal(done->unreadable_count, 0);
      store_done_free(done);
    }
  }
  struct store_stream stream;
  assert_true(store_stream_get(f->store, TEXT("q/s"), &stream));
  assert_true(stream.floor > 1);
  assert_int_equal(damaged(f), 0);
}

static void what_cannot_be_read_is_named(void **state) {
  struct fixture *f = *state;
  fill(f);
  break_segments(f);
  struct intervals got = INTERVALS_NULL, lost = INTERVALS_NULL;
  for (int round = 0; round < 2; round++) {
    intervals_clear(&got);
    intervals_clear(&lost);
    read_range(f, 1, UINT64_MAX - 1, 20000, &got, &lost);
    assert_true(lost.count > 0);
    for (size_t i = 0; i < lost.count; i++)
      assert_false(intervals_overlaps(&got, lost.items[i].from, lost.items[i].to));
    intervals_add_all(&got, &lost);
    assert_ranges(&got, 1, N(1), (uint64_t)LAST);
  }
  uint64_t from = lost.items[0].from, before = damaged(f);
  assert_true(before > 0);
  assert_int_equal(fixture_commit_good(f, batch_with(LANE_BACKFILL, block_of("q/s", E1, from, EACH))), STORE_DUPLICATE);
  intervals_clear(&lost);
  read_range(f, from, from, 100, &got, &lost);
  assert_ranges(&lost, 1, from, from);
  intervals_deinit(&got);
  intervals_deinit(&lost);
}

static void a_damaged_read_is_named_by_the_memory_too(void **state) {
  struct fixture *f = *state;
  fixture_commit_good(f, batch_with(LANE_LIVE, block_of("q/s", E1, 1, 10)));
  fixture_commit_good(f, batch_with(LANE_LIVE, block_of("q/s", E1, 11, 10)));
  store_memory_faults(f->store, &(struct memory_faults){.damage_next_read = true});
  struct intervals got = INTERVALS_NULL, lost = INTERVALS_NULL;
  read_range(f, 1, 100, 1 << 20, &got, &lost);
  assert_ranges(&got, 1, N(11), N(20));
  assert_ranges(&lost, 1, N(1), N(10));
  intervals_deinit(&got);
  intervals_deinit(&lost);
}

#define ON_LMDB(test) cmocka_unit_test_setup_teardown(test, setup_lmdb, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      ON_LMDB(a_whole_store_counts_nothing),
      ON_LMDB(what_the_index_lost_is_read_and_counted_once),
      ON_LMDB(what_the_index_lost_here_and_there_is_read),
      ON_LMDB(without_index_and_directories_the_segments_are_read),
      ON_LMDB(without_its_name_a_stream_is_found),
      ON_LMDB(what_was_trimmed_is_not_damage),
      ON_LMDB(what_cannot_be_read_is_named),
      cmocka_unit_test_setup_teardown(a_damaged_read_is_named_by_the_memory_too, setup_memory, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
