/*
 * Each check of a command at the gateway: one that passes, one that is refused with its code, and one that passed when
 * it came and is refused since something changed before the device was told. The device hears of no refused one. See
 * scene.h.
 */
#include "tests/unit/gateway/scene.h"

/* As a measurement that comes in, without what follows from it. */
static void see(size_t point, struct value value) {
  const struct record record = {.quality = QUALITY_GOOD,
      .address = bytes_text(scene.points[point].address),
      .time = now.wall,
      .received = now.wall,
      .value = value};
  point_keep(&scene.live.items[point], &record);
  scene.live.items[point].heard = now.mono;
}
#define TEXT(x)                                                                                                        \
  { .type = VALUE_TEXT, .bytes = bytes_text(x) }
#define SEE(point, ...) see(point, (struct value)__VA_ARGS__)

static struct guard guards[2];
static const struct command_condition level_condition = {.op = CONDITION_AT_LEAST, .value = NUMBER(178.5)};
static struct command_condition condition;

static void guard_by(size_t point, enum condition_op op, struct value limit, enum code code, int64_t max_age_us) {
  guards[0] = (struct guard){.address = scene.points[point].address,
      .op = op,
      .limit = limit,
      .code = code,
      .max_age_us = max_age_us,
      .say = (char *)(uintptr_t) "no"};
  scene.controls[0].guards = guards;
  scene.controls[0].guard_count = 1;
}

/* ---- what is arranged before the command ---- */

static void nothing(void) {}
static void narrow(void) { scene.controls[0].range.high = 30; }
static void take_control_away(void) { scene.live.items[0].control = NULL; }
static void take_authority(void) {
  patterns_deinit(&scene.operators[0].command);
  dispatch_configure(scene.dispatch, &scene.config, &scene.live);
}
static void clock_off(void) { scene.offset = 3 * SECOND_US; }
static void stepping_from(double opening) {
  scene.controls[0].max_step = 20;
  SEE(0, NUMBER(opening));
}
static void step_of_20(void) { stepping_from(20); }
static void step_of_21(void) { stepping_from(19); }
static void step_from_nowhere(void) {
  scene.controls[0].max_step = 20;
  scene.live.items[0].has_last = false;
}
static void step_from_bad(void) {
  stepping_from(30);
  scene.live.items[0].last.quality = QUALITY_UNCERTAIN;
}
static void moved_before(int64_t ago_us) {
  scene.controls[0].min_interval_us = 10 * SECOND_US;
  give((struct ask){.id = "before", .address = GATE, .value = NUMBER(20)});
  pass(SECOND_US);
  measure(20);
  wait_for(ago_us - SECOND_US);
  buffer_clear(&scene.states);
  buffer_clear(&scene.published);
}
static void moved_10s_ago(void) { moved_before(10 * SECOND_US); }
static void moved_9s_ago(void) { moved_before(9 * SECOND_US); }
static void run_another(void) {
  give((struct ask){.id = "before", .address = GATE, .value = NUMBER(90)});
  buffer_clear(&scene.states);
  buffer_clear(&scene.published);
}
static void lock(void) {
  run_another();
  wait_for(120 * SECOND_US);
  buffer_clear(&scene.states);
}
static void mode(const char *text) {
  guard_by(3, CONDITION_EQUALS, (struct value)TEXT("local"), CODE_LOCAL, 0);
  SEE(3, TEXT(text));
}
static void mode_remote(void) { mode("remote"); }
static void mode_local(void) { mode("local"); }
static void mode_unknown(void) {
  mode("remote");
  scene.live.items[3].has_last = false;
}
static void level_high_for(int64_t age_us, double level) {
  guard_by(2, CONDITION_AT_LEAST, (struct value)NUMBER(178.5), CODE_INTERLOCK, 5 * SECOND_US);
  SEE(2, NUMBER(level));
  pass(age_us);
}
static void level_fresh(void) { level_high_for(5 * SECOND_US, 178.4); }
static void level_old(void) { level_high_for(5 * SECOND_US + 1, 178.4); }
static void level_high(void) { level_high_for(0, 178.5); }
static void level_undated(void) {
  level_fresh();
  scene.live.items[2].undated = true;
}
static void level_stale(void) {
  level_fresh();
  scene.points[2].stale_after_us = 4 * SECOND_US; /* silent for longer, though nobody has said so yet */
}
static void level_holds(void) { SEE(2, NUMBER(178.5)); }
static void level_holds_undated(void) {
  level_holds();
  scene.live.items[2].undated = true;
}
static void step_from_undated(void) {
  step_of_20();
  scene.live.items[0].undated = true;
}
static void mode_undated(void) {
  mode("remote");
  scene.live.items[3].undated = true;
}
static void only_downwards(void) {
  guard_by(2, CONDITION_AT_LEAST, (struct value)NUMBER(178.5), CODE_INTERLOCK, 0);
  guards[0].moving = GUARD_DOWN;
  SEE(2, NUMBER(190));
  SEE(0, NUMBER(10));
}
static void only_downwards_undated(void) {
  only_downwards();
  scene.live.items[0].undated = true;
}
static void level_fails(void) { SEE(2, NUMBER(178.4)); }
static void needs_approval(void) { scene.controls[0].approval = 1; }
static void needs_selection(void) {
  scene.controls[0].select_us = 10 * SECOND_US;
  give((struct ask){.id = "s1", .address = GATE, .value = NUMBER(40), .verb = COMMAND_SELECT});
  buffer_clear(&scene.states);
}
static void selection_ends(void) {
  needs_selection();
  pass(10 * SECOND_US + 1);
}

