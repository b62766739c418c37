/*
 * What persons and later commands want of commands that are under way: cancel, a newer set that takes the place of an
 * older one, a stop, and resolve of what nobody knows. command.pml looks at one command after another, at deadlines and
 * at stores that are put back; here they meet each other. Three searches, since all at once would be too many states:
 * two sets for one gate (0, then 1), with WITH_STOP a set and a stop for its gate (0, then 2), and with WITH_DOOR the
 * second set is given at the station's own door, so that the broker learns of it by its reports.
 *
 * Each process and inline mirrors:
 *   Broker    broker/orders.c (orders_session, order_tick, admit_report), orders_decide.c (cancel, resolve, order_hear),
 *             order_commit.c (order_enter: what gives way, and what is overtaken and not sent again)
 *   Gateway   gateway/dispatch_take.c (take), dispatch_place.c (later_here: dispatch_later_given), dispatch_decide.c (want, fulfil: a wish waits for the commit under way),
 *             dispatch_run.c (decide: dispatch_next; SETS: dispatch_step_set, dispatch_send, dispatch_refused_there),
 *             dispatch_stop.c (the stop's steps, dispatch_halt_all, dispatch_later_stop)
 *   store     common/store: commits become durable in the order in which they were submitted; one that is refused is
 *             tried again behind the others (dispatch_retry: `dispatched` is then decided anew)
 *   Faults    dispatch_start (start), and what cannot be chosen: crashes, cuts, refusals of the store, time
 *
 * m[] is the gateway's memory, g[] what its store holds: nothing is said or published but of g[].
 *
 * Checked at every move: at most once for a command; nothing moves once its end is durable at the broker or at the
 * gateway; nothing that was given before a stop moves once the stop is executed, and no set once one has moved that was
 * given after it. Checked at every durable end: what
 * ended before the device (cancelled and superseded too) has not moved, `executed` has; a stop is executed only when
 * what it halts has ended and that is durable. Checked at every publish: no other set's outcome is unknown. Checked at
 * every change of the broker's ledger: only `unknown` changes (custody: after `sent` a cancel is a request). Checked
 * when nothing more happens: each command has an end, both ledgers have the same, no decision is still to be told.
 *
 * Variants that must fail: BROKER_CANCELS (the broker ends by itself what it handed over), CANCEL_DISPATCHED (the
 * gateway cancels what it has dispatched), SUPERSEDE_RUNNING, NO_LOCK, EARLY_WORD (what is not durable is said),
 * STOP_EARLY (the stop is executed before the end of what it halts is durable), NO_LOOK (a set whose `dispatched` was
 * being committed when the stop came is published), SENT_BEHIND (a set is sent again after a stop, or after another set), NO_TIMES
 * (the station does not look at when a set was given), START_BLIND (a start
 * finds a stop dispatched, and leaves a set that waited before it as it is; needs two faults). And those which show that
 * the good endings are reached: SEE_CANCELLED (by the station), SEE_STOPPED, SEE_SUPERSEDED (at the station), SEE_FREED
 * (a set moves after the one that locked the point was resolved).
 *
 * Abstracted: deadlines pass in the order in which commands are given, and mean the same to all; nothing that is late
 * reaches the device (command.pml looks at that). Guards, approval, select, `acting`, measurements: the device's word
 * alone tells. One person resolves, and has looked well: what two say is in words.pml. The times that operators signed are looked at only where a set was
 * given at the door (those of two operators that passed the broker may be too near; those of one key are looked at there too), and then they are right. A crash of the broker, a store that is put back
 * and neighbours: not modelled, so nothing is claimed of them here.
 */
#ifndef FAULTS
#define FAULTS 1 /* crashes of the gateway and refusals of its store, in all */
#endif
#ifndef CUTS
#define CUTS 1 /* of the link */
#endif
#define STOP 2 /* commands 0 and 1 are sets of one gate, this one stops it */

#ifdef WITH_DOOR
#define by_door true
#else
#define by_door false
#endif

