#ifndef RIVERBUS_COMMON_COMMAND_CONTROL_H
#define RIVERBUS_COMMON_COMMAND_CONTROL_H
/*
 * What may be set at a point. The gateway has it from its configuration and says it in the point's descriptor (record
 * of kind descriptor, a JSON object) under the member "control"; the broker reads it there. A descriptor without that
 * member: the point is not writable.
 *
 *   "control":{"type":"number","unit":"%","range":[0,100],"allowed":[...],"max_step":20,"min_interval_us":10000000,
 *              "confirm_timeout_us":1200000000,"select_us":10000000,"approval":true,"stop":true}
 *
 * Members that do not apply are left out.
 */
#include "common/record/value.h"

enum { CONTROL_BAD = 1, CONTROL_ALLOWED_MAX = 16, CONTROL_UNIT_MAX = 31, CONTROL_TEXT_MAX = 63 };

struct control {
  enum value_type type; /* of the point; VALUE_NONE: any */
  char unit[CONTROL_UNIT_MAX + 1];
  bool has_range;
  double low, high;       /* both ends allowed */
  uint32_t allowed_count; /* 0: no list */
  /* texts point into allowed_text of the same control, so a control is never assigned */
  struct value allowed[CONTROL_ALLOWED_MAX];
  char allowed_text[CONTROL_ALLOWED_MAX][CONTROL_TEXT_MAX + 1];
  double max_step;            /* 0: none */
  int64_t min_interval_us;    /* 0: none */
  int64_t confirm_timeout_us; /* how long the device may take to reach the value; 0: not told */
  int64_t select_us;          /* select before operate: how long a selection stays armed; 0: none is needed */
  bool approval;
  bool stop; /* a movement can be halted */
};

void control_init(struct control *control, enum value_type type, struct bytes unit); /* nothing limited */
int control_allow(struct control *control,
    const struct value *value); /* adds to the list; CONTROL_BAD: list full, text too long, or bytes */
/* Appends the member's value, the object {...}. */
void control_put_json(struct buffer *out, const struct control *control);
/* Reads the member "control" out of a whole descriptor. CONTROL_BAD: no such member, or not of that form. */
int control_from_descriptor(struct control *control, struct bytes descriptor);
#endif
