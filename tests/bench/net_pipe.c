/*
 * What common/net costs over raw libzmq, in the same run: 64 KiB batches, DEALER to ROUTER over TCP loopback, CURVE on
 * both.
 *
 *   bench_net_pipe [--seconds N] [--rounds N]
 *
 * raw: blocking zmq_send and zmq_recv, libzmq's own defaults for everything but CURVE and high water: the limit. net:
 * the shell with its checks of every message, a window of unacknowledged batches and acknowledgements back, as a link
 * has it. Rounds alternate; the median of each and their ratio are printed. Then the round trip of one small message on
 * the urgent channel, while nothing else runs, likewise for both. Messages are counted as 128-byte readings in the
 * batch.
 */
#include "common/base/mem.h"
#include "common/net/net.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <zmq.h>

enum { BATCH = 64 * 1024, MESSAGE = 128, WINDOW = 64, ACK_EVERY = 8, HIGH_WATER = 256, PINGS = 2000, ROUNDS_MAX = 99 };

static double seconds = 3;
static int rounds = 3;
static struct identity_transport server_keys, client_keys;

static double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void require(bool good, const char *what) {
  if (good) return;
  fprintf(stderr, "bench_net_pipe: %s: %s\n", what, zmq_strerror(zmq_errno()));
  exit(1);
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}
static double quantile(double *values, size_t count, double q) {
  qsort(values, count, sizeof *values, by_size);
  return values[(size_t)((double)(count - 1) * q)];
}

/* ---- through net ---- */

struct end {
  struct net *net;
  uint64_t conn, received, acked;
  bool opened, echoes;
};

static const char *principal_of(void *ctx, const uint8_t key[32]) {
  (void)ctx;
  return memcmp(key, client_keys.public_key, 32) == 0 ? "station chongqing/cuntan" : NULL;
}
static void on_message(void *ctx, uint64_t conn, int channel, const char *principal, struct bytes message) {
  struct end *end = ctx;
  (void)channel, (void)principal;
  if (message.len == sizeof end->acked) { /* an acknowledgement at the client, a ping at the server */
    memcpy(&end->acked, message.data, sizeof end->acked);
    if (end->echoes) (void)net_send(end->net, conn, message);
    return;
  }
  end->received++;
  if (end->received % ACK_EVERY == 0) (void)net_send(end->net, conn, bytes_of(&end->received, sizeof end->received));
}
static void on_opened(void *ctx, uint64_t conn) { (void)conn, ((struct end *)ctx)->opened = true; }
static void on_closed(void *ctx, uint64_t conn) { (void)ctx, (void)conn; }
static void on_refused(void *ctx, const char *address, const char *reason) {
  (void)ctx, fprintf(stderr, "refused %s: %s\n", address, reason);
}

static void end_init(struct end *end, const struct identity_transport *transport) {
  struct net_options options = {.transport = *transport,
      .events = {end, principal_of, on_message, on_opened, on_closed, on_refused, NULL},
      .high_water = HIGH_WATER};
  *end = (struct end){.net = NULL};
  require(net_new(&end->net, &options) == 0, "net_new");
}

static struct end server;
static atomic_bool stop;

static void *serve(void *ctx) {
  (void)ctx;
  while (!atomic_load(&stop)) require(net_poll(server.net, NULL, 0, 50000) == 0, "net_poll");
  return NULL;
}

static pthread_t net_start(struct end *client, int channel) {
  char bound[256];
  const char *why = "";
  pthread_t thread;
  end_init(&server, &server_keys);
  end_init(client, &client_keys);
  server.echoes = true;
  require(net_listen(server.net, "tcp://127.0.0.1:*", channel, bound, &why) == 0, why);
  require(net_connect(client->net, bound, server_keys.public_key, channel, "broker", &client->conn, &why) == 0, why);
  atomic_store(&stop, false);
  require(pthread_create(&thread, NULL, serve, NULL) == 0, "thread");
  while (!client->opened) require(net_poll(client->net, NULL, 0, 50000) == 0, "net_poll");
  return thread;
}

