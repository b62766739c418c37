/* The LMDB backend's face: opening, closing, and what the core's thread calls. */
#include "common/store/audit.h"
#include "common/store/lmdb.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

enum { SIZE_LEAST = 8 << 20 };

static struct lmdb *lmdb_of(struct store *store) { return (struct lmdb *)store; }

void lmdb_die(struct lmdb *lmdb, const char *what, int result) {
  char message[512];
  snprintf(message, sizeof message, "store %s: %s (%d); the process ends, the next start reads what is true",
      lmdb->base.path, what, result);
  if (lmdb->fatal) lmdb->fatal(lmdb->fatal_ctx, message);
  log_error("store", NULL, "%s", message);
  _exit(EX_TEMPFAIL);
}

/* ---- ceilings ---- */

uint64_t lmdb_ceiling(struct lmdb *lmdb, struct bytes stream, struct epoch epoch) {
  uint64_t ceiling = UINT64_MAX;
  pthread_mutex_lock(&lmdb->lock);
  for (size_t i = 0; i < lmdb->ceiling_count; i++)
    if (epoch_compare(lmdb->ceilings[i].epoch, epoch) == 0 && bytes_equal(lmdb->ceilings[i].stream, stream))
      ceiling = lmdb->ceilings[i].from;
  pthread_mutex_unlock(&lmdb->lock);
  return ceiling;
}

void lmdb_note_ceilings(struct lmdb *lmdb, const struct effect *effects, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (effects[i].kind != EFFECT_CEILING) continue;
    struct bytes name = bytes_of(mem_copy(effects[i].stream.data, effects[i].stream.len), effects[i].stream.len);
    pthread_mutex_lock(&lmdb->lock);
    lmdb->ceilings = mem_resize(lmdb->ceilings, lmdb->ceiling_count + 1, sizeof *lmdb->ceilings);
    lmdb->ceilings[lmdb->ceiling_count++] =
        (struct ceiling){.stream = name, .epoch = effects[i].epoch, .from = effects[i].from};
    pthread_mutex_unlock(&lmdb->lock);
  }
}

static void note_ceiling(void *ctx, struct cover *cover) {
  if (cover->ceiling == UINT64_MAX) return;
  lmdb_note_ceilings(ctx,
      &(struct effect){
          .kind = EFFECT_CEILING, .stream = cover->of->name, .epoch = cover->epoch, .from = cover->ceiling},
      1);
}

/* ---- the start's synchronous reads ---- */

/* LMDB counts its entries apart from the pages that hold them: where a damaged page hides some, the count still knows.
 */
static void count_vanished(struct lmdb *lmdb, MDB_txn *txn, enum store_table table, size_t seen) {
  MDB_stat stat;
  if (mdb_stat(txn, lmdb->base.tables[table], &stat) != 0 || stat.ms_entries <= seen) return;
  atomic_fetch_add(&lmdb->damaged_read, stat.ms_entries - seen);
  log_error("store", NULL, "%zu values of table %d cannot be reached any more", stat.ms_entries - seen, (int)table);
}

