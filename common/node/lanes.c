/*
 * In which lane a block is kept that came in the live one. By one way a stream comes in order; by a second way, or a
 * second feed, it may bring what is older than what the first has brought. That goes behind, into the backfill lane, so
 * that the live lane steps back for nobody. Each way keeps its own order; urgent and backfill as a whole cannot.
 */
#include "common/base/mem.h"
#include "common/node/parts.h"
#include <stdlib.h>

void lanes_forget(struct node *node) { table_deinit(&node->tops, free); }

/* Of an epoch that is not the newest what is held says enough: of what retention took nothing is taken in again. */
static uint64_t held_last(const struct node *node, const struct block *block) {
  struct store_stream newest;
  struct intervals held = INTERVALS_NULL;
  if (!store_stream_get(node->options.store, block->stream, &newest)) return 0;
  if (epoch_compare(block->epoch, newest.epoch) == 0) return newest.last;
  store_held(node->options.store, block->stream, block->epoch, &held);
  uint64_t last = held.count > 0 ? held.items[held.count - 1].to : 0;
  intervals_deinit(&held);
  return last;
}

/* The newest that the live lane was given of the block's stream and epoch. An older epoch still comes by one way when
 * the new one has come by another, and by two ways it steps back like any. */
static uint64_t *top_of(struct node *node, const struct block *block) {
  struct stream_key key;
  struct bytes name = stream_key(&key, 0, block->stream, block->epoch);
  uint64_t *top = table_get(&node->tops, name);
  if (top) return top;
  top = mem_alloc(sizeof *top);
  *top = held_last(node, block);
  table_put(&node->tops, name, top);
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
  uint64_t *top = lane == LANE_LIVE ? top_of(node, block) : NULL;
  if (!top || block->last <= *top) {
    put(batch, top ? LANE_BACKFILL : lane, claim, blob);
    return;
  }
  if (block->first <= *top)
    put_parts(batch, claim, blob, block, *top);
  else
    put(batch, LANE_LIVE, claim, blob);
  *top = block->last;
}
