/* Connections: numbers for the owner, routing ids for ZeroMQ, and how many each key may hold. */
#include "common/net/net_internal.h"
#include "common/base/mem.h"
#include <stdlib.h>

/* Scripts of one operator run side by side; a valid key that connects again and again holds no more than that: its
 * oldest is forgotten. */
enum { CONNECTIONS_PER_KEY = 128 };

struct net_key {
  struct net_conn *oldest, *newest;
  size_t count;
};

/* A table's key made of a socket and some bytes. */
struct socket_key {
  uint8_t bytes[sizeof(void *) + 32];
};
static struct bytes socket_key(
    struct socket_key *key, const struct net_socket *socket, const uint8_t *data, size_t len) {
  memcpy(key->bytes, &socket, sizeof(void *));
  memcpy(key->bytes + sizeof(void *), data, len);
  return bytes_of(key->bytes, sizeof(void *) + len);
}

static struct bytes number_key(const uint64_t *number) { return bytes_of(number, sizeof *number); }

struct net_conn *net_conn_find(const struct net *net, uint64_t number) {
  return table_get(&net->by_number, number_key(&number));
}

struct net_conn *net_conn_add(struct net *net, struct net_socket *socket) {
  struct net_conn *conn = mem_alloc(sizeof *conn);
  conn->number = net->next++;
  conn->socket = socket;
  table_put(&net->by_number, number_key(&conn->number), conn);
  net->stats.connections++;
  return conn;
}

/* ---- the connections of one key on one socket, by age ---- */

static void key_join(struct net *net, struct net_conn *conn) {
  struct socket_key name;
  struct bytes bytes = socket_key(&name, conn->socket, conn->key, sizeof conn->key);
  struct net_key *key = table_get(&net->by_key, bytes);
  if (!key) {
    key = mem_alloc(sizeof *key);
    table_put(&net->by_key, bytes, key);
  }
  conn->owner = key;
  conn->older = key->newest;
  if (key->newest)
    key->newest->newer = conn;
  else
    key->oldest = conn;
  key->newest = conn;
  key->count++;
}

static void key_leave(struct net *net, struct net_conn *conn) {
  struct net_key *key = conn->owner;
  struct socket_key name;
  *(conn->older ? &conn->older->newer : &key->oldest) = conn->newer;
  *(conn->newer ? &conn->newer->older : &key->newest) = conn->older;
  if (--key->count == 0) free(table_remove(&net->by_key, socket_key(&name, conn->socket, conn->key, sizeof conn->key)));
}

void net_conn_remove(struct net *net, struct net_conn *conn) {
  struct socket_key route;
  if (conn->owner) {
    key_leave(net, conn);
    table_remove(&net->by_route, socket_key(&route, conn->socket, conn->id, sizeof conn->id));
  }
  table_remove(&net->by_number, number_key(&conn->number));
  net->stats.connections--;
  free(conn);
}

void net_conn_gone(struct net *net, struct net_conn *conn) {
  net->gone = mem_resize(net->gone, net->gone_count + 1, sizeof *net->gone);
  net->gone[net->gone_count++] = conn->number;
  net_conn_remove(net, conn);
}

/* A peer may ask for a routing id of its own choice. One that it chose could be that of a peer that just left, and get
 * what was meant for it; so only automatic ids are taken, and a route that comes back with another key is another
 * connection. */
static bool route_is_automatic(struct bytes id) { return id.len == NET_ROUTE_MAX && id.data[0] == 0; }

struct net_conn *net_conn_of_route(struct net *net, struct net_socket *socket, struct bytes id, const uint8_t key[32]) {
  struct socket_key route;
  if (!route_is_automatic(id)) return NULL;
  struct net_conn *conn = table_get(&net->by_route, socket_key(&route, socket, id.data, id.len));
  if (conn && memcmp(conn->key, key, sizeof conn->key) == 0) return conn;
  if (conn) net_conn_gone(net, conn);
  conn = net_conn_add(net, socket);
  memcpy(conn->id, id.data, sizeof conn->id);
  memcpy(conn->key, key, sizeof conn->key);
  table_put(&net->by_route, socket_key(&route, socket, id.data, id.len), conn);
  key_join(net, conn);
  if (conn->owner->count > CONNECTIONS_PER_KEY) net_conn_gone(net, conn->owner->oldest);
  return conn;
}

void net_conns_deinit(struct net *net) {
  table_deinit(&net->by_key, free);
  table_deinit(&net->by_route, NULL);
  table_deinit(&net->by_number, free);
}
