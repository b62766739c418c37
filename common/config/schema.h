#ifndef RIVERBUS_COMMON_CONFIG_SCHEMA_H
#define RIVERBUS_COMMON_CONFIG_SCHEMA_H
/*
 * The schema engine: one row for each key says its name, type, place in the struct, default, help and what a reload
 * must redo; the engine reads, checks, reports all problems in one run, frees and compares from the same rows;
 * tests/lint/man.sh holds the manual against them.
 */
#include "common/config/document.h"
#include "common/config/values.h"
#include "common/record/value.h"

enum field_type {
  FIELD_TEXT,     /* char *; not empty, no control character */
  FIELD_SEGMENT,  /* char *; one segment of an address */
  FIELD_ADDRESS,  /* char *; an address */
  FIELD_PATH,     /* char *; resolved */
  FIELD_FILE,     /* char *; a path that can be read */
  FIELD_IDENTITY, /* char *; a secret key file that loads */
  FIELD_DURATION, /* int64_t, µs */
  FIELD_SIZE,     /* uint64_t, bytes */
  FIELD_ZONE,     /* int32_t, seconds */
  FIELD_NUMBER,   /* double */
  FIELD_INTEGER,  /* int */
  FIELD_PORT,     /* uint16_t */
  FIELD_BOOLEAN,  /* bool */
  FIELD_ENUM,     /* int; names in `names` */
  FIELD_ENDPOINT, /* struct config_endpoint; the companion key `second` names the telemetry endpoint */
  FIELD_HTTP,     /* struct config_http */
  FIELD_KEYS,     /* struct config_keys; one or a list */
  FIELD_PATTERN,  /* struct pattern * */
  FIELD_PATTERNS, /* struct patterns */
  FIELD_RANGE,    /* struct config_range; [low, high] */
  FIELD_SECTION,  /* a struct in place */
  FIELD_SECTIONS, /* pointer to an array of structs; count at count_offset */
  /* `custom` reads it; `custom_free` frees it; `custom_same` compares it, NULL: it always counts as changed */
  FIELD_CUSTOM,
  FIELD_COMPANION, /* read together with another key; named here so that it is known */
  FIELD_LATER      /* known, but not supported by this version: an error that says so */
};

struct section;
struct field {
  const char *key;
  enum field_type type;
  size_t offset;
  size_t count_offset; /* SECTIONS */
  bool required;
  const char *fallback;     /* as the user would write it; NULL: zero */
  const char *const *names; /* ENUM: NULL-terminated */
  const struct section *section;
  const char *second; /* ENDPOINT: key of the telemetry endpoint */
  bool listens;       /* ENDPOINT: port 0 and wildcards are allowed */
  double low, high;   /* NUMBER, INTEGER, DURATION (µs), SIZE: allowed where low < high */
  void (*custom)(struct document *document, yaml_node_t *node, void *place);
  void (*custom_free)(void *place);
  bool (*custom_same)(const void *a, const void *b);
  unsigned redo; /* enum config_redo */
  const char *help;
};
struct section {
  const char *name; /* for messages: "a station" */
  size_t size;
  const struct field *fields; /* ends with key NULL */
  /* After the fields: rules between them, things derived. node: the mapping. NULL: none. */
  void (*finish)(struct document *document, yaml_node_t *node, void *object);
  void (*deinit)(void *object); /* frees what finish derived; NULL: nothing */
};

void schema_deinit(const struct section *section, void *object);
/* The value node of a key in a mapping; NULL: not there. */
yaml_node_t *schema_find(struct document *document, const yaml_node_t *mapping, const char *key);
/* Which redo flags the differences between two objects ask for: compared by the text of the YAML they came from would
 * miss defaults, so by value. A difference anywhere below a row asks for that row's own redo; a row without one asks
 * for CONFIG_REDO_RESTART. */
unsigned schema_changed(const struct section *section, const void *a, const void *b);
/* A typed scalar (quoted ones are texts). 0, or a problem noted and CONFIG_WRONG. *text is a heap copy that the value
 * may point into. */
int schema_value(
    struct document *document, yaml_node_t *node, enum value_type wanted, char **text, struct value *value);

/* Sections that several programs share. */
extern const struct section config_store_section;
extern const struct section config_audit_section;
extern const struct section config_operator_section;
/* One loaded file: opens, reads the root by `section`, returns 0 or CONFIG_WRONG. */
int config_load(const char *path, const struct section *section, void *object, struct buffer *problems);
/* Notes a key that stands with two owners, also where only the transport form is the same. Call once for each owner. */
struct key_book {
  struct {
    struct public_key key;
    uint8_t transport[32];
    char owner[128];
  } * rows;
  size_t count;
};
void key_book_add(struct key_book *book, struct document *document, yaml_node_t *node, const struct config_keys *keys,
    const char *owner);
void key_book_deinit(struct key_book *book);
#endif
