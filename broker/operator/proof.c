#include "broker/operator/proof.h"
#include "broker/operator/encoded.h"
#include "common/command/report.h"

/* What is compared: what the node says, and the station's word beside it. */
struct comparing {
  struct proof *proof;
  const json_t *state;
  enum state said;
  enum code code;
  const struct config_keys *keys;
  struct buffer *why;
};

static const char *text_of(const json_t *object, const char *member) {
  const char *text = json_string_value(json_object_get(object, member));
  return text ? text : "";
}

static const struct config_keys *keys_of(const struct operator_config *config, const char *address) {
  for (size_t i = 0; i < config->station_count; i++) {
    const struct operator_station *station = &config->stations[i];
    size_t len = strlen(station->name);
    if (strncmp(address, station->name, len) == 0 && address[len] == '/') return &station->keys;
  }
  return NULL;
}

/* Nobody but the station knows these. */
static bool is_of_station(enum state state) {
  static const bool of_station[STATE_STATES] = {[STATE_RECEIVED] = true,
      [STATE_DISPATCHED] = true,
      [STATE_ACTING] = true,
      [STATE_EXECUTED] = true,
      [STATE_FAILED] = true,
      [STATE_STOPPED] = true,
      [STATE_UNDELIVERED] = true};
  return (unsigned)state < STATE_STATES && of_station[state];
}

static bool needs_report(const struct comparing *c) {
  return is_of_station(c->said) || (c->proof->heard && c->said != STATE_UNKNOWN);
}

static bool wrong(const struct comparing *c, const char *what) {
  buffer_printf(c->why, "%s", what);
  return false;
}

/* ---- is it the station's word about this command? ---- */

static bool is_about(const struct comparing *c, const struct report *report) {
  const struct proof *proof = c->proof;
  const char *id = proof->id ? proof->id : text_of(c->state, "id");
  const char *address = proof->address ? proof->address : text_of(c->state, "address");
  if (!bytes_equal(report->id, bytes_text(id)) || strcmp(id, text_of(c->state, "id")) != 0)
    return wrong(c, "the station's signed report with it is about another command");
  if (!bytes_equal(report->address, bytes_text(address)) || strcmp(address, text_of(c->state, "address")) != 0)
    return wrong(c, "the station's signed report with it is about another point");
  if (proof->has_digest && memcmp(report->digest, proof->digest, sizeof proof->digest) != 0)
    return wrong(c, "the station's signed report with it is about other bytes than were signed here");
  return true;
}

static bool is_stations(const struct comparing *c, struct report *report, struct bytes bytes) {
  char key[IDENTITY_KEY_TEXT + 1];
  int outcome = report_open(report, bytes);
  if (outcome == REPORT_VERSION) return wrong(c, "the report with it is of a version that this program does not know");
  if (outcome) return wrong(c, "the signature of the report with it does not fit");
  if (!config_keys_contain(c->keys, &report->key)) {
    public_key_text(&report->key, key);
    buffer_printf(c->why, "the report with it is signed with %s, which is not the station's key", key);
    return false;
  }
  return is_about(c, report);
}

/* ---- does it say the same? ---- */

static bool text_is(const json_t *state, const char *member, struct bytes text) {
  return bytes_equal(bytes_text(text_of(state, member)), text);
}

static bool value_is(const json_t *state, const char *member, const struct value *value) {
  struct buffer text = BUFFER_NULL;
  const json_t *said = json_object_get(state, member);
  value_put_json(&text, value);
  json_t *right = json_loadb((const char *)text.data, text.len, JSON_DECODE_ANY, NULL);
  bool same = said && right ? json_equal(said, right) : !said || json_is_null(said);
  json_decref(right);
  buffer_deinit(&text);
  return same;
}

/* A person's word about what nobody knew. */
static bool is_resolved(const struct comparing *c) {
  return c->code == CODE_RESOLVED && (c->said == STATE_EXECUTED || c->said == STATE_FAILED);
}

/* A person's resolve has the broker's own words beside the station's, and its reason stays where the station comes to
 * the same end by itself. */
