/* Coverage in memory: bounded whatever comes, never claiming or holding more than is true, and the same again from its
 * pieces. */
#include "harness.h"

#include "common/store/coverage.h"

static void hold(struct coverage *coverage, uint64_t from, uint64_t to) {
  coverage_apply(coverage,
      &(struct effect){.kind = EFFECT_HOLD, .stream = TEXT("q/s"), .epoch = E1, .from = from, .to = to, .run = 5});
}

static void apply(struct coverage *coverage, enum effect_kind kind, uint64_t from, uint64_t to) {
  coverage_apply(coverage, &(struct effect){.kind = kind,
                               .stream = TEXT("q/s"),
                               .epoch = E1,
                               .from = from,
                               .to = to,
                               .source = TEXT("peer"),
                               .scope = 3,
                               .reason = TEXT("full"),
                               .time = (int64_t)from});
}

static void joined_holes_are_never_said_to_be_held(void **state) {
  (void)state;
  struct coverage coverage = COVERAGE_NULL;
  for (uint64_t i = 1; i <= 5000; i++) hold(&coverage, i * 10, i * 10 + 4 + i % 3);
  const struct cover *cover = coverage_find(&coverage, TEXT("q/s"), E1);
  assert_true(cover->held.count <= COVER_RANGES_MAX);
  assert_true(cover->unsure.count <= COVER_RANGES_MAX);
  struct intervals sure = INTERVALS_NULL;
  cover_held(cover, &sure);
  for (uint64_t i = 1; i <= 5000; i++) {
    assert_true(intervals_covers(&cover->held, i * 10, i * 10 + 4 + i % 3)); /* no duplicate is overlooked */
    assert_false(intervals_contains(&sure, i * 10 + 8));                     /* no hole is passed over */
  }
  intervals_deinit(&sure);
  /* what was unsure becomes sure when it comes */
  for (uint64_t i = 1; i <= 5000; i++) hold(&coverage, i * 10, i * 10 + 9);
  cover_held(cover, &sure);
  assert_ranges(&sure, 1, N(10), N(50009));
  intervals_deinit(&sure);
  coverage_deinit(&coverage);
}

static void claims_are_bounded_and_never_grow_by_it(void **state) {
  (void)state;
  struct coverage coverage = COVERAGE_NULL;
  for (uint64_t i = 1; i <= 2000; i++) apply(&coverage, EFFECT_CLAIM, i * 10, i * 10 + i % 7);
  const struct cover *cover = coverage_find(&coverage, TEXT("q/s"), E1);
  const struct intervals *claimed = cover_claimed(cover, TEXT("peer"), 3);
  assert_in_range(claimed->count, 100, COVER_CLAIM_RANGES_MAX);
  for (uint64_t i = 1; i <= 2000; i++) assert_false(intervals_contains(claimed, i * 10 + 7));
  for (uint64_t scope = 100; scope < 300; scope++)
    coverage_apply(&coverage, &(struct effect){.kind = EFFECT_CLAIM,
                                  .stream = TEXT("q/s"),
                                  .epoch = E1,
                                  .from = 1,
                                  .to = 9,
                                  .source = TEXT("p"),
                                  .scope = scope});
  assert_int_equal(cover->claim_count, COVER_CLAIMS_MAX);
  assert_null(cover_claimed(cover, TEXT("p"), 200));
  assert_non_null(cover_claimed(cover, TEXT("p"), 299));
  coverage_deinit(&coverage);
}

static void discards_are_bounded(void **state) {
  (void)state;
  struct coverage coverage = COVERAGE_NULL;
  for (uint64_t i = 1; i <= 3000; i++) apply(&coverage, EFFECT_DISCARD, i * 10, i * 10 + 5);
  const struct cover *cover = coverage_find(&coverage, TEXT("q/s"), E1);
  assert_int_equal(cover->discard_count, COVER_DISCARDS_MAX);
  assert_int_equal(cover->discards[0].from, 10); /* the oldest are one range now */
  assert_int_equal(cover->discards[COVER_DISCARDS_MAX - 1].to, 30005);
  /* nobody but this node says so of what lies between */
  assert_int_equal(cover->discards[0].by.len, 0);
  assert_true(bytes_equal(cover->discards[1].by, TEXT("peer")));
  coverage_deinit(&coverage);
}

static void effects_may_come_twice(void **state) {
  (void)state;
  struct coverage once = COVERAGE_NULL, twice = COVERAGE_NULL;
  struct buffer left = BUFFER_NULL, right = BUFFER_NULL;
  for (int round = 0; round < 3; round++) {
    struct coverage *to[2] = {round == 0 ? &once : &twice, &twice};
    for (int k = 0; k < (round ? 1 : 2); k++) {
      hold(to[k], 1, 50);
      hold(to[k], 70, 90);
      apply(to[k], EFFECT_CLAIM, 1, 95);
      apply(to[k], EFFECT_DISCARD, 1, 9);
      apply(to[k], EFFECT_FLOOR, 10, 0);
      apply(to[k], EFFECT_CEILING, 80, 0);
    }
  }
  cover_write(coverage_find(&once, TEXT("q/s"), E1), &left);
  cover_write(coverage_find(&twice, TEXT("q/s"), E1), &right);
  assert_true(bytes_equal(buffer_bytes(&left), buffer_bytes(&right)));
  struct intervals held = INTERVALS_NULL;
  cover_held(coverage_find(&twice, TEXT("q/s"), E1), &held);
  assert_ranges(&held, 2, N(1), N(50), N(70), N(80)); /* below the floor counts, above the ceiling does not */
  intervals_deinit(&held);
  buffer_deinit(&left);
  buffer_deinit(&right);
  coverage_deinit(&once);
  coverage_deinit(&twice);
}

static void a_piece_reads_back_and_half_of_one_does_not(void **state) {
  (void)state;
  struct coverage from = COVERAGE_NULL, to = COVERAGE_NULL;
  struct buffer piece = BUFFER_NULL, again = BUFFER_NULL;
  for (uint64_t i = 1; i <= 1500; i++) hold(&from, i * 10, i * 10 + 3);
  apply(&from, EFFECT_CLAIM, 5, 500);
  apply(&from, EFFECT_DISCARD, 3, 4);
  apply(&from, EFFECT_FLOOR, 5, 0);
  coverage_find(&from, TEXT("q/s"), E1)->id = 9;
  cover_write(coverage_find(&from, TEXT("q/s"), E1), &piece);
  assert_non_null(coverage_read(&to, buffer_bytes(&piece)));
  cover_write(coverage_find(&to, TEXT("q/s"), E1), &again);
  assert_true(bytes_equal(buffer_bytes(&piece), buffer_bytes(&again)));
  for (size_t len = 0; len < piece.len; len += 7) {
    struct coverage part = COVERAGE_NULL;
    assert_null(coverage_read(&part, bytes_of(piece.data, len)));
    coverage_deinit(&part);
  }
  buffer_deinit(&piece);
  buffer_deinit(&again);
  coverage_deinit(&from);
  coverage_deinit(&to);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(joined_holes_are_never_said_to_be_held),
      cmocka_unit_test(claims_are_bounded_and_never_grow_by_it),
      cmocka_unit_test(discards_are_bounded),
      cmocka_unit_test(effects_may_come_twice),
      cmocka_unit_test(a_piece_reads_back_and_half_of_one_does_not),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
