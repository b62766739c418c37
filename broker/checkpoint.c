#include "broker/checkpoint.h"
#include <stdio.h>

enum { PIECES_AT_ONCE = 8, AT_VERSION = 1 };

void checkpoint_init(struct checkpoint *checkpoint, struct catalogue *catalogue, struct errands *errands) {
  *checkpoint = (struct checkpoint){.catalogue = catalogue, .errands = errands};
}

void checkpoint_applied(struct checkpoint *checkpoint, enum lane lane, uint64_t position, size_t bytes) {
  if (position > checkpoint->applied[lane]) checkpoint->applied[lane] = position;
  checkpoint->log_bytes += bytes;
}

/* ---- the start ---- */

static bool load_piece(void *ctx, struct bytes key, struct bytes value) {
  struct checkpoint *checkpoint = ctx;
  if (!bytes_equal(key, bytes_text("at"))) {
    catalogue_decode(checkpoint->catalogue, value); /* what cannot be read is missed until its points speak again */
    return true;
  }
  struct reader r;
  reader_init(&r, value);
  bool known = reader_u8(&r) == AT_VERSION;
  for (int lane = 0; lane < LANES; lane++) {
    uint64_t position = reader_varint(&r);
    if (known) checkpoint->applied[lane] = position;
  }
  return true;
}

static bool replay_entry(void *ctx, const struct store_entry *entry) {
  struct checkpoint *checkpoint = ctx;
  struct block block;
  if (entry->block && block_open(&block, blob_bytes(entry->block)) == 0)
    catalogue_apply(checkpoint->catalogue, &block, entry->lane);
  checkpoint_applied(checkpoint, entry->lane, entry->position, entry->block ? entry->block->len : 0);
  return true;
}

int checkpoint_load(struct checkpoint *checkpoint, struct store *store) {
  int outcome = store_scan(store, STORE_CHECKPOINT, load_piece, checkpoint);
  for (int lane = 0; lane < LANES && outcome == 0; lane++)
    outcome = store_replay(store, (enum lane)lane, checkpoint->applied[lane] + 1, replay_entry, checkpoint);
  return outcome;
}

/* ---- a round ---- */

static void wrote(void *ctx, void *cookie, const struct store_done *done) {
  struct checkpoint *checkpoint = ctx;
  (void)cookie;
  checkpoint->writing = false;
  if (done->kind != STORE_DONE_REFUSED) return;
  /* the store is full: the old positions stay, a later round writes everything */
  catalogue_mark_all(checkpoint->catalogue);
  checkpoint->running = false;
}

struct putting {
  struct store_batch *batch;
  uint64_t bytes;
};

static void put_part(void *ctx, size_t piece, size_t part, struct bytes value) {
  struct putting *putting = ctx;
  char key[40];
  snprintf(key, sizeof key, "p%08zx.%04zx", piece, part);
  store_batch_put(putting->batch, STORE_CHECKPOINT, bytes_text(key), value);
  putting->bytes += value.len;
}

static void put_positions(struct checkpoint *checkpoint, struct store_batch *batch) {
  struct buffer value = BUFFER_NULL;
  struct writer w;
  writer_init(&w, &value, 64);
  writer_u8(&w, AT_VERSION);
  for (int lane = 0; lane < LANES; lane++) writer_varint(&w, checkpoint->noted[lane]);
  store_batch_put(batch, STORE_CHECKPOINT, bytes_text("at"), buffer_bytes(&value));
  buffer_deinit(&value);
}

static void write_more(struct checkpoint *checkpoint) {
  struct putting putting = {store_batch_new(), 0};
  size_t pieces = catalogue_pieces(checkpoint->catalogue), taken = 0;
  for (; checkpoint->piece < pieces && taken < PIECES_AT_ONCE; checkpoint->piece++) {
    if (!catalogue_take_dirty(checkpoint->catalogue, checkpoint->piece)) continue;
    catalogue_encode(checkpoint->catalogue, checkpoint->piece, put_part, &putting);
    taken++;
  }
  checkpoint->round_bytes += putting.bytes;
  if (checkpoint->piece >= pieces) {
    put_positions(checkpoint, putting.batch);
    checkpoint->running = false;
    checkpoint->last_round_bytes = checkpoint->round_bytes;
  }
  checkpoint->writing = true;
  errands_submit(checkpoint->errands, ERRAND_PATIENT, putting.batch, wrote, checkpoint, NULL);
}

/* Large catalogues are written less often, so that a checkpoint never costs more than the log itself. */
static bool is_due(const struct checkpoint *checkpoint, int64_t now) {
  uint64_t bytes =
      checkpoint->last_round_bytes > CHECKPOINT_LOG_BYTES ? checkpoint->last_round_bytes : CHECKPOINT_LOG_BYTES;
  return checkpoint->log_bytes >= bytes ||
         (checkpoint->catalogue->any_dirty && now - checkpoint->began >= CHECKPOINT_EVERY_US);
}

static void begin(struct checkpoint *checkpoint, int64_t now) {
  memcpy(checkpoint->noted, checkpoint->applied, sizeof checkpoint->noted);
  checkpoint->catalogue->any_dirty = false;
  checkpoint->log_bytes = checkpoint->round_bytes = 0;
  checkpoint->piece = 0;
  checkpoint->running = true;
  checkpoint->began = now;
}

int64_t checkpoint_tick(struct checkpoint *checkpoint, int64_t now) {
  if (!checkpoint->began) checkpoint->began = now;
  if (!checkpoint->running && !checkpoint->writing && is_due(checkpoint, now)) begin(checkpoint, now);
  if (checkpoint->running && !checkpoint->writing) write_more(checkpoint);
  return now + SECOND_US;
}
