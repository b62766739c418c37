#include "broker/operator/deciding.h"
#include "broker/operator/encoded.h"
#include "broker/operator/giving.h"
#include "broker/operator/output.h"
#include "common/base/units.h"
#include <stdio.h>

const char *deciding_open(struct command *command, struct bytes bytes, const char *id) {
  int outcome = command_open(command, bytes);
  if (outcome == COMMAND_FORGED) return "the operator's signature does not fit";
  if (outcome == COMMAND_VERSION) return "it is of a version that this program does not know";
  if (outcome) return "it cannot be read";
  return bytes_equal(command->id, bytes_text(id)) ? NULL : "it has another id";
}

/* ---- what is decided about ---- */

static void put_line(struct buffer *out, const char *title, struct bytes text) {
  if (!text.len) return;
  buffer_printf(out, "  %-9s ", title);
  output_put_clean(out, text);
  buffer_append(out, bytes_text("\n"));
}

static void put_conditions(struct buffer *out, const struct command *command) {
  for (uint32_t i = 0; i < command->condition_count; i++) {
    const struct command_condition *c = &command->conditions[i];
    struct buffer text = BUFFER_NULL;
    buffer_printf(&text, BYTES_FMT " %s ", BYTES_ARG(c->address), condition_op_symbol(c->op));
    value_put_json(&text, &c->value);
    put_line(out, "if:", buffer_bytes(&text));
    buffer_deinit(&text);
  }
}

static void put_times(struct buffer *out, const struct command *command) {
  struct buffer text = BUFFER_NULL;
  units_put_local(&text, command->issued, view_zone());
  buffer_append(&text, bytes_text(", deadline "));
  units_put_local(&text, command->deadline, view_zone());
  put_line(out, "issued:", buffer_bytes(&text));
  buffer_deinit(&text);
}

/* By the signed bytes alone, but for the name and the state, which are the node's word. */
static void show(const struct command *command, const json_t *state) {
  struct buffer text = BUFFER_NULL, by = BUFFER_NULL;
  char key[IDENTITY_KEY_TEXT + 1];
  const char *verb = command_verb_name(command->verb), *code = view_text(state, "code");
  public_key_text(&command->key, key);
  buffer_printf(&by, "%s, key %s", view_text(state, "by"), key);
  buffer_printf(&text, "command " BYTES_FMT ": %s ", BYTES_ARG(command->id), verb ? verb : "?");
  output_put_clean(&text, command->address);
  if (command->value.type != VALUE_NONE) {
    struct buffer value = BUFFER_NULL;
    value_put_json(&value, &command->value);
    buffer_append(&text, bytes_text(" = "));
    output_put_clean(&text, buffer_bytes(&value));
    buffer_deinit(&value);
  }
  buffer_append(&text, bytes_text("\n"));
  put_line(&text, "by:", buffer_bytes(&by));
  put_line(&text, "basis:", command->basis);
  put_times(&text, command);
  put_conditions(&text, command);
  buffer_clear(&by);
  buffer_printf(&by, "%s%s%s", view_text(state, "state"), *code ? ": " : "", code);
  put_line(&text, "state:", buffer_bytes(&by));
  fputs(buffer_text(&text), stdout);
  output_said();
  buffer_deinit(&text);
  buffer_deinit(&by);
}

static enum exit_code fetch(
    const struct deciding *d, struct client *client, struct buffer *bytes, struct command *command, json_t **settled) {
  json_t *reply;
  enum exit_code code = client_fetch(client, json_pack("{s:s,s:s}", "verb", "command", "id", d->id), &reply);
  if (code != EXIT_CODE_DONE) return code;
  const char *wrong = encoded_read(json_object_get(reply, "command"), bytes)
                          ? deciding_open(command, buffer_bytes(bytes), d->id)
                          : "the node holds no signed command";
  if (wrong) {
    complain("signature", "Nothing was decided. Somebody may be altering commands: report it.",
        "what the broker gives as command %s cannot be decided about: %s", d->id, wrong);
    code = EXIT_CODE_NOT_AUTHORISED;
  } else if (!d->call->json) {
    show(command, json_object_get(reply, "state"));
  }
  if (!wrong && d->settled && d->settled(json_object_get(reply, "state")))
    *settled = json_incref(json_object_get(reply, "state"));
  json_decref(reply);
  return code;
}

