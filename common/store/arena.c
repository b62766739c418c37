#include "common/store/arena.h"
#include "common/base/mem.h"
#include <stdalign.h>
#include <stdlib.h>

enum { ARENA_CHUNK = 1024 };

struct arena_chunk {
  struct arena_chunk *older;
  size_t size;
  size_t used;
  alignas(max_align_t) uint8_t data[];
};

void arena_deinit(struct arena *arena) {
  while (arena->newest) {
    struct arena_chunk *chunk = arena->newest;
    arena->newest = chunk->older;
    free(chunk);
  }
}

static struct arena_chunk *arena_grow(struct arena *arena, size_t size) {
  size_t room = size > ARENA_CHUNK ? size : ARENA_CHUNK;
  struct arena_chunk *chunk = mem_alloc(sizeof *chunk + room);
  *chunk = (struct arena_chunk){.older = arena->newest, .size = room};
  arena->newest = chunk;
  return chunk;
}

/* zeroed, aligned for any type */
static void *arena_alloc(struct arena *arena, size_t size) {
  const size_t align = alignof(max_align_t);
  struct arena_chunk *chunk = arena->newest;
  if (!chunk || chunk->size - chunk->used < size) chunk = arena_grow(arena, size);
  void *piece = chunk->data + chunk->used;
  size_t taken = (size + align - 1) / align * align;
  chunk->used = taken > chunk->size - chunk->used ? chunk->size : chunk->used + taken;
  return piece;
}

struct bytes arena_copy(struct arena *arena, struct bytes from) {
  if (from.len == 0) return BYTES_NULL;
  uint8_t *copy = arena_alloc(arena, from.len);
  memcpy(copy, from.data, from.len);
  return bytes_of(copy, from.len);
}
