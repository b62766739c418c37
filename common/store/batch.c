#include "common/store/batch.h"
#include "common/base/mem.h"
#include <stdlib.h>

enum { ITEM_SHARE = 128 }; /* what an item costs beside its bytes: entry head, index, directory */

struct store_batch *store_batch_new(void) {
  struct store_batch *batch = mem_alloc(sizeof *batch);
  batch->deletes_only = true;
  return batch;
}

struct store_batch *store_batch_free(struct store_batch *batch) {
  if (!batch) return NULL;
  for (size_t i = 0; i < batch->count; i++) blob_unref(batch->items[i].block);
  free(batch->items);
  arena_deinit(&batch->arena);
  free(batch);
  return NULL;
}

static struct batch_item *batch_add(struct store_batch *batch, enum batch_kind kind) {
  if (batch->count == batch->cap) {
    batch->cap = batch->cap ? batch->cap * 2 : 4;
    batch->items = mem_resize(batch->items, batch->cap, sizeof *batch->items);
  }
  struct batch_item *item = &batch->items[batch->count++];
  *item = (struct batch_item){.kind = kind};
  batch->bytes += ITEM_SHARE;
  batch->deletes_only = batch->deletes_only && kind == BATCH_DELETE;
  return item;
}

static struct bytes batch_copy(struct store_batch *batch, struct bytes from) {
  batch->bytes += from.len;
  return arena_copy(&batch->arena, from);
}

size_t store_batch_own(struct store_batch *batch, enum lane lane, struct bytes stream, struct blob *draft) {
  struct batch_item *item = batch_add(batch, BATCH_OWN);
  item->lane = lane;
  item->block = draft;
  item->stream = batch_copy(batch, stream);
  batch->bytes += draft->len;
  return batch->count - 1;
}

size_t store_batch_block(struct store_batch *batch, enum lane lane, struct bytes source, uint64_t scope,
    uint64_t covers_from, uint64_t covers_to, struct blob *block) {
  struct batch_item *item = batch_add(batch, BATCH_BLOCK);
  item->lane = lane;
  item->source = batch_copy(batch, source);
  item->scope = scope;
  item->from = covers_from;
  item->to = covers_to;
  item->block = block;
  batch->bytes += block->len;
  return batch->count - 1;
}

size_t store_batch_claim(struct store_batch *batch, struct bytes source, uint64_t scope, struct bytes stream,
    struct epoch epoch, uint64_t from, uint64_t to) {
  struct batch_item *item = batch_add(batch, BATCH_CLAIM);
  item->lane = LANE_BACKFILL;
  item->source = batch_copy(batch, source);
  item->scope = scope;
  item->stream = batch_copy(batch, stream);
  item->epoch = epoch;
  item->from = from;
  item->to = to;
  return batch->count - 1;
}

size_t store_batch_discard(struct store_batch *batch, const struct store_discard *discard) {
  struct batch_item *item = batch_add(batch, BATCH_DISCARD);
  item->stream = batch_copy(batch, discard->stream);
  item->epoch = discard->epoch;
  item->from = discard->from;
  item->to = discard->to;
  item->source = batch_copy(batch, discard->by);
  item->value = batch_copy(batch, discard->reason);
  item->time = discard->time;
  return batch->count - 1;
}

size_t store_batch_put(struct store_batch *batch, enum store_table table, struct bytes key, struct bytes value) {
  struct batch_item *item = batch_add(batch, BATCH_PUT);
  item->table = table;
  item->key = batch_copy(batch, key);
  item->value = batch_copy(batch, value);
  batch->too_large = batch->too_large || key.len == 0 || key.len > STORE_KEY_MAX || value.len > STORE_VALUE_MAX;
  return batch->count - 1;
}

size_t store_batch_audit(struct store_batch *batch, struct bytes entry) {
  struct batch_item *item = batch_add(batch, BATCH_AUDIT);
  item->table = STORE_AUDIT;
  item->value = batch_copy(batch, entry);
  batch->too_large = batch->too_large || entry.len > STORE_VALUE_MAX - CHAIN_HASH;
  return batch->count - 1;
}

