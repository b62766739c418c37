/* What differs between two configurations, by the same rows that read them. */
#include "common/config/schema.h"

static bool text_same(const char *a, const char *b) { return a == b || (a && b && strcmp(a, b) == 0); }

static bool patterns_same(const struct patterns *a, const struct patterns *b) {
  if (a->count != b->count) return false;
  for (size_t i = 0; i < a->count; i++)
    if (!bytes_equal(pattern_text(a->items[i]), pattern_text(b->items[i]))) return false;
  return true;
}

static bool keys_same(const struct config_keys *a, const struct config_keys *b) {
  return a->count == b->count && (a->count == 0 || memcmp(a->items, b->items, a->count * sizeof *a->items) == 0);
}

static bool pattern_same(const struct pattern *a, const struct pattern *b) {
  return a == b || (a && b && bytes_equal(pattern_text(a), pattern_text(b)));
}

static bool range_same(const struct config_range *a, const struct config_range *b) {
  return a->set == b->set && (!a->set || (a->low == b->low && a->high == b->high));
}

static bool simple_same(enum field_type type, const void *a, const void *b) {
  switch (type) {
    case FIELD_DURATION: return *(const int64_t *)a == *(const int64_t *)b;
    case FIELD_SIZE: return *(const uint64_t *)a == *(const uint64_t *)b;
    case FIELD_ZONE: return *(const int32_t *)a == *(const int32_t *)b;
    case FIELD_NUMBER: return *(const double *)a == *(const double *)b;
    case FIELD_INTEGER:
    case FIELD_ENUM: return *(const int *)a == *(const int *)b;
    case FIELD_PORT: return *(const uint16_t *)a == *(const uint16_t *)b;
    case FIELD_BOOLEAN: return *(const bool *)a == *(const bool *)b;
    case FIELD_ENDPOINT:
      return text_same(((const struct config_endpoint *)a)->urgent, ((const struct config_endpoint *)b)->urgent) &&
             text_same(((const struct config_endpoint *)a)->telemetry, ((const struct config_endpoint *)b)->telemetry);
    case FIELD_HTTP:
      return text_same(((const struct config_http *)a)->host, ((const struct config_http *)b)->host) &&
             ((const struct config_http *)a)->port == ((const struct config_http *)b)->port;
    case FIELD_KEYS: return keys_same(a, b);
    case FIELD_PATTERN: return pattern_same(*(struct pattern *const *)a, *(struct pattern *const *)b);
    case FIELD_PATTERNS: return patterns_same(a, b);
    case FIELD_RANGE: return range_same(a, b);
    default: return text_same(*(char *const *)a, *(char *const *)b);
  }
}

/* A row without a redo of its own still tells its section that something changed. */
static unsigned redo_of(const struct field *field) { return field->redo ? field->redo : CONFIG_REDO_RESTART; }

static unsigned sections_changed(const struct field *field, const void *a, const void *b) {
  const uint8_t *x = *(uint8_t *const *)(const void *)((const uint8_t *)a + field->offset),
                *y = *(uint8_t *const *)(const void *)((const uint8_t *)b + field->offset);
  size_t n = *(const size_t *)(const void *)((const uint8_t *)a + field->count_offset),
         m = *(const size_t *)(const void *)((const uint8_t *)b + field->count_offset);
  unsigned own = redo_of(field);
  if (n != m) return own;
  for (size_t i = 0; i < n; i++)
    if (schema_changed(field->section, x + i * field->section->size, y + i * field->section->size)) return own;
  return 0;
}

static bool field_changed(const struct field *field, const void *a, const void *b) {
  const uint8_t *x = (const uint8_t *)a + field->offset, *y = (const uint8_t *)b + field->offset;
  if (field->type == FIELD_LATER || field->type == FIELD_COMPANION) return false;
  if (field->type == FIELD_CUSTOM) return !field->custom_same || !field->custom_same(x, y);
  return !simple_same(field->type, x, y);
}

unsigned schema_changed(const struct section *section, const void *a, const void *b) {
  unsigned redo = 0;
  for (const struct field *field = section->fields; field->key; field++) {
    unsigned own = redo_of(field);
    if (field->type == FIELD_SECTION)
      redo |= schema_changed(field->section, (const uint8_t *)a + field->offset, (const uint8_t *)b + field->offset)
                  ? own
                  : 0;
    else if (field->type == FIELD_SECTIONS)
      redo |= sections_changed(field, a, b);
    else if (field_changed(field, a, b))
      redo |= own;
  }
  return redo;
}
