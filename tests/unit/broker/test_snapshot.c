/* Snapshots from one catalogue into another: what the rules of both sides let pass, in pieces, each sent until taken.
 */
#include "broker/snapshot.h"
#include "common/record/onward.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { POINTS = 500 };
static struct catalogue here, there;
static struct peer_rules ours, theirs;
static struct snapshot snapshot;
static struct granted granted;
static const struct snapshot_of of = {&here, &granted, &ours};

static void put(struct catalogue *catalogue, const char *stream, const char *address, enum record_kind kind,
    const char *text, uint64_t sequence) {
  struct record record = {.kind = kind,
      .address = bytes_text(address),
      .time = 1000,
      .received = 1000,
      .sequence = sequence,
      .value = {.type = VALUE_TEXT, .bytes = bytes_text(text)}};
  catalogue_take(catalogue, &record, bytes_text(stream), (struct epoch){1, 2}, LANE_LIVE);
}

static struct half *our_half, *their_half, *all_accepted;

static struct half *half_with(const char *node, const char *peer, const char *word, const char *line) {
  struct half *half;
  struct buffer text = BUFFER_NULL;
  buffer_printf(&text, "riverbus-agreement\t1\t%s\t%s\n%s\t%s\n", node, peer, word, line);
  assert_int_equal(half_new(&half, buffer_bytes(&text), bytes_text(node), bytes_text(peer), NULL), 0);
  buffer_deinit(&text);
  return half;
}

static void begin(const char *share, const char *accept) {
  catalogue_init(&here);
  catalogue_init(&there);
  our_half = half_with("chongqing", "hubei", "share", share);
  all_accepted = half_with("hubei", "chongqing", "accept", "#");
  their_half = half_with("hubei", "chongqing", "accept", accept);
  ours = (struct peer_rules){
      .node = bytes_text("chongqing"), .peer = bytes_text("hubei"), .ours = our_half, .theirs = all_accepted};
  theirs = (struct peer_rules){
      .node = bytes_text("hubei"), .peer = bytes_text("chongqing"), .ours = their_half, .theirs = our_half};
  for (int i = 0; i < POINTS; i++) {
    char address[64];
    snprintf(address, sizeof address, "chongqing/cuntan/gauge-%d/%s", i, i % 2 ? "flow" : "level");
    put(&here, "chongqing/cuntan", address, RECORD_DESCRIPTOR, "{\"unit\":\"m\"}", 1);
    put(&here, "chongqing/cuntan", address, RECORD_READING, "high", 2);
  }
  put(&here, "hubei/fankou", "hubei/fankou/gauge-1/level", RECORD_READING, "theirs", 1);
  snapshot_begin(&snapshot);
}

static void finish(void) {
  snapshot_end(&snapshot);
  catalogue_deinit(&here);
  catalogue_deinit(&there);
  half_free(our_half);
  half_free(their_half);
  half_free(all_accepted);
}

/* Everything that is sent is taken at once; how many pieces there were. */
static unsigned pass_all(void) {
  unsigned pieces = 0;
  bool last = false;
  for (int64_t now = 1; snapshot.runs && now < 10000; now++) {
    struct bytes piece = snapshot_due(&snapshot, &of, now);
    if (!piece.len) continue;
    assert_false(last);
    assert_true(piece.len <= SNAPSHOT_BYTES);
    assert_true(snapshot_take(&there, &theirs, piece, &last));
    snapshot_sent(&snapshot, now);
    snapshot_taken(&snapshot);
    pieces++;
  }
  assert_true(last && !snapshot.runs);
  return pieces;
}

static void test_what_the_rules_select(void **state) {
  (void)state;
  begin("chongqing/+/+/level", "chongqing/#");
  assert_true(pass_all() > 1);
  assert_int_equal(there.count, POINTS / 2);
  for (size_t i = 0; i < there.count; i++) {
    assert_int_equal(there.points[i]->has_last, true);
    assert_string_equal(there.points[i]->unit, "m");
  }
  assert_null(catalogue_find(&there, bytes_text("chongqing/cuntan/gauge-1/flow")));
  assert_null(catalogue_find(&there, bytes_text("hubei/fankou/gauge-1/level")));
  assert_true(catalogue_take_dirty(&there, 0)); /* it goes into the checkpoint */
  finish();
}

static void test_what_is_not_accepted(void **state) {
  (void)state;
  begin("chongqing/#", "chongqing/+/gauge-7/#");
  pass_all();
  assert_int_equal(there.count, 1);
  finish();
}

/* Of the receiver's own province nothing is taken, and nothing that is not below its stream. */
static void test_a_neighbour_that_lies(void **state) {
  (void)state;
  begin("#", "#");
  ours.node = bytes_text("hubei"); /* our catalogue as a liar sends it: streams of the receiver itself */
  pass_all();
  assert_int_equal(there.count, 0);
  finish();
  begin("#", "#");
  put(&here, "chongqing/other", "chongqing/cuntan/gauge-x/level", RECORD_READING, "x", 1); /* not below its stream */
  pass_all();
  assert_int_equal(there.count, POINTS);
  finish();
}

/* What is thinned, late or not accepted comes by no snapshot; that there is such a point does, unless it was described
 * only when the rule had ended. */
