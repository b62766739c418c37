/*
 * Bits of a closed store's file are flipped, and pages zeroed: what is then delivered is what was stored, or nothing.
 * Allowed are: no effect, single entries missing and counted, the process ending once, the store set aside by name.
 * Wrong data is not.
 */
#include "harness.h"

#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { USED = 3 << 20, OPENS = 5 };
/* HIDDEN: the log is whole, but some of it was not given by the read by stream and nothing was counted: whoever asked
 * takes it for not held. */
enum verdict { WHOLE = 0, MISSING = 10, ASIDE = 11, WRONG = 12, HIDDEN = 13, ENDED = 75 };

struct expected {
  uint64_t first_live, count_live;
  struct blob **live;
  size_t rows;
};

struct checking {
  const struct expected *expected;
  size_t seen;
  bool wrong;
};

static bool check_entry(void *ctx, const struct store_entry *entry) {
  struct checking *checking = ctx;
  const struct expected *expected = checking->expected;
  uint64_t at = entry->position - expected->first_live;
  bool good = entry->position >= expected->first_live && at < expected->count_live && entry->block &&
              bytes_equal(blob_bytes(entry->block), blob_bytes(expected->live[at])) &&
              bytes_equal(entry->source, TEXT("peer"));
  checking->seen++;
  checking->wrong = checking->wrong || !good;
  return true;
}

static bool check_row(void *ctx, struct bytes key, struct bytes value) {
  struct checking *checking = ctx;
  checking->seen++;
  checking->wrong = checking->wrong || !bytes_equal(key, value);
  return true;
}

static void end_process(void *ctx, const char *message) {
  (void)ctx, (void)message;
  _exit(ENDED);
}

/* In a child: opens, reads everything by each way there is, closes. */
static enum verdict look(struct fixture *f, const struct expected *expected) {
  setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
  f->options.fatal = end_process;
  int r = fixture_open(f);
  if (r == STORE_DAMAGED) { /* a start after that has a new, empty store */
    bool named = strstr(f->problem.text, ".damaged-") != NULL;
    if (fixture_open(f) != 0) return WRONG;
    f->store = store_close(f->store);
    return named ? ASIDE : WRONG;
  }
  if (r != 0) return ENDED;
  struct checking log = {.expected = expected}, rows = {.expected = expected};
  if (store_replay(f->store, LANE_LIVE, 1, check_entry, &log) != 0) return ENDED;
  if (store_scan(f->store, STORE_COMMANDS, check_row, &rows) != 0) return ENDED;
  struct store_read request = {.what = STORE_READ_STREAM,
      .stream = TEXT("q/s"),
      .epoch = E1,
      .from = 1,
      .to = UINT64_MAX - 1,
      .max_bytes = 1 << 30};
  struct store_done *done = fixture_read(f, &request);
  struct checking stream = {.expected = expected};
  for (size_t i = 0; i < done->entry_count; i++) check_entry(&stream, &done->entries[i]);
  store_done_free(done);
  struct store_stats stats;
  store_stats(f->store, &stats);
  bool all = log.seen == expected->count_live && stream.seen == log.seen && rows.seen == expected->rows;
  f->store = store_close(f->store);
  if (log.wrong || rows.wrong || stream.wrong) return WRONG;
  if (all) return WHOLE;
  if (stats.damaged > 0) return MISSING;
  return log.seen == expected->count_live && rows.seen == expected->rows ? HIDDEN : WRONG;
}

static void write_all(const char *folder, const char *name, const uint8_t *data, size_t size, off_t length) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, data, size), (ssize_t)size);
  if (length) assert_int_equal(ftruncate(fd, length), 0);
  close(fd);
}

static void remove_aside(const char *folder) {
  char pattern[128];
  glob_t found;
  snprintf(pattern, sizeof pattern, "%s.damaged-*", folder);
  if (glob(pattern, 0, NULL, &found) != 0) return;
  for (size_t i = 0; i < found.gl_pathc; i++) folder_remove(found.gl_pathv[i]);
  globfree(&found);
}

static const char clean_marker[] = "running 0 ends 0 0 0\n";

/* Puts the changed file in place and lets children look, until one comes to an end with it. Damage far from the tail is
 * found only by the full verify that follows three ends in ten minutes: so five starts at most. */
