/* What a store promises, on both backends: numbering, what is a duplicate, claims, discards, tables, reads, reopening.
 */
#include "harness.h"

static void own_streams_are_numbered_without_holes(void **state) {
  struct fixture *f = *state;
  uint64_t next = 1;
  struct epoch epoch = {0, 0};
  for (uint32_t i = 1; i <= 5; i++) {
    struct store_done *done = fixture_commit(f, batch_own(LANE_LIVE, "p/s", draft_of("p/s", i, 0, 9, 100)));
    assert_int_equal(done->kind, STORE_DONE_BATCH);
    assert_int_equal(done->item_count, 1);
    assert_int_equal(done->items[0].first, next);
    assert_int_equal(done->items[0].last, next + i - 1);
    assert_int_equal(done->items[0].position, i);
    if (i > 1) assert_int_equal(epoch_compare(epoch, done->items[0].epoch), 0);
    struct block block;
    assert_int_equal(block_open(&block, blob_bytes(done->items[0].block)), 0);
    assert_int_equal(block.first, next);
    epoch = done->items[0].epoch;
    next += i;
    store_done_free(done);
    if (i == 3) fixture_reopen(f);
  }
  struct store_stream stream;
  assert_true(store_stream_get(f->store, TEXT("p/s"), &stream));
  assert_int_equal(stream.last, 15);
  assert_int_equal(stream.run_count, 1);
  assert_int_equal(stream.runs[0].run, 9);
  assert_int_equal(stream.runs[0].first, 1);
  assert_stored(f, "p/s", epoch, 1, 1, 15);
}

static void a_refused_batch_changes_nothing(void **state) {
  struct fixture *f = *state;
  fixture_commit_good(f, batch_own(LANE_LIVE, "p/s", draft_of("p/s", 2, 0, 9, 100)));
  struct blob *broken = block_of("q/s", E1, 1, 3);
  broken->data[broken->len - 1] ^= 1;
  struct store_batch *batch = batch_own(LANE_LIVE, "p/s", draft_of("p/s", 4, 0, 9, 100));
  store_batch_put(batch, STORE_META, TEXT("key"), TEXT("value"));
  store_batch_block(batch, LANE_LIVE, TEXT("peer"), 1, 1, 3, broken);
  struct store_done *done = fixture_commit(f, batch);
  assert_int_equal(done->kind, STORE_DONE_REFUSED);
  assert_int_equal(done->refusal, STORE_REFUSAL_MALFORMED);
  store_done_free(done);
  done = fixture_commit(f, batch_own(LANE_LIVE, "p/s", draft_of("p/s", 1, 0, 9, 100)));
  assert_int_equal(done->items[0].first, 3);
  assert_int_equal(done->items[0].position, 2);
  store_done_free(done);
  assert_held(f, "q/s", E1, 0, 0, 0);
  done = fixture_read(f, &(struct store_read){.what = STORE_READ_TABLE, .table = STORE_META, .max_bytes = 100});
  assert_int_equal(done->keyed_count, 0);
  store_done_free(done);
}

static void too_large_values_are_refused(void **state) {
  struct fixture *f = *state;
  char key[STORE_KEY_MAX + 1];
  memset(key, 'k', sizeof key);
  struct store_batch *batch = store_batch_new();
  store_batch_put(batch, STORE_META, bytes_of(key, sizeof key), TEXT("v"));
  struct store_done *done = fixture_commit(f, batch);
  assert_int_equal(done->kind, STORE_DONE_REFUSED);
  assert_int_equal(done->refusal, STORE_REFUSAL_TOO_LARGE);
  store_done_free(done);
  batch = store_batch_new();
  store_batch_put(batch, STORE_META, bytes_of(key, STORE_KEY_MAX), TEXT("v"));
  fixture_commit_good(f, batch);
}

static struct store_batch *ordered(struct bytes key) {
  struct store_batch *batch = store_batch_new();
  store_batch_put(batch, STORE_META, key, TEXT("v"));
  store_batch_in_order(batch);
  return batch;
}

static enum store_done_kind next_kind(struct fixture *f) {
  struct store_done *done = fixture_next(f);
  enum store_done_kind kind = done->kind;
  store_done_free(done);
  return kind;
}

