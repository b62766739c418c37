#include "gateway/config.h"
#include "common/base/mem.h"
#include "common/config/schema.h"
#include "common/config/scalar.h"
#include "gateway/config_controls.h"
#include "gateway/config_parts.h"
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const device_kinds[] = {"sensor", "sluice", "pump", NULL};
static const char *const point_kinds[] = {"reading", "event", NULL};
static const char *const value_types[] = {"none", "number", "integer", "boolean", "text", "bytes", NULL};

const char *gateway_device_kind_name(int kind) { return kind >= 0 && kind < 3 ? device_kinds[kind] : "?"; }

/* ---- points ---- */

static void finish_point(struct document *d, yaml_node_t *node, void *object) {
  struct gateway_point *point = object;
  yaml_node_t *map = schema_find(d, node, "map"), *type = schema_find(d, node, "type"),
              *scale = schema_find(d, node, "scale"), *offset = schema_find(d, node, "offset"),
              *range = schema_find(d, node, "range");
  bool numeric = point->type == VALUE_NUMBER || point->type == VALUE_INTEGER;
  if (type && point->type == VALUE_NONE)
    document_problem(d, type, "type: 'none' is not known (allowed: number, integer, boolean, text, bytes)");
  if (map) part_map(d, map, (enum value_type)point->type, &point->map, &point->map_count);
  if (!numeric && (scale || offset))
    document_problem(d, scale ? scale : offset, "scale and offset are for points of type number or integer");
  if (!numeric && range) document_problem(d, range, "range is for points of type number or integer");
  if (point->scale == 0) document_problem(d, scale ? scale : node, "scale: 0 would make every value 0");
  if (schema_find(d, node, "time-format") && !point->time.given)
    document_problem(
        d, schema_find(d, node, "time-format"), "time-format needs `time:`, the place of the time in the payload");
}

static void deinit_point(void *object) {
  struct gateway_point *point = object;
  part_map_free(point->map, point->map_count);
  free(point->address);
}

static bool map_same(const void *a, const void *b) {
  const struct gateway_point *x = OWNER(struct gateway_point, map, a), *y = OWNER(struct gateway_point, map, b);
  return part_map_same(x->map, x->map_count, y->map, y->map_count);
}

static const struct field point_fields[] = {
    {.key = "name",
        .type = FIELD_SEGMENT,
        .offset = offsetof(struct gateway_point, name),
        .required = true,
        .help = "the address is station/device/name"},
    {.key = "kind",
        .type = FIELD_ENUM,
        .offset = offsetof(struct gateway_point, kind),
        .names = point_kinds,
        .fallback = "reading",
        .help = "an event goes by the urgent lane"},
    {.key = "description",
        .type = FIELD_TEXT,
        .offset = offsetof(struct gateway_point, description),
        .help = "what it is, for people"},
    {.key = "code",
        .type = FIELD_TEXT,
        .offset = offsetof(struct gateway_point, code),
        .help = "the bureau's code of the station or point"},
    {.key = "unit", .type = FIELD_TEXT, .offset = offsetof(struct gateway_point, unit), .help = "unit of the value"},
    {.key = "type",
        .type = FIELD_ENUM,
        .offset = offsetof(struct gateway_point, type),
        .names = value_types,
        .fallback = "number",
        .help = "type of the value"},
    {.key = "topic",
        CUSTOM(struct gateway_point, topic, part_topic, part_text_free, part_text_same),
        .required = true,
        .help = "MQTT topic of the device"},
    {.key = "qos",
        .type = FIELD_INTEGER,
        .offset = offsetof(struct gateway_point, qos),
        .fallback = "1",
        .low = 0,
        .high = 2,
        .help = "MQTT quality of service of the subscription; only from 1 on is nothing lost"},
    {.key = "value",
        CUSTOM(struct gateway_point, value, part_pointer, part_pointer_free, part_pointer_same),
        .help = "JSON pointer of the value; omit: the payload is the value itself"},
    {.key = "map",
        CUSTOM(struct gateway_point, map, part_later, NULL, map_same),
        .help = "what the device's values mean; one that is not listed is bad"},
    {.key = "scale",
        .type = FIELD_NUMBER,
        .offset = offsetof(struct gateway_point, scale),
        .fallback = "1",
        .help = "worth = payload * scale + offset"},
    {.key = "offset",
        .type = FIELD_NUMBER,
        .offset = offsetof(struct gateway_point, offset),
        .fallback = "0",
        .help = "see scale"},
    {.key = "time",
        CUSTOM(struct gateway_point, time, part_pointer, part_pointer_free, part_pointer_same),
        .help = "JSON pointer of the time; omit: time of receipt"},
    {.key = "time-format",
        CUSTOM(struct gateway_point, time_format, part_time, part_time_free, part_time_same),
        .help = "rfc3339 (default), epoch-s, epoch-ms, or a pattern; without an offset time-zone applies"},
    {.key = "max-future",
        .type = FIELD_DURATION,
        .offset = offsetof(struct gateway_point, max_future_us),
        .fallback = "5m",
        .help = "a time further ahead makes quality bad, reason clock"},
    {.key = "range",
        .type = FIELD_RANGE,
        .offset = offsetof(struct gateway_point, range),
        .help = "outside: quality bad, reason out-of-range; never dropped"},
    {.key = "stale-after",
        .type = FIELD_DURATION,
        .offset = offsetof(struct gateway_point, stale_after_us),
        .fallback = "0",
        .help = "after so much silence the last value comes once more, quality uncertain, reason stale; 0: never"},
    {.key = NULL},
};
static const struct section point_section = {.name = "a point",
    .size = sizeof(struct gateway_point),
    .fields = point_fields,
    .finish = finish_point,
    .deinit = deinit_point};

