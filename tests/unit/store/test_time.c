/* Reads by time, on both backends: what lies in the range and nothing else, once, however it is paged and whatever
 * happens to the store between the pages; and that segments outside are not read. */
#include "harness.h"

#define BASE INT64_C(1700000000000000)

/* `count` readings of `size` bytes, a second apart from base + first on; received `late` seconds after. */
static struct blob *block_at(const char *stream, uint64_t first, uint32_t count, size_t size, int64_t late) {
  struct block_builder *builder = block_builder_new();
  char *text = mem_alloc(size + 1), address[300];
  memset(text, 'x', size);
  snprintf(address, sizeof address, "%s/gauge-1/level", stream);
  for (uint32_t i = 0; i < count; i++) {
    int64_t time = BASE + (int64_t)(first + i) * SECOND_US;
    struct record record = {
        .kind = RECORD_READING, .address = TEXT(address), .time = time, .received = time + late * SECOND_US};
    record.value = (struct value){.type = VALUE_TEXT, .bytes = bytes_of(text, size)};
    assert_int_equal(block_builder_add(builder, &record, BLOCK_MAX), 0);
  }
  struct blob *draft = block_builder_finish(builder, TEXT(stream), 77);
  block_builder_free(builder);
  free(text);
  block_number(draft, E1, first);
  return draft;
}

static void store_block(struct fixture *f, enum lane lane, struct blob *block) {
  assert_int_equal(fixture_commit_good(f, batch_with(lane, block)), STORE_STORED);
}

static struct store_read range(enum lane lane, int64_t from, int64_t to) {
  return (struct store_read){.what = STORE_READ_TIME,
      .lane = lane,
      .from = 1,
      .to = UINT64_MAX,
      .clock = STORE_BY_TIME,
      .from_us = BASE + from * SECOND_US,
      .to_us = BASE + to * SECOND_US,
      .max_bytes = 50000};
}

/* One page: adds the sequences of its blocks to *out, each only once; positions rise. Goes on at *read. */
static bool page(struct fixture *f, struct store_read *read, struct intervals *out) {
  struct store_done *done = fixture_read(f, read);
  uint64_t last = read->from - 1;
  for (size_t i = 0; i < done->entry_count; i++) {
    assert_int_equal(done->entries[i].lane, read->lane);
    assert_true(done->entries[i].position > last);
    last = done->entries[i].position;
    collect_sequences(done->entries[i].block, out);
  }
  if (done->next) assert_true(done->next > last);
  read->from = done->next;
  store_done_free(done);
  return read->from != 0;
}

static void assert_read(struct fixture *f, struct store_read read, size_t count, uint64_t from, uint64_t to) {
  struct intervals seen = INTERVALS_NULL;
  while (page(f, &read, &seen)) continue;
  assert_int_equal(seen.count, count);
  if (count) assert_int_equal(seen.items[0].from, from);
  if (count) assert_int_equal(seen.items[count - 1].to, to);
  intervals_deinit(&seen);
}

static void only_blocks_of_the_range_are_given(void **state) {
  struct fixture *f = *state;
  for (uint64_t i = 0; i < 20; i++) store_block(f, LANE_LIVE, block_at("q/s", 1 + i * 10, 10, 20, 500));
  store_block(f, LANE_BACKFILL, block_at("q/s", 201, 10, 20, 500));
  for (int round = 0; round < 2; round++) {
    assert_read(f, range(LANE_LIVE, 41, 60), 1, 41, 60);
    assert_read(f, range(LANE_LIVE, 45, 45), 1, 41, 50);
    assert_read(f, range(LANE_LIVE, 50, 51), 1, 41, 60);
    assert_read(f, range(LANE_LIVE, 0, 0), 0, 0, 0);
    assert_read(f, range(LANE_LIVE, 201, 400), 0, 0, 0);
    assert_read(f, range(LANE_BACKFILL, 201, 400), 1, 201, 210);
    assert_read(f, range(LANE_LIVE, 60, 41), 0, 0, 0);
    struct store_read received = range(LANE_LIVE, 541, 560);
    received.clock = STORE_BY_RECEIVED;
    assert_read(f, received, 1, 41, 60);
    fixture_reopen(f);
  }
}

static bool wants_named(const void *ctx, struct bytes stream) { return bytes_equal(stream, TEXT((const char *)ctx)); }

static void only_streams_that_are_wanted_are_given(void **state) {
  struct fixture *f = *state;
  for (uint64_t i = 0; i < 20; i++) store_block(f, LANE_LIVE, block_at("q/s", 1 + i * 10, 10, 20, 0));
  for (uint64_t i = 0; i < 20; i++) store_block(f, LANE_LIVE, block_at("q/t", 1001 + i * 10, 10, 20, 0));
  struct store_batch *batch = store_batch_new();
  store_batch_claim(batch, TEXT("peer"), 5, TEXT("q/s"), E1, 500, 600);
  fixture_commit_good(f, batch);
  struct store_read read = range(LANE_LIVE, 0, 5000);
  read.wants = wants_named;
  read.wants_ctx = "q/t";
  assert_read(f, read, 1, 1001, 1200);
  read.to = 25; /* a position */
  assert_read(f, read, 1, 1001, 1050);
}

