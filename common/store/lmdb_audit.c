/* The audit log of a store at rest, for whoever verifies it: read without a lock of LMDB, behind the store's own. */
#include "common/store/audit.h"
#include "common/store/lmdb_base.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
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

int store_audit_scan(const char *path, bool (*visit)(void *ctx, const struct store_audit *at, struct bytes entry),
    void *ctx, struct store_audit *head, struct store_problem *problem) {
  struct base base = BASE_NULL;
  MDB_txn *txn;
  int lock_fd = -1, r = audit_lock(path, &lock_fd, problem);
  if (r == 0) r = audit_open(&base, path, problem);
  if (r == 0) {
    r = base_result("begin", mdb_txn_begin(base.env, NULL, MDB_RDONLY, &txn));
    if (r == 0) {
      r = audit_read_head(&base, txn, head);
      if (r == 0) r = audit_walk(&base, txn, &(struct audit_walk){visit, ctx});
      mdb_txn_abort(txn);
    }
    if (r != 0) r = audit_say(problem, r < 0 ? r : STORE_DAMAGED, "The audit log of the store %s is damaged.", path);
  }
  base_deinit(&base);
  if (lock_fd >= 0) close(lock_fd);
  return r;
}