mtype = {NONE, ACCEPTED, SENT, RECEIVED, DISPATCHED, EXECUTED, FAILED, STOPPED, UNKNOWN, REJECTED, EXPIRED, CANCELLED, SUPERSEDED, UNDELIVERED, NEVER, RESOLVED};
mtype = {COMMAND, ASK, CANCEL, RESOLVE};

/* the broker: its ledger, which is durable */
mtype b[3] = NONE;
mtype telling = NONE; /* CANCEL, RESOLVE: a decision about 0 that the station has still to hear of */
bool cancelled_once = false; /* a person asked for it */
bool resolved = false; /* a person's word made the end of 0 at the broker */

/* the gateway: what its store holds, and what its memory says */
mtype g[3] = NONE;
mtype m[3] = NONE;
mtype wish[3] = NONE; /* CANCELLED, SUPERSEDED, RESOLVED: waits in memory for the commit under way */
byte after[3];        /* as bits: the commands that this one came after */
bool asked[3];        /* published by this process */
bool restarted[3];    /* found dispatched by this process */
mtype word[3] = NONE; /* of the device, heard by this process: EXECUTED, FAILED (no) */
chan store = [3] of {byte}; /* commits under way, in order; what stands here is pending */

/* the device, and the messages to it */
chan mqtt = [3] of {byte};
byte running = 3; /* 3: it stands */
byte moved[2];

bool late[3]; /* the deadline has passed */
bool link = true;
byte cuts = 0;
byte faults = 0;
chan down = [2] of {mtype, byte};
chan up = [1] of {byte}; /* "never received" */

#define ends(s) (s == EXECUTED || s == FAILED || s == STOPPED || s == UNKNOWN || s == REJECTED || s == EXPIRED || s == CANCELLED || s == SUPERSEDED || s == UNDELIVERED)
#define settled(s) (ends(s) && s != UNKNOWN)
#define may_have_moved(s) (s == DISPATCHED || s == EXECUTED || s == FAILED || s == STOPPED || s == UNKNOWN)
#define pending(c) (m[c] != g[c])
/* An end before the device means that it did not move; `executed` means that it did. */
#define before_device(s) (s == REJECTED || s == EXPIRED || s == CANCELLED || s == SUPERSEDED || s == UNDELIVERED)
#define fits(s, c) (c == STOP || ((!before_device(s) || moved[c % 2] == 0) && (s != EXECUTED || moved[c % 2] > 0)))
#define mask(c) (1 << c)
#define earlier(d, c) (after[c] & mask(d)) /* d came before c */

/* ---- the broker ---- */

/* The one place where its entry changes. */
inline settle(c, to) {
  assert(!settled(b[c]));
  b[c] = to;
  assert(fits(b[c], c) || (c == 0 && resolved))
}

#define BROKER_COMMAND(c)                                                                                              \
  :: atomic { b[c] == ACCEPTED && late[c] -> settle(c, EXPIRED) }                                                      \
  /* `sent` is committed, then the station is told; again while it is alive and nothing was reported */                \
  :: atomic { link && b[c] == ACCEPTED && !late[c] -> b[c] = SENT }                                                    \
  :: atomic { link && b[c] == SENT && !late[c] && word_of(c) == NONE && !asks(c) && nfull(down) -> down!COMMAND(c) }  \
  :: atomic { link && (b[c] == SENT || b[c] == UNKNOWN) && (late[c] || asks(c)) && word_of(c) == NONE && nfull(down) -> down!ASK(c) } \
  /* the timer: only `unknown`, and a cancel that was not told comes too late */                                       \
  :: atomic { b[c] == SENT && late[c] && !link -> settle(c, UNKNOWN); if :: c == 0 -> telling = NONE :: else fi }      \
  /* the gateway's reports: a durable stream, exactly once, in order */                                                \
  :: atomic { link && (b[c] == SENT || b[c] == UNKNOWN) && ends(word_of(c)) && word_of(c) != b[c] -> settle(c, word_of(c)); if :: c == 0 -> telling = NONE :: else fi }

