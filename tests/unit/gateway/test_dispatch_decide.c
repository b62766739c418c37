/* Cancel, resolve, supersede, and the truth that comes late. See scene.h. */
#include "tests/unit/gateway/scene.h"

static void decision_by(uint8_t verb, const struct buffer *command, const struct identity *by) {
  struct buffer decision = BUFFER_NULL;
  decide(&decision, verb, buffer_bytes(command), by);
  dispatch_message(scene.dispatch, SETTLE_DECISION, buffer_bytes(&decision), now);
  buffer_deinit(&decision);
}
static void decision(uint8_t verb, const struct buffer *command) { decision_by(verb, command, scene.chief); }

/* A command whose outcome nobody knows. */
static void unknown(struct buffer *kept) {
  order_kept((struct ask){.id = "u1", .address = GATE, .value = NUMBER(40)}, kept);
  settle();
  wait_for(120 * SECOND_US);
  expect("received dispatched unknown/no-answer");
  buffer_clear(&scene.published);
}

static void test_cancel(void **state) {
  struct buffer kept = BUFFER_NULL;
  (void)state;
  order_kept((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40)}, &kept);
  commit(1000);
  decision(DECISION_CANCEL, &kept); /* `received` is being committed */
  settle();
  expect("received cancelled/cancelled");
  assert_string_equal(buffer_text(&scene.message), "chief cancelled it; seen by Li");
  expect_published("");
  order_kept((struct ask){.id = "c2", .address = GATE, .value = NUMBER(40)}, &kept);
  settle();
  decision(DECISION_CANCEL, &kept); /* too late: how it stands is said once more */
  settle();
  expect("received dispatched dispatched");
  pass(SECOND_US);
  measure(40);
  expect("executed");
  buffer_clear(&scene.published);
  buffer_deinit(&kept);
}

/* It waits for a clock that is not compared yet. */
static void test_cancel_while_it_waits(void **state) {
  struct buffer kept = BUFFER_NULL;
  (void)state;
  order_kept((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40)}, &kept);
  commit(1000);
  commit(1);
  scene.offset_known = false;
  crash();
  settle();
  decision(DECISION_CANCEL, &kept);
  settle();
  expect("received cancelled/cancelled");
  expect_published("");
  buffer_deinit(&kept);
}

static void test_resolve(void **state) {
  struct buffer kept = BUFFER_NULL;
  (void)state;
  unknown(&kept);
  decision_by(DECISION_RESOLVE_MOVED, &kept, scene.stranger);
  settle();
  expect("unknown/no-answer"); /* refused, and said once more */
  give((struct ask){.id = "c2", .address = GATE, .value = NUMBER(50)});
  expect("rejected/locked");
  decision(DECISION_RESOLVE_MOVED, &kept);
  settle();
  expect("executed/resolved");
  assert_string_equal(buffer_text(&scene.message), "chief has looked: the device did it; seen by Li");
  decision(DECISION_RESOLVE_NOT_MOVED, &kept); /* once only */
  settle();
  expect("executed/resolved");
  give((struct ask){.id = "c3", .address = GATE, .value = NUMBER(50)});
  expect("received dispatched");
  buffer_clear(&scene.published);
  buffer_deinit(&kept);
}

/* Two persons' words while the store is busy: the one that was signed later counts, whichever comes first; and an older
 * one that is brought again changes nothing. */
static void two_words(bool later_first) {
  struct buffer kept = BUFFER_NULL, first = BUFFER_NULL, second = BUFFER_NULL;
  order_kept((struct ask){.id = "u1", .address = GATE, .value = NUMBER(40)}, &kept);
  settle();
  pass(120 * SECOND_US);
  (void)dispatch_tick(scene.dispatch, now); /* `unknown` is being committed */
  decide(&first, DECISION_RESOLVE_MOVED, buffer_bytes(&kept), scene.duty);
  pass(1);
  decide(&second, DECISION_RESOLVE_NOT_MOVED, buffer_bytes(&kept), scene.chief);
  const struct buffer *in_order[] = {later_first ? &second : &first, later_first ? &first : &second, &first, &second};
  for (size_t i = 0; i < 4; i++) dispatch_message(scene.dispatch, SETTLE_DECISION, buffer_bytes(in_order[i]), now);
  settle();
  expect("received dispatched unknown/no-answer failed/resolved");
  assert_string_equal(buffer_text(&scene.message), "chief has looked: the device did not do it; seen by Li");
  dispatch_message(scene.dispatch, SETTLE_DECISION, buffer_bytes(&first), now);
  settle();
  expect("failed/resolved");
  buffer_clear(&scene.published);
  buffer_deinit(&first);
  buffer_deinit(&second);
  buffer_deinit(&kept);
}
static void test_the_later_word_last(void **state) {
  (void)state;
  two_words(false);
}
static void test_the_later_word_first(void **state) {
  (void)state;
  two_words(true);
}

