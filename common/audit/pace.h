#ifndef RIVERBUS_COMMON_AUDIT_PACE_H
#define RIVERBUS_COMMON_AUDIT_PACE_H
/*
 * When a node signs a checkpoint of its audit log: once what its start adds to an older log is durable, so that an old
 * copy of a store that was put back shows soon; after each interval in which something was added, after each
 * PACE_ENTRIES entries, and at a clean stop where something was added since the last. Pure.
 */
#include "common/base/bytes.h"

enum { PACE_ENTRIES = 1000 };

struct pace {
  int64_t every_us;
  uint64_t signed_to; /* the number in the last checkpoint */
  int64_t at;         /* mono, when it was signed, or when the first entry after it was seen */
  bool waits;         /* something was added since */
  bool fresh;         /* none was signed since the start, which found a log */
};
/* number: of the last entry that the start found. */
void pace_init(struct pace *pace, int64_t every_us, uint64_t number);
/* Whether a checkpoint is due for a log that ends with entry `number`. */
bool pace_is_due(struct pace *pace, uint64_t number, int64_t mono);
bool pace_has_more(const struct pace *pace, uint64_t number); /* at a stop */
void pace_signed(struct pace *pace, uint64_t number);         /* one was made */
/* The entry `number` tells of a neighbour's checkpoint: where it is the only one since the last, that is no reason to
 * sign another, or two neighbours would go on answering each other for ever. */
void pace_pass(struct pace *pace, uint64_t number);
int64_t pace_next(const struct pace *pace); /* mono, when it may be due; INT64_MAX: not by time */
#endif
