#include "gateway/silence.h"
#include "tests/unit/gateway/sample.h"
#include <stdio.h>

enum { COUNT = 50 };

static void keep(struct point *point, double number, enum record_quality quality) {
  const struct record record = {
      .quality = quality, .value = {.type = VALUE_NUMBER, .number = number}, .time = 5, .received = 6};
  point_keep(point, &record);
}

static void test_one_point(void **state) {
  struct gateway_point list[2] = {sample_point("a", "p/s/d/a", "t/a"), sample_point("b", "p/s/d/b", "t/b")};
  struct gateway_device device = {.name = "d", .points = list, .point_count = 2};
  const struct gateway_config config = {.devices = &device, .device_count = 1};
  struct points points;
  struct silence silence;
  struct record record;
  (void)state;
  list[0].stale_after_us = 100; /* b is never stale */
  points_init(&points, &config);
  silence_init(&silence, &points, 1000);
  assert_int_equal(silence_next(&silence), 1100);
  assert_null(silence_take(&silence, 1099));
  points.items[0].heard = 1050; /* a payload in between */
  assert_null(silence_take(&silence, 1100));
  assert_int_equal(silence_next(&silence), 1150);
  struct point *point = silence_take(&silence, 1150);
  assert_ptr_equal(point, &points.items[0]);
  assert_false(silence_record(point, 77, &record)); /* nothing to say again */
  keep(point, 178.5, QUALITY_GOOD);
  assert_true(silence_record(point, 77, &record));
  assert_int_equal(record.quality, QUALITY_UNCERTAIN);
  assert_int_equal(record.reason, REASON_STALE);
  assert_true(record.time == 77 && record.value.number == 178.5);
  assert_null(silence_take(&silence, 1150));
  assert_null(silence_take(&silence, 99999)); /* said once */
  point->heard = 100000;
  point->stale = false;
  assert_null(silence_take(&silence, 100050));
  assert_ptr_equal(silence_take(&silence, 200000), point); /* and again after it was heard */
  keep(point, 1, QUALITY_BAD);
  assert_false(silence_record(point, 78, &record));
  silence_deinit(&silence);
  points_deinit(&points);
}

/* Points of many spans come due in order. */
static void test_order(void **state) {
  static char names[COUNT][32];
  struct gateway_point list[COUNT];
  struct gateway_device device = {.name = "d", .points = list, .point_count = COUNT};
  const struct gateway_config config = {.devices = &device, .device_count = 1};
  struct points points;
  struct silence silence;
  (void)state;
  for (int i = 0; i < COUNT; i++) {
    snprintf(names[i], sizeof names[i], "p/s/d/x%d", i);
    list[i] = sample_point(names[i], names[i], names[i]);
    list[i].stale_after_us = 1 + (i * 37) % COUNT;
  }
  points_init(&points, &config);
  silence_init(&silence, &points, 1);
  for (int64_t now = 2; now <= COUNT + 1; now++) {
    struct point *point = silence_take(&silence, now);
    assert_non_null(point);
    assert_int_equal(point->config->stale_after_us, now - 1);
    assert_null(silence_take(&silence, now));
  }
  silence_deinit(&silence);
  points_deinit(&points);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_point), cmocka_unit_test(test_order)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
