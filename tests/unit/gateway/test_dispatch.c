/* From receipt to outcome, over crashes, clocks and repetitions; see scene.h. */
#include "tests/unit/gateway/scene.h"

/* ---- the stories ---- */

static void test_gate_follows(void **state) {
  (void)state;
  order((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40)});
  settle();
  expect("received dispatched");
  expect_published("gates/1/set {\"id\":\"c1\",\"pos\":40} for 60s");
  puback("c1", ORDER_PUBLISH_ACKED);
  expect("");
  pass(SECOND_US);
  measure(12);
  answer(GATE, "c1", true, "");
  expect("acting");
  measure_of(0, (struct value)NUMBER(40), QUALITY_BAD, false);
  measure_of(0, (struct value)NUMBER(40), QUALITY_GOOD, true); /* retained: of an unknown time */
  expect("");
  measure(39.2);
  expect("executed");
  measure(40);
  answer(GATE, "c1", true, "");
  wait_for(120 * SECOND_US);
  expect("");
  expect_published("");
}

/* Nothing leaves before its commit: not a report, not the publish. */
static void test_commit_first(void **state) {
  (void)state;
  order((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40)});
  expect_published("");
  commit(1000); /* the look-up */
  expect_published("");
  assert_int_equal(store_memory_pending(scene.store), 1);
  commit(1); /* received */
  expect("received");
  expect_published("");
  assert_int_equal(store_memory_pending(scene.store), 1);
  commit(1); /* dispatched */
  expect("dispatched");
  expect_published("gates/1/set {\"id\":\"c1\",\"pos\":40} for 60s");
}

static void test_pump_by_reply(void **state) {
  (void)state;
  order((struct ask){.id = "p1", .address = PUMP, .value = YES});
  settle();
  expect("received dispatched");
  expect_published("pumps/1/set {\"id\":\"p1\",\"pos\":true} for 60s");
  answer(GATE, "p1", true, ""); /* another device's topic */
  expect("");
  answer(PUMP, "p1", true, "");
  expect("executed");
  order((struct ask){.id = "p2", .address = PUMP, .value = YES});
  settle();
  answer(PUMP, "p2", false, "overload relay");
  expect("received dispatched failed/device");
  scene.published.len = 0;
}

static void test_nobody_listens(void **state) {
  (void)state;
  order((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40)});
  settle();
  puback("c1", ORDER_NO_LISTENER);
  expect("received dispatched undelivered/no-listener");
  order((struct ask){.id = "c2", .address = GATE, .value = NUMBER(40)}); /* the device is free again */
  settle();
  puback("c2", ORDER_NOT_CONNECTED);
  expect("received dispatched undelivered/no-listener");
}

static void test_silence_of_the_device(void **state) {
  (void)state;
  order((struct ask){.id = "p1", .address = PUMP, .value = YES});
  settle();
  wait_for(9 * SECOND_US);
  expect("received dispatched");
  wait_for(2 * SECOND_US);
  expect("unknown/no-answer");
  answer(PUMP, "p1", true, ""); /* late truth */
  expect("executed");
  order((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40)});
  settle();
  puback("c1", ORDER_PUBLISH_ACKED);
  pass(SECOND_US);
  measure(12);
  wait_for(50 * SECOND_US);
  expect("received dispatched"); /* until the deadline the device may rightly begin */
  wait_for(20 * SECOND_US);
  pass(2 * SECOND_US);
  measure(12);
  expect("failed/not-reached");
}

static void test_already_there(void **state) {
  (void)state;
  measure(39.5);
  order((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40)});
  settle();
  expect("received executed/already");
  expect_published("");
}

static const struct refused {
  const char *title;
  struct ask ask;
  const char *states;
} refused[] = {
    {"range", {.id = "r1", .address = GATE, .value = NUMBER(101)}, "rejected/range"},
    {"type", {.id = "r2", .address = GATE, .value = YES}, "rejected/type"},
    {"no such point", {.id = "r3", .address = "chongqing/caijiagang/gate-9/opening", .value = NUMBER(1)},
        "rejected/unknown-point"},
    {"not ours", {.id = "r4", .address = "chongqing/elsewhere/gate-1/opening", .value = NUMBER(1)},
        "rejected/authority"},
    {"deadline too far", {.id = "r5", .address = GATE, .value = NUMBER(1), .life_us = 301 * SECOND_US},
        "rejected/deadline"},
    {"too little life", {.id = "r6", .address = GATE, .value = NUMBER(1), .life_us = 1999 * MILLISECOND_US},
        "expired/expired"},
    {"verb", {.id = "r7", .address = GATE, .value = NUMBER(1), .verb = 9}, "rejected/unsupported"},
    {"before the store was", {.id = "r8", .address = GATE, .value = NUMBER(1), .ago_us = 3600 * SECOND_US},
        "rejected/replay"},
};

