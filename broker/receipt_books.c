#include "broker/receipt_books.h"
#include "common/base/mem.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char place_key[] = "receipts", prefix[] = "receipt/";
static const char *const ways[] = {"/taken/", "/given/"};
enum { WAY = 7, DIGITS = 16 };

/* ---- one book ---- */

static void insert(struct receipt_book *book, size_t at, const struct receipt_mark *mark) {
  if (book->count == book->cap) {
    book->cap = book->cap ? book->cap * 2 : 16;
    book->marks = mem_resize(book->marks, book->cap, sizeof *book->marks);
  }
  memmove(&book->marks[at + 1], &book->marks[at], (book->count - at) * sizeof *book->marks);
  book->marks[at] = *mark;
  book->count++;
  book->bytes += mark->bytes;
}

static size_t place_of(const struct receipt_book *book, uint64_t number) {
  size_t low = 0, high = book->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (book->marks[middle].number < number)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

struct receipt_mark *receipt_book_find(const struct receipt_book *book, uint64_t number) {
  size_t at = place_of(book, number);
  return at < book->count && book->marks[at].number == number ? &book->marks[at] : NULL;
}

uint64_t receipt_book_open(const struct receipt_book *book, uint64_t number) {
  size_t begin = place_of(book, number + 1);
  for (size_t i = 0; i < book->count; i++) {
    const struct receipt_mark *mark = &book->marks[(begin + i) % book->count];
    if (!mark->answered) return mark->number;
  }
  return 0;
}

uint64_t receipt_book_last(const struct receipt_book *book) {
  return book->count > 0 ? book->marks[book->count - 1].number : 0;
}

void receipt_book_key(const struct receipt_book *book, uint64_t number, struct buffer *out) {
  buffer_printf(out, "%s%s%s%016" PRIx64, prefix, book->peer, ways[book->given], number);
}

bool receipt_book_value(struct bytes value, struct bytes *receipt, struct bytes *answer) {
  struct reader r;
  reader_init(&r, value);
  *receipt = reader_sized(&r);
  *answer = reader_sized(&r);
  return reader_done(&r);
}

static void delete_one(const struct receipt_book *book, uint64_t number, struct store_batch *batch) {
  struct buffer key = BUFFER_NULL;
  receipt_book_key(book, number, &key);
  store_batch_delete(batch, STORE_META, buffer_bytes(&key));
  buffer_deinit(&key);
}

struct receipt_change receipt_book_put(const struct receipt_book *book, uint64_t number, struct bytes receipt,
    struct bytes answer, struct store_batch *batch) {
  struct buffer key = BUFFER_NULL, value = BUFFER_NULL;
  struct writer w;
  writer_init(&w, &value, STORE_VALUE_MAX);
  writer_sized(&w, receipt);
  writer_sized(&w, answer);
  receipt_book_key(book, number, &key);
  store_batch_put(batch, STORE_META, buffer_bytes(&key), buffer_bytes(&value));
  struct receipt_change change = {number, 0, value.len, answer.len > 0};
  size_t count = book->count + 1, bytes = book->bytes + value.len;
  for (size_t i = 0; i < book->count && (count > RECEIPT_BOOK_MAX || bytes > RECEIPT_BOOK_BYTES); i++) {
    delete_one(book, book->marks[i].number, batch);
    change.below = book->marks[i].number + 1;
    bytes -= book->marks[i].bytes;
    count--;
  }
  buffer_deinit(&key);
  buffer_deinit(&value);
  return change;
}

void receipt_book_kept(struct receipt_book *book, const struct receipt_change *change) {
  size_t gone = place_of(book, change->below);
  for (size_t i = 0; i < gone; i++) book->bytes -= book->marks[i].bytes;
  if (gone > 0) memmove(book->marks, book->marks + gone, (book->count - gone) * sizeof *book->marks);
  book->count -= gone;
  struct receipt_mark *mark = receipt_book_find(book, change->number);
  if (!mark) {
    insert(
        book, place_of(book, change->number), &(struct receipt_mark){change->number, change->bytes, change->answered});
    return;
  }
  book->bytes += change->bytes - mark->bytes;
  mark->bytes = change->bytes;
  mark->answered = mark->answered || change->answered;
}

/* ---- all ---- */

struct receipt_book *receipt_books_of(struct receipt_books *books, struct bytes peer, bool given) {
  for (size_t i = 0; i < books->count; i++)
    if (books->items[i]->given == given && bytes_equal(bytes_text(books->items[i]->peer), peer)) return books->items[i];
  struct receipt_book *book = mem_alloc(sizeof *book);
  book->peer = mem_text(peer.data, peer.len);
  book->limit = (struct log_limit){.interval_us = 60 * SECOND_US, .burst = RECEIPT_BOOK_BURST};
  book->given = given;
  books->items = mem_resize(books->items, books->count + 1, sizeof *books->items);
  books->items[books->count++] = book;
  return book;
}

bool receipt_book_place(struct bytes key, struct receipt_place *place) {
  const size_t len = sizeof prefix - 1;
  char digits[DIGITS + 1];
  if (key.len <= len + WAY + DIGITS || memcmp(key.data, prefix, len) != 0) return false;
  const uint8_t *number = key.data + key.len - DIGITS, *way = number - WAY;
  place->given = memcmp(way, ways[true], WAY) == 0;
  if (!place->given && memcmp(way, ways[false], WAY) != 0) return false;
  memcpy(digits, number, DIGITS);
  digits[DIGITS] = '\0';
  place->number = strtoull(digits, NULL, 16);
  place->peer = bytes_of(key.data + len, (size_t)(way - key.data) - len);
  return true;
}

static void load_mark(struct receipt_books *books, const struct receipt_place *place, struct bytes value) {
  struct bytes receipt, answer;
  if (!receipt_book_value(value, &receipt, &answer)) return;
  struct receipt_book *book = receipt_books_of(books, place->peer, place->given);
  insert(book, book->count, &(struct receipt_mark){place->number, value.len, answer.len > 0});
}

static void load_place(struct receipt_books *books, struct bytes value) {
  struct reader r;
  reader_init(&r, value);
  books->since = reader_zigzag(&r);
  for (int lane = 0; lane < LANES; lane++) books->at[lane] = reader_varint(&r);
  books->known = reader_done(&r);
}

static bool load_one(void *ctx, struct bytes key, struct bytes value) {
  struct receipt_place place;
  if (bytes_equal(key, bytes_text(place_key))) load_place(ctx, value);
  if (receipt_book_place(key, &place)) load_mark(ctx, &place, value);
  return true;
}

int receipt_books_load(struct receipt_books *books, struct store *store) {
  return store_scan(store, STORE_META, load_one, books);
}

void receipt_books_put_place(struct store_batch *batch, int64_t since, const uint64_t at[LANES]) {
  struct buffer value = BUFFER_NULL;
  struct writer w;
  writer_init(&w, &value, SIZE_MAX);
  writer_zigzag(&w, since);
  for (int lane = 0; lane < LANES; lane++) writer_varint(&w, at[lane]);
  store_batch_put(batch, STORE_META, bytes_text(place_key), buffer_bytes(&value));
  buffer_deinit(&value);
}

void receipt_books_deinit(struct receipt_books *books) {
  for (size_t i = 0; i < books->count; i++) {
    free(books->items[i]->peer);
    free(books->items[i]->marks);
    free(books->items[i]);
  }
  free(books->items);
  *books = (struct receipt_books){0};
}
