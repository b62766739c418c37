#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "common/command/check.h"
#include "common/command/settle.h"
#include "common/identity/identity_seed.h"

static struct command order(void) {
  return (struct command){.verb = COMMAND_SET,
      .id = bytes_text("x"),
      .address = bytes_text("a/b/c/d"),
      .value = {.type = VALUE_INTEGER, .integer = 40},
      .issued = 1000000,
      .deadline = 61000000,
      .basis = bytes_text("flood order 12")};
}

static struct buffer signed_order(const struct command *command, struct identity *identity) {
  struct buffer out = BUFFER_NULL;
  const char *why = NULL;
  assert_int_equal(command_sign(&out, command, identity, &why), 0);
  return out;
}

static void every_altered_byte_is_forged(void **state) {
  (void)state;
  struct identity *identity;
  struct command c = order(), opened;
  assert_int_equal(identity_generate(&identity), 0);
  struct buffer bytes = signed_order(&c, identity);
  assert_int_equal(command_open(&opened, buffer_bytes(&bytes)), 0);
  assert_true(command_same(&opened, &opened));
  assert_int_equal(opened.deadline, c.deadline);
  assert_true(bytes_equal(opened.basis, c.basis));
  for (size_t i = 0; i < bytes.len; i++)
    for (int bit = 0; bit < 8; bit++) {
      bytes.data[i] ^= (uint8_t)(1 << bit);
      assert_int_not_equal(command_open(&opened, buffer_bytes(&bytes)), 0);
      (void)command_read(&opened, buffer_bytes(&bytes));
      bytes.data[i] ^= (uint8_t)(1 << bit);
    }
  for (size_t len = 0; len < bytes.len; len++)
    assert_int_not_equal(command_open(&opened, bytes_of(bytes.data, len)), 0);
  buffer_deinit(&bytes);
  identity_free(identity);
}

static void a_report_is_signed(void **state) {
  (void)state;
  struct identity *identity;
  struct buffer bytes = BUFFER_NULL;
  struct report opened, report = {.id = bytes_text("x"),
                            .address = bytes_text("a/b/c/d"),
                            .state = STATE_EXECUTED,
                            .actual = {.type = VALUE_NUMBER, .number = 40.2},
                            .time = 5,
                            .fence = 7,
                            .message = bytes_text("m")};
  assert_int_equal(identity_generate(&identity), 0);
  assert_int_equal(report_sign(&bytes, &report, identity), 0);
  assert_int_equal(report_open(&opened, buffer_bytes(&bytes)), 0);
  assert_int_equal(opened.fence, 7);
  for (size_t i = 0; i < bytes.len; i++) {
    bytes.data[i] ^= 1;
    assert_int_not_equal(report_open(&opened, buffer_bytes(&bytes)), 0);
    bytes.data[i] ^= 1;
  }
  report.id = bytes_text("not an id");
  assert_int_equal(report_sign(&bytes, &report, identity), REPORT_MALFORMED);
  buffer_deinit(&bytes);
  identity_free(identity);
}

static void a_ledger_keeps_what_it_does_not_know(void **state) {
  (void)state;
  struct ledger ledger = {
      .entry = {
          .id = bytes_text("x"), .state = STATE_NONE, .by = bytes_text("duty"), .extra = bytes_of("\x50\x02hi", 4)}};
  assert_int_equal(ledger_move(&ledger.entry, ACTOR_BROKER, STATE_ACCEPTED, 10), 0);
  assert_int_equal(ledger_move(&ledger.entry, ACTOR_BROKER, STATE_EXECUTED, 11), LEDGER_NOT_ALLOWED);
  ledger_keep(&ledger);
  assert_int_equal(ledger_move(&ledger.entry, ACTOR_BROKER, STATE_SENT, 12), 0);
  assert_int_equal(ledger.entry.custody, LEDGER_NEXT);
  ledger_keep(&ledger);
  struct ledger loaded;
  assert_int_equal(ledger_load(&loaded, buffer_bytes(&ledger.storage)), 0);
  assert_int_equal(loaded.entry.times[STATE_ACCEPTED], 10);
  assert_int_equal(loaded.entry.custody, LEDGER_NEXT);
  assert_true(bytes_equal(loaded.entry.by, bytes_text("duty")));
  assert_true(bytes_equal(loaded.entry.extra, bytes_of("\x50\x02hi", 4)));
  struct report report = {.id = bytes_text("x"), .state = STATE_EXECUTED, .time = 13, .fence = 3};
  assert_int_equal(ledger_move(&loaded.entry, ACTOR_TIMER, STATE_UNKNOWN, 12), 0);
  assert_int_equal(ledger_report(&loaded.entry, &report), 0); /* late truth, once */
  assert_int_equal(loaded.entry.state, STATE_EXECUTED);
  report.state = STATE_FAILED;
  assert_int_equal(ledger_report(&loaded.entry, &report), LEDGER_NOT_ALLOWED);
  struct ledger_entry entry;
  for (size_t len = 0; len < ledger.storage.len; len++) (void)ledger_read(&entry, bytes_of(ledger.storage.data, len));
  assert_int_equal(ledger_read(&entry, bytes_of("\x02", 1)), LEDGER_NEWER);
  ledger_deinit(&ledger);
  ledger_deinit(&loaded);
}

