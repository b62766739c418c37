/* The LMDB backend and what happens to processes, files and disks: kills at any commit, a second process, a newer
 * format, a disk without room. */
#include "harness.h"

#include "common/store/lmdb_base.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* ---- kills ---- */

static size_t size_of_value = 300; /* of the records that the child writes */

/* The child's work: own records and a peer's block in each batch; it writes the last sequence of each acknowledged
 * batch to the pipe, for ever. */
static void work(struct fixture *f, int pipe_fd) {
  struct store_stream stream;
  uint64_t peer = store_stream_get(f->store, TEXT("q/s"), &stream) ? stream.last + 1 : 1;
  for (;; peer += 7) {
    /* both lanes grow old together, so whole segments are trimmed */
    int64_t received = f->clock.wall + (int64_t)peer * 1000;
    struct store_batch *batch =
        batch_own(LANE_LIVE, "p/s", draft_of("p/s", 3, size_of_value, store_run(f->store), received));
    uint64_t again = peer > 20 ? peer - 20 : 1; /* the first twenty are held already */
    struct blob *block = draft_of("q/s", (uint32_t)(peer + 7 - again), size_of_value, 77, received);
    block_number(block, E1, again);
    store_batch_block(batch, LANE_BACKFILL, TEXT("peer"), 1, 1, peer + 6, block);
    store_batch_audit(batch, TEXT("entry"));
    struct store_done *done = fixture_commit(f, batch);
    uint64_t acknowledged[2] = {done->items[0].last, peer + 6};
    store_done_free(done);
    if (write(pipe_fd, acknowledged, sizeof acknowledged) != sizeof acknowledged) _exit(3);
  }
}

/* Runs the child until it was acknowledged `most` times or died by itself; the last acknowledgement is left in *last.
 */
static void run_child(struct fixture *f, const char *kill_at, unsigned most, uint64_t last[2]) {
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    close(ends[0]);
    if (kill_at) setenv("RIVERBUS_KILL_AT", kill_at, 1);
    if (fixture_open(f) != 0) _exit(2);
    work(f, ends[1]);
  }
  close(ends[1]);
  uint64_t got[2];
  for (unsigned i = 0; i < most && read(ends[0], got, sizeof got) == sizeof got; i++) memcpy(last, got, sizeof got);
  kill(pid, SIGKILL);
  while (read(ends[0], got, sizeof got) == sizeof got) memcpy(last, got, sizeof got); /* acknowledged before it died */
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  close(ends[0]);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* Each row is the next link of one chain. */
static bool count_row(void *ctx, struct bytes key, struct bytes value) {
  struct store_audit *before = ctx, row;
  struct bytes entry;
  uint8_t link[CHAIN_HASH];
  assert_true(store_audit_row(key, value, &row, &entry));
  assert_true(bytes_equal(entry, TEXT("entry")));
  assert_int_equal(row.number, before->number + 1);
  chain_next(before->link, row.number, entry, link);
  assert_memory_equal(link, row.link, CHAIN_HASH);
  *before = row;
  return true;
}

/* All that was acknowledged is there, once, at most one batch more; what belongs together came together. */
static void judge(struct fixture *f, const uint64_t last[2]) {
  struct store_stream own, peer;
  assert_int_equal(fixture_open(f), 0);
  assert_true(store_stream_get(f->store, TEXT("p/s"), &own));
  assert_true(store_stream_get(f->store, TEXT("q/s"), &peer));
  assert_in_range(own.last, last[0], last[0] + 3);
  assert_in_range(peer.last, last[1], last[1] + 7);
  assert_int_equal(own.last / 3, peer.last / 7);
  assert_stored(f, "p/s", own.epoch, 1, 1, own.last);
  assert_stored(f, "q/s", E1, 1, 1, peer.last);
  assert_held(f, "q/s", E1, 1, 1, peer.last);
  struct intervals claimed = INTERVALS_NULL;
  store_claimed(f->store, TEXT("q/s"), E1, TEXT("peer"), 1, &claimed);
  assert_ranges(&claimed, 1, N(1), peer.last);
  intervals_deinit(&claimed);
  struct store_audit chain = {.number = 0}, head;
  assert_int_equal(store_scan(f->store, STORE_AUDIT, count_row, &chain), 0);
  assert_int_equal(chain.number, own.last / 3);
  store_audit_head(f->store, &head);
  assert_int_equal(head.number, chain.number);
  assert_memory_equal(head.link, chain.link, CHAIN_HASH);
  struct store_stats stats;
  store_stats(f->store, &stats);
  assert_int_equal(stats.damaged, 0);
  f->store = store_close(f->store);
}

