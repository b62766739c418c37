#ifndef RIVERBUS_COMMON_STORE_LMDB_LOG_H
#define RIVERBUS_COMMON_STORE_LMDB_LOG_H
/*
 * The three logs on disk. The young end of each is small chunks that share pages, so that a trickle of single readings
 * costs a page or two a commit; as it fills, its entries are sealed into segments of one fixed size. When a commit
 * brings much, full segments are written at once.
 *
 * Measured: values of one large size are the only layout in LMDB that keeps its rate under churn and when a drained
 * store fills again, and a trickle must not pay 256 KiB a commit. Where a small, full store has no run of pages for a
 * segment, or no page to delete with, the transaction is taken back and tried again in small steps, then refused as
 * full; it never ends the process.
 */
#include "common/store/lmdb_base.h"
#include "common/store/lmdb_segment.h"

/* ---- reading, in any transaction ---- */
struct log_visit {
  bool (*entry)(void *ctx, const struct entry *entry, struct bytes block); /* false: enough. Views of the map */
  /* so many entries at or after `near` are damaged */
  void (*lost)(void *ctx, enum lane lane, uint64_t near, uint64_t count);
  void *ctx;
};
/* Visits every entry of a lane from a position on. <0, BASE_DAMAGED: LMDB's own structure. */
int log_walk(const struct base *base, MDB_txn *txn, enum lane lane, uint64_t from, const struct log_visit *visit);
int log_walk_young(const struct base *base, MDB_txn *txn, enum lane lane, uint64_t from, const struct log_visit *visit);
/* Visits one segment. BASE_NONE: it is not there. */
int log_walk_segment(
    const struct base *base, MDB_txn *txn, enum lane lane, uint64_t segment, const struct log_visit *visit);
/* Visits the entries from a position on of those segments of a lane that `wanted` names, in order, until it answers
 * LOG_END or visit->entry had enough. */
enum log_wanted { LOG_READ, LOG_SKIP, LOG_END };
int log_walk_wanted(const struct base *base, MDB_txn *txn, enum lane lane, uint64_t from,
    enum log_wanted (*wanted)(void *ctx, uint64_t segment), const struct log_visit *visit, bool *going);
/* The first position of the first segment, and of the last; BASE_NONE: there is none. */
int log_ends(const struct base *base, MDB_txn *txn, enum lane lane, uint64_t *first, uint64_t *last);
/* Bytes of the segments of a lane. */
uint64_t log_bytes(const struct base *base, MDB_txn *txn, enum lane lane);

/* ---- writing, by the writer ---- */
struct young { /* the young end, kept in memory too: at most a segment, for sealing and for deciding overlaps */
  struct entry *entries; /* kept */
  size_t count, cap;
  size_t stored; /* the first so many are on disk */
  size_t bytes;
};
void young_add(struct young *young, const struct entry *entry); /* keeps a copy; on disk with the next young_store */
void young_drop(struct young *young, size_t count);             /* the first so many, from memory only */
void young_clear(struct young *young);
int young_load(struct young *young, const struct base *base, MDB_txn *txn, enum lane lane,
    const struct log_visit *report); /* only `lost` is called */
/* How many entries from the front make a full segment; 0: not yet. */
size_t young_full(const struct young *young);
/* Writes what is not on disk yet. BASE_FULL */
int young_store(struct young *young, const struct base *base, MDB_txn *txn, enum lane lane);
/* Deletes the first so many from the disk, where they are. */
int young_delete(struct young *young, const struct base *base, MDB_txn *txn, enum lane lane, size_t count);
/* Writes the first `count` as a segment. BASE_FULL */
int young_seal(const struct young *young, const struct base *base, MDB_txn *txn, enum lane lane, size_t count);
#endif