static const struct row {
  const char *title;
  void (*good)(void), (*bad)(void);
  const char *refused;
  bool late; /* may change while the command waits */
  bool conditional;
  const char *selection;
} rows[] = {
    {"range", nothing, narrow, "rejected/range", true, false, NULL},
    {"not writable", nothing, take_control_away, "rejected/not-writable", true, false, NULL},
    {"authority", nothing, take_authority, "rejected/authority", true, false, NULL},
    {"clock", nothing, clock_off, "rejected/clock", true, false, NULL},
    {"largest step", step_of_20, step_of_21, "rejected/max-step", true, false, NULL},
    {"step from an unknown value", step_of_20, step_from_nowhere, "rejected/max-step", true, false, NULL},
    {"step from an uncertain value", step_of_20, step_from_bad, "rejected/max-step", true, false, NULL},
    {"least interval", moved_10s_ago, moved_9s_ago, "rejected/min-interval", false, false, NULL},
    {"busy", nothing, run_another, "rejected/busy", false, false, NULL},
    {"locked", nothing, lock, "rejected/locked", false, false, NULL},
    {"local", mode_remote, mode_local, "rejected/local", true, false, NULL},
    {"local or not is not known", mode_remote, mode_unknown, "rejected/local", true, false, NULL},
    {"interlock", level_fresh, level_high, "rejected/interlock", true, false, NULL},
    {"interlock, too old", level_fresh, level_old, "rejected/interlock", true, false, NULL},
    {"interlock, retained", level_fresh, level_undated, "rejected/interlock", true, false, NULL},
    {"local, retained", mode_remote, mode_undated, "rejected/local", true, false, NULL},
    {"step from a retained value", step_of_20, step_from_undated, "rejected/max-step", true, false, NULL},
    {"direction from a retained value", only_downwards, only_downwards_undated, "rejected/interlock", true, false,
        NULL},
    {"precondition, retained", level_holds, level_holds_undated, "rejected/precondition", true, true, NULL},
    {"interlock, silent", level_fresh, level_stale, "rejected/interlock", true, false, NULL},
    {"precondition", level_holds, level_fails, "rejected/precondition", true, true, NULL},
    {"precondition, not measured", level_holds, nothing, "rejected/precondition", false, true, NULL},
    {"approval", nothing, needs_approval, "rejected/approval", true, false, NULL},
    {"select", nothing, needs_selection, "rejected/select", false, false, NULL},
    {"selection has ended", needs_selection, selection_ends, "rejected/select", false, false, "s1"},
    {"selection that nobody made", needs_selection, nothing, "rejected/select", false, false, "s1"},
};

