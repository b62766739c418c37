/* Thinned and delayed feeds against what a few lines say: of each address the first reading of a bucket, none before
 * its time; over cuts, restarts, full stores and holes that are filled later. */
#include "common/node/parts.h"
#include "tests/unit/node/chain.h"

enum { READINGS_MAX = 600 };
#define EVERY (10 * SECOND_US)
#define DELAY (20 * SECOND_US)

struct made {
  int address;
  int64_t received, stored; /* wall; the chain's time */
};
static struct made made[READINGS_MAX];
static size_t made_count;
static const char *const addresses[] = {"a/s/g/level", "a/s/g/flow", "a/t/g/level"};

static void make(struct chain *chain) {
  assert_true(made_count < READINGS_MAX);
  int address = (int)(chain->random >> 40) % 3;
  chain_random(chain, &(uint8_t){0}, 1);
  made[made_count] = (struct made){address, chain_now(chain).wall, chain->now};
  chain_measure(chain, A, addresses[address], (int64_t)made_count++);
}

/* The reference. */
static bool is_first_of_bucket(size_t id) {
  for (size_t i = 0; i < id; i++)
    if (made[i].address == made[id].address && made[i].received / EVERY == made[id].received / EVERY) return false;
  return true;
}

static void assert_thinned(struct chain *chain, int at) {
  for (size_t i = 0; i < made_count; i++) {
    size_t times = chain_times(chain, at, (int64_t)i);
    if (times != (size_t)is_first_of_bucket(i))
      print_error("%s has reading %zu %zu times\n", province_name(at), i, times);
    assert_int_equal(times, is_first_of_bucket(i));
  }
}

static uint64_t draw(struct chain *chain, uint64_t below) {
  uint32_t random;
  chain_random(chain, &random, sizeof random);
  return random % below;
}

static int setup_paced(void **state) {
  chain_setup(state);
  made_count = 0;
  return 0;
}

/* ---- thinned ---- */

static void one_reading_a_bucket(void **state) {
  struct chain *chain = *state;
  chain->feeds[A][B][0].every_us = EVERY;
  chain_start(chain);
  for (int i = 0; i < 10; i++) {
    make(chain);
    chain_pass(chain, 3 * SECOND_US);
  }
  chain_join(chain, A, B);
  for (int i = 0; i < 30; i++) {
    make(chain);
    chain_pass(chain, 2 * SECOND_US);
  }
  chain_pass(chain, 4 * SECOND_US);
  assert_thinned(chain, B);
  struct intervals claimed = INTERVALS_NULL;
  chain_claimed(chain, B, A, 101, A, &claimed); /* what does not pass is filtered, not missing */
  assert_true(intervals_covers(&claimed, 1, chain_last(chain, A)));
  intervals_deinit(&claimed);
}

static void make_at(struct chain *chain, int address) {
  made[made_count] = (struct made){address, chain_now(chain).wall, chain->now};
  chain_measure(chain, A, addresses[address], (int64_t)made_count++);
}

/* A long bucket: evaluation has to look back further than it does at first, for one that was in it long before, and
 * for one that was not. */
static void the_look_back_reaches_the_bucket_before(void **state) {
  struct chain *chain = *state;
  chain->feeds[A][B][0].every_us = EVERY;
  chain->now = EVERY; /* a bucket begins: the wall clock's whole seconds are those of the chain */
  chain_start(chain);
  chain_join(chain, A, B);
  make_at(chain, 1);
  for (int i = 0; i < 480; i++) {
    make_at(chain, 0);
    chain->now += 2 * MILLISECOND_US;
  }
  chain_pass(chain, 2 * SECOND_US);
  chain_cut(chain, A, B);
  make_at(chain, 1);
  make_at(chain, 2);
  chain_join(chain, A, B);
  chain_pass(chain, 4 * SECOND_US);
  assert_thinned(chain, B);
  assert_int_equal(chain_status(chain, B, A).duplicates, 0);
}

