/* Sessions of operators: the greeting, windows, what waits for a full socket, who is dropped. */
#include "common/door/requests.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct {
  struct instant now;
  bool full, closed, known;
  int replies, lasts, pongs, welcomes, more, ends;
  size_t sent_rows;
  char code[32];
} seen;

static struct instant now(void *ctx) {
  (void)ctx;
  return seen.now;
}
static const struct world world = {.now = now};

static enum requests_send take_frame(void *ctx, uint64_t conn, struct bytes frame) {
  struct request_message m;
  (void)ctx, (void)conn;
  if (seen.full) return REQUESTS_FULL;
  assert_int_equal(request_read(&m, frame), 0);
  if (m.type == REQUEST_WELCOME) seen.welcomes++;
  if (m.type == REQUEST_PONG) seen.pongs++;
  if (m.type != REQUEST_REPLY) return REQUESTS_SENT;
  seen.replies++;
  seen.lasts += m.last;
  json_t *body = json_loadb((const char *)m.body.data, m.body.len, 0, NULL);
  const char *code = json_string_value(json_object_get(json_object_get(body, "error"), "code"));
  snprintf(seen.code, sizeof seen.code, "%s", code ? code : "");
  json_decref(body);
  return REQUESTS_SENT;
}
static void closed(void *ctx, uint64_t conn) {
  (void)ctx, (void)conn;
  seen.closed = true;
}
static const struct requester *requester(void *ctx, const char *principal) {
  static const struct requester duty = {"duty", NULL};
  (void)ctx, (void)principal;
  return seen.known ? &duty : NULL;
}

static const char row[] = "{\"row\":\"0123456789\"}"; /* 20 bytes */
static void rows_more(void *ctx, struct request *request) {
  (void)ctx;
  seen.more++;
  while (seen.sent_rows < 100 && request_rows(request, bytes_text(row))) seen.sent_rows++;
  if (seen.sent_rows == 100) request_reply(request, json_object(), true);
}
static void rows_start(void *ctx, struct request *request, const json_t *body) {
  (void)body;
  rows_more(ctx, request);
}
static void rows_end(void *ctx, struct request *request) {
  (void)ctx, (void)request;
  seen.ends++;
}
static void talk_start(void *ctx, struct request *request, const json_t *body) {
  (void)ctx;
  for (json_int_t i = json_integer_value(json_object_get(body, "times")); i > 0; i--)
    request_reply(
        request, json_pack("{s:s}", "text", "a state that must not be lost, however full the socket is"), false);
}
static const struct request_verb verbs[] = {{.name = "rows", .start = rows_start, .more = rows_more, .end = rows_end},
    {.name = "talk", .start = talk_start}, {0}};

static struct requests *requests;

static int setup(void **state) {
  (void)state;
  memset(&seen, 0, sizeof seen);
  seen.known = true;
  seen.now.mono = 1000000;
  struct requests_hooks hooks = {.send = take_frame, .close = closed, .requester = requester, .verbs = verbs};
  requests = requests_new("chongqing", &world, &hooks);
  return 0;
}
static int teardown(void **state) {
  (void)state;
  requests = requests_free(requests);
  return 0;
}

static void send_in(struct request_message m) {
  struct buffer frame = BUFFER_NULL;
  assert_int_equal(request_write(&frame, &m), 0);
  requests_receive(requests, "operator duty", 1, buffer_bytes(&frame));
  buffer_deinit(&frame);
}
static void greet(void) { send_in((struct request_message){.type = REQUEST_HELLO, .version = REQUEST_VERSION}); }
static void request(uint64_t id, uint64_t window, const char *body) {
  send_in((struct request_message){.type = REQUEST_REQUEST, .id = id, .window = window, .body = bytes_text(body)});
}

static void test_greeting_first(void **state) {
  (void)state;
  request(1, 1000, "{\"verb\":\"rows\"}");
  request(2, 1000, "{\"verb\":\"rows\"}");
  assert_int_equal(seen.replies, 1); /* told once */
  assert_string_equal(seen.code, "session");
  assert_int_equal(requests_malformed(requests), 2);
  send_in((struct request_message){.type = REQUEST_HELLO, .version = REQUEST_VERSION + 1});
  assert_int_equal(seen.welcomes, 0);
  assert_string_equal(seen.code, "unsupported");
  greet();
  assert_int_equal(seen.welcomes, 1);
  send_in((struct request_message){.type = REQUEST_PING, .token = 4});
  assert_int_equal(seen.pongs, 1);
}

