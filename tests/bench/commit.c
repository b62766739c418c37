/*
 * What one synchronous commit of LMDB costs on this disk, the limit of every latency: one reading a commit, into a file
 * preallocated as the store's is. For tests/bench/run.
 *
 *   bench_commit --folder DIR --count N      prints {"p50":...,"p99":...} in ms
 */
#include "common/base/mem.h"
#include "common/base/world.h"
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAP_MIB = 64 };

static void need(int result, const char *what) {
  if (result == 0) return;
  fprintf(stderr, "bench_commit: %s: %s\n", what, mdb_strerror(result));
  exit(1);
}

static void preallocate(const char *path) {
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || posix_fallocate(fd, 0, (off_t)MAP_MIB << 20) != 0) need(MDB_INVALID, path);
  fsync(fd);
  close(fd);
}

/* µs */
static int64_t commit_one(MDB_env *env, MDB_dbi dbi, uint64_t number) {
  uint8_t reading[100] = {0};
  MDB_txn *txn;
  MDB_val key = {sizeof number, &number}, value = {sizeof reading, reading};
  int64_t began = world_now(&world_system).mono;
  need(mdb_txn_begin(env, NULL, 0, &txn), "begin");
  need(mdb_put(txn, dbi, &key, &value, MDB_APPEND), "put");
  need(mdb_txn_commit(txn), "commit");
  return world_now(&world_system).mono - began;
}

static int by_size(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  size_t count = strtoull(argv[4], NULL, 10);
  int64_t *took = mem_alloc(count * sizeof *took);
  char path[4096];
  MDB_env *env;
  MDB_txn *txn;
  MDB_dbi dbi;
  snprintf(path, sizeof path, "%s/bench-commit-%ld.mdb", argv[2], (long)getpid());
  need(mdb_env_create(&env), "create");
  need(mdb_env_set_mapsize(env, (size_t)MAP_MIB << 20), "size");
  need(mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK, 0600), "open");
  preallocate(path);
  need(mdb_txn_begin(env, NULL, 0, &txn), "begin");
  need(mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &dbi), "database");
  need(mdb_txn_commit(txn), "commit");
  for (size_t i = 0; i < count; i++) took[i] = commit_one(env, dbi, i);
  mdb_env_close(env);
  unlink(path);
  qsort(took, count, sizeof *took, by_size);
  printf("{\"p50\":%.3f,\"p99\":%.3f}\n", (double)took[count / 2] / 1e3, (double)took[count * 99 / 100] / 1e3);
  free(took);
  return 0;
}
