/* A log is whole, or the first entry that is not is named: altered, left out, put in, cut off, written anew. */
#include "broker/operator/auditor.h"
#include "common/base/mem.h"
#include "common/command/decision.h"
#include "common/command/report.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { ENTRIES = 6 };
static struct identity *operator_identity, *node_identity;
static struct public_key operator_key, node_key;
static struct buffer entries[ENTRIES], command_bytes, checkpoint_bytes, report_bytes;
static uint8_t links[ENTRIES][CHAIN_HASH];

static void write_entry(int i, const struct audit_entry *entry) {
  static const uint8_t zeros[CHAIN_HASH];
  buffer_clear(&entries[i]);
  audit_write(&entries[i], entry);
  chain_next(i ? links[i - 1] : zeros, (uint64_t)i + 1, buffer_bytes(&entries[i]), links[i]);
}

static struct audit_entry command_entry(const struct command *command) {
  return (struct audit_entry){.kind = AUDIT_COMMAND,
      .time = 2000000,
      .node = bytes_text("chongqing"),
      .id = command->id,
      .address = command->address,
      .verb = command->verb,
      .state = STATE_ACCEPTED,
      .basis = command->basis,
      .value = command->value,
      .before = VALUE_EMPTY,
      .actual = VALUE_EMPTY,
      .issued = command->issued,
      .deadline = command->deadline,
      .by = bytes_text("duty")};
}

static void make_checkpoint(uint64_t number, const uint8_t link[CHAIN_HASH]) {
  struct audit_checkpoint checkpoint = {.node = bytes_text("chongqing/cuntan"), .number = number, .time = 3000000};
  memcpy(checkpoint.link, link, CHAIN_HASH);
  buffer_clear(&checkpoint_bytes);
  audit_checkpoint_sign(&checkpoint_bytes, &checkpoint, node_identity);
}

/* The station's word: as the last entry says, but for the state. */
static void make_report(enum state said) {
  const struct report report = {.id = bytes_text("one"),
      .address = bytes_text("chongqing/cuntan/gate-1/opening"),
      .state = said,
      .time = 2000000,
      .before = VALUE_EMPTY,
      .actual = {.type = VALUE_NUMBER, .number = 40.2}};
  buffer_clear(&report_bytes);
  assert_int_equal(report_sign(&report_bytes, &report, node_identity), 0);
}

static int setup(void **state) {
  (void)state;
  struct command command = {.verb = COMMAND_SET,
      .id = bytes_text("one"),
      .address = bytes_text("chongqing/cuntan/gate-1/opening"),
      .value = {.type = VALUE_NUMBER, .number = 40},
      .issued = 1000000,
      .deadline = 61000000,
      .basis = bytes_text("flood order 12")};
  identity_generate(&operator_identity);
  identity_generate(&node_identity);
  identity_public(operator_identity, &operator_key);
  identity_public(node_identity, &node_key);
  command_sign(&command_bytes, &command, operator_identity, NULL);
  struct audit_entry entry = {
      .kind = AUDIT_START, .time = 1, .node = bytes_text("chongqing"), .message = bytes_text("0.1")};
  write_entry(0, &entry);
  entry = command_entry(&command);
  entry.proof = buffer_bytes(&command_bytes);
  write_entry(1, &entry);
  entry.proof = BYTES_NULL;
  entry.state = STATE_SENT;
  write_entry(2, &entry);
  make_checkpoint(3, links[0]);
  entry = (struct audit_entry){
      .kind = AUDIT_CHECKPOINT, .time = 3, .node = bytes_text("chongqing"), .proof = buffer_bytes(&checkpoint_bytes)};
  write_entry(3, &entry);
  entry = (struct audit_entry){.kind = AUDIT_DECISION,
      .time = 4,
      .node = bytes_text("chongqing"),
      .id = bytes_text("one"),
      .code = CODE_SIGNATURE,
      .proof = bytes_text("riverbus decision v1 forged")};
  write_entry(4, &entry);
  entry = command_entry(&command);
  entry.state = STATE_EXECUTED;
  entry.actual = (struct value){.type = VALUE_NUMBER, .number = 40.2};
  make_report(STATE_EXECUTED);
  entry.proof = buffer_bytes(&report_bytes);
  write_entry(5, &entry);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  for (int i = 0; i < ENTRIES; i++) buffer_deinit(&entries[i]);
  buffer_deinit(&command_bytes);
  buffer_deinit(&checkpoint_bytes);
  buffer_deinit(&report_bytes);
  identity_free(operator_identity);
  identity_free(node_identity);
  return 0;
}

