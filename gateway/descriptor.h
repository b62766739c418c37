#ifndef RIVERBUS_GATEWAY_DESCRIPTOR_H
#define RIVERBUS_GATEWAY_DESCRIPTOR_H
/*
 * What a point is, as one JSON object: the value of a record of kind descriptor. Members: type, device_kind, kind
 * (reading | event), unit, description, code, range, stale_after_us, max_future_us, and control where the point can be
 * set (common/command/control.h); members that do not apply are left out. Pure.
 */
#include "common/command/control.h"
#include "gateway/points.h"

void descriptor_put(struct buffer *out, const struct point *point);
/* The control of a point as the checks want it; the point has one. */
void descriptor_control(struct control *control, const struct point *point);
uint64_t descriptor_hash(struct bytes descriptor); /* never 0 */
#endif
