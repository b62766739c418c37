#ifndef RIVERBUS_COMMON_STORE_STORE_H
#define RIVERBUS_COMMON_STORE_STORE_H
/*
 * The durable store of a node, and the only door to it. Its face is asynchronous and all-or-nothing: the core fills a
 * batch and submits it; later the store reports the batch durable (committed to disk by a synchronous commit) or
 * refused with a reason (then it changed nothing and used no sequence number). A commit whose outcome is unknown is not
 * reported: the store calls `fatal` and the process ends with EX_TEMPFAIL (75); the next start reads what is true.
 *
 * What it holds:
 *   - three logs (urgent, live, backfill). An entry is one block with the source it came from, or one claim without a
 *     block. Each log gives its entries rising positions from 1, without holes until retention cuts the front;
 *   - held: which sequences of (stream, epoch) are stored here; it alone decides what is a duplicate;
 *   - claimed: per (stream, epoch, source, scope) the ranges of which that source said: this is all that this scope
 *     selects;
 *   - own streams: epoch and last sequence of what this node originates;
 *   - discarded: named ranges that retention or a full store took away, with the reason;
 *   - small tables of keys and values, each value with its own checksum (commands, positions of durable readers,
 *     checkpoints, ...).
 * All of one batch is one transaction. Everything in memory is derived from the disk: checkpointed in small pieces,
 * rebuilt from the log's tail.
 *
 * Threads: the LMDB backend runs two of its own (the writer with group commit, the reader). All functions below are
 * called from one thread, the core's, never block (but for store_open_* and store_close), and report through
 * store_next. Backends: LMDB (common/store/lmdb*.c) and memory with injected faults (common/store/memory.h), with one
 * conformance suite for both (tests/unit/store/).
 *
 * What the functions of own streams, held, claimed and discards say follows the completions: it changes in store_next,
 * when the completion of a committed batch is handed out, and never runs ahead of it.
 */
#include "common/base/blob.h"
#include "common/base/interval.h"
#include "common/base/world.h"
#include "common/record/block.h"
#include "common/record/chain.h"

struct store;
struct store_batch;

enum store_table {
  STORE_META = 0,       /* what the node keeps of itself */
  STORE_COMMANDS = 1,   /* command ledger: never trimmed by `keep` */
  STORE_AUDIT = 2,      /* audit log: written by store_batch_audit alone, never trimmed by `keep` */
  STORE_READERS = 3,    /* durable readers: name -> positions */
  STORE_CHECKPOINT = 4, /* derived state of the core: last values, catalogue */
  STORE_INBOX = 5,      /* MQTT pairs of (packet id, hash) */
  STORE_ROSTER = 6,     /* signed rosters */
  STORE_TABLES
};
enum { STORE_KEY_MAX = 480, STORE_VALUE_MAX = 128 * 1024 };

enum store_full { STORE_REFUSE = 0, STORE_DISCARD_OLDEST = 1 };

struct store_options {
  const char *path;  /* folder of the store; created (0700) where missing */
  uint64_t max_size; /* bytes of the map; the file is preallocated to it */
  int64_t keep_us;   /* age by `received` after which records are trimmed; 0: by size only */
  enum store_full when_full;
  int64_t linger_us; /* the writer may wait so long for more batches before it commits */
  /* and so long while records come fast, see pace.h; 0: never (right where producers wait for the commit) */
  int64_t pace_us;
  const struct world *world;
  void (*fatal)(void *ctx, const char *message); /* must not return */
  void *fatal_ctx;
  /* RIVERBUS_TEST_HOOKS builds only: the commit is held back so long; else ignored and must be 0 */
  int64_t test_commit_delay_us;
};

enum store_open_outcome {
  STORE_DAMAGED = 1, /* set aside or to be set aside: `problem` says where it is and what to do */
  STORE_VERSION_NEWER = 2,
  STORE_NETWORK_FS = 3,
  STORE_IN_USE = 4,   /* another process has it */
  STORE_NO_SPACE = 5, /* the file system cannot hold max_size */
};
struct store_problem {
  char text[1024];
}; /* a whole sentence for the user: what, where, the way out */