static void test_values_that_wait(void **state) {
  (void)state;
  static const char *const rules[] = {"chongqing/#\tevery\t5", "chongqing/#\tdelay\t5"};
  for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
    begin(rules[i], "#");
    pass_all();
    assert_int_equal(there.count, POINTS);
    assert_false(there.points[0]->has_last);
    assert_string_equal(there.points[0]->unit, "m");
    finish();
  }
  for (int ended = 0; ended < 2; ended++) {
    begin(ended ? "chongqing/#\tuntil\t1000" : "chongqing/#\tuntil\t1001", "#");
    pass_all();
    assert_int_equal(there.count, ended ? 0 : POINTS);
    finish();
  }
  begin("chongqing/#", "#");
  ours.theirs = NULL; /* not told yet */
  assert_int_equal(pass_all(), 1);
  assert_int_equal(there.count, 0);
  finish();
}

/* Points of a third province: what its grants let come to the neighbour, by transit, if it accepts it. */
static void test_third_provinces(void **state) {
  (void)state;
  static const struct {
    const char *transit, *node, *pattern;
    bool told;
  } rows[] = {{"sichuan/#", "hubei", "sichuan/+/+/level", true},
      {"sichuan/#", "hubei", "sichuan/+/+/level", true}, /* the value came without the grants: thinned comes later */
      {"sichuan/#", "anhui", "sichuan/#", false}, {"sichuan/other/#", "hubei", "sichuan/#", false},
      {"sichuan/#", "hubei", "sichuan/zipingpu/+/flow", false}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char rules[64];
    struct buffer grants = BUFFER_NULL;
    struct bytes node = bytes_text(rows[i].node);
    snprintf(rules, sizeof rules, "chongqing/no\ntransit\t%s", rows[i].transit);
    begin(rules, "sichuan/#");
    put(&here, "sichuan/zipingpu", "sichuan/zipingpu/gauge-1/level", RECORD_DESCRIPTOR, "{\"unit\":\"m\"}", 1);
    put(&here, "sichuan/zipingpu", "sichuan/zipingpu/gauge-1/level", RECORD_READING, "high", 2);
    assert_int_equal(onward_add(&grants, bytes_text(rows[i].pattern), &node, 1), 0);
    assert_true(granted_note(&granted, bytes_text("sichuan/zipingpu"), buffer_bytes(&grants)));
    assert_false(granted_note(&granted, bytes_text("sichuan/zipingpu"), buffer_bytes(&grants)));
    here.points[POINTS + 1]->onward = onward_digest(i == 0 ? buffer_bytes(&grants) : BYTES_NULL);
    pass_all();
    assert_int_equal(there.count, rows[i].told);
    if (rows[i].told) assert_true(there.points[0]->has_last == (i == 0) && strcmp(there.points[0]->unit, "m") == 0);
    buffer_deinit(&grants);
    granted_deinit(&granted);
    peer_rules_deinit(&ours);
    finish();
  }
}

static void test_nothing_to_tell(void **state) {
  (void)state;
  begin("chongqing/nowhere/#", "#");
  assert_int_equal(pass_all(), 1); /* that it was all */
  assert_int_equal(there.count, 0);
  finish();
}

/* The stream is newer than the snapshot: its values stay. */
static void test_the_newer_value_stays(void **state) {
  (void)state;
  begin("#", "#");
  put(&there, "chongqing/cuntan", "chongqing/cuntan/gauge-0/level", RECORD_READING, "newer", 3);
  pass_all();
  const struct catalogue_point *point = catalogue_find(&there, bytes_text("chongqing/cuntan/gauge-0/level"));
  assert_true(bytes_equal(point->value.bytes, bytes_text("newer")));
  assert_string_equal(point->unit, "m");
  finish();
}

static void test_repeated_until_taken(void **state) {
  (void)state;
  begin("#", "#");
  int64_t now = 1;
  size_t len = snapshot_due(&snapshot, &of, now).len;
  snapshot_sent(&snapshot, now);
  assert_int_equal(snapshot_due(&snapshot, &of, now + 1).len, 0); /* one at a time */
  for (int i = 0; i < SNAPSHOT_REPEATS; i++) {
    now += SNAPSHOT_REPEAT_US;
    assert_int_equal(snapshot_due(&snapshot, &of, now).len, len);
    snapshot_sent(&snapshot, now);
  }
  assert_int_equal(snapshot_due(&snapshot, &of, now + SNAPSHOT_REPEAT_US).len, 0);
  assert_false(snapshot.runs); /* somebody who knows no snapshots */
  finish();
}

static void test_malformed(void **state) {
  (void)state;
  begin("#", "#");
  bool last;
  struct bytes piece = snapshot_due(&snapshot, &of, 1);
  for (size_t len = 0; len < 200; len++) {
    uint8_t *copy = malloc(len + 1);
    memcpy(copy, piece.data, len);
    snapshot_take(&there, &theirs, bytes_of(copy, len), &last);
    free(copy);
  }
  assert_false(snapshot_take(&there, &theirs, BYTES_NULL, &last));
  finish();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_what_the_rules_select),
      cmocka_unit_test(test_what_is_not_accepted),
      cmocka_unit_test(test_a_neighbour_that_lies),
      cmocka_unit_test(test_values_that_wait),
      cmocka_unit_test(test_third_provinces),
      cmocka_unit_test(test_nothing_to_tell),
      cmocka_unit_test(test_the_newer_value_stays),
      cmocka_unit_test(test_repeated_until_taken),
      cmocka_unit_test(test_malformed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
