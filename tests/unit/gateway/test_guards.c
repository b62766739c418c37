/* Guards: each line refuses at its edge; what is not known to be safe is refused; a direction narrows a line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "gateway/guards.h"

static struct guard_input level = {.exists = true, .known = true, .good = true, .age_us = SECOND_US, .unit = "m"};

static struct guard_input look(void *ctx, struct bytes address) {
  (void)ctx;
  static const struct guard_input nothing = {.exists = false, .unit = ""};
  return bytes_equal(address, bytes_text("p/s/gauge/level")) ? level : nothing;
}

static struct guard high(void) {
  return (struct guard){.address = (char *)(uintptr_t) "p/s/gauge/level",
      .op = CONDITION_AT_LEAST,
      .limit = {.type = VALUE_NUMBER, .number = 178.5},
      .max_age_us = 5 * SECOND_US,
      .code = CODE_INTERLOCK,
      .say = (char *)(uintptr_t) "tail water too high"};
}

static struct guard_input opening_at(double number) {
  return (struct guard_input){
      .exists = true, .known = true, .good = true, .value = {.type = VALUE_NUMBER, .number = number}, .unit = "%"};
}

static struct command set_to(double number) {
  return (struct command){.verb = COMMAND_SET,
      .address = bytes_text("p/s/gate/opening"),
      .value = {.type = VALUE_NUMBER, .number = number}};
}

static bool at_level(double number, const struct guard *guard, double target, double from, struct refusal *refusal) {
  struct command command = set_to(target);
  struct guard_input present = opening_at(from);
  level.value = (struct value){.type = VALUE_NUMBER, .number = number};
  return guards_pass(guard, 1, &command, &present, look, NULL, refusal);
}

static void a_line_refuses_at_its_edge(void **state) {
  (void)state;
  struct refusal refusal;
  struct guard guard = high();
  assert_true(at_level(178.49, &guard, 40, 10, &refusal));
  assert_false(at_level(178.5, &guard, 40, 10, &refusal));
  assert_int_equal(refusal.code, CODE_INTERLOCK);
  assert_string_equal(refusal.message, "tail water too high: p/s/gauge/level is 178.5 m; refused when >= 178.5 m");
}

static void a_direction_narrows_a_line(void **state) {
  (void)state;
  struct refusal refusal;
  struct guard guard = high();
  guard.moving = GUARD_UP;
  assert_false(at_level(180, &guard, 40, 10, &refusal));
  assert_true(at_level(180, &guard, 5, 10, &refusal));
  struct command down = set_to(5);
  struct guard_input unknown = {.exists = true, .unit = ""};
  assert_false(guards_pass(&guard, 1, &down, &unknown, look, NULL, &refusal)); /* from where? */
}

static bool switches(enum guard_moving moving, bool from, bool to) {
  struct refusal refusal;
  struct guard guard = high();
  struct command command = set_to(0);
  const struct guard_input present = {
      .exists = true, .known = true, .good = true, .unit = "", .value = {.type = VALUE_BOOLEAN, .boolean = from}};
  command.value = (struct value){.type = VALUE_BOOLEAN, .boolean = to};
  guard.moving = moving;
  level.value = (struct value){.type = VALUE_NUMBER, .number = 180};
  return guards_pass(&guard, 1, &command, &present, look, NULL, &refusal);
}

/* Too high to pump, says the line: the pump may still be switched off, and nothing else of it may be. */
static void switching_on_is_the_way_up(void **state) {
  (void)state;
  assert_false(switches(GUARD_UP, false, true));
  assert_true(switches(GUARD_UP, true, false));
  assert_true(switches(GUARD_UP, true, true));
  assert_false(switches(GUARD_DOWN, true, false));
  assert_true(switches(GUARD_DOWN, false, true));
  assert_false(switches(GUARD_EITHER, true, false));
}

static void what_is_not_known_refuses(void **state) {
  (void)state;
  struct refusal refusal;
  struct guard guard = high();
  const struct guard_input before = level;
  level.age_us = 5 * SECOND_US + 1;
  assert_false(at_level(100, &guard, 40, 10, &refusal));
  assert_non_null(strstr(refusal.message, "too long ago"));
  level = before;
  level.good = false;
  assert_false(at_level(100, &guard, 40, 10, &refusal));
  level = before;
  level.known = false;
  assert_false(at_level(100, &guard, 40, 10, &refusal));
  level = before;
  guard.address = (char *)(uintptr_t) "p/s/gauge/none";
  assert_false(at_level(100, &guard, 40, 10, &refusal));
  guard = high();
  guard.limit = (struct value){.type = VALUE_TEXT, .bytes = bytes_text("x")};
  assert_false(at_level(100, &guard, 40, 10, &refusal)); /* cannot be compared */
}

static void preconditions_hold_or_refuse(void **state) {
  (void)state;
  struct refusal refusal;
  struct command command = set_to(40);
  command.condition_count = 1;
  command.conditions[0] = (struct command_condition){
      bytes_text("p/s/gauge/level"), CONDITION_BELOW, {.type = VALUE_INTEGER, .integer = 180}};
  level.value = (struct value){.type = VALUE_NUMBER, .number = 179};
  assert_true(guards_preconditions(&command, "p/s", look, NULL, &refusal));
  level.value.number = 180;
  assert_false(guards_preconditions(&command, "p/s", look, NULL, &refusal));
  assert_int_equal(refusal.code, CODE_PRECONDITION);
  assert_string_equal(refusal.message, "p/s/gauge/level is 180 m; the command asks for < 180 m");
  command.conditions[0].address = bytes_text("q/other/x/y");
  assert_false(guards_preconditions(&command, "p/s", look, NULL, &refusal));
  assert_non_null(strstr(refusal.message, "no such point"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_line_refuses_at_its_edge),
      cmocka_unit_test(a_direction_narrows_a_line),
      cmocka_unit_test(switching_on_is_the_way_up),
      cmocka_unit_test(what_is_not_known_refuses),
      cmocka_unit_test(preconditions_hold_or_refuse),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
