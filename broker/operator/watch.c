#include "broker/operator/watch.h"

void watch_init(struct watch *watch, const struct command_condition *condition, int64_t for_us) {
  *watch = (struct watch){.condition = condition, .for_us = for_us};
}

void watch_again(struct watch *watch) { watch->seen = watch->holds = false; }

bool watch_take(struct watch *watch, enum record_kind kind, enum record_quality quality, int64_t time,
    const struct value *value, struct instant now) {
  if (kind != RECORD_READING && kind != RECORD_EVENT) return false;
  if (watch->seen && time <= watch->newest) return false;
  enum condition_verdict verdict = condition_judge(watch->condition->op, value, &watch->condition->value);
  bool held = watch->holds;
  watch->seen = true;
  watch->newest = time;
  watch->good = quality == QUALITY_GOOD;
  watch->incomparable = watch->good && verdict == CONDITION_INCOMPARABLE;
  watch->holds = watch->good && verdict == CONDITION_HOLDS;
  if (!watch->holds || held) return true;
  watch->since_mono = now.mono;
  watch->since_wall = time;
  return true;
}

int64_t watch_left(const struct watch *watch, struct instant now) {
  if (!watch->holds) return INT64_MAX;
  int64_t here = watch->since_mono + watch->for_us - now.mono, there = watch->since_wall + watch->for_us - now.wall;
  int64_t left = here > there ? here : there;
  return watch->for_us && left > 0 ? left : 0;
}

bool watch_is_met(const struct watch *watch, struct instant now) { return watch_left(watch, now) == 0; }