/* Opens, recovers, and starts the threads. Blocks. The outcome's text is in *problem. */
int store_open_lmdb(struct store **out, const struct store_options *options, struct store_problem *problem);
/* Finishes what was submitted, reports nothing more, joins the threads. Blocks. Returns NULL. */
struct store *store_close(struct store *store);

/* ---- at the start, before the first submit: these read synchronously ---- */
/* A number drawn at this opening: it marks every block that this process makes (see block.h, run). */
uint64_t store_run(const struct store *store);
/* Time of creation of the store (µs UTC); a command issued before it is refused by the gateway. A restore counts as a
 * creation. */
int64_t store_created(const struct store *store);
/* Calls visit for every entry of a table in key order, until it returns false. <0: disk. Damaged values are
 * quarantined: counted, not visited. */
int store_scan(struct store *store, enum store_table table,
    bool (*visit)(void *ctx, struct bytes key, struct bytes value), void *ctx);
/* Calls visit for every entry of a log with a position >= from, in order, until it returns false. */
struct store_entry {
  enum lane lane;
  uint64_t position;
  struct blob *block;  /* NULL for a bare claim */
  struct bytes source; /* principal it came from; empty: this node */
};
int store_replay(struct store *store, enum lane lane, uint64_t from,
    bool (*visit)(void *ctx, const struct store_entry *entry), void *ctx);

/* ---- own streams ---- */
struct store_run_start {
  uint64_t run;
  uint64_t first;
}; /* the run that wrote from this sequence on */
enum {
  STORE_RUNS_NEWEST = 64, /* of a stream's runs these are kept without a gap; of older ones for */
  STORE_RUNS_LEVELS = 12, /* each level the newest few whose number has at least so many trailing zero bits */
  STORE_RUNS_LEVEL = 4,
  STORE_RUNS_MAX = STORE_RUNS_NEWEST + STORE_RUNS_LEVELS * STORE_RUNS_LEVEL
};
struct store_stream {
  struct bytes stream;
  struct epoch epoch; /* the newest known */
  uint64_t last;      /* greatest sequence ever held or given away in that epoch; 0: none */
  /* retention: nothing below is held or accepted as new any more (STORE_LATE); 1: nothing was trimmed */
  uint64_t floor;
  /* who wrote that epoch, oldest first: the newest STORE_RUNS_NEWEST, of older ones some (common/store/runs.h) */
  const struct store_run_start *runs;
  uint32_t run_count;
};
/* The newest epoch held of a stream; false: nothing held of it. In memory, does not block. Views are valid until the
 * next call into the store. */
bool store_stream_get(struct store *store, struct bytes stream, struct store_stream *out);
/* Calls visit for every (stream, epoch) held or claimed. In memory. */
void store_streams(struct store *store, void (*visit)(void *ctx, const struct store_stream *stream), void *ctx);
/* The same for one stream: each of its epochs, rising. In memory; costs nothing for the others. */
void store_stream_each(
    struct store *store, struct bytes stream, void (*visit)(void *ctx, const struct store_stream *stream), void *ctx);
/* Calls visit for every epoch of the stream of which anything is held, claimed or discarded, rising. In memory. */
void store_epochs(struct store *store, struct bytes stream, void (*visit)(void *ctx, struct epoch epoch), void *ctx);
/* What is held of (stream, epoch), as ranges of stored blocks (in a filtered block the numbers between count too, so
 * this is for resuming an unfiltered stream and for display; a duplicate is decided inside by the blocks' own
 * sequences). All below the floor is included: it was held or comes too late, nobody need send it. At most 1,024
 * ranges; where there are more, the smallest are left out. Adds to *out. In memory. */
