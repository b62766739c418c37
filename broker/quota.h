#ifndef RIVERBUS_BROKER_QUOTA_H
#define RIVERBUS_BROKER_QUOTA_H
/*
 * What has gone to a neighbour, against the quota of the agreement (the smaller one of both halves: it is a limit of
 * the link, whoever pays for it, and holds in each direction): bytes of blocks in a rolling 24 hours, in 288 buckets of
 * five minutes, and readings in a second. What is over it waits; nothing is discarded. A block goes while the last
 * second's readings are below the limit, also one with more than a second's worth: it then has to be paid for before
 * the next, so that the rate holds over a longer time. Times are wall, µs; a clock that is set back gives nothing back.
 * Pure.
 */
#include "broker/config.h"
#include "common/base/buffer.h"

enum { QUOTA_BUCKETS = 288, QUOTA_BUCKET_S = 300 };
struct quota {
  uint64_t buckets[QUOTA_BUCKETS];
  int64_t newest; /* number of the bucket that counts now */
  uint64_t day;   /* sum of all */
  int64_t debt;   /* readings that are not paid for yet, in millionths */
  int64_t paid_at;
  int64_t held_since; /* something has waited since then; 0: nothing */
};
/* Whether a block of so many records and bytes may go now; notes that it has to wait where it may not. */
bool quota_allows(struct quota *quota, const struct broker_quota *limit, size_t bytes, int64_t now);
void quota_sent(struct quota *quota, const struct broker_quota *limit, uint32_t records, size_t bytes, int64_t now);
/* For the store: what is younger than 24 hours. Appends. */
void quota_put(struct buffer *out, const struct quota *quota);
void quota_load(struct quota *quota, struct bytes value); /* one that cannot be read counts as nothing sent */
#endif
