#include "common/node/ring.h"
#include "common/base/mem.h"
#include <stdlib.h>

void ring_init(struct ring *ring, size_t most_bytes) { *ring = (struct ring){.most = most_bytes}; }

static struct ring_entry *at(const struct ring *ring, size_t i) { return &ring->entries[(ring->head + i) % ring->cap]; }

static void drop_oldest(struct ring *ring) {
  struct ring_entry *entry = at(ring, 0);
  ring->bytes -= entry->block->len;
  blob_unref(entry->block);
  ring->head = (ring->head + 1) % ring->cap;
  ring->count--;
}

void ring_deinit(struct ring *ring) {
  while (ring->count > 0) drop_oldest(ring);
  free(ring->entries);
  *ring = (struct ring){0};
}

static void grow(struct ring *ring) {
  size_t cap = ring->cap ? ring->cap * 2 : 64;
  struct ring_entry *entries = mem_resize(NULL, cap, sizeof *entries);
  for (size_t i = 0; i < ring->count; i++) entries[i] = *at(ring, i);
  free(ring->entries);
  ring->entries = entries;
  ring->cap = cap;
  ring->head = 0;
}

void ring_add(struct ring *ring, uint64_t position, struct blob *block) {
  while (ring->count > 0 && ring->bytes + block->len > ring->most) drop_oldest(ring);
  if (ring->count == ring->cap) grow(ring);
  *at(ring, ring->count) = (struct ring_entry){position, blob_ref(block)};
  ring->count++;
  ring->bytes += block->len;
}

struct blob *ring_get(const struct ring *ring, uint64_t position) {
  size_t low = 0, high = ring->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (at(ring, middle)->position < position)
      low = middle + 1;
    else
      high = middle;
  }
  if (low == ring->count || at(ring, low)->position != position) return NULL;
  return blob_ref(at(ring, low)->block);
}
