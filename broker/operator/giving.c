#include "broker/operator/output.h"
#include "broker/operator/giving.h"
#include "common/command/ledger.h"
#include <errno.h>
#include <stdio.h>

#define CLOCK_LIMIT_US (2 * SECOND_US)
enum { PATTERNS_AT_ONCE = 64 }; /* as many as a node takes */

enum exit_code giving_check_clock(const struct client *client) {
  int64_t ahead = client_clock_ahead(client), off = ahead < 0 ? -ahead : ahead;
  if (off <= CLOCK_LIMIT_US) return EXIT_CODE_DONE;
  complain("clock", "Synchronise this machine's clock (or the broker's), then try again.",
      "this machine's clock is %s %s the broker's; a command may be signed within 2s only, since its deadline would "
      "mean something else there",
      view_us(off), ahead > 0 ? "ahead of" : "behind");
  return EXIT_CODE_ERROR;
}

void giving_warn_clock(const struct client *client) {
  int64_t ahead = client_clock_ahead(client), off = ahead < 0 ? -ahead : ahead;
  if (off <= CLOCK_LIMIT_US) return;
  notice("this machine's clock is %s %s the broker's; the stop is signed with the broker's time", view_us(off),
      ahead > 0 ? "ahead of" : "behind");
}

/* ---- the points ---- */

struct asked {
  const char *const *addresses;
  size_t count;
  struct described *described;
};

static void take_points(void *ctx, const json_t *reply) {
  struct asked *asked = ctx;
  const json_t *rows = json_object_get(reply, "points");
  for (size_t i = 0; i < json_array_size(rows); i++) {
    const json_t *row = json_array_get(rows, i);
    const char *address = json_string_value(json_object_get(row, "address"));
    for (size_t j = 0; address && j < asked->count; j++)
      if (strcmp(address, asked->addresses[j]) == 0) described_read(&asked->described[j], row);
  }
}

enum exit_code giving_describe(
    struct client *client, const char *const *addresses, size_t count, struct described *described) {
  enum exit_code code = EXIT_CODE_DONE;
  for (size_t i = 0; i < count; i++) described_read(&described[i], NULL);
  for (size_t at = 0; at < count && code == EXIT_CODE_DONE; at += PATTERNS_AT_ONCE) {
    struct asked asked = {
        addresses + at, count - at < PATTERNS_AT_ONCE ? count - at : PATTERNS_AT_ONCE, described + at};
    json_t *patterns = json_array();
    for (size_t i = 0; i < asked.count; i++) json_array_append_new(patterns, json_string(asked.addresses[i]));
    code = client_ask(client, json_pack("{s:s,s:o}", "verb", "points", "patterns", patterns), take_points, &asked);
  }
  return code;
}

static void take_status(void *ctx, const json_t *reply) {
  const json_t *commands = json_object_get(json_object_get(reply, "status"), "commands");
  const json_t *most = json_object_get(commands, "max_deadline_us");
  if (json_integer_value(most) > 0) *(int64_t *)ctx = json_integer_value(most);
}

enum exit_code giving_max_deadline(struct client *client, int64_t *us) {
  *us = 0;
  return client_ask(client, json_pack("{s:s}", "verb", "status"), take_status, us);
}

/* ---- sending ---- */

static void print_json(const struct client *client, const struct wish *wish, struct bytes command, int64_t now) {
  struct ledger_entry entry = LEDGER_ENTRY_NULL;
  struct buffer text = BUFFER_NULL;
  entry.id = bytes_text(wish->id);
  entry.command = command;
  entry.by = bytes_text(client_operator(client));
  entry.batch = bytes_text(wish->batch);
  entry.time = now;
  ledger_put_json(&text, &entry);
  printf(BYTES_FMT "\n", (int)text.len, (const char *)text.data);
  buffer_deinit(&text);
}

static void print_line(const struct wish *wish) {
  static const char *const called[] = {
      [COMMAND_SET] = "command", [COMMAND_STOP] = "stop", [COMMAND_SELECT] = "selection", [COMMAND_TRY] = "dry run"};
  struct buffer text = BUFFER_NULL;
  wish_put(&text, wish);
  printf("%s %s: %s\n", called[wish->verb], wish->id, buffer_text(&text));
  buffer_deinit(&text);
}

enum exit_code giving_send(const struct call *call, struct client *client, const struct wish *wish,
    enum value_type type, struct proof *proof, uint64_t *request, char problem[WISH_PROBLEM]) {
  struct buffer bytes = BUFFER_NULL;
  int64_t now = world_now(&world_system).wall;
  int64_t ahead = client_clock_ahead(client);
  /* nothing but stops goes then; as long as sets go too, all are signed by one clock, and their order shows */
  if (wish->verb == COMMAND_STOP && (ahead > CLOCK_LIMIT_US || ahead < -CLOCK_LIMIT_US)) now -= ahead;
  if (wish_sign(wish, type, now, client_identity(client), &bytes, problem)) return EXIT_CODE_USAGE;
  if (call->json)
    print_json(client, wish, buffer_bytes(&bytes), now);
  else
    print_line(wish);
  int error = output_said();
  if (error && error != EPIPE && wish->verb != COMMAND_STOP) {
    complain("output", "Nothing was sent: whoever gives a command must know its id.",
        "standard output cannot be written: %s", strerror(error));
    buffer_deinit(&bytes);
    *problem = '\0';
    return EXIT_CODE_ERROR;
  }
  proof->address = wish->address;
  proof->has_digest =
      !wish->named; /* under a name of one's own it may have been given before, signed at another time */
  command_digest(buffer_bytes(&bytes), proof->digest);
  *request = client_command(client, buffer_bytes(&bytes), REQUEST_WINDOW_MAX);
  buffer_deinit(&bytes);
  return EXIT_CODE_DONE;
}
