#ifndef RIVERBUS_GATEWAY_UPLINK_H
#define RIVERBUS_GATEWAY_UPLINK_H
/* The connections to the province's broker: two to one endpoint, endpoints and keys tried in turn. What is said on them
 * is the node's affair. */
#include "common/base/log.h"
#include "common/net/net.h"
#include "common/node/node.h"
#include "gateway/config.h"

struct uplink {
  const struct gateway_broker *config;
  const struct world *world;
  struct net *net;
  struct node *node;
  struct node_peer *peer;
  char principal[ADDRESS_MAX + 16];
  size_t turn;              /* counts attempts: picks endpoint and key */
  uint64_t conns[CHANNELS]; /* 0: none */
  bool stands[CHANNELS];
  bool up;           /* the node has a session */
  unsigned failures; /* attempts in a row without a session */
  bool failed;       /* a handshake of this attempt */
  struct log_limit limit;
  int64_t act_at; /* mono: connect then, or give up waiting then; 0: nothing due */
};

/* principal: "broker PROVINCE". config must outlive it or the next uplink_configure. */
void uplink_init(struct uplink *uplink, const char *province, const struct world *world, struct net *net,
    struct node *node, const struct gateway_broker *config);
void uplink_deinit(struct uplink *uplink);
void uplink_configure(struct uplink *uplink, const struct gateway_broker *config, bool reconnect);
void uplink_opened(struct uplink *uplink, uint64_t conn);
void uplink_closed(struct uplink *uplink, uint64_t conn);
void uplink_failed(struct uplink *uplink, uint64_t conn, bool unknown); /* the handshake, see net_events */
void uplink_close(struct uplink *uplink, uint64_t conn);                /* the node gives a connection up */
void uplink_session(struct uplink *uplink, bool up);
int64_t uplink_tick(struct uplink *uplink, int64_t now); /* mono: when to call again */
const char *uplink_endpoint(const struct uplink *uplink);
#endif
