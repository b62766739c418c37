/* Reading one value by the type of its row. */
#include "common/config/scalar.h"
#include "common/base/mem.h"
#include "common/base/units.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_plain_text(struct bytes text) {
  for (size_t i = 0; i < text.len; i++)
    if (text.data[i] < 0x20 || text.data[i] == 0x7f) return false;
  return text.len > 0 && bytes_is_utf8(text);
}

static char *copy(struct bytes text) { return mem_text(text.data, text.len); }

static void read_text(struct document *d, const struct field *f, yaml_node_t *node, char **place) {
  struct bytes text = node_text(node);
  const char *why = NULL;
  if (!is_plain_text(text))
    document_problem(d, node, "%s: needs a text of at least one character and without control characters", f->key);
  else if (f->type == FIELD_ADDRESS && address_check(text, &why) != 0)
    document_problem(d, node, "%s: '" BYTES_FMT "' is no address: %s", f->key, BYTES_ARG(text), why);
  else if (f->type == FIELD_SEGMENT &&
           (address_check(text, &why) != 0 || address_segments(text) != 1 || memchr(text.data, '!', text.len)))
    document_problem(
        d, node, "%s: '" BYTES_FMT "' is no name: one segment of an address, without / + # !", f->key, BYTES_ARG(text));
  else
    *place = copy(text);
}

static void check_file(struct document *d, const struct field *f, yaml_node_t *node, const char *path) {
  struct stat status;
  if (access(path, R_OK) != 0 || stat(path, &status) != 0)
    document_problem(d, node, "%s: %s cannot be read: %s", f->key, path, strerror(errno));
  else if (S_ISDIR(status.st_mode))
    document_problem(d, node, "%s: %s is a folder, not a file", f->key, path);
}

static void read_path(struct document *d, const struct field *f, yaml_node_t *node, char **place) {
  struct identity_problem problem = {""};
  struct identity *identity = NULL;
  if (!is_plain_text(node_text(node))) {
    document_problem(d, node, "%s: needs a path", f->key);
    return;
  }
  *place = document_path(d, node_text(node));
  if (f->type == FIELD_FILE) check_file(d, f, node, *place);
  if (f->type != FIELD_IDENTITY) return;
  if (identity_load(&identity, *place, &problem) != 0) document_problem(d, node, "%s: %s", f->key, problem.text);
  identity_free(identity);
}

static bool within(const struct field *f, double number) {
  return f->low >= f->high || (number >= f->low && number <= f->high);
}

static void put_limit(struct buffer *out, const struct field *f, double limit) {
  if (f->type == FIELD_DURATION)
    units_put_duration(out, (int64_t)limit);
  else if (f->type == FIELD_SIZE)
    units_put_size(out, (uint64_t)limit);
  else
    buffer_printf(out, "%.10g", limit);
}

static void out_of_range(struct document *d, const struct field *f, yaml_node_t *node) {
  struct buffer low = BUFFER_NULL, high = BUFFER_NULL;
  put_limit(&low, f, f->low);
  put_limit(&high, f, f->high);
  document_problem(d, node, "%s: '" BYTES_FMT "' is out of range (%s to %s is allowed)", f->key,
      BYTES_ARG(node_text(node)), buffer_text(&low), buffer_text(&high));
  buffer_deinit(&low);
  buffer_deinit(&high);
}

static void read_amount(struct document *d, const struct field *f, yaml_node_t *node, void *place) {
  int64_t us = 0;
  uint64_t size = 0;
  bool duration = f->type == FIELD_DURATION;
  int result = duration ? units_duration(node_text(node), &us) : units_size(node_text(node), &size);
  if (result != 0)
    document_problem(d, node, "%s: '" BYTES_FMT "' is no %s", f->key, BYTES_ARG(node_text(node)),
        duration ? "duration (such as 500ms, 10s, 5m, 2h, 30d)" : "size (such as 64KiB, 20GiB)");
  else if (!within(f, duration ? (double)us : (double)size))
    out_of_range(d, f, node);
  else if (duration)
    memcpy(place, &us, sizeof us);
  else
    memcpy(place, &size, sizeof size);
}

