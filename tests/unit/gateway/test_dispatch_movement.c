/* Movements that nobody ordered. See scene.h. */
#include "gateway/movement.h"
#include "tests/unit/gateway/scene.h"

static int64_t mono;
static bool hear(struct movement *m, double number, bool ordered) {
  const struct value value = NUMBER(number);
  struct value from;
  mono += SECOND_US;
  return movement_hear(m, 1, &value, ordered, mono, &from);
}

static void one_movement_is_told_once(void **state) {
  struct movement m = {.known = false};
  (void)state;
  assert_false(hear(&m, 10, false));
  assert_false(hear(&m, 11, false)); /* no more than the limit */
  assert_true(hear(&m, 11.5, false));
  assert_false(hear(&m, 14, false));
  assert_false(hear(&m, 20, false));
  assert_false(hear(&m, 20.5, false)); /* at rest */
  assert_false(hear(&m, 19.6, false));
  assert_true(hear(&m, 10, false)); /* and back */
  movement_deinit(&m);
}

/* Slowly, each step within the limit: it is seen all the same. */
static void a_creeping_gate_is_seen(void **state) {
  struct movement m = {.known = false};
  int told = 0;
  (void)state;
  for (int i = 0; i <= 30; i++) told += hear(&m, i * 0.1, false);
  assert_int_equal(told, 2); /* at 1.1 and 2.3: where it was at rest follows */
  movement_deinit(&m);
}

static void what_is_ordered_is_not_told(void **state) {
  struct movement m = {.known = false};
  (void)state;
  assert_false(hear(&m, 10, true));
  assert_false(hear(&m, 90, true));
  assert_false(hear(&m, 90.9, false));
  assert_true(hear(&m, 92, false));
  movement_deinit(&m);
}

/* A device that says something only when it changes. */
static void silence_ends_a_movement(void **state) {
  struct movement m = {.known = false};
  (void)state;
  assert_false(hear(&m, 10, false));
  assert_true(hear(&m, 40, false));
  mono += MOVEMENT_QUIET_US;
  assert_true(hear(&m, 10, false));
  movement_deinit(&m);
}

static void any_change_of_a_text_is_told(void **state) {
  struct movement m = {.known = false};
  const char *const texts[] = {"open", "closed", "closed", "open"};
  struct value from;
  bool told[4];
  (void)state;
  for (int i = 0; i < 4; i++) {
    const struct value value = {.type = VALUE_TEXT, .bytes = bytes_text(texts[i])};
    told[i] = movement_hear(&m, 0, &value, false, ++mono, &from);
  }
  assert_true(!told[0] && told[1] && !told[2] && told[3]);
  assert_true(bytes_equal(from.bytes, bytes_text("closed")));
  movement_deinit(&m);
}

/* ---- at the gateway ---- */

static void test_nobody_ordered_it(void **state) {
  (void)state;
  measure(12);
  measure(13);
  expect_events("");
  measure(14);
  expect_events("uncommanded-movement {\"point\":\"" GATE "\",\"from\":12,\"to\":14}");
  measure_of(0, (struct value)NUMBER(60), QUALITY_BAD, false);
  measure_of(2, (struct value)NUMBER(178), QUALITY_GOOD, false); /* commands do not move that one */
  measure_of(2, (struct value)NUMBER(179), QUALITY_GOOD, false);
  measure_of(1, (struct value){.type = VALUE_BOOLEAN, .boolean = false}, QUALITY_GOOD, false);
  expect_events("");
  measure_of(1, (struct value)YES, QUALITY_GOOD, false);
  expect_events("uncommanded-movement {\"point\":\"" PUMP "\",\"from\":false,\"to\":true}");
}

static void test_beyond(void **state) {
  (void)state;
  scene.controls[0].uncommanded = (struct gateway_uncommanded){true, 5};
  measure(12);
  measure(17);
  expect_events("");
  measure(17.5);
  expect_events("uncommanded-movement {\"point\":\"" GATE "\",\"from\":12,\"to\":17.5}");
}

static void test_a_command_explains_it(void **state) {
  (void)state;
  measure(12);
  give((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40)});
  pass(SECOND_US);
  measure(25);
  pass(SECOND_US);
  measure(39.5);
  pass(9 * SECOND_US);
  measure(41); /* comes to rest */
  expect_events("");
  pass(2 * SECOND_US);
  measure(43);
  expect_events("uncommanded-movement {\"point\":\"" GATE "\",\"from\":41,\"to\":43}");
  buffer_clear(&scene.published);
}

/* Where nobody knows what became of a command it may still be carried out, until its deadline. */
static void test_an_unknown_one_explains_it_for_a_while(void **state) {
  (void)state;
  scene.controls[0].confirm.timeout_us = SECOND_US;
  measure(12);
  give((struct ask){.id = "p1", .address = PUMP, .value = YES});
  measure_of(1, (struct value){.type = VALUE_BOOLEAN, .boolean = false}, QUALITY_GOOD, false);
  wait_for(30 * SECOND_US);
  measure_of(1, (struct value)YES, QUALITY_GOOD, false);
  expect_events("");
  wait_for(31 * SECOND_US);
  measure_of(1, (struct value){.type = VALUE_BOOLEAN, .boolean = false}, QUALITY_GOOD, false);
  expect_events("uncommanded-movement {\"point\":\"" PUMP "\",\"from\":true,\"to\":false}");
  buffer_clear(&scene.published);
}

/* Moved while the gateway was down: compared with the value that was read back. */
static void test_over_a_restart(void **state) {
  (void)state;
  measure(12);
  struct record last = scene.live.items[0].last;
  close_station();
  scene.store = store_memory_crash(scene.store);
  open_station();
  point_keep(&scene.live.items[0], &last);
  dispatch_start(scene.dispatch, now);
  settle();
  measure(60);
  expect_events("uncommanded-movement {\"point\":\"" GATE "\",\"from\":12,\"to\":60}");
}

int main(void) {
  log_set_level(LOG_LEVEL_ERROR);
  const struct CMUnitTest tests[] = {cmocka_unit_test(one_movement_is_told_once),
      cmocka_unit_test(a_creeping_gate_is_seen), cmocka_unit_test(what_is_ordered_is_not_told),
      cmocka_unit_test(silence_ends_a_movement), cmocka_unit_test(any_change_of_a_text_is_told),
      STORY(test_nobody_ordered_it), STORY(test_beyond), STORY(test_a_command_explains_it),
      STORY(test_an_unknown_one_explains_it_for_a_while), STORY(test_over_a_restart)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