static void json_has_the_contract_fields(void **state) {
  (void)state;
  struct ledger_entry entry = {.id = bytes_text("x"), .state = STATE_EXPIRED, .code = CODE_NOT_RECEIVED};
  struct buffer out = BUFFER_NULL;
  ledger_put_json(&out, &entry);
  assert_string_equal(buffer_text(&out),
      "{\"id\":\"x\",\"verb\":null,\"address\":null,\"value\":null,\"state\":\"expired\",\"code\":\"not-received\","
      "\"message\":null,"
      "\"hint\":\"send a new command\",\"basis\":null,\"by\":null,"
      "\"approved_by\":null,\"station\":null,\"batch\":null,\"issued\":null,\"deadline\":null,\"time\":null,\"actual\":"
      "null,\"device_message\":null,\"report\":null}");
  buffer_deinit(&out);
}

static void controls_and_values(void **state) {
  (void)state;
  struct control control, read;
  struct buffer json = BUFFER_NULL;
  struct refusal refusal;
  struct command c = order();
  control_init(&control, VALUE_NUMBER, bytes_text("%"));
  control.has_range = true;
  control.high = 100;
  buffer_printf(&json, "{\"unit\":\"%%\",\"control\":");
  control_put_json(&json, &control);
  buffer_printf(&json, "}");
  assert_int_equal(control_from_descriptor(&read, buffer_bytes(&json)), 0);
  assert_true(read.has_range && read.high == 100);
  assert_true(check_value(&c, true, &read, &refusal));
  c.value.integer = 101;
  assert_false(check_value(&c, true, &read, &refusal));
  assert_int_equal(refusal.code, CODE_RANGE);
  assert_string_equal(refusal.message, "the value 101 is outside the range 0 to 100 %");
  c.value = (struct value){.type = VALUE_BOOLEAN, .boolean = true};
  assert_false(check_value(&c, true, &read, &refusal));
  assert_int_equal(refusal.code, CODE_TYPE);
  assert_false(check_value(&c, true, NULL, &refusal));
  assert_int_equal(refusal.code, CODE_NOT_WRITABLE);
  assert_false(check_value(&c, false, NULL, &refusal));
  assert_int_equal(refusal.code, CODE_UNKNOWN_POINT);
  assert_int_equal(control_from_descriptor(&read, bytes_text("{}")), CONTROL_BAD);
  control_init(&control, VALUE_BOOLEAN, BYTES_NULL);
  struct value on = {.type = VALUE_BOOLEAN, .boolean = true};
  assert_int_equal(control_allow(&control, &on), 0);
  assert_true(check_value(&c, true, &control, &refusal));
  c.value.boolean = false;
  assert_false(check_value(&c, true, &control, &refusal));
  assert_string_equal(refusal.message, "the value false is not allowed; allowed: true");
  buffer_deinit(&json);
}

