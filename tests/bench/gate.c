/*
 * A gate that answers at once: for the latency of commands. For tests/bench/run.
 *
 *   bench_gate --port N
 *
 * Listens at gates/1/set for {"id":...,"pos":...}; answers at gates/1/reply with {"id":...,"ok":true} and says where it
 * stands at gates/1/state, both with QoS 1. Says "ready" when it listens.
 */
#include <jansson.h>
#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void publish(struct mosquitto *mosq, const char *topic, json_t *body) {
  char *text = json_dumps(body, JSON_COMPACT);
  if (!text || mosquitto_publish(mosq, NULL, topic, (int)strlen(text), text, 1, false) != MOSQ_ERR_SUCCESS) exit(1);
  free(text);
  json_decref(body);
}

static void on_connect(struct mosquitto *mosq, void *ctx, int reason) {
  (void)ctx;
  if (reason != 0 || mosquitto_subscribe(mosq, NULL, "gates/1/set", 1) != MOSQ_ERR_SUCCESS) exit(1);
}

static void on_subscribe(struct mosquitto *mosq, void *ctx, int mid, int count, const int *granted) {
  (void)ctx, (void)mid, (void)count, (void)granted;
  publish(mosq, "gates/1/state", json_pack("{s:i}", "pos", 0));
  puts("ready");
  fflush(stdout);
}

static void on_message(struct mosquitto *mosq, void *ctx, const struct mosquitto_message *message) {
  json_t *order = json_loadb(message->payload, (size_t)message->payloadlen, 0, NULL);
  (void)ctx;
  if (!order) exit(1);
  publish(mosq, "gates/1/reply", json_pack("{s:O,s:b}", "id", json_object_get(order, "id"), "ok", 1));
  publish(mosq, "gates/1/state", json_pack("{s:O}", "pos", json_object_get(order, "pos")));
  json_decref(order);
}

int main(int argc, char **argv) {
  int port = argc == 3 && strcmp(argv[1], "--port") == 0 ? atoi(argv[2]) : 0;
  mosquitto_lib_init();
  struct mosquitto *mosq = mosquitto_new("bench-gate", true, NULL);
  if (!mosq || !port) return 1;
  mosquitto_int_option(mosq, MOSQ_OPT_TCP_NODELAY, 1);
  mosquitto_connect_callback_set(mosq, on_connect);
  mosquitto_subscribe_callback_set(mosq, on_subscribe);
  mosquitto_message_callback_set(mosq, on_message);
  if (mosquitto_connect(mosq, "127.0.0.1", port, 60) != MOSQ_ERR_SUCCESS) return 1;
  int result = mosquitto_loop_forever(mosq, -1, 1); /* until its starter ends it */
  mosquitto_destroy(mosq);
  return result;
}
