#include "common/node/marks.h"
#include "common/base/cursor.h"
#include "common/base/mem.h"
#include <stdlib.h>

/* varint n, n x (zigzag wall time, varint position of each log) */
static const char marks_key[] = "delay/marks";

void marks_deinit(struct marks *marks) {
  free(marks->items);
  *marks = (struct marks){0};
}

static void drop(struct marks *marks, size_t at) {
  memmove(&marks->items[at], &marks->items[at + 1], (--marks->count - at) * sizeof *marks->items);
}

/* The one whose going widens a gap least, as a part of its age. */
static size_t least_needed(const struct marks *marks, int64_t now) {
  size_t best = 1;
  double least = 0;
  for (size_t i = 1; i + 1 < marks->count; i++) {
    double gap = (double)(marks->items[i + 1].at - marks->items[i - 1].at),
           age = (double)(now - marks->items[i].at + 1);
    if (i > 1 && gap / age >= least) continue;
    least = gap / age;
    best = i;
  }
  return best;
}

static void append(struct marks *marks, const struct mark *mark) {
  if (!marks->items) marks->items = mem_resize(NULL, MARKS_MAX, sizeof *marks->items);
  if (marks->count == MARKS_MAX) drop(marks, least_needed(marks, mark->at));
  marks->items[marks->count++] = *mark;
}

/* ---- in the store ---- */

struct loading {
  struct marks *marks;
  struct instant now;
};

static bool load_one(void *ctx, struct bytes key, struct bytes value) {
  struct loading *loading = ctx;
  struct reader r;
  if (!bytes_equal(key, bytes_text(marks_key))) return true;
  reader_init(&r, value);
  uint64_t count = reader_varint(&r);
  for (uint64_t i = 0; i < count && i < MARKS_MAX && !r.failed; i++) {
    struct mark mark;
    int64_t age = loading->now.wall - reader_zigzag(&r);
    for (int lane = 0; lane < LANES; lane++) mark.positions[lane] = reader_varint(&r);
    mark.at = loading->now.mono - (age > 0 ? age : 0); /* a clock that was set back makes nothing older */
    if (!r.failed) append(loading->marks, &mark);
  }
  return false;
}

void marks_load(struct marks *marks, struct store *store, struct instant now) {
  struct loading loading = {marks, now};
  store_scan(store, STORE_META, load_one, &loading);
}

void marks_save(const struct marks *marks, struct store_batch *batch, struct instant now) {
  struct buffer value = BUFFER_NULL;
  struct writer w;
  if (marks->count == 0) return;
  writer_init(&w, &value, STORE_VALUE_MAX);
  writer_varint(&w, marks->count);
  for (size_t i = 0; i < marks->count; i++) {
    writer_zigzag(&w, now.wall - (now.mono - marks->items[i].at));
    for (int lane = 0; lane < LANES; lane++) writer_varint(&w, marks->items[i].positions[lane]);
  }
  store_batch_put(batch, STORE_META, bytes_text(marks_key), buffer_bytes(&value));
  buffer_deinit(&value);
}

/* ---- making and asking ---- */

/* The newest that is older than any delay says of all below it that it is due; those before it say nothing more. */
static void drop_old(struct marks *marks, int64_t before) {
  size_t old = 0;
  while (old + 1 < marks->count && marks->items[old + 1].at <= before) old++;
  if (old == 0) return;
  memmove(marks->items, marks->items + old, (marks->count - old) * sizeof *marks->items);
  marks->count -= old;
}

void marks_add(
    struct marks *marks, const uint64_t positions[LANES], int64_t now, int64_t smallest_us, int64_t longest_us) {
  if (smallest_us == 0) return;
  marks->spacing_us = smallest_us / MARKS_SHARE > MARKS_SPACING_US ? smallest_us / MARKS_SHARE : MARKS_SPACING_US;
  struct mark mark = {.at = now};
  bool moved = marks->count == 0;
  for (int lane = 0; lane < LANES; lane++) {
    mark.positions[lane] = positions[lane];
    moved |= marks->count > 0 && marks->items[marks->count - 1].positions[lane] != positions[lane];
  }
  if (!moved || (marks->count > 0 && now - marks->items[marks->count - 1].at < marks->spacing_us)) return;
  drop_old(marks, now - longest_us);
  append(marks, &mark);
}

int64_t marks_due(const struct marks *marks, enum lane lane, uint64_t position, int64_t delay_us) {
  size_t low = 0, high = marks->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (marks->items[middle].positions[lane] < position)
      low = middle + 1;
    else
      high = middle;
  }
  return low == marks->count ? INT64_MAX : marks->items[low].at + delay_us;
}
