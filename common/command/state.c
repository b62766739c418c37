#include "common/command/state.h"

static const char *const names[STATE_STATES] = {"none", "accepted", "approval", "sent", "received", "dispatched",
    "acting", "executed", "failed", "stopped", "unknown", "rejected", "expired", "cancelled", "superseded",
    "undelivered"};

const char *state_name(enum state state) { return (unsigned)state < STATE_STATES ? names[state] : "state-?"; }

enum state state_parse(struct bytes name) {
  for (unsigned i = 1; i < STATE_STATES; i++)
    if (bytes_equal(name, bytes_text(names[i]))) return (enum state)i;
  return STATE_NONE;
}

bool state_is_final(enum state state) { return state >= STATE_EXECUTED && state < STATE_STATES; }
bool state_is_open(enum state state) { return state > STATE_NONE && state < STATE_EXECUTED; }

#define BIT(s) (1u << (s))
#define ENDS_BEFORE (BIT(STATE_REJECTED) | BIT(STATE_EXPIRED) | BIT(STATE_CANCELLED) | BIT(STATE_SUPERSEDED))
#define ENDS_AT_DEVICE                                                                                                 \
  (BIT(STATE_EXECUTED) | BIT(STATE_FAILED) | BIT(STATE_STOPPED) | BIT(STATE_UNKNOWN) | BIT(STATE_UNDELIVERED))
#define GATEWAY_STATES (BIT(STATE_RECEIVED) | BIT(STATE_DISPATCHED) | BIT(STATE_ACTING) | ENDS_AT_DEVICE | ENDS_BEFORE)

struct rule {
  enum actor actor;
  enum state from;
  unsigned to;
};
static const struct rule rules[] = {
    {ACTOR_BROKER, STATE_NONE, BIT(STATE_ACCEPTED) | BIT(STATE_APPROVAL) | BIT(STATE_REJECTED) | BIT(STATE_EXPIRED)},
    {ACTOR_BROKER, STATE_ACCEPTED, BIT(STATE_APPROVAL) | BIT(STATE_SENT) | ENDS_BEFORE},
    {ACTOR_BROKER, STATE_APPROVAL, BIT(STATE_ACCEPTED) | BIT(STATE_SENT) | ENDS_BEFORE},
    {ACTOR_GATEWAY, STATE_NONE, BIT(STATE_RECEIVED) | BIT(STATE_REJECTED) | BIT(STATE_EXPIRED)},
    {ACTOR_GATEWAY, STATE_RECEIVED, BIT(STATE_DISPATCHED) | BIT(STATE_EXECUTED) | BIT(STATE_UNDELIVERED) | ENDS_BEFORE},
    {ACTOR_GATEWAY, STATE_DISPATCHED, BIT(STATE_ACTING) | ENDS_AT_DEVICE},
    {ACTOR_GATEWAY, STATE_ACTING, BIT(STATE_EXECUTED) | BIT(STATE_FAILED) | BIT(STATE_STOPPED) | BIT(STATE_UNKNOWN)},
    {ACTOR_GATEWAY, STATE_UNKNOWN, BIT(STATE_EXECUTED) | BIT(STATE_FAILED) | BIT(STATE_STOPPED)},
    {ACTOR_REPORT, STATE_SENT, GATEWAY_STATES},
    {ACTOR_REPORT, STATE_RECEIVED, GATEWAY_STATES & ~BIT(STATE_RECEIVED)},
    {ACTOR_REPORT, STATE_DISPATCHED, BIT(STATE_ACTING) | ENDS_AT_DEVICE},
    {ACTOR_REPORT, STATE_ACTING, BIT(STATE_EXECUTED) | BIT(STATE_FAILED) | BIT(STATE_STOPPED) | BIT(STATE_UNKNOWN)},
    {ACTOR_REPORT, STATE_UNKNOWN, (ENDS_AT_DEVICE | ENDS_BEFORE) & ~BIT(STATE_UNKNOWN)},
    {ACTOR_TIMER, STATE_SENT, BIT(STATE_UNKNOWN)},
    {ACTOR_TIMER, STATE_RECEIVED, BIT(STATE_UNKNOWN)},
    {ACTOR_TIMER, STATE_DISPATCHED, BIT(STATE_UNKNOWN)},
    {ACTOR_TIMER, STATE_ACTING, BIT(STATE_UNKNOWN)},
    {ACTOR_NEVER, STATE_SENT, BIT(STATE_EXPIRED) | BIT(STATE_SUPERSEDED)},
    {ACTOR_NEVER, STATE_UNKNOWN, BIT(STATE_EXPIRED) | BIT(STATE_SUPERSEDED)},
    {ACTOR_PEER, STATE_SENT, BIT(STATE_APPROVAL) | GATEWAY_STATES},
    {ACTOR_PEER, STATE_APPROVAL, BIT(STATE_SENT) | GATEWAY_STATES},
    {ACTOR_PEER, STATE_RECEIVED, GATEWAY_STATES & ~BIT(STATE_RECEIVED)},
    {ACTOR_PEER, STATE_DISPATCHED, BIT(STATE_ACTING) | ENDS_AT_DEVICE},
    {ACTOR_PEER, STATE_ACTING, BIT(STATE_EXECUTED) | BIT(STATE_FAILED) | BIT(STATE_STOPPED) | BIT(STATE_UNKNOWN)},
    {ACTOR_PEER, STATE_UNKNOWN, (ENDS_AT_DEVICE | ENDS_BEFORE) & ~BIT(STATE_UNKNOWN)},
    {ACTOR_TIMER, STATE_APPROVAL, BIT(STATE_UNKNOWN)},
    {ACTOR_RESOLVE, STATE_UNKNOWN, BIT(STATE_EXECUTED) | BIT(STATE_FAILED)},
    {ACTOR_CORRECT, STATE_EXECUTED, BIT(STATE_EXECUTED) | BIT(STATE_FAILED)},
    {ACTOR_CORRECT, STATE_FAILED, BIT(STATE_EXECUTED) | BIT(STATE_FAILED)},
};

bool state_allows(enum actor actor, enum state from, enum state to) {
  if ((unsigned)to >= STATE_STATES) return false;
  for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
    if (rules[i].actor == actor && rules[i].from == from) return rules[i].to & BIT(to);
  return false;
}

bool state_may_have_moved(enum state state) { return state >= STATE_DISPATCHED && state <= STATE_UNKNOWN; }

enum exit_code state_exit(enum state state, enum code code) {
  switch (state) {
    case STATE_EXECUTED: return EXIT_CODE_DONE;
    case STATE_FAILED: return EXIT_CODE_FAILED;
    case STATE_STOPPED:
    case STATE_CANCELLED:
    case STATE_SUPERSEDED: return EXIT_CODE_CANCELLED;
    case STATE_UNKNOWN: return EXIT_CODE_UNKNOWN;
    case STATE_REJECTED:
      return code == CODE_SIGNATURE || code == CODE_AUTHORITY ? EXIT_CODE_NOT_AUTHORISED : EXIT_CODE_REJECTED;
    case STATE_EXPIRED: return EXIT_CODE_EXPIRED;
    case STATE_UNDELIVERED: return EXIT_CODE_UNDELIVERED;
    default: return EXIT_CODE_OPEN;
  }
}
