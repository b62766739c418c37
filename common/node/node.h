#ifndef RIVERBUS_COMMON_NODE_NODE_H
#define RIVERBUS_COMMON_NODE_NODE_H
/*
 * What a gateway and a broker have in common: a store, links to other nodes, and the ways of records between them. A
 * node is pure: it takes messages, completions of the store and time, and answers by calling the hooks. It has no
 * socket, no thread, no clock: the daemons give it ZeroMQ (common/net), the simulator (tests/sim) a network that drops,
 * doubles, reorders, delays and cuts.
 *
 * What it does by itself:
 *   - own streams: appends drafts, issues heads at least once a minute, begins a new epoch when a peer's hello shows
 *     that this store is an old copy;
 *   - links: hello, held and claimed, resume, live before backfill, window, acknowledgement after the commit, ping with
 *     clock offset, refusal of a clone;
 *   - the ring of just-committed blocks (bounded bytes) from which live links are served; what a link misses becomes
 *     backfill, read through the store's reader.
 * What it asks its owner by hooks: who may send what (admit), what a peer gets (share), what else belongs into a
 * transaction, and where bytes go (send).
 *
 * Urgent goes first everywhere: its own connection, its own log, its own batch, first in every loop.
 */
#include "common/base/world.h"
#include "common/record/block.h"
#include "common/store/store.h"

struct node;
struct node_peer; /* somebody this node has, or expects, a link with; lives until node_peer_remove */

/* (stream, epoch) that one peer may name, so that none takes all that a store has room for (STORE_PAIRS_MAX; it bounds
 * the epochs of a stream too): 10,000 stations with two streams and three epochs each. */
enum { NODE_NAMES_MAX = STORE_PAIRS_MAX / 2 };

/* Between the two names of a discard that a relay tells of the origin (struct store_discard, by). */
#define NODE_VIA " via "

enum channel { CHANNEL_URGENT = 0, CHANNEL_TELEMETRY = 1, CHANNELS = 2 };

enum node_peer_role {
  /* the gateway's view of its broker: gets everything of the own streams; sends nothing but messages */
  NODE_PEER_UPSTREAM,
  NODE_PEER_STATION,  /* the broker's view of a gateway: sends its own two streams, gets messages */
  NODE_PEER_NEIGHBOUR /* the brokers' view of each other: both send what the share hook lets through */
};

/* A peer is sent to by one or more feeds. Each has its own rules (the hooks share and share_stream are asked for each),
 * its own claims and its own place in what is sent; what one has passed says nothing about another. Order in a lane is
 * that of each feed; in the live lane, of the stream. */
struct node_feed {
  uint64_t scope; /* of the rules, so that it changes with them: what the peer is told of under it holds for no other */
  /* what the peer was told under this scope holds under `scope` too: nothing of it would be sent now that was not
   * then; 0: none. Named in every greeting, so that a change while no session stands costs nothing either. */
  uint64_t inherits;
  /* Of each address one reading in each so long interval of its `received`: the first of the stream (thinning.h). 0:
   * all.
   */
  int64_t every_us;
  int64_t delay_us; /* nothing goes before it has been stored here for so long; a little later where that is long */
};
enum { NODE_FEEDS_MAX = 16 };

struct node_peer_config {
  /* the name under which net authenticates it, e.g. "station chongqing/cuntan", "peer hubei"; unique; copied */
  const char *principal;
  const char *node; /* its node name: chongqing/cuntan, hubei; copied */
  enum node_peer_role role;
  bool connects; /* this side opens the connections (the owner calls node_opened) */
  /* copied; none: one of scope 0 ("everything of the own streams"), and to a station none */
  const struct node_feed *feeds;
  size_t feed_count;     /* at most NODE_FEEDS_MAX */
  uint32_t window_bytes; /* telemetry in flight at most, 0: 1 MiB */
  void *owner;           /* the owner's own mark, given back by node_peer_owner */
};

/* Where a link stands, for status. Times in µs; rates in bytes/s. */
struct node_peer_status {
  bool up;
  bool clone_refused;
  const char *state;    /* "down", "greeting", "resuming", "up", "refused: ..." ; static or valid until the next call */
  int64_t since;        /* wall, of the last change */
  int64_t round_trip;   /* of the urgent ping */
  int64_t clock_offset; /* the peer's clock minus ours, measured by four timestamps */
  uint64_t sent_records[LANES], received_records[LANES], acked_records, duplicates, refused_blocks, refused_greetings;
  /* of blocks, as they went out; what they had been longer by without compression */
  uint64_t sent_bytes, saved_bytes;
  uint64_t backlog_records; /* known missing at the peer */
  uint64_t in_flight_bytes;
  uint32_t window_bytes;
};

enum node_admit { NODE_ADMIT = 0, NODE_ADMIT_REFUSE = 1 };

