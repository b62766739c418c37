#ifndef RIVERBUS_COMMON_NET_NET_INTERNAL_H
#define RIVERBUS_COMMON_NET_NET_INTERNAL_H
/* What the files of this room share: net.c (life, doors, sending), connection.c (who is behind a number), loop.c
 * (receiving, the poll loop). */
#include "common/net/net.h"
#include "common/base/table.h"
#include "common/net/monitor.h"
#include "common/net/zap.h"
#include <zmq.h>

enum { NET_ROUTE_MAX = 5 }; /* an automatic routing id: a zero byte and 32 bits */

struct net_socket {
  void *zmq;
  struct net_monitor monitor;
  int channel;
  bool listens;
  bool draining;   /* in the middle of a message of several payload frames, which is refused whole */
  bool open;       /* CONNECTS: the handshake is done */
  uint64_t conn;   /* CONNECTS */
  char *principal; /* CONNECTS */
};

struct net_key;
struct net_conn {
  uint64_t number;
  struct net_socket *socket;
  uint8_t id[NET_ROUTE_MAX]; /* LISTENS: the routing id */
  uint8_t key[32];           /* LISTENS: whose */
  struct net_key *owner;     /* LISTENS: the list of this key's connections on this socket, by age */
  struct net_conn *older, *newer;
};

struct net {
  void *context;
  struct net_options options;
  struct zap zap;
  struct net_socket **sockets;
  size_t socket_count;
  struct table by_number; /* number -> net_conn */
  struct table by_route;  /* socket and routing id -> net_conn */
  struct table by_key;    /* socket and transport key -> net_key */
  uint64_t next;
  unsigned monitors;
  struct net_stats stats;
  struct pollfd *polls; /* of the turn */
  size_t poll_cap;
  bool changed;   /* a socket came or went during this turn */
  uint64_t *gone; /* connections whose end is still to be told: never from inside a call of the owner */
  size_t gone_count;
};

struct net_conn *net_conn_find(const struct net *net, uint64_t number);
/* A connection that we open: no route. */
struct net_conn *net_conn_add(struct net *net, struct net_socket *socket);
/* The connection behind a routing id of a listening socket; made where it is new. NULL: not an automatic id. */
struct net_conn *net_conn_of_route(struct net *net, struct net_socket *socket, struct bytes id, const uint8_t key[32]);
void net_conn_remove(struct net *net, struct net_conn *conn);
/* Removes it and lets the next net_poll tell the owner. */
void net_conn_gone(struct net *net, struct net_conn *conn);
void net_conns_deinit(struct net *net);
#endif