static struct ask ask_of(const struct row *row) {
  condition = level_condition;
  condition.address = bytes_text(scene.points[2].address);
  return (struct ask){.id = "c1",
      .address = GATE,
      .value = NUMBER(40),
      .condition = row->conditional ? &condition : NULL,
      .selection = row->selection};
}

static void says(const struct row *row, const char *states) {
  if (strcmp(buffer_text(&scene.states), states) != 0)
    fail_msg("%s: %s, not %s (%s)", row->title, buffer_text(&scene.states), states, buffer_text(&scene.message));
}

/* Signed for longer than the station allows, so refused when it is given; whoever kept it back cannot use it later,
 * when its deadline has come near. */
static void test_signed_to_lie_in_wait(void **state) {
  struct buffer kept = BUFFER_NULL;
  (void)state;
  sign(&kept, &(struct ask){.id = "c1", .address = GATE, .value = NUMBER(40), .life_us = 600 * SECOND_US});
  wait_for(540 * SECOND_US);
  deliver(buffer_bytes(&kept));
  settle();
  expect("rejected/deadline");
  expect_published("");
  give((struct ask){.id = "c2", .address = GATE, .value = NUMBER(40), .life_us = 300 * SECOND_US});
  expect("received dispatched");
  buffer_clear(&scene.published);
  buffer_deinit(&kept);
}

static void test_each_check(void **state) {
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const struct row *row = &rows[i];
    tear_down(state);
    set_up(state);
    row->good();
    give(ask_of(row));
    says(row, "received dispatched");
    assert_int_not_equal(scene.published.len, 0);

    tear_down(state);
    set_up(state);
    row->bad();
    give(ask_of(row));
    says(row, row->refused);
    expect_published("");
    assert_true(scene.message.len > 0 && scene.hint.len > 0);

    if (!row->late) continue;
    tear_down(state);
    set_up(state);
    row->good();
    order(ask_of(row));
    commit(1000); /* looked up; `received` is being committed */
    row->bad();
    settle();
    char late[64];
    snprintf(late, sizeof late, "received %s", row->refused);
    says(row, late);
    expect_published("");
  }
}

/* Rule, actual, limit, and what to do next. */
static void test_texts(void **state) {
  (void)state;
  step_of_21();
  give((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40)});
  assert_string_equal(buffer_text(&scene.message), "the step from 19 to 40 is 21; at most 20 is allowed");
  scene.controls[0].max_step = 0;
  lock();
  give((struct ask){.id = "c2", .address = GATE, .value = NUMBER(40)});
  assert_non_null(strstr(buffer_text(&scene.hint), "riverbus resolve before --moved"));
}

/* That a text is not the number 0 is no word about the switch. */
static void test_incomparable(void **state) {
  (void)state;
  mode_remote();
  condition = (struct command_condition){
      .address = bytes_text(scene.points[3].address), .op = CONDITION_NOT_EQUALS, .value = NUMBER(0)};
  give((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40), .condition = &condition});
  expect("rejected/precondition");
  condition.op = CONDITION_EQUALS;
  give((struct ask){.id = "c2", .address = GATE, .value = NUMBER(40), .condition = &condition});
  expect("rejected/precondition");
  guard_by(3, CONDITION_EQUALS, (struct value)NUMBER(0), CODE_LOCAL, 0);
  give((struct ask){.id = "c3", .address = GATE, .value = NUMBER(40)});
  expect("rejected/local");
  assert_non_null(strstr(buffer_text(&scene.message), "cannot be compared"));
  expect_published("");
}

/* ---- approval ---- */

