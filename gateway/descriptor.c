#include "gateway/descriptor.h"
#include <inttypes.h>
#include <xxhash.h>

static void descriptor_text(struct buffer *out, const char *member, const char *text) {
  if (!text) return;
  buffer_printf(out, ",\"%s\":", member);
  json_put_text(out, bytes_text(text));
}

static void descriptor_number(struct buffer *out, double number) {
  const struct value value = {.type = VALUE_NUMBER, .number = number};
  value_put_json(out, &value);
}

static void descriptor_range(struct buffer *out, const struct config_range *range) {
  if (!range->set) return;
  buffer_printf(out, ",\"range\":[");
  descriptor_number(out, range->low);
  buffer_printf(out, ",");
  descriptor_number(out, range->high);
  buffer_printf(out, "]");
}

static int64_t longer(int64_t a, int64_t b) { return a > b ? a : b; }

void descriptor_control(struct control *control, const struct point *point) {
  const struct gateway_control *from = point->control;
  control_init(control, (enum value_type)point->config->type, bytes_text(point->config->unit));
  control->has_range = from->range.set;
  control->low = from->range.low;
  control->high = from->range.high;
  /* the configuration holds no more than fit */
  for (size_t i = 0; i < from->allowed_count; i++) (void)control_allow(control, &from->allowed[i].value);
  control->max_step = from->max_step;
  control->min_interval_us = from->min_interval_us;
  control->approval = from->approval;
  control->select_us = from->select_us;
  control->stop = from->stop.topic != NULL;
  control->confirm_timeout_us =
      longer(from->confirm.set ? from->confirm.timeout_us : 0, from->reply.topic ? from->reply.timeout_us : 0);
}

void descriptor_put(struct buffer *out, const struct point *point) {
  const struct gateway_point *config = point->config;
  struct control control;
  buffer_printf(out, "{\"type\":\"%s\",\"device_kind\":\"%s\",\"kind\":\"%s\"",
      value_type_name((enum value_type)config->type), gateway_device_kind_name(point->device->kind),
      config->kind == GATEWAY_EVENT ? "event" : "reading");
  descriptor_text(out, "unit", config->unit);
  descriptor_text(out, "description", config->description);
  descriptor_text(out, "code", config->code);
  descriptor_range(out, &config->range);
  if (config->stale_after_us > 0) buffer_printf(out, ",\"stale_after_us\":%" PRId64, config->stale_after_us);
  if (config->time.given) buffer_printf(out, ",\"max_future_us\":%" PRId64, config->max_future_us);
  if (point->control) {
    descriptor_control(&control, point);
    buffer_printf(out, ",\"control\":");
    control_put_json(out, &control);
  }
  buffer_printf(out, "}");
}

uint64_t descriptor_hash(struct bytes descriptor) {
  uint64_t hash = XXH3_64bits(descriptor.data, descriptor.len);
  return hash ? hash : 1;
}
