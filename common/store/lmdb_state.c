#include "common/store/lmdb_state.h"
#include "common/store/lmdb_search.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include <stdlib.h>

enum { NAME_KEY_MAX = STREAM_MAX + 16 };

static void covers_add(struct covers *covers, struct cover *cover) {
  if (covers->count == covers->cap) {
    covers->cap = covers->cap ? covers->cap * 2 : 64;
    covers->items = mem_resize(covers->items, covers->cap, sizeof(struct cover *));
  }
  covers->items[covers->count++] = cover;
}

void state_deinit(struct state *state) {
  for (size_t i = 0; i < LANES; i++) young_clear(&state->young[i]);
  coverage_deinit(&state->coverage);
  free(state->by_id);
  free(state->dirty.items);
  free(state->naming.items);
  free(state->cycle.items);
  free(state->trimmed);
  *state = (struct state){.base = NULL};
}

static void state_dirty(struct state *state, struct cover *cover) {
  if (cover->dirty) return;
  cover->dirty = true;
  covers_add(&state->dirty, cover);
}

void state_apply(struct state *state, const struct effect *effects, size_t count) {
  for (size_t i = 0; i < count; i++) state_dirty(state, coverage_apply(&state->coverage, &effects[i]));
}

/* ---- ids and pieces ---- */

void state_set_id(struct state *state, struct cover *cover) {
  while (cover->id >= state->id_cap) {
    size_t cap = state->id_cap ? state->id_cap * 2 : 64;
    state->by_id = mem_resize(state->by_id, cap, sizeof(struct cover *));
    memset(state->by_id + state->id_cap, 0, (cap - state->id_cap) * sizeof(struct cover *));
    state->id_cap = cap;
  }
  state->by_id[cover->id] = cover;
  if (cover->id > state->id_count) state->id_count = cover->id;
}

static int state_write_name(struct state *state, MDB_txn *txn, const struct cover *cover) {
  uint8_t key[NAME_KEY_MAX], id[4];
  struct bytes name = cover->of->name;
  memcpy(key, name.data, name.len);
  base_put_be(key + name.len, cover->epoch.created, 8);
  base_put_be(key + name.len + 8, cover->epoch.random, 8);
  base_put_be(id, cover->id, 4);
  return base_put(txn, state->base->names, bytes_of(key, name.len + 16), bytes_of(id, 4));
}

static int state_write_piece(struct state *state, MDB_txn *txn, const struct cover *cover) {
  struct buffer piece = BUFFER_NULL;
  uint8_t key[4];
  base_put_be(key, cover->id, 4);
  cover_write(cover, &piece);
  int r = base_put(txn, state->base->pieces, bytes_of(key, 4), buffer_bytes(&piece));
  buffer_deinit(&piece);
  return r;
}

/* Gives the cover its id, on disk too. */
static int state_name(struct state *state, MDB_txn *txn, struct cover *cover) {
  if (cover->named) return 0;
  if (cover->id == 0) {
    cover->id = state->id_count + 1;
    state_set_id(state, cover);
  }
  int r = state_write_name(state, txn, cover);
  if (r == 0) r = state_write_piece(state, txn, cover);
  if (r != 0) return r;
  cover->named = true;
  covers_add(&state->naming, cover);
  return 0;
}

static int state_keep_cover(struct state *state, MDB_txn *txn, struct cover *cover) {
  bool named = cover->named;
  int r = state_name(state, txn, cover);
  return r == 0 && named ? state_write_piece(state, txn, cover) : r;
}

int state_keep(struct state *state, MDB_txn *txn, const struct effect *effects, size_t count) {
  const struct cover *before = NULL;
  for (size_t i = 0; i < count; i++) {
    if (effects[i].kind == EFFECT_HOLD || effects[i].kind == EFFECT_CLAIM) continue;
    struct cover *cover = coverage_find(&state->coverage, effects[i].stream, effects[i].epoch);
    if (!cover || cover == before) continue;
    int r = state_keep_cover(state, txn, cover);
    if (r != 0) return r;
    before = cover;
  }
  return 0;
}

void state_committed(struct state *state) { state->naming.count = 0; }

/* ---- appending ---- */

static int state_seal_directory(struct state *state, MDB_txn *txn, enum lane lane, size_t count) {
  const struct young *young = &state->young[lane];
  struct directory directory;
  directory_init(&directory, lane, young->entries[0].position);
  int r = 0;
  for (size_t i = 0; r == 0 && i < count; i++) {
    const struct block_summary *is = &young->entries[i].is;
    struct cover *cover = coverage_make(&state->coverage, is->stream, is->epoch);
    r = state_name(state, txn, cover);
    if (r == 0) directory_add(&directory, is, cover->id, &cover->slot);
  }
  for (size_t i = 0; i < directory.run_count; i++) state->by_id[directory.runs[i].id]->slot = 0;
  if (r == 0) r = directory_put(&directory, state->base, txn);
  if (r == 0) r = index_put(&directory, state->base, txn);
  directory_deinit(&directory);
  return r;
}