struct node_hooks {
  void *ctx;
  /* Sends one message. conn: as given to node_receive or node_opened. Never blocks; false: not taken (treated as lost
   * in the network). */
  bool (*send)(void *ctx, uint64_t conn, struct bytes message);
  /* Closes a connection: a refused or dead session. For a peer that this side connects, the owner opens new ones later
   * and calls node_opened. */
  void (*close)(void *ctx, uint64_t conn);
  /* Whether anything of this stream is taken from the peer: blocks, claims and discards alike. Asked once per stream
   * and session, and for each message of a stream that is not taken. The node has already checked that a station's
   * stream is its own, and that it is not of this node or its stations. NULL: all streams. */
  bool (*accept_stream)(void *ctx, struct node_peer *peer, struct bytes stream);
  /* Before a block from `peer` is put into a batch: may refuse it (the reason, a static text, goes into the log and the
   * peer's counter), may replace it
   * (*replace: a new blob, for records the agreement does not accept; or the block is dropped wholly with *drop), and
   * may add what belongs into the same transaction (command states). The node has already checked size, checksum, every
   * record, that a station's stream is its own and that every address lies below the stream's node. NULL: admit all. */
  enum node_admit (*admit)(void *ctx, struct node_peer *peer, enum lane lane, const struct block *block,
      struct store_batch *batch, struct blob **replace, bool *drop, const char **reason);
  /* Whether anything of this stream can go to the peer by this feed (its index in the peer's); asked once per stream
   * and whenever rules change. NULL: only own streams. */
  bool (*share_stream)(void *ctx, struct node_peer *peer, size_t feed, struct bytes stream);
  /* Whether the peer may learn that there is this stream, though nothing of it has gone to it in this session: what is
   * told of a range names the stream. Asked while it may not, whenever something is to be told. NULL: it may. */
  bool (*names_stream)(void *ctx, struct node_peer *peer, struct bytes stream);
  /* What of this block goes to the peer by this feed: a new reference to `from` (all), a new blob (some), NULL
   * (nothing). lane, position: where the block stands in the log here. NULL hook: all. */
  struct blob *(*share)(void *ctx, struct node_peer *peer, size_t feed, struct blob *from, const struct block *block,
      enum lane lane, uint64_t position);
  /* Whether a block of so many bytes may go to the peer on the telemetry channel now; false: it waits, and is asked for
   * again at the next tick. Urgent is not asked for. NULL: always. */
  bool (*may_send)(void *ctx, struct node_peer *peer, size_t bytes);
  /* It went out. NULL: nobody counts. */
  void (*sent)(void *ctx, struct node_peer *peer, uint32_t records, size_t bytes);
  /* A block is durable here: own or foreign, as stored, in log order within each lane. */
  void (*committed)(void *ctx, const struct store_item *item, struct node_peer *from /* NULL: own */);
  /* Retention or discard-oldest took these away, or a peer named them as gone. */
  void (*discarded)(void *ctx, const struct store_discard *discards, size_t count);
  /* A session came up or went down. */
  void (*session)(void *ctx, struct node_peer *peer, bool up);
  /* A message of the layer above (commands, settlement), see node_message. */
  void (*message)(void *ctx, struct node_peer *peer, uint8_t type, struct bytes body);
  /* A batch submitted by node_submit is durable (done->kind BATCH) or refused. */
  void (*submitted)(void *ctx, void *cookie, const struct store_done *done);
  /* A read asked for by node_read. */
  void (*read)(void *ctx, void *cookie, const struct store_done *done);
  /* Something that the owner records as an event on its urgent stream: name is a point name such as "epoch", "clone";
   * text one JSON object. */
  void (*event)(void *ctx, const char *name, struct bytes text);
};

struct node_options {
  const char *name; /* this node: chongqing/cuntan or chongqing; streams NAME and NAME!urgent */
  const struct world *world;
  struct store *store; /* outlives the node */
  struct node_hooks hooks;
  size_t ring_bytes; /* 0: 8 MiB */
  int64_t ping_us;   /* 0: 500 ms */
  int64_t dead_us;   /* no answer for so long: the session is down; 0: 1.5 s */
  int64_t head_us;   /* 0: 60 s */
};