static void times_and_authority(void **state) {
  (void)state;
  struct command c = order();
  struct refusal refusal;
  struct patterns may = PATTERNS_NULL;
  const struct check_operator *by;
  assert_true(check_deadline(&c, 2000000, CHECK_AHEAD_US, &refusal));
  assert_false(check_deadline(&c, 61000000, CHECK_AHEAD_US, &refusal));
  assert_int_equal(refusal.code, CODE_EXPIRED);
  assert_false(check_deadline(&c, 2000000, 10 * SECOND_US, &refusal));
  assert_int_equal(refusal.code, CODE_DEADLINE);
  assert_false(check_deadline(&c, 1000000 - 3 * SECOND_US, CHECK_AHEAD_US, &refusal));
  assert_int_equal(refusal.code, CODE_CLOCK);
  assert_true(check_lifetime(&c, 60 * SECOND_US, &refusal));
  assert_false(check_lifetime(&c, 60 * SECOND_US - 1, &refusal));
  assert_int_equal(refusal.code, CODE_DEADLINE);
  assert_false(check_life_left(SECOND_US, &refusal));
  assert_true(check_life_left(2 * SECOND_US, &refusal));
  assert_false(check_created(&c, 1000001, &refusal));
  assert_false(check_clock(true, true, -3 * SECOND_US, 0, &refusal));
  assert_false(check_clock(false, false, 0, 0, &refusal));
  assert_false(check_busy(&c, bytes_text("y"), STATE_DISPATCHED, &refusal));
  assert_true(check_busy(&c, bytes_text("x"), STATE_DISPATCHED, &refusal));
  patterns_add(&may, bytes_text("a/#"), NULL);
  struct check_operator row = {.name = "duty", .command = &may};
  struct check_operators operators = {&row, 1};
  assert_true(check_authority(&c, &operators, 1000, "here", &by, &refusal));
  c.address = bytes_text("b/c");
  assert_false(check_authority(&c, &operators, 1000, "here", &by, &refusal));
  assert_int_equal(refusal.code, CODE_AUTHORITY);
  c.condition_count = 1;
  assert_false(check_understood(&c, 0, &refusal));
  patterns_deinit(&may);
}

static void settle_round_trips(void **state) {
  (void)state;
  struct settle_ids ids = {.count = 2, .ids = {bytes_text("a"), bytes_text("b")}}, back;
  struct buffer out = BUFFER_NULL;
  struct epoch epoch;
  settle_put_never(&out, (struct epoch){1, 2}, &ids);
  assert_int_equal(settle_get_never(buffer_bytes(&out), &epoch, &back), 0);
  assert_int_equal(back.count, 2);
  assert_int_equal(epoch.random, 2);
  for (size_t len = 0; len < out.len; len++)
    assert_int_equal(settle_get_never(bytes_of(out.data, len), &epoch, &back), SETTLE_MALFORMED);
  buffer_deinit(&out);
}

static void lives_round_trip(void **state) {
  (void)state;
  struct settle_lives lives = {.count = 2, .lives = {{3, 4}, {1, 2}}}, back;
  struct buffer out = BUFFER_NULL;
  settle_put_lives(&out, &lives);
  assert_int_equal(settle_get_lives(buffer_bytes(&out), &back), 0);
  assert_int_equal(back.count, 2);
  assert_int_equal(back.lives[1].random, 2);
  for (size_t len = 0; len < out.len; len++)
    assert_int_equal(settle_get_lives(bytes_of(out.data, len), &back), SETTLE_MALFORMED);
  out.data[0] = SETTLE_LIVES_MAX + 1;
  assert_int_equal(settle_get_lives(buffer_bytes(&out), &back), SETTLE_MALFORMED);
  buffer_deinit(&out);
}

static void the_worst_exit_wins(void **state) {
  (void)state;
  static const enum exit_code order_of[] = {8, 7, 11, 5, 4, 6, 10, 9, 3, 0};
  for (size_t i = 0; i < 10; i++)
    for (size_t j = 0; j < 10; j++)
      assert_int_equal(exit_code_worst(order_of[i], order_of[j]), order_of[i < j ? i : j]);
  assert_int_equal(exit_code_worst(EXIT_CODE_UNKNOWN, EXIT_CODE_USAGE), EXIT_CODE_USAGE);
}