static bool parse_number(yaml_node_t *node, enum value_type type, struct value *value) {
  bool plain = node->type == YAML_SCALAR_NODE && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
  return plain && value_parse(node_text(node), type, value) == 0;
}

static void read_number(struct document *d, const struct field *f, yaml_node_t *node, void *place) {
  struct value value;
  bool whole = f->type != FIELD_NUMBER;
  if (!parse_number(node, whole ? VALUE_INTEGER : VALUE_NUMBER, &value)) {
    document_problem(
        d, node, "%s: '" BYTES_FMT "' is no %s", f->key, BYTES_ARG(node_text(node)), whole ? "whole number" : "number");
    return;
  }
  struct field limits = *f;
  if (f->type == FIELD_PORT && f->low >= f->high) limits.high = 65535;
  if (!within(&limits, whole ? (double)value.integer : value.number))
    out_of_range(d, &limits, node);
  else if (f->type == FIELD_PORT)
    *(uint16_t *)place = (uint16_t)value.integer;
  else if (whole)
    *(int *)place = (int)value.integer;
  else
    *(double *)place = value.number;
}

static void read_boolean(struct document *d, const struct field *f, yaml_node_t *node, bool *place) {
  struct value value;
  if (parse_number(node, VALUE_BOOLEAN, &value))
    *place = value.boolean;
  else
    document_problem(d, node, "%s: '" BYTES_FMT "' is neither true nor false", f->key, BYTES_ARG(node_text(node)));
}

static void read_enum(struct document *d, const struct field *f, yaml_node_t *node, int *place) {
  struct buffer list = BUFFER_NULL;
  for (int i = 0; f->names[i]; i++) {
    if (bytes_equal(node_text(node), bytes_text(f->names[i]))) {
      *place = i;
      buffer_deinit(&list);
      return;
    }
    buffer_printf(&list, "%s%s", i ? ", " : "", f->names[i]);
  }
  document_problem(d, node, "%s: '" BYTES_FMT "' is not known (allowed: %s)", f->key, BYTES_ARG(node_text(node)),
      buffer_text(&list));
  buffer_deinit(&list);
}

static void read_zone(struct document *d, const struct field *f, yaml_node_t *node, int32_t *place) {
  if (units_offset(node_text(node), place) != 0)
    document_problem(
        d, node, "%s: '" BYTES_FMT "' is no time zone (such as \"+08:00\" or Z)", f->key, BYTES_ARG(node_text(node)));
}

/* A host name or IPv4 address: brackets and colons belong to IPv6, a slash to a path. */
static bool is_host(struct bytes host) {
  for (size_t i = 0; i < host.len; i++)
    if (strchr("[]:/ ", host.data[i])) return false;
  return host.len > 0;
}

/* tcp://HOST:PORT or tcp://[V6]:PORT; *port is the number, 0 for 0 and *. */
static bool parse_endpoint(struct bytes text, bool listens, size_t *host_end, uint32_t *port) {
  static const char scheme[] = "tcp://";
  size_t at = text.len;
  struct value value;
  if (text.len < sizeof scheme || memcmp(text.data, scheme, sizeof scheme - 1) != 0 || !is_plain_text(text))
    return false;
  while (at > 0 && text.data[at - 1] != ':') at--;
  if (at <= sizeof scheme) return false;
  struct bytes digits = bytes_of(text.data + at, text.len - at), host = bytes_of(text.data + 6, at - 1 - 6);
  bool bracketed = host.len > 2 && host.data[0] == '[' && host.data[host.len - 1] == ']';
  if (!bracketed && !is_host(host)) return false;
  *host_end = at;
  *port = 0;
  if (listens && bytes_equal(digits, bytes_text("*"))) return true;
  if (value_parse(digits, VALUE_INTEGER, &value) != 0 || value.integer < (listens ? 0 : 1) || value.integer > 65535)
    return false;
  *port = (uint32_t)value.integer;
  return true;
}

