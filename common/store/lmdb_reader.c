/* The reader: answers one request at a time out of a short read transaction, copying at most what was asked for. It
 * never waits in a transaction. */
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/store/lmdb.h"
#include "common/store/lmdb_search.h"
#include <stdlib.h>

enum { LOST_RANGES_MAX = 1024 };

struct candidate {    /* an entry of the stream asked for, copied out of a run that is not past yet */
  struct entry entry; /* kept */
};

struct reading {
  struct lmdb *lmdb;
  MDB_txn *txn;
  const struct store_read *request;
  struct done *done;
  size_t left;
  bool full;
  /* TIME */
  unsigned segments, directories; /* read, looked at */
  struct intervals damaged;       /* positions */
  /* STREAM */
  uint32_t id;               /* 0: not known */
  const struct place *place; /* the run looked at */
  struct candidate *candidates;
  size_t candidate_count, candidate_cap;
  struct intervals due;    /* must stand in the log, and no run told of it yet */
  struct intervals unread; /* must stand in the log, and was not met yet */
  bool hidden;             /* the index does not tell of the first that is due, but of `resume` behind it */
  uint64_t resume;         /* where the index goes on */
};

/* Damage is counted once, not with every read. */
static void reading_lost(void *ctx, enum lane lane, uint64_t near, uint64_t count) {
  struct reading *reading = ctx;
  struct intervals *known = &reading->lmdb->lost[lane];
  if (count == 0 || intervals_covers(known, near, near + count - 1)) return;
  intervals_add(known, near, near + count - 1);
  if (known->count > LOST_RANGES_MAX) intervals_join(known, LOST_RANGES_MAX / 2);
  atomic_fetch_add(&reading->lmdb->damaged_read, count);
  log_error("store", lane_name(lane), "%llu damaged entries near position %llu: kept, never delivered",
      (unsigned long long)count, (unsigned long long)near);
}

/* Room for so many bytes more; at least one piece is always given, and as much as the next request needs to go on
 * behind this one. Where there is none, `at` is where it goes on. */
static bool reading_fits(struct reading *reading, size_t size, uint64_t at) {
  bool first = reading->done->face.entry_count == 0 && reading->done->face.keyed_count == 0;
  bool goes_on = reading->request->what == STORE_READ_TABLE || at > reading->request->from;
  if (size > reading->left && !first && goes_on) {
    reading->full = true;
    reading->done->face.next = at;
    return false;
  }
  reading->left -= size < reading->left ? size : reading->left;
  return true;
}

/* ---- a log ---- */

static bool read_entry(void *ctx, const struct entry *entry, struct bytes bytes) {
  struct reading *reading = ctx;
  if (entry->position > reading->request->to) return false;
  if (!reading_fits(reading, ENTRY_HEAD + entry->source.len + bytes.len, entry->position)) return false;
  struct blob *block = NULL;
  if (bytes.len) {
    struct blob *whole = blob_copy(bytes);
    block = entry_below(whole, &entry->is, lmdb_ceiling(reading->lmdb, entry->is.stream, entry->is.epoch));
    blob_unref(whole);
    if (!block) return true;
  }
  done_entry(reading->done, entry, block);
  return true;
}

static int read_log(struct reading *reading) {
  struct log_visit visit = {.entry = read_entry, .lost = reading_lost, .ctx = reading};
  return log_walk(&reading->lmdb->base, reading->txn, reading->request->lane, reading->request->from, &visit);
}

/* ---- a range of time ---- */

static bool segment_in_time(struct reading *reading, uint64_t segment) {
  const struct store_read *request = reading->request;
  struct directory directory;
  directory_init(&directory, request->lane, segment);
  if (directory_get_times(&directory, &reading->lmdb->base, reading->txn) != 0)
    return true; /* damaged: look yourself */
  bool received = request->clock == STORE_BY_RECEIVED;
  int64_t from = received ? directory.received_from : directory.time_from;
  int64_t to = received ? directory.received_to : directory.time_to;
  return from <= request->to_us && to >= request->from_us;
}

static enum log_wanted time_wants(void *ctx, uint64_t segment) {
  struct reading *reading = ctx;
  if (segment > reading->request->to) return LOG_END;
  if (reading->segments == STORE_TIME_SEGMENTS || reading->directories == STORE_TIME_DIRECTORIES) {
    reading->done->face.next = segment;
    return LOG_END;
  }
  reading->directories++;
  bool wanted = segment_in_time(reading, segment);
  if (wanted) reading->segments++;
  atomic_fetch_add(wanted ? &reading->lmdb->time_read : &reading->lmdb->time_skipped, 1);
  return wanted ? LOG_READ : LOG_SKIP;
}

