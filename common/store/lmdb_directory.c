#include "common/store/lmdb_directory.h"
#include "common/base/cursor.h"
#include "common/base/mem.h"
#include <stdlib.h>

enum { DIRECTORY_VERSION = 1, DIRECTORY_KEY = 9, DIRECTORY_MAX = 1 << 20, INDEX_KEY = 12 };

void directory_init(struct directory *directory, enum lane lane, uint64_t segment) {
  *directory = (struct directory){.lane = lane,
      .segment = segment,
      .received_from = INT64_MAX,
      .received_to = INT64_MIN,
      .time_from = INT64_MAX,
      .time_to = INT64_MIN};
}

void directory_deinit(struct directory *directory) {
  free(directory->runs);
  directory->runs = NULL;
  directory->run_count = directory->run_cap = 0;
}

static struct run *directory_run(struct directory *directory) {
  if (directory->run_count == directory->run_cap) {
    directory->run_cap = directory->run_cap ? directory->run_cap * 2 : 8;
    directory->runs = mem_resize(directory->runs, directory->run_cap, sizeof *directory->runs);
  }
  return &directory->runs[directory->run_count++];
}

static void directory_times(struct directory *directory, const struct block_summary *is) {
  if (is->received_from < directory->received_from) directory->received_from = is->received_from;
  if (is->received_to > directory->received_to) directory->received_to = is->received_to;
  if (is->count == 0) return;
  if (is->time_from < directory->time_from) directory->time_from = is->time_from;
  if (is->time_to > directory->time_to) directory->time_to = is->time_to;
}

void directory_add(struct directory *directory, const struct block_summary *is, uint32_t id, uint32_t *slot) {
  directory_times(directory, is);
  if (is->count == 0) return;
  struct run *run = *slot ? &directory->runs[*slot - 1] : NULL;
  bool goes_on = run && is->first == run->last + 1 && is->last - run->first < RUN_SPAN_MAX;
  if (!goes_on) {
    run = directory_run(directory);
    *run = (struct run){.id = id, .first = is->first};
    *slot = (uint32_t)directory->run_count;
  }
  run->last = is->last;
  run->records += is->count;
}

/* ---- on disk ---- */

static struct bytes directory_key(uint8_t key[DIRECTORY_KEY], enum lane lane, uint64_t segment) {
  key[0] = (uint8_t)lane;
  base_put_be(key + 1, segment, 8);
  return bytes_of(key, DIRECTORY_KEY);
}

int directory_put(const struct directory *directory, const struct base *base, MDB_txn *txn) {
  struct buffer bytes = BUFFER_NULL;
  struct writer w;
  writer_init(&w, &bytes, DIRECTORY_MAX);
  writer_u8(&w, DIRECTORY_VERSION);
  writer_u8(&w, (uint8_t)directory->trimmed);
  writer_u64(&w, (uint64_t)directory->trimmed_when);
  writer_u64(&w, (uint64_t)directory->received_from);
  writer_u64(&w, (uint64_t)directory->received_to);
  writer_u64(&w, (uint64_t)directory->time_from);
  writer_u64(&w, (uint64_t)directory->time_to);
  writer_varint(&w, directory->run_count);
  for (size_t i = 0; i < directory->run_count; i++) {
    const struct run *run = &directory->runs[i];
    writer_varint(&w, run->id);
    writer_varint(&w, run->first);
    writer_varint(&w, run->last - run->first);
    writer_varint(&w, run->records);
  }
  uint8_t key[DIRECTORY_KEY];
  int r = base_put(txn, base->directory, directory_key(key, directory->lane, directory->segment), buffer_bytes(&bytes));
  buffer_deinit(&bytes);
  return r;
}

static bool directory_read_times(struct directory *directory, struct reader *r) {
  if (reader_u8(r) != DIRECTORY_VERSION) return false;
  directory->trimmed = (enum directory_trimmed)reader_u8(r);
  directory->trimmed_when = (int64_t)reader_u64(r);
  directory->received_from = (int64_t)reader_u64(r);
  directory->received_to = (int64_t)reader_u64(r);
  directory->time_from = (int64_t)reader_u64(r);
  directory->time_to = (int64_t)reader_u64(r);
  return !r->failed;
}

static bool directory_read(struct directory *directory, struct bytes value) {
  struct reader r;
  reader_init(&r, value);
  if (!directory_read_times(directory, &r)) return false;
  for (uint64_t left = reader_varint(&r); left > 0 && !r.failed; left--) {
    struct run *run = directory_run(directory);
    run->id = (uint32_t)reader_varint(&r);
    run->first = reader_varint(&r);
    run->last = run->first + reader_varint(&r);
    run->records = reader_varint(&r);
  }
  return reader_done(&r);
}

int directory_get(struct directory *directory, const struct base *base, MDB_txn *txn) {
  uint8_t key[DIRECTORY_KEY];
  struct bytes value;
  int r = base_get(txn, base->directory, directory_key(key, directory->lane, directory->segment), &value);
  return r == 0 && !directory_read(directory, value) ? BASE_DAMAGED : r;
}

