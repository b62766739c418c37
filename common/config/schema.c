#include "common/config/schema.h"
#include "common/base/mem.h"
#include "common/config/scalar.h"
#include <stdlib.h>

static void *place_of(void *object, const struct field *field) { return (uint8_t *)object + field->offset; }
static size_t *count_of(void *object, const struct field *field) {
  return (size_t *)(void *)((uint8_t *)object + field->count_offset);
}

/* ---- reading ---- */

yaml_node_t *schema_find(struct document *document, const yaml_node_t *mapping, const char *key) {
  if (mapping->type != YAML_MAPPING_NODE) return NULL;
  for (yaml_node_pair_t *pair = mapping->data.mapping.pairs.start; pair < mapping->data.mapping.pairs.top; pair++)
    if (bytes_equal(node_text(document_node(document, pair->key)), bytes_text(key)))
      return document_node(document, pair->value);
  return NULL;
}

static const struct field *field_of(const struct section *section, struct bytes key) {
  for (const struct field *field = section->fields; field->key; field++)
    if (bytes_equal(key, bytes_text(field->key))) return field;
  return NULL;
}

/* Edit distance (Levenshtein) of short texts; longer ones are as far as can be. */
static size_t distance(struct bytes a, struct bytes b) {
  size_t row[64];
  if (a.len >= 64 || b.len >= 64) return SIZE_MAX;
  for (size_t j = 0; j <= b.len; j++) row[j] = j;
  for (size_t i = 1; i <= a.len; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.len; j++) {
      size_t change = diagonal + (a.data[i - 1] != b.data[j - 1]), shorter = row[j] + 1, longer = row[j - 1] + 1;
      diagonal = row[j];
      row[j] = change < shorter ? change : shorter;
      if (longer < row[j]) row[j] = longer;
    }
  }
  return row[b.len];
}

static void unknown_key(struct document *document, yaml_node_t *node, const struct section *section) {
  struct bytes key = node_text(node);
  const char *nearest = NULL;
  size_t best = key.len / 2 + 1;
  for (const struct field *field = section->fields; field->key; field++) {
    size_t d = distance(key, bytes_text(field->key));
    if (d > best || (d == best && nearest)) continue;
    best = d;
    nearest = field->key;
  }
  if (nearest)
    document_problem(document, node, "unknown key '" BYTES_FMT "' in %s (did you mean '%s'?)", BYTES_ARG(key),
        section->name, nearest);
  else
    document_problem(document, node, "unknown key '" BYTES_FMT "' in %s", BYTES_ARG(key), section->name);
}

static void check_keys(struct document *document, yaml_node_t *mapping, const struct section *section) {
  yaml_node_pair_t *start = mapping->data.mapping.pairs.start, *top = mapping->data.mapping.pairs.top;
  for (yaml_node_pair_t *pair = start; pair < top; pair++) {
    yaml_node_t *key = document_node(document, pair->key);
    const struct field *field = field_of(section, node_text(key));
    if (key->type != YAML_SCALAR_NODE) {
      document_problem(document, key, "a key of %s must be a plain text", section->name);
      continue;
    }
    if (!field)
      unknown_key(document, key, section);
    else if (field->type == FIELD_LATER)
      document_problem(
          document, key, "%s: not supported by this version yet; it is not ignored: take the key out", field->key);
    for (yaml_node_pair_t *other = start; field && other < pair; other++)
      if (bytes_equal(node_text(document_node(document, other->key)), node_text(key))) {
        document_problem(document, key, "'" BYTES_FMT "' stands twice in %s", BYTES_ARG(node_text(key)), section->name);
        break;
      }
  }
}

static void schema_read(struct document *document, yaml_node_t *node, const struct section *section, void *object);

static void read_sections(struct document *document, const struct field *field, yaml_node_t *node, void *object) {
  if (node->type != YAML_SEQUENCE_NODE) {
    document_problem(document, node, "%s: needs a list", field->key);
    return;
  }
  size_t count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start), size = field->section->size;
  uint8_t *items = count ? mem_alloc(count * size) : NULL;
  *(void **)place_of(object, field) = items;
  *count_of(object, field) = count;
  for (size_t i = 0; i < count; i++)
    schema_read(
        document, document_node(document, node->data.sequence.items.start[i]), field->section, items + i * size);
}

static void read_endpoint(
    struct document *document, const struct field *field, yaml_node_t *node, yaml_node_t *mapping, void *place) {
  if (node->type != YAML_SCALAR_NODE)
    document_problem(document, node, "%s: needs a single value", field->key);
  else
    scalar_endpoint(document, field->key, node, field->second ? schema_find(document, mapping, field->second) : NULL,
        field->listens, place);
}

