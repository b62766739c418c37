/* riverbus gaps [STREAM] [--since T] [--until T] */
#include "broker/operator/verb.h"
#include <stdio.h>
#include <string.h>

struct gaps {
  const struct call *call;
  struct view *view;
  json_t *rows; /* of the stream at hand, which its last row sums up */
  size_t streams, wanting;
};

static long long number(const json_t *object, const char *member) {
  return (long long)json_integer_value(json_object_get(object, member));
}

/* ---- why ---- */

static const struct {
  const char *reason, *words;
} reasons[] = {
    {"keep", "it was older than its keep"},
    {"full", "its store was full"},
    {"late", "it came when retention had gone past it"},
    {"damaged", "damaged on its disk"},
    {"not-held", "it does not have it"},
    {"origin-lost", "lost with the old store of its origin"},
    {"not-said", "others leave it out by their rules, this one has not said that it brings nothing more"},
};

static const char *in_words(const char *reason) {
  for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
    if (strcmp(reasons[i].reason, reason) == 0) return reasons[i].words;
  return reason;
}

static const char *why_of(const json_t *row, char *text, size_t size) {
  const char *state = view_text(row, "state"), *by = view_text(row, "by");
  if (*by)
    snprintf(text, size, "%s: %s", by, in_words(view_text(row, "reason")));
  else if (strcmp(state, "silent") == 0)
    snprintf(text, size, "no head in that time: it was off, or nothing of it came through");
  else
    snprintf(text, size, "a head promised it, and it is not here");
  return text;
}

/* Who should bring what is missing. */
static const char *sources_of(const json_t *end, char *text, size_t size) {
  const json_t *sources = json_object_get(end, "sources");
  size_t len = 0;
  text[0] = '\0';
  for (size_t i = 0; i < json_array_size(sources) && len < size; i++) {
    const json_t *source = json_array_get(sources, i);
    bool up = json_is_true(json_object_get(source, "up"));
    int more = snprintf(text + len, size - len, "%s%s is %s since %s", i ? "; " : "", view_text(source, "name"),
        up ? "up" : view_text(source, "state"), view_time(source, "since"));
    len += more > 0 ? (size_t)more : 0;
  }
  return text;
}

/* ---- rows ---- */

static void add_row(struct gaps *gaps, const json_t *row) {
  char numbers[64] = "", why[512];
  if (!json_is_null(json_object_get(row, "from")))
    snprintf(numbers, sizeof numbers, "%lld-%lld", number(row, "from"), number(row, "to"));
  const char *cells[] = {"", view_text(row, "state"), numbers, view_time(row, "since"), view_time(row, "until"),
      why_of(row, why, sizeof why)};
  view_add(gaps->view, cells, 1, json_is_true(json_object_get(row, "wanting")) ? "red" : NULL);
}

static void add_end(struct gaps *gaps, const json_t *end) {
  bool complete = json_is_true(json_object_get(end, "complete"));
  char held[128], sources[1024];
  snprintf(held, sizeof held, "%lld held", number(end, "held"));
  if (number(end, "filtered"))
    snprintf(held + strlen(held), sizeof held - strlen(held), ", %lld filtered", number(end, "filtered"));
  const char *cells[] = {view_text(end, "stream"), complete ? "complete" : "wanting", held, view_time(end, "since"),
      view_time(end, "until"), complete ? "" : sources_of(end, sources, sizeof sources)};
  view_add(gaps->view, cells, 1, complete ? "green" : "red");
}

static bool is_worth_a_line(const json_t *row) {
  const char *state = view_text(row, "state");
  return strcmp(state, "held") != 0 && strcmp(state, "filtered") != 0;
}

static void end_stream(struct gaps *gaps, const json_t *end) {
  gaps->streams++;
  if (!json_is_true(json_object_get(end, "complete"))) gaps->wanting++;
  if (gaps->call->json) return;
  add_end(gaps, end);
  for (size_t i = 0; i < json_array_size(gaps->rows); i++) add_row(gaps, json_array_get(gaps->rows, i));
  json_array_clear(gaps->rows);
}

static void take(void *ctx, const json_t *reply) {
  struct gaps *gaps = ctx;
  const json_t *rows = json_object_get(reply, "gaps");
  for (size_t i = 0; i < json_array_size(rows); i++) {
    json_t *row = json_array_get(rows, i);
    if (gaps->call->json) view_print_json(row);
    if (json_object_get(row, "complete"))
      end_stream(gaps, row);
    else if (!gaps->call->json && is_worth_a_line(row))
      json_array_append(gaps->rows, row);
  }
}

/* ---- the verb ---- */

static json_t *ask(const struct call *call) {
  const struct arguments *a = call->arguments;
  json_t *body = json_pack("{s:s}", "verb", "gaps");
  if (a->operand_count) json_object_set_new(body, "stream", json_string(a->operands[0]));
  if (arguments_has(a, "since")) json_object_set_new(body, "since", json_integer(arguments_number(a, "since", 0)));
  if (arguments_has(a, "until")) json_object_set_new(body, "until", json_integer(arguments_number(a, "until", 0)));
  return body;
}

static enum exit_code show(const struct call *call, struct client *client) {
  const struct view_column columns[] = {{"stream", false}, {"state", false}, {"sequences", false},
      {view_zone_title("between"), false}, {"and", false}, {"why", false}};
  struct gaps gaps = {call, call->json ? NULL : view_new(columns, 6), json_array(), 0, 0};
  enum exit_code code = client_ask(client, ask(call), take, &gaps);
  view_print(gaps.view, SIZE_MAX, code ? NULL : "no stream is known here that you may read");
  json_decref(gaps.rows);
  return code == EXIT_CODE_DONE && gaps.wanting ? EXIT_CODE_WANTING : code;
}

static enum exit_code run(const struct call *call) {
  struct client *client;
  const struct arguments *a = call->arguments;
  if (arguments_has(a, "since") && arguments_has(a, "until") &&
      arguments_number(a, "until", 0) <= arguments_number(a, "since", 0))
    return verb_misused(call, "--until must be later than --since");
  enum exit_code code = client_open(&client, call->config);
  if (code == EXIT_CODE_DONE) code = show(call, client);
  client_close(client);
  return verb_written(code);
}

static const struct option_spec options[] = {
    {"since", OPTION_TIME, "T", "the period: received by its origin at or after T (default: all that is kept)"},
    {"until", OPTION_TIME, "T", "and before T (default: to the newest)"}, {0}};
const struct verb verb_gaps = {"gaps", "[STREAM] [--since T] [--until T]", "is a period complete, and what is missing",
    "A period of a stream is complete when a head or record at or after its end is here, heads came all the time, and\n"
    "every sequence is here, filtered by the agreement, or was discarded by the station itself. What is wanting is\n"
    "named: missing (it may still come), discarded (by whom, why), lost (with the station's old store), silent (a\n"
    "time without any head). Exit codes: 0 complete; 12 wanting.",
    options, 0, 1, run};