static bool time_entry(void *ctx, const struct entry *entry, struct bytes bytes) {
  struct reading *reading = ctx;
  if (!entry_in_time(entry, reading->request)) return entry->position <= reading->request->to;
  return read_entry(ctx, entry, bytes);
}

static void time_lost(void *ctx, enum lane lane, uint64_t near, uint64_t count) {
  struct reading *reading = ctx;
  reading_lost(ctx, lane, near, count);
  if (count > 0 && near + count > reading->request->from && near <= reading->request->to)
    intervals_add(&reading->damaged, near, near + count - 1);
}

static int read_time(struct reading *reading) {
  const struct store_read *request = reading->request;
  struct log_visit visit = {.entry = time_entry, .lost = time_lost, .ctx = reading};
  bool going = true;
  int r = log_walk_wanted(&reading->lmdb->base, reading->txn, request->lane, request->from, time_wants, &visit, &going);
  if (r == 0 && going) r = log_walk_young(&reading->lmdb->base, reading->txn, request->lane, request->from, &visit);
  done_unreadable(reading->done, &reading->damaged);
  return r;
}

/* ---- a stream ---- */

static void candidate_add(struct reading *reading, const struct entry *entry, struct bytes block) {
  if (reading->candidate_count == reading->candidate_cap) {
    reading->candidate_cap = reading->candidate_cap ? reading->candidate_cap * 2 : 32;
    reading->candidates = mem_resize(reading->candidates, reading->candidate_cap, sizeof *reading->candidates);
  }
  struct entry whole = entry_with_blob(entry, block);
  entry_keep(&reading->candidates[reading->candidate_count++].entry, &whole);
  blob_unref(whole.block);
}

static bool stream_entry(void *ctx, const struct entry *entry, struct bytes block) {
  struct reading *reading = ctx;
  const struct store_read *request = reading->request;
  bool of_run = !reading->place || (entry->is.first >= reading->place->first && entry->is.last <= reading->place->last);
  if (!of_run || !entry_overlaps(entry, request->stream, request->epoch, request->from, request->to)) return true;
  intervals_remove(&reading->unread, entry->is.first, entry->is.last);
  candidate_add(reading, entry, block);
  return true;
}

static int candidate_order(const void *a, const void *b) {
  const struct candidate *left = a, *right = b;
  return left->entry.is.first < right->entry.is.first ? -1 : left->entry.is.first > right->entry.is.first;
}

/* Hands out, in order, what begins before `bound`: no run that is still to come can hold anything earlier. */
static void stream_emit(struct reading *reading, uint64_t bound) {
  size_t given = 0;
  if (reading->candidate_count == 0) return;
  qsort(reading->candidates, reading->candidate_count, sizeof *reading->candidates, candidate_order);
  for (; given < reading->candidate_count && !reading->full; given++) {
    struct entry *entry = &reading->candidates[given].entry;
    if (entry->is.first >= bound || !reading_fits(reading, entry_size(entry), entry->is.first)) break;
    struct blob *block =
        entry_below(entry->block, &entry->is, lmdb_ceiling(reading->lmdb, entry->is.stream, entry->is.epoch));
    if (block) done_entry(reading->done, entry, block);
    entry_deinit(entry);
  }
  reading->candidate_count -= given;
  memmove(reading->candidates, reading->candidates + given, reading->candidate_count * sizeof *reading->candidates);
}

static void stream_run(struct reading *reading, const struct place *place) {
  struct log_visit visit = {.entry = stream_entry, .lost = reading_lost, .ctx = reading};
  reading->place = place;
  intervals_remove(&reading->due, place->first, place->last);
  int r = log_walk_segment(&reading->lmdb->base, reading->txn, place->lane, place->segment, &visit);
  if (r != 0) reading_lost(reading, place->lane, place->segment, 1);
}

static bool due_below(const struct reading *reading, uint64_t bound) {
  return reading->due.count > 0 && reading->due.items[0].from < bound;
}

/* Runs come in order of their first sequence: what is due below this one is in none that follows. */
static bool stream_place(void *ctx, const struct place *place) {
  struct reading *reading = ctx;
  if (place->first < reading->resume) return true;
  reading->hidden = due_below(reading, place->first);
  reading->resume = place->first;
  if (reading->hidden) return false;
  stream_emit(reading, place->first);
  if (reading->full) return false;
  if (place->last == 0)
    reading_lost(reading, place->lane, place->segment, 1);
  else
    stream_run(reading, place);
  return true;
}

