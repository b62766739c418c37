/* The checks of one point: step, interval, lock, selection. Each passes and refuses at its edge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "common/command/check.h"

static struct command set_to(double number) {
  return (struct command){.verb = COMMAND_SET,
      .id = bytes_text("c-1"),
      .address = bytes_text("p/s/g/opening"),
      .value = {.type = VALUE_NUMBER, .number = number}};
}

static void a_step_is_measured_from_what_is_there(void **state) {
  (void)state;
  struct refusal refusal;
  const struct value at = {.type = VALUE_NUMBER, .number = 30};
  struct command c = set_to(50), further = set_to(50.1), down = set_to(9.9);
  assert_true(check_max_step(&c, 20, "%", true, &at, &refusal));
  assert_false(check_max_step(&further, 20, "%", true, &at, &refusal));
  assert_int_equal(refusal.code, CODE_MAX_STEP);
  assert_non_null(strstr(refusal.message, "from 30 to 50.1 is 20.1 %; at most 20 %"));
  assert_false(check_max_step(&down, 20, "%", true, &at, &refusal));
  assert_false(check_max_step(&c, 20, "%", false, &at, &refusal)); /* not known is not allowed */
  assert_true(check_max_step(&further, 0, "%", false, &at, &refusal));
}

static void moves_lie_apart(void **state) {
  (void)state;
  struct refusal refusal;
  assert_true(check_min_interval(10 * SECOND_US, INT64_MAX, &refusal));
  assert_true(check_min_interval(10 * SECOND_US, 10 * SECOND_US, &refusal));
  assert_false(check_min_interval(10 * SECOND_US, 10 * SECOND_US - 1, &refusal));
  assert_int_equal(refusal.code, CODE_MIN_INTERVAL);
  assert_false(check_min_interval(10 * SECOND_US, -45, &refusal)); /* the clock fell back */
}

static void a_lock_names_its_way_out(void **state) {
  (void)state;
  struct refusal refusal;
  struct command c = set_to(1);
  assert_true(check_locked(&c, BYTES_NULL, &refusal));
  assert_false(check_locked(&c, bytes_text("c-0"), &refusal));
  assert_int_equal(refusal.code, CODE_LOCKED);
  assert_non_null(strstr(refusal.hint, "riverbus resolve c-0 --moved"));
}

static void a_set_operates_its_own_selection(void **state) {
  (void)state;
  struct refusal refusal;
  struct public_key key = {{1}}, other = {{2}};
  const struct value value = {.type = VALUE_NUMBER, .number = 40};
  const struct check_selection armed = {bytes_text("s-1"), &key, &value, 100};
  const struct check_selection none = {.until = 0};
  struct command plain = set_to(40), c = set_to(40);
  c.key = key;
  c.item_count = 1;
  c.items[0] = (struct command_item){COMMAND_ITEM_SELECTION, true, bytes_text("s-1")};
  assert_true(check_selection(&c, 10, &armed, 100, &refusal));
  assert_false(check_selection(&c, 10, &armed, 101, &refusal));
  assert_int_equal(refusal.code, CODE_SELECT);
  assert_false(check_selection(&c, 10, &none, 50, &refusal));
  assert_false(check_selection(&plain, 10, &armed, 50, &refusal));
  assert_true(check_selection(&plain, 0, &none, 50, &refusal));
  assert_false(check_selection(&c, 0, &none, 50, &refusal));
  c.key = other;
  assert_false(check_selection(&c, 10, &armed, 50, &refusal));
  c.key = key;
  c.value.number = 41;
  assert_false(check_selection(&c, 10, &armed, 50, &refusal));
  c.value.number = 40;
  c.items[0].value = bytes_text("s-2");
  assert_false(check_selection(&c, 10, &armed, 50, &refusal));
}

static void nothing_is_ignored(void **state) {
  (void)state;
  struct refusal refusal;
  struct command c = set_to(40);
  assert_true(check_understood(&c, 0, &refusal));
  c.condition_count = 1;
  assert_false(check_understood(&c, CHECK_ALL & ~(unsigned)CHECK_CONDITIONS, &refusal));
  assert_true(check_understood(&c, CHECK_CONDITIONS, &refusal));
  c.verb = COMMAND_STOP;
  assert_false(check_understood(&c, CHECK_CONDITIONS, &refusal));
  assert_true(check_understood(&c, CHECK_ALL, &refusal));
  c.verb = 9;
  assert_false(check_understood(&c, CHECK_ALL, &refusal));
  c.verb = COMMAND_SET;
  c.item_count = 1;
  c.items[0] = (struct command_item){77, false, BYTES_NULL};
  assert_true(check_understood(&c, CHECK_ALL, &refusal));
  c.items[0].critical = true;
  assert_false(check_understood(&c, CHECK_ALL, &refusal));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_step_is_measured_from_what_is_there),
      cmocka_unit_test(moves_lie_apart),
      cmocka_unit_test(a_lock_names_its_way_out),
      cmocka_unit_test(a_set_operates_its_own_selection),
      cmocka_unit_test(nothing_is_ignored),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
