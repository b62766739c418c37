/*
 * The writer: takes the batches that wait as a group, decides for each whether it has room, plans them, and commits
 * them in one transaction; trims what is too old or, with discard-oldest, in the way. Nothing is reported before
 * mdb_txn_commit has returned.
 */
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/store/audit.h"
#include "common/store/lmdb.h"
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { GROUP_BATCHES_MAX = 1024, HOLDS_MEMORY = 256 << 10 };
#define GROUP_BYTES_MAX ((size_t)8 << 20)

struct group {
  struct lmdb *lmdb;
  struct done *dones[GROUP_BATCHES_MAX]; /* each with its batch */
  bool planned[GROUP_BATCHES_MAX];
  size_t count, bytes;
  struct store_audit audit;      /* the end of the log with what this group adds */
  struct done *trimmed;          /* what made room for it, reported before it */
  struct store_batch *held_over; /* taken from the queue, but for the next group */
};

static struct instant now_of(struct lmdb *lmdb) { return world_now(&lmdb->store.world); }

/* ---- faults on demand, for tests ---- */

#ifdef RIVERBUS_TEST_HOOKS
/* RIVERBUS_KILL_AT=before-commit:N or after-commit:N: the process kills itself at its N-th commit of batches, before or
 * after it is durable. */
static void hook_kill(struct lmdb *lmdb, const char *where) {
  const char *at = getenv("RIVERBUS_KILL_AT");
  size_t len = strlen(where);
  if (at && strncmp(at, where, len) == 0 && at[len] == ':' &&
      lmdb->kill_at == (unsigned)strtoul(at + len + 1, NULL, 10))
    kill(getpid(), SIGKILL);
}

static void hook_before(struct lmdb *lmdb) {
  lmdb->kill_at++;
  hook_kill(lmdb, "before-commit");
  if (lmdb->test_commit_delay_us > 0)
    nanosleep(&(struct timespec){lmdb->test_commit_delay_us / SECOND_US, lmdb->test_commit_delay_us % SECOND_US * 1000},
        NULL);
}

static void hook_after(struct lmdb *lmdb) { hook_kill(lmdb, "after-commit"); }
#else
static void hook_before(struct lmdb *lmdb) { (void)lmdb; }
static void hook_after(struct lmdb *lmdb) { (void)lmdb; }
#endif

/* ---- a group ---- */

static size_t group_limit(const struct lmdb *lmdb) {
  uint64_t share = lmdb->store.max_size / 16;
  return share < GROUP_BYTES_MAX ? (size_t)share : GROUP_BYTES_MAX;
}

static void group_add(struct group *group, struct store_batch *batch) {
  struct done *done = done_new(STORE_DONE_BATCH, batch->cookie);
  done->batch = batch;
  done->charge = batch->bytes;
  group->planned[group->count] = false;
  group->dones[group->count++] = done;
  group->bytes += batch->bytes;
}

/* A new epoch stands alone: it reads the stream as it is on disk. */
static bool group_takes(const struct group *group, const struct store_batch *batch) {
  if (group->count == 0) return true;
  bool alone = batch->has_new_epoch || group->dones[0]->batch->has_new_epoch;
  return !alone && group->count < GROUP_BATCHES_MAX && group->bytes + batch->bytes <= group_limit(group->lmdb);
}

/* Takes what waits, and lingers for more while that is allowed and nothing urgent is in hand. */
static void group_gather(struct group *group) {
  struct lmdb *lmdb = group->lmdb;
  int64_t now = now_of(lmdb).mono, pace = pace_linger(&lmdb->pace, now);
  int64_t until = now + (pace > lmdb->linger_us ? pace : lmdb->linger_us);
  for (bool urgent = group->dones[0]->batch->urgent;;) {
    void *entry;
    int64_t left = urgent ? 0 : until - now_of(lmdb).mono;
    int r = left > 0 ? queue_wait(lmdb->batches, &entry, left) : queue_pop(lmdb->batches, &entry);
    if (r != 0) return;
    struct store_batch *batch = entry;
    if (!group_takes(group, batch)) {
      group->held_over = batch;
      return;
    }
    urgent = urgent || batch->urgent;
    group_add(group, batch);
  }
}

static void refuse(struct lmdb *lmdb, struct done *done, int refusal) {
  done->face.kind = STORE_DONE_REFUSED;
  done->face.refusal = (enum store_refusal)refusal;
  order_break(&lmdb->store, done->batch);
  pthread_mutex_lock(&lmdb->lock);
  if (refusal == STORE_REFUSAL_FULL) lmdb->figures.refused_full++;
  if (refusal == STORE_REFUSAL_STREAMS) lmdb->figures.refused_streams++;
  pthread_mutex_unlock(&lmdb->lock);
}

