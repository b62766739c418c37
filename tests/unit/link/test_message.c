/* The messages between nodes: every type goes through and comes back with the same bytes, cut and hostile frames are
 * refused, what later versions add passes. */
#include "common/link/message.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define TEXT(t)                                                                                                        \
  { (const uint8_t *)(t), sizeof(t) - 1 }
#define EPOCH                                                                                                          \
  { UINT64_C(1790000000000000), UINT64_MAX }

static const struct link_message samples[] = {
    {.type = LINK_HELLO,
        .session = 1,
        .version_low = 1,
        .version_high = 3,
        .run = UINT64_MAX,
        .answer = 7,
        .clock = -5,
        .scope_count = 2,
        .scopes = {77, UINT64_MAX},
        .old_scopes = {0, 76},
        .node = TEXT("chongqing/cuntan")},
    {.type = LINK_HELD,
        .session = 2,
        .stream = TEXT("a/b!urgent"),
        .epoch = EPOCH,
        .last = 900,
        .range_count = 3,
        .ranges = {{1, 5}, {7, 7}, {300, UINT64_MAX}},
        .run_count = 2,
        .runs = {{11, 1}, {UINT64_MAX, 400}},
        .scope = 77,
        .number = 1},
    {.type = LINK_HELD, .session = 2, .stream = TEXT("a/b"), .epoch = EPOCH, .number = 2},
    {.type = LINK_HELD_END, .session = 2, .number = 2},
    {.type = LINK_ATTACH, .session = UINT64_MAX, .number = 300},
    {.type = LINK_BLOCK,
        .session = 2,
        .number = 1,
        .lane = LANE_BACKFILL,
        .scope = 3,
        .from = 5,
        .to = 500,
        .body = TEXT("block")},
    {.type = LINK_CLAIM,
        .session = 2,
        .number = 2,
        .scope = 3,
        .stream = TEXT("a/b"),
        .epoch = EPOCH,
        .from = 1,
        .to = UINT64_MAX},
    {.type = LINK_DISCARD,
        .session = 2,
        .number = 3,
        .scope = 3,
        .stream = TEXT("a/b"),
        .epoch = EPOCH,
        .from = 4,
        .to = 4,
        .time = 1790000000000000,
        .by = TEXT("a/b"),
        .reason = TEXT("keep")},
    {.type = LINK_ACK, .session = 2, .channel = 1, .number = 1, .to = 200},
    {.type = LINK_REFUSED,
        .session = 2,
        .channel = 0,
        .number = 9,
        .code = LINK_REFUSED_FORBIDDEN,
        .reason = TEXT("why")},
    {.type = LINK_LATER, .session = 2, .channel = 1, .number = 4, .to = 4},
    {.type = LINK_PING, .session = 2, .token = 3, .clock = INT64_MIN},
    {.type = LINK_PONG, .session = 2, .token = 3, .clock = 1, .clock_received = INT64_MAX},
    {.type = LINK_PAYLOAD, .session = 2, .payload_type = 63, .body = TEXT("body")},
    {.type = LINK_REFUSE, .session = 2, .code = LINK_CODE_CLONE, .reason = TEXT("两个")},
    {.type = LINK_RESET, .session = 2},
    {.type = LINK_RULES, .session = 2, .scope_count = 2, .scopes = {5, 6}, .old_scopes = {4, 0}, .asked = 3},
    {.type = LINK_WANT,
        .session = 2,
        .stream = TEXT("a/b"),
        .epoch = EPOCH,
        .range_count = 2,
        .ranges = {{5, 5}, {8, UINT64_MAX}}},
};
enum { SAMPLES = sizeof samples / sizeof samples[0] };

static struct buffer frame_of(const struct link_message *m) {
  struct buffer frame = BUFFER_NULL;
  link_message_write(&frame, m);
  return frame;
}

/* Reads a copy of exact size, so that the address sanitizer sees a step past the end. */
static int read_copy(struct bytes from) {
  uint8_t *copy = malloc(from.len ? from.len : 1);
  struct link_message m;
  if (from.len) memcpy(copy, from.data, from.len);
  int outcome = link_message_read(&m, bytes_of(copy, from.len));
  free(copy);
  return outcome;
}