/* ---- devices ---- */

static void check_points(struct document *d, yaml_node_t *node, const struct gateway_device *device) {
  yaml_node_t *list = schema_find(d, node, "points");
  for (size_t i = 0; list && i < device->point_count; i++)
    for (size_t j = 0; j < i; j++)
      if (device->points[i].name && device->points[j].name &&
          strcmp(device->points[i].name, device->points[j].name) == 0)
        document_problem(d, document_node(d, list->data.sequence.items.start[i]), "the point '%s' stands twice",
            device->points[i].name);
}

static void finish_device(struct document *d, yaml_node_t *node, void *object) {
  struct gateway_device *device = object;
  yaml_node_t *controls = schema_find(d, node, "controls");
  check_points(d, node, device);
  for (size_t i = 0; i < device->control_count; i++) {
    yaml_node_t *control = document_node(d, controls->data.sequence.items.start[i]);
    controls_finish(d, control, device, &device->controls[i]);
    for (size_t j = 0; j < i; j++)
      if (device->controls[i].point && device->controls[j].point &&
          strcmp(device->controls[i].point, device->controls[j].point) == 0)
        document_problem(d, control, "the point '%s' has two controls", device->controls[i].point);
  }
}

static const struct field device_fields[] = {
    {.key = "name",
        .type = FIELD_SEGMENT,
        .offset = offsetof(struct gateway_device, name),
        .required = true,
        .help = "name of the device; `riverbus` is reserved"},
    {.key = "kind",
        .type = FIELD_ENUM,
        .offset = offsetof(struct gateway_device, kind),
        .names = device_kinds,
        .required = true,
        .help = "sensor, sluice or pump"},
    {.key = "points",
        .type = FIELD_SECTIONS,
        .offset = offsetof(struct gateway_device, points),
        .count_offset = offsetof(struct gateway_device, point_count),
        .section = &point_section,
        .required = true,
        .help = "what is measured"},
    {.key = "controls",
        .type = FIELD_SECTIONS,
        .offset = offsetof(struct gateway_device, controls),
        .count_offset = offsetof(struct gateway_device, control_count),
        .section = &gateway_control_section,
        .help = "what can be set"},
    {.key = NULL},
};
static const struct section device_section = {
    .name = "a device", .size = sizeof(struct gateway_device), .fields = device_fields, .finish = finish_device};

/* ---- broker, mqtt ---- */

static void read_endpoints(struct document *d, yaml_node_t *node, void *place) {
  struct gateway_broker *broker =
      (struct gateway_broker *)(void *)((uint8_t *)place - offsetof(struct gateway_broker, endpoints));
  size_t count =
      node->type == YAML_SEQUENCE_NODE ? (size_t)(node->data.sequence.items.top - node->data.sequence.items.start) : 1;
  if (count == 0) document_problem(d, node, "endpoints: the list is empty");
  broker->endpoints = mem_alloc((count + 1) * sizeof *broker->endpoints);
  for (size_t i = 0; i < count; i++) {
    yaml_node_t *item = node->type == YAML_SEQUENCE_NODE ? document_node(d, node->data.sequence.items.start[i]) : node;
    yaml_node_t *urgent = item->type == YAML_MAPPING_NODE ? schema_find(d, item, "urgent") : item,
                *telemetry = item->type == YAML_MAPPING_NODE ? schema_find(d, item, "telemetry") : NULL;
    if (!urgent)
      document_problem(d, item, "endpoints: needs an endpoint, or {urgent: ..., telemetry: ...}");
    else if (scalar_endpoint(d, "endpoints", urgent, telemetry, false, &broker->endpoints[broker->endpoint_count]))
      broker->endpoint_count++;
  }
}

