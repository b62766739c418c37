#include "common/base/table.h"
#include "common/base/mem.h"
#include "common/base/world.h"
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <xxhash.h>

enum { TABLE_LEAST = 16 };

struct table_entry {
  struct table_entry *next;
  void *value;
  uint64_t hash;
  size_t key_len;
  uint8_t key[];
};

static uint64_t table_seed;
static pthread_once_t table_seed_once = PTHREAD_ONCE_INIT;

static void table_draw_seed(void) { world_random(&world_system, &table_seed, sizeof table_seed); }

static uint64_t table_hash(struct bytes key) {
  pthread_once(&table_seed_once, table_draw_seed);
  return XXH3_64bits_withSeed(key.data, key.len, table_seed);
}

static struct table_entry **table_slot(const struct table *table, uint64_t hash) {
  return &table->slots[hash & (table->slot_count - 1)];
}

/* The link that points to the key's entry, or the NULL link at the end of its chain. Needs slots. */
static struct table_entry **table_find(const struct table *table, struct bytes key, uint64_t hash) {
  struct table_entry **link = table_slot(table, hash);
  while (*link && ((*link)->hash != hash || !bytes_equal(bytes_of((*link)->key, (*link)->key_len), key)))
    link = &(*link)->next;
  return link;
}

static void table_grow(struct table *table) {
  struct table grown = {NULL, table->slot_count ? table->slot_count * 2 : TABLE_LEAST, table->count};
  grown.slots = mem_alloc(grown.slot_count * sizeof *grown.slots);
  for (size_t i = 0; i < table->slot_count; i++) {
    for (struct table_entry *entry = table->slots[i], *next; entry; entry = next) {
      struct table_entry **slot = table_slot(&grown, entry->hash);
      next = entry->next;
      entry->next = *slot;
      *slot = entry;
    }
  }
  free(table->slots);
  *table = grown;
}

void table_deinit(struct table *table, void (*free_value)(void *value)) {
  for (size_t i = 0; i < table->slot_count; i++) {
    for (struct table_entry *entry = table->slots[i], *next; entry; entry = next) {
      next = entry->next;
      if (free_value) free_value(entry->value);
      free(entry);
    }
  }
  free(table->slots);
  *table = TABLE_NULL;
}

void *table_get(const struct table *table, struct bytes key) {
  if (table->count == 0) return NULL;
  const struct table_entry *entry = *table_find(table, key, table_hash(key));
  return entry ? entry->value : NULL;
}

void *table_put(struct table *table, struct bytes key, void *value) {
  assert(value);
  uint64_t hash = table_hash(key);
  if (table->count >= table->slot_count) table_grow(table);
  struct table_entry **link = table_find(table, key, hash);
  if (*link) {
    void *before = (*link)->value;
    (*link)->value = value;
    return before;
  }
  struct table_entry *entry = mem_resize(NULL, 1, sizeof *entry + key.len);
  *entry = (struct table_entry){.value = value, .hash = hash, .key_len = key.len};
  if (key.len > 0) memcpy(entry->key, key.data, key.len);
  *link = entry;
  table->count++;
  return NULL;
}

void *table_remove(struct table *table, struct bytes key) {
  if (table->count == 0) return NULL;
  struct table_entry **link = table_find(table, key, table_hash(key));
  struct table_entry *entry = *link;
  if (!entry) return NULL;
  void *value = entry->value;
  *link = entry->next;
  free(entry);
  table->count--;
  return value;
}

bool table_next(const struct table *table, struct table_cursor *cursor, struct bytes *key, void **value) {
  while (!cursor->next) {
    if (cursor->slot == table->slot_count) return false;
    cursor->next = table->slots[cursor->slot++];
  }
  struct table_entry *entry = cursor->next;
  cursor->next = entry->next; /* kept before the caller may remove this entry */
  if (key) *key = bytes_of(entry->key, entry->key_len);
  if (value) *value = entry->value;
  return true;
}
