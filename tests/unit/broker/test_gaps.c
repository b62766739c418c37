/*
 * The gap ledger beside a reference that looks at each sequence by itself. The seed is printed; RIVERBUS_SEED sets it.
 */
#include "broker/gaps.h"
#include "common/base/world.h"
#include "draw.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBERS = 60, SOURCES = 3, DISCARDS = 6, TRIALS = 4000, ROWS = 512, S = 100 };

/* What is true of an epoch, sequence by sequence. */
struct truth {
  bool held[NUMBERS + 2], damaged[NUMBERS + 2], claimed[SOURCES][NUMBERS + 2], covers[SOURCES][SOURCES];
  int64_t received[NUMBERS + 2], covered_since;
  uint64_t last, floor, from;
  size_t source_count, discard_count;
  struct gap_discard discards[DISCARDS];
  struct gap_period period;
};
struct told {
  struct gap_row rows[ROWS];
  size_t count;
};

static void keep_row(void *ctx, const struct gap_row *row) {
  struct told *told = ctx;
  assert_true(told->count < ROWS);
  told->rows[told->count++] = *row;
}

/* ---- random truth ---- */

static const char *const names[] = {"", "q", "q/a", "hubei", "sichuan", "q/a via sichuan", "q via sichuan"};
static const char *const source_names[SOURCES] = {"anhui", "sichuan", "q"};
static const char *const reasons[] = {"keep", "full", "not-held", GAP_LOST_REASON};

static void draw_truth(struct truth *t, uint64_t *seed) {
  *t = (struct truth){.last = draw_below(seed, NUMBERS + 1), .from = 1};
  int64_t time = 1000;
  unsigned density = 1 + (unsigned)draw_below(seed, 9);
  for (uint64_t n = 1; n <= NUMBERS; n++) {
    time += draw_below(seed, 12) ? (int64_t)draw_below(seed, 40) : 300;
    t->received[n] = time;
    t->held[n] = n <= t->last && draw_below(seed, 10) < density;
    t->damaged[n] = !t->held[n] && n <= t->last && draw_below(seed, 20) == 0;
  }
  t->floor = draw_below(seed, 3) ? 1 : 1 + draw_below(seed, 20);
  for (uint64_t n = 1; n < t->floor; n++) t->held[n] = t->damaged[n] = false;
  t->source_count = draw_below(seed, SOURCES + 1);
  for (size_t s = 0; s < t->source_count; s++) {
    for (uint64_t from = 1 + draw_below(seed, 10); from <= NUMBERS; from += 1 + draw_below(seed, 20))
      for (uint64_t to = from + draw_below(seed, 15); from <= to && from <= NUMBERS; from++) t->claimed[s][from] = true;
    for (size_t other = 0; other < SOURCES; other++) t->covers[other][s] = draw_below(seed, 4) == 0;
  }
  t->covered_since = draw_below(seed, 2) ? INT64_MIN : 900 + (int64_t)draw_below(seed, 1200);
  t->discard_count = draw_below(seed, DISCARDS + 1);
  for (size_t d = 0; d < t->discard_count; d++) {
    uint64_t from = 1 + draw_below(seed, NUMBERS);
    t->discards[d] = (struct gap_discard){from, from + draw_below(seed, 12), bytes_text(names[draw_below(seed, 7)]),
        bytes_text(reasons[draw_below(seed, 4)]), 7};
  }
  t->period = (struct gap_period){INT64_MIN, INT64_MAX};
  if (draw_below(seed, 2)) t->period.since = 900 + (int64_t)draw_below(seed, 1200);
  if (draw_below(seed, 2)) t->period.until = 900 + (int64_t)draw_below(seed, 1800);
}

/* ---- the reference ---- */

/* Rules that include another's count behind a record that came when they held. */
static bool left_out(const struct truth *t, uint64_t n) {
  bool all = t->source_count > 0;
  uint64_t before = n;
  while (before >= 1 && !t->held[before]) before--;
  bool covers = before >= 1 && t->received[before] >= t->covered_since;
  for (size_t s = 0; s < t->source_count; s++) {
    bool one = t->claimed[s][n];
    for (size_t other = 0; other < t->source_count; other++)
      one = one || (covers && other != s && t->covers[other][s] && t->claimed[other][n]);
    all = all && one;
  }
  return all;
}

