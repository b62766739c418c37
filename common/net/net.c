/* Connections over the sockets: who they belong to, sending, the poll loop. */
#include "common/net/net.h"
#include "common/base/mem.h"
#include "common/base/table.h"
#include "common/net/socket.h"
#include "common/net/zap.h"
#include <errno.h>
#include <stdlib.h>
#include <zmq.h>

enum {
  CONNECTIONS_PER_PRINCIPAL = 128, /* scripts of one operator run side by side; a valid key that connects again and again holds no more than that; the oldest is forgotten */
  URGENT_SHARE = 1024,            /* messages of one urgent socket in a row */
  OTHER_SHARE = 16,               /* messages of another socket before urgent is looked at again */
  OTHER_TURN = 256                /* messages of other sockets in one net_poll */
};

struct net_socket {
  void *zmq, *monitor;
  int channel;
  bool listens;
  bool open;                    /* CONNECTS: the handshake is done */
  uint64_t conn;                /* CONNECTS */
  char *principal;              /* CONNECTS */
};
struct net_conn {
  uint64_t number;
  struct net_socket *socket;
  uint8_t id[64];               /* LISTENS: the routing id */
  size_t id_len;
  uint8_t key[32];              /* LISTENS: whose */
};
struct net {
  void *context;
  struct net_options options;
  struct zap zap;
  struct net_socket **sockets;
  size_t socket_count;
  struct table by_number;       /* number -> net_conn */
  struct table by_route;        /* socket pointer and routing id -> net_conn */
  uint64_t next;
  unsigned monitors;
  struct net_stats stats;
  zmq_pollitem_t *items;
  size_t item_cap;
  bool changed;                 /* a socket came or went during this turn */
  uint64_t *gone;               /* connections whose end is still to be told: never from inside a call of the owner */
  size_t gone_count;
};

/* ---- life ---- */

static int start(struct net *net) {
  net->context = zmq_ctx_new();
  if (!net->context) return -errno;
  if (!zmq_has("curve") || zmq_ctx_set(net->context, ZMQ_IO_THREADS, 2) != 0 || zmq_ctx_set(net->context, ZMQ_MAX_SOCKETS, 4096) != 0) return -ENOTSUP;
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
  if (socket->monitor) {
    zmq_socket_monitor(socket->zmq, NULL, 0);
    zmq_close(socket->monitor);
  }
  if (socket->zmq) zmq_close(socket->zmq);
  free(socket->principal);
  free(socket);
  return NULL;
}

struct net *net_free(struct net *net) {
  if (!net) return NULL;
  for (size_t i = 0; i < net->socket_count; i++) socket_free(net->sockets[i]);
  table_deinit(&net->by_route, NULL);
  table_deinit(&net->by_number, free);
  zap_deinit(&net->zap);
  if (net->context) zmq_ctx_term(net->context);
  free(net->sockets);
  free(net->items);
  free(net->gone);
  free(net);
  return NULL;
}

