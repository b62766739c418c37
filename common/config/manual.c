/* The reference of all keys as mdoc(7), from the rows. */
#include "common/config/schema.h"

static const char *type_text(enum field_type type) {
  switch (type) {
    case FIELD_SEGMENT: return "name";
    case FIELD_ADDRESS: return "address";
    case FIELD_PATH: return "path";
    case FIELD_FILE: return "file";
    case FIELD_IDENTITY: return "secret key file";
    case FIELD_DURATION: return "duration";
    case FIELD_SIZE: return "size";
    case FIELD_ZONE: return "time zone";
    case FIELD_NUMBER: return "number";
    case FIELD_INTEGER: return "whole number";
    case FIELD_PORT: return "port";
    case FIELD_BOOLEAN: return "true or false";
    case FIELD_ENUM: return "one of";
    case FIELD_ENDPOINT:
    case FIELD_COMPANION: return "endpoint";
    case FIELD_HTTP: return "HOST:PORT";
    case FIELD_KEYS: return "public key, or a list of them";
    case FIELD_PATTERN: return "pattern";
    case FIELD_PATTERNS: return "list of patterns";
    case FIELD_RANGE: return "[low, high]";
    case FIELD_SECTION: return "map";
    case FIELD_SECTIONS: return "list of maps";
    default: return "text";
  }
}

static void put_names(struct buffer *out, const struct field *field) {
  for (size_t i = 0; field->names && field->names[i]; i++) buffer_printf(out, "%s%s", i ? ", " : " ", field->names[i]);
}

void schema_manual(struct buffer *out, const struct section *section) {
  buffer_printf(out, ".Bl -tag -width Ds\n");
  for (const struct field *field = section->fields; field->key; field++) {
    if (field->type == FIELD_LATER) continue;
    buffer_printf(out, ".It Cm %s : Ar %s", field->key, field->type == FIELD_CUSTOM ? "see text" : type_text(field->type));
    put_names(out, field);
    buffer_printf(out, "\n");
    if (field->help) buffer_printf(out, "%s.\n", field->help);
    if (field->required) buffer_printf(out, "Required.\n");
    if (field->fallback) buffer_printf(out, "Default: %s.\n", field->fallback);
    if (field->section) schema_manual(out, field->section);
  }
  buffer_printf(out, ".El\n");
}
