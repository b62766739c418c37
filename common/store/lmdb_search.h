#ifndef RIVERBUS_COMMON_STORE_LMDB_SEARCH_H
#define RIVERBUS_COMMON_STORE_LMDB_SEARCH_H
/*
 * The way to stored blocks without the index. LMDB's pages have no checksum: a damaged one can hide entries of the
 * index, and nothing tells so but that something is held of which the index knows no place. Then the directories of the
 * segments are read, and where one of those is damaged or gone the segment itself. It costs a look at every segment, so
 * it is for damage only.
 */
#include "common/store/lmdb_directory.h"
#include "common/store/lmdb_log.h"

struct searched {
  struct place *places; /* by first sequence */
  size_t count, cap;
};
/* Gathers the runs of (stream, epoch) that reach into [from, to]; id: its short number; 0: it has none, since nothing
 * of it was ever sealed. <0, BASE_DAMAGED */
int search_places(struct searched *out, const struct base *base, MDB_txn *txn, uint32_t id, struct bytes stream,
    struct epoch epoch, uint64_t from, uint64_t to);
void searched_deinit(struct searched *searched);
/* The short number of (stream, epoch) as the pieces know it. BASE_NONE */
int search_id(uint32_t *id, const struct base *base, MDB_txn *txn, struct bytes stream, struct epoch epoch);
/* The floor in this transaction: what the piece says, and the trimmed segments since it was written. */
int search_floor(uint64_t *floor, const struct base *base, MDB_txn *txn, uint32_t id);
#endif