static bool any_left_out(const struct truth *t, uint64_t n) {
  bool any = false;
  for (size_t s = 0; s < t->source_count; s++) any = any || t->claimed[s][n];
  return any;
}

static int weight(const struct gap_discard *d) {
  struct bytes by = d->by.len ? d->by : bytes_text("hubei");
  bool origin = bytes_equal(by, bytes_text("q/a")), speaks = origin || bytes_equal(by, bytes_text("q"));
  if (speaks && bytes_equal(d->reason, bytes_text(GAP_LOST_REASON))) return 3;
  return origin ? 4 : bytes_equal(by, bytes_text("hubei")) ? 2 : 1;
}

static enum gap_state state_of(const struct truth *t, uint64_t n, bool *wanting) {
  int heaviest = 0;
  *wanting = true;
  if (t->damaged[n]) return GAP_DISCARDED;
  for (size_t d = 0; d < t->discard_count; d++)
    if (t->discards[d].from <= n && n <= t->discards[d].to && weight(&t->discards[d]) > heaviest)
      heaviest = weight(&t->discards[d]);
  *wanting = heaviest != 4;
  if (heaviest == 3) return GAP_LOST;
  if (heaviest == 4 || heaviest == 2) return GAP_DISCARDED;
  if (heaviest == 1) return left_out(t, n) ? GAP_DISCARDED : GAP_MISSING;
  if (n < t->floor) return GAP_DISCARDED;
  *wanting = !left_out(t, n);
  return *wanting ? GAP_MISSING : GAP_FILTERED;
}

/* Whether the sequence can belong to the period: what is not held lies between its held neighbours. */
static bool in_period(const struct truth *t, uint64_t n) {
  if (t->held[n]) return t->received[n] >= t->period.since && t->received[n] < t->period.until;
  uint64_t before = n, after = n;
  while (before >= 1 && !t->held[before]) before--;
  while (after <= t->last && !t->held[after]) after++;
  if (before >= 1 && t->received[before] >= t->period.until) return false;
  return after > t->last || t->received[after] >= t->period.since;
}

/* ---- compare ---- */

static void tell(const struct truth *t, struct gap_fold *fold, struct told *told) {
  struct gap_facts facts = {.node = bytes_text("hubei"),
      .stream = bytes_text("q/a"),
      .epoch = {1, 1},
      .floor = t->floor,
      .covered_since = t->covered_since,
      .discards = t->discards,
      .discard_count = t->discard_count};
  struct gap_source sources[SOURCES] = {0};
  struct gap_said said[SOURCES];
  for (size_t s = 0; s < t->source_count; s++) {
    for (uint64_t n = 1; n <= NUMBERS; n++)
      if (t->claimed[s][n]) intervals_add(&sources[s].claimed, n, n);
    said[s] = (struct gap_said){bytes_text(source_names[s]), sources[s].claimed};
  }
  facts.said = said;
  facts.said_count = t->source_count;
  gap_filtered(sources, t->source_count, &facts.filtered);
  for (size_t s = 0; s < t->source_count; s++)
    for (size_t other = 0; other < t->source_count; other++)
      if (t->covers[other][s]) sources[s].covered_by |= (uint64_t)1 << other;
  gap_filtered(sources, t->source_count, &facts.covered);
  gap_fold_init(fold, &t->period, S, keep_row, told);
  gap_fold_epoch(fold, &facts, t->from);
  /* told of a page at a time, before what is held of it */
  for (uint64_t n = t->from; n <= t->last; n++) {
    for (uint64_t of = n; n % 16 == t->from % 16 && of < n + 16 && of <= t->last; of++)
      if (t->damaged[of]) gap_fold_damaged(fold, of, of);
    if (t->held[n]) gap_fold_held(fold, n, n, t->received[n], t->received[n]);
  }
  gap_fold_epoch_end(fold, t->last);
  intervals_deinit(&facts.filtered);
  intervals_deinit(&facts.covered);
  for (size_t s = 0; s < t->source_count; s++) intervals_deinit(&sources[s].claimed);
}

static const struct gap_row *row_of(const struct told *told, uint64_t n) {
  for (size_t i = 0; i < told->count; i++)
    if (told->rows[i].from <= n && n <= told->rows[i].to) return &told->rows[i];
  return NULL;
}