static bool endpoints_same(const void *a, const void *b) {
  const struct gateway_broker *x = OWNER(struct gateway_broker, endpoints, a),
                              *y = OWNER(struct gateway_broker, endpoints, b);
  if (x->endpoint_count != y->endpoint_count) return false;
  for (size_t i = 0; i < x->endpoint_count; i++)
    if (strcmp(x->endpoints[i].urgent, y->endpoints[i].urgent) != 0 ||
        strcmp(x->endpoints[i].telemetry, y->endpoints[i].telemetry) != 0)
      return false;
  return true;
}

static void deinit_broker(void *object) {
  struct gateway_broker *broker = object;
  for (size_t i = 0; i < broker->endpoint_count; i++) {
    free(broker->endpoints[i].urgent);
    free(broker->endpoints[i].telemetry);
  }
  free(broker->endpoints);
}
static const struct field broker_fields[] = {
    {.key = "endpoints",
        CUSTOM(struct gateway_broker, endpoints, read_endpoints, NULL, endpoints_same),
        .required = true,
        .help = "where the province's broker listens; several are tried in turn, one is active"},
    {.key = "key",
        .type = FIELD_KEYS,
        .offset = offsetof(struct gateway_broker, keys),
        .required = true,
        .help = "the broker's public key"},
    {.key = NULL},
};
static const struct section broker_section = {
    .name = "broker", .size = sizeof(struct gateway_broker), .fields = broker_fields, .deinit = deinit_broker};

static void finish_mqtt(struct document *d, yaml_node_t *node, void *object) {
  struct gateway_mqtt *mqtt = object;
  if ((mqtt->cert_file != NULL) != (mqtt->key_file != NULL))
    document_problem(d, node, "cert-file and key-file belong together");
  if (mqtt->cert_file && !mqtt->ca_file) document_problem(d, node, "cert-file needs ca-file");
  if (mqtt->password_file && !mqtt->username) document_problem(d, node, "password-file needs username");
}
static const struct field mqtt_fields[] = {
    {.key = "host",
        .type = FIELD_TEXT,
        .offset = offsetof(struct gateway_mqtt, host),
        .fallback = "127.0.0.1",
        .help = "the station's MQTT broker"},
    {.key = "port",
        .type = FIELD_PORT,
        .offset = offsetof(struct gateway_mqtt, port),
        .fallback = "1883",
        .low = 1,
        .high = 65535,
        .help = "its port"},
    {.key = "client-id",
        .type = FIELD_TEXT,
        .offset = offsetof(struct gateway_mqtt, client_id),
        .fallback = "riverbus",
        .help = "client id of the telemetry client; `-command` is added for the other"},
    {.key = "username",
        .type = FIELD_TEXT,
        .offset = offsetof(struct gateway_mqtt, username),
        .help = "user name at the MQTT broker"},
    {.key = "password-file",
        .type = FIELD_FILE,
        .offset = offsetof(struct gateway_mqtt, password_file),
        .help = "its first line is the password"},
    {.key = "ca-file",
        .type = FIELD_FILE,
        .offset = offsetof(struct gateway_mqtt, ca_file),
        .help = "certificates that are trusted: TLS is used where it is given"},
    {.key = "cert-file",
        .type = FIELD_FILE,
        .offset = offsetof(struct gateway_mqtt, cert_file),
        .help = "our own certificate"},
    {.key = "key-file", .type = FIELD_FILE, .offset = offsetof(struct gateway_mqtt, key_file), .help = "its key"},
    {.key = NULL},
};
static const struct section mqtt_section = {
    .name = "mqtt", .size = sizeof(struct gateway_mqtt), .fields = mqtt_fields, .finish = finish_mqtt};

/* ---- clock ---- */

static const struct field clock_fields[] = {
    {.key = "require-synchronised",
        .type = FIELD_BOOLEAN,
        .offset = offsetof(struct gateway_clock, require_synchronised),
        .fallback = "true",
        .help = "no commands while the kernel does not call its clock synchronised"},
    {.key = "max-offset",
        .type = FIELD_DURATION,
        .offset = offsetof(struct gateway_clock, max_offset_us),
        .fallback = "2s",
        .low = 1e5,
        .high = 6e7,
        .help = "no commands while the clock is further from the broker's, or behind the highest time seen"},
    {.key = NULL},
};
static const struct section clock_section = {
    .name = "clock", .size = sizeof(struct gateway_clock), .fields = clock_fields};

