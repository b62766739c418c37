/*
 * Producer or consumer at a RabbitMQ, with publisher confirms and consumer acknowledgements. For tests/bench/peers.
 *
 *   bench_client_rabbit publish|consume --port N --count N      (as guest; into the queue edge, out of the queue hub)
 *
 * publish: sends reading 0, says "ready", waits for a line, publishes 1 to count, WINDOW of them unconfirmed at most,
 * and says "published" when all are confirmed. consume: says "ready" when reading 0 came and "done" when all others
 * did, each once.
 */
#include "tests/bench/clients/reading.h"
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

enum { WINDOW = 2000, PREFETCH = 2000, ACK_EVERY = 500, CHANNEL = 1, PATIENCE_S = 60 };

static void need(bool good, const char *what) {
  if (good) return;
  fprintf(stderr, "bench_client_rabbit: %s failed\n", what);
  exit(1);
}

static void need_reply(amqp_connection_state_t rabbit, const char *what) {
  need(amqp_get_rpc_reply(rabbit).reply_type == AMQP_RESPONSE_NORMAL, what);
}

static amqp_connection_state_t open_channel(int port) {
  amqp_connection_state_t rabbit = amqp_new_connection();
  amqp_socket_t *socket = amqp_tcp_socket_new(rabbit);
  need(socket && amqp_socket_open(socket, "127.0.0.1", port) == 0, "connecting");
  need(amqp_login(rabbit, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest").reply_type ==
           AMQP_RESPONSE_NORMAL,
      "login");
  amqp_channel_open(rabbit, CHANNEL);
  need_reply(rabbit, "channel");
  return rabbit;
}

static void publish(amqp_connection_state_t rabbit, const char *queue, uint64_t number) {
  char text[READING_MAX];
  const amqp_basic_properties_t properties = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG, .delivery_mode = 2};
  amqp_bytes_t body = {.len = reading_write(text, number), .bytes = text};
  need(amqp_basic_publish(rabbit, CHANNEL, amqp_empty_bytes, amqp_cstring_bytes(queue), 0, 0, &properties, body) == 0,
      "publish");
}

/* Confirms come singly or for all up to a number, and in any order. */
struct confirms {
  uint8_t *seen; /* by delivery tag, from 1 */
  uint64_t up_to, total;
};

static void confirm(struct confirms *confirms, uint64_t tag) {
  if (confirms->seen[tag]) return;
  confirms->seen[tag] = 1;
  confirms->total++;
}

static void take_confirm(amqp_connection_state_t rabbit, struct confirms *confirms) {
  amqp_frame_t frame;
  need(amqp_simple_wait_frame_noblock(rabbit, &frame, &(struct timeval){.tv_sec = PATIENCE_S}) == AMQP_STATUS_OK,
      "waiting for a confirm");
  need(frame.frame_type == AMQP_FRAME_METHOD && frame.payload.method.id == AMQP_BASIC_ACK_METHOD, "a confirm");
  const amqp_basic_ack_t *ack = frame.payload.method.decoded;
  uint64_t tag = ack->delivery_tag;
  for (uint64_t n = confirms->up_to + 1; ack->multiple && n < tag; n++) confirm(confirms, n);
  confirm(confirms, tag);
  while (confirms->seen[confirms->up_to + 1]) confirms->up_to++;
  amqp_maybe_release_buffers(rabbit);
}

static void producer(amqp_connection_state_t rabbit, uint64_t count) {
  struct confirms confirms = {.seen = calloc(count + 3, 1)};
  need(confirms.seen, "memory");
  amqp_confirm_select(rabbit, CHANNEL);
  need_reply(rabbit, "confirms");
  publish(rabbit, "edge", 0);
  take_confirm(rabbit, &confirms);
  say("ready");
  wait_for_go();
  for (uint64_t n = 1; n <= count; n++) {
    while (n - confirms.total >= WINDOW) take_confirm(rabbit, &confirms);
    publish(rabbit, "edge", n);
  }
  while (confirms.total < count + 1) take_confirm(rabbit, &confirms);
  say("published");
  free(confirms.seen);
}

static void consumer(amqp_connection_state_t rabbit, uint64_t count) {
  struct tally tally;
  uint64_t unacked = 0;
  tally_init(&tally, count);
  amqp_basic_qos(rabbit, CHANNEL, 0, PREFETCH, 0);
  need_reply(rabbit, "prefetch");
  amqp_basic_consume(rabbit, CHANNEL, amqp_cstring_bytes("hub"), amqp_empty_bytes, 0, 0, 0, amqp_empty_table);
  need_reply(rabbit, "consume");
  for (bool all = false; !all;) {
    amqp_envelope_t envelope;
    amqp_maybe_release_buffers(rabbit);
    need(amqp_consume_message(rabbit, &envelope, &(struct timeval){.tv_sec = PATIENCE_S}, 0).reply_type ==
             AMQP_RESPONSE_NORMAL,
        "waiting for a reading");
    all = tally_take(&tally, envelope.message.body.bytes, envelope.message.body.len);
    if (++unacked >= ACK_EVERY || all || tally.came == 0) {
      amqp_basic_ack(rabbit, CHANNEL, envelope.delivery_tag, 1);
      unacked = 0;
    }
    amqp_destroy_envelope(&envelope);
  }
  tally_deinit(&tally);
}

int main(int argc, char **argv) {
  uint64_t count = argument(argc, argv, "--count", 1000);
  if (argc < 2) return 2;
  amqp_connection_state_t rabbit = open_channel((int)argument(argc, argv, "--port", 5672));
  if (strcmp(argv[1], "publish") == 0)
    producer(rabbit, count);
  else
    consumer(rabbit, count);
  amqp_destroy_connection(rabbit);
  return 0;
}
