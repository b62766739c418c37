/* What an origin tells of its epochs, and what of the others' knowledge is lost by it. */
#include "common/node/epochs.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static const struct epoch OLD = {10, 1}, NEW = {20, 2};

static uint64_t lost_of(const struct epochs *told, struct epoch epoch, uint64_t promised, struct interval *first) {
  struct intervals held = INTERVALS_NULL, lost = INTERVALS_NULL;
  intervals_add(&held, 1, 40);
  intervals_add(&held, 61, 100);
  epochs_lost(told, CHANNEL_TELEMETRY, epoch, promised, &held, &lost);
  uint64_t size = intervals_size(&lost);
  if (lost.count > 0) *first = lost.items[0];
  intervals_deinit(&held);
  intervals_deinit(&lost);
  return size;
}

static void of_a_store_that_is_no_more_all_that_is_not_held_is_lost(void **state) {
  (void)state;
  struct epochs told = {.items = {{CHANNEL_TELEMETRY, NEW, 5}, {CHANNEL_URGENT, OLD, 500}}, .count = 2};
  struct interval first = {0, 0};
  assert_int_equal(lost_of(&told, OLD, 100, &first), 20);
  assert_int_equal(first.from, 41);
  assert_int_equal(first.to, 60);
}

static void what_an_old_copy_still_has_may_come(void **state) {
  (void)state;
  struct epochs told = {.items = {{CHANNEL_TELEMETRY, OLD, 50}, {CHANNEL_TELEMETRY, NEW, 5}}, .count = 2};
  struct interval first = {0, 0};
  assert_int_equal(lost_of(&told, OLD, 100, &first), 10);
  assert_int_equal(first.from, 51);
}

static void nothing_is_lost_of_the_newest_or_of_what_nothing_was_told(void **state) {
  (void)state;
  struct epochs told = {.items = {{CHANNEL_TELEMETRY, NEW, 5}}, .count = 1}, none = {.count = 0};
  struct interval first = {0, 0};
  assert_int_equal(lost_of(&told, NEW, 100, &first), 0);
  assert_int_equal(lost_of(&none, OLD, 100, &first), 0);
  told.items[0].own = CHANNEL_URGENT;
  assert_int_equal(lost_of(&told, OLD, 100, &first), 0);
}

static void the_message_is_read_as_it_was_written(void **state) {
  (void)state;
  struct epochs told = {.items = {{CHANNEL_TELEMETRY, OLD, 50}, {CHANNEL_URGENT, NEW, 0}}, .count = 2}, read;
  struct buffer body = BUFFER_NULL;
  epochs_put(&body, &told);
  assert_int_equal(epochs_get(buffer_bytes(&body), &read), 0);
  assert_int_equal(read.count, 2);
  assert_int_equal(read.items[0].own, CHANNEL_TELEMETRY);
  assert_int_equal(read.items[0].last, 50);
  assert_int_equal(epoch_compare(read.items[1].epoch, NEW), 0);
  for (size_t len = 0; len < body.len; len++)
    assert_int_equal(epochs_get(bytes_of(body.data, len), &read), EPOCHS_MALFORMED);
  buffer_deinit(&body);
  static const uint8_t many[] = {0xff, 0xff, 0xff, 0x7f};
  assert_int_equal(epochs_get(bytes_of(many, sizeof many), &read), EPOCHS_MALFORMED);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(of_a_store_that_is_no_more_all_that_is_not_held_is_lost),
      cmocka_unit_test(what_an_old_copy_still_has_may_come),
      cmocka_unit_test(nothing_is_lost_of_the_newest_or_of_what_nothing_was_told),
      cmocka_unit_test(the_message_is_read_as_it_was_written),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
