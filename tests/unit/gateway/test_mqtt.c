/*
 * The thread of the MQTT clients, without an MQTT broker: its connect hangs, since nobody takes the connections that
 * fill the listener's queue.
 */
#include "gateway/mqtt.h"
#include "common/base/log.h"
#include <arpa/inet.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <mosquitto.h>
#include <cmocka.h>

enum { FILLERS = 4 };

struct wall {
  int listener, fillers[FILLERS];
  uint16_t port;
};

static void wall_build(struct wall *wall) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t len = sizeof at;
  wall->listener = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(bind(wall->listener, (struct sockaddr *)&at, sizeof at), 0);
  assert_int_equal(listen(wall->listener, 0), 0);
  assert_int_equal(getsockname(wall->listener, (struct sockaddr *)&at, &len), 0);
  wall->port = ntohs(at.sin_port);
  for (int i = 0; i < FILLERS; i++) {
    wall->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    (void)connect(wall->fillers[i], (struct sockaddr *)&at, sizeof at);
  }
}

static void wall_fall(struct wall *wall) {
  for (int i = 0; i < FILLERS; i++) close(wall->fillers[i]);
  close(wall->listener);
}

static void drain(struct mqtt *mqtt, const char *id) {
  struct pollfd waits = {.fd = mqtt_fd(mqtt), .events = POLLIN};
  struct mqtt_event *event;
  assert_int_equal(poll(&waits, 1, 30000), 1);
  assert_non_null(event = mqtt_next(mqtt));
  assert_int_equal(event->kind, MQTT_EVENT_PUBLISHED);
  assert_string_equal(buffer_text(&event->id), id);
  assert_int_equal(event->outcome, ORDER_NOT_CONNECTED);
  mqtt_event_free(event);
}

static bool is_answered(struct mqtt *mqtt) {
  struct pollfd waits = {.fd = mqtt_fd(mqtt), .events = POLLIN};
  mqtt_publish(mqtt, bytes_text("first"), "t", 1, bytes_text("x"), 60 * SECOND_US);
  bool answered = poll(&waits, 1, 1000) == 1;
  if (answered) mqtt_event_free(mqtt_next(mqtt));
  return answered;
}

/* Clients that hang are left without a wait, and what they had not begun to publish is answered by their heirs. */
static void test_leaving_does_not_wait(void **state) {
  struct wall wall;
  struct gateway_config config = {.mqtt = {.host = "127.0.0.1", .client_id = "test"}};
  struct mqtt *old, *heir;
  (void)state;
  wall_build(&wall);
  config.mqtt.port = wall.port;
  assert_int_equal(mqtt_new(&old, &config, &world_system), 0);
  while (is_answered(old)) continue; /* then it hangs, with one command that it has not heard */
  config.mqtt.port = 1;              /* nobody there: refused at once */
  assert_int_equal(mqtt_new(&heir, &config, &world_system), 0);
  int64_t before = world_now(&world_system).mono;
  mqtt_leave(old, heir);
  assert_true(world_now(&world_system).mono - before < 900 * MILLISECOND_US);
  drain(heir, "first");
  heir = mqtt_free(heir);
  wall_fall(&wall); /* and the old thread ends */
}

int main(void) {
  log_set_level(LOG_LEVEL_ERROR);
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_leaving_does_not_wait)};
  mosquitto_lib_init();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
