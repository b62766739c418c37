#include "broker/broker.h"
#include "common/base/mem.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum { EXTRA_STORE, EXTRA_SIGNALS, EXTRA_HTTP, EXTRAS };

static int64_t mono(const struct broker *broker) { return world_now(broker->world).mono; }

/* ---- composition ---- */

static void store_failed(void *ctx, const char *message) {
  (void)ctx;
  log_error("store", NULL, "%s", message);
  _exit(EX_TEMPFAIL);
}

static int open_identity(struct broker *broker) {
  struct identity_problem problem;
  if (identity_load(&broker->identity, broker->config->identity, &problem) == 0) return 0;
  log_error("broker", NULL, "%s", problem.text);
  return BROKER_FAILED;
}

static int64_t test_commit_delay(void) {
#ifdef RIVERBUS_TEST_HOOKS
  const char *text = getenv("RIVERBUS_TEST_COMMIT_DELAY_US");
  return text ? strtoll(text, NULL, 10) : 0;
#else
  return 0;
#endif
}

static int open_store(struct broker *broker) {
  const struct config_store *config = &broker->config->store;
  struct store_problem problem;
  struct store_options options = {.path = config->path,
      .max_size = config->max_size,
      .keep_us = config->keep_us,
      .when_full = (enum store_full)config->when_full,
      .linger_us = config->linger_us,
      .pace_us = 8 * MILLISECOND_US, /* nobody waits for our commit but windows, which follow it */
      .world = broker->world,
      .fatal = store_failed,
      .test_commit_delay_us = test_commit_delay()};
  int outcome = store_open_lmdb(&broker->store, &options, &problem);
  if (outcome == 0) return 0;
  log_error("store", NULL, "%s", problem.text);
  return BROKER_FAILED;
}

static int open_net(struct broker *broker) {
  struct net_options options = {.events = broker_net_events(broker)};
  identity_transport(broker->identity, &options.transport);
  int outcome = net_new(&broker->net, &options);
  if (outcome) log_error("net", NULL, "ZeroMQ cannot be set up: %s", strerror(-outcome));
  return outcome ? BROKER_FAILED : 0;
}

/* Bound to all families ZeroMQ names an IPv4 address in its IPv6 form: shown as people write it. */
static void plain_endpoint(char *endpoint) {
  static const char mapped[] = "[::ffff:";
  char *at = strstr(endpoint, mapped), *end = at ? strchr(at, ']') : NULL;
  if (!end) return;
  size_t len = (size_t)(end - at) - (sizeof mapped - 1);
  memmove(at, at + sizeof mapped - 1, len);
  memmove(at + len, end + 1, strlen(end + 1) + 1);
}

static int listen_on(struct broker *broker, enum channel channel, const char *endpoint) {
  const char *why = "";
  if (net_listen(broker->net, endpoint, (int)channel, broker->endpoints[channel], &why) == 0) {
    plain_endpoint(broker->endpoints[channel]);
    return 0;
  }
  log_error("net", NULL, "cannot listen on %s: %s", endpoint, why);
  return BROKER_FAILED;
}

static void metrics_page(void *ctx, struct buffer *out) { broker_metrics(ctx, out); }
static const char *health_page(void *ctx) { return broker_health(ctx); }

static int open_http(struct broker *broker) {
  const struct config_http *config = &broker->config->http;
  const char *why = "";
  if (!config->host) return 0;
  struct http_options options = {config->host, config->port, broker, metrics_page, health_page};
  if (http_new(&broker->http, &options, broker->http_endpoint, &why) == 0) return 0;
  log_error("http", NULL, "cannot listen on %s port %u: %s", config->host, config->port, why);
  return BROKER_FAILED;
}

