#include "gateway/config_observed.h"
#include "common/base/mem.h"
#include "common/command/observation.h"
#include "gateway/config_parts.h"
#include <stdlib.h>

static const struct gateway_point *find_address(const struct gateway_config *config, const char *address) {
  for (size_t d = 0; d < config->device_count; d++)
    for (size_t p = 0; p < config->devices[d].point_count; p++) {
      const struct gateway_point *point = &config->devices[d].points[p];
      if (point->address && strcmp(point->address, address) == 0) return point;
    }
  return NULL;
}

const struct gateway_point *config_find_point(const struct gateway_config *config, const char *name) {
  struct buffer address = BUFFER_NULL;
  buffer_printf(&address, "%s/%s", config->station, name);
  const struct gateway_point *point = find_address(config, buffer_text(&address));
  buffer_deinit(&address);
  return point;
}

static bool is_measured(const struct gateway_point *point) {
  return point->type == VALUE_NUMBER || point->type == VALUE_INTEGER || point->type == VALUE_BOOLEAN;
}

static bool is_named(const struct gateway_control *control, const char *address) {
  for (size_t i = 0; i < control->observed_count; i++)
    if (strcmp(control->observed[i], address) == 0) return true;
  return false;
}

static void add(struct gateway_control *control, const char *address) {
  control->observed = mem_resize(control->observed, control->observed_count + 1, sizeof *control->observed);
  control->observed[control->observed_count++] = mem_text(address, strlen(address));
}

/* ---- as the key says ---- */

static void read_one(
    struct document *d, yaml_node_t *item, const struct gateway_config *config, struct gateway_control *control) {
  struct bytes text = node_text(item);
  char *name = mem_text(text.data, text.len);
  const struct gateway_point *point = config_find_point(config, name);
  if (!point)
    document_problem(d, item, "operating-log: '%s' is no point of this station (give device/point)", name);
  else if (!is_measured(point))
    document_problem(d, item, "operating-log: '%s' is of type %s; it takes number, integer and boolean", name,
        value_type_name((enum value_type)point->type));
  else if (control->address && strcmp(point->address, control->address) == 0)
    document_problem(d, item, "operating-log: '%s' is the control's own point, which the log names anyway", name);
  else if (is_named(control, point->address))
    document_problem(d, item, "operating-log: '%s' is there twice", name);
  else
    add(control, point->address);
  free(name);
}

static void read_list(
    struct document *d, yaml_node_t *list, const struct gateway_config *config, struct gateway_control *control) {
  if (list->type != YAML_SEQUENCE_NODE) {
    document_problem(d, list, "operating-log: needs a list of device/point; [] for none");
    return;
  }
  yaml_node_item_t *start = list->data.sequence.items.start, *top = list->data.sequence.items.top;
  for (yaml_node_item_t *item = start; item < top; item++) read_one(d, document_node(d, *item), config, control);
  if (top - start > OBSERVATION_POINTS_MAX)
    document_problem(d, list, "operating-log: at most %d points", OBSERVATION_POINTS_MAX);
}

/* ---- without it ---- */

static bool is_moved(const struct gateway_config *config, const char *address) {
  for (size_t d = 0; d < config->device_count; d++)
    for (size_t c = 0; c < config->devices[d].control_count; c++) {
      const char *moved = config->devices[d].controls[c].address;
      if (moved && strcmp(moved, address) == 0) return true;
    }
  return false;
}

static bool is_level_or_flow(const struct gateway_point *point) {
  static const char *const units[] = {"m", "m3/s", "m³/s"};
  bool number = point->type == VALUE_NUMBER || point->type == VALUE_INTEGER;
  for (size_t i = 0; number && point->unit && point->kind != GATEWAY_EVENT && i < sizeof units / sizeof units[0]; i++)
    if (strcmp(point->unit, units[i]) == 0) return true;
  return false;
}

static void offer(
    const struct gateway_config *config, struct gateway_control *control, const struct gateway_point *point) {
  if (!point || !point->address || control->observed_count == OBSERVATION_POINTS_MAX) return;
  if (!is_moved(config, point->address) && !is_named(control, point->address)) add(control, point->address);
}

static void choose(const struct gateway_config *config, struct gateway_control *control) {
  for (size_t i = 0; i < control->guard_count; i++) {
    const char *address = control->guards[i].address;
    const struct gateway_point *input = address ? find_address(config, address) : NULL;
    if (input && is_measured(input)) offer(config, control, input);
  }
  for (size_t d = 0; d < config->device_count; d++)
    for (size_t p = 0; p < config->devices[d].point_count; p++)
      if (is_level_or_flow(&config->devices[d].points[p])) offer(config, control, &config->devices[d].points[p]);
}

void observed_finish(
    struct document *d, yaml_node_t *node, const struct gateway_config *config, struct gateway_control *control) {
  yaml_node_t *list = schema_find(d, node, "operating-log");
  if (list)
    read_list(d, list, config, control);
  else
    choose(config, control);
}

void observed_free(struct gateway_control *control) {
  for (size_t i = 0; i < control->observed_count; i++) free(control->observed[i]);
  free(control->observed);
}

bool observed_same(const void *a, const void *b) {
  const struct gateway_control *x = OWNER(struct gateway_control, observed, a),
                               *y = OWNER(struct gateway_control, observed, b);
  bool all = x->observed_count == y->observed_count;
  for (size_t i = 0; all && i < x->observed_count; i++) all = strcmp(x->observed[i], y->observed[i]) == 0;
  return all;
}
