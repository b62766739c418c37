#include "broker/operator/receipts.h"
#include "broker/operator/encoded.h"
#include "common/base/units.h"
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum receipt_state {
  RECEIPT_STATE_CONFIRMED,
  RECEIPT_STATE_WAITING,
  RECEIPT_STATE_UNCONFIRMED,
  RECEIPT_STATE_DISPUTED
};
struct receipt_judged {
  struct buffer bytes, answer_bytes;
  struct receipt receipt;       /* views of bytes; without parts where it cannot be read */
  struct receipt_answer answer; /* views of answer_bytes; time 0: none */
  enum receipt_state state;
  char why[RECEIPT_WHY_MAX + 128]; /* empty: confirmed by both, or waiting */
};

/* ---- judging ---- */

__attribute__((format(printf, 3, 4))) static void say(
    struct receipt_judged *judged, enum receipt_state state, const char *format, ...) {
  va_list arguments;
  judged->state = state;
  va_start(arguments, format);
  vsnprintf(judged->why, sizeof judged->why, format, arguments);
  va_end(arguments);
}

static bool counts(const struct public_key *key, const json_t *keys, const struct config_keys *pinned) {
  char text[IDENTITY_KEY_TEXT + 1];
  if (pinned->count) return config_keys_contain(pinned, key);
  public_key_text(key, text);
  for (size_t i = 0; i < json_array_size(keys); i++)
    if (json_is_string(json_array_get(keys, i)) && strcmp(json_string_value(json_array_get(keys, i)), text) == 0)
      return true;
  return false;
}

static bool names_are(struct bytes taker, struct bytes giver, const char *node, const char *peer, bool given) {
  return bytes_equal(taker, bytes_text(given ? peer : node)) && bytes_equal(giver, bytes_text(given ? node : peer));
}

static void judge_answer(
    struct receipt_judged *judged, const char *node, const json_t *row, const struct config_keys *pinned, bool given) {
  struct receipt_answer *answer = &judged->answer;
  uint8_t digest[RECEIPT_HASH];
  receipt_digest(buffer_bytes(&judged->bytes), digest);
  if (receipt_answer_open(answer, buffer_bytes(&judged->answer_bytes)))
    say(judged, RECEIPT_STATE_DISPUTED, "the signature of the answer does not fit");
  else if (!counts(&answer->key, json_object_get(row, given ? "keys" : "peer_keys"), pinned))
    say(judged, RECEIPT_STATE_DISPUTED, "the answer is signed by a key that does not count");
  else if (answer->number != judged->receipt.number || memcmp(answer->digest, digest, RECEIPT_HASH) != 0 ||
           !names_are(answer->taker, answer->giver, node, view_text(row, "peer"), given))
    say(judged, RECEIPT_STATE_DISPUTED, "the answer was signed about another receipt");
  else if (answer->verdict != RECEIPT_CONFIRMED)
    say(judged, answer->verdict == RECEIPT_DISPUTED ? RECEIPT_STATE_DISPUTED : RECEIPT_STATE_UNCONFIRMED, BYTES_FMT,
        BYTES_ARG(answer->why));
  else
    say(judged, RECEIPT_STATE_CONFIRMED, "%s", "");
}

/* What a row of `node` comes to. pinned: the keys that count; empty: those that the row names. Pure. */
static void receipts_judge(
    struct receipt_judged *judged, const char *node, const json_t *row, const struct config_keys *pinned) {
  bool given = strcmp(view_text(row, "direction"), "given") == 0;
  *judged = (struct receipt_judged){.bytes = BUFFER_NULL};
  if (!encoded_read(json_object_get(row, "receipt"), &judged->bytes) ||
      receipt_open(&judged->receipt, buffer_bytes(&judged->bytes)))
    say(judged, RECEIPT_STATE_DISPUTED, "the signature of the receipt does not fit");
  else if (!counts(&judged->receipt.key, json_object_get(row, given ? "peer_keys" : "keys"), pinned))
    say(judged, RECEIPT_STATE_DISPUTED, "the receipt is signed by a key that does not count");
  else if (!names_are(judged->receipt.taker, judged->receipt.giver, node, view_text(row, "peer"), given))
    say(judged, RECEIPT_STATE_DISPUTED, "the receipt is about others");
  else if (!encoded_read(json_object_get(row, "answer"), &judged->answer_bytes))
    say(judged, RECEIPT_STATE_WAITING, "%s", "");
  else
    judge_answer(judged, node, row, pinned, given);
}

static void receipt_judged_deinit(struct receipt_judged *judged) {
  receipt_deinit(&judged->receipt);
  buffer_deinit(&judged->bytes);
  buffer_deinit(&judged->answer_bytes);
}

/* ---- showing ---- */

static const char *const state_names[] = {"confirmed", "waiting", "unconfirmed", "disputed"};
static const char *const state_words[] = {
    "confirmed by both", "waiting for the answer", "cannot be confirmed", "disputed"};
static const char *const state_colours[] = {"green", "yellow", "yellow", "red"};

