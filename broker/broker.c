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

/* ---- hooks of the node ---- */

static bool node_send(void *ctx, uint64_t conn, struct bytes message) {
  struct broker *broker = ctx;
  return net_send(broker->net, conn, message) == 0;
}

static void node_close(void *ctx, uint64_t conn) {
  struct broker *broker = ctx;
  links_close(&broker->links, conn);
}

static void order_station_of(struct broker *broker, const struct link *link, struct order_station *out) {
  struct node_peer_status status;
  struct buffer stream = BUFFER_NULL;
  struct store_stream held;
  node_peer_status(broker->node, link->peer, &status);
  *out = (struct order_station){.node = bytes_text(link->node), .keys = link->station->keys.items, .key_count = link->station->keys.count, .up = status.up};
  buffer_printf(&stream, "%s!urgent", link->node);
  if (store_stream_get(broker->store, buffer_bytes(&stream), &held)) out->epoch = held.epoch;
  buffer_deinit(&stream);
}

static enum node_admit node_admit(void *ctx, struct node_peer *peer, enum lane lane, const struct block *block, struct store_batch *batch, struct blob **replace, bool *drop,
                                  const char **reason) {
  struct broker *broker = ctx;
  struct link *link = node_peer_owner(peer);
  struct order_station station;
  (void)reason;
  if (link->is_peer) {
    *drop = peer_accept(&link->rules, block, replace) == PEER_ACCEPT_NOTHING;
  } else if (lane == LANE_URGENT) {
    order_station_of(broker, link, &station);
    orders_admit(broker->orders, &station, block, batch);
  }
  return NODE_ADMIT;
}

static bool node_share_stream(void *ctx, struct node_peer *peer, struct bytes stream) {
  struct link *link = node_peer_owner(peer);
  (void)ctx;
  return link->is_peer && peer_shares_stream(&link->rules, stream);
}

static struct blob *node_share(void *ctx, struct node_peer *peer, struct blob *from, const struct block *block) {
  struct link *link = node_peer_owner(peer);
  (void)ctx;
  return link->is_peer ? peer_share(&link->rules, from, block) : NULL;
}

static void node_committed(void *ctx, const struct store_item *item, struct node_peer *from) {
  struct broker *broker = ctx;
  struct block block;
  if (item->position) checkpoint_applied(&broker->checkpoint, item->lane, item->position, item->block ? item->block->len : 0);
  if (!item->block || block_open(&block, blob_bytes(item->block))) return;
  catalogue_apply(&broker->catalogue, &block, item->lane);
  struct link *link = from ? node_peer_owner(from) : NULL;
  if (link && !link->is_peer && stream_owner(block.stream).len != block.stream.len) orders_committed(broker->orders, &block);
}

static void node_discarded(void *ctx, const struct store_discard *discards, size_t count) {
  struct broker *broker = ctx;
  for (size_t i = 0; i < count; i++) broker->discarded += discards[i].to - discards[i].from + 1;
}

static void node_session(void *ctx, struct node_peer *peer, bool up) {
  struct broker *broker = ctx;
  struct link *link = node_peer_owner(peer);
  struct order_station station;
  log_info("links", link->principal, "session %s", up ? "up" : "down");
  if (!up || link->is_peer) return;
  order_station_of(broker, link, &station);
  orders_session(broker->orders, &station);
  broker->orders_at = 0;
}

static void node_message_in(void *ctx, struct node_peer *peer, uint8_t type, struct bytes body) {
  struct broker *broker = ctx;
  struct link *link = node_peer_owner(peer);
  struct order_station station;
  if (link->is_peer) return; /* neighbours have nothing to say about our commands */
  order_station_of(broker, link, &station);
  orders_message(broker->orders, &station, type, body);
}

static void node_batch_done(void *ctx, void *cookie, const struct store_done *done) {
  struct broker *broker = ctx;
  errands_finish(&broker->errands, cookie, done);
}

static void event_done(void *ctx, void *cookie, const struct store_done *done) {
  (void)ctx, (void)cookie;
  if (done->kind == STORE_DONE_REFUSED) log_warning("broker", NULL, "the store is full: an event of this node was not recorded");
}

