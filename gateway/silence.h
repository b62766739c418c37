#ifndef RIVERBUS_GATEWAY_SILENCE_H
#define RIVERBUS_GATEWAY_SILENCE_H
/*
 * Which points have been silent for longer than `stale-after`: a heap of points by the time at which they would be. A
 * payload costs nothing here: a point's place is mended only when its time comes up. Pure; times are mono µs.
 */
#include "gateway/points.h"

struct silence_entry {
  int64_t at;
  struct point *point;
};
struct silence {
  struct silence_entry *items;
  size_t count;
};

/* Every point with `stale-after` is watched. One that was never heard in this run, but has a last value, counts as
 * heard now. */
void silence_init(struct silence *silence, struct points *points, int64_t now);
void silence_deinit(struct silence *silence);
int64_t silence_next(const struct silence *silence); /* when to ask again; INT64_MAX: never */
/* The next point that is due and whose silence was not said yet (its `stale` is set), or NULL. Call until NULL. */
struct point *silence_take(struct silence *silence, int64_t now);
/* What to record of it: the last value once more, uncertain, stale, of the time `now_wall`. false: there is no last
 * value, or it was bad. */
bool silence_record(const struct point *point, int64_t now_wall, struct record *record);
#endif