static void test_refusals(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    order(refused[i].ask);
    settle();
    if (strcmp(buffer_text(&scene.states), refused[i].states) != 0)
      fail_msg("%s: %s, not %s", refused[i].title, buffer_text(&scene.states), refused[i].states);
    buffer_clear(&scene.states);
  }
  order((struct ask){.id = "r20", .address = GATE, .value = NUMBER(1), .by = scene.stranger});
  settle();
  expect("rejected/authority");
  scene.offset = 3 * SECOND_US;
  order((struct ask){.id = "r21", .address = GATE, .value = NUMBER(1)});
  settle();
  expect("rejected/clock");
  scene.offset = 0;
  scene.unsynchronised = true;
  order((struct ask){.id = "r22", .address = GATE, .value = NUMBER(1)});
  settle();
  expect("rejected/clock");
  expect_published("");
}

static void test_forged(void **state) {
  struct buffer bytes = BUFFER_NULL;
  struct dispatch_stats stats;
  (void)state;
  sign(&bytes, &(struct ask){.id = "f1", .address = GATE, .value = NUMBER(40)});
  for (size_t i = 0; i < bytes.len; i++) {
    bytes.data[i] ^= 1;
    deliver(buffer_bytes(&bytes));
    settle();
    bytes.data[i] ^= 1;
  }
  expect("");
  expect_published("");
  dispatch_stats(scene.dispatch, &stats);
  assert_true(stats.forged == bytes.len && stats.commands == 0);
  deliver(buffer_bytes(&bytes));
  settle();
  expect("received dispatched");
  buffer_deinit(&bytes);
}

static void test_busy(void **state) {
  (void)state;
  order((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40)});
  settle();
  order((struct ask){.id = "c2", .address = GATE, .value = NUMBER(50)});
  order((struct ask){.id = "p1", .address = PUMP, .value = YES}); /* another device */
  settle();
  expect("received dispatched rejected/busy received dispatched");
}

/* The same bytes again are answered with what is known; other content under the same id moves nothing. */
static void test_repeated(void **state) {
  struct buffer bytes = BUFFER_NULL;
  (void)state;
  sign(&bytes, &(struct ask){.id = "c1", .address = GATE, .value = NUMBER(40)});
  deliver(buffer_bytes(&bytes));
  deliver(buffer_bytes(&bytes)); /* while it is looked up */
  settle();
  expect("received dispatched");
  deliver(buffer_bytes(&bytes));
  settle();
  expect("dispatched");
  pass(SECOND_US);
  measure(40);
  order((struct ask){.id = "c1", .address = GATE, .value = NUMBER(90)});
  settle();
  expect("executed executed");
  expect_published("gates/1/set {\"id\":\"c1\",\"pos\":40} for 60s");
  wait_for(3600 * SECOND_US); /* it has left the memory */
  crash();
  deliver(buffer_bytes(&bytes));
  settle();
  order((struct ask){.id = "c1", .address = GATE, .value = NUMBER(90)});
  settle();
  expect("executed executed");
  expect_published("");
  buffer_deinit(&bytes);
}

/* A crash at each commit of a command's life. */
static void test_crashes(void **state) {
  (void)state;
  order((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40)});
  commit(1000);
  crash(); /* before `received` was durable: as if it had never come */
  settle();
  expect("");
  ask_about("c1");
  assert_string_equal(buffer_text(&scene.nevers), "c1 ");
  order((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40)}); /* and a late copy is not taken */
  settle();
  expect("expired/not-received");
  expect_published("");

  order((struct ask){.id = "c2", .address = GATE, .value = NUMBER(40)});
  commit(1000);
  commit(1);
  expect("received");
  crash(); /* received, not dispatched: goes on */
  settle();
  expect("dispatched");
  expect_published("gates/1/set {\"id\":\"c2\",\"pos\":40} for 60s");
  crash(); /* dispatched: never again */
  settle();
  wait_for(SECOND_US);
  expect_published("");
  measure(40);
  expect("executed");

  order((struct ask){.id = "c3", .address = GATE, .value = NUMBER(60), .life_us = 20 * SECOND_US});
  settle();
  crash();
  wait_for(61 * SECOND_US);
  expect("received dispatched unknown/restarted");
  ask_about("c3");
  expect("unknown/restarted");
  expect_published("gates/1/set {\"id\":\"c3\",\"pos\":60} for 20s");
}

