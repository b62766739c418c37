/* riverbus last PATTERN... */
#include "broker/operator/output.h"
#include "broker/operator/verb.h"
#include "common/base/world.h"
#include <stdio.h>

struct last {
  const struct call *call;
  struct view *view;
  size_t count;
  int64_t now;
};

static const char *value_with_unit(const json_t *row) {
  static char text[600];
  snprintf(text, sizeof text, "%s %s", view_text(row, "value"), view_text(row, "unit"));
  return text;
}

static void take_row(struct last *last, const json_t *row) {
  last->count++;
  if (last->call->json) {
    view_print_json(row);
    return;
  }
  const char *quality = view_text(row, "quality"), *reason = view_text(row, "reason");
  char shown[64];
  snprintf(shown, sizeof shown, "%s%s%s", quality, *reason ? ": " : "", reason);
  const char *cells[] = {
      view_text(row, "address"), value_with_unit(row), shown, view_age(row, "time", last->now), view_time(row, "time")};
  view_add(last->view, cells, 2, view_quality_colour(quality));
}

static void take(void *ctx, const json_t *reply) {
  const json_t *rows = json_object_get(reply, "last");
  for (size_t i = 0; i < json_array_size(rows); i++) take_row(ctx, json_array_get(rows, i));
}

static enum exit_code run(const struct call *call) {
  struct client *client;
  enum exit_code code = verb_check_patterns(call);
  if (code != EXIT_CODE_DONE) return code;
  code = client_open(&client, call->config);
  if (code == EXIT_CODE_DONE) {
    const struct view_column columns[] = {
        {"address", false}, {"value", true}, {"quality", false}, {"age", true}, {view_zone_title("time"), false}};
    struct last last = {call, call->json ? NULL : view_new(columns, 5), 0, world_now(&world_system).wall};
    code = client_ask(client, json_pack("{s:s,s:o}", "verb", "last", "patterns", verb_patterns(call)), take, &last);
    view_print(last.view, 0, NULL);
    if (code == EXIT_CODE_DONE && !last.count) {
      complain("not-found", "See what there is with: riverbus points", "no value is known for that pattern");
      code = EXIT_CODE_WANTING;
    }
  }
  client_close(client);
  return verb_written(code);
}

static const struct option_spec options[] = {{0}};
const struct verb verb_last = {"last", "PATTERN...", "last values with age and quality",
    "Exit code 12 where nothing matches. A pattern is an address in which a segment may be + and the last may be #.",
    options, 1, 64, run};
