#ifndef RIVERBUS_COMMON_NET_MONITOR_H
#define RIVERBUS_COMMON_NET_MONITOR_H
/*
 * What ZeroMQ tells of a socket's connections (zmq_socket_monitor(3)), made into three kinds. On a listening socket
 * libzmq 4.3.4 names only our own endpoint; the remote's address is taken from the descriptor when the connection is
 * accepted, and given to the failure that ends it.
 */
#include <stdbool.h>
#include <stdint.h>

enum { NET_MONITOR_PENDING = 64, NET_MONITOR_ADDRESS = 128 };
enum net_monitor_kind { NET_MONITOR_NONE, NET_MONITOR_OPENED, NET_MONITOR_CLOSED, NET_MONITOR_REFUSED };
struct net_monitor_event {
  enum net_monitor_kind kind;
  char address[NET_MONITOR_ADDRESS]; /* the remote's, "tcp://HOST:PORT"; "" where it is not known */
  char reason[64];                   /* REFUSED: why */
  bool unknown;                      /* REFUSED: by an answer, that the key is not known */
};

struct net_monitor_remote {
  int fd;
  char address[64];
  uint64_t succeeded; /* handshakes that had been finished on the socket when this one was accepted */
};
struct net_monitor {
  void *zmq; /* the PAIR to poll; NULL: none */
  void *watched;
  bool listens;
  struct net_monitor_remote remotes[NET_MONITOR_PENDING]; /* LISTENS: the last accepted, round robin */
  unsigned next;
  uint64_t succeeded;               /* LISTENS: handshakes finished */
  struct net_monitor_event failure; /* LISTENS: one whose descriptor is not known yet */
};

/* Watches `socket`; n is unique in the context. false, with errno: libzmq refuses. */
bool net_monitor_init(struct net_monitor *monitor, void *context, void *socket, bool listens, unsigned n);
void net_monitor_deinit(struct net_monitor *monitor);
/* Takes one event; false: none waits. Never blocks. */
bool net_monitor_next(struct net_monitor *monitor, struct net_monitor_event *event);
#endif
