/*
 * The life of two commands for one gate, from the broker's ledger to the movement: who decides when, what is durable
 * before what, and what a crash, a cut link or a store put back from an old copy may do at any step.
 *
 * What is durable: b[] (the broker's ledger), sent_epoch[], g[] (the gateway's ledger, with its reports), created[]
 * (which commands were issued before the gateway's store was opened). What a crash loses: what has been asked of the
 * MQTT broker and not yet committed as outcome, messages on the link, the device's word.
 *
 * The device is the worst one: it has no memory of ids and looks at no deadline; it moves at every publish that reaches
 * it, however late. Only the message's expiry keeps a publish from it: an interval that the gateway works out of the
 * time left when it publishes, after which the MQTT broker drops what the device has not taken (trusted here).
 *
 * Checked in every state: a command moves the gate at most once; nothing moves after its deadline; a command that ended
 * before the device has not moved it and never will; `executed` has moved it; a final state other than `unknown` stays.
 * Checked when nothing more happens: every command has an end, and with the link up no end is `unknown` but where a fault
 * hit between dispatch and the device's word.
 *
 * Variants that must fail, each by a macro: REPEAT (publish again after a crash), PUBLISH_FIRST (publish before
 * `dispatched` is committed), BROKER_ENDS (the broker's timer says `expired` for what it handed over), ANY_EPOCH (a
 * restored store's "never received" is believed), OLD_COMMANDS (a restored store takes what was issued before it). And
 * LATE_TRUTH, which shows that the good ending is reached: `unknown` that becomes `executed` when the link returns. And
 * by the device that moves late: SKIP_EXPIRY (the message is published without an expiry), LATE_COMMIT (after the commit
 * of `dispatched` the clock is not looked at again: the expiry that was worked out before it ends after the deadline).
 *
 * The processes mirror: Broker broker/orders.c (order_tick, orders_session, admit_report, settle_never); Gateway
 * gateway/dispatch_take.c (what comes in, dispatch_never), dispatch_run.c (from received to the outcome) and
 * dispatch_check.c (created); Device the worst device behind gateway/courier.c's publish with an expiry; Faults what
 * cannot be chosen.
 *
 * Cancel, stop, what takes the place of what, the lock that `unknown` puts on a point and resolve are in persons.pml.
 * Not modelled, so nothing is claimed of it: approval, select, guards, `failed` and `acting` by what the device says or
 * is measured at; neighbours. Commands here go one after the other, and the deadline is a moment that all clocks agree
 * on. The unit stories of broker and gateway and the system tests look at these.
 */
#ifndef FAULTS
#define FAULTS 2 /* crashes and restores in all */
#endif
#define N 2
#define CUTS 2

mtype = {NONE, ACCEPTED, SENT, RECEIVED, DISPATCHED, EXECUTED, FAILED, UNKNOWN, EXPIRED, UNDELIVERED, NEVER};

mtype b[N] = NONE;
mtype g[N] = NONE;
byte sent_epoch[N];
byte epoch = 1;
bool issued[N];
bool created[N];     /* issued before the gateway's store was opened */
bool late[N];        /* the deadline has passed */
byte moved[N];
bool at_device[N];   /* published, not yet done or dropped */
bool expires[N];     /* and dropped when the deadline has passed */
bool answer[N];      /* the device's word has come: it moved */
bool asked[N];       /* the gateway asked MQTT in this life of the process */
bool restarted[N];   /* found dispatched after a start */
bool fault_there[N]; /* a fault hit between dispatch and the device's word, or the store was put back */
bool link = true;
byte cuts = 0;
byte faults = 0;
chan down = [2] of {mtype, byte, byte}; /* COMMAND or ASK as SENT/NONE, the command, the broker's epoch for it */
chan up = [2] of {mtype, byte, byte};   /* NEVER, the command, the epoch */

#define final(s) (s == EXECUTED || s == FAILED || s == UNKNOWN || s == EXPIRED || s == UNDELIVERED)

/* The one place where the broker's entry changes. */
inline settle(c, to) {
  assert(!final(b[c]) || b[c] == UNKNOWN);
#ifdef LATE_TRUTH
  assert(!(b[c] == UNKNOWN && to == EXECUTED));
#endif
  b[c] = to;
}

/* The time for a report is over: with a link and a store that remembers, it came in time. */
#define no_word(c) (!link || epoch != sent_epoch[c])

