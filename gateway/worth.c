#include "gateway/worth.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const double integer_limit = 9223372036854775808.0; /* 2^63 */

static void worth_bad(struct worth *worth, enum point_fault fault, enum record_reason reason) {
  worth->is_faulty = true;
  worth->fault = fault;
  worth->reason = reason;
}

static void worth_lost(struct worth *worth, enum point_fault fault) {
  worth_bad(worth, fault, REASON_NONE);
  worth->is_lost = true;
}

static bool is_numeric(int type) { return type == VALUE_NUMBER || type == VALUE_INTEGER; }
static bool is_textual(int type) { return type == VALUE_TEXT || type == VALUE_BYTES; }

static void worth_check_range(struct worth *worth, const struct gateway_point *point) {
  double number;
  if (!point->range.set || !value_as_number(&worth->value, &number)) return;
  if (number < point->range.low || number > point->range.high)
    worth_bad(worth, FAULT_OUT_OF_RANGE, REASON_OUT_OF_RANGE);
}

static void worth_set_integer(struct worth *worth, double number) {
  if (number != nearbyint(number)) {
    worth->value = (struct value){.type = VALUE_NUMBER, .number = number};
    worth_bad(worth, FAULT_WRONG_TYPE, REASON_WRONG_TYPE);
  } else if (number < -integer_limit || number >= integer_limit) {
    worth->value = (struct value){.type = VALUE_NUMBER, .number = number};
    worth_bad(worth, FAULT_NOT_A_NUMBER, REASON_NOT_A_NUMBER);
  } else {
    worth->value = (struct value){.type = VALUE_INTEGER, .integer = (int64_t)number};
  }
}

/* 17639.7 * 0.01 is 176.39700000000002 in binary; the device meant 176.397. Fifteen digits are what a double keeps of
 * any decimal number. */
static double worth_scaled(double number, const struct gateway_point *point) {
  char text[40];
  if (point->scale == 1 && point->offset == 0) return number;
  number = number * point->scale + point->offset;
  if (!isfinite(number)) return number;
  snprintf(text, sizeof text, "%.15g", number);
  return strtod(text, NULL);
}

/* payload * scale + offset. An integer that is taken as it stands never passes through a double. */
static void worth_number(struct worth *worth, const struct gateway_point *point, const struct value *raw) {
  double number = 0;
  if (raw->type == VALUE_INTEGER && point->type == VALUE_INTEGER && point->scale == 1 && point->offset == 0) {
    worth->value = *raw;
  } else {
    value_as_number(raw, &number);
    number = worth_scaled(number, point);
    worth->value = VALUE_EMPTY;
    if (!isfinite(number))
      worth_bad(worth, FAULT_NOT_A_NUMBER, REASON_NOT_A_NUMBER);
    else if (point->type == VALUE_INTEGER)
      worth_set_integer(worth, number);
    else
      worth->value = (struct value){.type = VALUE_NUMBER, .number = number};
  }
  if (!worth->is_faulty) worth_check_range(worth, point);
}

static void worth_mapped(
    struct worth *worth, const struct gateway_point *point, struct bytes from, const struct value *raw) {
  for (size_t i = 0; i < point->map_count; i++) {
    if (!bytes_equal(bytes_text(point->map[i].from), from)) continue;
    worth->value = point->map[i].to.value;
    worth_check_range(worth, point);
    return;
  }
  worth->value = *raw;
  worth_bad(worth, FAULT_WRONG_TYPE, REASON_WRONG_TYPE);
}

static void worth_text(struct worth *worth, const struct gateway_point *point, struct bytes text) {
  if (text.len > VALUE_MAX) {
    worth_lost(worth, FAULT_TOO_LARGE);
  } else if (point->type == VALUE_TEXT && !bytes_is_utf8(text)) {
    worth_lost(worth, FAULT_NOT_UTF8);
  } else {
    worth->value = (struct value){.type = point->type == VALUE_BYTES ? VALUE_BYTES : VALUE_TEXT, .bytes = text};
  }
}

/* A text where something else was expected: kept as it is, if that is possible. */
static void worth_foreign_text(struct worth *worth, struct bytes text) {
  if (text.len > VALUE_MAX) {
    worth_lost(worth, FAULT_TOO_LARGE);
  } else if (!bytes_is_utf8(text)) {
    worth_lost(worth, FAULT_NOT_UTF8);
  } else {
    worth->value = (struct value){.type = VALUE_TEXT, .bytes = text};
    worth_bad(worth, FAULT_WRONG_TYPE, REASON_WRONG_TYPE);
  }
}

