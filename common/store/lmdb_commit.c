/* The writer's transactions, and the figures that follow them. */
#include "common/store/lmdb.h"

MDB_txn *lmdb_begin(struct lmdb *lmdb) {
  MDB_txn *txn;
  int r = base_result("begin", mdb_txn_begin(lmdb->base.env, NULL, 0, &txn));
  if (r != 0) lmdb_die(lmdb, "a transaction could not begin", r);
  return txn;
}

int lmdb_commit(struct lmdb *lmdb, MDB_txn *txn) {
  int64_t start = world_now(&lmdb->store.world).mono;
  int r = base_result("commit", mdb_txn_commit(txn));
  if (r == BASE_FULL) return r;
  if (r != 0) lmdb_die(lmdb, "a commit failed, its outcome is not known", r);
  int64_t took = world_now(&lmdb->store.world).mono - start;
  state_committed(&lmdb->state);
  pthread_mutex_lock(&lmdb->lock);
  lmdb->figures.commits++;
  lmdb->figures.fsyncs += 2; /* one fdatasync of the data, one O_DSYNC write of the meta page */
  lmdb->figures.commit_us_last = took;
  if (took > lmdb->figures.commit_us_max) lmdb->figures.commit_us_max = took;
  pthread_mutex_unlock(&lmdb->lock);
  return 0;
}

void lmdb_reload(struct lmdb *lmdb) {
  uint64_t damaged = lmdb->state.damaged;
  state_deinit(&lmdb->state);
  int r = state_load(&lmdb->state, &lmdb->base);
  if (r != 0) lmdb_die(lmdb, "the store could not be read again", r);
  if (damaged > lmdb->state.damaged) lmdb->state.damaged = damaged;
}

static void wait_for_reader(struct lmdb *lmdb) {
  pthread_mutex_lock(&lmdb->lock);
  for (uint64_t begun = lmdb->reads_begun; lmdb->reads_ended < begun;) pthread_cond_wait(&lmdb->read_ends, &lmdb->lock);
  pthread_mutex_unlock(&lmdb->lock);
}

/* One commit that frees nothing to speak of. */
static void turn(struct lmdb *lmdb) {
  MDB_txn *txn = lmdb_begin(lmdb);
  if (state_touch(&lmdb->state, txn) == 0)
    lmdb_commit(lmdb, txn);
  else
    mdb_txn_abort(txn);
}

void lmdb_no_room(struct lmdb *lmdb, const char *what) {
  unsigned tried = atomic_fetch_add(&lmdb->small_pieces, 1) + 1;
  uint64_t suppressed;
  if (log_allow(&lmdb->full_limit, world_now(&lmdb->store.world).mono, &suppressed))
    log_warning("store", lmdb->base.path,
        "LMDB has no room %s at %llu bytes in use; trying again in small pieces (%u times so far)", what,
        (unsigned long long)lmdb->figures.used_bytes, tried);
  wait_for_reader(lmdb);
  lmdb_reload(lmdb);
  turn(lmdb);
  turn(lmdb);
}

struct measured lmdb_measure(struct lmdb *lmdb, MDB_txn *txn) {
  struct measured measured = {.used = base_used(&lmdb->base, txn)};
  for (enum lane lane = LANE_URGENT; lane < LANES; lane++)
    measured.log_bytes[lane] = log_bytes(&lmdb->base, txn, lane) + lmdb->state.young[lane].bytes;
  return measured;
}

void lmdb_update_figures(struct lmdb *lmdb, const struct plan_counts *counts, const struct measured *measured) {
  struct store_stats *figures = &lmdb->figures;
  struct state *state = &lmdb->state;
  pthread_mutex_lock(&lmdb->lock);
  figures->records += counts->records;
  figures->blocks += counts->blocks;
  figures->bytes_written += counts->bytes;
  figures->duplicates += counts->duplicates;
  figures->late += counts->late;
  figures->damaged = state->damaged;
  figures->used_bytes = measured->used;
  figures->discarded_records += measured->discarded;
  for (size_t i = 0; i < LANES; i++) {
    figures->logs[i].first = state->first[i];
    figures->logs[i].last = state->next[i] - 1;
    figures->logs[i].bytes = measured->log_bytes[i];
  }
  pthread_mutex_unlock(&lmdb->lock);
}
