#include "broker/operator/probe.h"
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PROBE_MS = 500 };

static bool split(const char *endpoint, char host[256], char port[16]) {
  const char *at = strncmp(endpoint, "tcp://", 6) == 0 ? endpoint + 6 : endpoint, *colon = strrchr(at, ':');
  if (!colon || (size_t)(colon - at) >= 256 || strlen(colon + 1) >= 16) return false;
  bool brackets = at[0] == '[' && colon > at + 1 && colon[-1] == ']';
  snprintf(host, 256, "%.*s", (int)(colon - at) - (brackets ? 2 : 0), at + (brackets ? 1 : 0));
  snprintf(port, 16, "%s", colon + 1);
  return true;
}

/* 0: it was opened; else errno. */
static int open_once(const struct addrinfo *address) {
  int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), error = 0;
  socklen_t len = sizeof error;
  if (fd < 0) return errno;
  if (connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    error = errno;
    if (error == EINPROGRESS && poll(&wait, 1, PROBE_MS) <= 0)
      error = ETIMEDOUT;
    else if (error == EINPROGRESS && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
      error = errno;
  }
  close(fd);
  return error;
}

void probe(const char *endpoint, char *why, size_t size) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
  char host[256], port[16];
  if (!split(endpoint, host, port)) {
    snprintf(why, size, "it is no tcp://HOST:PORT");
    return;
  }
  int outcome = getaddrinfo(host, port, &hints, &found), error = ECONNREFUSED;
  if (outcome != 0) {
    snprintf(why, size, "the name %s cannot be looked up (%s)", host, gai_strerror(outcome));
    return;
  }
  for (const struct addrinfo *address = found; address && error; address = address->ai_next) error = open_once(address);
  freeaddrinfo(found);
  if (error == ECONNREFUSED)
    snprintf(why, size, "nobody listens there");
  else if (error == ETIMEDOUT)
    snprintf(why, size, "nothing comes back from that address");
  else if (error)
    snprintf(why, size, "%s", strerror(error));
  else
    snprintf(why, size, "somebody listens there and says nothing in our protocol");
}