static void disturb(struct chain *chain) {
  static const int links[2][2] = {{A, B}, {B, C}};
  const int *link = links[draw(chain, 2)];
  switch (draw(chain, 12)) {
    case 0:
    case 1:
    case 2:
      if (chain->joined[link[0]][link[1]])
        chain_cut(chain, link[0], link[1]);
      else
        chain_join(chain, link[0], link[1]);
      break;
    case 3: chain_restart(chain, (int)draw(chain, PROVINCES)); break;
    case 4:
      store_memory_faults(chain->provinces[link[1]].store, &(struct memory_faults){.full = draw(chain, 2) == 0});
      break;
    default: break;
  }
}

static void heal(struct chain *chain) {
  for (int n = 0; n < PROVINCES; n++) store_memory_faults(chain->provinces[n].store, &(struct memory_faults){0});
  if (!chain->joined[A][B]) chain_join(chain, A, B);
  if (!chain->joined[B][C]) chain_join(chain, B, C);
  chain_pass(chain, 90 * SECOND_US);
}

/* a gives b all, c gets of it from b one reading a bucket: what b gets by backfill fills holes before what c has. */
static void thinned_behind_holes(struct chain *chain, uint64_t seed) {
  chain->random = seed;
  made_count = 0;
  chain->feeds[B][C][0].every_us = EVERY;
  chain_start(chain);
  chain_join(chain, A, B);
  chain_join(chain, B, C);
  for (int i = 0; i < 150; i++) {
    disturb(chain);
    for (uint64_t k = draw(chain, 3); k > 0; k--) make(chain);
    chain_pass(chain, (int64_t)draw(chain, 4) * SECOND_US);
  }
  heal(chain);
  assert_thinned(chain, C);
}

static void whatever_happens_one_reading_a_bucket(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 12; seed++) {
    void *again;
    setup_paced(&again);
    print_message("seed %llu\n", (unsigned long long)seed);
    thinned_behind_holes(again, seed);
    chain_teardown(&again);
  }
  chain_start(*state);
}

/* ---- delayed ---- */

static void assert_not_too_early(struct chain *chain) {
  for (size_t i = 0; i < made_count; i++)
    if (chain->now - made[i].stored < DELAY) assert_int_equal(chain_times(chain, B, (int64_t)i), 0);
}

static void nothing_goes_before_its_time(void **state) {
  struct chain *chain = *state;
  chain->feeds[A][B][0].delay_us = DELAY;
  chain_start(chain);
  chain_join(chain, A, B);
  for (int i = 0; i < 60; i++) {
    make(chain);
    chain_pass(chain, SECOND_US);
    assert_not_too_early(chain);
  }
  for (size_t i = 0; i < 30; i++) assert_int_equal(chain_times(chain, B, (int64_t)i), 1); /* and not much later */
  chain_pass(chain, DELAY + 10 * SECOND_US);
  for (size_t i = 0; i < made_count; i++) assert_int_equal(chain_times(chain, B, (int64_t)i), 1);
  assert_int_equal(chain_status(chain, B, A).duplicates, 0);
}

/* With thinning as well, and whatever happens; in the end b has the same as without delay. */
static void delayed_and_thinned(struct chain *chain, uint64_t seed) {
  chain->random = seed;
  made_count = 0;
  chain->feeds[A][B][0].delay_us = DELAY;
  chain->feeds[A][B][0].every_us = EVERY;
  chain_start(chain);
  chain_join(chain, A, B);
  for (int i = 0; i < 100; i++) {
    if (draw(chain, 10) < 2) chain_restart(chain, (int)draw(chain, 2));
    if (!chain->joined[A][B] && draw(chain, 2)) chain_join(chain, A, B);
    if (draw(chain, 10) == 0 && chain->joined[A][B]) chain_cut(chain, A, B);
    for (uint64_t k = draw(chain, 3); k > 0; k--) make(chain);
    chain_pass(chain, (int64_t)draw(chain, 4) * SECOND_US);
    assert_not_too_early(chain);
  }
  if (!chain->joined[A][B]) chain_join(chain, A, B);
  chain_pass(chain, 2 * DELAY + 60 * SECOND_US);
  assert_thinned(chain, B);
}

static void whatever_happens_nothing_goes_too_early(void **state) {
  for (uint64_t seed = 1; seed <= 12; seed++) {
    void *again;
    setup_paced(&again);
    print_message("seed %llu\n", (unsigned long long)seed);
    delayed_and_thinned(again, seed);
    chain_teardown(&again);
  }
  chain_start(*state);
}

