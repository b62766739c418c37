#include "gateway/last.h"
#include "common/base/cursor.h"

struct loading {
  struct points *points;
  struct catalogue *catalogue;
  struct instant now;
};

static bool last_fits(const struct point *point, const struct record *record) {
  return record->reason != REASON_CLOCK &&
         (record->quality == QUALITY_BAD || (int)record->value.type == point->config->type);
}

void last_apply(struct points *points, const struct record *record, struct instant now) {
  struct point *point = points_of_address(points, record->address);
  if (!point || (record->kind != RECORD_READING && record->kind != RECORD_EVENT)) return;
  if (record->reason == REASON_STALE) {
    point->stale = true;
    return;
  }
  if (!last_fits(point, record)) return;
  int64_t age = now.wall > record->received ? now.wall - record->received : 0;
  point_keep(point, record);
  point->stale = false;
  point->undated = record->received == point->undated_received;
  point->heard = now.mono - age;
  if (point->heard == 0) point->heard = -1; /* 0: never */
}

static const char undated_prefix[] = "undated/";
enum { UNDATED_PREFIX = sizeof undated_prefix - 1 };

void last_put_undated(struct store_batch *batch, const struct record *record) {
  struct buffer key = BUFFER_NULL, value = BUFFER_NULL;
  struct writer writer;
  buffer_printf(&key, "%s" BYTES_FMT, undated_prefix, BYTES_ARG(record->address));
  writer_init(&writer, &value, sizeof record->received);
  writer_u64(&writer, (uint64_t)record->received);
  store_batch_put(batch, STORE_META, buffer_bytes(&key), buffer_bytes(&value));
  buffer_deinit(&key);
  buffer_deinit(&value);
}

void last_load_undated(struct points *points, struct bytes key, struct bytes value) {
  struct reader reader;
  if (key.len <= UNDATED_PREFIX || memcmp(key.data, undated_prefix, UNDATED_PREFIX) != 0) return;
  struct point *point = points_of_address(points, bytes_of(key.data + UNDATED_PREFIX, key.len - UNDATED_PREFIX));
  if (!point || value.len != sizeof point->undated_received) return;
  reader_init(&reader, value);
  point->undated_received = (int64_t)reader_u64(&reader);
}

static bool last_entry(void *ctx, const struct store_entry *entry) {
  struct loading *loading = ctx;
  struct block_reader *reader;
  struct block block;
  struct record record;
  if (!entry->block || block_open(&block, blob_bytes(entry->block)) != 0) return true;
  if (loading->catalogue) catalogue_apply(loading->catalogue, &block, entry->lane);
  if (block_reader_new(&reader, &block) != 0) return true;
  while (block_reader_next(reader, &record) == 0) last_apply(loading->points, &record, loading->now);
  block_reader_free(reader);
  return true;
}

int last_load(struct points *points, struct catalogue *catalogue, struct store *store, struct instant now) {
  static const enum lane lanes[] = {LANE_LIVE, LANE_URGENT};
  struct loading loading = {points, catalogue, now};
  struct store_stats stats;
  int outcome = 0;
  store_stats(store, &stats);
  for (size_t i = 0; i < sizeof lanes / sizeof lanes[0] && outcome == 0; i++) {
    uint64_t first = stats.logs[lanes[i]].first, last = stats.logs[lanes[i]].last, bytes = stats.logs[lanes[i]].bytes;
    if (first > last) continue;
    uint64_t each = bytes / (last - first + 1) + 1, count = LAST_LOG_BYTES / each;
    outcome = store_replay(store, lanes[i], last - first > count ? last - count : first, last_entry, &loading);
  }
  return outcome;
}