/* An event of this node itself, on its urgent stream: chongqing/riverbus/NAME. */
static void node_event(void *ctx, const char *name, struct bytes text) {
  struct broker *broker = ctx;
  struct buffer address = BUFFER_NULL, stream = BUFFER_NULL;
  struct block_builder *builder = block_builder_new();
  buffer_printf(&address, "%s/riverbus/%s", broker->config->node, name);
  buffer_printf(&stream, "%s!urgent", broker->config->node);
  struct record record = {.kind = RECORD_EVENT, .address = buffer_bytes(&address), .value = {.type = VALUE_TEXT, .bytes = text}};
  record.received = node_received(broker->node);
  record.time = record.received;
  log_notice("broker", NULL, "event %s: " BYTES_FMT, name, BYTES_ARG(text));
  if (block_builder_add(builder, &record, BLOCK_MAX) == 0) {
    struct store_batch *batch = store_batch_new();
    store_batch_own(batch, LANE_URGENT, buffer_bytes(&stream), block_builder_finish(builder, buffer_bytes(&stream), node_run(broker->node)));
    store_batch_urgent(batch);
    errands_submit(&broker->errands, batch, event_done, NULL, NULL);
  }
  block_builder_free(builder);
  buffer_deinit(&address);
  buffer_deinit(&stream);
}

/* ---- hooks of the orders ---- */

static void orders_commit(void *ctx, struct store_batch *batch, errand_fn *done, void *done_ctx, void *cookie) {
  errands_submit(&((struct broker *)ctx)->errands, batch, done, done_ctx, cookie);
}

static struct errand *orders_read(void *ctx, const struct store_read *read, errand_fn *done, void *done_ctx, void *cookie) {
  return errands_read(&((struct broker *)ctx)->errands, read, done, done_ctx, cookie);
}

static bool orders_station(void *ctx, struct bytes address, struct order_station *out) {
  struct broker *broker = ctx;
  const struct link *link = links_of_address(&broker->links, address);
  if (link) order_station_of(broker, link, out);
  return link != NULL;
}

static bool orders_send(void *ctx, struct bytes station, uint8_t type, struct bytes body) {
  struct broker *broker = ctx;
  const struct link *link = links_of_address(&broker->links, station);
  return link && node_message(broker->node, link->peer, type, body);
}

static const struct check_operators *orders_operators(void *ctx) {
  static struct check_operators operators; /* a view of what the broker holds now */
  struct broker *broker = ctx;
  operators = (struct check_operators){broker->principals.operators, broker->principals.operator_count};
  return &operators;
}

static const struct point *orders_point(void *ctx, struct bytes address) { return catalogue_find(&((struct broker *)ctx)->catalogue, address); }

/* ---- hooks of the requests ---- */

static const struct requester *requester_of(void *ctx, const char *name) {
  struct broker *broker = ctx;
  const struct principal *principal = principals_by_name(&broker->principals, name);
  return principal && principal->kind == PRINCIPAL_OPERATOR ? &principal->requester : NULL;
}

static enum requests_send session_send(void *ctx, uint64_t conn, struct bytes message) {
  switch (net_send(((struct broker *)ctx)->net, conn, message)) {
    case 0: return REQUESTS_SENT;
    case NET_FULL: return REQUESTS_FULL;
    default: return REQUESTS_GONE;
  }
}

static void close_session(void *ctx, uint64_t conn) { net_close(((struct broker *)ctx)->net, conn); }

/* ["address","unit"] of the points that have one. */
static bool put_units(void *ctx, size_t *cursor, size_t room, bool (*wanted)(void *ctx, struct bytes address), void *wanted_ctx, struct buffer *out) {
  const struct catalogue *catalogue = &((struct broker *)ctx)->catalogue;
  size_t begin = out->len;
  for (; *cursor < catalogue->count && out->len - begin < room; ++*cursor) {
    const struct point *point = catalogue->points[*cursor];
    if (!point->unit || !wanted(wanted_ctx, point->address)) continue;
    buffer_printf(out, out->len > begin ? ",[" : "[");
    json_put_text(out, point->address);
    buffer_append(out, bytes_text(","));
    json_put_text(out, point_unit(point));
    buffer_append(out, bytes_text("]"));
  }
  return *cursor < catalogue->count;
}

/* ---- events of the network ---- */

static const char *net_principal(void *ctx, const uint8_t transport_key[32]) {
  const struct principal *principal = principals_by_key(&((struct broker *)ctx)->principals, transport_key);
  return principal ? principal->name : NULL;
}

