#ifndef RIVERBUS_COMMON_COMMAND_DECISION_H
#define RIVERBUS_COMMON_COMMAND_DECISION_H
/*
 * A person's signed decision about a command that another (or the same) person gave: approve, cancel, resolve. It names
 * the exact command by the hash of its bytes, so that nobody can move it to another one; it carries its own deadline;
 * it travels and is stored verbatim, and the gateway verifies it against the operators it trusts, as it does a command.
 * Layout: top of decision.c. Times are µs since 1970 UTC.
 */
#include "common/command/command.h"

enum decision_verb {
  DECISION_APPROVE = 1,
  DECISION_CANCEL = 2,
  DECISION_RESOLVE_MOVED = 3,    /* the person has looked: the device did it */
  DECISION_RESOLVE_NOT_MOVED = 4 /* the person has looked: the device did not */
};
enum { DECISION_MAX = 4 * 1024 };
enum decision_outcome {
  DECISION_MALFORMED = SEAL_MALFORMED,
  DECISION_FORGED = SEAL_FORGED,
  DECISION_VERSION = SEAL_VERSION
};

struct decision {
  struct public_key key;          /* of the person who decides */
  uint8_t verb;                   /* enum decision_verb; others are malformed */
  struct bytes id;                /* the command's */
  uint8_t digest[COMMAND_DIGEST]; /* command_digest of the exact command */
  int64_t issued;
  int64_t deadline;   /* after it the decision is worth nothing: an approval must be used before */
  struct bytes basis; /* UTF-8; required for resolve, may be empty else; at most COMMAND_BASIS_MAX */
  struct bytes bytes; /* the whole; set by decision_open and decision_read */
};

/* Appends the signed bytes. DECISION_MALFORMED: a field breaks its rule, *why (may be NULL) is a static sentence. */
int decision_sign(
    struct buffer *out, const struct decision *decision, const struct identity *identity, const char **why);
/* Verifies, then decodes; views into bytes. Whether the key may decide that is the caller's question (check.h). */
int decision_open(struct decision *decision, struct bytes bytes);
/* Without verifying: only for the own store. */
int decision_read(struct decision *decision, struct bytes bytes);
const char *decision_verb_name(uint8_t verb); /* "approve", "cancel", "resolve --moved", "resolve --not-moved" */
bool decision_is_resolve(uint8_t verb);
/* Which of two persons' words about one command counts: the one that was signed later; of two that were signed at once
 * always the same one, whichever comes first. A word is not later than itself. */
bool decision_is_later(const struct decision *decision, const struct decision *than);
/* Whether the decision is about this very command. */
bool decision_is_about(const struct decision *decision, struct bytes command);
#endif
