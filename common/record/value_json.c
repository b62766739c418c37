/* Values as JSON. Written by hand and not by a library, since this is the hot path of `tail --json`: no tree is built.
 */
#include "common/record/value.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void put_escape(struct buffer *out, uint8_t c) {
  static const char short_forms[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
  const char *found = memchr(short_forms, c, sizeof short_forms - 1);
  if (found)
    buffer_printf(out, "\\%c", letters[found - short_forms]);
  else
    buffer_printf(out, "\\u%04x", c);
}

void json_put_text(struct buffer *out, struct bytes text) {
  buffer_append(out, bytes_text("\""));
  size_t start = 0;
  for (size_t i = 0; i < text.len; i++) {
    uint8_t c = text.data[i];
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    buffer_append(out, bytes_of(text.data + start, i - start));
    put_escape(out, c);
    start = i + 1;
  }
  if (text.len > start) buffer_append(out, bytes_of(text.data + start, text.len - start));
  buffer_append(out, bytes_text("\""));
}

/* The shortest of 15, 16, 17 digits that reads back as the same double. */
static void put_number(struct buffer *out, double number) {
  char text[40];
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, number);
    if (strtod(text, NULL) == number) break;
  }
  for (char *c = text; *c; c++)
    if (*c == ',') *c = '.';
  buffer_append(out, bytes_text(text));
}

static void put_base64(struct buffer *out, struct bytes from) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  buffer_append(out, bytes_text("\""));
  for (size_t i = 0; i < from.len; i += 3) {
    size_t left = from.len - i;
    uint32_t group = (uint32_t)from.data[i] << 16 | (left > 1 ? (uint32_t)from.data[i + 1] << 8 : 0) |
                     (left > 2 ? from.data[i + 2] : 0);
    char text[4] = {digits[group >> 18], digits[group >> 12 & 63], left > 1 ? digits[group >> 6 & 63] : '=',
        left > 2 ? digits[group & 63] : '='};
    buffer_append(out, bytes_of(text, 4));
  }
  buffer_append(out, bytes_text("\""));
}

void value_put_json(struct buffer *out, const struct value *value) {
  switch (value->type) {
    case VALUE_NUMBER: put_number(out, value->number); return;
    case VALUE_INTEGER: buffer_printf(out, "%lld", (long long)value->integer); return;
    case VALUE_BOOLEAN: buffer_append(out, bytes_text(value->boolean ? "true" : "false")); return;
    case VALUE_TEXT: json_put_text(out, value->bytes); return;
    case VALUE_BYTES: put_base64(out, value->bytes); return;
    case VALUE_NONE: break;
  }
  buffer_append(out, bytes_text("null"));
}