static void assert_sequence(const struct truth *t, const struct told *told, uint64_t n) {
  const struct gap_row *row = row_of(told, n);
  bool wanting = false;
  assert_int_equal(row != NULL, in_period(t, n));
  if (!row) return;
  if (t->held[n]) {
    assert_int_equal(row->state, GAP_HELD);
    return;
  }
  enum gap_state state = state_of(t, n, &wanting);
  if (state != GAP_FILTERED || row->state != GAP_HELD) assert_int_equal(row->state, state);
  assert_int_equal(row->wanting, wanting);
  if (state != GAP_MISSING || !bytes_equal(row->reason, bytes_text(GAP_UNSAID_REASON))) return;
  /* some left it out; the one that is named has not said so */
  assert_true(any_left_out(t, n));
  for (size_t s = 0; s < t->source_count; s++)
    if (bytes_equal(row->by, bytes_text(source_names[s]))) assert_false(t->claimed[s][n]);
}

static void assert_rows(const struct truth *t, const struct told *told, const struct gap_fold *fold) {
  uint64_t held = 0, records = 0;
  bool wanting = false;
  for (size_t i = 0; i < told->count; i++) {
    assert_true(told->rows[i].from <= told->rows[i].to);
    if (i > 0) assert_true(told->rows[i].from > told->rows[i - 1].to);
    if (told->rows[i].state == GAP_HELD) records += told->rows[i].records;
    wanting = wanting || told->rows[i].wanting;
  }
  for (uint64_t n = 1; n <= t->last; n++) held += t->held[n] && in_period(t, n);
  assert_int_equal(records, held);
  assert_int_equal(fold->totals.held, held);
  assert_int_equal(fold->totals.wanting, wanting);
}

static void each_sequence_is_what_the_reference_says(void **state) {
  (void)state;
  uint64_t seed = draw_seed();
  for (int trial = 0; trial < TRIALS; trial++) {
    struct truth t;
    struct gap_fold fold;
    struct told told = {.count = 0};
    draw_truth(&t, &seed);
    tell(&t, &fold, &told);
    for (uint64_t n = 1; n <= t.last; n++) assert_sequence(&t, &told, n);
    assert_rows(&t, &told, &fold);
    gap_fold_deinit(&fold);
  }
}

/* Silent: a moment of the period with no record held in the S before it and after the record before; each moment is
 * looked at. */
static bool is_silent(const struct truth *t, int64_t now, int64_t moment) {
  int64_t before = 0, after = 0;
  bool named = false, wanting;
  for (uint64_t n = 1; n <= t->last && !after; n++) {
    if (!t->held[n]) named = named || state_of(t, n, &wanting) != GAP_FILTERED;
    if (!t->held[n]) continue;
    if (t->received[n] > moment) {
      after = t->received[n];
    } else {
      before = t->received[n];
      named = false;
    }
  }
  if (before && after && named) return false;
  bool open = t->period.until == INT64_MAX;
  if (moment < t->period.since || moment >= (open ? now : t->period.until)) return false;
  if (!before && t->period.since == INT64_MIN) return !after;
  if (!before) return true;
  if (!after) return !open || now - before >= S;
  return after - before > S + 1;
}

static void each_moment_is_what_the_reference_says(void **state) {
  (void)state;
  uint64_t seed = draw_seed();
  for (int trial = 0; trial < TRIALS / 20; trial++) {
    struct truth t;
    struct gap_fold fold;
    struct told told = {.count = 0};
    draw_truth(&t, &seed);
    int64_t now = t.received[NUMBERS] + (int64_t)draw_below(&seed, 3 * S);
    t.period.until = INT64_MAX; /* a record behind the end of a period is there or not: next test */
    tell(&t, &fold, &told);
    told.count = 0;
    gap_fold_end(&fold, now);
    for (int64_t moment = 900; moment < now; moment++) {
      bool silent = false;
      for (size_t i = 0; i < told.count; i++)
        silent = silent || (told.rows[i].since <= moment && moment < told.rows[i].until);
      assert_int_equal(silent, is_silent(&t, now, moment));
    }
    gap_fold_deinit(&fold);
  }
}

/* ---- by example ---- */

struct scene {
  struct gap_facts facts;
  struct gap_fold fold;
  struct told told;
};

