#include "common/store/lmdb_base.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include <errno.h>
#include <stdarg.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <xxhash.h>

enum { SEAL = 8 };

static int base_say(struct store_problem *problem, int outcome, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static int base_say(struct store_problem *problem, int outcome, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(problem->text, sizeof problem->text, format, args);
  va_end(args);
  return outcome;
}

/* ---- results and values ---- */

int base_result(const char *what, int mdb) {
  switch (mdb) {
    case MDB_SUCCESS: return 0;
    case MDB_NOTFOUND: return BASE_NONE;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL: return BASE_FULL;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_CURSOR_FULL: log_error("store", NULL, "%s: %s", what, mdb_strerror(mdb)); return BASE_DAMAGED;
    default: log_error("store", NULL, "%s: %s", what, mdb_strerror(mdb)); return mdb > 0 ? -mdb : -EIO;
  }
}

static uint64_t base_hash(struct bytes key, struct bytes value) {
  return XXH3_64bits_withSeed(value.data, value.len, XXH3_64bits(key.data, key.len));
}

int base_put(MDB_txn *txn, MDB_dbi dbi, struct bytes key, struct bytes value) {
  MDB_val k = base_val(key), v = {.mv_size = SEAL + value.len};
  int r = base_result("put", mdb_put(txn, dbi, &k, &v, MDB_RESERVE));
  if (r != 0) return r;
  uint64_t hash = base_hash(key, value);
  memcpy(v.mv_data, &hash, SEAL);
  if (value.len) memcpy((uint8_t *)v.mv_data + SEAL, value.data, value.len);
  return 0;
}

bool base_unseal(struct bytes key, struct bytes *value) {
  uint64_t hash;
  if (value->len < SEAL) return false;
  memcpy(&hash, value->data, SEAL);
  *value = bytes_of(value->data + SEAL, value->len - SEAL);
  return hash == base_hash(key, *value);
}

int base_get(MDB_txn *txn, MDB_dbi dbi, struct bytes key, struct bytes *value) {
  MDB_val k = base_val(key), v;
  int r = base_result("get", mdb_get(txn, dbi, &k, &v));
  if (r != 0) return r;
  *value = base_bytes(v);
  return base_unseal(key, value) ? 0 : BASE_DAMAGED;
}

int base_delete(MDB_txn *txn, MDB_dbi dbi, struct bytes key) {
  MDB_val k = base_val(key);
  return base_result("delete", mdb_del(txn, dbi, &k, NULL));
}

uint64_t base_used(const struct base *base, MDB_txn *txn) {
  uint64_t pages = 0;
  for (MDB_dbi dbi = base->meta; dbi <= base->sealed[LANES - 1]; dbi++) {
    MDB_stat stat;
    if (mdb_stat(txn, dbi, &stat) == 0) pages += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
  }
  return pages * BASE_PAGE;
}

void base_put_be(uint8_t *to, uint64_t value, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) to[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
}

uint64_t base_get_be(const uint8_t *from, size_t bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; i++) value = value << 8 | from[i];
  return value;
}

/* ---- the folder ---- */

bool base_is_network(long magic) {
  /* statfs(2), linux/magic.h: NFS, SMB, CIFS, SMB2, NCP, AFS, Coda, 9P, Ceph, Lustre, VirtualBox shares, FUSE (most of
   * which is remote) */
  static const unsigned long remote[] = {0x6969, 0x517B, 0xFF534D42, 0xFE534D42, 0x564C, 0x5346414F, 0x73757245,
      0x01021997, 0x00C36400, 0x0BD00BD0, 0x786F4256, 0x65735546};
  for (size_t i = 0; i < sizeof remote / sizeof *remote; i++)
    if (remote[i] == ((unsigned long)magic & 0xFFFFFFFF)) return true;
  return false;
}