size_t store_batch_delete(struct store_batch *batch, enum store_table table, struct bytes key) {
  struct batch_item *item = batch_add(batch, BATCH_DELETE);
  item->table = table;
  item->key = batch_copy(batch, key);
  batch->too_large = batch->too_large || key.len == 0 || key.len > STORE_KEY_MAX;
  return batch->count - 1;
}

size_t store_batch_new_epoch(struct store_batch *batch, struct bytes stream, uint64_t common, struct epoch above) {
  struct batch_item *item = batch_add(batch, BATCH_NEW_EPOCH);
  item->stream = batch_copy(batch, stream);
  item->common = common;
  item->epoch = above;
  batch->has_new_epoch = true;
  return batch->count - 1;
}

void store_batch_urgent(struct store_batch *batch) { batch->urgent = true; }

void store_batch_in_order(struct store_batch *batch) { batch->in_order = true; }

bool store_batch_is_empty(const struct store_batch *batch) { return batch->count == 0; }

bool block_summarise(struct block_summary *summary, struct bytes bytes) {
  struct block block;
  if (bytes.len > BLOCK_MAX || block_open(&block, bytes) != 0) return false;
  *summary = (struct block_summary){.stream = block.stream,
      .epoch = block.epoch,
      .run = block.run,
      .first = block.first,
      .last = block.last,
      .count = block.count,
      .received_from = block.received_from,
      .received_to = block.received_to,
      .time_from = block.time_from,
      .time_to = block.time_to};
  bool rises = block.count > 0 && block.first > 0 && block.last >= block.first;
  return rises && block.stream.len > 0 && block.last - block.first < BLOCK_RECORDS_MAX &&
         block.count <= block.last - block.first + 1;
}

static bool batch_range_good(const struct batch_item *item) {
  return item->stream.len > 0 && item->stream.len <= STREAM_MAX && item->from <= item->to;
}

static bool batch_check_item(struct batch_item *item) {
  switch (item->kind) {
    case BATCH_OWN:
      /* the draft is from our own builder and cannot be opened yet */
      return item->lane < LANES && item->stream.len > 0;
    case BATCH_BLOCK:
      return item->lane < LANES && item->source.len <= STREAM_MAX &&
             block_summarise(&item->block_is, blob_bytes(item->block));
    case BATCH_CLAIM: return batch_range_good(item) && item->source.len <= STREAM_MAX;
    case BATCH_DISCARD:
      return batch_range_good(item) && item->source.len <= STREAM_MAX && item->value.len <= STREAM_MAX;
    case BATCH_NEW_EPOCH: return item->stream.len > 0 && item->stream.len <= STREAM_MAX;
    case BATCH_AUDIT: return true;
    default: return item->table < STORE_TABLES && item->table != STORE_AUDIT;
  }
}

/* new_epoch moves a whole stream: beside it only keys and values may stand, and it only once. */
static bool batch_epoch_alone(const struct store_batch *batch) {
  size_t epochs = 0, others = 0;
  for (size_t i = 0; i < batch->count; i++) {
    enum batch_kind kind = batch->items[i].kind;
    if (kind == BATCH_NEW_EPOCH)
      epochs++;
    else if (kind != BATCH_PUT && kind != BATCH_DELETE && kind != BATCH_AUDIT)
      others++;
  }
  return epochs == 0 || (epochs == 1 && others == 0);
}

int batch_check(struct store_batch *batch) {
  if (batch->too_large) return STORE_REFUSAL_TOO_LARGE;
  if (!batch_epoch_alone(batch)) return STORE_REFUSAL_MALFORMED;
  for (size_t i = 0; i < batch->count; i++)
    if (!batch_check_item(&batch->items[i])) return STORE_REFUSAL_MALFORMED;
  return BATCH_GOOD;
}
