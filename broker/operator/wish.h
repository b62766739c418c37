#ifndef RIVERBUS_BROKER_OPERATOR_WISH_H
#define RIVERBUS_BROKER_OPERATOR_WISH_H
/*
 * A command as a person asks for it, before it is signed: read from a command line or from a line of `apply`, checked
 * for form, later for what the point takes. Pure but for the id, which is made by time and chance.
 */
#include "broker/operator/arguments.h"
#include "common/command/check.h"
#include "common/command/command.h"
#include <jansson.h>

#define WISH_DEADLINE_US (60 * SECOND_US)
enum { WISH_WRONG = 1, WISH_PROBLEM = 512 };

/* Texts are views of what it was read from. */
struct wish {
  uint8_t verb; /* enum command_verb */
  char id[COMMAND_ID_MAX + 1];
  bool named; /* the id was given, not made */
  const char *address;
  const char *text; /* the value as it was written; NULL for a stop */
  const char *basis;
  const char *batch, *selection; /* ids, or NULL */
  int64_t deadline_us;           /* from the moment of signing */
  uint32_t condition_count;
  struct command_condition conditions[COMMAND_CONDITIONS_MAX];
};

/* The options a wish is read from, for the tables of verbs. */
#define WISH_OPTION_DEADLINE                                                                                           \
  { "deadline", OPTION_DURATION, "DURATION", "the device must have been told by then (default 60s)" }
#define WISH_OPTION_BASIS                                                                                              \
  { "basis", OPTION_TEXT, "TEXT", "why: the order or regulation, kept in every log" }
#define WISH_OPTION_IF                                                                                                 \
  {                                                                                                                    \
    "if", OPTION_TEXT, "CONDITION",                                                                                    \
        "'ADDRESS OP VALUE': what must hold at the station when the device is told; may be given more than once"       \
  }
#define WISH_OPTION_ID                                                                                                 \
  {                                                                                                                    \
    "id", OPTION_TEXT, "ID",                                                                                           \
        "the command's id; the same id with the same content is one command, however often it is sent"                 \
  }

/* Reads the operands (ADDRESS VALUE, for a stop ADDRESS alone) and these options. WISH_WRONG: problem says what and
 * what is allowed. An id is made where none is given. */
int wish_read(struct wish *wish, uint8_t verb, const struct arguments *arguments, char problem[WISH_PROBLEM]);

/* What is known of a point from its row of the verb `points`. */
struct described {
  bool known, writable;
  enum value_type type; /* VALUE_NONE: not told */
  struct control control;
};
void described_read(struct described *described, const json_t *row); /* row NULL: not known */

/* Makes the command that is signed at `now` (wall µs); a view of the wish, items a view of it too. WISH_WRONG: the
 * value is not of the type that the point takes. */
int wish_command(
    const struct wish *wish, enum value_type type, int64_t now, struct command *command, char problem[WISH_PROBLEM]);
/* Appends the signed bytes. WISH_WRONG: as wish_command, or a field breaks its rule. */
int wish_sign(const struct wish *wish, enum value_type type, int64_t now, const struct identity *identity,
    struct buffer *out, char problem[WISH_PROBLEM]);
/* "ADDRESS = VALUE", or the address alone. */
void wish_put(struct buffer *out, const struct wish *wish);
#endif