static void net_stop(struct end *client, pthread_t thread) {
  atomic_store(&stop, true);
  pthread_join(thread, NULL);
  client->net = net_free(client->net);
  server.net = net_free(server.net);
}

static double net_round(void) {
  static uint8_t batch[BATCH];
  struct end client;
  pthread_t thread = net_start(&client, 1);
  uint64_t sent = 0;
  double began = now_s(), until = began + seconds;
  while (now_s() < until) {
    while (sent - client.acked < WINDOW && net_send(client.net, client.conn, bytes_of(batch, sizeof batch)) == 0)
      sent++;
    require(net_poll(client.net, NULL, 0, sent - client.acked < WINDOW ? 0 : 50000) == 0, "net_poll");
  }
  double rate = (double)client.acked * (BATCH / MESSAGE) / (now_s() - began);
  net_stop(&client, thread);
  return rate;
}

static void net_pings(double *p50, double *p99) {
  static double took[PINGS];
  struct end client;
  pthread_t thread = net_start(&client, 0);
  for (uint64_t i = 1; i <= PINGS; i++) {
    double began = now_s();
    require(net_send(client.net, client.conn, bytes_of(&i, sizeof i)) == 0, "net_send");
    while (client.acked < i) require(net_poll(client.net, NULL, 0, 50000) == 0, "net_poll");
    took[i - 1] = now_s() - began;
  }
  net_stop(&client, thread);
  *p50 = quantile(took, PINGS, 0.5) * 1e6;
  *p99 = quantile(took, PINGS, 0.99) * 1e6;
}

/* ---- raw libzmq ---- */

static void raw_option(void *socket, int option, const void *value, size_t len) {
  require(zmq_setsockopt(socket, option, value, len) == 0, "setsockopt");
}
static void *raw_socket(void *context, int type, const struct identity_transport *keys) {
  int zero = 0, high_water = HIGH_WATER, one = 1;
  void *socket = zmq_socket(context, type);
  require(socket, "socket");
  raw_option(socket, ZMQ_LINGER, &zero, sizeof zero);
  raw_option(socket, ZMQ_SNDHWM, &high_water, sizeof high_water);
  raw_option(socket, ZMQ_RCVHWM, &high_water, sizeof high_water);
  if (type == ZMQ_ROUTER)
    raw_option(socket, ZMQ_CURVE_SERVER, &one, sizeof one);
  else
    raw_option(socket, ZMQ_CURVE_SERVERKEY, server_keys.public_key, 32);
  raw_option(socket, ZMQ_CURVE_PUBLICKEY, keys->public_key, 32);
  raw_option(socket, ZMQ_CURVE_SECRETKEY, keys->secret_key, 32);
  return socket;
}

struct raw {
  void *context, *router, *dealer;
  uint64_t received;
};

/* Takes batches until an empty one comes; a ping goes back as it came. */
static void *raw_serve(void *ctx) {
  struct raw *raw = ctx;
  static uint8_t buffer[BATCH];
  uint8_t id[256];
  for (;;) {
    int id_len = zmq_recv(raw->router, id, sizeof id, 0), len = zmq_recv(raw->router, buffer, sizeof buffer, 0);
    require(id_len >= 0 && len >= 0, "recv");
    if (len == 0) return NULL;
    raw->received++;
    if (len == BATCH) continue;
    zmq_send(raw->router, id, (size_t)id_len, ZMQ_SNDMORE);
    zmq_send(raw->router, buffer, (size_t)len, 0);
  }
}

