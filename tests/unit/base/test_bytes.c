/* bytes, buffer, blob, mem. */
#include "common/base/blob.h"
#include "common/base/buffer.h"
#include "common/base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>

static void order_is_by_bytes_then_length(void **state) {
  (void)state;
  assert_true(bytes_compare(bytes_text("a"), bytes_text("b")) < 0);
  assert_true(bytes_compare(bytes_text("ab"), bytes_text("a")) > 0);
  assert_true(bytes_compare(BYTES_NULL, bytes_text("")) == 0);
  assert_true(bytes_compare(bytes_text("\xFF"), bytes_text("a")) > 0);
  assert_true(bytes_equal(BYTES_NULL, bytes_text("")));
  assert_false(bytes_equal(bytes_text("a"), bytes_text("b")));
}

static void utf8_follows_rfc_3629(void **state) {
  (void)state;
  static const char *good[] = {"", "plain", "重庆/寸滩", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF",
      "\xEE\x80\x80", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"};
  static const char *bad[] = {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2",
      "\xC2"
      "a",
      "\xE0\x9F\xBF", "\xE4\xB8", "\xED\xA0\x80", "\xED\xBF\xBF", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80",
      "\xF5\x80\x80\x80", "\xFF", "ok\xE4\xB8",
      "\xF0\x90\x80"
      "a"};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) assert_true(bytes_is_utf8(bytes_text(good[i])));
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(bytes_is_utf8(bytes_text(bad[i])));
}

static void a_buffer_grows_and_keeps_its_content(void **state) {
  (void)state;
  struct buffer b = BUFFER_NULL;
  assert_string_equal(buffer_text(&b), "");
  for (int i = 0; i < 1000; i++) buffer_printf(&b, "%d,", i);
  assert_memory_equal(b.data, "0,1,2,3,", 8);
  assert_memory_equal(b.data + b.len - 8, "998,999,", 8);
  size_t len = b.len;
  buffer_append(&b, BYTES_NULL);
  assert_int_equal(b.len, len);
  assert_int_equal(strlen(buffer_text(&b)), len);
  buffer_clear(&b);
  buffer_printf(&b, "%0200d", 7); /* longer than what printf finds reserved */
  assert_int_equal(b.len, 200);
  buffer_deinit(&b);
  buffer_deinit(&b);
}

static void a_blob_lives_as_long_as_its_references(void **state) {
  (void)state;
  struct blob *blob = blob_copy(bytes_text("block"));
  assert_ptr_equal(blob_ref(blob), blob);
  assert_null(blob_unref(blob));
  assert_true(bytes_equal(blob_bytes(blob), bytes_text("block")));
  assert_null(blob_unref(blob));
  assert_null(blob_ref(NULL));
  assert_null(blob_unref(NULL));
  blob = blob_new(3);
  assert_memory_equal(blob->data, "\0\0\0", 3);
  blob_unref(blob);
  blob = blob_copy(BYTES_NULL);
  assert_int_equal(blob->len, 0);
  blob_unref(blob);
}

static void copies_are_their_own(void **state) {
  (void)state;
  char source[] = "text";
  char *text = mem_text(source, 4);
  uint8_t *copy = mem_copy(source, 4);
  source[0] = 'X';
  assert_string_equal(text, "text");
  assert_memory_equal(copy, "text", 4);
  free(text);
  free(copy);
  uint64_t *zeros = mem_alloc(sizeof *zeros);
  assert_true(*zeros == 0);
  zeros = mem_resize(zeros, 100, sizeof *zeros);
  assert_true(*zeros == 0);
  free(zeros);
  free(mem_alloc(0));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(order_is_by_bytes_then_length),
      cmocka_unit_test(utf8_follows_rfc_3629),
      cmocka_unit_test(a_buffer_grows_and_keeps_its_content),
      cmocka_unit_test(a_blob_lives_as_long_as_its_references),
      cmocka_unit_test(copies_are_their_own),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
