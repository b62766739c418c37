#ifndef RIVERBUS_BROKER_PEERS_H
#define RIVERBUS_BROKER_PEERS_H
/*
 * What passes between this broker and a neighbour, record by record, by both halves of their agreement (broker/half).
 * Pure; the hooks of the node (common/node) ask here. Fail closed: what no rule names, what cannot be read, and what
 * the neighbour has not said that it accepts goes nowhere.
 *
 *   - Of our own province goes what a share rule matches and the neighbour accepts, within until and since; without
 *     since what stands in our logs at or after the place from which both the rule and what the neighbour accepts are
 *     in force.
 *   - Of a third province goes what a transit pattern matches and the neighbour accepts, likewise from a place on, if
 *     the block's grants (common/record/onward.h) name the neighbour. Never back to where it comes from.
 *   - Each distinct (every, delay) of the share rules is a feed of its own (common/node); feed 0 is immediate and
 *     whole, and carries what passes through. The thinning and the delay itself are the node's.
 *   - Reports about commands stay in the province: they name operators and orders; what a neighbour may see of them
 *     needs a rule of its own.
 *   - Heads of a stream of which anything is shared, or of a third province granted, pass: without them a neighbour
 *     could not know what it misses. They name the station only. Nor is anything told of the ranges of another stream.
 *   - Of what a neighbour sends we take what `accept` matches: of its own province, and of a third one what the grants
 *     let come to us; never a stream of our own province.
 */
#include "broker/half.h"
#include "common/door/selection.h"

enum { PEER_FEEDS_MAX = BROKER_FEEDS_MAX };
struct peer_feed {
  int64_t every_us, delay_us;
  uint64_t scope; /* differs where what passes differs, also by the version of either half; never 0 */
  /* the scope of the rules before, where nothing goes by this feed that would not have gone by that one: what is new in
   * it begins with what is stored next; 0: none */
  uint64_t inherits;
};
/* What a feed selects by, one of several: a rule, a transit pattern, a pattern that is accepted. */
struct peer_part {
  uint64_t digest;
  uint8_t feed; /* PEER_FEEDS_MAX: of all */
  bool begins;  /* it takes only what is stored from now on */
};
/* From which entry of each log on a rule holds: positions. */
struct peer_from {
  uint64_t at[LANES];
};
/* All share rules of this broker that are immediate and grant something onward, of all its neighbours. */
struct peer_grants {
  const struct half_share **rules;
  size_t count;
};
/* The grants of the block seen last, compiled. */
struct peer_granted {
  struct buffer grants;
  struct patterns patterns;
};
struct peer_rules {
  struct bytes node, peer;          /* this province, the neighbour; views */
  const struct half *ours, *theirs; /* views; theirs NULL: not told, nothing goes */
  /* in the order of ours->share, ours->transit and theirs->accept; views */
  const struct peer_from *share_from, *transit_from, *accept_from;
  const struct peer_grants *grants; /* view */
  struct peer_feed feeds[PEER_FEEDS_MAX];
  size_t feed_count;
  uint8_t *feed_of;       /* of each share rule; owned */
  struct patterns shares; /* what these match, in their order; owned */
  struct peer_from accept_newest;
  struct peer_part *parts; /* owned */
  size_t part_count;
  /* of each of our rules (share, then transit) with each accept of theirs: whether they have an address in common;
   * owned */
  bool *meets;
  struct peer_granted out, in, shown;
};
#define PEER_RULES_NULL ((struct peer_rules){0})
/* Derives the feeds from what the caller has set. salt: what else the scopes depend on. next: the places of what is
 * stored next. What can come here to pass through makes no difference to a scope: a relay claims only for what it holds
 * (common/node/settled.c). */
void peer_rules_init(struct peer_rules *rules, struct bytes salt, const struct peer_from *next);
/* Finds what the feeds inherit of the rules that were valid just before; their views may have ended. */
void peer_rules_inherit(struct peer_rules *rules, const struct peer_rules *before);
void peer_rules_deinit(struct peer_rules *rules);

bool peer_shares_stream(const struct peer_rules *rules, size_t feed, struct bytes stream);
/* Whether the neighbour may know that there is the stream. grants: of a third province, of what came last of it. */
bool peer_knows_stream(struct peer_rules *rules, struct bytes stream, struct bytes grants);
/* A new reference to `from`, a new block, or NULL: nothing goes. lane, position: where it stands in our log. */
struct blob *peer_share(struct peer_rules *rules, size_t feed, struct blob *from, const struct block *block,
    enum lane lane, uint64_t position);

enum peer_accept { PEER_ACCEPT_ALL, PEER_ACCEPT_SOME, PEER_ACCEPT_NOTHING };
/* SOME: *replace is the block to take instead. *left_out: records that are not taken. */
enum peer_accept peer_accept(
    struct peer_rules *rules, const struct block *block, struct blob **replace, uint32_t *left_out);
bool peer_accepts_stream(const struct peer_rules *rules, struct bytes stream); /* anything of it can be taken */

/* For a snapshot: whether the neighbour may know of the point (described: when it was, µs; a rule that had ended by
 * then does not count), and of its last value at once. passes: of a point of a third province, with the grants of its
 * station. */
bool peer_passes_point(struct peer_rules *rules, struct bytes address, struct bytes grants);
bool peer_shares_point(const struct peer_rules *rules, struct bytes address, int64_t described);
bool peer_shares_value(const struct peer_rules *rules, struct bytes address, int64_t received);
#endif
