#ifndef RIVERBUS_BROKER_LINKS_H
#define RIVERBUS_BROKER_LINKS_H
/*
 * The links of this broker: one for each station and each neighbour of the configuration, with its place in the node
 * and, for a neighbour that we connect to, its two connections. A reload adds, removes and changes them without
 * touching the others.
 */
#include "broker/peers.h"
#include "broker/principals.h"
#include "broker/snapshot.h"
#include "common/base/log.h"
#include "common/net/net.h"
#include "common/node/node.h"

/* after a session that was refused or died; what ZeroMQ reconnects by itself is not waited for */
#define LINK_NEXT_KEY_US (50 * MILLISECOND_US)
#define LINK_RECONNECT_US SECOND_US

struct link {
  char *principal;
  char *node;
  bool is_peer;
  const struct broker_station *station; /* in the configuration that is valid now */
  const struct broker_peer *config;
  struct node_peer *peer;
  struct peer_rules rules; /* neighbours */
  uint64_t scope;
  struct snapshot snapshot;   /* on its way to the neighbour */
  bool asks;                  /* for one of theirs: what we accept has changed */
  size_t key;                 /* of its keys: what we connect to; the next when that one fails */
  struct public_key used_key; /* the same, also while a reload changes the list */
  uint64_t roster;            /* version that the station was told in this session; 0: none */
  char refused[256];          /* why the last handshake failed; empty: it did not */
  struct log_limit limit;
  char *endpoints[CHANNELS]; /* of the connections that stand; NULL: we do not connect */
  uint64_t conns[CHANNELS];  /* 0: none */
  bool stands[CHANNELS];
  int64_t connect_at; /* mono; 0: not due */
  bool wanted;        /* during a reload */
};
struct links {
  struct node *node;
  struct net *net;
  const struct world *world;
  char *name; /* of this node */
  struct link **items;
  size_t count;
  struct table by_principal, by_node;
};
void links_init(struct links *links, const char *name, const struct world *world, struct node *node, struct net *net);
void links_deinit(struct links *links); /* before node and net */
void links_configure(struct links *links, const struct broker_config *config);
struct link *links_find(const struct links *links, const char *principal);
/* The station's link that owns the address, NULL: none. */
struct link *links_of_address(const struct links *links, struct bytes address);
/* The neighbour of that name, NULL: none. */
struct link *links_of_peer(const struct links *links, struct bytes name);
void links_opened(struct links *links, uint64_t conn);
void links_closed(struct links *links, uint64_t conn); /* by the network */
/* The handshake failed: the peer's next key is tried soon, and the first again after LINK_RECONNECT_US. */
void links_failed(struct links *links, uint64_t conn, bool unknown);
void links_close(struct links *links, uint64_t conn); /* the node wants it closed */
int64_t links_tick(struct links *links, int64_t now); /* opens what is due; returns when next, mono */
#endif
