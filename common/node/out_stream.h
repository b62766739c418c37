#ifndef RIVERBUS_COMMON_NODE_OUT_STREAM_H
#define RIVERBUS_COMMON_NODE_OUT_STREAM_H
/*
 * A (stream, epoch) as it concerns one feed of a peer: what the peer said of it, and what it misses. Kept while a
 * session lasts.
 */
#include "common/base/interval.h"
#include "common/link/message.h"

struct node_peer;
struct thinning;

struct stream_key {
  uint8_t bytes[STREAM_MAX + 17];
};
/* A key for tables; valid as long as *key. stream: at most STREAM_MAX bytes. */
struct bytes stream_key(struct stream_key *key, size_t feed, struct bytes stream, struct epoch epoch);
struct out_channel;

/* Of a delayed feed: what is not due before then. */
struct later {
  int64_t due; /* mono */
  struct intervals ranges;
};
struct out_stream {
  struct bytes stream; /* owned */
  struct epoch epoch;
  struct out_stream *next;           /* among the retired */
  struct out_stream *before, *after; /* among those that the tick looks at */
  uint32_t feed;                     /* of the peer's */
  uint64_t scope;
  bool urgent, shared, retired;
  size_t flights; /* messages that are not answered yet */
  bool as_live;   /* what is missed is made good in the live lane: new blocks wait behind it */
  bool listed;    /* stands in peer->missing */
  bool ticked;    /* stands in peer->ticked */
  bool parked; /* misses something that cannot go now: not listed before `look_at` (mono), unless something changes */
  int64_t look_at;
  bool reading, reading_live;
  uint64_t top;                 /* the peer has, or was sent live, nothing above this */
  size_t waiting, waiting_live; /* read, not yet sent; of these for the live lane */
  struct intervals covered;     /* the peer's word in its greeting: of this it has, or knows as gone, all there is */
  struct intervals claimed;     /* told to it in this session that it has all there is of these */
  struct intervals missed;
  struct intervals wanted;     /* the peer asked for it by name: its path does not matter */
  struct intervals asked;      /* the same, whether or not it is here */
  bool named;                  /* the peer may know that there is the stream; else */
  struct intervals withheld;   /* nothing of this goes to it, and it is not told so */
  bool unsettled;              /* something may be settled that it was not told of, */
  int64_t settled_at;          /* looked at last, mono */
  struct intervals settled;    /* told as settled in this session */
  uint64_t read_from, read_to; /* while reading */
  /* thinned and delayed feeds: paced.c */
  int64_t every_us, delay_us;
  bool leads; /* the first of the peer's feeds in which anything of the stream goes */
  struct thinning *thinning;
  uint64_t look, began;       /* how far evaluation began before what is to be decided; where */
  struct intervals undecided; /* until something changes before it */
  struct later *laters;       /* rising */
  size_t later_count;
  struct intervals again;        /* missed anew while a read was under way, which may not have seen it */
  uint64_t claim_from, claim_to; /* nothing of this was for the peer, not told yet; from > to: none */
  int64_t claim_since;
  bool claim_echo;            /* it came by way of the peer */
  uint64_t peer_last;         /* HELD about our own streams */
  struct link_run *peer_runs; /* owned */
  uint32_t peer_run_count;
};

/* Whether anything of this stream can go to the peer by this feed. */
bool out_stream_shared(const struct node_peer *peer, size_t feed, struct bytes name);
/* Made where it is not known yet; lives until sender_reset. */
struct out_stream *out_stream_of(struct node_peer *peer, size_t feed, struct bytes name, struct epoch epoch);
/* Its rules hold no more: nothing of it goes out any longer; it lives until all that is under way is answered. The
 * caller has taken it out of the peer's list and table. */
void out_stream_retire(struct node_peer *peer, struct out_stream *stream);
void out_stream_release(struct node_peer *peer, struct out_stream *stream); /* frees it if it is retired and done */
void out_stream_free(struct out_stream *stream);
struct out_channel *out_stream_channel(struct node_peer *peer, const struct out_stream *stream);
/* The peer misses [from, to]; nothing where the stream is not for it. */
void out_stream_miss(struct node_peer *peer, struct out_stream *stream, uint64_t from, uint64_t to);
void out_stream_claimed(struct out_stream *stream, uint64_t from, uint64_t to);
/* After `missed` was changed directly. */
void out_stream_list(struct node_peer *peer, struct out_stream *stream);
/* Something of it is to be told a while from now, or may be over by then: the tick looks at it, and at no other. */
void out_stream_tick(struct node_peer *peer, struct out_stream *stream);
void out_stream_no_tick(struct node_peer *peer, struct out_stream *stream);
/* Something may be settled that the peer was not told of. */
void out_stream_settles(struct node_peer *peer, struct out_stream *stream);
/* Nothing of it can go now: the one that out_stream_next gave last waits until something of it changes, or for a while.
 */
void out_stream_park(struct node_peer *peer, struct out_stream *stream);
/* Of those that miss something, in turn; NULL: none does. */
struct out_stream *out_stream_next(struct out_channel *channel);
#endif
