#include "gateway/linger.h"

void linger_tick(struct linger *linger, int64_t now) {
  if (now - linger->span_at < LINGER_SPAN_US) return;
  linger->rate = now - linger->span_at < 2 * LINGER_SPAN_US ? linger->count : 0;
  linger->count = 0;
  linger->span_at = now;
}

void linger_add(struct linger *linger, int64_t now, uint32_t count) {
  if (count == 0) return;
  if (!linger->any) linger->first_at = now;
  linger->any = true;
  linger->last_at = now;
  linger->count += count;
}

void linger_hurry(struct linger *linger) { linger->hurried = true; }

void linger_clear(struct linger *linger) { linger->any = linger->hurried = false; }

int64_t linger_until(const struct linger *linger) {
  if (linger->rate < LINGER_BUSY || linger->hurried) return linger->last_at;
  int64_t pause = linger->last_at + LINGER_PAUSE_US, most = linger->first_at + LINGER_MOST_US;
  return pause < most ? pause : most;
}
