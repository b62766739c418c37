#ifndef RIVERBUS_BROKER_GAP_CLAIMS_H
#define RIVERBUS_BROKER_GAP_CLAIMS_H
/* What a neighbour has said all of, and what such words say of what is held. Pure over the store's memory. */
#include "common/base/interval.h"
#include "common/node/node.h"

struct gap_speaker {
  struct store *store; /* ours */
  const struct node_peer *peer;
  struct bytes principal;
  uint32_t feeds; /* of those by which it sends now, a bit each: something of the stream goes by it */
  /* what it said under rules that hold no more does not count: they reach back now, or by which feeds it went then is
   * not known */
  bool anew;
};
/* All of it was sent, or said to be not for us, by each of these feeds, or under rules that were valid once. Not what
 * it only takes for ours, since it had been here before. Adds to *claimed. */
void gap_claims_of(
    const struct gap_speaker *speaker, struct bytes stream, struct epoch epoch, struct intervals *claimed);
/* What is surely held, with all below the floor: the extents of blocks (store_held), but for holes of which nobody has
 * said that they are all, by each of its feeds. A block has such holes where the rest of it came, or was here, in
 * another one. speakers: those who send now; of others all that they said counts. Adds to *out. */
void gap_held(struct store *store, const struct gap_speaker *speakers, size_t count, const struct store_stream *stream,
    struct intervals *out);
#endif