static bool count_decision(void *ctx, struct bytes key, struct bytes value) {
  struct store_audit row;
  struct bytes bytes;
  struct audit_entry entry;
  assert_true(store_audit_row(key, value, &row, &bytes));
  assert_int_equal(audit_read(&entry, bytes), 0);
  *(size_t *)ctx += entry.kind == AUDIT_DECISION;
  return true;
}

/* The broker says it again until it knows better; the audit log, which is kept for good, holds it once. */
static void test_a_refused_decision_is_noted_once(void **state) {
  struct buffer kept = BUFFER_NULL, bytes = BUFFER_NULL;
  struct dispatch_stats stats;
  size_t noted = 0;
  (void)state;
  unknown(&kept);
  decide(&bytes, DECISION_RESOLVE_MOVED, buffer_bytes(&kept), scene.stranger);
  for (int i = 0; i < 3; i++) {
    dispatch_message(scene.dispatch, SETTLE_DECISION, buffer_bytes(&bytes), now);
    settle();
    expect("unknown/no-answer"); /* how it stands is said each time */
  }
  pass(SECOND_US);
  decision_by(DECISION_RESOLVE_MOVED, &kept, scene.stranger); /* signed anew */
  settle();
  expect("unknown/no-answer");
  assert_int_equal(store_scan(scene.store, STORE_AUDIT, count_decision, &noted), 0);
  assert_int_equal(noted, 2);
  dispatch_stats(scene.dispatch, &stats);
  assert_int_equal(stats.decisions_refused, 4);
  buffer_deinit(&bytes);
  buffer_deinit(&kept);
}

static void test_resolve_not_moved(void **state) {
  struct buffer kept = BUFFER_NULL;
  (void)state;
  unknown(&kept);
  wait_for(24 * 3600 * SECOND_US);
  crash(); /* it is locked for as long as nobody looks */
  give((struct ask){.id = "c2", .address = GATE, .value = NUMBER(50)});
  expect("rejected/locked");
  decision(DECISION_RESOLVE_NOT_MOVED, &kept);
  settle();
  expect("failed/resolved");
  crash();
  give((struct ask){.id = "c3", .address = GATE, .value = NUMBER(50)});
  expect("received dispatched");
  buffer_clear(&scene.published);
  buffer_deinit(&kept);
}

/* What the gateway knows stands against what a person says. */
static void test_own_truth_stands(void **state) {
  struct buffer kept = BUFFER_NULL;
  (void)state;
  unknown(&kept);
  answer(GATE, "u1", false, "jammed");
  expect("failed/device");
  decision(DECISION_RESOLVE_MOVED, &kept);
  settle();
  expect("failed/device");
  wait_for(3600 * SECOND_US);
  decision(DECISION_RESOLVE_MOVED, &kept); /* out of the store */
  settle();
  expect("failed/device");
  buffer_deinit(&kept);
}

/* The broker gave up waiting, and a person resolved; here it is still under way, and that counts. */
static void test_resolve_of_one_under_way(void **state) {
  struct buffer kept = BUFFER_NULL;
  (void)state;
  order_kept((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40)}, &kept);
  settle();
  decision(DECISION_RESOLVE_NOT_MOVED, &kept);
  settle();
  expect("received dispatched dispatched");
  pass(SECOND_US);
  measure(40);
  expect("executed");
  buffer_clear(&scene.published);
  buffer_deinit(&kept);
}

static void test_decision_about_nothing(void **state) {
  struct buffer kept = BUFFER_NULL, other = BUFFER_NULL, bytes = BUFFER_NULL;
  struct dispatch_stats stats;
  (void)state;
  sign(&kept, &(struct ask){.id = "n1", .address = GATE, .value = NUMBER(40)});
  decision(DECISION_CANCEL, &kept);
  settle();
  assert_string_equal(buffer_text(&scene.nevers), "n1 ");
  deliver(buffer_bytes(&kept)); /* a late copy is not taken */
  settle();
  expect("expired/not-received");
  unknown(&other);
  buffer_clear(&kept);
  sign(&kept, &(struct ask){.id = "u1", .address = GATE, .value = NUMBER(41)});
  decision(DECISION_RESOLVE_MOVED, &kept); /* of the same id, about other content */
  settle();
  expect("unknown/no-answer");
  decide(&bytes, DECISION_RESOLVE_MOVED, buffer_bytes(&other), scene.chief);
  bytes.data[bytes.len - 1] ^= 1;
  dispatch_message(scene.dispatch, SETTLE_DECISION, buffer_bytes(&bytes), now);
  buffer_clear(&bytes);
  decide(&bytes, DECISION_APPROVE, buffer_bytes(&other), scene.chief);
  dispatch_message(scene.dispatch, SETTLE_DECISION, buffer_bytes(&bytes), now);
  settle();
  expect("");
  dispatch_stats(scene.dispatch, &stats);
  assert_true(stats.forged == 1 && stats.malformed == 1 && stats.decisions == 0 && stats.decisions_refused == 1);
  buffer_deinit(&kept);
  buffer_deinit(&other);
  buffer_deinit(&bytes);
}

