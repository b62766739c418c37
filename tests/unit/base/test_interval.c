#include "common/base/interval.h"
#include "common/base/world.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>

static void assert_set(const struct intervals *set, size_t count, const struct interval *want) {
  assert_int_equal(set->count, count);
  for (size_t i = 0; i < count; i++) {
    assert_true(set->items[i].from == want[i].from);
    assert_true(set->items[i].to == want[i].to);
  }
}
#define ASSERT_SET(set, ...)                                                                                           \
  assert_set(set, sizeof((struct interval[]){__VA_ARGS__}) / sizeof(struct interval), (struct interval[]){__VA_ARGS__})

static void touching_ranges_join(void **state) {
  (void)state;
  struct intervals set = INTERVALS_NULL;
  intervals_add(&set, 1, 2);
  intervals_add(&set, 4, 5);
  ASSERT_SET(&set, {1, 2}, {4, 5});
  intervals_add(&set, 3, 3);
  ASSERT_SET(&set, {1, 5});
  intervals_add(&set, 0, 0);
  ASSERT_SET(&set, {0, 5});
  intervals_deinit(&set);
  intervals_deinit(&set);
}

static void the_ends_of_the_numbers_work(void **state) {
  (void)state;
  struct intervals set = INTERVALS_NULL;
  intervals_add(&set, UINT64_MAX, UINT64_MAX);
  intervals_add(&set, 0, 0);
  assert_true(intervals_size(&set) == 2);
  intervals_add(&set, 0, UINT64_MAX);
  ASSERT_SET(&set, {0, UINT64_MAX});
  assert_true(intervals_size(&set) == UINT64_MAX);
  assert_true(intervals_first_missing(&set, 5) == UINT64_MAX);
  intervals_remove(&set, 0, 0);
  intervals_remove(&set, UINT64_MAX, UINT64_MAX);
  ASSERT_SET(&set, {1, UINT64_MAX - 1});
  assert_true(intervals_first_missing(&set, 1) == UINT64_MAX);
  assert_true(intervals_first_missing(&set, 0) == 0);
  intervals_deinit(&set);
}

static void removing_splits(void **state) {
  (void)state;
  struct intervals set = INTERVALS_NULL;
  intervals_add(&set, 10, 20);
  intervals_remove(&set, 13, 15);
  ASSERT_SET(&set, {10, 12}, {16, 20});
  intervals_remove(&set, 12, 16);
  ASSERT_SET(&set, {10, 11}, {17, 20});
  intervals_remove(&set, 0, 100);
  assert_int_equal(set.count, 0);
  intervals_deinit(&set);
}

static void keeping_leaves_what_is_in_both(void **state) {
  (void)state;
  struct intervals set = INTERVALS_NULL, other = INTERVALS_NULL;
  intervals_add(&set, 0, 10);
  intervals_add(&set, 20, UINT64_MAX);
  intervals_add(&other, 5, 6);
  intervals_add(&other, 9, 25);
  intervals_add(&other, UINT64_MAX, UINT64_MAX);
  intervals_keep(&set, &other);
  ASSERT_SET(&set, {5, 6}, {9, 10}, {20, 25}, {UINT64_MAX, UINT64_MAX});
  intervals_clear(&other);
  intervals_add(&other, 6, 9);
  intervals_keep(&set, &other);
  ASSERT_SET(&set, {6, 6}, {9, 9});
  intervals_clear(&other);
  intervals_keep(&set, &other);
  assert_int_equal(set.count, 0);
  intervals_deinit(&set);
  intervals_deinit(&other);
}

static void joining_takes_the_smallest_holes(void **state) {
  (void)state;
  struct intervals set = INTERVALS_NULL;
  intervals_add(&set, 0, 0);
  intervals_add(&set, 10, 10);
  intervals_add(&set, 12, 12);
  intervals_add(&set, 14, 14);
  intervals_add(&set, 30, 30);
  intervals_join(&set, 4);
  assert_int_equal(set.count, 4);
  intervals_join(&set, 3);
  ASSERT_SET(&set, {0, 0}, {10, 14}, {30, 30});
  intervals_join(&set, 1);
  ASSERT_SET(&set, {0, 30});
  intervals_deinit(&set);
}

/* Against a plain array of booleans. */
enum { NUMBERS = 64 };

static void assert_like(const struct intervals *set, const bool *model) {
  uint64_t size = 0;
  for (size_t i = 0; i < NUMBERS; i++) {
    uint64_t missing = i;
    while (missing < NUMBERS && model[missing]) missing++;
    assert_int_equal(intervals_contains(set, i), model[i]);
    assert_true(intervals_first_missing(set, i) == missing);
    size += model[i];
  }
  assert_true(intervals_size(set) == size);
  for (size_t i = 0; i < set->count; i++) {
    assert_true(set->items[i].from <= set->items[i].to);
    if (i > 0) assert_true(set->items[i - 1].to + 1 < set->items[i].from); /* never touching */
  }
}

static void random_changes_agree_with_a_plain_array(void **state) {
  (void)state;
  unsigned seed;
  world_random(&world_system, &seed, sizeof seed);
  const char *given = getenv("RIVERBUS_SEED");
  if (given) seed = (unsigned)strtoul(given, NULL, 10);
  print_message("seed %u\n", seed);
  srandom(seed);
  for (int round = 0; round < 300; round++) {
    struct intervals set = INTERVALS_NULL, other = INTERVALS_NULL;
    bool model[NUMBERS] = {false}, all, any;
    for (int step = 0; step < 40; step++) {
      size_t from = (size_t)random() % NUMBERS,
             to = from + (size_t)random() % (NUMBERS - from) / (1 + (size_t)random() % 8);
      bool add = random() % 2;
      all = true;
      any = false;
      for (size_t i = from; i <= to; i++) {
        all = all && model[i];
        any = any || model[i];
      }
      assert_int_equal(intervals_covers(&set, from, to), all);
      assert_int_equal(intervals_overlaps(&set, from, to), any);
      intervals_clear(&other);
      intervals_add(&other, from, to);
      if (random() % 2)
        (add ? intervals_add_all : intervals_remove_all)(&set, &other);
      else
        (add ? intervals_add : intervals_remove)(&set, from, to);
      for (size_t i = from; i <= to; i++) model[i] = add;
      assert_like(&set, model);
    }
    intervals_deinit(&set);
    intervals_deinit(&other);
  }
}

static void a_reach_ends_where_the_answer_changes(void **state) {
  (void)state;
  struct intervals set = INTERVALS_NULL;
  uint64_t to = UINT64_MAX;
  intervals_add(&set, 10, 20);
  assert_false(intervals_reach(&set, 3, &to));
  assert_true(to == 9);
  to = UINT64_MAX;
  assert_true(intervals_reach(&set, 10, &to) && to == 20);
  to = 15;
  assert_true(intervals_reach(&set, 20, &to) && to == 15); /* it only goes down */
  to = UINT64_MAX;
  assert_false(intervals_reach(&set, 21, &to));
  assert_true(to == UINT64_MAX);
  intervals_deinit(&set);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(touching_ranges_join),
      cmocka_unit_test(the_ends_of_the_numbers_work),
      cmocka_unit_test(removing_splits),
      cmocka_unit_test(a_reach_ends_where_the_answer_changes),
      cmocka_unit_test(keeping_leaves_what_is_in_both),
      cmocka_unit_test(joining_takes_the_smallest_holes),
      cmocka_unit_test(random_changes_agree_with_a_plain_array),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
