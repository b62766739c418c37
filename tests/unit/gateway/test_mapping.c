/* One message in, records and faults out. */
#include "common/base/mem.h"
#include "gateway/mapping.h"
#include "tests/unit/gateway/sample.h"
#include <stdio.h>

enum { NOW = 1000 };
#define NOW_US (INT64_C(1795507200) * 1000000)

/* What came out, as one line: "178.52 good" or "null bad not-a-number !not-a-number". */
static void put_record(void *ctx, struct point *point, const struct record *record) {
  struct buffer *out = ctx;
  (void)point;
  if (out->len) buffer_printf(out, "; ");
  value_put_json(out, &record->value);
  buffer_printf(out, " %s", record_quality_name(record->quality));
  if (record->reason != REASON_NONE) buffer_printf(out, " %s", record_reason_name(record->reason));
  if (record->time != NOW_US) buffer_printf(out, " %+lld", (long long)(record->time - NOW_US) / 1000000);
  if (record->kind == RECORD_EVENT) buffer_printf(out, " event");
}
static void put_fault(void *ctx, struct point *point, enum point_fault fault) {
  struct buffer *out = ctx;
  (void)point;
  buffer_printf(out, "%s!%s", out->len ? " " : "", point_fault_name(fault));
}

static void map_bytes(
    const struct points *points, const char *topic, struct bytes payload, bool too_large, struct buffer *out) {
  const struct mapping_message message = {
      .topic = bytes_text(topic), .payload = payload, .too_large = too_large, .now = NOW_US, .mono = NOW};
  const struct mapping_sink sink = {out, put_record, put_fault};
  buffer_clear(out);
  (void)mapping_message(points, 8 * 3600, &message, &sink);
}

static void expect_of(
    struct gateway_point *list, size_t count, const char *topic, const char *payload, const char *expected) {
  struct gateway_device device = {.name = "d", .points = list, .point_count = count};
  const struct gateway_config config = {.devices = &device, .device_count = 1};
  struct points points;
  struct buffer out = BUFFER_NULL;
  points_init(&points, &config);
  map_bytes(&points, topic, bytes_text(payload), false, &out);
  if (strcmp(buffer_text(&out), expected) != 0)
    fail_msg("%s: \"%s\", not \"%s\"", payload, buffer_text(&out), expected);
  buffer_deinit(&out);
  points_deinit(&points);
}

struct row {
  const char *payload, *expected;
};
#define EXPECT_ROWS(point, rows)                                                                                       \
  for (size_t row = 0; row < sizeof(rows) / sizeof((rows)[0]); row++)                                                  \
  expect_of(&(point), 1, "t", (rows)[row].payload, (rows)[row].expected)

static void test_plain_number(void **state) {
  struct gateway_point point = sample_point("level", "p/s/d/level", "t");
  static const struct row rows[] = {
      {"178.52", "178.52 good"},
      {" 178.52\n", "178.52 good"},
      {"40", "40 good"},
      {"-1e3", "-1000 good"},
      {"NaN", "!not-a-number; null bad not-a-number"},
      {"-inf", "!not-a-number; null bad not-a-number"},
      {"1e999", "!not-a-number; null bad not-a-number"},
      {"high", "!wrong-type; \"high\" bad wrong-type"},
      {"12 m", "!wrong-type; \"12 m\" bad wrong-type"},
      {"0x10", "!wrong-type; \"0x10\" bad wrong-type"},
      {"\xff\xfe", "!not-utf8"},
      {"", "!wrong-type; \"\" bad wrong-type"},
  };
  (void)state;
  EXPECT_ROWS(point, rows);
}

static void test_json_number(void **state) {
  struct gateway_point point = sample_point("level", "p/s/d/level", "t");
  static const struct row rows[] = {
      {"{\"a\":{\"z\":17852}}", "178.52 good"},
      {"{\"a\":{\"z\":17852.0}}", "178.52 good"},
      {"{\"a\":{\"z\":20001}}", "!out-of-range; 200.01 bad out-of-range"},
      {"{\"a\":{\"z\":15000}}", "150 good"},
      {"{\"a\":{\"z\":20000}}", "200 good"},
      {"{\"a\":{\"y\":1}}", "!no-member"},
      {"{\"a\":1}", "!no-member"},
      {"[]", "!no-member"},
      {"{\"a\":{\"z\":null}}", "!not-a-number; null bad not-a-number"},
      {"{\"a\":{\"z\":NaN}}", "!not-a-number; null bad not-a-number"},
      {"{\"a\":{\"z\":-Infinity}}", "!not-a-number; null bad not-a-number"},
      {"{\"a\":{\"n\":\"NaN \\\" NaN\",\"z\":NaN}}", "!not-a-number; null bad not-a-number"},
      {"{\"a\":{\"z\":1e999}}", "!not-a-number; null bad not-a-number"},
      {"{\"a\":{\"z\":17639.7}}", "176.397 good"},
      {"{\"a\":{\"z\":1e308}}", "!out-of-range; 1e+306 bad out-of-range"},
      {"{\"a\":{\"z\":\"high\"}}", "!wrong-type; \"high\" bad wrong-type"},
      {"{\"a\":{\"z\":true}}", "!wrong-type; true bad wrong-type"},
      {"{\"a\":{\"z\":[1]}}", "!wrong-type"},
      {"{\"a\":{\"z\":123456789012345678901234567890}}", "!out-of-range; 1.23456789012346e+27 bad out-of-range"},
      {"{\"a\":{\"z\":1}", "!not-json"},
      {"{\"a\":{\"z\":1},\"a\":{\"z\":2}}", "!not-json"},
      {"", "!not-json"},
      {"{\"a\xff\":1}", "!not-utf8"},
  };
  (void)state;
  point.value = SAMPLE_POINTER("a", "z");
  point.scale = 0.01;
  point.range = (struct config_range){true, 150, 200};
  EXPECT_ROWS(point, rows);
}

