/* Audit entries and their chain: what is written is read, and one altered, missing or moved entry breaks the chain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "common/command/audit.h"

static struct buffer before, after;

static struct audit_entry example(void) {
  const struct observation level = {bytes_text("gauge-1/level"), bytes_text("m"),
      {.type = VALUE_NUMBER, .number = 178.5}, 1795507100000000, QUALITY_GOOD};
  const struct observation flow = {
      bytes_text("gauge-1/flow"), bytes_text("cubic metres a second"), VALUE_EMPTY, 0, QUALITY_BAD};
  buffer_deinit(&before);
  buffer_deinit(&after);
  observation_put(&before, &level);
  observation_put(&before, &flow);
  observation_put(&after, &level);
  return (struct audit_entry){.kind = AUDIT_COMMAND,
      .time = 1795507200000000,
      .node = bytes_text("chongqing/caijiagang"),
      .id = bytes_text("c-1"),
      .address = bytes_text("chongqing/caijiagang/gate-1/opening"),
      .verb = COMMAND_SET,
      .state = STATE_EXECUTED,
      .by = bytes_text("duty"),
      .approved_by = bytes_text("chief"),
      .basis = bytes_text("flood order 12"),
      .value = {.type = VALUE_INTEGER, .integer = 40},
      .before = {.type = VALUE_NUMBER, .number = 10.5},
      .actual = {.type = VALUE_NUMBER, .number = 40.2},
      .issued = 1,
      .deadline = 2,
      .fence = 9,
      .observed_before = buffer_bytes(&before),
      .observed_after = buffer_bytes(&after),
      .proof = bytes_text("signed")};
}

static void an_entry_is_read_as_it_was_written(void **state) {
  (void)state;
  struct buffer out = BUFFER_NULL, json = BUFFER_NULL;
  struct audit_entry e = example(), read;
  audit_write(&out, &e);
  assert_int_equal(audit_read(&read, buffer_bytes(&out)), 0);
  assert_true(read.kind == e.kind && read.time == e.time && read.state == e.state && read.fence == 9);
  assert_true(bytes_equal(read.approved_by, e.approved_by) && bytes_equal(read.proof, e.proof));
  assert_true(value_equal(&read.before, &e.before) && value_equal(&read.actual, &e.actual));
  audit_put_json(&json, 7, &read, buffer_bytes(&out), NULL);
  assert_non_null(strstr(buffer_text(&json), "\"number\":7,\"time\":\"2026-11-24T"));
  assert_non_null(strstr(buffer_text(&json), "\"verb\":\"set\",\"state\":\"executed\",\"code\":null"));
  assert_non_null(strstr(buffer_text(&json), "\"before\":10.5,\"actual\":40.2"));
  assert_non_null(strstr(buffer_text(&json),
      "\"observed_before\":[{\"point\":\"gauge-1/level\",\"value\":178.5,\"unit\":\"m\",\"time\":\"2026-11-24T"));
  assert_non_null(strstr(buffer_text(&json),
      "{\"point\":\"gauge-1/flow\",\"value\":null,\"unit\":\"cubic metres a s\",\"time\":null,\"quality\":\"bad\"}]"));
  buffer_deinit(&out);
  buffer_deinit(&json);
}

/* As a version wrote it that observed nothing: version 1, kind, time, node. */
static void an_older_entry_is_read(void **state) {
  (void)state;
  static const uint8_t old[] = {1, 1, 1, 1, 2, 1, 4, 3, 3, 'p', '/', 's'};
  struct audit_entry read;
  struct buffer json = BUFFER_NULL;
  assert_int_equal(audit_read(&read, bytes_of(old, sizeof old)), 0);
  assert_true(read.kind == AUDIT_COMMAND && read.time == 2 && read.observed_before.len == 0);
  audit_put_json(&json, 1, &read, bytes_of(old, sizeof old), NULL);
  assert_non_null(strstr(buffer_text(&json), "\"observed_before\":null,\"observed_after\":null"));
  buffer_deinit(&json);
}

static void a_list_that_is_none_is_refused(void **state) {
  (void)state;
  struct audit_entry e = example();
  struct bytes list = e.observed_before;
  struct buffer long_one = BUFFER_NULL;
  assert_true(observations_are_good(list) && observations_are_good(BYTES_NULL));
  assert_false(observations_are_good(bytes_of(list.data, list.len - 1)));
  for (int i = 0; i < OBSERVATION_POINTS_MAX / 2; i++) buffer_append(&long_one, list);
  assert_true(observations_are_good(buffer_bytes(&long_one)) && long_one.len <= OBSERVATION_LIST_MAX);
  buffer_append(&long_one, list);
  assert_false(observations_are_good(buffer_bytes(&long_one)));
  buffer_deinit(&long_one);
}

static int forget_lists(void **state) {
  (void)state;
  buffer_deinit(&before);
  buffer_deinit(&after);
  return 0;
}

static void a_cut_entry_is_malformed(void **state) {
  (void)state;
  struct buffer out = BUFFER_NULL;
  struct audit_entry e = example(), read;
  audit_write(&out, &e);
  assert_int_equal(audit_read(&read, bytes_of(out.data, out.len - 1)), AUDIT_MALFORMED);
  out.data[0] = 2;
  assert_int_equal(audit_read(&read, buffer_bytes(&out)), AUDIT_NEWER);
  assert_int_equal(audit_read(&read, BYTES_NULL), AUDIT_MALFORMED);
  buffer_deinit(&out);
}

static void the_chain_holds_order_number_and_content(void **state) {
  (void)state;
  const uint8_t zeros[CHAIN_HASH] = {0};
  uint8_t a[CHAIN_HASH], b[CHAIN_HASH], other[CHAIN_HASH];
  chain_next(zeros, 1, bytes_text("one"), a);
  chain_next(a, 2, bytes_text("two"), b);
  chain_next(a, 2, bytes_text("twp"), other);
  assert_memory_not_equal(b, other, CHAIN_HASH);
  chain_next(a, 3, bytes_text("two"), other);
  assert_memory_not_equal(b, other, CHAIN_HASH);
  chain_next(zeros, 2, bytes_text("two"), other);
  assert_memory_not_equal(b, other, CHAIN_HASH);
}

static void a_checkpoint_is_the_nodes_word(void **state) {
  (void)state;
  struct identity *identity;
  struct buffer out = BUFFER_NULL;
  struct audit_checkpoint opened, c = {.node = bytes_text("p/s"), .number = 5, .link = {1, 2}, .time = 6};
  identity_generate(&identity);
  audit_checkpoint_sign(&out, &c, identity);
  assert_int_equal(audit_checkpoint_open(&opened, buffer_bytes(&out)), 0);
  assert_true(opened.number == 5 && opened.time == 6 && bytes_equal(opened.node, c.node));
  assert_memory_equal(opened.link, c.link, CHAIN_HASH);
  for (size_t i = 0; i < out.len; i++) {
    out.data[i] ^= 4;
    assert_int_not_equal(audit_checkpoint_open(&opened, buffer_bytes(&out)), 0);
    out.data[i] ^= 4;
  }
  buffer_deinit(&out);
  identity_free(identity);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_entry_is_read_as_it_was_written),
      cmocka_unit_test(an_older_entry_is_read),
      cmocka_unit_test(a_list_that_is_none_is_refused),
      cmocka_unit_test(a_cut_entry_is_malformed),
      cmocka_unit_test(the_chain_holds_order_number_and_content),
      cmocka_unit_test(a_checkpoint_is_the_nodes_word),
  };
  return cmocka_run_group_tests(tests, NULL, forget_lists);
}
