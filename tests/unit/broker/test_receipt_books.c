/* Which receipts are kept: the last ones; which is sent next; what a key and a value name. */
#include "broker/receipt_books.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void put(struct receipt_book *book, uint64_t number, size_t bytes, const char *answer) {
  static uint8_t some[RECEIPT_BYTES_MAX];
  struct store_batch *batch = store_batch_new();
  struct receipt_change change = receipt_book_put(book, number, bytes_of(some, bytes), bytes_text(answer), batch);
  receipt_book_kept(book, &change);
  store_batch_free(batch);
}

static void the_oldest_go(void **state) {
  (void)state;
  struct receipt_books books = {0};
  struct receipt_book *book = receipt_books_of(&books, bytes_text("hubei"), false);
  for (uint64_t number = 1; number <= RECEIPT_BOOK_MAX + 5; number++) put(book, number, 10, "");
  assert_int_equal(book->count, RECEIPT_BOOK_MAX);
  assert_int_equal(book->marks[0].number, 6);
  assert_int_equal(receipt_book_last(book), RECEIPT_BOOK_MAX + 5);
  assert_ptr_equal(receipt_books_of(&books, bytes_text("hubei"), false), book);
  assert_ptr_not_equal(receipt_books_of(&books, bytes_text("hubei"), true), book);
  receipt_books_deinit(&books);
}

static void so_many_bytes_are_kept(void **state) {
  (void)state;
  struct receipt_books books = {0};
  struct receipt_book *book = receipt_books_of(&books, bytes_text("hubei"), true);
  for (uint64_t number = 1; number <= 3000; number++) put(book, number, RECEIPT_BYTES_MAX, "x");
  assert_true(book->bytes <= RECEIPT_BOOK_BYTES && book->bytes > RECEIPT_BOOK_BYTES - 2 * RECEIPT_BYTES_MAX);
  assert_int_equal(receipt_book_last(book), 3000);
  receipt_books_deinit(&books);
}

static void what_has_no_answer_is_sent_in_turn(void **state) {
  (void)state;
  struct receipt_books books = {0};
  struct receipt_book *book = receipt_books_of(&books, bytes_text("hubei"), false);
  assert_int_equal(receipt_book_open(book, 0), 0);
  for (uint64_t number = 10; number <= 40; number += 10) put(book, number, 10, "");
  put(book, 20, 10, "yes");
  assert_int_equal(book->count, 4);
  assert_int_equal(receipt_book_open(book, 0), 10);
  assert_int_equal(receipt_book_open(book, 10), 30);
  assert_int_equal(receipt_book_open(book, 40), 10);
  put(book, 10, 10, "yes");
  put(book, 30, 10, "yes");
  put(book, 40, 10, "yes");
  assert_int_equal(receipt_book_open(book, 0), 0);
  receipt_books_deinit(&books);
}

static void a_key_names_its_place(void **state) {
  (void)state;
  struct receipt_books books = {0};
  struct receipt_book *book = receipt_books_of(&books, bytes_text("湖北"), true);
  struct receipt_place place;
  struct buffer key = BUFFER_NULL;
  receipt_book_key(book, 0x1234, &key);
  assert_string_equal(buffer_text(&key), "receipt/湖北/given/0000000000001234");
  assert_true(receipt_book_place(buffer_bytes(&key), &place));
  assert_true(place.given && place.number == 0x1234 && bytes_equal(place.peer, bytes_text("湖北")));
  assert_false(receipt_book_place(bytes_text("receipt/hubei/stolen/0000000000001234"), &place));
  assert_false(receipt_book_place(bytes_text("receipts"), &place));
  buffer_deinit(&key);
  receipt_books_deinit(&books);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(the_oldest_go), cmocka_unit_test(so_many_bytes_are_kept),
      cmocka_unit_test(what_has_no_answer_is_sent_in_turn), cmocka_unit_test(a_key_names_its_place)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
