/* Stops: what refuses them, what they end, and what becomes of them. See scene.h. */
#include "tests/unit/gateway/scene.h"

static void stop(const char *id) { give((struct ask){.id = id, .address = GATE, .verb = COMMAND_STOP}); }
static void run(const char *id) {
  give((struct ask){.id = id, .address = GATE, .value = NUMBER(40)});
  puback(id, ORDER_PUBLISH_ACKED);
  pass(SECOND_US);
}
static void without_reply(void) { scene.controls[0].reply.topic = NULL; }

static void test_by_the_device(void **state) {
  (void)state;
  run("c1");
  measure(12);
  expect("received dispatched");
  expect_published("gates/1/set {\"id\":\"c1\",\"pos\":40} for 60s");
  stop("s1");
  expect("received dispatched");
  expect_published("gates/1/stop halt s1 of c1 for 60s");
  puback("s1", ORDER_PUBLISH_ACKED);
  pass(SECOND_US);
  measure(14);
  measure(14);
  expect(""); /* the control has a reply: that decides */
  answer(GATE, "s1", true, "");
  expect("stopped/stopped executed"); /* first what ran, then the stop */
  answer(GATE, "c1", false, "stopped");
  wait_for(120 * SECOND_US);
  expect("");
}

static void test_what_is_measured_when_it_stands(void **state) {
  (void)state;
  run("c1");
  measure(12);
  stop("s1");
  measure(17.5);
  buffer_clear(&scene.states);
  dispatch_reply(scene.dispatch, bytes_text(GATE), bytes_text("s1"), true, BYTES_NULL, now);
  commit(1); /* of the command that ran */
  expect("stopped/stopped");
  assert_string_equal(buffer_text(&scene.actual), "17.5");
  settle();
  expect("executed");
  buffer_clear(&scene.published);
}

/* The device says of the command itself that it was stopped, before it answers the stop. */
static void test_the_device_says_no(void **state) {
  (void)state;
  run("c1");
  stop("s1");
  buffer_clear(&scene.states);
  answer(GATE, "c1", false, "stopped");
  expect("stopped/stopped");
  answer(GATE, "s1", true, "");
  expect("executed");
  run("c2");
  answer(GATE, "c2", false, "jammed"); /* an old stop explains nothing */
  expect("received dispatched failed/device");
  buffer_clear(&scene.published);
}

static void test_by_standstill(void **state) {
  (void)state;
  without_reply();
  run("c1");
  stop("s1");
  pass(SECOND_US);
  measure(12);
  measure(12); /* before the PUBACK: it may not have been heard */
  expect("received dispatched received dispatched");
  pass(SECOND_US);
  puback("s1", ORDER_PUBLISH_ACKED);
  pass(SECOND_US);
  measure(14);
  pass(SECOND_US);
  measure(16); /* still moving */
  expect("");
  pass(SECOND_US);
  measure(16.5);
  expect("stopped/stopped executed");
  buffer_clear(&scene.published);
}

static void test_nobody_answers(void **state) {
  (void)state;
  run("c1");
  stop("s1");
  puback("s1", ORDER_PUBLISH_ACKED);
  buffer_clear(&scene.states);
  wait_for(11 * SECOND_US);
  expect("unknown/no-answer");
  stop("s2"); /* and again */
  puback("s2", ORDER_NO_LISTENER);
  expect("received dispatched undelivered/no-listener");
  measure(40);
  expect("executed");                                                   /* the command ran on */
  give((struct ask){.id = "c2", .address = GATE, .value = NUMBER(50)}); /* an unknown stop locks nothing */
  expect("received dispatched");
  buffer_clear(&scene.published);
}

/* Nothing that refuses a set refuses a stop. */
static void test_never_refused(void **state) {
  static struct guard guard;
  (void)state;
  pass(7200 * SECOND_US); /* the store is older than the operator's slow clock */
  run("c1");
  guard = (struct guard){.address = scene.points[3].address, .op = CONDITION_EQUALS, .code = CODE_LOCAL};
  scene.controls[0].guards = &guard;
  scene.controls[0].guard_count = 1;
  scene.controls[0].approval = 1;
  scene.controls[0].select_us = SECOND_US;
  scene.controls[0].max_step = 1;
  scene.controls[0].min_interval_us = 3600 * SECOND_US;
  scene.offset = 3600 * SECOND_US;
  buffer_clear(&scene.states);
  give((struct ask){.id = "s1", .address = GATE, .verb = COMMAND_STOP, .ago_us = 240 * SECOND_US});
  expect("received dispatched");
  scene.offset = 0;
  scene.unsynchronised = true;
  scene.offset_known = false; /* not even compared */
  stop("s2");
  expect("received dispatched");
  buffer_clear(&scene.published);
}

