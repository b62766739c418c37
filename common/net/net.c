/* Life, doors, sending. */
#include "common/net/net_internal.h"
#include "common/base/mem.h"
#include "common/net/socket.h"
#include <errno.h>
#include <stdlib.h>

/* ---- life ---- */

static int start(struct net *net) {
  net->context = zmq_ctx_new();
  if (!net->context) return -errno;
  if (!zmq_has("curve") || zmq_ctx_set(net->context, ZMQ_IO_THREADS, 2) != 0 ||
      zmq_ctx_set(net->context, ZMQ_MAX_SOCKETS, 4096) != 0)
    return -ENOTSUP;
  int result = zap_init(&net->zap, net->context, &net->options.events);
  if (result != 0) return result;
  return zap_probe(&net->zap, net->context) ? 0 : -EPROTO;
}

int net_new(struct net **out, const struct net_options *options) {
  struct net *net = mem_alloc(sizeof *net);
  net->options = *options;
  net->next = 1;
  int result = start(net);
  *out = result == 0 ? net : net_free(net);
  return result;
}

static struct net_socket *socket_free(struct net_socket *socket) {
  net_monitor_deinit(&socket->monitor);
  if (socket->zmq) zmq_close(socket->zmq);
  free(socket->principal);
  free(socket);
  return NULL;
}

struct net *net_free(struct net *net) {
  if (!net) return NULL;
  for (size_t i = 0; i < net->socket_count; i++) socket_free(net->sockets[i]);
  net_conns_deinit(net);
  zap_deinit(&net->zap);
  if (net->context) zmq_ctx_term(net->context);
  free(net->sockets);
  free(net->polls);
  free(net->gone);
  free(net);
  return NULL;
}

static struct net_socket *socket_add(struct net *net, const struct net_socket_setup *setup) {
  struct net_socket *socket = mem_alloc(sizeof *socket);
  socket->channel = setup->channel;
  socket->listens = setup->side == NET_LISTENS;
  socket->zmq = net_socket_new(net->context, setup);
  if (!socket->zmq ||
      !net_monitor_init(&socket->monitor, net->context, socket->zmq, socket->listens, net->monitors++)) {
    int error = errno;
    socket_free(socket);
    errno = error;
    return NULL;
  }
  net->sockets = mem_resize(net->sockets, net->socket_count + 1, sizeof(struct net_socket *));
  net->sockets[net->socket_count++] = socket;
  net->changed = true;
  return socket;
}

static void socket_remove(struct net *net, struct net_socket *socket) {
  for (size_t i = 0; i < net->socket_count; i++)
    if (net->sockets[i] == socket) net->sockets[i] = net->sockets[--net->socket_count];
  socket_free(socket);
  net->changed = true;
}

/* ---- doors ---- */

/* Bound to all families ZeroMQ names an IPv4 address in its IPv6 form: shown as people write it. */
static void plain_endpoint(char *endpoint) {
  static const char mapped[] = "[::ffff:";
  char *at = strstr(endpoint, mapped), *end = at ? strchr(at, ']') : NULL;
  if (!end) return;
  size_t len = (size_t)(end - at) - (sizeof mapped - 1);
  memmove(at, at + sizeof mapped - 1, len);
  memmove(at + len, end + 1, strlen(end + 1) + 1);
}

int net_listen(struct net *net, const char *endpoint, int channel, char bound[256], const char **why) {
  struct net_socket_setup setup = {.side = NET_LISTENS, .channel = channel, .options = &net->options};
  struct net_socket *socket = socket_add(net, &setup);
  size_t len = 256;
  if (!socket) return -errno;
  if (zmq_bind(socket->zmq, endpoint) == 0 && zmq_getsockopt(socket->zmq, ZMQ_LAST_ENDPOINT, bound, &len) == 0) {
    plain_endpoint(bound);
    return 0;
  }
  if (why) *why = zmq_strerror(errno);
  socket_remove(net, socket);
  return NET_REFUSED;
}

int net_connect(struct net *net, const char *endpoint, const uint8_t server_key[32], int channel, const char *principal,
    uint64_t *conn, const char **why) {
  struct net_socket_setup setup = {
      .side = NET_CONNECTS, .channel = channel, .options = &net->options, .server_key = server_key};
  struct net_socket *socket = socket_add(net, &setup);
  if (!socket) return -errno;
  if (zmq_connect(socket->zmq, endpoint) != 0) {
    if (why) *why = zmq_strerror(errno);
    socket_remove(net, socket);
    return NET_REFUSED;
  }
  socket->principal = mem_text(principal, strlen(principal));
  socket->conn = net_conn_add(net, socket)->number;
  *conn = socket->conn;
  return 0;
}

void net_close(struct net *net, uint64_t number) {
  struct net_conn *conn = net_conn_find(net, number);
  if (!conn) return;
  struct net_socket *socket = conn->socket;
  net_conn_remove(net, conn);
  if (!socket->listens) socket_remove(net, socket);
}

void net_revoke(struct net *net, const char *principal) {
  const struct net_events *events = &net->options.events;
  struct table_cursor cursor = TABLE_CURSOR_NULL;
  struct bytes name;
  void *value;
  while (table_next(&net->by_number, &cursor, &name, &value)) {
    struct net_conn *conn = value;
    if (!conn->socket->listens) continue;
    const char *now = events->principal(events->ctx, conn->key);
    if (!now || strcmp(now, principal) == 0) net_conn_gone(net, conn);
  }
}

/* ---- sending ---- */

static int send_once(const struct net_conn *conn, struct bytes message) {
  void *zmq = conn->socket->zmq;
  if (conn->socket->listens && zmq_send(zmq, conn->id, sizeof conn->id, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0) return -1;
  return zmq_send(zmq, message.data, message.len, ZMQ_DONTWAIT);
}

/* ZeroMQ looks at what its I/O thread said (a connection stands, the peer has read) only now and then while sending;
 * asking for ZMQ_EVENTS makes it look. Without this the first message after `opened` is now and then taken for one too
 * many. */
static int send_now(const struct net_conn *conn, struct bytes message) {
  int events;
  size_t len = sizeof events;
  int sent = send_once(conn, message);
  if (sent >= 0 || errno != EAGAIN || zmq_getsockopt(conn->socket->zmq, ZMQ_EVENTS, &events, &len) != 0) return sent;
  return send_once(conn, message);
}

int net_send(struct net *net, uint64_t number, struct bytes message) {
  struct net_conn *conn = net_conn_find(net, number);
  if (!conn) return NET_GONE;
  if (send_now(conn, message) >= 0) {
    net->stats.messages_out++;
    net->stats.bytes_out += message.len;
    return 0;
  }
  if (errno == EHOSTUNREACH) {
    net_conn_gone(net, conn);
    return NET_GONE;
  }
  net->stats.full++;
  return NET_FULL;
}

void net_stats(const struct net *net, struct net_stats *out) { *out = net->stats; }