static enum verdict judge(struct fixture *f, const struct expected *expected, const uint8_t *image) {
  mkdir(f->folder, 0700);
  write_all(f->folder, "data.mdb", image, USED, (off_t)f->options.max_size);
  write_all(f->folder, "marker", (const uint8_t *)clean_marker, sizeof clean_marker - 1, 0);
  for (int i = 0; i < OPENS; i++) {
    int status;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
      alarm(60);
      static const int ends[] = {
          SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL}; /* cmocka would take them for a failed test */
      for (size_t k = 0; k < sizeof ends / sizeof *ends; k++) signal(ends[k], SIG_DFL);
      if (!getenv("RIVERBUS_LOUD") && !freopen("/dev/null", "w", stderr)) _exit(1);
      _exit((int)look(f, expected));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) != ENDED) return (enum verdict)WEXITSTATUS(status);
  }
  return ENDED;
}

static uint8_t *make_store(struct fixture *f, struct expected *expected) {
  fixture_init(f, LMDB, (uint64_t)8 << 20);
  assert_int_equal(fixture_open(f), 0);
  uint64_t next = 1;
  expected->first_live = 1;
  for (int i = 0; i < 300; i++, next += 7) {
    struct store_batch *batch = batch_with(LANE_LIVE, block_of_size("q/s", E1, next, 7, 900));
    char key[32];
    snprintf(key, sizeof key, "command-%03d", i);
    if (i % 3 == 0) store_batch_put(batch, STORE_COMMANDS, TEXT(key), TEXT(key));
    if (i % 3 == 0) expected->rows++;
    struct store_done *done = fixture_commit(f, batch);
    expected->live = mem_resize(expected->live, ++expected->count_live, sizeof *expected->live);
    expected->live[expected->count_live - 1] = blob_ref(done->items[0].block);
    store_done_free(done);
  }
  f->store = store_close(f->store);
  char path[128];
  snprintf(path, sizeof path, "%s/data.mdb", f->folder);
  int fd = open(path, O_RDONLY);
  uint8_t *image = mem_alloc(USED);
  assert_int_equal(read(fd, image, USED), USED);
  close(fd);
  return image;
}

static void damaged_files_never_give_wrong_data(void **state) {
  (void)state;
  struct fixture f;
  struct expected expected = {.rows = 0};
  const char *given = getenv("RIVERBUS_SEED");
  uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)getpid() * 2654435761U + 1;
  unsigned flips = getenv("RIVERBUS_LONG") ? 1500 : 60, zeroes = flips / 3;
  unsigned verdicts[ENDED + 1] = {0};
  print_message("RIVERBUS_SEED=%llu\n", (unsigned long long)seed);
  uint8_t *image = make_store(&f, &expected), *changed = mem_alloc(USED);
  assert_int_equal(judge(&f, &expected, image), WHOLE); /* the way of looking is sound */
  for (unsigned i = 0; i < flips + zeroes; i++) {
    memcpy(changed, image, USED);
    uint64_t at = test_draw(&seed) % USED;
    if (i < flips)
      changed[at] ^= (uint8_t)(1 << test_draw(&seed) % 8);
    else
      memset(changed + at / 4096 * 4096, 0, 4096);
    enum verdict verdict = judge(&f, &expected, changed);
    if (verdict == WRONG) fail_msg("wrong data after change %u at byte %llu", i, (unsigned long long)at);
    if (verdict == ENDED) fail_msg("no end after change %u at byte %llu", i, (unsigned long long)at);
    if (verdict == HIDDEN)
      fail_msg("records hidden and not counted after change %u at byte %llu", i, (unsigned long long)at);
    if (verdict != WHOLE && verdict != MISSING && verdict != ASIDE)
      fail_msg("exit %u after change %u at byte %llu", verdict, i, (unsigned long long)at);
    verdicts[verdict]++;
    remove_aside(f.folder);
  }
  print_message("nothing missing %u, entries missing and counted %u, set aside %u\n", verdicts[WHOLE],
      verdicts[MISSING], verdicts[ASIDE]);
  assert_true(verdicts[MISSING] > 0);
  for (size_t i = 0; i < expected.count_live; i++) blob_unref(expected.live[i]);
  free(expected.live);
  free(image);
  free(changed);
  fixture_end(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(damaged_files_never_give_wrong_data)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
