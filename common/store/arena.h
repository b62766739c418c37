#ifndef RIVERBUS_COMMON_STORE_ARENA_H
#define RIVERBUS_COMMON_STORE_ARENA_H
/* Small pieces of memory that are given back all at once: the names and values of one batch or one completion.
 * ARENA_NULL is a valid empty one. */
#include "common/base/bytes.h"

struct arena_chunk;
struct arena {
  struct arena_chunk *newest;
};
#define ARENA_NULL ((struct arena){NULL})

void arena_deinit(struct arena *arena);
struct bytes arena_copy(struct arena *arena, struct bytes from); /* an empty view for an empty one */
#endif