static void take_all(struct auditor *auditor, int from) {
  for (int i = from; i < ENTRIES; i++) auditor_take(auditor, (uint64_t)i + 1, links[i], buffer_bytes(&entries[i]));
}

static void assert_broken(const struct auditor *auditor, uint64_t number, const char *says) {
  assert_true(auditor->wrong);
  assert_int_equal(auditor->broken, number);
  if (!strstr(auditor->why, says)) print_error("%s\n", auditor->why);
  assert_non_null(strstr(auditor->why, says));
}

static void test_whole(void **state) {
  (void)state;
  struct auditor auditor;
  for (int from = 0; from < 2; from++) {
    auditor_init(&auditor, NULL);
    take_all(&auditor, from);
    assert_false(auditor.wrong);
    assert_int_equal(auditor.first, from + 1);
    assert_int_equal(auditor.last, ENTRIES);
    assert_int_equal(auditor.proofs, 3);
    assert_int_equal(auditor.refused, 1);
    assert_int_equal(auditor.other_count, 1);
    auditor_deinit(&auditor);
  }
}

static void test_keys(void **state) {
  (void)state;
  struct auditor auditor;
  struct public_key both[] = {operator_key, node_key};
  struct config_keys keys = {both, 2};
  auditor_init(&auditor, &keys);
  take_all(&auditor, 0);
  assert_false(auditor.wrong);
  auditor_deinit(&auditor);
  keys.count = 1;
  auditor_init(&auditor, &keys);
  take_all(&auditor, 0);
  assert_broken(&auditor, 4, "none of the keys given");
  auditor_deinit(&auditor);
}

/* Whatever byte of whatever entry or link is altered, that entry is named. */
static void test_any_byte(void **state) {
  (void)state;
  for (int i = 0; i < ENTRIES; i++)
    for (size_t at = 0; at < entries[i].len + CHAIN_HASH; at++) {
      struct auditor auditor;
      uint8_t *byte = at < entries[i].len ? &entries[i].data[at] : &links[i][at - entries[i].len];
      *byte ^= 1;
      auditor_init(&auditor, NULL);
      take_all(&auditor, 0);
      assert_broken(&auditor, (uint64_t)i + 1, "does not fit the chain");
      auditor_deinit(&auditor);
      *byte ^= 1;
    }
}

static void test_left_out_and_put_in(void **state) {
  (void)state;
  struct auditor auditor;
  auditor_init(&auditor, NULL);
  auditor_take(&auditor, 1, links[0], buffer_bytes(&entries[0]));
  assert_false(auditor_take(&auditor, 3, links[2], buffer_bytes(&entries[2])));
  assert_broken(&auditor, 3, "left out");
  auditor_deinit(&auditor);
  auditor_init(&auditor, NULL);
  auditor_take(&auditor, 1, links[0], buffer_bytes(&entries[0]));
  assert_false(auditor_take(&auditor, 1, links[0], buffer_bytes(&entries[0])));
  assert_broken(&auditor, 1, "order was changed");
  auditor_deinit(&auditor);
}

/* The node itself lies: the chain fits, the operator's signature tells. */
static void test_entry_against_its_proof(void **state) {
  (void)state;
  struct auditor auditor;
  struct command command;
  uint8_t link[CHAIN_HASH];
  struct buffer bytes = BUFFER_NULL;
  command_open(&command, buffer_bytes(&command_bytes));
  struct audit_entry entry = command_entry(&command);
  entry.proof = buffer_bytes(&command_bytes);
  entry.value.number = 80;
  audit_write(&bytes, &entry);
  chain_next(links[0], 2, buffer_bytes(&bytes), link);
  auditor_init(&auditor, NULL);
  auditor_take(&auditor, 1, links[0], buffer_bytes(&entries[0]));
  assert_false(auditor_take(&auditor, 2, link, buffer_bytes(&bytes)));
  assert_broken(&auditor, 2, "something else than the signed command");
  auditor_deinit(&auditor);
  buffer_clear(&bytes);
  command_bytes.data[command_bytes.len - 1] ^= 1;
  entry.value.number = 40;
  audit_write(&bytes, &entry);
  command_bytes.data[command_bytes.len - 1] ^= 1;
  chain_next(links[0], 2, buffer_bytes(&bytes), link);
  auditor_init(&auditor, NULL);
  auditor_take(&auditor, 1, links[0], buffer_bytes(&entries[0]));
  assert_false(auditor_take(&auditor, 2, link, buffer_bytes(&bytes)));
  assert_broken(&auditor, 2, "signature of the command does not fit");
  auditor_deinit(&auditor);
  buffer_deinit(&bytes);
}