static void what_follows_a_refused_batch_in_order_is_refused(void **state) {
  struct fixture *f = *state;
  char key[STORE_KEY_MAX + 1];
  memset(key, 'k', sizeof key);
  struct store_batch *apart = store_batch_new();
  store_batch_put(apart, STORE_META, TEXT("apart"), TEXT("v"));
  assert_int_equal(store_submit(f->store, ordered(TEXT("before")), NULL), 0);
  assert_int_equal(store_submit(f->store, ordered(bytes_of(key, sizeof key)), NULL), 0);
  assert_int_equal(store_submit(f->store, apart, NULL), 0);
  assert_int_equal(store_submit(f->store, ordered(TEXT("after")), NULL), 0);
  assert_int_equal(next_kind(f), STORE_DONE_BATCH);
  assert_int_equal(next_kind(f), STORE_DONE_REFUSED);
  assert_int_equal(next_kind(f), STORE_DONE_BATCH);
  assert_int_equal(next_kind(f), STORE_DONE_REFUSED);
  for (int i = 0; i < 2; i++) { /* the refusal is known now: what is submitted from here on is a new beginning */
    assert_int_equal(store_submit(f->store, ordered(TEXT("anew")), NULL), 0);
    assert_int_equal(next_kind(f), STORE_DONE_BATCH);
  }
}

static struct store_batch *urgent_ordered(struct bytes key) {
  struct store_batch *batch = ordered(key);
  store_batch_urgent(batch);
  return batch;
}

static void urgent_batches_have_an_order_of_their_own(void **state) {
  struct fixture *f = *state;
  char key[STORE_KEY_MAX + 1];
  memset(key, 'k', sizeof key);
  struct bytes bad = bytes_of(key, sizeof key);
  struct store_batch *batches[] = {urgent_ordered(bad), ordered(TEXT("other")), urgent_ordered(TEXT("after")),
      ordered(bad), urgent_ordered(TEXT("after")), ordered(TEXT("other"))};
  static const bool taken[] = {false, true, false, false, false, false};
  for (size_t i = 0; i < 6; i++) assert_int_equal(store_submit(f->store, batches[i], (void *)(uintptr_t)(i + 1)), 0);
  for (size_t i = 0; i < 6; i++) {
    struct store_done *done = fixture_next(f);
    size_t at = (uintptr_t)done->cookie - 1;
    assert_int_equal(done->kind, taken[at] ? STORE_DONE_BATCH : STORE_DONE_REFUSED);
    store_done_free(done);
  }
  assert_int_equal(store_submit(f->store, urgent_ordered(TEXT("anew")), NULL), 0);
  assert_int_equal(next_kind(f), STORE_DONE_BATCH);
  assert_int_equal(store_submit(f->store, ordered(TEXT("anew")), NULL), 0);
  assert_int_equal(next_kind(f), STORE_DONE_BATCH);
}

static void duplicates_are_taken_out(void **state) {
  struct fixture *f = *state;
  assert_int_equal(fixture_commit_good(f, batch_with(LANE_LIVE, block_of("q/s", E1, 1, 10))), STORE_STORED);
  assert_int_equal(fixture_commit_good(f, batch_with(LANE_BACKFILL, block_of("q/s", E1, 1, 10))), STORE_DUPLICATE);
  assert_int_equal(fixture_commit_good(f, batch_with(LANE_BACKFILL, block_of("q/s", E1, 3, 4))), STORE_DUPLICATE);
  struct store_done *done = fixture_commit(f, batch_with(LANE_BACKFILL, block_of("q/s", E1, 6, 10)));
  assert_int_equal(done->items[0].outcome, STORE_PARTIAL);
  assert_int_equal(done->items[0].first, 11);
  assert_int_equal(done->items[0].last, 15);
  assert_int_equal(done->items[0].lane, LANE_BACKFILL);
  assert_int_equal(done->items[0].position, 1);
  store_done_free(done);
  struct store_batch *batch = batch_with(LANE_LIVE, block_of("q/s", E1, 16, 5));
  store_batch_block(batch, LANE_LIVE, TEXT("peer"), 1, 1, 0, block_of("q/s", E1, 14, 10));
  done = fixture_commit(f, batch);
  assert_int_equal(done->items[0].outcome, STORE_STORED);
  assert_int_equal(done->items[1].outcome, STORE_PARTIAL);
  assert_int_equal(done->items[1].first, 21);
  store_done_free(done);
  assert_stored(f, "q/s", E1, 1, 1, 23);
  assert_held(f, "q/s", E1, 1, 1, 23);
  fixture_reopen(f);
  assert_int_equal(fixture_commit_good(f, batch_with(LANE_BACKFILL, block_of("q/s", E1, 1, 23))), STORE_DUPLICATE);
  assert_stored(f, "q/s", E1, 1, 1, 23);
  struct store_stats stats;
  store_stats(f->store, &stats);
  assert_true(stats.duplicates >= 23);
}

