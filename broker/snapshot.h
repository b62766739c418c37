#ifndef RIVERBUS_BROKER_SNAPSHOT_H
#define RIVERBUS_BROKER_SNAPSHOT_H
/*
 * What a neighbour is told at the beginning of a session, and when what it may see changes: descriptors and last values
 * of the points that our share selects, and of those of third provinces that may pass, as the catalogue has them then.
 * The stream goes on from there; a snapshot is outside held and claimed, so a value in it is neither stored nor
 * counted, and what the stream brings of it later is stored as ever. It makes good that descriptors may be older than
 * all that is sent. Pure.
 *
 * Messages of the broker's layer between neighbours (node_message types), telemetry channel, so that urgent is never
 * behind them; one piece is under way at a time:
 *   PIECE  u8 flags (1: the last), then points as the catalogue's checkpoint has them
 *   TAKEN  empty; answers a PIECE, on the urgent channel
 */
#include "common/door/catalogue.h"
#include "broker/granted.h"
#include "broker/peers.h"
#include "common/base/world.h"

enum { SNAPSHOT_PIECE = 16, SNAPSHOT_TAKEN = 17 };
enum {
  SNAPSHOT_BYTES = 8 * 1024,    /* of a piece: a second of a very thin link; a single point may have more */
  SNAPSHOT_ONE_MAX = 96 * 1024, /* a larger one is left out: the stream still has it */
  SNAPSHOT_LOOKS = 10000,       /* points looked at before the others have their turn */
  SNAPSHOT_REPEATS = 3          /* a neighbour that never answers does not know snapshots */
};
#define SNAPSHOT_REPEAT_US (10 * SECOND_US)

/* Where the sending of one stands. Zero: nothing is sent. */
struct snapshot {
  bool runs;
  size_t next;         /* the point to look at next */
  struct buffer piece; /* until it is taken */
  int64_t again_at;    /* mono; 0: not sent yet */
  unsigned repeats;
};
void snapshot_begin(struct snapshot *snapshot);
void snapshot_end(struct snapshot *snapshot); /* frees */
/* Of what it is made. */
struct snapshot_of {
  const struct catalogue *catalogue;
  const struct granted *granted; /* what third provinces let us pass on */
  struct peer_rules *rules;
};
/* What is to be sent at `now` (mono); empty: nothing. A view; say snapshot_sent when it went out. */
struct bytes snapshot_due(struct snapshot *snapshot, const struct snapshot_of *of, int64_t now);
void snapshot_sent(struct snapshot *snapshot, int64_t now);
void snapshot_taken(struct snapshot *snapshot); /* the neighbour has it */
/* A piece of the neighbour: takes what accept matches, nothing of our own province. Of third provinces it is believed
 * as far as their records are that come by it. False: malformed. *last: it was the last. */
bool snapshot_take(struct catalogue *catalogue, const struct peer_rules *rules, struct bytes piece, bool *last);
#endif
