/* Conditions: how they are written, and what they say of a value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "common/command/condition.h"

static enum condition_verdict judge(const char *text, struct value actual) {
  struct command_condition condition;
  const char *why = NULL;
  assert_int_equal(condition_parse(bytes_text(text), &condition, &why), 0);
  return condition_judge(condition.op, &actual, &condition.value);
}

static void conditions_are_read_as_a_person_writes_them(void **state) {
  (void)state;
  struct command_condition c;
  const char *why;
  assert_int_equal(condition_parse(bytes_text("  a/b/c/d   >=  178.5 "), &c, &why), 0);
  assert_true(bytes_equal(c.address, bytes_text("a/b/c/d")));
  assert_int_equal(c.op, CONDITION_AT_LEAST);
  assert_true(c.value.type == VALUE_NUMBER && c.value.number == 178.5);
  assert_int_equal(condition_parse(bytes_text("a equals \"in local\""), &c, &why), 0);
  assert_true(c.value.type == VALUE_TEXT && bytes_equal(c.value.bytes, bytes_text("in local")));
  assert_int_equal(condition_parse(bytes_text("a = true"), &c, &why), 0);
  assert_true(c.op == CONDITION_EQUALS && c.value.type == VALUE_BOOLEAN && c.value.boolean);
}

static void what_is_missing_is_named(void **state) {
  (void)state;
  static const char *const wrong[][2] = {
      {"", "address"}, {"a/b", "operator"}, {"a/b =>", "operator"}, {"a/b >", "value"}};
  struct command_condition c;
  const char *why;
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    assert_int_equal(condition_parse(bytes_text(wrong[i][0]), &c, &why), CONDITION_MALFORMED);
    assert_non_null(strstr(why, wrong[i][1]));
  }
}

static void each_operator_at_its_edge(void **state) {
  (void)state;
  static const struct {
    const char *text;
    enum condition_verdict at_4, at_5, at_6;
  } rows[] = {
      {"p < 5", CONDITION_HOLDS, CONDITION_FAILS, CONDITION_FAILS},
      {"p <= 5", CONDITION_HOLDS, CONDITION_HOLDS, CONDITION_FAILS},
      {"p > 5", CONDITION_FAILS, CONDITION_FAILS, CONDITION_HOLDS},
      {"p >= 5", CONDITION_FAILS, CONDITION_HOLDS, CONDITION_HOLDS},
      {"p == 5", CONDITION_FAILS, CONDITION_HOLDS, CONDITION_FAILS},
      {"p != 5", CONDITION_HOLDS, CONDITION_FAILS, CONDITION_HOLDS},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    assert_int_equal(judge(rows[i].text, (struct value){.type = VALUE_NUMBER, .number = 4}), rows[i].at_4);
    assert_int_equal(judge(rows[i].text, (struct value){.type = VALUE_INTEGER, .integer = 5}), rows[i].at_5);
    assert_int_equal(judge(rows[i].text, (struct value){.type = VALUE_NUMBER, .number = 6}), rows[i].at_6);
  }
}

static void values_without_an_order_are_not_compared(void **state) {
  (void)state;
  const struct value text = {.type = VALUE_TEXT, .bytes = bytes_text("local")};
  assert_int_equal(judge("p equals local", text), CONDITION_HOLDS);
  assert_int_equal(judge("p != remote", text), CONDITION_HOLDS);
  assert_int_equal(judge("p < 5", text), CONDITION_INCOMPARABLE);
}

/* Were they unequal, a condition with a slip of the pen would hold for ever. */
static void values_of_different_types_are_neither_equal_nor_not(void **state) {
  (void)state;
  const struct value text = {.type = VALUE_TEXT, .bytes = bytes_text("local")},
                     yes = {.type = VALUE_BOOLEAN, .boolean = true}, none = VALUE_EMPTY,
                     number = {.type = VALUE_NUMBER, .number = 1};
  assert_int_equal(judge("p != 5", text), CONDITION_INCOMPARABLE);
  assert_int_equal(judge("p == 5", text), CONDITION_INCOMPARABLE);
  assert_int_equal(judge("p != 0", yes), CONDITION_INCOMPARABLE);
  assert_int_equal(judge("p != open", number), CONDITION_INCOMPARABLE);
  assert_int_equal(judge("p != true", yes), CONDITION_FAILS);
  assert_int_equal(condition_judge(CONDITION_NOT_EQUALS, &none, &none), CONDITION_INCOMPARABLE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(conditions_are_read_as_a_person_writes_them),
      cmocka_unit_test(what_is_missing_is_named),
      cmocka_unit_test(each_operator_at_its_edge),
      cmocka_unit_test(values_without_an_order_are_not_compared),
      cmocka_unit_test(values_of_different_types_are_neither_equal_nor_not),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
