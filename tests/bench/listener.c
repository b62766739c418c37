/*
 * A bare libmosquitto subscriber: what P3 is compared with. For tests/bench/run.
 *
 *   bench_listener --port N --count N
 *
 * MQTT 5, QoS 1, topics river/#. Says "ready" when the subscription is answered and "done" when `count` messages came.
 */
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t count, came;

static void say(const char *word) {
  printf("%s\n", word);
  fflush(stdout);
}

static void on_connect(struct mosquitto *mosq, void *ctx, int reason) {
  (void)ctx;
  if (reason != 0 || mosquitto_subscribe(mosq, NULL, "river/#", 1) != MOSQ_ERR_SUCCESS) exit(1);
}

static void on_subscribe(struct mosquitto *mosq, void *ctx, int mid, int granted_count, const int *granted) {
  (void)mosq, (void)ctx, (void)mid, (void)granted_count;
  if (granted[0] != 1) exit(1);
  say("ready");
}

static void on_message(struct mosquitto *mosq, void *ctx, const struct mosquitto_message *message) {
  (void)mosq, (void)ctx, (void)message;
  if (++came == count) say("done");
}

static uint64_t argument(int argc, char **argv, const char *name, uint64_t otherwise) {
  for (int i = 1; i + 1 < argc; i++)
    if (strcmp(argv[i], name) == 0) return strtoull(argv[i + 1], NULL, 10);
  return otherwise;
}

int main(int argc, char **argv) {
  count = argument(argc, argv, "--count", 1000);
  mosquitto_lib_init();
  struct mosquitto *mosq = mosquitto_new("bench-listener", true, NULL);
  if (!mosq) return 1;
  mosquitto_int_option(mosq, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
  mosquitto_int_option(mosq, MOSQ_OPT_RECEIVE_MAXIMUM, 2000);
  mosquitto_connect_callback_set(mosq, on_connect);
  mosquitto_subscribe_callback_set(mosq, on_subscribe);
  mosquitto_message_callback_set(mosq, on_message);
  if (mosquitto_connect(mosq, "127.0.0.1", (int)argument(argc, argv, "--port", 1883), 60) != MOSQ_ERR_SUCCESS) return 1;
  mosquitto_loop_forever(mosq, -1, 1); /* until its starter ends it */
  mosquitto_destroy(mosq);
  return came >= count ? 0 : 1;
}
