#ifndef RIVERBUS_COMMON_NET_NET_H
#define RIVERBUS_COMMON_NET_NET_H
/*
 * The ZeroMQ shell: sockets, CURVE, the ZAP handler, the poll loop. It knows no protocol: a message is one payload
 * frame, with the authenticated name of who sent it. Facts behind the options: docs in socket.c.
 *
 * Listening side: one ROUTER for each channel. Connecting side: one DEALER for each connection. Both are *connections*
 * here, with a number that is never used again. Every socket option is set in one function (net_socket_options). Sends
 * never block.
 *
 * The ZAP handler runs in the loop of the thread that calls net_poll (the core never blocks, so it answers at once); it
 * is started and probed before the first bind. A message without a User-Id, or whose principal is no longer authorised,
 * is dropped and counted.
 */
#include "common/base/bytes.h"
#include "common/identity/identity.h"
#include <poll.h>

struct net;
enum { NET_FULL = 1, NET_GONE = 2, NET_REFUSED = 3 };

struct net_events {
  void *ctx;
  /* Who this transport key is: the principal's name ("station chongqing/cuntan", "operator duty"), or NULL: unknown,
   * refused. Called by the ZAP handler and again for every message (so make it a table look-up): a key revoked a moment
   * ago gets nothing through. */
  const char *(*principal)(void *ctx, const uint8_t transport_key[32]);
  /* One message. conn: answer with net_send. channel: as given to net_listen or net_connect. principal: for a
   * connection that we opened, the name given to net_connect. The bytes are valid during the call. */
  void (*message)(void *ctx, uint64_t conn, int channel, const char *principal, struct bytes message);
  /* a connection that we asked for stands (after the handshake), or stands again */
  void (*opened)(void *ctx, uint64_t conn);
  /* gone; for one that we asked for, ZeroMQ tries again by itself until net_close */
  void (*closed)(void *ctx, uint64_t conn);
  /* A handshake failed or a stranger knocked: address is the remote's where known ("tcp://HOST:PORT"), else "". Bound
   * lines yourself. */
  void (*refused)(void *ctx, const char *address, const char *reason);
  /* The handshake of a connection that we asked for failed, and ZeroMQ tries it again. unknown: the other side does not
   * know our key; else it broke off: who answers does not hold the key that we have for it, speaks no protocol of ours,
   * or ends just now. NULL: told as `refused`. */
  void (*failed)(void *ctx, uint64_t conn, bool unknown);
};

struct net_options {
  struct identity_transport transport; /* our CURVE key pair */
  struct net_events events;
  uint32_t max_message;                   /* bytes; 0: 128 KiB. Larger: the connection is cut by libzmq */
  int high_water;                         /* messages a connection may hold unsent; 0: 256 */
  int heartbeat_ms, heartbeat_timeout_ms; /* 0: 500; 1500, of telemetry 10000; of connections that we open */
};

/* <0: libzmq has no CURVE, or a needed option is refused */
int net_new(struct net **out, const struct net_options *options);
struct net *net_free(struct net *net); /* closes at once, LINGER 0 */
/* endpoint: tcp://HOST:PORT or tcp://[V6]:PORT; port 0 or * picks one: the real endpoint is in `bound` (256 bytes).
 * NET_REFUSED: *why is static. */
int net_listen(struct net *net, const char *endpoint, int channel, char bound[256], const char **why);
/* server_key: the transport key of the server; principal: how to call it in messages. */
int net_connect(struct net *net, const char *endpoint, const uint8_t server_key[32], int channel, const char *principal,
    uint64_t *conn, const char **why);
/* ours: closed; theirs: forgotten (ZeroMQ cannot cut one peer); what it still sends comes as a new connection */
void net_close(struct net *net, uint64_t conn);
int net_send(struct net *net, uint64_t conn, struct bytes message); /* NET_FULL, NET_GONE. Copies */
/* Forgets every connection whose key is authorised no longer, and those of `principal` ("" for none), and tells
 * `closed` of each in the next net_poll. What a revoked key still sends is dropped by the check of every message. */
void net_revoke(struct net *net, const char *principal);
/* One turn: waits at most timeout_us for a socket or one of the extra descriptors, then calls the events: urgent
 * (channel 0) sockets are emptied first and again between bounded shares of the others. extra[i].revents is set.
 * Returns 0; <0 fatal; a signal (EINTR) is a normal early return. */
int net_poll(struct net *net, struct pollfd *extra, size_t extra_count, int64_t timeout_us);

struct net_stats {
  uint64_t messages_in, messages_out, bytes_in, bytes_out, refused_handshakes, refused_messages, full, connections;
};
void net_stats(const struct net *net, struct net_stats *out);
#endif