int directory_get_times(struct directory *directory, const struct base *base, MDB_txn *txn) {
  uint8_t key[DIRECTORY_KEY];
  struct bytes value;
  struct reader reader;
  int r = base_get(txn, base->directory, directory_key(key, directory->lane, directory->segment), &value);
  if (r != 0) return r;
  reader_init(&reader, value);
  return directory_read_times(directory, &reader) ? 0 : BASE_DAMAGED;
}

int directory_delete(const struct base *base, MDB_txn *txn, enum lane lane, uint64_t segment) {
  uint8_t key[DIRECTORY_KEY];
  return base_delete(txn, base->directory, directory_key(key, lane, segment));
}

static bool directory_visit(enum lane lane, MDB_val key, MDB_val value,
    bool (*visit)(void *ctx, const struct directory *directory), void *ctx) {
  struct directory directory;
  struct bytes name = base_bytes(key), bytes = base_bytes(value);
  directory_init(&directory, lane, base_get_be(name.data + 1, 8));
  bool good = base_unseal(name, &bytes) && directory_read(&directory, bytes);
  bool going = !good || visit(ctx, &directory);
  directory_deinit(&directory);
  return going;
}

int directory_each(const struct base *base, MDB_txn *txn, enum lane lane,
    bool (*visit)(void *ctx, const struct directory *directory), void *ctx) {
  MDB_cursor *cursor;
  int r = base_result("cursor", mdb_cursor_open(txn, base->directory, &cursor));
  if (r != 0) return r;
  uint8_t start[DIRECTORY_KEY];
  MDB_val key = base_val(directory_key(start, lane, 0)), value;
  for (r = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE); r == 0;
       r = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
    if (key.mv_size != DIRECTORY_KEY || *(const uint8_t *)key.mv_data != (uint8_t)lane) break;
    if (!directory_visit(lane, key, value, visit, ctx)) break;
  }
  mdb_cursor_close(cursor);
  return r == MDB_NOTFOUND ? 0 : base_result("read directories", r);
}

/* ---- the index ---- */

static struct bytes index_key(uint8_t key[INDEX_KEY], uint32_t id, uint64_t first) {
  base_put_be(key, id, 4);
  base_put_be(key + 4, first, 8);
  return bytes_of(key, INDEX_KEY);
}

static int run_order(const void *a, const void *b) {
  const struct run *left = a, *right = b;
  if (left->id != right->id) return left->id < right->id ? -1 : 1;
  return left->first < right->first ? -1 : left->first > right->first;
}

/* In order of key, so that neighbours share the pages they touch. */
int index_put(const struct directory *directory, const struct base *base, MDB_txn *txn) {
  if (directory->run_count == 0) return 0;
  struct run *runs = mem_copy(directory->runs, directory->run_count * sizeof *runs);
  qsort(runs, directory->run_count, sizeof *runs, run_order);
  int r = 0;
  for (size_t i = 0; r == 0 && i < directory->run_count; i++) {
    uint8_t key[INDEX_KEY], value[17];
    value[0] = (uint8_t)directory->lane;
    base_put_be(value + 1, directory->segment, 8);
    base_put_be(value + 9, runs[i].last, 8);
    r = base_put(txn, base->index, index_key(key, runs[i].id, runs[i].first), bytes_of(value, sizeof value));
  }
  free(runs);
  return r;
}

int index_delete(const struct directory *directory, const struct base *base, MDB_txn *txn) {
  int r = 0;
  for (size_t i = 0; r == 0 && i < directory->run_count; i++) {
    uint8_t key[INDEX_KEY];
    r = base_delete(txn, base->index, index_key(key, directory->runs[i].id, directory->runs[i].first));
    if (r == BASE_NONE) r = 0;
  }
  return r;
}

static struct place index_read(MDB_val key, MDB_val value) {
  struct bytes name = base_bytes(key), bytes = base_bytes(value);
  struct place place = {.id = (uint32_t)base_get_be(name.data, 4), .first = base_get_be(name.data + 4, 8)};
  if (!base_unseal(name, &bytes) || bytes.len != 17) return place;
  place.lane = (enum lane)bytes.data[0];
  place.segment = base_get_be(bytes.data + 1, 8);
  place.last = base_get_be(bytes.data + 9, 8);
  return place;
}

int index_each(const struct base *base, MDB_txn *txn, uint32_t id, uint64_t from, uint64_t to,
    bool (*visit)(void *ctx, const struct place *place), void *ctx) {
  MDB_cursor *cursor;
  int r = base_result("cursor", mdb_cursor_open(txn, base->index, &cursor));
  if (r != 0) return r;
  uint8_t start[INDEX_KEY];
  MDB_val key = base_val(index_key(start, id, from > RUN_SPAN_MAX ? from - RUN_SPAN_MAX : 0)), value;
  for (r = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE); r == 0;
       r = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
    if (key.mv_size != INDEX_KEY) break;
    struct place place = index_read(key, value);
    if (place.id != id || place.first > to) break;
    bool overlaps = place.last == 0 || place.last >= from;
    if (overlaps && !visit(ctx, &place)) break;
  }
  mdb_cursor_close(cursor);
  return r == MDB_NOTFOUND ? 0 : base_result("read index", r);
}