void store_held(struct store *store, struct bytes stream, struct epoch epoch, struct intervals *out);
/* What `source` claimed of (stream, epoch) under `scope`. Adds to *out. In memory. */
void store_claimed(struct store *store, struct bytes stream, struct epoch epoch, struct bytes source, uint64_t scope,
    struct intervals *out);
/* Calls visit for each source and scope of which anything of (stream, epoch) is claimed, the one renewed last at the
 * end. In memory. */
void store_claims(struct store *store, struct bytes stream, struct epoch epoch,
    void (*visit)(void *ctx, struct bytes source, uint64_t scope, const struct intervals *ranges), void *ctx);
/* Ranges known to be discarded (by the origin, or by `by`): visit in order. In memory; at most 1,024 a stream, then the
 * oldest are joined. */
/* by: who says so; empty: this node, by its own retention ("keep": older than keep; "full": discard-oldest; "late": it
 * came when retention had gone past it). */
struct store_discard {
  struct bytes stream;
  struct epoch epoch;
  uint64_t from, to;
  struct bytes by;
  struct bytes reason;
  int64_t time;
};
void store_discards(
    struct store *store, struct bytes stream, void (*visit)(void *ctx, const struct store_discard *discard), void *ctx);

/*
 * Streams and epochs that others name are bounded, since each costs a little memory and disk for good: an epoch cannot
 * be forgotten without taking its records for new again. A node asks here before it puts a foreign block, claim or
 * discard into a batch, and refuses the sender alone where the answer is no. A pair that was admitted once stays so
 * until the store is closed. What never asks is stopped at twice the limits, by STORE_REFUSAL_STREAMS, and so are new
 * epochs of own streams. In memory.
 */
enum { STORE_EPOCHS_MAX = 256, STORE_PAIRS_MAX = 131072 }; /* epochs a stream; (stream, epoch) in all */
bool store_admits(struct store *store, struct bytes stream, struct epoch epoch);

/* ---- batches ---- */
struct store_batch *store_batch_new(void);
struct store_batch *store_batch_free(struct store_batch *batch); /* only one that was not submitted */
/* Appends a draft of this node's own stream: numbered inside the transaction, last + 1 on, in the stream's newest epoch
 * (the first append of a stream begins one). Takes one reference of draft, which must be the only one. Returns the
 * index of the item. */
size_t store_batch_own(struct store_batch *batch, enum lane lane, struct bytes stream, struct blob *draft);
/* Appends somebody's block, which has been numbered. What is held already is taken out. A block that cannot be opened,
 * or whose first and last sequence are BLOCK_RECORDS_MAX or more apart, makes the batch STORE_REFUSAL_MALFORMED.
 * covers_from/to: the range of which the source says that this is all under `scope`; covers_from > covers_to: no claim.
 * Takes one reference. */
size_t store_batch_block(struct store_batch *batch, enum lane lane, struct bytes source, uint64_t scope,
    uint64_t covers_from, uint64_t covers_to, struct blob *block);
size_t store_batch_claim(struct store_batch *batch, struct bytes source, uint64_t scope, struct bytes stream,
    struct epoch epoch, uint64_t from, uint64_t to);
/* Notes that [from, to] is gone: `by` says it (the origin's node name closes the range for good, a relay's only for
 * that source). */
size_t store_batch_discard(struct store_batch *batch, const struct store_discard *discard);
size_t store_batch_put(struct store_batch *batch, enum store_table table, struct bytes key, struct bytes value);
size_t store_batch_delete(struct store_batch *batch, enum store_table table, struct bytes key);
/* Appends an entry to the audit log. It gets its number and its link of the hash chain (common/record/chain.h) inside
 * the transaction, in the order of the commits. At most STORE_VALUE_MAX - CHAIN_HASH bytes. */
size_t store_batch_audit(struct store_batch *batch, struct bytes entry);
/* Begins a new epoch of an own stream, greater than `above` and than any held: what was stored after `common` in the
 * old epoch is issued again under the new one (numbers from 1), and is no longer held under the old. A number n becomes
 * n - common, also where its record is gone: such numbers are given to nothing else and are named as gone in the new
 * epoch, for the reason that the old one has, or as `damaged`, in the completion's discards too. Must be alone with
 * puts and deletes in its batch; may take long. What stays of the old epoch in the log beyond `common` is passed over
 * by all later reads. */
