#ifndef RIVERBUS_COMMON_NODE_PARTS_H
#define RIVERBUS_COMMON_NODE_PARTS_H
/*
 * The inside of a node, for the files of this folder alone. Who does what:
 *   node.c        life, peers, time, completions of the store, what the owner submits and reads
 *   session.c     greeting, attach, ping, clone, the end of a session
 *   held.c        what is told of what is held, and what is heard of it
 *   rules.c       rules that change while a session lasts
 *   wanted.c      what one side asks the other for by name
 *   sender.c      what goes to a peer: offers, the two queues of a channel, window, acknowledgements
 *   out_stream.c  a stream as it concerns one peer
 *   missed.c      what a peer misses: in which order and lane, read back from the store
 *   paced.c       feeds that are thinned or delayed
 *   outgoing.c    what is on its way to a peer: made ready, queued, sent and not answered
 *   claims.c      what is told to a peer in place of records: claims and discards
 *   settled.c     what a relay passes on of what its sources claimed
 *   names.c       which streams and epochs a peer may bring
 *   receiver.c    what comes from a peer: checks, batches, acknowledgements after the commit
 *   lanes.c       in which lane that is kept which came live
 *   origin.c      own streams: heads, a new epoch where a peer's past is another
 *   ring.c        the blocks committed last
 */
#include "common/base/table.h"
#include "common/link/fork.h"
#include "common/link/message.h"
#include "common/link/window.h"
#include "common/node/marks.h"
#include "common/node/node.h"
#include "common/node/out_stream.h"
#include "common/node/outgoing.h"
#include "common/node/ring.h"
#include "common/node/thinning.h"
#include "common/base/log.h"

_Static_assert((int)NODE_FEEDS_MAX == (int)LINK_FEEDS_MAX, "each feed's scope is told");
_Static_assert((int)LINK_RUNS_MAX == (int)STORE_RUNS_MAX && (int)LINK_RUNS_NEWEST == (int)STORE_RUNS_NEWEST,
    "what a store keeps of runs is what HELD tells");

enum rules_state {
  RULES_KNOWN, /* to the peer */
  RULES_DUE,   /* to be told, once nothing under the old ones is under way */
  RULES_ASKED, /* told, not answered yet */
  RULES_STALE  /* the same, and they changed again: what is answered does not count */
};
#define RULES_ALL UINT32_MAX
#define RULES_PACE_US SECOND_US /* between two changes that are told in a session */

enum session_state { SESSION_DOWN, SESSION_GREETING, SESSION_RESUMING, SESSION_UP };

#define SESSION_GREET_US (500 * MILLISECOND_US) /* HELLO and ATTACH are repeated so often until answered */
/* HELD messages of one greeting and feed: 10,000 stations with two streams and some epochs each */
#define SESSION_TOLD_MAX 65536
/* an outage up to this is made good in the live lane (architecture: live goes on from now after more) */
#define SESSION_SHORT_US (2 * SECOND_US)
#define SENDER_CLAIM_US SECOND_US              /* a claim without a block waits so long for company */
#define SENDER_RETRY_US (500 * MILLISECOND_US) /* after LATER; doubles up to 8 s */
/* a message that is neither acknowledged nor refused for so long: the answer was lost */
#define SENDER_ANSWER_US (10 * SECOND_US)
#define SENDER_READ_BYTES (256 * 1024)
#define SENDER_URGENT_WINDOW (256 * 1024)
#define SENDER_URGENT_LEAST (8 * 1024) /* a quarter of a second of 256 kbit/s */
#define SENDER_LIVE_LEAST (32 * 1024)  /* a second of it: so much live data waits in memory on any link */
/* a relay's own hole is waited for so long once its source is back and has brought no more of what was missed, and so
 * long while it is away (choose_missed) */