/* ---- the file ---- */

static char *join(const char *a, const char *b, const char *c) {
  struct buffer out = BUFFER_NULL;
  buffer_printf(&out, "%s/%s/%s", a, b, c);
  buffer_text(&out);
  return (char *)out.data;
}

static void check_address(struct document *d, yaml_node_t *node, const char *address) {
  const char *why;
  if (address_check(bytes_text(address), &why) != 0) document_problem(d, node, "the address '%s': %s", address, why);
}

static void name_points(struct document *d, yaml_node_t *node, const char *station, struct gateway_device *device) {
  if (strcmp(device->name, "riverbus") == 0)
    document_problem(d, node, "the device name 'riverbus' is reserved for the gateway's own events");
  for (size_t i = 0; i < device->point_count; i++) {
    if (!device->points[i].name) continue;
    device->points[i].address = join(station, device->name, device->points[i].name);
    check_address(d, node, device->points[i].address);
  }
  for (size_t i = 0; i < device->control_count; i++)
    if (device->controls[i].point) device->controls[i].address = join(station, device->name, device->controls[i].point);
}

static void finish_devices(struct document *d, yaml_node_t *list, struct gateway_config *config) {
  for (size_t i = 0; i < config->device_count; i++) {
    yaml_node_t *node = document_node(d, list->data.sequence.items.start[i]);
    if (!config->devices[i].name) continue;
    name_points(d, node, config->station ? config->station : "?/?", &config->devices[i]);
    for (size_t j = 0; j < i; j++)
      if (config->devices[j].name && strcmp(config->devices[j].name, config->devices[i].name) == 0)
        document_problem(d, node, "the device '%s' stands twice", config->devices[i].name);
  }
}

static void finish_operators(struct document *d, yaml_node_t *list, struct gateway_config *config) {
  struct key_book book = {NULL, 0};
  for (size_t i = 0; i < config->operator_count; i++) {
    char owner[128];
    for (size_t j = 0; j < i; j++)
      if (config->operators[i].name && config->operators[j].name &&
          strcmp(config->operators[i].name, config->operators[j].name) == 0)
        document_problem(d, document_node(d, list->data.sequence.items.start[i]), "the operator '%s' stands twice",
            config->operators[i].name);
    snprintf(owner, sizeof owner, "operator %s", config->operators[i].name ? config->operators[i].name : "?");
    key_book_add(&book, d, document_node(d, list->data.sequence.items.start[i]), &config->operators[i].keys, owner);
  }
  key_book_deinit(&book);
}

/* At the station's own door an operator reads all of the station, unless `read` says less. */
static void finish_read(struct gateway_config *config) {
  struct buffer all = BUFFER_NULL;
  buffer_printf(&all, "%s/#", config->station);
  for (size_t i = 0; i < config->operator_count; i++)
    if (config->operators[i].read.count == 0) (void)patterns_add(&config->operators[i].read, buffer_bytes(&all), NULL);
  buffer_deinit(&all);
}

static void finish(struct document *d, yaml_node_t *node, void *object) {
  struct gateway_config *config = object;
  yaml_node_t *station = schema_find(d, node, "station"), *store = schema_find(d, node, "store"),
              *devices = schema_find(d, node, "devices"), *operators = schema_find(d, node, "operators");
  if (config->station && (address_segments(bytes_text(config->station)) != 2 || strchr(config->station, '!')))
    document_problem(d, station, "station: '%s' needs two segments: province/station", config->station);
  if (config->station) {
    struct bytes province = address_segment(bytes_text(config->station), 0);
    config->province = mem_text(province.data, province.len);
  }
  /* a full gateway that refuses only moves the loss into the MQTT broker, which drops silently */
  if (store && !schema_find(d, store, "when-full")) config->store.when_full = CONFIG_WHEN_FULL_DISCARD_OLDEST;
  if (devices) finish_devices(d, devices, config);
  if (devices) controls_finish_lines(d, devices, config);
  if (operators) finish_operators(d, operators, config);
  if (operators && config->station) finish_read(config);
}

static void deinit(void *object) { free(((struct gateway_config *)object)->province); }

