#ifndef RIVERBUS_COMMON_NET_SOCKET_H
#define RIVERBUS_COMMON_NET_SOCKET_H
/* Sockets and their options: the only place that sets them. */
#include "common/net/net.h"

#define NET_ZAP_DOMAIN "riverbus"

enum net_side { NET_LISTENS, NET_CONNECTS };
struct net_socket_setup {
  enum net_side side;
  int channel;                  /* 0 is urgent: its own I/O thread */
  const struct net_options *options;
  const uint8_t *server_key;    /* CONNECTS: 32 bytes */
};

/* A ROUTER or DEALER with all options set; NULL with errno when libzmq refuses one (CURVE or ZAP enforcement missing in the build). */
void *net_socket_new(void *context, const struct net_socket_setup *setup);
/* A PAIR that reads the monitor events of `socket`, number `n` being unique in the process; NULL with errno. */
void *net_monitor_new(void *context, void *socket, unsigned n);

enum net_monitor_kind { NET_MONITOR_NONE, NET_MONITOR_OPENED, NET_MONITOR_CLOSED, NET_MONITOR_REFUSED };
struct net_monitor_event { enum net_monitor_kind kind; char address[128]; char reason[64]; };
/* Takes one event; false: none waits. Never blocks. */
bool net_monitor_next(void *monitor, struct net_monitor_event *event);
#endif
