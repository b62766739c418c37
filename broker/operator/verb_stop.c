/* riverbus stop ADDRESS */
#include "broker/operator/giving.h"

#define WAIT_US (120 * SECOND_US)

static enum exit_code stop(const struct call *call, struct client *client, const struct wish *wish) {
  char problem[WISH_PROBLEM];
  struct state_wait wait = {.call = call,
      .client = client,
      .command_id = wish->id,
      .until_us = verb_until(arguments_number(call->arguments, "wait", WAIT_US)),
      .enough = arguments_has(call->arguments, "no-wait") ? state_any : NULL};
  giving_warn_clock(client);
  state_catch_signals();
  if (giving_send(call, client, wish, VALUE_NONE, &wait.proof, &wait.id, problem))
    return verb_misused(call, "%s", problem);
  enum exit_code code = state_wait(&wait);
  json_decref(wait.last);
  return code;
}

static enum exit_code run(const struct call *call) {
  const struct arguments *a = call->arguments;
  struct client *client;
  struct wish wish;
  char problem[WISH_PROBLEM];
  if (arguments_has(a, "wait") && arguments_has(a, "no-wait"))
    return verb_misused(call, "--wait and --no-wait exclude each other");
  if (wish_read(&wish, COMMAND_STOP, a, problem)) return verb_misused(call, "%s", problem);
  enum exit_code code = client_open(&client, call->config);
  if (code == EXIT_CODE_DONE) code = stop(call, client, &wish);
  client_close(client);
  return verb_given(code);
}

static const struct option_spec options[] = {
    {"deadline", OPTION_DURATION, "DURATION", "the device must have been told by then (default 60s)"},
    WISH_OPTION_BASIS,
    {"wait", OPTION_DURATION, "DURATION", "how long to wait for the outcome (default 2m); then exit 9"},
    {"no-wait", OPTION_FLAG, NULL, "end when the broker has taken it: exit 9, it is still open"},
    WISH_OPTION_ID,
    {0},
};
const struct verb verb_stop = {"stop", "ADDRESS [options]", "halts a movement of a point",
    "A stop is refused for nothing but signature, authority and deadline (or where the point has no way to be halted). "
    "The\n"
    "command that was moving the point ends as stopped. Exit codes as for set: 0 when the stop is executed.",
    options, 1, 1, run};
