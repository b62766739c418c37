/* The audit log of a store at rest, for whoever verifies it: read without a lock of LMDB, behind the store's own.
 * Broken pages make liblmdb end the process; so a child that may die of it looks first, as at the start of a store. */
#include "common/store/audit.h"
#include "common/store/lmdb_base.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

__attribute__((format(printf, 3, 4))) static int audit_say(
    struct store_problem *problem, int outcome, const char *format, ...) {
  va_list list;
  va_start(list, format);
  vsnprintf(problem->text, sizeof problem->text, format, list);
  va_end(list);
  return outcome;
}

/* Nobody may write meanwhile: pages that are read here would be used again. *lock_fd: close it. */
static int audit_lock(const char *path, int *lock_fd, struct store_problem *problem) {
  char name[4200];
  snprintf(name, sizeof name, "%s/lock", path);
  *lock_fd = open(name, O_RDONLY | O_CLOEXEC);
  if (*lock_fd < 0) return audit_say(problem, -errno, "There is no store in %s: %s.", path, strerror(errno));
  if (flock(*lock_fd, LOCK_EX | LOCK_NB) == 0) return 0;
  return audit_say(problem, STORE_IN_USE, "The store %s is in use by another process: stop that one, or ask it.", path);
}

static int audit_open(struct base *base, const char *path, struct store_problem *problem) {
  char name[4200];
  struct stat status;
  snprintf(name, sizeof name, "%s/data.mdb", path);
  if (stat(name, &status) != 0)
    return audit_say(problem, -errno, "There is no store in %s: %s.", path, strerror(errno));
  int r = base_open_to_read(base, path, (uint64_t)status.st_size);
  if (r == 0) return 0;
  return audit_say(problem, r < 0 ? r : STORE_DAMAGED, "The store %s cannot be read.", path);
}

static int audit_read_head(struct base *base, MDB_txn *txn, struct store_audit *head) {
  struct bytes value;
  *head = (struct store_audit){.number = 0};
  int r = base_get(txn, base->meta, bytes_text("audit"), &value);
  if (r == 0 && !audit_head_read(head, value)) r = BASE_DAMAGED;
  return r == BASE_NONE ? 0 : r;
}

struct audit_walk {
  bool (*visit)(void *ctx, const struct store_audit *at, struct bytes entry);
  void *ctx;
};

static bool audit_row_seen(const struct audit_walk *walk, struct bytes key, struct bytes value) {
  struct store_audit at = {.number = key.len == 8 ? base_get_be(key.data, 8) : 0};
  struct bytes entry = BYTES_NULL;
  if (!base_unseal(key, &value) || !store_audit_row(key, value, &at, &entry)) entry = BYTES_NULL;
  return walk->visit(walk->ctx, &at, entry);
}

static int audit_walk(struct base *base, MDB_txn *txn, const struct audit_walk *walk) {
  MDB_cursor *cursor;
  MDB_val key, value;
  int r = base_result("cursor", mdb_cursor_open(txn, base->tables[STORE_AUDIT], &cursor));
  if (r != 0) return r;
  bool going = true;
  while (going && (r = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0)
    going = audit_row_seen(walk, base_bytes(key), base_bytes(value));
  mdb_cursor_close(cursor);
  return r == MDB_NOTFOUND ? 0 : base_result("read", r);
}

static int audit_read_all(struct base *base, const struct audit_walk *walk, struct store_audit *head) {
  MDB_txn *txn;
  int r = base_result("begin", mdb_txn_begin(base->env, NULL, MDB_RDONLY, &txn));
  if (r != 0) return r;
  r = audit_read_head(base, txn, head);
  if (r == 0) r = audit_walk(base, txn, walk);
  mdb_txn_abort(txn);
  return r;
}

/* ---- the child ---- */

enum { LOOK_SECONDS = 3600 };

static bool touch(void *ctx, const struct store_audit *at, struct bytes entry) {
  (void)ctx, (void)at, (void)entry; /* the checksum has read all of it */
  return true;
}

static void audit_child(const char *path) __attribute__((noreturn));
static void audit_child(const char *path) {
  struct base base = BASE_NULL;
  struct store_audit head;
  struct store_problem problem;
  setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
  alarm(LOOK_SECONDS);
  if (!freopen("/dev/null", "w", stderr)) _exit(1); /* what LMDB says as it dies */
  int r = audit_open(&base, path, &problem);
  _exit(r == 0 && audit_read_all(&base, &(struct audit_walk){touch, NULL}, &head) == 0 ? 0 : 1);
}

/* 0: it can be read; what else is wrong with it is said by whoever reads it then. */
static int audit_look(const char *path, struct store_problem *problem) {
  int status;
  pid_t pid = fork();
  if (pid == 0) audit_child(path);
  while (pid > 0 && waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return audit_say(problem, -errno, "The store %s cannot be looked at.", path);
  if (pid > 0 && WIFEXITED(status)) return 0;
  return audit_say(problem, pid < 0 ? -errno : STORE_DAMAGED, "The store %s is damaged.", path);
}

int store_audit_scan(const char *path, bool (*visit)(void *ctx, const struct store_audit *at, struct bytes entry),
    void *ctx, struct store_audit *head, struct store_problem *problem) {
  struct base base = BASE_NULL;
  int lock_fd = -1, r = audit_lock(path, &lock_fd, problem);
  if (r == 0) r = audit_look(path, problem);
  if (r == 0) r = audit_open(&base, path, problem);
  if (r == 0) {
    r = audit_read_all(&base, &(struct audit_walk){visit, ctx}, head);
    if (r != 0) r = audit_say(problem, r < 0 ? r : STORE_DAMAGED, "The audit log of the store %s is damaged.", path);
  }
  base_deinit(&base);
  if (lock_fd >= 0) close(lock_fd);
  return r;
}