#define SENDER_FILL_US (30 * SECOND_US)
#define SENDER_RETURN_US (600 * SECOND_US)
/* what cannot go now is looked at again: mostly something changes before */
#define SENDER_PARK_US (200 * MILLISECOND_US)
#define SENDER_BACKFILL_SHARE 4            /* live bytes for each byte of backfill, when both wait: one in five */
#define RECEIVER_GROUP_BYTES (1024 * 1024) /* a group goes to the store at the latest at so many bytes, */
#define RECEIVER_GROUP_SHARE 32            /* or at this part of the store's size, where that is less */
/* What is claimed or named as gone beyond this is no range of a stream: numbers begin at 1, and none has given so many.
 */
#define RECEIVER_SEQUENCE_MAX ((uint64_t)INT64_MAX)
#define RECEIVER_MESSAGE_BYTES 256 /* what a message is charged beside its block: receipt, names, claim */
/* So often one peer may make us issue a stream again: each time may bring the same readings a second time. */
#define ORIGIN_REISSUE_US (60 * SECOND_US)
/* An epoch made later than this from now is believed of nobody: every later one has to lie above it. */
#define ORIGIN_AHEAD_US (24 * 3600 * SECOND_US)
#define NODE_SCAN_US (50 * MILLISECOND_US)

struct out_channel {
  struct outgoing_queue live, backfill;
  struct flights flights;
  uint64_t next_number;
  struct out_stream **missing;
  size_t missing_count, missing_cap, missing_next;
  bool read_under_way;
  bool held_back; /* after LATER: nothing goes until all is answered */
  size_t live_since_backfill;
  int64_t retry_at, retry_us; /* after LATER; retry_at also where a discard found the socket full */
};

struct node_peer {
  struct node *node;
  uint64_t id;
  char *principal, *name;
  struct node_peer_config config;
  /* what each scan looks at stands together: there may be thousands of peers */
  enum session_state state;
  uint64_t session, run;
  uint64_t told;            /* HELD messages of this session so far */
  uint64_t conns[CHANNELS]; /* 0: none */
  bool attached;            /* the telemetry connection belongs to the session */
  bool met;                 /* a session came up in this process's life */
  int64_t greeted, heard, pinged, went_down, since;
  int64_t filled; /* wall, when it brought something by backfill last */
  uint64_t ping_token;
  struct {
    bool waits;
    uint64_t conn;
    int64_t until;
    struct buffer frame;
  } candidate;
  struct node_feed feeds[NODE_FEEDS_MAX]; /* by which it is sent to; to a station: none */
  size_t feed_count;
  uint32_t known; /* feeds (a bit each) whose rules the peer was told of and answered to, ever */
  enum rules_state rules;
  uint32_t asks;                   /* feeds (a bit each) that wait until the peer answers to their rules */
  int64_t rules_at;                /* when they were told last in this session, 0: not yet */
  struct out_stream *retired;      /* of rules that hold no more; something is still under way */
  uint64_t scopes[LINK_FEEDS_MAX]; /* of the feeds by which it sends to us, as it told in this or the last session */
  uint64_t old_scopes[LINK_FEEDS_MAX];
  size_t scope_count;
  struct log_limit rules_limit; /* of changes by the other side */
  struct table wanted;          /* (stream, epoch) -> itself: of these we asked it for something in this session */
  char refused[160];            /* why the other side refuses us; empty: it does not */
  bool clone_refused;
  /* sending */
  struct out_stream **streams;
  size_t stream_count, stream_cap;
  struct {
    struct out_stream *first, *last;
  } ticked; /* of all streams a few: what the tick looks at */
  struct table by_stream;
  struct out_channel channels[CHANNELS];
  struct window window;
  size_t urgent_in_flight;
  int64_t reissued[CHANNELS]; /* when it made us issue our own stream again, 0: never */
  unsigned epochs_pending;    /* new epochs that must be durable before sending starts */
  /* receiving */
  uint64_t expected[CHANNELS];
  size_t receipts_open[CHANNELS]; /* of any session: taken, but not yet answered by the store */
  /* something was not stored: what follows in the channel is not taken either until the peer begins again there */
  bool refusing[CHANNELS];
  struct {
    uint64_t group;
    size_t bytes;
  } charge[CHANNELS];  /* its share of the group being gathered */
  bool held_owed;      /* HELD waits for them: what it leaves out now could still be stored after it */
  struct table names;  /* stream -> what is known of its epochs: those of which something came in this session */
  uint64_t name_count; /* (stream, epoch) known from this peer */
  /* figures */
  struct node_peer_status figures;
  struct log_limit limit;
  bool dirty, removed;
};