/* Two rules carry different records of the same range: neither is a duplicate of the other. */
static void filtered_blocks_of_one_range_do_not_displace_each_other(void **state) {
  struct fixture *f = *state;
  assert_int_equal(
      fixture_commit_good(f, batch_with(LANE_LIVE, block_every(block_of("q/s", E1, 1, 30), 3, 0))), STORE_STORED);
  assert_int_equal(
      fixture_commit_good(f, batch_with(LANE_LIVE, block_every(block_of("q/s", E1, 1, 30), 3, 1))), STORE_STORED);
  assert_int_equal(
      fixture_commit_good(f, batch_with(LANE_LIVE, block_every(block_of("q/s", E1, 1, 30), 3, 1))), STORE_DUPLICATE);
  assert_int_equal(fixture_commit_good(f, batch_with(LANE_LIVE, block_of("q/s", E1, 1, 30))), STORE_PARTIAL);
  assert_stored(f, "q/s", E1, 1, 1, 30);
}

static void epochs_are_apart(void **state) {
  struct fixture *f = *state;
  struct epoch later = {.created = 2000, .random = 1};
  assert_int_equal(fixture_commit_good(f, batch_with(LANE_LIVE, block_of("q/s", later, 1, 10))), STORE_STORED);
  assert_int_equal(fixture_commit_good(f, batch_with(LANE_BACKFILL, block_of("q/s", E1, 1, 10))), STORE_STORED);
  struct store_stream stream;
  assert_true(store_stream_get(f->store, TEXT("q/s"), &stream));
  assert_int_equal(stream.epoch.created, 2000);
  assert_held(f, "q/s", E1, 1, 1, 10);
}

static void claims_are_kept(void **state) {
  struct fixture *f = *state;
  struct store_batch *batch = store_batch_new();
  store_batch_claim(batch, TEXT("peer"), 5, TEXT("q/s"), E1, 1, 100);
  store_batch_block(batch, LANE_LIVE, TEXT("peer"), 5, 101, 120, block_of("q/s", E1, 110, 5));
  struct store_done *done = fixture_commit(f, batch);
  assert_int_equal(done->items[0].outcome, STORE_STORED);
  assert_true(done->items[0].position > 0);
  store_done_free(done);
  batch = store_batch_new();
  store_batch_claim(batch, TEXT("peer"), 5, TEXT("q/s"), E1, 50, 110);
  done = fixture_commit(f, batch);
  assert_int_equal(done->items[0].outcome, STORE_DUPLICATE);
  assert_int_equal(done->items[0].position, 0);
  store_done_free(done);
  batch = store_batch_new(); /* all of it is held, but the claim is new */
  store_batch_block(batch, LANE_LIVE, TEXT("other"), 6, 105, 130, block_of("q/s", E1, 110, 5));
  done = fixture_commit(f, batch);
  assert_int_equal(done->items[0].outcome, STORE_DUPLICATE);
  assert_null(done->items[0].block);
  assert_true(done->items[0].position > 0);
  store_done_free(done);
  for (int round = 0; round < 2; round++) {
    struct intervals claimed = INTERVALS_NULL;
    store_claimed(f->store, TEXT("q/s"), E1, TEXT("peer"), 5, &claimed);
    assert_ranges(&claimed, 1, N(1), N(120));
    intervals_clear(&claimed);
    store_claimed(f->store, TEXT("q/s"), E1, TEXT("peer"), 6, &claimed);
    assert_ranges(&claimed, 0);
    store_claimed(f->store, TEXT("q/s"), E1, TEXT("other"), 6, &claimed);
    assert_ranges(&claimed, 1, N(105), N(130));
    intervals_deinit(&claimed);
    assert_held(f, "q/s", E1, 1, 110, 114);
    fixture_reopen(f);
  }
}

