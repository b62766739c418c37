/* Commands that were given at the station's own door; see scene.h. */
#include "tests/unit/gateway/scene.h"
#include "gateway/dispatch_internal.h"

/* As the door does it: the id is new. Returns the refusal's code. */
static enum code give_here(struct ask ask, struct buffer *kept) {
  struct buffer bytes = BUFFER_NULL;
  struct refusal refusal = {.code = CODE_NONE};
  struct command command;
  sign(&bytes, &ask);
  assert_int_equal(command_open(&command, buffer_bytes(&bytes)), 0);
  bool taken = dispatch_local(scene.dispatch, &command, now, &refusal);
  assert_int_equal(taken, refusal.code == CODE_NONE);
  if (kept) buffer_append(kept, buffer_bytes(&bytes));
  buffer_deinit(&bytes);
  return refusal.code;
}

static int set_up_door(void **state) {
  set_up(state);
  scene.operators[0].local = true;
  dispatch_configure(scene.dispatch, &scene.config, &scene.live);
  return 0;
}
#define AT_DOOR(test) cmocka_unit_test_setup_teardown(test, set_up_door, tear_down)

/* Without a broker the kernel's word is enough; nothing is said before it is durable; the first report brings the
 * command to the province, and no other. */
static void test_goes_without_a_broker(void **state) {
  (void)state;
  scene.offset_known = false;
  assert_int_equal(give_here((struct ask){.id = "d1", .address = GATE, .value = NUMBER(40)}, NULL), CODE_NONE);
  expect_said("");
  commit(1);
  expect("received+command");
  expect_said("received");
  settle();
  expect("dispatched");
  expect_said("dispatched");
  expect_published("gates/1/set {\"id\":\"d1\",\"pos\":40} for 60s");
  pass(SECOND_US);
  measure(40);
  expect("executed");
  expect_said("executed");
}

/* A refusal is the first report too. */
static void test_refused_here(void **state) {
  (void)state;
  give_here((struct ask){.id = "d1", .address = GATE, .value = NUMBER(140)}, NULL);
  settle();
  expect("rejected+command/range");
  give_here((struct ask){.id = "d2", .address = GATE, .value = NUMBER(40), .by = scene.chief}, NULL);
  settle();
  expect("rejected+command/authority"); /* `local` is not set for the chief */
  expect_published("");
  scene.unsynchronised = true;
  give_here((struct ask){.id = "d3", .address = GATE, .value = NUMBER(40)}, NULL);
  settle();
  expect("rejected+command/clock");
  give_here((struct ask){.id = "d4", .address = GATE, .verb = COMMAND_STOP}, NULL);
  settle();
  expect("received+command dispatched"); /* a stop asks for no clock */
  scene.published.len = 0;
}

/* Given by the same person to the broker, it needs no `local`, and its report no command. */
static void test_from_the_broker(void **state) {
  (void)state;
  order((struct ask){.id = "b1", .address = GATE, .value = NUMBER(40), .by = scene.chief});
  settle();
  expect("received dispatched");
  expect_said("received dispatched");
  scene.published.len = 0;
}

/* The right is looked at again before the device is told. */
static void test_right_taken_meanwhile(void **state) {
  (void)state;
  give_here((struct ask){.id = "d1", .address = GATE, .value = NUMBER(40)}, NULL);
  scene.operators[0].local = false;
  dispatch_configure(scene.dispatch, &scene.config, &scene.live);
  settle();
  expect("received+command rejected/authority");
  expect_published("");
}

/* Found after a power cut it waits for a comparison: the clock may stand where it stood. */
static void test_after_a_crash(void **state) {
  (void)state;
  scene.offset_known = false;
  give_here((struct ask){.id = "d1", .address = GATE, .value = NUMBER(40)}, NULL);
  commit(1);
  expect("received+command");
  crash();
  wait_for(SECOND_US);
  expect("");
  scene.offset_known = true;
  wait_for(SECOND_US);
  expect("dispatched");
  expect_published("gates/1/set {\"id\":\"d1\",\"pos\":40} for 58s");
}

