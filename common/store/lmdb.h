#ifndef RIVERBUS_COMMON_STORE_LMDB_H
#define RIVERBUS_COMMON_STORE_LMDB_H
/* The LMDB backend: the store object, its writer and its reader. The core's thread opens it, submits, and takes
 * completions. */
#include "common/store/pace.h"
#include "common/base/log.h"
#include "common/base/queue.h"
#include "common/store/internal.h"
#include "common/store/lmdb_state.h"
#include <pthread.h>
#include <stdatomic.h>

/* Completions on their way to the core: bounded by what it submitted, and by what trimming finds to take away. */
struct done_list {
  pthread_mutex_t lock;
  struct done *first, **end;
  int fd; /* eventfd, readable while the list is not empty */
};
int done_list_init(struct done_list *list);
void done_list_deinit(struct done_list *list);
void done_list_push(struct done_list *list, struct done *done); /* with what stands before it */
struct done *done_list_pop(struct done_list *list);             /* NULL: empty */

struct ceiling {       /* an epoch that was given up: what follows `from` is passed over by reads */
  struct bytes stream; /* owned */
  struct epoch epoch;
  uint64_t from;
};

/* How many segments a group may seal. Where LMDB found no run of pages for one, what was not sealed piles up, and all
 * of it at once would never find room: from then on one at a time and twice as many after each success. A failure costs
 * a reload: after each the pause is twice as long, after each success half. */
struct sealing {
  size_t most;     /* 0: as many as are full */
  unsigned pause;  /* groups that seal nothing, after the next failure */
  unsigned paused; /* of them still to come */
};

struct lmdb {
  struct store store; /* first */
  struct base base;
  struct state state;       /* the writer's */
  struct store_audit audit; /* the writer's: the end of the audit log, as committed */
  struct queue *batches, *reads;
  struct done_list done;
  pthread_t writer, reader;
  bool writer_runs, reader_runs;
  int64_t linger_us, test_commit_delay_us;
  void (*fatal)(void *ctx, const char *message);
  void *fatal_ctx;

  pthread_mutex_t lock; /* of what follows */
  pthread_cond_t read_ends;
  uint64_t reads_begun, reads_ended; /* at most one apart */
  struct store_stats figures;
  struct ceiling *ceilings;
  size_t ceiling_count;
  atomic_uint_fast64_t damaged_read;            /* by the reader */
  atomic_uint_fast64_t time_read, time_skipped; /* segments, by the reader */

  /* The reader's: the damage that it has counted. Of `unreadable` it knows that searching is in vain. */
  struct intervals lost[LANES];
  struct coverage hidden, unreadable;

  struct pace pace;            /* the writer's */
  struct sealing sealing;      /* the writer's */
  int64_t trim_due_mono;       /* the writer's: when it looks again at the age of the fronts */
  bool memory_held;            /* the writer's: a large group went by since memory was given back */
  struct log_limit full_limit; /* the writer's */
  atomic_uint small_pieces;    /* transactions for which LMDB had no room as they were */
  unsigned kill_at;            /* RIVERBUS_TEST_HOOKS: see lmdb_writer.c */
};

/* lmdb_commit.c: the writer's transactions. */
MDB_txn *lmdb_begin(struct lmdb *lmdb);
/* A commit either is durable when it returns, or its outcome is unknown and the process ends. BASE_FULL is known:
 * nothing was written. */
int lmdb_commit(struct lmdb *lmdb, MDB_txn *txn);
/* What memory knows is thrown away and read again: the only way back after a transaction that was planned and not
 * committed. */
void lmdb_reload(struct lmdb *lmdb);
/* After BASE_FULL, before one more try: gets at all pages there are to have, and reloads. LMDB keeps back what a read
 * under way may look at, so it waits for its end; and what the last commit freed, so it commits twice more, next to
 * nothing. `what` there was no room for. Blocks as long as one read and two commits take. */
void lmdb_no_room(struct lmdb *lmdb, const char *what);
struct measured { /* taken inside a transaction, told when it is committed */
  uint64_t used, log_bytes[LANES], discarded;
};
struct measured lmdb_measure(struct lmdb *lmdb, MDB_txn *txn);
void lmdb_update_figures(struct lmdb *lmdb, const struct plan_counts *counts, const struct measured *measured);

/* lmdb_retention.c. Looks at the fronts when the oldest can have come of age, but at least once a minute, since the
 * wall clock may be set. */
void lmdb_trim_by_age(struct lmdb *lmdb);
/* discard-oldest: makes room for a whole group, in its own transaction, so that churn costs one commit and not two.
 * Adds to *records how many go. *out: what is gone, NULL: there was room; the caller frees it, also where it fails.
 * BASE_FULL: not even to delete was there room. */
int lmdb_make_room(struct lmdb *lmdb, MDB_txn *txn, size_t bytes, struct done **out, uint64_t *records);
/* The same in transactions of its own and in the smallest steps, reported at once: where the copies of the pages that
 * one large step touches have no room. Goes as far as LMDB lets it. */
void lmdb_make_room_apart(struct lmdb *lmdb, size_t bytes);

void *lmdb_writer_main(void *lmdb);
void *lmdb_reader_main(void *lmdb);
void lmdb_die(struct lmdb *lmdb, const char *what, int result) __attribute__((noreturn));
/* The ceiling of an epoch, UINT64_MAX where it has none. Any thread. */
uint64_t lmdb_ceiling(struct lmdb *lmdb, struct bytes stream, struct epoch epoch);
void lmdb_note_ceilings(struct lmdb *lmdb, const struct effect *effects, size_t count);

/* lmdb_recover.c: marks the store as running, looks at it first where it was not closed. STORE_DAMAGED: it was set
 * aside, *problem says where. */
int recover(struct base *base, const struct store_options *options, struct store_problem *problem);
int recover_mark_clean(struct base *base);
int recover_set_aside(struct base *base, const struct world *world, const char *why, struct store_problem *problem);
#endif
