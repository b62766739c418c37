#ifndef RIVERBUS_COMMON_NODE_RING_H
#define RIVERBUS_COMMON_NODE_RING_H
/* The blocks that were committed last, by log position: bounded bytes; the oldest go first. */
#include "common/base/blob.h"

struct ring_entry {
  uint64_t position;
  struct blob *block;
};
struct ring {
  struct ring_entry *entries; /* a circle of cap */
  size_t head, count, cap;
  size_t bytes, most;
};
void ring_init(struct ring *ring, size_t most_bytes);
void ring_deinit(struct ring *ring);
void ring_add(struct ring *ring, uint64_t position, struct blob *block); /* takes its own reference; positions rise */
struct blob *ring_get(const struct ring *ring, uint64_t position);       /* a new reference, or NULL */
#endif
