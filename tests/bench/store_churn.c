/*
 * The store against raw LMDB in the same run, on the same disk, with the same durability.
 *
 *   bench_store_churn [--seconds N] [--folder DIR] [--mib N] [churn | refill | trickle | start]...
 *
 *   churn    a full store: append at the head, retention at the tail
 *   refill   fill, let retention take all of it, fill again
 *   trickle  one block of one reading a commit
 *   start    how long opening takes with the store full, after a clean stop and after a kill
 *
 * The limit is LMDB with fixed values of 256 KiB (one value of the block's size for trickle), synchronous commits, a
 * preallocated file, as many bytes a commit as the store had. Messages are readings of 128 bytes in the block.
 */
#include "common/base/mem.h"
#include "common/store/store.h"
#include <fcntl.h>
#include <lmdb.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { VALUE = 64 * 4096 - 16, MESSAGE = 128, IN_FLIGHT = 256 };
#define MIB ((uint64_t)1 << 20)

static const char *folder = ".";
static double seconds = 20;
static uint64_t size = 1024 * MIB;

/* ---- the world, with a wall clock that can be set ahead so that retention takes everything ---- */

static _Atomic int64_t ahead_us;

static struct instant bench_now(void *ctx) {
  (void)ctx;
  struct instant now = world_now(&world_system);
  now.wall += atomic_load(&ahead_us);
  now.mono += atomic_load(&ahead_us);
  return now;
}

static void bench_random(void *ctx, void *out, size_t len) {
  (void)ctx;
  world_random(&world_system, out, len);
}

static const struct world bench_world = {.now = bench_now, .random = bench_random};

static double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t disk_bytes(void) { /* what this process caused to be written */
  unsigned long long bytes = 0;
  char line[128];
  FILE *io = fopen("/proc/self/io", "r");
  while (io && fgets(line, sizeof line, io)) sscanf(line, "write_bytes: %llu", &bytes);
  if (io) fclose(io);
  return bytes;
}

static void bench_fatal(void *ctx, const char *message) {
  (void)ctx;
  fprintf(stderr, "%s\n", message);
  abort();
}

/* ---- a figure: bytes over time, the first half and the last quarter of a run ---- */

struct rate {
  double begin, end;
  uint64_t bytes, disk, commits;
  double marks[4]; /* when each quarter of the time ended */
  uint64_t at[4];  /* and how many bytes there were */
  int quarter;
};

static void rate_begin(struct rate *rate, double length) {
  *rate = (struct rate){.begin = now_s(), .disk = disk_bytes()};
  for (int i = 0; i < 4; i++) rate->marks[i] = rate->begin + length * (i + 1) / 4;
}

static void rate_add(struct rate *rate, uint64_t bytes) {
  rate->bytes += bytes;
  while (rate->quarter < 4 && now_s() >= rate->marks[rate->quarter]) rate->at[rate->quarter++] = rate->bytes;
}

static void rate_end(struct rate *rate) {
  rate->end = now_s();
  rate->disk = disk_bytes() - rate->disk;
}

static double rate_messages(const struct rate *rate) {
  return (double)rate->bytes / MESSAGE / (rate->end - rate->begin);
}

static void rate_print(const char *what, const struct rate *rate) {
  double quarter = (rate->marks[1] - rate->marks[0]);
  printf("  %-22s %8.3f M msg/s", what, rate_messages(rate) / 1e6);
  if (rate->quarter == 4)
    printf("   first half %.3f, last quarter %.3f", (double)rate->at[1] / MESSAGE / (2 * quarter) / 1e6,
        (double)(rate->at[3] - rate->at[2]) / MESSAGE / quarter / 1e6);
  printf("   %.2f bytes written a byte, %.0f KiB a commit, %llu commits\n", (double)rate->disk / (double)rate->bytes,
      rate->commits ? (double)rate->bytes / (double)rate->commits / 1024 : 0, (unsigned long long)rate->commits);
  fflush(stdout);
}

/* ---- the store ---- */

static void remove_all(const char *path) {
  static const char *names[] = {"data.mdb", "lock.mdb", "lock", "marker", "marker.new"};
  char name[4200];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(name, sizeof name, "%s/%s", path, names[i]);
    unlink(name);
  }
  rmdir(path);
}

static struct store *store_make(char path[4100], int64_t keep_us, enum store_full when_full) {
  snprintf(path, 4100, "%s/bench-store-%ld", folder, (long)getpid());
  struct store *store;
  struct store_problem problem;
  struct store_options options = {.path = path,
      .max_size = size,
      .keep_us = keep_us,
      .when_full = when_full,
      .world = &bench_world,
      .fatal = bench_fatal};
  int r = store_open_lmdb(&store, &options, &problem);
  if (r != 0) {
    fprintf(stderr, "%d: %s\n", r, problem.text);
    exit(1);
  }
  return store;
}

