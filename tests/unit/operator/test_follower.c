/* tail's lines and its marks: what may be acknowledged is what was written, to the record. */
#include "broker/operator/follower.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct bytes address = {(const uint8_t *)"chongqing/cuntan/gauge-1/level", 30};

/* Ten readings, 21 to 30, with a head and a descriptor in between. */
static struct blob *block_of_ten_from(uint64_t first, uint64_t epoch) {
  struct block_builder *builder = block_builder_new();
  for (int i = 0; i < 10; i++) {
    struct record record = {.kind = RECORD_READING,
        .address = address,
        .time = 1000000 + i,
        .received = 1000000 + i,
        .value = {.type = VALUE_INTEGER, .integer = i}};
    if (i == 3)
      record = (struct record){
          .kind = RECORD_HEAD, .address = bytes_text("chongqing/cuntan"), .value = {.type = VALUE_INTEGER}};
    if (i == 5) {
      record.kind = RECORD_DESCRIPTOR;
      record.value = (struct value){.type = VALUE_TEXT, .bytes = bytes_text("{\"unit\":\"cm\"}")};
    }
    assert_int_equal(block_builder_add(builder, &record, BLOCK_MAX), 0);
  }
  struct blob *blob = block_builder_finish(builder, bytes_text("chongqing/cuntan"), 1);
  block_number(blob, (struct epoch){epoch, 2}, first);
  block_builder_free(builder);
  return blob;
}

static struct blob *block_of_ten(void) { return block_of_ten_from(21, 1); }

static size_t lines(struct buffer *out) {
  size_t count = 0;
  for (size_t i = 0; i < out->len; i++) count += out->data[i] == '\n';
  return count;
}

static void test_lines(void **state) {
  (void)state;
  struct follower follower;
  struct buffer out = BUFFER_NULL;
  struct blob *blob = block_of_ten();
  follower_init(&follower);
  follower.form = FOLLOWER_JSON;
  unit_names_put(&follower.units, address, bytes_text("m"));
  assert_true(follower_take(&follower, LANE_LIVE, 7, blob_bytes(blob), &out));
  assert_int_equal(lines(&out), 8); /* neither the head nor the descriptor */
  assert_non_null(strstr(buffer_text(&out), "\"value\":0,\"unit\":\"m\""));
  assert_non_null(strstr(buffer_text(&out), "\"value\":9,\"unit\":\"cm\"")); /* described anew on the way */
  assert_true(follower.marks[LANE_LIVE].moved);
  assert_int_equal(follower.marks[LANE_LIVE].position, 7);
  assert_int_equal(follower.marks[LANE_LIVE].within, 0);
  buffer_clear(&out);
  follower.all = true;
  assert_true(follower_take(&follower, LANE_LIVE, 8, blob_bytes(blob), &out));
  assert_int_equal(lines(&out), 10);
  buffer_deinit(&out);
  blob_unref(blob);
  follower_deinit(&follower);
}

/* Runs of any length end in the middle of blocks; together they show each record once. */
static void test_runs_meet(void **state) {
  (void)state;
  struct blob *blob = block_of_ten();
  for (uint64_t most = 1; most <= 8; most++) {
    struct buffer out = BUFFER_NULL;
    uint64_t position = 7, within = 0; /* the first entry that is not done, as the broker keeps it */
    while (position == 7) {
      struct follower run;
      follower_init(&run);
      run.form = FOLLOWER_JSON;
      run.most = most;
      run.skip_position[LANE_LIVE] = position;
      run.skip_within[LANE_LIVE] = within;
      follower_take(&run, LANE_LIVE, position, blob_bytes(blob), &out);
      position = run.marks[LANE_LIVE].position + 1;
      within = run.marks[LANE_LIVE].within;
      follower_deinit(&run);
    }
    assert_int_equal(lines(&out), 8);
    for (int i = 0; i < 10; i++) {
      char text[32];
      snprintf(text, sizeof text, "\"seq\":%d,", 21 + i);
      const char *first = strstr(buffer_text(&out), text);
      assert_true((first != NULL) == (i != 3 && i != 5));
      if (first) assert_null(strstr(first + 1, text));
    }
    buffer_deinit(&out);
  }
  blob_unref(blob);
}

static size_t taken(struct follower *follower, enum lane lane, uint64_t position, uint64_t first, uint64_t epoch) {
  struct buffer out = BUFFER_NULL;
  struct blob *blob = block_of_ten_from(first, epoch);
  assert_true(follower_take(follower, lane, position, blob_bytes(blob), &out));
  size_t count = lines(&out);
  buffer_deinit(&out);
  blob_unref(blob);
  return count;
}

/* The broker sends again what it had no acknowledgement of: nothing is written twice, and nothing else is left out. */
static void test_goes_on_after_a_break(void **state) {
  (void)state;
  struct follower follower;
  follower_init(&follower);
  follower.form = FOLLOWER_JSON;
  assert_int_equal(taken(&follower, LANE_LIVE, 7, 21, 1), 8);
  assert_int_equal(taken(&follower, LANE_LIVE, 8, 31, 1), 8);
  follower_again(&follower);
  assert_false(follower.marks[LANE_LIVE].moved);
  assert_int_equal(taken(&follower, LANE_LIVE, 7, 21, 1), 0);
  assert_true(follower.marks[LANE_LIVE].moved); /* it may be acknowledged now */
  assert_int_equal(follower.marks[LANE_LIVE].position, 7);
  assert_int_equal(taken(&follower, LANE_BACKFILL, 7, 21, 1), 8); /* another lane has places of its own */
  assert_int_equal(taken(&follower, LANE_LIVE, 8, 31, 1), 0);
  assert_int_equal(taken(&follower, LANE_LIVE, 9, 41, 1), 8);
  follower_deinit(&follower);
}

/* The broker's store was restored from a copy: its places are given again, to other records. */
static void test_places_given_again(void **state) {
  (void)state;
  struct follower follower;
  follower_init(&follower);
  follower.form = FOLLOWER_JSON;
  assert_int_equal(taken(&follower, LANE_LIVE, 7, 21, 1), 8);
  assert_int_equal(taken(&follower, LANE_LIVE, 8, 31, 1), 8);
  follower_again(&follower);
  assert_int_equal(taken(&follower, LANE_LIVE, 7, 41, 1), 8);
  assert_int_equal(taken(&follower, LANE_LIVE, 8, 1, 9), 8);
  follower_deinit(&follower);
}

static void test_damaged(void **state) {
  (void)state;
  struct follower follower;
  struct buffer out = BUFFER_NULL;
  follower_init(&follower);
  assert_true(follower_take(&follower, LANE_LIVE, 7, bytes_text("nonsense"), &out));
  assert_int_equal(follower.malformed, 1);
  assert_int_equal(out.len, 0);
  buffer_deinit(&out);
  follower_deinit(&follower);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_lines),
      cmocka_unit_test(test_runs_meet),
      cmocka_unit_test(test_goes_on_after_a_break),
      cmocka_unit_test(test_places_given_again),
      cmocka_unit_test(test_damaged),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
