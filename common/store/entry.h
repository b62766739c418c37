#ifndef RIVERBUS_COMMON_STORE_ENTRY_H
#define RIVERBUS_COMMON_STORE_ENTRY_H
/* An entry of a log: one block with where it came from and what its source claimed with it, or one claim without a
 * block. */
#include "common/store/batch.h"
#include "common/store/coverage.h"

struct entry {
  enum lane lane;
  uint64_t position;
  struct blob *block; /* NULL: a bare claim */
  struct bytes source;
  uint64_t scope;
  uint64_t covers_from, covers_to; /* from > to: no claim */
  /* of a bare claim only stream, epoch and received (when it was noted); the stream is a view into the block, or as
   * source */
  struct block_summary is;
};

/* A copy that stands alone: one more reference of the block, names copied. */
void entry_keep(struct entry *kept, const struct entry *entry);
/* The same entry with its block as a blob of its own (NULL for a bare claim): *entry and block are views, as entry_read
 * gives them. */
struct entry entry_with_blob(const struct entry *entry, struct bytes block);
void entry_deinit(struct entry *kept); /* only of one that was kept */

/* What a stored entry means: calls apply for one or two effects (extent held, range claimed). */
void entry_effects(const struct entry *entry, void (*apply)(void *ctx, const struct effect *effect), void *ctx);
static inline bool entry_overlaps(
    const struct entry *entry, struct bytes stream, struct epoch epoch, uint64_t from, uint64_t to) {
  return entry->is.count > 0 && entry->is.first <= to && entry->is.last >= from &&
         epoch_compare(entry->is.epoch, epoch) == 0 && bytes_equal(entry->is.stream, stream);
}
/* Whether records of the entry may lie in what a read by time asks for, and its stream is wanted. */
bool entry_in_time(const struct entry *entry, const struct store_read *request);
/* Adds the sequences of a block that lie in [from, to] to *out; of one that cannot be read, its whole extent. */
void entry_sequences(const struct entry *entry, uint64_t from, uint64_t to, struct intervals *out);

/* The part of a block up to and including `ceiling`: a new reference to the same where that is all, NULL where nothing
 * is left. */
struct blob *entry_below(struct blob *block, const struct block_summary *is, uint64_t ceiling);

/* The disk's form (format above entry.c). */
enum { ENTRY_HEAD = 52 }; /* bytes before the names */
size_t entry_size(const struct entry *entry);
void entry_write(const struct entry *entry, uint8_t *to); /* entry_size bytes */
/* The size of the entry that begins at `from`; 0: none can begin there. Not yet checked. */
size_t entry_peek_size(struct bytes from);
uint64_t entry_peek_position(struct bytes from);
/* Reads and checks one entry; the views point into `from`, block stays NULL and *block is where it lies (empty for a
 * bare claim). false: damaged. */
bool entry_read(struct entry *entry, struct bytes *block, struct bytes from);
#endif
