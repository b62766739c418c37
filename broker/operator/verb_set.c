/* riverbus set ADDRESS VALUE */
#include "broker/operator/giving.h"
#include "broker/operator/readback.h"
#include <stdio.h>

#define WAIT_US (120 * SECOND_US)
#define SELECTION_SUFFIX "-select"

struct setting {
  const struct call *call;
  struct client *client;
  struct wish wish;
  struct described described;
};

static enum exit_code give_and_wait(struct setting *setting, const struct wish *wish, bool no_wait, json_t **last) {
  const struct call *call = setting->call;
  char problem[WISH_PROBLEM];
  struct state_wait wait = {.call = call,
      .client = setting->client,
      .command_id = wish->id,
      .until_us = verb_until(arguments_number(call->arguments, "wait", WAIT_US)),
      .enough = no_wait ? state_any : NULL};
  enum exit_code code =
      giving_send(call, setting->client, wish, setting->described.type, &wait.proof, &wait.id, problem);
  if (code != EXIT_CODE_DONE) return *problem ? verb_misused(call, "%s", problem) : code;
  code = state_wait(&wait);
  *last = wait.last;
  return code;
}

/* ---- select before operate ---- */

/* The same id selects under the same id: sent again, it is the same selection. */
static void select_wish(const struct setting *setting, struct wish *wish) {
  *wish = setting->wish;
  wish->verb = COMMAND_SELECT;
  snprintf(wish->id, sizeof wish->id, "%.*s" SELECTION_SUFFIX, COMMAND_ID_MAX - (int)strlen(SELECTION_SUFFIX),
      setting->wish.id);
}

/* DONE: go on. Else what ended it. */
static enum exit_code read_back(struct setting *setting, const json_t *selected) {
  struct readback readback;
  readback_read(&readback, selected, setting->described.control.select_us);
  readback_print(&readback, setting->call->json);
  const char *differs = readback_differs(&readback, setting->wish.address, setting->wish.text);
  if (differs) {
    complain("select", "Nothing was operated. Look at the point with `riverbus last`, then decide anew.",
        "the read-back is not what was asked for: %s", differs);
    return EXIT_CODE_REJECTED;
  }
  return readback_may_ask() ? readback_ask(&readback, setting->client) : EXIT_CODE_DONE;
}

static enum exit_code select_first(struct setting *setting, struct wish *selection) {
  json_t *last = NULL;
  select_wish(setting, selection);
  enum exit_code code = give_and_wait(setting, selection, false, &last);
  if (code == EXIT_CODE_DONE && state_code_of(last) != CODE_SELECTED) {
    complain("select", NULL, "the point was not armed, the station says %s", view_text(last, "code"));
    code = EXIT_CODE_REJECTED;
  }
  if (code == EXIT_CODE_DONE) code = read_back(setting, last);
  json_decref(last);
  return code;
}

/* ---- the whole ---- */

static enum exit_code set(struct setting *setting) {
  const struct arguments *a = setting->call->arguments;
  struct wish selection;
  json_t *last = NULL;
  enum exit_code code = giving_check_clock(setting->client);
  if (code == EXIT_CODE_DONE) code = giving_describe(setting->client, &setting->wish.address, 1, &setting->described);
  if (code != EXIT_CODE_DONE) return code;
  state_catch_signals(); /* from here on whoever interrupts is told how to follow the command */
  if (arguments_has(a, "select")) {
    code = select_first(setting, &selection);
    setting->wish.selection = selection.id;
  }
  if (code == EXIT_CODE_DONE) code = give_and_wait(setting, &setting->wish, arguments_has(a, "no-wait"), &last);
  json_decref(last);
  return code;
}

static enum exit_code check(const struct call *call, struct wish *wish) {
  const struct arguments *a = call->arguments;
  char problem[WISH_PROBLEM];
  const char *id = arguments_text(a, "id");
  bool dry = arguments_has(a, "dry-run");
  if (arguments_has(a, "wait") && arguments_has(a, "no-wait"))
    return verb_misused(call, "--wait and --no-wait exclude each other");
  if (dry && arguments_has(a, "select")) return verb_misused(call, "--dry-run and --select exclude each other");
  if (wish_read(wish, dry ? COMMAND_TRY : COMMAND_SET, a, problem)) return verb_misused(call, "%s", problem);
  if (arguments_has(a, "select") && id && strlen(id) + strlen(SELECTION_SUFFIX) > COMMAND_ID_MAX)
    return verb_misused(call, "with --select an id has at most %d characters: the selection is ID" SELECTION_SUFFIX,
        COMMAND_ID_MAX - (int)strlen(SELECTION_SUFFIX));
  return EXIT_CODE_DONE;
}

static enum exit_code run(const struct call *call) {
  struct setting setting = {.call = call};
  enum exit_code code = check(call, &setting.wish);
  if (code != EXIT_CODE_DONE) return code;
  code = client_open(&setting.client, call->config);
  if (code == EXIT_CODE_DONE) code = set(&setting);
  client_close(setting.client);
  return verb_given(code);
}

static const struct option_spec options[] = {
    WISH_OPTION_DEADLINE,
    WISH_OPTION_BASIS,
    WISH_OPTION_IF,
    {"wait", OPTION_DURATION, "DURATION",
        "how long to wait for the outcome (default 2m); then exit 9, and the command goes on"},
    {"no-wait", OPTION_FLAG, NULL, "end when the broker has taken it: exit 9, it is still open"},
    WISH_OPTION_ID,
    {"select", OPTION_FLAG, NULL,
        "arm the point first, show what the station reads back, then operate; on a terminal it asks"},
    {"dry-run", OPTION_FLAG, NULL, "every check, also the station's, and nothing moves"},
    {0},
};
const struct verb verb_set = {"set", "ADDRESS VALUE [options]",
    "a command: sets a point to a value, and says what became of it",
    "Prints the id before the command is sent, then each state as it comes. Exit codes: 0 executed, 3 certainly not "
    "taken,\n"
    "4 not authorised, 5 rejected, 6 expired, 7 failed, 8 outcome not known, 9 still open, 10 cancelled, superseded "
    "or\n"
    "stopped, 11 undelivered. Interrupting the wait leaves the command alone.",
    options, 2, 2, run};
