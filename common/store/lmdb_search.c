#include "common/store/lmdb_search.h"
#include "common/base/mem.h"
#include <stdlib.h>

struct search {
  const struct base *base;
  MDB_txn *txn;
  uint32_t id;
  struct bytes stream;
  struct epoch epoch;
  uint64_t from, to;
  struct searched *out;
  struct directory *rebuilt; /* of a segment whose own directory is damaged */
  uint32_t slot;
};

void searched_deinit(struct searched *searched) {
  free(searched->places);
  *searched = (struct searched){.places = NULL};
}

static void search_add(struct search *search, const struct directory *directory, const struct run *run) {
  struct searched *out = search->out;
  if (run->last < search->from || run->first > search->to) return;
  if (out->count == out->cap) {
    out->cap = out->cap ? out->cap * 2 : 32;
    out->places = mem_resize(out->places, out->cap, sizeof *out->places);
  }
  out->places[out->count++] = (struct place){
      .id = run->id, .first = run->first, .last = run->last, .lane = directory->lane, .segment = directory->segment};
}

static bool search_entry(void *ctx, const struct entry *entry, struct bytes block) {
  struct search *search = ctx;
  (void)block;
  if (entry_overlaps(entry, search->stream, search->epoch, 0, UINT64_MAX))
    directory_add(search->rebuilt, &entry->is, search->id, &search->slot);
  return true;
}

/* Whoever reads the segment afterwards counts what is damaged in it. */
static void search_lost(void *ctx, enum lane lane, uint64_t near, uint64_t count) {
  (void)ctx, (void)lane, (void)near, (void)count;
}

static int search_segment(struct search *search, struct directory *directory) {
  struct log_visit visit = {.entry = search_entry, .lost = search_lost, .ctx = search};
  search->rebuilt = directory;
  search->slot = 0;
  return log_walk_segment(search->base, search->txn, directory->lane, directory->segment, &visit);
}

static int search_look(struct search *search, enum lane lane, uint64_t segment) {
  struct directory directory;
  directory_init(&directory, lane, segment);
  int r = directory_get(&directory, search->base, search->txn);
  if (r == BASE_NONE || r == BASE_DAMAGED) {
    directory_deinit(&directory);
    directory_init(&directory, lane, segment);
    r = search_segment(search, &directory);
  }
  for (size_t i = 0; r == 0 && i < directory.run_count; i++)
    if (directory.runs[i].id == search->id) search_add(search, &directory, &directory.runs[i]);
  directory_deinit(&directory);
  return r;
}

static int search_lane(struct search *search, enum lane lane) {
  MDB_cursor *cursor;
  int r = base_result("cursor", mdb_cursor_open(search->txn, search->base->sealed[lane], &cursor));
  if (r != 0) return r;
  MDB_val key, value;
  int looked = 0;
  while (looked == 0 && (r = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
    uint64_t segment = 0;
    if (key.mv_size != sizeof segment) continue;
    memcpy(&segment, key.mv_data, sizeof segment);
    looked = search_look(search, lane, segment);
    if (looked == BASE_NONE) looked = 0; /* LMDB's own order is broken there: it cannot be reached by its key */
  }
  mdb_cursor_close(cursor);
  if (looked != 0) return looked;
  return r == MDB_NOTFOUND ? 0 : base_result("search segments", r);
}

static int place_order(const void *a, const void *b) {
  const struct place *left = a, *right = b;
  return left->first < right->first ? -1 : left->first > right->first;
}

int search_places(struct searched *out, const struct base *base, MDB_txn *txn, uint32_t id, struct bytes stream,
    struct epoch epoch, uint64_t from, uint64_t to) {
  struct search search = {
      .base = base, .txn = txn, .id = id, .stream = stream, .epoch = epoch, .from = from, .to = to, .out = out};
  int r = 0;
  *out = (struct searched){.places = NULL};
  for (enum lane lane = LANE_URGENT; id != 0 && r == 0 && lane < LANES; lane++) r = search_lane(&search, lane);
  if (out->count) qsort(out->places, out->count, sizeof *out->places, place_order);
  return r;
}

int search_id(uint32_t *id, const struct base *base, MDB_txn *txn, struct bytes stream, struct epoch epoch) {
  MDB_cursor *cursor;
  int r = base_result("cursor", mdb_cursor_open(txn, base->pieces, &cursor));
  if (r != 0) return r;
  MDB_val key, value;
  *id = 0;
  while (*id == 0 && (r = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
    struct coverage one = COVERAGE_NULL;
    struct bytes name = base_bytes(key), piece = base_bytes(value);
    if (base_unseal(name, &piece)) coverage_read(&one, piece);
    const struct cover *cover = coverage_find(&one, stream, epoch);
    if (cover) *id = cover->id;
    coverage_deinit(&one);
  }
  mdb_cursor_close(cursor);
  return r == 0 ? 0 : base_result("search pieces", r);
}

struct flooring {
  uint32_t id;
  uint64_t *floor;
};

static bool floor_of(void *ctx, const struct directory *directory) {
  struct flooring *flooring = ctx;
  if (directory->trimmed == DIRECTORY_WHOLE) return false; /* those that are gone stand in front */
  for (size_t i = 0; i < directory->run_count; i++)
    if (directory->runs[i].id == flooring->id && directory->runs[i].last >= *flooring->floor)
      *flooring->floor = directory->runs[i].last + 1;
  return true;
}

static void cover_floor(void *ctx, struct cover *cover) { *(uint64_t *)ctx = cover->floor; }

int search_floor(uint64_t *floor, const struct base *base, MDB_txn *txn, uint32_t id) {
  struct flooring flooring = {id, floor};
  struct coverage one = COVERAGE_NULL;
  struct bytes piece;
  uint8_t key[4];
  *floor = 1;
  base_put_be(key, id, 4);
  int r = base_get(txn, base->pieces, bytes_of(key, 4), &piece);
  if (r == 0 && coverage_read(&one, piece)) coverage_each(&one, cover_floor, floor);
  coverage_deinit(&one);
  if (r < 0) return r;
  r = 0;
  for (enum lane lane = LANE_URGENT; r == 0 && lane < LANES; lane++)
    r = directory_each(base, txn, lane, floor_of, &flooring);
  return r;
}