static void test_integer(void **state) {
  struct gateway_point point = sample_point("count", "p/s/d/count", "t");
  static const struct row rows[] = {
      {"9007199254740993", "9007199254740993 good"},
      {"40", "40 good"},
      {"40.0", "40 good"},
      {"40.5", "!wrong-type; 40.5 bad wrong-type"},
      {"1e30", "!not-a-number; 1e+30 bad not-a-number"},
  };
  static const struct row json[] = {
      {"9007199254740993", "9007199254740993 good"},
      {"40.0", "40 good"},
      {"9223372036854775808", "!not-a-number; 9.223372036854776e+18 bad not-a-number"},
  };
  (void)state;
  point.type = VALUE_INTEGER;
  EXPECT_ROWS(point, rows);
  point.value = SAMPLE_WHOLE;
  EXPECT_ROWS(point, json);
}

static void test_boolean_and_map(void **state) {
  struct gateway_point point = sample_point("on", "p/s/d/on", "t");
  struct gateway_map map[] = {{"1", {.value = {.type = VALUE_BOOLEAN, .boolean = true}}},
      {"off", {.value = {.type = VALUE_BOOLEAN, .boolean = false}}}};
  static const struct row plain[] = {
      {"true", "true good"}, {" false ", "false good"}, {"1", "!wrong-type; \"1\" bad wrong-type"}};
  static const struct row mapped[] = {
      {"1", "true good"}, {"off\n", "false good"}, {"true", "!wrong-type; \"true\" bad wrong-type"}};
  static const struct row json[] = {{"{\"v\":1}", "true good"}, {"{\"v\":1.0}", "true good"},
      {"{\"v\":\"off\"}", "false good"}, {"{\"v\":2}", "!wrong-type; 2 bad wrong-type"}};
  (void)state;
  point.type = VALUE_BOOLEAN;
  EXPECT_ROWS(point, plain);
  point.map = map;
  point.map_count = 2;
  EXPECT_ROWS(point, mapped);
  point.value = SAMPLE_POINTER("v");
  EXPECT_ROWS(point, json);
}

static void test_text(void **state) {
  struct gateway_point point = sample_point("mode", "p/s/d/mode", "t");
  static const struct row plain[] = {{" 远程 ", "\" 远程 \" good"}, {"", "\"\" good"}, {"\xc3", "!not-utf8"}};
  static const struct row json[] = {
      {"{\"m\":\"a\\u4e2d\"}", "\"a中\" good"}, {"{\"m\":1}", "!wrong-type; 1 bad wrong-type"}};
  (void)state;
  point.type = VALUE_TEXT;
  EXPECT_ROWS(point, plain);
  point.value = SAMPLE_POINTER("m");
  EXPECT_ROWS(point, json);
}

static void test_time(void **state) {
  struct gateway_point point = sample_point("level", "p/s/d/level", "t");
  static const struct row rows[] = {
      {"{\"z\":1,\"tm\":\"2026-11-24 16:00:00\"}", "1 good"},
      {"{\"z\":1,\"tm\":\"2026-11-24 15:59:50\"}", "1 good -10"},
      {"{\"z\":1,\"tm\":\"2020-01-01 00:00:00\"}", "1 good -217699200"},
      {"{\"z\":1,\"tm\":\"2026-11-24 16:05:00\"}", "1 good +300"},
      {"{\"z\":1,\"tm\":\"2026-11-24 16:05:01\"}", "!future; 1 bad clock +301"},
      {"{\"z\":1,\"tm\":\"2099-01-01 00:00:00\"}", "!future; 1 bad clock +2275372800"},
      {"{\"z\":1,\"tm\":\"today\"}", "!bad-time; 1 bad clock"},
      {"{\"z\":1}", "!bad-time; 1 bad clock"},
      {"{\"z\":1,\"tm\":1795507200}", "!bad-time; 1 bad clock"},
      {"{\"z\":\"x\",\"tm\":\"2026-11-24 15:59:50\"}", "!wrong-type; \"x\" bad wrong-type -10"},
  };
  (void)state;
  point.value = SAMPLE_POINTER("z");
  point.time = SAMPLE_POINTER("tm");
  point.time_format = (struct gateway_time){.format = GATEWAY_TIME_PATTERN, .pattern = "%Y-%m-%d %H:%M:%S"};
  EXPECT_ROWS(point, rows);
  point.time_format = (struct gateway_time){.format = GATEWAY_TIME_EPOCH_S};
  expect_of(&point, 1, "t", "{\"z\":1,\"tm\":1795507201}", "1 good +1");
  expect_of(&point, 1, "t", "{\"z\":1,\"tm\":\"1795507201\"}", "1 good +1");
}

