#ifndef RIVERBUS_COMMON_BASE_UNITS_H
#define RIVERBUS_COMMON_BASE_UNITS_H
/* Durations, sizes, times as users write them. Each parse function returns 0, or UNITS_BAD where the text is not of
 * that form or out of range. */
#include "common/base/buffer.h"

enum { UNITS_BAD = 1 };

/* 250us, 10ms, 60s, 5m, 2h, 30d; one number with one unit, no sign; decimals allowed (1.5h); "0" alone is 0 */
int units_duration(struct bytes text, int64_t *us);
/* 4096, 64KiB, 2MiB, 20GiB, 1TiB; also KB MB GB TB (powers of ten) */
int units_size(struct bytes text, uint64_t *bytes);
int units_offset(struct bytes text, int32_t *seconds); /* a time zone: +08:00, -05:30, Z */
/* RFC 3339 with offset, to µs (more digits are cut); years 1 to 9999; leap second 60 counts as the next second. */
int units_rfc3339(struct bytes text, int64_t *us);
/* YYYY-MM-DD[ HH:MM[:SS]] read in the zone of `offset` seconds east of UTC. */
int units_local_time(struct bytes text, int32_t offset, int64_t *us);

/* Writers append to `out`. */
void units_put_rfc3339(struct buffer *out, int64_t us); /* 2026-11-23T08:00:00.000000Z, always six digits */
void units_put_local(struct buffer *out, int64_t us, int32_t offset); /* 2026-11-23 16:00:00 */
/* the largest unit that keeps two figures: 850ms, 3.2s, 5m, 2h */
void units_put_duration(struct buffer *out, int64_t us);
void units_put_size(struct buffer *out, uint64_t bytes); /* 1.2 GiB */
#endif
