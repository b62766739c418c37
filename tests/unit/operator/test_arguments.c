/* The command line's options, before and after the verb. */
#include "broker/operator/arguments.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct option_spec common[] = {
    {"config", OPTION_TEXT, "FILE", ""}, {"json", OPTION_FLAG, NULL, ""}, {"help", OPTION_FLAG, NULL, ""}, {0}};
static const struct option_spec own[] = {{"deadline", OPTION_DURATION, "DURATION", ""}, {"since", OPTION_TIME, "T", ""},
    {"count", OPTION_COUNT, "N", ""}, {0}};

static char words_room[512];
static char *words[32];

/* Splits at '|'. */
static int split(const char *line) {
  int count = 0;
  strcpy(words_room, line);
  for (char *word = strtok(words_room, "|"); word; word = strtok(NULL, "|")) words[count++] = word;
  return count;
}

static struct arguments parsed(const char *line, int outcome) {
  struct arguments arguments = {.now = 1000000000, .offset = 8 * 3600};
  assert_int_equal(arguments_parse(&arguments, split(line), words, common, own), outcome);
  return arguments;
}

static void test_before_and_after(void **state) {
  (void)state;
  assert_string_equal(arguments_verb(split("riverbus|--config|f|set|a|40"), words, common), "set");
  assert_string_equal(arguments_verb(split("riverbus|--config=f|--json|tail"), words, common), "tail");
  assert_null(arguments_verb(split("riverbus|--help"), words, common));
  struct arguments a = parsed("riverbus|--json|set|a/b|--deadline|30s|-5|--config=x", 0);
  assert_int_equal(a.operand_count, 2);
  assert_string_equal(a.operands[0], "a/b");
  assert_string_equal(a.operands[1], "-5"); /* a number is no option */
  assert_true(arguments_has(&a, "json"));
  assert_string_equal(arguments_text(&a, "config"), "x");
  assert_int_equal(arguments_number(&a, "deadline", 0), 30000000);
  assert_int_equal(arguments_number(&a, "count", 7), 7);
}

static void test_end_of_options(void **state) {
  (void)state;
  struct arguments a = parsed("riverbus|set|--|--deadline|40", 0);
  assert_int_equal(a.operand_count, 2);
  assert_string_equal(a.operands[0], "--deadline");
}

static void test_times(void **state) {
  (void)state;
  struct arguments a = parsed("riverbus|tail|--since|100s", 0);
  assert_int_equal(arguments_number(&a, "since", 0), 1000000000 - 100000000);
  a = parsed("riverbus|tail|--since|2026-11-23T08:00:00Z", 0);
  struct arguments b = parsed("riverbus|tail|--since|2026-11-23 16:00", 0);
  assert_true(arguments_number(&a, "since", 0) == arguments_number(&b, "since", 1));
}

static void test_wrong(void **state) {
  (void)state;
  static const struct {
    const char *line, *says;
  } wrong[] = {{"riverbus|set|--nonsense", "--nonsense"}, {"riverbus|set|--deadline", "needs DURATION"},
      {"riverbus|set|--deadline|soon", "soon is not a duration"}, {"riverbus|set|--count|0", "whole number"},
      {"riverbus|set|--count|x", "whole number"}, {"riverbus|set|--count|99999999999999999999", "whole number"},
      {"riverbus|set|--count| 5", "whole number"}, {"riverbus|set|--json=yes", "takes no value"},
      {"riverbus|set|--since|yesterday", "not a time"}, {"riverbus|set|-x", "-x"}};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    struct arguments a = parsed(wrong[i].line, ARGUMENTS_WRONG);
    assert_non_null(strstr(a.problem, wrong[i].says));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_before_and_after),
      cmocka_unit_test(test_end_of_options),
      cmocka_unit_test(test_times),
      cmocka_unit_test(test_wrong),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
