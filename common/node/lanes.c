/*
 * In which lane a block is kept that came in the live one. By one way a stream comes in order; by a second way, or a
 * second feed, it may bring what is older than what the first has brought. That goes behind, into the backfill lane, so
 * that the live lane steps back for nobody.
 */
#include "common/base/mem.h"
#include "common/node/parts.h"
#include <stdlib.h>

/* The newest that a stream's live lane was given here. */
struct top {
  struct epoch epoch;
  uint64_t last;
};

void lanes_forget(struct node *node) { table_deinit(&node->tops, free); }

static struct top *top_of(struct node *node, struct bytes stream) {
  struct top *top = table_get(&node->tops, stream);
  struct store_stream held;
  if (top) return top;
  top = mem_alloc(sizeof *top);
  if (store_stream_get(node->options.store, stream, &held)) *top = (struct top){held.epoch, held.last};
  table_put(&node->tops, stream, top);
  return top;
}

static bool is_above(void *ctx, const struct record *record) { return record->sequence > *(const uint64_t *)ctx; }
static bool is_below(void *ctx, const struct record *record) { return record->sequence <= *(const uint64_t *)ctx; }

/* Takes one reference. */
static void put(struct store_batch *batch, enum lane lane, const struct lane_claim *claim, struct blob *blob) {
  store_batch_block(batch, lane, claim->source, claim->scope, claim->from, claim->to, blob);
}

/* What lies below goes first and claims nothing; the rest brings the claim. */
static void put_parts(struct store_batch *batch, const struct lane_claim *claim, struct blob *blob,
    const struct block *block, uint64_t last) {
  struct blob *below = NULL, *above = NULL;
  struct lane_claim none = {claim->source, claim->scope, 1, 0};
  bool good = block_filter(&below, NULL, block, is_below, &last) == 0 &&
              block_filter(&above, NULL, block, is_above, &last) == 0;
  if (good && below && above) {
    put(batch, LANE_BACKFILL, &none, below);
    put(batch, LANE_LIVE, claim, above);
    blob_unref(blob);
    return;
  }
  blob_unref(below);
  blob_unref(above);
  put(batch, LANE_BACKFILL, claim, blob);
}

void lanes_put(struct node *node, struct store_batch *batch, enum lane lane, const struct lane_claim *claim,
    struct blob *blob, const struct block *block) {
  struct top *top = lane == LANE_LIVE ? top_of(node, block->stream) : NULL;
  int order = top ? epoch_compare(block->epoch, top->epoch) : -1;
  if (order < 0 || (order == 0 && block->last <= top->last)) { /* an older epoch stays where it came */
    put(batch, order == 0 ? LANE_BACKFILL : lane, claim, blob);
    return;
  }
  if (order == 0 && block->first <= top->last)
    put_parts(batch, claim, blob, block, top->last);
  else
    put(batch, LANE_LIVE, claim, blob);
  *top = (struct top){block->epoch, block->last};
}