enum work_kind { WORK_CLAIMS, WORK_OWNER, WORK_OWNER_READ, WORK_RECEIVE, WORK_HEAD, WORK_EPOCH, WORK_BACKFILL };
struct receipt {
  uint64_t peer_id, session;
  enum channel channel;
  uint64_t from, to;
};
struct work_claim {
  uint64_t peer_id;
  struct bytes stream;
  struct epoch epoch;
};
struct work {
  struct work *before, *after; /* all that the store has not answered yet: freed with the node when it never does */
  enum work_kind kind;
  void *cookie;             /* OWNER */
  struct receipt *receipts; /* RECEIVE */
  size_t receipt_count, receipt_cap;
  /* RECEIVE: what peers named as gone, told to the owner once it is durable; texts are owned */
  struct store_discard *discards;
  size_t discard_count;
  /* RECEIVE: of which peers claimed something beyond what stands in their blocks; streams are owned */
  struct work_claim *claims;
  size_t claim_count, claim_cap;
  uint64_t peer_id, session; /* BACKFILL, EPOCH: whose hello caused it */
  enum channel channel;      /* BACKFILL, RECEIVE */
  struct out_stream *stream; /* BACKFILL: valid while peer and session are the same */
  uint64_t from, to;
  enum lane lane; /* BACKFILL: in which what was read goes out */
  int own;        /* EPOCH: index of the own stream */
};

/* A group of messages on its way into one batch. */
struct inbox {
  struct store_batch *batch;
  struct work *work;
  size_t bytes;
  uint64_t group; /* its number */
};

struct node {
  struct node_options options;
  char *name;
  struct bytes own[CHANNELS]; /* CHANNEL_URGENT: NAME!urgent; CHANNEL_TELEMETRY: NAME */
  struct node_peer **peers;
  size_t peer_count;
  struct node_peer **takers;
  size_t taker_count; /* those that are sent records: all but stations */
  struct table by_principal, by_name, by_conn;
  struct table tops; /* (stream, epoch) -> the newest of its live lane, see lanes.c */
  uint64_t next_peer;
  struct ring rings[LANES];
  uint64_t log_last[LANES];
  struct inbox inbox[CHANNELS];
  struct block_packer *packer;
  size_t inbox_most; /* bytes a group may have */
  int64_t received, head_at;
  bool epoch_pending[CHANNELS];
  struct node_peer **dirty;
  size_t dirty_count, dirty_cap;
  int64_t scan_at;
  struct work *works;
  struct marks marks;
};

static inline struct instant node_now(const struct node *node) { return world_now(node->options.world); }
bool stream_is_urgent(struct bytes stream);
struct bytes stream_node(struct bytes stream);
void peer_mark(struct node_peer *peer);                            /* has something to do in this tick */
struct node_peer *node_peer_of_id(struct node *node, uint64_t id); /* NULL: removed */
bool peer_send(struct node_peer *peer, enum channel channel, const struct link_message *message);

/* session.c */
void session_message(
    struct node_peer *peer, uint64_t conn, enum channel channel, const struct link_message *m, struct bytes frame);
