#ifndef RIVERBUS_COMMON_NODE_EPOCHS_H
#define RIVERBUS_COMMON_NODE_EPOCHS_H
/*
 * What an origin tells of its own streams' past, so that others know what will never come: each epoch that its store
 * knows, and up to which number. An epoch that is older than the newest told and is not named, or ends earlier than its
 * heads promised elsewhere, was of a store that is no more (a gateway that was replaced, an old copy): what of it is
 * held nowhere is lost. Of the newest epoch nothing can be lost that way. Pure.
 *
 * Message EPOCHS (node_message, urgent channel), from a gateway to its broker and from a broker to its neighbours, at
 * session start and when an epoch begins: varint n, n x (u8 0: NAME!urgent, 1: NAME, u64 created, u64 random, varint
 * last). What follows is ignored.
 */
#include "common/base/buffer.h"
#include "common/base/interval.h"
#include "common/node/node.h"

enum { EPOCHS_MESSAGE = 25, EPOCHS_MAX = 2 * STORE_EPOCHS_MAX, EPOCHS_MALFORMED = 1 };
struct epoch_told {
  enum channel own; /* of the two streams which */
  struct epoch epoch;
  uint64_t last;
};
struct epochs {
  struct epoch_told items[EPOCHS_MAX];
  size_t count;
};
/* The node's own streams as its store knows them. */
void epochs_of(struct epochs *epochs, struct store *store, const char *node);
void epochs_put(struct buffer *out, const struct epochs *epochs);
int epochs_get(struct bytes body, struct epochs *epochs); /* EPOCHS_MALFORMED */
/* What of [1, promised] of an epoch is neither held nor to be had from the origin. Adds to *out. */
void epochs_lost(const struct epochs *epochs, enum channel own, struct epoch epoch, uint64_t promised,
    const struct intervals *held, struct intervals *out);
#endif
