#ifndef RIVERBUS_GATEWAY_CLOCK_H
#define RIVERBUS_GATEWAY_CLOCK_H
/*
 * Whether the station's clock is good enough for commands (reliability section 4): the kernel calls it synchronised, it
 * is near the broker's, and it is not behind the highest time that was ever confirmed in both ways. Readings do not
 * ask. Pure: what is known of the clock comes in.
 *
 * In the store: table STORE_META, key "clock/highest", value i64 little-endian, µs UTC. Only a time that is
 * synchronised and near the broker's is written there: one bad jump to 2099 must not end the commands of a station for
 * good.
 */
#include "common/command/check.h"
#include "common/store/store.h"
#include "gateway/config.h"

#define CLOCK_NOTE_US (60 * SECOND_US) /* how often the highest time is written */

struct clock_reading {
  int64_t wall;
  bool synchronised; /* the kernel's word */
  bool offset_known; /* the clock was compared with the broker's in this session */
  int64_t offset_us; /* this clock minus the broker's */
};

enum clock_verdict {
  CLOCK_GOOD,
  CLOCK_BAD,    /* no commands; *refusal says why and what to do */
  CLOCK_UNKNOWN /* not compared yet */
};

struct clock {
  const struct gateway_clock *config;
  int64_t highest; /* that was confirmed; 0: none yet */
  int64_t written; /* the one in the store */
};

/* config must outlive it or the next clock_configure. */
void clock_init(struct clock *clock, const struct gateway_clock *config);
void clock_configure(struct clock *clock, const struct gateway_clock *config);
/* At the start: entries of STORE_META; other keys are passed over. */
void clock_load(struct clock *clock, struct bytes key, struct bytes value);
enum clock_verdict clock_judge(const struct clock *clock, const struct clock_reading *reading, struct refusal *refusal);
/* By which clock the deadline of a stop from the broker is judged, which never is refused for a clock: *shift_us is to
 * be added to this one. Its own where that is synchronised, so that no broker can bring a dead stop to life; else the
 * broker's, by whose time the stop was signed. CLOCK_UNKNOWN: it would be the broker's, which is not known yet. */
enum clock_verdict clock_for_stop(const struct clock *clock, const struct clock_reading *reading, int64_t *shift_us);
/* Notes a reading, about once a second. true: the highest time is to be written, by clock_put. */
bool clock_note(struct clock *clock, const struct clock_reading *reading);
void clock_put(struct clock *clock, struct store_batch *batch);
#endif
