/* Whether two holders of a stream have different pasts, from the runs that wrote it. */
#include "common/link/fork.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { A = 101, B = 102, C = 103 };
#define RUNS(...)                                                                                                      \
  (const struct link_run[]){__VA_ARGS__}, sizeof((const struct link_run[]){__VA_ARGS__}) / sizeof(struct link_run)

static void assert_common(struct fork_side mine, struct fork_side peer, uint64_t common, bool expected) {
  bool forked = !expected;
  assert_int_equal(fork_common(&mine, &peer, &forked), common);
  assert_int_equal(forked, expected);
}

static void test_same_past(void **state) {
  (void)state;
  assert_common((struct fork_side){10, RUNS({A, 1})}, (struct fork_side){10, RUNS({A, 1})}, 10, false);
  assert_common((struct fork_side){10, RUNS({A, 1})}, (struct fork_side){7, RUNS({A, 1})}, 7, false);
  assert_common((struct fork_side){10, RUNS({A, 1}, {B, 6})}, (struct fork_side){8, RUNS({A, 1}, {B, 6})}, 8, false);
  assert_common((struct fork_side){10, RUNS({A, 1}, {B, 6})}, (struct fork_side){4, RUNS({A, 1})}, 4, false);
}

static void test_peer_holds_nothing(void **state) {
  (void)state;
  assert_common((struct fork_side){10, RUNS({A, 1})}, (struct fork_side){0, NULL, 0}, 0, false);
}

static void test_old_copy_before_it_wrote(void **state) {
  (void)state;
  assert_common((struct fork_side){5, RUNS({A, 1})}, (struct fork_side){10, RUNS({A, 1})}, 5, true);
}

static void test_old_copy_that_wrote_on(void **state) {
  (void)state;
  assert_common((struct fork_side){8, RUNS({A, 1}, {C, 6})}, (struct fork_side){10, RUNS({A, 1})}, 5, true);
  assert_common((struct fork_side){20, RUNS({A, 1}, {C, 6})}, (struct fork_side){10, RUNS({A, 1}, {B, 4})}, 3, true);
}

static void test_nothing_in_common(void **state) {
  (void)state;
  assert_common((struct fork_side){8, RUNS({C, 1})}, (struct fork_side){10, RUNS({A, 1})}, 0, true);
  assert_common((struct fork_side){0, NULL, 0}, (struct fork_side){10, RUNS({A, 1})}, 0, true);
}

/* More runs than the newest that are kept without a gap: of an older one that both know only its first record is sure.
 */
static void test_an_older_run_counts_up_to_its_first(void **state) {
  (void)state;
  struct link_run runs[LINK_RUNS_NEWEST + 2] = {{A, 1}, {B, 30}};
  for (uint64_t i = 0; i < LINK_RUNS_NEWEST; i++) runs[i + 2] = (struct link_run){200 + i, 50 + i};
  struct fork_side mine = {500, runs, LINK_RUNS_NEWEST + 2};
  assert_common(mine, (struct fork_side){40, RUNS({A, 1}, {B, 30})}, 30, true);
  assert_common(mine, (struct fork_side){30, RUNS({A, 1}, {B, 30})}, 30, false);
  assert_common(mine, (struct fork_side){60, RUNS({A, 1}, {C, 20})}, 1, true);
  assert_common(mine, (struct fork_side){52, RUNS({A, 1}, {200, 50}, {201, 51})}, 51, true);
  assert_common(mine, (struct fork_side){51, RUNS({A, 1}, {200, 50}, {201, 51})}, 51, false);
  assert_common(mine, (struct fork_side){60, RUNS({C, 1})}, 0, true);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_same_past),
      cmocka_unit_test(test_peer_holds_nothing),
      cmocka_unit_test(test_old_copy_before_it_wrote),
      cmocka_unit_test(test_old_copy_that_wrote_on),
      cmocka_unit_test(test_nothing_in_common),
      cmocka_unit_test(test_an_older_run_counts_up_to_its_first),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
