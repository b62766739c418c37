#include "common/base/units.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <time.h>

#define ROWS(table) (sizeof table / sizeof *table)

static void durations(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t us;
  } good[] = {{"0", 0}, {"0s", 0}, {"250us", 250}, {"10ms", 10000}, {"60s", 60000000}, {"5m", 300000000},
      {"2h", 7200000000}, {"30d", 2592000000000}, {"1.5h", 5400000000}, {"0.0000015s", 1},
      {"9223372036854.775807s", INT64_MAX}};
  static const char *bad[] = {"", "5", "s", "-1s", "+1s", "1 s", " 1s", "1s ", "1.s", ".5s", "1.5", "1.5us", "1S", "1w",
      "1h30m", "9223372036854.775808s", "9999999999999999999s", "1e3s", "0x1s"};
  int64_t us;
  for (size_t i = 0; i < ROWS(good); i++) {
    assert_int_equal(units_duration(bytes_text(good[i].text), &us), 0);
    assert_true(us == good[i].us);
  }
  for (size_t i = 0; i < ROWS(bad); i++) assert_int_equal(units_duration(bytes_text(bad[i]), &us), UNITS_BAD);
}

static void sizes(void **state) {
  (void)state;
  static const struct {
    const char *text;
    uint64_t bytes;
  } good[] = {{"0", 0}, {"4096", 4096}, {"64KiB", 65536}, {"64KB", 64000}, {"2MiB", 2 << 20}, {"3MB", 3000000},
      {"20GiB", UINT64_C(20) << 30}, {"1GB", 1000000000}, {"1TiB", UINT64_C(1) << 40}, {"2TB", 2000000000000},
      {"1.5GiB", UINT64_C(3) << 29}};
  static const char *bad[] = {"", "KiB", "-1", "1.5", "1kib", "1 KiB", "1KiB ", "99999999999999TiB", "1B2"};
  uint64_t bytes;
  for (size_t i = 0; i < ROWS(good); i++) {
    assert_int_equal(units_size(bytes_text(good[i].text), &bytes), 0);
    assert_true(bytes == good[i].bytes);
  }
  for (size_t i = 0; i < ROWS(bad); i++) assert_int_equal(units_size(bytes_text(bad[i]), &bytes), UNITS_BAD);
}

static void offsets(void **state) {
  (void)state;
  static const char *bad[] = {"", "08:00", "+8:00", "+08", "+0800", "+24:00", "+08:60", "+08:00 ", "Zulu", "+-8:00"};
  int32_t s;
  assert_int_equal(units_offset(bytes_text("+08:00"), &s), 0);
  assert_int_equal(s, 28800);
  assert_int_equal(units_offset(bytes_text("-05:30"), &s), 0);
  assert_int_equal(s, -19800);
  assert_int_equal(units_offset(bytes_text("Z"), &s), 0);
  assert_int_equal(s, 0);
  for (size_t i = 0; i < ROWS(bad); i++) assert_int_equal(units_offset(bytes_text(bad[i]), &s), UNITS_BAD);
}

static void rfc3339(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t us;
  } good[] = {{"1970-01-01T00:00:00Z", 0}, {"1969-12-31T23:59:59.999999Z", -1},
      {"2026-11-23T08:00:00Z", 1795420800000000}, {"2026-11-23T16:00:00.25+08:00", 1795420800250000},
      {"2000-02-29T00:00:00Z", 951782400000000}, {"2016-12-31T23:59:60Z", 1483228800000000},
      {"2026-11-23t08:00:00.1234569z", 1795420800123456}, {"2026-11-23 08:00:00Z", 1795420800000000}};
  static const char *bad[] = {"", "2026-11-23", "2026-11-23T08:00Z", "2026-11-23T08:00:00", "2026-02-29T00:00:00Z",
      "1900-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z",
      "2026-04-31T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:61Z",
      "2026-01-01T00:00:00.Z", "0000-01-01T00:00:00Z", "2026-1-01T00:00:00Z", "2026-01-01T00:00:00Zx",
      "+026-01-01T00:00:00Z"};
  int64_t us;
  for (size_t i = 0; i < ROWS(good); i++) {
    assert_int_equal(units_rfc3339(bytes_text(good[i].text), &us), 0);
    assert_true(us == good[i].us);
  }
  for (size_t i = 0; i < ROWS(bad); i++) assert_int_equal(units_rfc3339(bytes_text(bad[i]), &us), UNITS_BAD);
}

