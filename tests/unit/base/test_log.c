#include "common/base/log.h"
#include "common/base/world.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <unistd.h>

/* What is logged goes into a pipe while the test runs. */
static int pipe_fds[2], stderr_before;
static char seen[16384];

static int set_up(void **state) {
  (void)state;
  setenv("JOURNAL_STREAM", "1:1", 1);
  setenv("RIVERBUS_LOG", "debug", 1);
  log_init();
  if (pipe2(pipe_fds, O_NONBLOCK) != 0) return -1;
  stderr_before = dup(STDERR_FILENO);
  return dup2(pipe_fds[1], STDERR_FILENO) < 0;
}

static int tear_down(void **state) {
  (void)state;
  dup2(stderr_before, STDERR_FILENO);
  close(stderr_before);
  close(pipe_fds[0]);
  close(pipe_fds[1]);
  return 0;
}

static const char *logged(void) {
  ssize_t len = read(pipe_fds[0], seen, sizeof seen - 1);
  seen[len > 0 ? len : 0] = 0;
  return seen;
}

static void a_line_has_priority_module_and_context(void **state) {
  (void)state;
  log_warning("link", "cuntan", "%d blocks resent", 3);
  assert_string_equal(logged(), "<4>warning link[cuntan]: 3 blocks resent\n");
  log_error("store", NULL, "full");
  assert_string_equal(logged(), "<3>error store: full\n");
}

static void no_peer_forges_a_line(void **state) {
  (void)state;
  log_info("net", "a\nb", "x\ny\x1b[0m\x7f\xc2\x9b 寸滩");
  assert_string_equal(logged(), "<6>info net[a\\x0ab]: x\\x0ay\\x1b[0m\\x7f\\xc2\\x9b 寸滩\n");
  log_info("net", NULL,
      "\x9b"
      "31m");
  assert_string_equal(logged(), "<6>info net: \\x9b31m\n");
}

static void a_line_that_is_too_long_is_cut(void **state) {
  (void)state;
  log_info("net", NULL, "%9000d", 1);
  assert_non_null(strstr(logged(), " (cut)\n"));
}

static void levels_below_the_least_are_silent(void **state) {
  (void)state;
  log_set_level(LOG_LEVEL_WARNING);
  log_notice("x", NULL, "no");
  assert_string_equal(logged(), "");
  log_set_level(LOG_LEVEL_DEBUG);
  log_debug("x", NULL, "yes");
  assert_string_equal(logged(), "<7>debug x: yes\n");
}

static void outside_the_journal_a_line_has_its_time(void **state) {
  (void)state;
  unsetenv("JOURNAL_STREAM");
  log_init();
  errno = ENOENT;
  log_info("x", NULL, "y");
  assert_int_equal(errno, ENOENT);
  const char *line = logged();
  assert_int_equal(line[0], '2');
  assert_string_equal(line + 27, " info x: y\n");
}

static void a_limit_lets_bursts_through_and_counts_the_rest(void **state) {
  (void)state;
  struct log_limit limit = {.interval_us = SECOND_US, .burst = 2};
  uint64_t suppressed = 99;
  assert_true(log_allow(&limit, 0, &suppressed));
  assert_int_equal(suppressed, 0);
  assert_true(log_allow(&limit, 0, &suppressed));
  assert_false(log_allow(&limit, 0, &suppressed));
  assert_false(log_allow(&limit, SECOND_US - 1, &suppressed));
  assert_true(log_allow(&limit, SECOND_US, &suppressed));
  assert_int_equal(suppressed, 2);
  assert_false(log_allow(&limit, SECOND_US + 1, &suppressed));
  assert_true(log_allow(&limit, 100 * SECOND_US, &suppressed));
  assert_true(log_allow(&limit, 100 * SECOND_US, &suppressed));
  assert_false(log_allow(&limit, 100 * SECOND_US, &suppressed)); /* no more than the burst is saved up */
}

static void the_system_world_moves(void **state) {
  (void)state;
  struct instant a = world_now(&world_system), b = world_now(&world_system);
  assert_true(a.wall > 1700000000 * SECOND_US);
  assert_true(b.mono >= a.mono);
  uint64_t x[2] = {0, 0};
  world_random(&world_system, x, sizeof x);
  assert_true(x[0] != x[1]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_line_has_priority_module_and_context),
      cmocka_unit_test(no_peer_forges_a_line),
      cmocka_unit_test(a_line_that_is_too_long_is_cut),
      cmocka_unit_test(levels_below_the_least_are_silent),
      cmocka_unit_test(outside_the_journal_a_line_has_its_time),
      cmocka_unit_test(a_limit_lets_bursts_through_and_counts_the_rest),
      cmocka_unit_test(the_system_world_moves),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
