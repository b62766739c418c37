#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "common/net/net_internal.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <stdio.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <unistd.h>
#include <zmq.h>

/* Two ends in one process; their loops are turned by hand until something happened. Each wait has a bound of turns, not
 * of time. */
struct end {
  struct net *net;
  struct identity_transport transport;
  const uint8_t *known; /* the transport key that is authorised; NULL: none */
  char order[4096];     /* one letter a message: u or t */
  size_t messages, opened, closed, refused, failed;
  uint64_t failed_conn;
  bool failed_unknown;
  uint64_t conn;
  char principal[64];
  char last[64];
  char refused_address[128];
  struct end *urges; /* whoever sends an urgent message when this end takes its first of telemetry */
  uint64_t urges_conn;
};

static const char *principal_of(void *ctx, const uint8_t key[32]) {
  struct end *end = ctx;
  return end->known && memcmp(end->known, key, 32) == 0 ? "station chongqing/cuntan" : NULL;
}
/* Waits, without taking anything, until a message of that channel waits at the listening end. */
static void wait_readable(struct net *net, int channel) {
  for (size_t i = 0; i < net->socket_count; i++) {
    zmq_pollitem_t item = {.socket = net->sockets[i]->zmq, .events = ZMQ_POLLIN};
    if (net->sockets[i]->channel == channel) assert_int_equal(zmq_poll(&item, 1, 10000), 1);
  }
}
static void on_message(void *ctx, uint64_t conn, int channel, const char *principal, struct bytes message) {
  struct end *end = ctx;
  if (end->messages < sizeof end->order) end->order[end->messages] = channel == 0 ? 'u' : 't';
  end->messages++;
  end->conn = conn;
  snprintf(end->principal, sizeof end->principal, "%s", principal);
  snprintf(end->last, sizeof end->last, BYTES_FMT, BYTES_ARG(message));
  if (channel == 0 || !end->urges) return;
  assert_int_equal(net_send(end->urges->net, end->urges_conn, bytes_text("now")), 0);
  end->urges = NULL;
  wait_readable(end->net, 0);
}
static void on_opened(void *ctx, uint64_t conn) {
  (void)conn;
  ((struct end *)ctx)->opened++;
}
static void on_closed(void *ctx, uint64_t conn) {
  (void)conn;
  ((struct end *)ctx)->closed++;
}
static void on_failed(void *ctx, uint64_t conn, bool unknown) {
  struct end *end = ctx;
  end->failed_conn = conn;
  end->failed_unknown = unknown;
  end->failed++;
}
static void on_refused(void *ctx, const char *address, const char *reason) {
  struct end *end = ctx;
  assert_true(*reason);
  snprintf(end->refused_address, sizeof end->refused_address, "%s", address);
  end->refused++;
}

static void end_init(struct end *end) {
  struct identity *identity;
  *end = (struct end){.net = NULL};
  assert_int_equal(identity_generate(&identity), 0);
  identity_transport(identity, &end->transport);
  identity_free(identity);
  struct net_options options = {
      .transport = end->transport, .events = {end, principal_of, on_message, on_opened, on_closed, on_refused, NULL}};
  options.events.failed = on_failed;
  assert_int_equal(net_new(&end->net, &options), 0);
}

#define UNTIL(condition, a, b)                                                                                         \
  do {                                                                                                                 \
    int turns = 0;                                                                                                     \
    while (!(condition) && turns++ < 2000) {                                                                           \
      assert_int_equal(net_poll((a).net, NULL, 0, 5000), 0);                                                           \
      assert_int_equal(net_poll((b).net, NULL, 0, 5000), 0);                                                           \
    }                                                                                                                  \
    assert_true(condition);                                                                                            \
  } while (0)

struct pair {
  struct end server, client;
  char urgent[256], telemetry[256];
  uint64_t conn_urgent, conn_telemetry;
};

static void pair_init(struct pair *pair, const char *host) {
  char endpoint[64];
  const char *why = "";
  end_init(&pair->server);
  end_init(&pair->client);
  pair->server.known = pair->client.transport.public_key;
  snprintf(endpoint, sizeof endpoint, "tcp://%s:*", host);
  assert_int_equal(net_listen(pair->server.net, endpoint, 0, pair->urgent, &why), 0);
  assert_int_equal(net_listen(pair->server.net, endpoint, 1, pair->telemetry, &why), 0);
}
static void pair_connect(struct pair *pair) {
  const char *why = "";
  assert_int_equal(net_connect(pair->client.net, pair->urgent, pair->server.transport.public_key, 0, "broker",
                       &pair->conn_urgent, &why),
      0);
  assert_int_equal(net_connect(pair->client.net, pair->telemetry, pair->server.transport.public_key, 1, "broker",
                       &pair->conn_telemetry, &why),
      0);
  UNTIL(pair->client.opened == 2, pair->client, pair->server);
}
static void pair_deinit(struct pair *pair) {
  net_free(pair->client.net);
  net_free(pair->server.net);
}

