#ifndef RIVERBUS_GATEWAY_LINGER_H
#define RIVERBUS_GATEWAY_LINGER_H
/*
 * How long the telemetry client waits for more messages before those at hand are committed. Each commit costs two syncs
 * whatever it holds, so at a flood it pays to wait a little, and at a trickle not at all. What somebody waits for is
 * never held back: an event, or the measured value of a point that commands move (a command may be waiting for just
 * that to be `executed`). Measured beside a flood: a command took 12.7 ms in the middle where it waited too, 2.8 as it
 * is. Pure; times are mono µs.
 */
#include "common/base/world.h"
#include <stdbool.h>

enum { LINGER_BUSY = 200 };                   /* messages in LINGER_SPAN_US: from here on it pays to wait */
#define LINGER_SPAN_US (100 * MILLISECOND_US) /* the rate is counted over so long */
#define LINGER_MOST_US (10 * MILLISECOND_US)  /* at 20,000 a second: 200 messages a commit */
#define LINGER_PAUSE_US (1500)                /* nothing more came for so long: the MQTT broker waits for our PUBACKs */

struct linger {
  int64_t first_at, last_at; /* of the messages at hand */
  bool any, hurried;
  int64_t span_at;      /* begin of the span that is counted */
  uint32_t count, rate; /* messages in this span and in the last full one */
};

/* Time passes: to be called before the others of a turn. */
void linger_tick(struct linger *linger, int64_t now);
/* So many more messages came. */
void linger_add(struct linger *linger, int64_t now, uint32_t count);
/* Among them is one that must not wait. */
void linger_hurry(struct linger *linger);
/* The messages at hand were handed over. */
void linger_clear(struct linger *linger);
/* Until when it is worth to wait; a time that has passed: not at all. Only where messages are at hand. */
int64_t linger_until(const struct linger *linger);
#endif
