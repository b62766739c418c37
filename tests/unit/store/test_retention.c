/* What a store gives up, by age or for room, on both backends: always by name, never what is urgent first. */
#include "harness.h"

enum { MIB = 1 << 20 };

struct named {
  uint64_t from, to, count;
  char reason[16];
};
static void name_discard(void *ctx, const struct store_discard *discard) {
  struct named *named = ctx;
  if (named->count++ == 0 || discard->from < named->from) named->from = discard->from;
  if (discard->to > named->to) named->to = discard->to;
  snprintf(named->reason, sizeof named->reason, BYTES_FMT, BYTES_ARG(discard->reason));
  assert_int_equal(discard->by.len, 0);
}

static struct named named_of(struct fixture *f, const char *stream) {
  struct named named = {.count = 0};
  store_discards(f->store, TEXT(stream), name_discard, &named);
  return named;
}

static void restart_with(struct fixture *f, uint64_t max_size, int64_t keep_us, enum store_full when_full) {
  enum backend backend = f->backend;
  fixture_end(f);
  fixture_init(f, backend, max_size);
  f->options.keep_us = keep_us;
  f->options.when_full = when_full;
  assert_int_equal(fixture_open(f), 0);
}

static struct blob *block_received(
    const char *stream, uint64_t first, uint32_t count, size_t value_size, int64_t received) {
  struct blob *block = draft_of(stream, count, value_size, 77, received);
  block_number(block, E1, first);
  return block;
}

/* A key every hour: the commit after it is when the writer looks. */
static void hours_pass(struct fixture *f, int hours) {
  for (int i = 0; i < hours; i++) {
    test_world_pass(&f->clock, INT64_C(3600) * SECOND_US);
    struct store_batch *batch = store_batch_new();
    store_batch_put(batch, STORE_META, TEXT("tick"), TEXT("tock"));
    fixture_commit_good(f, batch);
  }
}

static void what_is_too_old_goes_by_name(void **state) {
  struct fixture *f = *state;
  restart_with(f, 32 * MIB, INT64_C(10) * 3600 * SECOND_US, STORE_REFUSE);
  int64_t start = f->clock.wall;
  for (uint64_t i = 0; i < 100; i++) /* more than two segments */
    fixture_commit_good(f, batch_with(LANE_LIVE, block_received("q/s", 1 + i * 10, 10, 700, start + (int64_t)i)));
  hours_pass(f, 5);
  for (uint64_t i = 100; i < 110; i++)
    fixture_commit_good(f, batch_with(LANE_LIVE, block_received("q/s", 1 + i * 10, 10, 700, f->clock.wall)));
  assert_int_equal(named_of(f, "q/s").count, 0);
  hours_pass(f, 6);
  hours_pass(f, 6); /* the second trims what shared a segment with younger blocks */
  for (int round = 0; round < 2; round++) {
    struct named named = named_of(f, "q/s");
    assert_true(named.count >= 1);
    assert_int_equal(named.from, 1);
    assert_true(named.to >= 1000);
    assert_string_equal(named.reason, "keep");
    struct store_stream stream;
    assert_true(store_stream_get(f->store, TEXT("q/s"), &stream));
    assert_int_equal(stream.floor, named.to + 1);
    assert_int_equal(stream.last, 1100);
    struct intervals stored = INTERVALS_NULL;
    stored_sequences(f, "q/s", E1, &stored);
    if (stored.count) assert_int_equal(stored.items[0].from, named.to + 1);
    intervals_deinit(&stored);
    fixture_reopen(f);
  }
  assert_int_equal(
      fixture_commit_good(f, batch_with(LANE_BACKFILL, block_received("q/s", 500, 10, 0, start))), STORE_LATE);
  struct store_done *done = fixture_commit(f, batch_with(LANE_LIVE, block_received("q/s", 1101, 1, 0, f->clock.wall)));
  assert_int_equal(done->items[0].outcome, STORE_STORED);
  assert_int_equal(done->items[0].position, 111); /* positions go on */
  store_done_free(done);
}

/* What had not come when retention went past it, and comes now, is gone too: by name, and told with the commit. */
static void what_comes_too_late_is_named(void **state) {
  struct fixture *f = *state;
  restart_with(f, 32 * MIB, INT64_C(2) * 3600 * SECOND_US, STORE_REFUSE);
  int64_t start = f->clock.wall;
  fixture_commit_good(f, batch_with(LANE_LIVE, block_received("q/s", 1, 10, 700, start)));
  fixture_commit_good(f, batch_with(LANE_LIVE, block_received("q/s", 21, 10, 700, start)));
  hours_pass(f, 6);
  struct store_done *done = fixture_commit(f, batch_with(LANE_BACKFILL, block_received("q/s", 5, 16, 10, start)));
  assert_int_equal(done->items[0].outcome, STORE_LATE);
  assert_int_equal(done->discard_count, 1);
  assert_int_equal(done->discards[0].from, 11);
  assert_int_equal(done->discards[0].to, 20);
  store_done_free(done);
  for (int round = 0; round < 2; round++) {
    struct named named = named_of(f, "q/s");
    assert_int_equal(named.count, 3);
    assert_string_equal(named.reason, "late");
    fixture_reopen(f);
  }
}

