/* What the store refuses: a command that nobody was told of is decided anew, and what belongs to no command is not
 * lost. See scene.h. */
#include "tests/unit/gateway/scene.h"
#include "gateway/dispatch_internal.h"

static bool refuses;
static void *refused[64];
static size_t refused_count;

static void submit(void *ctx, struct store_batch *batch, void *cookie) {
  if (!refuses) {
    hook_submit(ctx, batch, cookie);
    return;
  }
  assert_true(refused_count < sizeof refused / sizeof refused[0]);
  refused[refused_count++] = cookie;
  store_batch_free(batch);
}

static void flush(void) {
  size_t count = refused_count;
  refused_count = 0;
  for (size_t i = 0; i < count; i++) dispatch_committed(scene.dispatch, refused[i], false, now);
}

static int set_up_refused(void **state) {
  int outcome = set_up(state);
  scene.dispatch->options.hooks.submit = submit;
  refuses = false;
  refused_count = 0;
  return outcome;
}

/* `received` is durable, and the store has no room for `dispatched`. */
static void begin_without_room(uint8_t verb) {
  order((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40), .verb = verb});
  commit(1000);
  refuses = true;
  commit(1);
  expect("received");
  flush();
  for (int i = 0; i < 5; i++) {
    wait_for(SECOND_US + 1);
    flush();
  }
  expect("");
}

static void room(void) {
  refuses = false;
  wait_for(2 * SECOND_US);
}

static struct guard guard;
static void level_is(double level) { measure_of(2, (struct value)NUMBER(level), QUALITY_GOOD, false); }

static void test_goes_on(void **state) {
  (void)state;
  scene.controls[0].min_interval_us = 60 * SECOND_US; /* its own attempts are no movement */
  begin_without_room(COMMAND_SET);
  room();
  expect("dispatched");
  expect_published("gates/1/set {\"id\":\"c1\",\"pos\":40} for 52s");
  answer(GATE, "c1", false, "");
  give((struct ask){.id = "c2", .address = GATE, .value = NUMBER(50)});
  expect("failed/device rejected/min-interval");
}

/* Operated in time, so nobody selects again; and used once. */
static void test_a_selection(void **state) {
  (void)state;
  scene.controls[0].select_us = 5 * SECOND_US;
  give((struct ask){.id = "s1", .address = GATE, .value = NUMBER(40), .verb = COMMAND_SELECT});
  expect("executed/selected");
  order((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40), .selection = "s1"});
  commit(1000);
  refuses = true;
  commit(1);
  for (int i = 0; i < 6; i++) {
    flush();
    wait_for(SECOND_US + 1);
  }
  flush();
  room();
  expect("received dispatched");
  expect_published("gates/1/set {\"id\":\"c1\",\"pos\":40} for 51s");
  answer(GATE, "c1", false, "");
  give((struct ask){.id = "c2", .address = GATE, .value = NUMBER(40), .selection = "s1"});
  expect("failed/device rejected/select");
}

static void test_a_guard_meanwhile(void **state) {
  (void)state;
  guard = (struct guard){
      .address = scene.points[2].address, .op = CONDITION_AT_LEAST, .limit = NUMBER(178.5), .code = CODE_INTERLOCK};
  scene.controls[0].guards = &guard;
  scene.controls[0].guard_count = 1;
  level_is(170);
  begin_without_room(COMMAND_SET);
  level_is(190);
  room();
  expect("rejected/interlock");
  expect_published("");
}

static void test_authority_meanwhile(void **state) {
  (void)state;
  begin_without_room(COMMAND_SET);
  patterns_deinit(&scene.operators[0].command);
  dispatch_configure(scene.dispatch, &scene.config, &scene.live);
  room();
  expect("rejected/authority");
  expect_published("");
}

static void test_clock_meanwhile(void **state) {
  (void)state;
  begin_without_room(COMMAND_SET);
  scene.unsynchronised = true;
  room();
  expect("rejected/clock");
  expect_published("");
}

static void test_its_deadline_meanwhile(void **state) {
  (void)state;
  begin_without_room(COMMAND_SET);
  wait_for(60 * SECOND_US);
  flush();
  room();
  expect("expired/expired");
  expect_published("");
}

static void test_cancelled_meanwhile(void **state) {
  struct buffer bytes = BUFFER_NULL, decision = BUFFER_NULL;
  (void)state;
  order_kept((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40)}, &bytes);
  commit(1000);
  refuses = true;
  commit(1);
  flush();
  decide(&decision, DECISION_CANCEL, buffer_bytes(&bytes), scene.duty);
  dispatch_message(scene.dispatch, SETTLE_DECISION, buffer_bytes(&decision), now);
  room();
  expect("received cancelled/cancelled");
  expect_published("");
  buffer_deinit(&bytes);
  buffer_deinit(&decision);
}

static void test_a_stop(void **state) {
  (void)state;
  begin_without_room(COMMAND_STOP);
  room();
  expect("dispatched");
  expect_published("gates/1/stop halt c1 of  for 52s");
}

/* A crash while the store has no room: nothing was published, and it is still there. */
static void test_crash(void **state) {
  (void)state;
  begin_without_room(COMMAND_SET);
  refuses = false;
  crash();
  settle();
  expect("dispatched");
  buffer_clear(&scene.published);
}

