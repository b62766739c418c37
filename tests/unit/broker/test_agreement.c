/* What a neighbour's operators may ask for: a line covers the point, the person and the value, or nothing does. */
#include "broker/agreement.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define GATE "chongqing/cai/gate-1/opening"
#define PUMP "chongqing/cai/pump-1/running"

static struct public_key duty = {.bytes = {1}}, night = {.bytes = {2}};
static struct broker_value on = {.value = {.type = VALUE_BOOLEAN, .boolean = true}};

static void test_table(void **state) {
  (void)state;
  struct broker_request lines[] = {
      {.operators = {&duty, 1}, .range = {true, 0, 40}},
      {.operators = {&night, 1}, .range = {true, 0, 10}},
      {.operators = {&duty, 1}, .allowed = &on, .allowed_count = 1},
  };
  const char *matches[] = {"chongqing/cai/+/opening", GATE, "chongqing/cai/pump-1/#"};
  for (size_t i = 0; i < 3; i++) assert_int_equal(pattern_new(&lines[i].match, bytes_text(matches[i]), NULL), 0);
  struct broker_peer peer = {.name = "hubei", .requests = lines, .request_count = 3};
  const struct {
    const char *address;
    uint8_t verb;
    const struct public_key *key;
    struct value value;
    int line;         /* -1: refused */
    const char *says; /* in the refusal */
  } rows[] = {
      {GATE, COMMAND_SET, &duty, {.type = VALUE_INTEGER, .integer = 40}, 0, NULL},
      {GATE, COMMAND_SET, &duty, {.type = VALUE_NUMBER, .number = 40.5}, -1, "0 to 40"},
      {GATE, COMMAND_TRY, &duty, {.type = VALUE_NUMBER, .number = 40.5}, -1, "0 to 40"},
      {GATE, COMMAND_SET, &duty, {.type = VALUE_TEXT, .bytes = {(const uint8_t *)"x", 1}}, -1, "0 to 40"},
      {GATE, COMMAND_SET, &night, {.type = VALUE_INTEGER, .integer = 10}, 1, NULL},
      {GATE, COMMAND_SET, &night, {.type = VALUE_INTEGER, .integer = 11}, -1, "0 to 10"},
      {GATE, COMMAND_STOP, &night, {.type = VALUE_NONE}, 1, NULL},
      {PUMP, COMMAND_SET, &duty, {.type = VALUE_BOOLEAN, .boolean = true}, 2, NULL},
      {PUMP, COMMAND_SET, &duty, {.type = VALUE_BOOLEAN, .boolean = false}, -1, "true"},
      {PUMP, COMMAND_STOP, &night, {.type = VALUE_NONE}, -1, "key"},
      {"chongqing/cai/gate-1/mode", COMMAND_SET, &duty, {.type = VALUE_INTEGER, .integer = 1}, -1, "for nothing at"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct command command = {
        .verb = rows[i].verb, .address = bytes_text(rows[i].address), .key = *rows[i].key, .value = rows[i].value};
    struct refusal refusal = {.code = CODE_NONE};
    const struct broker_request *line = agreement_find(&peer, &command, &refusal);
    assert_ptr_equal(line, rows[i].line < 0 ? NULL : &lines[rows[i].line]);
    if (line) continue;
    assert_int_equal(refusal.code, CODE_AGREEMENT);
    if (!strstr(refusal.message, rows[i].says)) fail_msg("row %zu: %s", i, refusal.message);
  }
  assert_true(agreement_covers(&peer, bytes_text(GATE), &night));
  assert_false(agreement_covers(&peer, bytes_text(PUMP), &night));
  for (size_t i = 0; i < 3; i++) pattern_free(lines[i].match);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_table)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