static pthread_t raw_start(struct raw *raw) {
  char bound[256];
  size_t len = sizeof bound;
  pthread_t thread;
  *raw = (struct raw){.context = zmq_ctx_new()};
  zmq_ctx_set(raw->context, ZMQ_IO_THREADS, 2);
  raw->router = raw_socket(raw->context, ZMQ_ROUTER, &server_keys);
  raw->dealer = raw_socket(raw->context, ZMQ_DEALER, &client_keys);
  require(zmq_bind(raw->router, "tcp://127.0.0.1:*") == 0 &&
              zmq_getsockopt(raw->router, ZMQ_LAST_ENDPOINT, bound, &len) == 0,
      "bind");
  require(zmq_connect(raw->dealer, bound) == 0, "connect");
  require(pthread_create(&thread, NULL, raw_serve, raw) == 0, "thread");
  return thread;
}

static void raw_stop(struct raw *raw, pthread_t thread) {
  zmq_send(raw->dealer, "", 0, 0);
  pthread_join(thread, NULL);
  zmq_close(raw->dealer);
  zmq_close(raw->router);
  zmq_ctx_term(raw->context);
}

static double raw_round(void) {
  static uint8_t batch[BATCH];
  struct raw raw;
  pthread_t thread = raw_start(&raw);
  double began = now_s(), until = began + seconds;
  while (now_s() < until) require(zmq_send(raw.dealer, batch, sizeof batch, 0) >= 0, "send");
  raw_stop(&raw, thread); /* what is queued still counts, and its time too */
  return (double)raw.received * (BATCH / MESSAGE) / (now_s() - began);
}

static void raw_pings(double *p50, double *p99) {
  static double took[PINGS];
  struct raw raw;
  uint64_t back = 0;
  pthread_t thread = raw_start(&raw);
  for (uint64_t i = 1; i <= PINGS; i++) {
    double began = now_s();
    require(zmq_send(raw.dealer, &i, sizeof i, 0) >= 0 && zmq_recv(raw.dealer, &back, sizeof back, 0) >= 0 && back == i,
        "ping");
    took[i - 1] = now_s() - began;
  }
  raw_stop(&raw, thread);
  *p50 = quantile(took + 1, PINGS - 1, 0.5) * 1e6; /* the first waited for the handshake */
  *p99 = quantile(took + 1, PINGS - 1, 0.99) * 1e6;
}

/* ---- */

static void keys_init(struct identity_transport *transport) {
  struct identity *identity;
  require(identity_generate(&identity) == 0, "key");
  identity_transport(identity, transport);
  identity_free(identity);
}

int main(int argc, char **argv) {
  double net[ROUNDS_MAX], raw[ROUNDS_MAX], net_p50, net_p99, raw_p50, raw_p99;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (strcmp(argv[i], "--seconds") == 0)
      seconds = atof(argv[i + 1]);
    else if (strcmp(argv[i], "--rounds") == 0)
      rounds = atoi(argv[i + 1]);
  }
  if (argc % 2 == 0 || seconds <= 0 || rounds < 1 || rounds > ROUNDS_MAX) {
    fprintf(stderr, "usage: bench_net_pipe [--seconds N] [--rounds 1-%d]\n", ROUNDS_MAX);
    return 2;
  }
  keys_init(&server_keys);
  keys_init(&client_keys);
  for (int i = 0; i < rounds; i++) {
    raw[i] = raw_round();
    net[i] = net_round();
    printf("round %d: raw %.2f M msg/s, net %.2f M msg/s\n", i + 1, raw[i] / 1e6, net[i] / 1e6);
  }
  double raw_median = quantile(raw, (size_t)rounds, 0.5), net_median = quantile(net, (size_t)rounds, 0.5);
  raw_pings(&raw_p50, &raw_p99);
  net_pings(&net_p50, &net_p99);
  printf("64 KiB batches, CURVE: raw %.2f M msg/s, net %.2f M msg/s, ratio %.2f\n", raw_median / 1e6, net_median / 1e6,
      net_median / raw_median);
  printf("round trip, CURVE: raw %.0f us (p99 %.0f), net %.0f us (p99 %.0f), ratio %.2f\n", raw_p50, raw_p99, net_p50,
      net_p99, net_p50 / raw_p50);
  return 0;
}