struct discards_seen {
  size_t count;
  struct store_discard last;
  char reason[32];
};
static void see_discard(void *ctx, const struct store_discard *discard) {
  struct discards_seen *seen = ctx;
  seen->count++;
  seen->last = *discard;
  snprintf(seen->reason, sizeof seen->reason, BYTES_FMT, BYTES_ARG(discard->reason));
}

static void discards_are_kept_by_name(void **state) {
  struct fixture *f = *state;
  struct store_batch *batch = store_batch_new();
  struct store_discard discard = {
      .stream = TEXT("q/s"), .epoch = E1, .from = 5, .to = 9, .by = TEXT("q/s"), .reason = TEXT("full"), .time = 42};
  store_batch_discard(batch, &discard);
  discard.from = 10;
  discard.to = 12;
  store_batch_discard(batch, &discard);
  fixture_commit_good(f, batch);
  for (int round = 0; round < 2; round++) {
    struct discards_seen seen = {.count = 0};
    store_discards(f->store, TEXT("q/s"), see_discard, &seen);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.last.from, 5);
    assert_int_equal(seen.last.to, 12);
    assert_string_equal(seen.reason, "full");
    fixture_reopen(f);
  }
}

static bool count_rows(void *ctx, struct bytes key, struct bytes value) {
  size_t *count = ctx;
  char expected[16];
  snprintf(expected, sizeof expected, "key-%03zu", *count * 2 + 1);
  assert_true(bytes_equal(key, TEXT(expected)));
  assert_int_equal(value.len, 200);
  (*count)++;
  return true;
}

static void tables_keep_order_and_pages(void **state) {
  struct fixture *f = *state;
  struct store_batch *batch = store_batch_new();
  char key[16], value[200];
  memset(value, 'v', sizeof value);
  for (unsigned i = 0; i < 100; i++) {
    snprintf(key, sizeof key, "key-%03u", i * 37 % 100);
    store_batch_put(batch, STORE_COMMANDS, TEXT(key), bytes_of(value, sizeof value));
  }
  fixture_commit_good(f, batch);
  batch = store_batch_new();
  for (unsigned i = 0; i < 100; i += 2) {
    snprintf(key, sizeof key, "key-%03u", i);
    store_batch_delete(batch, STORE_COMMANDS, TEXT(key));
  }
  fixture_commit_good(f, batch);
  size_t count = 0;
  assert_int_equal(store_scan(f->store, STORE_COMMANDS, count_rows, &count), 0);
  assert_int_equal(count, 50);
  fixture_reopen(f);
  count = 0;
  assert_int_equal(store_scan(f->store, STORE_COMMANDS, count_rows, &count), 0);
  assert_int_equal(count, 50);
  size_t pages = 0, rows = 0;
  char from[STORE_KEY_MAX] = "key-010";
  struct store_read request = {.what = STORE_READ_TABLE, .table = STORE_COMMANDS, .key = TEXT(from), .max_bytes = 1000};
  for (uint64_t more = 1; more; pages++) {
    struct store_done *done = fixture_read(f, &request);
    assert_in_range(done->keyed_count, 1, 4);
    rows += done->keyed_count;
    struct bytes last = done->keyed[done->keyed_count - 1].key;
    memcpy(from, last.data, last.len);
    from[last.len] = 0;
    request.key = bytes_of(from, last.len + 1); /* the next key there can be */
    more = done->next;
    store_done_free(done);
  }
  assert_int_equal(rows, 45);
  assert_true(pages > 10);
}

static void logs_are_read_in_pieces(void **state) {
  struct fixture *f = *state;
  for (uint64_t i = 0; i < 40; i++)
    fixture_commit_good(f, batch_with(LANE_LIVE, block_of_size("q/s", E1, 1 + i * 5, 5, 3000)));
  struct intervals seen = INTERVALS_NULL;
  struct store_read request = {.what = STORE_READ_LOG, .lane = LANE_LIVE, .from = 3, .to = 38, .max_bytes = 50000};
  uint64_t position = 3, pieces = 0;
  do {
    struct store_done *done = fixture_read(f, &request);
    assert_in_range(done->entry_count, 1, 3);
    for (size_t i = 0; i < done->entry_count; i++) {
      assert_int_equal(done->entries[i].position, position++);
      assert_true(bytes_equal(done->entries[i].source, TEXT("peer")));
      collect_sequences(done->entries[i].block, &seen);
    }
    request.from = done->next;
    store_done_free(done);
    pieces++;
  } while (request.from);
  assert_int_equal(position, 39);
  assert_ranges(&seen, 1, N(11), N(190));
  assert_true(pieces >= 12);
  intervals_deinit(&seen);
}