/* ---- what belongs to no command ---- */

static bool tells_of_a_movement(void *ctx, struct bytes key, struct bytes value) {
  struct store_audit row;
  struct bytes bytes;
  struct audit_entry entry;
  assert_true(store_audit_row(key, value, &row, &bytes));
  assert_int_equal(audit_read(&entry, bytes), 0);
  *(size_t *)ctx += entry.kind == AUDIT_MOVEMENT;
  return true;
}

static size_t movements(void) {
  size_t count = 0;
  assert_int_equal(store_scan(scene.store, STORE_AUDIT, tells_of_a_movement, &count), 0);
  return count;
}

/* Moved by hand while the store has no room: it stands in the audit log all the same, once. */
static void test_a_movement(void **state) {
  (void)state;
  measure(10);
  pass(SECOND_US);
  refuses = true;
  measure(60);
  assert_int_equal(refused_count, 1);
  flush();
  assert_int_equal(movements(), 0);
  refuses = false;
  wait_for(DISPATCH_KEPT_RETRY_US);
  wait_for(DISPATCH_KEPT_RETRY_US);
  assert_int_equal(movements(), 1);
  buffer_clear(&scene.events);
}

/* What the broker asked for is issued again once there is room. */
static void test_a_report(void **state) {
  (void)state;
  give((struct ask){.id = "c1", .address = GATE, .value = NUMBER(140)});
  expect("rejected/range");
  refuses = true;
  ask_about("c1");
  flush();
  expect("");
  refuses = false;
  wait_for(DISPATCH_KEPT_RETRY_US);
  expect("rejected/range");
}

/* So much is held, and the rest is counted. */
static void test_too_much(void **state) {
  (void)state;
  give((struct ask){.id = "c1", .address = GATE, .value = NUMBER(140)});
  refuses = true;
  for (int i = 0; i < DISPATCH_KEPT_MAX + 5; i++) {
    ask_about("c1");
    if (refused_count == 60) flush();
  }
  flush();
  struct dispatch_stats stats;
  dispatch_stats(scene.dispatch, &stats);
  assert_int_equal(stats.notes_lost, 5);
  refuses = false;
  wait_for(DISPATCH_KEPT_RETRY_US);
  assert_int_equal(scene.dispatch->kept_count, 0);
  buffer_clear(&scene.states);
}

/* ---- what anyone may cause ---- */

static size_t entries;
static bool count_entry(void *ctx, struct bytes key, struct bytes value) {
  (void)ctx;
  (void)key;
  (void)value;
  entries++;
  return true;
}
static size_t ledger_entries(void) {
  entries = 0;
  assert_int_equal(store_scan(scene.store, STORE_COMMANDS, count_entry, NULL), 0);
  return entries;
}
static struct dispatch_stats stats(void) {
  struct dispatch_stats s;
  dispatch_stats(scene.dispatch, &s);
  return s;
}

/* A broker that invents ids does not fill the ledger; one that asks in earnest is answered in the end. */
static void test_questions_about_invented_ids(void **state) {
  char id[32];
  (void)state;
  for (int i = 0; i < DISPATCH_NEVERS + 50; i++) {
    snprintf(id, sizeof id, "invented%d", i);
    ask_about(id);
  }
  size_t before = ledger_entries();
  assert_int_equal(stats().nevers_dropped, 50);
  buffer_clear(&scene.nevers);
  pass(DISPATCH_STRANGE_US);
  ask_about("earnest");
  assert_string_equal(buffer_text(&scene.nevers), "earnest ");
  assert_true(ledger_entries() > before);
  buffer_clear(&scene.states);
}

static void test_commands_by_invented_keys(void **state) {
  char id[32];
  (void)state;
  for (int i = 0; i < DISPATCH_STRANGERS + 50; i++) {
    snprintf(id, sizeof id, "c%d", i);
    give((struct ask){.id = id, .address = GATE, .value = NUMBER(40), .by = scene.stranger});
  }
  assert_int_equal(stats().strangers_dropped, 50);
  assert_int_equal(stats().ended[STATE_REJECTED], DISPATCH_STRANGERS);
  buffer_clear(&scene.states);
  give((struct ask){.id = "good", .address = GATE, .value = NUMBER(40)}); /* who is known is heard */
  expect("received dispatched");
  buffer_clear(&scene.published);
}

#undef STORY
#define STORY(test) cmocka_unit_test_setup_teardown(test, set_up_refused, tear_down)
int main(void) {
  log_set_level(LOG_LEVEL_ERROR);
  const struct CMUnitTest tests[] = {STORY(test_goes_on), STORY(test_a_selection), STORY(test_a_guard_meanwhile),
      STORY(test_authority_meanwhile), STORY(test_clock_meanwhile), STORY(test_its_deadline_meanwhile),
      STORY(test_cancelled_meanwhile), STORY(test_a_stop), STORY(test_crash), STORY(test_a_movement),
      STORY(test_a_report), STORY(test_too_much), STORY(test_questions_about_invented_ids),
      STORY(test_commands_by_invented_keys)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
