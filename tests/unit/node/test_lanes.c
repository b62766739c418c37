/* In which lane that is kept which comes live out of order, as by two ways. A station by hand brings it. */
#include "common/node/parts.h"
#include "tests/unit/node/pair.h"

static void put(struct pipe *p, uint64_t number, uint64_t created, uint64_t sequence) {
  struct blob *blob = draft(p, "p/s", "p/s/g/level", (int64_t)(100 * created + sequence), 4711);
  block_number(blob, (struct epoch){created, 1}, sequence);
  say_on(p, CONN_STRANGER + CHANNEL_TELEMETRY,
      &(struct link_message){.type = LINK_BLOCK,
          .session = 99,
          .number = number,
          .lane = LANE_LIVE,
          .from = sequence,
          .to = sequence,
          .body = blob_bytes(blob)});
  blob_unref(blob);
  commit(p, BROKER);
  pass(p, 100 * MILLISECOND_US);
}

static void what_steps_back_goes_behind(void **state) {
  struct pipe *p = *state;
  be_station(p);
  put(p, 1, 1, 5);
  put(p, 2, 1, 3);
  put(p, 3, 1, 6);
  assert_int_equal(at_broker(p, 105).lane, LANE_LIVE);
  assert_int_equal(at_broker(p, 103).lane, LANE_BACKFILL);
  assert_int_equal(at_broker(p, 106).lane, LANE_LIVE);
}

/* The new one came by one way, and by two others the rest of the old one. */
static void so_does_what_is_of_an_older_epoch(void **state) {
  struct pipe *p = *state;
  be_station(p);
  put(p, 1, 1, 4);
  put(p, 2, 2, 1);
  put(p, 3, 1, 6);
  put(p, 4, 1, 5);
  put(p, 5, 1, 7);
  put(p, 6, 2, 2);
  assert_int_equal(at_broker(p, 201).lane, LANE_LIVE);
  assert_int_equal(at_broker(p, 106).lane, LANE_LIVE);
  assert_int_equal(at_broker(p, 105).lane, LANE_BACKFILL);
  assert_int_equal(at_broker(p, 107).lane, LANE_LIVE);
  assert_int_equal(at_broker(p, 202).lane, LANE_LIVE);
}

int main(void) {
  log_set_level(LOG_LEVEL_ERROR);
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(what_steps_back_goes_behind),
      TEST(so_does_what_is_of_an_older_epoch),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