static void a_stream_is_read_in_order_over_all_lanes(void **state) {
  struct fixture *f = *state;
  /* live went on from 1,001; what was missed follows as backfill; another stream stands between */
  for (uint64_t i = 0; i < 20; i++) {
    fixture_commit_good(f, batch_with(LANE_LIVE, block_of_size("q/s", E1, 1001 + i * 10, 10, 2000)));
    fixture_commit_good(f, batch_with(LANE_LIVE, block_of_size("q/t", E1, 1 + i * 10, 10, 500)));
    fixture_commit_good(f, batch_with(LANE_BACKFILL, block_of_size("q/s", E1, 801 + i * 10, 10, 2000)));
  }
  fixture_commit_good(f, batch_with(LANE_BACKFILL, block_of("q/s", E1, 1, 800)));
  struct intervals seen = INTERVALS_NULL;
  struct store_read request = {
      .what = STORE_READ_STREAM, .stream = TEXT("q/s"), .epoch = E1, .from = 700, .to = 1100, .max_bytes = 60000};
  uint64_t last = 0;
  do {
    struct store_done *done = fixture_read(f, &request);
    assert_true(done->entry_count >= 1);
    for (size_t i = 0; i < done->entry_count; i++) {
      struct block block;
      assert_int_equal(block_open(&block, blob_bytes(done->entries[i].block)), 0);
      assert_true(block.first > last);
      last = block.last;
      collect_sequences(done->entries[i].block, &seen);
    }
    request.from = done->next;
    store_done_free(done);
  } while (request.from);
  assert_ranges(&seen, 1, N(1), N(1100));
  intervals_deinit(&seen);
  struct store_done *done = fixture_read(
      f, &(struct store_read){.what = STORE_READ_STREAM, .stream = TEXT("none"), .from = 1, .to = 9, .max_bytes = 1});
  assert_int_equal(done->entry_count, 0);
  assert_int_equal(done->next, 0);
  store_done_free(done);
}

/* Blocks out of which duplicates were taken stand in each other's holes: a read that is cut short goes on before them.
 */
static void a_short_read_goes_on_among_blocks_that_overlap(void **state) {
  struct fixture *f = *state;
  fixture_commit_good(f, batch_with(LANE_LIVE, block_every(block_of("q/s", E1, 1, 12), 3, 1)));
  fixture_commit_good(f, batch_with(LANE_LIVE, block_every(block_of("q/s", E1, 1, 12), 3, 2)));
  fixture_commit_good(f, batch_with(LANE_BACKFILL, block_every(block_of("q/s", E1, 1, 12), 3, 0)));
  struct store_read request = {
      .what = STORE_READ_STREAM, .stream = TEXT("q/s"), .epoch = E1, .from = 1, .to = 12, .max_bytes = 1};
  for (size_t entries = 1; entries <= 3; entries++) {
    struct store_done *done = fixture_read(f, &request);
    assert_int_equal(done->entry_count, entries);
    assert_int_equal(done->next, entries < 3 ? request.from + 1 : 0);
    request.from = done->next;
    store_done_free(done);
  }
}

static void what_the_core_sees_follows_the_completions(void **state) {
  struct fixture *f = *state;
  assert_int_equal(store_submit(f->store, batch_with(LANE_LIVE, block_of("q/s", E1, 1, 10)), NULL), 0);
  if (f->backend == MEMORY) {
    store_memory_run(f->store, 1);
  } else {
    struct pollfd fd = {.fd = store_fd(f->store), .events = POLLIN};
    assert_int_equal(poll(&fd, 1, 60000), 1);
  }
  assert_held(f, "q/s", E1, 0, 0, 0); /* committed, but not told yet */
  struct store_done *done = store_next(f->store);
  assert_non_null(done);
  assert_held(f, "q/s", E1, 1, 1, 10);
  store_done_free(done);
  assert_null(store_next(f->store));
}