/* The age of what is stored outlives the process: after an hour it is due at once. */
static void what_is_old_is_due_after_a_restart(void **state) {
  struct chain *chain = *state;
  chain->feeds[A][B][0].delay_us = 200 * SECOND_US;
  chain_start(chain);
  for (int i = 0; i < 5; i++) make(chain);
  chain_pass(chain, 130 * SECOND_US); /* the marks are kept once a minute */
  chain_restart(chain, A);
  chain_join(chain, A, B);
  chain_pass(chain, 50 * SECOND_US);
  assert_int_equal(chain_times(chain, B, 0), 0);
  chain_pass(chain, 50 * SECOND_US); /* 230 s after it was stored, 100 s after the start */
  for (int64_t i = 0; i < 5; i++) assert_int_equal(chain_times(chain, B, i), 1);
}

/* The immediate feed does not wait for the delayed one, and keeps its order in the live lane. */
static bool keep_by_feed(const struct chain *chain, int at, int to, size_t feed, const struct record *record) {
  (void)chain, (void)at, (void)to;
  bool level = record->address.data[record->address.len - 1] == 'l';
  return record->kind == RECORD_READING && level == (feed == 0);
}

static void the_immediate_feed_does_not_wait(void **state) {
  struct chain *chain = *state;
  chain->keep = keep_by_feed;
  chain->feeds[A][B][1] = (struct node_feed){.scope = 901, .delay_us = DELAY};
  chain->feed_count[A][B] = 2;
  chain_start(chain);
  chain_join(chain, A, B);
  chain_measure(chain, A, "a/s/g/flow", 1);
  chain_measure(chain, A, "a/s/g/level", 2);
  chain_pass(chain, SECOND_US);
  assert_int_equal(chain_times(chain, B, 1), 0);
  assert_int_equal(chain_times(chain, B, 2), 1);
  chain_pass(chain, DELAY + 5 * SECOND_US);
  struct found found = {.value = 1};
  store_replay(chain->provinces[B].store, LANE_BACKFILL, 1, find_value, &found);
  assert_int_equal(found.times, 1);
  assert_int_equal(chain_times(chain, B, 1), 1);
}

/* ---- marks ---- */

static void marks_never_say_that_something_is_older_than_it_is(void **state) {
  struct chain *chain = *state;
  struct marks marks = {0};
  enum { SECONDS = 5000 };
  uint64_t positions[LANES] = {0};
  chain_start(chain);
  for (int64_t second = 1; second <= SECONDS; second++) {
    positions[LANE_LIVE] = (uint64_t)(10 * second);
    marks_add(&marks, positions, second * SECOND_US, SECOND_US, 4000 * SECOND_US);
    assert_true(marks.count <= MARKS_MAX);
  }
  double worst = 0;                                          /* in parts of the age */
  for (int64_t second = 1100; second <= SECONDS; second++) { /* stored in that second, before its mark */
    int64_t due = marks_due(&marks, LANE_LIVE, (uint64_t)(10 * second), 0);
    assert_true(due >= second * SECOND_US);
    double part = (double)(due - second * SECOND_US) / (double)((SECONDS + 1 - second) * SECOND_US);
    if (part > worst && second < SECONDS - 100) worst = part;
  }
  assert_true(worst < 0.1);
  assert_true(marks_due(&marks, LANE_LIVE, 10 * SECONDS + 1, 0) == INT64_MAX);
  marks_deinit(&marks);
}

int main(void) {
  log_set_level(LOG_LEVEL_ERROR);
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup_paced, chain_teardown)
  const struct CMUnitTest tests[] = {
      TEST(one_reading_a_bucket),
      TEST(the_look_back_reaches_the_bucket_before),
      TEST(whatever_happens_one_reading_a_bucket),
      TEST(nothing_goes_before_its_time),
      TEST(whatever_happens_nothing_goes_too_early),
      TEST(what_is_old_is_due_after_a_restart),
      TEST(the_immediate_feed_does_not_wait),
      TEST(marks_never_say_that_something_is_older_than_it_is),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