/* ---- the decision ---- */

static enum exit_code sign(
    const struct deciding *d, struct client *client, const struct command *command, struct buffer *out) {
  const char *why = NULL;
  int64_t now = world_now(&world_system).wall;
  struct decision decision = {.verb = (uint8_t)d->verb,
      .id = command->id,
      .issued = now,
      .deadline = now + d->for_us,
      .basis = bytes_text(d->basis)};
  command_digest(command->bytes, decision.digest);
  if (decision_sign(out, &decision, client_identity(client), &why) == 0) return EXIT_CODE_DONE;
  return verb_misused(d->call, "the decision cannot be signed: %s", why ? why : "a field breaks its rule");
}

/* The command's own bytes were verified here. */
static struct proof proof_of(const struct deciding *d, const struct client *client, const struct command *command,
    char address[ADDRESS_MAX + 1]) {
  snprintf(address, ADDRESS_MAX + 1, BYTES_FMT, BYTES_ARG(command->address));
  struct proof proof = {.config = client_config(client), .id = d->id, .address = address, .has_digest = true};
  if (d->verb == DECISION_RESOLVE_MOVED) proof.resolved = STATE_EXECUTED;
  if (d->verb == DECISION_RESOLVE_NOT_MOVED) proof.resolved = STATE_FAILED;
  command_digest(command->bytes, proof.digest);
  return proof;
}

static enum exit_code tell(const struct deciding *d, struct client *client, const struct command *command,
    struct bytes decision, json_t **last) {
  char address[ADDRESS_MAX + 1];
  struct state_wait wait = {.call = d->call,
      .client = client,
      .command_id = d->id,
      .until_us = verb_until(d->wait_us),
      .enough = d->enough,
      .proof = proof_of(d, client, command, address)};
  state_catch_signals();
  wait.id = client_request(
      client, json_pack("{s:s,s:o}", "verb", "decide", "decision", encoded_json(decision)), REQUEST_WINDOW_MAX);
  enum exit_code code = state_wait(&wait);
  *last = wait.last;
  return code;
}

static enum exit_code decide(const struct deciding *d, struct client *client, json_t **last) {
  struct buffer bytes = BUFFER_NULL, decision = BUFFER_NULL;
  struct command command;
  enum exit_code code = giving_check_clock(client);
  if (code == EXIT_CODE_DONE) code = fetch(d, client, &bytes, &command, last);
  if (*last) {
    char address[ADDRESS_MAX + 1];
    struct proof proof = proof_of(d, client, &command, address);
    bool wrong;
    json_t *shown = state_verify(&proof, *last, &wrong);
    json_decref(*last);
    *last = shown;
    state_print(d->call, *last);
    code = state_exit_of(*last);
  } else {
    if (code == EXIT_CODE_DONE) code = sign(d, client, &command, &decision);
    if (code == EXIT_CODE_DONE) code = tell(d, client, &command, buffer_bytes(&decision), last);
  }
  buffer_deinit(&bytes);
  buffer_deinit(&decision);
  return code;
}

enum exit_code deciding_run(const struct deciding *d, json_t **last) {
  struct client *client;
  *last = NULL;
  enum exit_code code = client_open(&client, d->call->config);
  if (code == EXIT_CODE_DONE) code = decide(d, client, last);
  client_close(client);
  return code;
}

enum exit_code deciding_check(const struct call *call) {
  const char *basis = arguments_text(call->arguments, "basis");
  if (basis && (strlen(basis) > COMMAND_BASIS_MAX || !bytes_is_utf8(bytes_text(basis))))
    return verb_misused(call, "--basis is longer than %d bytes, or not UTF-8", COMMAND_BASIS_MAX);
  return verb_check_id(call, call->arguments->operands[0]);
}
