/*
 * The bare pipeline, the limit beside which P1 is read: three processes that do nothing but store, send, store, send,
 * receive.
 *
 *   bench_bare [--folder DIR] [--count N] [--bytes N] [--mib N]
 *
 * source: LMDB values of 64 KiB, 8 to a synchronous commit -> CURVE -> relay: the same -> CURVE -> subscriber, which
 * checks that every batch came, in order. A batch counts as 64 KiB / `bytes` readings (default 100). No records, no
 * checks, no acknowledgement. Prints one line: readings/s and bytes/s.
 */
#include "common/base/mem.h"
#include "common/identity/identity.h"
#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

enum { BATCH = 64 * 1024, TOGETHER = 8, HIGH_WATER = 64, ENDPOINT = 256 };

struct stage {
  void *context, *in, *out;
  MDB_env *env;
  MDB_dbi dbi;
};

static const char *folder = ".";
static uint64_t count = 2000000, bytes = 100, mib = 2048;
static struct identity_transport keys;
static char path[4096];

static void require(bool good, const char *what) {
  if (good) return;
  fprintf(stderr, "bench_bare: %s: %s\n", what, zmq_strerror(zmq_errno()));
  exit(1);
}

static double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- one stage ---- */

static void *socket_open(struct stage *stage, int type) {
  int high_water = HIGH_WATER, one = 1, linger = -1;
  void *socket = zmq_socket(stage->context, type);
  require(socket && zmq_setsockopt(socket, ZMQ_SNDHWM, &high_water, sizeof high_water) == 0 &&
              zmq_setsockopt(socket, ZMQ_RCVHWM, &high_water, sizeof high_water) == 0 &&
              zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger) == 0,
      "socket");
  if (type == ZMQ_ROUTER)
    require(zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &one, sizeof one) == 0, "CURVE");
  else
    require(zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, keys.public_key, 32) == 0, "CURVE");
  require(zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, keys.public_key, 32) == 0 &&
              zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, keys.secret_key, 32) == 0,
      "CURVE");
  return socket;
}

static void listen_on(struct stage *stage, int tell) {
  char bound[ENDPOINT] = "";
  size_t len = sizeof bound;
  stage->in = socket_open(stage, ZMQ_ROUTER);
  require(
      zmq_bind(stage->in, "tcp://127.0.0.1:*") == 0 && zmq_getsockopt(stage->in, ZMQ_LAST_ENDPOINT, bound, &len) == 0,
      "bind");
  require(write(tell, bound, sizeof bound) == sizeof bound, "pipe");
}

static void connect_to(struct stage *stage, int hear) {
  char bound[ENDPOINT];
  stage->out = socket_open(stage, ZMQ_DEALER);
  require(read(hear, bound, sizeof bound) == sizeof bound && zmq_connect(stage->out, bound) == 0, "connect");
}

static void store_open(struct stage *stage, const char *name) {
  MDB_txn *txn;
  char file[4200];
  int fd;
  snprintf(file, sizeof file, "%s/%s", path, name);
  require(mdb_env_create(&stage->env) == 0 && mdb_env_set_mapsize(stage->env, mib << 20) == 0 &&
              mdb_env_open(stage->env, file, MDB_NOSUBDIR, 0600) == 0,
      "LMDB");
  require(mdb_env_get_fd(stage->env, &fd) == 0 && posix_fallocate(fd, 0, (off_t)(mib << 20)) == 0 && fsync(fd) == 0,
      "LMDB: room for the map");
  require(mdb_txn_begin(stage->env, NULL, 0, &txn) == 0 && mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &stage->dbi) == 0 &&
              mdb_txn_commit(txn) == 0,
      "LMDB");
}

static void store_put(struct stage *stage, const uint8_t *batches, uint64_t first, size_t n) {
  MDB_txn *txn;
  require(mdb_txn_begin(stage->env, NULL, 0, &txn) == 0, "LMDB");
  for (size_t i = 0; i < n; i++) {
    uint64_t number = first + i;
    MDB_val key = {sizeof number, &number}, value = {BATCH - 16, (void *)(uintptr_t)(batches + i * BATCH)};
    require(mdb_put(txn, stage->dbi, &key, &value, MDB_APPEND) == 0, "LMDB put: is --mib enough?");
  }
  require(mdb_txn_commit(txn) == 0, "LMDB commit");
}

static void send_on(struct stage *stage, const uint8_t *batches, size_t n) {
  for (size_t i = 0; i < n; i++) require(zmq_send(stage->out, batches + i * BATCH, BATCH, 0) == BATCH, "send");
}

/* The next batch; its number must be `wanted`. */
static void receive(struct stage *stage, uint8_t *batch, uint64_t wanted) {
  uint8_t id[256];
  uint64_t number;
  require(zmq_recv(stage->in, id, sizeof id, 0) >= 0 && zmq_recv(stage->in, batch, BATCH, 0) == BATCH, "receive");
  memcpy(&number, batch, sizeof number);
  if (number != wanted)
    fprintf(stderr, "bench_bare: batch %llu instead of %llu\n", (unsigned long long)number, (unsigned long long)wanted),
        exit(1);
}

