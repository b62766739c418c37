/* What apply reads: lines as a shell quotes them, JSON objects, and all problems in one run. */
#include "broker/operator/script.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static int read_script(struct script *script, const char *text, struct buffer *problems) {
  int outcome = script_read(script, "orders", bytes_text(text), COMMAND_SET);
  buffer_clear(problems);
  script_put_problems(script, problems);
  return outcome;
}

static void test_lines(void **state) {
  (void)state;
  struct script script;
  struct buffer problems = BUFFER_NULL;
  assert_int_equal(
      read_script(&script,
          "\xef\xbb\xbf# flood order 12\n"
          "\n"
          "a/b/gate-1/opening 40 --basis 'flood order 12' # the first\r\n"
          "  a/b/gate-2/mode \"two \\\"words\\\"\" --if 'a/b/gauge/level >= 178.5' --id one --deadline 30s\n"
          "a/b/gate-3/opening -5.5\n"
          "{\"address\":\"a/b/pump/running\",\"value\":true,\"basis\":\"order #13\",\"if\":[\"x/y < 3\",\"x/z == "
          "on\"],\"id\":\"two\"}\n"
          "{\"address\":\"a/b/gate-4/opening\",\"value\":0.1}",
          &problems),
      0);
  assert_int_equal(script.count, 5);
  assert_int_equal(script.lines[0].number, 3);
  assert_string_equal(script.lines[0].wish.basis, "flood order 12");
  assert_string_equal(script.lines[1].wish.text, "two \"words\"");
  assert_string_equal(script.lines[1].wish.id, "one");
  assert_int_equal(script.lines[1].wish.condition_count, 1);
  assert_int_equal(script.lines[1].wish.deadline_us, 30 * SECOND_US);
  assert_string_equal(script.lines[2].wish.text, "-5.5");
  assert_string_equal(script.lines[3].wish.text, "true");
  assert_string_equal(script.lines[3].wish.basis, "order #13");
  assert_int_equal(script.lines[3].wish.condition_count, 2);
  assert_string_equal(script.lines[4].wish.text, "0.1");
  assert_int_equal(script.lines[4].number, 7);
  script_deinit(&script);
  buffer_deinit(&problems);
}

static void test_all_problems_with_their_lines(void **state) {
  (void)state;
  struct script script;
  struct buffer problems = BUFFER_NULL;
  static const char *const says[] = {"orders:1: a quote is not closed\n", "orders:2: \"a//b\" is no address",
      "orders:3: ADDRESS VALUE is expected", "orders:4: there is no option --colour here",
      "orders:5: it is no JSON object", "orders:6: it has a member that is none of", "orders:7: it needs \"address\"",
      "orders:8: it is no UTF-8 text", "orders:9: --deadline soon is not a duration",
      "orders:10: nothing follows the \\", "orders:11: --if 'x' is no condition", "orders:12: it is no JSON object"};
  assert_int_equal(read_script(&script,
                       "a/b 'c\na//b 4\na/b\na/b 4 --colour red\n{\"address\":\"a/b\"\n"
                       "{\"address\":\"a/b\",\"value\":1,\"state\":\"executed\"}\n{\"address\":\"a/b\",\"value\":[1]}\n"
                       "a/b \xff\na/b 4 --deadline soon\na/b 4\\\na/b 4 --if x\n{\"value\":1,\"value\":2}\na/b 4\n",
                       &problems),
      SCRIPT_WRONG);
  for (size_t i = 0; i < sizeof says / sizeof says[0]; i++) {
    if (!strstr(buffer_text(&problems), says[i])) print_error("%s is not in\n%s", says[i], buffer_text(&problems));
    assert_non_null(strstr(buffer_text(&problems), says[i]));
  }
  assert_null(strstr(buffer_text(&problems), "orders:13"));
  script_deinit(&script);
  assert_int_equal(read_script(&script, "a/b 4 --id x\na/c 4\na/d 4 --id x", &problems), SCRIPT_WRONG);
  assert_string_equal(buffer_text(&problems), "orders:3: the id x stands in line 1 already\n");
  script_deinit(&script);
  buffer_deinit(&problems);
}

static const struct script_world today = {1000000, 300 * SECOND_US};

static int check_script(struct script *script, const struct described *described, struct buffer *problems) {
  int outcome = script_check(script, described, &today);
  buffer_clear(problems);
  script_put_problems(script, problems);
  return outcome;
}

static void describe(struct described *described, const char *row) {
  json_t *json = json_loads(row, 0, NULL);
  described_read(described, json);
  json_decref(json);
}

static void test_what_the_node_would_refuse(void **state) {
  (void)state;
  struct script script;
  struct buffer problems = BUFFER_NULL;
  struct described described[10];
  char **addresses;
  static const char *const want[] = {"a/b", "a/g", "a/b", "a/b", "a/b", "a/s", "a/s", "a/l", "a/s", "a/none"};
  assert_int_equal(read_script(&script,
                       "a/b 40\na/g 33\na/b 40 --deadline 301s\n"
                       "a/b 40 --if 'a/s != 5' --if 'a/s > open' --if 'a/l >= 3'\n"
                       "a/b 40 --deadline 300s --if 'a/s == open' --if 'a/none > 3'\n",
                       &problems),
      0);
  assert_int_equal(script_addresses(&script, &addresses), 10);
  for (int i = 0; i < 10; i++) {
    assert_string_equal(addresses[i], want[i]);
    describe(
        &described[i], strcmp(want[i], "a/s") == 0 ? "{\"type\":\"text\"}" : "{\"type\":\"number\",\"control\":{}}");
    free(addresses[i]);
  }
  free(addresses);
  describe(&described[1], "{\"type\":\"number\",\"control\":{\"select_us\":10000000}}");
  described_read(&described[9], NULL);
  assert_int_equal(check_script(&script, described, &problems), SCRIPT_WRONG);
  assert_string_equal(buffer_text(&problems),
      "orders:2: select: a/g is select before operate: use `riverbus set --select`\n"
      "orders:3: deadline: a/b may be given no more than 5m ahead\n"
      "orders:4: precondition: a/s is a text, which cannot be compared by != with the integer given\n"
      "orders:4: precondition: a/s is a text, which cannot be compared by > with the text given\n");
  script_deinit(&script);
  buffer_deinit(&problems);
}