size_t store_batch_new_epoch(struct store_batch *batch, struct bytes stream, uint64_t common, struct epoch above);
/* The batch may use the reserve: urgent records, acknowledgements, command states, positions. */
void store_batch_urgent(struct store_batch *batch);
/* The batch belongs to an order, of which there are two: that of urgent batches and that of the others. When one such
 * batch is refused, so are all others of its order that were submitted before its completion was handed out
 * (STORE_REFUSAL_FULL), whether or not they would fit. What came later never stands in the store without what came
 * before. */
void store_batch_in_order(struct store_batch *batch);
bool store_batch_is_empty(const struct store_batch *batch);

enum store_submit_outcome {
  STORE_BUSY = 1
}; /* the queue to the writer is full (bounded by bytes and count): try after the next completion */
/* Takes the batch unless STORE_BUSY. cookie comes back with the completion. */
int store_submit(struct store *store, struct store_batch *batch, void *cookie);

/* ---- reads, by the reader thread; bounded copies out of short transactions ---- */

/*
 * STORE_READ_TIME reads the blocks of one log, in order of position, whose records may lie in a range of time: those
 * whose first and last time of that clock enclose any of it. Which of their records do is for the caller to look at.
 * Segments whose directory says that they lie outside are not read. One read looks at no more than
 * STORE_TIME_SEGMENTS segments, and at the directories of STORE_TIME_DIRECTORIES: it may give no entry and yet a
 * `next`. Positions do not change, so pages that go on at `next` repeat nothing and miss nothing of what stands there
 * when they come to it, whatever is stored, sealed or trimmed between them; with `to` the last position of the
 * beginning they end.
 */
enum store_clock { STORE_BY_TIME = 0, STORE_BY_RECEIVED = 1 };
enum { STORE_TIME_SEGMENTS = 32, STORE_TIME_DIRECTORIES = 4096 };
struct store_read {
  enum { STORE_READ_LOG, STORE_READ_STREAM, STORE_READ_TABLE, STORE_READ_TIME } what;
  enum lane lane;         /* LOG, TIME: which */
  uint64_t from, to;      /* LOG, TIME: positions; STREAM: sequences; both ends inside */
  enum store_clock clock; /* TIME */
  int64_t from_us, to_us; /* TIME: µs UTC, both ends inside */
  /* TIME: whether blocks of this stream are wanted; NULL: all. Called by the reader's thread: ctx must not change, and
   * live, until the completion is taken. */
  bool (*wants)(const void *ctx, struct bytes stream);
  const void *wants_ctx;
  struct bytes stream; /* STREAM (copied) */
  struct epoch epoch;
  enum store_table table; /* TABLE */
  struct bytes key;       /* TABLE: from this key on (copied) */
  /* at least one entry is returned where there is one; of a STREAM all that begin at or before `from`, so that `next`
   * lies above it */
  size_t max_bytes;
};
int store_read(struct store *store, const struct store_read *request, void *cookie); /* STORE_BUSY */

