#ifndef RIVERBUS_GATEWAY_GUARDS_H
#define RIVERBUS_GATEWAY_GUARDS_H
/*
 * What refuses a command for the sake of what is measured: the lines of `refuse-when`, and the preconditions that came
 * with the command. Each line is a reason to refuse; an input that is missing, stale, not good, too old or cannot be
 * compared refuses as well: what is not known to be safe is not done. Pure.
 */
#include "common/command/check.h"

enum guard_moving { GUARD_EITHER = 0, GUARD_UP = 1, GUARD_DOWN = 2 };

struct guard {
  char *address; /* of the input */
  enum condition_op op;
  struct value limit; /* a text lives with the configuration */
  int64_t max_age_us; /* 0: any age */
  /* UP, DOWN: only for a command that moves the point that way; switching on is up, off is down */
  enum guard_moving moving;
  enum code code; /* CODE_INTERLOCK, CODE_LOCAL */
  char *say;      /* for the operator; NULL: made from the line */
};

/* What a point is known to be. */
struct guard_input {
  bool exists;  /* the station has such a point */
  bool known;   /* there is a value */
  bool good;    /* of good quality, and not stale */
  bool undated; /* kept by the MQTT broker from an unknown time: nothing can be judged by it */
  int64_t age_us;
  struct value value;
  const char *unit; /* "" for none */
};
typedef struct guard_input guard_input_fn(void *ctx, struct bytes address);

/* Whether it can be relied on, however old it is. */
bool guard_input_is_sure(const struct guard_input *input);
/* present: the commanded point itself. */
bool guards_pass(const struct guard *guards, size_t count, const struct command *command,
    const struct guard_input *present, guard_input_fn *input, void *ctx, struct refusal *refusal);
/* The command's own conditions. station: whose points may stand in them. Code precondition. */
bool guards_preconditions(
    const struct command *command, const char *station, guard_input_fn *input, void *ctx, struct refusal *refusal);
#endif