static struct net_socket *socket_add(struct net *net, const struct net_socket_setup *setup) {
  struct net_socket *socket = mem_alloc(sizeof *socket);
  socket->channel = setup->channel;
  socket->listens = setup->side == NET_LISTENS;
  socket->zmq = net_socket_new(net->context, setup);
  if (socket->zmq) socket->monitor = net_monitor_new(net->context, socket->zmq, net->monitors++);
  if (!socket->monitor) return socket_free(socket);
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

/* ---- connections ---- */

static struct bytes number_key(const uint64_t *number) { return bytes_of(number, sizeof *number); }

struct route_key { uint8_t bytes[sizeof(void *) + 64]; size_t len; };
static struct bytes route_key(struct route_key *key, const struct net_socket *socket, struct bytes id) {
  memcpy(key->bytes, &socket, sizeof(void *));
  memcpy(key->bytes + sizeof(void *), id.data, id.len);
  key->len = sizeof(void *) + id.len;
  return bytes_of(key->bytes, key->len);
}

static struct net_conn *conn_find(const struct net *net, uint64_t number) { return table_get(&net->by_number, number_key(&number)); }

static struct net_conn *conn_add(struct net *net, struct net_socket *socket, struct bytes id) {
  struct net_conn *conn = mem_alloc(sizeof *conn);
  struct route_key key;
  conn->number = net->next++;
  conn->socket = socket;
  conn->id_len = id.len;
  if (id.len > 0) memcpy(conn->id, id.data, id.len);
  table_put(&net->by_number, number_key(&conn->number), conn);
  if (socket->listens) table_put(&net->by_route, route_key(&key, socket, id), conn);
  net->stats.connections++;
  return conn;
}

static void conn_remove(struct net *net, struct net_conn *conn) {
  struct route_key key;
  if (conn->socket->listens) table_remove(&net->by_route, route_key(&key, conn->socket, bytes_of(conn->id, conn->id_len)));
  table_remove(&net->by_number, number_key(&conn->number));
  net->stats.connections--;
  free(conn);
}

/* The oldest connection of this key on this socket, when there are too many. */
static struct net_conn *conn_surplus(const struct net *net, const struct net_socket *socket, const uint8_t key[32]) {
  struct table_cursor cursor = TABLE_CURSOR_NULL;
  struct net_conn *oldest = NULL;
  size_t count = 0;
  struct bytes name;
  void *value;
  while (table_next(&net->by_route, &cursor, &name, &value)) {
    struct net_conn *conn = value;
    if (conn->socket != socket || memcmp(conn->key, key, 32) != 0) continue;
    count++;
    if (!oldest || conn->number < oldest->number) oldest = conn;
  }
  return count > CONNECTIONS_PER_PRINCIPAL ? oldest : NULL;
}

static void conn_gone(struct net *net, struct net_conn *conn) {
  net->gone = mem_resize(net->gone, net->gone_count + 1, sizeof *net->gone);
  net->gone[net->gone_count++] = conn->number;
  conn_remove(net, conn);
}

static struct net_conn *conn_of_route(struct net *net, struct net_socket *socket, struct bytes id, const uint8_t key[32]) {
  struct route_key route;
  struct net_conn *conn = table_get(&net->by_route, route_key(&route, socket, id));
  if (conn) return conn;
  conn = conn_add(net, socket, id);
  memcpy(conn->key, key, 32);
  struct net_conn *surplus = conn_surplus(net, socket, key);
  if (surplus) conn_gone(net, surplus);
  return conn;
}

/* ---- doors ---- */

int net_listen(struct net *net, const char *endpoint, int channel, char bound[256], const char **why) {
  struct net_socket_setup setup = {.side = NET_LISTENS, .channel = channel, .options = &net->options};
  struct net_socket *socket = socket_add(net, &setup);
  size_t len = 256;
  if (!socket) return -errno;
  if (zmq_bind(socket->zmq, endpoint) == 0 && zmq_getsockopt(socket->zmq, ZMQ_LAST_ENDPOINT, bound, &len) == 0) return 0;
  if (why) *why = zmq_strerror(errno);
  socket_remove(net, socket);
  return NET_REFUSED;
}

int net_connect(struct net *net, const char *endpoint, const uint8_t server_key[32], int channel, const char *principal, uint64_t *conn, const char **why) {
  struct net_socket_setup setup = {.side = NET_CONNECTS, .channel = channel, .options = &net->options, .server_key = server_key};
  struct net_socket *socket = socket_add(net, &setup);
  if (!socket) return -errno;
  if (zmq_connect(socket->zmq, endpoint) != 0) {
    if (why) *why = zmq_strerror(errno);
    socket_remove(net, socket);
    return NET_REFUSED;
  }
  socket->principal = mem_text(principal, strlen(principal));
  socket->conn = conn_add(net, socket, BYTES_NULL)->number;
  *conn = socket->conn;
  return 0;
}

void net_close(struct net *net, uint64_t number) {
  struct net_conn *conn = conn_find(net, number);
  if (!conn) return;
  struct net_socket *socket = conn->socket;
  conn_remove(net, conn);
  if (!socket->listens) socket_remove(net, socket);
}

void net_revoke(struct net *net, const char *principal) {
  const struct net_events *events = &net->options.events;
  bool found = true;
  while (found) {
    struct table_cursor cursor = TABLE_CURSOR_NULL;
    struct bytes name;
    void *value;
    found = false;
    while (!found && table_next(&net->by_number, &cursor, &name, &value)) {
      struct net_conn *conn = value;
      if (!conn->socket->listens) continue;
      const char *now = events->principal(events->ctx, conn->key);
      found = !now || strcmp(now, principal) == 0;
      if (found) conn_gone(net, conn);
    }
  }
}

/* ---- sending ---- */

static int send_result(struct net *net, struct net_conn *conn, struct bytes message, int sent) {
  if (sent >= 0) {
    net->stats.messages_out++;
    net->stats.bytes_out += message.len;
    return 0;
  }
  if (errno != EHOSTUNREACH) {
    net->stats.full++;
    return NET_FULL;
  }
  conn_gone(net, conn);
  return NET_GONE;
}

int net_send(struct net *net, uint64_t number, struct bytes message) {
  struct net_conn *conn = conn_find(net, number);
  if (!conn) return NET_GONE;
  if (conn->socket->listens && zmq_send(conn->socket->zmq, conn->id, conn->id_len, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0) return send_result(net, conn, message, -1);
  return send_result(net, conn, message, zmq_send(conn->socket->zmq, message.data, message.len, ZMQ_DONTWAIT));
}

/* ---- receiving ---- */

static void drain(void *socket) {
  zmq_msg_t rest;
  int more = 1;
  zmq_msg_init(&rest);
  while (more && zmq_msg_recv(&rest, socket, ZMQ_DONTWAIT) >= 0) more = zmq_msg_more(&rest);
  zmq_msg_close(&rest);
}

static void refuse_message(struct net *net) { net->stats.refused_messages++; }

static void deliver(struct net *net, struct net_socket *socket, struct bytes id, zmq_msg_t *payload) {
  const struct net_events *events = &net->options.events;
  const char *principal = socket->principal;
  uint64_t number = socket->conn;
  if (socket->listens) {
    uint8_t key[32];
    bool known = zap_key_of_user(zmq_msg_gets(payload, "User-Id"), key);
    principal = known ? events->principal(events->ctx, key) : NULL;
    if (!principal) {
      refuse_message(net);
      return;
    }
    number = conn_of_route(net, socket, id, key)->number;
  }
  struct bytes message = bytes_of(zmq_msg_data(payload), zmq_msg_size(payload));
  net->stats.messages_in++;
  net->stats.bytes_in += message.len;
  events->message(events->ctx, number, socket->channel, principal, message);
}

/* One message; false: none waits. A message of more than one payload frame is refused whole. */
static bool receive_one(struct net *net, struct net_socket *socket) {
  uint8_t id[64];
  int id_len = 0;
  zmq_msg_t payload;
  if (socket->listens) {
    id_len = zmq_recv(socket->zmq, id, sizeof id, ZMQ_DONTWAIT);
    if (id_len < 0) return false;
  }
  zmq_msg_init(&payload);
  bool got = zmq_msg_recv(&payload, socket->zmq, ZMQ_DONTWAIT) >= 0;
  bool whole = got && !zmq_msg_more(&payload) && id_len <= (int)sizeof id;
  if (got && zmq_msg_more(&payload)) drain(socket->zmq);
  if (whole) deliver(net, socket, bytes_of(id, (size_t)id_len), &payload);
  else if (got) refuse_message(net);
  zmq_msg_close(&payload);
  return got;
}

/* The sockets of one kind, a share each. Stops when a socket came or went, since then the list is another. */
static size_t receive_share(struct net *net, bool urgent, size_t share) {
  size_t taken = 0;
  for (size_t i = 0; i < net->socket_count && !net->changed; i++) {
    struct net_socket *socket = net->sockets[i];
    if ((socket->channel == 0) != urgent) continue;
    for (size_t n = 0; n < share && !net->changed && receive_one(net, socket); n++) taken++;
  }
  return taken;
}

static void monitor_run(struct net *net, struct net_socket *socket) {
  const struct net_events *events = &net->options.events;
  struct net_monitor_event event;
  while (!net->changed && net_monitor_next(socket->monitor, &event)) {
    if (event.kind == NET_MONITOR_REFUSED) {
      net->stats.refused_handshakes++;
      events->refused(events->ctx, event.address, event.reason);
    } else if (!socket->listens && (event.kind == NET_MONITOR_OPENED) != socket->open) {
      socket->open = event.kind == NET_MONITOR_OPENED;
      (socket->open ? events->opened : events->closed)(events->ctx, socket->conn);
    }
  }
}

/* ---- the loop ---- */

static void add_item(struct net *net, size_t *count, void *socket, int fd, short events) {
  if (*count == net->item_cap) {
    net->item_cap = net->item_cap ? net->item_cap * 2 : 16;
    net->items = mem_resize(net->items, net->item_cap, sizeof *net->items);
  }
  net->items[(*count)++] = (zmq_pollitem_t){.socket = socket, .fd = fd, .events = events};
}

static size_t fill_items(struct net *net, const struct pollfd *extra, size_t extra_count) {
  size_t count = 0;
  for (size_t i = 0; i < extra_count; i++) add_item(net, &count, NULL, extra[i].fd, (short)((extra[i].events & POLLIN ? ZMQ_POLLIN : 0) | (extra[i].events & POLLOUT ? ZMQ_POLLOUT : 0)));
  add_item(net, &count, net->zap.socket, 0, ZMQ_POLLIN);
  for (size_t i = 0; i < net->socket_count; i++) {
    add_item(net, &count, net->sockets[i]->zmq, 0, ZMQ_POLLIN);
    add_item(net, &count, net->sockets[i]->monitor, 0, ZMQ_POLLIN);
  }
  return count;
}

static short poll_events(short zmq_events) {
  return (short)((zmq_events & ZMQ_POLLIN ? POLLIN : 0) | (zmq_events & ZMQ_POLLOUT ? POLLOUT : 0) | (zmq_events & ZMQ_POLLERR ? POLLERR : 0));
}

static void tell_gone(struct net *net) {
  while (net->gone_count > 0) net->options.events.closed(net->options.events.ctx, net->gone[--net->gone_count]);
}

static void turn(struct net *net) {
  size_t others = 0, taken = 1, rounds = OTHER_TURN / OTHER_SHARE;
  net->changed = false;
  zap_run(&net->zap);
  for (size_t i = 0; i < net->socket_count && !net->changed; i++) monitor_run(net, net->sockets[i]);
  while (taken > 0 && others < OTHER_TURN && rounds-- > 0 && !net->changed) {
    size_t urgent = receive_share(net, true, URGENT_SHARE);
    size_t other = receive_share(net, false, OTHER_SHARE);
    others += other;
    taken = urgent + other;
  }
}

int net_poll(struct net *net, struct pollfd *extra, size_t extra_count, int64_t timeout_us) {
  if (net->gone_count > 0) timeout_us = 0;
  tell_gone(net);
  size_t count = fill_items(net, extra, extra_count);
  long timeout_ms = timeout_us < 0 ? -1 : (long)((timeout_us + 999) / 1000);
  int ready = zmq_poll(net->items, (int)count, timeout_ms);
  for (size_t i = 0; i < extra_count; i++) extra[i].revents = ready > 0 ? poll_events(net->items[i].revents) : 0;
  if (ready < 0) return errno == EINTR ? 0 : -errno;
  if (ready > 0) turn(net);
  return 0;
}

void net_stats(const struct net *net, struct net_stats *out) { *out = net->stats; }
