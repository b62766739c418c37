/* An old copy of a store comes back: what it stored after the last common record is issued again under a new epoch, and
 * nothing is twice. */
#include "harness.h"

static void a_new_epoch_issues_again_what_is_not_common(void **state) {
  struct fixture *f = *state;
  struct epoch old = {0, 0}, fresh = {0, 0};
  for (int i = 0; i < 30; i++) {
    struct store_done *done =
        fixture_commit(f, batch_own(LANE_LIVE, "p/s", draft_of("p/s", 10, 3000, 1, f->clock.wall)));
    old = done->items[0].epoch;
    store_done_free(done);
  }
  fixture_commit_good(f, batch_own(LANE_LIVE, "p/t", draft_of("p/t", 10, 0, 1, f->clock.wall)));
  struct store_batch *batch = store_batch_new();
  store_batch_new_epoch(batch, TEXT("p/s"), 95, (struct epoch){.created = old.created + 5000000, .random = 3});
  store_batch_put(batch, STORE_META, TEXT("epoch"), TEXT("new"));
  assert_int_equal(store_submit(f->store, batch, NULL), 0);
  uint64_t next = 1, last_position = 31;
  for (bool more = true; more;) {
    struct store_done *done = fixture_next(f);
    for (size_t i = 0; done->kind == STORE_DONE_REISSUED && i < done->item_count; i++) {
      assert_int_equal(done->items[i].first, next);
      next = done->items[i].last + 1;
      assert_true(done->items[i].position > last_position);
      last_position = done->items[i].position;
      assert_non_null(done->items[i].block);
    }
    more = done->kind == STORE_DONE_REISSUED;
    if (!more) {
      assert_int_equal(done->kind, STORE_DONE_BATCH);
      assert_int_equal(done->items[0].first, 1);
      assert_int_equal(done->items[0].last, 205);
      fresh = done->items[0].epoch;
    }
    store_done_free(done);
  }
  assert_int_equal(next, 206);
  assert_int_equal(fresh.created, old.created + 5000001);
  for (int round = 0; round < 3; round++) {
    assert_held(f, "p/s", old, 1, 1, 95);
    assert_held(f, "p/s", fresh, 1, 1, 205);
    assert_stored(f, "p/s", old, 1, 1, 95);
    assert_stored(f, "p/s", fresh, 1, 1, 205);
    struct store_done *done = fixture_read(f, &(struct store_read){.what = STORE_READ_STREAM,
                                                  .stream = TEXT("p/s"),
                                                  .epoch = old,
                                                  .from = 90,
                                                  .to = 300,
                                                  .max_bytes = 1 << 20});
    struct intervals seen = INTERVALS_NULL;
    for (size_t i = 0; i < done->entry_count; i++) collect_sequences(done->entries[i].block, &seen);
    assert_ranges(&seen, 1, N(81), N(95));
    intervals_deinit(&seen);
    store_done_free(done);
    fixture_reopen(f);
  }
  struct store_done *done = fixture_commit(f, batch_own(LANE_LIVE, "p/s", draft_of("p/s", 1, 0, 2, f->clock.wall)));
  assert_int_equal(done->items[0].first, 206);
  assert_int_equal(epoch_compare(done->items[0].epoch, fresh), 0);
  store_done_free(done);
}

/* ---- what retention had taken ---- */

enum { HOUR = 3600 };

struct gone {
  struct epoch epoch;
  struct intervals ranges;
};
static void collect_gone(void *ctx, const struct store_discard *discard) {
  struct gone *gone = ctx;
  if (epoch_compare(discard->epoch, gone->epoch) != 0) return;
  assert_int_equal(discard->by.len, 0);
  assert_true(bytes_equal(discard->reason, TEXT("keep")));
  intervals_add(&gone->ranges, discard->from, discard->to);
}

static void assert_gone(struct fixture *f, struct epoch epoch, uint64_t to) {
  struct gone gone = {epoch, INTERVALS_NULL};
  store_discards(f->store, TEXT("p/s"), collect_gone, &gone);
  assert_ranges(&gone.ranges, 1, N(1), to);
  intervals_deinit(&gone.ranges);
}

static struct epoch commit_tens(struct fixture *f, int blocks) {
  struct epoch epoch = {0, 0};
  for (int i = 0; i < blocks; i++) {
    struct store_done *done = fixture_commit(f, batch_own(LANE_LIVE, "p/s", draft_of("p/s", 10, 0, 1, f->clock.wall)));
    epoch = done->items[0].epoch;
    store_done_free(done);
  }
  return epoch;
}

/* A commit a quarter of an hour: after it the writer looks for what is too old. */
static void hours_pass(struct fixture *f, int hours) {
  for (int i = 0; i < 4 * hours; i++) {
    test_world_pass(&f->clock, INT64_C(900) * SECOND_US);
    struct store_batch *batch = store_batch_new();
    store_batch_put(batch, STORE_META, TEXT("tick"), TEXT("tock"));
    fixture_commit_good(f, batch);
  }
}

static void restart_keeping(struct fixture *f, int hours) {
  enum backend backend = f->backend;
  fixture_end(f);
  fixture_init(f, backend, (uint64_t)32 << 20);
  f->options.keep_us = INT64_C(1) * hours * HOUR * SECOND_US;
  assert_int_equal(fixture_open(f), 0);
}