static void test_approval(void **state) {
  struct buffer one = BUFFER_NULL, other = BUFFER_NULL, approval = BUFFER_NULL;
  (void)state;
  needs_approval();
  give((struct ask){.id = "a1", .address = GATE, .value = NUMBER(40), .approved_by = scene.duty});
  expect("rejected/approval"); /* may not approve, and gave it */
  give((struct ask){.id = "a2", .address = GATE, .value = NUMBER(40), .by = scene.chief, .approved_by = scene.chief});
  expect("rejected/approval"); /* may approve, but not the own */
  give((struct ask){.id = "a3", .address = GATE, .value = NUMBER(40), .approved_by = scene.stranger});
  expect("rejected/approval");
  sign(&one, &(struct ask){.id = "a4", .address = GATE, .value = NUMBER(41)});
  decide(&approval, DECISION_APPROVE, buffer_bytes(&one), scene.chief);
  sign(&other, &(struct ask){.id = "a4", .address = GATE, .value = NUMBER(42)});
  deliver_with(buffer_bytes(&other), buffer_bytes(&approval)); /* of another command, though of the same id */
  settle();
  expect("rejected/approval");
  expect_published("");
  give((struct ask){.id = "a5", .address = GATE, .value = NUMBER(40), .approved_by = scene.chief});
  expect("received dispatched");
  buffer_deinit(&one);
  buffer_deinit(&other);
  buffer_deinit(&approval);
}

/* One that is not needed must be good all the same: whoever sent it believes that it counts. */
static void test_needless_approval(void **state) {
  (void)state;
  give((struct ask){.id = "a1", .address = GATE, .value = NUMBER(40), .approved_by = scene.stranger});
  expect("rejected/approval");
  give((struct ask){.id = "a2", .address = GATE, .value = NUMBER(40), .approved_by = scene.chief});
  expect("received dispatched");
}

/* It stands in the ledger: looked at again after a crash. */
static void test_approval_over_a_crash(void **state) {
  (void)state;
  needs_approval();
  order((struct ask){.id = "a1", .address = GATE, .value = NUMBER(40), .approved_by = scene.chief});
  commit(1000);
  commit(1);
  crash();
  settle();
  expect("received dispatched");
}

/* ---- select, try, already ---- */

static void test_select(void **state) {
  (void)state;
  scene.controls[0].select_us = 10 * SECOND_US;
  SEE(0, NUMBER(12));
  give((struct ask){.id = "s1", .address = GATE, .value = NUMBER(40), .verb = COMMAND_SELECT});
  expect("executed/selected");
  assert_string_equal(buffer_text(&scene.actual), "12");
  expect_published("");
  give((struct ask){.id = "s2", .address = GATE, .value = NUMBER(40), .verb = COMMAND_SELECT, .by = scene.chief});
  expect("rejected/select"); /* another's */
  give((struct ask){.id = "c1", .address = GATE, .value = NUMBER(41), .selection = "s1"});
  expect("rejected/select"); /* another value */
  give((struct ask){.id = "c2", .address = GATE, .value = NUMBER(40), .selection = "s1", .by = scene.chief});
  expect("rejected/select"); /* another key */
  give((struct ask){.id = "c3", .address = GATE, .value = NUMBER(40), .selection = "s1"});
  expect("received dispatched");
  pass(SECOND_US);
  measure(40);
  measure(12);
  give((struct ask){.id = "c4", .address = GATE, .value = NUMBER(40), .selection = "s1"});
  expect("executed rejected/select"); /* it was used */
}