static void scene_begin(struct scene *scene, int64_t since, int64_t until) {
  struct gap_period period = {since, until};
  scene->told.count = 0;
  scene->facts = (struct gap_facts){.node = bytes_text("hubei"), .stream = bytes_text("q/a"), .floor = 1};
  gap_fold_init(&scene->fold, &period, S, keep_row, &scene->told);
  gap_fold_epoch(&scene->fold, &scene->facts, 1);
}

static void assert_row(const struct scene *scene, size_t index, enum gap_state state, int64_t since, int64_t until) {
  assert_true(index < scene->told.count);
  assert_int_equal(scene->told.rows[index].state, state);
  assert_int_equal(scene->told.rows[index].since, since);
  assert_int_equal(scene->told.rows[index].until, until);
}

static void a_period_is_proven_by_a_record_behind_its_end(void **state) {
  (void)state;
  struct scene scene;
  scene_begin(&scene, 1000, 1200);
  gap_fold_held(&scene.fold, 1, 4, 950, 1060);
  gap_fold_held(&scene.fold, 5, 5, 1140, 1140);
  gap_fold_held(&scene.fold, 6, 6, 1210, 1210);
  assert_true(scene.fold.past);
  gap_fold_epoch_end(&scene.fold, 9);
  gap_fold_end(&scene.fold, 5000);
  assert_int_equal(scene.told.count, 1);
  assert_row(&scene, 0, GAP_HELD, 950, 1140);
  assert_false(scene.fold.totals.wanting);
  gap_fold_deinit(&scene.fold);
}

static void without_one_the_end_is_silent(void **state) {
  (void)state;
  struct scene scene;
  scene_begin(&scene, 1000, 1200);
  gap_fold_held(&scene.fold, 1, 4, 1000, 1150);
  gap_fold_epoch_end(&scene.fold, 4);
  gap_fold_end(&scene.fold, 5000);
  assert_int_equal(scene.told.count, 2);
  assert_row(&scene, 1, GAP_SILENT, 1150, 1200);
  assert_true(scene.fold.totals.wanting);
  gap_fold_deinit(&scene.fold);
}

static void a_station_that_was_off_is_silent_for_that_time(void **state) {
  (void)state;
  struct scene scene;
  scene_begin(&scene, INT64_MIN, INT64_MAX);
  gap_fold_held(&scene.fold, 1, 4, 1000, 1090);
  gap_fold_held(&scene.fold, 5, 9, 4700, 4790);
  gap_fold_epoch_end(&scene.fold, 9);
  gap_fold_end(&scene.fold, 4800);
  assert_int_equal(scene.told.count, 2);
  assert_row(&scene, 0, GAP_HELD, 1000, 4790);
  assert_row(&scene, 1, GAP_SILENT, 1090, 4700);
  assert_int_equal(scene.fold.totals.silent_us, 3610);
  gap_fold_deinit(&scene.fold);
}

static void a_new_epoch_goes_on_in_time(void **state) {
  (void)state;
  struct scene scene;
  scene_begin(&scene, INT64_MIN, INT64_MAX);
  gap_fold_held(&scene.fold, 1, 4, 1000, 1090);
  gap_fold_epoch_end(&scene.fold, 6);
  struct gap_facts second = scene.facts;
  second.epoch.created = 5;
  gap_fold_epoch(&scene.fold, &second, 1);
  gap_fold_held(&scene.fold, 1, 2, 1110, 1200);
  gap_fold_epoch_end(&scene.fold, 2);
  gap_fold_end(&scene.fold, 1210);
  assert_int_equal(scene.told.count, 3);
  assert_row(&scene, 1, GAP_MISSING, 1090, 0);
  assert_int_equal(scene.told.rows[1].from, 5);
  assert_int_equal(scene.told.rows[1].to, 6);
  assert_int_equal(scene.told.rows[2].epoch.created, 5);
  gap_fold_deinit(&scene.fold);
}