static void the_queue_is_bounded(void **state) {
  struct fixture *f = *state;
  size_t taken = 0;
  for (uint64_t i = 0; i < 10000; i++, taken++) {
    struct store_batch *batch = store_batch_new();
    store_batch_put(batch, STORE_META, TEXT("key"), TEXT("value"));
    if (store_submit(f->store, batch, NULL) == 0) continue;
    store_batch_free(batch);
    break;
  }
  assert_in_range(taken, 100, 9999);
  for (size_t i = 0; i < taken; i++) store_done_free(fixture_next(f));
  struct store_batch *batch = store_batch_new();
  store_batch_put(batch, STORE_META, TEXT("key"), TEXT("value"));
  fixture_commit_good(f, batch);
}

/* Enough small entries, and enough large ones, that the young end is sealed several times; everything is found again,
 * once. */
static void filling_and_sealing(void **state) {
  struct fixture *f = *state;
  uint64_t small = 1, large = 1;
  for (int i = 0; i < 400; i++) {
    struct store_batch *batch = batch_with(LANE_LIVE, block_of_size("q/small", E1, small, 3, 400));
    small += 3;
    for (int k = 0; i % 40 == 0 && k < 6; k++, large += 12)
      store_batch_block(batch, LANE_LIVE, TEXT("peer"), 1, 1, 0, block_of_size("q/large", E1, large, 12, 5000));
    fixture_commit_good(f, batch);
  }
  for (int round = 0; round < 2; round++) {
    assert_stored(f, "q/small", E1, 1, 1, small - 1);
    assert_stored(f, "q/large", E1, 1, 1, large - 1);
    assert_int_equal(
        fixture_commit_good(f, batch_with(LANE_BACKFILL, block_of("q/small", E1, 2, 300))), STORE_DUPLICATE);
    assert_int_equal(
        fixture_commit_good(f, batch_with(LANE_BACKFILL, block_of("q/large", E1, 200, 300))), STORE_DUPLICATE);
    fixture_reopen(f);
  }
  struct store_done *done = fixture_commit(f, batch_with(LANE_LIVE, block_of("q/large", E1, large - 5, 10)));
  assert_int_equal(done->items[0].outcome, STORE_PARTIAL);
  assert_int_equal(done->items[0].position, 461);
  store_done_free(done);
}

static void runs_tell_who_wrote_from_where(void **state) {
  struct fixture *f = *state;
  const uint64_t runs = 200;
  for (uint64_t run = 1; run <= runs; run++) {
    struct blob *block = draft_of("q/s", 5, 0, run, 100);
    block_number(block, E1, 1 + (run - 1) * 5);
    fixture_commit_good(f, batch_with(LANE_LIVE, block));
  }
  for (int round = 0; round < 2; round++) {
    struct store_stream stream;
    assert_true(store_stream_get(f->store, TEXT("q/s"), &stream));
    assert_int_equal(stream.run_count, STORE_RUNS_NEWEST + 3);
    /* of 64, 128 and 192 all three; of 96, 128, 160 and 192, the newest of five zero bits, what is so old */
    const uint64_t older[] = {64, 96, 128};
    for (size_t i = 0; i < 3; i++) assert_int_equal(stream.runs[i].run, older[i]);
    for (uint64_t i = 0; i < STORE_RUNS_NEWEST; i++) {
      assert_int_equal(stream.runs[3 + i].run, runs - STORE_RUNS_NEWEST + 1 + i);
      assert_int_equal(stream.runs[3 + i].first, 1 + (runs - STORE_RUNS_NEWEST + i) * 5);
    }
    fixture_reopen(f);
  }
}

static void a_store_remembers_its_creation(void **state) {
  struct fixture *f = *state;
  int64_t created = store_created(f->store);
  uint64_t run = store_run(f->store);
  assert_int_equal(created, f->clock.wall);
  assert_int_not_equal(run, 0);
  test_world_pass(&f->clock, SECOND_US);
  fixture_reopen(f);
  assert_int_equal(store_created(f->store), created);
  assert_int_not_equal(store_run(f->store), run);
}

/* ---- how many streams and epochs ---- */

static struct epoch epoch_number(uint64_t i) { return (struct epoch){.created = 5000 + i, .random = i}; }

static struct store_batch *claims(const char *stream, uint64_t first, uint64_t count) {
  struct store_batch *batch = store_batch_new();
  for (uint64_t i = 0; i < count; i++)
    store_batch_claim(batch, TEXT("peer"), 1, TEXT(stream), epoch_number(first + i), 1, 9);
  return batch;
}

static uint64_t refused_streams(struct fixture *f) {
  struct store_stats stats;
  store_stats(f->store, &stats);
  return stats.refused_streams;
}

