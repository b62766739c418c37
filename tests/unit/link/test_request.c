/* The operators' protocol: every message type goes through and comes back, no cut or altered frame is taken for a good
 * one. */
#include "common/link/request.h"
#include "common/record/block.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static const uint8_t block[] = {1, 2, 3};

static const struct request_message samples[] = {
    {.type = REQUEST_HELLO, .version = 1, .clock = -5, .program = {(const uint8_t *)"riverbus 1", 10}},
    {.type = REQUEST_WELCOME,
        .version = 1,
        .clock = 1700000000000000,
        .node = {(const uint8_t *)"chongqing", 9},
        .name = {(const uint8_t *)"值班", 6}},
    {.type = REQUEST_PING, .token = 7, .clock = 1},
    {.type = REQUEST_PONG, .token = UINT64_MAX, .clock = 2},
    {.type = REQUEST_REQUEST, .id = 3, .window = 65536, .body = {(const uint8_t *)"{}", 2}},
    {.type = REQUEST_COMMAND, .id = 4, .window = 65536, .body = {block, 3}},
    {.type = REQUEST_REPLY, .id = 4, .last = true, .body = {(const uint8_t *)"{\"a\":1}", 7}},
    {.type = REQUEST_RECORDS, .id = 5, .lane = LANE_BACKFILL, .position = 1234567, .body = {block, 3}},
    {.type = REQUEST_CREDIT, .id = 5, .window = 999},
    {.type = REQUEST_ACK, .id = 5, .lane = LANE_LIVE, .position = 12, .within = 300},
    {.type = REQUEST_CANCEL, .id = 5},
};
enum { SAMPLES = sizeof samples / sizeof samples[0] };

static void assert_same(const struct request_message *a, const struct request_message *b) {
  assert_int_equal(a->type, b->type);
  assert_true(a->version == b->version && a->clock == b->clock && a->token == b->token);
  assert_true(a->id == b->id && a->window == b->window && a->last == b->last && a->lane == b->lane &&
              a->position == b->position && a->within == b->within);
  assert_true(bytes_equal(a->program, b->program) && bytes_equal(a->node, b->node));
  assert_true(bytes_equal(a->name, b->name) && bytes_equal(a->body, b->body));
}

static void test_round_trip(void **state) {
  (void)state;
  assert_int_equal(SAMPLES, REQUEST_TYPES_END - REQUEST_HELLO);
  for (size_t i = 0; i < SAMPLES; i++) {
    struct buffer frame = BUFFER_NULL;
    struct request_message back;
    assert_int_equal(request_write(&frame, &samples[i]), 0);
    assert_int_equal(request_read(&back, buffer_bytes(&frame)), 0);
    assert_same(&samples[i], &back);
    buffer_deinit(&frame);
  }
}

/* Copies of exact size, so that the address sanitizer sees a read past the end. */
static int read_copy(const uint8_t *data, size_t len) {
  uint8_t *copy = malloc(len ? len : 1);
  if (len) memcpy(copy, data, len);
  struct request_message message;
  int outcome = request_read(&message, bytes_of(copy, len));
  free(copy);
  return outcome;
}

static void test_cut_and_longer(void **state) {
  (void)state;
  for (size_t i = 0; i < SAMPLES; i++) {
    struct buffer frame = BUFFER_NULL;
    request_write(&frame, &samples[i]);
    for (size_t len = 0; len < frame.len; len++) assert_int_equal(read_copy(frame.data, len), REQUEST_MALFORMED);
    buffer_append(&frame, bytes_text("x"));
    assert_int_equal(read_copy(frame.data, frame.len), REQUEST_MALFORMED);
    buffer_deinit(&frame);
  }
}

static void test_bad_fields(void **state) {
  (void)state;
  static const struct {
    uint8_t bytes[8];
    size_t len;
  } bad[] = {
      {{127, 1}, 2},                       /* a link message */
      {{REQUEST_TYPES_END, 1}, 2},         /* unknown */
      {{REQUEST_REPLY, 1, 2, 0}, 4},       /* last is 0 or 1 */
      {{REQUEST_ACK, 1, LANES, 1}, 4},     /* no such lane */
      {{REQUEST_HELLO, 1, 0, 1, 0xff}, 5}, /* a name that is not UTF-8 */
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    assert_int_equal(read_copy(bad[i].bytes, bad[i].len), REQUEST_MALFORMED);
}

/* One byte more than the limit is refused on both sides, and leaves the buffer as it was. */
static void test_limits(void **state) {
  (void)state;
  static uint8_t big[REQUEST_JSON_MAX + 1];
  struct request_message m = {.type = REQUEST_REPLY, .id = 1, .body = bytes_of(big, REQUEST_JSON_MAX)};
  struct buffer frame = BUFFER_NULL;
  assert_int_equal(request_write(&frame, &m), 0);
  assert_int_equal(read_copy(frame.data, frame.len), 0);
  size_t before = frame.len;
  m.body.len++;
  assert_int_equal(request_write(&frame, &m), REQUEST_MALFORMED);
  assert_int_equal(frame.len, before);
  m = (struct request_message){.type = REQUEST_COMMAND, .id = 1, .body = bytes_of(big, REQUEST_COMMAND_MAX + 1)};
  assert_int_equal(request_write(&frame, &m), REQUEST_MALFORMED);
  m = (struct request_message){.type = REQUEST_RECORDS, .id = 1, .body = bytes_of(big, BLOCK_MAX + 1)};
  assert_int_equal(request_write(&frame, &m), REQUEST_MALFORMED);
  buffer_deinit(&frame);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_round_trip),
      cmocka_unit_test(test_cut_and_longer),
      cmocka_unit_test(test_bad_fields),
      cmocka_unit_test(test_limits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
