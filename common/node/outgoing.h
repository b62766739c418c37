#ifndef RIVERBUS_COMMON_NODE_OUTGOING_H
#define RIVERBUS_COMMON_NODE_OUTGOING_H
/*
 * What is on its way to a peer: blocks made ready and queued, and messages that were sent and are not answered yet. Of
 * the latter only ranges are kept.
 */
#include "common/node/node.h"

struct out_stream;

struct outgoing {
  struct outgoing *next;
  struct out_stream *stream;
  struct blob *block;  /* as it goes out */
  struct blob *source; /* as it is stored, where it has holes; else NULL */
  enum lane lane;
  uint64_t from, to; /* covers */
  uint32_t records;
  uint32_t saved; /* bytes that compression took away */
  bool from_read;
  bool goes_on; /* a piece; the next of the queue is the next piece of the same block */
};
struct outgoing_queue {
  struct outgoing *first, *last;
  size_t bytes;
};

struct flight {
  uint64_t number;
  struct out_stream *stream;
  uint64_t from, to;
  size_t bytes;
  uint32_t records;
  bool live, settled; /* settled: such a claim, behind what was sent */
  int64_t sent;
};
struct flights {
  struct flight *items;
  size_t head, count, cap;
}; /* in order of number; items [head, head + count) */

/* A block and where it stands in the log. */
struct stored {
  struct blob *blob;
  enum lane lane;
  uint64_t position;
  const struct intervals *pass; /* of what is shared only this goes; NULL: all */
};

/* It comes from the peer, by whatever way, and that did not ask for it. */
bool outgoing_is_echo(const struct node_peer *peer, const struct out_stream *stream, const struct block *block);

/* What of the stored block `from` (opened as `block`) goes to the peer; NULL: nothing. */
struct outgoing *outgoing_new(struct node_peer *peer, struct out_stream *stream, const struct stored *from,
    const struct block *block, enum lane lane);
/* Records of its extent stand elsewhere, or are nowhere. */
bool outgoing_has_holes(const struct block *block);
struct outgoing *outgoing_free(struct outgoing *out);
/* Adds the sequences that the block holds, which may have holes. */
void outgoing_runs(const struct block *block, struct intervals *runs);

void outgoing_push(struct outgoing_queue *queue, struct outgoing *out);
struct outgoing *outgoing_pop(struct outgoing_queue *queue); /* NULL: empty */
void outgoing_clear(struct outgoing_queue *queue);
/* Cuts the first of the queue into pieces of about `most` bytes where it is much larger. One that holds a single record
 * stays whole, and one with holes, whose claims are not its own. */
void outgoing_fit(struct node_peer *peer, struct outgoing_queue *queue, size_t most);

void flights_add(struct node_peer *peer, struct flights *flights, struct flight flight); /* sets `sent` */
/* The first whose number is not below this; the end of the items where there is none. */
struct flight *flights_from(struct flights *flights, uint64_t number);
void flights_drop_front(struct flights *flights); /* those whose stream is NULL: answered */
#endif
