#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "common/record/record.h"
#include <math.h>

#define ROWS(a) (sizeof(a) / sizeof((a)[0]))

static struct value number(double n) { return (struct value){.type = VALUE_NUMBER, .number = n}; }
static struct value integer(int64_t n) { return (struct value){.type = VALUE_INTEGER, .integer = n}; }
static struct value text(const char *t) { return (struct value){.type = VALUE_TEXT, .bytes = bytes_text(t)}; }

static void forty_is_forty(void **state) {
  (void)state;
  struct value a = number(40), b = integer(40), c = number(40.5), big = integer(INT64_MAX),
               most = number(9223372036854775808.0), t = text("40");
  int order;
  assert_true(value_equal(&a, &b));
  assert_false(value_equal(&b, &c));
  assert_int_equal(value_compare(&b, &c, &order), 0);
  assert_true(order < 0);
  assert_int_equal(value_compare(&big, &most, &order), 0);
  assert_true(order < 0);
  assert_int_equal(value_compare(&a, &t, &order), VALUE_BAD);
  assert_false(value_equal(&a, &t));
}

static void typed_values_are_parsed(void **state) {
  (void)state;
  static const struct {
    const char *text;
    enum value_type wanted, got;
  } rows[] = {{"true", VALUE_NONE, VALUE_BOOLEAN}, {"40", VALUE_NONE, VALUE_INTEGER},
      {"40", VALUE_NUMBER, VALUE_NUMBER}, {"40.0", VALUE_NONE, VALUE_NUMBER}, {"1e999", VALUE_NUMBER, VALUE_NONE},
      {"nan", VALUE_NUMBER, VALUE_NONE}, {"0x10", VALUE_NUMBER, VALUE_NONE}, {"inf", VALUE_NONE, VALUE_TEXT},
      {"40", VALUE_TEXT, VALUE_TEXT}, {"4.5", VALUE_INTEGER, VALUE_NONE}, {"yes", VALUE_BOOLEAN, VALUE_NONE},
      {"", VALUE_NUMBER, VALUE_NONE}, {"9223372036854775808", VALUE_INTEGER, VALUE_NONE}};
  for (size_t i = 0; i < ROWS(rows); i++) {
    struct value value;
    int result = value_parse(bytes_text(rows[i].text), rows[i].wanted, &value);
    assert_int_equal(result, rows[i].got == VALUE_NONE ? VALUE_BAD : 0);
    if (result == 0) assert_int_equal(value.type, rows[i].got);
  }
}

static void wire_form_round_trips(void **state) {
  (void)state;
  struct value values[] = {VALUE_EMPTY, number(178.52), number(-0.0), integer(INT64_MIN),
      {.type = VALUE_BOOLEAN, .boolean = true}, text("重庆"), {.type = VALUE_BYTES, .bytes = bytes_of("\0\xff", 2)}};
  for (size_t i = 0; i < ROWS(values); i++) {
    struct buffer b = BUFFER_NULL;
    struct writer w;
    struct reader r;
    struct value back;
    writer_init(&w, &b, 1000);
    value_write(&w, &values[i]);
    reader_init(&r, buffer_bytes(&b));
    value_read(&r, &back);
    assert_true(reader_done(&r));
    assert_int_equal(back.type, values[i].type);
    assert_true(value_equal(&back, &values[i]));
    buffer_deinit(&b);
  }
  static const struct {
    const char *bytes;
    size_t len;
  } bad[] = {{"\x09", 1}, {"\x03\x02", 2}, {"\x01\x00\x00\x00\x00\x00\x00\xf0\x7f", 9},
      {"\x01\x00\x00\x00\x00\x00\x00\xf8\x7f", 9}, {"\x04\x01\xff", 3}, {"\x05\x05x", 3}, {"", 0}};
  for (size_t i = 0; i < ROWS(bad); i++) {
    struct reader r;
    struct value back;
    reader_init(&r, bytes_of(bad[i].bytes, bad[i].len));
    value_read(&r, &back);
    assert_true(r.failed);
    assert_int_equal(back.type, VALUE_NONE);
  }
}

static void json_is_json(void **state) {
  (void)state;
  struct buffer b = BUFFER_NULL;
  struct value rows[] = {number(178.52), number(1e300), number(0.1), integer(-5), text("a\"\\\n\x01寸"),
      {.type = VALUE_BYTES, .bytes = bytes_text("ab")}, VALUE_EMPTY};
  for (size_t i = 0; i < ROWS(rows); i++) {
    value_put_json(&b, &rows[i]);
    buffer_append(&b, bytes_text(" "));
  }
  assert_string_equal(buffer_text(&b), "178.52 1e+300 0.1 -5 \"a\\\"\\\\\\n\\u0001寸\" \"YWI=\" null ");
  buffer_clear(&b);
  struct record record = {.kind = RECORD_READING,
      .quality = QUALITY_UNCERTAIN,
      .reason = REASON_STALE,
      .address = bytes_text("chongqing/cuntan/gauge-1/level"),
      .time = 0,
      .received = 1,
      .sequence = 123,
      .value = number(178.52)};
  record_put_json(&b, &record, bytes_text("m"), bytes_text("chongqing/cuntan"), (struct epoch){1, 2}, LANE_LIVE);
  assert_string_equal(buffer_text(&b),
      "{\"time\":\"1970-01-01T00:00:00.000000Z\",\"received\":\"1970-01-01T00:00:00.000001Z\",\"address\":\"chongqing/"
      "cuntan/gauge-1/"
      "level\",\"kind\":\"reading\",\"value\":178.52,\"unit\":\"m\",\"quality\":\"uncertain\",\"reason\":\"stale\","
      "\"stream\":\"chongqing/cuntan\",\"epoch\":\"00000000000000010000000000000002\",\"seq\":123,\"lane\":\"live\"}");
  buffer_deinit(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(forty_is_forty), cmocka_unit_test(typed_values_are_parsed),
      cmocka_unit_test(wire_form_round_trips), cmocka_unit_test(json_is_json)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
