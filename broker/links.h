#ifndef RIVERBUS_BROKER_LINKS_H
#define RIVERBUS_BROKER_LINKS_H
/*
 * The links of this broker: one for each station and each neighbour of the configuration, with its place in the node
 * and, for a neighbour that we connect to, its two connections. A reload adds, removes and changes them without
 * touching the others.
 *
 * What passes to a neighbour changes with either half of any agreement, with what this node is sent itself, and with
 * what others are granted: links_renew derives it anew for all, and tells the node where it is different.
 */
#include "broker/agreements.h"
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
  struct agreement *agreement; /* neighbours; lives as long as the broker */
  struct peer_rules rules;     /* neighbours: views of the agreement */
  struct snapshot snapshot;    /* on its way to the neighbour */
  bool snapshot_again;         /* another one is due, */
  int64_t snapshot_at;         /* not before, mono */
  int64_t half_at;             /* mono: when our half is to be sent; 0: it has it */
  uint64_t half_told;          /* version that it has said to have in this session */
  struct log_limit half_limit; /* of halves that are taken from it */
  struct broker_quota most;    /* the smaller of both halves */
  bool held_told;              /* the neighbour knows that something waits here for the quota */
  int64_t held_there;          /* wall: since when something waits there for it, as it told; 0: nothing */
  uint64_t left_out;           /* records of it that were not taken: not accepted here, or not granted */
  size_t key;                  /* of its keys: what we connect to; the next when that one fails */
  struct public_key used_key;  /* the same, also while a reload changes the list */
  uint64_t roster;             /* version that the station was told in this session; 0: none */
  char refused[256];           /* why the last handshake failed; empty: it did not */
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
  struct agreements *agreements;
  struct peer_grants grants;
  struct link **items;
  size_t count;
  struct table by_principal, by_node;
};
void links_init(struct links *links, const char *name, const struct world *world, struct node *node, struct net *net,
    struct agreements *agreements);
void links_deinit(struct links *links); /* before node and net */
/* The agreements have our halves of this configuration. */
void links_configure(struct links *links, const struct broker_config *config);
/* The places of what is stored next in our logs. */
struct peer_from links_next(const struct links *links);
/* A half has changed: before anything else happens, since the old one is gone. */
void links_renew(struct links *links);
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