void session_opened(struct node_peer *peer, uint64_t urgent_conn, uint64_t telemetry_conn);
void session_conn_closed(struct node_peer *peer, uint64_t conn);
void session_end(struct node_peer *peer, const char *why);
void session_tick(struct node_peer *peer);
void session_receipts_done(
    struct node_peer *peer); /* held.c: the store answered the last of what this peer had sent before */
void session_resumed(struct node_peer *peer); /* the last new epoch is durable, or none was needed */
void session_deinit(struct node_peer *peer);

/* held.c */
void held_send(struct node_peer *peer); /* in the greeting; waits for what is on its way into the store */
void held_send_of(struct node_peer *peer, uint32_t feeds); /* of these feeds of theirs (a bit each) */
void held_take(struct node_peer *peer, const struct link_message *m);

/* rules.c */
void rules_set(struct node_peer *peer, const struct node_feed *feeds, size_t count);
void rules_change(struct node_peer *peer, const struct node_feed *feeds, size_t count);
void rules_put(const struct node_peer *peer, struct link_message *m); /* the scopes, into HELLO or RULES */
void rules_tick(struct node_peer *peer);
void rules_answered(struct node_peer *peer, const struct link_message *m); /* HELD_END in a session that stands */
void rules_take(struct node_peer *peer, const struct link_message *m);     /* theirs */
void rules_changed(struct node_peer *peer, const struct link_message *m);  /* theirs, in a session that stands */

/* wanted.c */
void wanted_deinit(struct node_peer *peer);
void wanted_asked(struct node_peer *peer, const struct link_message *m);
bool wanted_from(const struct node_peer *peer, const struct block *block); /* something of its stream was asked for */

/* sender.c */
/* The feeds have new places (`places`: of the old ones; NODE_FEEDS_MAX: gone, all of theirs stops). */
void sender_rearrange(struct node_peer *peer, const size_t *places);
void sender_reset(struct node_peer *peer); /* forgets all that was queued, read, in flight or known of the peer */
void sender_offer(struct node_peer *peer, const struct store_item *item, const struct block *block);
void sender_pump(struct node_peer *peer);
void sender_tick(struct node_peer *peer);
void sender_ack(struct node_peer *peer, enum channel channel, uint64_t from, uint64_t to);
void sender_later(struct node_peer *peer, enum channel channel, uint64_t from, uint64_t to);
void sender_refused(
    struct node_peer *peer, enum channel channel, uint64_t number, enum link_refused code, struct bytes why);
uint64_t sender_backlog(const struct node_peer *peer);

/* missed.c */
/* Computes what the peer misses of these feeds (a bit each). */
void missed_start(struct node_peer *peer, uint32_t feeds, bool short_outage);
/* Adds what is named as gone, by whomever. */
void missed_named(const struct node *node, const struct out_stream *stream, struct intervals *ranges);
void missed_gone(struct node_peer *peer, const struct store_discard *discard); /* named while the session lasts */
/* Whether a peer's word of what is gone is passed on: neither ours, come back, nor known in the same words. Where
 * relays give each other the same stream it would go around for ever, before all that is still to be sent. */
bool missed_is_news(const struct node *node, const struct store_discard *discard);
/* Reads what is to go next, unless a read is under way or something that was read waits still. */
void missed_read(struct node_peer *peer, enum channel channel);
void missed_read_done(struct node_peer *peer, const struct work *work, const struct store_done *done);
/* The first sequence that may still come here from elsewhere; UINT64_MAX: none, the stream is our own. */
uint64_t missed_hole(const struct node_peer *peer, const struct out_stream *stream);
/* While something older of the stream is still to come in the same lane, newer blocks wait behind it. */
bool missed_is_catching_up(const struct node_peer *peer, const struct out_stream *stream);

/* Puts on its way what goes of the block; the rest is claimed. */
void missed_take(
    struct node_peer *peer, const struct work *work, const struct stored *stored, const struct block *block);

/* paced.c */
bool paced(const struct out_stream *stream);
void paced_deinit(struct out_stream *stream);
void paced_offer(
    struct node_peer *peer, struct out_stream *stream, const struct store_item *item, const struct block *block);
