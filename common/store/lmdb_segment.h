#ifndef RIVERBUS_COMMON_STORE_LMDB_SEGMENT_H
#define RIVERBUS_COMMON_STORE_LMDB_SEGMENT_H
/*
 * A sealed segment: a fixed number of bytes that fill 64 pages of LMDB exactly, so that a freed one is taken again
 * whole (measured: large values of one size are the only layout that keeps its rate both under churn and when a drained
 * store fills again).
 *
 *    0  u64  XXH3-64 of the rest of this head
 *    8  u32  "RBS1"
 *   12  u32  positions, from the first entry's to the last's
 *   16  u64  position of the first entry
 *   24  u32  bytes used, this head included
 *   28  u32  lane
 *   32  the entries (entry.h), one behind the other, then zeros
 */
#include "common/store/entry.h"

enum { SEGMENT_SIZE = 64 * 4096 - 16, SEGMENT_HEAD = 32, SEGMENT_ROOM = SEGMENT_SIZE - SEGMENT_HEAD };

/* Writes `count` entries of rising positions, which fit, to SEGMENT_SIZE bytes. */
void segment_write(uint8_t *to, enum lane lane, const struct entry *const *entries, size_t count);

/* Steps over the entries of a segment. After a damaged one it looks for the next that is whole. */
struct segment {
  struct bytes used; /* empty: the head is damaged, nothing can be read */
  size_t at;
  uint64_t first, next; /* positions: of the first entry; expected next */
  uint32_t count;
};
bool segment_open(struct segment *segment, struct bytes bytes);
/* true: *entry and *block (views) are set; false: the end. *lost: how many entries before this one (or the end) could
 * not be read. */
bool segment_next(struct segment *segment, struct entry *entry, struct bytes *block, uint64_t *lost);
#endif
