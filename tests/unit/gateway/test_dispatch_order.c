/* Which of two orders for one point was given later, where they come in another order than they were given. See
 * scene.h. */
#include "tests/unit/gateway/scene.h"

/* As the station's own door gives it. */
static void give_here(struct ask ask) {
  struct buffer bytes = BUFFER_NULL;
  struct refusal refusal = {.code = CODE_NONE};
  struct command command;
  sign(&bytes, &ask);
  assert_int_equal(command_open(&command, buffer_bytes(&bytes)), 0);
  assert_true(dispatch_local(scene.dispatch, &command, now, &refusal));
  buffer_deinit(&bytes);
  settle();
}

/* Nothing is older than the store. */
static int set_up_long_ago(void **state) {
  set_up(state);
  pass(3600 * SECOND_US);
  return 0;
}
#define HERE(test) cmocka_unit_test_setup_teardown(test, set_up_long_ago, tear_down)

static int set_up_door(void **state) {
  set_up_long_ago(state);
  scene.operators[0].local = true;
  dispatch_configure(scene.dispatch, &scene.config, &scene.live);
  return 0;
}
#define AT_DOOR(test) cmocka_unit_test_setup_teardown(test, set_up_door, tear_down)

static struct ask set_of(const char *id, double value, int64_t ago_us) {
  return (struct ask){.id = id, .address = GATE, .value = NUMBER(value), .ago_us = ago_us};
}

static struct ask by_chief(struct ask ask) {
  ask.by = scene.chief;
  return ask;
}

/* The gate has done it. */
static void done(const char *id, double value) {
  pass(SECOND_US);
  answer(GATE, id, true, "");
  measure(value);
  buffer_clear(&scene.states);
  buffer_clear(&scene.published);
}

/* Lost on the way, and sent again behind one that was given later and is executed: the gate stays. */
static void test_late(void **state) {
  (void)state;
  give(set_of("c2", 40, 0));
  done("c2", 40);
  give(set_of("c1", 10, 10 * SECOND_US));
  expect("superseded/superseded");
  expect_published("");
  assert_string_equal(buffer_text(&scene.message),
      "the command c2 for the same point was given 9s after this one, and came here first");
  give((struct ask){.id = "c3", .address = PUMP, .value = YES, .ago_us = 10 * SECOND_US}); /* another point */
  expect("received dispatched");
}

/* A start knows it, and so does the next one. */
static void test_late_after_starts(void **state) {
  (void)state;
  give(set_of("c2", 40, 0));
  done("c2", 40);
  crash();
  crash();
  give(set_of("c1", 10, 10 * SECOND_US));
  expect("superseded/superseded");
  expect_published("");
}

/* Two operators' clocks, each two seconds off: the broker's order counts. */
static void test_clocks_that_differ(void **state) {
  (void)state;
  give(set_of("c1", 40, -2 * SECOND_US));
  done("c1", 40);
  give(by_chief(set_of("c2", 10, 2 * SECOND_US)));
  expect("received dispatched");
  done("c2", 10);
  give(by_chief(set_of("c3", 20, 7 * SECOND_US))); /* c1 counts as given when it came */
  expect("superseded/superseded");
}

/* One operator's key has one clock: whoever turns two of their orders round on the way moves nothing back. */
static void test_of_one_key(void **state) {
  (void)state;
  give(set_of("c2", 40, 1000));
  done("c2", 40);
  give(set_of("c1", 10, SECOND_US + 1001));
  expect("superseded/superseded");
  assert_string_equal(buffer_text(&scene.message),
      "the command c2 for the same point was given 1us after this one, and came here first");
  expect_published("");
  give(set_of("c3", 10, SECOND_US + 999));
  expect("received dispatched");
}

/* ... also where it is ahead, and over a start. */
static void test_of_one_key_that_is_ahead(void **state) {
  (void)state;
  give(set_of("c2", 40, -1500000));
  done("c2", 40);
  crash();
  give(set_of("c1", 10, -400000)); /* 0.1 s before c2, and after the time when that came */
  expect("superseded/superseded");
  give(set_of("c3", 10, -500001));
  expect("received dispatched");
}

/* Another operator's order between the two is no way round. */
static void test_of_one_key_with_another_between(void **state) {
  (void)state;
  give(set_of("c2", 40, 1000));
  done("c2", 40);
  give(by_chief(set_of("k1", 50, 0)));
  expect("received dispatched");
  done("k1", 50);
  crash();
  give(set_of("c1", 10, 3 * SECOND_US));
  expect("superseded/superseded");
  assert_non_null(strstr(buffer_text(&scene.message), "the command c2 for"));
  give(by_chief(set_of("k0", 10, 3 * SECOND_US)));
  expect("superseded/superseded");
  expect_published("");
  give(by_chief(set_of("k2", 10, 0)));
  expect("received dispatched");
}

