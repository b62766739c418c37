#ifndef RIVERBUS_COMMON_RECORD_ONWARD_H
#define RIVERBUS_COMMON_RECORD_ONWARD_H
/*
 * To whom records may be passed on by those who get them. It is the origin's word, rides in the header of the block
 * (block.onward) and binds every relay: without a grant that matches its address and names the next node, a record goes
 * no further.
 *
 * Which copy of a record comes first to a relay is chance, and only that one is stored. So a grant depends on the
 * record and not on the way: into the blocks of its immediate, whole feed an origin writes the grants of *all* its
 * rules without `every` and `delay`, to whichever neighbour (who may have a record by one way may have it by another);
 * into those of a thinned or delayed feed the grants of that feed's rules besides. A rule whose `until` may have passed
 * within a block grants nothing in it.
 *
 * Bytes: entries, each: varint length, pattern; varint n, n x (varint length, node name). Nothing: no
 * grant.
 */
#include "common/record/address.h"
#include "common/base/buffer.h"

enum {
  /* bytes of all grants of a block: with a path of names of ordinary length it fits what a builder leaves free */
  ONWARD_MAX = 1500,
  ONWARD_FULL = 1,
};

/* Appends a grant: what `pattern` matches may go to these nodes, `count` of them (1 at least). ONWARD_FULL: *to would
 * be longer than ONWARD_MAX; it is as before. */
int onward_add(struct buffer *to, struct bytes pattern, const struct bytes *nodes, size_t count);
/* Adds the patterns of all grants that name `node` to *out (the caller deinits). Grants that cannot be read give
 * nothing. To be kept by relays for blocks with the same grants: it compiles patterns. */
void onward_granted(struct bytes grants, struct bytes node, struct patterns *out);
uint32_t onward_digest(struct bytes grants); /* never 0 */
#endif
