#include "gateway/movement.h"
#include <math.h>

void movement_deinit(struct movement *m) {
  buffer_deinit(&m->rest_text);
  buffer_deinit(&m->from_text);
  *m = (struct movement){.known = false};
}

static void keep(struct value *to, struct buffer *text, const struct value *value) {
  *to = *value;
  if (value->type != VALUE_TEXT && value->type != VALUE_BYTES) return;
  buffer_clear(text);
  buffer_append(text, value->bytes);
  to->bytes = buffer_bytes(text);
}

static void rest_at(struct movement *m, const struct value *value) {
  m->moving = false;
  m->known = true;
  keep(&m->rest, &m->rest_text, value);
}

static bool tell(struct movement *m, const struct value *value, bool goes_on, struct value *from) {
  keep(from, &m->from_text, &m->rest);
  if (goes_on)
    m->moving = true;
  else
    rest_at(m, value);
  return true;
}

static bool hear_number(
    struct movement *m, double beyond, const struct value *value, double number, int64_t mono, struct value *from) {
  double rest;
  const struct value last = {.type = VALUE_NUMBER, .number = m->last};
  if (!value_as_number(&m->rest, &rest)) return tell(m, value, false, from); /* the type of the point was changed */
  if (m->moving && mono - m->at > MOVEMENT_QUIET_US) rest_at(m, &last);      /* it ended where it was measured last */
  if (m->moving && fabs(number - m->last) <= beyond) rest_at(m, value);
  if (m->moving || !value_as_number(&m->rest, &rest)) return false;
  return fabs(number - rest) > beyond && tell(m, value, true, from);
}

bool movement_hear(
    struct movement *m, double beyond, const struct value *value, bool ordered, int64_t mono, struct value *from) {
  double number = 0;
  bool told = false, is_number = value_as_number(value, &number);
  if (!m->known || ordered)
    rest_at(m, value);
  else if (is_number)
    told = hear_number(m, beyond, value, number, mono, from);
  else if (!value_equal(&m->rest, value))
    told = tell(m, value, false, from);
  m->last = number;
  m->at = mono;
  return told;
}
