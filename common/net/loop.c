/* Receiving and the poll loop: urgent first, everything else in bounded shares. */
#include "common/net/net_internal.h"
#include "common/base/mem.h"
#include "common/base/world.h"
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

/* Does the socket have something for us? Asking also takes what its I/O thread said, and without asking ZeroMQ's
 * descriptor is not readable a second time: it is told once when something changes (zmq_getsockopt(3), ZMQ_FD). */
static bool is_readable(void *zmq) {
  int events = 0;
  size_t len = sizeof events;
  return zmq_getsockopt(zmq, ZMQ_EVENTS, &events, &len) == 0 && (events & ZMQ_POLLIN);
}

static int descriptor(void *zmq) {
  int fd = -1;
  size_t len = sizeof fd;
  return zmq_getsockopt(zmq, ZMQ_FD, &fd, &len) == 0 ? fd : -1;
}

static void add_poll(struct net *net, size_t *count, struct pollfd poll) {
  if (*count == net->poll_cap) {
    net->poll_cap = net->poll_cap ? net->poll_cap * 2 : 16;
    net->polls = mem_resize(net->polls, net->poll_cap, sizeof *net->polls);
  }
  net->polls[(*count)++] = poll;
}

static void add_socket(struct net *net, size_t *count, void *zmq, bool *waits) {
  *waits = is_readable(zmq) || *waits;
  add_poll(net, count, (struct pollfd){.fd = descriptor(zmq), .events = POLLIN});
}

/* The owner's descriptors, then ours. waits: a socket is readable already, so its descriptor may say nothing. */
static size_t fill_polls(struct net *net, const struct pollfd *extra, size_t extra_count, bool *waits) {
  size_t count = 0;
  for (size_t i = 0; i < extra_count; i++) add_poll(net, &count, (struct pollfd){extra[i].fd, extra[i].events, 0});
  add_socket(net, &count, net->zap.socket, waits);
  for (size_t i = 0; i < net->socket_count; i++) {
    add_socket(net, &count, net->sockets[i]->zmq, waits);
    add_socket(net, &count, net->sockets[i]->monitor.zmq, waits);
  }
  return count;
}

static bool has_events(const struct pollfd *polls, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (polls[i].revents) return true;
  return false;
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

/* ZeroMQ's own zmq_poll asks every socket twice a turn, once of it between the wake and the work, and knows only whole
 * milliseconds. Here they are asked once, before the wait, so that a commit or an MQTT message is served at once. */
int net_poll(struct net *net, struct pollfd *extra, size_t extra_count, int64_t timeout_us) {
  bool waits = net->gone_count > 0;
  tell_gone(net);
  size_t count = fill_polls(net, extra, extra_count, &waits);
  if (waits) timeout_us = 0;
  struct timespec timeout = {.tv_sec = timeout_us / SECOND_US, .tv_nsec = timeout_us % SECOND_US * 1000};
  int ready = ppoll(net->polls, count, timeout_us < 0 ? NULL : &timeout, NULL);
  for (size_t i = 0; i < extra_count; i++) extra[i].revents = ready > 0 ? net->polls[i].revents : 0;
  if (ready < 0) return errno == EINTR ? 0 : -errno;
  if (waits || (ready > 0 && has_events(net->polls + extra_count, count - extra_count))) turn(net);
  return 0;
}
