#ifndef RIVERBUS_COMMON_LINK_WINDOW_H
#define RIVERBUS_COMMON_LINK_WINDOW_H
/*
 * How many unacknowledged bytes of telemetry may be on the way. Two TCP connections share one modem's queue, so urgent
 * is only protected where telemetry keeps that queue short: at most what the link carried in 250 ms, and half of it
 * while the urgent ping takes 200 ms longer than its best; a block at most what it carries in 100 ms. It begins small,
 * since nobody knows the link yet: 8 KiB are a quarter of a second of 256 kbit/s, and a fast link takes two
 * measurements to open it wide. Also how many bytes are acknowledged a second, and so whether they are worth
 * compressing: a flood over a fast link turns that off by itself, so there is no key for it. Pure; times are mono µs.
 *
 * Measured at 256 kbit/s with a modem queue of a second: urgent p99 0.4 s, live 0.5 s, while a day's backlog takes nine
 * tenths of the line. Compressed, a reading in a block of 600 takes 4.8 bytes, else 7.4.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct window {
  uint32_t most, now; /* bytes */
  uint64_t in_flight;
  uint64_t acked; /* in the interval being measured; it begins anew where nothing was on the way for a while */
  int64_t measured_from, acked_at;
  bool was_full;  /* the window, not the supply, was what held it back in this interval */
  uint64_t total; /* acknowledged in the interval of the rate, which is measured through all pauses */
  int64_t rate_from;
  uint64_t rate;           /* acknowledged bytes/s, a mean of the last intervals */
  int64_t best_ping, ping; /* µs; best: over the session */
  int64_t halved_at;
};

/* THIN: bytes/s. Below it a core compresses all that goes out in a hundredth of its time; a flood on a fast link is
 * above it, and needs the core more than the link. */
enum { WINDOW_FLOOR = 4096, WINDOW_START = 8 * 1024, WINDOW_BLOCK_LEAST = 1024, WINDOW_THIN = 1000 * 1000 };

void window_init(struct window *window, uint32_t most_bytes, int64_t now);
/* whether so many bytes may go; one message always may when nothing is in flight */
bool window_open(struct window *window, size_t bytes);
/* What a block may have for the link not to be busy with it for more than 100 ms. */
size_t window_block(const struct window *window);
void window_sent(struct window *window, size_t bytes, int64_t now);
void window_acked(struct window *window, size_t bytes, int64_t now);
void window_forget(struct window *window, size_t bytes); /* given up, not acknowledged */
/* Whether little is acknowledged a second, be it that little is sent or that the link is thin. */
bool window_is_thin(const struct window *window);
void window_ping(struct window *window, int64_t round_trip, int64_t now);
#endif