static void begin(struct fixture *f) { fixture_init(f, LMDB, (uint64_t)32 << 20); }

static void what_was_acknowledged_survives_a_kill(void **state) {
  (void)state;
  struct fixture f;
  uint64_t last[2] = {0, 0};
  begin(&f);
  for (unsigned round = 0; round < 8; round++) {
    run_child(&f, NULL, 5 + round * 23 % 61, last);
    if (round % 2) judge(&f, last); /* the others are recovered by the next child */
  }
  fixture_end(&f);
}

/* Enough for several checkpoints, so that a start reads pieces and the log behind them. */
static void a_kill_between_checkpoints_loses_nothing(void **state) {
  (void)state;
  struct fixture f;
  uint64_t last[2] = {0, 0};
  fixture_init(&f, LMDB, (uint64_t)96 << 20);
  size_of_value = 2200;
  for (unsigned round = 0; round < 3; round++) {
    run_child(&f, NULL, 700, last);
    judge(&f, last);
  }
  size_of_value = 300;
  fixture_end(&f);
}

static void see_gone(void *ctx, const struct store_discard *discard) { intervals_add(ctx, discard->from, discard->to); }

/* Churn in a small store: what was trimmed stays named and late, also when the kill comes before the checkpoint that
 * would say so. */
static void a_kill_while_trimming_keeps_the_floor(void **state) {
  (void)state;
  struct fixture f;
  uint64_t last[2] = {0, 0};
  fixture_init(&f, LMDB, (uint64_t)8 << 20);
  f.options.when_full = STORE_DISCARD_OLDEST;
  size_of_value = 2200;
  for (unsigned round = 0; round < 4; round++) {
    run_child(&f, NULL, 500, last);
    assert_int_equal(fixture_open(&f), 0);
    struct store_stream peer;
    struct intervals gone = INTERVALS_NULL;
    assert_true(store_stream_get(f.store, TEXT("q/s"), &peer));
    assert_true(peer.floor > 1);
    assert_stored(&f, "q/s", E1, 1, peer.floor, peer.last);
    store_discards(f.store, TEXT("q/s"), see_gone, &gone);
    assert_ranges(&gone, 1, N(1), peer.floor - 1);
    intervals_deinit(&gone);
    assert_int_equal(
        fixture_commit_good(&f, batch_with(LANE_BACKFILL, block_of("q/s", E1, peer.floor - 100, 100))), STORE_LATE);
    f.store = store_close(f.store);
  }
  size_of_value = 300;
  fixture_end(&f);
}

static void a_kill_at_a_commit_is_before_or_after_it(void **state) {
  (void)state;
#ifndef RIVERBUS_TEST_HOOKS
  print_message("SKIPPED: built without RIVERBUS_TEST_HOOKS\n");
  skip();
#endif
  struct fixture f;
  uint64_t last[2] = {0, 0};
  begin(&f);
  run_child(&f, "before-commit:7", UINT32_MAX, last);
  assert_int_equal(last[0], 18);
  assert_int_equal(fixture_open(&f), 0);
  struct store_stream own;
  assert_true(store_stream_get(f.store, TEXT("p/s"), &own));
  assert_int_equal(own.last, 18); /* the seventh is not there */
  f.store = store_close(f.store);
  run_child(&f, "after-commit:4", UINT32_MAX, last);
  assert_int_equal(last[0], 18 + 9);
  assert_int_equal(fixture_open(&f), 0);
  assert_true(store_stream_get(f.store, TEXT("p/s"), &own));
  assert_int_equal(own.last, 18 + 12); /* the fourth is, though nobody was told */
  f.store = store_close(f.store);
  judge(&f, last);
  fixture_end(&f);
}