static int base_lock(struct base *base, struct store_problem *problem) {
  char name[4200];
  snprintf(name, sizeof name, "%s/lock", base->path);
  base->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (base->lock_fd < 0)
    return base_say(problem, -errno, "store %s: the lock file cannot be opened: %s.", base->path, strerror(errno));
  if (flock(base->lock_fd, LOCK_EX | LOCK_NB) == 0) return 0;
  return base_say(problem, STORE_IN_USE,
      "The store %s is in use by another process. Stop that one first (fuser %s names it), or give this node another "
      "store path.",
      base->path, name);
}

int base_take(struct base *base, const struct store_options *options, struct store_problem *problem) {
  *base = BASE_NULL;
  base->path = mem_text(options->path, strlen(options->path));
  base->size = options->max_size / BASE_PAGE * BASE_PAGE;
  int r = mkdir(base->path, 0700) == 0 ? base_sync_parent(base->path) : errno == EEXIST ? 0 : -errno;
  if (r != 0) return base_say(problem, r, "The store's folder %s cannot be created: %s.", base->path, strerror(-r));
  struct statfs fs;
  if (statfs(base->path, &fs) != 0)
    return base_say(problem, -errno, "The store's folder %s cannot be read: %s.", base->path, strerror(errno));
  if (base_is_network(fs.f_type))
    return base_say(problem, STORE_NETWORK_FS,
        "The store %s lies on a network or FUSE file system, where a commit is not safe. Put it on a local disk (ext4, "
        "xfs, btrfs).",
        base->path);
  return base_lock(base, problem);
}

int base_sync_folder(const char *path) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int r = fd < 0 || fsync(fd) != 0 ? -errno : 0;
  if (fd >= 0) close(fd);
  return r;
}

int base_sync_parent(const char *path) {
  char *copy = mem_text(path, strlen(path));
  int r = base_sync_folder(dirname(copy));
  free(copy);
  return r;
}

/* All blocks are the file's before the first commit: later a full disk can refuse neither a write nor a delete. */
static int base_allocate(struct base *base, struct store_problem *problem) {
  int fd, r = 0;
  mdb_env_get_fd(base->env, &fd);
  struct stat st;
  if (fstat(fd, &st) != 0) return -errno;
  if ((uint64_t)st.st_size < base->size || (uint64_t)st.st_blocks * 512 < base->size) {
    off_t before = st.st_size;
    r = posix_fallocate(fd, 0, (off_t)base->size);
    if (r != 0 && ftruncate(fd, before) != 0) log_warning("store", base->path, "the file could not be cut back");
    if (r == ENOSPC)
      return base_say(problem, STORE_NO_SPACE,
          "The disk of %s has no room for the store's max-size of %llu bytes. Free space there, or set a smaller store "
          "max-size.",
          base->path, (unsigned long long)base->size);
    if (r != 0) return base_say(problem, -r, "The store %s cannot be given its size: %s.", base->path, strerror(r));
  }
  if (fsync(fd) != 0) return -errno;
  return base_sync_folder(base->path);
}

/* ---- the environment ---- */

static int base_databases(struct base *base, MDB_txn *txn, unsigned flags) {
  static const char *lanes[LANES] = {"urgent", "live", "backfill"};
  struct {
    const char *name;
    MDB_dbi *dbi;
  } plain[] = {{"meta", &base->meta}, {"directory", &base->directory}, {"index", &base->index},
      {"pieces", &base->pieces}, {"names", &base->names}};
  char name[32];
  int r = 0;
  for (size_t i = 0; r == 0 && i < sizeof plain / sizeof *plain; i++)
    r = mdb_dbi_open(txn, plain[i].name, flags, plain[i].dbi);
  for (unsigned i = 0; r == 0 && i < STORE_TABLES; i++) {
    snprintf(name, sizeof name, "table-%u", i);
    r = mdb_dbi_open(txn, name, flags, &base->tables[i]);
  }
  for (unsigned i = 0; r == 0 && i < LANES; i++) {
    snprintf(name, sizeof name, "young-%s", lanes[i]);
    r = mdb_dbi_open(txn, name, flags, &base->young[i]);
  }
  for (unsigned i = 0; r == 0 && i < LANES; i++) {
    snprintf(name, sizeof name, "sealed-%s", lanes[i]);
    r = mdb_dbi_open(txn, name, flags | MDB_INTEGERKEY, &base->sealed[i]);
  }
  return base_result("open databases", r);
}