bool scalar_endpoint(struct document *d, const char *key, yaml_node_t *node, yaml_node_t *second, bool listens,
    struct config_endpoint *place) {
  struct bytes text = node_text(node);
  size_t host_end = 0, ignored;
  uint32_t port = 0, other;
  const char *example = listens ? "tcp://0.0.0.0:7400" : "tcp://10.0.0.1:7400";
  if (!parse_endpoint(text, listens, &host_end, &port)) {
    document_problem(d, node, "%s: '" BYTES_FMT "' is no endpoint (such as %s, IPv6 as tcp://[ADDRESS]:PORT)", key,
        BYTES_ARG(text), example);
    return false;
  }
  if (second && !parse_endpoint(node_text(second), listens, &ignored, &other)) {
    document_problem(d, second, "%s-telemetry: '" BYTES_FMT "' is no endpoint (such as %s)", key,
        BYTES_ARG(node_text(second)), example);
    return false;
  }
  if (!second && port == 65535) {
    document_problem(d, node, "%s: port 65535 has no next port for telemetry; name one with %s-telemetry", key, key);
    return false;
  }
  struct buffer next = BUFFER_NULL;
  buffer_printf(&next, "%.*s%u", (int)host_end, (const char *)text.data, port == 0 ? 0 : port + 1);
  place->urgent = copy(text);
  place->telemetry = second ? copy(node_text(second)) : copy(buffer_bytes(&next));
  buffer_deinit(&next);
  return true;
}

static void read_http(struct document *d, const struct field *f, yaml_node_t *node, struct config_http *place) {
  struct bytes text = node_text(node);
  size_t at = text.len;
  struct value value;
  while (at > 0 && text.data[at - 1] != ':') at--;
  bool bracketed = at > 3 && text.data[0] == '[' && text.data[at - 2] == ']';
  struct bytes host = bracketed ? bytes_of(text.data + 1, at - 3) : bytes_of(text.data, at ? at - 1 : 0);
  if (at < 2 || (!bracketed && !is_host(host)) ||
      value_parse(bytes_of(text.data + at, text.len - at), VALUE_INTEGER, &value) != 0 || value.integer < 0 ||
      value.integer > 65535) {
    document_problem(d, node, "%s: '" BYTES_FMT "' is not HOST:PORT (such as 127.0.0.1:7480)", f->key, BYTES_ARG(text));
    return;
  }
  place->host = copy(host);
  place->port = (uint16_t)value.integer;
}

static void add_key(struct document *d, const struct field *f, yaml_node_t *node, struct config_keys *place) {
  struct public_key key;
  uint8_t transport[32];
  if (place->count == 8) {
    document_problem(d, node, "%s: more than 8 keys", f->key);
    return;
  }
  if (public_key_parse(node_text(node), &key) != 0 || public_key_transport(&key, transport) != 0) {
    document_problem(d, node,
        "%s: '" BYTES_FMT "' is no public key (\"ed25519:\" and 43 characters; `riverbus keys show FILE` prints it)",
        f->key, BYTES_ARG(node_text(node)));
    return;
  }
  place->items = mem_resize(place->items, place->count + 1, sizeof *place->items);
  place->items[place->count++] = key;
}

static void read_pattern(struct document *d, const struct field *f, yaml_node_t *node, struct pattern **place) {
  const char *why;
  if (pattern_new(place, node_text(node), &why) != 0)
    document_problem(d, node, "%s: '" BYTES_FMT "' is no pattern: %s", f->key, BYTES_ARG(node_text(node)), why);
}

static void add_pattern(struct document *d, const struct field *f, yaml_node_t *node, struct patterns *place) {
  const char *why;
  if (patterns_add(place, node_text(node), &why) != 0)
    document_problem(d, node, "%s: '" BYTES_FMT "' is no pattern: %s", f->key, BYTES_ARG(node_text(node)), why);
}