/* The format is a promise: these bytes were signed by the key of the seed 0, 1, ... 31. */
static void the_bytes_are_those_of_version_1(void **state) {
  (void)state;
  static const char prefix[] = "riverbus command v1";
  static const uint8_t body[] = {1, 1, 'x', 7, 'a', '/', 'b', '/', 'c', '/', 'd', VALUE_INTEGER, 80, 2, 4, 2, 'w', 'y',
      1, 3, 'a', '/', 'z', CONDITION_ABOVE, VALUE_INTEGER, 6, 1, 9, 1, 1, 'i'};
  uint8_t seed[IDENTITY_SEED];
  struct command read, c = {.verb = COMMAND_SET,
                           .id = bytes_text("x"),
                           .address = bytes_text("a/b/c/d"),
                           .value = {.type = VALUE_INTEGER, .integer = 40},
                           .issued = 1,
                           .deadline = 2,
                           .basis = bytes_text("wy")};
  c.condition_count = c.item_count = 1;
  c.conditions[0] =
      (struct command_condition){bytes_text("a/z"), CONDITION_ABOVE, {.type = VALUE_INTEGER, .integer = 3}};
  c.items[0] = (struct command_item){9, true, bytes_text("i")};
  for (size_t i = 0; i < sizeof seed; i++) seed[i] = (uint8_t)i;
  struct identity *identity = identity_from_seed(seed);
  struct public_key key;
  identity_public(identity, &key);
  struct buffer bytes = signed_order(&c, identity);
  assert_int_equal(bytes.len, sizeof prefix + 32 + sizeof body + IDENTITY_SIGNATURE);
  assert_memory_equal(bytes.data, prefix, sizeof prefix);
  assert_memory_equal(bytes.data + sizeof prefix, key.bytes, 32);
  assert_memory_equal(bytes.data + sizeof prefix + 32, body, sizeof body);
  assert_int_equal(command_open(&read, buffer_bytes(&bytes)), 0);
  c.key = key;
  assert_true(command_same(&read, &c));
  buffer_deinit(&bytes);
  identity_free(identity);
}

static void what_breaks_a_rule_is_not_signed(void **state) {
  (void)state;
  static char long_basis[COMMAND_BASIS_MAX + 1];
  memset(long_basis, 'b', sizeof long_basis);
  struct command bad[9];
  for (size_t i = 0; i < 9; i++) bad[i] = order();
  bad[0].id = bytes_text("a b");
  bad[1].address = bytes_text("a//b");
  bad[2].value = VALUE_EMPTY;
  bad[3].basis = bytes_of(long_basis, sizeof long_basis);
  bad[4].basis = bytes_text("\xff");
  bad[5].deadline = INT64_MAX;
  bad[6].issued = INT64_MIN;
  bad[7].condition_count = COMMAND_CONDITIONS_MAX + 1;
  bad[8].condition_count = 1; /* without an address */
  struct identity *identity;
  struct buffer out = BUFFER_NULL;
  const char *why;
  assert_int_equal(identity_generate(&identity), 0);
  for (size_t i = 0; i < 9; i++) {
    assert_int_equal(command_sign(&out, &bad[i], identity, &why), COMMAND_MALFORMED);
    assert_non_null(why);
  }
  static uint8_t text[COMMAND_MAX];
  memset(text, 't', sizeof text);
  struct command large = order();
  large.value = (struct value){.type = VALUE_TEXT, .bytes = bytes_of(text, sizeof text)};
  assert_int_equal(command_sign(&out, &large, identity, &why), COMMAND_TOO_LARGE);
  assert_int_equal(out.len, 0);
  buffer_deinit(&out);
  identity_free(identity);
}

static void an_id_means_one_order(void **state) {
  (void)state;
  struct identity *identity;
  struct command first = order(), again;
  struct refusal refusal;
  assert_int_equal(identity_generate(&identity), 0);
  struct buffer bytes = signed_order(&first, identity);
  struct ledger_entry known = {.id = first.id, .command = buffer_bytes(&bytes), .state = STATE_SENT};
  assert_int_equal(command_read(&again, buffer_bytes(&bytes)), 0);
  assert_int_equal(check_known(&again, NULL, &refusal), CHECK_KNOWN_NEW);
  again.issued++; /* a script sends the same order again, later */
  again.deadline++;
  assert_int_equal(check_known(&again, &known, &refusal), CHECK_KNOWN_SAME);
  again.value.integer++;
  assert_int_equal(check_known(&again, &known, &refusal), CHECK_KNOWN_OTHER);
  assert_int_equal(refusal.code, CODE_REPLAY);
  again.value.integer--;
  known.command = BYTES_NULL; /* given up as never received */
  assert_int_equal(check_known(&again, &known, &refusal), CHECK_KNOWN_OTHER);
  buffer_deinit(&bytes);
  identity_free(identity);
}

