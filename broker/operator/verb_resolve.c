/* riverbus resolve ID --moved|--not-moved --basis TEXT */
#include "broker/operator/deciding.h"

/* A station that is cut off hears of it when its link is back, and unlocks the point only then. Nothing moves by it. */
#define FOR_US (30 * 24 * 3600 * SECOND_US)
#define WAIT_US (30 * SECOND_US)

static bool is_taken(const json_t *state) { return state_of(state) != STATE_UNKNOWN; }

static enum exit_code run(const struct call *call) {
  const struct arguments *a = call->arguments;
  enum exit_code code = deciding_check(call);
  json_t *last;
  if (code != EXIT_CODE_DONE) return code;
  if (arguments_has(a, "moved") == arguments_has(a, "not-moved"))
    return verb_misused(call, "one of --moved and --not-moved is needed: what did you find at the device?");
  if (!arguments_text(a, "basis") || !*arguments_text(a, "basis"))
    return verb_misused(call, "--basis is needed: who looked, when, and what was found");
  struct deciding deciding = {call, arguments_has(a, "moved") ? DECISION_RESOLVE_MOVED : DECISION_RESOLVE_NOT_MOVED,
      a->operands[0], arguments_text(a, "basis"), FOR_US, WAIT_US, is_taken, NULL};
  code = deciding_run(&deciding, &last);
  if (last && state_code_of(last) == CODE_RESOLVED) code = EXIT_CODE_DONE;
  json_decref(last);
  return verb_given(code);
}

static const struct option_spec options[] = {
    {"moved", OPTION_FLAG, NULL, "somebody has looked: the device did what was commanded"},
    {"not-moved", OPTION_FLAG, NULL, "somebody has looked: the device did not"},
    {"basis", OPTION_TEXT, "TEXT", "who looked, when, and what was found; kept in every log"}, {0}};
const struct verb verb_resolve = {"resolve", "ID --moved|--not-moved --basis TEXT",
    "settles a command whose outcome nobody knew",
    "Only a command in the state unknown can be resolved; then the point is no longer locked. Exit codes: 0 taken;\n"
    "5 refused; 4 not authorised; where the command's state is known by now, the code of that state.",
    options, 1, 1, run};