/* The short number of (stream, epoch); BASE_NONE: none was given yet, all of it is young. */
static int stream_id(struct reading *reading) {
  uint8_t key[STREAM_MAX + 16];
  struct bytes name = reading->request->stream, value;
  if (name.len == 0 || name.len > STREAM_MAX) return BASE_NONE;
  memcpy(key, name.data, name.len);
  base_put_be(key + name.len, reading->request->epoch.created, 8);
  base_put_be(key + name.len + 8, reading->request->epoch.random, 8);
  int r = base_get(reading->txn, reading->lmdb->base.names, bytes_of(key, name.len + 16), &value);
  if (r == 0 && value.len == 4) reading->id = (uint32_t)base_get_be(value.data, 4);
  return r;
}

/* ---- what the index does not tell of ---- */

/* Counts and logs the ranges of *set that were not met as damaged before. */
static void stream_note(
    struct reading *reading, struct coverage *known, const struct intervals *set, const char *what) {
  const struct store_read *request = reading->request;
  const struct cover *cover = coverage_find(known, request->stream, request->epoch);
  for (size_t i = 0; i < set->count; i++) {
    struct interval range = set->items[i];
    if (cover && intervals_covers(&cover->held, range.from, range.to)) continue;
    struct effect effect = {
        .kind = EFFECT_HOLD, .stream = request->stream, .epoch = request->epoch, .from = range.from, .to = range.to};
    cover = coverage_apply(known, &effect);
    atomic_fetch_add(&reading->lmdb->damaged_read, 1);
    log_error("store", NULL, BYTES_FMT " %llu to %llu %s", BYTES_ARG(request->stream), (unsigned long long)range.from,
        (unsigned long long)range.to, what);
  }
}

/* Takes out of what is due what was trimmed since the core asked, and what was searched for in vain before. */
static int stream_still_due(struct reading *reading) {
  const struct store_read *request = reading->request;
  const struct cover *lost = coverage_find(&reading->lmdb->unreadable, request->stream, request->epoch);
  uint64_t floor = 1;
  int r = 0;
  if (reading->id == 0)
    r = search_id(&reading->id, &reading->lmdb->base, reading->txn, request->stream, request->epoch);
  if (r == 0) r = search_floor(&floor, &reading->lmdb->base, reading->txn, reading->id);
  if (floor > 1) intervals_remove(&reading->due, 0, floor - 1);
  if (floor > 1) intervals_remove(&reading->unread, 0, floor - 1);
  if (lost) intervals_remove_all(&reading->due, &lost->held);
  return r == BASE_NONE ? 0 : r;
}

/* Counts what the index kept to itself: of the first range that was due, what was found, up to where it tells again. */
static void stream_note_hidden(struct reading *reading, struct interval due) {
  struct intervals hidden = INTERVALS_NULL;
  uint64_t to = reading->hidden && reading->resume - 1 < due.to ? reading->resume - 1 : due.to;
  intervals_add(&hidden, due.from, to);
  intervals_remove_all(&hidden, &reading->due);
  stream_note(reading, &reading->lmdb->hidden, &hidden, "is hidden by a damaged index; read all the same");
  intervals_deinit(&hidden);
}

/* From the first that is due on the directories are followed instead of the index. No run met so far reaches beyond it,
 * so none is met twice. */
static int stream_search(struct reading *reading) {
  const struct store_read *request = reading->request;
  struct interval due = reading->due.items[0];
  struct searched searched;
  int r = search_places(&searched, &reading->lmdb->base, reading->txn, reading->id, request->stream, request->epoch,
      due.from, request->to);
  for (size_t i = 0; r == 0 && i < searched.count && !reading->full; i++) {
    stream_emit(reading, searched.places[i].first);
    if (!reading->full) stream_run(reading, &searched.places[i]);
  }
  searched_deinit(&searched);
  stream_note_hidden(reading, due);
  return r;
}

static int stream_index(struct reading *reading) {
  const struct store_read *request = reading->request;
  int r = reading->id ? 0 : stream_id(reading);
  reading->hidden = false;
  if (r == 0)
    r = index_each(&reading->lmdb->base, reading->txn, reading->id, request->from, request->to, stream_place, reading);
  return r == BASE_NONE || r == BASE_DAMAGED ? 0 : r;
}

/* By the index; where it does not tell of what must be there, and no trimming explains that, by the directories. */
static int stream_runs(struct reading *reading) {
  int r = stream_index(reading);
  if (r != 0 || reading->full || reading->due.count == 0) return r;
  r = stream_still_due(reading);
  if (r == 0 && reading->hidden && !due_below(reading, reading->resume)) r = stream_index(reading);
  return r == 0 && !reading->full && reading->due.count > 0 ? stream_search(reading) : r;
}

