#ifndef RIVERBUS_COMMON_COMMAND_CODE_H
#define RIVERBUS_COMMON_COMMAND_CODE_H
/*
 * The one table of refusal codes (why a command ended or was not taken) and of exit codes. The man page's tables are
 * made from it. The numbers are on the wire and in the store: never reuse one. A number that this version does not know
 * keeps its meaning for others: it is shown as "code-unknown".
 */
#include "common/base/bytes.h"
#include <stdint.h>

enum code {
  CODE_NONE = 0,
  CODE_SIGNATURE = 1, /* the signature does not fit the bytes */
  CODE_AUTHORITY = 2, /* the key is not known here, or may not command this address */
  CODE_RANGE = 3,     /* outside range, or not one of the allowed values */
  CODE_MAX_STEP = 4,
  CODE_MIN_INTERVAL = 5,
  CODE_BUSY = 6,  /* another command for the device is under way */
  CODE_LOCAL = 7, /* the switch at the device stands on local */
  CODE_INTERLOCK = 8,
  CODE_PRECONDITION = 9,
  CODE_APPROVAL = 10,
  CODE_CLOCK = 11,       /* the clock of the station is not to be trusted */
  CODE_LOCKED = 12,      /* an earlier command ended as unknown and was not resolved */
  CODE_REPLAY = 13,      /* the id was used for other content, or the command is older than the station's store */
  CODE_EXPIRED = 14,     /* the deadline passed before the device was told */
  CODE_NO_ANSWER = 15,   /* handed over, and no report came in time */
  CODE_NOT_REACHED = 16, /* the measured value did not reach the target in time */
  CODE_DEVICE = 17,      /* the device refused or failed; its own words are in device_message */
  CODE_ALREADY = 18,     /* the point had that value already; nothing was published */
  CODE_CLONE = 19,       /* two live sessions use one key */
  CODE_TOO_LARGE = 20,
  CODE_FULL = 21, /* store, queue or quota */
  CODE_UNKNOWN_POINT = 22,
  CODE_NOT_WRITABLE = 23, /* the point has no control */
  CODE_TYPE = 24,         /* a value of the wrong type */
  CODE_DEADLINE = 25,     /* too far ahead, or before the time of issue */
  CODE_MALFORMED = 26,
  CODE_UNSUPPORTED =
      27, /* asks for something that this version does not evaluate: a verb, a condition, a critical item */
  CODE_NO_LISTENER = 28,  /* proven: nobody subscribed to the device's topic, or the MQTT broker is not connected */
  CODE_NOT_RECEIVED = 29, /* the station has committed that it never got the command and never will take it */
  CODE_RESTARTED = 30,    /* the gateway ended between dispatch and outcome */
  CODE_CANCELLED = 31,
  CODE_SUPERSEDED = 32,
  CODE_SELECT = 33,    /* the control is select before operate, and there is no such selection */
  CODE_SELECTED = 34,  /* the point is armed for this value and key */
  CODE_DRY_RUN = 35,   /* every check passed; nothing was moved, as asked */
  CODE_NO_STOP = 36,   /* the control names no way to halt it */
  CODE_RESOLVED = 37,  /* a person has looked and said what became of it */
  CODE_TOO_LATE = 38,  /* to cancel: the device was told already */
  CODE_AGREEMENT = 39, /* what a neighbour's operators may ask for here does not cover it */
  CODE_STOPPED = 40,   /* a stop halted the movement */
  CODE_CODES
};

struct code_row {
  enum code code;
  const char *name;    /* "max-step" */
  const char *meaning; /* one sentence for the man page */
  const char *hint;    /* what to do next, for a person; used where the check has no better one */
};
const struct code_row *code_row(enum code code); /* NULL: CODE_NONE or a number that this version does not know */
const char *code_name(
    enum code code); /* NULL for CODE_NONE; "code-unknown" for a number that this version does not know */
const char *code_hint(enum code code);   /* NULL where there is none */
enum code code_parse(struct bytes name); /* CODE_NONE: no such name */

/* What `riverbus` exits with. */
enum exit_code {
  EXIT_CODE_DONE = 0,
  EXIT_CODE_ERROR = 1,
  EXIT_CODE_USAGE = 2,
  EXIT_CODE_NOT_REACHABLE = 3,
  EXIT_CODE_NOT_AUTHORISED = 4,
  EXIT_CODE_REJECTED = 5,
  EXIT_CODE_EXPIRED = 6,
  EXIT_CODE_FAILED = 7,
  EXIT_CODE_UNKNOWN = 8,
  EXIT_CODE_OPEN = 9,
  EXIT_CODE_CANCELLED = 10,
  EXIT_CODE_UNDELIVERED = 11,
  EXIT_CODE_WANTING = 12
};
/* The worse of two, for several commands: 8 7 11 5 4 6 10 9 3 0, the first is the worst. Any other number (1, 2, 12) is
 * worse than all of these. */
enum exit_code exit_code_worst(enum exit_code a, enum exit_code b);
#endif
