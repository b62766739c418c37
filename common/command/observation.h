#ifndef RIVERBUS_COMMON_COMMAND_OBSERVATION_H
#define RIVERBUS_COMMON_COMMAND_OBSERVATION_H
/*
 * What was measured around a movement beside the moved point itself: the levels and flows that an operating log names
 * before and after. A list of them is bytes, and goes as it is through ledger entries, signed reports and entries of
 * the audit log. Layout: top of observation.c. Pure.
 */
#include "common/record/record.h"

struct observation {
  struct bytes point; /* device/point of the station */
  struct bytes unit;  /* empty: none */
  struct value value; /* number, integer, boolean; VALUE_NONE: not measured yet */
  int64_t time;       /* of the measurement, µs UTC; 0: not measured yet */
  enum record_quality quality;
};
/* POINTS: in one list. A unit is cut to UNIT bytes. A list of the longest names takes OBSERVATION_LIST_MAX. */
enum { OBSERVATION_POINTS_MAX = 8, OBSERVATION_UNIT_MAX = 16, OBSERVATION_LIST_MAX = 2048 };

void observation_put(struct buffer *list, const struct observation *observation); /* appends; other values: none */
/* Whether all of it can be read, and no more than POINTS_MAX are in it. An empty list is good. */
bool observations_are_good(struct bytes list);
/* A JSON array of {point, value, unit, time, quality}; null for an empty list. */
void observations_put_json(struct buffer *out, struct bytes list);
#endif
