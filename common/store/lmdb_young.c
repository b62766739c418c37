#include "common/base/mem.h"
#include "common/store/lmdb_log.h"
#include <stdlib.h>

enum { CHUNK = 2016, CHUNK_KEY = 10, NEARLY_FULL = SEGMENT_ROOM - SEGMENT_ROOM / 16 };

void young_add(struct young *young, const struct entry *entry) {
  if (young->count == young->cap) {
    young->cap = young->cap ? young->cap * 2 : 16;
    young->entries = mem_resize(young->entries, young->cap, sizeof *young->entries);
  }
  entry_keep(&young->entries[young->count++], entry);
  young->bytes += entry_size(entry);
}

void young_drop(struct young *young, size_t count) {
  for (size_t i = 0; i < count; i++) {
    young->bytes -= entry_size(&young->entries[i]);
    entry_deinit(&young->entries[i]);
  }
  young->count -= count;
  young->stored -= count < young->stored ? count : young->stored;
  memmove(young->entries, young->entries + count, young->count * sizeof *young->entries);
}

void young_clear(struct young *young) {
  if (young->count) young_drop(young, young->count);
  free(young->entries);
  *young = (struct young){.entries = NULL};
}

struct loading {
  struct young *young;
  const struct log_visit *report;
};

static bool load_entry(void *ctx, const struct entry *entry, struct bytes block) {
  struct loading *loading = ctx;
  struct entry whole = entry_with_blob(entry, block);
  young_add(loading->young, &whole);
  blob_unref(whole.block);
  return true;
}

static void load_lost(void *ctx, enum lane lane, uint64_t near, uint64_t count) {
  struct loading *loading = ctx;
  loading->report->lost(loading->report->ctx, lane, near, count);
}

int young_load(
    struct young *young, const struct base *base, MDB_txn *txn, enum lane lane, const struct log_visit *report) {
  struct loading loading = {.young = young, .report = report};
  int r =
      log_walk_young(base, txn, lane, 0, &(struct log_visit){.entry = load_entry, .lost = load_lost, .ctx = &loading});
  young->stored = young->count;
  return r;
}

size_t young_full(const struct young *young) {
  size_t bytes = 0, count = 0;
  while (count < young->count && bytes + entry_size(&young->entries[count]) <= SEGMENT_ROOM)
    bytes += entry_size(&young->entries[count++]);
  return count < young->count || bytes >= NEARLY_FULL ? count : 0;
}

static int entry_store(
    const struct entry *entry, const struct base *base, MDB_txn *txn, enum lane lane, struct buffer *bytes) {
  size_t size = entry_size(entry);
  buffer_clear(bytes);
  buffer_reserve(bytes, size);
  entry_write(entry, bytes->data);
  int r = 0;
  for (size_t at = 0, chunk = 0; r == 0 && at < size; at += CHUNK, chunk++) {
    uint8_t name[CHUNK_KEY];
    base_put_be(name, entry->position, 8);
    base_put_be(name + 8, chunk, 2);
    MDB_val key = {.mv_size = CHUNK_KEY, .mv_data = name};
    MDB_val value = {.mv_size = size - at < CHUNK ? size - at : CHUNK, .mv_data = bytes->data + at};
    r = base_result("append", mdb_put(txn, base->young[lane], &key, &value, MDB_APPEND));
  }
  return r;
}

int young_store(struct young *young, const struct base *base, MDB_txn *txn, enum lane lane) {
  struct buffer bytes = BUFFER_NULL;
  int r = 0;
  for (size_t i = young->stored; r == 0 && i < young->count; i++)
    r = entry_store(&young->entries[i], base, txn, lane, &bytes);
  if (r == 0) young->stored = young->count;
  buffer_deinit(&bytes);
  return r;
}

int young_delete(struct young *young, const struct base *base, MDB_txn *txn, enum lane lane, size_t count) {
  if (young->stored == 0 || count == 0) return 0;
  size_t most = count < young->stored ? count : young->stored;
  uint64_t last = young->entries[most - 1].position;
  MDB_cursor *cursor;
  int r = base_result("cursor", mdb_cursor_open(txn, base->young[lane], &cursor));
  if (r != 0) return r;
  MDB_val key, value;
  while ((r = mdb_cursor_get(cursor, &key, &value, MDB_FIRST)) == 0 && base_get_be(key.mv_data, 8) <= last)
    if ((r = mdb_cursor_del(cursor, 0)) != 0) break;
  mdb_cursor_close(cursor);
  return r == MDB_NOTFOUND ? 0 : base_result("delete young", r);
}

int young_seal(const struct young *young, const struct base *base, MDB_txn *txn, enum lane lane, size_t count) {
  const struct entry **entries = mem_alloc(count * sizeof *entries);
  for (size_t i = 0; i < count; i++) entries[i] = &young->entries[i];
  uint64_t first = young->entries[0].position;
  MDB_val key = {.mv_size = sizeof first, .mv_data = &first}, value = {.mv_size = SEGMENT_SIZE};
  int r = base_result("seal", mdb_put(txn, base->sealed[lane], &key, &value, MDB_RESERVE | MDB_APPEND));
  if (r == 0) segment_write(value.mv_data, lane, entries, count);
  free(entries);
  return r;
}