#ifdef EARLY_WORD
#define word_of(c) m[c]
#else
#define word_of(c) g[c]
#endif
/* A set with a cancel on its way, or with a stop or set that was given to the broker after it, is not sent again: it is asked for. */
#ifdef SENT_BEHIND
#define asks(c) (c == 0 && telling == CANCEL)
#else
#define asks(c) (c == 0 && (telling == CANCEL || b[STOP] != NONE || (!by_door && b[1] != NONE)))
#endif

inline give(c) {
  b[c] = ACCEPTED;
  /* a newer set, or a stop, takes the place of what still waits here */
  if
  :: c != 0 && b[0] == ACCEPTED -> settle(0, SUPERSEDED)
  :: else
  fi;
  if
  :: c == STOP && b[1] == ACCEPTED -> settle(1, SUPERSEDED)
  :: else
  fi
}

active proctype Broker() {
  byte c;
end:
  do
  :: atomic { b[0] == NONE -> give(0) }
#ifdef WITH_STOP
  :: atomic { b[STOP] == NONE && b[0] != NONE -> give(STOP) }
#else
  :: atomic { !by_door && b[1] == NONE && b[0] != NONE -> give(1) }
  /* the first report of what was given at the door */
  :: atomic { by_door && link && b[1] == NONE && g[1] != NONE -> b[1] = SENT }
#endif
  BROKER_COMMAND(0)
  BROKER_COMMAND(1)
  BROKER_COMMAND(STOP)
  /* a person cancels 0: decided here before `sent`, after it by the station */
  :: atomic { !cancelled_once && b[0] == ACCEPTED -> cancelled_once = true; settle(0, CANCELLED) }
#ifdef BROKER_CANCELS
  :: atomic { !cancelled_once && b[0] == SENT -> cancelled_once = true; settle(0, CANCELLED) }
#else
  :: atomic { !cancelled_once && b[0] == SENT -> cancelled_once = true; telling = CANCEL }
#endif
  /* ... and has looked at the device, when nobody knows */
  :: atomic { b[0] == UNKNOWN && !resolved -> resolved = true; settle(0, (moved[0] > 0 -> EXECUTED : FAILED)); telling = RESOLVE }
  :: atomic { link && telling != NONE && nfull(down) -> down!telling(0) }
  /* the station's word shows that it was heard, or that it is too late */
  :: atomic { link && telling == CANCEL && may_have_moved(g[0]) -> telling = NONE }
  :: atomic { link && telling == RESOLVE && (settled(g[0]) || g[0] == NEVER) -> telling = NONE }
  :: atomic { link && up?[c] -> up?c;
       if
       :: b[c] == SENT || b[c] == UNKNOWN -> settle(c, EXPIRED); if :: c == 0 -> telling = NONE :: else fi
       :: else
       fi }
  od
}

/* ---- the gateway ---- */

/* A stop that is executed has ended all that came before it, and that is durable. */
#define open_still(c) (earlier(c, STOP) && (g[c] == RECEIVED || g[c] == DISPATCHED))
#define sound (g[STOP] != EXECUTED || (!open_still(0) && !open_still(1)))

/* A transition in memory; it stands when its commit does. */
inline change(at, to) {
  m[at] = to;
  store!at
}

#ifdef CANCEL_DISPATCHED
#define cancels(c) (m[c] == RECEIVED || m[c] == DISPATCHED)
#else
#define cancels(c) (m[c] == RECEIVED)
#endif
#ifdef SUPERSEDE_RUNNING
#define gives_way(c) (m[c] == RECEIVED || m[c] == DISPATCHED)
#else
#define gives_way(c) (m[c] == RECEIVED)
#endif

/* What a person or a later command wants, when nothing is pending; else it is too late. */
inline fulfil(at) {
  if
  :: wish[at] == CANCELLED && cancels(at) -> change(at, CANCELLED)
  :: wish[at] == SUPERSEDED && gives_way(at) -> change(at, SUPERSEDED)
  :: wish[at] == RESOLVED && m[at] == UNKNOWN -> change(at, (moved[at % 2] > 0 -> EXECUTED : FAILED))
  :: else
  fi;
  wish[at] = NONE
}

