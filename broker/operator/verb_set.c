/* riverbus set ADDRESS VALUE */
#include "broker/operator/verb.h"
#include "common/command/command.h"
#include "common/command/ledger.h"
#include <stdio.h>

#define DEADLINE_US (60 * SECOND_US)
#define DEADLINE_MAX_US (365 * 24 * 3600 * SECOND_US) /* a broker's max-deadline is far below */
#define WAIT_US (120 * SECOND_US)
#define CLOCK_LIMIT_US (2 * SECOND_US)

static void take_type(void *ctx, const json_t *reply) {
  enum value_type *type = ctx;
  const json_t *rows = json_object_get(reply, "points");
  const char *name = json_string_value(json_object_get(json_array_get(rows, 0), "type"));
  if (name) value_type_parse(bytes_text(name), type);
}

/* What type the point has, so that 40 is a text where the point is one. VALUE_NONE: not known, the form of the word
 * decides. */
static enum exit_code ask_type(struct client *client, const char *address, enum value_type *type) {
  *type = VALUE_NONE;
  return client_ask(client, json_pack("{s:s,s:[s]}", "verb", "points", "patterns", address), take_type, type);
}

static enum exit_code check_clock_with_broker(const struct client *client) {
  int64_t ahead = client_clock_ahead(client), off = ahead < 0 ? -ahead : ahead;
  if (off <= CLOCK_LIMIT_US) return EXIT_CODE_DONE;
  complain("clock", "Synchronise this machine's clock (or the broker's), then try again.",
      "this machine's clock is %s %s the broker's; a command may be signed within 2s only, since its deadline would "
      "mean something else there",
      view_us(off), ahead > 0 ? "ahead of" : "behind");
  return EXIT_CODE_ERROR;
}

struct setting {
  struct command command;
  char id[COMMAND_ID_MAX + 1];
  struct buffer bytes;
};

static enum exit_code sign(
    const struct call *call, const struct client *client, struct setting *setting, enum value_type type) {
  const struct arguments *a = call->arguments;
  const char *id = arguments_text(a, "id"), *basis = arguments_text(a, "basis"), *why = NULL;
  int64_t now = world_now(&world_system).wall;
  if (id)
    snprintf(setting->id, sizeof setting->id, "%s", id);
  else
    command_id_new(&world_system, setting->id);
  struct command *command = &setting->command;
  *command = (struct command){.verb = COMMAND_SET,
      .id = bytes_text(setting->id),
      .address = bytes_text(a->operands[0]),
      .issued = now,
      .deadline = now + arguments_number(a, "deadline", DEADLINE_US),
      .basis = bytes_text(basis)};
  if (value_parse(bytes_text(a->operands[1]), type, &command->value))
    return verb_misused(call, "\"%s\" is no %s, but that is what the point %s takes", a->operands[1],
        value_type_name(type), a->operands[0]);
  int outcome = command_sign(&setting->bytes, command, client_identity(client), &why);
  if (outcome == 0) return EXIT_CODE_DONE;
  return verb_misused(call, "the command cannot be signed: %s",
      outcome == COMMAND_TOO_LARGE ? "it is too large"
      : why                        ? why
                                   : "a field breaks its rule");
}

/* The id comes first, so that whoever reads it can ask later whatever happens now. */
static void print_id(const struct call *call, const struct setting *setting, const struct client *client) {
  if (!call->json) {
    printf("command %s: %s = %s\n", setting->id, call->arguments->operands[0], call->arguments->operands[1]);
    fflush(stdout);
    return;
  }
  struct ledger_entry entry = LEDGER_ENTRY_NULL;
  struct buffer text = BUFFER_NULL;
  entry.id = setting->command.id;
  entry.command = buffer_bytes(&setting->bytes);
  entry.by = bytes_text(client_operator(client));
  entry.time = setting->command.issued;
  ledger_put_json(&text, &entry);
  printf(BYTES_FMT "\n", (int)text.len, (const char *)text.data);
  fflush(stdout);
  buffer_deinit(&text);
}