static void test_refused(void **state) {
  (void)state;
  give((struct ask){.id = "s1", .address = GATE, .verb = COMMAND_STOP, .by = scene.stranger});
  expect("rejected/authority");
  give((struct ask){.id = "s2", .address = GATE, .verb = COMMAND_STOP, .life_us = SECOND_US});
  expect("expired/expired");
  give((struct ask){.id = "s3", .address = PUMP, .verb = COMMAND_STOP});
  expect("rejected/no-stop");
  give((struct ask){.id = "s4", .address = "chongqing/caijiagang/gate-9/opening", .verb = COMMAND_STOP});
  expect("rejected/no-stop");
  stop("s5");
  give((struct ask){.id = "s5", .address = PUMP, .verb = COMMAND_STOP}); /* an id that means something else */
  expect("received dispatched dispatched");
  expect_published("gates/1/stop halt s5 of  for 60s");
}

/* A store is new, or was put back, after an operator with a slow clock has signed: what halts is let through. */
static void test_older_than_the_store(void **state) {
  (void)state;
  run("c1");
  buffer_clear(&scene.states);
  give((struct ask){.id = "s1", .address = GATE, .verb = COMMAND_STOP, .ago_us = 240 * SECOND_US});
  expect("received dispatched");
  give((struct ask){.id = "c2", .address = PUMP, .value = YES, .ago_us = 3600 * SECOND_US});
  expect("rejected/replay");
  buffer_clear(&scene.published);
}

/* A power cut has set the station's clock back, or ahead: the stop was signed by the broker's time, and is judged by it
 * once that is known. */
static void test_by_the_brokers_clock(void **state) {
  (void)state;
  scene.unsynchronised = true;
  for (int ahead = -1; ahead <= 1; ahead += 2) {
    const char *id = ahead < 0 ? "s1" : "s2";
    int64_t offset = ahead * 3600 * SECOND_US;
    const struct ask ask = {
        .id = id, .address = GATE, .verb = COMMAND_STOP, .life_us = 60 * SECOND_US - offset, .ago_us = offset};
    scene.offset_known = false;
    give(ask);
    expect(""); /* the broker sends it again */
    scene.offset_known = true;
    scene.offset = offset;
    give(ask);
    expect("received dispatched");
    assert_non_null(strstr(buffer_text(&scene.published), "for 60s"));
    buffer_clear(&scene.published);
    answer(GATE, id, true, "");
    expect("executed");
  }
  give((struct ask){.id = "s3",
      .address = GATE,
      .verb = COMMAND_STOP,
      .life_us = -10 * SECOND_US - scene.offset,
      .ago_us = 60 * SECOND_US + scene.offset});
  expect("expired/expired");
  scene.unsynchronised = false; /* nobody may tell a good clock that a dead stop lives */
  give((struct ask){.id = "s4",
      .address = GATE,
      .verb = COMMAND_STOP,
      .life_us = 60 * SECOND_US - scene.offset,
      .ago_us = scene.offset});
  expect("expired/expired");
  expect_published("");
}

/* Nor is one taken that was signed to lie in wait. */
static void test_out_of_time(void **state) {
  (void)state;
  run("c1");
  buffer_clear(&scene.states);
  buffer_clear(&scene.published);
  give((struct ask){.id = "s1", .address = GATE, .verb = COMMAND_STOP, .life_us = 300 * SECOND_US + 1});
  expect("rejected/deadline");
  expect_published("");
  scene.config.max_deadline_us = 10 * SECOND_US; /* short ones are asked of movements, and clocks differ */
  give((struct ask){
      .id = "s3", .address = GATE, .verb = COMMAND_STOP, .life_us = 300 * SECOND_US, .ago_us = -60 * SECOND_US});
  expect("received dispatched");
  expect_published("gates/1/stop halt s3 of c1 for 300s");
}

/* Nor one that could be kept back until its deadline is near. */
static void test_signed_to_lie_in_wait(void **state) {
  (void)state;
  run("c1");
  buffer_clear(&scene.states);
  buffer_clear(&scene.published);
  pass(3600 * SECOND_US);
  give((struct ask){.id = "s1", .address = GATE, .verb = COMMAND_STOP, .ago_us = 250 * SECOND_US});
  expect("rejected/deadline");
  assert_string_equal(
      buffer_text(&scene.message), "the deadline is 5.1m after the time of issue; at most 5m is allowed");
  give((struct ask){.id = "s2", .address = GATE, .verb = COMMAND_STOP, .ago_us = 240 * SECOND_US});
  expect("received dispatched");
  buffer_clear(&scene.published);
}

/* What a later version means by a critical item is not left out. */
static void test_critical(void **state) {
  struct buffer bytes = BUFFER_NULL;
  struct command command = {.verb = COMMAND_STOP,
      .id = bytes_text("s1"),
      .address = bytes_text(GATE),
      .issued = now.wall,
      .deadline = now.wall + 60 * SECOND_US,
      .basis = bytes_text("flood order 12"),
      .items = {{77, true, bytes_text("x")}},
      .item_count = 1};
  const char *why = "";
  (void)state;
  if (command_sign(&bytes, &command, scene.duty, &why) != 0) fail_msg("%s", why);
  deliver(buffer_bytes(&bytes));
  settle();
  expect("rejected/unsupported");
  expect_published("");
  buffer_deinit(&bytes);
}