static int group_plan(struct group *group, struct plan *plan, uint64_t used) {
  struct lmdb *lmdb = group->lmdb;
  for (size_t i = 0; i < group->count; i++) {
    struct done *done = group->dones[i];
    struct store_batch *batch = done->batch;
    group->planned[i] = false;
    if (done->face.kind == STORE_DONE_REFUSED) continue;
    int refusal = batch_check(batch);
    if (refusal == BATCH_GOOD && order_is_broken(&lmdb->store, batch)) refusal = STORE_REFUSAL_FULL;
    if (refusal == BATCH_GOOD && !plan_admits(plan, batch)) refusal = STORE_REFUSAL_STREAMS;
    if (refusal == BATCH_GOOD && batch->bytes > group_limit(lmdb)) refusal = STORE_REFUSAL_TOO_LARGE;
    if (refusal == BATCH_GOOD && !space_fits(lmdb->store.max_size, used, batch)) refusal = STORE_REFUSAL_FULL;
    if (refusal != BATCH_GOOD) {
      refuse(lmdb, done, refusal);
      continue;
    }
    used += batch->bytes;
    group->planned[i] = true;
    int r = plan_batch(plan, batch, done);
    if (r != 0) return r;
  }
  return 0;
}

static int write_audit(struct group *group, MDB_txn *txn, struct bytes entry, struct done *done) {
  struct audit_row row = {.value = BUFFER_NULL};
  struct base *base = &group->lmdb->base;
  audit_row_make(&row, &group->audit, entry);
  int r = base_put(txn, base->tables[STORE_AUDIT], bytes_of(row.key, sizeof row.key), buffer_bytes(&row.value));
  done->audit = group->audit;
  buffer_deinit(&row.value);
  return r;
}

static int write_keys(struct group *group, MDB_txn *txn, struct done *done) {
  struct lmdb *lmdb = group->lmdb;
  int r = 0;
  for (size_t i = 0; r == 0 && i < done->batch->count; i++) {
    const struct batch_item *item = &done->batch->items[i];
    if (item->kind == BATCH_PUT) r = base_put(txn, lmdb->base.tables[item->table], item->key, item->value);
    if (item->kind == BATCH_DELETE) r = base_delete(txn, lmdb->base.tables[item->table], item->key);
    if (r == BASE_NONE) r = 0;
    if (r == 0 && item->kind == BATCH_AUDIT) r = write_audit(group, txn, item->value, done);
  }
  return r;
}

/* The end of the audit log, where this group moved it. */
static int write_audit_head(const struct group *group, MDB_txn *txn) {
  uint8_t bytes[AUDIT_HEAD_SIZE];
  if (group->audit.number == group->lmdb->audit.number) return 0;
  audit_head_write(bytes, &group->audit);
  return base_put(txn, group->lmdb->base.meta, bytes_text("audit"), bytes_of(bytes, sizeof bytes));
}

static int group_write(struct group *group, MDB_txn *txn, const struct plan *plan, size_t seal_most) {
  struct state *state = &group->lmdb->state;
  int r = 0;
  for (size_t i = 0; r == 0 && i < group->count; i++) {
    struct done *done = group->dones[i];
    if (!group->planned[i]) continue;
    state_apply(state, done->effects, done->effect_count);
    r = state_keep(state, txn, done->effects, done->effect_count);
    if (r == 0) r = write_keys(group, txn, done);
  }
  if (r == 0) r = write_audit_head(group, txn);
  if (r == 0) r = state_append(state, txn, plan->entries, plan->entry_count, seal_most);
  return r == 0 ? state_checkpoint(state, txn, plan->counts.bytes + plan->entry_count * ENTRY_HEAD) : r;
}

static void group_plan_init(struct group *group, struct plan *plan, struct state_view *view) {
  struct lmdb *lmdb = group->lmdb;
  plan_init(
      plan, &lmdb->state.coverage, (struct plan_stored){view, state_overlapping}, &lmdb->store.world, lmdb->store.run);
  memcpy(plan->next, lmdb->state.next, sizeof plan->next);
}

static bool group_has_work(const struct group *group) {
  for (size_t i = 0; i < group->count; i++)
    if (group->planned[i]) return true;
  return false;
}

