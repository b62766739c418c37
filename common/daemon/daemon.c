#include "common/daemon/daemon.h"
#include "common/base/log.h"
#include "common/base/units.h"
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum { TURN_STORE, TURN_SIGNALS, TURN_HTTP, TURN_OWN, TURNS };

static int64_t mono(const struct daemon *daemon) { return world_now(daemon->world).mono; }

int daemon_init(struct daemon *daemon, const char *name, const struct world *world, const struct daemon_hooks *hooks) {
  sigset_t set;
  *daemon = (struct daemon){.name = name, .world = world, .hooks = *hooks, .signals = -1};
  daemon->started = mono(daemon);
  daemon->refused_limit = (struct log_limit){.interval_us = SECOND_US, .burst = 10};
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  signal(SIGPIPE, SIG_IGN);
  pthread_sigmask(SIG_BLOCK, &set, NULL); /* before any thread is started: they inherit it */
  daemon->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  return daemon->signals < 0 ? -errno : 0;
}

/* ---- opening ---- */

int daemon_open_identity(struct daemon *daemon, const char *path) {
  struct identity_problem problem;
  if (identity_load(&daemon->identity, path, &problem) == 0) return 0;
  log_error(daemon->name, NULL, "%s", problem.text);
  return DAEMON_FAILED;
}

static void store_failed(void *ctx, const char *message) {
  (void)ctx;
  log_error("store", NULL, "%s", message);
  _exit(EX_TEMPFAIL);
}

/* A build for fault tests holds commits back on demand; any other has no such thing. */
static int64_t test_commit_delay(void) {
  int64_t us = 0;
#ifdef RIVERBUS_TEST_HOOKS
  const char *text = getenv("RIVERBUS_TEST_COMMIT_DELAY");
  if (text && units_duration(bytes_text(text), &us) != 0) us = 0;
#endif
  return us;
}

int64_t daemon_test_head(void) {
  int64_t us = 0;
#ifdef RIVERBUS_TEST_HOOKS
  const char *text = getenv("RIVERBUS_TEST_HEAD");
  if (text && units_duration(bytes_text(text), &us) != 0) us = 0;
#endif
  return us;
}

int daemon_open_store(struct daemon *daemon, const struct config_store *config, int64_t pace_us) {
  struct store_problem problem;
  const struct store_options options = {.path = config->path,
      .max_size = config->max_size,
      .keep_us = config->keep_us,
      .when_full = (enum store_full)config->when_full,
      .linger_us = config->linger_us,
      .pace_us = pace_us,
      .world = daemon->world,
      .fatal = store_failed,
      .test_commit_delay_us = test_commit_delay()};
  if (store_open_lmdb(&daemon->store, &options, &problem) == 0) return 0;
  log_error("store", NULL, "%s", problem.text);
  return DAEMON_FAILED;
}

int daemon_open_net(struct daemon *daemon, const struct net_events *events) {
  struct net_options options = {.events = *events};
  identity_transport(daemon->identity, &options.transport);
  int outcome = net_new(&daemon->net, &options);
  explicit_bzero(&options.transport, sizeof options.transport);
  if (outcome) log_error("net", NULL, "ZeroMQ cannot be set up: %s", strerror(-outcome));
  return outcome ? DAEMON_FAILED : 0;
}

int daemon_open_http(struct daemon *daemon, const struct config_http *config) {
  const struct daemon_hooks *hooks = &daemon->hooks;
  const struct http_options options = {config->host, config->port, hooks->ctx, hooks->metrics, hooks->health};
  const char *why = "";
  if (!config->host || http_new(&daemon->http, &options, daemon->http_endpoint, &why) == 0) return 0;
  log_error("http", NULL, "cannot listen on %s port %u: %s", config->host, config->port, why);
  return DAEMON_FAILED;
}

/* ---- running ---- */

void daemon_ready(struct daemon *daemon) {
  uint64_t watchdog = 0;
  if (sd_watchdog_enabled(0, &watchdog) > 0) daemon->watchdog_us = (int64_t)watchdog;
  sd_notify(0, "READY=1");
}

static void take_signals(struct daemon *daemon) {
  struct signalfd_siginfo info;
  while (read(daemon->signals, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo != SIGHUP) {
      daemon->ends = true;
      continue;
    }
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)mono(daemon));
    daemon->hooks.reload(daemon->hooks.ctx);
    sd_notify(0, "READY=1");
  }
}

/* Returns when to be called again, mono. */
static int64_t feed_watchdog(struct daemon *daemon, int64_t now) {
  if (!daemon->watchdog_us) return INT64_MAX;
  if (now >= daemon->watchdog_at) {
    sd_notify(0, "WATCHDOG=1");
    daemon->watchdog_at = now + daemon->watchdog_us / 3;
  }
  return daemon->watchdog_at;
}

static void serve_http(struct daemon *daemon, bool asked) {
  if (!daemon->http || !(asked || mono(daemon) >= daemon->http_at)) return;
  http_run(daemon->http);
  daemon->http_at = mono(daemon) + SECOND_US;
}

static int64_t earlier(int64_t a, int64_t b) { return a < b ? a : b; }

int daemon_turn(struct daemon *daemon, int own, int64_t until) {
  int64_t now = mono(daemon);
  until = earlier(until, feed_watchdog(daemon, now));
  until = earlier(until, daemon->http ? daemon->http_at : now + SECOND_US);
  struct pollfd ready[TURNS] = {[TURN_STORE] = {.fd = store_fd(daemon->store), .events = POLLIN},
      [TURN_SIGNALS] = {.fd = daemon->signals, .events = POLLIN},
      [TURN_HTTP] = {.fd = daemon->http ? http_fd(daemon->http) : -1, .events = POLLIN},
      [TURN_OWN] = {.fd = own, .events = POLLIN}};
  int outcome = net_poll(daemon->net, ready, TURNS, until > now ? until - now : 0);
  if (outcome < 0) return outcome;
  if (ready[TURN_SIGNALS].revents) take_signals(daemon);
  serve_http(daemon, ready[TURN_HTTP].revents != 0);
  return 0;
}

void daemon_refused(struct daemon *daemon, const char *address, const char *reason) {
  uint64_t suppressed = 0;
  if (!log_allow(&daemon->refused_limit, mono(daemon), &suppressed)) return;
  if (suppressed) log_warning("net", NULL, "%" PRIu64 " more connections were refused", suppressed);
  log_warning("net", *address ? address : NULL, "connection refused: %s", reason);
}

void daemon_log_problems(struct buffer *problems) {
  char *rest = (char *)(uintptr_t)buffer_text(problems);
  for (const char *line; (line = strsep(&rest, "\n"));)
    if (*line) log_error("config", NULL, "%s", line);
}

/* ---- the end ---- */

void daemon_stopping(void) { sd_notify(0, "STOPPING=1"); }

void daemon_deinit(struct daemon *daemon) {
  daemon->http = http_free(daemon->http);
  daemon->net = net_free(daemon->net);
  if (daemon->store) daemon->store = store_close(daemon->store);
  daemon->identity = identity_free(daemon->identity);
  if (daemon->signals >= 0) close(daemon->signals);
  daemon->signals = -1;
}
