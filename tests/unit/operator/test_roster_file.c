/* The authority's YAML: what is signed is what stands there, and all problems are told with their places. */
#include "broker/operator/roster_file.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static char path[] = "/tmp/riverbus-roster-XXXXXX";

static int load(struct roster_file **file, const char *text, struct buffer *problems) {
  FILE *stream = fopen(path, "w");
  assert_non_null(stream);
  fputs(text, stream);
  fclose(stream);
  buffer_clear(problems);
  return roster_file_load(file, path, problems);
}

static char key_text[2][IDENTITY_KEY_TEXT + 1];
static struct identity *identities[2];

static int setup(void **state) {
  (void)state;
  int fd = mkstemp(path);
  close(fd);
  for (int i = 0; i < 2; i++) {
    struct public_key key;
    identity_generate(&identities[i]);
    identity_public(identities[i], &key);
    public_key_text(&key, key_text[i]);
  }
  return fd < 0;
}

static int teardown(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++) identity_free(identities[i]);
  return unlink(path);
}

static void test_signed(void **state) {
  (void)state;
  char text[1024];
  struct roster_file *file;
  struct roster *roster;
  struct buffer problems = BUFFER_NULL, bytes = BUFFER_NULL;
  const char *why = NULL;
  snprintf(text, sizeof text,
      "province: chongqing\nversion: 7\nvalid-until: \"2027-12-31 24:00\"\ntime-zone: \"+08:00\"\noperators:\n"
      "  - {name: duty, key: \"%s\", read: [\"#\"], command: [\"chongqing/#\"], local: true}\n"
      "  - {name: chief, key: \"%s\", approve: [\"chongqing/+/gate-1/#\"]}\n",
      key_text[0], key_text[1]);
  assert_int_equal(load(&file, text, &problems), CONFIG_WRONG); /* there is no 24:00 */
  *strstr(text, "24:00") = '1';
  assert_int_equal(load(&file, text, &problems), 0);
  assert_true(roster_file_sign(file, 1000000, identities[0], &bytes, &why));
  assert_int_equal(roster_open(&roster, buffer_bytes(&bytes)), 0);
  assert_string_equal(roster->province, "chongqing");
  assert_int_equal(roster->version, 7);
  assert_int_equal(roster->issued, 1000000);
  assert_true(roster->valid_until == INT64_C(1830232800) * 1000000); /* 2027-12-31T14:00+08:00 */
  assert_int_equal(roster->operator_count, 2);
  assert_true(roster->operators[0].local && !roster->operators[1].local);
  assert_true(patterns_match(&roster->operators[0].command, bytes_text("chongqing/a/b/c")));
  assert_true(patterns_match(&roster->operators[1].approve, bytes_text("chongqing/a/gate-1/opening")));
  assert_int_equal(roster->operators[1].command.count, 0);
  roster_free(roster);
  buffer_clear(&bytes);
  assert_false(roster_file_sign(file, file->until, identities[0], &bytes, &why)); /* it has ended */
  assert_non_null(strstr(why, "valid-until"));
  roster_file_free(file);
  buffer_deinit(&problems);
  buffer_deinit(&bytes);
}

static void test_problems(void **state) {
  (void)state;
  char text[1024];
  struct roster_file *file;
  struct buffer problems = BUFFER_NULL;
  snprintf(text, sizeof text,
      "province: chongqing\nversion: 0\nvalid-until: soon\noperators:\n"
      "  - {name: duty, key: \"%s\", comand: [\"#\"]}\n  - {name: duty, key: \"%s\"}\n",
      key_text[0], key_text[0]);
  assert_int_equal(load(&file, text, &problems), CONFIG_WRONG);
  static const char *const says[] = {
      ":2:", ":3:", "'soon' is no time", ":5:", "did you mean 'command'", "stands twice", "is operator duty's already"};
  for (size_t i = 0; i < sizeof says / sizeof says[0]; i++) {
    if (!strstr(buffer_text(&problems), says[i])) print_error("%s is not in\n%s", says[i], buffer_text(&problems));
    assert_non_null(strstr(buffer_text(&problems), says[i]));
  }
  buffer_deinit(&problems);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_signed), cmocka_unit_test(test_problems)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
