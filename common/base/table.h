#ifndef RIVERBUS_COMMON_BASE_TABLE_H
#define RIVERBUS_COMMON_BASE_TABLE_H
/* A hash table from bytes to a pointer. Keys are copied in; the values are the caller's. The hash is keyed (XXH3 with a
 * seed drawn once per process from the kernel), so that no peer can choose colliding names; iteration order is
 * therefore unspecified, and the core sorts where order matters. TABLE_NULL is a valid empty table. */
#include "common/base/bytes.h"

struct table_entry;
struct table {
  struct table_entry **slots;
  size_t slot_count;
  size_t count;
};
#define TABLE_NULL ((struct table){NULL, 0, 0})

void table_deinit(struct table *table, void (*free_value)(void *value)); /* free_value may be NULL */
void *table_get(const struct table *table, struct bytes key);            /* NULL: not there */
/* returns the value that was there, or NULL. value is not NULL */
void *table_put(struct table *table, struct bytes key, void *value);
void *table_remove(struct table *table, struct bytes key); /* returns the value that was there, or NULL */
/* Steps through all entries: start with TABLE_CURSOR_NULL, returns false at the end. The table may not change
 * meanwhile, but for table_remove of the entry just returned. key and value may be NULL; the key is a view into the
 * table. */
struct table_cursor {
  size_t slot;
  struct table_entry *next;
};
#define TABLE_CURSOR_NULL ((struct table_cursor){0, NULL})
bool table_next(const struct table *table, struct table_cursor *cursor, struct bytes *key, void **value);
#endif
