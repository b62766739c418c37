/* The last value's order, descriptors, and the checkpoint: the same records in any order give the same catalogue. */
#include "common/door/catalogue.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

static const struct bytes stream = {(const uint8_t *)"chongqing/cuntan", 16};
static const struct bytes level = {(const uint8_t *)"chongqing/cuntan/gauge-1/level", 30};

static struct record reading(int64_t time, int64_t received, uint64_t sequence, double value) {
  return (struct record){.kind = RECORD_READING,
      .address = level,
      .time = time,
      .received = received,
      .sequence = sequence,
      .value = {.type = VALUE_NUMBER, .number = value}};
}

/* Two records, one wins in either order. */
static void assert_wins(
    struct record winner, struct epoch winner_epoch, struct record loser, struct epoch loser_epoch) {
  for (int order = 0; order < 2; order++) {
    struct catalogue catalogue;
    catalogue_init(&catalogue);
    catalogue_take(&catalogue, order ? &winner : &loser, stream, order ? winner_epoch : loser_epoch, LANE_LIVE);
    catalogue_take(&catalogue, order ? &loser : &winner, stream, order ? loser_epoch : winner_epoch, LANE_LIVE);
    const struct catalogue_point *point = catalogue_find(&catalogue, level);
    assert_non_null(point);
    assert_true(point->value.number == winner.value.number);
    catalogue_deinit(&catalogue);
  }
}

static void test_order(void **state) {
  (void)state;
  struct epoch e = {5, 5}, newer = {6, 1};
  assert_wins(reading(20, 30, 1, 1), e, reading(10, 30, 2, 2), e); /* the later time, not the later number */
  assert_wins(reading(10, 12, 1, 1), e, reading(99, 9, 2, 2), e);  /* a time in the future counts as received */
  assert_wins(reading(10, 12, 2, 1), e, reading(10, 13, 1, 2), e); /* same time: the later number */
  /* same time: the newer epoch before the number */
  assert_wins(reading(10, 12, 1, 1), newer, reading(10, 12, 9, 2), e);
  struct record clock = reading(50, 60, 9, 2);
  clock.quality = QUALITY_BAD;
  clock.reason = REASON_CLOCK;
  assert_wins(reading(10, 12, 1, 1), e, clock, e); /* quality clock never displaces */
  struct record bad = reading(50, 60, 9, 1);
  bad.quality = QUALITY_BAD;
  bad.reason = REASON_SENSOR_FAULT;
  assert_wins(bad, e, reading(10, 12, 1, 2), e); /* any other bad value does: it is the truth now */
}

static void test_descriptor(void **state) {
  (void)state;
  struct catalogue catalogue;
  catalogue_init(&catalogue);
  static const char text[] =
      "{\"type\":\"number\",\"unit\":\"m\",\"description\":\"水位\",\"control\":{\"type\":\"number\"}}";
  struct record record = {.kind = RECORD_DESCRIPTOR,
      .address = level,
      .time = 1,
      .received = 1,
      .sequence = 1,
      .value = {.type = VALUE_TEXT, .bytes = bytes_text(text)}};
  struct record value = reading(10, 10, 2, 178.52);
  catalogue_take(&catalogue, &record, stream, (struct epoch){1, 1}, LANE_LIVE);
  catalogue_take(&catalogue, &value, stream, (struct epoch){1, 1}, LANE_LIVE);
  const struct catalogue_point *point = catalogue_find(&catalogue, level);
  assert_int_equal(point->type, VALUE_NUMBER);
  assert_true(point->writable);
  assert_true(bytes_equal(point_unit(point), bytes_text("m")));
  struct buffer json = BUFFER_NULL;
  point_put_json(&json, point);
  assert_non_null(strstr(buffer_text(&json), "\"value\":178.52,\"unit\":\"m\""));
  buffer_clear(&json);
  point_put_description(&json, point);
  assert_non_null(strstr(buffer_text(&json), "\"description\":\"水位\""));
  buffer_deinit(&json);
  record.value.bytes = bytes_text("not json"); /* says nothing, and harms nobody */
  record.sequence = 3;
  record.time = record.received = 20;
  catalogue_take(&catalogue, &record, stream, (struct epoch){1, 1}, LANE_LIVE);
  assert_false(point->writable);
  catalogue_deinit(&catalogue);
}

/* ---- random records ---- */

enum { ADDRESSES = 200, RECORDS = 3000 };
static char addresses[ADDRESSES][48];
static char texts[RECORDS][24];