/* Pages go on while more is stored (young ends are sealed) and the store is full of other things. */
static void pages_repeat_and_miss_nothing_while_the_store_grows(void **state) {
  struct fixture *f = *state;
  uint64_t next = 1;
  for (; next <= 600; next += 3) store_block(f, LANE_LIVE, block_at("q/s", next, 3, 3000, 0));
  struct store_read read = range(LANE_LIVE, 0, INT32_MAX);
  read.to = 200;
  struct intervals seen = INTERVALS_NULL;
  size_t pages = 0;
  for (bool more = true; more; pages++, next += 3) {
    more = page(f, &read, &seen);
    store_block(f, LANE_LIVE, block_at("q/s", next, 3, 3000, 0));
  }
  assert_ranges(&seen, 1, N(1), N(600));
  assert_true(pages > 30);
  intervals_deinit(&seen);
}

/* What retention takes away between two pages is missing, all else comes once. */
static void pages_go_on_behind_what_was_trimmed(void **state) {
  struct fixture *f = *state;
  f->store = store_close(f->store);
  f->options.when_full = STORE_DISCARD_OLDEST;
  assert_int_equal(fixture_open(f), 0);
  uint64_t next = 1;
  for (; next <= 3000; next += 10) store_block(f, LANE_LIVE, block_at("q/s", next, 10, 5000, 0));
  struct store_read read = range(LANE_LIVE, 0, INT32_MAX);
  struct intervals seen = INTERVALS_NULL;
  for (int i = 0; i < 3; i++) assert_true(page(f, &read, &seen));
  uint64_t reached = seen.items[seen.count - 1].to;
  for (; next <= 9000; next += 10) store_block(f, LANE_LIVE, block_at("q/s", next, 10, 5000, 0));
  struct store_stream stream;
  assert_true(store_stream_get(f->store, TEXT("q/s"), &stream));
  assert_true(stream.floor > reached + 1);
  uint64_t floor = stream.floor;
  while (page(f, &read, &seen)) continue;
  assert_int_equal(seen.items[seen.count - 1].to, 9000);
  intervals_remove(&seen, 0, floor - 1);
  assert_ranges(&seen, 1, floor, N(9000));
  intervals_deinit(&seen);
}

/* Nothing of what a new epoch issued again is given under its old number. */
static void what_was_issued_again_comes_once(void **state) {
  struct fixture *f = *state;
  for (int i = 0; i < 10; i++) fixture_commit_good(f, batch_own(LANE_LIVE, "p/s", draft_of("p/s", 10, 0, 9, BASE)));
  struct store_stream stream;
  assert_true(store_stream_get(f->store, TEXT("p/s"), &stream));
  struct store_batch *batch = store_batch_new();
  store_batch_new_epoch(batch, TEXT("p/s"), 35, stream.epoch);
  fixture_commit_good(f, batch);
  size_t records = 0;
  struct store_read read = range(LANE_LIVE, 0, 10);
  struct store_done *done = fixture_read(f, &read);
  for (size_t i = 0; i < done->entry_count; i++) {
    struct block block;
    assert_int_equal(block_open(&block, blob_bytes(done->entries[i].block)), 0);
    records += block.count;
  }
  assert_int_equal(done->next, 0);
  store_done_free(done);
  assert_int_equal(records, 100);
}

static struct store_stats stats_of(struct fixture *f) {
  struct store_stats stats;
  store_stats(f->store, &stats);
  return stats;
}

/* Counted: of some forty segments those that overlap are read, the others never. */
static void segments_outside_are_not_read(void **state) {
  struct fixture *f = *state;
  uint64_t next = 1;
  for (int i = 0; i < 200; i++, next += 10) store_block(f, LANE_LIVE, block_at("q/s", next, 10, 5000, 0));
  struct store_stats before = stats_of(f);
  assert_read(f, range(LANE_LIVE, 1001, 1010), 1, 1001, 1010);
  struct store_stats after = stats_of(f);
  assert_in_range(after.time_segments_read - before.time_segments_read, 1, 2);
  assert_true(after.time_segments_skipped - before.time_segments_skipped > 30);
  assert_read(f, range(LANE_LIVE, -1000, 0), 0, 0, 0);
  assert_read(f, range(LANE_LIVE, 3000, 4000), 0, 0, 0);
  assert_int_equal(stats_of(f).time_segments_read, after.time_segments_read);
}

/* A read that finds nothing to give ends all the same after so many segments, and goes on with the next request. */
static bool wants_none(const void *ctx, struct bytes stream) {
  (void)ctx, (void)stream;
  return false;
}
static void one_read_looks_at_so_much_only(void **state) {
  struct fixture *f = *state;
  uint64_t next = 1;
  for (int i = 0; i < 300; i++, next += 10) store_block(f, LANE_LIVE, block_at("q/s", next, 10, 5000, 0));
  struct store_read read = range(LANE_LIVE, 0, 4000);
  read.wants = wants_none;
  struct intervals seen = INTERVALS_NULL;
  assert_true(page(f, &read, &seen));
  assert_int_equal(stats_of(f).time_segments_read, STORE_TIME_SEGMENTS);
  assert_false(page(f, &read, &seen));
  assert_ranges(&seen, 0);
  intervals_deinit(&seen);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      BOTH(only_blocks_of_the_range_are_given),
      BOTH(only_streams_that_are_wanted_are_given),
      BOTH(pages_repeat_and_miss_nothing_while_the_store_grows),
      BOTH(pages_go_on_behind_what_was_trimmed),
      BOTH(what_was_issued_again_comes_once),
      {"lmdb/segments_outside_are_not_read", segments_outside_are_not_read, setup_lmdb, teardown, NULL},
      {"lmdb/one_read_looks_at_so_much_only", one_read_looks_at_so_much_only, setup_lmdb, teardown, NULL},
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
