#include "common/audit/pace.h"

void pace_init(struct pace *pace, int64_t every_us, uint64_t number) {
  *pace = (struct pace){.every_us = every_us, .signed_to = number, .fresh = number > 0};
}

bool pace_has_more(const struct pace *pace, uint64_t number) { return number > pace->signed_to; }

bool pace_is_due(struct pace *pace, uint64_t number, int64_t mono) {
  if (!pace_has_more(pace, number)) return false;
  if (!pace->waits) {
    pace->waits = true;
    pace->at = mono;
  }
  return pace->fresh || mono - pace->at >= pace->every_us || number - pace->signed_to >= PACE_ENTRIES;
}

void pace_signed(struct pace *pace, uint64_t number) {
  pace->signed_to = number;
  pace->waits = pace->fresh = false;
}

void pace_pass(struct pace *pace, uint64_t number) {
  if (number != pace->signed_to + 1) return;
  pace->signed_to = number;
  pace->waits = false;
}

int64_t pace_next(const struct pace *pace) { return pace->waits ? pace->at + pace->every_us : INT64_MAX; }