static void test_expires_while_the_gateway_was_down(void **state) {
  (void)state;
  order((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40), .life_us = 10 * SECOND_US});
  commit(1000);
  commit(1);
  pass(9 * SECOND_US);
  crash();
  settle();
  expect("received expired/expired");
  expect_published("");
}

/* The wall clock jumps back: the boot clock ends the command. */
static void test_clock_jumps(void **state) {
  (void)state;
  order((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40), .life_us = 10 * SECOND_US});
  commit(1000);
  now.mono += 9 * SECOND_US;
  settle();
  expect("received expired/expired");
  expect_published("");
}

/* Before the first ping nobody knows what the deadline means by this clock. */
static void test_clock_unknown(void **state) {
  (void)state;
  scene.offset_known = false;
  order((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40)});
  settle();
  expect("");
  scene.offset_known = true;
  order((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40)});
  commit(1000);
  commit(1);
  expect("received");
  scene.offset_known = false; /* a power cut, and a clock that stood still meanwhile */
  crash();
  wait_for(SECOND_US);
  expect("");
  scene.offset_known = true;
  scene.offset = -3600 * SECOND_US;
  wait_for(SECOND_US);
  expect("rejected/clock");
  expect_published("");
}

static void test_slow_commit_of_dispatched(void **state) {
  (void)state;
  order((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40), .life_us = 10 * SECOND_US});
  commit(1000);
  commit(1);
  pass(9 * SECOND_US);
  settle();
  expect("received dispatched undelivered/expired");
  expect_published("");
}

/* Fences rise for good, also over a crash and a clock that fell. */
static void test_fence(void **state) {
  static struct gateway_piece fence[] = {{GATEWAY_PIECE_FENCE, NULL}};
  uint64_t last = 0;
  (void)state;
  scene.controls[1].payload = (struct gateway_template){NULL, fence, 1};
  for (int i = 0; i < 4; i++) {
    char id[8];
    snprintf(id, sizeof id, "p%d", i);
    /* in the end by another: what one key signs after its clock was set back counts as given before */
    order((struct ask){.id = id, .address = PUMP, .value = YES, .by = i == 3 ? scene.chief : scene.duty});
    settle();
    answer(PUMP, id, true, "");
    uint64_t given = strtoull(strchr(buffer_text(&scene.published), ' '), NULL, 10);
    assert_true(given > last);
    last = given;
    buffer_clear(&scene.published);
    if (i == 1) crash();
    if (i == 2) now.wall -= SECOND_US / 2;
  }
}

static void test_ask(void **state) {
  (void)state;
  order((struct ask){.id = "p1", .address = PUMP, .value = YES});
  settle();
  answer(PUMP, "p1", true, "");
  expect("received dispatched executed");
  ask_about("p1");
  expect("executed");
  wait_for(3600 * SECOND_US);
  ask_about("p1"); /* out of the store */
  expect("executed");
  ask_about("p9");
  ask_about("p9");
  expect("");
  assert_string_equal(buffer_text(&scene.nevers), "p9 p9 ");
}

/* However many commands there were, a start reads those that may still change, and one more to see that it is done. */
static void test_start_reads_what_is_open(void **state) {
  struct dispatch_stats stats;
  (void)state;
  crash(); /* a new store is marked at its first start */
  settle();
  for (int i = 0; i < 50; i++) {
    char id[16];
    snprintf(id, sizeof id, "p%d", i);
    order((struct ask){.id = id, .address = PUMP, .value = YES});
    settle();
    answer(PUMP, id, true, "");
  }
  order((struct ask){.id = "u", .address = PUMP, .value = YES});
  settle();
  wait_for(11 * SECOND_US); /* unknown: the device may still answer */
  order((struct ask){.id = "o", .address = GATE, .value = NUMBER(7)});
  settle();
  buffer_clear(&scene.states);
  scene.read = 0;
  crash();
  assert_int_equal(scene.read, 3);
  dispatch_stats(scene.dispatch, &stats);
  assert_int_equal(stats.in_memory, 2);
  answer(PUMP, "u", true, "");
  expect("executed");
  ask_about("p7"); /* out of the store */
  expect("executed");
  buffer_clear(&scene.published);
}

