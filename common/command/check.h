#ifndef RIVERBUS_COMMON_COMMAND_CHECK_H
#define RIVERBUS_COMMON_COMMAND_CHECK_H
/*
 * The checks of a command that broker and gateway share. Pure: what is known comes in, a verdict comes out. Each
 * function returns whether the command passes; if not, *refusal has the code, a message (rule, actual, limit) and a
 * hint (what to do next), whole sentences for the operator. The broker's checks spare the operator a wait; the
 * gateway's decide.
 */
#include "common/command/command.h"
#include "common/command/control.h"
#include "common/command/ledger.h"
#include "common/record/address.h"

#define CHECK_AHEAD_US                                                                                                 \
  (5 * 60 *                                                                                                            \
      SECOND_US) /* a deadline may be so far away: bounds how long ids must be remembered (reliability section 4) */
#define CHECK_DISPATCH_LEFT_US                                                                                         \
  (2 * SECOND_US) /* less life left than that: not published (MQTT expiry counts whole seconds, the device needs one)  \
                   */
#define CHECK_CLOCK_US (2 * SECOND_US) /* a station's clock may differ so much from the broker's */

struct refusal {
  enum code code;
  char message[512];
  char hint[320];
};

struct check_operator {
  const char *name;
  struct public_key key;          /* one row for each key of an operator */
  const struct patterns *command; /* what they may command */
};
struct check_operators {
  const struct check_operator *rows;
  size_t count;
};

/* Opens the bytes: signature, malformed, unsupported version, too-large. */
bool check_open(struct command *command, struct bytes bytes, struct refusal *refusal);
/* Everything the command asks for is something this version evaluates: verb SET, no preconditions, no unknown critical
 * item. Code unsupported. */
bool check_understood(const struct command *command, struct refusal *refusal);
/* where: who refuses, for the message ("the broker chongqing", "the station chongqing/cuntan"). *by: the matching row,
 * NULL where refused. */
bool check_authority(const struct command *command, const struct check_operators *operators, const char *where,
    const struct check_operator **by, struct refusal *refusal);
/* Deadline after issue; not passed (code expired); not further ahead than `ahead_us` (code deadline). Issued no more
 * than CHECK_CLOCK_US in the future (code clock). */
bool check_deadline(const struct command *command, int64_t now, int64_t ahead_us, struct refusal *refusal);
/* At least CHECK_DISPATCH_LEFT_US left. Code expired. left_us: what is left by the stricter of wall clock and boot
 * clock. */
bool check_life_left(const struct command *command, int64_t left_us, struct refusal *refusal);
/* control NULL: not-writable. known false: unknown-point. Then type, allowed, range. */
bool check_value(const struct command *command, bool known, const struct control *control, struct refusal *refusal);
/* synchronised: the kernel says so. offset_us: this clock minus the broker's; limit_us: 0: CHECK_CLOCK_US. offset_known
 * false: only `synchronised` counts. */
bool check_clock(bool synchronised, bool offset_known, int64_t offset_us, int64_t limit_us, struct refusal *refusal);
/* A command issued before the store was created (or restored) cannot be told from a replay. */
bool check_created(const struct command *command, int64_t store_created, struct refusal *refusal);
/* running: id of the command under way at the device, empty: none; the command itself does not count. */
bool check_busy(const struct command *command, struct bytes running, enum state running_state, struct refusal *refusal);

/* What an id that is known already means. */
enum check_known {
  CHECK_KNOWN_NEW,  /* known is NULL */
  CHECK_KNOWN_SAME, /* the same order again: answer with the entry's state, take nothing */
  CHECK_KNOWN_OTHER /* other content, or an id that this node has committed as never received: *refusal has code replay
                     */
};
enum check_known check_known(const struct command *command, const struct ledger_entry *known, struct refusal *refusal);

/* Fills a refusal by hand: hint NULL takes the code's own. */
void refusal_set(struct refusal *refusal, enum code code, const char *hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
#endif
