/* riverbus commands [ID] [--open] [--since T] */
#include "broker/operator/verb.h"
#include "common/base/world.h"
#include <stdio.h>

#define DAY_US (24 * 3600 * SECOND_US)

struct listed {
  const struct call *call;
  const struct operator_config *config;
  struct view *view;
  bool wrong; /* one of them is not what its station says */
};

static void add_row(struct listed *listed, const json_t *row) {
  const char *state = view_text(row, "state"), *code = view_text(row, "code");
  char shown[96];
  snprintf(shown, sizeof shown, "%s%s%s", state, *code ? ": " : "", code);
  const char *cells[] = {view_text(row, "id"), view_time(row, "issued"), view_text(row, "verb"),
      view_text(row, "address"), view_text(row, "value"), shown, view_text(row, "actual"), view_text(row, "by"),
      view_text(row, "approved_by"), view_text(row, "basis")};
  view_add(listed->view, cells, 5, view_state_colour(state));
}

static void take_row(struct listed *listed, const json_t *row) {
  struct proof proof = {.config = listed->config, .without_key = true}; /* said in the manual, not for each row */
  bool wrong;
  json_t *shown = state_verify(&proof, row, &wrong);
  listed->wrong = listed->wrong || wrong;
  if (listed->call->json)
    view_print_json(shown);
  else
    add_row(listed, shown);
  json_decref(shown);
}

static void take(void *ctx, const json_t *reply) {
  const json_t *rows = json_object_get(reply, "commands");
  for (size_t i = 0; i < json_array_size(rows); i++) take_row(ctx, json_array_get(rows, i));
}

static enum exit_code list(const struct call *call, struct client *client) {
  const struct view_column columns[] = {{"command", false}, {view_zone_title("issued"), false}, {"verb", false},
      {"address", false}, {"value", true}, {"state", false}, {"measured", true}, {"by", false}, {"approved by", false},
      {"basis", false}};
  bool open = arguments_has(call->arguments, "open");
  int64_t since = arguments_number(call->arguments, "since", open ? 0 : world_now(&world_system).wall - DAY_US);
  struct listed listed = {call, client_config(client), call->json ? NULL : view_new(columns, 10), false};
  json_t *body = json_pack("{s:s,s:b,s:I}", "verb", "commands", "open", (int)open, "since", (json_int_t)since);
  enum exit_code code = client_ask(client, body, take, &listed);
  view_print(listed.view, 1, code ? NULL : open ? "no command is open" : "no command was issued in that time");
  return code == EXIT_CODE_DONE && listed.wrong ? EXIT_CODE_UNKNOWN : code;
}

/* One command: its state now. */
struct one {
  const struct call *call;
  struct proof proof;
  uint64_t id;
  bool done;
  enum exit_code code;
};

static void take_one(void *ctx, uint64_t id, const json_t *body, struct bytes text, bool last) {
  struct one *one = ctx;
  (void)text, (void)last;
  if (id != one->id || one->done) return;
  one->done = true;
  one->code = complain_of_reply(body);
  if (one->code != EXIT_CODE_DONE) return;
  bool wrong;
  json_t *shown = state_verify(&one->proof, body, &wrong);
  state_print(one->call, shown);
  if (wrong) one->code = EXIT_CODE_UNKNOWN;
  json_decref(shown);
}

static enum exit_code show(const struct call *call, struct client *client, const char *id) {
  struct one one = {.call = call, .proof = {.config = client_config(client), .id = id}};
  client_set_events(client, &(struct client_events){.ctx = &one, .reply = take_one});
  one.id = client_request(client, json_pack("{s:s,s:s}", "verb", "commands", "id", id), REQUEST_WINDOW_MAX);
  while (!one.done && client_turn(client, NULL, 0, SECOND_US)) {}
  if (one.done) return one.code;
  complain("not-reachable", NULL, "%s", client_lost(client));
  return EXIT_CODE_NOT_REACHABLE;
}

static enum exit_code run(const struct call *call) {
  struct client *client;
  const struct arguments *a = call->arguments;
  enum exit_code code = a->operand_count ? verb_check_id(call, a->operands[0]) : EXIT_CODE_DONE;
  if (code == EXIT_CODE_DONE && a->operand_count && (arguments_has(a, "open") || arguments_has(a, "since")))
    code = verb_misused(call, "an ID excludes --open and --since");
  if (code != EXIT_CODE_DONE) return code;
  code = client_open(&client, call->config);
  if (code == EXIT_CODE_DONE) code = a->operand_count ? show(call, client, a->operands[0]) : list(call, client);
  client_close(client);
  return verb_written(code);
}

static const struct option_spec options[] = {
    {"open", OPTION_FLAG, NULL, "only those without a final state, and unknown ones"},
    {"since", OPTION_TIME, "T", "issued at or after (default: the last 24 hours; with --open: all)"}, {0}};
const struct verb verb_commands = {
    "commands", "[ID] [--open] [--since T]", "the ledger of commands", NULL, options, 0, 1, run};