static void assert_fields(const struct link_message *a, const struct link_message *b) {
  assert_true(
      a->type == b->type && a->session == b->session && a->number == b->number && a->from == b->from && a->to == b->to);
  assert_true(a->version_low == b->version_low && a->version_high == b->version_high && a->run == b->run &&
              a->answer == b->answer);
  assert_true(a->clock == b->clock && a->clock_received == b->clock_received && a->token == b->token &&
              a->time == b->time && a->scope == b->scope);
  assert_true(
      a->lane == b->lane && a->channel == b->channel && a->code == b->code && a->payload_type == b->payload_type);
  assert_true(bytes_equal(a->node, b->node) && bytes_equal(a->stream, b->stream) && bytes_equal(a->by, b->by) &&
              bytes_equal(a->reason, b->reason) && bytes_equal(a->body, b->body));
  assert_true(epoch_compare(a->epoch, b->epoch) == 0 && a->last == b->last && a->range_count == b->range_count &&
              a->run_count == b->run_count);
  assert_int_equal(a->scope_count, b->scope_count);
  assert_int_equal(a->asked, b->asked);
  assert_memory_equal(a->scopes, b->scopes, sizeof a->scopes);
  assert_memory_equal(a->old_scopes, b->old_scopes, sizeof a->old_scopes);
  assert_memory_equal(a->ranges, b->ranges, sizeof a->ranges);
  assert_memory_equal(a->runs, b->runs, sizeof a->runs);
}

static void test_round_trip(void **state) {
  bool seen[LINK_WANT + 1] = {false};
  (void)state;
  for (size_t i = 0; i < SAMPLES; i++) {
    struct buffer frame = frame_of(&samples[i]);
    struct link_message back;
    assert_int_equal(link_message_read(&back, buffer_bytes(&frame)), 0);
    assert_fields(&samples[i], &back);
    seen[back.type] = true;
    buffer_deinit(&frame);
  }
  for (int type = LINK_HELLO; type <= LINK_WANT; type++) assert_true(seen[type]);
}

/* The example in message.h. */
static void test_fixed_bytes(void **state) {
  static const uint8_t expected[] = {0x0b, 0x02, 0x01, 0, 0, 0, 0, 0, 0, 0x03, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x01};
  struct buffer frame = frame_of(&(struct link_message){.type = LINK_PING, .session = 0x0102, .token = 3, .clock = 64});
  struct link_message back;
  (void)state;
  assert_int_equal(frame.len, sizeof expected);
  assert_memory_equal(frame.data, expected, sizeof expected);
  assert_int_equal(link_message_read(&back, bytes_of(expected, sizeof expected)), 0);
  assert_true(back.session == 0x0102 && back.token == 3 && back.clock == 64);
  buffer_deinit(&frame);
}

/* A body that goes to the end may be of any length; all before it has to be there. */
static void test_cut_frames_are_malformed(void **state) {
  (void)state;
  for (size_t i = 0; i < SAMPLES; i++) {
    struct buffer frame = frame_of(&samples[i]);
    size_t needed = frame.len - samples[i].body.len;
    for (size_t len = 0; len < frame.len; len++)
      assert_int_equal(read_copy(bytes_of(frame.data, len)), len < needed ? LINK_MALFORMED : 0);
    buffer_deinit(&frame);
  }
}

static void test_trailing_fields_pass(void **state) {
  (void)state;
  for (size_t i = 0; i < SAMPLES; i++) {
    struct buffer frame = frame_of(&samples[i]);
    struct link_message back;
    if (samples[i].body.len == 0) {
      buffer_append(&frame, bytes_text("what a later version adds"));
      assert_int_equal(link_message_read(&back, buffer_bytes(&frame)), 0);
      assert_fields(&samples[i], &back);
    }
    buffer_deinit(&frame);
  }
}

static void test_unknown_type_passes(void **state) {
  struct link_message back;
  struct buffer frame = frame_of(&(struct link_message){.type = 99, .session = 5});
  (void)state;
  buffer_append(&frame, bytes_text("whatever"));
  assert_int_equal(link_message_read(&back, buffer_bytes(&frame)), 0);
  assert_true(back.type == 99 && back.session == 5 && back.body.len == 0);
  buffer_deinit(&frame);
}

/* A HELD up to its ranges, then `put` as the caller likes. */
static void held_head(struct buffer *frame, struct writer *w) {
  writer_init(w, frame, SIZE_MAX);
  writer_u8(w, LINK_HELD);
  writer_u64(w, 1);
  writer_sized(w, bytes_text("a/b"));
  writer_u64(w, 1);
  writer_u64(w, 2);
  writer_varint(w, 10);
}