active proctype Broker() {
  byte c, e;
  mtype m;
end:
  do
  :: atomic { !issued[0] -> issued[0] = true; b[0] = ACCEPTED }
  :: atomic { issued[0] && !issued[1] -> issued[1] = true; b[1] = ACCEPTED }
  /* not handed over: the broker decides */
  :: atomic { b[0] == ACCEPTED && late[0] -> settle(0, EXPIRED) }
  :: atomic { b[1] == ACCEPTED && late[1] -> settle(1, EXPIRED) }
  /* `sent` is committed, then the station is told; again while it is open and alive */
  :: atomic { link && b[0] == ACCEPTED && !late[0] -> b[0] = SENT; sent_epoch[0] = epoch }
  :: atomic { link && b[1] == ACCEPTED && !late[1] -> b[1] = SENT; sent_epoch[1] = epoch }
  :: atomic { link && b[0] == SENT && !late[0] && g[0] == NONE && nfull(down) -> down!SENT(0, 0) }
  :: atomic { link && b[1] == SENT && !late[1] && g[1] == NONE && nfull(down) -> down!SENT(1, 0) }
  /* what became of it? */
  :: atomic { link && late[0] && (b[0] == SENT || b[0] == UNKNOWN) && g[0] == NONE && nfull(down) -> down!NONE(0, 0) }
  :: atomic { link && late[1] && (b[1] == SENT || b[1] == UNKNOWN) && g[1] == NONE && nfull(down) -> down!NONE(1, 0) }
  /* the timer: deadline, confirm timeout and grace are over, and no word */
#ifdef BROKER_ENDS
  :: atomic { b[0] == SENT && late[0] && no_word(0) -> settle(0, EXPIRED) }
  :: atomic { b[1] == SENT && late[1] && no_word(1) -> settle(1, EXPIRED) }
#else
  :: atomic { b[0] == SENT && late[0] && no_word(0) -> settle(0, UNKNOWN) }
  :: atomic { b[1] == SENT && late[1] && no_word(1) -> settle(1, UNKNOWN) }
#endif
  /* the gateway's reports: a durable stream, exactly once, in order */
  :: atomic { link && (b[0] == SENT || b[0] == UNKNOWN) && final(g[0]) && g[0] != b[0] -> settle(0, g[0]) }
  :: atomic { link && (b[1] == SENT || b[1] == UNKNOWN) && final(g[1]) && g[1] != b[1] -> settle(1, g[1]) }
  :: atomic { link && up?[NEVER, c, e] -> up?m, c, e;
       if
#ifdef ANY_EPOCH
       :: (b[c] == SENT || b[c] == UNKNOWN) -> settle(c, EXPIRED)
#else
       :: (b[c] == SENT || b[c] == UNKNOWN) && e == sent_epoch[c] -> settle(c, EXPIRED)
#endif
       :: else -> skip
       fi }
  od
}

/* An interval that is worked out of the time left, and begins when the message is published: too late, it is over too
 * late. */
inline publish(c) {
  asked[c] = true;
  at_device[c] = true;
#ifndef SKIP_EXPIRY
  expires[c] = !late[c]
#endif
}

#ifdef LATE_COMMIT
#define alive(c) true
#else
#define alive(c) !late[c]
#endif

#define free_of(c) (g[1 - c] != RECEIVED && g[1 - c] != DISPATCHED)

active proctype Gateway() {
  byte c, e;
  mtype m;
end:
  do
  :: atomic { link && down?[m, c, e] -> down?m, c, e;
       if
       :: m == SENT && g[c] == NONE ->
            if
#ifndef OLD_COMMANDS
            :: created[c] -> g[c] = FAILED /* rejected: older than the store; a report like any other */
#endif
#ifdef OLD_COMMANDS
            :: late[c] -> g[c] = EXPIRED
            :: !late[c] -> g[c] = RECEIVED
#else
            :: !created[c] && late[c] -> g[c] = EXPIRED
            :: !created[c] && !late[c] -> g[c] = RECEIVED
#endif
            fi
       :: m == NONE && g[c] == NONE -> g[c] = NEVER; if :: nfull(up) -> up!NEVER(c, epoch) :: full(up) -> skip fi
       :: else -> skip
       fi }
  /* a "never" that was lost is said again when asked again */
  :: atomic { link && late[0] && g[0] == NEVER && (b[0] == SENT || b[0] == UNKNOWN) && epoch == sent_epoch[0] && nfull(up) -> up!NEVER(0, epoch) }
  :: atomic { link && late[1] && g[1] == NEVER && (b[1] == SENT || b[1] == UNKNOWN) && epoch == sent_epoch[1] && nfull(up) -> up!NEVER(1, epoch) }
  :: atomic { g[0] == RECEIVED && late[0] -> g[0] = EXPIRED }
  :: atomic { g[1] == RECEIVED && late[1] -> g[1] = EXPIRED }
#ifdef PUBLISH_FIRST
  :: atomic { g[0] == RECEIVED && !late[0] && !asked[0] && g[1] != DISPATCHED -> publish(0) }
  :: atomic { g[1] == RECEIVED && !late[1] && !asked[1] && g[0] != DISPATCHED -> publish(1) }
  :: atomic { g[0] == RECEIVED && asked[0] -> g[0] = DISPATCHED }
  :: atomic { g[1] == RECEIVED && asked[1] -> g[1] = DISPATCHED }
#else
  :: atomic { g[0] == RECEIVED && !late[0] && g[1] != DISPATCHED -> g[0] = DISPATCHED }
  :: atomic { g[1] == RECEIVED && !late[1] && g[0] != DISPATCHED -> g[1] = DISPATCHED }
#ifdef REPEAT
  :: atomic { g[0] == DISPATCHED && !asked[0] && !late[0] -> publish(0) }
  :: atomic { g[1] == DISPATCHED && !asked[1] && !late[1] -> publish(1) }
#else
  :: atomic { g[0] == DISPATCHED && !asked[0] && !restarted[0] && alive(0) -> publish(0) }
  :: atomic { g[1] == DISPATCHED && !asked[1] && !restarted[1] && alive(1) -> publish(1) }
#endif
#endif
  /* the commit took longer than the command lived: proven that nobody was told */
  :: atomic { g[0] == DISPATCHED && !asked[0] && !restarted[0] && late[0] -> g[0] = UNDELIVERED }
  :: atomic { g[1] == DISPATCHED && !asked[1] && !restarted[1] && late[1] -> g[1] = UNDELIVERED }
  /* the device's word, also late */
  :: atomic { answer[0] && (g[0] == DISPATCHED || g[0] == UNKNOWN) -> answer[0] = false; g[0] = EXECUTED }
  :: atomic { answer[1] && (g[1] == DISPATCHED || g[1] == UNKNOWN) -> answer[1] = false; g[1] = EXECUTED }
  /* no word: only where a fault took it away */
  :: atomic { g[0] == DISPATCHED && late[0] && (restarted[0] || asked[0]) && !at_device[0] && !answer[0] -> g[0] = UNKNOWN }
  :: atomic { g[1] == DISPATCHED && late[1] && (restarted[1] || asked[1]) && !at_device[1] && !answer[1] -> g[1] = UNKNOWN }
  od
}

