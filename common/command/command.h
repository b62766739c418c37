#ifndef RIVERBUS_COMMON_COMMAND_COMMAND_H
#define RIVERBUS_COMMON_COMMAND_COMMAND_H
/*
 * The signed command: "set this point to this value before that time", in the exact bytes that the operator signed.
 * These bytes travel and are stored verbatim; every node verifies the received bytes first and decodes them afterwards.
 * Byte-level description with an example: top of command.c. A command's identity is its id. Times are µs since 1970
 * UTC.
 */
#include "common/command/condition.h"
#include "common/identity/seal.h"
#include "common/record/address.h"
#include "common/record/value.h"
#include "common/base/world.h"

enum {
  COMMAND_ID_MAX = 64,
  COMMAND_BASIS_MAX = 1024,
  COMMAND_CONDITIONS_MAX = 16,
  COMMAND_ITEMS_MAX = 16,
  COMMAND_MAX = 16 * 1024, /* bytes in all: bounds ledgers and queues; an order is short */
  COMMAND_DIGEST = 32
};
/* The end of the year 9999: times of commands and reports lie between 0 and this, so that differences never overflow.
 */
#define COMMAND_TIME_MAX INT64_C(253402300799999999)
enum command_outcome {
  COMMAND_MALFORMED = SEAL_MALFORMED, /* not of this form, or a field breaks its rule */
  COMMAND_FORGED = SEAL_FORGED,       /* the signature does not fit */
  COMMAND_VERSION = SEAL_VERSION,     /* begins with another version of the domain prefix */
  COMMAND_TOO_LARGE = SEAL_TOO_LARGE
};

/* Numbers are on the wire. A number that is not known is refused as unsupported, never ignored. */
enum command_verb {
  COMMAND_SET = 1,
  COMMAND_STOP = 2,   /* halts a movement of the point; no value */
  COMMAND_SELECT = 3, /* arms the point for a set of this value by the same key (select before operate) */
  COMMAND_TRY = 4     /* what would become of a set of this value: every check, and nothing moves */
};

/* Items that this version knows. */
enum command_item_id {
  COMMAND_ITEM_SELECTION = 1, /* critical: the id of the selection that this set operates */
  COMMAND_ITEM_BATCH = 2      /* not critical: the id of the batch that the command is part of */
};

/* What is added to the fixed fields. An unknown item that is critical makes the command refused (unsupported); another
 * one is skipped. */
struct command_item {
  uint64_t id;
  bool critical;
  struct bytes value;
};

struct command {
  struct public_key key; /* the operator's */
  uint8_t verb;          /* enum command_verb, or a number that this version does not know */
  struct bytes id;       /* 1-64 of [A-Za-z0-9._-] */
  struct bytes address;
  struct value value; /* VALUE_NONE only for STOP and verbs that are not known */
  int64_t issued;
  int64_t deadline;
  struct bytes basis; /* UTF-8, may be empty */
  uint32_t condition_count;
  struct command_condition conditions[COMMAND_CONDITIONS_MAX];
  uint32_t item_count;
  struct command_item items[COMMAND_ITEMS_MAX];
  struct bytes bytes; /* the whole, as received; set by command_open and command_read */
};

/* Appends the signed bytes of `command` (its `key` and `bytes` are ignored: the key is the identity's).
 * COMMAND_MALFORMED: a field breaks its rule, *why (may be NULL) is a static sentence; COMMAND_TOO_LARGE. `out` is
 * unchanged then. */
int command_sign(struct buffer *out, const struct command *command, const struct identity *identity, const char **why);
/* Verifies, then decodes; the command is views into `bytes`. Whether the key may command anything is the caller's
 * question (check.h). Even for COMMAND_FORGED nothing is decoded. */
int command_open(struct command *command, struct bytes bytes);
/* Decodes without verifying: only for bytes of the own ledger. COMMAND_MALFORMED, COMMAND_VERSION, COMMAND_TOO_LARGE.
 */
int command_read(struct command *command, struct bytes bytes);
/* Whether two commands ask for the same: all but issued and deadline (and the signature) alike. */
bool command_same(const struct command *a, const struct command *b);
/* BLAKE2b-256 over the exact bytes: what reports and approvals name. */
void command_digest(struct bytes bytes, uint8_t digest[COMMAND_DIGEST]);

bool command_id_is_good(struct bytes id);
/* A new id that sorts by time: UTC date, time, 8 hexadecimal random digits: 20261124-083015-7f3a9c01. */
void command_id_new(const struct world *world, char id[COMMAND_ID_MAX + 1]);
/* Whether a command of that verb carries a value: set, select, try. */
bool command_verb_has_value(uint8_t verb);
const char *command_verb_name(uint8_t verb); /* "set", ...; NULL for an unknown number */
/* NULL: it has none. */
const struct command_item *command_item(const struct command *command, uint64_t id);
#endif
