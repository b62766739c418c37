/* riverbus follow ID */
#include "broker/operator/verb.h"

static enum exit_code run(const struct call *call) {
  struct client *client;
  const char *id = call->arguments->operands[0];
  enum exit_code code = verb_check_id(call, id);
  if (code != EXIT_CODE_DONE) return code;
  code = client_open(&client, call->config);
  if (code == EXIT_CODE_DONE) {
    int64_t wait = arguments_number(call->arguments, "wait", INT64_MAX);
    state_catch_signals();
    uint64_t request = client_request(client, json_pack("{s:s,s:s}", "verb", "follow", "id", id), REQUEST_WINDOW_MAX);
    struct state_wait follow = {
        .call = call, .client = client, .id = request, .command_id = id, .until_us = verb_until(wait)};
    code = state_wait(&follow);
    json_decref(follow.last);
  }
  client_close(client);
  return verb_given(code);
}

static const struct option_spec options[] = {
    {"wait", OPTION_DURATION, "DURATION", "how long to wait for the outcome (default: until it is known)"}, {0}};
const struct verb verb_follow = {"follow", "ID [--wait DURATION]", "a command: its state, and each that follows",
    "Exit codes as for set.", options, 1, 1, run};