/* A draft of about `bytes`: readings of several hundred gauges. */
static struct blob *draft_make(size_t bytes) {
  struct block_builder *builder = block_builder_new();
  for (int i = 0;; i++) {
    char address[64], text[200];
    snprintf(address, sizeof address, "chongqing/bench/gauge-%d/level", i % 400);
    int64_t now = bench_now(NULL).wall;
    memset(text, 'x', sizeof text);
    struct record record = {.kind = RECORD_READING, .address = bytes_text(address), .time = now, .received = now};
    record.value = (struct value){.type = VALUE_TEXT, .bytes = bytes_of(text, MESSAGE - 14)};
    if ((size_t)(i + 1) * MESSAGE > bytes || block_builder_add(builder, &record, BLOCK_MAX) != 0) break;
  }
  struct blob *draft = block_builder_finish(builder, bytes_text("chongqing/bench"), 1);
  block_builder_free(builder);
  return draft;
}

static void submit(struct store *store, const struct blob *draft) {
  struct store_batch *batch = store_batch_new();
  store_batch_own(batch, LANE_LIVE, bytes_text("chongqing/bench"), blob_copy(blob_bytes(draft)));
  if (store_submit(store, batch, NULL) != 0) abort();
}

/* Takes what waits; how many batches came back. *refused counts those that were not taken. */
static size_t collect(struct store *store, uint64_t *refused) {
  size_t count = 0;
  struct pollfd fd = {.fd = store_fd(store), .events = POLLIN};
  poll(&fd, 1, -1);
  for (struct store_done *done; (done = store_next(store)); store_done_free(done)) {
    if (done->kind == STORE_DONE_REFUSED) (*refused)++;
    if (done->kind == STORE_DONE_REFUSED || done->kind == STORE_DONE_BATCH) count++;
  }
  return count;
}

/* Keeps `window` batches under way until the time or the bytes are over. */
static void drive(
    struct store *store, const struct blob *draft, size_t window, double until, uint64_t most, struct rate *rate) {
  struct store_stats before, after;
  uint64_t refused = 0;
  size_t under_way = 0;
  store_stats(store, &before);
  for (bool more = true; more || under_way;) {
    more = now_s() < until && rate->bytes + under_way * draft->len < most && refused == 0;
    for (; more && under_way < window; under_way++) submit(store, draft);
    if (under_way == 0) break;
    size_t back = collect(store, &refused);
    under_way -= back;
    rate_add(rate, back * draft->len);
  }
  store_stats(store, &after);
  rate->bytes -= refused * draft->len;
  rate->commits = after.commits - before.commits;
}

/* ---- raw LMDB ---- */

struct raw {
  MDB_env *env;
  MDB_dbi dbi;
  uint64_t first, next;
  char path[4100];
};

static void check(int r) {
  if (r == 0) return;
  fprintf(stderr, "raw LMDB: %s\n", mdb_strerror(r));
  exit(1);
}

static void raw_open(struct raw *raw) {
  *raw = (struct raw){.first = 1, .next = 1};
  snprintf(raw->path, sizeof raw->path, "%s/bench-raw-%ld", folder, (long)getpid());
  mkdir(raw->path, 0700);
  check(mdb_env_create(&raw->env));
  check(mdb_env_set_mapsize(raw->env, size));
  check(mdb_env_open(raw->env, raw->path, 0, 0600));
  int fd;
  mdb_env_get_fd(raw->env, &fd);
  check(posix_fallocate(fd, 0, (off_t)size));
  fsync(fd);
  MDB_txn *txn;
  check(mdb_txn_begin(raw->env, NULL, 0, &txn));
  check(mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &raw->dbi));
  check(mdb_txn_commit(txn));
}

static void raw_close(struct raw *raw) {
  mdb_env_close(raw->env);
  remove_all(raw->path);
}

static void raw_commit(struct raw *raw, const void *data, size_t length, size_t puts, size_t deletes) {
  MDB_txn *txn;
  check(mdb_txn_begin(raw->env, NULL, 0, &txn));
  for (size_t i = 0; i < deletes && raw->first < raw->next; i++, raw->first++) {
    MDB_val key = {sizeof raw->first, &raw->first};
    check(mdb_del(txn, raw->dbi, &key, NULL));
  }
  for (size_t i = 0; i < puts; i++, raw->next++) {
    MDB_val key = {sizeof raw->next, &raw->next}, value = {length, NULL};
    check(mdb_put(txn, raw->dbi, &key, &value, MDB_RESERVE | MDB_APPEND));
    memcpy(value.mv_data, data, length);
  }
  check(mdb_txn_commit(txn));
}

