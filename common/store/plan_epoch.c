/* A new epoch of an own stream: what follows the last common record is issued again under new numbers, record by
 * record, in the lane it stood in. */
#include "common/store/plan.h"
#include "common/base/mem.h"
#include <stdlib.h>

enum { REISSUED_PIECE = 64 }; /* blocks a completion */

struct old { /* the stored entries that reach beyond the common record, by first sequence */
  struct entry *entries;
  size_t count, cap;
};

static void old_collect(void *ctx, const struct entry *entry) {
  struct old *old = ctx;
  if (!entry->block) return; /* damaged: nothing to issue again, and it is counted where it was read */
  if (old->count == old->cap) {
    old->cap = old->cap ? old->cap * 2 : 16;
    old->entries = mem_resize(old->entries, old->cap, sizeof *old->entries);
  }
  entry_keep(&old->entries[old->count++], entry);
}

static int old_order(const void *a, const void *b) {
  const struct entry *left = a, *right = b;
  return left->is.first < right->is.first ? -1 : left->is.first > right->is.first;
}

static void old_deinit(struct old *old) {
  for (size_t i = 0; i < old->count; i++) entry_deinit(&old->entries[i]);
  free(old->entries);
}

struct issue {
  struct plan *plan;
  struct done *done;
  struct bytes stream;
  struct epoch epoch;
  uint64_t next; /* the next sequence of the new epoch */
  struct block_builder *builder;
  struct done *piece; /* the newest completion of the chain before done */
  enum lane lane;
};

static struct store_item *issue_item(struct issue *issue) {
  if (!issue->piece || issue->piece->face.item_count == REISSUED_PIECE) {
    struct done *piece = done_new(STORE_DONE_REISSUED, NULL);
    if (issue->piece)
      issue->piece->next = piece;
    else
      issue->done->before = piece;
    issue->piece = piece;
  }
  return done_item(issue->piece);
}

static void apply_issue(void *ctx, const struct effect *effect) {
  struct issue *issue = ctx;
  struct effect own = *effect;
  own.stream = issue->stream; /* the block's own view may go before the completion does */
  plan_effect(issue->plan, issue->done, &own);
}

static void issue_flush(struct issue *issue) {
  struct blob *block = block_builder_finish(issue->builder, issue->stream, issue->plan->run);
  if (!block) return;
  block_number(block, issue->epoch, issue->next);
  struct block_summary is;
  if (!block_summarise(&is, blob_bytes(block))) abort(); /* our own builder made it */
  issue->next = is.last + 1;
  struct entry *entry = plan_entry(issue->plan, issue->lane, block, &is);
  entry_effects(entry, apply_issue, issue);
  *issue_item(issue) = (struct store_item){.outcome = STORE_STORED,
      .lane = issue->lane,
      .position = entry->position,
      .block = block, /* the builder's reference goes over */
      .stream = is.stream,
      .epoch = issue->epoch,
      .first = is.first,
      .last = is.last};
}

static void issue_record(struct issue *issue, const struct record *record) {
  if (block_builder_add(issue->builder, record, BLOCK_MAX) != BLOCK_FULL) return;
  issue_flush(issue);
  block_builder_add(issue->builder, record, BLOCK_MAX);
}

static void issue_entry(struct issue *issue, const struct entry *old, uint64_t common) {
  struct block block;
  struct block_reader *reader;
  struct record record;
  if (block_open(&block, blob_bytes(old->block)) != 0 || block_reader_new(&reader, &block) != 0) return;
  issue->lane = old->lane;
  while (block_reader_next(reader, &record) == 0)
    if (record.sequence > common) issue_record(issue, &record);
  block_reader_free(reader);
  issue_flush(issue);
}

static void issue_all(struct issue *issue, struct old *old, uint64_t common) {
  qsort(old->entries, old->count, sizeof *old->entries, old_order);
  issue->builder = block_builder_new();
  for (size_t i = 0; i < old->count; i++) issue_entry(issue, &old->entries[i], common);
  block_builder_free(issue->builder);
}

int plan_new_epoch(struct plan *plan, const struct batch_item *from, struct done *done, struct store_item *item) {
  struct epoch newest = {0, 0}, above = from->epoch;
  bool known = plan_newest(plan, from->stream, &newest);
  if (epoch_compare(newest, above) > 0) above = newest;
  struct issue issue = {
      .plan = plan, .done = done, .stream = from->stream, .epoch = plan_draw_epoch(plan, above), .next = 1};
  plan_effect(plan, done, &(struct effect){.kind = EFFECT_EPOCH, .stream = from->stream, .epoch = issue.epoch});
  uint64_t last = known ? plan_last(plan, from->stream, newest) : 0;
  if (last > from->common) {
    struct old old = {NULL, 0, 0};
    int r = plan->stored.overlapping(plan->stored.ctx, from->stream, newest, from->common + 1, last, old_collect, &old);
    if (r == 0) issue_all(&issue, &old, from->common);
    old_deinit(&old);
    if (r != 0) return r;
    plan_effect(plan, done,
        &(struct effect){.kind = EFFECT_CEILING, .stream = from->stream, .epoch = newest, .from = from->common});
  }
  *item = (struct store_item){
      .outcome = STORE_STORED, .stream = from->stream, .epoch = issue.epoch, .first = 1, .last = issue.next - 1};
  return 0;
}
