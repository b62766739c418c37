/* A command as it is asked for: what is read, what is refused, and what is signed. */
#include "broker/operator/wish.h"
#include "broker/operator/readback.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct option_spec common[] = {{"json", OPTION_FLAG, NULL, ""}, {0}};
static const struct option_spec own[] = {WISH_OPTION_DEADLINE, WISH_OPTION_BASIS, WISH_OPTION_IF, WISH_OPTION_ID, {0}};
static char room[2048];
static char *words[64];
static struct arguments arguments;
static char problem[WISH_PROBLEM];

#define GATE "chongqing/caijiagang/gate-1/opening"

/* Splits at '|'. */
static int read_wish(struct wish *wish, uint8_t verb, const char *line) {
  int count = 0;
  assert_true(strlen(line) < sizeof room);
  strcpy(room, line);
  for (char *word = strtok(room, "|"); word; word = strtok(NULL, "|")) words[count++] = word;
  arguments = (struct arguments){0};
  assert_int_equal(arguments_parse(&arguments, count, words, common, own), 0);
  return wish_read(wish, verb, &arguments, problem);
}

static void test_read(void **state) {
  (void)state;
  struct wish wish;
  assert_int_equal(
      read_wish(&wish, COMMAND_SET,
          "riverbus|set|" GATE "|40|--basis|order 12|--if|a/b/c/level >= 178.5|--if|a/b/c/mode == remote|--id|x.1|"
          "--deadline|30s"),
      0);
  assert_string_equal(wish.address, GATE);
  assert_string_equal(wish.text, "40");
  assert_string_equal(wish.id, "x.1");
  assert_string_equal(wish.basis, "order 12");
  assert_int_equal(wish.deadline_us, 30 * SECOND_US);
  assert_int_equal(wish.condition_count, 2);
  assert_int_equal(wish.conditions[0].op, CONDITION_AT_LEAST);
  assert_true(wish.conditions[1].value.type == VALUE_TEXT);
  assert_int_equal(read_wish(&wish, COMMAND_STOP, "riverbus|stop|" GATE), 0);
  assert_null(wish.text);
  assert_true(command_id_is_good(bytes_text(wish.id)));
}

static void test_refused(void **state) {
  (void)state;
  static const struct {
    uint8_t verb;
    const char *line, *says;
  } wrong[] = {
      {COMMAND_SET, "riverbus|set|" GATE, "ADDRESS VALUE"},
      {COMMAND_SET, "riverbus|set|a//b|40", "no address"},
      {COMMAND_SET, "riverbus|set|" GATE "|40|--id|a b", "no id of a command"},
      {COMMAND_SET, "riverbus|set|" GATE "|40|--deadline|0", "--deadline 0"},
      {COMMAND_SET, "riverbus|set|" GATE "|40|--if|a/b/c/level is high", "none of < <= > >= == !="},
      {COMMAND_SET, "riverbus|set|" GATE "|40|--if|a//level > 3", "--if 'a//level > 3' is no condition"},
      {COMMAND_SET, "riverbus|set|" GATE "|40|--basis|\xff", "not UTF-8"},
      {COMMAND_STOP, "riverbus|stop|" GATE "|40", "ADDRESS is expected"},
  };
  struct wish wish;
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    assert_int_equal(read_wish(&wish, wrong[i].verb, wrong[i].line), WISH_WRONG);
    if (!strstr(problem, wrong[i].says)) print_error("%s\n", problem);
    assert_non_null(strstr(problem, wrong[i].says));
  }
}

/* +10 may be meant as ten more than now. */
static void test_a_step_is_no_target(void **state) {
  (void)state;
  struct command command;
  struct wish wish;
  assert_int_equal(read_wish(&wish, COMMAND_SET, "riverbus|set|" GATE "|+10"), 0);
  assert_int_equal(wish_command(&wish, VALUE_NUMBER, 1, &command, problem), WISH_WRONG);
  assert_non_null(strstr(problem, "absolute"));
  assert_int_equal(wish_command(&wish, VALUE_INTEGER, 1, &command, problem), WISH_WRONG);
  assert_int_equal(wish_command(&wish, VALUE_TEXT, 1, &command, problem), 0);
  assert_int_equal(read_wish(&wish, COMMAND_SET, "riverbus|set|" GATE "|-10"), 0);
  assert_int_equal(wish_command(&wish, VALUE_NUMBER, 1, &command, problem), 0);
}