static int base_format(struct base *base, MDB_txn *txn, bool fresh, struct store_problem *problem) {
  uint32_t format = BASE_FORMAT;
  struct bytes value;
  if (fresh) return base_put(txn, base->meta, bytes_text("format"), bytes_of(&format, sizeof format));
  int r = base_get(txn, base->meta, bytes_text("format"), &value);
  if (r < 0) return r;
  if (r != 0 || value.len != sizeof format) return BASE_DAMAGED;
  memcpy(&format, value.data, sizeof format);
  if (format == BASE_FORMAT) return 0;
  if (format > BASE_FORMAT)
    return base_say(problem, STORE_VERSION_NEWER,
        "The store %s was written by a newer version (format %u, this program knows up to %d). Start that newer "
        "version again, or "
        "give this one another store path.",
        base->path, format, BASE_FORMAT);
  return BASE_DAMAGED; /* there is no older format yet; the first that comes is read here and written as the new one */
}

static int base_env(struct base *base, unsigned flags) {
  int r = mdb_env_create(&base->env);
  if (r == 0) r = mdb_env_set_maxdbs(base->env, 32);
  if (r == 0) r = mdb_env_set_mapsize(base->env, base->size);
  if (r == 0) r = mdb_env_open(base->env, base->path, flags, 0600);
  return base_result("open environment", r);
}

static int base_damaged(const struct base *base, struct store_problem *problem) {
  return base_say(problem, STORE_DAMAGED, "The store %s is damaged.", base->path);
}

static int base_set_up(struct base *base, struct store_problem *problem) {
  MDB_txn *txn;
  MDB_stat stat;
  int r = base_result("begin", mdb_txn_begin(base->env, NULL, 0, &txn));
  if (r != 0) return r;
  MDB_dbi root;
  r = base_result("open root", mdb_dbi_open(txn, NULL, 0, &root));
  if (r == 0) r = base_result("stat", mdb_stat(txn, root, &stat));
  bool fresh = r == 0 && stat.ms_entries == 0;
  if (r == 0) r = base_databases(base, txn, MDB_CREATE);
  int outcome = r == 0 ? base_format(base, txn, fresh, problem) : r;
  if (outcome == 0) return base_result("commit", mdb_txn_commit(txn));
  mdb_txn_abort(txn);
  if (outcome == BASE_FULL)
    return base_say(problem, -ENOSPC, "The store %s is too small: set a larger max-size.", base->path);
  return outcome;
}

int base_open(struct base *base, struct store_problem *problem) {
  int r = base_env(base, MDB_NOTLS);
  if (r == BASE_DAMAGED) return base_damaged(base, problem);
  if (r != 0) return base_say(problem, r, "The store %s cannot be opened: %s.", base->path, strerror(-r));
  r = base_allocate(base, problem);
  if (r != 0) return r;
  r = base_set_up(base, problem);
  if (r == BASE_NONE || r == BASE_DAMAGED) return base_damaged(base, problem);
  return r;
}

int base_open_to_read(struct base *base, const char *path, uint64_t size) {
  *base = BASE_NULL;
  base->path = mem_text(path, strlen(path));
  base->size = size;
  int r = base_env(base, MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS);
  if (r != 0) return r;
  MDB_txn *txn;
  r = base_result("begin", mdb_txn_begin(base->env, NULL, MDB_RDONLY, &txn));
  if (r != 0) return r;
  r = base_databases(base, txn, 0);
  if (r == 0) return base_result("commit", mdb_txn_commit(txn));
  mdb_txn_abort(txn);
  return r;
}

void base_close_env(struct base *base) {
  if (base->env) mdb_env_close(base->env);
  base->env = NULL;
}

void base_deinit(struct base *base) {
  base_close_env(base);
  if (base->lock_fd >= 0) close(base->lock_fd);
  free(base->path);
  *base = BASE_NULL;
}