/* A station's good report, in an entry about another command. */
static void test_report_of_another_command(void **state) {
  (void)state;
  struct auditor auditor;
  uint8_t link[CHAIN_HASH];
  struct buffer other = BUFFER_NULL, bytes = BUFFER_NULL;
  struct report report = {.id = bytes_text("two"),
      .address = bytes_text("chongqing/cuntan/gate-1/opening"),
      .state = STATE_EXECUTED,
      .actual = VALUE_EMPTY,
      .time = 5};
  assert_int_equal(report_sign(&other, &report, node_identity), 0);
  for (int same = 0; same < 2; same++) {
    struct audit_entry entry = {.kind = AUDIT_COMMAND,
        .time = 5,
        .node = bytes_text("chongqing"),
        .id = bytes_text(same ? "two" : "one"),
        .state = STATE_EXECUTED,
        .proof = buffer_bytes(&other)};
    buffer_clear(&bytes);
    audit_write(&bytes, &entry);
    chain_next(links[0], 2, buffer_bytes(&bytes), link);
    auditor_init(&auditor, NULL);
    auditor_take(&auditor, 1, links[0], buffer_bytes(&entries[0]));
    assert_int_equal(auditor_take(&auditor, 2, link, buffer_bytes(&bytes)), same);
    if (!same) assert_broken(&auditor, 2, "the report in it is about another command");
    auditor_deinit(&auditor);
  }
  buffer_deinit(&other);
  buffer_deinit(&bytes);
}

/* The last entry as it would be by a broker that lies: a good chain, and the station's report that says otherwise, or
 * none. */
static void broker_says(struct auditor *auditor, void (*lie)(struct audit_entry *entry)) {
  struct buffer bytes = BUFFER_NULL;
  struct audit_entry entry;
  uint8_t link[CHAIN_HASH];
  assert_int_equal(audit_read(&entry, buffer_bytes(&entries[5])), 0);
  lie(&entry);
  audit_write(&bytes, &entry);
  chain_next(links[4], 6, buffer_bytes(&bytes), link);
  auditor_init(auditor, NULL);
  for (int i = 0; i < 5; i++) auditor_take(auditor, (uint64_t)i + 1, links[i], buffer_bytes(&entries[i]));
  auditor_take(auditor, 6, link, buffer_bytes(&bytes));
  buffer_deinit(&bytes);
}
static void nothing(struct audit_entry *entry) { (void)entry; }
static void no_report(struct audit_entry *entry) { entry->proof = BYTES_NULL; }
static void another_state(struct audit_entry *entry) {
  make_report(STATE_FAILED);
  entry->proof = buffer_bytes(&report_bytes);
}
static void another_time(struct audit_entry *entry) { entry->time++; }
static void another_value(struct audit_entry *entry) { entry->actual.number = 41; }
static void another_point(struct audit_entry *entry) { entry->address = bytes_text("chongqing/cuntan/gate-2/opening"); }
static void resolved(struct audit_entry *entry) {
  entry->proof = BYTES_NULL;
  entry->code = CODE_RESOLVED;
}
static void refused_by_the_broker(struct audit_entry *entry) {
  entry->proof = BYTES_NULL;
  entry->state = STATE_REJECTED;
}

static void test_an_end_is_the_stations_word(void **state) {
  (void)state;
  static const struct {
    void (*lie)(struct audit_entry *entry);
    const char *says;
  } rows[] = {{nothing, NULL}, {no_report, "holds no report of the station"}, {another_state, "says something else"},
      {another_time, "says something else"}, {another_value, "says something else"},
      {another_point, "says something else"}, {resolved, NULL}, {refused_by_the_broker, NULL}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct auditor auditor;
    broker_says(&auditor, rows[i].lie);
    if (rows[i].says)
      assert_broken(&auditor, 6, rows[i].says);
    else if (auditor.wrong)
      fail_msg("row %zu: %s", i, auditor.why);
    auditor_deinit(&auditor);
  }
  make_report(STATE_EXECUTED);
}

