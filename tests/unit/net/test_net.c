#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "common/net/net.h"
#include <stdio.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <unistd.h>
#include <zmq.h>

/* Two ends in one process; their loops are turned by hand until something happened. Each wait has a bound of turns, not of time. */
struct end {
  struct net *net;
  struct identity_transport transport;
  const uint8_t *known;         /* the transport key that is authorised; NULL: none */
  char order[4096];             /* one letter a message: u or t */
  size_t messages, opened, closed, refused;
  uint64_t conn;
  char principal[64];
  char last[64];
};

static const char *principal_of(void *ctx, const uint8_t key[32]) {
  struct end *end = ctx;
  return end->known && memcmp(end->known, key, 32) == 0 ? "station chongqing/cuntan" : NULL;
}
static void on_message(void *ctx, uint64_t conn, int channel, const char *principal, struct bytes message) {
  struct end *end = ctx;
  if (end->messages < sizeof end->order) end->order[end->messages] = channel == 0 ? 'u' : 't';
  end->messages++;
  end->conn = conn;
  snprintf(end->principal, sizeof end->principal, "%s", principal);
  snprintf(end->last, sizeof end->last, BYTES_FMT, BYTES_ARG(message));
}
static void on_opened(void *ctx, uint64_t conn) { (void)conn; ((struct end *)ctx)->opened++; }
static void on_closed(void *ctx, uint64_t conn) { (void)conn; ((struct end *)ctx)->closed++; }
static void on_refused(void *ctx, const char *address, const char *reason) { (void)address; (void)reason; ((struct end *)ctx)->refused++; }

static void end_init(struct end *end) {
  struct identity *identity;
  *end = (struct end){.net = NULL};
  assert_int_equal(identity_generate(&identity), 0);
  identity_transport(identity, &end->transport);
  identity_free(identity);
  struct net_options options = {.transport = end->transport, .events = {end, principal_of, on_message, on_opened, on_closed, on_refused}};
  assert_int_equal(net_new(&end->net, &options), 0);
}

#define UNTIL(condition, a, b)                                                        \
  do {                                                                                \
    int turns = 0;                                                                    \
    while (!(condition) && turns++ < 2000) {                                          \
      assert_int_equal(net_poll((a).net, NULL, 0, 5000), 0);                          \
      assert_int_equal(net_poll((b).net, NULL, 0, 5000), 0);                          \
    }                                                                                 \
    assert_true(condition);                                                           \
  } while (0)

struct pair { struct end server, client; char urgent[256], telemetry[256]; uint64_t conn_urgent, conn_telemetry; };

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
  assert_int_equal(net_connect(pair->client.net, pair->urgent, pair->server.transport.public_key, 0, "broker", &pair->conn_urgent, &why), 0);
  assert_int_equal(net_connect(pair->client.net, pair->telemetry, pair->server.transport.public_key, 1, "broker", &pair->conn_telemetry, &why), 0);
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
  assert_int_equal(net_send(p.client.net, p.conn_urgent, bytes_text("first")), 0);
  UNTIL(p.server.messages == 1, p.client, p.server);
  for (int i = 0; i < 100; i++) assert_int_equal(net_send(p.client.net, p.conn_telemetry, bytes_text("t")), 0);
  for (int i = 0; i < 5; i++) assert_int_equal(net_send(p.client.net, p.conn_urgent, bytes_text("u")), 0);
  int turns = 0;
  while (p.server.messages < 106 && turns++ < 2000) {
    struct pollfd none = {.fd = -1};
    (void)none;
    assert_int_equal(net_poll(p.client.net, NULL, 0, 100000), 0);
    assert_int_equal(net_poll(p.server.net, NULL, 0, 100000), 0);
  }
  assert_int_equal(p.server.messages, 106);
  size_t last_urgent = 0;
  for (size_t i = 0; i < 106; i++) if (p.server.order[i] == 'u') last_urgent = i;
  assert_true(last_urgent < 105);
  pair_deinit(&p);
}

static void a_stranger_is_refused(void **state) {
  (void)state;
  struct pair p;
  const char *why = "";
  pair_init(&p, "127.0.0.1");
  p.server.known = NULL;
  assert_int_equal(net_connect(p.client.net, p.urgent, p.server.transport.public_key, 0, "broker", &p.conn_urgent, &why), 0);
  UNTIL(p.server.refused > 0, p.client, p.server);
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

/* A raw DEALER with the right key: what the shell must survive. */
static void *raw_dealer(struct pair *p, void *context, const char *endpoint) {
  void *socket = zmq_socket(context, ZMQ_DEALER);
  int linger = 0;
  zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
  zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, p->server.transport.public_key, 32);
  zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, p->client.transport.public_key, 32);
  zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, p->client.transport.secret_key, 32);
  assert_int_equal(zmq_connect(socket, endpoint), 0);
  return socket;
}

static void multipart_and_oversize_are_refused(void **state) {
  (void)state;
  struct pair p;
  struct net_stats stats;
  static char big[300 * 1024];
  pair_init(&p, "127.0.0.1");
  void *context = zmq_ctx_new(), *raw = raw_dealer(&p, context, p.urgent);
  for (int i = 0; i < 50; i++) zmq_send(raw, "part", 4, ZMQ_SNDMORE);
  zmq_send(raw, "end", 3, 0);
  zmq_send(raw, "good", 4, 0);
  UNTIL(p.server.messages == 1, p.client, p.server);
  assert_string_equal(p.server.last, "good");
  net_stats(p.server.net, &stats);
  assert_int_equal(stats.refused_messages, 1);
  zmq_send(raw, big, sizeof big, 0);
  zmq_send(raw, "after", 5, 0);
  void *second = raw_dealer(&p, context, p.urgent);
  zmq_send(second, "second", 6, 0);
  UNTIL(strcmp(p.server.last, "second") == 0, p.client, p.server);
  zmq_close(second);
  zmq_close(raw);
  zmq_ctx_term(context);
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
  const struct CMUnitTest tests[] = {cmocka_unit_test(messages_go_both_ways), cmocka_unit_test(urgent_is_taken_first), cmocka_unit_test(a_stranger_is_refused), cmocka_unit_test(a_revoked_key_gets_nothing_through),
                                     cmocka_unit_test(multipart_and_oversize_are_refused), cmocka_unit_test(ipv6_works), cmocka_unit_test(a_bad_endpoint_says_why)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