static void epochs_of_a_stream_are_bounded(void **state) {
  struct fixture *f = *state;
  fixture_commit_good(f, claims("q/s", 0, STORE_EPOCHS_MAX / 2));
  for (uint64_t i = 0; i < STORE_EPOCHS_MAX; i++) assert_true(store_admits(f->store, TEXT("q/s"), epoch_number(i)));
  assert_false(store_admits(f->store, TEXT("q/s"), epoch_number(STORE_EPOCHS_MAX)));
  assert_int_equal(refused_streams(f), 1);
  fixture_commit_good(f, claims("q/s", STORE_EPOCHS_MAX / 2, STORE_EPOCHS_MAX / 2));
  assert_false(store_admits(f->store, TEXT("q/s"), epoch_number(STORE_EPOCHS_MAX)));
  fixture_reopen(f);
  assert_true(store_admits(f->store, TEXT("q/s"), epoch_number(3)));
  assert_false(store_admits(f->store, TEXT("q/s"), epoch_number(STORE_EPOCHS_MAX)));
  assert_true(store_admits(f->store, TEXT("q/t"), epoch_number(STORE_EPOCHS_MAX)));
}

/* Who never asked is stopped by the store itself: the whole batch, with its reason. */
static void a_batch_of_too_many_epochs_is_refused(void **state) {
  struct fixture *f = *state;
  fixture_commit_good(f, claims("q/s", 0, 2 * STORE_EPOCHS_MAX));
  struct store_batch *batch = claims("q/s", 2 * STORE_EPOCHS_MAX, 1);
  store_batch_put(batch, STORE_META, TEXT("key"), TEXT("value"));
  struct store_done *done = fixture_commit(f, batch);
  assert_int_equal(done->kind, STORE_DONE_REFUSED);
  assert_int_equal(done->refusal, STORE_REFUSAL_STREAMS);
  store_done_free(done);
  assert_int_equal(refused_streams(f), 1);
  batch = store_batch_new();
  store_batch_new_epoch(batch, TEXT("q/s"), 0, E1);
  done = fixture_commit(f, batch);
  assert_int_equal(done->refusal, STORE_REFUSAL_STREAMS);
  store_done_free(done);
  fixture_commit_good(f, claims("q/s", 0, 2 * STORE_EPOCHS_MAX)); /* what is known goes on */
  fixture_commit_good(f, batch_own(LANE_LIVE, "p/s", draft_of("p/s", 1, 0, 9, 100)));
}

static void pairs_are_bounded_in_all(void **state) {
  struct fixture *f = *state;
  uint64_t admitted = 0;
  char name[32];
  for (uint64_t i = 0; i < STORE_PAIRS_MAX + 10; i++) {
    snprintf(name, sizeof name, "q/s%llu", (unsigned long long)i);
    admitted += store_admits(f->store, TEXT(name), E1);
  }
  assert_int_equal(admitted, STORE_PAIRS_MAX);
  assert_int_equal(refused_streams(f), 10);
  assert_true(store_admits(f->store, TEXT("q/s7"), E1));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      BOTH(epochs_of_a_stream_are_bounded),
      BOTH(a_batch_of_too_many_epochs_is_refused),
      {"memory/pairs_are_bounded_in_all", pairs_are_bounded_in_all, setup_memory, teardown, NULL},
      BOTH(own_streams_are_numbered_without_holes),
      BOTH(a_refused_batch_changes_nothing),
      BOTH(too_large_values_are_refused),
      BOTH(what_follows_a_refused_batch_in_order_is_refused),
      BOTH(urgent_batches_have_an_order_of_their_own),
      BOTH(duplicates_are_taken_out),
      BOTH(filtered_blocks_of_one_range_do_not_displace_each_other),
      BOTH(epochs_are_apart),
      BOTH(claims_are_kept),
      BOTH(discards_are_kept_by_name),
      BOTH(tables_keep_order_and_pages),
      BOTH(logs_are_read_in_pieces),
      BOTH(a_stream_is_read_in_order_over_all_lanes),
      BOTH(a_short_read_goes_on_among_blocks_that_overlap),
      BOTH(what_the_core_sees_follows_the_completions),
      BOTH(the_queue_is_bounded),
      BOTH(filling_and_sealing),
      BOTH(runs_tell_who_wrote_from_where),
      BOTH(a_store_remembers_its_creation),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
