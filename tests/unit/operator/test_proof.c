/* What a broker says of a command, beside the station's signed report: the word of the station counts, and nothing
 * else. */
#include "broker/operator/proof.h"
#include "common/command/ledger.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define GATE "chongqing/cuntan/gate-1/opening"
static struct identity *duty, *station, *other;
static struct public_key station_key;
static char station_name[] = "chongqing/cuntan";
static struct operator_station stations[1];
static struct operator_config config = {.stations = stations, .station_count = 1};
static struct buffer command_bytes, report_bytes;
static struct ledger_entry entry; /* as the broker holds it */

static int setup(void **state) {
  (void)state;
  const struct command command = {.verb = COMMAND_SET,
      .id = bytes_text("c1"),
      .address = bytes_text(GATE),
      .value = {.type = VALUE_NUMBER, .number = 40},
      .issued = 1000000,
      .deadline = 61000000};
  identity_generate(&duty);
  identity_generate(&station);
  identity_generate(&other);
  identity_public(station, &station_key);
  stations[0] = (struct operator_station){station_name, {&station_key, 1}};
  return command_sign(&command_bytes, &command, duty, NULL);
}

static int teardown(void **state) {
  (void)state;
  identity_free(duty);
  identity_free(station);
  identity_free(other);
  buffer_deinit(&command_bytes);
  buffer_deinit(&report_bytes);
  return 0;
}

/* What the station has reported, signed by `by`, and the broker's entry made of it. */
static void reported(enum state said, enum code code, const struct identity *by) {
  entry = LEDGER_ENTRY_NULL;
  entry.id = bytes_text("c1");
  entry.command = buffer_bytes(&command_bytes);
  entry.state = said;
  entry.code = code;
  entry.time = 2000000;
  entry.actual = (struct value){.type = VALUE_NUMBER, .number = 40.2};
  struct report report;
  ledger_to_report(&entry, &report);
  buffer_clear(&report_bytes);
  assert_int_equal(report_sign(&report_bytes, &report, by), 0);
  entry.report = buffer_bytes(&report_bytes);
}

static enum proof_verdict judge(struct proof *proof, const char *says) {
  struct buffer text = BUFFER_NULL, why = BUFFER_NULL;
  ledger_put_json(&text, &entry);
  json_t *state = json_loadb((const char *)text.data, text.len, 0, NULL);
  proof->config = &config;
  enum proof_verdict verdict = proof_judge(proof, state, &why);
  json_t *shown = proof_shown(state, verdict, buffer_text(&why));
  bool wrong = verdict == PROOF_WRONG || verdict == PROOF_PERSON;
  if (says && !strstr(buffer_text(&why), says)) fail_msg("\"%s\" is not in \"%s\"", says, buffer_text(&why));
  assert_string_equal(json_string_value(json_object_get(shown, "state")), wrong ? "unknown" : state_name(entry.state));
  assert_true(json_is_false(json_object_get(shown, "proven")) == wrong);
  assert_true(json_is_true(json_object_get(shown, "proven")) == (verdict == PROOF_GOOD));
  json_decref(state);
  json_decref(shown);
  buffer_deinit(&text);
  buffer_deinit(&why);
  return verdict;
}

static void what_the_station_says_is_proven(void **state) {
  (void)state;
  static const enum state said[] = {STATE_RECEIVED, STATE_DISPATCHED, STATE_ACTING, STATE_EXECUTED, STATE_FAILED,
      STATE_STOPPED, STATE_UNKNOWN, STATE_REJECTED, STATE_EXPIRED, STATE_CANCELLED, STATE_SUPERSEDED,
      STATE_UNDELIVERED};
  for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
    struct proof proof = {.id = "c1", .address = GATE, .has_digest = true};
    command_digest(buffer_bytes(&command_bytes), proof.digest);
    reported(said[i], CODE_NONE, station);
    assert_int_equal(judge(&proof, NULL), PROOF_GOOD);
    assert_true(proof.heard);
  }
}