static int read_stream(struct reading *reading, const struct intervals *stands) {
  struct log_visit visit = {.entry = stream_entry, .lost = reading_lost, .ctx = reading};
  int r = 0;
  intervals_add_all(&reading->unread, stands);
  for (enum lane lane = LANE_URGENT; r == 0 && lane < LANES; lane++)
    r = log_walk_young(&reading->lmdb->base, reading->txn, lane, 0, &visit);
  intervals_add_all(&reading->due, &reading->unread);
  if (r == 0) r = stream_runs(reading);
  if (r == 0) stream_emit(reading, UINT64_MAX);
  done_unreadable(reading->done, &reading->unread);
  stream_note(reading, &reading->lmdb->unreadable, &reading->done->unreadable, "is damaged: kept, never delivered");
  for (size_t i = 0; i < reading->candidate_count; i++) entry_deinit(&reading->candidates[i].entry);
  free(reading->candidates);
  intervals_deinit(&reading->due);
  return r;
}

/* ---- a table ---- */

static int read_table(struct reading *reading) {
  MDB_cursor *cursor;
  int r = base_result(
      "cursor", mdb_cursor_open(reading->txn, reading->lmdb->base.tables[reading->request->table], &cursor));
  if (r != 0) return r;
  MDB_val key = base_val(reading->request->key), value;
  r = mdb_cursor_get(cursor, &key, &value, key.mv_size ? MDB_SET_RANGE : MDB_FIRST);
  for (; r == 0; r = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
    struct bytes name = base_bytes(key), bytes = base_bytes(value);
    if (!base_unseal(name, &bytes)) {
      atomic_fetch_add(&reading->lmdb->damaged_read, 1);
      log_error("store", NULL, "a damaged value in table %d: kept, never delivered", (int)reading->request->table);
      continue;
    }
    if (!reading_fits(reading, name.len + bytes.len, 1)) break;
    done_keyed(reading->done, name, bytes);
  }
  mdb_cursor_close(cursor);
  return r == MDB_NOTFOUND ? 0 : base_result("read table", r);
}

/* ---- the thread ---- */

static struct done *answer(struct lmdb *lmdb, MDB_txn *txn, struct read *read) {
  struct reading reading = {.lmdb = lmdb, .txn = txn, .request = &read->request, .left = read->request.max_bytes};
  reading.done = done_new(STORE_DONE_READ, read->cookie);
  int r = 0;
  switch (read->request.what) {
    case STORE_READ_LOG: r = read_log(&reading); break;
    case STORE_READ_STREAM: r = read_stream(&reading, &read->stands); break;
    case STORE_READ_TABLE: r = read_table(&reading); break;
    case STORE_READ_TIME: r = read_time(&reading); break;
  }
  if (r != 0) lmdb_die(lmdb, "the store could not be read", r);
  read_free(read);
  return reading.done;
}

/* The writer may wait for the end (lmdb_no_room). */
static void reader_begins(struct lmdb *lmdb, MDB_txn *txn) {
  pthread_mutex_lock(&lmdb->lock);
  lmdb->reads_begun++;
  pthread_mutex_unlock(&lmdb->lock);
  int r = base_result("renew", mdb_txn_renew(txn));
  if (r != 0) lmdb_die(lmdb, "a read transaction could not begin", r);
}

static void reader_ends(struct lmdb *lmdb, MDB_txn *txn) {
  mdb_txn_reset(txn);
  pthread_mutex_lock(&lmdb->lock);
  lmdb->reads_ended++;
  pthread_cond_signal(&lmdb->read_ends);
  pthread_mutex_unlock(&lmdb->lock);
}

void *lmdb_reader_main(void *ctx) {
  struct lmdb *lmdb = ctx;
  MDB_txn *txn;
  int r = base_result("begin", mdb_txn_begin(lmdb->base.env, NULL, MDB_RDONLY, &txn));
  if (r != 0) lmdb_die(lmdb, "a read transaction could not begin", r);
  mdb_txn_reset(txn);
  for (void *entry; queue_wait(lmdb->reads, &entry, -1) != QUEUE_CLOSED;) {
    reader_begins(lmdb, txn);
    struct done *done = answer(lmdb, txn, entry);
    reader_ends(lmdb, txn);
    done->face.committed_mono = world_now(&lmdb->store.world).mono;
    done_list_push(&lmdb->done, done);
  }
  mdb_txn_abort(txn);
  return NULL;
}
