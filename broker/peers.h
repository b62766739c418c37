#ifndef RIVERBUS_BROKER_PEERS_H
#define RIVERBUS_BROKER_PEERS_H
/*
 * What passes between this broker and a neighbour: the rules `share` (what we send) and `accept` (what we take). Pure;
 * the hooks of the node (common/node) ask here. Fail closed: what no rule names, what cannot be read, and what belongs
 * to a third province goes nowhere.
 *
 *   - We share only what this province originates (a later version adds transit), and of that the addresses that a rule
 *     matches.
 *   - Reports about commands stay in the province: they name operators and orders; what a neighbour may see of them
 *     needs a rule of its own.
 *   - Heads of a stream of which anything is shared pass: without them a neighbour could not know what it misses. They
 *     name the station only.
 *   - Of what a neighbour sends we take what `accept` matches, never a stream of our own province.
 */
#include "common/door/selection.h"

struct peer_rules {
  const char *node;       /* this province; not owned */
  struct patterns share;  /* owned */
  struct patterns accept; /* owned */
};
#define PEER_RULES_NULL ((struct peer_rules){NULL, PATTERNS_NULL, PATTERNS_NULL})
void peer_rules_deinit(struct peer_rules *rules);

/* A number that differs when the share rules differ, never 0; their order does not matter. */
uint64_t peer_rules_scope(const struct peer_rules *rules);
bool peer_shares_stream(const struct peer_rules *rules, struct bytes stream);
/* A new reference to `from`, a new block, or NULL: nothing goes. */
struct blob *peer_share(const struct peer_rules *rules, struct blob *from, const struct block *block);

enum peer_accept { PEER_ACCEPT_ALL, PEER_ACCEPT_SOME, PEER_ACCEPT_NOTHING };
/* SOME: *replace is the block to take instead. */
enum peer_accept peer_accept(const struct peer_rules *rules, const struct block *block, struct blob **replace);
bool peer_accepts_stream(const struct peer_rules *rules, struct bytes stream); /* anything of it can be taken */
#endif
