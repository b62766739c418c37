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
  print_detail("hint:", view_hint(view_text(state, "hint"), view_text(state, "address")));
  if (!json_is_false(json_object_get(state, "proven"))) print_next(state_of(state), view_text(state, "id"));
  output_said();
}

/* ---- is it the station's word? ---- */

json_t *state_verify(struct proof *proof, const json_t *state, bool *wrong) {
  struct buffer why = BUFFER_NULL;
  bool without = proof->without_key;
  enum proof_verdict verdict = proof_judge(proof, state, &why);
  json_t *shown = proof_shown(state, verdict, buffer_text(&why));
  *wrong = verdict == PROOF_WRONG || verdict == PROOF_PERSON;
  if (verdict == PROOF_WRONG)
    complain("unproven",
        "Do not act on it: ask at the station itself (its own door, or by telephone), and tell whoever runs the "
        "broker. "
        "Where the station has a new key, put it into `stations:` of operator.yaml.",
        "command %s: %s. Its outcome is not known", view_text(state, "id"), view_text(shown, "message"));
  if (!without && proof->without_key)
    notice("no key of the station of %s is in `stations:` of operator.yaml: what the broker says of it is not verified",
        view_text(state, "address"));
  buffer_deinit(&why);
  return shown;
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
    waiting->code = complain_about(body, wait->proof.address);
    return;
  }
  bool wrong;
  waiting->heard = true;
  json_decref(wait->last);
  wait->last = state_verify(&wait->proof, body, &wrong);
  waiting->code = state_exit_of(wait->last);
  state_print(wait->call, wait->last);
  if (wrong || (!last && wait->enough && wait->enough(wait->last))) waiting->done = true;
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

void state_say_open(const char *command_id, const json_t *last) {
  const char *how = !last ? "may or may not have been taken" : interrupted ? "goes on" : "is still open";
  if (state_may_have_moved(state_of(last)))
    notice("the command %s; follow it with: riverbus follow %s\n  or halt the device, which was told already, with: "
           "riverbus stop %s",
        how, command_id, view_text(last, "address"));
  else
    notice("the command %s; follow it with: riverbus follow %s\n  or cancel it, before the device is told, with: "
           "riverbus cancel %s",
        how, command_id, command_id);
}

enum exit_code state_wait(struct state_wait *wait) {
  struct waiting waiting = {wait, false, false, EXIT_CODE_OPEN};
  wait->proof.config = client_config(wait->client);
  wait->proof.id = wait->command_id;
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
  state_say_open(wait->command_id, wait->last);
  return waiting.heard ? EXIT_CODE_OPEN : EXIT_CODE_UNKNOWN;
}
