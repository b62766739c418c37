#ifndef RIVERBUS_COMMON_STORE_LMDB_STATE_H
#define RIVERBUS_COMMON_STORE_LMDB_STATE_H
/*
 * What the writer knows of the disk: coverage, young ends, positions; and the checkpoint that lets a start know it
 * again. Touched by the opening thread first and by the writer's thread from then on.
 *
 * The checkpoint goes in cycles. When CHECKPOINT_EVERY bytes were logged since the last, the positions are marked and
 * the changed covers set aside; some of their pieces are written with each commit; with the last of them the mark is
 * written. A start reads all pieces and the log from the mark. A piece may be newer than the mark: effects are unions,
 * so applying them again changes nothing. Effects that the log does not hold (discards, floors, new epochs) write their
 * piece in the transaction that makes them.
 */
#include "common/store/lmdb_directory.h"
#include "common/store/lmdb_log.h"
#include "common/store/plan.h"

#define CHECKPOINT_EVERY ((uint64_t)16 << 20)

struct covers {
  struct cover **items;
  size_t count, cap;
};
struct trimmed {
  enum lane lane;
  uint64_t segment;
};
struct state {
  struct base *base;
  struct coverage coverage;
  struct cover **by_id;
  uint32_t id_count; /* ids given: 1 .. id_count */
  size_t id_cap;
  struct young young[LANES];
  uint64_t first[LANES]; /* position of the first entry; next where the log is empty */
  uint64_t next[LANES];
  struct covers dirty;  /* changed since their piece was written */
  struct covers naming; /* named in the transaction under way */
  struct covers cycle;  /* set aside by the cycle under way, written from the end */
  bool in_cycle;
  uint64_t mark[LANES];
  uint64_t since_checkpoint; /* bytes logged */
  struct trimmed *trimmed;   /* directories of segments that are gone, in order; deleted after the next cycle */
  size_t trimmed_count, trimmed_cap, trimmed_in_cycle;
  bool trimmed_young; /* in the transaction under way: no directory tells of it */
  uint64_t damaged;   /* entries, values and pieces found damaged */
};

/* Reads everything. <0, BASE_DAMAGED: LMDB's own structure. Single damaged values are counted and passed over. */
int state_load(struct state *state, struct base *base);
void state_deinit(struct state *state);
void state_set_id(struct state *state, struct cover *cover); /* makes cover->id known */
void state_remember_trimmed(struct state *state, enum lane lane, uint64_t segment);

/* What a plan asks for (plan.h); ctx: struct state_view. */
struct state_view {
  struct state *state;
  MDB_txn *txn;
};
int state_overlapping(void *ctx, struct bytes stream, struct epoch epoch, uint64_t from, uint64_t to,
    void (*visit)(void *visit_ctx, const struct entry *entry), void *visit_ctx);

/* Applies effects in memory. One that the log does not hold is to be made durable by state_keep in the same
 * transaction. */
void state_apply(struct state *state, const struct effect *effects, size_t count);
int state_keep(struct state *state, MDB_txn *txn, const struct effect *effects, size_t count); /* BASE_FULL */
/* Adds entries to their logs: seals what is full, at most so many segments a lane, stores the rest in the young ends.
 * BASE_FULL */
int state_append(struct state *state, MDB_txn *txn, const struct entry *entries, size_t count, size_t seal_most);
/* A share of the checkpoint, for a commit that logged so many bytes. BASE_FULL */
int state_checkpoint(struct state *state, MDB_txn *txn, uint64_t bytes);
/* Writes a few bytes that change nothing: a transaction of the least size that LMDB counts as one. BASE_FULL */
int state_touch(struct state *state, MDB_txn *txn);
/* Everything that is left of it, for a clean end. */
int state_checkpoint_all(struct state *state, MDB_txn *txn);
/* The transaction was committed. */
void state_committed(struct state *state);

/* Trimming: the front of a lane. *received_to: the newest record of it. BASE_NONE: the log is empty. */
int state_front(struct state *state, MDB_txn *txn, enum lane lane, int64_t *received_to);
/* Takes the front away: a segment, or up to 64 entries of the young end that were received before `older`. Notes in
 * done what is gone. */
int state_trim(struct state *state, MDB_txn *txn, enum lane lane, int64_t older, enum directory_trimmed why,
    int64_t now, struct done *done, uint64_t *records);
/* After the last state_trim of a transaction: applies and keeps what done names. */
int state_trim_end(struct state *state, MDB_txn *txn, struct done *done);
#endif
