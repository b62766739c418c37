#ifndef RIVERBUS_COMMON_LINK_WINDOW_H
#define RIVERBUS_COMMON_LINK_WINDOW_H
/*
 * How many unacknowledged bytes of telemetry may be on the way. Two TCP connections share one modem's queue, so urgent
 * is only protected where telemetry keeps that queue short: at most what the link carried in 250 ms (but two blocks),
 * and half of it while the urgent ping takes 200 ms longer than its best. Also how many bytes the link carries a
 * second, and so whether they are worth compressing. Pure; times are mono µs.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct window {
  uint32_t most, now; /* bytes */
  uint64_t in_flight;
  uint64_t acked; /* in the interval being measured */
  int64_t measured_from;
  bool was_full;           /* the window, not the supply, was what held it back in this interval */
  uint64_t rate;           /* acknowledged bytes/s, a mean of the last intervals */
  int64_t best_ping, ping; /* µs; best: over the session */
  int64_t halved_at;
};

/* THIN: bytes/s. Below it a core compresses all that goes out in a hundredth of its time; a flood on a fast link is
 * above it, and needs the core more than the link. */
enum { WINDOW_FLOOR = 2 * 65536, WINDOW_START = 256 * 1024, WINDOW_THIN = 1000 * 1000 };

void window_init(struct window *window, uint32_t most_bytes, int64_t now);
/* whether so many bytes may go; one message always may when nothing is in flight */
bool window_open(struct window *window, size_t bytes);
void window_sent(struct window *window, size_t bytes);
void window_acked(struct window *window, size_t bytes, int64_t now);
void window_forget(struct window *window, size_t bytes); /* given up, not acknowledged */
/* Whether little is acknowledged a second, be it that little is sent or that the link is thin. */
bool window_is_thin(const struct window *window);
void window_ping(struct window *window, int64_t round_trip, int64_t now);
#endif
