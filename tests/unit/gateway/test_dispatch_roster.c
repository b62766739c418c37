/* Rosters: whom the station obeys beside its own list. See scene.h. */
#include "common/command/roster.h"
#include "tests/unit/gateway/scene.h"
#include "gateway/dispatch_internal.h"

static struct identity *authority, *night; /* night: an operator that only rosters name */
static struct public_key authority_key, night_key;

static int set_up_roster(void **state) {
  int outcome = set_up(state);
  assert_int_equal(identity_generate(&authority), 0);
  assert_int_equal(identity_generate(&night), 0);
  identity_public(authority, &authority_key);
  identity_public(night, &night_key);
  scene.config.authority = (struct config_keys){&authority_key, 1};
  dispatch_configure(scene.dispatch, &scene.config, &scene.live);
  return outcome;
}
static int tear_down_roster(void **state) {
  identity_free(authority);
  identity_free(night);
  return tear_down(state);
}

static void push_as(uint64_t version, char *name, const char *pattern, char *province, const struct identity *signer) {
  struct roster_operator operator= {.name = name, .keys = {night_key}, .key_count = 1};
  const struct roster roster = {.province = province,
      .version = version,
      .issued = now.wall,
      .valid_until = now.wall + 3600 * SECOND_US,
      .operators = &operator,
      .operator_count = 1 };
  struct buffer bytes = BUFFER_NULL;
  const char *why = "";
  assert_int_equal(patterns_add(&operator.command, bytes_text(pattern), NULL), 0);
  if (roster_sign(&bytes, &roster, signer, &why) != 0) fail_msg("%s", why);
  dispatch_message(scene.dispatch, SETTLE_ROSTER, buffer_bytes(&bytes), now);
  settle();
  patterns_deinit(&operator.command);
  buffer_deinit(&bytes);
}
static void push(uint64_t version, const char *pattern) { push_as(version, "night", pattern, "chongqing", authority); }

static void ask_by_night(const char *id, const char *states) {
  give((struct ask){.id = id, .address = PUMP, .value = YES, .by = night});
  if (strcmp(states, "received dispatched") == 0) answer(PUMP, id, false, "");
  buffer_clear(&scene.published);
  assert_memory_equal(buffer_text(&scene.states), states, strlen(states));
  buffer_clear(&scene.states);
}
static uint64_t version_held(void) {
  struct dispatch_stats stats;
  dispatch_stats(scene.dispatch, &stats);
  return stats.roster_version;
}
static uint64_t refused(void) {
  struct dispatch_stats stats;
  dispatch_stats(scene.dispatch, &stats);
  return stats.rosters_refused;
}

static void test_obeyed(void **state) {
  (void)state;
  ask_by_night("p1", "rejected/authority");
  push(1, "chongqing/caijiagang/#");
  ask_by_night("p2", "received dispatched");
  give((struct ask){.id = "c1", .address = GATE, .value = NUMBER(40)}); /* the own list stands beside it */
  expect("received dispatched");
  buffer_clear(&scene.published);
  push(2, "chongqing/elsewhere/#");
  ask_by_night("p3", "rejected/authority");
  crash(); /* it is in the store */
  assert_int_equal(version_held(), 2);
  push(3, "chongqing/caijiagang/#");
  crash();
  ask_by_night("p4", "received dispatched");
}

static void test_refused(void **state) {
  (void)state;
  push(5, "chongqing/elsewhere/#");
  push(4, "chongqing/caijiagang/#"); /* lower */
  push(5, "chongqing/caijiagang/#"); /* another of the same version */
  push_as(6, "night", "chongqing/caijiagang/#", "hubei", authority);
  push_as(7, "night", "chongqing/caijiagang/#", "chongqing", scene.stranger);
  dispatch_message(scene.dispatch, SETTLE_ROSTER, bytes_text("rubbish"), now);
  assert_int_equal(refused(), 5);
  ask_by_night("p1", "rejected/authority");
  push(5, "chongqing/elsewhere/#"); /* as at each session's start */
  assert_int_equal(refused(), 5);
  crash();
  assert_int_equal(version_held(), 5);
}

