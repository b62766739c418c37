#include "common/command/code.h"
#include <stddef.h>

static const struct code_row rows[] = {
    {CODE_SIGNATURE, "signature", "The signature does not fit the bytes of the command.",
        "send the command again from the operator's own machine; if it happens again, somebody alters messages on the "
        "way: report it"},
    {CODE_AUTHORITY, "authority", "The key is not known there, or may not command this address.",
        "ask for the right in the `operators:` of the broker and of the station, or use the key that has it"},
    {CODE_RANGE, "range", "The value lies outside the range, or is none of the allowed values.",
        "choose a value inside the limit; `riverbus points ADDRESS` shows it"},
    {CODE_MAX_STEP, "max-step", "The step from the present value is larger than allowed.",
        "move in smaller steps, each when the one before is executed"},
    {CODE_MIN_INTERVAL, "min-interval", "The last movement was too short a time ago.", "wait, then send a new command"},
    {CODE_BUSY, "busy", "Another command for the device is under way.",
        "follow the other command to its end: `riverbus follow ID`, then send a new one"},
    {CODE_LOCAL, "local", "The switch at the device stands on local.", "have the switch at the device set to remote"},
    {CODE_INTERLOCK, "interlock", "A condition at the station forbids the movement.",
        "look at the point that the message names, with `riverbus last`; when the condition no longer holds send a new "
        "command"},
    {CODE_PRECONDITION, "precondition", "A condition given with the command does not hold.",
        "look at the point with `riverbus last`, then decide anew"},
    {CODE_APPROVAL, "approval", "The command needs the approval of a second person.",
        "have a second person approve it"},
    {CODE_CLOCK, "clock", "A clock is not to be trusted.", "have the clock synchronised; readings go on meanwhile"},
    {CODE_LOCKED, "locked", "An earlier command ended as unknown and was not resolved.",
        "look at the device, then resolve the earlier command"},
    {CODE_REPLAY, "replay",
        "The id was used before for other content, or the command is older than the station's store.",
        "send a new command with a new id"},
    {CODE_EXPIRED, "expired", "The deadline passed before the device was told.",
        "send a new command; a longer --deadline if the link is slow"},
    {CODE_NO_ANSWER, "no-answer", "The command was handed over and no report came in time.",
        "look at the device; when the link returns the state is settled by itself"},
    {CODE_NOT_REACHED, "not-reached", "The measured value did not reach the target in time.",
        "look at the device and at the measured value before any new command"},
    {CODE_DEVICE, "device", "The device refused or failed.", "see to what the device says, then send a new command"},
    {CODE_ALREADY, "already", "The point had that value already; nothing was published.", "nothing needs to be done"},
    {CODE_CLONE, "clone", "Two live sessions use one key.", "find the second machine that uses this key and stop it"},
    {CODE_TOO_LARGE, "too-large", "The command or value is too large.", "shorten the basis or the value"},
    {CODE_FULL, "full", "A store, queue or quota is full.", "try again later; `riverbus status` shows what is full"},
    {CODE_UNKNOWN_POINT, "unknown-point", "No such point is known there.",
        "check the address; `riverbus points` lists what is known"},
    {CODE_NOT_WRITABLE, "not-writable", "The point has no control.",
        "choose a point that `riverbus points` shows as writable"},
    {CODE_TYPE, "type", "The value is of the wrong type.",
        "give a value of the point's type; `riverbus points ADDRESS` shows it"},
    {CODE_DEADLINE, "deadline", "The deadline is too far ahead, or lies before the time of issue.",
        "give a --deadline that ends later than now and sooner than the limit; if you did, compare the clock of your "
        "machine"},
    {CODE_MALFORMED, "malformed", "The command cannot be read.",
        "use the riverbus program of the same version as the broker"},
    {CODE_UNSUPPORTED, "unsupported", "The command asks for something that is not evaluated there.",
        "leave out what the message names, or bring the station to a newer version"},
    {CODE_NO_LISTENER, "no-listener", "Proven: nobody was listening on the device's topic.",
        "see that the device or its controller is running and connected, then send again"},
    {CODE_NOT_RECEIVED, "not-received", "The station never got the command and will not take it any more.",
        "send a new command"},
    {CODE_RESTARTED, "restarted", "The gateway ended between dispatch and outcome.",
        "look at the device before any new command"},
    {CODE_CANCELLED, "cancelled", "The command was cancelled.", "nothing was moved"},
    {CODE_SUPERSEDED, "superseded", "A newer command for the point, or a later word about it, took its place.",
        "the newer command counts: see it with `riverbus follow`; give this one again only if it is still wanted"},
    {CODE_SELECT, "select", "The control is select before operate, and no such selection is armed.",
        "use `riverbus set --select`, and operate before the selection ends"},
    {CODE_SELECTED, "selected", "The point is armed for this value.", "operate before the selection ends"},
    {CODE_DRY_RUN, "dry-run", "Every check passed; nothing was moved, as asked.",
        "send the command without --dry-run to move the device"},
    {CODE_NO_STOP, "no-stop", "The control names no way to halt the device.",
        "halt the device at its own panel; have `stop:` configured for the control"},
    {CODE_RESOLVED, "resolved", "A person has looked and said what became of the command.", "nothing needs to be done"},
    {CODE_TOO_LATE, "too-late", "The command cannot be cancelled: the device was told already.",
        "halt a movement under way with: riverbus stop ADDRESS; where the point has no stop, at the device's own "
        "panel"},
    {CODE_AGREEMENT, "agreement", "The agreement between the provinces does not cover the request.",
        "ask the owning province; `requests:` of its broker says what may be asked for"},
    {CODE_STOPPED, "stopped", "A stop halted the movement.", "look at the measured value before any new command"},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

const struct code_row *code_row(enum code code) {
  for (size_t i = 0; i < ROWS; i++)
    if (rows[i].code == code) return &rows[i];
  return NULL;
}

const char *code_name(enum code code) {
  if (code == CODE_NONE) return NULL;
  const struct code_row *row = code_row(code);
  return row ? row->name : "code-unknown";
}

const char *code_hint(enum code code) {
  const struct code_row *row = code_row(code);
  return row ? row->hint : NULL;
}

enum code code_parse(struct bytes name) {
  for (size_t i = 0; i < ROWS; i++)
    if (bytes_equal(name, bytes_text(rows[i].name))) return rows[i].code;
  return CODE_NONE;
}

enum exit_code exit_code_worst(enum exit_code a, enum exit_code b) {
  static const enum exit_code order[] = {EXIT_CODE_UNKNOWN, EXIT_CODE_FAILED, EXIT_CODE_UNDELIVERED, EXIT_CODE_REJECTED,
      EXIT_CODE_NOT_AUTHORISED, EXIT_CODE_EXPIRED, EXIT_CODE_CANCELLED, EXIT_CODE_OPEN, EXIT_CODE_NOT_REACHABLE,
      EXIT_CODE_DONE};
  size_t rank_a = 0, rank_b = 0; /* 0: not in the list, worse than all */
  for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
    if (order[i] == a) rank_a = i + 1;
    if (order[i] == b) rank_b = i + 1;
  }
  return rank_a <= rank_b ? a : b;
}
