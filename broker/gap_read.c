#include "broker/gap_read.h"
#include "common/base/mem.h"
#include <stdlib.h>

struct held {
  uint64_t from, to;
  int64_t since, until;
};
struct page {
  uint64_t from, to;
  int64_t silent_us;
  struct held *runs;
  size_t count, cap;
};

static void add(struct page *page, const struct held *run) {
  if (page->count == page->cap) {
    page->cap = page->cap ? page->cap * 2 : 64;
    page->runs = mem_resize(page->runs, page->cap, sizeof *page->runs);
  }
  page->runs[page->count++] = *run;
}

static void add_record(struct page *page, const struct record *record) {
  struct held *last = page->count > 0 ? &page->runs[page->count - 1] : NULL;
  if (record->sequence < page->from || record->sequence > page->to) return;
  if (last && last->to + 1 == record->sequence && record->received - last->until < page->silent_us) {
    last->to = record->sequence;
    last->until = record->received;
    return;
  }
  add(page, &(struct held){record->sequence, record->sequence, record->received, record->received});
}

static void add_records(struct page *page, const struct block *block) {
  struct block_reader *reader;
  struct record record;
  if (block_reader_new(&reader, block) != 0) return;
  while (block_reader_next(reader, &record) == 0) add_record(page, &record);
  block_reader_free(reader);
}

static void add_block(struct page *page, const struct block *block) {
  bool whole = block->last - block->first + 1 == block->count && block->first >= page->from &&
               block->last <= page->to && block->received_to - block->received_from < page->silent_us;
  if (whole)
    add(page, &(struct held){block->first, block->last, block->received_from, block->received_to});
  else
    add_records(page, block);
}

static int order(const void *a, const void *b) {
  const struct held *left = a, *right = b;
  return left->from < right->from ? -1 : left->from > right->from;
}

/* No sequence is stored twice; where it is (a store put together by hand), it counts once. */
static void tell(struct gap_fold *fold, struct page *page) {
  uint64_t next = page->from;
  if (page->count > 1) qsort(page->runs, page->count, sizeof *page->runs, order);
  for (size_t i = 0; i < page->count; i++) {
    struct held *run = &page->runs[i];
    if (run->to < next) continue;
    gap_fold_held(fold, run->from < next ? next : run->from, run->to, run->since, run->until);
    next = run->to + 1;
  }
}

void gap_read_page(struct gap_fold *fold, uint64_t from, uint64_t to, const struct store_done *done) {
  struct page page = {.from = from, .to = to, .silent_us = fold->silent_us};
  struct block block;
  for (size_t i = 0; i < done->unreadable_count; i++)
    gap_fold_damaged(fold, done->unreadable[i].from, done->unreadable[i].to);
  for (size_t i = 0; i < done->entry_count; i++)
    if (done->entries[i].block && block_open(&block, blob_bytes(done->entries[i].block)) == 0) add_block(&page, &block);
  tell(fold, &page);
  free(page.runs);
}

bool gap_read_first(const struct store_done *done, struct block *block) {
  bool found = false;
  for (size_t i = 0; i < done->entry_count; i++) {
    struct block one;
    if (!done->entries[i].block || block_open(&one, blob_bytes(done->entries[i].block)) != 0) continue;
    if (!found || one.first < block->first) *block = one;
    found = true;
  }
  return found;
}
