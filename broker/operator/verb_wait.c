/* riverbus wait 'ADDRESS OP VALUE' */
#include "broker/operator/verb.h"
#include "broker/operator/watch.h"
#include "common/base/mem.h"
#include "common/base/units.h"
#include "common/record/block.h"
#include <stdio.h>
#include <stdlib.h>

#define TIMEOUT_US (600 * SECOND_US)
enum { WINDOW = 256 * 1024 };

struct wait {
  const struct call *call;
  struct client *client;
  const char *text; /* the condition, as it was written */
  char *address;
  struct command_condition condition;
  struct watch watch;
  json_t *newest; /* the reading the verdict is about, as JSON; NULL: none */
  uint64_t tail, snapshot;
  bool last;
  enum exit_code code;
};

static struct instant now(void) { return world_now(&world_system); }

/* ---- readings ---- */

static void keep(struct wait *wait, json_t *row) {
  json_decref(wait->newest);
  wait->newest = row;
}

static void take_record(struct wait *wait, const struct block *block, const struct record *record, enum lane lane) {
  struct buffer text = BUFFER_NULL;
  if (!bytes_equal(record->address, wait->condition.address)) return;
  if (!watch_take(&wait->watch, record->kind, record->quality, record->time, &record->value, now())) return;
  record_put_json(&text, record, BYTES_NULL, block->stream, block->epoch, lane);
  keep(wait, json_loadb((const char *)text.data, text.len, 0, NULL));
  buffer_deinit(&text);
}

static void on_records(void *ctx, uint64_t id, enum lane lane, uint64_t position, struct bytes bytes) {
  struct wait *wait = ctx;
  struct block block;
  struct block_reader *reader = NULL;
  struct record record;
  (void)position;
  if (id != wait->tail) return;
  client_credit(wait->client, id, bytes.len);
  if (block_open(&block, bytes) || block_reader_new(&reader, &block)) return;
  while (block_reader_next(reader, &record) == 0) take_record(wait, &block, &record, lane);
  block_reader_free(reader);
}

/* The value in a row of `last`, of the type that its JSON shows. */
static bool row_value(const json_t *value, struct buffer *text, struct value *out) {
  *out = (struct value){.type = VALUE_TEXT, .bytes = bytes_text(json_string_value(value))};
  if (!value || json_is_null(value)) return false;
  if (json_is_string(value)) return true;
  view_put_json(text, value);
  return value_parse(buffer_bytes(text), VALUE_NONE, out) == 0;
}

static void take_row(struct wait *wait, const json_t *row) {
  const char *address = json_string_value(json_object_get(row, "address")),
             *kind = json_string_value(json_object_get(row, "kind")),
             *quality = json_string_value(json_object_get(row, "quality")),
             *stamp = json_string_value(json_object_get(row, "time"));
  struct buffer text = BUFFER_NULL;
  struct value value;
  int64_t time;
  bool good = address && strcmp(address, wait->address) == 0 && stamp && units_rfc3339(bytes_text(stamp), &time) == 0 &&
              row_value(json_object_get(row, "value"), &text, &value);
  if (good && watch_take(&wait->watch, kind && strcmp(kind, "event") == 0 ? RECORD_EVENT : RECORD_READING,
                  quality && strcmp(quality, "good") == 0 ? QUALITY_GOOD : QUALITY_BAD, time, &value, now()))
    keep(wait, json_deep_copy(row));
  buffer_deinit(&text);
}

/* ---- what is asked: first the tail, and when that stands, the value there is: so nothing falls in between ---- */

static void begin(struct wait *wait) {
  json_t *body = json_pack("{s:s,s:[s]}", "verb", "tail", "patterns", wait->address);
  wait->snapshot = 0;
  wait->tail = client_request(wait->client, body, WINDOW);
}

static void on_reply(void *ctx, uint64_t id, const json_t *body, struct bytes text, bool last) {
  struct wait *wait = ctx;
  const json_t *rows = json_object_get(body, "last");
  if (id == wait->tail && json_object_get(body, "start"))
    wait->snapshot = client_request(
        wait->client, json_pack("{s:s,s:[s]}", "verb", "last", "patterns", wait->address), REQUEST_WINDOW_MAX);
  if (id == wait->tail && json_object_get(body, "units")) client_credit(wait->client, id, text.len);
  if (id == wait->snapshot)
    for (size_t i = 0; i < json_array_size(rows); i++) take_row(wait, json_array_get(rows, i));
  bool error = (id == wait->tail || id == wait->snapshot) && json_object_get(body, "error");
  if (!error && !(last && id == wait->tail)) return;
  wait->last = true;
  wait->code = complain_of_reply(body);
}

/* True: there is a session again. False: interrupted, out of time, or refused for good (code). */
static bool reconnect(struct wait *wait, int64_t until) {
  enum client_standing standing = CLIENT_TRIES;
  notice("%s; trying again until it stands", client_lost(wait->client));
  client_again(wait->client);
  watch_again(&wait->watch);
  while (standing == CLIENT_TRIES && !state_interrupted() && now().mono < until)
    standing = client_try(wait->client, NULL, 0, 200 * MILLISECOND_US);
  wait->last = standing == CLIENT_REFUSED;
  if (wait->last) wait->code = client_complain(wait->client);
  if (standing != CLIENT_STANDS) return false;
  notice("connected to %s again", client_endpoint(wait->client));
  begin(wait);
  return true;
}

