#ifndef RIVERBUS_BROKER_GAP_ASK_H
#define RIVERBUS_BROKER_GAP_ASK_H
/*
 * When missing ranges are asked of the neighbours that may have them: once they are `age_us` old, again after twice
 * that, doubling up to 120 times it, anew from the beginning as soon as any of it came. Most of what is missing for a
 * moment comes by itself: the source's own backfill. Pure: time in, ranges out. Bounded: of streams beyond
 * GAP_ASK_STREAMS nothing is asked before others have got theirs.
 */
#include "common/base/interval.h"
#include "common/base/table.h"
#include "common/record/record.h"

#define GAP_ASK_US (30 * SECOND_US)
enum { GAP_ASK_STREAMS = 4096, GAP_ASK_RANGES = 64 };

struct gap_ask {
  struct table pairs; /* (stream, epoch) -> struct gap_asked */
  int64_t age_us;
  uint64_t asked, answered; /* ranges asked for; sequences that came or were settled since they were asked for */
};
void gap_ask_init(struct gap_ask *ask, int64_t age_us);
void gap_ask_deinit(struct gap_ask *ask);
/* What is missing of the pair at `now` (mono); nothing is well, too. Adds to *out what is to be asked for now: at most
 * GAP_ASK_RANGES. False: nothing. */
bool gap_ask_look(struct gap_ask *ask, struct bytes stream, struct epoch epoch, const struct intervals *missing,
    int64_t now, struct intervals *out);
/* Nobody could be asked: it is due again. */
void gap_ask_failed(struct gap_ask *ask, struct bytes stream, struct epoch epoch, int64_t now);
#endif
