/* Quotas: a rolling day against a reference that remembers every block, and a rate that holds over time. */
#include "broker/quota.h"
#include "common/base/world.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

static int below(int n) { return (int)(random() % n); }
#define BUCKET_US ((int64_t)QUOTA_BUCKET_S * SECOND_US)

/* The reference: the blocks that were sent, each in its bucket. */
enum { BLOCKS = 20000 };
static struct {
  int64_t bucket;
  uint64_t bytes;
} sent[BLOCKS];

static uint64_t of_a_day(size_t count, int64_t now) {
  uint64_t sum = 0;
  for (size_t i = 0; i < count; i++)
    if (sent[i].bucket > now / BUCKET_US - QUOTA_BUCKETS) sum += sent[i].bytes;
  return sum;
}

static void test_a_rolling_day(void **state) {
  (void)state;
  static struct quota quota;
  const struct broker_quota limit = {.bytes = 1 << 20};
  int64_t now = 1000 * BUCKET_US;
  size_t count = 0;
  quota = (struct quota){0};
  unsigned held = 0;
  for (int i = 0; i < BLOCKS; i++) {
    size_t bytes = (size_t)(1 + below(4000));
    now += below(4) ? below(30) * SECOND_US : below(6) * 3600 * SECOND_US / 60;
    if (below(2000) == 0) now += 30 * 3600 * SECOND_US;
    bool want = of_a_day(count, now) + bytes <= limit.bytes;
    assert_true(quota_allows(&quota, &limit, bytes, now) == want);
    assert_true((quota.held_since != 0) == !want);
    held += !want;
    if (!want) continue;
    quota_sent(&quota, &limit, 1, bytes, now);
    sent[count].bucket = now / BUCKET_US;
    sent[count++].bytes = bytes;
    if (below(50) == 0) { /* over a restart */
      struct buffer value = BUFFER_NULL;
      quota_put(&value, &quota);
      quota_load(&quota, buffer_bytes(&value));
      buffer_deinit(&value);
    }
  }
  assert_true(held > 100 && count > 1000);
}

/* 50 readings a second in blocks of up to 200: over a minute no more than 50 each second and one block. */
static void test_a_rate(void **state) {
  (void)state;
  struct quota quota = {0};
  const struct broker_quota limit = {.readings = 50};
  int64_t now = 5 * SECOND_US;
  uint64_t records = 0;
  for (int i = 0; i < 60000; i++, now += MILLISECOND_US) {
    uint32_t block = (uint32_t)(1 + below(200));
    if (!quota_allows(&quota, &limit, 100, now)) continue;
    quota_sent(&quota, &limit, block, 100, now);
    records += block;
  }
  assert_true(records >= 50 * 60 && records <= 50 * 61 + 200);
}

static void test_no_limit_and_a_clock_set_back(void **state) {
  (void)state;
  struct quota quota = {0};
  const struct broker_quota none = {0, 0}, some = {.bytes = 1000};
  for (int i = 0; i < 100; i++) {
    assert_true(quota_allows(&quota, &none, 1000000, 10 * BUCKET_US));
    quota_sent(&quota, &none, 1000, 10, 10 * BUCKET_US);
  }
  assert_false(quota_allows(&quota, &some, 1, 10 * BUCKET_US));
  assert_false(quota_allows(&quota, &some, 1, 3 * BUCKET_US));
  assert_true(quota_allows(&quota, &some, 1, (10 + QUOTA_BUCKETS) * BUCKET_US));
  quota_load(&quota, bytes_text("nonsense"));
  assert_int_equal(quota.day, 0);
}

int main(void) {
  const char *given = getenv("RIVERBUS_TEST_SEED");
  unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
  printf("seed %u (RIVERBUS_TEST_SEED=%u repeats it)\n", seed, seed);
  srandom(seed);
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_rolling_day), cmocka_unit_test(test_a_rate),
      cmocka_unit_test(test_no_limit_and_a_clock_set_back)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