/* ---- supersede ---- */

static void test_supersede(void **state) {
  (void)state;
  order((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40)});
  commit(1000);
  order((struct ask){.id = "c2", .address = GATE, .value = NUMBER(50)});
  commit(0); /* looked up too; both are being committed */
  settle();
  expect("received received superseded/superseded dispatched");
  expect_published("gates/1/set {\"id\":\"c2\",\"pos\":50} for 60s");
  give((struct ask){.id = "c3", .address = GATE, .value = NUMBER(60)}); /* dispatched already */
  expect("rejected/busy");
}

/* One that is refused takes nobody's place. */
static void test_refused_supersedes_nothing(void **state) {
  (void)state;
  order((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40)});
  commit(1000);
  order((struct ask){.id = "c2", .address = GATE, .value = NUMBER(500)});
  commit(0);
  settle();
  expect_published("gates/1/set {\"id\":\"c1\",\"pos\":40} for 60s");
}

/* Both were received when it was killed: the later one counts. */
static void test_supersede_over_a_crash(void **state) {
  (void)state;
  order((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40)});
  commit(1000);
  pass(1000);
  order((struct ask){.id = "c2", .address = GATE, .value = NUMBER(50)});
  commit(0);
  store_memory_run(scene.store, 2); /* durable, and it dies before it hears of that */
  crash();
  settle();
  expect_published("gates/1/set {\"id\":\"c2\",\"pos\":50} for 60s");
}

/* ---- late truth ---- */

static void test_late_measurement(void **state) {
  struct buffer kept = BUFFER_NULL;
  (void)state;
  unknown(&kept);
  crash();
  wait_for(3600 * SECOND_US);
  measure(12);
  expect(""); /* proves nothing */
  measure(40);
  expect("executed");
  buffer_deinit(&kept);
}

static void test_late_answer_over_a_crash(void **state) {
  struct buffer kept = BUFFER_NULL;
  (void)state;
  unknown(&kept);
  wait_for(24 * 3600 * SECOND_US);
  crash();
  answer(GATE, "u1", true, ""); /* only a measurement says that it moved */
  expect("");
  answer(GATE, "u1", false, "jammed");
  expect("failed/device");
  buffer_deinit(&kept);
}

/* ---- fences ---- */

/* A restored store knows an old fence; the clock makes up for what it has forgotten. One from the future is passed. */
static void test_fence_of_a_restored_store(void **state) {
  static struct gateway_piece fence[] = {{GATEWAY_PIECE_FENCE, NULL}};
  const uint64_t old = 7, ahead = (uint64_t)now.wall + 1000000000;
  char expected[128];
  (void)state;
  scene.controls[1].payload = (struct gateway_template){NULL, fence, 1};
  dispatch_load_meta(scene.dispatch, bytes_text("fence/" PUMP), bytes_of(&old, sizeof old));
  give((struct ask){.id = "p1", .address = PUMP, .value = YES});
  snprintf(expected, sizeof expected, "pumps/1/set %lld for 60s", (long long)now.wall);
  expect_published(expected);
  answer(PUMP, "p1", true, "");
  dispatch_load_meta(scene.dispatch, bytes_text("fence/" PUMP), bytes_of(&ahead, sizeof ahead));
  give((struct ask){.id = "p2", .address = PUMP, .value = YES});
  snprintf(expected, sizeof expected, "pumps/1/set %llu for 60s", (unsigned long long)ahead + 1);
  expect_published(expected);
}

int main(void) {
  log_set_level(LOG_LEVEL_ERROR);
  const struct CMUnitTest tests[] = {STORY(test_cancel), STORY(test_cancel_while_it_waits), STORY(test_resolve),
      STORY(test_the_later_word_last), STORY(test_the_later_word_first), STORY(test_a_refused_decision_is_noted_once),
      STORY(test_resolve_not_moved), STORY(test_own_truth_stands), STORY(test_resolve_of_one_under_way),
      STORY(test_decision_about_nothing), STORY(test_supersede), STORY(test_refused_supersedes_nothing),
      STORY(test_supersede_over_a_crash), STORY(test_late_measurement), STORY(test_late_answer_over_a_crash),
      STORY(test_fence_of_a_restored_store)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
