#ifndef RIVERBUS_COMMON_RECORD_VALUE_H
#define RIVERBUS_COMMON_RECORD_VALUE_H
/* What a point can be worth. */
#include "common/base/buffer.h"
#include "common/base/cursor.h"

enum value_type {
  VALUE_NONE = 0,
  VALUE_NUMBER = 1,
  VALUE_INTEGER = 2,
  VALUE_BOOLEAN = 3,
  VALUE_TEXT = 4,
  VALUE_BYTES = 5
};
enum { VALUE_MAX = 60 * 1024, VALUE_BAD = 1 };

struct value {
  enum value_type type;
  union {
    double number; /* finite */
    int64_t integer;
    bool boolean;
    struct bytes bytes; /* text: UTF-8; both at most VALUE_MAX; a view, owned elsewhere */
  };
};
#define VALUE_EMPTY ((struct value){.type = VALUE_NONE, .integer = 0})

const char *value_type_name(enum value_type type);              /* "number" ... ; "none" */
int value_type_parse(struct bytes text, enum value_type *type); /* VALUE_BAD */
/* Equality as an operator means it: number and integer compare by worth (40 and 40.0 are alike), other types by type
 * and content. */
bool value_equal(const struct value *a, const struct value *b);
/* *order is <0, 0, >0; VALUE_BAD where the two cannot be ordered (only numbers, integers and texts of the same sort
 * can). */
int value_compare(const struct value *a, const struct value *b, int *order);
bool value_as_number(const struct value *value, double *number); /* number, integer; else false */
/* Appends the value as JSON: shortest form of a double that reads back the same (17 digits at most, '.' whatever the
 * locale), text escaped (RFC 8259), bytes as base64 text, none as null. */
void value_put_json(struct buffer *out, const struct value *value);
void json_put_text(struct buffer *out, struct bytes text); /* a quoted, escaped JSON string */
/* Reads a value as a person types it on a command line: true/false, an integer, a number, else text; with a wanted type
 * other than VALUE_NONE only that type is taken (a number takes 40). VALUE_BAD: not of that type, or not finite. A text
 * is a view of `text`. */
int value_parse(struct bytes text, enum value_type wanted, struct value *value);

/* Wire form: u8 type, then number: 8 bytes; integer: zigzag varint; boolean: u8; text, bytes: varint length and
 * content. */
void value_write(struct writer *w, const struct value *value);
/* fails the reader on unknown type, NaN, infinity, bad UTF-8, too long */
void value_read(struct reader *r, struct value *value);
#endif