static void an_emptied_log_goes_on_where_it_was(void **state) {
  struct fixture *f = *state;
  restart_with(f, 32 * MIB, SECOND_US * 3600, STORE_REFUSE);
  fixture_commit_good(f, batch_own(LANE_LIVE, "p/s", draft_of("p/s", 10, 0, 1, f->clock.wall)));
  hours_pass(f, 3);
  struct store_stats stats;
  store_stats(f->store, &stats);
  assert_true(stats.logs[LANE_LIVE].first > stats.logs[LANE_LIVE].last);
  assert_int_equal(stats.discarded_records, 10);
  fixture_reopen(f);
  struct store_done *done = fixture_commit(f, batch_own(LANE_LIVE, "p/s", draft_of("p/s", 1, 0, 1, f->clock.wall)));
  assert_int_equal(done->items[0].position, 2);
  assert_int_equal(done->items[0].first, 11);
  store_done_free(done);
}

/* Fills with blocks until one is refused; the number of the next record. */
static uint64_t fill(struct fixture *f, uint64_t next, size_t value_size) {
  for (int i = 0; i < 100000; i++, next += 10) {
    struct store_done *done =
        fixture_commit(f, batch_with(LANE_LIVE, block_received("q/s", next, 10, value_size, f->clock.wall)));
    bool refused = done->kind == STORE_DONE_REFUSED;
    if (refused) assert_int_equal(done->refusal, STORE_REFUSAL_FULL);
    store_done_free(done);
    if (refused) return next;
  }
  fail_msg("the store never was full");
  return 0;
}

static void full_is_refused_but_for_what_is_urgent(void **state) {
  struct fixture *f = *state;
  restart_with(f, 8 * MIB, 0, STORE_REFUSE);
  uint64_t next = fill(f, 1, 2000);
  assert_in_range(next, 2000, 4200);
  for (int round = 0; round < 2; round++) {
    for (uint64_t i = 0; i < 20; i++) {
      struct store_batch *batch = batch_own(LANE_URGENT, "p!urgent", draft_of("p!urgent", 1, 100, 1, f->clock.wall));
      store_batch_put(batch, STORE_COMMANDS, TEXT("command"), TEXT("state"));
      store_batch_urgent(batch);
      fixture_commit_good(f, batch);
    }
    struct store_batch *batch = store_batch_new();
    store_batch_delete(batch, STORE_COMMANDS, TEXT("command"));
    fixture_commit_good(f, batch);
    struct store_done *done =
        fixture_commit(f, batch_with(LANE_LIVE, block_received("q/s", next, 10, 2000, f->clock.wall)));
    assert_int_equal(done->kind, STORE_DONE_REFUSED);
    store_done_free(done);
    fixture_reopen(f);
  }
  assert_stored(f, "q/s", E1, 1, 1, next - 1);
  struct store_stats stats;
  store_stats(f->store, &stats);
  assert_true(stats.urgent_reserve_bytes > 0);
  assert_true(stats.used_bytes < stats.max_bytes);
}

static void the_oldest_is_discarded_by_name(void **state) {
  struct fixture *f = *state;
  restart_with(f, 16 * MIB, 0, STORE_DISCARD_OLDEST);
  fixture_commit_good(
      f, batch_own(LANE_URGENT, "p!urgent", draft_of("p!urgent", 3, 100, 1, f->clock.wall - SECOND_US)));
  uint64_t next = 1, told = 0;
  for (int i = 0; i < 3000; i++, next += 10) { /* four times its size */
    test_world_pass(&f->clock, 1000);
    struct store_done *trimmed = NULL;
    struct store_done *done =
        fixture_commit_seeing(f, batch_with(LANE_LIVE, block_received("q/s", next, 10, 2000, f->clock.wall)), &trimmed);
    assert_int_equal(done->kind, STORE_DONE_BATCH);
    store_done_free(done);
    for (size_t k = 0; trimmed && k < trimmed->discard_count; k++) {
      assert_int_equal(trimmed->discards[k].from, told + 1);
      told = trimmed->discards[k].to;
      assert_true(bytes_equal(trimmed->discards[k].reason, TEXT("full")));
    }
    store_done_free(trimmed);
  }
  assert_in_range(told, 10000, next);
  for (int round = 0; round < 2; round++) {
    assert_stored(f, "q/s", E1, 1, told + 1, next - 1);
    struct named named = named_of(f, "q/s");
    assert_int_equal(named.from, 1);
    assert_int_equal(named.to, told);
    struct store_stream stream;
    assert_true(store_stream_get(f->store, TEXT("p!urgent"), &stream));
    assert_stored(f, "p!urgent", stream.epoch, 1, 1, 3);
    fixture_reopen(f);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      BOTH(what_is_too_old_goes_by_name),
      BOTH(what_comes_too_late_is_named),
      BOTH(an_emptied_log_goes_on_where_it_was),
      BOTH(full_is_refused_but_for_what_is_urgent),
      BOTH(the_oldest_is_discarded_by_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