static void nothing_is_acknowledged_before_the_commit(void **state) {
  (void)state;
#ifndef RIVERBUS_TEST_HOOKS
  print_message("SKIPPED: built without RIVERBUS_TEST_HOOKS\n");
  skip();
#endif
  struct fixture f;
  begin(&f);
  f.options.test_commit_delay_us = 300000;
  assert_int_equal(fixture_open(&f), 0);
  assert_int_equal(store_submit(f.store, batch_with(LANE_LIVE, block_of("q/s", E1, 1, 3)), NULL), 0);
  struct pollfd fd = {.fd = store_fd(f.store), .events = POLLIN};
  assert_int_equal(poll(&fd, 1, 100), 0);
  assert_null(store_next(f.store));
  assert_int_equal(poll(&fd, 1, 60000), 1);
  store_done_free(store_next(f.store));
  fixture_end(&f);
}

/* ---- names and ends that last ---- */

static char synced[16][300]; /* the folders and files that fsync was called for, newest last */
static size_t synced_count;

/* In place of the C library's, for all that is linked into this program. */
int fsync(int fd) {
  char name[64];
  snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
  if (synced_count < sizeof synced / sizeof *synced) {
    ssize_t len = readlink(name, synced[synced_count], sizeof *synced - 1);
    if (len >= 0) synced[synced_count++][len] = 0;
  }
  return (int)syscall(SYS_fsync, fd);
}

static bool was_synced(const char *path) {
  for (size_t i = 0; i < synced_count; i++)
    if (strcmp(synced[i], path) == 0) return true;
  return false;
}

static void a_new_store_and_one_set_aside_have_lasting_names(void **state) {
  struct fixture *f = *state;
  char parent[128], path[160], aside[300];
  f->store = store_close(f->store);
  snprintf(parent, sizeof parent, "%s", f->folder);
  snprintf(path, sizeof path, "%s/inner", parent);
  f->options.path = path;
  synced_count = 0;
  assert_int_equal(fixture_open(f), 0);
  assert_true(was_synced(parent));
  f->store = store_close(f->store);
  snprintf(aside, sizeof aside, "%s/data.mdb", path);
  int fd = open(aside, O_WRONLY | O_TRUNC);
  assert_int_equal(write(fd, path, sizeof path), sizeof path); /* nothing that LMDB takes for its own */
  close(fd);
  synced_count = 0;
  assert_int_equal(fixture_open(f), STORE_DAMAGED);
  assert_true(was_synced(parent));
  const char *name = strstr(f->problem.text, path);
  name = name ? strstr(name + 1, path) : NULL;
  assert_non_null(name);
  snprintf(aside, sizeof aside, "%.*s", (int)strcspn(name, ";"), name);
  folder_remove(aside);
  folder_remove(path);
  f->options.path = f->folder;
}

/* Closes without being able to write behind the first page: the marker still could be. */
static void close_without_writing(struct fixture *f) {
  signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &(struct rlimit){BASE_PAGE, BASE_PAGE});
  store_close(f->store);
  _exit(0);
}

static void a_last_checkpoint_that_fails_is_not_a_clean_end(void **state) {
  (void)state;
  struct fixture f;
  int status;
  begin(&f);
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    if (fixture_open(&f) != 0) _exit(2);
    fixture_commit_good(&f, batch_with(LANE_LIVE, block_of("q/s", E1, 1, 3)));
    close_without_writing(&f);
  }
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
  char name[128];
  int running = 0;
  snprintf(name, sizeof name, "%s/marker", f.folder);
  FILE *marker = fopen(name, "r");
  assert_non_null(marker);
  assert_int_equal(fscanf(marker, "running %d", &running), 1);
  fclose(marker);
  assert_int_equal(running, 1);
  assert_int_equal(fixture_open(&f), 0);
  assert_stored(&f, "q/s", E1, 1, 1, 3);
  fixture_end(&f);
}

/* ---- refusals ---- */

static void a_second_process_is_refused(void **state) {
  struct fixture *f = *state;
  struct store *second;
  struct store_problem problem;
  assert_int_equal(store_open_lmdb(&second, &f->options, &problem), STORE_IN_USE);
  assert_non_null(strstr(problem.text, f->folder));
}

