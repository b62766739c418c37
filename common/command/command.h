#ifndef RIVERBUS_COMMON_COMMAND_COMMAND_H
#define RIVERBUS_COMMON_COMMAND_COMMAND_H
/*
 * The signed command: "set this point to this value before that time", in the exact bytes that the operator signed.
 * These bytes travel and are stored verbatim; every node verifies the received bytes first and decodes them afterwards.
 * Byte-level description with an example: top of command.c. A command's identity is its id. Times are µs since 1970
 * UTC.
 */
#include "common/identity/identity.h"
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
#define COMMAND_TIME_MAX                                                                                               \
  INT64_C(253402300799999999) /* the end of the year 9999: times of commands and reports lie between 0 and this, so    \
                                 that differences never overflow */
enum command_outcome {
  COMMAND_MALFORMED = 1, /* not of this form, or a field breaks its rule */
  COMMAND_FORGED = 2,    /* the signature does not fit */
  COMMAND_VERSION = 3,   /* begins with another version of the domain prefix */
  COMMAND_TOO_LARGE = 4
};

enum command_verb {
  COMMAND_SET = 1,
  COMMAND_STOP = 2
}; /* others are refused as unsupported, not ignored; STOP is not evaluated yet */

enum condition_op {
  CONDITION_BELOW = 1,
  CONDITION_AT_MOST = 2,
  CONDITION_ABOVE = 3,
  CONDITION_AT_LEAST = 4,
  CONDITION_EQUALS = 5,
  CONDITION_NOT_EQUALS = 6
};
struct command_condition {
  struct bytes address;
  enum condition_op op;
  struct value value;
};

/* What later versions add. An unknown item that is critical makes the command refused (unsupported); another one is
 * skipped. */
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
  struct value value; /* VALUE_NONE only where the verb is not SET */
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
const char *condition_op_name(enum condition_op op); /* "below", "at-most", ...; NULL for an unknown number */
#endif