void paced_tick(struct node_peer *peer, struct out_stream *stream); /* what has become due */
/* Something changed before what could not be decided. */
void paced_reopen(struct node_peer *peer, struct out_stream *stream);
void paced_choose(const struct node_peer *peer, struct out_stream *stream,
    struct work *work); /* what to read next, of one that misses something */
void paced_read_done(struct node_peer *peer, const struct work *work, const struct store_done *done);
void paced_pending(const struct out_stream *stream, struct intervals *set); /* takes away what is still to be told */

/* claims.c: each takes a number of the channel, and is answered, like a block */
/* Whether the peer may be told anything of the stream; until then what is to be told is withheld. */
bool claims_may_name(struct node_peer *peer, struct out_stream *stream);
void claims_name(struct node_peer *peer, struct out_stream *stream); /* from now on it may: a record of it went out */
bool claims_send(struct node_peer *peer, struct out_stream *stream); /* what is claimed and not told yet */
/* What of the block was for the peer went before: claims what is in it, not its holes. */
void claims_add_block(struct node_peer *peer, struct out_stream *stream, const struct block *block);
/* What a read of `range` did not give is told as gone: retention's with its reason, the rest as damaged or not held.
 * extents, runs: of the blocks that it gave, and of what is in them. What cannot be told now is missed again. */
void claims_name_absent(struct node_peer *peer, struct out_stream *stream, struct interval range,
    const struct intervals *extents, const struct intervals *runs, const struct store_done *done);

bool claims_send_settled(struct node_peer *peer, struct out_stream *stream, struct interval range);

/* settled.c */
/* Adds what the source has settled of (stream, epoch): in each of its feeds it sent all, or will never have more. */
void settled_by(const struct node_peer *source, struct bytes stream, struct epoch epoch, struct intervals *out);
void settled_tell(struct node_peer *peer, struct out_stream *stream); /* what is settled and not told yet */
/* The source claimed something of it: those who get it from here are told. */
void settled_changed(const struct node_peer *source, struct bytes stream, struct epoch epoch);

/* names.c */
void names_begin(struct node_peer *peer, uint64_t known); /* forgets the streams; so many names were told in HELD */
/* Why nothing of this may come from the peer, and the code for it; NULL: it may, and is counted where it is new. */
const char *names_forbid(struct node_peer *peer, struct bytes stream, struct epoch epoch, enum link_refused *code);

/* lanes.c */
struct lane_claim { /* what a source says with a block; from > to: nothing */
  struct bytes source;
  uint64_t scope, from, to;
};
/* Puts a foreign block that came in `lane` into the batch. Takes one reference of blob, which was opened as block. */
void lanes_put(struct node *node, struct store_batch *batch, enum lane lane, const struct lane_claim *claim,
    struct blob *blob, const struct block *block);
void lanes_forget(struct node *node); /* something that was put was not stored */

/* receiver.c */
void receiver_message(struct node_peer *peer, enum channel channel, const struct link_message *m);
/* Counts what was refused, and logs it at a bounded rate. */
void receiver_count_refusal(struct node_peer *peer, const char *what, struct bytes stream);
void receiver_flush(struct node *node);
void receiver_done(struct node *node, struct work *work, const struct store_done *done);

/* origin.c */
void origin_tick(struct node *node);
/* Compares our own stream with what the peer's HELD said; submits a new epoch where the pasts differ. */
void origin_compare(struct node_peer *peer, int own);
void origin_epoch_done(struct node *node, struct work *work, const struct store_done *done);

/* node.c */
struct work *work_new(struct node *node, enum work_kind kind);
void work_free(struct node *node, struct work *work);
/* What is gone of others' streams, durably named here: tells the owner, and the peers that get these streams. */
void node_discards(struct node *node, const struct store_discard *discards, size_t count);
#endif
