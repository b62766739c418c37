/* The roster: what is signed is what is read; no altered byte passes; rules are kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "common/command/roster.h"

static struct roster_operator duty(void) {
  struct roster_operator o = {.name = "duty", .keys = {{{7}}, {{8}}}, .key_count = 2, .local = true};
  const char *why;
  patterns_add(&o.read, bytes_text("#"), &why);
  patterns_add(&o.command, bytes_text("重庆/+/gate-1/opening"), &why);
  return o;
}

static void a_roster_is_read_as_it_was_signed(void **state) {
  (void)state;
  struct identity *authority;
  struct roster_operator operators[1] = {duty()};
  struct roster roster = {
      .province = "重庆", .version = 3, .issued = 10, .valid_until = 20, .operators = operators, .operator_count = 1};
  struct roster *opened;
  struct buffer out = BUFFER_NULL;
  const char *why = NULL;
  identity_generate(&authority);
  assert_int_equal(roster_sign(&out, &roster, authority, &why), 0);
  assert_int_equal(roster_open(&opened, buffer_bytes(&out)), 0);
  assert_string_equal(opened->province, "重庆");
  assert_int_equal(opened->version, 3);
  assert_int_equal(opened->valid_until, 20);
  const struct roster_operator *o = &opened->operators[0];
  assert_true(opened->operator_count == 1 && o->key_count == 2 && o->local && o->keys[1].bytes[0] == 8);
  assert_true(patterns_match(&o->command, bytes_text("重庆/寸滩/gate-1/opening")));
  assert_int_equal(o->approve.count, 0);
  roster_free(opened);
  for (size_t i = 0; i < out.len; i++) {
    out.data[i] ^= 0x10;
    assert_int_not_equal(roster_open(&opened, buffer_bytes(&out)), 0);
    out.data[i] ^= 0x10;
  }
  buffer_deinit(&out);
  identity_free(authority);
  patterns_deinit(&operators[0].read);
  patterns_deinit(&operators[0].command);
}

static void a_broken_rule_is_named(void **state) {
  (void)state;
  struct identity *authority;
  struct buffer out = BUFFER_NULL;
  const char *why = NULL;
  struct roster_operator nobody[1] = {{.name = "x"}};
  struct roster roster = {.province = "p", .version = 0, .issued = 1, .valid_until = 2};
  identity_generate(&authority);
  assert_int_equal(roster_sign(&out, &roster, authority, &why), ROSTER_MALFORMED);
  assert_non_null(strstr(why, "version"));
  roster.version = 1;
  roster.valid_until = 1;
  assert_int_equal(roster_sign(&out, &roster, authority, &why), ROSTER_MALFORMED);
  assert_non_null(strstr(why, "valid-until"));
  roster.valid_until = 2;
  roster.operators = nobody;
  roster.operator_count = 1;
  assert_int_equal(roster_sign(&out, &roster, authority, &why), ROSTER_MALFORMED);
  assert_non_null(strstr(why, "key"));
  assert_int_equal(out.len, 0);
  identity_free(authority);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_roster_is_read_as_it_was_signed),
      cmocka_unit_test(a_broken_rule_is_named),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
