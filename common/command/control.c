#include "common/command/control.h"
#include "common/base/mem.h"
#include <jansson.h>
#include <stdlib.h>

void control_init(struct control *control, enum value_type type, struct bytes unit) {
  memset(control, 0, sizeof *control);
  control->type = type;
  size_t len = unit.len < CONTROL_UNIT_MAX ? unit.len : CONTROL_UNIT_MAX;
  if (len > 0) memcpy(control->unit, unit.data, len);
}

int control_allow(struct control *control, const struct value *value) {
  uint32_t i = control->allowed_count;
  if (i == CONTROL_ALLOWED_MAX || value->type == VALUE_BYTES || value->type == VALUE_NONE) return CONTROL_BAD;
  if (value->type == VALUE_TEXT && value->bytes.len > CONTROL_TEXT_MAX) return CONTROL_BAD;
  control->allowed[i] = *value;
  if (value->type == VALUE_TEXT) {
    if (value->bytes.len > 0) memcpy(control->allowed_text[i], value->bytes.data, value->bytes.len);
    control->allowed[i].bytes.data = (const uint8_t *)control->allowed_text[i];
  }
  control->allowed_count++;
  return 0;
}

static void put_number(struct buffer *out, double number) {
  value_put_json(out, &(struct value){.type = VALUE_NUMBER, .number = number});
}

static void put_limits(struct buffer *out, const struct control *c) {
  if (c->has_range) {
    buffer_printf(out, ",\"range\":[");
    put_number(out, c->low);
    buffer_printf(out, ",");
    put_number(out, c->high);
    buffer_printf(out, "]");
  }
  for (uint32_t i = 0; i < c->allowed_count; i++) {
    buffer_printf(out, i == 0 ? ",\"allowed\":[" : ",");
    value_put_json(out, &c->allowed[i]);
  }
  if (c->allowed_count > 0) buffer_printf(out, "]");
  if (c->max_step > 0) {
    buffer_printf(out, ",\"max_step\":");
    put_number(out, c->max_step);
  }
}

void control_put_json(struct buffer *out, const struct control *c) {
  buffer_printf(out, "{\"type\":\"%s\"", value_type_name(c->type));
  if (c->unit[0]) {
    buffer_printf(out, ",\"unit\":");
    json_put_text(out, bytes_text(c->unit));
  }
  put_limits(out, c);
  if (c->min_interval_us > 0) buffer_printf(out, ",\"min_interval_us\":%lld", (long long)c->min_interval_us);
  if (c->confirm_timeout_us > 0) buffer_printf(out, ",\"confirm_timeout_us\":%lld", (long long)c->confirm_timeout_us);
  if (c->select_us > 0) buffer_printf(out, ",\"select_us\":%lld", (long long)c->select_us);
  if (c->approval) buffer_printf(out, ",\"approval\":true");
  if (c->stop) buffer_printf(out, ",\"stop\":true");
  buffer_printf(out, "}");
}

static bool value_of_json(const json_t *json, struct value *value) {
  if (json_is_boolean(json))
    *value = (struct value){.type = VALUE_BOOLEAN, .boolean = json_is_true(json)};
  else if (json_is_integer(json))
    *value = (struct value){.type = VALUE_INTEGER, .integer = json_integer_value(json)};
  else if (json_is_real(json))
    *value = (struct value){.type = VALUE_NUMBER, .number = json_real_value(json)};
  else if (json_is_string(json))
    *value = (struct value){.type = VALUE_TEXT, .bytes = bytes_of(json_string_value(json), json_string_length(json))};
  else
    return false;
  return true;
}

static bool read_limits(struct control *c, const json_t *object) {
  const json_t *range = json_object_get(object, "range"), *allowed = json_object_get(object, "allowed"),
               *step = json_object_get(object, "max_step");
  if (range) {
    if (json_array_size(range) != 2 || !json_is_number(json_array_get(range, 0)) ||
        !json_is_number(json_array_get(range, 1)))
      return false;
    c->has_range = true;
    c->low = json_number_value(json_array_get(range, 0));
    c->high = json_number_value(json_array_get(range, 1));
  }
  if (allowed && !json_is_array(allowed)) return false;
  for (size_t i = 0; i < json_array_size(allowed); i++) {
    struct value value;
    if (!value_of_json(json_array_get(allowed, i), &value) || control_allow(c, &value) != 0) return false;
  }
  if (step && !json_is_number(step)) return false;
  c->max_step = json_number_value(step);
  return true;
}

static bool read_time(const json_t *object, const char *name, int64_t *us) {
  const json_t *member = json_object_get(object, name);
  if (member && (!json_is_integer(member) || json_integer_value(member) < 0)) return false;
  *us = json_integer_value(member);
  return true;
}

static bool read_control(struct control *c, const json_t *object) {
  const char *type = json_string_value(json_object_get(object, "type")),
             *unit = json_string_value(json_object_get(object, "unit"));
  enum value_type value_type = VALUE_NONE;
  if (!json_is_object(object) ||
      (type && strcmp(type, "none") != 0 && value_type_parse(bytes_text(type), &value_type) != 0))
    return false;
  control_init(c, value_type, bytes_text(unit));
  c->approval = json_is_true(json_object_get(object, "approval"));
  c->stop = json_is_true(json_object_get(object, "stop"));
  return read_limits(c, object) && read_time(object, "min_interval_us", &c->min_interval_us) &&
         read_time(object, "confirm_timeout_us", &c->confirm_timeout_us) &&
         read_time(object, "select_us", &c->select_us);
}

int control_from_descriptor(struct control *control, struct bytes descriptor) {
  json_t *json = json_loadb((const char *)descriptor.data, descriptor.len, JSON_REJECT_DUPLICATES, NULL);
  bool good = json && read_control(control, json_object_get(json, "control"));
  json_decref(json);
  return good ? 0 : CONTROL_BAD;
}
