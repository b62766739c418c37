#ifndef RIVERBUS_BROKER_GAPS_H
#define RIVERBUS_BROKER_GAPS_H
/*
 * The gap ledger: what of a stream's period is here, and what became of the rest. Pure: it is given what is held, in
 * rising order, and what is known of one epoch at a time, and gives rows.
 *
 * A period is a time of `received`, the origin's clock at which it took a record; it never falls within a stream, so
 * the records that are held show which sequences a period had. It is complete iff a record at or after its end is held
 * (each origin issues a head at least once a minute, which passes every rule), no time within it is silent, and every
 * sequence is held, filtered, or discarded by the origin itself.
 *
 * What can be told, and what not:
 *   - store_held gives extents of blocks, and a filtered block has holes. So what is held is read from the blocks
 *     themselves (gap_read.h); damage is found by that reading too. What only the extents say is used for asking alone
 *     (gap_ask.h), where a wrong word costs one more look.
 *   - Filtered means: every source from which the stream may come said of the sequence that this is all that its rules
 *     select; one that has said nothing of it yet is waited for, and asked (gap_ask.h). Or the rules of one that did
 *     include the other's: but only rules that held already when the sequence was issued. That is so behind a record
 *     whose `received` is later than the change of either half; what lies before it is not proven in this way.
 *     That a rule was right cannot be seen here; both halves of an agreement are shown by `riverbus peers`.
 *   - A station sends everything, so nothing of its own stream is ever filtered at its broker.
 *   - A sequence of which nobody has heard is unknown: that is what the heads are for. Where no record is held for
 *     GAP_SILENT_US, the origin was off, or all that it issued meanwhile did not arrive: the time is named silent.
 * Where sequences are missing or gone between, their row names the time.
 *   - A discard is named with whoever said it. The origin's word counts where it, or its province, tells it; what a
 *     relay tells of the origin is the relay's word (common/node/receiver.c): "q/a via sichuan".
 *   - Below this node's own retention floor it is not known any more what was here: all of it is named as kept away.
 *   - An epoch ends where its origin says so: what it promised beyond and what never came is lost
 * (common/node/epochs.h).
 */
#include "common/base/interval.h"
#include "common/record/record.h"

/* Two heads and a half that did not come. */
#define GAP_SILENT_US (150 * SECOND_US)
enum { GAP_SILENCES_MAX = 4096 }; /* of a stream; then the shortest are left out */

enum gap_state {
  GAP_HELD,      /* here; in between sequences may be filtered */
  GAP_FILTERED,  /* not for us */
  GAP_DISCARDED, /* gone; wanting unless the origin itself says so */
  GAP_MISSING,   /* promised, not here, and it may still come */
  GAP_LOST,      /* promised by a store of the origin that is no more */
  GAP_SILENT,    /* no record for so long: a time, not sequences */
};
const char *gap_state_name(enum gap_state state); /* as in JSON */

/* What the province of a station says of its lost store; it speaks for it. */
#define GAP_LOST_REASON "origin-lost"
#define GAP_DAMAGED_REASON "damaged"
/* Others have left it out, and this source has not said whether it does. */
#define GAP_UNSAID_REASON "not-said"

struct gap_discard {
  uint64_t from, to;
  struct bytes by; /* empty: this node */
  struct bytes reason;
  int64_t time;
};

/* One source from which a stream may come. */
struct gap_source {
  struct intervals claimed; /* owned; under the rules then valid */
  uint64_t covered_by;      /* of which of the first 64 sources the rules include this one's: a bit each */
};
/* What the sources together have left out on purpose: claimed by each, or by one that covers it. None: nothing. Adds to
 * *out. */
void gap_filtered(const struct gap_source *sources, size_t count, struct intervals *out);

/* What one source has said all of, under whatever rules; by its name. Views. */
struct gap_said {
  struct bytes name;
  struct intervals ranges;
};

/* What is known of one epoch, beside what is held. Views; intervals are owned by the caller. */
struct gap_facts {
  struct bytes node; /* this node's name */
  struct bytes stream;
  struct epoch epoch;
  uint64_t floor;            /* of our own retention; 1: none */
  struct intervals filtered; /* left out by each source */
  /* likewise, or by one whose rules include the other's: behind a record that was received at or after that time */
  struct intervals covered;
  int64_t covered_since;
  const struct gap_said *said; /* the sources */
  size_t said_count;
  const struct gap_discard *discards; /* in the order in which they became known */
  size_t discard_count;
};

/* What of [1, last] is promised, not held and not settled: it may be asked for, of each source that has not said all of
 * it. Adds to *out. held: the extents, with all below the floor. */
void gap_wanted(const struct gap_facts *facts, const struct intervals *held, uint64_t last, struct intervals *out);

struct gap_row {
  enum gap_state state;
  struct epoch epoch; /* SILENT: 0 */
  uint64_t from, to;  /* both inside; SILENT: 0 */
  uint64_t records;   /* HELD: so many of them are here, the others are filtered */
  struct bytes by, reason;
  int64_t named;
  /* HELD: `received` of the first and last; else of the neighbours that are held, between which it falls; 0: none */
  int64_t since, until;
  bool wanting;
};

struct gap_period {
  int64_t since; /* `received`, µs; INT64_MIN: from what is kept on */
  int64_t until; /* excluded; INT64_MAX: to the newest */
};

/* The times at which a stream was heard of, of all its epochs. */
struct gap_life {
  struct intervals heard; /* each time with the GAP_SILENT_US after it */
  int64_t first, last;    /* 0: nothing was heard */
};

struct gap_totals {
  uint64_t held, filtered, discarded, missing, lost;
  int64_t silent_us;
  bool wanting;
};

struct gap_fold {
  struct gap_period period;
  int64_t silent_us;                                 /* GAP_SILENT_US, but for tests */
  void (*row)(void *ctx, const struct gap_row *row); /* views valid during the call */
  void *ctx;
  struct gap_life life;
  struct gap_totals totals;
  bool past; /* the period's end was reached in this epoch: nothing more need be told of it */
  /* inside */
  const struct gap_facts *facts;
  struct intervals damaged; /* of the page at hand, owned */
  uint64_t next;            /* the first sequence that was not looked at */
  int64_t seen;             /* `received` of the last record held; 0: none */
  struct gap_row pending;
  bool has_pending;
};
void gap_fold_init(struct gap_fold *fold, const struct gap_period *period, int64_t silent_us,
    void (*row)(void *ctx, const struct gap_row *row), void *ctx);
void gap_fold_deinit(struct gap_fold *fold);
/* Begins with an epoch, whose sequences below `from` are not looked at. The facts are used until the epoch's end. */
void gap_fold_epoch(struct gap_fold *fold, const struct gap_facts *facts, uint64_t from);
/* Within the epoch, rising and disjoint: every record of [from, to] is held, the first received at `since`, the last at
 * `until`; inside no two neighbours are silent_us or more apart. */
void gap_fold_held(struct gap_fold *fold, uint64_t from, uint64_t to, int64_t since, int64_t until);
/* Stored here and not readable. In any order, before what is held behind it. */
void gap_fold_damaged(struct gap_fold *fold, uint64_t from, uint64_t to);
/* The epoch promised sequences up to `last`. */
void gap_fold_epoch_end(struct gap_fold *fold, uint64_t last);
/* After the last epoch: the silent times. now: wall, µs. */
void gap_fold_end(struct gap_fold *fold, int64_t now);
#endif
