#ifndef RIVERBUS_COMMON_COMMAND_LEDGER_H
#define RIVERBUS_COMMON_COMMAND_LEDGER_H
/*
 * What a node keeps of a command: one value of the store's table STORE_COMMANDS, its key is the command's id.
 * Versioned; unknown items are kept apart and written back, so that an older program does not lose what a newer one
 * wrote. Layout: top of ledger.c.
 *
 * An entry is a set of views. Pattern of use: keep `struct ledger { struct buffer storage; struct ledger_entry entry
 * }`, change the fields of the entry (pointing at texts that live until the next line), call ledger_keep: the entry's
 * views now point into the storage, whose bytes are what to put into the store.
 */
#include "common/command/command.h"
#include "common/command/report.h"
#include "common/command/state.h"
#include "common/record/record.h"

enum ledger_outcome { LEDGER_MALFORMED = 1, LEDGER_NEWER = 2, LEDGER_NOT_ALLOWED = 3 };
enum ledger_custody {
  LEDGER_HERE = 0, /* this node decides */
  LEDGER_NEXT = 1  /* handed over: only the next node decides */
};

struct ledger_entry {
  struct bytes id;
  struct bytes command; /* the verbatim signed command; empty: never received here, and refused for good */
  enum state state;
  enum code code;
  struct bytes message;        /* rule, actual, limit; may be empty */
  struct bytes hint;           /* empty: the code's own hint */
  int64_t times[STATE_STATES]; /* µs UTC, when each state was entered here (or, by report, at the gateway); 0: never */
  int64_t time;                /* of the last transition */
  enum ledger_custody custody;
  struct bytes station;        /* node that owns the point; may be empty */
  struct bytes by;             /* the operator's name here; may be empty */
  struct bytes approved_by;    /* may be empty */
  struct bytes batch;          /* may be empty */
  struct bytes from;           /* principal it came from: where states go back to; may be empty */
  struct value before;         /* measured just before the dispatch; VALUE_NONE: not measured, or not dispatched */
  struct value actual;         /* VALUE_NONE: not measured */
  struct bytes device_message; /* may be empty */
  uint64_t fence;              /* 0: none */
  struct epoch epoch;    /* broker: the station's urgent epoch when `sent` was committed (see settle.h); {0,0}: none */
  int64_t settle_by;     /* deadline + confirm timeout + grace: then the timer says unknown; 0: not set */
  struct bytes report;   /* the last signed report, verbatim; may be empty */
  struct bytes approval; /* the second person's signed decision, verbatim; may be empty */
  /* A signed cancel or resolve, verbatim, that is still to be told to the node that decides; empty: none, or told. At
   * the broker that asked another province: the resolve that this one has still to tell its station. */
  struct bytes decision;
  /* Lists of levels and flows (observation.h) as the device was about to be told, and at the end; may be empty. */
  struct bytes observed_before, observed_after;
  /* The id of a set or stop that was given for the same point after this set was handed over, and before anything
   * showed that it had arrived: it is not handed over again. Empty: none. */
  struct bytes overtaken_by;
  struct bytes extra; /* items of newer versions, written back as they came */
};
#define LEDGER_ENTRY_NULL ((struct ledger_entry){.state = STATE_NONE})

struct ledger {
  struct buffer storage;     /* the encoded entry: the value for STORE_COMMANDS */
  struct ledger_entry entry; /* views into storage */
};

void ledger_write(struct buffer *out, const struct ledger_entry *entry); /* appends */
int ledger_read(struct ledger_entry *entry, struct bytes bytes); /* views into bytes. LEDGER_MALFORMED, LEDGER_NEWER */
void ledger_keep(struct ledger *ledger); /* encodes the entry anew and points its views into storage */
int ledger_load(
    struct ledger *ledger, struct bytes bytes); /* copies bytes into storage and reads them; outcomes of ledger_read */
void ledger_deinit(struct ledger *ledger);

/* The one function that changes a state: sets state, times, time, and clears code, message and hint.
 * LEDGER_NOT_ALLOWED: the table of state.h forbids it, nothing changed. `sent` sets custody NEXT. Set code and texts
 * after it. */
int ledger_move(struct ledger_entry *entry, enum actor actor, enum state to, int64_t time);
/* Takes over a gateway's report (already verified, by the station's key): state, code, texts, actual, fence, report
 * bytes. Where a person's resolve is not confirmed, another person's that the station has taken counts.
 * LEDGER_NOT_ALLOWED: a late or repeated report; only its time is noted where that state has none yet, and where a
 * person resolved the command, the report itself. */
int ledger_report(struct ledger_entry *entry, const struct report *report);
/* What a person resolved, and the station has not said its own word about: a later word may take its place. */
bool ledger_is_unconfirmed(const struct ledger_entry *entry);
/* The report that says what the entry says (for report_sign); views into the entry. */
void ledger_to_report(const struct ledger_entry *entry, struct report *report);

/* Takes over what the owning province's broker says of a command that was asked of it: state, code, texts, actual,
 * fence, approver, report; and of a person's resolve, whether the station has confirmed it. LEDGER_NOT_ALLOWED: late or
 * repeated, nothing changed. */
int ledger_peer(struct ledger_entry *entry, const struct ledger_entry *said);
/* JSON of a command state (interfaces section 5), no newline: id, verb, address, value, state, code, message, hint,
 * basis, by, approved_by, station, batch, issued, deadline, time, actual, device_message, report (base64: the station's
 * signed word); null for none. */
void ledger_put_json(struct buffer *out, const struct ledger_entry *entry);
#endif