static void test_several_points_and_events(void **state) {
  struct gateway_point list[3] = {sample_point("opening", "p/s/d/opening", "gates/1"),
      sample_point("limit", "p/s/d/limit", "gates/1"), sample_point("other", "p/s/d/other", "elsewhere")};
  (void)state;
  list[0].value = SAMPLE_POINTER("list", "1", "a~b/c");
  list[1].value = SAMPLE_POINTER("limit");
  list[1].type = VALUE_BOOLEAN;
  list[1].kind = GATEWAY_EVENT;
  expect_of(list, 3, "gates/1", "{\"list\":[0,{\"a~b/c\":4}],\"limit\":true}", "4 good; true good event");
  expect_of(list, 3, "gates/1", "{\"list\":[0],\"limit\":true}", "!no-member; true good event");
  expect_of(list, 3, "gates/2", "{}", "");
  list[0].value = SAMPLE_POINTER("list", "01", "a~b/c");
  expect_of(list, 1, "gates/1", "{\"list\":[0,{\"a~b/c\":4}]}", "!no-member");
}

/* A number that no double holds is a fault of its own member: the other points and the device's time stand. */
static void test_overflow_beside_others(void **state) {
  struct gateway_point list[2] = {sample_point("level", "p/s/d/level", "t"), sample_point("flow", "p/s/d/flow", "t")};
  static const char huge[] = "!not-a-number; null bad not-a-number -10; 7.5 good -10";
  char payload[600];
  (void)state;
  list[0].time = list[1].time = SAMPLE_POINTER("tm");
  list[0].time_format = list[1].time_format = (struct gateway_time){.format = GATEWAY_TIME_EPOCH_S};
  list[0].value = SAMPLE_POINTER("z");
  list[1].value = SAMPLE_POINTER("q");
  expect_of(list, 2, "t", "{\"z\":1e999,\"q\":7.5,\"tm\":1795507190}", huge);
  expect_of(list, 2, "t", "{\"tm\":1795507190,\"q\":7.5,\"z\":-1.5E+999}", huge);
  expect_of(
      list, 2, "t", "{\"n\":\"1e999 \\\" 1e999\",\"z\":NaN,\"x\":[1e999,-1e999],\"q\":7.5,\"tm\":1795507190}", huge);
  snprintf(payload, sizeof payload, "{\"z\":1%0400d,\"q\":7.5,\"tm\":1795507190}", 0);
  expect_of(list, 2, "t", payload, huge);
  expect_of(list, 1, "t", "{\"z\":1,\"tm\":1e999}", "!bad-time; 1 bad clock");
  expect_of(list, 1, "t", "{\"z\":01e999,\"tm\":1795507190}", "!not-json");
  expect_of(list, 1, "t", "{\"z\":1e999.5,\"tm\":1795507190}", "!not-json");
  expect_of(list, 1, "t", "{\"z\":1.e999,\"tm\":1795507190}", "!not-json");
  expect_of(list, 1, "t", "{\"z\":1e999", "!not-json");
}

static void test_sizes(void **state) {
  struct gateway_point point = sample_point("blob", "p/s/d/blob", "t");
  struct gateway_device device = {.name = "d", .points = &point, .point_count = 1};
  const struct gateway_config config = {.devices = &device, .device_count = 1};
  struct points points;
  struct buffer out = BUFFER_NULL;
  char *payload = mem_alloc(VALUE_MAX + 2);
  (void)state;
  memset(payload, 'x', VALUE_MAX + 1);
  for (point.type = VALUE_TEXT; point.type <= VALUE_BYTES; point.type++) {
    points_init(&points, &config);
    map_bytes(&points, "t", bytes_of(payload, VALUE_MAX), false, &out);
    assert_non_null(strstr(buffer_text(&out), " good"));
    map_bytes(&points, "t", bytes_of(payload, VALUE_MAX + 1), false, &out);
    assert_string_equal(buffer_text(&out), "!too-large");
    map_bytes(&points, "t", BYTES_NULL, true, &out);
    assert_string_equal(buffer_text(&out), "!too-large");
    assert_int_equal(points.items[0].faults[FAULT_TOO_LARGE], 2);
    assert_int_equal(points.items[0].readings, 1);
    points_deinit(&points);
  }
  buffer_deinit(&out);
  free(payload);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_plain_number), cmocka_unit_test(test_json_number),
      cmocka_unit_test(test_integer), cmocka_unit_test(test_boolean_and_map), cmocka_unit_test(test_text),
      cmocka_unit_test(test_time), cmocka_unit_test(test_several_points_and_events),
      cmocka_unit_test(test_overflow_beside_others), cmocka_unit_test(test_sizes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
