/* riverbus approve ID */
#include "broker/operator/deciding.h"

#define FOR_US (300 * SECOND_US)
#define WAIT_US (30 * SECOND_US)

static bool is_taken(const json_t *state) {
  return state_of(state) != STATE_APPROVAL || json_is_string(json_object_get(state, "approved_by"));
}

static enum exit_code run(const struct call *call) {
  enum exit_code code = deciding_check(call);
  int64_t for_us = arguments_number(call->arguments, "for", FOR_US);
  json_t *last;
  if (code != EXIT_CODE_DONE) return code;
  if (for_us <= 0 || for_us > 24 * 3600 * SECOND_US)
    return verb_misused(call, "--for %s is not above 0s and at most 24h", arguments_text(call->arguments, "for"));
  struct deciding deciding = {call, DECISION_APPROVE, call->arguments->operands[0],
      arguments_text(call->arguments, "basis"), for_us, WAIT_US, is_taken, NULL};
  code = deciding_run(&deciding, &last);
  if (last && json_is_string(json_object_get(last, "approved_by"))) code = EXIT_CODE_DONE;
  json_decref(last);
  return verb_given(code);
}

static const struct option_spec options[] = {
    {"for", OPTION_DURATION, "DURATION", "the approval is good for so long (default 5m)"},
    {"basis", OPTION_TEXT, "TEXT", "why, kept in every log"}, {0}};
const struct verb verb_approve = {"approve", "ID [options]", "the second person's word for a command that waits for it",
    "The exact command is fetched, verified and shown; the approval is signed over its bytes. Exit codes: 0 taken;\n"
    "5 refused, for example of one's own command; 4 not authorised. Follow the command with riverbus follow ID.",
    options, 1, 1, run};
