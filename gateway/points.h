#ifndef RIVERBUS_GATEWAY_POINTS_H
#define RIVERBUS_GATEWAY_POINTS_H
/*
 * The station's points as they live: configuration, the last value, when something was heard, what was wrong so far.
 * Found by MQTT topic and by address. Pure; time is passed in.
 */
#include "common/base/log.h"
#include "common/base/table.h"
#include "common/base/world.h"
#include "common/record/record.h"
#include "gateway/config.h"

/* Why a payload was no good reading. */
enum point_fault {
  FAULT_NOT_JSON, /* a pointer is configured and the payload is no JSON text */
  FAULT_NOT_UTF8,
  FAULT_NO_MEMBER,    /* the pointer names nothing in this payload */
  FAULT_WRONG_TYPE,   /* a value of another type than the point's, or not listed in `map` */
  FAULT_NOT_A_NUMBER, /* NaN, infinite, null, beyond the range of the type */
  FAULT_BAD_TIME,     /* the time is missing or not of `time-format` */
  FAULT_FUTURE,       /* the time is further ahead than `max-future` */
  FAULT_OUT_OF_RANGE,
  FAULT_TOO_LARGE, /* payload or text too large */
  FAULTS
};
const char *point_fault_name(enum point_fault fault);

struct point {
  const struct gateway_point *config;
  const struct gateway_device *device;
  const struct gateway_control *control; /* NULL: cannot be set */
  size_t index;
  struct point *next_of_topic;
  bool is_urgent_topic; /* of the first of a topic: an event is among its points */
  uint64_t readings;    /* records made of it, faulty ones included */
  uint64_t faults[FAULTS];
  struct log_limit fault_limit; /* of the lines about its faults */
  bool has_last;
  struct record last; /* the newest record; its texts live in last_text */
  struct buffer last_text;
  int64_t heard;            /* mono µs of the newest payload; 0: none in this run */
  bool stale;               /* silence was said */
  bool undated;             /* the last one was kept by the MQTT broker, and carries no time of its own */
  int64_t undated_received; /* at a start: when such a value came last, µs UTC; 0: none, see last.h */
};

struct points {
  struct point *items;
  size_t count;
  struct table by_topic; /* -> first struct point of that topic */
  struct table by_address;
};

void points_init(struct points *points, const struct gateway_config *config); /* config must outlive it */
void points_deinit(struct points *points);
struct point *points_of_topic(const struct points *points, struct bytes topic); /* then next_of_topic; NULL */
struct point *points_of_address(const struct points *points, struct bytes address);
/* Whether an event hangs on the topic: its messages are committed first, and may use the store's reserve. */
bool points_topic_is_urgent(const struct points *points, struct bytes topic);
/* After a reload: last values, counters and limits of points with the same address. */
void points_inherit(struct points *points, const struct points *old);
/* How old the last value is, µs: by its own time and by when it came, whichever is longer. */
int64_t point_age(const struct point *point, struct instant now);
/* Whether the last value can be relied on: good, and the point was not silent for too long, whether that was said or
 * not. */
bool point_is_good(const struct point *point, struct instant now);
/* Notes a record as the newest of its point (copied). */
void point_keep(struct point *point, const struct record *record);
#endif
