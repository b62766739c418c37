#include "common/record/value.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>

static const char *const type_names[] = {"none", "number", "integer", "boolean", "text", "bytes"};
enum { TYPE_COUNT = sizeof type_names / sizeof type_names[0] };

const char *value_type_name(enum value_type type) { return (unsigned)type < TYPE_COUNT ? type_names[type] : "?"; }

int value_type_parse(struct bytes text, enum value_type *type) {
  for (unsigned i = 1; i < TYPE_COUNT; i++)
    if (bytes_equal(text, bytes_text(type_names[i]))) {
      *type = (enum value_type)i;
      return 0;
    }
  return VALUE_BAD;
}

/* Compares an integer with a number without losing digits of either. */
static int compare_mixed(int64_t integer, double number) {
  if (number >= 9223372036854775808.0) return -1;
  if (number < -9223372036854775808.0) return 1;
  double whole = floor(number);
  int64_t as_integer = (int64_t)whole;
  if (integer != as_integer) return integer < as_integer ? -1 : 1;
  return number > whole ? -1 : 0;
}

static int sign(bool less, bool more) { return less ? -1 : more ? 1 : 0; }

int value_compare(const struct value *a, const struct value *b, int *order) {
  bool a_number = a->type == VALUE_NUMBER, b_number = b->type == VALUE_NUMBER;
  bool a_integer = a->type == VALUE_INTEGER, b_integer = b->type == VALUE_INTEGER;
  if (a_number && b_number)
    *order = sign(a->number<b->number, a->number> b->number);
  else if (a_integer && b_integer)
    *order = sign(a->integer<b->integer, a->integer> b->integer);
  else if (a_integer && b_number)
    *order = compare_mixed(a->integer, b->number);
  else if (a_number && b_integer)
    *order = -compare_mixed(b->integer, a->number);
  else if (a->type == VALUE_TEXT && b->type == VALUE_TEXT)
    *order = bytes_compare(a->bytes, b->bytes);
  else
    return VALUE_BAD;
  return 0;
}

bool value_equal(const struct value *a, const struct value *b) {
  int order;
  if (value_compare(a, b, &order) == 0) return order == 0;
  if (a->type != b->type) return false;
  if (a->type == VALUE_BOOLEAN) return a->boolean == b->boolean;
  return a->type == VALUE_NONE || bytes_equal(a->bytes, b->bytes);
}

bool value_as_number(const struct value *value, double *number) {
  if (value->type == VALUE_NUMBER)
    *number = value->number;
  else if (value->type == VALUE_INTEGER)
    *number = (double)value->integer;
  else
    return false;
  return true;
}

static bool parse_integer(const char *text, int64_t *integer) {
  char *end;
  errno = 0;
  long long parsed = strtoll(text, &end, 10);
  if (*text == '\0' || *end != '\0' || errno != 0) return false;
  *integer = parsed;
  return true;
}

/* Decimal only: strtod would take hexadecimal, "inf" and "nan" as well. The locale is "C" for numbers in all programs.
 */
static bool parse_number(const char *text, double *number) {
  char *end;
  if (*text == '\0' || strspn(text, "+-.0123456789eE") != strlen(text)) return false;
  double parsed = strtod(text, &end);
  if (*end != '\0' || !isfinite(parsed)) return false;
  *number = parsed;
  return true;
}

static bool parse_boolean(struct bytes text, bool *boolean) {
  *boolean = bytes_equal(text, bytes_text("true"));
  return *boolean || bytes_equal(text, bytes_text("false"));
}

int value_parse(struct bytes text, enum value_type wanted, struct value *value) {
  char copy[64] = "";
  if (text.len < sizeof copy && memchr(text.data ? text.data : (const void *)"", '\0', text.len) == NULL)
    memcpy(copy, text.data ? text.data : (const void *)"", text.len);
  bool any = wanted == VALUE_NONE;
  *value = VALUE_EMPTY;
  if ((any || wanted == VALUE_BOOLEAN) && parse_boolean(text, &value->boolean))
    value->type = VALUE_BOOLEAN;
  else if ((any || wanted == VALUE_INTEGER) && parse_integer(copy, &value->integer))
    value->type = VALUE_INTEGER;
  else if ((any || wanted == VALUE_NUMBER) && parse_number(copy, &value->number))
    value->type = VALUE_NUMBER;
  else if ((any || wanted == VALUE_TEXT) && text.len <= VALUE_MAX && bytes_is_utf8(text))
    *value = (struct value){.type = VALUE_TEXT, .bytes = text};
  else if (wanted == VALUE_BYTES && text.len <= VALUE_MAX)
    *value = (struct value){.type = VALUE_BYTES, .bytes = text};
  else
    return VALUE_BAD;
  return 0;
}

void value_write(struct writer *w, const struct value *value) {
  writer_u8(w, (uint8_t)value->type);
  switch (value->type) {
    case VALUE_NONE: break;
    case VALUE_NUMBER: writer_double(w, value->number); break;
    case VALUE_INTEGER: writer_zigzag(w, value->integer); break;
    case VALUE_BOOLEAN: writer_u8(w, value->boolean); break;
    case VALUE_TEXT:
    case VALUE_BYTES: writer_sized(w, value->bytes); break;
  }
}

static void read_content(struct reader *r, uint8_t type, struct value *value) {
  switch (type) {
    case VALUE_NONE: break;
    case VALUE_NUMBER: value->number = reader_double(r); break;
    case VALUE_INTEGER: value->integer = reader_zigzag(r); break;
    case VALUE_BOOLEAN: {
      uint8_t flag = reader_u8(r);
      if (flag > 1) reader_fail(r);
      value->boolean = flag == 1;
      break;
    }
    case VALUE_TEXT:
    case VALUE_BYTES: value->bytes = reader_sized(r); break;
    default: reader_fail(r);
  }
}

static bool is_allowed(const struct value *value) {
  if (value->type == VALUE_NUMBER) return isfinite(value->number);
  if (value->type != VALUE_TEXT && value->type != VALUE_BYTES) return true;
  return value->bytes.len <= VALUE_MAX && (value->type == VALUE_BYTES || bytes_is_utf8(value->bytes));
}

void value_read(struct reader *r, struct value *value) {
  *value = VALUE_EMPTY;
  uint8_t type = reader_u8(r);
  read_content(r, type, value);
  if (!r->failed) value->type = (enum value_type)type;
  if (!r->failed && !is_allowed(value)) reader_fail(r);
  if (r->failed) *value = VALUE_EMPTY;
}