static enum exit_code set(const struct call *call, struct client *client, struct setting *setting) {
  enum value_type type;
  enum exit_code code = check_clock_with_broker(client);
  if (code == EXIT_CODE_DONE) code = ask_type(client, call->arguments->operands[0], &type);
  if (code == EXIT_CODE_DONE) code = sign(call, client, setting, type);
  if (code != EXIT_CODE_DONE) return code;
  bool no_wait = arguments_has(call->arguments, "no-wait");
  int64_t until = verb_until(arguments_number(call->arguments, "wait", WAIT_US));
  state_catch_signals(); /* from here on whoever interrupts is told how to follow the command */
  print_id(call, setting, client);
  uint64_t id = client_command(client, buffer_bytes(&setting->bytes), REQUEST_WINDOW_MAX);
  return state_wait(call, client, id, setting->id, until, no_wait);
}

static enum exit_code check_options(const struct call *call) {
  const struct arguments *a = call->arguments;
  const char *id = arguments_text(a, "id"), *basis = arguments_text(a, "basis");
  int64_t deadline = arguments_number(a, "deadline", DEADLINE_US);
  if (arguments_has(a, "wait") && arguments_has(a, "no-wait"))
    return verb_misused(call, "--wait and --no-wait exclude each other");
  if (deadline <= 0 || deadline > DEADLINE_MAX_US)
    return verb_misused(
        call, "--deadline %s is not within 0s and %s", arguments_text(a, "deadline"), view_us(DEADLINE_MAX_US));
  if (basis && (strlen(basis) > COMMAND_BASIS_MAX || !bytes_is_utf8(bytes_text(basis))))
    return verb_misused(call, "--basis is longer than %d bytes, or not UTF-8", COMMAND_BASIS_MAX);
  return id ? verb_check_id(call, id) : EXIT_CODE_DONE;
}

static enum exit_code check(const struct call *call) {
  const char *address = call->arguments->operands[0], *why = NULL;
  struct bytes value = bytes_text(call->arguments->operands[1]);
  if (address_check(bytes_text(address), &why))
    return verb_misused(call, "\"%s\" is no address: %s (province/station/device/point)", address, why);
  if (value.len > COMMAND_MAX || !bytes_is_utf8(value))
    return verb_misused(call, "the value is longer than %d bytes, or not UTF-8", COMMAND_MAX);
  return check_options(call);
}

static enum exit_code run(const struct call *call) {
  struct client *client;
  struct setting setting = {0};
  enum exit_code code = check(call);
  if (code != EXIT_CODE_DONE) return code;
  code = client_open(&client, call->config);
  if (code == EXIT_CODE_DONE) code = set(call, client, &setting);
  buffer_deinit(&setting.bytes);
  client_close(client);
  return verb_written(code);
}

static const struct option_spec options[] = {
    {"deadline", OPTION_DURATION, "DURATION", "the device must have been told by then (default 60s)"},
    {"basis", OPTION_TEXT, "TEXT", "why: the order or regulation, kept in every log"},
    {"wait", OPTION_DURATION, "DURATION",
        "how long to wait for the outcome (default 2m); then exit 9, and the command goes on"},
    {"no-wait", OPTION_FLAG, NULL, "end when the broker has taken it: exit 9, it is still open"},
    {"id", OPTION_TEXT, "ID",
        "the command's id; the same id with the same content is one command, however often it is sent"},
    {0}};
const struct verb verb_set = {"set", "ADDRESS VALUE [options]",
    "a command: sets a point to a value, and says what became of it",
    "Prints the id before the command is sent, then each state as it comes. Exit codes: 0 executed, 3 certainly not "
    "taken,\n"
    "4 not authorised, 5 rejected, 6 expired, 7 failed, 8 outcome not known, 9 still open, 10 cancelled, superseded "
    "or\n"
    "stopped, 11 undelivered. Interrupting the wait leaves the command alone.",
    options, 2, 2, run};
