#ifndef RIVERBUS_COMMON_DOOR_SELECTION_H
#define RIVERBUS_COMMON_DOOR_SELECTION_H
/*
 * What some patterns select of a stream, decided without opening its blocks where that is possible: all addresses of a
 * stream lie below its node, so a pattern may take everything of it, or nothing. Pure.
 */
#include "common/record/block.h"

enum selection_extent { SELECTION_NONE = 0, SELECTION_SOME = 1, SELECTION_ALL = 2 };

/* The node of a stream: chongqing/cuntan!urgent gives chongqing/cuntan. A view. */
struct bytes stream_owner(struct bytes stream);
/* How much of what lies at or below `node` a pattern, or any of several, selects. SOME may turn out to be nothing. */
enum selection_extent pattern_extent(struct bytes pattern, struct bytes node);
enum selection_extent patterns_extent(const struct patterns *patterns, struct bytes node);

/* The part of a block that `keep` wants, opening it only as far as needed: first the dictionary by `address`, then the
 * records. Gives a new reference to `from` (all of it), a new block (some), or NULL (nothing, or the block is
 * malformed: fail closed). */
struct selection {
  /* what may be in the dictionary; NULL: anything, the records alone decide. Heads are always looked at */
  bool (*address)(void *ctx, struct bytes address);
  bool (*record)(void *ctx, const struct record *record); /* the decision for one record */
  void *ctx;
};
struct blob *selection_apply(const struct selection *selection, struct blob *from, const struct block *block);
#endif