/* BASE_FULL: LMDB found no room although our counters did; nothing is changed. */
static int group_try(struct group *group, size_t seal_most) {
  struct lmdb *lmdb = group->lmdb;
  MDB_txn *txn = lmdb_begin(lmdb);
  struct state_view view = {&lmdb->state, txn};
  struct plan plan;
  struct measured measured = {.used = 0};
  uint64_t discarded = 0;
  group->audit = lmdb->audit;
  group_plan_init(group, &plan, &view);
  int r = lmdb_make_room(lmdb, txn, group->bytes, &group->trimmed, &discarded);
  if (r == 0) r = group_plan(group, &plan, base_used(&lmdb->base, txn));
  bool work = group->trimmed || group_has_work(group);
  if (r == 0 && work) r = group_write(group, txn, &plan, seal_most);
  if (r == 0 && work) {
    measured = lmdb_measure(lmdb, txn);
    measured.discarded = discarded;
    hook_before(lmdb);
    r = lmdb_commit(lmdb, txn);
    if (r == 0) lmdb->audit = group->audit;
    if (r == 0) hook_after(lmdb);
  } else {
    mdb_txn_abort(txn);
  }
  if (r == 0 && work) lmdb_update_figures(lmdb, &plan.counts, &measured);
  if (r == 0) pace_note(&lmdb->pace, now_of(lmdb).mono, plan.counts.records);
  plan_deinit(&plan);
  if (r != 0) group->trimmed = done_free(group->trimmed);
  if (r != 0 && r != BASE_FULL) lmdb_die(lmdb, "a batch could not be written", r);
  return r;
}

/* LMDB finds no run of 64 free pages (or none at all, so that not even the oldest can be deleted): once more with the
 * small chunks of the young end only, then the batches are refused. */
static void group_full(struct group *group) {
  struct lmdb *lmdb = group->lmdb;
  for (size_t i = 0; i < group->count; i++) done_reset(group->dones[i]);
  lmdb_no_room(lmdb, "for what is to be stored");
  lmdb_make_room_apart(lmdb, group->bytes);
  if (group_try(group, 0) == 0) return;
  for (size_t i = 0; i < group->count; i++) {
    done_reset(group->dones[i]);
    if (group->dones[i]->face.kind != STORE_DONE_REFUSED) refuse(lmdb, group->dones[i], STORE_REFUSAL_FULL);
  }
  lmdb_reload(lmdb);
}

enum { SEAL_PAUSE_MOST = 64, SEAL_MOST = 64 };

static size_t seal_most(struct sealing *sealing) {
  if (sealing->paused > 0) {
    sealing->paused--;
    return 0;
  }
  return sealing->most > 0 ? sealing->most : SIZE_MAX;
}

static void seal_note(struct sealing *sealing, bool good) {
  if (good) {
    sealing->pause /= 2;
    sealing->most = sealing->most < SEAL_MOST ? sealing->most * 2 : 0;
    return;
  }
  sealing->paused = sealing->pause;
  sealing->pause = sealing->pause == 0                    ? 1
                   : sealing->pause * 2 < SEAL_PAUSE_MOST ? sealing->pause * 2
                                                          : SEAL_PAUSE_MOST;
  sealing->most = 1;
}

static void group_report(struct group *group) {
  struct lmdb *lmdb = group->lmdb;
  int64_t now = now_of(lmdb).mono;
  if (group->trimmed) {
    group->trimmed->face.committed_mono = now;
    done_list_push(&lmdb->done, group->trimmed);
    group->trimmed = NULL;
  }
  for (size_t i = 0; i < group->count; i++) {
    struct done *done = group->dones[i];
    lmdb_note_ceilings(lmdb, done->effects, done->effect_count);
    for (struct done *before = done->before; before; before = before->next) before->face.committed_mono = now;
    done->face.committed_mono = now;
    done_list_push(&lmdb->done, done);
  }
}

static void group_run(struct group *group, struct store_batch *first) {
  group->count = group->bytes = 0;
  group_add(group, first);
  if (!first->has_new_epoch) group_gather(group);
  size_t most = seal_most(&group->lmdb->sealing);
  int r = group_try(group, most);
  if (most > 0) seal_note(&group->lmdb->sealing, r == 0);
  if (r != 0) group_full(group);
  group_report(group);
  if (group->bytes > HOLDS_MEMORY) group->lmdb->memory_held = true;
  lmdb_trim_by_age(group->lmdb);
}

/* ---- the thread ---- */

/* -1: for ever. */
static int64_t idle_us(struct lmdb *lmdb) {
  int64_t rest = lmdb->memory_held ? SECOND_US : -1;
  if (lmdb->store.keep_us <= 0) return rest;
  int64_t left = lmdb->trim_due_mono - now_of(lmdb).mono;
  if (left < 0) left = 0;
  return rest >= 0 && rest < left ? rest : left;
}

static void idle(struct lmdb *lmdb) {
  lmdb_trim_by_age(lmdb);
  if (lmdb->memory_held) malloc_trim(0);
  lmdb->memory_held = false;
}

void *lmdb_writer_main(void *ctx) {
  struct lmdb *lmdb = ctx;
  struct group *group = mem_alloc(sizeof *group);
  group->lmdb = lmdb;
  for (int r = 0; r != QUEUE_CLOSED;) {
    void *entry = group->held_over;
    group->held_over = NULL;
    if (!entry) r = queue_wait(lmdb->batches, &entry, idle_us(lmdb));
    if (entry && r == 0)
      group_run(group, entry);
    else if (r == QUEUE_EMPTY)
      idle(lmdb);
  }
  free(group);
  return NULL;
}