#define dropped(c) (expires[c] && late[c])

/* Nothing moves after its deadline. */
inline move(c) {
  assert(!late[c]);
  at_device[c] = false;
  expires[c] = false;
  moved[c]++;
  answer[c] = true
}

inline drop(c) {
  at_device[c] = false;
  expires[c] = false;
  fault_there[c] = true
}

active proctype Device() {
end:
  do
  :: atomic { at_device[0] && !dropped(0) -> move(0) }
  :: atomic { at_device[1] && !dropped(1) -> move(1) }
  /* the device did not take it in time: the MQTT broker's message expiry */
  :: atomic { at_device[0] && dropped(0) -> drop(0) }
  :: atomic { at_device[1] && dropped(1) -> drop(1) }
  od
}

inline lose_process(c) {
  asked[c] = false;
  answer[c] = false;
  if
  :: g[c] == DISPATCHED -> restarted[c] = true; fault_there[c] = true
  :: else -> skip
  fi
}

active proctype Faults() {
  byte c, e;
  mtype m;
end:
  do
  :: atomic { issued[0] && !late[0] -> late[0] = true }
  :: atomic { issued[1] && !late[1] -> late[1] = true }
  :: atomic { link && cuts < CUTS -> cuts++; link = false;
       do :: nempty(down) -> down?m, c, e :: nempty(up) -> up?m, c, e :: empty(down) && empty(up) -> break od }
  :: atomic { !link -> link = true }
  /* the gateway is killed and starts again */
  :: atomic { faults < FAULTS -> faults++; lose_process(0); lose_process(1) }
  /* the gateway's store is put back from a copy that knew nothing of these commands: a new epoch */
  :: atomic { faults < FAULTS -> faults++; epoch++; lose_process(0); lose_process(1);
       g[0] = NONE; g[1] = NONE; restarted[0] = false; restarted[1] = false;
       created[0] = issued[0]; created[1] = issued[1];
       fault_there[0] = true; fault_there[1] = true }
  od
}

/* ---- what must hold ---- */
#define sound(c) (moved[c] <= 1 && !(b[c] == EXECUTED && moved[c] == 0))

active proctype Judge() {
end:
  do
  :: atomic { !(sound(0) && sound(1)) -> assert(false) }
  /* a restored store may say `never` of what its predecessor did: then only the broker's word counts */
  :: atomic { (b[0] == EXPIRED || b[0] == UNDELIVERED) && moved[0] > 0 -> assert(false) }
  :: atomic { (b[1] == EXPIRED || b[1] == UNDELIVERED) && moved[1] > 0 -> assert(false) }
  :: timeout -> break
  od;
  /* nothing more happens: the link is up, the deadlines are over */
  assert(!issued[0] || final(b[0]));
  assert(!issued[1] || final(b[1]));
  assert(b[0] != UNKNOWN || fault_there[0]);
  assert(b[1] != UNKNOWN || fault_there[1])
}