static void every_lie_is_found(void **state) {
  (void)state;
  struct proof proof = {.id = "c1"}, digest = {.has_digest = true},
               elsewhere = {.address = "chongqing/cuntan/gate-2/opening"};
  struct proof another = {.id = "c2"};
  reported(STATE_FAILED, CODE_NOT_REACHED, station);
  entry.state = STATE_EXECUTED;
  assert_int_equal(judge(&proof, "says failed, not-reached"), PROOF_WRONG);
  entry.report = BYTES_NULL;
  assert_int_equal(judge(&proof, "no signed report"), PROOF_WRONG);
  reported(STATE_EXECUTED, CODE_NONE, other);
  assert_int_equal(judge(&proof, "which is not the station's key"), PROOF_WRONG);
  reported(STATE_EXECUTED, CODE_NONE, station);
  report_bytes.data[report_bytes.len / 2] ^= 1;
  assert_int_equal(judge(&proof, "does not fit"), PROOF_WRONG);
  reported(STATE_EXECUTED, CODE_NONE, station);
  assert_int_equal(judge(&digest, "other bytes"), PROOF_WRONG);
  assert_int_equal(judge(&elsewhere, "another point"), PROOF_WRONG);
  assert_int_equal(judge(&another, "another command"), PROOF_WRONG);
  entry.actual.number = 41;
  assert_int_equal(judge(&proof, "another measurement"), PROOF_WRONG);
  reported(STATE_EXECUTED, CODE_ALREADY, station);
  entry.code = CODE_NONE;
  assert_int_equal(judge(&proof, "another reason"), PROOF_WRONG);
  reported(STATE_EXECUTED, CODE_NONE, station);
  entry.state = STATE_UNKNOWN; /* it hides what it knows */
  assert_int_equal(judge(&proof, "says executed"), PROOF_WRONG);
  entry.state = STATE_CANCELLED;
  assert_int_equal(judge(&proof, "says executed"), PROOF_WRONG);
}

/* Its own refusals need nothing, until the station was heard: then it has handed the command over. */
static void what_a_broker_decides(void **state) {
  (void)state;
  struct proof proof = {.id = "c1"};
  static const enum state said[] = {STATE_ACCEPTED, STATE_APPROVAL, STATE_SENT, STATE_UNKNOWN, STATE_REJECTED,
      STATE_EXPIRED, STATE_CANCELLED, STATE_SUPERSEDED};
  for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
    reported(said[i], CODE_NONE, station);
    entry.report = BYTES_NULL;
    assert_int_equal(judge(&proof, NULL), PROOF_NONE);
  }
  reported(STATE_DISPATCHED, CODE_NONE, station);
  entry.state = STATE_UNKNOWN; /* its timer */
  entry.code = CODE_NO_ANSWER;
  assert_int_equal(judge(&proof, NULL), PROOF_NONE);
  entry.state = STATE_EXPIRED;
  entry.report = BYTES_NULL;
  assert_int_equal(judge(&proof, "no signed report"), PROOF_WRONG);
}

/* What a person resolved is the station's word once it has confirmed it; before that only who resolved it knows. */
static void what_a_person_resolved(void **state) {
  (void)state;
  struct proof follows = {.id = "c1"}, resolves = {.id = "c1", .resolved = STATE_EXECUTED};
  reported(STATE_UNKNOWN, CODE_NO_ANSWER, station);
  entry.state = STATE_EXECUTED;
  entry.code = CODE_RESOLVED;
  assert_int_equal(judge(&follows, "has not confirmed"), PROOF_PERSON);
  assert_int_equal(judge(&resolves, NULL), PROOF_NONE);
  entry.state = STATE_FAILED;
  assert_int_equal(judge(&resolves, "has not confirmed"), PROOF_PERSON);
  reported(STATE_UNDELIVERED, CODE_NO_LISTENER, station);
  entry.state = STATE_FAILED;
  entry.code = CODE_RESOLVED;
  assert_int_equal(judge(&follows, NULL), PROOF_GOOD);
  reported(STATE_FAILED, CODE_DEVICE, station);
  entry.state = STATE_EXECUTED;
  entry.code = CODE_RESOLVED;
  assert_int_equal(judge(&follows, "says failed, device"), PROOF_WRONG);
  assert_int_equal(judge(&resolves, "says failed, device"), PROOF_WRONG);
  reported(STATE_EXECUTED, CODE_RESOLVED, station);
  entry.message = bytes_text("resolved as moved by duty");
  assert_int_equal(judge(&follows, NULL), PROOF_GOOD);
  /* the station came to the same end by itself */
  reported(STATE_EXECUTED, CODE_NONE, station);
  entry.code = CODE_RESOLVED;
  entry.message = bytes_text("resolved as moved by duty");
  assert_int_equal(judge(&follows, NULL), PROOF_GOOD);
}

static void without_its_key_nothing_is_compared(void **state) {
  (void)state;
  struct proof proof = {.id = "c1"};
  reported(STATE_FAILED, CODE_NONE, station);
  entry.state = STATE_EXECUTED;
  station_name[strlen(station_name) - 1] = 'm';
  assert_int_equal(judge(&proof, NULL), PROOF_NONE);
  assert_true(proof.without_key);
  config.station_count = 0;
  proof.without_key = false;
  assert_int_equal(judge(&proof, NULL), PROOF_NONE);
  assert_false(proof.without_key);
  config.station_count = 1;
  station_name[strlen(station_name) - 1] = 'n';
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_the_station_says_is_proven),
      cmocka_unit_test(every_lie_is_found),
      cmocka_unit_test(what_a_broker_decides),
      cmocka_unit_test(what_a_person_resolved),
      cmocka_unit_test(without_its_key_nothing_is_compared),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
