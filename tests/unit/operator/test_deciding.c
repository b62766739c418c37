/* What a decision is signed about: the very command, verified here, whatever the node says. */
#include "broker/operator/deciding.h"
#include "broker/operator/encoded.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void test_open(void **state) {
  (void)state;
  struct identity *identity;
  struct buffer bytes = BUFFER_NULL;
  struct command opened, command = {.verb = COMMAND_SET,
                             .id = bytes_text("one"),
                             .address = bytes_text("a/b/c/d"),
                             .value = {.type = VALUE_NUMBER, .number = 40},
                             .issued = 1000000,
                             .deadline = 2000000};
  assert_int_equal(identity_generate(&identity), 0);
  assert_int_equal(command_sign(&bytes, &command, identity, NULL), 0);
  assert_null(deciding_open(&opened, buffer_bytes(&bytes), "one"));
  assert_true(opened.value.number == 40);
  assert_string_equal(deciding_open(&opened, buffer_bytes(&bytes), "two"), "it has another id");
  for (size_t i = 0; i < bytes.len; i++) {
    bytes.data[i] ^= 1;
    assert_non_null(deciding_open(&opened, buffer_bytes(&bytes), "one"));
    bytes.data[i] ^= 1;
  }
  buffer_deinit(&bytes);
  identity_free(identity);
}

static void test_encoded(void **state) {
  (void)state;
  uint8_t data[64];
  struct buffer back = BUFFER_NULL;
  for (size_t len = 0; len < sizeof data; len++) {
    data[len] = (uint8_t)(251 * len + 7);
    json_t *text = encoded_json(bytes_of(data, len));
    buffer_clear(&back);
    assert_true(encoded_read(text, &back));
    assert_true(bytes_equal(buffer_bytes(&back), bytes_of(data, len)));
    json_decref(text);
  }
  static const char *const wrong[] = {"A", "AAA", "A===", "AA=A", "A-_A", "AAAA\n", " AAAA"};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    json_t *text = json_string(wrong[i]);
    buffer_clear(&back);
    assert_false(encoded_read(text, &back));
    assert_int_equal(back.len, 0);
    json_decref(text);
  }
  assert_false(encoded_read(NULL, &back));
  buffer_deinit(&back);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_open), cmocka_unit_test(test_encoded)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