static void what_is_filtered_between_is_no_row_of_its_own(void **state) {
  (void)state;
  struct scene scene;
  scene_begin(&scene, INT64_MIN, INT64_MAX);
  intervals_add(&scene.facts.filtered, 1, 90);
  for (uint64_t n = 10; n <= 90; n += 10) gap_fold_held(&scene.fold, n, n, (int64_t)n, (int64_t)n);
  gap_fold_epoch_end(&scene.fold, 92);
  assert_int_equal(scene.told.count, 2);
  assert_row(&scene, 0, GAP_HELD, 10, 90);
  assert_int_equal(scene.told.rows[0].from, 1);
  assert_int_equal(scene.told.rows[0].to, 90);
  assert_int_equal(scene.told.rows[0].records, 9);
  assert_int_equal(scene.fold.totals.filtered, 81);
  assert_row(&scene, 1, GAP_MISSING, 90, 0);
  intervals_deinit(&scene.facts.filtered);
  gap_fold_deinit(&scene.fold);
}

/* One source says that nothing of it is for us, the other says nothing at all: that is no proof, though the rules of
 * the first include the other's, unless they held already. */
static void who_says_nothing_is_waited_for(void **state) {
  (void)state;
  struct scene scene;
  scene_begin(&scene, INT64_MIN, INT64_MAX);
  struct gap_said said[] = {{bytes_text("q"), INTERVALS_NULL}, {bytes_text("sichuan"), INTERVALS_NULL}};
  intervals_add(&said[0].ranges, 1, 90);
  scene.facts.said = said;
  scene.facts.said_count = 2;
  intervals_add(&scene.facts.covered, 1, 90);
  scene.facts.covered_since = 1050;
  gap_fold_held(&scene.fold, 10, 10, 1000, 1000); /* 1 to 9 before anything, 11 to 19 behind what came too early */
  gap_fold_held(&scene.fold, 20, 20, 1060, 1060);
  gap_fold_held(&scene.fold, 30, 30, 1070, 1070);
  gap_fold_epoch_end(&scene.fold, 30);
  assert_int_equal(scene.told.count, 4);
  assert_row(&scene, 0, GAP_MISSING, 0, 1000);
  assert_row(&scene, 2, GAP_MISSING, 1000, 1060);
  assert_true(bytes_equal(scene.told.rows[2].by, bytes_text("sichuan")));
  assert_true(bytes_equal(scene.told.rows[2].reason, bytes_text(GAP_UNSAID_REASON)));
  assert_row(&scene, 3, GAP_HELD, 1060, 1070);
  assert_int_equal(scene.fold.totals.missing, 18);
  assert_int_equal(scene.fold.totals.filtered, 9);
  assert_true(scene.fold.totals.wanting);
  intervals_deinit(&scene.facts.covered);
  intervals_deinit(&said[0].ranges);
  gap_fold_deinit(&scene.fold);
}

/* What a relay says of the origin is not the origin's word. */
static void a_discard_that_a_relay_tells_proves_nothing(void **state) {
  (void)state;
  struct scene scene;
  struct gap_discard gone = {2, 4, bytes_text("q/a via sichuan"), bytes_text("full"), 7};
  for (int all = 0; all < 2; all++) {
    scene_begin(&scene, INT64_MIN, INT64_MAX);
    scene.facts.discards = &gone;
    scene.facts.discard_count = 1;
    if (all) intervals_add(&scene.facts.filtered, 2, 4); /* each source has said that nothing of it comes */
    gap_fold_held(&scene.fold, 1, 1, 1000, 1000);
    gap_fold_held(&scene.fold, 5, 5, 1010, 1010);
    gap_fold_epoch_end(&scene.fold, 5);
    assert_row(&scene, 1, all ? GAP_DISCARDED : GAP_MISSING, 1000, 1010);
    assert_true(bytes_equal(scene.told.rows[1].by, gone.by));
    assert_true(scene.fold.totals.wanting);
    intervals_deinit(&scene.facts.filtered);
    gap_fold_deinit(&scene.fold);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_sequence_is_what_the_reference_says),
      cmocka_unit_test(each_moment_is_what_the_reference_says),
      cmocka_unit_test(a_period_is_proven_by_a_record_behind_its_end),
      cmocka_unit_test(without_one_the_end_is_silent),
      cmocka_unit_test(a_station_that_was_off_is_silent_for_that_time),
      cmocka_unit_test(a_new_epoch_goes_on_in_time),
      cmocka_unit_test(what_is_filtered_between_is_no_row_of_its_own),
      cmocka_unit_test(who_says_nothing_is_waited_for),
      cmocka_unit_test(a_discard_that_a_relay_tells_proves_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