/* A person's word is not held in memory alone while the command waits on. */
static void test_an_approval_over_a_crash(void **state) {
  struct buffer command = BUFFER_NULL, approval = BUFFER_NULL;
  struct refusal refusal;
  (void)state;
  scene.controls[0].approval = 1;
  give_here((struct ask){.id = "d1", .address = GATE, .value = NUMBER(40)}, &command);
  settle();
  expect("received+command/approval");
  scene.offset_known = false;
  crash();
  decide(&approval, DECISION_APPROVE, buffer_bytes(&command), scene.chief);
  assert_true(dispatch_approve(scene.dispatch, bytes_text("d1"), buffer_bytes(&approval), now, &refusal));
  settle();
  expect("received"); /* and waits on, as nothing is known of the clock yet */
  crash();
  scene.offset_known = true;
  wait_for(SECOND_US);
  expect("dispatched");
  expect_published("gates/1/set {\"id\":\"d1\",\"pos\":40} for 59s");
  buffer_deinit(&command);
  buffer_deinit(&approval);
}

static void no_lookup(void *ctx, struct bytes id) {
  (void)ctx;
  (void)id;
}

/* Where it cannot be looked up the person is told; where it can, it is done. */
static void test_a_decision_about_what_left_the_memory(void **state) {
  struct buffer command = BUFFER_NULL, resolve = BUFFER_NULL;
  struct refusal refusal;
  char id[32];
  (void)state;
  order_kept((struct ask){.id = "c1", .address = GATE, .verb = COMMAND_STOP}, &command);
  settle();
  puback("c1", ORDER_PUBLISH_ACKED);
  wait_for(11 * SECOND_US);
  expect("received dispatched unknown/no-answer");
  for (int i = 0; i < 3; i++) wait_for(600 * SECOND_US);
  decide(&resolve, DECISION_RESOLVE_MOVED, buffer_bytes(&command), scene.duty);
  scene.dispatch->options.hooks.lookup = no_lookup;
  for (int i = 0; i < DISPATCH_WAITING_MAX; i++) {
    snprintf(id, sizeof id, "other%d", i);
    ask_about(id);
  }
  assert_false(dispatch_local_decision(scene.dispatch, buffer_bytes(&resolve), now, &refusal));
  assert_int_equal(refusal.code, CODE_FULL);
  dispatch_found(scene.dispatch, bytes_text("other0"), false, BYTES_NULL, now);
  settle();
  scene.dispatch->options.hooks.lookup = hook_lookup;
  assert_true(dispatch_local_decision(scene.dispatch, buffer_bytes(&resolve), now, &refusal));
  assert_false(dispatch_local_decision(scene.dispatch, buffer_bytes(&resolve), now, &refusal));
  assert_int_equal(refusal.code, CODE_BUSY);
  settle();
  expect("executed/resolved");
  buffer_clear(&scene.published);
  buffer_deinit(&command);
  buffer_deinit(&resolve);
}

static void test_second_person(void **state) {
  struct buffer command = BUFFER_NULL, own = BUFFER_NULL, approval = BUFFER_NULL;
  struct refusal refusal;
  (void)state;
  scene.controls[0].approval = 1;
  give_here((struct ask){.id = "d1", .address = GATE, .value = NUMBER(40)}, &command);
  settle();
  expect("received+command/approval");
  wait_for(SECOND_US);
  expect_published("");
  decide(&own, DECISION_APPROVE, buffer_bytes(&command), scene.duty);
  assert_false(dispatch_approve(scene.dispatch, bytes_text("d1"), buffer_bytes(&own), now, &refusal));
  assert_int_equal(refusal.code, CODE_APPROVAL);
  decide(&approval, DECISION_APPROVE, buffer_bytes(&command), scene.chief);
  assert_true(dispatch_approve(scene.dispatch, bytes_text("d1"), buffer_bytes(&approval), now, &refusal));
  expect_published(""); /* not before its commit */
  settle();
  expect("dispatched");
  expect_published("gates/1/set {\"id\":\"d1\",\"pos\":40} for 59s");
  assert_false(dispatch_approve(scene.dispatch, bytes_text("d1"), buffer_bytes(&approval), now, &refusal));
  pass(SECOND_US);
  measure(40);
  expect("executed");
  give_here((struct ask){.id = "d2", .address = GATE, .value = NUMBER(60), .life_us = 10 * SECOND_US}, NULL);
  settle();
  wait_for(9 * SECOND_US);
  expect("received+command/approval expired/approval");
  expect_published("");
  buffer_deinit(&command);
  buffer_deinit(&own);
  buffer_deinit(&approval);
}

/* ---- what changes while a person approves ---- */

static void narrower(void) { scene.controls[0].range.high = 30; }
static void no_control(void) { scene.devices[0].control_count = 0; }
static void shorter_deadlines(void) { scene.config.max_deadline_us = 10 * SECOND_US; }
static void smaller_steps(void) { scene.controls[0].max_step = 20; }
static void other_kind(void) { scene.points[0].type = VALUE_TEXT; }
static void selected_first(void) { scene.controls[0].select_us = 10 * SECOND_US; }

