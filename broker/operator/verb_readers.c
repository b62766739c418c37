/* riverbus readers [remove NAME] */
#include "broker/operator/verb.h"
#include "common/base/world.h"
#include <stdio.h>

struct readers_shown {
  const struct call *call;
  struct view *view;
  int64_t now;
};

/* Blocks, all lanes together. */
static const char *lost_text(const json_t *lost) {
  static char text[32];
  json_int_t sum = 0;
  const char *name;
  json_t *count;
  json_object_foreach((json_t *)(uintptr_t)lost, name, count) sum += json_integer_value(count);
  snprintf(text, sizeof text, "%lld", (long long)sum);
  return text;
}

static void take(void *ctx, const json_t *reply) {
  struct readers_shown *shown = ctx;
  const json_t *rows = json_object_get(reply, "readers");
  for (size_t i = 0; i < json_array_size(rows); i++) {
    const json_t *row = json_array_get(rows, i), *behind = json_object_get(row, "behind"),
                 *lost = json_object_get(row, "lost");
    if (shown->call->json) {
      view_print_json(row);
      continue;
    }
    bool connected = json_is_true(json_object_get(row, "connected"));
    const char *cells[] = {view_text(row, "name"), view_text(row, "operator"), view_text(row, "patterns"),
        connected ? "now" : view_age(row, "seen", shown->now), view_count(behind, "urgent"), view_count(behind, "live"),
        view_count(behind, "backfill"), lost_text(lost)};
    view_add(shown->view, cells, 3, connected ? "green" : NULL);
  }
}

static enum exit_code list(const struct call *call, struct client *client) {
  static const struct view_column columns[] = {{"reader", false}, {"operator", false}, {"patterns", false},
      {"last seen", true}, {"urgent blocks behind", true}, {"live", true}, {"backfill", true}, {"lost", true}};
  struct readers_shown shown = {call, call->json ? NULL : view_new(columns, 8), world_now(&world_system).wall};
  enum exit_code code = client_ask(client, json_pack("{s:s}", "verb", "readers"), take, &shown);
  view_print(shown.view, 0, code ? NULL : "there is no durable reader; riverbus tail --durable NAME makes one");
  return code;
}

static void print_removed(const char *name) {
  json_t *row = json_pack("{s:s,s:b}", "name", name, "removed", 1);
  view_print_json(row);
  json_decref(row);
}

static enum exit_code remove_one(const struct call *call, struct client *client, const char *name) {
  json_t *body = json_pack("{s:s,s:s}", "verb", "readers-remove", "name", name);
  enum exit_code code = client_ask(client, body, NULL, NULL);
  if (code == EXIT_CODE_DONE && call->json) print_removed(name);
  return code;
}

static enum exit_code run(const struct call *call) {
  struct client *client;
  const struct arguments *a = call->arguments;
  if (a->operand_count && (a->operand_count != 2 || strcmp(a->operands[0], "remove") != 0))
    return verb_misused(call, "remove NAME, or nothing, is expected");
  if (a->operand_count && !verb_reader_is_good(a->operands[1]))
    return verb_misused(call, "a reader's name is 1 to 128 bytes of UTF-8 without control characters");
  enum exit_code code = client_open(&client, call->config);
  if (code == EXIT_CODE_DONE) code = a->operand_count ? remove_one(call, client, a->operands[1]) : list(call, client);
  client_close(client);
  return verb_written(code);
}

static const struct option_spec options[] = {{0}};
const struct verb verb_readers = {"readers", "[remove NAME]", "durable readers: where they stand",
    "A reader holds no space: what the broker discards by its own policy (keep, max-size) before it was read is lost "
    "to "
    "it,\ncounted here in blocks. Only its owner removes a reader, or anybody when its owner is no operator any more.",
    options, 0, 2, run};
