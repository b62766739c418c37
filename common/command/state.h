#ifndef RIVERBUS_COMMON_COMMAND_STATE_H
#define RIVERBUS_COMMON_COMMAND_STATE_H
/*
 * The life cycle of a command as one table. The numbers are on the wire and in the store.
 *
 *     accepted -> [approval] -> sent -> received -> dispatched -> [acting] -> executed | failed | stopped | unknown
 *     ends before the device: rejected, expired, cancelled, superseded, undelivered
 *
 * Custody: a broker decides until it has committed `sent`; after that only the next node does: the station's gateway,
 * or the broker of the province that owns the point. A broker that handed over follows the gateway's signed reports,
 * and its timer may only say `unknown` (code no-answer). Of the final states only `unknown` may change, once: by the
 * gateway's report, by its "never received" (settle.h), or by an operator's resolve. What an operator resolved is final
 * once the gateway's signed word is there; until then a resolve that was signed later takes its place (ACTOR_CORRECT).
 */
#include "common/base/bytes.h"
#include "common/command/code.h"

enum state {
  STATE_NONE = 0, /* the id is not known here */
  STATE_ACCEPTED = 1,
  STATE_APPROVAL = 2,   /* waits for a second person */
  STATE_SENT = 3,       /* handed over to the next node */
  STATE_RECEIVED = 4,   /* committed at the gateway */
  STATE_DISPATCHED = 5, /* committed just before the publish to the device */
  STATE_ACTING = 6,     /* the device said that it moves */
  STATE_EXECUTED = 7,
  STATE_FAILED = 8,
  STATE_STOPPED = 9,
  STATE_UNKNOWN = 10,
  STATE_REJECTED = 11,
  STATE_EXPIRED = 12,
  STATE_CANCELLED = 13,
  STATE_SUPERSEDED = 14,
  STATE_UNDELIVERED = 15,
  STATE_STATES
};

/* Who makes a transition in the ledger of a node. */
enum actor {
  ACTOR_BROKER,  /* a broker that decides (before `sent`) */
  ACTOR_GATEWAY, /* the gateway, in its own ledger */
  ACTOR_REPORT,  /* the gateway's signed report, in the ledger of a broker that handed over */
  ACTOR_TIMER,   /* a broker's timer after it handed over: only `unknown` */
  ACTOR_NEVER,   /* the gateway's "never received" from the same epoch: `expired`, or `superseded` behind a later one */
  ACTOR_RESOLVE, /* an operator's resolve of `unknown`: executed (moved) or failed (not moved) */
  ACTOR_CORRECT, /* a later word about what a person resolved, as long as the station has not said its own: see
                    ledger_is_unconfirmed */
  ACTOR_PEER,    /* the owning province's broker, in the ledger of the broker that asked it */
  ACTOR_ACTORS
};

const char *state_name(enum state state);  /* "accepted"; "none"; "state-?" for an unknown number */
enum state state_parse(struct bytes name); /* STATE_NONE: no such name */
bool state_is_final(enum state state);
bool state_is_open(enum state state); /* neither final nor none */
bool state_allows(enum actor actor, enum state from, enum state to);
/* Whether the device may have been told (dispatched or later, unknown included): what a crash may not simply repeat. */
bool state_may_have_moved(enum state state);
/* What `riverbus set` exits with for a command in that state: open states 9, rejected 4 for signature and authority,
 * else 5. */
enum exit_code state_exit(enum state state, enum code code);
#endif
