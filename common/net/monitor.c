#include "common/net/monitor.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <zmq.h>

enum {
  WATCHED = ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
            ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH
};

bool net_monitor_init(struct net_monitor *monitor, void *context, void *socket, bool listens, unsigned n) {
  char endpoint[64];
  int linger = 0;
  memset(monitor, 0, sizeof *monitor);
  monitor->watched = socket;
  monitor->listens = listens;
  for (unsigned i = 0; i < NET_MONITOR_PENDING; i++) monitor->remotes[i].fd = -1;
  snprintf(endpoint, sizeof endpoint, "inproc://riverbus-monitor-%u", n);
  if (zmq_socket_monitor(socket, endpoint, WATCHED) != 0) return false;
  monitor->zmq = zmq_socket(context, ZMQ_PAIR);
  return monitor->zmq && zmq_setsockopt(monitor->zmq, ZMQ_LINGER, &linger, sizeof linger) == 0 &&
         zmq_connect(monitor->zmq, endpoint) == 0;
}

void net_monitor_deinit(struct net_monitor *monitor) {
  if (monitor->watched) zmq_socket_monitor(monitor->watched, NULL, 0);
  if (monitor->zmq) zmq_close(monitor->zmq);
  monitor->watched = monitor->zmq = NULL;
}

/* ---- who it was ---- */

/* The descriptor is libzmq's and may be closed already, even used again: then the address is missing or another's. It
 * is for people who read logs, nothing is decided by it. */
static void remember(struct net_monitor *monitor, int fd) {
  struct net_monitor_remote *remote = &monitor->remotes[monitor->next++ % NET_MONITOR_PENDING];
  struct sockaddr_storage address;
  socklen_t len = sizeof address;
  char host[INET6_ADDRSTRLEN] = "";
  remote->fd = fd;
  remote->succeeded = monitor->succeeded;
  remote->address[0] = '\0';
  if (getpeername(fd, (struct sockaddr *)&address, &len) != 0) return;
  const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address;
  const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address;
  if (address.ss_family == AF_INET && inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host))
    snprintf(remote->address, sizeof remote->address, "tcp://%s:%u", host, ntohs(v4->sin_port));
  if (address.ss_family != AF_INET6) return;
  bool mapped = IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr);
  if (mapped && inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], host, sizeof host))
    snprintf(remote->address, sizeof remote->address, "tcp://%s:%u", host, ntohs(v6->sin6_port));
  if (!mapped && inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host))
    snprintf(remote->address, sizeof remote->address, "tcp://[%s]:%u", host, ntohs(v6->sin6_port));
}

static struct net_monitor_remote *recall(struct net_monitor *monitor, int fd) {
  for (unsigned i = 0; i < NET_MONITOR_PENDING; i++)
    if (monitor->remotes[i].fd == fd) {
      monitor->remotes[i].fd = -1;
      return &monitor->remotes[i];
    }
  return NULL;
}

/* ---- what it was ---- */

struct raw {
  uint16_t kind;
  uint32_t value;
  char address[NET_MONITOR_ADDRESS];
};

/* A message: u16 event and u32 value in one frame, our endpoint (or, where we connect, the remote's) in the next. */
static bool raw_next(void *zmq, struct raw *raw) {
  uint8_t head[6] = {0};
  if (zmq_recv(zmq, head, sizeof head, ZMQ_DONTWAIT) < 0) return false;
  int len = zmq_recv(zmq, raw->address, sizeof raw->address - 1, ZMQ_DONTWAIT);
  raw->address[len < 0 ? 0 : len < (int)sizeof raw->address ? len : (int)sizeof raw->address - 1] = '\0';
  memcpy(&raw->kind, head, 2);
  memcpy(&raw->value, head + 2, 4);
  return true;
}

static void describe_failure(struct net_monitor_event *event, const struct raw *raw) {
  *event = (struct net_monitor_event){.kind = NET_MONITOR_REFUSED};
  event->unknown = raw->kind == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
  if (event->unknown)
    snprintf(event->reason, sizeof event->reason, "the key is not known (status %u)", raw->value);
  else if (raw->kind == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL)
    snprintf(event->reason, sizeof event->reason, "not our protocol (0x%x)", raw->value);
  else
    snprintf(event->reason, sizeof event->reason, "the handshake broke off (%s)", zmq_strerror((int)raw->value));
}

/* The I/O thread of a socket says a failure and, next, the end of that descriptor. Of a peer that does not even begin
 * like ours it says only the end: where no handshake at all was finished since it was accepted, its own was not. */
static void take_end(struct net_monitor *monitor, int fd, struct net_monitor_event *event) {
  struct net_monitor_remote *remote = recall(monitor, fd);
  *event = monitor->failure;
  monitor->failure.kind = NET_MONITOR_NONE;
  if (event->kind == NET_MONITOR_NONE && remote && remote->succeeded == monitor->succeeded) {
    event->kind = NET_MONITOR_REFUSED;
    snprintf(event->reason, sizeof event->reason, "not our protocol");
  }
  if (event->kind == NET_MONITOR_NONE) event->kind = NET_MONITOR_CLOSED;
  if (remote) snprintf(event->address, sizeof event->address, "%s", remote->address);
}

static void take_listening(struct net_monitor *monitor, const struct raw *raw, struct net_monitor_event *event) {
  switch (raw->kind) {
    case ZMQ_EVENT_ACCEPTED: remember(monitor, (int)raw->value); return;
    case ZMQ_EVENT_DISCONNECTED: take_end(monitor, (int)raw->value, event); return;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
      monitor->succeeded++;
      event->kind = NET_MONITOR_OPENED;
      return;
    default:
      *event = monitor->failure; /* one whose end was never told */
      describe_failure(&monitor->failure, raw);
  }
}

static void take_connecting(const struct raw *raw, struct net_monitor_event *event) {
  if (raw->kind == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
    event->kind = NET_MONITOR_OPENED;
  else if (raw->kind == ZMQ_EVENT_DISCONNECTED)
    event->kind = NET_MONITOR_CLOSED;
  else if (raw->kind != ZMQ_EVENT_ACCEPTED)
    describe_failure(event, raw);
  snprintf(event->address, sizeof event->address, "%s", raw->address);
}

bool net_monitor_next(struct net_monitor *monitor, struct net_monitor_event *event) {
  struct raw raw;
  if (!raw_next(monitor->zmq, &raw)) return false;
  *event = (struct net_monitor_event){.kind = NET_MONITOR_NONE};
  if (monitor->listens)
    take_listening(monitor, &raw, event);
  else
    take_connecting(&raw, event);
  return true;
}
