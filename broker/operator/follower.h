#ifndef RIVERBUS_BROKER_OPERATOR_FOLLOWER_H
#define RIVERBUS_BROKER_OPERATOR_FOLLOWER_H
/*
 * What `tail` does with the blocks it gets: picks the records that are wanted, writes them as lines, and remembers how
 * far the reader may acknowledge once these lines are written out. Pure: blocks in, bytes out.
 *
 * After a break (follower_again) the node sends anew what was not acknowledged, or all of what was asked for; what has
 * been taken is recognised and not written twice. It is recognised by place and number together: places of a store that
 * was restored from a copy are given again, to other records.
 */
#include "broker/operator/row.h"

enum follower_form { FOLLOWER_TABLE, FOLLOWER_JSON, FOLLOWER_QUIET };
struct follower {
  enum follower_form form;
  bool all; /* also heads, descriptors, reports */
  struct row_style style;
  uint64_t most; /* records; 0: no limit */
  uint64_t count;
  struct unit_names units;
  uint64_t skip_position[LANES]; /* the entry of which a former run has shown the records up to skip_within */
  uint64_t skip_within[LANES];
  struct {
    bool moved;
    uint64_t position, within;
  } marks[LANES];             /* what the lines so far stand for */
  uint64_t taken[LANES];      /* the last entry taken whole */
  uint64_t taken_then[LANES]; /* as it was at the last break */
  struct table greatest;      /* lane, epoch, stream -> the greatest sequence taken */
  uint64_t malformed;
};
void follower_init(struct follower *follower);
void follower_deinit(struct follower *follower);
/* The connection broke: what follows may begin before what was taken. */
void follower_again(struct follower *follower);
/* Appends the lines of a block. False: `most` is reached, nothing more is wanted. */
bool follower_take(
    struct follower *follower, enum lane lane, uint64_t position, struct bytes block, struct buffer *out);
#endif