static void test_signed(void **state) {
  (void)state;
  struct identity *identity;
  struct buffer bytes = BUFFER_NULL;
  struct command command;
  struct wish wish;
  assert_int_equal(identity_generate(&identity), 0);
  assert_int_equal(read_wish(&wish, COMMAND_SET, "riverbus|set|" GATE "|40|--if|a/b/c/level >= 178.5|--id|one"), 0);
  wish.batch = "batch-1";
  wish.selection = "one-select";
  assert_int_equal(wish_sign(&wish, VALUE_NUMBER, 1000000, identity, &bytes, problem), 0);
  assert_int_equal(command_open(&command, buffer_bytes(&bytes)), 0);
  assert_int_equal(command.verb, COMMAND_SET);
  assert_int_equal(command.issued, 1000000);
  assert_int_equal(command.deadline, 1000000 + WISH_DEADLINE_US);
  assert_int_equal(command.condition_count, 1);
  assert_true(bytes_equal(command_item(&command, COMMAND_ITEM_BATCH)->value, bytes_text("batch-1")));
  assert_false(command_item(&command, COMMAND_ITEM_BATCH)->critical);
  assert_true(command_item(&command, COMMAND_ITEM_SELECTION)->critical);
  buffer_clear(&bytes);
  assert_int_equal(wish_sign(&wish, VALUE_BOOLEAN, 1000000, identity, &bytes, problem), WISH_WRONG);
  assert_non_null(strstr(problem, "\"40\" is no boolean"));
  assert_int_equal(bytes.len, 0);
  buffer_deinit(&bytes);
  identity_free(identity);
}

static void test_described(void **state) {
  (void)state;
  struct described described;
  json_t *row = json_loads("{\"address\":\"a/b/c/d\",\"type\":\"number\",\"writable\":true,"
                           "\"control\":{\"type\":\"number\",\"unit\":\"%\",\"range\":[0,100],\"select_us\":10000000}}",
      0, NULL);
  described_read(&described, row);
  assert_true(described.known && described.writable && described.type == VALUE_NUMBER);
  assert_true(described.control.has_range && described.control.high == 100);
  assert_int_equal(described.control.select_us, 10000000);
  json_object_del(row, "control");
  described_read(&described, row);
  assert_true(described.known && !described.writable);
  described_read(&described, NULL);
  assert_false(described.known || described.writable);
  json_decref(row);
}

static void test_readback(void **state) {
  (void)state;
  struct readback readback;
  json_t *said = json_pack(
      "{s:s,s:f,s:f,s:s}", "address", GATE, "value", 40.0, "actual", 12.5, "time", "2026-11-23T08:00:00.000000Z");
  readback_read(&readback, said, 10 * SECOND_US);
  assert_null(readback_differs(&readback, GATE, "40"));
  assert_null(readback_differs(&readback, GATE, "40.0"));
  assert_non_null(readback_differs(&readback, GATE, "41"));
  assert_non_null(readback_differs(&readback, GATE "x", "40"));
  assert_int_equal(readback.until % (60 * SECOND_US), 10 * SECOND_US);
  json_object_set_new(said, "value", json_true());
  readback_read(&readback, said, 0);
  assert_null(readback_differs(&readback, GATE, "true"));
  assert_non_null(readback_differs(&readback, GATE, "40"));
  assert_int_equal(readback.until, 0);
  json_decref(said);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_read),
      cmocka_unit_test(test_refused),
      cmocka_unit_test(test_a_step_is_no_target),
      cmocka_unit_test(test_signed),
      cmocka_unit_test(test_described),
      cmocka_unit_test(test_readback),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