static struct record random_record(int i) {
  struct record record = {.kind = random() % 8 ? RECORD_READING : random() % 2 ? RECORD_EVENT : RECORD_DESCRIPTOR};
  record.address = bytes_text(addresses[random() % ADDRESSES]);
  record.received = 1000 + random() % 50;
  record.time = 1000 + random() % 60;
  record.sequence = (uint64_t)i + 1;
  record.reason = random() % 5 ? REASON_NONE : REASON_CLOCK;
  record.quality = record.reason ? QUALITY_BAD : QUALITY_GOOD;
  snprintf(texts[i], sizeof texts[i], "{\"unit\":\"u%d\"}", i);
  record.value = (struct value){.type = VALUE_TEXT, .bytes = bytes_text(texts[i])};
  return record;
}

static void describe_all(const struct catalogue *catalogue, struct buffer *out) {
  for (int i = 0; i < ADDRESSES; i++) {
    const struct catalogue_point *point = catalogue_find(catalogue, bytes_text(addresses[i]));
    if (!point) continue;
    point_put_description(out, point);
    if (point->has_last) point_put_json(out, point);
    buffer_printf(out, "\n");
  }
}

static void put_into(void *ctx, size_t piece, size_t part, struct bytes value) {
  (void)piece, (void)part;
  assert_true(value.len <= 120 * 1024);
  assert_true(catalogue_decode(ctx, value));
}

static void test_any_order_and_checkpoint(void **state) {
  (void)state;
  static struct record records[RECORDS];
  struct catalogue first, second, third;
  catalogue_init(&first);
  catalogue_init(&second);
  catalogue_init(&third);
  for (int i = 0; i < ADDRESSES; i++) snprintf(addresses[i], sizeof addresses[i], "chongqing/cuntan/gauge-%d/水位", i);
  for (int i = 0; i < RECORDS; i++) {
    records[i] = random_record(i);
    catalogue_take(&first, &records[i], stream, (struct epoch){7, 7}, LANE_LIVE);
    if (i == RECORDS / 2) /* an old checkpoint, over which newer records come once more */
      for (size_t piece = 0; piece < catalogue_pieces(&first); piece++)
        catalogue_encode(&first, piece, put_into, &third);
  }
  for (int i = RECORDS; i-- > 0;) catalogue_take(&second, &records[i], stream, (struct epoch){7, 7}, LANE_LIVE);
  for (int i = RECORDS / 4; i < RECORDS; i++)
    catalogue_take(&third, &records[i], stream, (struct epoch){7, 7}, LANE_LIVE);
  struct buffer a = BUFFER_NULL, b = BUFFER_NULL, c = BUFFER_NULL;
  describe_all(&first, &a);
  describe_all(&second, &b);
  describe_all(&third, &c);
  assert_string_equal(buffer_text(&a), buffer_text(&b));
  assert_string_equal(buffer_text(&a), buffer_text(&c));
  buffer_deinit(&a);
  buffer_deinit(&b);
  buffer_deinit(&c);
  catalogue_deinit(&first);
  catalogue_deinit(&second);
  catalogue_deinit(&third);
}

/* Damaged pieces are refused at any cut, and never read past their end. */
static struct buffer saved;
static void save(void *ctx, size_t piece, size_t part, struct bytes value) {
  (void)ctx, (void)piece, (void)part;
  buffer_append(&saved, value);
}

static void test_cut_piece(void **state) {
  (void)state;
  struct catalogue catalogue;
  struct record record = reading(1, 2, 3, 4);
  catalogue_init(&catalogue);
  catalogue_take(&catalogue, &record, stream, (struct epoch){7, 7}, LANE_LIVE);
  assert_true(catalogue_take_dirty(&catalogue, 0));
  assert_false(catalogue_take_dirty(&catalogue, 0));
  catalogue_encode(&catalogue, 0, save, NULL);
  for (size_t len = 2; len < saved.len; len++) {
    struct catalogue cut;
    uint8_t *copy = malloc(len);
    memcpy(copy, saved.data, len);
    catalogue_init(&cut);
    assert_false(catalogue_decode(&cut, bytes_of(copy, len)));
    catalogue_deinit(&cut);
    free(copy);
  }
  buffer_deinit(&saved);
  catalogue_deinit(&catalogue);
}

int main(void) {
  const char *given = getenv("RIVERBUS_TEST_SEED");
  unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
  printf("seed %u (RIVERBUS_TEST_SEED=%u repeats it)\n", seed, seed);
  srandom(seed);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_order),
      cmocka_unit_test(test_descriptor),
      cmocka_unit_test(test_any_order_and_checkpoint),
      cmocka_unit_test(test_cut_piece),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
