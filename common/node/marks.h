#ifndef RIVERBUS_COMMON_NODE_MARKS_H
#define RIVERBUS_COMMON_NODE_MARKS_H
/*
 * How long ago an entry of the log was stored here, for feeds that are delayed. Now and then it is marked how far the
 * logs have come; an entry is as old as the first mark at or above it. Where there are many, old ones
 * go: then an entry counts as a little younger than it is, in proportion to its age, never as older. Kept in the store,
 * once a minute; what was stored after the last that was kept is as old as the start of the process.
 */
#include "common/base/world.h"
#include "common/store/store.h"

enum { MARKS_MAX = 512 };
#define MARKS_SPACING_US SECOND_US /* at least, */
#define MARKS_SHARE 64             /* and this part of the smallest delay */

struct mark {
  int64_t at; /* mono; of marks of an earlier process also below 0 */
  uint64_t positions[LANES];
};
struct marks {
  struct mark *items; /* rising */
  size_t count;
  int64_t spacing_us;
};
void marks_deinit(struct marks *marks);
void marks_load(struct marks *marks, struct store *store, struct instant now); /* at the start, synchronously */
void marks_save(const struct marks *marks, struct store_batch *batch, struct instant now);
/* Notes how far the logs are, where it is time. smallest_us, longest_us: of the delays there are; 0: none. */
void marks_add(
    struct marks *marks, const uint64_t positions[LANES], int64_t now, int64_t smallest_us, int64_t longest_us);
/* When (mono) an entry has been here for `delay`; INT64_MAX: no mark stands above it yet. */
int64_t marks_due(const struct marks *marks, enum lane lane, uint64_t position, int64_t delay_us);
#endif
