#include "gateway/points.h"
#include "common/base/mem.h"
#include <stdlib.h>

static const char *const fault_names[FAULTS] = {"not-json", "not-utf8", "no-member", "wrong-type", "not-a-number",
    "bad-time", "future", "out-of-range", "too-large"};

const char *point_fault_name(enum point_fault fault) { return fault_names[fault]; }

static const struct gateway_control *points_control(const struct gateway_device *device, size_t point_index) {
  for (size_t i = 0; i < device->control_count; i++)
    if (device->controls[i].point_index == point_index) return &device->controls[i];
  return NULL;
}

/* Points of one topic hang on the first, in the order of the file. */
static void points_hang(struct points *points, struct point *point) {
  struct bytes topic = bytes_text(point->config->topic);
  struct point *first = table_get(&points->by_topic, topic);
  bool is_event = point->config->kind == GATEWAY_EVENT;
  if (!first) {
    point->is_urgent_topic = is_event;
    table_put(&points->by_topic, topic, point);
    return;
  }
  first->is_urgent_topic |= is_event;
  while (first->next_of_topic) first = first->next_of_topic;
  first->next_of_topic = point;
}

static void points_add(struct points *points, const struct gateway_device *device, size_t point_index) {
  struct point *point = &points->items[points->count];
  point->index = points->count++;
  point->device = device;
  point->config = &device->points[point_index];
  point->control = points_control(device, point_index);
  point->fault_limit = (struct log_limit){.interval_us = 30 * SECOND_US, .burst = 3};
  table_put(&points->by_address, bytes_text(point->config->address), point);
  points_hang(points, point);
}

void points_init(struct points *points, const struct gateway_config *config) {
  size_t count = 0;
  *points = (struct points){.by_topic = TABLE_NULL, .by_address = TABLE_NULL};
  for (size_t d = 0; d < config->device_count; d++) count += config->devices[d].point_count;
  points->items = mem_alloc((count + 1) * sizeof *points->items);
  for (size_t d = 0; d < config->device_count; d++)
    for (size_t p = 0; p < config->devices[d].point_count; p++) points_add(points, &config->devices[d], p);
}

void points_deinit(struct points *points) {
  for (size_t i = 0; i < points->count; i++) buffer_deinit(&points->items[i].last_text);
  table_deinit(&points->by_topic, NULL);
  table_deinit(&points->by_address, NULL);
  free(points->items);
  *points = (struct points){.by_topic = TABLE_NULL, .by_address = TABLE_NULL};
}

struct point *points_of_topic(const struct points *points, struct bytes topic) {
  return table_get(&points->by_topic, topic);
}
struct point *points_of_address(const struct points *points, struct bytes address) {
  return table_get(&points->by_address, address);
}

bool points_topic_is_urgent(const struct points *points, struct bytes topic) {
  const struct point *first = points_of_topic(points, topic);
  return first && first->is_urgent_topic;
}

void points_inherit(struct points *points, const struct points *old) {
  for (size_t i = 0; i < points->count; i++) {
    struct point *point = &points->items[i];
    const struct point *before = points_of_address(old, bytes_text(point->config->address));
    if (!before) continue;
    point->readings = before->readings;
    memcpy(point->faults, before->faults, sizeof point->faults);
    point->fault_limit = before->fault_limit;
    if (before->has_last && before->config->type == point->config->type) point_keep(point, &before->last);
    point->heard = before->heard;
    point->stale = before->stale;
    point->undated = before->undated;
  }
}

int64_t point_age(const struct point *point, struct instant now) {
  int64_t measured = point->last.time < point->last.received ? point->last.time : point->last.received;
  int64_t by_wall = now.wall - measured, by_boot = point->heard ? now.mono - point->heard : 0;
  int64_t age = by_wall > by_boot ? by_wall : by_boot;
  return age > 0 ? age : 0;
}

bool point_is_good(const struct point *point, struct instant now) {
  int64_t span = point->config->stale_after_us;
  if (!point->has_last || point->stale || point->last.quality != QUALITY_GOOD) return false;
  return span == 0 || now.mono - point->heard < span;
}

void point_keep(struct point *point, const struct record *record) {
  struct value *value = &point->last.value;
  point->last = *record;
  point->last.address = bytes_text(point->config->address);
  point->has_last = true;
  if (value->type != VALUE_TEXT && value->type != VALUE_BYTES) return;
  buffer_clear(&point->last_text);
  buffer_append(&point->last_text, record->value.bytes);
  value->bytes = buffer_bytes(&point->last_text);
}
