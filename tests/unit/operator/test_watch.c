/* What `wait` waits for: good quality only, without break, by both clocks. */
#include "broker/operator/watch.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define S SECOND_US
static struct command_condition condition;
static struct watch watch;

static void begin(const char *text, int64_t for_us) {
  const char *why;
  assert_int_equal(condition_parse(bytes_text(text), &condition, &why), 0);
  watch_init(&watch, &condition, for_us);
}

/* Both clocks run alike, the wall 1,000 s ahead. */
static struct instant at(int64_t seconds) {
  return (struct instant){.wall = (1000 + seconds) * S, .mono = seconds * S};
}

static bool take(double number, enum record_quality quality, int64_t time_s, int64_t now_s) {
  struct value value = {.type = VALUE_NUMBER, .number = number};
  return watch_take(&watch, RECORD_READING, quality, (1000 + time_s) * S, &value, at(now_s));
}

static void test_once_is_enough(void **state) {
  (void)state;
  begin("a/b/c/level >= 178.5", 0);
  assert_false(watch_is_met(&watch, at(0)));
  assert_true(watch_left(&watch, at(0)) == INT64_MAX);
  take(178.4, QUALITY_GOOD, 1, 1);
  assert_false(watch_is_met(&watch, at(1)));
  take(178.6, QUALITY_UNCERTAIN, 2, 2);
  take(178.6, QUALITY_BAD, 3, 3);
  assert_false(watch_is_met(&watch, at(3)));
  take(178.5, QUALITY_GOOD, 4, 4);
  assert_true(watch_is_met(&watch, at(4)));
}

static void test_older_ones_and_other_kinds_do_not_count(void **state) {
  (void)state;
  struct value value = {.type = VALUE_NUMBER, .number = 200};
  begin("a/b/c/level >= 178.5", 0);
  assert_true(take(178.4, QUALITY_GOOD, 5, 5));
  assert_false(take(200, QUALITY_GOOD, 5, 6));
  assert_false(take(200, QUALITY_GOOD, 4, 6));
  assert_false(watch_take(&watch, RECORD_REPORT, QUALITY_GOOD, 2000 * S, &value, at(7)));
  assert_false(watch_is_met(&watch, at(7)));
  assert_true(watch_take(&watch, RECORD_EVENT, QUALITY_GOOD, 2000 * S, &value, at(7)));
  assert_true(watch_is_met(&watch, at(7)));
}

static void test_without_break(void **state) {
  (void)state;
  begin("a/b/c/level >= 178.5", 30 * S);
  take(179, QUALITY_GOOD, 0, 0);
  assert_int_equal(watch_left(&watch, at(10)), 20 * S);
  take(179, QUALITY_GOOD, 20, 20);
  take(178, QUALITY_GOOD, 25, 25); /* a break */
  assert_false(watch_is_met(&watch, at(31)));
  take(179, QUALITY_GOOD, 40, 40);
  take(179, QUALITY_UNCERTAIN, 50, 50); /* nobody knows */
  assert_false(watch_is_met(&watch, at(75)));
  take(179, QUALITY_GOOD, 80, 80);
  assert_false(watch_is_met(&watch, at(109)));
  assert_true(watch_is_met(&watch, at(110)));
}

static void test_both_clocks(void **state) {
  (void)state;
  begin("a/b/c/level >= 178.5", 30 * S);
  take(179, QUALITY_GOOD, -3600, 0); /* an old value: it is watched here all the same */
  assert_false(watch_is_met(&watch, at(29)));
  assert_true(watch_is_met(&watch, at(30)));
  begin("a/b/c/level >= 178.5", 30 * S);
  take(179, QUALITY_GOOD, 20, 0); /* a clock that is ahead */
  assert_false(watch_is_met(&watch, at(40)));
  assert_true(watch_is_met(&watch, at(50)));
  begin("a/b/c/level >= 178.5", 30 * S);
  take(179, QUALITY_GOOD, 0, 0);
  watch_again(&watch); /* the connection was lost */
  assert_false(watch_is_met(&watch, at(60)));
  take(179, QUALITY_GOOD, 0, 60);
  assert_false(watch_is_met(&watch, at(89)));
  assert_true(watch_is_met(&watch, at(90)));
}

static void test_incomparable(void **state) {
  (void)state;
  struct value text = {.type = VALUE_TEXT, .bytes = bytes_text("remote")};
  begin("a/b/c/mode >= 3", 0);
  watch_take(&watch, RECORD_READING, QUALITY_BAD, 1, &text, at(0));
  assert_false(watch.incomparable); /* a broken sensor may say anything */
  watch_take(&watch, RECORD_READING, QUALITY_GOOD, 2, &text, at(0));
  assert_true(watch.incomparable);
  begin("a/b/c/mode == remote", 0);
  watch_take(&watch, RECORD_READING, QUALITY_GOOD, 1, &text, at(0));
  assert_true(watch_is_met(&watch, at(0)));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_once_is_enough),
      cmocka_unit_test(test_older_ones_and_other_kinds_do_not_count),
      cmocka_unit_test(test_without_break),
      cmocka_unit_test(test_both_clocks),
      cmocka_unit_test(test_incomparable),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
