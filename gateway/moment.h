#ifndef RIVERBUS_GATEWAY_MOMENT_H
#define RIVERBUS_GATEWAY_MOMENT_H
/* Reads the time a device wrote, by the `time-format` of its point. Pure: no clock, no locale, no TZ. */
#include "gateway/config.h"

enum { MOMENT_BAD = 1 };

/* text: what the device wrote; it must be of the format from the first byte to the last. zone_s: seconds east of UTC,
 * for a pattern without %z. *us: µs since 1970 UTC, of the years 1 to 9999. What a pattern does not name is the first
 * of its kind: day 1, 00:00:00; without a year: MOMENT_BAD. Second 60 counts as the next second. */
int moment_parse(const struct gateway_time *format, int32_t zone_s, struct bytes text, int64_t *us);
/* The same for a JSON number: epoch-s and epoch-ms only. */
int moment_number(const struct gateway_time *format, double number, int64_t *us);
#endif