static int held_with_ranges(uint64_t count, const uint64_t *numbers, size_t n) {
  struct buffer frame = BUFFER_NULL;
  struct writer w;
  held_head(&frame, &w);
  writer_varint(&w, count);
  for (size_t i = 0; i < n; i++) writer_varint(&w, numbers[i]);
  writer_varint(&w, 0); /* no runs */
  writer_varint(&w, 1);
  writer_u64(&w, 77);
  int outcome = read_copy(buffer_bytes(&frame));
  buffer_deinit(&frame);
  return outcome;
}

static void test_hostile_ranges(void **state) {
  uint64_t twos[2 * (LINK_RANGES_MAX + 1)];
  (void)state;
  for (size_t i = 0; i < sizeof twos / sizeof twos[0]; i++) twos[i] = 2;
  assert_int_equal(held_with_ranges(LINK_RANGES_MAX, twos, 2 * LINK_RANGES_MAX), 0);
  assert_int_equal(held_with_ranges(LINK_RANGES_MAX + 1, twos, 2 * (LINK_RANGES_MAX + 1)), LINK_MALFORMED);
  assert_int_equal(held_with_ranges(UINT64_MAX, twos, 4), LINK_MALFORMED);
  /* ends before it begins */
  assert_int_equal(held_with_ranges(1, (const uint64_t[]){5, UINT64_MAX}, 2), LINK_MALFORMED);
  /* begins inside the one before */
  assert_int_equal(held_with_ranges(2, (const uint64_t[]){5, 5, 0, 3}, 4), LINK_MALFORMED);
  assert_int_equal(held_with_ranges(2, (const uint64_t[]){5, 5, UINT64_MAX - 2, 3}, 4), LINK_MALFORMED); /* wraps */
}

static void test_hostile_runs(void **state) {
  (void)state;
  for (uint64_t count = LINK_RUNS_MAX; count <= LINK_RUNS_MAX + 1; count++) {
    struct buffer frame = BUFFER_NULL;
    struct writer w;
    held_head(&frame, &w);
    writer_varint(&w, 0);
    writer_varint(&w, count);
    for (uint64_t i = 0; i < count; i++) {
      writer_u64(&w, i);
      writer_varint(&w, i + 1);
    }
    writer_varint(&w, 1);
    writer_u64(&w, 77);
    assert_int_equal(read_copy(buffer_bytes(&frame)), count > LINK_RUNS_MAX ? LINK_MALFORMED : 0);
    buffer_deinit(&frame);
  }
}

static void test_hostile_scopes(void **state) {
  (void)state;
  for (uint64_t count = LINK_FEEDS_MAX; count <= LINK_FEEDS_MAX + 1; count++) {
    struct buffer frame = BUFFER_NULL;
    struct writer w;
    writer_init(&w, &frame, SIZE_MAX);
    writer_u8(&w, LINK_HELLO);
    writer_u64(&w, 1);
    writer_varint(&w, LINK_VERSION);
    writer_varint(&w, LINK_VERSION);
    writer_u64(&w, 2);
    writer_u64(&w, 0);
    writer_zigzag(&w, 5);
    writer_sized(&w, bytes_text("a"));
    writer_varint(&w, count);
    for (uint64_t i = 0; i < 2 * count; i++) writer_u64(&w, i);
    assert_int_equal(read_copy(buffer_bytes(&frame)), count > LINK_FEEDS_MAX ? LINK_MALFORMED : 0);
    buffer_deinit(&frame);
  }
}

static void assert_refused(const struct link_message *m) {
  struct buffer frame = frame_of(m);
  assert_int_equal(read_copy(buffer_bytes(&frame)), LINK_MALFORMED);
  buffer_deinit(&frame);
}

static void test_hostile_fields(void **state) {
  (void)state;
  assert_refused(
      &(struct link_message){.type = LINK_BLOCK, .session = 1, .number = 1, .lane = LANES, .from = 1, .to = 1});
  assert_refused(&(struct link_message){.type = LINK_ACK, .session = 1, .channel = 2, .number = 1, .to = 1});
  assert_refused(&(struct link_message){.type = LINK_ACK, .session = 1, .channel = 0, .number = 9, .to = 8});
  assert_refused(&(struct link_message){.type = LINK_CLAIM, .session = 1, .stream = TEXT("a"), .from = 9, .to = 8});
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_round_trip),
      cmocka_unit_test(test_fixed_bytes),
      cmocka_unit_test(test_cut_frames_are_malformed),
      cmocka_unit_test(test_trailing_fields_pass),
      cmocka_unit_test(test_unknown_type_passes),
      cmocka_unit_test(test_hostile_ranges),
      cmocka_unit_test(test_hostile_runs),
      cmocka_unit_test(test_hostile_scopes),
      cmocka_unit_test(test_hostile_fields),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
