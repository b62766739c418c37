#ifndef RIVERBUS_BROKER_OPERATOR_CLIENT_INTERNAL_H
#define RIVERBUS_BROKER_OPERATOR_CLIENT_INTERNAL_H
/* What the files of the client share: client.c (messages, the loop), client_connect.c (until the node says welcome). */
#include "broker/operator/client.h"

struct client {
  char *config_path;
  struct operator_config *config;
  struct identity *identity;
  struct net *net;
  uint64_t conn; /* 0: none; the next is opened at `next` */
  struct client_events events;
  bool opened, greeted, welcome;
  bool broke;         /* the handshake of `conn` broke off: it is closed outside of the callback */
  bool refused;       /* finally: our key is not known there, or the node said why in `said` */
  size_t key;         /* which of the broker's keys is tried */
  size_t broken;      /* handshakes that broke off since the last try that began anew */
  int64_t next;       /* mono */
  int64_t pause;      /* before the list of keys is tried again, µs */
  struct buffer said; /* what the node answered instead of welcome, as it came */
  char node[REQUEST_TEXT_MAX + 1], name[REQUEST_TEXT_MAX + 1];
  int64_t greeted_wall, greeted_mono; /* when HELLO was sent */
  int64_t ahead;
  int64_t heard, pinged; /* mono */
  uint64_t last_id, token;
  struct buffer frame, queue;
  char lost[512];
};

bool client_send(struct client *client, const struct request_message *message);
/* One message of the node: given to net_new by client_connect.c. */
void client_take(struct client *client, struct bytes frame);
#endif
