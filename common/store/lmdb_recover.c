/*
 * The start after a stop that was not clean. LMDB checks nothing it reads, and broken pages make liblmdb abort; so a
 * child that may die of it looks first. If it does, or finds what must be trusted broken, the store is set aside under
 * a name that says so, and the text says how to go on.
 */
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/store/lmdb.h"
#include "common/base/units.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WALK_SECONDS = 60, VERIFY_SECONDS = 3600, ENDS_KEPT = 3 };
static const int64_t ends_within_us = 600 * SECOND_US;

/* ---- the child ---- */

static bool walk_entry(void *ctx, const struct entry *entry, struct bytes block) {
  (void)ctx, (void)entry, (void)block;
  return true;
}

static void walk_lost(void *ctx, enum lane lane, uint64_t near, uint64_t count) {
  (void)ctx, (void)lane, (void)near, (void)count; /* single damaged entries are quarantined later, one by one */
}

static int walk_table(MDB_txn *txn, MDB_dbi dbi) {
  MDB_cursor *cursor;
  MDB_val key, value;
  int r = mdb_cursor_open(txn, dbi, &cursor);
  if (r != 0) return r;
  while ((r = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
    struct bytes bytes = base_bytes(value);
    base_unseal(base_bytes(key), &bytes); /* touches all of it */
  }
  mdb_cursor_close(cursor);
  return r == MDB_NOTFOUND ? 0 : r;
}

static int walk_tables(const struct base *base, MDB_txn *txn) {
  int r = walk_table(txn, base->meta);
  if (r == 0) r = walk_table(txn, base->pieces);
  if (r == 0) r = walk_table(txn, base->names);
  for (size_t i = 0; r == 0 && i < STORE_TABLES; i++) r = walk_table(txn, base->tables[i]);
  return r;
}

static int walk_everything(const struct base *base, MDB_txn *txn) {
  struct log_visit visit = {.entry = walk_entry, .lost = walk_lost};
  int r = walk_table(txn, base->directory);
  if (r == 0) r = walk_table(txn, base->index);
  for (enum lane lane = LANE_URGENT; r == 0 && lane < LANES; lane++) r = log_walk(base, txn, lane, 0, &visit);
  return r;
}

static void child(const char *path, uint64_t size, bool everything) __attribute__((noreturn));
static void child(const char *path, uint64_t size, bool everything) {
  struct base base;
  struct state state;
  MDB_txn *txn;
  setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
  alarm(everything ? VERIFY_SECONDS : WALK_SECONDS);
  if (base_open_to_read(&base, path, size) != 0) _exit(1);
  if (state_load(&state, &base) != 0) _exit(1);
  if (mdb_txn_begin(base.env, NULL, MDB_RDONLY, &txn) != 0) _exit(1);
  int r = walk_tables(&base, txn);
  if (r == 0 && everything) r = walk_everything(&base, txn);
  _exit(r == 0 ? 0 : 1);
}

/* A child that ran out of time or was killed from outside says nothing about the store. */
static bool died_of_it(int status) {
  int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  return signal != SIGALRM && signal != SIGKILL && signal != SIGTERM && signal != SIGINT && signal != SIGHUP;
}

/* 0: it can be trusted; 1: not; -ETIME: it could not be looked at to the end. */
static int look(const struct base *base, bool everything) {
  pid_t pid = fork();
  if (pid < 0) return -errno;
  if (pid == 0) child(base->path, base->size, everything);
  int status;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return -errno;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
  return died_of_it(status) ? 1 : -ETIME;
}

/* ---- setting aside ---- */

int recover_set_aside(struct base *base, const struct world *world, const char *why, struct store_problem *problem) {
  struct buffer aside = BUFFER_NULL, time = BUFFER_NULL;
  units_put_rfc3339(&time, world_now(world).wall);
  buffer_printf(&aside, "%s.damaged-", base->path);
  for (size_t i = 0; i < time.len && time.data[i] != '.'; i++)
    if (time.data[i] != '-' && time.data[i] != ':') buffer_append(&aside, bytes_of(time.data + i, 1));
  buffer_printf(&aside, "Z");
  base_close_env(base);
  int r = rename(base->path, buffer_text(&aside)) == 0 ? STORE_DAMAGED : -errno;
  if (r == STORE_DAMAGED && base_sync_parent(base->path) != 0)
    log_warning("store", base->path, "its new name could not be made durable: %s", strerror(errno));
  if (r == STORE_DAMAGED)
    snprintf(problem->text, sizeof problem->text,
        "The store %s is damaged (%s) and was set aside as %s; nothing in it was changed. Start again: a new, empty "
        "store is made, and what "
        "neighbours and devices still hold comes again under a new epoch. Keep the folder that was set aside until its "
        "data is not needed, "
        "and check the disk.",
        base->path, why, buffer_text(&aside));
  buffer_deinit(&aside);
  buffer_deinit(&time);
  return r;
}

/* ---- the marker: a small file beside the store, since LMDB's own pages are what is in doubt ---- */

struct marker {
  bool running;            /* opened and not closed yet */
  int64_t ends[ENDS_KEPT]; /* when the last unclean stops were found, oldest first */
};

static void marker_name(const struct base *base, const char *suffix, char name[4200]) {
  snprintf(name, 4200, "%s/marker%s", base->path, suffix);
}

/* What cannot be read counts as running. */
static void marker_read(const struct base *base, struct marker *marker) {
  char name[4200];
  int running = 1;
  long long at[ENDS_KEPT] = {0};
  marker_name(base, "", name);
  FILE *file = fopen(name, "re");
  if (file && fscanf(file, "running %d ends %lld %lld %lld", &running, &at[0], &at[1], &at[2]) != 1 + ENDS_KEPT)
    running = 1;
  if (file) fclose(file);
  marker->running = running != 0;
  for (size_t i = 0; i < ENDS_KEPT; i++) marker->ends[i] = at[i];
}

static int marker_write(const struct base *base, const struct marker *marker) {
  char name[4200], fresh[4200];
  marker_name(base, "", name);
  marker_name(base, ".new", fresh);
  FILE *file = fopen(fresh, "we");
  if (!file) return -errno;
  bool good = fprintf(file, "running %d ends %lld %lld %lld\n", marker->running, (long long)marker->ends[0],
                  (long long)marker->ends[1], (long long)marker->ends[2]) > 0;
  good = good && fflush(file) == 0 && fsync(fileno(file)) == 0;
  int r = good ? 0 : -errno;
  fclose(file);
  if (r == 0 && rename(fresh, name) != 0) r = -errno;
  return r == 0 ? base_sync_folder(base->path) : r;
}

int recover_mark_clean(struct base *base) {
  struct marker marker;
  marker_read(base, &marker);
  marker.running = false;
  return marker_write(base, &marker);
}

static bool store_exists(const struct base *base) {
  char name[4200];
  struct stat st;
  snprintf(name, sizeof name, "%s/data.mdb", base->path);
  return stat(name, &st) == 0 && st.st_size > 0;
}

static bool marker_note_end(struct marker *marker, int64_t now) {
  memmove(marker->ends, marker->ends + 1, (ENDS_KEPT - 1) * sizeof *marker->ends);
  marker->ends[ENDS_KEPT - 1] = now;
  return marker->ends[0] != 0 && now - marker->ends[0] >= 0 && now - marker->ends[0] < ends_within_us;
}

static int recover_look(
    struct base *base, const struct world *world, struct marker *marker, struct store_problem *problem) {
  bool everything = marker_note_end(marker, world_now(world).wall);
  log_notice("store", base->path, "was not closed; looking at it before it is trusted%s",
      everything ? ", all of it: three such ends in ten minutes" : "");
  int r = look(base, everything);
  if (r == -ETIME)
    snprintf(problem->text, sizeof problem->text,
        "The store %s could not be looked at to the end after a stop that was not clean: that took too long, or was "
        "ended from outside. Nothing in it was "
        "changed. Start again; a slow or busy disk, or too little memory, is the likely cause.",
        base->path);
  return r > 0 ? recover_set_aside(base, world, "it could not be read after a stop that was not clean", problem) : r;
}

int recover(struct base *base, const struct store_options *options, struct store_problem *problem) {
  struct marker marker = {.running = false};
  if (store_exists(base)) {
    marker_read(base, &marker);
    int r = marker.running ? recover_look(base, options->world, &marker, problem) : 0;
    if (r != 0) return r;
  }
  marker.running = true;
  int r = marker_write(base, &marker);
  if (r == 0) r = base_open(base, problem);
  if (r == STORE_DAMAGED) return recover_set_aside(base, options->world, "LMDB cannot open it", problem);
  if (r == STORE_VERSION_NEWER || r == STORE_NO_SPACE) recover_mark_clean(base);
  return r;
}
