#ifndef RIVERBUS_COMMON_DAEMON_DAEMON_H
#define RIVERBUS_COMMON_DAEMON_DAEMON_H
/*
 * What broker and gateway do alike as processes: opening identity, store, network and HTTP as the configuration says,
 * hearing signals, serving HTTP, and telling systemd (sd_notify(3)). What it opens is its owner's to use. Its owner
 * embeds it, and calls the functions in the order in which they stand here, from one thread.
 */
#include "common/base/log.h"
#include "common/config/values.h"
#include "common/http/http.h"
#include "common/identity/identity.h"
#include "common/net/net.h"
#include "common/store/store.h"

/* ctx is that of all three. */
struct daemon_hooks {
  void *ctx;
  void (*reload)(void *ctx);                      /* SIGHUP came */
  void (*metrics)(void *ctx, struct buffer *out); /* as http_options has them */
  const char *(*health)(void *ctx);
};

struct daemon {
  const char *name; /* source of its log lines */
  const struct world *world;
  struct daemon_hooks hooks;
  struct identity *identity;
  struct store *store;
  struct net *net;
  struct http *http; /* NULL: none is configured */
  char http_endpoint[320];
  int64_t started, http_at;         /* mono */
  int64_t watchdog_us, watchdog_at; /* 0: none */
  struct log_limit refused_limit;   /* of lines about connections that were refused */
  int signals;                      /* signalfd */
  bool ends;                        /* SIGTERM or SIGINT came, or the owner wants it */
};

/* The outcome of opening: what was wrong has been logged, and what was opened waits for deinit. */
enum { DAEMON_FAILED = 1 };

/* Takes the signals over for all threads that are started later. name: static. <0: fatal. */
int daemon_init(struct daemon *daemon, const char *name, const struct world *world, const struct daemon_hooks *hooks);
int daemon_open_identity(struct daemon *daemon, const char *path);
/* How often this node issues heads: 0, the node's own measure, but for fault tests (RIVERBUS_TEST_HEAD). */
int64_t daemon_test_head(void);
/* A commit that fails ends the process (EX_TEMPFAIL). pace_us: see store_options. Blocks. */
int daemon_open_store(struct daemon *daemon, const struct config_store *config, int64_t pace_us);
int daemon_open_net(struct daemon *daemon, const struct net_events *events);
/* What net_events.refused says, as a line of the log: ten a second at the most. address: "" where none is known. */
void daemon_refused(struct daemon *daemon, const char *address, const char *reason);
int daemon_open_http(struct daemon *daemon, const struct config_http *config);
/* Says that it is ready; systemd's watchdog is fed from now on. */
void daemon_ready(struct daemon *daemon);
/* One turn: feeds the watchdog and waits until `until` (mono) at most, for network, store, a signal, HTTP or `own`
 * (a descriptor of the owner's; -1: none). All are served but the store's completions and `own`. <0: fatal. */
int daemon_turn(struct daemon *daemon, int own, int64_t until);
/* What a configuration is refused for: a line of the log each. */
void daemon_log_problems(struct buffer *problems);
/* Says that the end has begun: before deinit, which may take its time. */
void daemon_stopping(void);
/* Closes what is open. The owner closes earlier what it must (and sets it to NULL). */
void daemon_deinit(struct daemon *daemon);
#endif
