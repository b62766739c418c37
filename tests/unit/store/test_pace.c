/* The writer's pace: nothing is held back on a quiet node, a busy one gathers enough for a commit, silence is
 * forgotten. */
#include "common/store/pace.h"
#include "common/base/world.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* Commits of `each` records, `per_second` of them, for a second from `from` on. */
static int64_t run(struct pace *pace, int64_t from, int per_second, uint64_t each) {
  int64_t now = from;
  for (int i = 0; i < per_second; i++) pace_note(pace, now += SECOND_US / per_second, each);
  return now;
}

static void test_rates(void **state) {
  (void)state;
  struct pace pace = {.most_us = 8000};
  int64_t now = run(&pace, SECOND_US, 200, 1);
  assert_int_equal(pace_linger(&pace, now), 0);
  now = run(&pace, now, 2000, 10); /* 20,000 readings a second: 150 of them take 7.5 ms */
  assert_in_range(pace_linger(&pace, now), 7400, 7600);
  now = run(&pace, now, 500, 2000); /* a million: 150 are there at once */
  assert_in_range(pace_linger(&pace, now), 100, 200);
  now = run(&pace, now, 300, 10); /* 3,000: never longer than allowed */
  assert_int_equal(pace_linger(&pace, now), 8000);
  assert_int_equal(pace_linger(&pace, now + PACE_FORGET_US + 1), 0);
  now = run(&pace, now, 100, 1);
  assert_int_equal(pace_linger(&pace, now), 0);
}

static void test_not_wanted(void **state) {
  (void)state;
  struct pace pace = {0};
  int64_t now = run(&pace, SECOND_US, 2000, 10);
  assert_int_equal(pace_linger(&pace, now), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_rates), cmocka_unit_test(test_not_wanted)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
