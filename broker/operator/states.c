/* States of commands on the screen, and waiting for them. */
#include "broker/operator/output.h"
#include "broker/operator/verb.h"
#include "common/base/world.h"
#include <signal.h>
#include <stdio.h>

static volatile sig_atomic_t interrupted;
static void on_interrupt(int signal) {
  (void)signal;
  interrupted = 1;
}

void state_catch_signals(void) {
  struct sigaction action = {.sa_handler = on_interrupt};
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
}
bool state_interrupted(void) { return interrupted; }

/* ---- reading ---- */

enum state state_of(const json_t *state) {
  const char *name = json_string_value(json_object_get(state, "state"));
  return name ? state_parse(bytes_text(name)) : STATE_NONE;
}

enum code state_code_of(const json_t *state) {
  const char *name = json_string_value(json_object_get(state, "code"));
  return name ? code_parse(bytes_text(name)) : CODE_NONE;
}

enum exit_code state_exit_of(const json_t *state) { return state_exit(state_of(state), state_code_of(state)); }
bool state_any(const json_t *state) { return state != NULL; }

/* ---- printing ---- */

static void print_detail(const char *title, const char *text) {
  if (*text) printf("  %-7s  %s\n", title, text);
}

/* A hint's `... ADDRESS` is this command's address: it can be copied as it stands. */
static void print_hint(const char *hint, const char *address) {
  const char *at = *address ? strstr(hint, "ADDRESS") : NULL;
  if (at)
    printf("  %-7s  %.*s%s%s\n", "hint:", (int)(at - hint), hint, address, at + strlen("ADDRESS"));
  else
    print_detail("hint:", hint);
}

/* What a person has to do for the command to go on, or to settle it. */
static void print_next(enum state state, const char *id) {
  if (state == STATE_APPROVAL) printf("  %-7s  a second person approves it with: riverbus approve %s\n", "next:", id);
  if (state == STATE_UNKNOWN)
    printf("  %-7s  when somebody has looked: riverbus resolve %s --moved|--not-moved --basis TEXT\n", "next:", id);
}

void state_print(const struct call *call, const json_t *state) {
  if (call->json) {
    view_print_json(state);
    return;
  }
  const char *name = view_text(state, "state"), *code = view_text(state, "code"), *actual = view_text(state, "actual"),
             *approved = view_text(state, "approved_by"), *colour = view_state_colour(name);
  printf("%-19s  %s%s%s%s%s", view_time(state, "time"), view_colour_on(colour), name, view_colour_off(colour),
      *code ? ": " : "", code);
  if (*actual) printf(", measured %s", actual);
  if (*approved) printf(", approved by %s", approved);
  fputc('\n', stdout);
  print_detail("why:", view_text(state, "message"));
  print_detail("device:", view_text(state, "device_message"));
  print_hint(view_text(state, "hint"), view_text(state, "address"));
  print_next(state_of(state), view_text(state, "id"));
  fflush(stdout);
}

/* ---- waiting ---- */

struct waiting {
  struct state_wait *wait;
  bool done, heard;
  enum exit_code code;
};

static void take(void *ctx, uint64_t id, const json_t *body, struct bytes text, bool last) {
  struct waiting *waiting = ctx;
  struct state_wait *wait = waiting->wait;
  (void)text;
  if (id != wait->id || waiting->done) return;
  waiting->done = last;
  if (json_object_get(body, "error")) {
    wait->refused = true;
    waiting->code = complain_of_refusal(body);
    return;
  }
  waiting->heard = true;
  waiting->code = state_exit_of(body);
  json_decref(wait->last);
  wait->last = json_incref((json_t *)(uintptr_t)body);
  state_print(wait->call, body);
  if (!last && wait->enough && wait->enough(body)) waiting->done = true;
}

static enum exit_code say_lost(const struct client *client, const struct waiting *waiting) {
  char hint[200];
  snprintf(hint, sizeof hint, "%s Ask with: riverbus follow %s",
      waiting->heard ? "The command goes on; nobody is told here what became of it."
                     : "The command may have been taken. Do not send it again under another id.",
      waiting->wait->command_id);
  complain("no-answer", hint, "%s", client_lost(client));
  return EXIT_CODE_UNKNOWN;
}

void state_say_open(const char *command_id, bool accepted) {
  notice(
      "the command %s; follow it with: riverbus follow %s\n  or cancel it, before the device is told, with: riverbus "
      "cancel %s",
      accepted ? interrupted ? "goes on" : "is still open" : "may or may not have been taken", command_id, command_id);
}

enum exit_code state_wait(struct state_wait *wait) {
  struct waiting waiting = {wait, false, false, EXIT_CODE_OPEN};
  client_set_events(wait->client, &(struct client_events){.ctx = &waiting, .reply = take});
  bool there = true;
  while (there && !waiting.done && !interrupted) {
    int64_t left = wait->until_us - world_now(&world_system).mono;
    if (left <= 0) break;
    there = client_turn(wait->client, NULL, 0, left < SECOND_US ? left : SECOND_US);
  }
  client_set_events(wait->client, &(struct client_events){0});
  if (waiting.done) return waiting.code;
  if (!there) return say_lost(wait->client, &waiting);
  state_say_open(wait->command_id, waiting.heard);
  return waiting.heard ? EXIT_CODE_OPEN : EXIT_CODE_UNKNOWN;
}