/* ---- the three ---- */

static void subscriber(uint64_t batches, int tell, int done) {
  struct stage stage = {.context = zmq_ctx_new()};
  uint8_t *batch = mem_alloc(BATCH);
  listen_on(&stage, tell);
  for (uint64_t i = 0; i < batches + TOGETHER; i++) {
    receive(&stage, batch, i);
    if (i + 1 == TOGETHER) require(write(done, "", 1) == 1, "pipe"); /* the warm-up is through */
  }
  require(write(done, "", 1) == 1, "pipe");
  free(batch);
}

static void relay(uint64_t batches, int hear, int tell) {
  struct stage stage = {.context = zmq_ctx_new()};
  uint8_t *batch = mem_alloc((size_t)TOGETHER * BATCH);
  store_open(&stage, "relay");
  connect_to(&stage, hear);
  listen_on(&stage, tell);
  for (uint64_t i = 0; i < batches + TOGETHER; i += TOGETHER) {
    for (size_t n = 0; n < TOGETHER; n++) receive(&stage, batch + n * BATCH, i + n);
    store_put(&stage, batch, i, TOGETHER);
    send_on(&stage, batch, TOGETHER);
  }
  zmq_close(stage.out);
  zmq_close(stage.in);
  zmq_ctx_term(stage.context); /* waits until all is sent */
  free(batch);
}

static double source(uint64_t batches, int hear, int done) {
  struct stage stage = {.context = zmq_ctx_new()};
  uint8_t *batch = mem_alloc((size_t)TOGETHER * BATCH);
  char mark;
  double began = 0;
  for (size_t i = 0; i < (size_t)TOGETHER * BATCH; i++) batch[i] = (uint8_t)(i * 2654435761u >> 13);
  store_open(&stage, "source");
  connect_to(&stage, hear);
  for (uint64_t i = 0; i < batches + TOGETHER; i += TOGETHER) {
    for (uint64_t n = 0, number = i; n < TOGETHER; n++, number++) memcpy(batch + n * BATCH, &number, sizeof number);
    store_put(&stage, batch, i, TOGETHER);
    send_on(&stage, batch, TOGETHER);
    if (i) continue;
    require(read(done, &mark, 1) == 1, "the other processes");
    began = now_s();
  }
  require(read(done, &mark, 1) == 1, "the other processes");
  free(batch);
  return now_s() - began;
}

static bool read_options(int argc, char **argv) {
  for (int i = 1; i + 1 < argc; i += 2) {
    if (strcmp(argv[i], "--folder") == 0)
      folder = argv[i + 1];
    else if (strcmp(argv[i], "--count") == 0)
      count = strtoull(argv[i + 1], NULL, 10);
    else if (strcmp(argv[i], "--bytes") == 0)
      bytes = strtoull(argv[i + 1], NULL, 10);
    else if (strcmp(argv[i], "--mib") == 0)
      mib = strtoull(argv[i + 1], NULL, 10);
    else
      return false;
  }
  return argc % 2 == 1 && count && bytes && mib;
}

/* A child; it does not outlive its parent. */
static pid_t child_new(void) {
  pid_t pid = fork();
  if (pid == 0) prctl(PR_SET_PDEATHSIG, SIGKILL);
  return pid;
}

static void remove_store(const char *name) {
  static const char *const ends[] = {"", "-lock"};
  char file[4200];
  for (int i = 0; i < 2; i++) {
    snprintf(file, sizeof file, "%s/%s%s", path, name, ends[i]);
    unlink(file);
  }
}

int main(int argc, char **argv) {
  struct identity *identity = NULL;
  int to_relay[2], to_source[2], done[2];
  if (!read_options(argc, argv))
    return fprintf(stderr, "usage: %s [--folder DIR] [--count N] [--bytes N] [--mib N]\n", argv[0]), 2;
  uint64_t batches = (count * bytes / BATCH / TOGETHER + 1) * TOGETHER;
  snprintf(path, sizeof path, "%s/bare-XXXXXX", folder);
  require(mkdtemp(path) && pipe(to_relay) == 0 && pipe(to_source) == 0 && pipe(done) == 0 &&
              identity_generate(&identity) == 0,
      path);
  identity_transport(identity, &keys);
  identity_free(identity);
  pid_t subscribes = child_new();
  if (subscribes == 0) close(done[0]), subscriber(batches, to_relay[1], done[1]), _exit(0);
  pid_t relays = child_new();
  if (relays == 0) close(done[0]), close(done[1]), relay(batches, to_relay[0], to_source[1]), _exit(0);
  close(done[1]);
  double took = source(batches, to_source[0], done[0]);
  waitpid(subscribes, NULL, 0);
  waitpid(relays, NULL, 0);
  remove_store("relay");
  remove_store("source");
  rmdir(path);
  printf("%.0f readings/s of %llu bytes, %.0f bytes/s\n", (double)(batches * (BATCH / bytes)) / took,
      (unsigned long long)bytes, (double)(batches * BATCH) / took);
  return 0;
}