/* One that waits, for the clock, is as good as one that was carried out. */
static void test_of_one_key_while_one_waits(void **state) {
  (void)state;
  order(set_of("c2", 40, 1000));
  commit(1000);
  order(set_of("c1", 10, 2000));
  commit(0); /* looked up; `received` of c2 is being committed */
  settle();
  expect("received superseded/superseded dispatched");
  expect_published("gates/1/set {\"id\":\"c2\",\"pos\":40} for 60s");
}

/* A stop is given after a set of the same key, however near. */
static void test_of_one_key_behind_a_stop(void **state) {
  (void)state;
  give((struct ask){.id = "s1", .address = GATE, .verb = COMMAND_STOP, .ago_us = 1000});
  answer(GATE, "s1", true, "");
  buffer_clear(&scene.states);
  buffer_clear(&scene.published);
  give(set_of("c1", 40, 2000));
  expect("superseded/superseded");
  expect_published("");
}

/* What is refused here takes no place; what the point had already does. */
static void test_what_counts(void **state) {
  (void)state;
  give(set_of("c2", 140, 0));
  expect("rejected/range");
  give(set_of("c1", 40, 10 * SECOND_US));
  expect("received dispatched");
  done("c1", 40);
  give(set_of("c4", 40, 0));
  expect("received executed/already");
  crash();
  give(set_of("c3", 10, 10 * SECOND_US));
  expect("superseded/superseded");
}

static void test_behind_a_stop(void **state) {
  (void)state;
  give((struct ask){.id = "s1", .address = GATE, .verb = COMMAND_STOP});
  answer(GATE, "s1", true, "");
  buffer_clear(&scene.states);
  buffer_clear(&scene.published);
  crash();
  give(set_of("c1", 40, 5 * SECOND_US));
  expect("superseded/superseded");
  expect_published("");
  give(set_of("c2", 40, 0));
  expect("received dispatched");
}

/* A stop is not refused for a clock that is ahead, and shuts no point until that time. */
static void test_a_stop_of_tomorrow(void **state) {
  (void)state;
  give((struct ask){
      .id = "s1", .address = GATE, .verb = COMMAND_STOP, .ago_us = -200 * SECOND_US, .life_us = 250 * SECOND_US});
  answer(GATE, "s1", true, "");
  buffer_clear(&scene.states);
  pass(SECOND_US);
  give(set_of("c1", 40, 0));
  expect("received dispatched");
}

/* Of what is given at two doors only the times that were signed say which came later: in doubt nothing moves. */
static void test_at_the_door_meanwhile(void **state) {
  (void)state;
  give_here(set_of("d1", 40, 0));
  done("d1", 40);
  give(set_of("c1", 10, 2 * SECOND_US));
  expect("superseded/superseded");
  expect_published("");
  assert_string_equal(buffer_text(&scene.message),
      "the command d1 for the same point, at the station's own door, was given 1s after this one, and came here first");
  give(set_of("c2", 10, 0));
  expect("received dispatched");
  done("c2", 10);
  give_here(set_of("d2", 20, 2 * SECOND_US));
  expect("superseded+command/superseded");
}

/* One that waits at the door for a second person is not put aside by one that was given before it. */
static void test_one_that_waits(void **state) {
  (void)state;
  scene.controls[0].approval = true;
  give_here(set_of("d1", 40, 0));
  expect("received+command/approval");
  struct ask late = set_of("c1", 10, SECOND_US), later = set_of("c2", 10, 0);
  late.approved_by = later.approved_by = scene.chief;
  give(late);
  expect("superseded/superseded");
  pass(SECOND_US);
  give(later);
  expect("superseded/superseded received dispatched");
}

/* What a clock noted that was years ahead shuts no point. */
static void test_a_clock_that_was_wrong(void **state) {
  (void)state;
  give(set_of("c1", 40, 0));
  done("c1", 40);
  now.wall -= 1800 * SECOND_US;
  give(set_of("c2", 10, 0));
  expect("received dispatched");
}

int main(void) {
  log_set_level(LOG_LEVEL_ERROR);
  const struct CMUnitTest tests[] = {HERE(test_late), HERE(test_late_after_starts), HERE(test_clocks_that_differ),
      HERE(test_of_one_key), HERE(test_of_one_key_that_is_ahead), HERE(test_of_one_key_with_another_between),
      HERE(test_of_one_key_while_one_waits), HERE(test_of_one_key_behind_a_stop), HERE(test_what_counts),
      HERE(test_behind_a_stop), HERE(test_a_stop_of_tomorrow), AT_DOOR(test_at_the_door_meanwhile),
      AT_DOOR(test_one_that_waits), HERE(test_a_clock_that_was_wrong)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