/* ---- completions ---- */
enum store_item_outcome { STORE_STORED, STORE_PARTIAL, STORE_DUPLICATE, STORE_LATE };
struct store_item {
  enum store_item_outcome outcome;
  enum lane lane;
  uint64_t position;  /* of the log entry; 0: none was made */
  struct blob *block; /* as stored: numbered, or with duplicates taken out; NULL for none */
  struct bytes stream;
  struct epoch epoch;
  uint64_t first, last; /* sequences stored */
  struct bytes source;
};
struct store_keyed {
  struct bytes key;
  struct bytes value;
};
enum store_done_kind {
  /* durable: items, one for each own/block/claim/discard/new_epoch/put/delete in order of the calls */
  STORE_DONE_BATCH,
  STORE_DONE_REFUSED, /* reason; nothing changed */
  STORE_DONE_READ,    /* entries or keyed; next: where to go on (0: the end was reached); unreadable */
  STORE_DONE_TRIMMED, /* discards: what retention or discard-oldest took away, already durable; cookie NULL */
  /* items: blocks that a new epoch issued again, in order, in pieces; cookie NULL, before the batch's own completion */
  STORE_DONE_REISSUED,
};
enum store_refusal {
  STORE_REFUSAL_FULL = 1,
  STORE_REFUSAL_TOO_LARGE = 2,
  STORE_REFUSAL_MALFORMED = 3,
  STORE_REFUSAL_STREAMS = 4, /* it names more streams or epochs than a store takes, see store_admits */
};
struct store_done {
  enum store_done_kind kind;
  void *cookie;
  enum store_refusal refusal;
  struct store_item *items;
  size_t item_count;
  struct store_entry *entries;
  size_t entry_count;
  struct store_keyed *keyed;
  size_t keyed_count;
  /* TRIMMED; BATCH: what of it came too late and was not named as gone before, or is named anew in a new epoch */
  struct store_discard *discards;
  size_t discard_count;
  /* READ of a STREAM: parts of what was read (up to `next`) that are stored here, but damaged. They are neither in
   * `entries` nor "not held": nobody may be told so. Each is counted and logged once. Of TIME: positions of damaged
   * entries that were met; what their times were is not known. */
  const struct interval *unreadable;
  size_t unreadable_count;
  /* READ: LOG, STREAM, TIME: `from` of the next request; TABLE: 1, go on behind the last key; 0: the end was reached */
  uint64_t next;
  int64_t committed_mono; /* when the commit returned */
};
int store_fd(const struct store *store);            /* readable while completions wait; -1 for memory */
struct store_done *store_next(struct store *store); /* NULL: none waits. The caller frees */
struct store_done *store_done_free(struct store_done *done);

/* ---- the audit log ---- */
/* An end of the chain: the number of its last entry (0: none yet) and that entry's link. */
struct store_audit {
  uint64_t number;
  uint8_t link[CHAIN_HASH];
};
/* The end of the log as the completions tell it: never ahead of what the core knows to be durable. */
void store_audit_head(const struct store *store, struct store_audit *head);
/* Takes a row of STORE_AUDIT apart. false: it is none. entry: a view of value. */
bool store_audit_row(struct bytes key, struct bytes value, struct store_audit *at, struct bytes *entry);
/* The key of an entry, to read the table from there on. */
void store_audit_key(uint64_t number, uint8_t key[8]);
/* Reads the log of a store that nobody has open, without opening it for use: nothing is written. Calls visit for each
 * row in order until it returns false; a row whose bytes are damaged on disk has entry.data NULL. *head: the end as the
 * store notes it apart from the rows. 0, STORE_IN_USE, STORE_DAMAGED, <0: *problem says what. Blocks. */
int store_audit_scan(const char *path, bool (*visit)(void *ctx, const struct store_audit *at, struct bytes entry),
    void *ctx, struct store_audit *head, struct store_problem *problem);

/* ---- figures, for status and metrics; in memory ---- */
struct store_stats {
  uint64_t commits, fsyncs, records, blocks, duplicates, late, damaged, refused_full, discarded_records;
  uint64_t refused_streams; /* pairs that store_admits did not admit, and batches refused as STORE_REFUSAL_STREAMS */
  uint64_t bytes_written;   /* payload of blocks */
  uint64_t used_bytes, max_bytes, urgent_reserve_bytes;
  struct {
    uint64_t first, last, bytes;
  } logs[LANES]; /* positions; first > last: empty */
  int64_t commit_us_last, commit_us_max;
  /* reads by time: segments that were read, and those whose directory said that they need not be */
  uint64_t time_segments_read, time_segments_skipped;
  size_t queued_batches, queued_bytes;
};
void store_stats(struct store *store, struct store_stats *out);
#endif