static uint64_t raw_pages(struct raw *raw) {
  MDB_envinfo info;
  mdb_env_info(raw->env, &info);
  return info.me_last_pgno;
}

/* Up to `depth` values, then one out for each that comes in. */
static void raw_drive(struct raw *raw, const void *data, size_t length, size_t per_commit, uint64_t depth, double until,
    uint64_t most, struct rate *rate) {
  while (now_s() < until && rate->bytes < most) {
    uint64_t held = raw->next - raw->first;
    raw_commit(raw, data, length, per_commit, held + per_commit > depth ? per_commit : 0);
    rate_add(rate, per_commit * length);
    rate->commits++;
  }
}

static size_t per_commit_of(const struct rate *rate) {
  size_t values = rate->commits ? (size_t)(rate->bytes / rate->commits / VALUE) : 1;
  return values ? values : 1;
}

static void print_ratio(double figure, double limit) { printf("  ratio %.2f\n", figure / limit); }

/* ---- the modes ---- */

static void churn(void) {
  char path[4100];
  struct rate store_rate, raw_rate;
  struct blob *draft = draft_make(62000);
  printf("churn: %.0f s, store of %llu MiB, discard-oldest\n", seconds, (unsigned long long)(size / MIB));
  struct store *store = store_make(path, 0, STORE_DISCARD_OLDEST);
  rate_begin(&store_rate, seconds);
  drive(store, draft, IN_FLIGHT, now_s() + seconds, UINT64_MAX, &store_rate);
  rate_end(&store_rate);
  rate_print("store", &store_rate);
  store_close(store);
  remove_all(path);
  struct raw raw;
  uint8_t *value = mem_alloc(VALUE);
  memset(value, 'x', VALUE);
  raw_open(&raw);
  rate_begin(&raw_rate, seconds);
  raw_drive(&raw, value, VALUE, per_commit_of(&store_rate), size * 74 / 100 / VALUE, now_s() + seconds, UINT64_MAX,
      &raw_rate);
  rate_end(&raw_rate);
  rate_print("raw LMDB, 256 KiB", &raw_rate);
  raw_close(&raw);
  print_ratio(rate_messages(&store_rate), rate_messages(&raw_rate));
  free(value);
  blob_unref(draft);
}

static void drain_by_age(struct store *store) {
  struct store_stats stats;
  uint64_t refused = 0;
  atomic_fetch_add(&ahead_us, INT64_C(7200) * SECOND_US);
  do {
    struct store_batch *batch = store_batch_new();
    store_batch_put(batch, STORE_META, bytes_text("tick"), bytes_text("tock"));
    if (store_submit(store, batch, NULL) != 0) abort();
    while (collect(store, &refused) == 0) continue;
    store_stats(store, &stats);
  } while (stats.logs[LANE_LIVE].first <= stats.logs[LANE_LIVE].last);
}

static void fill(struct store *store, uint64_t bytes, struct rate *rate) {
  struct blob *draft = draft_make(62000);
  rate_begin(rate, 1e9);
  drive(store, draft, IN_FLIGHT, now_s() + 1e9, bytes, rate);
  rate_end(rate);
  blob_unref(draft);
}

static void refill(void) {
  char path[4100];
  uint64_t bytes = size * 6 / 10;
  struct rate first, second, raw_first, raw_second;
  printf("refill: %llu MiB into a store of %llu MiB, drained by age, and again\n", (unsigned long long)(bytes / MIB),
      (unsigned long long)(size / MIB));
  struct store *store = store_make(path, INT64_C(3600) * SECOND_US, STORE_REFUSE);
  fill(store, bytes, &first);
  rate_print("store, fill", &first);
  double start = now_s();
  drain_by_age(store);
  printf("  %-22s %8.3f s\n", "store, drain", now_s() - start);
  fill(store, bytes, &second);
  rate_print("store, refill", &second);
  store_close(store);
  remove_all(path);
  struct raw raw;
  uint8_t *value = mem_alloc(VALUE);
  size_t per_commit = per_commit_of(&first);
  raw_open(&raw);
  rate_begin(&raw_first, 1e9);
  raw_drive(&raw, value, VALUE, per_commit, UINT64_MAX, now_s() + 1e9, bytes, &raw_first);
  rate_end(&raw_first);
  rate_print("raw LMDB, fill", &raw_first);
  uint64_t pages = raw_pages(&raw);
  while (raw.first < raw.next) raw_commit(&raw, value, VALUE, 0, 8);
  rate_begin(&raw_second, 1e9);
  raw_drive(&raw, value, VALUE, per_commit, UINT64_MAX, now_s() + 1e9, bytes, &raw_second);
  rate_end(&raw_second);
  rate_print("raw LMDB, refill", &raw_second);
  printf("  raw LMDB grew by %.0f %%\n", 100.0 * (double)(raw_pages(&raw) - pages) / (double)pages);
  raw_close(&raw);
  print_ratio(rate_messages(&first), rate_messages(&raw_first));
  print_ratio(rate_messages(&second), rate_messages(&raw_second));
  free(value);
}