static void test_window(void **state) {
  (void)state;
  greet();
  request(1, 50, "{\"verb\":\"rows\"}");
  assert_int_equal(seen.sent_rows, 3); /* 20 + 20, and one more that the last 10 bytes are lent for */
  send_in((struct request_message){.type = REQUEST_CREDIT, .id = 1, .window = 20});
  assert_int_equal(seen.sent_rows, 4);
  send_in((struct request_message){.type = REQUEST_CREDIT, .id = 9, .window = 2000}); /* no such request */
  assert_int_equal(seen.sent_rows, 4);
  send_in((struct request_message){.type = REQUEST_CREDIT, .id = 1, .window = UINT64_MAX});
  assert_int_equal(seen.sent_rows, 100);
  assert_int_equal(seen.lasts, 1);
  assert_int_equal(seen.ends, 1);
}

static void test_full_socket(void **state) {
  (void)state;
  greet();
  seen.full = true;
  request(1, 100000, "{\"verb\":\"rows\"}");
  request(2, 100000, "{\"verb\":\"talk\",\"times\":3}");
  requests_tick(requests);
  assert_int_equal(seen.replies, 0);
  seen.full = false;
  requests_tick(requests);
  assert_int_equal(seen.replies, 3 + 100 + 1); /* what waited, then the rows and their end */
}

static void test_who_does_not_read_is_cut(void **state) {
  (void)state;
  greet();
  seen.full = true;
  request(2, 100000, "{\"verb\":\"talk\",\"times\":9000}");
  requests_tick(requests);
  assert_true(seen.closed);
  assert_int_equal(requests_sessions(requests), 0);
}

static void test_silence(void **state) {
  (void)state;
  greet();
  request(1, 20, "{\"verb\":\"rows\"}");
  seen.now.mono += REQUEST_DEAD_US - 1;
  requests_tick(requests);
  assert_int_equal(requests_sessions(requests), 1);
  seen.now.mono += 2;
  requests_tick(requests);
  assert_int_equal(requests_sessions(requests), 0);
  assert_int_equal(seen.ends, 1);
  assert_true(seen.closed);
}

static void test_revoked_and_unknown(void **state) {
  (void)state;
  greet();
  request(1, 20, "{\"verb\":\"dance\"}");
  assert_string_equal(seen.code, "unsupported");
  request(2, 20, "not json");
  assert_string_equal(seen.code, "malformed");
  request(3, 20, "{\"verb\":\"rows\"}");
  send_in((struct request_message){.type = REQUEST_CANCEL, .id = 3});
  assert_int_equal(seen.ends, 1);
  seen.known = false;
  requests_recheck(requests);
  assert_true(seen.closed);
  seen.closed = false;
  greet();
  assert_true(seen.closed);
  assert_int_equal(requests_sessions(requests), 0);
}

static void test_too_many(void **state) {
  (void)state;
  greet();
  for (uint64_t id = 1; id <= SESSION_REQUESTS_MAX; id++) request(id, 0, "{\"verb\":\"rows\"}");
  assert_int_equal(seen.replies, 0);
  request(SESSION_REQUESTS_MAX + 1, 0, "{\"verb\":\"rows\"}");
  assert_string_equal(seen.code, "full");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_greeting_first, setup, teardown),
      cmocka_unit_test_setup_teardown(test_window, setup, teardown),
      cmocka_unit_test_setup_teardown(test_full_socket, setup, teardown),
      cmocka_unit_test_setup_teardown(test_who_does_not_read_is_cut, setup, teardown),
      cmocka_unit_test_setup_teardown(test_silence, setup, teardown),
      cmocka_unit_test_setup_teardown(test_revoked_and_unknown, setup, teardown),
      cmocka_unit_test_setup_teardown(test_too_many, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
