#ifndef RIVERBUS_GATEWAY_LAST_H
#define RIVERBUS_GATEWAY_LAST_H
/* The points' last values at a start: read back from the end of the store's logs, with their original times. */
#include "common/door/catalogue.h"
#include "common/store/store.h"
#include "gateway/points.h"

enum { LAST_LOG_BYTES = 16 * 1024 * 1024 }; /* of each log: bounds the start; older values are not known again */

/* Applies the newest records of the live and the urgent log. Before the first submit. <0: disk.
 * catalogue: takes them too; NULL: none. */
int last_load(struct points *points, struct catalogue *catalogue, struct store *store, struct instant now);
/* One record of the log, in order: the value, when it was heard, and whether its silence was said. Others than readings
 * and events of a point, and values of another type than the point's now is, are passed over. Pure. */
void last_apply(struct points *points, const struct record *record, struct instant now);
#endif