/* Select, operate, then a second person takes their time: what counts is when it was operated. */
static void test_select_and_approval(void **state) {
  struct buffer bytes = BUFFER_NULL, approval = BUFFER_NULL;
  (void)state;
  needs_approval();
  for (int late = 0; late < 2; late++) {
    scene.controls[0].select_us = 10 * SECOND_US;
    const char *id = late ? "c1" : "c0", *selection = late ? "s1" : "s0";
    give((struct ask){.id = selection, .address = GATE, .value = NUMBER(40), .verb = COMMAND_SELECT});
    expect("executed/selected"); /* which moves nothing, and needs nobody */
    pass(late ? 11 * SECOND_US : 9 * SECOND_US);
    buffer_clear(&bytes);
    buffer_clear(&approval);
    sign(&bytes, &(struct ask){.id = id, .address = GATE, .value = NUMBER(40), .selection = selection});
    pass(40 * SECOND_US);
    decide(&approval, DECISION_APPROVE, buffer_bytes(&bytes), scene.chief);
    deliver_with(buffer_bytes(&bytes), buffer_bytes(&approval));
    settle();
    expect(late ? "rejected/select" : "received dispatched");
    if (!late) answer(GATE, id, false, "");
    if (!late) expect("failed/device");
  }
  expect_published("gates/1/set {\"id\":\"c0\",\"pos\":40} for 20s");
  buffer_deinit(&bytes);
  buffer_deinit(&approval);
}

/* Meanwhile another one may select, once the window is over; then the first has to select again. */
static void test_selected_by_another_meanwhile(void **state) {
  struct buffer bytes = BUFFER_NULL, approval = BUFFER_NULL;
  (void)state;
  needs_approval();
  needs_selection();
  sign(&bytes, &(struct ask){.id = "c1", .address = GATE, .value = NUMBER(40), .selection = "s1"});
  pass(11 * SECOND_US);
  give((struct ask){.id = "s2", .address = GATE, .value = NUMBER(50), .verb = COMMAND_SELECT, .by = scene.chief});
  expect("executed/selected");
  decide(&approval, DECISION_APPROVE, buffer_bytes(&bytes), scene.chief);
  deliver_with(buffer_bytes(&bytes), buffer_bytes(&approval));
  settle();
  expect("rejected/select");
  expect_published("");
  buffer_deinit(&bytes);
  buffer_deinit(&approval);
}

static void test_a_crash_unselects(void **state) {
  (void)state;
  needs_selection();
  crash();
  give((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40), .selection = "s1"});
  expect("rejected/select");
  give((struct ask){.id = "s3", .address = PUMP, .value = YES, .verb = COMMAND_SELECT});
  expect("rejected/select"); /* a control that knows none */
}

static void test_try(void **state) {
  (void)state;
  needs_approval();
  give((struct ask){.id = "t1", .address = GATE, .value = NUMBER(40), .verb = COMMAND_TRY});
  expect("executed/dry-run"); /* an approval is for what moves */
  assert_non_null(strstr(buffer_text(&scene.message), "approval of a second person"));
  mode_local();
  give((struct ask){.id = "t2", .address = GATE, .value = NUMBER(40), .verb = COMMAND_TRY});
  expect("rejected/local");
  mode_remote();
  run_another();
  scene.states.len = 0;
  scene.controls[0].approval = 0;
  give((struct ask){.id = "c1", .address = GATE, .value = NUMBER(90)});
  expect("received dispatched"); /* neither of them stood in the way */
  give((struct ask){.id = "t3", .address = GATE, .value = NUMBER(40), .verb = COMMAND_TRY});
  expect("rejected/busy");
  buffer_clear(&scene.published);
}

/* Nothing moves, so no guard has a say; who may not, or too late, is refused all the same. */
static void test_already(void **state) {
  (void)state;
  mode_local();
  SEE(0, NUMBER(40));
  give((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40)});
  expect("received executed/already");
  give((struct ask){.id = "c2", .address = GATE, .value = NUMBER(40), .by = scene.stranger});
  expect("rejected/authority");
  give((struct ask){.id = "c3", .address = GATE, .value = NUMBER(40), .life_us = SECOND_US});
  expect("expired/expired");
  scene.live.items[0].undated = true; /* the gate may stand elsewhere by now */
  give((struct ask){.id = "c4", .address = GATE, .value = NUMBER(40)});
  expect("rejected/local");
  expect_published("");
}

