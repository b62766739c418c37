/* How long readings wait for company: at a trickle not at all, at a flood a little, and never when somebody waits. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "gateway/linger.h"

/* A full span at `rate` messages a second just ended; returns the time. */
static int64_t after_span(struct linger *linger, uint32_t rate) {
  int64_t now = 5 * SECOND_US;
  linger_tick(linger, now);
  linger_add(linger, now, rate / 10);
  linger_clear(linger);
  now += LINGER_SPAN_US;
  linger_tick(linger, now);
  return now;
}

static void a_trickle_does_not_wait(void **state) {
  (void)state;
  struct linger linger = {0};
  int64_t now = after_span(&linger, 200);
  linger_add(&linger, now, 1);
  assert_int_equal(linger_until(&linger), now);
}

static void a_flood_waits_for_a_pause_or_the_most(void **state) {
  (void)state;
  struct linger linger = {0};
  int64_t now = after_span(&linger, 20000);
  linger_add(&linger, now, 20);
  assert_int_equal(linger_until(&linger), now + LINGER_PAUSE_US);
  linger_add(&linger, now + 1000, 20);
  assert_int_equal(linger_until(&linger), now + 1000 + LINGER_PAUSE_US);
  linger_add(&linger, now + 9500, 20);
  assert_int_equal(linger_until(&linger), now + LINGER_MOST_US);
}

static void what_somebody_waits_for_ends_the_wait(void **state) {
  (void)state;
  struct linger linger = {0};
  int64_t now = after_span(&linger, 20000);
  linger_add(&linger, now, 20);
  linger_hurry(&linger);
  linger_add(&linger, now + 200, 1);
  assert_int_equal(linger_until(&linger), now + 200);
  linger_clear(&linger);
  linger_add(&linger, now + 300, 1);
  assert_int_equal(linger_until(&linger), now + 300 + LINGER_PAUSE_US);
}

static void a_silence_is_no_flood(void **state) {
  (void)state;
  struct linger linger = {0};
  int64_t now = after_span(&linger, 20000) + 2 * LINGER_SPAN_US;
  linger_tick(&linger, now);
  linger_add(&linger, now, 1);
  assert_int_equal(linger_until(&linger), now);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_trickle_does_not_wait),
      cmocka_unit_test(a_flood_waits_for_a_pause_or_the_most), cmocka_unit_test(what_somebody_waits_for_ends_the_wait),
      cmocka_unit_test(a_silence_is_no_flood)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