static void trickle(void) {
  char path[4100];
  struct rate store_rate, raw_rate;
  struct blob *draft = draft_make(MESSAGE);
  printf("trickle: %.0f s, one block of one reading (%u bytes) a commit\n", seconds, draft->len);
  struct store *store = store_make(path, 0, STORE_DISCARD_OLDEST);
  rate_begin(&store_rate, seconds);
  drive(store, draft, 1, now_s() + seconds, UINT64_MAX, &store_rate);
  rate_end(&store_rate);
  rate_print("store", &store_rate);
  store_close(store);
  remove_all(path);
  struct raw raw;
  raw_open(&raw);
  rate_begin(&raw_rate, seconds);
  raw_drive(&raw, draft->data, draft->len, 1, UINT64_MAX, now_s() + seconds, UINT64_MAX, &raw_rate);
  rate_end(&raw_rate);
  rate_print("raw LMDB", &raw_rate);
  raw_close(&raw);
  printf("  commits/s %.0f, raw %.0f\n", (double)store_rate.commits / (store_rate.end - store_rate.begin),
      (double)raw_rate.commits / (raw_rate.end - raw_rate.begin));
  print_ratio(rate_messages(&store_rate), rate_messages(&raw_rate));
  blob_unref(draft);
}

static void open_timed(const char *what) {
  char path[4100];
  double start = now_s();
  struct store *store = store_make(path, 0, STORE_REFUSE);
  printf("  %-22s %8.3f s\n", what, now_s() - start);
  store_close(store);
}

static void start(void) {
  char path[4100];
  struct rate rate;
  uint64_t bytes = size * 6 / 10;
  printf("start: %llu MiB in the store, %.1f M readings of %d bytes\n", (unsigned long long)(bytes / MIB),
      (double)bytes / MESSAGE / 1e6, MESSAGE);
  struct store *store = store_make(path, 0, STORE_REFUSE);
  fill(store, bytes, &rate);
  store_close(store);
  open_timed("after a clean stop");
  fflush(stdout);
  char child_path[4100];
  snprintf(child_path, sizeof child_path, "%s", path);
  printf("  (killed with %.1f MiB logged since it was opened)\n", 40.0);
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    struct store *again;
    struct store_problem problem;
    struct store_options options = {.path = child_path, .max_size = size, .world = &bench_world, .fatal = bench_fatal};
    if (store_open_lmdb(&again, &options, &problem) != 0) _exit(1);
    fill(again, 40 * MIB, &rate);
    kill(getpid(), SIGKILL);
  }
  waitpid(pid, NULL, 0);
  open_timed("after a kill");
  remove_all(path);
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    void (*run)(void);
  } modes[] = {{"churn", churn}, {"refill", refill}, {"trickle", trickle}, {"start", start}};
  bool wanted[4] = {false}, any = false;
  for (int i = 1; i < argc; i++) {
    bool known = false;
    if (i + 1 < argc && strcmp(argv[i], "--seconds") == 0)
      seconds = atof(argv[++i]), known = true;
    else if (i + 1 < argc && strcmp(argv[i], "--folder") == 0)
      folder = argv[++i], known = true;
    else if (i + 1 < argc && strcmp(argv[i], "--mib") == 0)
      size = strtoull(argv[++i], NULL, 10) * MIB, known = true;
    for (size_t m = 0; m < 4; m++)
      if (strcmp(argv[i], modes[m].name) == 0) wanted[m] = any = known = true;
    if (!known)
      return fprintf(stderr, "usage: %s [--seconds N] [--folder DIR] [--mib N] [churn | refill | trickle | start]...\n",
                 argv[0]),
             2;
  }
  for (size_t m = 0; m < 4; m++)
    if (!any || wanted[m]) modes[m].run();
  return 0;
}
