/*
 * An entry on disk, little-endian:
 *
 *    0  u32  size of the whole entry
 *    4  u8   kind: 1 block, 2 bare claim
 *    5  u8   lane
 *    6  u16  length of source
 *    8  u64  XXH3-64 of the rest of the entry, but not of a block, which carries its own
 *   16  u64  position
 *   24  u64  scope
 *   32  u64  covers from
 *   40  u64  covers to           (from > to: no claim)
 *   48  u32  length of what follows source: the block; of a bare claim u64 created, u64 random,
 *           i64 when it was noted (µs UTC), stream
 *   52  source, then that
 */
#include "common/store/entry.h"
#include "common/base/cursor.h"
#include "common/base/mem.h"
#include <stdlib.h>
#include <xxhash.h>

enum { ENTRY_BLOCK = 1, ENTRY_CLAIM = 2, CHECK_AT = 8, CHECKED_FROM = 16, CLAIM_HEAD = 24 };

static struct bytes entry_own(struct bytes from) {
  return from.len ? bytes_of(mem_copy(from.data, from.len), from.len) : BYTES_NULL;
}

void entry_keep(struct entry *kept, const struct entry *entry) {
  *kept = *entry;
  kept->block = blob_ref(entry->block);
  kept->source = entry_own(entry->source);
  if (!entry->block) kept->is.stream = entry_own(entry->is.stream);
}

struct entry entry_with_blob(const struct entry *entry, struct bytes block) {
  struct entry whole = *entry;
  whole.block = block.len ? blob_copy(block) : NULL;
  if (whole.block) whole.is.stream.data = whole.block->data + (entry->is.stream.data - block.data);
  return whole;
}

void entry_deinit(struct entry *kept) {
  if (!kept->block) free((void *)(uintptr_t)kept->is.stream.data);
  free((void *)(uintptr_t)kept->source.data);
  kept->block = blob_unref(kept->block);
  kept->source = kept->is.stream = BYTES_NULL;
}

void entry_effects(const struct entry *entry, void (*apply)(void *ctx, const struct effect *effect), void *ctx) {
  struct effect effect = {.stream = entry->is.stream, .epoch = entry->is.epoch};
  if (entry->is.count > 0) {
    effect.kind = EFFECT_HOLD;
    effect.from = entry->is.first;
    effect.to = entry->is.last;
    effect.run = entry->is.run;
    apply(ctx, &effect);
  }
  if (entry->covers_from <= entry->covers_to) {
    effect.kind = EFFECT_CLAIM;
    effect.from = entry->covers_from;
    effect.to = entry->covers_to;
    effect.source = entry->source;
    effect.scope = entry->scope;
    apply(ctx, &effect);
  }
}

static bool sequences_read(const struct blob *bytes, uint64_t from, uint64_t to, struct intervals *out) {
  struct block block;
  struct block_reader *reader;
  if (block_open(&block, blob_bytes(bytes)) != 0 || block_reader_new(&reader, &block) != 0) return false;
  struct record record;
  int r;
  while ((r = block_reader_next(reader, &record)) == 0)
    if (record.sequence >= from && record.sequence <= to) intervals_add(out, record.sequence, record.sequence);
  block_reader_free(reader);
  return r == BLOCK_EMPTY;
}

bool entry_in_time(const struct entry *entry, const struct store_read *request) {
  const struct block_summary *is = &entry->is;
  bool received = request->clock == STORE_BY_RECEIVED;
  int64_t from = received ? is->received_from : is->time_from, to = received ? is->received_to : is->time_to;
  if (is->count == 0 || to < request->from_us || from > request->to_us) return false;
  return !request->wants || request->wants(request->wants_ctx, is->stream);
}

void entry_sequences(const struct entry *entry, uint64_t from, uint64_t to, struct intervals *out) {
  uint64_t low = entry->is.first > from ? entry->is.first : from;
  uint64_t high = entry->is.last < to ? entry->is.last : to;
  if (low > high) return;
  bool whole = !entry->block || entry->is.count == entry->is.last - entry->is.first + 1;
  if (whole || !sequences_read(entry->block, low, high, out)) intervals_add(out, low, high);
}

static bool keep_below(void *ctx, const struct record *record) { return record->sequence <= *(const uint64_t *)ctx; }

struct blob *entry_below(struct blob *block, const struct block_summary *is, uint64_t ceiling) {
  struct block opened;
  struct blob *left = NULL;
  if (is->last <= ceiling) return blob_ref(block);
  if (is->first > ceiling || block_open(&opened, blob_bytes(block)) != 0) return NULL;
  return block_filter(&left, block, &opened, keep_below, &ceiling) == 0 ? left : NULL;
}