/* The completion names what is gone, for peers whose session is up. */
static struct epoch begin_epoch(struct fixture *f, uint64_t common, struct epoch above, uint64_t gone, uint64_t last) {
  struct store_batch *batch = store_batch_new();
  store_batch_new_epoch(batch, TEXT("p/s"), common, above);
  struct store_done *done = fixture_commit(f, batch);
  struct epoch fresh = done->items[0].epoch;
  assert_int_equal(done->kind, STORE_DONE_BATCH);
  assert_int_equal(done->items[0].last, last);
  assert_int_equal(done->discard_count, 1);
  assert_int_equal(epoch_compare(done->discards[0].epoch, fresh), 0);
  assert_int_equal(done->discards[0].from, 1);
  assert_int_equal(done->discards[0].to, gone);
  store_done_free(done);
  return fresh;
}

static void what_retention_took_keeps_its_place_and_name(void **state) {
  struct fixture *f = *state;
  restart_keeping(f, 10);
  struct epoch old = commit_tens(f, 5);
  hours_pass(f, 6);
  commit_tens(f, 5);
  hours_pass(f, 5); /* 1 to 50 are gone */
  assert_gone(f, old, 50);
  struct epoch fresh = begin_epoch(f, 30, old, 20, 70);
  for (int round = 0; round < 2; round++) {
    assert_gone(f, old, 30); /* above it the old numbers are nobody's any more */
    assert_gone(f, fresh, 20);
    assert_stored(f, "p/s", fresh, 1, 21, 70);
    fixture_reopen(f);
  }
  hours_pass(f, 12); /* the old epoch's entries go too, and name nothing above the common record */
  for (int round = 0; round < 2; round++) {
    assert_gone(f, old, 30);
    assert_gone(f, fresh, 70);
    fixture_reopen(f);
  }
}

static void where_retention_took_all_the_numbers_go_on(void **state) {
  struct fixture *f = *state;
  restart_keeping(f, 10);
  struct epoch old = commit_tens(f, 5);
  hours_pass(f, 12);
  struct epoch fresh = begin_epoch(f, 30, old, 20, 20);
  fixture_reopen(f);
  assert_gone(f, fresh, 20);
  struct store_done *done = fixture_commit(f, batch_own(LANE_LIVE, "p/s", draft_of("p/s", 1, 0, 2, f->clock.wall)));
  assert_int_equal(epoch_compare(done->items[0].epoch, fresh), 0);
  assert_int_equal(done->items[0].first, 21);
  store_done_free(done);
}

static void a_new_epoch_of_an_unknown_stream_just_begins(void **state) {
  struct fixture *f = *state;
  struct store_batch *batch = store_batch_new();
  struct epoch above = {.created = (uint64_t)f->clock.wall + 100, .random = UINT64_MAX};
  store_batch_new_epoch(batch, TEXT("p/s"), 0, above);
  struct store_done *done = fixture_commit(f, batch);
  assert_int_equal(done->kind, STORE_DONE_BATCH);
  assert_true(epoch_compare(done->items[0].epoch, above) > 0);
  store_done_free(done);
  fixture_reopen(f);
  struct store_stream stream;
  assert_true(store_stream_get(f->store, TEXT("p/s"), &stream));
  assert_int_equal(stream.last, 0);
  assert_true(epoch_compare(stream.epoch, above) > 0);
}

static void a_new_epoch_stands_alone(void **state) {
  struct fixture *f = *state;
  struct store_batch *batch = batch_own(LANE_LIVE, "p/s", draft_of("p/s", 1, 0, 2, f->clock.wall));
  store_batch_new_epoch(batch, TEXT("p/s"), 0, E1);
  struct store_done *done = fixture_commit(f, batch);
  assert_int_equal(done->kind, STORE_DONE_REFUSED);
  assert_int_equal(done->refusal, STORE_REFUSAL_MALFORMED);
  store_done_free(done);
}

/* The memory backend's disk is copied, as the simulator does with whole nodes. */
static void a_copied_disk_is_the_store_as_it_was(void **state) {
  struct fixture *f = *state;
  fixture_commit_good(f, batch_own(LANE_LIVE, "p/s", draft_of("p/s", 10, 0, 1, f->clock.wall)));
  struct memory_disk *copy = memory_disk_copy(f->disk);
  fixture_commit_good(f, batch_own(LANE_LIVE, "p/s", draft_of("p/s", 10, 0, 1, f->clock.wall)));
  assert_int_equal(
      store_submit(f->store, batch_own(LANE_LIVE, "p/s", draft_of("p/s", 10, 0, 1, f->clock.wall)), NULL), 0);
  assert_int_equal(store_memory_pending(f->store), 1);
  f->store = store_memory_crash(f->store);
  assert_int_equal(fixture_open(f), 0);
  struct store_stream stream;
  assert_true(store_stream_get(f->store, TEXT("p/s"), &stream));
  assert_int_equal(stream.last, 20); /* what was pending is gone, what was committed is not */
  f->store = store_close(f->store);
  f->disk = memory_disk_free(f->disk);
  f->disk = copy;
  assert_int_equal(fixture_open(f), 0);
  assert_true(store_stream_get(f->store, TEXT("p/s"), &stream));
  assert_int_equal(stream.last, 10);
  assert_stored(f, "p/s", stream.epoch, 1, 1, 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      BOTH(a_new_epoch_issues_again_what_is_not_common),
      BOTH(what_retention_took_keeps_its_place_and_name),
      BOTH(where_retention_took_all_the_numbers_go_on),
      BOTH(a_new_epoch_of_an_unknown_stream_just_begins),
      BOTH(a_new_epoch_stands_alone),
      {"memory/a_copied_disk_is_the_store_as_it_was", a_copied_disk_is_the_store_as_it_was, setup_memory, teardown,
          NULL},
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