/* A clock that is set ahead makes it no shorter. */
static void test_interval_and_a_clock_that_jumps(void **state) {
  (void)state;
  moved_before(5 * SECOND_US);
  now.wall += 3600 * SECOND_US;
  give((struct ask){.id = "c1", .address = GATE, .value = NUMBER(50)});
  expect("rejected/min-interval");
  pass(5 * SECOND_US);
  give((struct ask){.id = "c2", .address = GATE, .value = NUMBER(50)});
  expect("received dispatched");
}

/* Kept over a crash. */
static void test_interval_over_a_crash(void **state) {
  (void)state;
  moved_before(5 * SECOND_US);
  crash();
  give((struct ask){.id = "c1", .address = GATE, .value = NUMBER(50)});
  expect("rejected/min-interval");
  pass(5 * SECOND_US);
  give((struct ask){.id = "c2", .address = GATE, .value = NUMBER(50)});
  expect("received dispatched");
}

/* What nobody heard is no movement, now and after a start; what somebody may have heard is one. */
static void test_interval_counts_what_was_told(void **state) {
  (void)state;
  scene.controls[0].min_interval_us = 60 * SECOND_US;
  give((struct ask){.id = "c1", .address = GATE, .value = NUMBER(50)});
  puback("c1", ORDER_NO_LISTENER);
  expect("received dispatched undelivered/no-listener");
  give((struct ask){.id = "c2", .address = GATE, .value = NUMBER(50)});
  puback("c2", ORDER_NOT_CONNECTED);
  expect("received dispatched undelivered/no-listener");
  crash();
  order((struct ask){.id = "c3", .address = GATE, .value = NUMBER(50), .life_us = 5 * SECOND_US});
  commit(1000);
  commit(1);
  pass(4 * SECOND_US); /* the commit of `dispatched` took long */
  settle();
  expect("received dispatched undelivered/expired");
  give((struct ask){.id = "c4", .address = GATE, .value = NUMBER(50)});
  expect("received dispatched");
  crash(); /* it may have been told */
  pass(SECOND_US);
  answer(GATE, "c4", false, "jammed");
  expect("failed/device");
  give((struct ask){.id = "c5", .address = GATE, .value = NUMBER(60)});
  expect("rejected/min-interval");
  buffer_clear(&scene.published);
}

/* One that was undelivered takes nothing away from the movement before it. */
static void test_interval_after_one_undelivered(void **state) {
  (void)state;
  moved_before(5 * SECOND_US);
  scene.controls[0].min_interval_us = 4 * SECOND_US;
  give((struct ask){.id = "c1", .address = GATE, .value = NUMBER(50)});
  puback("c1", ORDER_NO_LISTENER);
  expect("received dispatched undelivered/no-listener");
  scene.controls[0].min_interval_us = 10 * SECOND_US;
  give((struct ask){.id = "c2", .address = GATE, .value = NUMBER(50)});
  expect("rejected/min-interval");
  crash();
  give((struct ask){.id = "c3", .address = GATE, .value = NUMBER(50)});
  expect("rejected/min-interval");
  buffer_clear(&scene.published);
}

int main(void) {
  log_set_level(LOG_LEVEL_ERROR);
  const struct CMUnitTest tests[] = {STORY(test_each_check), STORY(test_signed_to_lie_in_wait), STORY(test_texts),
      STORY(test_incomparable), STORY(test_approval), STORY(test_needless_approval), STORY(test_approval_over_a_crash),
      STORY(test_select), STORY(test_select_and_approval), STORY(test_selected_by_another_meanwhile),
      STORY(test_a_crash_unselects), STORY(test_try), STORY(test_already), STORY(test_interval_over_a_crash),
      STORY(test_interval_and_a_clock_that_jumps), STORY(test_interval_counts_what_was_told),
      STORY(test_interval_after_one_undelivered)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
