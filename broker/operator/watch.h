#ifndef RIVERBUS_BROKER_OPERATOR_WATCH_H
#define RIVERBUS_BROKER_OPERATOR_WATCH_H
/*
 * Whether what `wait` waits for holds: the newest reading or event of one point, of good quality only, against a
 * condition, without break for some time. That time is counted twice, and both must be over: since the first reading
 * that held was seen here (mono), and since its own time (wall). A reading that fails, or whose quality is not good,
 * begins anew; one that is older than the newest is passed over. Pure: records and time in, a verdict out.
 */
#include "common/command/condition.h"
#include "common/record/record.h"
#include "common/base/world.h"

struct watch {
  const struct command_condition *condition;
  int64_t for_us; /* 0: once is enough */
  bool seen;      /* a reading came */
  int64_t newest; /* its time */
  bool good, holds;
  int64_t since_mono, since_wall; /* while it holds: the first such reading */
  bool incomparable;              /* the point's values have no such order: it cannot come true */
};
void watch_init(struct watch *watch, const struct command_condition *condition, int64_t for_us);
/* The connection was lost, and with it perhaps a reading that failed: the time of `for` begins anew. */
void watch_again(struct watch *watch);
/* A record of the condition's point. False: it is not newer than the newest, or neither reading nor event. */
bool watch_take(struct watch *watch, enum record_kind kind, enum record_quality quality, int64_t time,
    const struct value *value, struct instant now);
bool watch_is_met(const struct watch *watch, struct instant now);
/* When to look again at the latest, µs from now; INT64_MAX: only a record changes anything. */
int64_t watch_left(const struct watch *watch, struct instant now);
#endif