/* What must be read before the store takes its first batch. */
static int load(struct broker *broker) {
  int64_t began = mono(broker);
  int outcome = checkpoint_load(&broker->checkpoint, broker->store);
  if (outcome == 0) outcome = readers_load(&broker->readers, broker->store);
  if (outcome == 0) outcome = orders_load(broker->orders, broker->store);
  if (outcome)
    log_error("store", NULL, "%s: %s", broker->config->store.path, strerror(-outcome));
  else
    log_info("broker", NULL, "%zu points known, read in %lld ms", broker->catalogue.count,
        (long long)((mono(broker) - began) / MILLISECOND_US));
  return outcome ? BROKER_FAILED : 0;
}

static int open_signals(struct broker *broker) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  signal(SIGPIPE, SIG_IGN);
  pthread_sigmask(SIG_BLOCK, &set, NULL); /* before any thread is started: they inherit it */
  broker->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  return broker->signals < 0 ? -errno : 0;
}

static int listen_all(struct broker *broker) {
  int outcome = listen_on(broker, CHANNEL_URGENT, broker->config->listen.urgent);
  if (outcome == 0) outcome = listen_on(broker, CHANNEL_TELEMETRY, broker->config->listen.telemetry);
  return outcome;
}

int broker_init(
    struct broker *broker, const char *config_path, struct broker_config *config, const struct world *world) {
  *broker = (struct broker){
      .config_path = mem_text(config_path, strlen(config_path)), .config = config, .world = world, .signals = -1};
  broker->started = mono(broker);
  broker->refused_limit = (struct log_limit){.interval_us = SECOND_US, .burst = 10};
  catalogue_init(&broker->catalogue);
  principals_init(&broker->principals, config);
  int outcome = open_signals(broker);
  if (outcome == 0) outcome = open_identity(broker);
  if (outcome == 0) outcome = open_store(broker);
  if (outcome) return outcome;
  errands_init(&broker->errands, NULL);
  checkpoint_init(&broker->checkpoint, &broker->catalogue, &broker->errands);
  readers_init(&broker->readers, &broker->errands, world);
  broker_make_orders(broker);
  outcome = load(broker);
  if (outcome == 0) outcome = open_net(broker);
  if (outcome) return outcome;
  broker_make_node(broker);
  broker->errands.node = broker->node;
  links_init(&broker->links, config->node, world, broker->node, broker->net);
  broker_make_requests(broker);
  outcome = listen_all(broker);
  if (outcome == 0) outcome = open_http(broker);
  if (outcome == 0) links_configure(&broker->links, config);
  return outcome;
}

void broker_deinit(struct broker *broker) {
  broker->http = http_free(broker->http);
  broker->requests = requests_free(broker->requests);
  broker->subscribers = subscribers_free(broker->subscribers);
  if (broker->node) links_deinit(&broker->links);
  broker->net = net_free(broker->net);
  if (broker->node) broker->node = node_free(broker->node);
  if (broker->store) broker->store = store_close(broker->store);
  if (broker->errands.last) errands_deinit(&broker->errands);
  broker->orders = orders_free(broker->orders);
  readers_deinit(&broker->readers);
  catalogue_deinit(&broker->catalogue);
  principals_deinit(&broker->principals);
  broker->identity = identity_free(broker->identity);
  broker->config = broker_config_free(broker->config);
  free(broker->config_path);
  broker->config_path = NULL;
  if (broker->signals >= 0) close(broker->signals);
  broker->signals = -1;
}

/* ---- reload ---- */

static void keep_what_needs_a_restart(const struct broker_config *old, const struct broker_config *fresh) {
  if (broker_config_changed(old, fresh) & CONFIG_REDO_RESTART)
    log_warning("broker", NULL, "what changed in node, identity, listen, http or store takes effect at the next start");
}

/* A log line for each. */
static void log_problems(struct buffer *problems) {
  char *rest = (char *)(uintptr_t)buffer_text(problems), *line;
  while ((line = strsep(&rest, "\n")))
    if (*line) log_error("config", NULL, "%s", line);
}

