#ifndef RIVERBUS_TESTS_UNIT_STORE_HARNESS_H
#define RIVERBUS_TESTS_UNIT_STORE_HARNESS_H
/* What the tests of the store share: a world that stands still, a store on either backend, blocks, and waiting for
 * completions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "common/store/memory.h"
#include "common/store/store.h"
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- a world ---- */

struct test_world {
  pthread_mutex_t lock;
  int64_t wall, mono;
  uint64_t seed;
};

static struct instant test_now(void *ctx) {
  struct test_world *world = ctx;
  pthread_mutex_lock(&world->lock);
  struct instant now = {.wall = world->wall, .mono = world->mono};
  pthread_mutex_unlock(&world->lock);
  return now;
}

static uint64_t test_draw(uint64_t *seed) { /* xorshift64* */
  *seed ^= *seed >> 12;
  *seed ^= *seed << 25;
  *seed ^= *seed >> 27;
  return *seed * UINT64_C(2685821657736338717);
}

static void test_random(void *ctx, void *out, size_t len) {
  struct test_world *world = ctx;
  pthread_mutex_lock(&world->lock);
  for (size_t i = 0; i < len; i++) ((uint8_t *)out)[i] = (uint8_t)(test_draw(&world->seed) >> 32);
  pthread_mutex_unlock(&world->lock);
}

static inline void test_world_pass(struct test_world *world, int64_t us) {
  pthread_mutex_lock(&world->lock);
  world->wall += us;
  world->mono += us;
  pthread_mutex_unlock(&world->lock);
}

/* ---- a store on one of the backends ---- */

enum backend { MEMORY, LMDB };

struct fixture {
  enum backend backend;
  struct test_world clock;
  struct world world;
  struct store_options options;
  struct store_problem problem;
  char folder[64];
  struct memory_disk *disk;
  struct store *store;
};

static void fixture_fatal(void *ctx, const char *message) {
  (void)ctx;
  fprintf(stderr, "fatal: %s\n", message);
  abort();
}

static inline int fixture_open(struct fixture *f) {
  return f->backend == LMDB ? store_open_lmdb(&f->store, &f->options, &f->problem)
                            : store_open_memory(&f->store, &f->options, f->disk);
}

static inline void fixture_init(struct fixture *f, enum backend backend, uint64_t max_size) {
  *f = (struct fixture){.backend = backend,
      .clock = {.lock = PTHREAD_MUTEX_INITIALIZER,
          .wall = INT64_C(1700000000000000),
          .mono = 1000000,
          .seed = 88172645463325252}};
  f->world = (struct world){.ctx = &f->clock, .now = test_now, .random = test_random};
  snprintf(f->folder, sizeof f->folder, "/tmp/riverbus-store-XXXXXX");
  assert_non_null(mkdtemp(f->folder));
  f->options =
      (struct store_options){.path = f->folder, .max_size = max_size, .world = &f->world, .fatal = fixture_fatal};
  if (backend == MEMORY) f->disk = memory_disk_new();
}

static inline void fixture_start(struct fixture *f, enum backend backend) {
  fixture_init(f, backend, (uint64_t)32 << 20);
  assert_int_equal(fixture_open(f), 0);
}

static inline void fixture_reopen(struct fixture *f) {
  f->store = store_close(f->store);
  assert_int_equal(fixture_open(f), 0);
}

static inline void folder_remove(const char *folder) {
  static const char *names[] = {"data.mdb", "lock.mdb", "lock", "marker", "marker.new"};
  char path[512];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(path, sizeof path, "%s/%s", folder, names[i]);
    unlink(path);
  }
  rmdir(folder);
}

static inline void fixture_end(struct fixture *f) {
  f->store = store_close(f->store);
  f->disk = memory_disk_free(f->disk);
  folder_remove(f->folder);
}

/* Waits for the next completion of any kind. */
static inline struct store_done *fixture_next(struct fixture *f) {
  if (f->backend == MEMORY) store_memory_run(f->store, SIZE_MAX);
  for (;;) {
    struct store_done *done = store_next(f->store);
    if (done) return done;
    if (f->backend == MEMORY) fail_msg("the memory backend has nothing to report");
    struct pollfd fd = {.fd = store_fd(f->store), .events = POLLIN};
    if (poll(&fd, 1, 60000) != 1) fail_msg("no completion within a minute");
  }
}