static size_t entry_tail_size(const struct entry *entry) {
  return entry->block ? entry->block->len : CLAIM_HEAD + entry->is.stream.len;
}

size_t entry_size(const struct entry *entry) { return ENTRY_HEAD + entry->source.len + entry_tail_size(entry); }

static void put_u64(uint8_t *to, uint64_t v) {
  for (int i = 0; i < 8; i++) to[i] = (uint8_t)(v >> (8 * i));
}

static void put_u32(uint8_t *to, uint32_t v) {
  for (int i = 0; i < 4; i++) to[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t entry_hash(const uint8_t *entry, size_t block) {
  uint32_t size;
  memcpy(&size, entry, sizeof size);
  return XXH3_64bits_withSeed(entry + CHECKED_FROM, size - CHECKED_FROM - block, XXH3_64bits(entry, CHECK_AT));
}

void entry_write(const struct entry *entry, uint8_t *to) {
  size_t size = entry_size(entry), tail = entry_tail_size(entry);
  put_u32(to, (uint32_t)size);
  to[4] = entry->block ? ENTRY_BLOCK : ENTRY_CLAIM;
  to[5] = (uint8_t)entry->lane;
  to[6] = (uint8_t)entry->source.len;
  to[7] = (uint8_t)(entry->source.len >> 8);
  put_u64(to + 16, entry->position);
  put_u64(to + 24, entry->scope);
  put_u64(to + 32, entry->covers_from);
  put_u64(to + 40, entry->covers_to);
  put_u32(to + 48, (uint32_t)tail);
  uint8_t *at = to + ENTRY_HEAD;
  if (entry->source.len) memcpy(at, entry->source.data, entry->source.len);
  at += entry->source.len;
  if (entry->block) {
    memcpy(at, entry->block->data, entry->block->len);
  } else {
    put_u64(at, entry->is.epoch.created);
    put_u64(at + 8, entry->is.epoch.random);
    put_u64(at + 16, (uint64_t)entry->is.received_to);
    memcpy(at + CLAIM_HEAD, entry->is.stream.data, entry->is.stream.len);
  }
  put_u64(to + CHECK_AT, entry_hash(to, entry->block ? tail : 0));
}

size_t entry_peek_size(struct bytes from) {
  struct reader r;
  reader_init(&r, from);
  uint32_t size = reader_u32(&r);
  return r.failed || size < ENTRY_HEAD || size > from.len ? 0 : size;
}

uint64_t entry_peek_position(struct bytes from) {
  struct reader r;
  reader_init(&r, bytes_of(from.data + CHECKED_FROM, from.len - CHECKED_FROM));
  return reader_u64(&r);
}

static bool entry_read_claim(struct entry *entry, struct bytes tail) {
  struct reader r;
  reader_init(&r, tail);
  entry->is = (struct block_summary){.stream = BYTES_NULL};
  entry->is.epoch.created = reader_u64(&r);
  entry->is.epoch.random = reader_u64(&r);
  entry->is.received_from = entry->is.received_to = (int64_t)reader_u64(&r);
  entry->is.stream = reader_bytes(&r, reader_left(&r));
  return !r.failed && entry->is.stream.len > 0;
}

bool entry_read(struct entry *entry, struct bytes *block, struct bytes from) {
  size_t size = entry_peek_size(from);
  if (size == 0) return false;
  struct reader r;
  reader_init(&r, bytes_of(from.data + 4, size - 4));
  uint8_t kind = reader_u8(&r);
  *entry = (struct entry){.lane = (enum lane)reader_u8(&r)};
  uint16_t source = reader_u16(&r);
  uint64_t check = reader_u64(&r);
  entry->position = reader_u64(&r);
  entry->scope = reader_u64(&r);
  entry->covers_from = reader_u64(&r);
  entry->covers_to = reader_u64(&r);
  uint32_t tail = reader_u32(&r);
  entry->source = reader_bytes(&r, source);
  struct bytes rest = reader_bytes(&r, tail);
  *block = kind == ENTRY_BLOCK ? rest : BYTES_NULL;
  if (!reader_done(&r) || check != entry_hash(from.data, block->len)) return false;
  return kind == ENTRY_BLOCK ? block_summarise(&entry->is, rest) : kind == ENTRY_CLAIM && entry_read_claim(entry, rest);
}
