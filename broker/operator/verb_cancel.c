/* riverbus cancel ID */
#include "broker/operator/deciding.h"

#define FOR_US (60 * SECOND_US)
#define WAIT_US (120 * SECOND_US)

/* The node answers that the device was told already: the command goes on, and the cancel has failed. */
static bool is_decided(const json_t *state) {
  return state_is_final(state_of(state)) || state_code_of(state) == CODE_TOO_LATE;
}

static enum exit_code run(const struct call *call) {
  enum exit_code code = deciding_check(call);
  json_t *last;
  if (code != EXIT_CODE_DONE) return code;
  struct deciding deciding = {call, DECISION_CANCEL, call->arguments->operands[0],
      arguments_text(call->arguments, "basis"), FOR_US, arguments_number(call->arguments, "wait", WAIT_US), is_decided};
  code = deciding_run(&deciding, &last);
  if (last && state_of(last) == STATE_CANCELLED && code == EXIT_CODE_CANCELLED) code = EXIT_CODE_DONE;
  if (last && state_code_of(last) == CODE_TOO_LATE) code = EXIT_CODE_REJECTED;
  json_decref(last);
  return verb_written(code);
}

static const struct option_spec options[] = {{"basis", OPTION_TEXT, "TEXT", "why, kept in every log"},
    {"wait", OPTION_DURATION, "DURATION", "how long to wait for what becomes of it (default 2m); then exit 9"}, {0}};
const struct verb verb_cancel = {"cancel", "ID [options]", "calls off a command that the device was not told yet",
    "Whoever may command the address may cancel. Exit codes: 0 cancelled; 5 too late, the device was told (halt a\n"
    "movement with riverbus stop); where the command had ended already, the code of its state.",
    options, 1, 1, run};
