#ifndef RIVERBUS_GATEWAY_MOVEMENT_H
#define RIVERBUS_GATEWAY_MOVEMENT_H
/*
 * Notices that a controlled point moves though nobody ordered it: its good measurement strays by more than a limit from
 * where it came to rest. One movement is told of once: until two measurements in a row do not differ by more than the
 * limit, or nothing was measured for a while, it is the same one. A change of a value that has no distances (boolean,
 * text) is a movement each time. Pure.
 */
#include "common/base/buffer.h"
#include "common/record/value.h"
#include "common/base/world.h"

#define MOVEMENT_QUIET_US (60 * SECOND_US)

struct movement {
  bool known;
  bool moving;
  struct value rest; /* a text lives in rest_text */
  struct buffer rest_text;
  struct buffer from_text; /* of what was returned last */
  double last;             /* the last measurement, where it has distances */
  int64_t at;              /* mono of it */
};

void movement_deinit(struct movement *movement);
/* A good measurement. ordered: a command is under way or has just ended, then the point is where it should be, wherever
 * that is. Returns true for a movement that is to be told of; *from is where it was at rest, a view until the next
 * call. */
bool movement_hear(struct movement *movement, double beyond, const struct value *value, bool ordered, int64_t mono,
    struct value *from);
#endif
