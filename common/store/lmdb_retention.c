/* What the writer takes away: what is too old, and with discard-oldest what is in the way. */
#include "common/store/lmdb.h"

enum { TRIM_STEP = 8 };

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

static void trim_report(struct lmdb *lmdb, MDB_txn *txn, struct done *done, uint64_t records) {
  int r = state_trim_end(&lmdb->state, txn, done);
  struct measured measured = lmdb_measure(lmdb, txn);
  measured.discarded = records;
  if (r == 0)
    r = lmdb_commit(lmdb, txn);
  else
    mdb_txn_abort(txn);
  if (r != 0) lmdb_die(lmdb, "retention could not delete", r);
  done->face.committed_mono = now_of(lmdb).mono;
  lmdb_update_figures(lmdb, &(struct plan_counts){0}, &measured);
  if (done->face.discard_count > 0)
    done_list_push(&lmdb->done, done);
  else
    done_free(done);
}

/* Trims up to TRIM_STEP pieces for whose lane and age `pick` says so, in one transaction. Returns how many. */
static size_t trim_step(struct lmdb *lmdb, bool (*pick)(void *ctx, MDB_txn *txn, enum lane *lane), void *ctx,
    int64_t older, enum directory_trimmed why) {
  MDB_txn *txn = lmdb_begin(lmdb);
  struct done *done = done_new(STORE_DONE_TRIMMED, NULL);
  uint64_t records = 0;
  size_t count = 0;
  enum lane lane;
  for (; count < TRIM_STEP && pick(ctx, txn, &lane); count++) {
    int r = state_trim(&lmdb->state, txn, lane, older, why, now_of(lmdb).wall, done, &records);
    if (r != 0) lmdb_die(lmdb, "retention could not delete", r);
  }
  if (count > 0) {
    trim_report(lmdb, txn, done, records);
  } else {
    mdb_txn_abort(txn);
    done_free(done);
  }
  return count;
}

struct by_age {
  struct lmdb *lmdb;
  int64_t older, next;
};

static bool pick_by_age(void *ctx, MDB_txn *txn, enum lane *lane) {
  struct by_age *by = ctx;
  by->next = INT64_MAX;
  for (*lane = LANE_URGENT; *lane < LANES; (*lane)++) {
    int64_t received;
    int r = state_front(&by->lmdb->state, txn, *lane, &received);
    if (r == 0 && received < by->older) return true;
    if (r == 0 && received < by->next) by->next = received;
  }
  return false;
}

void lmdb_trim_by_age(struct lmdb *lmdb) {
  struct instant now = now_of(lmdb);
  if (lmdb->store.keep_us <= 0 || now.mono < lmdb->trim_due_mono) return;
  struct by_age by = {.lmdb = lmdb, .older = now.wall - lmdb->store.keep_us, .next = INT64_MAX};
  size_t count = trim_step(lmdb, pick_by_age, &by, by.older, DIRECTORY_BY_AGE);
  int64_t wait = by.next == INT64_MAX ? 60 * SECOND_US : by.next - by.older;
  if (wait > 60 * SECOND_US) wait = 60 * SECOND_US;
  if (wait < SECOND_US) wait = SECOND_US;
  lmdb->trim_due_mono = count == TRIM_STEP ? now.mono : now.mono + wait;
}

struct done *lmdb_make_room(struct lmdb *lmdb, MDB_txn *txn, size_t bytes, uint64_t *records) {
  uint64_t limit = space_limit(lmdb->store.max_size, false);
  struct done *done = NULL;
  int r = 0;
  while (lmdb->store.when_full == STORE_DISCARD_OLDEST && base_used(&lmdb->base, txn) + bytes > limit) {
    enum lane lane = oldest_lane(lmdb, txn);
    if (lane == LANES || r != 0) break;
    if (!done) done = done_new(STORE_DONE_TRIMMED, NULL);
    r = state_trim(&lmdb->state, txn, lane, INT64_MAX, DIRECTORY_BY_SIZE, now_of(lmdb).wall, done, records);
  }
  if (done && r == 0) r = state_trim_end(&lmdb->state, txn, done);
  if (r != 0) lmdb_die(lmdb, "retention could not delete", r);
  return done;
}
