#ifndef RIVERBUS_COMMON_STORE_LMDB_DIRECTORY_H
#define RIVERBUS_COMMON_STORE_LMDB_DIRECTORY_H
/*
 * What stands in a sealed segment: the runs of its streams, and the times. It serves trimming (whole segments go, by
 * what the directory says, without reading them), the index, reads of one stream, and history. Addresses need no list
 * of their own: those of a stream lie below its name.
 *
 * A directory outlives its segment: trimming marks it, so that the floors it means are known again after a kill; it is
 * deleted once a checkpoint has written the pieces it concerns.
 *
 * Value (sealed, see base_put; varints as in common/base/cursor.h): u8 version (1) | u8 trimmed: 0 no, 1 by age, 2 by
 * size | i64 trimmed when | i64 received from, to | i64 time from, to | varint runs, each: varint id, varint first,
 * varint last - first, varint records
 */
#include "common/store/lmdb_base.h"
#include "common/store/entry.h"

enum { RUN_SPAN_MAX = 65536 }; /* sequences of one run: bounds how far back the index is searched for an overlap */
enum directory_trimmed { DIRECTORY_WHOLE = 0, DIRECTORY_BY_AGE = 1, DIRECTORY_BY_SIZE = 2 };

struct run { /* blocks of one (stream, epoch) that follow one another without hole, in order */
  uint32_t id;
  uint64_t first, last;
  uint64_t records;
};
struct directory {
  enum lane lane;
  uint64_t segment; /* position of its first entry */
  enum directory_trimmed trimmed;
  int64_t trimmed_when;
  int64_t received_from, received_to, time_from, time_to;
  struct run *runs;
  size_t run_count, run_cap;
};

void directory_init(struct directory *directory, enum lane lane, uint64_t segment);
void directory_deinit(struct directory *directory);
/* Adds an entry; *slot is the number of the newest run of its id in this directory, from 1 (0: none yet), kept by the
 * caller. */
void directory_add(struct directory *directory, const struct block_summary *is, uint32_t id, uint32_t *slot);

int directory_put(const struct directory *directory, const struct base *base, MDB_txn *txn); /* BASE_FULL */
/* *directory is to be initialised with lane and segment. BASE_NONE, BASE_DAMAGED. */
int directory_get(struct directory *directory, const struct base *base, MDB_txn *txn);
/* Only the times, without the runs; the rest of *directory is left as it is. BASE_NONE, BASE_DAMAGED. */
int directory_get_times(struct directory *directory, const struct base *base, MDB_txn *txn);
int directory_delete(const struct base *base, MDB_txn *txn, enum lane lane, uint64_t segment);
/* Visits the directories of a lane in order until visit returns false; damaged ones are passed over. */
int directory_each(const struct base *base, MDB_txn *txn, enum lane lane,
    bool (*visit)(void *ctx, const struct directory *directory), void *ctx);

/* The index: where runs stand. */
struct place {
  uint32_t id;
  uint64_t first, last; /* last 0: the entry of the index is damaged */
  enum lane lane;
  uint64_t segment;
};
int index_put(const struct directory *directory, const struct base *base, MDB_txn *txn); /* BASE_FULL */
int index_delete(const struct directory *directory, const struct base *base, MDB_txn *txn);
/* Visits the runs of id that overlap [from, to], by first sequence, until visit returns false. */
int index_each(const struct base *base, MDB_txn *txn, uint32_t id, uint64_t from, uint64_t to,
    bool (*visit)(void *ctx, const struct place *place), void *ctx);
#endif
