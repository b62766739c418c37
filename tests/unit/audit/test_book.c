/* What nodes sign about their logs is held against what they signed before; and when a node signs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "common/audit/book.h"
#include "common/audit/pace.h"
#include "common/base/world.h"

static struct audit_checkpoint word(uint64_t number, uint8_t link, int64_t time) {
  struct audit_checkpoint c = {.node = bytes_text("q/s"), .number = number, .time = time};
  memset(c.link, link, sizeof c.link);
  return c;
}

static enum book_verdict judge(const struct book *book, struct audit_checkpoint c, const char *says) {
  struct buffer why = BUFFER_NULL;
  enum book_verdict verdict = book_judge(book, &c, &why);
  if (says) assert_non_null(strstr(buffer_text(&why), says));
  buffer_deinit(&why);
  return verdict;
}

static void a_log_only_grows(void **state) {
  (void)state;
  struct book book = BOOK_NULL;
  assert_int_equal(judge(&book, word(5, 1, 100), NULL), BOOK_NEW);
  const struct audit_checkpoint first = word(5, 1, 100);
  book_keep(&book, &first);
  assert_int_equal(judge(&book, word(5, 1, 200), NULL), BOOK_KNOWN);
  assert_int_equal(judge(&book, word(6, 2, 200), NULL), BOOK_NEW);
  assert_int_equal(judge(&book, word(5, 2, 200), "written anew"), BOOK_CONTRADICTS);
  assert_int_equal(judge(&book, word(4, 1, 200), "had ended with 5"), BOOK_CONTRADICTS);
  assert_int_equal(judge(&book, word(4, 1, 50), NULL), BOOK_KNOWN); /* an older one that comes late */
  book_deinit(&book);
}

static void the_last_word_is_read_back(void **state) {
  (void)state;
  struct identity *identity = NULL;
  struct buffer bytes = BUFFER_NULL;
  struct book book = BOOK_NULL;
  struct audit_checkpoint c = word(9, 3, 100);
  assert_int_equal(identity_generate(&identity), 0);
  audit_checkpoint_sign(&bytes, &c, identity);
  book_load(&book, bytes_text("descriptor/q/s"), buffer_bytes(&bytes));
  assert_null(book_find(&book, bytes_text("q/s")));
  book_load(&book, bytes_text("audit/q/s"), buffer_bytes(&bytes));
  assert_int_equal(book_find(&book, bytes_text("q/s"))->number, 9);
  assert_int_equal(judge(&book, word(8, 1, 200), "cut off"), BOOK_CONTRADICTS);
  book_deinit(&book);
  buffer_deinit(&bytes);
  identity_free(identity);
}

static void a_node_fills_no_log_of_others(void **state) {
  (void)state;
  struct book book = BOOK_NULL;
  size_t taken = 0;
  for (int i = 0; i < 10 * BOOK_BURST; i++) taken += book_has_room(&book, bytes_text("q/s"), SECOND_US);
  assert_int_equal(taken, BOOK_BURST);
  assert_true(book_has_room(&book, bytes_text("q/other"), SECOND_US));
  assert_true(book_has_room(&book, bytes_text("q/s"), SECOND_US + BOOK_INTERVAL_US));
  book_deinit(&book);
}

static void it_is_signed_after_a_start_in_time_and_after_many(void **state) {
  (void)state;
  struct pace pace;
  pace_init(&pace, 60 * SECOND_US, 10);
  assert_false(pace_is_due(&pace, 10, 0));
  assert_true(pace_is_due(&pace, 12, 1)); /* the start itself */
  pace_signed(&pace, 12);
  assert_false(pace_is_due(&pace, 12, 100 * SECOND_US));
  assert_int_equal(pace_next(&pace), INT64_MAX);
  assert_false(pace_is_due(&pace, 13, 100 * SECOND_US));
  assert_int_equal(pace_next(&pace), 160 * SECOND_US);
  assert_false(pace_is_due(&pace, 14, 159 * SECOND_US));
  assert_true(pace_is_due(&pace, 14, 160 * SECOND_US));
  assert_true(pace_is_due(&pace, 12 + PACE_ENTRIES, 101 * SECOND_US));
  assert_true(pace_has_more(&pace, 13));
  pace_signed(&pace, 13);
  assert_false(pace_has_more(&pace, 13));
}

static void a_neighbours_checkpoint_alone_is_no_reason(void **state) {
  (void)state;
  struct pace pace;
  pace_init(&pace, 60 * SECOND_US, 0);
  pace_signed(&pace, 5);
  pace_pass(&pace, 6);
  assert_false(pace_has_more(&pace, 6));
  pace_pass(&pace, 8); /* 7 is something else */
  assert_true(pace_has_more(&pace, 8));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_log_only_grows),
      cmocka_unit_test(a_node_fills_no_log_of_others),
      cmocka_unit_test(the_last_word_is_read_back),
      cmocka_unit_test(a_neighbours_checkpoint_alone_is_no_reason),
      cmocka_unit_test(it_is_signed_after_a_start_in_time_and_after_many),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
