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
#include "common/command/decision.h"
#include "common/command/ledger.h"
#include "common/record/address.h"

/* A deadline may be so far away: bounds how long ids must be remembered (the longest an operator waits for a gate). */
#define CHECK_AHEAD_US (5 * 60 * SECOND_US)
/* Less life left than that: not published. MQTT's expiry counts whole seconds, and the device needs one. */
#define CHECK_DISPATCH_LEFT_US (2 * SECOND_US)
/* A station's clock may differ so much from the broker's. */
#define CHECK_CLOCK_US (2 * SECOND_US)

struct refusal {
  enum code code;
  char message[512];
  char hint[320];
};

struct check_operator {
  const char *name;
  struct public_key key;          /* one row for each key of an operator */
  const struct patterns *command; /* what they may command */
  const struct patterns *approve; /* what they may approve; NULL: nothing */
  bool local;                     /* may command at the station's own door */
  int64_t until;                  /* of a roster: no authority after it, µs UTC; 0: for good */
};
struct check_operators {
  const struct check_operator *rows;
  size_t count;
};

/* Opens the bytes: signature, malformed, unsupported version, too-large. */
bool check_open(struct command *command, struct bytes bytes, struct refusal *refusal);
/* What a node evaluates beside a plain set. */
enum check_feature {
  CHECK_STOP = 1 << 0,
  CHECK_SELECT = 1 << 1, /* the verb select, and the item selection of a set */
  CHECK_TRY = 1 << 2,
  CHECK_CONDITIONS = 1 << 3,
  CHECK_ALL = CHECK_STOP | CHECK_SELECT | CHECK_TRY | CHECK_CONDITIONS
};
/* Everything the command asks for is something that this node evaluates: nothing is ignored. Code unsupported. */
bool check_understood(const struct command *command, unsigned features, struct refusal *refusal);
/* where: who refuses, for the message ("the broker chongqing", "the station chongqing/cuntan"). now: wall, for the end
 * of a roster. *by: the matching row, NULL where refused. */
bool check_authority(const struct command *command, const struct check_operators *operators, int64_t now,
    const char *where, const struct check_operator **by, struct refusal *refusal);
/* The second person: approval (its verbatim bytes; empty: none was given) opens, is an approve of this very command,
 * not past its own deadline, by an operator who may approve the address and is not the one who gave the command
 * (neither the same key nor the same name). Code approval. *approved_by: the row. Call it where an approval is
 * required. */
bool check_approval(const struct command *command, struct bytes approval, const struct check_operators *operators,
    const struct check_operator *by, int64_t now, const struct check_operator **approved_by, struct refusal *refusal);
/* Opens the bytes of a decision: signature, unsupported version, malformed. */
bool check_open_decision(struct decision *decision, struct bytes bytes, struct refusal *refusal);
/* A signed cancel or resolve about this very command by one who may command its address, not past its deadline. Codes
 * malformed, signature, authority, expired, replay (another command's). *by: the row. */
bool check_decision(const struct decision *decision, const struct command *command,
    const struct check_operators *operators, int64_t now, const char *where, const struct check_operator **by,
    struct refusal *refusal);
/* Deadline after issue; not passed (code expired); not further ahead than `ahead_us` (code deadline). Issued no more
 * than CHECK_CLOCK_US in the future (code clock). */
bool check_deadline(const struct command *command, int64_t now, int64_t ahead_us, struct refusal *refusal);
/* Not signed to live longer than that (code deadline). One that is refused when it is given, since its deadline is too
 * far ahead, could else be kept back on the way, and be good once that has come near. */
bool check_lifetime(const struct command *command, int64_t most_us, struct refusal *refusal);
/* At least CHECK_DISPATCH_LEFT_US left. Code expired. left_us: what is left by the stricter of wall clock and boot
 * clock. */
bool check_life_left(int64_t left_us, struct refusal *refusal);
/* control NULL: not-writable. known false: unknown-point. Then type, allowed, range. */
bool check_value(const struct command *command, bool known, const struct control *control, struct refusal *refusal);
/* synchronised: the kernel says so. offset_us: this clock minus the broker's; limit_us: 0: CHECK_CLOCK_US. offset_known
 * false: only `synchronised` counts. */
bool check_clock(bool synchronised, bool offset_known, int64_t offset_us, int64_t limit_us, struct refusal *refusal);
/* A command issued before the store was created (or restored) cannot be told from a replay. */
bool check_created(const struct command *command, int64_t store_created, struct refusal *refusal);
/* running: id of the command under way at the device, empty: none; the command itself does not count. */
bool check_busy(const struct command *command, struct bytes running, enum state running_state, struct refusal *refusal);

/* The largest step: known false (no good, fresh measurement) refuses too. unit may be "". */
bool check_max_step(const struct command *command, double max_step, const char *unit, bool known,
    const struct value *actual, struct refusal *refusal);
/* since_us: how long ago the last dispatch at the point was; INT64_MAX: never, below 0: ahead of the clock. */
bool check_min_interval(int64_t min_interval_us, int64_t since_us, struct refusal *refusal);
/* locking: id of an earlier command for the point that ended as unknown and was not resolved; empty: none. */
bool check_locked(const struct command *command, struct bytes locking, struct refusal *refusal);
/* What is armed at the point; id empty: nothing. */
struct check_selection {
  struct bytes id;
  const struct public_key *key;
  const struct value *value;
  int64_t until; /* wall or boot clock, the same as `now` */
};
/* select_us: of the control; 0: the control knows no selection (then a set that names one is refused: what its sender
 * believes is not so). Code select. */
bool check_selection(const struct command *command, int64_t select_us, const struct check_selection *armed, int64_t now,
    struct refusal *refusal);

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
/* Its hint: how the command of that id, whose outcome is unknown, is resolved. */
void refusal_hint_resolve(struct refusal *refusal, struct bytes id);
#endif
