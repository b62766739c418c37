#ifndef RIVERBUS_COMMON_NET_SOCKET_H
#define RIVERBUS_COMMON_NET_SOCKET_H
/* Sockets and their options: the only place that sets them. */
#include "common/net/net.h"

#define NET_ZAP_DOMAIN "riverbus"

enum net_side { NET_LISTENS, NET_CONNECTS };
struct net_socket_setup {
  enum net_side side;
  int channel; /* 0 is urgent: its own I/O thread */
  const struct net_options *options;
  const uint8_t *server_key; /* CONNECTS: 32 bytes */
};

/* A ROUTER or DEALER with all options set; NULL with errno when libzmq refuses one (CURVE or ZAP enforcement missing in
 * the build). */
void *net_socket_new(void *context, const struct net_socket_setup *setup);
#endif
