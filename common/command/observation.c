/*
 * A list: one sized item for each point, of sized point, sized unit, value, zigzag time, u8 quality; what follows in an
 * item is of a later version and passed over.
 *
 * gauge-1/level, 178.5 m at 1 µs, good:
 *   1b  0d 67 61 75 67 65 2d 31 2f 6c 65 76 65 6c  01 6d  01 00 00 00 00 00 50 66 40  02  00
 */
#include "common/command/observation.h"
#include "common/base/units.h"

static bool is_told(enum value_type type) {
  return type == VALUE_NUMBER || type == VALUE_INTEGER || type == VALUE_BOOLEAN;
}

/* At most so many bytes, ending at a whole character. */
static struct bytes cut(struct bytes text, size_t max) {
  if (text.len <= max) return text;
  size_t len = max;
  while (len > 0 && (text.data[len] & 0xc0) == 0x80) len--;
  return bytes_of(text.data, len);
}

void observation_put(struct buffer *list, const struct observation *o) {
  struct buffer item = BUFFER_NULL;
  struct writer w, all;
  static const struct value none = {.type = VALUE_NONE};
  bool told = is_told(o->value.type);
  writer_init(&w, &item, SIZE_MAX);
  writer_sized(&w, o->point);
  writer_sized(&w, cut(o->unit, OBSERVATION_UNIT_MAX));
  value_write(&w, told ? &o->value : &none);
  writer_zigzag(&w, told ? o->time : 0);
  writer_u8(&w, (uint8_t)o->quality);
  writer_init(&all, list, SIZE_MAX);
  writer_sized(&all, buffer_bytes(&item));
  buffer_deinit(&item);
}

/* The first one of *list (views), which then begins behind it. False: it is empty, or what follows is none. */
static bool observation_take(struct bytes *list, struct observation *o) {
  struct reader all, r;
  *o = (struct observation){.value = VALUE_EMPTY};
  if (list->len == 0) return false;
  reader_init(&all, *list);
  reader_init(&r, reader_sized(&all));
  o->point = reader_sized(&r);
  o->unit = reader_sized(&r);
  value_read(&r, &o->value);
  o->time = reader_zigzag(&r);
  uint8_t quality = reader_u8(&r);
  o->quality = (enum record_quality)quality;
  bool texts = bytes_is_utf8(o->point) && bytes_is_utf8(o->unit) && o->unit.len <= OBSERVATION_UNIT_MAX;
  bool value = o->value.type == VALUE_NONE || is_told(o->value.type);
  if (all.failed || r.failed || !texts || !value || o->point.len == 0 || quality > QUALITY_BAD) return false;
  *list = bytes_of(all.at, reader_left(&all));
  return true;
}

bool observations_are_good(struct bytes list) {
  struct observation o;
  size_t count = 0;
  while (observation_take(&list, &o)) count++;
  return list.len == 0 && count <= OBSERVATION_POINTS_MAX;
}

static void put_one(struct buffer *out, const struct observation *o) {
  struct buffer time = BUFFER_NULL;
  buffer_printf(out, "{\"point\":");
  json_put_text(out, o->point);
  buffer_printf(out, ",\"value\":");
  value_put_json(out, &o->value);
  buffer_printf(out, ",\"unit\":");
  if (o->unit.len)
    json_put_text(out, o->unit);
  else
    buffer_printf(out, "null");
  if (o->time) units_put_rfc3339(&time, o->time);
  buffer_printf(out, ",\"time\":%s%s%s,\"quality\":\"%s\"}", time.len ? "\"" : "",
      time.len ? buffer_text(&time) : "null", time.len ? "\"" : "", record_quality_name(o->quality));
  buffer_deinit(&time);
}

void observations_put_json(struct buffer *out, struct bytes list) {
  struct observation o;
  bool first = true;
  if (list.len == 0) {
    buffer_printf(out, "null");
    return;
  }
  buffer_printf(out, "[");
  while (observation_take(&list, &o)) {
    if (!first) buffer_printf(out, ",");
    put_one(out, &o);
    first = false;
  }
  buffer_printf(out, "]");
}
