#ifndef RIVERBUS_COMMON_COMMAND_CONDITION_H
#define RIVERBUS_COMMON_COMMAND_CONDITION_H
/* "ADDRESS OP VALUE": preconditions of a command (--if), lines of refuse-when, and what `wait` waits for. Pure. */
#include "common/base/buffer.h"
#include "common/record/value.h"

/* Numbers are on the wire. */
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

const char *condition_op_name(enum condition_op op); /* "below", "at-most", ...; NULL for an unknown number */
const char *condition_op_symbol(
    enum condition_op op); /* "<", "<=", ">", ">=", "==", "!="; NULL for an unknown number */

/* Splits "ADDRESS OP VALUE" at spaces around the operator. The value is a JSON number, true, false, or a text with or
 * without quotes; a text is a view into `text`. The address is not checked. *why (a static sentence) where it returns
 * CONDITION_MALFORMED. */
enum { CONDITION_MALFORMED = 1 };
int condition_parse(struct bytes text, struct command_condition *condition, const char **why);

enum condition_verdict {
  CONDITION_HOLDS,
  CONDITION_FAILS,
  CONDITION_INCOMPARABLE /* values of different types, or an order asked of values that have none */
};
/* Numbers and integers compare by worth (40 and 40.0 are alike); other types only by equals and not-equals, and only
 * with a value of the same type: that a text is not the number 0 says nothing. */
enum condition_verdict condition_judge(enum condition_op op, const struct value *actual, const struct value *limit);
#endif
