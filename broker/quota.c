#include "broker/quota.h"
#include "common/base/cursor.h"
#include "common/base/world.h"

enum { VALUE_VERSION = 1 };

static size_t place_of(int64_t bucket) { return (size_t)(bucket % QUOTA_BUCKETS); }

/* Time passes: the oldest buckets are given back. */
static void go_on(struct quota *quota, int64_t now) {
  int64_t bucket = now / (QUOTA_BUCKET_S * SECOND_US);
  if (bucket - quota->newest >= QUOTA_BUCKETS) {
    *quota = (struct quota){
        .newest = bucket, .debt = quota->debt, .paid_at = quota->paid_at, .held_since = quota->held_since};
    return;
  }
  while (quota->newest < bucket) {
    uint64_t *oldest = &quota->buckets[place_of(++quota->newest)];
    quota->day -= *oldest;
    *oldest = 0;
  }
}

static void pay(struct quota *quota, uint64_t readings, int64_t now) {
  int64_t since = now - quota->paid_at;
  if (since < 0) since = 0;
  if (since > 1000 * SECOND_US) since = 1000 * SECOND_US;
  quota->paid_at = now;
  quota->debt -= since * (int64_t)readings;
  if (quota->debt < 0) quota->debt = 0;
}

bool quota_allows(struct quota *quota, const struct broker_quota *limit, size_t bytes, int64_t now) {
  bool allowed = true;
  go_on(quota, now);
  if (limit->bytes && quota->day + bytes > limit->bytes) allowed = false;
  if (limit->readings) {
    pay(quota, limit->readings, now);
    if (quota->debt >= (int64_t)limit->readings * SECOND_US) allowed = false;
  }
  if (allowed)
    quota->held_since = 0;
  else if (!quota->held_since)
    quota->held_since = now;
  return allowed;
}

void quota_sent(struct quota *quota, const struct broker_quota *limit, uint32_t records, size_t bytes, int64_t now) {
  go_on(quota, now);
  quota->buckets[place_of(quota->newest)] += bytes;
  quota->day += bytes;
  if (limit->readings) quota->debt += (int64_t)records * SECOND_US;
}

/* u8 1, varint number of the newest bucket, then of each from the newest back: varint bytes; trailing zeros left out */
void quota_put(struct buffer *out, const struct quota *quota) {
  struct writer w;
  size_t count = QUOTA_BUCKETS;
  writer_init(&w, out, out->len + 16 + QUOTA_BUCKETS * 10);
  writer_u8(&w, VALUE_VERSION);
  writer_varint(&w, (uint64_t)quota->newest);
  while (count && !quota->buckets[place_of(quota->newest + QUOTA_BUCKETS - (int64_t)count + 1)]) count--;
  for (size_t i = 0; i < count; i++)
    writer_varint(&w, quota->buckets[place_of(quota->newest + QUOTA_BUCKETS - (int64_t)i)]);
}

void quota_load(struct quota *quota, struct bytes value) {
  struct reader r;
  *quota = (struct quota){0};
  reader_init(&r, value);
  bool known = reader_u8(&r) == VALUE_VERSION;
  quota->newest = (int64_t)(reader_varint(&r) & INT64_MAX);
  if (quota->newest > INT64_MAX - QUOTA_BUCKETS) reader_fail(&r);
  for (size_t i = 0; known && i < QUOTA_BUCKETS && reader_left(&r); i++) {
    uint64_t bytes = reader_varint(&r);
    quota->buckets[place_of(quota->newest + QUOTA_BUCKETS - (int64_t)i)] = bytes;
    quota->day += bytes;
  }
  if (!known || r.failed) *quota = (struct quota){0};
}
