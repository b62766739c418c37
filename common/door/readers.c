#include "common/door/readers.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/table.h"
#include <stdlib.h>

enum { PLACE_VERSION = 2, PLACE_WITHOUT_LOSS = 1 };

void readers_init(struct readers *readers, struct errands *errands, const struct world *world) {
  *readers = (struct readers){errands, world, mem_alloc(sizeof(struct table))};
}

static void place_free(void *value) {
  struct reader_place *place = value;
  free(place->name);
  free(place->operator_name);
  free(place->patterns);
  free(place);
}

void readers_deinit(struct readers *readers) {
  if (readers->by_name) table_deinit(readers->by_name, place_free);
  free(readers->by_name);
  readers->by_name = NULL;
}

struct reader_place *readers_find(const struct readers *readers, const char *name) {
  return table_get(readers->by_name, bytes_text(name));
}

bool reader_name_is_good(const char *name) {
  struct bytes text = bytes_text(name);
  if (text.len == 0 || text.len > READER_NAME_MAX || !bytes_is_utf8(text)) return false;
  for (size_t i = 0; i < text.len; i++)
    if (text.data[i] < 0x20 || text.data[i] == 0x7f) return false;
  return true;
}

static char *text_of(struct bytes from) { return mem_text(from.data, from.len); }

static void place_write(struct buffer *out, const struct reader_place *place) {
  struct writer w;
  writer_init(&w, out, STORE_VALUE_MAX);
  writer_u8(&w, PLACE_VERSION);
  for (int lane = 0; lane < LANES; lane++) {
    writer_varint(&w, place->positions[lane]);
    writer_varint(&w, place->within[lane]);
  }
  writer_sized(&w, bytes_text(place->operator_name));
  writer_varint(&w, (uint64_t)place->created);
  writer_varint(&w, (uint64_t)place->seen);
  writer_sized(&w, bytes_text(place->patterns));
  for (int lane = 0; lane < LANES; lane++) {
    writer_varint(&w, place->lost[lane]);
    writer_varint(&w, place->lost_to[lane]);
  }
}

static bool place_read(void *ctx, struct bytes key, struct bytes value) {
  struct readers *readers = ctx;
  struct reader_place *place = mem_alloc(sizeof *place);
  struct reader r;
  reader_init(&r, value);
  uint8_t version = reader_u8(&r);
  if (version != PLACE_VERSION && version != PLACE_WITHOUT_LOSS) reader_fail(&r);
  for (int lane = 0; lane < LANES; lane++) {
    place->positions[lane] = reader_varint(&r);
    place->within[lane] = reader_varint(&r);
  }
  place->operator_name = text_of(reader_sized(&r));
  place->created = (int64_t)reader_varint(&r);
  place->seen = (int64_t)reader_varint(&r);
  place->patterns = text_of(reader_sized(&r));
  for (int lane = 0; lane < LANES && version == PLACE_VERSION; lane++) {
    place->lost[lane] = reader_varint(&r);
    place->lost_to[lane] = reader_varint(&r);
  }
  place->name = text_of(key);
  if (r.failed)
    place_free(place);
  else
    table_put(readers->by_name, key, place);
  return true;
}

int readers_load(struct readers *readers, struct store *store) {
  return store_scan(store, STORE_READERS, place_read, readers);
}

static void flush(struct readers *readers, struct reader_place *place);

static void flush_done(void *ctx, void *cookie, const struct store_done *done) {
  struct readers *readers = ctx;
  struct reader_place *place = cookie;
  place->committing = false;
  if (place->removed) {
    place_free(place);
    return;
  }
  if (done->kind == STORE_DONE_REFUSED)
    place->dirty = true; /* tried again with the next acknowledgement */
  else if (place->dirty)
    flush(readers, place);
  if (!place->committing && place->user && place->flushed) place->flushed(place->user);
}

static void flush(struct readers *readers, struct reader_place *place) {
  struct buffer value = BUFFER_NULL;
  struct store_batch *batch = store_batch_new();
  place->seen = world_now(readers->world).wall;
  place_write(&value, place);
  store_batch_put(batch, STORE_READERS, bytes_text(place->name), buffer_bytes(&value));
  store_batch_urgent(batch);
  buffer_deinit(&value);
  place->dirty = false;
  place->committing = true;
  errands_submit(readers->errands, ERRAND_PATIENT, batch, flush_done, readers, place);
}

struct reader_place *readers_add(struct readers *readers, const char *name, const char *operator_name,
    const char *patterns, const uint64_t positions[LANES]) {
  if (readers->by_name->count >= READERS_MAX) return NULL;
  struct reader_place *place = mem_alloc(sizeof *place);
  place->name = text_of(bytes_text(name));
  place->operator_name = text_of(bytes_text(operator_name));
  place->patterns = text_of(bytes_text(patterns));
  place->created = world_now(readers->world).wall;
  memcpy(place->positions, positions, sizeof place->positions);
  table_put(readers->by_name, bytes_text(name), place);
  flush(readers, place);
  return place;
}

void readers_ack(
    struct readers *readers, struct reader_place *place, enum lane lane, uint64_t position, uint64_t within) {
  uint64_t known = place->positions[lane];
  if (position < known || (position == known && within <= place->within[lane])) return;
  place->positions[lane] = position;
  place->within[lane] = within;
  place->dirty = true;
  if (!place->committing) flush(readers, place);
}

void readers_lost(struct readers *readers, struct reader_place *place, enum lane lane, uint64_t from, uint64_t to) {
  if (from <= place->lost_to[lane]) from = place->lost_to[lane] + 1;
  if (from > to) return;
  place->lost[lane] += to - from + 1;
  place->lost_to[lane] = to;
  log_warning("readers", place->name,
      "lost entries %llu to %llu of the %s log: they were discarded before it read them", (unsigned long long)from,
      (unsigned long long)to, lane_name(lane));
  place->dirty = true;
  if (!place->committing) flush(readers, place);
}

uint64_t reader_loss(const struct reader_place *place, enum lane lane, uint64_t first) {
  uint64_t known = place->positions[lane] > place->lost_to[lane] ? place->positions[lane] : place->lost_to[lane];
  return place->lost[lane] + (first > known + 1 ? first - 1 - known : 0);
}

bool reader_is_durable(const struct reader_place *place) { return !place->dirty && !place->committing; }

static void remove_done(void *ctx, void *cookie, const struct store_done *done) { (void)ctx, (void)cookie, (void)done; }

void readers_remove(struct readers *readers, struct reader_place *place) {
  struct store_batch *batch = store_batch_new();
  store_batch_delete(batch, STORE_READERS, bytes_text(place->name));
  store_batch_urgent(batch);
  errands_submit(readers->errands, ERRAND_PATIENT, batch, remove_done, NULL, NULL);
  table_remove(readers->by_name, bytes_text(place->name));
  place->user = NULL;
  place->removed = true;
  if (!place->committing) place_free(place); /* else flush_done frees it */
}
