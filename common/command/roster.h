#ifndef RIVERBUS_COMMON_COMMAND_ROSTER_H
#define RIVERBUS_COMMON_COMMAND_ROSTER_H
/*
 * The roster: who is an operator in a province, signed by the province's authority key. Brokers and gateways that name
 * that key under `authority:` obey it beside their own list. It travels and is stored verbatim; a lower version than
 * the one held is refused; after `valid_until` its operators may command nothing more, and readings go on. Layout: top
 * of roster.c. Times are µs since 1970 UTC.
 */
#include "common/command/command.h"

enum {
  /* bytes in all, some 500 operators: a push of it, in base64, is one request of the operators' protocol, and it fits
   * one message of a link and one value of the store */
  ROSTER_MAX = 64 * 1024,
  ROSTER_OPERATORS_MAX = 1000,
  ROSTER_KEYS_MAX = 8,
  ROSTER_PATTERNS_MAX = 64,
  ROSTER_NAME_MAX = 127
};
enum roster_outcome {
  ROSTER_MALFORMED = SEAL_MALFORMED,
  ROSTER_FORGED = SEAL_FORGED,
  ROSTER_VERSION = SEAL_VERSION,
  ROSTER_TOO_LARGE = SEAL_TOO_LARGE
};

struct roster_operator {
  char *name;
  struct public_key keys[ROSTER_KEYS_MAX];
  uint32_t key_count;
  struct patterns read, command, approve;
  bool local; /* may command at the station's own door */
};

/* Owns what it points to. */
struct roster {
  struct public_key authority; /* the signer */
  char *province;
  uint64_t version; /* rising; 1 or more */
  int64_t issued, valid_until;
  struct roster_operator *operators;
  size_t operator_count;
};

/* Appends the signed bytes; authority is the identity's. ROSTER_MALFORMED: a field breaks its rule, *why is a static
 * sentence; ROSTER_TOO_LARGE. */
int roster_sign(struct buffer *out, const struct roster *roster, const struct identity *identity, const char **why);
/* Verifies with the key inside, then decodes into a new roster (roster_free). Whether that key is an authority here is
 * the caller's question. */
int roster_open(struct roster **out, struct bytes bytes);
struct roster *roster_free(struct roster *roster); /* returns NULL; NULL is allowed */
#endif