#ifdef RIVERBUS_TEST_HOOKS
/* Planted defects, by which the simulation shows that it would see them. Builds with test hooks only. */
enum node_defect {
  NODE_DEFECT_NONE,
  NODE_DEFECT_ACK_EARLY,     /* acknowledges before the commit */
  NODE_DEFECT_NO_EPOCH,      /* goes on after an old copy as if nothing had been */
  NODE_DEFECT_FORGET_MISSED, /* what a link misses is not made good */
  NODE_DEFECT_NO_GAP_CHECK,  /* a lost message is not noticed */
  NODE_DEFECT_REISSUE_HELD,  /* a new epoch issues again what the peer holds under the old one */
  NODE_DEFECT_NO_DISCARD,    /* says nothing of what is gone */
  NODE_DEFECT_OVERTAKE,      /* of what is missed the newest goes first */
  NODE_DEFECT_LATER_IS_ACK,  /* what was not stored counts as stored */
  NODE_DEFECT_AFTER_REFUSED, /* what follows a refused block is taken */
  NODE_DEFECT_NO_WINDOW,     /* what is on the way is not counted */
  NODE_DEFECT_TAKE_CLONE,    /* the newcomer is taken while the old one answers */
  NODE_DEFECT_NO_WANT,       /* what it is asked for by name it does not send */
  NODE_DEFECT_THIN_ANEW,     /* each evaluation begins as if nothing had been before */
  NODE_DEFECT_EARLY,         /* what is delayed goes as soon as it is stored */
  NODE_DEFECT_KEEP_WORD      /* a relay does not pass on what others say is gone */
};
extern enum node_defect node_defect;
#define NODE_HAS_DEFECT(d) (node_defect == (d))
#else
#define NODE_HAS_DEFECT(d) false
#endif

struct node *node_new(const struct node_options *options);
struct node *node_free(struct node *node);

struct node_peer *node_peer_add(struct node *node, const struct node_peer_config *config);
/* Revoked or removed by a reload: its session is closed at once. */
void node_peer_remove(struct node *node, struct node_peer *peer);
/* New rules, in force from here on. Feeds are the same where their scope is the same (its place may differ): these go
 * on as they are. Of the others nothing more goes out under the old rules; share and share_stream are asked anew under
 * the new ones, in the same session. `inherits` may name a scope that the peer was never told of: then that one's own
 * counts. */
void node_peer_rules(struct node *node, struct node_peer *peer, const struct node_feed *feeds, size_t count);
/* The scopes of the feeds by which the peer sends to us, as it told last; none: not in this process's life. A view
 * until the next message of the peer. */
size_t node_peer_scopes(const struct node_peer *peer, const uint64_t **scopes);
void *node_peer_owner(const struct node_peer *peer);
const char *node_peer_node(const struct node_peer *peer);
struct node_peer *node_peer_find(struct node *node, const char *principal);
void node_peer_status(struct node *node, const struct node_peer *peer, struct node_peer_status *out);

/* The owner opened the two connections to a peer with `connects`. */
void node_opened(struct node *node, struct node_peer *peer, uint64_t urgent_conn, uint64_t telemetry_conn);
/* A message came in on a connection whose principal is a known peer's. channel: of the socket it came by. */
void node_receive(struct node *node, const char *principal, uint64_t conn, enum channel channel, struct bytes message);
/* A connection is known to be gone. */
void node_closed(struct node *node, uint64_t conn);
/* Time passes: call at the latest at the time it returned last (mono µs), and after every burst of input. */
int64_t node_tick(struct node *node);
/* Takes all completions that wait in the store. */
void node_store_ready(struct node *node);

/* Appends and state changes of the owner. The batch may hold own drafts (stream NAME for telemetry, lane LIVE;
 * NAME!urgent, lane URGENT), puts and deletes. STORE_BUSY: not taken, try again when `submitted` was called for
 * something. */
int node_submit(struct node *node, struct store_batch *batch, void *cookie);
int node_read(struct node *node, const struct store_read *request, void *cookie); /* STORE_BUSY */
uint64_t node_run(const struct node *node); /* the number to give to block_builder_finish */
/* A monotonic `received` for records of own streams: max(now, last given). */
int64_t node_received(struct node *node);

/* Sends a message of the layer above on the urgent channel, without any promise of its own (the ledger above repeats or
 * asks). type 0-63. False: no session. */
bool node_message(struct node *node, struct node_peer *peer, uint8_t type, struct bytes body);

/* The same on the telemetry channel, for what may be large: urgent is never behind it. */
bool node_message_behind(struct node *node, struct node_peer *peer, uint8_t type, struct bytes body);

/* Asks the peer for what is missed here of (stream, epoch). It sends what is there and for us, whatever its path. Not
 * repeated by itself: what does not come within a while has to be asked for again. False: no session, or its socket is
 * full. */
bool node_want(
    struct node *node, struct node_peer *peer, struct bytes stream, struct epoch epoch, const struct intervals *ranges);

/* The owner has durably named these as gone (store_batch_discard): peers that get the streams are told. */
void node_name_gone(struct node *node, const struct store_discard *discards, size_t count);

/* The ring, for passing subscribers: the block at `position` of a log if it is still in memory (a new reference), else
 * NULL. */
struct blob *node_ring_get(struct node *node, enum lane lane, uint64_t position);
uint64_t node_log_last(const struct node *node, enum lane lane); /* the last committed position of a log, 0: none */
#endif
