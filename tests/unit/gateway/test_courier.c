/* The client for commands against an MQTT broker that greets and then reads nothing. */
#include "gateway/courier.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include <arpa/inet.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

enum { LARGE = 32 * 1024 * 1024 };

static struct buffer said; /* "id outcome " */

static void published(void *ctx, const char *id, enum order_publish outcome) {
  (void)ctx;
  buffer_printf(&said, "%s %d ", id, (int)outcome);
}

/* One turn of the thread, at its own time plus `later`. */
static void turn(struct courier *courier, int64_t later) {
  struct pollfd polls = {.fd = -1};
  (void)courier_poll(courier, &polls.fd, &polls.events);
  (void)poll(&polls, 1, 20);
  courier_run(courier, polls.revents, world_now(&world_system).mono + later);
}

static void test_a_stalled_command_is_not_delivered(void **state) {
  static const uint8_t connack[] = {0x20, 3, 0, 0, 0};
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t len = sizeof at;
  int listener = socket(AF_INET, SOCK_STREAM, 0), small = 4096;
  uint8_t part[4096];
  size_t got = 0;
  struct courier courier;
  (void)state;
  (void)setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
  assert_int_equal(listen(listener, 1), 0);
  assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
  const struct gateway_mqtt config = {.host = "127.0.0.1", .port = ntohs(at.sin_port), .client_id = "test"};
  const struct gateway_config controls = {.device_count = 0};
  courier_init(&courier, &config, &controls, &world_system);
  courier.published = published;
  turn(&courier, 0);
  int door = accept(listener, NULL, NULL);
  assert_int_equal(write(door, connack, sizeof connack), sizeof connack);
  for (int i = 0; i < 500 && !courier_is_ready(&courier); i++) turn(&courier, 0);
  assert_true(courier_is_ready(&courier));
  uint8_t *large = mem_alloc(LARGE);
  courier_publish(&courier, "c1", "gates/1/set", 1, bytes_of(large, LARGE), 60);
  turn(&courier, 0);
  assert_int_equal(said.len, 0);
  courier_publish(&courier, "c2", "gates/1/set", 1, bytes_text("x"), 60); /* nothing goes behind it */
  assert_string_equal(buffer_text(&said), "c2 4 ");
  turn(&courier, 100 * MILLISECOND_US);
  assert_string_equal(buffer_text(&said), "c2 4 ");
  turn(&courier, COURIER_STALL_US);
  assert_string_equal(buffer_text(&said), "c2 4 c1 4 ");
  assert_false(courier_is_ready(&courier));
  for (ssize_t n; (n = read(door, part, sizeof part)) > 0;) got += (size_t)n;
  assert_true(got < LARGE); /* what had left is not the whole packet */
  courier_deinit(&courier);
  free(large);
  buffer_deinit(&said);
  close(door);
  close(listener);
}

int main(void) {
  log_set_level(LOG_LEVEL_ERROR);
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_stalled_command_is_not_delivered)};
  mosquitto_lib_init();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