static int state_seal(struct state *state, MDB_txn *txn, enum lane lane, size_t count) {
  struct young *young = &state->young[lane];
  int r = state_seal_directory(state, txn, lane, count);
  if (r == 0) r = young_seal(young, state->base, txn, lane, count);
  if (r == 0) r = young_delete(young, state->base, txn, lane, count);
  if (r == 0) young_drop(young, count);
  return r;
}

static int state_append_lane(struct state *state, MDB_txn *txn, enum lane lane, size_t seal_most) {
  struct young *young = &state->young[lane];
  int r = 0;
  for (size_t count; r == 0 && seal_most > 0 && (count = young_full(young)) > 0; seal_most--)
    r = state_seal(state, txn, lane, count);
  return r == 0 ? young_store(young, state->base, txn, lane) : r;
}

int state_append(struct state *state, MDB_txn *txn, const struct entry *entries, size_t count, size_t seal_most) {
  bool touched[LANES] = {false};
  for (size_t i = 0; i < count; i++) {
    young_add(&state->young[entries[i].lane], &entries[i]);
    state->next[entries[i].lane] = entries[i].position + 1;
    touched[entries[i].lane] = true;
  }
  int r = 0;
  for (enum lane lane = LANE_URGENT; r == 0 && lane < LANES; lane++)
    if (touched[lane]) r = state_append_lane(state, txn, lane, seal_most);
  return r;
}

/* ---- overlaps ---- */

struct overlapping {
  struct state *state;
  MDB_txn *txn;
  struct bytes stream;
  struct epoch epoch;
  uint64_t from, to;
  void (*visit)(void *ctx, const struct entry *entry);
  void *ctx;
  const struct place *place; /* the run looked at */
  struct intervals seen;     /* what of it could be read */
  struct intervals due;      /* what must stand in the log, and no run told of it yet */
  int result;
};

static bool overlapping_entry(void *ctx, const struct entry *entry, struct bytes block) {
  struct overlapping *o = ctx;
  if (entry->is.first > o->place->last) return true;
  if (!entry_overlaps(entry, o->stream, o->epoch, o->place->first, o->place->last)) return true;
  intervals_add(&o->seen, entry->is.first, entry->is.last);
  if (!entry_overlaps(entry, o->stream, o->epoch, o->from, o->to)) return true;
  struct entry whole = entry_with_blob(entry, block);
  o->visit(o->ctx, &whole);
  blob_unref(whole.block);
  return true;
}

static void overlapping_lost(void *ctx, enum lane lane, uint64_t near, uint64_t count) {
  struct overlapping *o = ctx;
  o->state->damaged += count;
  log_error("store", lane_name(lane), "%llu damaged entries near position %llu", (unsigned long long)count,
      (unsigned long long)near);
}

/* What a run says it has and could not be read counts as held: a record is rather missed once than stored twice. */
static void overlapping_unread(struct overlapping *o) {
  struct intervals unread = INTERVALS_NULL;
  intervals_add(&unread, o->place->first, o->place->last);
  intervals_remove_all(&unread, &o->seen);
  for (size_t i = 0; i < unread.count; i++) {
    struct interval range = unread.items[i];
    struct entry entry = {
        .is = {.stream = o->stream, .epoch = o->epoch, .first = range.from, .last = range.to, .count = 1}};
    if (entry_overlaps(&entry, o->stream, o->epoch, o->from, o->to)) o->visit(o->ctx, &entry);
  }
  intervals_deinit(&unread);
}

static bool overlapping_place(void *ctx, const struct place *found) {
  struct overlapping *o = ctx;
  struct place place = *found;
  bool whole = place.last != 0;
  if (whole) intervals_remove(&o->due, place.first, place.last);
  if (!whole) place.last = place.first + BLOCK_RECORDS_MAX - 1;
  o->place = &place;
  o->seen = INTERVALS_NULL;
  struct log_visit visit = {.entry = overlapping_entry, .lost = overlapping_lost, .ctx = o};
  int r = whole ? log_walk_segment(o->state->base, o->txn, place.lane, place.segment, &visit) : BASE_NONE;
  if (r == BASE_NONE || r == BASE_DAMAGED) r = 0;
  overlapping_unread(o);
  intervals_deinit(&o->seen);
  o->result = r;
  return r == 0;
}

/* What is held and the index does not tell of: by the directories. No run met so far reaches beyond the first of it. */
static int overlapping_search(struct overlapping *o, uint32_t id) {
  struct searched searched;
  int r = search_places(&searched, o->state->base, o->txn, id, o->stream, o->epoch, o->due.items[0].from, o->to);
  o->state->damaged++;
  log_error("store", NULL, BYTES_FMT " %llu is hidden by a damaged index", BYTES_ARG(o->stream),
      (unsigned long long)o->due.items[0].from);
  for (size_t i = 0; r == 0 && i < searched.count && o->result == 0; i++) overlapping_place(o, &searched.places[i]);
  searched_deinit(&searched);
  for (size_t i = 0; r == 0 && i < o->due.count; i++) { /* it cannot be read, but it is held */
    struct entry entry = {.is = {.stream = o->stream,
                              .epoch = o->epoch,
                              .first = o->due.items[i].from,
                              .last = o->due.items[i].to,
                              .count = 1}};
    o->visit(o->ctx, &entry);
  }
  return r;
}