inline want(at, to) {
  if
  :: wish[at] == NONE -> wish[at] = to
  :: else
  fi;
  if
  :: !pending(at) -> fulfil(at)
  :: else
  fi
}

#ifdef SUPERSEDE_RUNNING
#define SUPERSEDES(c) m[c] == DISPATCHED
#else
#define SUPERSEDES(c) false
#endif

inline supersede(by, old) {
  if
  :: old != by && earlier(old, by) && (m[old] == RECEIVED || SUPERSEDES(old)) -> want(old, SUPERSEDED)
  :: else
  fi
}

#define running_else(c, d) (m[d] == DISPATCHED || (d == STOP && m[d] == RECEIVED))
#define busy(c) ((c != 0 && running_else(c, 0)) || (c != 1 && running_else(c, 1)) || (c != STOP && running_else(c, STOP)))
#ifdef NO_LOCK
#define locked(c) false
#else
#define locked(c) ((c == 1 && m[0] == UNKNOWN) || (c == 0 && m[1] == UNKNOWN))
#endif

#define known(c) (m[c] == NONE || m[c] == NEVER -> 0 : mask(c))

#ifdef NO_TIMES
#define later_here(c) false
#else
#define later_here(c) (by_door && c == 0 && (m[1] == RECEIVED || may_have_moved(m[1])))
#endif

/* received is not yet durable: nothing but the commit follows */
inline take(c) {
  after[c] = (known(0) | known(1) | known(2)) & ~mask(c);
  after[0] = after[0] & ~mask(c); /* a start had lost it */
  after[1] = after[1] & ~mask(c);
  after[STOP] = after[STOP] & ~mask(c);
  if
  :: late[c] -> change(c, EXPIRED)
  :: !late[c] && later_here(c) -> change(c, SUPERSEDED)
  :: !late[c] && !later_here(c) && c != STOP && (locked(c) || busy(c)) -> change(c, REJECTED)
  :: !late[c] && !later_here(c) && (c == STOP || !(locked(c) || busy(c))) ->
       change(c, RECEIVED);
       supersede(c, 0);
       supersede(c, 1)
  fi
}

#define idle(c) (!pending(c) && wish[c] == NONE)

/* All is looked at once more, just before `dispatched`. */
inline decide(at) {
  if
  :: late[at] -> change(at, EXPIRED)
  :: !late[at] && later_here(at) -> change(at, SUPERSEDED)
  :: !late[at] && !later_here(at) && (locked(at) || busy(at)) -> change(at, REJECTED)
  :: !late[at] && !later_here(at) && !(locked(at) || busy(at)) -> change(at, DISPATCHED)
  fi
}

#ifdef NO_LOOK
#define halted_first(c) false
#else
#define halted_first(c) (earlier(c, STOP) && (m[STOP] == RECEIVED || may_have_moved(m[STOP])))
#endif
#define halted_there(c) (earlier(c, STOP) && may_have_moved(m[STOP]))

#define SETS(c)                                                                                                        \
  :: atomic { m[c] == RECEIVED && idle(c) -> decide(c) }                                                               \
  :: atomic { m[c] == DISPATCHED && idle(c) && !asked[c] && !restarted[c] ->                                           \
       if                                                                                                              \
       :: halted_first(c) -> change(c, STOPPED)                                                                        \
       :: !halted_first(c) && late[c] -> change(c, UNDELIVERED)                                                        \
       :: !halted_first(c) && !late[c] -> assert(m[1 - c] != UNKNOWN); asked[c] = true; mqtt!c                                                      \
       fi }                                                                                                            \
  :: atomic { (m[c] == DISPATCHED || m[c] == UNKNOWN) && idle(c) && word[c] == EXECUTED -> word[c] = NONE; change(c, EXECUTED) } \
  :: atomic { (m[c] == DISPATCHED || m[c] == UNKNOWN) && idle(c) && word[c] == FAILED -> word[c] = NONE;               \
       if :: halted_there(c) -> change(c, STOPPED) :: else -> change(c, FAILED) fi }                                   \
  :: atomic { m[c] == DISPATCHED && idle(c) && late[c] && (asked[c] || restarted[c]) && word[c] == NONE -> change(c, UNKNOWN) }

