/* riverbus points [PATTERN...] */
#include "broker/operator/verb.h"
#include <stdio.h>

struct points {
  const struct call *call;
  struct view *view;
  size_t count;
};

static const char *range_of(const json_t *row) {
  static char text[128];
  const json_t *control = json_object_get(row, "control"), *range = json_object_get(control, "range");
  *text = '\0';
  if (json_array_size(range) == 2)
    snprintf(text, sizeof text, "%g to %g", json_number_value(json_array_get(range, 0)),
        json_number_value(json_array_get(range, 1)));
  else if (json_object_get(control, "allowed"))
    snprintf(text, sizeof text, "%s", view_text(control, "allowed"));
  return text;
}

static void put_limit(struct buffer *text, const char *name, const char *value) {
  buffer_printf(text, "%s%s%s%s", text->len ? ", " : "", name, *value ? " " : "", value);
}

static void put_time(struct buffer *text, const char *name, const json_t *control, const char *member) {
  int64_t us = json_integer_value(json_object_get(control, member));
  if (us > 0) put_limit(text, name, view_us(us));
}

/* What beside the range a command for the point has to keep to; and whether it can be halted. */
static void put_limits(struct buffer *text, const json_t *row) {
  const json_t *control = json_object_get(row, "control");
  if (!json_is_true(json_object_get(row, "writable"))) return;
  if (json_object_get(control, "max_step")) put_limit(text, "step", view_text(control, "max_step"));
  put_time(text, "every", control, "min_interval_us");
  put_time(text, "select", control, "select_us");
  if (json_is_true(json_object_get(control, "approval"))) put_limit(text, "approval", "");
  if (!json_is_true(json_object_get(control, "stop"))) put_limit(text, "no stop", "");
}

static void take(void *ctx, const json_t *reply) {
  struct points *points = ctx;
  const json_t *rows = json_object_get(reply, "points");
  for (size_t i = 0; i < json_array_size(rows); i++) {
    const json_t *row = json_array_get(rows, i);
    points->count++;
    if (points->call->json) {
      view_print_json(row);
      continue;
    }
    bool writable = json_is_true(json_object_get(row, "writable"));
    struct buffer limits = BUFFER_NULL;
    put_limits(&limits, row);
    const char *cells[] = {view_text(row, "address"), view_text(row, "type"), view_text(row, "unit"),
        writable ? "yes" : "", range_of(row), buffer_text(&limits), view_text(row, "description")};
    view_add(points->view, cells, 3, writable ? "green" : NULL);
    buffer_deinit(&limits);
  }
}

static enum exit_code run(const struct call *call) {
  static const struct view_column columns[] = {{"address", false}, {"type", false}, {"unit", false},
      {"writable", false}, {"takes", false}, {"limits", false}, {"description", false}};
  struct client *client;
  enum exit_code code = verb_check_patterns(call);
  if (code != EXIT_CODE_DONE) return code;
  code = client_open(&client, call->config);
  if (code == EXIT_CODE_DONE) {
    struct points points = {call, call->json ? NULL : view_new(columns, 7), 0};
    json_t *patterns = call->arguments->operand_count ? verb_patterns(call) : json_pack("[s]", "#");
    code = client_ask(client, json_pack("{s:s,s:o}", "verb", "points", "patterns", patterns), take, &points);
    view_print(points.view, 0, NULL);
    if (code == EXIT_CODE_DONE && !points.count) {
      complain("not-found", "A point is known from its first descriptor or reading on.", "no point matches");
      code = EXIT_CODE_WANTING;
    }
  }
  client_close(client);
  return verb_written(code);
}

static const struct option_spec options[] = {{0}};
const struct verb verb_points = {"points", "[PATTERN...]",
    "the catalogue: what points there are, their unit, type and what may be set",
    "Limits of a command: the largest step, the least time between two, select before operate, approval by a second\n"
    "person, and where nothing can halt it (no stop). Exit code 12 where nothing matches.",
    options, 0, 64, run};
