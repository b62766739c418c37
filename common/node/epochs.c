#include "common/node/epochs.h"
#include "common/base/cursor.h"

struct taking {
  struct epochs *epochs;
  struct bytes name, urgent;
};

static void take(void *ctx, const struct store_stream *stream) {
  struct taking *taking = ctx;
  struct epochs *epochs = taking->epochs;
  bool urgent = bytes_equal(stream->stream, taking->urgent);
  if (epochs->count == EPOCHS_MAX || (!urgent && !bytes_equal(stream->stream, taking->name))) return;
  epochs->items[epochs->count++] =
      (struct epoch_told){urgent ? CHANNEL_URGENT : CHANNEL_TELEMETRY, stream->epoch, stream->last};
}

void epochs_of(struct epochs *epochs, struct store *store, const char *node) {
  struct buffer urgent = BUFFER_NULL;
  buffer_printf(&urgent, "%s!urgent", node);
  struct taking taking = {epochs, bytes_text(node), buffer_bytes(&urgent)};
  epochs->count = 0;
  store_streams(store, take, &taking);
  buffer_deinit(&urgent);
}

void epochs_put(struct buffer *out, const struct epochs *epochs) {
  struct writer w;
  writer_init(&w, out, EPOCHS_MAX * 32);
  writer_varint(&w, epochs->count);
  for (size_t i = 0; i < epochs->count; i++) {
    const struct epoch_told *told = &epochs->items[i];
    writer_u8(&w, (uint8_t)told->own);
    writer_u64(&w, told->epoch.created);
    writer_u64(&w, told->epoch.random);
    writer_varint(&w, told->last);
  }
}

int epochs_get(struct bytes body, struct epochs *epochs) {
  struct reader r;
  reader_init(&r, body);
  uint64_t count = reader_varint(&r);
  if (count > EPOCHS_MAX) return EPOCHS_MALFORMED;
  epochs->count = 0;
  for (uint64_t i = 0; i < count; i++) {
    uint8_t own = reader_u8(&r);
    struct epoch_told told = {.own = own ? CHANNEL_TELEMETRY : CHANNEL_URGENT};
    told.epoch.created = reader_u64(&r);
    told.epoch.random = reader_u64(&r);
    told.last = reader_varint(&r);
    if (own > 1) return EPOCHS_MALFORMED;
    epochs->items[epochs->count++] = told;
  }
  return r.failed ? EPOCHS_MALFORMED : 0;
}

/* The newest told of a stream; {0, 0}: none. */
static struct epoch epochs_newest(const struct epochs *epochs, enum channel own) {
  struct epoch newest = {0, 0};
  for (size_t i = 0; i < epochs->count; i++)
    if (epochs->items[i].own == own && epoch_compare(epochs->items[i].epoch, newest) > 0)
      newest = epochs->items[i].epoch;
  return newest;
}

void epochs_lost(const struct epochs *epochs, enum channel own, struct epoch epoch, uint64_t promised,
    const struct intervals *held, struct intervals *out) {
  uint64_t last = 0;
  if (epoch_compare(epoch, epochs_newest(epochs, own)) >= 0) return;
  for (size_t i = 0; i < epochs->count; i++)
    if (epochs->items[i].own == own && epoch_compare(epochs->items[i].epoch, epoch) == 0) last = epochs->items[i].last;
  if (last >= promised) return;
  struct intervals lost = INTERVALS_NULL;
  intervals_add(&lost, last + 1, promised);
  intervals_remove_all(&lost, held);
  intervals_add_all(out, &lost);
  intervals_deinit(&lost);
}
