/* How much telemetry may be on the way: grows with what the link carries, only while it was the bound; halves when the
 * urgent ping gets slow. */
#include "common/link/window.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { MOST = 1024 * 1024, MS = 1000 };

static struct window fresh(void) {
  struct window window;
  window_init(&window, MOST, 0);
  return window;
}

static void test_bounds_at_the_start(void **state) {
  struct window window = fresh();
  (void)state;
  assert_int_equal(window.now, WINDOW_START);
  window_init(&window, 1, 0);
  assert_int_equal(window.now, WINDOW_FLOOR);
}

static void test_holds_back(void **state) {
  struct window window = fresh();
  (void)state;
  assert_true(window_open(&window, 2 * WINDOW_START)); /* alone it may always go */
  window_sent(&window, WINDOW_START - 10, 0);
  assert_true(window_open(&window, 10));
  assert_false(window_open(&window, 11));
  window_forget(&window, 1);
  assert_true(window_open(&window, 11));
  window_forget(&window, MOST); /* more than there is: none is left, not a wrap */
  assert_int_equal(window.in_flight, 0);
}

static void test_grows_when_it_was_the_bound(void **state) {
  struct window window = fresh();
  (void)state;
  window_sent(&window, WINDOW_START, 0);
  assert_false(window_open(&window, 1));
  window_acked(&window, WINDOW_START, 100 * MS); /* 8 KiB in 100 ms: 20 KiB in 250 ms; half the way there */
  assert_int_equal(window.now, (WINDOW_START + WINDOW_START * 5 / 2) / 2 + 1);
  assert_int_equal(window.in_flight, 0);
}

static void test_stays_when_the_supply_was_the_bound(void **state) {
  struct window window = fresh();
  (void)state;
  window_sent(&window, 1000, 0);
  assert_true(window_open(&window, 1000));
  window_acked(&window, 1000, 100 * MS);
  assert_int_equal(window.now, WINDOW_START);
}

static void test_shrinks_to_a_slow_link(void **state) {
  struct window window = fresh();
  (void)state;
  for (int i = 1; i <= 20; i++) {
    window_sent(&window, window.now, (i - 1) * 10000 * MS);
    assert_false(window_open(&window, 1));
    window_acked(&window, window.now, i * 10000 * MS);
  }
  assert_int_equal(window.now, WINDOW_FLOOR);
}

static void test_never_above_the_most(void **state) {
  struct window window = fresh();
  (void)state;
  for (int i = 1; i <= 20; i++) {
    window_sent(&window, window.now, (i - 1) * 100 * MS);
    assert_false(window_open(&window, 1));
    window_acked(&window, window.now, i * 100 * MS);
  }
  assert_int_equal(window.now, MOST);
}

/* What comes after a pause says how fast the link is; the pause does not. */
static void test_a_pause_is_not_measured(void **state) {
  struct window window = fresh();
  (void)state;
  window_sent(&window, WINDOW_START, 60000 * MS);
  assert_false(window_open(&window, 1));
  window_acked(&window, WINDOW_START, 60100 * MS);
  assert_int_equal(window.now, (WINDOW_START + WINDOW_START * 5 / 2) / 2 + 1);
}

/* Two measurements in which 8 KiB go to and fro in 2 ms open it wide. */
static void test_a_fast_link_opens_it_soon(void **state) {
  struct window window = fresh();
  int64_t now = 0;
  (void)state;
  while (now < 250 * MS) {
    window_sent(&window, window.now, now);
    assert_false(window_open(&window, 1));
    now += 2 * MS;
    window_acked(&window, window.now, now);
  }
  assert_int_equal(window.now, MOST);
}

/* 256 kbit/s whose queue takes all: never more than 300 ms of it on the way, and blocks of 100 ms. */
static void test_a_thin_line_keeps_its_queue_short(void **state) {
  struct window window = fresh();
  const double bytes_per_us = 32000.0 / 1e6;
  int64_t free_at = 0;
  (void)state;
  for (int i = 0; i < 100; i++) {
    int64_t now = free_at;
    window_sent(&window, window.now, now);
    assert_true(window.in_flight <= 32000 * 3 / 10);
    assert_true(window_block(&window) <= 3600);
    assert_false(window_open(&window, 1));
    free_at = now + (int64_t)((double)window.now / bytes_per_us);
    window_acked(&window, window.now, free_at);
  }
  assert_in_range(window.now, 7500, 8500);
}

static void test_a_slow_ping_halves(void **state) {
  struct window window = fresh();
  (void)state;
  window.now = 4 * WINDOW_FLOOR;
  window_ping(&window, 20 * MS, 1000 * MS);
  window_ping(&window, 219 * MS, 1500 * MS);
  assert_int_equal(window.now, 4 * WINDOW_FLOOR);
  window_ping(&window, 220 * MS, 2000 * MS);
  assert_int_equal(window.now, 2 * WINDOW_FLOOR);
  window_ping(&window, 220 * MS, 2100 * MS); /* the queue of before is still on its way */
  assert_int_equal(window.now, 2 * WINDOW_FLOOR);
  window_ping(&window, 220 * MS, 2250 * MS);
  window_ping(&window, 220 * MS, 2500 * MS);
  assert_int_equal(window.now, WINDOW_FLOOR);
}

static void test_thin_is_what_little_is_acknowledged_of(void **state) {
  struct window window = fresh();
  (void)state;
  assert_true(window_is_thin(&window));
  for (int i = 1; i <= 10; i++) {
    window_sent(&window, WINDOW_THIN / 5, (i - 1) * 100 * MS);
    window_acked(&window, WINDOW_THIN / 5, i * 100 * MS); /* 2 MB/s */
  }
  assert_false(window_is_thin(&window));
  window_sent(&window, 100, 2999 * MS);
  window_acked(&window, 100, 3000 * MS); /* and two seconds of nothing */
  assert_true(window_is_thin(&window));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_bounds_at_the_start),
      cmocka_unit_test(test_holds_back),
      cmocka_unit_test(test_grows_when_it_was_the_bound),
      cmocka_unit_test(test_stays_when_the_supply_was_the_bound),
      cmocka_unit_test(test_shrinks_to_a_slow_link),
      cmocka_unit_test(test_never_above_the_most),
      cmocka_unit_test(test_a_pause_is_not_measured),
      cmocka_unit_test(test_a_fast_link_opens_it_soon),
      cmocka_unit_test(test_a_thin_line_keeps_its_queue_short),
      cmocka_unit_test(test_a_slow_ping_halves),
      cmocka_unit_test(test_thin_is_what_little_is_acknowledged_of),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
