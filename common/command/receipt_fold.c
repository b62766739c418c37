#include "common/base/mem.h"
#include "common/command/receipt.h"
#include <sodium.h>
#include <stdlib.h>

enum {
  PART_BYTES = 72, /* of one beside its stream: length, epoch, hash, number of ranges */
  FIRST_BYTES = 22,
  RANGE_BYTES = 4, /* within one block sequences are less than BLOCK_RECORDS_MAX apart */
  FRAME_BYTES = 1024
};

void receipt_fold_deinit(struct receipt_fold *fold) {
  for (size_t i = 0; i < fold->part_count; i++) {
    free((void *)(uintptr_t)fold->parts[i].stream.data);
    intervals_deinit(&fold->parts[i].ranges);
  }
  free(fold->parts);
  free(fold->entries);
  buffer_deinit(&fold->records);
  *fold = RECEIPT_FOLD_NULL;
}

static size_t part_find(const struct receipt_fold *fold, const struct block *block) {
  size_t i = fold->part_count;
  while (i > 0 && (epoch_compare(fold->parts[i - 1].epoch, block->epoch) != 0 ||
                      !bytes_equal(fold->parts[i - 1].stream, block->stream)))
    i--;
  return i > 0 ? i - 1 : SIZE_MAX;
}

static size_t part_of(struct receipt_fold *fold, const struct block *block) {
  size_t found = part_find(fold, block);
  if (found != SIZE_MAX) return found;
  fold->parts = mem_resize(fold->parts, fold->part_count + 1, sizeof *fold->parts);
  fold->parts[fold->part_count] = (struct receipt_part){
      .stream = bytes_of(mem_copy(block->stream.data, block->stream.len), block->stream.len), .epoch = block->epoch};
  return fold->part_count++;
}

static void put_record(struct buffer *out, const struct record *record) {
  struct writer w;
  writer_init(&w, out, SIZE_MAX);
  writer_varint(&w, record->sequence);
  writer_sized(&w, record->address);
  writer_zigzag(&w, record->time);
  writer_zigzag(&w, record->received);
  writer_u8(&w, (uint8_t)record->kind);
  writer_u8(&w, (uint8_t)record->quality);
  writer_u8(&w, (uint8_t)record->reason);
  value_write(&w, &record->value);
}

static void add_record(struct receipt_fold *fold, size_t part, const struct record *record) {
  size_t at = fold->records.len;
  put_record(&fold->records, record);
  if (fold->entry_count == fold->entry_cap) {
    fold->entry_cap = fold->entry_cap ? fold->entry_cap * 2 : 256;
    fold->entries = mem_resize(fold->entries, fold->entry_cap, sizeof *fold->entries);
  }
  fold->entries[fold->entry_count++] = (struct receipt_entry){part, at, fold->records.len - at, record->sequence};
  intervals_add(&fold->parts[part].ranges, record->sequence, record->sequence);
}

static void add_records(struct receipt_fold *fold, const struct block *block, const struct intervals *only) {
  struct block_reader *reader = NULL;
  struct record record;
  if (block_reader_new(&reader, block) != 0) return;
  size_t part = part_of(fold, block);
  while (block_reader_next(reader, &record) == 0)
    if (!only || intervals_contains(only, record.sequence)) add_record(fold, part, &record);
  block_reader_free(reader);
}

static size_t bound_of(const struct receipt_fold *fold, const struct block *block) {
  size_t holes = (size_t)(block->last - block->first + 1) - block->count;
  size_t ranges = holes < block->count ? holes : block->count;
  size_t head = part_find(fold, block) == SIZE_MAX ? PART_BYTES + block->stream.len : 0;
  return head + FIRST_BYTES + ranges * RANGE_BYTES;
}

bool receipt_fold_add(struct receipt_fold *fold, const struct block *block) {
  size_t more = bound_of(fold, block);
  bool full = fold->bound + more > RECEIPT_BYTES_MAX - FRAME_BYTES || fold->part_count >= RECEIPT_PARTS_MAX ||
              fold->entry_count + block->count > RECEIPT_RECORDS_MAX || fold->records.len > RECEIPT_HELD_MAX / 2;
  if (full && fold->entry_count > 0) return false;
  fold->bound += more;
  add_records(fold, block, NULL);
  return true;
}

bool receipt_fold_add_only(struct receipt_fold *fold, const struct block *block, const struct intervals *only) {
  if (fold->records.len > RECEIPT_HELD_MAX) return false;
  if (intervals_overlaps(only, block->first, block->last)) add_records(fold, block, only);
  return true;
}

/* ---- the end ---- */

static int part_order(const struct receipt_part *a, const struct receipt_part *b) {
  int order = bytes_compare(a->stream, b->stream);
  return order ? order : epoch_compare(a->epoch, b->epoch);
}

static int by_part(const void *a, const void *b, void *fold) {
  const size_t *left = a, *right = b;
  const struct receipt_fold *of = fold;
  return part_order(&of->parts[*left], &of->parts[*right]);
}

static int by_sequence(const void *a, const void *b) {
  const struct receipt_entry *left = a, *right = b;
  if (left->part != right->part) return left->part < right->part ? -1 : 1;
  if (left->sequence != right->sequence) return left->sequence < right->sequence ? -1 : 1;
  return left->at < right->at ? -1 : left->at > right->at;
}

/* Puts the parts into their order; the entries follow. */
static void sort_parts(struct receipt_fold *fold) {
  size_t *order = mem_alloc((fold->part_count + 1) * sizeof *order),
         *place = mem_alloc(fold->part_count * sizeof *place + 1);
  struct receipt_part *sorted = mem_alloc((fold->part_count + 1) * sizeof *sorted);
  for (size_t i = 0; i < fold->part_count; i++) order[i] = i;
  qsort_r(order, fold->part_count, sizeof *order, by_part, fold);
  for (size_t i = 0; i < fold->part_count; i++) {
    sorted[i] = fold->parts[order[i]];
    place[order[i]] = i;
  }
  for (size_t i = 0; i < fold->entry_count; i++) fold->entries[i].part = place[fold->entries[i].part];
  free(fold->parts);
  free(order);
  free(place);
  fold->parts = sorted;
}

static void hash_parts(struct receipt_fold *fold) {
  size_t at = 0;
  for (size_t part = 0; part < fold->part_count; part++) {
    crypto_generichash_state state;
    uint64_t last = 0;
    crypto_generichash_init(&state, NULL, 0, RECEIPT_HASH);
    for (; at < fold->entry_count && fold->entries[at].part == part; at++) {
      const struct receipt_entry *entry = &fold->entries[at];
      if (entry->sequence > last) crypto_generichash_update(&state, fold->records.data + entry->at, entry->len);
      last = entry->sequence;
    }
    crypto_generichash_final(&state, fold->parts[part].hash, RECEIPT_HASH);
  }
}

void receipt_fold_end(struct receipt_fold *fold) {
  if (fold->part_count == 0) return;
  sort_parts(fold);
  if (fold->entry_count > 1) qsort(fold->entries, fold->entry_count, sizeof *fold->entries, by_sequence);
  hash_parts(fold);
}