static void test_by_the_points(void **state) {
  (void)state;
  struct script script;
  struct buffer problems = BUFFER_NULL;
  struct described described[5];
  json_t *row =
      json_loads("{\"type\":\"number\",\"control\":{\"type\":\"number\",\"unit\":\"%\",\"range\":[0,100]}}", 0, NULL);
  json_t *plain = json_loads("{\"type\":\"number\"}", 0, NULL);
  assert_int_equal(read_script(&script, "a/b 40\na/b 140\na/b high\na/c 1\na/d 1\n", &problems), 0);
  for (int i = 0; i < 3; i++) described_read(&described[i], row);
  described_read(&described[3], plain);
  described_read(&described[4], NULL);
  assert_int_equal(check_script(&script, described, &problems), SCRIPT_WRONG);
  assert_string_equal(buffer_text(&problems), "orders:2: range: the value 140 is outside the range 0 to 100 %\n"
                                              "orders:3: \"high\" is no number, but that is what the point a/b takes\n"
                                              "orders:4: not-writable: the point a/c cannot be set: it has no control\n"
                                              "orders:5: unknown-point: no point a/d is known\n");
  script_deinit(&script);
  assert_int_equal(read_script(&script, "a/b 40\n", &problems), 0);
  assert_int_equal(check_script(&script, described, &problems), 0);
  script_deinit(&script);
  json_decref(row);
  json_decref(plain);
  buffer_deinit(&problems);
}

/* Whoever reads the report goes through the file once, whatever kind a problem is of. */
static void test_one_report_in_the_order_of_the_lines(void **state) {
  (void)state;
  struct script script;
  struct buffer problems = BUFFER_NULL;
  struct described described[6];
  assert_int_equal(
      read_script(&script,
          "a/b 140\na//b 4\na/b 141 --id x\na/b 'c\na/b 142 --if 'a/t > 3' --id x\n# no command\na/b\n", &problems),
      SCRIPT_WRONG);
  assert_int_equal(script.count, 3);
  for (int i = 0; i < 3; i++)
    describe(&described[i], "{\"type\":\"number\",\"control\":{\"type\":\"number\",\"range\":[0,100]}}");
  describe(&described[3], "{\"type\":\"text\"}");
  assert_int_equal(check_script(&script, described, &problems), SCRIPT_WRONG);
  assert_string_equal(buffer_text(&problems),
      "orders:1: range: the value 140 is outside the range 0 to 100\n"
      "orders:2: \"a//b\" is no address: it has an empty segment (province/station/device/point)\n"
      "orders:3: range: the value 141 is outside the range 0 to 100\n"
      "orders:4: a quote is not closed\n"
      "orders:5: the id x stands in line 3 already\n"
      "orders:5: range: the value 142 is outside the range 0 to 100\n"
      "orders:5: precondition: a/t is a text, which cannot be compared by > with the integer given\n"
      "orders:7: ADDRESS VALUE is expected\n");
  script_deinit(&script);
  buffer_deinit(&problems);
}

/* Whatever stands there: what is taken keeps the rules, and what is not is told with its line. */
static void test_nonsense(void **state) {
  (void)state;
  static const char *const words[] = {"a/b", " ", "40", "\n", "'", "\"", "\\", "#", "--if", "=", "x/y > 3", "--id",
      "one", "{", "}", "\"address\":\"a/b\"", ",", "\"value\":", "1", "[", "]", "\"if\":", "--basis", "\r", "\xff",
      "--", "--deadline", "5s", "{\"address\":\"a/b\",\"value\":2}"};
  struct buffer problems = BUFFER_NULL;
  const char *given = getenv("RIVERBUS_SEED");
  uint32_t seed = given ? (uint32_t)strtoul(given, NULL, 10) : 20261124, taken = 0;
  print_message("RIVERBUS_SEED=%u\n", seed);
  for (int round = 0; round < 20000; round++) {
    struct buffer text = BUFFER_NULL;
    struct script script;
    for (int i = 0; i < 12; i++) {
      seed = seed * 1664525 + 1013904223;
      buffer_append(&text, bytes_text(words[(seed >> 16) % (sizeof words / sizeof words[0])]));
    }
    buffer_clear(&problems);
    int outcome = script_read(&script, "orders", buffer_bytes(&text), COMMAND_SET);
    script_put_problems(&script, &problems);
    assert_int_equal(outcome, problems.len ? SCRIPT_WRONG : 0);
    if (problems.len) assert_memory_equal(problems.data, "orders:", 7);
    for (size_t i = 0; outcome == 0 && i < script.count; i++) {
      assert_int_equal(address_check(bytes_text(script.lines[i].wish.address), NULL), 0);
      assert_true(command_id_is_good(bytes_text(script.lines[i].wish.id)));
      taken++;
    }
    script_deinit(&script);
    buffer_deinit(&text);
  }
  assert_true(taken > 100);
  buffer_deinit(&problems);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_lines),
      cmocka_unit_test(test_all_problems_with_their_lines),
      cmocka_unit_test(test_by_the_points),
      cmocka_unit_test(test_what_the_node_would_refuse),
      cmocka_unit_test(test_one_report_in_the_order_of_the_lines),
      cmocka_unit_test(test_nonsense),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