/* The stop comes while the command waits for its commits: it must not come out behind the stop. */
static void test_overtakes(void **state) {
  (void)state;
  order((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40)});
  commit(1000);
  order((struct ask){.id = "s1", .address = GATE, .verb = COMMAND_STOP});
  commit(0); /* looked up, before anything else is durable */
  settle();
  assert_null(strstr(buffer_text(&scene.published), "gates/1/set"));
  assert_non_null(strstr(buffer_text(&scene.states), "superseded/superseded"));
  buffer_clear(&scene.states);
  buffer_clear(&scene.published);
  answer(GATE, "s1", true, "");
  expect("executed");

  order((struct ask){.id = "c2", .address = GATE, .value = NUMBER(40)});
  commit(1000);
  commit(1); /* received; dispatched is being committed */
  order((struct ask){.id = "s2", .address = GATE, .verb = COMMAND_STOP});
  commit(0); /* looked up, before anything else is durable */
  settle();
  assert_null(strstr(buffer_text(&scene.published), "gates/1/set"));
  assert_non_null(strstr(buffer_text(&scene.states), "stopped/stopped"));
  buffer_clear(&scene.published);
}

static void test_one_that_runs_keeps_others_out(void **state) {
  (void)state;
  stop("s1");
  give((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40)});
  expect("received dispatched rejected/busy");
  answer(GATE, "s1", true, "");
  give((struct ask){.id = "c2", .address = GATE, .value = NUMBER(40)});
  expect("executed received dispatched");
  buffer_clear(&scene.published);
}

/* The device says that it moves, and before that is durable it answers the stop: what ran is ended all the same. */
static void test_what_runs_is_being_committed(void **state) {
  (void)state;
  run("c1");
  stop("s1");
  buffer_clear(&scene.states);
  dispatch_reply(scene.dispatch, bytes_text(GATE), bytes_text("c1"), true, BYTES_NULL, now);
  dispatch_reply(scene.dispatch, bytes_text(GATE), bytes_text("s1"), true, BYTES_NULL, now);
  settle();
  expect("acting stopped/stopped executed");
  buffer_clear(&scene.published);
}

/* Killed between the end of what ran and the end of the stop: both are told in the end, nothing is published again. */
static void test_crash(void **state) {
  (void)state;
  without_reply();
  run("c1");
  stop("s1");
  puback("s1", ORDER_PUBLISH_ACKED);
  buffer_clear(&scene.states);
  buffer_clear(&scene.published);
  pass(SECOND_US);
  measure(14);
  crash();
  expect("");
  pass(SECOND_US);
  measure(16);
  pass(SECOND_US);
  const struct record record = {.quality = QUALITY_GOOD,
      .address = bytes_text(GATE),
      .time = now.wall,
      .received = now.wall,
      .value = NUMBER(16)};
  dispatch_measured(scene.dispatch, &scene.live.items[0], &record, false, now);
  commit(1);
  expect("stopped/stopped");
  crash(); /* before the stop's own end */
  pass(SECOND_US);
  measure(16);
  pass(SECOND_US);
  measure(16);
  expect("executed");
  expect_published("");
}

/* The store was full for the command and had room for the stop, and the process is killed before the command's end is
 * durable: the start ends it. Else it would wait beside a stop that is executed, and one more start would carry it out.
 */
static void test_start_between(void **state) {
  const struct memory_faults full = {.full_urgent = true}, none = {.full = false};
  (void)state;
  store_memory_faults(scene.store, &full);
  order((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40)});
  commit(1000);
  commit(1);
  store_memory_faults(scene.store, &none);
  pass(MILLISECOND_US); /* it is by these times that a start knows which came first */
  stop("s1");
  pass(2 * SECOND_US);
  dispatch_tick(scene.dispatch, now);
  commit(1); /* received, and what the stop wants of it is under way */
  expect("received dispatched received");
  buffer_clear(&scene.published);
  scene.offset_known = false;
  crash();
  settle();
  expect("superseded/superseded");
  expect_published("");
}

int main(void) {
  log_set_level(LOG_LEVEL_ERROR);
  const struct CMUnitTest tests[] = {STORY(test_by_the_device), STORY(test_what_is_measured_when_it_stands),
      STORY(test_the_device_says_no), STORY(test_by_standstill), STORY(test_nobody_answers), STORY(test_never_refused),
      STORY(test_older_than_the_store), STORY(test_by_the_brokers_clock), STORY(test_refused), STORY(test_out_of_time),
      STORY(test_signed_to_lie_in_wait), STORY(test_critical), STORY(test_overtakes),
      STORY(test_one_that_runs_keeps_others_out), STORY(test_what_runs_is_being_committed), STORY(test_crash),
      STORY(test_start_between)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