static void read_each(struct document *d, const struct field *f, yaml_node_t *node, void *place) {
  size_t count =
      node->type == YAML_SEQUENCE_NODE ? (size_t)(node->data.sequence.items.top - node->data.sequence.items.start) : 1;
  for (size_t i = 0; i < count; i++) {
    yaml_node_t *item = node->type == YAML_SEQUENCE_NODE ? document_node(d, node->data.sequence.items.start[i]) : node;
    if (f->type == FIELD_KEYS)
      add_key(d, f, item, place);
    else
      add_pattern(d, f, item, place);
  }
  if (count == 0 && f->type == FIELD_KEYS) document_problem(d, node, "%s: the list is empty", f->key);
}

static void read_range(struct document *d, const struct field *f, yaml_node_t *node, struct config_range *place) {
  struct value low = VALUE_EMPTY, high = VALUE_EMPTY;
  bool pair = node->type == YAML_SEQUENCE_NODE && node->data.sequence.items.top - node->data.sequence.items.start == 2;
  if (!pair || !parse_number(document_node(d, node->data.sequence.items.start[0]), VALUE_NUMBER, &low) ||
      !parse_number(document_node(d, node->data.sequence.items.start[1]), VALUE_NUMBER, &high))
    document_problem(d, node, "%s: needs two numbers: [low, high]", f->key);
  else if (low.number > high.number)
    document_problem(d, node, "%s: the low end %g is above the high end %g", f->key, low.number, high.number);
  else
    *place = (struct config_range){true, low.number, high.number};
}

/* Whether the type is written as one scalar. */
static bool scalar_needs_text(enum field_type type) {
  return type != FIELD_KEYS && type != FIELD_PATTERNS && type != FIELD_RANGE && type != FIELD_SECTION &&
         type != FIELD_SECTIONS && type != FIELD_CUSTOM;
}

void scalar_read(struct document *d, const struct field *f, yaml_node_t *node, void *place) {
  if (scalar_needs_text(f->type) && node->type != YAML_SCALAR_NODE) {
    document_problem(
        d, node, "%s: needs a single value, not a %s", f->key, node->type == YAML_SEQUENCE_NODE ? "list" : "map");
    return;
  }
  switch (f->type) {
    case FIELD_TEXT:
    case FIELD_SEGMENT:
    case FIELD_ADDRESS: read_text(d, f, node, place); break;
    case FIELD_PATH:
    case FIELD_FILE:
    case FIELD_IDENTITY: read_path(d, f, node, place); break;
    case FIELD_DURATION:
    case FIELD_SIZE: read_amount(d, f, node, place); break;
    case FIELD_ZONE: read_zone(d, f, node, place); break;
    case FIELD_NUMBER:
    case FIELD_INTEGER:
    case FIELD_PORT: read_number(d, f, node, place); break;
    case FIELD_BOOLEAN: read_boolean(d, f, node, place); break;
    case FIELD_ENUM: read_enum(d, f, node, place); break;
    case FIELD_HTTP: read_http(d, f, node, place); break;
    case FIELD_KEYS:
    case FIELD_PATTERNS: read_each(d, f, node, place); break;
    case FIELD_PATTERN: read_pattern(d, f, node, place); break;
    case FIELD_RANGE: read_range(d, f, node, place); break;
    default: break;
  }
}

int schema_value(struct document *d, yaml_node_t *node, enum value_type wanted, char **text, struct value *value) {
  *text = copy(node_text(node));
  bool plain = node->type == YAML_SCALAR_NODE && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
  enum value_type type = plain || wanted != VALUE_NONE ? wanted : VALUE_TEXT;
  if (node->type == YAML_SCALAR_NODE && value_parse(bytes_text(*text), type, value) == 0) return 0;
  document_problem(d, node, "'" BYTES_FMT "' is no %s", BYTES_ARG(node_text(node)),
      wanted == VALUE_NONE ? "value" : value_type_name(wanted));
  *value = VALUE_EMPTY;
  return CONFIG_WRONG;
}