/* ---- the end ---- */

static void print_met(const struct wait *wait) {
  if (wait->call->json)
    view_print_json(wait->newest);
  else
    printf("%s  %s  %s\n", view_time(wait->newest, "time"), wait->address, view_text(wait->newest, "value"));
}

static enum exit_code say_not_met(const struct wait *wait, const char *why) {
  const char *reason = view_text(wait->newest, "reason");
  if (!wait->newest)
    complain("not-found", "See what there is with: riverbus points", "%s does not hold %s: no value of %s is known",
        wait->text, why, wait->address);
  else
    complain(NULL, NULL, "%s does not hold %s: the last value is %s (%s%s%s), of %s", wait->text, why,
        view_text(wait->newest, "value"), view_text(wait->newest, "quality"), *reason ? ": " : "", reason,
        view_time(wait->newest, "time"));
  return EXIT_CODE_OPEN;
}

static enum exit_code say_incomparable(const struct wait *wait) {
  complain("type",
      "Compare with a value of the point's type (a text in quotes: \"5\"); numbers have an order, texts and booleans "
      "are equal (==) or not (!=).",
      "%s cannot come true: %s is %s", wait->text, wait->address, view_text(wait->newest, "value"));
  return EXIT_CODE_USAGE;
}

/* ---- the whole ---- */

static bool goes_on(const struct wait *wait, int64_t until) {
  struct instant at = now();
  return !wait->last && !wait->watch.incomparable && !state_interrupted() && at.mono < until &&
         !watch_is_met(&wait->watch, at);
}

static int64_t pause_us(const struct wait *wait, int64_t until) {
  struct instant at = now();
  int64_t left = until - at.mono, watched = watch_left(&wait->watch, at);
  if (watched < left) left = watched;
  return left < SECOND_US ? left : SECOND_US;
}

static enum exit_code follow(struct wait *wait) {
  int64_t until = verb_until(arguments_number(wait->call->arguments, "timeout", TIMEOUT_US));
  bool there = true;
  state_catch_signals();
  client_set_events(wait->client, &(struct client_events){wait, on_reply, on_records});
  begin(wait);
  while (there && goes_on(wait, until))
    if (!client_turn(wait->client, NULL, 0, pause_us(wait, until))) there = reconnect(wait, until);
  client_set_events(wait->client, &(struct client_events){0});
  if (wait->last) return wait->code;
  if (wait->watch.incomparable) return say_incomparable(wait);
  if (!watch_is_met(&wait->watch, now())) return say_not_met(wait, state_interrupted() ? "up to now" : "in time");
  print_met(wait);
  return EXIT_CODE_DONE;
}

static enum exit_code check(struct wait *wait, int64_t for_us, int64_t timeout_us) {
  const char *why = NULL;
  struct bytes text = bytes_text(wait->text);
  if (!bytes_is_utf8(text) || condition_parse(text, &wait->condition, &why) ||
      address_check(wait->condition.address, &why))
    return verb_misused(wait->call, "'%s' is no condition: %s ('ADDRESS OP VALUE', OP one of < <= > >= == !=)",
        wait->text, why ? why : "it is not UTF-8");
  if (timeout_us <= for_us) return verb_misused(wait->call, "--timeout must be longer than --for");
  wait->address = mem_text(wait->condition.address.data, wait->condition.address.len);
  return EXIT_CODE_DONE;
}

static enum exit_code run(const struct call *call) {
  const struct arguments *a = call->arguments;
  struct wait wait = {.call = call, .text = a->operands[0]};
  int64_t for_us = arguments_number(a, "for", 0);
  enum exit_code code = check(&wait, for_us, arguments_number(a, "timeout", TIMEOUT_US));
  if (code != EXIT_CODE_DONE) return code;
  watch_init(&wait.watch, &wait.condition, for_us);
  code = client_open(&wait.client, call->config);
  if (code == EXIT_CODE_DONE) code = follow(&wait);
  client_close(wait.client);
  json_decref(wait.newest);
  free(wait.address);
  return verb_written(code);
}

static const struct option_spec options[] = {
    {"for", OPTION_DURATION, "DURATION", "the condition must hold without break for so long (default: once is enough)"},
    {"timeout", OPTION_DURATION, "DURATION", "exit 9 where it does not come true in that time (default 10m)"}, {0}};
const struct verb verb_wait = {"wait", "'ADDRESS OP VALUE' [options]", "until a condition holds",
    "OP is one of < <= > >= == !=. Only values of good quality count. The last value counts as well, however old it "
    "is: how\n"
    "old a value may be before its quality changes is said by the station (stale-after). Goes on by itself when the\n"
    "broker comes back. Exit codes: 0 it holds, and the value is printed; 9 not in time.",
    options, 1, 1, run};
