#include "common/http/http.h"
#include "common/base/mem.h"
#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

enum { HTTP_CONNECTIONS = 32, HTTP_CONNECTIONS_OF_ONE = 8, HTTP_IDLE_S = 10 };

struct http {
  struct MHD_Daemon *daemon;
  struct http_options options;
  int fd;
};

static enum MHD_Result http_answer(
    struct MHD_Connection *connection, unsigned status, const char *type, struct bytes body) {
  struct MHD_Response *response =
      MHD_create_response_from_buffer(body.len, (void *)(uintptr_t)body.data, MHD_RESPMEM_MUST_COPY);
  if (!response) return MHD_NO;
  MHD_add_response_header(response, "Content-Type", type);
  MHD_add_response_header(response, "Cache-Control", "no-store");
  enum MHD_Result result = MHD_queue_response(connection, status, response);
  MHD_destroy_response(response);
  return result;
}

static enum MHD_Result http_metrics(struct http *http, struct MHD_Connection *connection) {
  struct buffer page = BUFFER_NULL;
  http->options.metrics(http->options.ctx, &page);
  enum MHD_Result result =
      http_answer(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", buffer_bytes(&page));
  buffer_deinit(&page);
  return result;
}

static enum MHD_Result http_health(struct http *http, struct MHD_Connection *connection) {
  const char *problem = http->options.health(http->options.ctx);
  struct buffer page = BUFFER_NULL;
  buffer_printf(&page, "%s\n", problem ? problem : "ok");
  enum MHD_Result result = http_answer(connection, problem ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK,
      "text/plain; charset=utf-8", buffer_bytes(&page));
  buffer_deinit(&page);
  return result;
}

static const struct http_page {
  const char *path;
  enum MHD_Result (*serve)(struct http *http, struct MHD_Connection *connection);
} http_pages[] = {{"/metrics", http_metrics}, {"/healthz", http_health}};

static enum MHD_Result http_request(void *ctx, struct MHD_Connection *connection, const char *url, const char *method,
    const char *version, const char *data, size_t *data_size, void **request) {
  static const char not_found[] = "not found; there is /metrics and /healthz\n", not_allowed[] = "only GET\n";
  (void)version, (void)data;
  if (*data_size > 0) return MHD_NO;
  if (strcmp(method, "GET") != 0)
    return http_answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain", bytes_text(not_allowed));
  if (!*request) { /* first call: only the header is there; libmicrohttpd wants the answer at the second */
    *request = ctx;
    return MHD_YES;
  }
  for (size_t i = 0; i < sizeof http_pages / sizeof http_pages[0]; i++)
    if (strcmp(url, http_pages[i].path) == 0) return http_pages[i].serve(ctx, connection);
  return http_answer(connection, MHD_HTTP_NOT_FOUND, "text/plain", bytes_text(not_found));
}

union http_address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

static bool http_address(union http_address *address, const char *host, uint16_t port, unsigned *flags) {
  memset(address, 0, sizeof *address);
  if (inet_pton(AF_INET, host, &address->v4.sin_addr) == 1) {
    address->v4.sin_family = AF_INET;
    address->v4.sin_port = htons(port);
    return true;
  }
  if (inet_pton(AF_INET6, host, &address->v6.sin6_addr) != 1) return false;
  address->v6.sin6_family = AF_INET6;
  address->v6.sin6_port = htons(port);
  *flags |= MHD_USE_IPv6;
  return true;
}

static uint16_t http_bound_port(struct MHD_Daemon *daemon) {
  const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
  return info ? info->port : 0;
}

int http_new(struct http **out, const struct http_options *options, char bound[320], const char **why) {
  union http_address address;
  unsigned flags = MHD_USE_EPOLL;
  const char *host = strcmp(options->host, "localhost") == 0 ? "127.0.0.1" : options->host;
  if (!http_address(&address, host, options->port, &flags)) {
    *why = "the host is not a numeric address";
    return HTTP_REFUSED;
  }
  struct http *http = mem_alloc(sizeof *http);
  http->options = *options;
  http->options.host = NULL; /* the caller's, and not needed any more */
  http->daemon = MHD_start_daemon(flags, 0, NULL, NULL, http_request, http, MHD_OPTION_SOCK_ADDR, &address.any,
      MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
      (unsigned)HTTP_CONNECTIONS_OF_ONE, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_IDLE_S,
      MHD_OPTION_LISTENING_ADDRESS_REUSE, 1U, MHD_OPTION_END);
  if (!http->daemon) {
    *why = errno == EADDRINUSE ? "another program listens there" : "the address cannot be bound";
    free(http);
    return HTTP_REFUSED;
  }
  http->fd = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
  snprintf(bound, 320, strchr(host, ':') ? "http://[%s]:%u" : "http://%s:%u", host, http_bound_port(http->daemon));
  *out = http;
  return 0;
}

struct http *http_free(struct http *http) {
  if (!http) return NULL;
  MHD_stop_daemon(http->daemon);
  free(http);
  return NULL;
}

int http_fd(const struct http *http) { return http->fd; }
void http_run(struct http *http) { MHD_run(http->daemon); }