static bool says_so(const struct comparing *c, const struct report *report) {
  const char *code = code_name(report->code);
  bool same = (is_resolved(c) ||
                  (text_is(c->state, "code", bytes_text(code)) && text_is(c->state, "message", report->message))) &&
              text_is(c->state, "device_message", report->device_message) &&
              value_is(c->state, "actual", &report->actual);
  return same || wrong(c, "the station's signed report gives another reason or another measurement");
}

static bool says_another(const struct comparing *c, const struct report *report) {
  const char *code = code_name(report->code);
  buffer_printf(
      c->why, "the station's signed report says %s%s%s", state_name(report->state), code ? ", " : "", code ? code : "");
  return false;
}

static enum proof_verdict judge_resolved(const struct comparing *c) {
  if (c->said == c->proof->resolved) return PROOF_NONE;
  (void)wrong(c, "that is a person's word, which the station has not confirmed yet");
  return PROOF_PERSON;
}

/* That it did not move is what a person may have found, and the station knows more exactly. */
static bool is_finer(const struct comparing *c, enum state reported) {
  return is_resolved(c) && c->said == STATE_FAILED && state_is_final(reported) && reported != STATE_EXECUTED &&
         reported != STATE_STOPPED && reported != STATE_UNKNOWN;
}

/* The report of an earlier state: only the broker's `unknown` may come after it, when no more was heard in time, or a
 * person's word. */
static enum proof_verdict judge_earlier(const struct comparing *c, const struct report *report) {
  bool open = state_is_open(report->state);
  if (is_resolved(c) && (open || report->state == STATE_UNKNOWN)) return judge_resolved(c);
  if (c->said == STATE_UNKNOWN && open) return PROOF_NONE;
  if (is_finer(c, report->state)) return PROOF_GOOD;
  (void)says_another(c, report);
  return PROOF_WRONG;
}

static enum proof_verdict judge_report(const struct comparing *c, struct bytes bytes) {
  struct report report;
  if (!is_stations(c, &report, bytes)) return PROOF_WRONG;
  c->proof->heard = true;
  if (report.state != c->said) return judge_earlier(c, &report);
  return says_so(c, &report) ? PROOF_GOOD : PROOF_WRONG;
}

static enum proof_verdict judge_none(const struct comparing *c) {
  if (is_resolved(c)) return judge_resolved(c);
  if (!needs_report(c)) return PROOF_NONE;
  (void)wrong(c, "no signed report of the station is with it");
  return PROOF_WRONG;
}

enum proof_verdict proof_judge(struct proof *proof, const json_t *state, struct buffer *why) {
  struct buffer bytes = BUFFER_NULL;
  const char *code = json_string_value(json_object_get(state, "code"));
  const char *address = proof->address ? proof->address : text_of(state, "address");
  struct comparing c = {proof, state, state_parse(bytes_text(text_of(state, "state"))),
      code ? code_parse(bytes_text(code)) : CODE_NONE, keys_of(proof->config, address), why};
  if (!c.keys) {
    proof->without_key = proof->without_key || (proof->config->station_count > 0 && is_of_station(c.said));
    return PROOF_NONE;
  }
  enum proof_verdict verdict =
      encoded_read(json_object_get(state, "report"), &bytes) ? judge_report(&c, buffer_bytes(&bytes)) : judge_none(&c);
  buffer_deinit(&bytes);
  return verdict;
}

json_t *proof_shown(const json_t *state, enum proof_verdict verdict, const char *why) {
  json_t *shown = json_copy((json_t *)(uintptr_t)state);
  json_object_set_new(shown, "proven", verdict == PROOF_NONE ? json_null() : json_boolean(verdict == PROOF_GOOD));
  if (verdict == PROOF_NONE || verdict == PROOF_GOOD) return shown;
  const char *said = text_of(state, "state"), *code = text_of(state, "code");
  json_object_set_new(
      shown, "message", json_sprintf("the broker says %s%s%s, but %s", said, *code ? ", " : "", code, why));
  json_object_set_new(shown, "said", json_string(said));
  json_object_set_new(shown, "state", json_string(state_name(STATE_UNKNOWN)));
  json_object_set_new(shown, "code", json_null());
  json_object_set_new(shown, "hint",
      json_string(verdict == PROOF_PERSON ? "follow it again when the station is connected"
                                          : "do not act on it; ask at the station itself"));
  return shown;
}
