/* riverbus cancel ID */
#include "broker/operator/deciding.h"

#define FOR_US (60 * SECOND_US)
#define WAIT_US (120 * SECOND_US)

/* The node answers that the device was told already: the command goes on, and the cancel has failed. */
static bool is_decided(const json_t *state) {
  return state_is_final(state_of(state)) || state_code_of(state) == CODE_TOO_LATE;
}

static bool is_cancelled(const json_t *state) { return state_of(state) == STATE_CANCELLED; }

/* Executed is no success here: it was too late. */
static enum exit_code exit_of(const json_t *state, enum exit_code code) {
  if (is_cancelled(state) && code == EXIT_CODE_CANCELLED) return EXIT_CODE_DONE;
  bool too_late = state_of(state) == STATE_EXECUTED || state_code_of(state) == CODE_TOO_LATE;
  return state && too_late ? EXIT_CODE_REJECTED : code;
}

static enum exit_code run(const struct call *call) {
  enum exit_code code = deciding_check(call);
  json_t *last;
  if (code != EXIT_CODE_DONE) return code;
  struct deciding deciding = {call, DECISION_CANCEL, call->arguments->operands[0],
      arguments_text(call->arguments, "basis"), FOR_US, arguments_number(call->arguments, "wait", WAIT_US), is_decided,
      is_cancelled};
  code = deciding_run(&deciding, &last);
  code = exit_of(last, code);
  json_decref(last);
  return verb_given(code);
}

static const struct option_spec options[] = {{"basis", OPTION_TEXT, "TEXT", "why, kept in every log"},
    {"wait", OPTION_DURATION, "DURATION", "how long to wait for what becomes of it (default 2m); then exit 9"}, {0}};
const struct verb verb_cancel = {"cancel", "ID [options]", "calls off a command that the device was not told yet",
    "Whoever may command the address may cancel. Exit codes: 0 cancelled; 5 too late: the device was told, or the\n"
    "command had ended (halt a movement with riverbus stop); where it ends otherwise meanwhile, the code of its state.",
    options, 1, 1, run};
