#include "gateway/clock.h"
#include "common/store/memory.h"
#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

#define NOW (INT64_C(1795507200) * SECOND_US)

static const struct gateway_clock strict = {.require_synchronised = true, .max_offset_us = 2 * SECOND_US};
static const struct gateway_clock trusting = {.require_synchronised = false, .max_offset_us = 2 * SECOND_US};

static enum clock_verdict judge(const struct clock *clock, struct clock_reading reading, const char *message) {
  struct refusal refusal = {.code = CODE_NONE};
  enum clock_verdict verdict = clock_judge(clock, &reading, &refusal);
  if (verdict == CLOCK_BAD) {
    assert_int_equal(refusal.code, CODE_CLOCK);
    assert_non_null(strstr(refusal.message, message));
    assert_true(refusal.hint[0] != 0);
  }
  return verdict;
}

static void test_verdicts(void **state) {
  struct clock clock;
  struct refusal refusal;
  const struct clock_reading loose = {NOW, false, true, 0};
  (void)state;
  clock_init(&clock, &strict);
  assert_int_equal(judge(&clock, (struct clock_reading){NOW, true, true, 2 * SECOND_US}, ""), CLOCK_GOOD);
  assert_int_equal(judge(&clock, (struct clock_reading){NOW, true, false, 0}, ""), CLOCK_UNKNOWN);
  assert_int_equal(judge(&clock, (struct clock_reading){NOW, true, true, -3 * SECOND_US}, "3s from"), CLOCK_BAD);
  assert_int_equal(judge(&clock, loose, "not synchronised"), CLOCK_BAD);
  assert_int_equal(clock_judge(&clock, &loose, &refusal), CLOCK_BAD);
  assert_non_null(strstr(refusal.hint, "clock: {require-synchronised: false}"));
  clock_configure(&clock, &trusting);
  assert_int_equal(judge(&clock, loose, ""), CLOCK_GOOD);
  assert_int_equal(judge(&clock, (struct clock_reading){NOW, false, true, 3 * SECOND_US}, "3s from"), CLOCK_BAD);
}

static void test_behind_the_highest(void **state) {
  struct clock clock;
  (void)state;
  clock_init(&clock, &strict);
  assert_true(clock_note(&clock, &(struct clock_reading){NOW, true, true, 0}));
  assert_int_equal(judge(&clock, (struct clock_reading){NOW - 2 * SECOND_US, true, true, 0}, ""), CLOCK_GOOD);
  assert_int_equal(judge(&clock, (struct clock_reading){NOW - 3 * SECOND_US, true, true, 0}, "3s behind"), CLOCK_BAD);
  /* also where nothing was compared yet, as after a power cut */
  assert_int_equal(judge(&clock, (struct clock_reading){NOW - 3600 * SECOND_US, true, false, 0}, "behind"), CLOCK_BAD);
}

/* A jump to 2099 that the kernel or the broker does not confirm leaves no trace. */
static void test_what_is_not_confirmed_is_not_noted(void **state) {
  const int64_t far = INT64_C(4070908800) * SECOND_US;
  struct clock clock;
  (void)state;
  clock_init(&clock, &trusting);
  assert_false(clock_note(&clock, &(struct clock_reading){far, false, true, 0}));
  assert_false(clock_note(&clock, &(struct clock_reading){far, true, false, 0}));
  assert_false(clock_note(&clock, &(struct clock_reading){far, true, true, far - NOW}));
  assert_int_equal(judge(&clock, (struct clock_reading){NOW, true, true, 0}, ""), CLOCK_GOOD);
}

static bool load(void *ctx, struct bytes key, struct bytes value) {
  clock_load(ctx, key, value);
  return true;
}

static struct instant still(void *ctx) {
  (void)ctx;
  return (struct instant){NOW, SECOND_US};
}
static void draw(void *ctx, void *out, size_t len) {
  (void)ctx;
  memset(out, 7, len);
}

/* Written once a minute; read back by the next start. */
static void test_kept_over_a_start(void **state) {
  const struct world world = {.now = still, .random = draw};
  struct memory_disk *disk = memory_disk_new();
  const struct store_options options = {.path = "memory", .max_size = 64 << 20, .world = &world};
  struct store_batch *batch = store_batch_new();
  struct store *store;
  struct clock clock, next;
  (void)state;
  assert_int_equal(store_open_memory(&store, &options, disk), 0);
  clock_init(&clock, &strict);
  assert_true(clock_note(&clock, &(struct clock_reading){NOW, true, true, 0}));
  clock_put(&clock, batch);
  assert_false(clock_note(&clock, &(struct clock_reading){NOW + 59 * SECOND_US, true, true, 0}));
  assert_true(clock_note(&clock, &(struct clock_reading){NOW + 60 * SECOND_US, true, true, 0}));
  assert_int_equal(store_submit(store, batch, NULL), 0);
  store_memory_run(store, 1);
  store = store_memory_crash(store);
  assert_null(store);
  assert_int_equal(store_open_memory(&store, &options, disk), 0);
  clock_init(&next, &strict);
  assert_int_equal(store_scan(store, STORE_META, load, &next), 0);
  assert_int_equal(judge(&next, (struct clock_reading){NOW - 3 * SECOND_US, true, true, 0}, "3s behind"), CLOCK_BAD);
  store_close(store);
  memory_disk_free(disk);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_verdicts), cmocka_unit_test(test_behind_the_highest),
      cmocka_unit_test(test_what_is_not_confirmed_is_not_noted), cmocka_unit_test(test_kept_over_a_start)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
