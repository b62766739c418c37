/*
 * Why each option stands as it does (measured with libzmq 4.3.4):
 *   LINGER 0, IMMEDIATE 1    ZeroMQ's own queues promise nothing: only an acknowledgement after the peer's commit
 *                            counts, so nothing is queued for a peer that is not there.
 *   SNDHWM, RCVHWM           short, about twice the link's window in messages.
 *   HEARTBEAT 500/1500 ms    without them a silent partition swallowed 299 sends in 15 s; with them it shows after 2 s.
 *                            Of the connecting side only, see below.
 *   HANDSHAKE_IVL 3 s        silent TCP peers would hold descriptors for 30 s.
 *   MAXMSGSIZE               a frame larger than a block with its head cuts the connection.
 *   ZAP_ENFORCE_DOMAIN       without it CURVE accepts any key when no ZAP handler answers.
 *   ROUTER_MANDATORY 1       a send to nobody is an error. ROUTER_HANDOVER stays off and routing ids automatic: with
 *                            handover any valid key could take another's id.
 *   AFFINITY                 the urgent channel has an I/O thread of its own.
 */
#include "common/net/socket.h"
#include <errno.h>
#include <stdio.h>
#include <zmq.h>

#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
/* a draft option in the header, but in Debian's build it works; the result is checked */
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif

static bool set_int(void *socket, int option, int value) {
  return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

static bool set_common(void *socket, const struct net_socket_setup *setup) {
  const struct net_options *o = setup->options;
  int64_t max_message = o->max_message ? o->max_message : 128 * 1024;
  uint64_t affinity = setup->channel == 0 ? 1 : 2;
  int high_water = o->high_water ? o->high_water : 256;
  return set_int(socket, ZMQ_LINGER, 0) && set_int(socket, ZMQ_IPV6, 1) && set_int(socket, ZMQ_IMMEDIATE, 1) &&
         set_int(socket, ZMQ_SNDHWM, high_water) && set_int(socket, ZMQ_RCVHWM, high_water) &&
         set_int(socket, ZMQ_HANDSHAKE_IVL, 3000) && set_int(socket, ZMQ_TCP_KEEPALIVE, 1) &&
         set_int(socket, ZMQ_TCP_KEEPALIVE_IDLE, 30) && set_int(socket, ZMQ_TCP_KEEPALIVE_INTVL, 10) &&
         set_int(socket, ZMQ_TCP_KEEPALIVE_CNT, 3) &&
         zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &max_message, sizeof max_message) == 0 &&
         zmq_setsockopt(socket, ZMQ_AFFINITY, &affinity, sizeof affinity) == 0;
}

static bool set_keys(void *socket, const struct identity_transport *transport) {
  return zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, transport->public_key, 32) == 0 &&
         zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, transport->secret_key, 32) == 0;
}

static bool set_listening(void *socket, const struct net_socket_setup *setup) {
  return set_int(socket, ZMQ_CURVE_SERVER, 1) && set_keys(socket, &setup->options->transport) &&
         zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, NET_ZAP_DOMAIN, sizeof NET_ZAP_DOMAIN - 1) == 0 &&
         set_int(socket, ZMQ_ZAP_ENFORCE_DOMAIN, 1) && set_int(socket, ZMQ_ROUTER_MANDATORY, 1) &&
         set_int(socket, ZMQ_BACKLOG, 512);
}

/* Only the connecting side beats, and without HEARTBEAT_TTL, which would set a timer at the other end. For each message
 * that ends a timer libzmq looks through all timers of the I/O thread: with 1,000 gateways that was two fifths of the
 * broker's work, and under load they could not all connect. The listening side needs none: sessions of nodes and
 * operators have pings of their own and end after 1.5 and 6 s of silence, and TCP keepalive frees the descriptor. */
static bool set_heartbeat(void *socket, const struct net_socket_setup *setup) {
  const struct net_options *o = setup->options;
  int timeout = o->heartbeat_timeout_ms ? o->heartbeat_timeout_ms : setup->channel == 0 ? 1500 : 10000;
  return set_int(socket, ZMQ_HEARTBEAT_IVL, o->heartbeat_ms ? o->heartbeat_ms : 500) &&
         set_int(socket, ZMQ_HEARTBEAT_TIMEOUT, timeout);
}

/* The first retry comes after 100 to 100 + random ms (libzmq adds a random part of the interval itself), doubling to 5
 * s. */
static bool set_connecting(void *socket, const struct net_socket_setup *setup) {
  return zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, setup->server_key, 32) == 0 &&
         set_keys(socket, &setup->options->transport) && set_int(socket, ZMQ_RECONNECT_IVL, 100) &&
         set_int(socket, ZMQ_RECONNECT_IVL_MAX, 5000) && set_int(socket, ZMQ_CONNECT_TIMEOUT, 3000) &&
         set_heartbeat(socket, setup);
}

void *net_socket_new(void *context, const struct net_socket_setup *setup) {
  bool listens = setup->side == NET_LISTENS;
  void *socket = zmq_socket(context, listens ? ZMQ_ROUTER : ZMQ_DEALER);
  if (!socket) return NULL;
  if (set_common(socket, setup) && (listens ? set_listening(socket, setup) : set_connecting(socket, setup)))
    return socket;
  int error = errno;
  zmq_close(socket);
  errno = error;
  return NULL;
}