static void read_field(
    struct document *document, const struct field *field, yaml_node_t *node, yaml_node_t *mapping, void *object) {
  switch (field->type) {
    case FIELD_SECTION: schema_read(document, node, field->section, place_of(object, field)); break;
    case FIELD_SECTIONS: read_sections(document, field, node, object); break;
    case FIELD_CUSTOM: field->custom(document, node, place_of(object, field)); break;
    case FIELD_ENDPOINT: read_endpoint(document, field, node, mapping, place_of(object, field)); break;
    case FIELD_COMPANION:
    case FIELD_LATER: break;
    default: scalar_read(document, field, node, place_of(object, field)); break;
  }
}

static void read_fallback(struct document *document, const struct field *field, void *object) {
  yaml_node_t node = {.type = YAML_SCALAR_NODE};
  node.data.scalar.value = (yaml_char_t *)mem_text(field->fallback, strlen(field->fallback));
  node.data.scalar.length = strlen(field->fallback);
  node.data.scalar.style = YAML_PLAIN_SCALAR_STYLE;
  scalar_read(document, field, &node, place_of(object, field));
  free(node.data.scalar.value);
}

/* A section that was left out has the defaults of its keys. */
static void read_absent(struct document *document, const struct field *field, yaml_node_t *mapping, void *object) {
  if (field->required)
    document_problem(
        document, mapping, "'%s' is missing%s%s", field->key, field->help ? ": " : "", field->help ? field->help : "");
  else if (field->fallback)
    read_fallback(document, field, object);
  else if (field->type == FIELD_SECTION)
    for (const struct field *inner = field->section->fields; inner->key; inner++)
      if (inner->fallback) read_fallback(document, inner, place_of(object, field));
}

static void schema_read(struct document *document, yaml_node_t *node, const struct section *section, void *object) {
  if (node->type != YAML_MAPPING_NODE) {
    document_problem(document, node, "%s needs keys and values", section->name);
    return;
  }
  check_keys(document, node, section);
  for (const struct field *field = section->fields; field->key; field++) {
    yaml_node_t *value = schema_find(document, node, field->key);
    if (value)
      read_field(document, field, value, node, object);
    else
      read_absent(document, field, node, object);
  }
  if (section->finish) section->finish(document, node, object);
}

/* ---- freeing ---- */

static void free_endpoint(struct config_endpoint *endpoint) {
  free(endpoint->urgent);
  free(endpoint->telemetry);
  *endpoint = (struct config_endpoint){NULL, NULL};
}

static void free_sections(const struct field *field, void *object) {
  uint8_t *items = *(uint8_t **)place_of(object, field);
  for (size_t i = 0; i < *count_of(object, field); i++) schema_deinit(field->section, items + i * field->section->size);
  free(items);
  *(void **)place_of(object, field) = NULL;
  *count_of(object, field) = 0;
}

static void free_field(const struct field *field, void *object) {
  void *place = place_of(object, field);
  switch (field->type) {
    case FIELD_TEXT:
    case FIELD_SEGMENT:
    case FIELD_ADDRESS:
    case FIELD_PATH:
    case FIELD_FILE:
    case FIELD_IDENTITY:
      free(*(char **)place);
      *(char **)place = NULL;
      break;
    case FIELD_ENDPOINT: free_endpoint(place); break;
    case FIELD_HTTP:
      free(((struct config_http *)place)->host);
      ((struct config_http *)place)->host = NULL;
      break;
    case FIELD_KEYS:
      free(((struct config_keys *)place)->items);
      *(struct config_keys *)place = (struct config_keys){NULL, 0};
      break;
    case FIELD_PATTERN: *(struct pattern **)place = pattern_free(*(struct pattern **)place); break;
    case FIELD_PATTERNS: patterns_deinit(place); break;
    case FIELD_SECTION: schema_deinit(field->section, place); break;
    case FIELD_SECTIONS: free_sections(field, object); break;
    case FIELD_CUSTOM:
      if (field->custom_free) field->custom_free(place);
      break;
    default: break;
  }
}

void schema_deinit(const struct section *section, void *object) {
  if (section->deinit) section->deinit(object);
  for (const struct field *field = section->fields; field->key; field++) free_field(field, object);
}

int config_load(const char *path, const struct section *section, void *object, struct buffer *problems) {
  struct document document;
  if (document_load(&document, path)) schema_read(&document, document_root(&document), section, object);
  size_t count = document.problem_count;
  document_tell(&document, problems);
  document_deinit(&document);
  return count == 0 ? 0 : CONFIG_WRONG;
}
