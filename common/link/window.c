#include "common/link/window.h"
#include "common/base/world.h"

#define MEASURE_US INT64_C(100000) /* at least so long before a rate is believed */
#define AHEAD_US INT64_C(250000)   /* what may stand in the link's queue */
#define SLOWER_US INT64_C(200000)  /* a ping this much over its best: the queue is long */
#define PAUSE_US INT64_C(50000)    /* nothing was on the way for so long: what comes is measured by itself */

void window_init(struct window *window, uint32_t most_bytes, int64_t now) {
  *window = (struct window){
      .most = most_bytes < WINDOW_FLOOR ? WINDOW_FLOOR : most_bytes, .measured_from = now, .rate_from = now};
  window->now = window->most < WINDOW_START ? window->most : WINDOW_START;
}

bool window_open(struct window *window, size_t bytes) {
  if (window->in_flight == 0 || window->in_flight + bytes <= window->now) return true;
  window->was_full = true;
  return false;
}

size_t window_block(const struct window *window) {
  size_t block = window->now * 2 / 5; /* 100 of 250 ms */
  return block < WINDOW_BLOCK_LEAST ? WINDOW_BLOCK_LEAST : block;
}

void window_sent(struct window *window, size_t bytes, int64_t now) {
  if (window->in_flight == 0 && now - window->acked_at >= PAUSE_US) {
    window->measured_from = now;
    window->acked = 0;
    window->was_full = false;
  }
  window->in_flight += bytes;
}

void window_forget(struct window *window, size_t bytes) {
  window->in_flight -= bytes < window->in_flight ? bytes : window->in_flight;
}

static uint32_t clamp(const struct window *window, uint64_t bytes) {
  if (bytes < WINDOW_FLOOR) return WINDOW_FLOOR;
  return bytes > window->most ? window->most : (uint32_t)bytes;
}

/* Only an interval in which the window was the bound tells how fast the link is. */
static void measure(struct window *window, int64_t now) {
  int64_t took = now - window->measured_from;
  if (took < MEASURE_US) return;
  uint64_t carried = (uint64_t)((double)window->acked * (double)AHEAD_US / (double)took);
  if (window->was_full) window->now = clamp(window, ((uint64_t)window->now + carried) / 2 + 1);
  window->acked = 0;
  window->measured_from = now;
  window->was_full = false;
}

static void measure_rate(struct window *window, int64_t now) {
  int64_t took = now - window->rate_from;
  if (took < MEASURE_US) return;
  uint64_t rate = (uint64_t)((double)window->total * (double)SECOND_US / (double)took);
  window->rate = took < SECOND_US ? (window->rate + rate) / 2 : rate;
  window->total = 0;
  window->rate_from = now;
}

void window_acked(struct window *window, size_t bytes, int64_t now) {
  window_forget(window, bytes);
  window->acked += bytes;
  window->total += bytes;
  window->acked_at = now;
  measure(window, now);
  measure_rate(window, now);
}

bool window_is_thin(const struct window *window) { return window->rate < WINDOW_THIN; }

void window_ping(struct window *window, int64_t round_trip, int64_t now) {
  window->ping = round_trip;
  if (window->best_ping == 0 || round_trip < window->best_ping) window->best_ping = round_trip;
  if (round_trip < window->best_ping + SLOWER_US || now - window->halved_at < AHEAD_US) return;
  window->now = clamp(window, window->now / 2);
  window->halved_at = now;
}
