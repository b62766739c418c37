/* Times as devices write them. Expected values were computed with Python's datetime. */
#include "common/base/world.h"
#include "gateway/moment.h"
#include "tests/unit/gateway/sample.h"

#define EAST_8 (8 * 3600)

static const struct row {
  int format;
  char *pattern;
  int32_t zone_s;
  const char *text;
  int64_t us; /* INT64_MIN: bad */
} rows[] = {
    {GATEWAY_TIME_PATTERN, "%Y-%m-%d %H:%M:%S", EAST_8, "2026-11-24 16:00:00", 1795507200000000},
    {GATEWAY_TIME_PATTERN, "%Y-%m-%d %H:%M:%S", 0, "2026-11-24 16:00:00", 1795536000000000},
    {GATEWAY_TIME_PATTERN, "%Y-%m-%d %H:%M:%S", EAST_8, "2026-11-24 16:00:00 ", INT64_MIN},
    {GATEWAY_TIME_PATTERN, "%Y-%m-%d %H:%M:%S", EAST_8, "2026-11-24 16:00", INT64_MIN},
    {GATEWAY_TIME_PATTERN, "%Y-%m-%d %H:%M:%S", EAST_8, "2026-11-24 24:00:00", INT64_MIN},
    {GATEWAY_TIME_PATTERN, "%Y-%m-%d %H:%M:%S", EAST_8, "2026-02-29 00:00:00", INT64_MIN},
    {GATEWAY_TIME_PATTERN, "%Y-%m-%d %H:%M:%S", 0, "2024-02-29 00:00:00", 1709164800000000},
    {GATEWAY_TIME_PATTERN, "%Y-%m-%d %H:%M:%S", 0, "2016-12-31 23:59:60", 1483228800000000},
    {GATEWAY_TIME_PATTERN, "%Y-%m-%d %H:%M:%S", 0, "0001-01-01 00:00:00", -62135596800000000},
    {GATEWAY_TIME_PATTERN, "%Y-%m-%d %H:%M:%S", EAST_8, "0001-01-01 00:00:00", INT64_MIN},
    {GATEWAY_TIME_PATTERN, "%Y-%m-%d %H:%M:%S", 0, "9999-12-31 23:59:59", 253402300799000000},
    {GATEWAY_TIME_PATTERN, "%FT%T.%f%z", 0, "2026-11-24T16:00:00.25+08:00", 1795507200250000},
    {GATEWAY_TIME_PATTERN, "%FT%T.%f%z", 0, "2026-11-24T16:00:00.000001Z", 1795536000000001},
    {GATEWAY_TIME_PATTERN, "%FT%T%z", 0, "2026-11-24T16:00:00-0530", 1795555800000000},
    {GATEWAY_TIME_PATTERN, "%FT%T%z", 0, "2026-11-24T16:00:00+08", 1795507200000000},
    {GATEWAY_TIME_PATTERN, "%FT%T%z", 0, "2026-11-24T16:00:00", INT64_MIN},
    {GATEWAY_TIME_PATTERN, "%FT%T%z", 0, "2026-11-24T16:00:00+25:00", INT64_MIN},
    {GATEWAY_TIME_PATTERN, "%d.%m.%Y %H:%M", EAST_8, "24.11.2026 16:00", 1795507200000000},
    {GATEWAY_TIME_PATTERN, "%Y年%m月%d日%H时", EAST_8, "2026年11月24日16时", 1795507200000000},
    {GATEWAY_TIME_PATTERN, "%Y%m%d%H%M%S", EAST_8, "20261124160000", 1795507200000000},
    {GATEWAY_TIME_PATTERN, "%%%Y", 0, "%2026", 1767225600000000},
    {GATEWAY_TIME_PATTERN, "%H:%M", 0, "16:00", INT64_MIN},
    {GATEWAY_TIME_PATTERN, "%Q%Y", 0, "2026", INT64_MIN},
    {GATEWAY_TIME_PATTERN, "%Y", 0, "", INT64_MIN},
    {GATEWAY_TIME_RFC3339, NULL, EAST_8, "2026-11-24T16:00:00+08:00", 1795507200000000},
    {GATEWAY_TIME_RFC3339, NULL, EAST_8, "2026-11-24T16:00:00", INT64_MIN},
    {GATEWAY_TIME_EPOCH_S, NULL, EAST_8, "1795507200", 1795507200000000},
    {GATEWAY_TIME_EPOCH_S, NULL, EAST_8, "1795507200.5", 1795507200500000},
    {GATEWAY_TIME_EPOCH_MS, NULL, EAST_8, "1795507200250", 1795507200250000},
    {GATEWAY_TIME_EPOCH_S, NULL, 0, "-1", -1000000},
    {GATEWAY_TIME_EPOCH_S, NULL, 0, "1e300", INT64_MIN},
    {GATEWAY_TIME_EPOCH_S, NULL, 0, "253402300800", INT64_MIN},
    {GATEWAY_TIME_EPOCH_S, NULL, 0, "yesterday", INT64_MIN},
    {GATEWAY_TIME_EPOCH_S, NULL, 0, "", INT64_MIN},
};

static void test_table(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const struct gateway_time format = {.format = rows[i].format, .pattern = rows[i].pattern};
    int64_t us = INT64_MIN;
    int outcome = moment_parse(&format, rows[i].zone_s, bytes_text(rows[i].text), &us);
    if (outcome != 0) us = INT64_MIN;
    if (us != rows[i].us)
      fail_msg("%s by %s: %lld, not %lld", rows[i].text, rows[i].pattern ? rows[i].pattern : "-", (long long)us,
          (long long)rows[i].us);
  }
}

static void test_numbers(void **state) {
  const struct gateway_time seconds = {.format = GATEWAY_TIME_EPOCH_S},
                            pattern = {.format = GATEWAY_TIME_PATTERN, .pattern = "%Y"};
  int64_t us;
  (void)state;
  assert_int_equal(moment_number(&seconds, 1.5, &us), 0);
  assert_int_equal(us, 1500000);
  assert_int_equal(moment_number(&seconds, 0.0 / 0.0, &us), MOMENT_BAD);
  assert_int_equal(moment_number(&pattern, 2026, &us), MOMENT_BAD);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_numbers)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