static void messages_go_both_ways(void **state) {
  (void)state;
  struct pair p;
  pair_init(&p, "127.0.0.1");
  pair_connect(&p);
  for (int i = 0; i < 1000; i++) {
    int result = net_send(p.client.net, p.conn_telemetry, bytes_text("level"));
    if (result == NET_FULL) i--;
    UNTIL(net_poll(p.server.net, NULL, 0, 0) == 0, p.client, p.server);
  }
  UNTIL(p.server.messages == 1000, p.client, p.server);
  assert_string_equal(p.server.principal, "station chongqing/cuntan");
  assert_int_equal(net_send(p.server.net, p.server.conn, bytes_text("ack")), 0);
  UNTIL(p.client.messages == 1, p.client, p.server);
  assert_string_equal(p.client.last, "ack");
  assert_string_equal(p.client.principal, "broker");
  assert_int_equal(net_send(p.server.net, 999999, bytes_text("x")), NET_GONE);
  net_close(p.client.net, p.conn_telemetry);
  assert_int_equal(net_send(p.client.net, p.conn_telemetry, bytes_text("x")), NET_GONE);
  pair_deinit(&p);
}

static void urgent_is_taken_first(void **state) {
  (void)state;
  struct pair p;
  pair_init(&p, "127.0.0.1");
  pair_connect(&p);
  for (int i = 0; i < 200; i++) assert_int_equal(net_send(p.client.net, p.conn_telemetry, bytes_text("t")), 0);
  wait_readable(p.server.net, 1);
  assert_int_equal(net_send(p.client.net, p.conn_urgent, bytes_text("u")), 0);
  wait_readable(p.server.net, 0);
  p.server.urges = &p.client; /* a second one comes while the first share of telemetry is being taken */
  p.server.urges_conn = p.conn_urgent;
  UNTIL(p.server.messages == 202, p.server, p.client);
  assert_int_equal(p.server.order[0], 'u');
  assert_int_equal(p.server.order[1], 't');
  const char *second = memchr(p.server.order + 1, 'u', 201);
  assert_non_null(second);
  assert_true(second - p.server.order <= 1 + 16); /* one share of telemetry later at most */
  pair_deinit(&p);
}

static void a_stranger_is_refused(void **state) {
  (void)state;
  struct pair p;
  const char *why = "";
  pair_init(&p, "127.0.0.1");
  p.server.known = NULL;
  assert_int_equal(
      net_connect(p.client.net, p.urgent, p.server.transport.public_key, 0, "broker", &p.conn_urgent, &why), 0);
  UNTIL(p.server.refused > 0, p.client, p.server);
  assert_memory_equal(p.server.refused_address, "tcp://127.0.0.1:", 16);
  assert_string_not_equal(p.server.refused_address, p.urgent); /* whose it is, not ours */
  UNTIL(p.client.failed > 0, p.client, p.server);
  assert_true(p.client.failed_unknown && p.client.failed_conn == p.conn_urgent);
  assert_int_equal(p.client.refused, 0);
  assert_int_equal(p.client.opened, 0);
  assert_int_equal(net_send(p.client.net, p.conn_urgent, bytes_text("x")), NET_FULL);
  assert_int_equal(p.server.messages, 0);
  pair_deinit(&p);
}

static void a_revoked_key_gets_nothing_through(void **state) {
  (void)state;
  struct pair p;
  struct net_stats stats;
  pair_init(&p, "127.0.0.1");
  pair_connect(&p);
  assert_int_equal(net_send(p.client.net, p.conn_urgent, bytes_text("before")), 0);
  UNTIL(p.server.messages == 1, p.client, p.server);
  p.server.known = NULL;
  net_revoke(p.server.net, "station chongqing/cuntan");
  assert_int_equal(net_send(p.server.net, p.server.conn, bytes_text("x")), NET_GONE);
  UNTIL(p.server.closed == 1, p.client, p.server);
  assert_int_equal(net_send(p.client.net, p.conn_urgent, bytes_text("after")), 0);
  do {
    UNTIL(true, p.client, p.server);
    net_poll(p.server.net, NULL, 0, 100000);
    net_stats(p.server.net, &stats);
  } while (stats.refused_messages == 0);
  assert_int_equal(p.server.messages, 1);
  pair_deinit(&p);
}

