#include "common/store/pace.h"
#include "common/base/world.h"

void pace_note(struct pace *pace, int64_t now, uint64_t records) {
  int64_t took = now - pace->began;
  pace->records += records;
  if (took < PACE_WINDOW_US) return;
  int64_t rate = (int64_t)(pace->records * (uint64_t)SECOND_US / (uint64_t)took);
  pace->linger_us = rate < PACE_RATE_LEAST ? 0 : PACE_RECORDS * SECOND_US / rate;
  if (pace->linger_us > pace->most_us) pace->linger_us = pace->most_us;
  pace->began = now;
  pace->records = 0;
}

int64_t pace_linger(const struct pace *pace, int64_t now) {
  return now - pace->began > PACE_FORGET_US ? 0 : pace->linger_us;
}