/* The custody rule, over the whole table. */
static void the_table_keeps_custody(void **state) {
  (void)state;
  for (int actor = 0; actor < ACTOR_ACTORS; actor++)
    for (int from = 0; from < STATE_STATES; from++)
      for (int to = 0; to < STATE_STATES; to++) {
        if (!state_allows((enum actor)actor, (enum state)from, (enum state)to)) continue;
        if (actor == ACTOR_CORRECT) { /* a person's word by another's, and nothing else */
          assert_true((from == STATE_EXECUTED || from == STATE_FAILED) && (to == STATE_EXECUTED || to == STATE_FAILED));
          continue;
        }
        assert_true(from != to && to != STATE_NONE);
        if (state_is_final((enum state)from)) assert_true(from == STATE_UNKNOWN && state_is_final((enum state)to));
        if (actor == ACTOR_BROKER) assert_true(from < STATE_SENT);
        if (actor == ACTOR_TIMER)
          assert_true(to == STATE_UNKNOWN && from >= STATE_APPROVAL); /* approval: at the peer */
        if (actor == ACTOR_NEVER)
          assert_true((to == STATE_EXPIRED || to == STATE_SUPERSEDED) && (from == STATE_SENT || from == STATE_UNKNOWN));
        if (actor == ACTOR_GATEWAY && to == STATE_DISPATCHED) assert_int_equal(from, STATE_RECEIVED);
        if (actor == ACTOR_GATEWAY && state_may_have_moved((enum state)from))
          assert_true(to != STATE_EXPIRED && to != STATE_REJECTED && to != STATE_CANCELLED);
      }
  for (int i = STATE_ACCEPTED; i < STATE_STATES; i++)
    assert_int_equal(state_parse(bytes_text(state_name((enum state)i))), i);
}

static void every_code_says_what_to_do(void **state) {
  (void)state;
  for (int i = 1; i < CODE_CODES; i++) {
    const struct code_row *row = code_row((enum code)i);
    assert_non_null(row);
    assert_true(strlen(row->meaning) > 0 && strlen(row->hint) > 0);
    assert_int_equal(code_parse(bytes_text(row->name)), i);
  }
  assert_null(code_name(CODE_NONE));
  assert_string_equal(code_name((enum code)999), "code-unknown");
}

static void settlement_of_commands(void **state) {
  (void)state;
  struct buffer out = BUFFER_NULL;
  struct bytes command, approval;
  settle_put_command(&out, bytes_text("signed"), BYTES_NULL);
  assert_int_equal(settle_get_command(buffer_bytes(&out), &command, &approval), 0);
  assert_true(bytes_equal(command, bytes_text("signed")) && approval.len == 0);
  buffer_clear(&out);
  settle_put_command(&out, bytes_text("signed"), bytes_text("by two"));
  assert_int_equal(settle_get_command(buffer_bytes(&out), &command, &approval), 0);
  assert_true(bytes_equal(command, bytes_text("signed")) && bytes_equal(approval, bytes_text("by two")));
  buffer_append(&out, bytes_of("\x07\x00\x01z", 4)); /* what a newer broker may add */
  assert_int_equal(settle_get_command(buffer_bytes(&out), &command, &approval), 0);
  buffer_append(&out, bytes_of("\x08\x01\x01z", 4)); /* and what it may not leave out */
  assert_int_equal(settle_get_command(buffer_bytes(&out), &command, &approval), SETTLE_MALFORMED);
  buffer_deinit(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_altered_byte_is_forged),
      cmocka_unit_test(the_bytes_are_those_of_version_1),
      cmocka_unit_test(what_breaks_a_rule_is_not_signed),
      cmocka_unit_test(a_report_is_signed),
      cmocka_unit_test(a_ledger_keeps_what_it_does_not_know),
      cmocka_unit_test(json_has_the_contract_fields),
      cmocka_unit_test(controls_and_values),
      cmocka_unit_test(times_and_authority),
      cmocka_unit_test(an_id_means_one_order),
      cmocka_unit_test(the_table_keeps_custody),
      cmocka_unit_test(every_code_says_what_to_do),
      cmocka_unit_test(settle_round_trips),
      cmocka_unit_test(lives_round_trip),
      cmocka_unit_test(settlement_of_commands),
      cmocka_unit_test(the_worst_exit_wins),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
