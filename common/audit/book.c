#include "common/audit/book.h"
#include "common/base/mem.h"
#include <stdlib.h>

static const char prefix[] = "audit/";
enum { PREFIX = sizeof prefix - 1 };

void book_deinit(struct book *book) {
  table_deinit(&book->words, free);
  table_deinit(&book->limits, free);
}

bool book_has_room(struct book *book, struct bytes node, int64_t mono) {
  uint64_t left_out;
  struct log_limit *limit = table_get(&book->limits, node);
  if (!limit) {
    limit = mem_alloc(sizeof *limit);
    *limit = (struct log_limit){.interval_us = BOOK_INTERVAL_US, .burst = BOOK_BURST};
    table_put(&book->limits, node, limit);
  }
  return log_allow(limit, mono, &left_out);
}

const struct book_word *book_find(const struct book *book, struct bytes node) { return table_get(&book->words, node); }

void book_keep(struct book *book, const struct audit_checkpoint *c) {
  struct book_word *word = mem_alloc(sizeof *word);
  *word = (struct book_word){.number = c->number, .time = c->time};
  memcpy(word->link, c->link, CHAIN_HASH);
  free(table_put(&book->words, c->node, word));
}

void book_load(struct book *book, struct bytes key, struct bytes value) {
  struct audit_checkpoint checkpoint;
  if (key.len <= PREFIX || memcmp(key.data, prefix, PREFIX) != 0) return;
  if (audit_checkpoint_open(&checkpoint, value) == 0) book_keep(book, &checkpoint);
}

static enum book_verdict contradicts(const struct audit_checkpoint *c, struct buffer *why, const char *how) {
  buffer_printf(
      why, "the audit log of " BYTES_FMT " %s entry %llu", BYTES_ARG(c->node), how, (unsigned long long)c->number);
  return BOOK_CONTRADICTS;
}

/* One that goes back and is older by its own time is late, since a stream that is issued again brings the old ones once
 * more; one that is younger was signed over a log that had been longer. */
enum book_verdict book_judge(const struct book *book, const struct audit_checkpoint *c, struct buffer *why) {
  const struct book_word *last = book_find(book, c->node);
  if (!last || c->number > last->number) return BOOK_NEW;
  if (c->number == last->number) {
    if (memcmp(c->link, last->link, CHAIN_HASH) == 0) return BOOK_KNOWN;
    return contradicts(c, why, "was written anew: another link than before stands at");
  }
  if (c->time <= last->time) return BOOK_KNOWN;
  contradicts(c, why, "was cut off or begun anew: it ends now with");
  buffer_printf(why, ", and had ended with %llu", (unsigned long long)last->number);
  return BOOK_CONTRADICTS;
}

void book_put(
    struct store_batch *batch, struct bytes node, const struct audit_checkpoint *c, const char *why, int64_t time) {
  struct buffer key = BUFFER_NULL;
  buffer_printf(&key, "%s" BYTES_FMT, prefix, BYTES_ARG(c->node));
  note_checkpoint(batch, node, c, why, time);
  store_batch_put(batch, STORE_META, buffer_bytes(&key), c->bytes);
  buffer_deinit(&key);
}