static struct bytes trimmed(struct bytes text) {
  while (text.len > 0 && isspace(text.data[0])) text = bytes_of(text.data + 1, text.len - 1);
  while (text.len > 0 && isspace(text.data[text.len - 1])) text.len--;
  return text;
}

/* Whether the text is a number that no double holds, or says that it is none: 1e999, NaN, -inf. */
static bool is_beyond_numbers(struct bytes text) {
  char copy[64];
  char *end;
  if (text.len == 0 || text.len >= sizeof copy || memchr(text.data, 0, text.len)) return false;
  memcpy(copy, text.data, text.len);
  copy[text.len] = 0;
  double number = strtod(copy, &end);
  return *end == 0 && !isfinite(number);
}

static void worth_numeric_text(struct worth *worth, const struct gateway_point *point, struct bytes text) {
  struct value raw;
  if (point->type == VALUE_INTEGER && value_parse(text, VALUE_INTEGER, &raw) == 0)
    worth_number(worth, point, &raw);
  else if (value_parse(text, VALUE_NUMBER, &raw) == 0)
    worth_number(worth, point, &raw);
  else if (is_beyond_numbers(text))
    worth_bad(worth, FAULT_NOT_A_NUMBER, REASON_NOT_A_NUMBER);
  else
    worth_foreign_text(worth, text);
}

void worth_of_text(struct worth *worth, const struct gateway_point *point, struct bytes payload) {
  struct bytes text = is_textual(point->type) && point->map_count == 0 ? payload : trimmed(payload);
  struct value raw = {.type = VALUE_TEXT, .bytes = text};
  *worth = (struct worth){.value = VALUE_EMPTY};
  if (point->map_count > 0 && (text.len > VALUE_MAX || !bytes_is_utf8(text)))
    worth_foreign_text(worth, text);
  else if (point->map_count > 0)
    worth_mapped(worth, point, text, &raw);
  else if (is_textual(point->type))
    worth_text(worth, point, text);
  else if (is_numeric(point->type))
    worth_numeric_text(worth, point, text);
  else if (value_parse(text, VALUE_BOOLEAN, &worth->value) != 0)
    worth_foreign_text(worth, text);
}

/* A JSON scalar as a value of its own type; false: object or array. */
static bool worth_raw(struct value *raw, const json_t *json) {
  *raw = VALUE_EMPTY;
  switch (json_typeof(json)) {
    case JSON_REAL: *raw = (struct value){.type = VALUE_NUMBER, .number = json_real_value(json)}; return true;
    case JSON_INTEGER: *raw = (struct value){.type = VALUE_INTEGER, .integer = json_integer_value(json)}; return true;
    case JSON_TRUE:
    case JSON_FALSE: *raw = (struct value){.type = VALUE_BOOLEAN, .boolean = json_is_true(json)}; return true;
    case JSON_STRING:
      *raw = (struct value){.type = VALUE_TEXT, .bytes = bytes_of(json_string_value(json), json_string_length(json))};
      return true;
    case JSON_NULL: return true;
    default: return false;
  }
}

/* The text by which a map names a value. */
static struct bytes worth_map_text(struct worth *worth, const struct value *raw) {
  if (raw->type == VALUE_TEXT) return raw->bytes;
  struct buffer text = BUFFER_NULL;
  value_put_json(&text, raw);
  size_t len = text.len < sizeof worth->text ? text.len : sizeof worth->text;
  memcpy(worth->text, text.data, len);
  buffer_deinit(&text);
  return bytes_of(worth->text, len);
}

void worth_of_json(struct worth *worth, const struct gateway_point *point, const json_t *json) {
  struct value raw;
  *worth = (struct worth){.value = VALUE_EMPTY};
  if (!worth_raw(&raw, json)) {
    worth_lost(worth, FAULT_WRONG_TYPE);
  } else if (raw.type == VALUE_TEXT && raw.bytes.len > VALUE_MAX) {
    worth_lost(worth, FAULT_TOO_LARGE);
  } else if (point->map_count > 0) {
    worth_mapped(worth, point, worth_map_text(worth, &raw), &raw);
  } else if (raw.type == VALUE_NONE) {
    worth_bad(worth, FAULT_NOT_A_NUMBER, REASON_NOT_A_NUMBER);
  } else if (is_numeric(point->type) && is_numeric((int)raw.type)) {
    worth_number(worth, point, &raw);
  } else if (is_textual(point->type) && raw.type == VALUE_TEXT) {
    worth_text(worth, point, raw.bytes);
  } else {
    worth->value = raw;
    if ((int)raw.type != point->type) worth_bad(worth, FAULT_WRONG_TYPE, REASON_WRONG_TYPE);
  }
}