/* Submits and waits for this batch's completion; what trimming reports meanwhile is dropped unless *trimmed is given:
 * then it gets the last. */
static inline struct store_done *fixture_commit_seeing(
    struct fixture *f, struct store_batch *batch, struct store_done **trimmed) {
  assert_int_equal(store_submit(f->store, batch, batch), 0);
  for (;;) {
    struct store_done *done = fixture_next(f);
    if (done->kind == STORE_DONE_BATCH || done->kind == STORE_DONE_REFUSED) {
      assert_ptr_equal(done->cookie, batch);
      return done;
    }
    if (trimmed && done->kind == STORE_DONE_TRIMMED) {
      if (*trimmed) store_done_free(*trimmed);
      *trimmed = done;
    } else {
      store_done_free(done);
    }
  }
}

static inline struct store_done *fixture_commit(struct fixture *f, struct store_batch *batch) {
  return fixture_commit_seeing(f, batch, NULL);
}

/* Commits and asserts that it was taken; the outcome of the first item. */
static inline enum store_item_outcome fixture_commit_good(struct fixture *f, struct store_batch *batch) {
  struct store_done *done = fixture_commit(f, batch);
  assert_int_equal(done->kind, STORE_DONE_BATCH);
  enum store_item_outcome outcome = done->item_count ? done->items[0].outcome : STORE_STORED;
  store_done_free(done);
  return outcome;
}

static inline struct store_done *fixture_read(struct fixture *f, const struct store_read *request) {
  int cookie;
  assert_int_equal(store_read(f->store, request, &cookie), 0);
  for (;;) {
    struct store_done *done = fixture_next(f);
    if (done->kind == STORE_DONE_READ) {
      assert_ptr_equal(done->cookie, &cookie);
      return done;
    }
    store_done_free(done);
  }
}

/* ---- blocks ---- */

#define TEXT(s) bytes_text(s)
static const struct epoch E1 = {.created = 1000, .random = 7};

/* `count` readings; value_size > 0: each a text of so many bytes. time and received: base + number. */
static inline struct blob *draft_of(
    const char *stream, uint32_t count, size_t value_size, uint64_t run, int64_t received) {
  struct block_builder *builder = block_builder_new();
  char *text = mem_alloc(value_size + 1);
  memset(text, 'x', value_size);
  char address[300];
  snprintf(address, sizeof address, "%s/gauge-1/level", stream);
  char *bang = strchr(address, '!');
  if (bang) memmove(bang, strchr(bang, '/'), strlen(strchr(bang, '/')) + 1);
  for (uint32_t i = 0; i < count; i++) {
    struct record record = {
        .kind = RECORD_READING, .address = TEXT(address), .time = received + i, .received = received + i};
    record.value = value_size ? (struct value){.type = VALUE_TEXT, .bytes = bytes_of(text, value_size)}
                              : (struct value){.type = VALUE_INTEGER, .integer = (int64_t)i};
    assert_int_equal(block_builder_add(builder, &record, BLOCK_MAX), 0);
  }
  struct blob *draft = block_builder_finish(builder, TEXT(stream), run);
  block_builder_free(builder);
  free(text);
  return draft;
}

static inline struct blob *block_of(const char *stream, struct epoch epoch, uint64_t first, uint32_t count) {
  struct blob *block = draft_of(stream, count, 0, 77, INT64_C(1700000000000000));
  block_number(block, epoch, first);
  return block;
}

static inline struct blob *block_of_size(
    const char *stream, struct epoch epoch, uint64_t first, uint32_t count, size_t value_size) {
  struct blob *block = draft_of(stream, count, value_size, 77, INT64_C(1700000000000000));
  block_number(block, epoch, first);
  return block;
}

struct every {
  uint64_t n, rest;
};
static bool every_keep(void *ctx, const struct record *record) {
  const struct every *every = ctx;
  return record->sequence % every->n == every->rest;
}

/* Of a block only the records whose sequence leaves `rest` when divided by n. Takes the block. */
static inline struct blob *block_every(struct blob *from, uint64_t n, uint64_t rest) {
  struct block block;
  struct blob *out = NULL;
  assert_int_equal(block_open(&block, blob_bytes(from)), 0);
  assert_int_equal(block_filter(&out, from, &block, every_keep, &(struct every){n, rest}), 0);
  blob_unref(from);
  return out;
}