/* Somebody who speaks another protocol, or none. */
static void a_port_scanner_is_named(void **state) {
  (void)state;
  struct pair p;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}}, own;
  socklen_t len = sizeof own;
  char expected[64];
  pair_init(&p, "127.0.0.1");
  address.sin_port = htons((uint16_t)atoi(strrchr(p.urgent, ':') + 1));
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &len), 0);
  UNTIL(p.server.net->sockets[0]->monitor.next == 1, p.server, p.client); /* seen while it lasts */
  assert_int_equal(send(fd, "GET / HTTP/1.1\r\nHost: gate\r\n\r\n", 30, MSG_NOSIGNAL), 30);
  UNTIL(p.server.refused > 0, p.server, p.client);
  snprintf(expected, sizeof expected, "tcp://127.0.0.1:%u", ntohs(own.sin_port));
  assert_string_equal(p.server.refused_address, expected);
  close(fd);
  pair_deinit(&p);
}

/* A handler that lets everybody in must not open a door: the probe asks for a key that nobody has. */
static const char *everybody(void *ctx, const uint8_t key[32]) {
  (void)ctx;
  (void)key;
  return "anybody";
}
static void the_probe_finds_a_lax_handler(void **state) {
  (void)state;
  struct end end = {.net = NULL};
  struct net_options options = {.events = {&end, everybody, on_message, on_opened, on_closed, on_refused, NULL}};
  assert_true(net_new(&end.net, &options) < 0);
  assert_null(end.net);
}

/* A raw DEALER with the right key: what the shell must survive. */
static void *raw_dealer(struct pair *p, void *context, const char *endpoint, const char *routing_id) {
  void *socket = zmq_socket(context, ZMQ_DEALER);
  int linger = 0;
  zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
  if (routing_id) zmq_setsockopt(socket, ZMQ_ROUTING_ID, routing_id, strlen(routing_id));
  zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, p->server.transport.public_key, 32);
  zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, p->client.transport.public_key, 32);
  zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, p->client.transport.secret_key, 32);
  assert_int_equal(zmq_connect(socket, endpoint), 0);
  return socket;
}

/* We expect another key of who listens there: told to who asked for the connection, and at once. */
static void a_wrong_server_key_is_told(void **state) {
  (void)state;
  struct pair p;
  const char *why = "";
  pair_init(&p, "127.0.0.1");
  assert_int_equal(
      net_connect(p.client.net, p.urgent, p.client.transport.public_key, 0, "broker", &p.conn_urgent, &why), 0);
  UNTIL(p.client.failed > 0, p.client, p.server);
  assert_false(p.client.failed_unknown);
  assert_true(p.client.failed_conn == p.conn_urgent);
  assert_int_equal(p.client.opened, 0);
  pair_deinit(&p);
}

static void multipart_and_oversize_are_refused(void **state) {
  (void)state;
  struct pair p;
  struct net_stats stats;
  static char big[300 * 1024];
  pair_init(&p, "127.0.0.1");
  void *context = zmq_ctx_new(), *raw = raw_dealer(&p, context, p.urgent, NULL);
  zmq_send(raw, "first", 5, 0);
  UNTIL(p.server.messages == 1, p.client, p.server);
  for (int i = 0; i < 50000; i++) zmq_send(raw, "part", 4, ZMQ_SNDMORE);
  zmq_send(raw, "end", 3, 0);
  zmq_send(raw, "good", 4, 0);
  wait_readable(p.server.net, 0);
  assert_int_equal(net_poll(p.server.net, NULL, 0, 0), 0); /* one turn takes a bounded piece of it */
  assert_int_equal(p.server.messages, 1);
  UNTIL(p.server.messages == 2, p.client, p.server);
  assert_string_equal(p.server.last, "good");
  net_stats(p.server.net, &stats);
  assert_int_equal(stats.refused_messages, 1);
  zmq_send(raw, big, sizeof big, 0);
  zmq_send(raw, "after", 5, 0);
  void *second = raw_dealer(&p, context, p.urgent, NULL);
  zmq_send(second, "second", 6, 0);
  UNTIL(strcmp(p.server.last, "second") == 0, p.client, p.server);
  zmq_close(second);
  zmq_close(raw);
  zmq_ctx_term(context);
  pair_deinit(&p);
}

static void a_chosen_routing_id_is_refused(void **state) {
  (void)state;
  struct pair p;
  struct net_stats stats;
  pair_init(&p, "127.0.0.1");
  void *context = zmq_ctx_new(), *thief = raw_dealer(&p, context, p.urgent, "thief"),
       *honest = raw_dealer(&p, context, p.urgent, NULL);
  zmq_send(thief, "mine", 4, 0);
  UNTIL((net_stats(p.server.net, &stats), stats.refused_messages == 1), p.server, p.client);
  zmq_send(honest, "good", 4, 0);
  UNTIL(p.server.messages == 1, p.server, p.client);
  assert_string_equal(p.server.last, "good");
  zmq_close(thief);
  zmq_close(honest);
  zmq_ctx_term(context);
  pair_deinit(&p);
}

