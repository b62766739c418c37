/* Taking away the front of a log. */
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/store/internal.h"
#include "common/store/lmdb_state.h"

enum { YOUNG_MOST = 64 };

static const char *reason_of(enum directory_trimmed why) {
  return why == DIRECTORY_BY_AGE ? trim_by_age : trim_by_size;
}

static bool state_has_segment(struct state *state, MDB_txn *txn, enum lane lane, uint64_t *segment, int *result) {
  uint64_t last;
  *result = log_ends(state->base, txn, lane, segment, &last);
  return *result == 0;
}

struct rebuilding {
  struct state *state;
  struct directory *directory;
};

static bool rebuild_entry(void *ctx, const struct entry *entry, struct bytes block) {
  struct rebuilding *rebuilding = ctx;
  (void)block;
  struct cover *cover = coverage_find(&rebuilding->state->coverage, entry->is.stream, entry->is.epoch);
  if (cover && cover->id) directory_add(rebuilding->directory, &entry->is, cover->id, &cover->slot);
  return true;
}

static void rebuild_lost(void *ctx, enum lane lane, uint64_t near, uint64_t count) {
  (void)ctx;
  log_error("store", lane_name(lane), "%llu damaged entries near position %llu", (unsigned long long)count,
      (unsigned long long)near);
}

/* A damaged directory is made again from its segment, as far as that can be read. */
static int state_directory(struct state *state, MDB_txn *txn, struct directory *directory) {
  int r = directory_get(directory, state->base, txn);
  if (r != BASE_NONE && r != BASE_DAMAGED) return r;
  enum lane lane = directory->lane;
  uint64_t segment = directory->segment;
  directory_deinit(directory);
  directory_init(directory, lane, segment);
  state->damaged++;
  struct rebuilding rebuilding = {state, directory};
  struct log_visit visit = {.entry = rebuild_entry, .lost = rebuild_lost, .ctx = &rebuilding};
  r = log_walk_segment(state->base, txn, lane, segment, &visit);
  for (size_t i = 0; i < directory->run_count; i++) state->by_id[directory->runs[i].id]->slot = 0;
  return r;
}

int state_front(struct state *state, MDB_txn *txn, enum lane lane, int64_t *received_to) {
  uint64_t segment;
  int r;
  if (state_has_segment(state, txn, lane, &segment, &r)) {
    struct directory directory;
    directory_init(&directory, lane, segment);
    r = state_directory(state, txn, &directory);
    *received_to = directory.received_to;
    directory_deinit(&directory);
    return r;
  }
  if (r != BASE_NONE) return r;
  const struct young *young = &state->young[lane];
  if (young->count == 0) return BASE_NONE;
  *received_to = young->entries[0].is.received_to;
  return 0;
}

static void state_note_runs(
    struct state *state, const struct directory *directory, struct done *done, uint64_t *records) {
  for (size_t i = 0; i < directory->run_count; i++) {
    const struct run *run = &directory->runs[i];
    const struct cover *cover = run->id < state->id_cap ? state->by_id[run->id] : NULL;
    if (!cover) continue;
    *records += run->records;
    trim_note(done, cover, run->first, run->last, reason_of(directory->trimmed), directory->trimmed_when);
  }
}

void state_remember_trimmed(struct state *state, enum lane lane, uint64_t segment) {
  if (state->trimmed_count == state->trimmed_cap) {
    state->trimmed_cap = state->trimmed_cap ? state->trimmed_cap * 2 : 16;
    state->trimmed = mem_resize(state->trimmed, state->trimmed_cap, sizeof *state->trimmed);
  }
  state->trimmed[state->trimmed_count++] = (struct trimmed){lane, segment};
}

static uint64_t state_first_after(struct state *state, MDB_txn *txn, enum lane lane) {
  uint64_t first, last;
  const struct young *young = &state->young[lane];
  if (log_ends(state->base, txn, lane, &first, &last) == 0) return first;
  return young->count ? young->entries[0].position : state->next[lane];
}

static int state_trim_segment(
    struct state *state, MDB_txn *txn, struct directory *directory, struct done *done, uint64_t *records) {
  MDB_val key = {.mv_size = sizeof directory->segment, .mv_data = &directory->segment};
  int r = index_delete(directory, state->base, txn);
  if (r == 0) r = base_result("trim", mdb_del(txn, state->base->sealed[directory->lane], &key, NULL));
  if (r == 0) r = directory_put(directory, state->base, txn);
  if (r != 0) return r;
  state_note_runs(state, directory, done, records);
  state_remember_trimmed(state, directory->lane, directory->segment);
  return 0;
}

static int state_trim_young(struct state *state, MDB_txn *txn, enum lane lane, int64_t older,
    enum directory_trimmed why, int64_t now, struct done *done, uint64_t *records) {
  struct young *young = &state->young[lane];
  size_t count = 0;
  for (; count < young->count && count < YOUNG_MOST && young->entries[count].is.received_to < older; count++) {
    const struct block_summary *is = &young->entries[count].is;
    *records += is->count;
    const struct cover *cover = coverage_find(&state->coverage, is->stream, is->epoch);
    if (is->count > 0 && cover) trim_note(done, cover, is->first, is->last, reason_of(why), now);
  }
  int r = young_delete(young, state->base, txn, lane, count);
  if (r == 0) young_drop(young, count);
  state->trimmed_young = true;
  return r;
}

/* Positions go on where they were even when nothing is left to tell them by. */
static int state_write_next(struct state *state, MDB_txn *txn) {
  uint8_t value[LANES * 8];
  for (size_t i = 0; i < LANES; i++) base_put_be(value + i * 8, state->next[i], 8);
  return base_put(txn, state->base->meta, bytes_text("next"), bytes_of(value, sizeof value));
}

int state_touch(struct state *state, MDB_txn *txn) { return state_write_next(state, txn); }

int state_trim(struct state *state, MDB_txn *txn, enum lane lane, int64_t older, enum directory_trimmed why,
    int64_t now, struct done *done, uint64_t *records) {
  struct directory directory;
  uint64_t segment;
  int r;
  if (state_has_segment(state, txn, lane, &segment, &r)) {
    directory_init(&directory, lane, segment);
    r = state_directory(state, txn, &directory);
    directory.trimmed = why;
    directory.trimmed_when = now;
    if (r == 0) r = state_trim_segment(state, txn, &directory, done, records);
    directory_deinit(&directory);
  } else if (r == BASE_NONE) {
    r = state_trim_young(state, txn, lane, older, why, now, done, records);
  }
  if (r == 0) state->first[lane] = state_first_after(state, txn, lane);
  return r;
}

int state_trim_end(struct state *state, MDB_txn *txn, struct done *done) {
  trim_effects(done);
  state_apply(state, done->effects, done->effect_count);
  int r = state_write_next(state, txn);
  bool young = state->trimmed_young;
  state->trimmed_young = false;
  return r == 0 && young ? state_keep(state, txn, done->effects, done->effect_count) : r;
}
