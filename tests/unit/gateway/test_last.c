/* Last values over a start: their time counts on, and what was said of them is not said again. */
#include "gateway/last.h"
#include "gateway/silence.h"
#include "tests/unit/gateway/sample.h"

#define NOW ((struct instant){1000 * SECOND_US, 50 * SECOND_US})

static void test_restored(void **state) {
  struct gateway_point list[2] = {sample_point("a", "p/s/d/a", "t/a"), sample_point("b", "p/s/d/b", "t/b")};
  struct gateway_device device = {.name = "d", .points = list, .point_count = 2};
  const struct gateway_config config = {.devices = &device, .device_count = 1};
  struct record record = {.kind = RECORD_READING,
      .address = bytes_text("p/s/d/a"),
      .time = 700 * SECOND_US,
      .received = 800 * SECOND_US,
      .value = {.type = VALUE_NUMBER, .number = 178.5}};
  struct points points;
  struct silence silence;
  (void)state;
  list[0].stale_after_us = 201 * SECOND_US;
  points_init(&points, &config);
  struct point *a = &points.items[0];
  last_apply(&points, &record, NOW);
  assert_true(a->has_last && a->last.value.number == 178.5 && a->last.time == 700 * SECOND_US);
  assert_int_equal(a->heard, -150 * SECOND_US);
  silence_init(&silence, &points, NOW.mono);
  assert_null(silence_take(&silence, NOW.mono));
  assert_ptr_equal(silence_take(&silence, NOW.mono + SECOND_US), a);
  silence_deinit(&silence);
  a->stale = false;
  record.reason = REASON_STALE;
  record.quality = QUALITY_UNCERTAIN;
  last_apply(&points, &record, NOW);
  assert_true(a->stale && a->last.quality == QUALITY_GOOD);
  record.reason = REASON_NONE;
  record.value.type = VALUE_TEXT;
  last_apply(&points, &record, NOW); /* of another type: the configuration was changed */
  assert_true(a->last.value.type == VALUE_NUMBER && !points.items[1].has_last);
  points_deinit(&points);
}

/* A value of an unknown time is known to be one after a start, and the next that has a time is not. */
static void test_undated(void **state) {
  struct gateway_point list[2] = {sample_point("a", "p/s/d/a", "t/a"), sample_point("b", "p/s/d/b", "t/b")};
  struct gateway_device device = {.name = "d", .points = list, .point_count = 2};
  const struct gateway_config config = {.devices = &device, .device_count = 1};
  struct record record = {.kind = RECORD_READING,
      .address = bytes_text("p/s/d/a"),
      .time = 800 * SECOND_US,
      .received = 800 * SECOND_US,
      .value = {.type = VALUE_NUMBER, .number = 178.5}};
  const uint8_t mark[8] = {0x00, 0x08, 0xaf, 0x2f}; /* 800 s in µs */
  struct points points;
  (void)state;
  points_init(&points, &config);
  last_load_undated(&points, bytes_text("undated/p/s/d/a"), bytes_of(mark, sizeof mark));
  last_load_undated(&points, bytes_text("undated/p/s/d/gone"), bytes_of(mark, sizeof mark));
  last_load_undated(&points, bytes_text("undated/p/s/d/b"), bytes_of(mark, 4));
  last_load_undated(&points, bytes_text("fence/p/s/d/b"), bytes_of(mark, sizeof mark));
  last_apply(&points, &record, NOW);
  assert_true(points.items[0].undated);
  record.address = bytes_text("p/s/d/b");
  last_apply(&points, &record, NOW);
  assert_false(points.items[1].undated);
  record.address = bytes_text("p/s/d/a");
  record.received++;
  last_apply(&points, &record, NOW);
  assert_false(points.items[0].undated);
  points_deinit(&points);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_restored), cmocka_unit_test(test_undated)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
