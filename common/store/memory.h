#ifndef RIVERBUS_COMMON_STORE_MEMORY_H
#define RIVERBUS_COMMON_STORE_MEMORY_H
/*
 * The store's second backend: in memory, single-threaded, driven by the simulator and the unit tests. The "disk"
 * outlives the store object, so that a crash is: free the store without committing, open again on the same disk. A disk
 * can be copied, which is how an old copy is restored.
 */
#include "common/store/store.h"

struct memory_disk;
struct memory_disk *memory_disk_new(void);
struct memory_disk *memory_disk_free(struct memory_disk *disk);
struct memory_disk *memory_disk_copy(const struct memory_disk *disk); /* what is committed now */

int store_open_memory(struct store **out, const struct store_options *options, struct memory_disk *disk);
/* Commits what is submitted, in order, at most `batches` of them in one group commit; completions then wait for
 * store_next. Reads are answered as well. */
void store_memory_run(struct store *store, size_t batches);
size_t store_memory_pending(const struct store *store); /* batches submitted, not yet committed */
/* The process dies here: pending batches vanish, nothing is reported. Returns NULL. */
struct store *store_memory_crash(struct store *store);

struct memory_faults {
  bool full;             /* batches that may not use the reserve are refused as STORE_REFUSAL_FULL */
  bool full_urgent;      /* those that may, too */
  bool damage_next_read; /* the next entry read is found damaged */
};
void store_memory_faults(struct store *store, const struct memory_faults *faults);
#endif
