/* What becomes of a set at the device: what the device says, what is measured, and what neither of them proves. Each
 * story is told live, late, and over a crash. See scene.h. */
#include "tests/unit/gateway/scene.h"

static void run(const char *id) {
  give((struct ask){.id = id, .address = GATE, .value = NUMBER(40)});
  puback(id, ORDER_PUBLISH_ACKED);
  pass(SECOND_US);
  expect("received dispatched");
  buffer_clear(&scene.published);
}
/* Another set is refused while the outcome of the first is unknown. */
static void expect_locked(void) {
  give((struct ask){.id = "next", .address = GATE, .value = NUMBER(60)});
  expect("rejected/locked");
  expect_published("");
}

/* `confirm` has the last word: the device's yes alone is no movement, neither in time nor late. */
static void test_acting_then_silence(void **state) {
  (void)state;
  run("c1");
  answer(GATE, "c1", true, "");
  expect("acting");
  wait_for(200 * SECOND_US);
  expect("unknown/no-answer");
  wait_for(SECOND_US);
  answer(GATE, "c1", true, "");
  expect("");
  expect_locked();
  measure(12);
  expect("");
  measure(40);
  expect("executed");
}

/* What an operating log names beside the gate: read as the device is about to be told, and at the end, with what the
 * sensor is worth. */
static void test_levels_before_and_after(void **state) {
  static char level[] = "chongqing/caijiagang/gauge-1/level", mode[] = "chongqing/caijiagang/gauge-1/mode";
  static char *observed[] = {level, mode};
  (void)state;
  scene.controls[0].observed = observed;
  scene.controls[0].observed_count = 2;
  measure_of(2, (struct value)NUMBER(178.5), QUALITY_GOOD, false);
  run("c1");
  assert_non_null(strstr(buffer_text(&scene.observed), "[{\"point\":\"gauge-1/level\",\"value\":178.5,\"unit\":\"m\""));
  assert_non_null(strstr(buffer_text(&scene.observed), "{\"point\":\"gauge-1/mode\",\"value\":null,"));
  assert_non_null(strstr(buffer_text(&scene.observed), "] null")); /* nothing is over yet */
  crash();
  measure_of(2, (struct value)NUMBER(177.25), QUALITY_UNCERTAIN, false);
  measure(40);
  expect("executed");
  assert_non_null(strstr(buffer_text(&scene.observed), "\"value\":178.5"));
  const char *after = strstr(buffer_text(&scene.observed), "] [");
  assert_non_null(after);
  assert_non_null(strstr(after, "\"value\":177.25"));
  assert_non_null(strstr(after, "\"quality\":\"uncertain\""));
}

static void test_acting_crash_then_silence(void **state) {
  (void)state;
  run("c1");
  answer(GATE, "c1", true, "");
  expect("acting");
  crash();
  wait_for(200 * SECOND_US);
  expect("unknown/restarted");
  answer(GATE, "c1", true, "");
  expect("");
  crash();
  answer(GATE, "c1", true, "");
  expect("");
  expect_locked();
  measure(40);
  expect("executed");
}

/* As the text of the hint says. */
static void test_a_late_yes_is_no_movement(void **state) {
  (void)state;
  run("c1");
  wait_for(200 * SECOND_US);
  expect("unknown/no-answer");
  assert_non_null(strstr(buffer_text(&scene.hint), "riverbus resolve c1 --moved (or --not-moved) --basis"));
  answer(GATE, "c1", true, "");
  expect("");
  expect_locked();
  answer(GATE, "c1", false, "jammed");
  expect("failed/device");
}

static void test_a_late_yes_without_confirm(void **state) {
  (void)state;
  give((struct ask){.id = "p1", .address = PUMP, .value = YES});
  wait_for(11 * SECOND_US);
  expect("received dispatched unknown/no-answer");
  crash();
  answer(PUMP, "p1", true, "");
  expect("executed");
  buffer_clear(&scene.published);
}

/* One early measurement and then silence: nobody knows. */
static void test_measured_early_then_silence(void **state) {
  (void)state;
  run("c1");
  measure(12);
  wait_for(60 * SECOND_US);
  wait_for(100 * SECOND_US);
  expect("unknown/no-answer");
  expect_locked();
  measure(40); /* the sensor is back */
  expect("executed");
}

/* `stale-after` says that the point is silent: nothing more is awaited. */
static void test_measured_early_then_stale(void **state) {
  (void)state;
  scene.points[0].stale_after_us = 20 * SECOND_US;
  run("c1");
  measure(12);
  wait_for(60 * SECOND_US);
  expect("unknown/no-answer");
}

/* Measured elsewhere once its time is up: that is proof. */
static void test_measured_elsewhere(void **state) {
  (void)state;
  run("c1");
  measure(12);
  wait_for(58 * SECOND_US);
  measure(12);
  expect("");
  wait_for(2 * SECOND_US);
  measure(12); /* this one may have waited with those before */
  pass(2 * SECOND_US);
  measure_of(0, (struct value)NUMBER(13), QUALITY_BAD, false);
  measure_of(0, (struct value)NUMBER(13), QUALITY_GOOD, true);
  expect("");
  measure(13);
  expect("failed/not-reached");
  assert_string_equal(buffer_text(&scene.actual), "13");
}

static void test_measured_at_the_target_at_the_last_moment(void **state) {
  (void)state;
  run("c1");
  measure(12);
  wait_for(60 * SECOND_US);
  measure(40);
  expect("executed");
}

/* The gateway stood still, and so did the connection: what waited comes first. */
static void test_a_backlog_proves_nothing(void **state) {
  (void)state;
  run("c1");
  measure(12);
  wait_for(62 * SECOND_US);
  pass(3 * SECOND_US);
  dispatch_reconnected(scene.dispatch, now);
  measure(20);
  measure(30);
  expect("");
  measure(40);
  expect("executed");
}

/* Without a PUBACK the message may lie with the MQTT broker. */
static void test_measured_elsewhere_without_a_puback(void **state) {
  (void)state;
  give((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40)});
  pass(SECOND_US);
  measure(12);
  wait_for(62 * SECOND_US);
  pass(2 * SECOND_US);
  measure(12);
  wait_for(60 * SECOND_US);
  expect("received dispatched unknown/no-answer");
  buffer_clear(&scene.published);
  expect_locked();
}

static void test_measured_elsewhere_after_a_crash(void **state) {
  (void)state;
  run("c1");
  crash();
  measure(12);
  wait_for(62 * SECOND_US);
  expect("");
  pass(2 * SECOND_US);
  measure(12);
  expect("failed/not-reached");
}

int main(void) {
  log_set_level(LOG_LEVEL_ERROR);
  const struct CMUnitTest tests[] = {STORY(test_acting_then_silence), STORY(test_levels_before_and_after),
      STORY(test_acting_crash_then_silence), STORY(test_a_late_yes_is_no_movement),
      STORY(test_a_late_yes_without_confirm), STORY(test_measured_early_then_silence),
      STORY(test_measured_early_then_stale), STORY(test_measured_elsewhere),
      STORY(test_measured_at_the_target_at_the_last_moment), STORY(test_a_backlog_proves_nothing),
      STORY(test_measured_elsewhere_without_a_puback), STORY(test_measured_elsewhere_after_a_crash)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
