#ifndef RIVERBUS_BROKER_RECEIPT_BOOKS_H
#define RIVERBUS_BROKER_RECEIPT_BOOKS_H
/*
 * The receipts that are kept (common/command/receipt.h): of each neighbour those that we made of what it gave, and
 * those that it made of what we gave, each with its answer. They stand in STORE_META under "receipt/PEER/taken/NUMBER"
 * and "receipt/PEER/given/NUMBER" (16 hexadecimal digits) as sized receipt, sized answer (empty: none yet). Here is
 * only which there are. The oldest go where there are more than RECEIPT_BOOK_MAX, or RECEIPT_BOOK_BYTES.
 *
 * Under "receipts" stands how far our logs are receipted: zigzag time (µs UTC), then a varint position of each log.
 */
#include "common/base/log.h"
#include "common/command/receipt.h"
#include "common/store/store.h"

enum { RECEIPT_BOOK_MAX = 10000, RECEIPT_BOOK_BURST = 40 /* a minute */, RECEIPT_BOOK_BYTES = 64 * 1024 * 1024 };

struct receipt_mark {
  uint64_t number;
  size_t bytes;
  bool answered;
};
struct receipt_check;
struct receipt_book {
  char *peer;
  bool given;                 /* we gave, it took */
  struct receipt_mark *marks; /* rising */
  size_t count, cap, bytes;
  /* taken: the one that was sent last, when the next is due (mono), and whether it is being read */
  uint64_t sent;
  int64_t send_at;
  bool reading;
  uint64_t answering;          /* taken: the one whose answer is being kept; 0: none */
  struct receipt_check *check; /* given: the one that is compared with the store */
  struct log_limit limit;      /* of what the neighbour sends: each one costs a commit and an entry of the audit log */
};
struct receipt_books {
  struct receipt_book **items;
  size_t count;
  bool known; /* the two below */
  int64_t since;
  uint64_t at[LANES];
};
int receipt_books_load(struct receipt_books *books, struct store *store); /* at the start; <0: disk */
void receipt_books_deinit(struct receipt_books *books);
/* The book of that neighbour, a new one where there is none; lives as long as the books. */
struct receipt_book *receipt_books_of(struct receipt_books *books, struct bytes peer, bool given);
void receipt_books_put_place(struct store_batch *batch, int64_t since, const uint64_t at[LANES]);

void receipt_book_key(const struct receipt_book *book, uint64_t number, struct buffer *out);
/* What a key names; false: it is none of a receipt. peer: a view. */
struct receipt_place {
  struct bytes peer;
  bool given;
  uint64_t number;
};
bool receipt_book_place(struct bytes key, struct receipt_place *place);
/* Takes a value apart; false: it is none. Views. */
bool receipt_book_value(struct bytes value, struct bytes *receipt, struct bytes *answer);
/* What one batch changes in a book. */
struct receipt_change {
  uint64_t number, below; /* what is below it is deleted */
  size_t bytes;
  bool answered;
};
/* Puts the receipt into the batch, and deletes the oldest for it. answer may be empty. */
struct receipt_change receipt_book_put(const struct receipt_book *book, uint64_t number, struct bytes receipt,
    struct bytes answer, struct store_batch *batch);
void receipt_book_kept(struct receipt_book *book, const struct receipt_change *change);   /* the batch is durable */
struct receipt_mark *receipt_book_find(const struct receipt_book *book, uint64_t number); /* NULL: not kept */
/* The first one above `number` that has no answer, else the first of all; 0: all have one. */
uint64_t receipt_book_open(const struct receipt_book *book, uint64_t number);
uint64_t receipt_book_last(const struct receipt_book *book); /* 0: none */
#endif
