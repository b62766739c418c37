/* The door is driven by this test's own thread: a client socket on one side, http_run on the other. */
#include "common/http/http.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static const char *problem;
static void metrics(void *ctx, struct buffer *out) {
  (void)ctx;
  buffer_printf(out, "riverbus_test 1\n");
}
static const char *health(void *ctx) {
  (void)ctx;
  return problem;
}

static struct http *open_door(uint16_t *port) {
  struct http *http = NULL;
  char bound[320];
  const char *why = NULL;
  const struct http_options options = {.host = "127.0.0.1", .metrics = metrics, .health = health};
  assert_int_equal(http_new(&http, &options, bound, &why), 0);
  *port = (uint16_t)strtoul(strrchr(bound, ':') + 1, NULL, 10);
  assert_true(*port > 0);
  return http;
}

/* Sends the request and turns the door's crank until it closes the connection. */
static void ask(struct http *http, uint16_t port, const char *request, char *answer, size_t size) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
  assert_int_equal(send(fd, request, strlen(request), 0), (ssize_t)strlen(request));
  size_t len = 0;
  for (;;) {
    struct pollfd wait[2] = {{.fd = fd, .events = POLLIN}, {.fd = http_fd(http), .events = POLLIN}};
    assert_true(poll(wait, 2, 5000) > 0);
    http_run(http);
    if (!(wait[0].revents & (POLLIN | POLLHUP))) continue;
    ssize_t got = recv(fd, answer + len, size - 1 - len, 0);
    if (got <= 0) break;
    len += (size_t)got;
  }
  answer[len] = 0;
  close(fd);
}

static void test_pages(void **state) {
  (void)state;
  uint16_t port;
  char answer[4096];
  struct http *http = open_door(&port);
  ask(http, port, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", answer, sizeof answer);
  assert_non_null(strstr(answer, " 200 "));
  assert_non_null(strstr(answer, "riverbus_test 1\n"));
  problem = NULL;
  ask(http, port, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", answer, sizeof answer);
  assert_non_null(strstr(answer, " 200 "));
  problem = "no link to the broker";
  ask(http, port, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", answer, sizeof answer);
  assert_non_null(strstr(answer, " 503 "));
  assert_non_null(strstr(answer, "no link to the broker"));
  ask(http, port, "GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", answer, sizeof answer);
  assert_non_null(strstr(answer, " 404 "));
  ask(http, port, "POST /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", answer,
      sizeof answer);
  assert_non_null(strstr(answer, " 405 "));
  http_free(http);
}

static void test_refusals(void **state) {
  (void)state;
  uint16_t port;
  struct http *first = open_door(&port), *second = NULL;
  char bound[320];
  const char *why = NULL;
  const struct http_options taken = {.host = "192.0.2.1", .port = 1, .metrics = metrics, .health = health};
  assert_int_equal(http_new(&second, &taken, bound, &why), HTTP_REFUSED);
  const struct http_options name = {.host = "no.such.host", .metrics = metrics, .health = health};
  assert_int_equal(http_new(&second, &name, bound, &why), HTTP_REFUSED);
  assert_string_equal(why, "the host is not a numeric address");
  http_free(first);
  assert_null(http_free(NULL));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_pages), cmocka_unit_test(test_refusals)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
