#include "gateway/silence.h"
#include "common/base/mem.h"
#include <stdlib.h>

static void silence_swap(struct silence *s, size_t a, size_t b) {
  struct silence_entry entry = s->items[a];
  s->items[a] = s->items[b];
  s->items[b] = entry;
}

static void silence_sink(struct silence *s, size_t at) {
  for (;;) {
    size_t least = at, left = 2 * at + 1, right = left + 1;
    if (left < s->count && s->items[left].at < s->items[least].at) least = left;
    if (right < s->count && s->items[right].at < s->items[least].at) least = right;
    if (least == at) return;
    silence_swap(s, at, least);
    at = least;
  }
}

void silence_init(struct silence *silence, struct points *points, int64_t now) {
  silence->items = mem_alloc((points->count + 1) * sizeof *silence->items);
  silence->count = 0;
  for (size_t i = 0; i < points->count; i++) {
    struct point *point = &points->items[i];
    if (point->config->stale_after_us <= 0) continue;
    if (point->heard == 0) point->heard = now;
    silence->items[silence->count++] = (struct silence_entry){point->heard + point->config->stale_after_us, point};
  }
  for (size_t i = silence->count / 2; i-- > 0;) silence_sink(silence, i);
}

void silence_deinit(struct silence *silence) {
  free(silence->items);
  *silence = (struct silence){NULL, 0};
}

int64_t silence_next(const struct silence *silence) { return silence->count > 0 ? silence->items[0].at : INT64_MAX; }

struct point *silence_take(struct silence *silence, int64_t now) {
  while (silence->count > 0 && silence->items[0].at <= now) {
    struct point *point = silence->items[0].point;
    int64_t due = point->heard + point->config->stale_after_us;
    bool silent = due <= now;
    /* a silent point comes up again after another span: a payload meanwhile is found then */
    silence->items[0].at = silent ? now + point->config->stale_after_us : due;
    silence_sink(silence, 0);
    if (!silent || point->stale) continue;
    point->stale = true;
    return point;
  }
  return NULL;
}

bool silence_record(const struct point *point, int64_t now_wall, struct record *record) {
  if (!point->has_last || point->last.quality == QUALITY_BAD) return false;
  *record = point->last;
  record->quality = QUALITY_UNCERTAIN;
  record->reason = REASON_STALE;
  record->time = now_wall;
  record->received = 0;
  return true;
}
