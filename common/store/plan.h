#ifndef RIVERBUS_COMMON_STORE_PLAN_H
#define RIVERBUS_COMMON_STORE_PLAN_H
/*
 * Decides what a group of batches becomes: which sequence numbers, which records are new, which log entries. Pure but
 * for looking up stored blocks through plan_stored. Nothing of the backend changes while planning; the backend writes
 * plan.entries and the batches' keys, commits, and only then applies the effects to its coverage, so that a plan can be
 * thrown away.
 */
#include "common/store/done.h"

/* Visits the stored entries of (stream, epoch) whose extent overlaps [from, to], in any order. One that is damaged is
 * visited with its extent and without block. <0: the disk failed. */
struct plan_stored {
  void *ctx;
  int (*overlapping)(void *ctx, struct bytes stream, struct epoch epoch, uint64_t from, uint64_t to,
      void (*visit)(void *visit_ctx, const struct entry *entry), void *visit_ctx);
};
struct plan_counts {
  uint64_t records, blocks, bytes, duplicates, late;
};
struct plan {
  const struct coverage *base; /* what is committed */
  struct coverage extra;       /* what this plan adds */
  struct plan_stored stored;
  const struct world *world;
  uint64_t run;
  uint64_t next[LANES];  /* the next position of each log */
  struct entry *entries; /* to be written, in order; block referenced, other names as long as the batches live */
  size_t entry_count, entry_cap;
  size_t bytes; /* of these entries as written */
  struct plan_counts counts;
};

void plan_init(
    struct plan *plan, const struct coverage *base, struct plan_stored stored, const struct world *world, uint64_t run);
void plan_deinit(struct plan *plan);
/* Whether the pairs of (stream, epoch) that the batch would add stay within what a store takes (store_admits). */
bool plan_admits(const struct plan *plan, const struct store_batch *batch);
/* Plans one batch that batch_check found good and fills its completion. <0: the disk failed. */
int plan_batch(struct plan *plan, struct store_batch *batch, struct done *done);

/* Between the files of the plan. */
void plan_effect(struct plan *plan, struct done *done, const struct effect *effect);
/* takes no reference: adds one */
struct entry *plan_entry(struct plan *plan, enum lane lane, struct blob *block, const struct block_summary *is);
uint64_t plan_last(const struct plan *plan, struct bytes stream, struct epoch epoch);
bool plan_newest(const struct plan *plan, struct bytes stream, struct epoch *epoch);
struct epoch plan_draw_epoch(const struct plan *plan, struct epoch above);
int plan_block(struct plan *plan, const struct batch_item *from, struct done *done, struct store_item *item);
int plan_new_epoch(struct plan *plan, const struct batch_item *from, struct done *done, struct store_item *item);
#endif
