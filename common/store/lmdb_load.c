/* Knowing the disk again at a start: pieces, trimmed directories, the log from the checkpoint's mark, the young ends.
 */
#include "common/base/log.h"
#include "common/store/internal.h"
#include "common/store/lmdb_state.h"

static int load_piece(struct state *state, MDB_val key, MDB_val value) {
  struct bytes name = base_bytes(key), piece = base_bytes(value);
  if (name.len != 4 || !base_unseal(name, &piece)) return BASE_DAMAGED;
  struct cover *cover = coverage_read(&state->coverage, piece);
  if (!cover || cover->id != base_get_be(name.data, 4)) return BASE_DAMAGED;
  cover->named = true;
  state_set_id(state, cover);
  return 0;
}

static int load_pieces(struct state *state, MDB_txn *txn) {
  MDB_cursor *cursor;
  int r = base_result("cursor", mdb_cursor_open(txn, state->base->pieces, &cursor));
  if (r != 0) return r;
  MDB_val key, value;
  int loaded = 0;
  while (loaded == 0 && (r = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0)
    loaded = load_piece(state, key, value);
  mdb_cursor_close(cursor);
  if (loaded != 0) return loaded;
  return r == MDB_NOTFOUND ? 0 : base_result("read pieces", r);
}

static bool load_directory(void *ctx, const struct directory *directory) {
  struct state *state = ctx;
  if (directory->trimmed == DIRECTORY_WHOLE) return false; /* those that are gone stand in front */
  struct done *done = done_new(STORE_DONE_TRIMMED, NULL);
  for (size_t i = 0; i < directory->run_count; i++) {
    const struct run *run = &directory->runs[i];
    const struct cover *cover = run->id < state->id_cap ? state->by_id[run->id] : NULL;
    const char *reason = directory->trimmed == DIRECTORY_BY_AGE ? trim_by_age : trim_by_size;
    if (cover) trim_note(done, cover, run->first, run->last, reason, directory->trimmed_when);
  }
  trim_effects(done);
  state_apply(state, done->effects, done->effect_count);
  done_free(done);
  state_remember_trimmed(state, directory->lane, directory->segment);
  return true;
}

static int load_positions(struct state *state, MDB_txn *txn, const char *name, uint64_t positions[LANES]) {
  struct bytes value;
  for (size_t i = 0; i < LANES; i++) positions[i] = 1;
  int r = base_get(txn, state->base->meta, bytes_text(name), &value);
  if (r == BASE_NONE) return 0;
  if (r != 0) return r;
  if (value.len != LANES * 8) return BASE_DAMAGED;
  for (size_t i = 0; i < LANES; i++) positions[i] = base_get_be(value.data + i * 8, 8);
  return 0;
}

static void load_effect(void *ctx, const struct effect *effect) { state_apply(ctx, effect, 1); }

static bool load_entry(void *ctx, const struct entry *entry, struct bytes block) {
  struct state *state = ctx;
  entry_effects(entry, load_effect, state);
  state->since_checkpoint += ENTRY_HEAD + block.len;
  if (entry->position >= state->next[entry->lane]) state->next[entry->lane] = entry->position + 1;
  return true;
}

static void load_lost(void *ctx, enum lane lane, uint64_t near, uint64_t count) {
  struct state *state = ctx;
  state->damaged += count;
  if (near + count > state->next[lane]) state->next[lane] = near + count;
  log_error("store", lane_name(lane), "%llu damaged entries near position %llu: kept, never delivered",
      (unsigned long long)count, (unsigned long long)near);
}

static int load_lane(struct state *state, MDB_txn *txn, enum lane lane) {
  struct log_visit visit = {.entry = load_entry, .lost = load_lost, .ctx = state};
  int r = directory_each(state->base, txn, lane, load_directory, state);
  if (r == 0) r = log_walk(state->base, txn, lane, state->mark[lane], &visit);
  if (r == 0) r = young_load(&state->young[lane], state->base, txn, lane, &visit);
  if (r != 0) return r;
  uint64_t first, last;
  r = log_ends(state->base, txn, lane, &first, &last);
  if (r != 0 && r != BASE_NONE) return r;
  if (r == BASE_NONE) first = state->young[lane].count ? state->young[lane].entries[0].position : state->next[lane];
  state->first[lane] = first;
  return 0;
}

static int load_all(struct state *state, MDB_txn *txn) {
  int r = load_pieces(state, txn);
  if (r == 0) r = load_positions(state, txn, "next", state->next);
  if (r == 0) r = load_positions(state, txn, "checkpoint", state->mark);
  for (enum lane lane = LANE_URGENT; r == 0 && lane < LANES; lane++) {
    if (state->mark[lane] > state->next[lane]) state->next[lane] = state->mark[lane];
    r = load_lane(state, txn, lane);
  }
  return r;
}

int state_load(struct state *state, struct base *base) {
  *state = (struct state){.base = base, .coverage = COVERAGE_NULL};
  MDB_txn *txn;
  int r = base_result("begin", mdb_txn_begin(base->env, NULL, MDB_RDONLY, &txn));
  if (r != 0) return r;
  r = load_all(state, txn);
  mdb_txn_abort(txn);
  return r;
}
