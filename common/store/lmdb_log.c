#include "common/store/lmdb_log.h"

/* ---- segments ---- */

static int visit_segment(
    struct bytes bytes, enum lane lane, uint64_t key, uint64_t from, const struct log_visit *visit, bool *going) {
  struct segment segment;
  struct entry entry;
  struct bytes block;
  uint64_t lost;
  if (!segment_open(&segment, bytes)) {
    visit->lost(visit->ctx, lane, key, 1);
    return 0;
  }
  for (bool more = true; more && *going;) {
    more = segment_next(&segment, &entry, &block, &lost);
    if (lost) visit->lost(visit->ctx, lane, segment.next - lost - (more ? 1 : 0), lost);
    if (more && entry.position >= from) *going = visit->entry(visit->ctx, &entry, block);
  }
  return 0;
}

/* Sets the cursor on the segment that holds `from`, or the first after it. */
static int segment_seek(MDB_cursor *cursor, uint64_t from, MDB_val *key, MDB_val *value) {
  *key = (MDB_val){.mv_size = sizeof from, .mv_data = &from};
  int r = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
  uint64_t at = 0;
  if (r == 0) memcpy(&at, key->mv_data, sizeof at);
  if (r == 0 && at == from) return 0;
  int back = mdb_cursor_get(cursor, key, value, r == 0 ? MDB_PREV : MDB_LAST);
  return back == MDB_NOTFOUND && r == 0 ? mdb_cursor_get(cursor, key, value, MDB_FIRST) : back;
}

int log_walk_wanted(const struct base *base, MDB_txn *txn, enum lane lane, uint64_t from,
    enum log_wanted (*wanted)(void *ctx, uint64_t segment), const struct log_visit *visit, bool *going) {
  MDB_cursor *cursor;
  int r = base_result("cursor", mdb_cursor_open(txn, base->sealed[lane], &cursor));
  if (r != 0) return r;
  MDB_val key, value;
  for (r = segment_seek(cursor, from, &key, &value); r == 0 && *going;
       r = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
    uint64_t at;
    memcpy(&at, key.mv_data, sizeof at);
    enum log_wanted answer = wanted(visit->ctx, at);
    if (answer == LOG_READ) visit_segment(base_bytes(value), lane, at, from, visit, going);
    if (answer == LOG_END) *going = false;
  }
  mdb_cursor_close(cursor);
  return r == MDB_NOTFOUND ? 0 : base_result("read segments", r);
}

static enum log_wanted want_every(void *ctx, uint64_t segment) {
  (void)ctx, (void)segment;
  return LOG_READ;
}

int log_walk_segment(
    const struct base *base, MDB_txn *txn, enum lane lane, uint64_t segment, const struct log_visit *visit) {
  MDB_val key = {.mv_size = sizeof segment, .mv_data = &segment}, value;
  int r = base_result("read segment", mdb_get(txn, base->sealed[lane], &key, &value));
  bool going = true;
  return r != 0 ? r : visit_segment(base_bytes(value), lane, segment, 0, visit, &going);
}

int log_ends(const struct base *base, MDB_txn *txn, enum lane lane, uint64_t *first, uint64_t *last) {
  MDB_cursor *cursor;
  int r = base_result("cursor", mdb_cursor_open(txn, base->sealed[lane], &cursor));
  if (r != 0) return r;
  MDB_val key, value;
  r = base_result("first segment", mdb_cursor_get(cursor, &key, &value, MDB_FIRST));
  if (r == 0) memcpy(first, key.mv_data, sizeof *first);
  if (r == 0) r = base_result("last segment", mdb_cursor_get(cursor, &key, &value, MDB_LAST));
  if (r == 0) memcpy(last, key.mv_data, sizeof *last);
  mdb_cursor_close(cursor);
  return r;
}

uint64_t log_bytes(const struct base *base, MDB_txn *txn, enum lane lane) {
  MDB_stat stat;
  return mdb_stat(txn, base->sealed[lane], &stat) == 0 ? (uint64_t)stat.ms_entries * SEGMENT_SIZE : 0;
}

/* ---- the young end ---- */

/* Two nodes of this size fill a page: LMDB (0.9.24) keeps a node of up to 2,038 bytes in the page, 8 of head and 10 of
 * key included. */
enum { CHUNK = 2016, CHUNK_KEY = 10 };

static void chunk_key(uint8_t key[CHUNK_KEY], uint64_t position, uint16_t chunk) {
  base_put_be(key, position, 8);
  base_put_be(key + 8, chunk, 2);
}

struct gathering { /* one entry out of its chunks */
  struct buffer bytes;
  uint64_t position;
  uint16_t next;
  bool broken;
  bool begun; /* position is that of an entry that was seen: the next must follow it, since the log has no holes */
};

/* Visits what was gathered. */
static void gathering_end(struct gathering *gathering, enum lane lane, const struct log_visit *visit, bool *going) {
  struct entry entry;
  struct bytes block, bytes = buffer_bytes(&gathering->bytes);
  if (bytes.len == 0 && !gathering->broken) return;
  bool good = !gathering->broken && entry_peek_size(bytes) == bytes.len && entry_read(&entry, &block, bytes) &&
              entry.position == gathering->position;
  if (good)
    *going = visit->entry(visit->ctx, &entry, block);
  else
    visit->lost(visit->ctx, lane, gathering->position, 1);
  buffer_clear(&gathering->bytes);
  gathering->broken = false;
}

static void gathering_take(struct gathering *gathering, const MDB_val *key, const MDB_val *value, enum lane lane,
    const struct log_visit *visit, bool *going) {
  if (key->mv_size != CHUNK_KEY) {
    visit->lost(visit->ctx, lane, gathering->position, 1);
    return;
  }
  uint64_t position = base_get_be(key->mv_data, 8);
  uint16_t chunk = (uint16_t)base_get_be((const uint8_t *)key->mv_data + 8, 2);
  if (position != gathering->position) {
    gathering_end(gathering, lane, visit, going);
    if (gathering->begun && position > gathering->position + 1)
      visit->lost(visit->ctx, lane, gathering->position + 1, position - gathering->position - 1);
    gathering->begun = true;
    gathering->position = position;
    gathering->next = 0;
  }
  if (chunk != gathering->next++) gathering->broken = true;
  buffer_append(&gathering->bytes, base_bytes(*value));
}

int log_walk_young(
    const struct base *base, MDB_txn *txn, enum lane lane, uint64_t from, const struct log_visit *visit) {
  MDB_cursor *cursor;
  int r = base_result("cursor", mdb_cursor_open(txn, base->young[lane], &cursor));
  if (r != 0) return r;
  uint8_t start[CHUNK_KEY];
  chunk_key(start, from, 0);
  MDB_val key = {.mv_size = CHUNK_KEY, .mv_data = start}, value;
  struct gathering gathering = {.bytes = BUFFER_NULL};
  bool going = true;
  for (r = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE); r == 0 && going;
       r = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))
    gathering_take(&gathering, &key, &value, lane, visit, &going);
  if (going) gathering_end(&gathering, lane, visit, &going);
  buffer_deinit(&gathering.bytes);
  mdb_cursor_close(cursor);
  return r == MDB_NOTFOUND ? 0 : base_result("read young", r);
}

int log_walk(const struct base *base, MDB_txn *txn, enum lane lane, uint64_t from, const struct log_visit *visit) {
  bool going = true;
  int r = log_walk_wanted(base, txn, lane, from, want_every, visit, &going);
  return r != 0 || !going ? r : log_walk_young(base, txn, lane, from, visit);
}