static int lmdb_scan(struct store *store, enum store_table table,
    bool (*visit)(void *ctx, struct bytes key, struct bytes value), void *ctx) {
  struct lmdb *lmdb = lmdb_of(store);
  MDB_txn *txn;
  MDB_cursor *cursor;
  int r = base_result("begin", mdb_txn_begin(lmdb->base.env, NULL, MDB_RDONLY, &txn));
  if (r != 0) return r < 0 ? r : -EIO;
  r = base_result("cursor", mdb_cursor_open(txn, lmdb->base.tables[table], &cursor));
  if (r == 0) {
    MDB_val key, value;
    size_t seen = 0;
    while ((r = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
      seen++;
      struct bytes name = base_bytes(key), bytes = base_bytes(value);
      if (!base_unseal(name, &bytes)) {
        atomic_fetch_add(&lmdb->damaged_read, 1);
        log_error("store", NULL, "a damaged value in table %d: kept, never delivered", (int)table);
      } else if (!visit(ctx, name, bytes)) {
        break;
      }
    }
    mdb_cursor_close(cursor);
    if (r == MDB_NOTFOUND) count_vanished(lmdb, txn, table, seen);
    r = r == MDB_NOTFOUND ? 0 : base_result("scan", r);
  }
  mdb_txn_abort(txn);
  return r > 0 ? -EIO : r;
}

struct replaying {
  struct lmdb *lmdb;
  bool (*visit)(void *ctx, const struct store_entry *entry);
  void *ctx;
};

static bool replay_entry(void *ctx, const struct entry *entry, struct bytes bytes) {
  struct replaying *replaying = ctx;
  struct store_entry out = {.lane = entry->lane, .position = entry->position, .source = entry->source};
  if (bytes.len) {
    struct blob *whole = blob_copy(bytes);
    out.block = entry_below(whole, &entry->is, lmdb_ceiling(replaying->lmdb, entry->is.stream, entry->is.epoch));
    blob_unref(whole);
    if (!out.block) return true;
  }
  bool going = replaying->visit(replaying->ctx, &out);
  blob_unref(out.block);
  return going;
}

static void replay_lost(void *ctx, enum lane lane, uint64_t near, uint64_t count) {
  struct replaying *replaying = ctx;
  atomic_fetch_add(&replaying->lmdb->damaged_read, count);
  log_error("store", lane_name(lane), "%llu damaged entries near position %llu: kept, never delivered",
      (unsigned long long)count, (unsigned long long)near);
}

static int lmdb_replay(struct store *store, enum lane lane, uint64_t from,
    bool (*visit)(void *ctx, const struct store_entry *entry), void *ctx) {
  struct lmdb *lmdb = lmdb_of(store);
  struct replaying replaying = {lmdb, visit, ctx};
  MDB_txn *txn;
  int r = base_result("begin", mdb_txn_begin(lmdb->base.env, NULL, MDB_RDONLY, &txn));
  if (r != 0) return r < 0 ? r : -EIO;
  r = log_walk(
      &lmdb->base, txn, lane, from, &(struct log_visit){.entry = replay_entry, .lost = replay_lost, .ctx = &replaying});
  mdb_txn_abort(txn);
  return r > 0 ? -EIO : r;
}

/* ---- what the core calls ---- */

static void lmdb_submit(struct store *store, struct store_batch *batch) {
  if (queue_push(lmdb_of(store)->batches, batch) != 0) abort(); /* the charge keeps below the queue's room */
}

static void lmdb_read(struct store *store, struct read *read) {
  if (queue_push(lmdb_of(store)->reads, read) != 0) abort();
}

static struct done *lmdb_next(struct store *store) { return done_list_pop(&lmdb_of(store)->done); }

static int lmdb_fd(const struct store *store) { return ((const struct lmdb *)store)->done.fd; }

static void lmdb_stats(struct store *store, struct store_stats *out) {
  struct lmdb *lmdb = lmdb_of(store);
  uint64_t max = out->max_bytes;
  pthread_mutex_lock(&lmdb->lock);
  *out = lmdb->figures;
  pthread_mutex_unlock(&lmdb->lock);
  out->max_bytes = max;
  out->damaged += atomic_load(&lmdb->damaged_read);
  out->time_segments_read = atomic_load(&lmdb->time_read);
  out->time_segments_skipped = atomic_load(&lmdb->time_skipped);
}

/* ---- opening and closing ---- */

static void lmdb_free(struct lmdb *lmdb) {
  state_deinit(&lmdb->state);
  base_deinit(&lmdb->base);
  done_list_deinit(&lmdb->done);
  queue_free(lmdb->batches);
  queue_free(lmdb->reads);
  for (size_t i = 0; i < LANES; i++) intervals_deinit(&lmdb->lost[i]);
  coverage_deinit(&lmdb->hidden);
  coverage_deinit(&lmdb->unreadable);
  for (size_t i = 0; i < lmdb->ceiling_count; i++) free((void *)(uintptr_t)lmdb->ceilings[i].stream.data);
  free(lmdb->ceilings);
  store_teardown(&lmdb->store);
  pthread_cond_destroy(&lmdb->read_ends);
  pthread_mutex_destroy(&lmdb->lock);
  free(lmdb);
}

static void lmdb_join(struct lmdb *lmdb) {
  if (lmdb->batches) queue_close(lmdb->batches);
  if (lmdb->reads) queue_close(lmdb->reads);
  if (lmdb->writer_runs) pthread_join(lmdb->writer, NULL);
  if (lmdb->reader_runs) pthread_join(lmdb->reader, NULL);
}

/* A store that was closed has nothing to read again at the next start. */
static int lmdb_last_checkpoint(struct lmdb *lmdb) {
  MDB_txn *txn;
  int r = base_result("begin", mdb_txn_begin(lmdb->base.env, NULL, 0, &txn));
  if (r != 0) return r;
  r = state_checkpoint_all(&lmdb->state, txn);
  if (r == 0) return base_result("commit", mdb_txn_commit(txn));
  mdb_txn_abort(txn);
  return r;
}

static void lmdb_close(struct store *store) {
  struct lmdb *lmdb = lmdb_of(store);
  lmdb_join(lmdb);
  int r = lmdb_last_checkpoint(lmdb);
  if (r == 0 || r == BASE_FULL) /* without room nothing was written: all is as the last commit left it */
    recover_mark_clean(&lmdb->base);
  else
    log_error("store", lmdb->base.path, "its last checkpoint could not be written; the next start looks at it first");
  lmdb_free(lmdb);
}

static const struct store_ops lmdb_ops = {
    .submit = lmdb_submit,
    .read = lmdb_read,
    .scan = lmdb_scan,
    .replay = lmdb_replay,
    .next = lmdb_next,
    .fd = lmdb_fd,
    .stats = lmdb_stats,
    .close = lmdb_close,
};

static int lmdb_created(struct lmdb *lmdb, const struct world *world, int64_t *created) {
  MDB_txn *txn;
  struct bytes value;
  int r = base_result("begin", mdb_txn_begin(lmdb->base.env, NULL, 0, &txn));
  if (r != 0) return r;
  r = base_get(txn, lmdb->base.meta, bytes_text("created"), &value);
  if (r == 0 && value.len == sizeof *created) {
    memcpy(created, value.data, sizeof *created);
  } else if (r == BASE_NONE) {
    *created = world_now(world).wall;
    r = base_put(txn, lmdb->base.meta, bytes_text("created"), bytes_of(created, sizeof *created));
  }
  if (r == 0) return base_result("commit", mdb_txn_commit(txn));
  mdb_txn_abort(txn);
  return r;
}

/* BASE_NONE: nothing was ever written to the log. BASE_DAMAGED where the mark is not what it should be: a chain that
 * began anew would hide what was cut off. */
static int lmdb_audit_head(struct lmdb *lmdb) {
  MDB_txn *txn;
  struct bytes value;
  int r = base_result("begin", mdb_txn_begin(lmdb->base.env, NULL, MDB_RDONLY, &txn));
  if (r != 0) return r;
  r = base_get(txn, lmdb->base.meta, bytes_text("audit"), &value);
  if (r == 0 && !audit_head_read(&lmdb->audit, value)) r = BASE_DAMAGED;
  mdb_txn_abort(txn);
  return r == BASE_NONE ? 0 : r;
}

static void lmdb_first_figures(struct lmdb *lmdb) {
  MDB_txn *txn;
  if (base_result("begin", mdb_txn_begin(lmdb->base.env, NULL, MDB_RDONLY, &txn)) != 0) return;
  struct measured measured = lmdb_measure(lmdb, txn);
  mdb_txn_abort(txn);
  lmdb_update_figures(lmdb, &(struct plan_counts){0}, &measured);
}

static int lmdb_start(struct lmdb *lmdb) {
  int r = done_list_init(&lmdb->done);
  if (r == 0) r = queue_new(&lmdb->batches, STORE_QUEUE_BATCHES + 1);
  if (r == 0) r = queue_new(&lmdb->reads, STORE_QUEUE_READS + 1);
  if (r != 0) return r;
  lmdb->writer_runs = pthread_create(&lmdb->writer, NULL, lmdb_writer_main, lmdb) == 0;
  lmdb->reader_runs = lmdb->writer_runs && pthread_create(&lmdb->reader, NULL, lmdb_reader_main, lmdb) == 0;
  return lmdb->reader_runs ? 0 : -EAGAIN;
}

static int lmdb_load(struct lmdb *lmdb, const struct store_options *options, struct store_problem *problem) {
  int64_t created = 0;
  uint64_t run = 0;
  int r = recover(&lmdb->base, options, problem);
  if (r != 0) return r;
  r = lmdb_created(lmdb, options->world, &created);
  if (r == 0) r = lmdb_audit_head(lmdb);
  if (r == 0) r = state_load(&lmdb->state, &lmdb->base);
  if (r > 0) return recover_set_aside(&lmdb->base, options->world, "its tables cannot be read", problem);
  if (r != 0) return r;
  while (run == 0) world_random(options->world, &run, sizeof run);
  store_setup(&lmdb->store, &lmdb_ops, options, run, created);
  lmdb->store.audit = lmdb->audit;
  coverage_copy(&lmdb->store.view, &lmdb->state.coverage);
  coverage_each(&lmdb->state.coverage, note_ceiling, lmdb);
  lmdb_first_figures(lmdb);
  return 0;
}

int store_open_lmdb(struct store **out, const struct store_options *options, struct store_problem *problem) {
  *problem = (struct store_problem){.text = ""};
  if (options->max_size < SIZE_LEAST) {
    snprintf(problem->text, sizeof problem->text, "The store %s needs a max-size of at least 8MiB.", options->path);
    return -EINVAL;
  }
  /* LMDB takes and frees 256 KiB for each segment it writes; glibc would fetch these pages from the kernel anew every
   * time, a third of the writer's time under load. The writer gives them back when it idles (malloc_trim). */
  mallopt(M_MMAP_THRESHOLD, 4 << 20);
  mallopt(M_TRIM_THRESHOLD, 32 << 20);
  struct lmdb *lmdb = mem_alloc(sizeof *lmdb);
  pthread_mutex_init(&lmdb->lock, NULL);
  pthread_cond_init(&lmdb->read_ends, NULL);
  lmdb->hidden = lmdb->unreadable = COVERAGE_NULL;
  lmdb->full_limit = (struct log_limit){.interval_us = 10 * SECOND_US, .burst = 5};
  lmdb->linger_us = options->linger_us;
  lmdb->pace.most_us = options->pace_us;
  lmdb->test_commit_delay_us = options->test_commit_delay_us;
  lmdb->fatal = options->fatal;
  lmdb->fatal_ctx = options->fatal_ctx;
  int r = base_take(&lmdb->base, options, problem);
  if (r == 0) r = lmdb_load(lmdb, options, problem);
  if (r == 0) r = lmdb_start(lmdb);
  if (r == 0) {
    *out = &lmdb->store;
    return 0;
  }
  lmdb_join(lmdb);
  lmdb_free(lmdb);
  if (r < 0 && problem->text[0] == 0)
    snprintf(problem->text, sizeof problem->text, "The store %s cannot be opened: %s.", options->path, strerror(-r));
  return r;
}