static void overlapping_young(struct overlapping *o) {
  for (size_t lane = 0; lane < LANES; lane++)
    for (size_t i = 0; i < o->state->young[lane].count; i++) {
      const struct entry *entry = &o->state->young[lane].entries[i];
      if (!entry_overlaps(entry, o->stream, o->epoch, o->from, o->to)) continue;
      intervals_remove(&o->due, entry->is.first, entry->is.last);
      o->visit(o->ctx, entry);
    }
}

static bool overlapping_indexed(void *ctx, const struct place *place) {
  struct overlapping *o = ctx;
  if (o->due.count > 0 && o->due.items[0].from < place->first) return false;
  return overlapping_place(o, place);
}

int state_overlapping(void *ctx, struct bytes stream, struct epoch epoch, uint64_t from, uint64_t to,
    void (*visit)(void *visit_ctx, const struct entry *entry), void *visit_ctx) {
  struct state_view *view = ctx;
  struct state *state = view->state;
  struct overlapping o = {.state = state,
      .txn = view->txn,
      .stream = stream,
      .epoch = epoch,
      .from = from,
      .to = to,
      .visit = visit,
      .ctx = visit_ctx,
      .due = INTERVALS_NULL};
  const struct cover *cover = coverage_find(&state->coverage, stream, epoch);
  if (cover) cover_stands(cover, from, to, &o.due);
  overlapping_young(&o);
  int r = 0;
  if (cover && cover->id) r = index_each(state->base, view->txn, cover->id, from, to, overlapping_indexed, &o);
  if (r == 0 && o.result == 0 && o.due.count > 0) r = overlapping_search(&o, cover->id);
  intervals_deinit(&o.due);
  return r != 0 ? r : o.result;
}

/* ---- the checkpoint ---- */

enum { PIECES_LEAST = 16 };

static int state_write_mark(struct state *state, MDB_txn *txn) {
  uint8_t value[LANES * 8];
  for (size_t i = 0; i < LANES; i++) base_put_be(value + i * 8, state->mark[i], 8);
  return base_put(txn, state->base->meta, bytes_text("checkpoint"), bytes_of(value, sizeof value));
}

static void state_begin_cycle(struct state *state) {
  struct covers empty = state->cycle;
  state->cycle = state->dirty;
  state->dirty = empty;
  state->dirty.count = 0;
  memcpy(state->mark, state->next, sizeof state->mark);
  state->trimmed_in_cycle = state->trimmed_count;
  state->since_checkpoint = 0;
  state->in_cycle = true;
}

static int state_end_cycle(struct state *state, MDB_txn *txn) {
  int r = state_write_mark(state, txn);
  for (size_t i = 0; r == 0 && i < state->trimmed_in_cycle; i++) {
    r = directory_delete(state->base, txn, state->trimmed[i].lane, state->trimmed[i].segment);
    if (r == BASE_NONE) r = 0;
  }
  if (r != 0) return r;
  state->trimmed_count -= state->trimmed_in_cycle;
  if (state->trimmed_count)
    memmove(state->trimmed, state->trimmed + state->trimmed_in_cycle, state->trimmed_count * sizeof *state->trimmed);
  state->in_cycle = false;
  return 0;
}

static int state_write_pieces(struct state *state, MDB_txn *txn, uint64_t most) {
  int r = 0;
  for (; r == 0 && most > 0 && state->cycle.count > 0; most--) {
    struct cover *cover = state->cycle.items[--state->cycle.count];
    cover->dirty = false;
    r = state_keep_cover(state, txn, cover);
  }
  return r;
}

int state_checkpoint(struct state *state, MDB_txn *txn, uint64_t bytes) {
  state->since_checkpoint += bytes;
  if (!state->in_cycle && state->since_checkpoint < CHECKPOINT_EVERY) return 0;
  if (!state->in_cycle) state_begin_cycle(state);
  uint64_t share = PIECES_LEAST + state->cycle.count * bytes / (CHECKPOINT_EVERY / 4);
  int r = state_write_pieces(state, txn, share);
  return r == 0 && state->cycle.count == 0 ? state_end_cycle(state, txn) : r;
}

int state_checkpoint_all(struct state *state, MDB_txn *txn) {
  int r = state->in_cycle ? state_write_pieces(state, txn, UINT64_MAX) : 0;
  if (r == 0 && state->in_cycle) r = state_end_cycle(state, txn);
  if (r != 0) return r;
  state_begin_cycle(state);
  r = state_write_pieces(state, txn, UINT64_MAX);
  return r == 0 ? state_end_cycle(state, txn) : r;
}
