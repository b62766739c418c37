#ifndef RIVERBUS_BROKER_EFFECTIVE_H
#define RIVERBUS_BROKER_EFFECTIVE_H
/*
 * What two halves come to together: what goes each way is what one side shares (or lets through) and the other accepts;
 * and where they do not fit each other, in sentences that say what to do. Pure; for people and their scripts. What
 * passes is decided record by record (broker/peers), by the same halves.
 */
#include "broker/half.h"

/* The addresses that both patterns match are those of one pattern: appended to *out. false: there are none. */
bool pattern_meet(struct buffer *out, struct bytes a, struct bytes b);

/* Whether any of the patterns has an address in common with this one. */
bool patterns_meet(const struct patterns *patterns, struct bytes pattern);

struct effective_line {
  struct pattern *match;
  const struct half_share *rule; /* NULL: of a third province, passed on */
};
struct effective {
  struct effective_line *lines;
  size_t count;
};
enum { EFFECTIVE_LINES_MAX = 4096 }; /* what is beyond is left out of the list, not of what passes */
/* What goes from the side with the half `from` to the other. Either may be NULL: nothing. */
void effective_init(struct effective *effective, const struct half *from, const struct half *to);
void effective_deinit(struct effective *effective);

/* The smaller of two limits, 0 being none. */
struct broker_quota effective_quota(const struct half *a, const struct half *b);

/* Calls tell with each sentence. theirs NULL: not told yet. now: µs, wall. */
void effective_disagreements(const struct half *ours, const struct half *theirs, const char *peer, int64_t now,
    void (*tell)(void *ctx, const char *sentence), void *ctx);
#endif
