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
  window_sent(&window, WINDOW_START - 10);
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
  window_sent(&window, WINDOW_START);
  assert_false(window_open(&window, 1));
  window_acked(&window, WINDOW_START, 100 * MS); /* 256 KiB in 100 ms: 640 KiB in 250 ms; half the way there */
  assert_int_equal(window.now, (WINDOW_START + WINDOW_START * 5 / 2) / 2 + 1);
  assert_int_equal(window.in_flight, 0);
}

static void test_stays_when_the_supply_was_the_bound(void **state) {
  struct window window = fresh();
  (void)state;
  window_sent(&window, 1000);
  assert_true(window_open(&window, 1000));
  window_acked(&window, 1000, 100 * MS);
  assert_int_equal(window.now, WINDOW_START);
}

static void test_shrinks_to_a_slow_link(void **state) {
  struct window window = fresh();
  (void)state;
  for (int i = 1; i <= 20; i++) {
    window_sent(&window, window.now);
    assert_false(window_open(&window, 1));
    window_acked(&window, window.now, i * 10000 * MS);
  }
  assert_int_equal(window.now, WINDOW_FLOOR);
}

static void test_never_above_the_most(void **state) {
  struct window window = fresh();
  (void)state;
  for (int i = 1; i <= 20; i++) {
    window_sent(&window, window.now);
    assert_false(window_open(&window, 1));
    window_acked(&window, window.now, i * 100 * MS);
  }
  assert_int_equal(window.now, MOST);
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
    window_sent(&window, WINDOW_THIN / 5);
    window_acked(&window, WINDOW_THIN / 5, i * 100 * MS); /* 2 MB/s */
  }
  assert_false(window_is_thin(&window));
  window_sent(&window, 100);
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
      cmocka_unit_test(test_a_slow_ping_halves),
      cmocka_unit_test(test_thin_is_what_little_is_acknowledged_of),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
