#ifndef RIVERBUS_COMMON_HTTP_HTTP_H
#define RIVERBUS_COMMON_HTTP_HTTP_H
/*
 * The HTTP door of a daemon: GET /metrics (Prometheus text) and GET /healthz (200, or 503 with the reason). It has no
 * thread: libmicrohttpd is driven through its epoll descriptor by the thread that calls http_run, so that the pages are
 * made in the core's own thread, from its own state. Bounded: 32 connections, 8 of one address, 10 s without traffic; a
 * request may not have a body.
 */
#include "common/base/buffer.h"

struct http;
enum { HTTP_REFUSED = 1 };

struct http_options {
  const char *host; /* address to bind, IPv6 without brackets */
  uint16_t port;    /* 0: picked by the system */
  void *ctx;
  void (*metrics)(void *ctx, struct buffer *out);
  const char *(*health)(void *ctx); /* NULL: healthy; else why not, valid until the next call */
};

/* Binds and listens. bound: the real endpoint, http://HOST:PORT. HTTP_REFUSED: *why is a sentence (static). Does not
 * block (numeric hosts only). */
int http_new(struct http **out, const struct http_options *options, char bound[320], const char **why);
struct http *http_free(struct http *http); /* closes all connections; returns NULL; NULL is allowed */
int http_fd(const struct http *http);      /* readable when http_run has something to do; poll it */
/* Serves what is ready; never blocks. Call it when http_fd is readable and at least once a second (time limits of
 * connections). */
void http_run(struct http *http);
#endif
