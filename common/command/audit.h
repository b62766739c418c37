#ifndef RIVERBUS_COMMON_COMMAND_AUDIT_H
#define RIVERBUS_COMMON_COMMAND_AUDIT_H
/*
 * One entry of the audit log: who did what, when, on whose word, and what was measured before and after: the fields of
 * an operating log (order number and issuer, basis, operator and supervisor, start and end, gate, opening before and
 * after, levels and flow before and after). Entries are written in the transaction of the change they tell of
 * (store_batch_audit) and chained there (common/record/chain.h). Never trimmed. Layout: top of audit.c. Times are µs
 * since 1970 UTC.
 *
 * A checkpoint is a node's signed word about the end of its chain at some time. It leaves the node: to the broker, and
 * from the broker to a neighbour, so that a log that was cut off, or written anew, shows.
 */
#include "common/command/ledger.h"
#include "common/record/chain.h"

/* Numbers are in the store. */
enum audit_kind {
  AUDIT_COMMAND = 1,    /* a state of a command was entered; the first one holds the verbatim command */
  AUDIT_DECISION = 2,   /* an approve, cancel or resolve was taken or refused: verbatim in `proof` */
  AUDIT_ROSTER = 3,     /* a roster was taken or refused */
  AUDIT_START = 4,      /* the program started; message: version and what the store said */
  AUDIT_CONFIG = 5,     /* a configuration was loaded; message: what changed, with a hash of the file */
  AUDIT_MOVEMENT = 6,   /* a controlled point moved and nobody had ordered it */
  AUDIT_CHECKPOINT = 8, /* another node's signed checkpoint was taken; verbatim in `proof` */
  AUDIT_AGREEMENT = 9,  /* a half of an agreement with a neighbour changed; message: whose, version, from where, what */
  /* A station's word contradicts what a person resolved: state is what the station says, `proof` its report. */
  AUDIT_CONTRADICTION = 10,
  AUDIT_RECEIPT = 11, /* a receipt between provinces was made or answered; message: whose, period, outcome, hash */
  AUDIT_KINDS
};

struct audit_entry {
  enum audit_kind kind;
  int64_t time;
  struct bytes node;    /* who writes */
  struct bytes id;      /* of the command; empty: none. The order number */
  struct bytes address; /* the point; may be empty */
  uint8_t verb;         /* enum command_verb or, for DECISION, enum decision_verb; 0: none */
  enum state state;     /* STATE_NONE: none */
  enum code code;
  struct bytes message;     /* rule, actual, limit */
  struct bytes by;          /* operator's name; may be empty */
  struct bytes approved_by; /* the supervisor; may be empty */
  struct bytes basis;
  struct value value;          /* what was ordered; VALUE_NONE: nothing */
  struct value before, actual; /* measured before dispatch, and at the end; VALUE_NONE: not measured */
  int64_t issued, deadline;    /* 0: none */
  uint64_t fence;
  struct bytes device_message;
  struct bytes observed_before, observed_after; /* levels and flows (observation.h); may be empty */
  struct bytes proof; /* the verbatim signed command, decision, report, roster or checkpoint; may be empty */
};

enum { AUDIT_MALFORMED = 1, AUDIT_NEWER = 2 };
void audit_write(struct buffer *out, const struct audit_entry *entry); /* appends */
int audit_read(struct audit_entry *entry, struct bytes bytes);         /* views into bytes */
/* What a ledger entry that has just changed says, for the log of `node`. proof: the verbatim command in the first entry
 * of a command, the report in later ones of a broker. */
void audit_of_ledger(struct audit_entry *out, const struct ledger_entry *ledger, struct bytes node, struct bytes proof);
/* One JSON object, no newline: number, time, node, kind, id, address, verb, state, code, message, by, approved_by,
 * basis, value, before, actual, observed_before, observed_after (arrays, see observation.h), issued, deadline, fence,
 * device_message, proof (base64), link (hexadecimal), entry (base64: the bytes that are chained, so that a copy of this
 * output can be verified). link NULL: left out, with entry.
 */
void audit_put_json(struct buffer *out, uint64_t number, const struct audit_entry *entry, struct bytes bytes,
    const uint8_t link[CHAIN_HASH]);

/* ---- checkpoints ---- */

struct audit_checkpoint {
  struct public_key key; /* the node's */
  struct bytes node;
  uint64_t number; /* of the last entry; 0: the log is empty */
  uint8_t link[CHAIN_HASH];
  int64_t time;
  struct bytes bytes; /* the whole; set when opened */
};
enum { AUDIT_CHECKPOINT_MAX = 1024, AUDIT_FORGED = 3 };
void audit_checkpoint_sign(
    struct buffer *out, const struct audit_checkpoint *checkpoint, const struct identity *identity);
int audit_checkpoint_open(struct audit_checkpoint *checkpoint, struct bytes bytes); /* AUDIT_MALFORMED, AUDIT_FORGED */
#endif
