#ifndef RIVERBUS_GATEWAY_LAST_H
#define RIVERBUS_GATEWAY_LAST_H
/*
 * The points' last values at a start: read back from the end of the store's logs, with their original times.
 *
 * A value that the MQTT broker kept from an unknown time (struct point, undated) is a record like any other: its time
 * is when it came, and a broker of any version takes it. That nothing may be judged by it is the gateway's own
 * knowledge, and stands in the store, table STORE_META, key "undated/ADDRESS", value i64 little-endian: `received` of
 * the newest such record, in the transaction that stores the record. It is never taken out: a later record has a later
 * `received`, or at the worst the same, and then counts as undated too.
 */
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
void last_put_undated(struct store_batch *batch, const struct record *record);
/* At the start, before last_load: entries of STORE_META; other keys are passed over. */
void last_load_undated(struct points *points, struct bytes key, struct bytes value);
#endif
