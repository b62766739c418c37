/* Audit entries and their chain: what is written is read, and one altered, missing or moved entry breaks the chain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "common/command/audit.h"

static struct audit_entry example(void) {
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
  buffer_deinit(&out);
  buffer_deinit(&json);
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
      cmocka_unit_test(a_cut_entry_is_malformed),
      cmocka_unit_test(the_chain_holds_order_number_and_content),
      cmocka_unit_test(a_checkpoint_is_the_nodes_word),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
