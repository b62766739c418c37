#include "common/base/buffer.h"
#include "common/base/mem.h"
#include "common/base/table.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>

enum { MANY = 5000 };

static struct bytes key_of(struct buffer *to, int number) {
  buffer_clear(to);
  buffer_printf(to, "chongqing/station-%d", number);
  return buffer_bytes(to);
}

static void what_is_put_is_found_until_removed(void **state) {
  (void)state;
  struct table table = TABLE_NULL;
  struct buffer key = BUFFER_NULL;
  static int values[MANY];
  assert_null(table_get(&table, bytes_text("x")));
  assert_null(table_remove(&table, bytes_text("x")));
  for (int i = 0; i < MANY; i++) assert_null(table_put(&table, key_of(&key, i), &values[i]));
  assert_int_equal(table.count, MANY);
  for (int i = 0; i < MANY; i++) assert_ptr_equal(table_get(&table, key_of(&key, i)), &values[i]);
  for (int i = 0; i < MANY; i += 2) assert_ptr_equal(table_remove(&table, key_of(&key, i)), &values[i]);
  for (int i = 0; i < MANY; i++) assert_ptr_equal(table_get(&table, key_of(&key, i)), i % 2 ? &values[i] : NULL);
  assert_int_equal(table.count, MANY / 2);
  buffer_deinit(&key);
  table_deinit(&table, NULL);
  table_deinit(&table, NULL);
}

static void putting_again_returns_the_old(void **state) {
  (void)state;
  struct table table = TABLE_NULL;
  int a, b;
  assert_null(table_put(&table, BYTES_NULL, &a)); /* an empty key is a key */
  assert_ptr_equal(table_put(&table, BYTES_NULL, &b), &a);
  assert_ptr_equal(table_get(&table, bytes_text("")), &b);
  assert_int_equal(table.count, 1);
  table_deinit(&table, NULL);
}

static void a_walk_meets_each_once_and_may_remove(void **state) {
  (void)state;
  struct table table = TABLE_NULL;
  struct buffer text = BUFFER_NULL;
  struct table_cursor cursor = TABLE_CURSOR_NULL;
  struct bytes key;
  void *value;
  size_t met = 0;
  assert_false(table_next(&table, &cursor, &key, &value));
  for (int i = 0; i < MANY; i++) table_put(&table, key_of(&text, i), mem_alloc(1));
  cursor = TABLE_CURSOR_NULL;
  while (table_next(&table, &cursor, &key, &value)) {
    met++;
    assert_int_equal(*(char *)value, 0);
    *(char *)value = 1;
    if (met % 3 == 0) free(table_remove(&table, key));
  }
  assert_int_equal(met, MANY);
  assert_int_equal(table.count, MANY - MANY / 3);
  assert_false(table_next(&table, &cursor, NULL, NULL));
  buffer_deinit(&text);
  table_deinit(&table, free);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_put_is_found_until_removed),
      cmocka_unit_test(putting_again_returns_the_old),
      cmocka_unit_test(a_walk_meets_each_once_and_may_remove),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
