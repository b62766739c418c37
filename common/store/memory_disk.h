#ifndef RIVERBUS_COMMON_STORE_MEMORY_DISK_H
#define RIVERBUS_COMMON_STORE_MEMORY_DISK_H
/* What the memory backend calls its disk: only what is committed. */
#include "common/store/entry.h"
#include "common/store/memory.h"

struct memory_log {
  struct entry *entries; /* [start, end) are there; in order of position */
  size_t start, end, cap;
  uint64_t next; /* position of the next entry */
  uint64_t bytes;
};
struct memory_table {
  struct store_keyed *rows; /* owned, in order of key */
  size_t count, cap;
};
struct memory_disk {
  int64_t created;
  struct coverage coverage;
  struct memory_log logs[LANES];
  struct memory_table tables[STORE_TABLES];
  struct store_audit audit;
  uint64_t used;
};

void memory_disk_next(const struct memory_disk *disk, uint64_t next[LANES]);
void memory_disk_append(struct memory_disk *disk, const struct entry *entry);
const struct entry *memory_disk_front(const struct memory_disk *disk, enum lane lane); /* NULL: the log is empty */
void memory_disk_pop(struct memory_disk *disk, enum lane lane);
void memory_disk_put(struct memory_disk *disk, enum store_table table, struct bytes key, struct bytes value);
void memory_disk_delete(struct memory_disk *disk, enum store_table table, struct bytes key);
void memory_disk_overlapping(const struct memory_disk *disk, struct bytes stream, struct epoch epoch, uint64_t from,
    uint64_t to, void (*visit)(void *visit_ctx, const struct entry *entry), void *visit_ctx);
size_t memory_log_seek(const struct memory_log *log, uint64_t position); /* index of the first at or after it */
void memory_log_figures(const struct memory_log *log, struct store_stats *out, enum lane lane);
size_t memory_table_seek(const struct memory_table *table, struct bytes key); /* index of the first at or after it */
#endif