static void refuse(void *ctx, struct store_batch *batch, void *cookie) {
  *(void **)&scene.dispatch->options.hooks.ctx = cookie;
  (void)ctx;
  store_batch_free(batch);
}

/* Obeyed once it is durable, and tried again where the store has no room: no crash brings the one before back. */
static void test_not_before_it_is_durable(void **state) {
  (void)state;
  push(1, "chongqing/caijiagang/#");
  scene.dispatch->options.hooks.submit = refuse;
  push(2, "chongqing/elsewhere/#");
  scene.dispatch->options.hooks.submit = hook_submit;
  assert_int_equal(version_held(), 1);
  dispatch_committed(scene.dispatch, scene.dispatch->options.hooks.ctx, false, now);
  assert_int_equal(version_held(), 1);
  ask_by_night("p1", "received dispatched");
  wait_for(DISPATCH_KEPT_RETRY_US);
  assert_int_equal(version_held(), 2);
  ask_by_night("p2", "rejected/authority");
  scene.dispatch->options.hooks.submit = refuse;
  push(3, "chongqing/caijiagang/#");
  scene.dispatch->options.hooks.submit = hook_submit;
  dispatch_committed(scene.dispatch, scene.dispatch->options.hooks.ctx, false, now);
  push(4, "chongqing/elsewhere/#"); /* a later one comes first */
  wait_for(DISPATCH_KEPT_RETRY_US);
  assert_int_equal(version_held(), 4);
  crash();
  assert_int_equal(version_held(), 4);
}

static void test_altered(void **state) {
  struct roster_operator operator= {.name = (char *)(uintptr_t) "night", .keys = {night_key}, .key_count = 1};
  const struct roster roster = {.province = (char *)(uintptr_t) "chongqing",
      .version = 1,
      .issued = now.wall,
      .valid_until = now.wall + SECOND_US,
      .operators = &operator,
      .operator_count = 1 };
  struct buffer bytes = BUFFER_NULL;
  const char *why;
  (void)state;
  assert_int_equal(roster_sign(&bytes, &roster, authority, &why), 0);
  for (size_t i = 0; i < bytes.len; i++) {
    bytes.data[i] ^= 1;
    dispatch_message(scene.dispatch, SETTLE_ROSTER, buffer_bytes(&bytes), now);
    bytes.data[i] ^= 1;
  }
  assert_int_equal(refused(), bytes.len);
  assert_int_equal(version_held(), 0);
  buffer_deinit(&bytes);
}

/* No commands of its operators after its end; the own list goes on. */
static void test_ends(void **state) {
  (void)state;
  push(1, "chongqing/caijiagang/#");
  wait_for(3601 * SECOND_US);
  ask_by_night("p1", "rejected/authority");
  assert_non_null(strstr(buffer_text(&scene.message), "roster that ended"));
  give((struct ask){.id = "p2", .address = PUMP, .value = YES});
  expect("received dispatched");
  buffer_clear(&scene.published);
}

/* A reload takes the authority away: its roster is not obeyed any more, and one of another may begin anew. */
static void test_authority_is_taken_away(void **state) {
  struct identity *other;
  struct public_key other_key;
  (void)state;
  push(9, "chongqing/caijiagang/#");
  assert_int_equal(identity_generate(&other), 0);
  identity_public(other, &other_key);
  scene.config.authority.items = &other_key;
  dispatch_configure(scene.dispatch, &scene.config, &scene.live);
  ask_by_night("p1", "rejected/authority");
  crash();
  ask_by_night("p2", "rejected/authority");
  push_as(1, "night", "chongqing/caijiagang/#", "chongqing", other);
  ask_by_night("p3", "received dispatched");
  identity_free(other);
}

#undef STORY
#define STORY(test) cmocka_unit_test_setup_teardown(test, set_up_roster, tear_down_roster)
int main(void) {
  log_set_level(LOG_LEVEL_ERROR);
  const struct CMUnitTest tests[] = {STORY(test_obeyed), STORY(test_refused), STORY(test_not_before_it_is_durable),
      STORY(test_altered), STORY(test_ends), STORY(test_authority_is_taken_away)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