/* ZeroMQ may give the id of a peer that left to another one: what is meant for the first must not reach the second. */
static void a_route_of_another_key_is_another_connection(void **state) {
  (void)state;
  struct pair p;
  const uint8_t a[32] = {1}, b[32] = {2};
  struct bytes id = bytes_of("\0abcd", 5);
  pair_init(&p, "127.0.0.1");
  struct net_socket *socket = p.server.net->sockets[0];
  uint64_t first = net_conn_of_route(p.server.net, socket, id, a)->number;
  assert_int_equal(net_conn_of_route(p.server.net, socket, id, a)->number, first);
  assert_int_not_equal(net_conn_of_route(p.server.net, socket, id, b)->number, first);
  assert_int_equal(net_send(p.server.net, first, bytes_text("x")), NET_GONE);
  assert_int_equal(net_poll(p.server.net, NULL, 0, 0), 0);
  assert_int_equal(p.server.closed, 1);
  pair_deinit(&p);
}

static void one_key_holds_a_bounded_number(void **state) {
  (void)state;
  struct pair p;
  struct net_stats stats;
  const uint8_t key[32] = {1};
  uint64_t first = 0;
  pair_init(&p, "127.0.0.1");
  for (uint8_t i = 0; i < 200; i++) {
    const uint8_t id[5] = {0, 1, 2, 3, i};
    uint64_t number = net_conn_of_route(p.server.net, p.server.net->sockets[0], bytes_of(id, 5), key)->number;
    if (i == 0) first = number;
  }
  net_stats(p.server.net, &stats);
  assert_int_equal(stats.connections, 128);
  assert_int_equal(net_send(p.server.net, first, bytes_text("x")), NET_GONE); /* the oldest went */
  net_revoke(p.server.net, "");
  net_stats(p.server.net, &stats);
  assert_int_equal(stats.connections, 0);
  assert_int_equal(net_poll(p.server.net, NULL, 0, 0), 0);
  assert_int_equal(p.server.closed, 200);
  pair_deinit(&p);
}

static void a_peer_that_never_reads_makes_full(void **state) {
  (void)state;
  struct pair p;
  static uint8_t block[64 * 1024];
  size_t taken = 0;
  pair_init(&p, "127.0.0.1");
  pair_connect(&p);
  int result = 0;
  while (taken < 100000 && (result = net_send(p.client.net, p.conn_telemetry, bytes_of(block, sizeof block))) == 0)
    taken++;
  assert_int_equal(result, NET_FULL);
  assert_true(taken >= 256 && taken < 2000); /* both high waters and what the kernel buffers */
  assert_int_equal(net_send(p.client.net, p.conn_urgent, bytes_text("u")), 0);
  wait_readable(p.server.net, 0); /* urgent is not behind it */
  pair_deinit(&p);
}

static bool has_ipv6(void) {
  int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  bool good = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
  if (fd >= 0) close(fd);
  return good;
}

static void ipv6_works(void **state) {
  (void)state;
  struct pair p;
  if (!has_ipv6()) {
    fprintf(stderr, "SKIPPED: this machine has no ::1\n");
    skip();
  }
  pair_init(&p, "[::1]");
  pair_connect(&p);
  assert_int_equal(net_send(p.client.net, p.conn_urgent, bytes_text("six")), 0);
  UNTIL(p.server.messages == 1, p.client, p.server);
  pair_deinit(&p);
}

static void a_bad_endpoint_says_why(void **state) {
  (void)state;
  struct end end;
  const char *why = NULL;
  char bound[256];
  end_init(&end);
  assert_int_equal(net_listen(end.net, "tcp://127.0.0.1:notaport", 0, bound, &why), NET_REFUSED);
  assert_non_null(why);
  net_free(end.net);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(messages_go_both_ways),
      cmocka_unit_test(urgent_is_taken_first),
      cmocka_unit_test(a_stranger_is_refused),
      cmocka_unit_test(a_wrong_server_key_is_told),
      cmocka_unit_test(a_port_scanner_is_named),
      cmocka_unit_test(the_probe_finds_a_lax_handler),
      cmocka_unit_test(a_revoked_key_gets_nothing_through),
      cmocka_unit_test(multipart_and_oversize_are_refused),
      cmocka_unit_test(a_chosen_routing_id_is_refused),
      cmocka_unit_test(a_route_of_another_key_is_another_connection),
      cmocka_unit_test(one_key_holds_a_bounded_number),
      cmocka_unit_test(a_peer_that_never_reads_makes_full),
      cmocka_unit_test(ipv6_works),
      cmocka_unit_test(a_bad_endpoint_says_why),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