static void net_message(void *ctx, uint64_t conn, int channel, const char *principal, struct bytes message) {
  struct broker *broker = ctx;
  if (strncmp(principal, "operator ", 9) == 0)
    requests_receive(broker->requests, principal, conn, message);
  else
    node_receive(broker->node, principal, conn, (enum channel)channel, message);
}

static void net_opened(void *ctx, uint64_t conn) { links_opened(&((struct broker *)ctx)->links, conn); }

static void net_closed(void *ctx, uint64_t conn) {
  struct broker *broker = ctx;
  requests_closed(broker->requests, conn);
  links_closed(&broker->links, conn);
}

static void net_refused(void *ctx, const char *address, const char *reason) {
  struct broker *broker = ctx;
  uint64_t suppressed = 0;
  broker->refused_peers++;
  if (!log_allow(&broker->refused_limit, mono(broker), &suppressed)) return;
  if (suppressed) log_warning("net", NULL, "%llu more connections were refused", (unsigned long long)suppressed);
  log_warning("net", *address ? address : NULL, "connection refused: %s", reason);
}

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
  if (outcome > 0)
    log_error("store", NULL, "%s", problem.text);
  else
    log_error("store", NULL, "%s: %s", config->path, strerror(-outcome));
  return BROKER_FAILED;
}

static void make_node(struct broker *broker) {
  struct node_options options = {.name = broker->config->node,
                                 .world = broker->world,
                                 .store = broker->store,
                                 .hooks = {.ctx = broker,
                                           .send = node_send,
                                           .close = node_close,
                                           .admit = node_admit,
                                           .share_stream = node_share_stream,
                                           .share = node_share,
                                           .committed = node_committed,
                                           .discarded = node_discarded,
                                           .session = node_session,
                                           .message = node_message_in,
                                           .submitted = node_batch_done,
                                           .read = node_batch_done,
                                           .event = node_event}};
  broker->node = node_new(&options);
}

static int open_net(struct broker *broker) {
  struct net_options options = {.events = {.ctx = broker, .principal = net_principal, .message = net_message, .opened = net_opened, .closed = net_closed, .refused = net_refused}};
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

static void make_orders(struct broker *broker) {
  struct orders_hooks hooks = {broker, orders_commit, orders_read, orders_station, orders_send, orders_operators, orders_point};
  broker->orders = orders_new(broker->config->node, broker->world, &hooks);
  orders_set_deadline(broker->orders, broker->config->max_deadline_us);
}

static void make_requests(struct broker *broker) {
  struct subscribers_options followed = {broker->node, broker->store, &broker->errands, &broker->readers, put_units, broker};
  struct requests_hooks hooks = {broker, session_send, close_session, requester_of, broker, broker_verbs, &broker_command_verb};
  broker->subscribers = subscribers_new(&followed);
  broker->requests = requests_new(broker->config->node, broker->world, &hooks);
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
    log_info("broker", NULL, "%zu points known, read in %lld ms", broker->catalogue.count, (long long)((mono(broker) - began) / MILLISECOND_US));
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

int broker_init(struct broker *broker, const char *config_path, struct broker_config *config, const struct world *world) {
  *broker = (struct broker){.config_path = mem_text(config_path, strlen(config_path)), .config = config, .world = world, .signals = -1};
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
  make_orders(broker);
  outcome = load(broker);
  if (outcome == 0) outcome = open_net(broker);
  if (outcome) return outcome;
  make_node(broker);
  broker->errands.node = broker->node;
  links_init(&broker->links, config->node, world, broker->node, broker->net);
  make_requests(broker);
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
  if (broker_config_changed(old, fresh) & CONFIG_REDO_RESTART) log_warning("broker", NULL, "what changed in node, identity, listen, http or store takes effect at the next start");
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
  log_notice("broker", NULL, "configuration reloaded: %zu stations, %zu operators, %zu peers", fresh->station_count, fresh->operator_count, fresh->peer_count);
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
  log_notice("broker", NULL, "ready %s on %s and %s%s%s", broker->config->node, broker->endpoints[0], broker->endpoints[1], broker->http ? ", " : "", broker->http_endpoint);
  int outcome = 0;
  while (!broker->ends && outcome == 0) outcome = turn(broker, extra);
  sd_notify(0, "STOPPING=1");
  return outcome;
}
