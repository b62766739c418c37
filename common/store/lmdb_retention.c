/* What the writer takes away: what is too old, and with discard-oldest what is in the way. */
#include "common/store/lmdb.h"

enum { TRIM_STEP = 8 };
static const char cannot_delete[] = "retention could not delete";

static struct instant now_of(struct lmdb *lmdb) { return world_now(&lmdb->store.world); }

/* The lane whose front was received longest ago; urgent only when the others are empty. LANES: nothing is left. */
static enum lane oldest_lane(struct lmdb *lmdb, MDB_txn *txn) {
  int64_t live = INT64_MAX, backfill = INT64_MAX, urgent;
  bool has_live = state_front(&lmdb->state, txn, LANE_LIVE, &live) == 0;
  bool has_backfill = state_front(&lmdb->state, txn, LANE_BACKFILL, &backfill) == 0;
  if (has_live && (!has_backfill || live <= backfill)) return LANE_LIVE;
  if (has_backfill) return LANE_BACKFILL;
  return state_front(&lmdb->state, txn, LANE_URGENT, &urgent) == 0 ? LANE_URGENT : LANES;
}

/* 0; BASE_FULL: nothing was changed, but for what memory knows. */
static int trim_commit(struct lmdb *lmdb, MDB_txn *txn, struct done *done, uint64_t records) {
  int r = state_trim_end(&lmdb->state, txn, done);
  struct measured measured = lmdb_measure(lmdb, txn);
  measured.discarded = records;
  if (r == 0)
    r = lmdb_commit(lmdb, txn);
  else
    mdb_txn_abort(txn);
  if (r != 0) return r;
  done->face.committed_mono = now_of(lmdb).mono;
  lmdb_update_figures(lmdb, &(struct plan_counts){0}, &measured);
  return 0;
}

static void trim_report(struct lmdb *lmdb, struct done *done, int result) {
  if (result == 0 && done->face.discard_count > 0)
    done_list_push(&lmdb->done, done);
  else
    done_free(done);
  if (result != 0 && result != BASE_FULL) lmdb_die(lmdb, cannot_delete, result);
}

struct trimming {
  struct lmdb *lmdb;
  bool (*pick)(struct trimming *by, MDB_txn *txn, enum lane *lane);
  enum directory_trimmed why;
  int64_t older; /* received before this */
  int64_t next;  /* by age: what is the oldest that is not too old; INT64_MAX: not known */
  size_t bytes;  /* by size: so much is to have room */
};

/* The first lane whose front is too old. */
static bool pick_by_age(struct trimming *by, MDB_txn *txn, enum lane *lane) {
  by->next = INT64_MAX;
  for (*lane = LANE_URGENT; *lane < LANES; (*lane)++) {
    int64_t received;
    int r = state_front(&by->lmdb->state, txn, *lane, &received);
    if (r == 0 && received < by->older) return true;
    if (r == 0 && received < by->next) by->next = received;
  }
  return false;
}

static bool pick_by_size(struct trimming *by, MDB_txn *txn, enum lane *lane) {
  struct lmdb *lmdb = by->lmdb;
  if (lmdb->store.when_full != STORE_DISCARD_OLDEST) return false;
  if (base_used(&lmdb->base, txn) + by->bytes <= space_limit(lmdb->store.max_size, false)) return false;
  *lane = oldest_lane(lmdb, txn);
  return *lane != LANES;
}

static struct trimming by_size(struct lmdb *lmdb, size_t bytes) {
  return (struct trimming){
      .lmdb = lmdb, .pick = pick_by_size, .why = DIRECTORY_BY_SIZE, .older = INT64_MAX, .bytes = bytes};
}

static int trim_piece(struct trimming *by, MDB_txn *txn, enum lane lane, struct done *done, uint64_t *records) {
  struct lmdb *lmdb = by->lmdb;
  return state_trim(&lmdb->state, txn, lane, by->older, by->why, now_of(lmdb).wall, done, records);
}

/* Trims up to `most` pieces in one transaction. *count: how many. BASE_FULL. */
static int trim_step(struct trimming *by, size_t most, size_t *count) {
  struct lmdb *lmdb = by->lmdb;
  MDB_txn *txn = lmdb_begin(lmdb);
  struct done *done = done_new(STORE_DONE_TRIMMED, NULL);
  uint64_t records = 0;
  enum lane lane;
  int r = 0;
  for (*count = 0; r == 0 && *count < most && by->pick(by, txn, &lane); (*count)++)
    r = trim_piece(by, txn, lane, done, &records);
  if (r == 0 && *count > 0)
    r = trim_commit(lmdb, txn, done, records);
  else
    mdb_txn_abort(txn);
  trim_report(lmdb, done, r);
  return r;
}

/* When LMDB has no page left to delete with, a smaller step may still go; if not, nothing is lost but time: what is too
 * old stays a second longer. Returns when to look again. */
static int64_t trim_or_wait(struct trimming *by, int64_t now) {
  size_t most = TRIM_STEP, count;
  int r = trim_step(by, most, &count);
  if (r == BASE_FULL) {
    lmdb_no_room(by->lmdb, "to delete what is too old");
    r = trim_step(by, most = 1, &count);
  }
  if (r == BASE_FULL) {
    lmdb_reload(by->lmdb);
    return now + SECOND_US;
  }
  if (count == most) return now;
  int64_t wait = by->next == INT64_MAX ? 60 * SECOND_US : by->next - by->older;
  if (wait > 60 * SECOND_US) wait = 60 * SECOND_US;
  return now + (wait < SECOND_US ? SECOND_US : wait);
}

void lmdb_trim_by_age(struct lmdb *lmdb) {
  struct instant now = now_of(lmdb);
  if (lmdb->store.keep_us <= 0 || now.mono < lmdb->trim_due_mono) return;
  struct trimming by = {.lmdb = lmdb,
      .pick = pick_by_age,
      .why = DIRECTORY_BY_AGE,
      .older = now.wall - lmdb->store.keep_us,
      .next = INT64_MAX};
  lmdb->trim_due_mono = trim_or_wait(&by, now.mono);
}

int lmdb_make_room(struct lmdb *lmdb, MDB_txn *txn, size_t bytes, struct done **out, uint64_t *records) {
  struct trimming by = by_size(lmdb, bytes);
  struct done *done = NULL;
  enum lane lane;
  int r = 0;
  while (r == 0 && pick_by_size(&by, txn, &lane)) {
    if (!done) done = done_new(STORE_DONE_TRIMMED, NULL);
    r = trim_piece(&by, txn, lane, done, records);
  }
  if (done && r == 0) r = state_trim_end(&lmdb->state, txn, done);
  if (r != 0 && r != BASE_FULL) lmdb_die(lmdb, cannot_delete, r);
  *out = done;
  return r;
}

void lmdb_make_room_apart(struct lmdb *lmdb, size_t bytes) {
  struct trimming by = by_size(lmdb, bytes);
  int r = 0;
  for (size_t count = 1; r == 0 && count > 0;) r = trim_step(&by, 1, &count);
  if (r == BASE_FULL) lmdb_reload(lmdb);
}