/* What nobody answered for stays in memory and on the list of what a start reads: it locks the point. */
static void test_unknown_stays(void **state) {
  struct buffer bytes = BUFFER_NULL;
  (void)state;
  crash();
  sign(&bytes, &(struct ask){.id = "u", .address = PUMP, .value = YES});
  deliver(buffer_bytes(&bytes));
  settle();
  wait_for(11 * SECOND_US);
  expect("received dispatched unknown/no-answer");
  wait_for(400 * SECOND_US);
  expect("");
  scene.read = 0;
  crash();
  assert_int_equal(scene.read, 1);
  deliver(buffer_bytes(&bytes));
  settle();
  expect("unknown/no-answer");
  order((struct ask){.id = "p2", .address = PUMP, .value = YES});
  settle();
  expect("rejected/locked");
  answer(PUMP, "u", true, ""); /* the late truth opens it */
  order((struct ask){.id = "p3", .address = PUMP, .value = YES});
  settle();
  expect("executed received dispatched");
  buffer_clear(&scene.published);
  buffer_deinit(&bytes);
}

static bool find_order(void *ctx, struct bytes key, struct bytes value) {
  if (key.data[0] == '!') buffer_append(ctx, value);
  return true;
}

/* A store as an earlier program left it: all under their ids, no mark. The open one goes on, once; from the second
 * start on only what is open is read. */
static void test_store_of_an_earlier_program(void **state) {
  struct buffer entry = BUFFER_NULL;
  (void)state;
  order((struct ask){.id = "p1", .address = PUMP, .value = YES});
  settle();
  answer(PUMP, "p1", true, "");
  order((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40)});
  settle();
  assert_int_equal(store_scan(scene.store, STORE_COMMANDS, find_order, &entry), 0);
  struct store_batch *batch = store_batch_new();
  store_batch_put(batch, STORE_COMMANDS, bytes_text("c1"), buffer_bytes(&entry));
  store_batch_delete(batch, STORE_COMMANDS, bytes_text("!c1"));
  store_batch_delete(batch, STORE_META, bytes_text("commands/open"));
  assert_int_equal(store_submit(scene.store, batch, NULL), 0);
  settle();
  buffer_clear(&scene.states);
  buffer_clear(&scene.published);
  scene.read = 0;
  crash();
  assert_int_equal(scene.read, 2);
  crash(); /* in the middle of it: nothing was committed, and all is read again */
  assert_int_equal(scene.read, 4);
  settle();
  expect("dispatched"); /* said once more */
  scene.read = 0;
  crash();
  assert_int_equal(scene.read, 2);
  wait_for(SECOND_US);
  expect_published("");
  measure(40);
  expect("executed");
  buffer_deinit(&entry);
}

/* An entry of a newer program: its id does not look new. */
static void test_unreadable_entry(void **state) {
  struct store_batch *batch = store_batch_new();
  (void)state;
  store_batch_put(batch, STORE_COMMANDS, bytes_text("!c1"), bytes_text("\xff rubbish"));
  assert_int_equal(store_submit(scene.store, batch, NULL), 0);
  settle();
  crash();
  settle();
  order((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40)});
  settle();
  ask_about("c1");
  expect("");
  expect_published("");
  assert_int_equal(scene.nevers.len, 0);
}

static void test_store_refuses(void **state) {
  const struct memory_faults full = {.full = true};
  const struct memory_faults none = {.full = false};
  (void)state;
  store_memory_faults(scene.store, &full);
  order((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40)});
  settle();
  expect("received dispatched"); /* commands may use the reserve */
  store_memory_faults(scene.store, &none);
}

static void test_malformed(void **state) {
  struct dispatch_stats stats;
  (void)state;
  dispatch_message(scene.dispatch, SETTLE_COMMAND, bytes_text("rubbish"), now);
  dispatch_message(scene.dispatch, SETTLE_ASK, bytes_text("\xff\xff"), now);
  dispatch_message(scene.dispatch, 63, BYTES_NULL, now);
  settle();
  dispatch_stats(scene.dispatch, &stats);
  assert_int_equal(stats.malformed + stats.forged, 3);
  expect("");
}

int main(void) {
  log_set_level(LOG_LEVEL_ERROR);
  const struct CMUnitTest tests[] = {STORY(test_gate_follows), STORY(test_commit_first), STORY(test_pump_by_reply),
      STORY(test_nobody_listens), STORY(test_silence_of_the_device), STORY(test_already_there), STORY(test_refusals),
      STORY(test_forged), STORY(test_busy), STORY(test_repeated), STORY(test_crashes),
      STORY(test_expires_while_the_gateway_was_down), STORY(test_clock_jumps), STORY(test_clock_unknown),
      STORY(test_slow_commit_of_dispatched), STORY(test_fence), STORY(test_ask), STORY(test_start_reads_what_is_open),
      STORY(test_unknown_stays), STORY(test_store_of_an_earlier_program), STORY(test_unreadable_entry),
      STORY(test_store_refuses), STORY(test_malformed)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