#define is_halted(c) (earlier(c, STOP) && m[c] == DISPATCHED)
#ifdef STOP_EARLY
#define waits_for(c) is_halted(c) && !pending(c)
#else
#define waits_for(c) (earlier(c, STOP) && pending(c)) || is_halted(c)
#endif

active proctype Gateway() {
  byte c;
  mtype what;
end:
  do
  /* a person at the door: again, where a start has lost it */
  :: atomic { by_door && b[0] != NONE && m[1] == NONE && !late[1] -> take(1) }
  :: atomic { link && down?[what, c] -> down?what, c;
       if
       :: what == COMMAND && m[c] == NONE -> take(c)
       :: what != COMMAND && m[c] == NONE ->
#ifdef NEVER_UNCOMMITTED
            if :: nfull(up) -> up!c :: full(up) fi
#else
            change(c, NEVER)
#endif
       :: what == CANCEL && m[c] != NONE && m[c] != NEVER -> want(c, CANCELLED)
       :: what == RESOLVE && m[c] != NONE && m[c] != NEVER -> want(c, RESOLVED)
       :: else
       fi;
       c = 0; what = NONE }
  /* "never" is said when it is durable, and again when it was lost */
  :: atomic { link && g[0] == NEVER && (b[0] == SENT || b[0] == UNKNOWN) && nfull(up) -> up!0 }
  :: atomic { link && g[1] == NEVER && (b[1] == SENT || b[1] == UNKNOWN) && nfull(up) -> up!1 }
  :: atomic { link && g[STOP] == NEVER && (b[STOP] == SENT || b[STOP] == UNKNOWN) && nfull(up) -> up!STOP }
  /* the store */
  :: atomic { store?[c] -> store?c; g[c] = m[c];
       assert(fits(g[c], c));
       assert(sound);
#ifdef SEE_CANCELLED
       assert(g[c] != CANCELLED);
#endif
#ifdef SEE_STOPPED
       assert(g[c] != STOPPED || moved[c % 2] == 0);
#endif
#ifdef SEE_SUPERSEDED
       assert(g[c] != SUPERSEDED);
#endif
       if :: wish[c] != NONE -> fulfil(c) :: else fi;
       if :: c != STOP && m[c] == RECEIVED && late[c] -> change(c, EXPIRED) :: else fi;
       c = 0 }
  SETS(0)
  SETS(1)
  /* the stop: its own two commits, and then nothing is asked but its deadline */
  :: atomic { m[STOP] == RECEIVED && !pending(STOP) && late[STOP] -> change(STOP, EXPIRED) }
  :: atomic { m[STOP] == RECEIVED && !pending(STOP) && !late[STOP] -> change(STOP, DISPATCHED) }
  :: atomic { m[STOP] == DISPATCHED && !pending(STOP) && !asked[STOP] && !restarted[STOP] ->
       if
       :: late[STOP] -> change(STOP, UNDELIVERED)
       :: !late[STOP] -> asked[STOP] = true; mqtt!STOP
       fi }
  /* the device has halted: first what ran ends, and that is durable; then the stop */
  :: atomic { (m[STOP] == DISPATCHED || m[STOP] == UNKNOWN) && !pending(STOP) && word[STOP] == EXECUTED && is_halted(0) && idle(0) -> change(0, STOPPED) }
  :: atomic { (m[STOP] == DISPATCHED || m[STOP] == UNKNOWN) && !pending(STOP) && word[STOP] == EXECUTED && is_halted(1) && idle(1) -> change(1, STOPPED) }
  :: atomic { (m[STOP] == DISPATCHED || m[STOP] == UNKNOWN) && !pending(STOP) && word[STOP] == EXECUTED && !(waits_for(0)) && !(waits_for(1)) -> word[STOP] = NONE; change(STOP, EXECUTED) }
  :: atomic { m[STOP] == DISPATCHED && !pending(STOP) && late[STOP] && (asked[STOP] || restarted[STOP]) && word[STOP] == NONE -> change(STOP, UNKNOWN) }
  od
}