void broker_reload(struct broker *broker) {
  struct broker_config *fresh = NULL;
  struct buffer problems = BUFFER_NULL;
  if (broker_config_load(&fresh, broker->config_path, &problems)) {
    log_error("broker", NULL, "the configuration is wrong and the old one stays:");
    log_problems(&problems);
    buffer_deinit(&problems);
    return;
  }
  buffer_deinit(&problems);
  keep_what_needs_a_restart(broker->config, fresh);
  if (strcmp(fresh->node, broker->config->node) != 0) {
    log_error("broker", NULL, "the node's name cannot change in a reload: the old configuration stays");
    broker_config_free(fresh);
    return;
  }
  struct broker_config *old = broker->config;
  struct principals stale = broker->principals;
  broker->config = fresh;
  principals_init(&broker->principals, fresh);
  orders_set_deadline(broker->orders, fresh->max_deadline_us);
  requests_recheck(broker->requests); /* before the connections are cut: they are told why */
  links_configure(&broker->links, fresh);
  principals_deinit(&stale);
  broker_config_free(old);
  log_notice("broker", NULL, "configuration reloaded: %zu stations, %zu operators, %zu peers", fresh->station_count,
      fresh->operator_count, fresh->peer_count);
}

/* ---- the loop ---- */

static void take_signals(struct broker *broker) {
  struct signalfd_siginfo info;
  while (read(broker->signals, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo != SIGHUP) {
      broker->ends = true;
      continue;
    }
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)mono(broker));
    broker_reload(broker);
    sd_notify(0, "READY=1");
  }
}

static int64_t earlier(int64_t a, int64_t b) { return a < b ? a : b; }

/* Everything that waits for time; returns when to wake, mono. */
static int64_t tick(struct broker *broker) {
  int64_t next = node_tick(broker->node), now = mono(broker);
  errands_retry(&broker->errands);
  if (now >= broker->orders_at) broker->orders_at = now + orders_tick(broker->orders) - world_now(broker->world).wall;
  broker->checkpoint_at = checkpoint_tick(&broker->checkpoint, now);
  if (now >= broker->links_at) broker->links_at = links_tick(&broker->links, now);
  broker->requests_at = requests_tick(broker->requests);
  next = earlier(earlier(next, broker->orders_at), earlier(broker->links_at, broker->requests_at));
  next = earlier(next, broker->checkpoint_at);
  if (broker->watchdog_us && now >= broker->watchdog_at) {
    sd_notify(0, "WATCHDOG=1");
    broker->watchdog_at = now + broker->watchdog_us / 3;
  }
  return broker->watchdog_us ? earlier(next, broker->watchdog_at) : next;
}

static int turn(struct broker *broker, struct pollfd *extra) {
  int64_t next = tick(broker);
  bool more = subscribers_pump(broker->subscribers);
  int64_t wait = more ? 0 : next - mono(broker);
  int outcome = net_poll(broker->net, extra, EXTRAS, wait > 0 ? wait : 0);
  if (outcome < 0) return outcome;
  if (extra[EXTRA_SIGNALS].revents) take_signals(broker);
  if (broker->http && (extra[EXTRA_HTTP].revents || mono(broker) >= broker->http_at)) {
    http_run(broker->http);
    broker->http_at = mono(broker) + SECOND_US;
  }
  node_store_ready(broker->node);
  return 0;
}

int broker_run(struct broker *broker) {
  struct pollfd extra[EXTRAS] = {[EXTRA_STORE] = {.fd = store_fd(broker->store), .events = POLLIN},
      [EXTRA_SIGNALS] = {.fd = broker->signals, .events = POLLIN},
      [EXTRA_HTTP] = {.fd = broker->http ? http_fd(broker->http) : -1, .events = POLLIN}};
  uint64_t watchdog = 0;
  if (sd_watchdog_enabled(0, &watchdog) > 0) broker->watchdog_us = (int64_t)watchdog;
  sd_notify(0, "READY=1");
  log_notice("broker", NULL, "ready %s on %s and %s%s%s", broker->config->node, broker->endpoints[0],
      broker->endpoints[1], broker->http ? ", " : "", broker->http_endpoint);
  int outcome = 0;
  while (!broker->ends && outcome == 0) outcome = turn(broker, extra);
  sd_notify(0, "STOPPING=1");
  return outcome;
}