static const struct field fields[] = {
    {.key = "station",
        .type = FIELD_ADDRESS,
        .offset = offsetof(struct gateway_config, station),
        .required = true,
        .help = "province/station: the first two segments of every address of this station"},
    {.key = "identity",
        .type = FIELD_IDENTITY,
        .offset = offsetof(struct gateway_config, identity),
        .required = true,
        .help = "this station's secret key (`riverbus keys new`)"},
    {.key = "time-zone",
        .type = FIELD_ZONE,
        .offset = offsetof(struct gateway_config, zone_s),
        .fallback = "Z",
        .redo = CONFIG_REDO_LIMITS,
        .help = "for device times without an offset"},
    {.key = "broker",
        .type = FIELD_SECTION,
        .offset = offsetof(struct gateway_config, broker),
        .section = &broker_section,
        .required = true,
        .redo = CONFIG_REDO_LINKS,
        .help = "the province's broker"},
    {.key = "local",
        .type = FIELD_ENDPOINT,
        .offset = offsetof(struct gateway_config, local),
        .listens = true,
        .help = "the station's own door for its operators; omit for none"},
    {.key = "store",
        .type = FIELD_SECTION,
        .offset = offsetof(struct gateway_config, store),
        .section = &config_store_section,
        .required = true,
        .help = "the durable store; when-full is discard-oldest unless said otherwise"},
    {.key = "audit",
        .type = FIELD_SECTION,
        .offset = offsetof(struct gateway_config, audit),
        .section = &config_audit_section,
        .redo = CONFIG_REDO_LIMITS,
        .help = "the audit log"},
    {.key = "http",
        .type = FIELD_HTTP,
        .offset = offsetof(struct gateway_config, http),
        .help = "metrics and health; omit for none"},
    {.key = "mqtt",
        .type = FIELD_SECTION,
        .offset = offsetof(struct gateway_config, mqtt),
        .section = &mqtt_section,
        .redo = CONFIG_REDO_MQTT,
        .help = "the station's MQTT broker"},
    {.key = "clock",
        .type = FIELD_SECTION,
        .offset = offsetof(struct gateway_config, clock),
        .section = &clock_section,
        .redo = CONFIG_REDO_LIMITS,
        .help = "when the clock is good enough for commands"},
    {.key = "max-deadline",
        .type = FIELD_DURATION,
        .offset = offsetof(struct gateway_config, max_deadline_us),
        .fallback = "5m",
        .low = 1e7,
        .high = 8.64e10,
        .redo = CONFIG_REDO_LIMITS,
        .help = "a command whose deadline is further away is refused"},
    {.key = "operators",
        .type = FIELD_SECTIONS,
        .offset = offsetof(struct gateway_config, operators),
        .count_offset = offsetof(struct gateway_config, operator_count),
        .section = &config_operator_section,
        .redo = CONFIG_REDO_PRINCIPALS,
        .help = "whom this station obeys"},
    {.key = "authority",
        .type = FIELD_KEYS,
        .offset = offsetof(struct gateway_config, authority),
        .redo = CONFIG_REDO_PRINCIPALS,
        .help = "whose signed rosters are obeyed beside the operators"},
    {.key = "devices",
        .type = FIELD_SECTIONS,
        .offset = offsetof(struct gateway_config, devices),
        .count_offset = offsetof(struct gateway_config, device_count),
        .section = &device_section,
        .required = true,
        .redo = CONFIG_REDO_DEVICES,
        .help = "the devices of the station"},
    {.key = NULL},
};
static const struct section root = {
    .name = "this file", .size = sizeof(struct gateway_config), .fields = fields, .finish = finish, .deinit = deinit};

int gateway_config_load(struct gateway_config **out, const char *path, struct buffer *problems) {
  struct gateway_config *config = mem_alloc(sizeof *config);
  int result = config_load(path, &root, config, problems);
  *out = result == 0 ? config : gateway_config_free(config);
  return result;
}

void gateway_config_notes(struct buffer *out, const struct gateway_config *config) {
  for (size_t d = 0; d < config->device_count; d++)
    for (size_t i = 0; i < config->devices[d].control_count; i++)
      if (!config->devices[d].controls[i].stop.topic)
        buffer_printf(
            out, "note: %s has no `stop:`: no command can halt its movement\n", config->devices[d].controls[i].address);
}

struct gateway_config *gateway_config_free(struct gateway_config *config) {
  if (config) schema_deinit(&root, config);
  free(config);
  return NULL;
}

unsigned gateway_config_changed(const struct gateway_config *old, const struct gateway_config *fresh) {
  return schema_changed(&root, old, fresh);
}
