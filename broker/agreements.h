#ifndef RIVERBUS_BROKER_AGREEMENTS_H
#define RIVERBUS_BROKER_AGREEMENTS_H
/*
 * The agreements of this broker with its neighbours, as they were last: both halves with their versions, and from which
 * place of our logs each of our rules is in force. Kept in STORE_META, under "agreement/PEER/ours", ".../theirs",
 * ".../taken" and ".../quota"; a change and its entry in the audit log are one batch. Pure, but for the load.
 *
 * A rule is in force from what is stored next, once it stands in our half; it keeps its place while it stands there,
 * also over restarts, and where only until or onward change. The rules that a store finds at its first start with
 * agreements are in force from the beginning. What a neighbour accepts begins likewise, when it is told here: what it
 * tells first has no beginning of its own. A rule that was taken out and comes back begins anew, so nothing of the time
 * between goes by it. So a province whose broker starts later gets all that its neighbour's rules offer.
 *
 * What this side accepts is checked as it comes as well, but not against what the other told: a block may overtake the
 * half that allows it, and what is dropped and claimed would be lost.
 */
#include "broker/peers.h"
#include "broker/quota.h"
#include "common/store/store.h"

struct agreement {
  char *peer;
  struct half *ours, *theirs;                  /* ours NULL: no longer a neighbour; theirs NULL: not told */
  uint64_t our_version, their_version;         /* rise with each change; theirs as told */
  int64_t our_time, their_time;                /* of the change, wall, µs */
  uint64_t taken_version;                      /* of our half, that the neighbour said to have; 0: none */
  int64_t taken_time;                          /* when it first did, wall, µs */
  struct peer_from our_from;                   /* of our last change: in force from there */
  struct peer_from *share_from, *transit_from; /* in the order of ours->share, ours->transit */
  struct peer_from *accept_from;               /* in the order of theirs->accept */
  struct quota quota;                          /* what has gone to it */
  uint64_t quota_saved;                        /* bytes of the day, as they were saved last */
};
struct agreements {
  struct bytes node; /* owned */
  struct agreement **items;
  size_t count;
  bool first; /* the store has never had agreements */
};
#define AGREEMENTS_NULL ((struct agreements){{NULL, 0}, NULL, 0, false})
int agreements_load(struct agreements *agreements, const char *node, struct store *store); /* at the start; <0: disk */
void agreements_deinit(struct agreements *agreements);
struct agreement *agreements_find(const struct agreements *agreements, struct bytes peer); /* NULL: none ever */

/* Our half as the configuration has it now; false: it is as before. next: the position of the next entry of each log.
 * Views of the old half end. Puts the change into the batch. */
bool agreements_set(struct agreements *agreements, const struct broker_peer *peer, const struct peer_from *next,
    int64_t now, struct store_batch *batch);
/* After all were set: the next start is not the first. */
void agreements_settle(struct agreements *agreements, struct store_batch *batch);
/* The peer is no neighbour any more: its half is forgotten. false: it was none. */
bool agreements_end(struct agreement *agreement, const struct agreements *agreements, const struct peer_from *next,
    int64_t now, struct store_batch *batch);

enum agreement_take { AGREEMENT_TAKEN, AGREEMENT_SAME, AGREEMENT_MALFORMED };
/* A message HALF of the neighbour. TAKEN: views of its old half end; put into the batch. MALFORMED: *why is a static
 * sentence, the old half stays. */
enum agreement_take agreement_take(struct agreement *agreement, const struct agreements *agreements, struct bytes body,
    const struct peer_from *at, int64_t now, struct store_batch *batch, const char **why);
/* The message HALF to the neighbour, appended. */
void agreement_put(struct buffer *out, const struct agreement *agreement);
/* The neighbour says that it has this version of ours: from now on at the latest all that we accept is in force there.
 * false: known. */
bool agreement_taken(struct agreement *agreement, uint64_t version, int64_t now, struct store_batch *batch);
/* What has gone to the neighbour, where it has changed: into the batch. Of what is not saved a crash forgets. */
void agreement_save_quota(struct agreement *agreement, struct store_batch *batch);
/* What the scopes of all feeds to the neighbour depend on beside its rules, appended. */
void agreement_put_salt(struct buffer *out, const struct agreement *agreement);
#endif
