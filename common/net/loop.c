/* Receiving and the poll loop: urgent first, everything else in bounded shares. */
#include "common/net/net_internal.h"
#include "common/base/mem.h"
#include <errno.h>

enum {
  URGENT_SHARE = 1024, /* messages of one urgent socket in a row */
  OTHER_SHARE = 16,    /* messages of another socket before urgent is looked at again */
  OTHER_TURN = 256,    /* messages of other sockets in one net_poll */
  DRAIN_SHARE = 1024   /* frames of a refused message in one step */
};

/* ---- receiving ---- */

static void refuse_message(struct net *net) { net->stats.refused_messages++; }

/* Goes on with the rest of a message of several frames. A peer with a valid key may make it as long as it likes, hence
 * one step and then the others' turn. */
static void drain(struct net_socket *socket) {
  zmq_msg_t rest;
  zmq_msg_init(&rest);
  for (int taken = 0; socket->draining && taken < DRAIN_SHARE && zmq_msg_recv(&rest, socket->zmq, ZMQ_DONTWAIT) >= 0;
       taken++)
    socket->draining = zmq_msg_more(&rest);
  zmq_msg_close(&rest);
}

/* Who sent it; false: nobody that is authorised at this moment. */
static bool identify(struct net *net, struct net_socket *socket, struct bytes id, zmq_msg_t *payload, uint64_t *number,
    const char **principal) {
  const struct net_events *events = &net->options.events;
  uint8_t key[32];
  *number = socket->conn;
  *principal = socket->principal;
  if (!socket->listens) return true;
  *principal = zap_key_of_user(zmq_msg_gets(payload, "User-Id"), key) ? events->principal(events->ctx, key) : NULL;
  struct net_conn *conn = *principal ? net_conn_of_route(net, socket, id, key) : NULL;
  if (conn) *number = conn->number;
  return conn;
}

static void deliver(struct net *net, struct net_socket *socket, struct bytes id, zmq_msg_t *payload) {
  const struct net_events *events = &net->options.events;
  const char *principal;
  uint64_t number;
  if (!identify(net, socket, id, payload, &number, &principal)) {
    refuse_message(net);
    return;
  }
  struct bytes message = bytes_of(zmq_msg_data(payload), zmq_msg_size(payload));
  net->stats.messages_in++;
  net->stats.bytes_in += message.len;
  events->message(events->ctx, number, socket->channel, principal, message);
}

/* One message; false: no more in this share. A message of more than one payload frame is refused whole. The socket may
 * be gone afterwards. */
static bool receive_one(struct net *net, struct net_socket *socket) {
  uint8_t id[256]; /* the longest that a peer can ask for has 255 bytes */
  int id_len = 0;
  zmq_msg_t payload;
  drain(socket);
  if (socket->draining) return false;
  if (socket->listens) {
    id_len = zmq_recv(socket->zmq, id, sizeof id, ZMQ_DONTWAIT);
    if (id_len < 0) return false;
  }
  zmq_msg_init(&payload);
  bool got = zmq_msg_recv(&payload, socket->zmq, ZMQ_DONTWAIT) >= 0;
  socket->draining = got && zmq_msg_more(&payload);
  if (socket->draining)
    refuse_message(net);
  else if (got)
    deliver(net, socket, bytes_of(id, (size_t)id_len), &payload);
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
  while (!net->changed && net_monitor_next(&socket->monitor, &event)) {
    if (event.kind == NET_MONITOR_REFUSED) {
      net->stats.refused_handshakes++;
      if (!socket->listens && events->failed)
        events->failed(events->ctx, socket->conn, event.unknown);
      else
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

static short to_zmq(short events) {
  return (short)((events & POLLIN ? ZMQ_POLLIN : 0) | (events & POLLOUT ? ZMQ_POLLOUT : 0));
}
static short from_zmq(short events) {
  return (short)((events & ZMQ_POLLIN ? POLLIN : 0) | (events & ZMQ_POLLOUT ? POLLOUT : 0) |
                 (events & ZMQ_POLLERR ? POLLERR : 0));
}

static size_t fill_items(struct net *net, const struct pollfd *extra, size_t extra_count) {
  size_t count = 0;
  for (size_t i = 0; i < extra_count; i++) add_item(net, &count, NULL, extra[i].fd, to_zmq(extra[i].events));
  add_item(net, &count, net->zap.socket, 0, ZMQ_POLLIN);
  for (size_t i = 0; i < net->socket_count; i++) {
    add_item(net, &count, net->sockets[i]->zmq, 0, ZMQ_POLLIN);
    add_item(net, &count, net->sockets[i]->monitor.zmq, 0, ZMQ_POLLIN);
  }
  return count;
}

static void tell_gone(struct net *net) {
  while (net->gone_count > 0) net->options.events.closed(net->options.events.ctx, net->gone[--net->gone_count]);
}

static void turn(struct net *net) {
  size_t others = 0, taken = 1, rounds = OTHER_TURN / OTHER_SHARE;
  net->changed = false;
  for (size_t i = 0; i < net->socket_count && !net->changed; i++) monitor_run(net, net->sockets[i]);
  zap_run(&net->zap); /* after the monitors: whom it refuses is then known by address */
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
  for (size_t i = 0; i < extra_count; i++) extra[i].revents = ready > 0 ? from_zmq(net->items[i].revents) : 0;
  if (ready < 0) return errno == EINTR ? 0 : -errno;
  if (ready > 0) turn(net);
  return 0;
}
