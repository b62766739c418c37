/* A new epoch of an own stream: what follows the last common record is issued again under new numbers, record by
 * record, in the lane it stood in. The numbers are the old ones less the common one, so that what retention had taken
 * keeps its place, and its name. */
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
  uint64_t common;
  struct block_builder *builder;
  uint64_t first; /* of the block being built, in the new epoch */
  uint64_t run;   /* that wrote it in the old one: where another goes on, something may have been lost between */
  struct intervals issued; /* of the new epoch */
  struct done *piece;      /* the newest completion of the chain before done */
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
  struct blob *block = block_builder_finish(issue->builder, issue->stream, issue->run);
  if (!block) return;
  block_number(block, issue->epoch, issue->first);
  struct block_summary is;
  if (!block_summarise(&is, blob_bytes(block))) abort(); /* our own builder made it */
  intervals_add(&issue->issued, is.first, is.last);
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
  uint64_t sequence = record->sequence - issue->common;
  if (issue->first + block_builder_count(issue->builder) != sequence) issue_flush(issue);
  if (block_builder_count(issue->builder) == 0) issue->first = sequence;
  if (block_builder_add(issue->builder, record, BLOCK_MAX) != BLOCK_FULL) return;
  issue_flush(issue);
  issue->first = sequence;
  block_builder_add(issue->builder, record, BLOCK_MAX);
}

static void issue_entry(struct issue *issue, const struct entry *old) {
  struct block block;
  struct block_reader *reader;
  struct record record;
  if (block_open(&block, blob_bytes(old->block)) != 0 || block_reader_new(&reader, &block) != 0) return;
  issue->lane = old->lane;
  issue->run = block.run;
  while (block_reader_next(reader, &record) == 0)
    if (record.sequence > issue->common) issue_record(issue, &record);
  block_reader_free(reader);
  issue_flush(issue);
}

static void issue_all(struct issue *issue, struct old *old) {
  if (old->count == 0) return;
  qsort(old->entries, old->count, sizeof *old->entries, old_order);
  issue->builder = block_builder_new();
  for (size_t i = 0; i < old->count; i++) issue_entry(issue, &old->entries[i]);
  block_builder_free(issue->builder);
}

/* ---- what is gone ---- */

static const char damaged[] = "damaged";

static void name_gone(struct issue *issue, uint64_t from, uint64_t to, struct bytes reason, int64_t time) {
  struct store_discard discard = {issue->stream, issue->epoch, from, to, BYTES_NULL, reason, time};
  done_discard(issue->done, &discard);
  plan_effect(issue->plan, issue->done,
      &(struct effect){.kind = EFFECT_DISCARD,
          .stream = issue->stream,
          .epoch = issue->epoch,
          .from = from,
          .to = to,
          .reason = arena_copy(&issue->done->arena, reason),
          .time = time});
}

/* What the old epoch names of the range is named with its reason, and taken out of *gone. */
static void name_as_before(struct issue *issue, const struct cover_discard *old, struct intervals *gone) {
  struct intervals left = INTERVALS_NULL, named = INTERVALS_NULL;
  if (old->to <= issue->common) return;
  uint64_t from = old->from > issue->common ? old->from - issue->common : 1;
  intervals_add_all(&left, gone);
  intervals_remove(&left, from, old->to - issue->common);
  intervals_add_all(&named, gone);
  intervals_remove_all(&named, &left);
  for (size_t i = 0; i < named.count; i++)
    name_gone(issue, named.items[i].from, named.items[i].to, old->reason, old->time);
  intervals_remove_all(gone, &named);
  intervals_deinit(&named);
  intervals_deinit(&left);
}

/* What was not issued of [1, last] of the new epoch: retention had taken it, or it could not be read. */
static void name_all_gone(struct issue *issue, const struct cover *old, uint64_t last) {
  struct intervals gone = INTERVALS_NULL;
  int64_t now = world_now(issue->plan->world).wall;
  intervals_add(&gone, 1, last);
  intervals_remove_all(&gone, &issue->issued);
  for (size_t i = 0; old && i < old->discard_count && gone.count > 0; i++)
    name_as_before(issue, &old->discards[i], &gone);
  for (size_t i = 0; i < gone.count; i++)
    name_gone(issue, gone.items[i].from, gone.items[i].to, bytes_text(damaged), now);
  intervals_deinit(&gone);
}

/* What the old epoch holds after the common record. */
static int issue_again(struct issue *issue, struct epoch old_epoch, uint64_t last) {
  struct plan *plan = issue->plan;
  struct old old = {NULL, 0, 0};
  int r =
      plan->stored.overlapping(plan->stored.ctx, issue->stream, old_epoch, issue->common + 1, last, old_collect, &old);
  if (r == 0) issue_all(issue, &old);
  old_deinit(&old);
  if (r != 0) return r;
  name_all_gone(issue, coverage_find(plan->base, issue->stream, old_epoch), last - issue->common);
  plan_effect(plan, issue->done,
      &(struct effect){.kind = EFFECT_CEILING, .stream = issue->stream, .epoch = old_epoch, .from = issue->common});
  return 0;
}

int plan_new_epoch(struct plan *plan, const struct batch_item *from, struct done *done, struct store_item *item) {
  struct epoch newest = {0, 0}, above = from->epoch;
  bool known = plan_newest(plan, from->stream, &newest);
  if (epoch_compare(newest, above) > 0) above = newest;
  struct issue issue = {.plan = plan,
      .done = done,
      .stream = from->stream,
      .epoch = plan_draw_epoch(plan, above),
      .common = from->common,
      .issued = INTERVALS_NULL};
  uint64_t old_last = known ? plan_last(plan, from->stream, newest) : 0;
  uint64_t last = old_last > from->common ? old_last - from->common : 0;
  plan_effect(
      plan, done, &(struct effect){.kind = EFFECT_EPOCH, .stream = from->stream, .epoch = issue.epoch, .to = last});
  int r = last > 0 ? issue_again(&issue, newest, old_last) : 0;
  intervals_deinit(&issue.issued);
  *item = (struct store_item){
      .outcome = STORE_STORED, .stream = from->stream, .epoch = issue.epoch, .first = 1, .last = last};
  return r;
}
