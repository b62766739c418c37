/* States of commands on the screen, and waiting for them. */
#include "broker/operator/verb.h"
#include "common/base/world.h"
#include <signal.h>
#include <stdio.h>

static volatile sig_atomic_t interrupted;
static void on_interrupt(int signal) {
  (void)signal;
  interrupted = 1;
}

static void print_detail(const char *title, const char *text) {
  if (*text) printf("          %s: %s\n", title, text);
}

void state_print(const struct call *call, const json_t *state) {
  if (call->json) {
    view_print_json(state);
    return;
  }
  const char *name = view_text(state, "state"), *code = view_text(state, "code"), *actual = view_text(state, "actual"),
             *colour = view_state_colour(name);
  printf("%-19s  %s%s%s%s%s", view_time(state, "time"), view_colour_on(colour), name, view_colour_off(colour),
      *code ? ": " : "", code);
  if (*actual) printf(", measured %s", actual);
  fputc('\n', stdout);
  print_detail("why", view_text(state, "message"));
  print_detail("the device says", view_text(state, "device_message"));
  print_detail("hint", view_text(state, "hint"));
  fflush(stdout);
}

enum exit_code state_exit_of(const json_t *state) {
  const char *name = json_string_value(json_object_get(state, "state")),
             *code = json_string_value(json_object_get(state, "code"));
  enum state known = name ? state_parse(bytes_text(name)) : STATE_NONE;
  return state_exit(known, code ? code_parse(bytes_text(code)) : CODE_NONE);
}

void state_catch_signals(void) {
  struct sigaction action = {.sa_handler = on_interrupt};
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
}

struct waiting {
  const struct call *call;
  uint64_t id;
  bool done, accepted;
  enum exit_code code;
};

static void take(void *ctx, uint64_t id, const json_t *body, struct bytes text, bool last) {
  struct waiting *waiting = ctx;
  (void)text;
  if (id != waiting->id) return;
  waiting->done = last;
  if (json_object_get(body, "error")) {
    waiting->code = complain_of_reply(body);
    return;
  }
  waiting->accepted = true;
  waiting->code = state_exit_of(body);
  state_print(waiting->call, body);
}

static enum exit_code say_lost(const struct client *client, const struct waiting *waiting, const char *command_id) {
  char hint[200];
  snprintf(hint, sizeof hint, "%s Ask with: riverbus follow %s",
      waiting->accepted ? "The command goes on; nobody is told here what became of it."
                        : "The command may have been taken. Do not send it again under another id.",
      command_id);
  complain("no-answer", hint, "%s", client_lost(client));
  return EXIT_CODE_UNKNOWN;
}

static enum exit_code say_open(const struct waiting *waiting, const char *command_id) {
  notice("the command %s; follow it with: riverbus follow %s",
      waiting->accepted ? interrupted ? "goes on" : "is still open" : "may or may not have been taken", command_id);
  return waiting->accepted ? EXIT_CODE_OPEN : EXIT_CODE_UNKNOWN;
}

enum exit_code state_wait(const struct call *call, struct client *client, uint64_t id, const char *command_id,
    int64_t until_us, bool only_accepted) {
  struct waiting waiting = {call, id, false, false, EXIT_CODE_OPEN};
  struct client_events events = {.ctx = &waiting, .reply = take};
  client_set_events(client, &events);
  bool there = true;
  while (there && !waiting.done && !interrupted && !(only_accepted && waiting.accepted)) {
    int64_t left = until_us - world_now(&world_system).mono;
    if (left <= 0) break;
    there = client_turn(client, NULL, 0, left < SECOND_US ? left : SECOND_US);
  }
  client_set_events(client, &(struct client_events){0});
  if (waiting.done) return waiting.code;
  if (!there) return say_lost(client, &waiting, command_id);
  if (only_accepted && waiting.accepted) return waiting.code;
  return say_open(&waiting, command_id);
}