/* ---- the device: the worst one, without a memory of ids; and the MQTT broker, which drops what is too old ---- */

inline move(c) {
  assert(!settled(b[c]) && !settled(g[c]));
  assert(g[STOP] != EXECUTED); /* it was given after this one */
  assert(!(c == 0 && moved[1] > 0)); /* and so was that */
#ifdef SEE_FREED
  assert(!(c == 1 && resolved && settled(g[0])));
#endif
  moved[c]++;
  assert(moved[c] == 1);
  running = c
}

inline halt() {
  if
  :: running < STOP -> word[running] = FAILED /* that it did not get there */
  :: true /* it says nothing of it */
  fi;
  running = 3;
  word[STOP] = EXECUTED
}

active proctype Device() {
  byte c;
end:
  do
  :: atomic { mqtt?[c] -> mqtt?c;
       if
       :: late[c]
       :: !late[c] && c == STOP -> halt()
       :: !late[c] && c != STOP -> move(c)
       fi;
       c = 0 }
  :: atomic { running < STOP -> word[running] = EXECUTED; running = 3 }
  :: atomic { running < STOP -> running = 3 } /* its word is lost */
  od
}

/* ---- faults ---- */

#ifdef START_BLIND
#define stop_halts false
#else
#define stop_halts m[STOP] == DISPATCHED
#endif

inline start(c) {
  m[c] = g[c];
  wish[c] = NONE;
  word[c] = NONE;
  asked[c] = false;
  restarted[c] = (g[c] == DISPATCHED)
}

active proctype Faults() {
  byte c;
  mtype what;
end:
  do
  :: atomic { b[0] != NONE && !late[0] -> late[0] = true }
  :: atomic { (b[1] != NONE || (by_door && b[0] != NONE)) && late[0] && !late[1] -> late[1] = true }
  :: atomic { b[STOP] != NONE && late[0] && !late[STOP] -> late[STOP] = true }
  :: atomic { link && cuts < CUTS -> cuts++; link = false;
       do :: nempty(down) -> down?what, c :: nempty(up) -> up?c :: empty(down) && empty(up) -> break od;
       c = 0; what = NONE }
  :: atomic { !link -> link = true }
  /* the gateway is killed and starts again */
  :: atomic { faults < FAULTS -> faults++;
       do :: nempty(store) -> store?c :: empty(store) -> break od;
       start(0); start(1); start(STOP);
       if :: m[0] == RECEIVED && m[1] == RECEIVED && earlier(0, 1) -> want(0, SUPERSEDED)
          :: m[0] == RECEIVED && m[1] == RECEIVED && earlier(1, 0) -> want(1, SUPERSEDED)
          :: else fi;
       if :: (m[STOP] == RECEIVED || stop_halts) && m[0] == RECEIVED && earlier(0, STOP) -> want(0, SUPERSEDED) :: else fi;
       if :: (m[STOP] == RECEIVED || stop_halts) && m[1] == RECEIVED && earlier(1, STOP) -> want(1, SUPERSEDED) :: else fi;
       c = 0 }
  /* the store refuses a batch, and it is tried again behind the others; `dispatched` is decided anew */
  :: atomic { faults < FAULTS && store?[c] -> faults++; store?c;
       if
       :: c != STOP && m[c] == DISPATCHED && !asked[c] && !restarted[c] ->
            m[c] = RECEIVED;
            if :: wish[c] != NONE -> fulfil(c) :: else fi;
            if :: m[c] == RECEIVED -> decide(c) :: else fi
       :: else -> store!c
       fi;
       c = 0 }
  od
}

active proctype Judge() {
end:
  do
  :: timeout -> break
  od;
  /* nothing more happens: the link is up, the deadlines are over */
  assert(b[0] == NONE || ends(b[0]));
  assert(b[1] == NONE || ends(b[1]));
  assert(b[STOP] == NONE || ends(b[STOP]));
  assert(telling == NONE);
  assert(resolved || b[0] == g[0] || !ends(g[0]));
  assert(b[1] == g[1] || !ends(g[1]));
  assert(g[0] != UNKNOWN || !resolved)
}