static void a_newer_format_is_refused(void **state) {
  struct fixture *f = *state;
  fixture_commit_good(f, batch_with(LANE_LIVE, block_of("q/s", E1, 1, 3)));
  f->store = store_close(f->store);
  for (uint32_t format = 2; format >= 1; format--) { /* and the same one again is taken */
    struct base base;
    MDB_txn *txn;
    assert_int_equal(base_take(&base, &f->options, &f->problem), 0);
    assert_int_equal(base_open(&base, &f->problem), format == 2 ? 0 : STORE_VERSION_NEWER);
    if (format == 2) {
      assert_int_equal(mdb_txn_begin(base.env, NULL, 0, &txn), 0);
      assert_int_equal(base_put(txn, base.meta, TEXT("format"), bytes_of(&format, sizeof format)), 0);
      assert_int_equal(mdb_txn_commit(txn), 0);
    }
    base_deinit(&base);
    if (format == 1) break;
    assert_int_equal(fixture_open(f), STORE_VERSION_NEWER);
    assert_non_null(strstr(f->problem.text, "newer version"));
  }
}

static void network_file_systems_are_known(void **state) {
  (void)state;
  assert_true(base_is_network(0x6969));               /* NFS */
  assert_true(base_is_network((long)0xFF534D42));     /* CIFS */
  assert_true(base_is_network((int32_t)0xFE534D42));  /* SMB2, sign-extended on 32 bits */
  assert_true(base_is_network(0x65735546));           /* FUSE */
  assert_false(base_is_network(0xEF53));              /* ext4 */
  assert_false(base_is_network(0x58465342));          /* xfs */
  assert_false(base_is_network((int32_t)0x9123683E)); /* btrfs */
  assert_false(base_is_network(0x01021994));          /* tmpfs */
}

static void a_store_that_is_too_small_is_refused(void **state) {
  struct fixture *f = *state;
  f->store = store_close(f->store);
  f->options.max_size = 1 << 20;
  assert_true(fixture_open(f) < 0);
  assert_non_null(strstr(f->problem.text, "8MiB"));
}

enum { NO_MOUNT = 77 };

/* In a child with a mount of its own: a file system of 16 MiB cannot hold a store of 32, and keeps nothing of the
 * attempt. */
static int open_without_room(struct fixture *f) {
  if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return NO_MOUNT;
  if (mount("tmpfs", f->folder, "tmpfs", 0, "size=16m") != 0) return NO_MOUNT;
  if (fixture_open(f) != STORE_NO_SPACE || !strstr(f->problem.text, "max-size")) return 1;
  f->options.max_size = 8 << 20;
  if (fixture_open(f) != 0) return 2;
  f->store = store_close(f->store);
  return 0;
}

static void a_disk_without_room_is_refused(void **state) {
  (void)state;
  struct fixture f;
  begin(&f);
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) _exit(open_without_room(&f));
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  fixture_end(&f);
  if (WIFEXITED(status) && WEXITSTATUS(status) == NO_MOUNT) {
    print_message("SKIPPED: no mount namespace here\n");
    skip();
  }
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_was_acknowledged_survives_a_kill),
      cmocka_unit_test(a_kill_between_checkpoints_loses_nothing),
      cmocka_unit_test(a_kill_while_trimming_keeps_the_floor),
      cmocka_unit_test(a_kill_at_a_commit_is_before_or_after_it),
      cmocka_unit_test(nothing_is_acknowledged_before_the_commit),
      cmocka_unit_test_setup_teardown(a_new_store_and_one_set_aside_have_lasting_names, setup_lmdb, teardown),
      cmocka_unit_test(a_last_checkpoint_that_fails_is_not_a_clean_end),
      cmocka_unit_test_setup_teardown(a_second_process_is_refused, setup_lmdb, teardown),
      cmocka_unit_test_setup_teardown(a_newer_format_is_refused, setup_lmdb, teardown),
      cmocka_unit_test(network_file_systems_are_known),
      cmocka_unit_test_setup_teardown(a_store_that_is_too_small_is_refused, setup_lmdb, teardown),
      cmocka_unit_test(a_disk_without_room_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
