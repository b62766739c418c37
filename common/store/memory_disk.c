#include "common/store/memory_disk.h"
#include "common/base/mem.h"
#include <stdlib.h>

struct memory_disk *memory_disk_new(void) {
  struct memory_disk *disk = mem_alloc(sizeof *disk);
  for (enum lane lane = LANE_URGENT; lane < LANES; lane++) disk->logs[lane].next = 1;
  return disk;
}

static void row_free(struct store_keyed *row) {
  free((void *)(uintptr_t)row->key.data);
  free((void *)(uintptr_t)row->value.data);
}

struct memory_disk *memory_disk_free(struct memory_disk *disk) {
  if (!disk) return NULL;
  for (enum lane lane = LANE_URGENT; lane < LANES; lane++) {
    while (memory_disk_front(disk, lane)) memory_disk_pop(disk, lane);
    free(disk->logs[lane].entries);
  }
  for (size_t i = 0; i < STORE_TABLES; i++) {
    for (size_t k = 0; k < disk->tables[i].count; k++) row_free(&disk->tables[i].rows[k]);
    free(disk->tables[i].rows);
  }
  coverage_deinit(&disk->coverage);
  free(disk);
  return NULL;
}

struct memory_disk *memory_disk_copy(const struct memory_disk *disk) {
  struct memory_disk *copy = memory_disk_new();
  copy->created = disk->created;
  copy->audit = disk->audit;
  coverage_copy(&copy->coverage, &disk->coverage);
  for (enum lane lane = LANE_URGENT; lane < LANES; lane++) {
    const struct memory_log *log = &disk->logs[lane];
    for (size_t i = log->start; i < log->end; i++) memory_disk_append(copy, &log->entries[i]);
    copy->logs[lane].next = log->next;
  }
  for (size_t i = 0; i < STORE_TABLES; i++)
    for (size_t k = 0; k < disk->tables[i].count; k++)
      memory_disk_put(copy, (enum store_table)i, disk->tables[i].rows[k].key, disk->tables[i].rows[k].value);
  return copy;
}

void memory_disk_next(const struct memory_disk *disk, uint64_t next[LANES]) {
  for (enum lane lane = LANE_URGENT; lane < LANES; lane++) next[lane] = disk->logs[lane].next;
}

/* Moves what is left to the front once half of the room is gone, so that popping costs O(1) on average. */
static void memory_log_make_room(struct memory_log *log) {
  if (log->end < log->cap) return;
  if (log->start > log->cap / 2) {
    memmove(log->entries, log->entries + log->start, (log->end - log->start) * sizeof *log->entries);
    log->end -= log->start;
    log->start = 0;
    return;
  }
  log->cap = log->cap ? log->cap * 2 : 64;
  log->entries = mem_resize(log->entries, log->cap, sizeof *log->entries);
}

void memory_disk_append(struct memory_disk *disk, const struct entry *entry) {
  struct memory_log *log = &disk->logs[entry->lane];
  memory_log_make_room(log);
  entry_keep(&log->entries[log->end++], entry);
  log->next = entry->position + 1;
  log->bytes += entry_size(entry);
  disk->used += entry_size(entry);
}

const struct entry *memory_disk_front(const struct memory_disk *disk, enum lane lane) {
  const struct memory_log *log = &disk->logs[lane];
  return log->start < log->end ? &log->entries[log->start] : NULL;
}

void memory_disk_pop(struct memory_disk *disk, enum lane lane) {
  struct memory_log *log = &disk->logs[lane];
  struct entry *front = &log->entries[log->start++];
  log->bytes -= entry_size(front);
  disk->used -= entry_size(front);
  entry_deinit(front);
}

void memory_disk_overlapping(const struct memory_disk *disk, struct bytes stream, struct epoch epoch, uint64_t from,
    uint64_t to, void (*visit)(void *visit_ctx, const struct entry *entry), void *visit_ctx) {
  for (enum lane lane = LANE_URGENT; lane < LANES; lane++) {
    const struct memory_log *log = &disk->logs[lane];
    for (size_t i = log->start; i < log->end; i++)
      if (entry_overlaps(&log->entries[i], stream, epoch, from, to)) visit(visit_ctx, &log->entries[i]);
  }
}

size_t memory_log_seek(const struct memory_log *log, uint64_t position) {
  size_t low = log->start, high = log->end;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (log->entries[middle].position < position)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

void memory_log_figures(const struct memory_log *log, struct store_stats *out, enum lane lane) {
  out->logs[lane].first = log->start < log->end ? log->entries[log->start].position : log->next;
  out->logs[lane].last = log->next - 1;
  out->logs[lane].bytes = log->bytes;
}

size_t memory_table_seek(const struct memory_table *table, struct bytes key) {
  size_t low = 0, high = table->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (bytes_compare(table->rows[middle].key, key) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static bool memory_table_at(const struct memory_table *table, size_t at, struct bytes key) {
  return at < table->count && bytes_equal(table->rows[at].key, key);
}

void memory_disk_delete(struct memory_disk *disk, enum store_table which, struct bytes key) {
  struct memory_table *table = &disk->tables[which];
  size_t at = memory_table_seek(table, key);
  if (!memory_table_at(table, at, key)) return;
  disk->used -= table->rows[at].key.len + table->rows[at].value.len;
  row_free(&table->rows[at]);
  memmove(table->rows + at, table->rows + at + 1, (table->count - at - 1) * sizeof *table->rows);
  table->count--;
}

void memory_disk_put(struct memory_disk *disk, enum store_table which, struct bytes key, struct bytes value) {
  struct memory_table *table = &disk->tables[which];
  memory_disk_delete(disk, which, key);
  size_t at = memory_table_seek(table, key);
  if (table->count == table->cap) {
    table->cap = table->cap ? table->cap * 2 : 16;
    table->rows = mem_resize(table->rows, table->cap, sizeof *table->rows);
  }
  memmove(table->rows + at + 1, table->rows + at, (table->count - at) * sizeof *table->rows);
  table->rows[at] = (struct store_keyed){.key = bytes_of(mem_copy(key.data, key.len), key.len),
      .value = bytes_of(value.len ? mem_copy(value.data, value.len) : NULL, value.len)};
  table->count++;
  disk->used += key.len + value.len;
}