static json_t *exported(int i) {
  struct buffer text = BUFFER_NULL;
  struct audit_entry entry;
  assert_int_equal(audit_read(&entry, buffer_bytes(&entries[i])), 0);
  audit_put_json(&text, (uint64_t)i + 1, &entry, buffer_bytes(&entries[i]), links[i]);
  json_t *object = json_loadb((const char *)text.data, text.len, 0, NULL);
  buffer_deinit(&text);
  return object;
}

static void test_export(void **state) {
  (void)state;
  struct auditor auditor;
  auditor_init(&auditor, NULL);
  for (int i = 0; i < ENTRIES; i++) {
    json_t *object = exported(i);
    assert_true(auditor_take_json(&auditor, object));
    json_decref(object);
  }
  auditor_deinit(&auditor);
  static const struct {
    const char *member;
    const char *value;
  } changed[] = {{"value", "41"}, {"basis", "\"order 13\""}, {"by", "\"chief\""}, {"state", "\"executed\""},
      {"link", "\"00\""}, {"entry", "\"AA=\""}, {"number", "7"}, {"basis", "null"}};
  for (size_t i = 0; i < sizeof changed / sizeof changed[0]; i++) {
    json_t *first = exported(0), *object = exported(1);
    json_object_set_new(object, changed[i].member, json_loads(changed[i].value, JSON_DECODE_ANY, NULL));
    auditor_init(&auditor, NULL);
    assert_true(auditor_take_json(&auditor, first));
    assert_false(auditor_take_json(&auditor, object));
    assert_int_equal(auditor.broken, strcmp(changed[i].member, "number") == 0 ? 7 : 2);
    auditor_deinit(&auditor);
    json_decref(first);
    json_decref(object);
  }
}

/* What a later version wrote fits the chain, or not; more is not known of it. */
static void test_later_version(void **state) {
  (void)state;
  struct auditor auditor;
  uint8_t link[CHAIN_HASH];
  uint8_t later[] = {200, 1, 2, 3};
  chain_next(links[ENTRIES - 1], ENTRIES + 1, bytes_of(later, sizeof later), link);
  auditor_init(&auditor, NULL);
  take_all(&auditor, 0);
  assert_true(auditor_take(&auditor, ENTRIES + 1, link, bytes_of(later, sizeof later)));
  assert_int_equal(auditor.newer, 1);
  later[1] ^= 1;
  assert_false(auditor_take(&auditor, ENTRIES + 2, link, bytes_of(later, sizeof later)));
  auditor_deinit(&auditor);
}

static void test_checkpoints(void **state) {
  (void)state;
  struct auditor auditor;
  struct auditor_checkpoint other = {.node = (char *)(uintptr_t) "hubei", .number = 99};
  struct auditor_checkpoint own = {.node = (char *)(uintptr_t) "chongqing", .number = 4};
  memcpy(own.link, links[3], CHAIN_HASH);
  auditor_init(&auditor, NULL);
  take_all(&auditor, 2);
  assert_true(auditor_hold(&auditor, &other));
  assert_true(auditor_hold(&auditor, &own));
  own.number = 2; /* before the first */
  assert_true(auditor_hold(&auditor, &own));
  own.number = 5;
  assert_false(auditor_hold(&auditor, &own));
  assert_broken(&auditor, 5, "written anew");
  auditor_deinit(&auditor);
  auditor_init(&auditor, NULL);
  take_all(&auditor, 2);
  own.number = ENTRIES + 1;
  assert_false(auditor_hold(&auditor, &own));
  assert_broken(&auditor, ENTRIES + 1, "the end was cut off");
  auditor_deinit(&auditor);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_whole),
      cmocka_unit_test(test_keys),
      cmocka_unit_test(test_any_byte),
      cmocka_unit_test(test_left_out_and_put_in),
      cmocka_unit_test(test_entry_against_its_proof),
      cmocka_unit_test(test_report_of_another_command),
      cmocka_unit_test(test_an_end_is_the_stations_word),
      cmocka_unit_test(test_export),
      cmocka_unit_test(test_later_version),
      cmocka_unit_test(test_checkpoints),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