struct receipts {
  const struct call *call;
  struct client *client;
  const struct config_keys *pinned;
  struct view *view;
  bool wanting;
};

static json_t *time_json(int64_t us) {
  struct buffer text = BUFFER_NULL;
  if (us) units_put_rfc3339(&text, us);
  json_t *out = us ? json_string(buffer_text(&text)) : json_null();
  buffer_deinit(&text);
  return out;
}

static json_t *part_json(const struct receipt_part *part) {
  char hash[2 * RECEIPT_HASH + 1];
  struct buffer epoch = BUFFER_NULL;
  json_t *ranges = json_array();
  for (size_t i = 0; i < part->ranges.count; i++)
    json_array_append_new(
        ranges, json_pack("[I,I]", (json_int_t)part->ranges.items[i].from, (json_int_t)part->ranges.items[i].to));
  sodium_bin2hex(hash, sizeof hash, part->hash, RECEIPT_HASH);
  epoch_put_text(&epoch, part->epoch);
  json_t *out = json_pack("{s:o,s:s,s:I,s:o,s:s}", "stream",
      json_stringn((const char *)part->stream.data, part->stream.len), "epoch", buffer_text(&epoch), "records",
      (json_int_t)intervals_size(&part->ranges), "ranges", ranges, "hash", hash);
  buffer_deinit(&epoch);
  return out;
}

static json_t *row_json(const json_t *row, const struct receipt_judged *judged) {
  json_t *streams = json_array(), *out = json_object();
  for (size_t i = 0; i < judged->receipt.part_count; i++)
    json_array_append_new(streams, part_json(&judged->receipt.parts[i]));
  json_object_set(out, "peer", json_object_get(row, "peer"));
  json_object_set(out, "direction", json_object_get(row, "direction"));
  json_object_set_new(out, "number", json_integer((json_int_t)judged->receipt.number));
  json_object_set_new(out, "from", time_json(judged->receipt.from));
  json_object_set_new(out, "to", time_json(judged->receipt.to));
  json_object_set_new(out, "records", json_integer((json_int_t)judged->receipt.records));
  json_object_set_new(out, "streams", streams);
  json_object_set_new(out, "state", json_string(state_names[judged->state]));
  json_object_set_new(out, "why", judged->why[0] ? json_string(judged->why) : json_null());
  json_object_set_new(out, "answered", time_json(judged->answer.time));
  json_object_set(out, "receipt", json_object_get(row, "receipt"));
  json_object_set(out, "answer", json_object_get(row, "answer"));
  return out;
}

static void add_row(struct receipts *receipts, const json_t *shown, const struct receipt_judged *judged) {
  char streams[24], records[24];
  struct buffer state = BUFFER_NULL;
  json_t *why = json_pack("{s:s}", "why", judged->why);
  snprintf(streams, sizeof streams, "%zu", judged->receipt.part_count);
  snprintf(records, sizeof records, "%" PRIu64, judged->receipt.records);
  buffer_printf(&state, "%s%s%s", state_words[judged->state], judged->why[0] ? ": " : "", view_text(why, "why"));
  const char *cells[] = {view_time(shown, "from"), view_time(shown, "to"), view_text(shown, "peer"),
      view_text(shown, "direction"), streams, records, buffer_text(&state)};
  view_add(receipts->view, cells, 6, state_colours[judged->state]);
  json_decref(why);
  buffer_deinit(&state);
}

static void take(void *ctx, const json_t *reply) {
  struct receipts *receipts = ctx;
  const json_t *rows = json_object_get(reply, "receipts");
  for (size_t i = 0; i < json_array_size(rows); i++) {
    const json_t *row = json_array_get(rows, i);
    struct receipt_judged judged;
    receipts_judge(&judged, client_node(receipts->client), row, receipts->pinned);
    receipts->wanting = receipts->wanting || judged.state == RECEIPT_STATE_DISPUTED;
    json_t *shown = row_json(row, &judged);
    if (receipts->call->json)
      view_print_json(shown);
    else
      add_row(receipts, shown, &judged);
    json_decref(shown);
    receipt_judged_deinit(&judged);
  }
}

enum exit_code receipts_show(const struct call *call, struct client *client, const struct config_keys *pinned) {
  const struct view_column columns[] = {{view_zone_title("from"), false}, {"to", false}, {"neighbour", false},
      {"direction", false}, {"streams", true}, {"records", true}, {"state", false}};
  struct receipts receipts = {call, client, pinned, call->json ? NULL : view_new(columns, 7), false};
  json_t *body =
      json_pack("{s:s,s:I}", "verb", "receipts", "since", (json_int_t)arguments_number(call->arguments, "since", 0));
  enum exit_code code = client_ask(client, body, take, &receipts);
  view_print(receipts.view, SIZE_MAX, code ? NULL : "no receipt was made yet: they are made each full hour");
  return code == EXIT_CODE_DONE && receipts.wanting ? EXIT_CODE_WANTING : code;
}