static void reload(void) {
  struct points fresh;
  points_init(&fresh, &scene.config);
  points_inherit(&fresh, &scene.live);
  points_deinit(&scene.live);
  scene.live = fresh;
  dispatch_configure(scene.dispatch, &scene.config, &scene.live);
}

/* A reload: all is looked at again just before the device is told, not authority alone. */
static void test_reload_meanwhile(void **state) {
  static const struct {
    void (*change)(void);
    const char *refused;
  } rows[] = {{narrower, "rejected/range"}, {no_control, "rejected/not-writable"},
      {shorter_deadlines, "rejected/deadline"}, {smaller_steps, "rejected/max-step"}, {other_kind, "rejected/type"},
      {selected_first, "rejected/select"}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct buffer command = BUFFER_NULL, approval = BUFFER_NULL;
    struct refusal refusal;
    if (i > 0) {
      tear_down(state);
      set_up_door(state);
    }
    measure(10);
    buffer_clear(&scene.events);
    scene.controls[0].approval = 1;
    give_here((struct ask){.id = "d1", .address = GATE, .value = NUMBER(40)}, &command);
    settle();
    expect("received+command/approval");
    decide(&approval, DECISION_APPROVE, buffer_bytes(&command), scene.chief);
    rows[i].change();
    reload();
    bool waited = dispatch_approve(scene.dispatch, bytes_text("d1"), buffer_bytes(&approval), now, &refusal);
    assert_int_equal(waited, rows[i].change != no_control); /* which asks for no approval */
    wait_for(SECOND_US);
    expect(rows[i].refused);
    expect_published("");
    buffer_deinit(&command);
    buffer_deinit(&approval);
  }
}

/* Armed when it was operated, at the door; the approval takes longer than that lasts. */
static void test_select_and_second_person(void **state) {
  struct buffer command = BUFFER_NULL, approval = BUFFER_NULL;
  struct refusal refusal;
  (void)state;
  scene.controls[0].approval = 1;
  scene.controls[0].select_us = 5 * SECOND_US;
  give_here((struct ask){.id = "s1", .address = GATE, .value = NUMBER(40), .verb = COMMAND_SELECT}, NULL);
  settle();
  expect("executed+command/selected");
  wait_for(4 * SECOND_US);
  give_here((struct ask){.id = "d1", .address = GATE, .value = NUMBER(40), .selection = "s1"}, &command);
  settle();
  expect("received+command/approval");
  wait_for(30 * SECOND_US);
  decide(&approval, DECISION_APPROVE, buffer_bytes(&command), scene.chief);
  assert_true(dispatch_approve(scene.dispatch, bytes_text("d1"), buffer_bytes(&approval), now, &refusal));
  settle();
  expect("dispatched");
  expect_published("gates/1/set {\"id\":\"d1\",\"pos\":40} for 30s");
  buffer_deinit(&command);
  buffer_deinit(&approval);
}

/* A script at the door leaves room for the broker's commands, and is never too many to stop. */
static void test_room_for_the_broker(void **state) {
  char id[16];
  (void)state;
  for (int i = 0; i <= DISPATCH_LOCAL_MAX; i++) {
    snprintf(id, sizeof id, "d%d", i);
    enum code code = give_here((struct ask){.id = id, .address = GATE, .value = NUMBER(140)}, NULL);
    assert_int_equal(code, i < DISPATCH_LOCAL_MAX ? CODE_NONE : CODE_FULL);
  }
  settle();
  buffer_clear(&scene.states);
  assert_int_equal(give_here((struct ask){.id = "halt", .address = GATE, .verb = COMMAND_STOP}, NULL), CODE_NONE);
  settle();
  expect("received+command dispatched");
  order((struct ask){.id = "b1", .address = PUMP, .value = YES});
  settle();
  expect("received dispatched");
  scene.published.len = 0;
}

int main(void) {
  log_set_level(LOG_LEVEL_ERROR);
  const struct CMUnitTest tests[] = {AT_DOOR(test_goes_without_a_broker), AT_DOOR(test_refused_here),
      AT_DOOR(test_from_the_broker), AT_DOOR(test_right_taken_meanwhile), AT_DOOR(test_after_a_crash),
      AT_DOOR(test_second_person), AT_DOOR(test_reload_meanwhile), AT_DOOR(test_select_and_second_person),
      AT_DOOR(test_an_approval_over_a_crash), AT_DOOR(test_a_decision_about_what_left_the_memory),
      AT_DOOR(test_room_for_the_broker)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