static inline struct store_batch *batch_with(enum lane lane, struct blob *block) {
  struct store_batch *batch = store_batch_new();
  store_batch_block(batch, lane, TEXT("peer"), 1, 1, 0, block);
  return batch;
}

static inline struct store_batch *batch_own(enum lane lane, const char *stream, struct blob *draft) {
  struct store_batch *batch = store_batch_new();
  store_batch_own(batch, lane, TEXT(stream), draft);
  return batch;
}

/* ---- looking ---- */

/* Adds a block's sequences to *out; fails on one that is there already. */
static inline void collect_sequences(struct blob *blob, struct intervals *out) {
  struct block block;
  struct block_reader *reader;
  struct record record;
  assert_int_equal(block_open(&block, blob_bytes(blob)), 0);
  assert_int_equal(block_reader_new(&reader, &block), 0);
  while (block_reader_next(reader, &record) == 0) {
    if (intervals_contains(out, record.sequence))
      fail_msg("sequence %llu is there twice", (unsigned long long)record.sequence);
    intervals_add(out, record.sequence, record.sequence);
  }
  block_reader_free(reader);
}

struct looking {
  struct bytes stream;
  struct epoch epoch;
  struct intervals *out;
  uint64_t entries, last_position;
};

__attribute__((unused)) static bool look_at(void *ctx, const struct store_entry *entry) {
  struct looking *looking = ctx;
  looking->entries++;
  assert_true(entry->position > looking->last_position);
  looking->last_position = entry->position;
  if (!entry->block) return true;
  struct block block;
  assert_int_equal(block_open(&block, blob_bytes(entry->block)), 0);
  if (bytes_equal(block.stream, looking->stream) && epoch_compare(block.epoch, looking->epoch) == 0)
    collect_sequences(entry->block, looking->out);
  return true;
}

/* All sequences of (stream, epoch) that the logs give; each is there once. */
static inline void stored_sequences(struct fixture *f, const char *stream, struct epoch epoch, struct intervals *out) {
  struct looking looking = {.stream = TEXT(stream), .epoch = epoch, .out = out};
  for (enum lane lane = LANE_URGENT; lane < LANES; lane++) {
    looking.last_position = 0;
    assert_int_equal(store_replay(f->store, lane, 1, look_at, &looking), 0);
  }
}

static inline void assert_ranges(const struct intervals *set, size_t count, ...) {
  va_list args;
  va_start(args, count);
  assert_int_equal(set->count, count);
  for (size_t i = 0; i < count; i++) {
    uint64_t from = va_arg(args, uint64_t), to = va_arg(args, uint64_t);
    assert_int_equal(set->items[i].from, from);
    assert_int_equal(set->items[i].to, to);
  }
  va_end(args);
}
#define N(x) UINT64_C(x)

static inline void assert_held(
    struct fixture *f, const char *stream, struct epoch epoch, size_t count, uint64_t from, uint64_t to) {
  struct intervals held = INTERVALS_NULL;
  store_held(f->store, TEXT(stream), epoch, &held);
  assert_int_equal(held.count, count);
  if (count) assert_int_equal(held.items[0].from, from);
  if (count) assert_int_equal(held.items[count - 1].to, to);
  intervals_deinit(&held);
}

static inline void assert_stored(
    struct fixture *f, const char *stream, struct epoch epoch, size_t count, uint64_t from, uint64_t to) {
  struct intervals stored = INTERVALS_NULL;
  stored_sequences(f, stream, epoch, &stored);
  assert_int_equal(stored.count, count);
  if (count) assert_int_equal(stored.items[0].from, from);
  if (count) assert_int_equal(stored.items[count - 1].to, to);
  intervals_deinit(&stored);
}

/* Every case runs on both backends. */
__attribute__((unused)) static int setup_memory(void **state) {
  *state = mem_alloc(sizeof(struct fixture));
  fixture_start(*state, MEMORY);
  return 0;
}
__attribute__((unused)) static int setup_lmdb(void **state) {
  *state = mem_alloc(sizeof(struct fixture));
  fixture_start(*state, LMDB);
  return 0;
}
__attribute__((unused)) static int teardown(void **state) {
  fixture_end(*state);
  free(*state);
  return 0;
}
#define BOTH(test)                                                                                                     \
  {"memory/" #test, test, setup_memory, teardown, NULL}, { "lmdb/" #test, test, setup_lmdb, teardown, NULL }
#endif