static void local_times(void **state) {
  (void)state;
  static const char *bad[] = {"", "2026-11-23 ", "2026-11-23 8:00", "2026-11-23T08:00", "2026-11-23 08",
      "2026-11-23 08:00:", "2026-11-23 08:00:00.5"};
  int64_t us;
  assert_int_equal(units_local_time(bytes_text("2026-11-23 16:00:00"), 28800, &us), 0);
  assert_true(us == 1795420800000000);
  assert_int_equal(units_local_time(bytes_text("2026-11-23 16:00"), 28800, &us), 0);
  assert_true(us == 1795420800000000);
  assert_int_equal(units_local_time(bytes_text("2026-11-23"), 0, &us), 0);
  assert_true(us == 1795392000000000);
  for (size_t i = 0; i < ROWS(bad); i++) assert_int_equal(units_local_time(bytes_text(bad[i]), 0, &us), UNITS_BAD);
}

static void put_both(struct buffer *out, int64_t us) {
  units_put_rfc3339(out, us);
  buffer_printf(out, " ");
  units_put_local(out, us, 28800);
}

static void times_are_written(void **state) {
  (void)state;
  struct buffer b = BUFFER_NULL;
  put_both(&b, 1795420800000000);
  assert_string_equal(buffer_text(&b), "2026-11-23T08:00:00.000000Z 2026-11-23 16:00:00");
  buffer_clear(&b);
  put_both(&b, -1);
  assert_string_equal(buffer_text(&b), "1969-12-31T23:59:59.999999Z 1970-01-01 07:59:59");
  buffer_clear(&b);
  put_both(&b, INT64_MAX);
  assert_string_equal(buffer_text(&b), "294247-01-10T04:00:54.775807Z 294247-01-10 12:00:54");
  buffer_clear(&b);
  put_both(&b, INT64_MIN);
  assert_string_equal(buffer_text(&b), "-290308-12-21T19:59:05.224192Z -290308-12-22 03:59:05");
  buffer_deinit(&b);
}

/* Every day of 1890 to 2110 goes there and back, and is what the C library says. */
static void the_calendar_agrees_with_the_library(void **state) {
  (void)state;
  struct buffer b = BUFFER_NULL;
  for (int64_t day = -29220; day < 51500; day++) {
    time_t t = (time_t)(day * 86400 + 86399);
    struct tm tm;
    char want[64];
    int64_t us;
    strftime(want, sizeof want, "%Y-%m-%dT%H:%M:%S.000000Z", gmtime_r(&t, &tm));
    buffer_clear(&b);
    units_put_rfc3339(&b, (int64_t)t * 1000000);
    assert_string_equal(buffer_text(&b), want);
    assert_int_equal(units_rfc3339(buffer_bytes(&b), &us), 0);
    assert_true(us == (int64_t)t * 1000000);
  }
  buffer_deinit(&b);
}

static void amounts_are_written(void **state) {
  (void)state;
  static const struct {
    int64_t us;
    const char *text;
  } times[] = {{0, "0s"}, {1, "1us"}, {999, "999us"}, {850000, "850ms"}, {3200000, "3.2s"}, {9999999, "9.9s"},
      {59999999, "59s"}, {90000000, "1.5m"}, {300000000, "5m"}, {7200000000, "2h"}, {-1500, "-1.5ms"},
      {864000000000, "10d"}, {INT64_MIN, "-106751991d"}};
  static const struct {
    uint64_t bytes;
    const char *text;
  } amounts[] = {{0, "0 B"}, {1023, "1023 B"}, {1024, "1 KiB"}, {1288490189, "1.2 GiB"}, {UINT64_C(20) << 30, "20 GiB"},
      {2047, "1.9 KiB"}, {UINT64_MAX, "16777215 TiB"}};
  struct buffer b = BUFFER_NULL;
  for (size_t i = 0; i < ROWS(times); i++) {
    buffer_clear(&b);
    units_put_duration(&b, times[i].us);
    assert_string_equal(buffer_text(&b), times[i].text);
  }
  for (size_t i = 0; i < ROWS(amounts); i++) {
    buffer_clear(&b);
    units_put_size(&b, amounts[i].bytes);
    assert_string_equal(buffer_text(&b), amounts[i].text);
  }
  buffer_deinit(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(durations),
      cmocka_unit_test(sizes),
      cmocka_unit_test(offsets),
      cmocka_unit_test(rfc3339),
      cmocka_unit_test(local_times),
      cmocka_unit_test(times_are_written),
      cmocka_unit_test(the_calendar_agrees_with_the_library),
      cmocka_unit_test(amounts_are_written),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
