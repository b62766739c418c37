/*
 * A station without MQTT: the store, node and network of a gateway, fed by a generator of readings. For
 * tests/bench/run.
 *
 *   bench_origin --key FILE --broker tcp://HOST:PORT --broker-key ed25519:... --node PROVINCE/STATION --store DIR
 *   [--mib N] [--count N] [--rate N] [--addresses N]
 *
 * Says "ready" when the session with the broker is up, and begins with a line on standard input. Makes `count`
 * readings, `rate` a second (0: as fast as the store takes them). Says "stored" when all are committed here and "sent"
 * when the broker has acknowledged all. Ends at the end of standard input with one JSON object of figures. Commits are
 * synchronous, the link is CURVE, as in a gateway; blocks are numbered, stored and sent by the same code.
 */
#include "common/base/mem.h"
#include "common/net/net.h"
#include "common/node/node.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
  ADDRESSES_MAX = 4096,
  IN_FLIGHT = 4,
  PART_RECORDS = 8192,
  SAME_MESSAGE = 5,
  EXTRA_STORE = 0,
  EXTRA_INPUT = 1,
  EXTRAS = 2
};
#define RETRY_US (200 * MILLISECOND_US)

struct point {
  char address[ADDRESS_MAX + 1];
  int64_t value, step;
  double scale;
}; /* worth value / scale */

struct origin {
  const char *key, *broker, *broker_key, *node_name, *store_path;
  uint64_t mib, count, rate, addresses;
  char telemetry[320], province[ADDRESS_MAX + 1], principal[ADDRESS_MAX + 16];
  struct identity *identity;
  struct store *store;
  struct node *node;
  struct net *net;
  struct node_peer *peer;
  uint64_t conns[CHANNELS];
  bool stands[CHANNELS];
  int64_t connect_at;
  bool session, said_ready, begun, said_stored, said_sent, ends;
  int64_t begun_at;
  struct block_builder *builder;
  struct store_batch *waiting; /* not taken yet: the store was busy */
  unsigned in_flight;
  uint64_t made, seed;
  struct point *points;
};

static int64_t now_mono(void) { return world_now(&world_system).mono; }

static void say(const char *word) {
  printf("%s\n", word);
  fflush(stdout);
}

static void die(const char *what, const char *why) {
  fprintf(stderr, "bench_origin: %s: %s\n", what, why);
  exit(1);
}

static void store_failed(void *ctx, const char *message) {
  (void)ctx;
  fprintf(stderr, "%s\n", message);
  _exit(75);
}

/* ---- readings that look like readings ---- */

static uint64_t random_next(struct origin *o) { /* xorshift64 */
  o->seed ^= o->seed << 13;
  o->seed ^= o->seed >> 7;
  return o->seed ^= o->seed << 17;
}

static void points_make(struct origin *o) {
  static const struct {
    const char *name;
    int64_t value, step;
    double scale;
  } kinds[] = {{"level", 17852, 1, 100}, {"flow", 23500, 10, 1}, {"rain", 5, 5, 10}, {"temperature", 184, 1, 10},
      {"voltage", 1261, 1, 100}};
  o->points = mem_alloc(o->addresses * sizeof *o->points);
  for (uint64_t i = 0; i < o->addresses; i++) {
    struct point *p = &o->points[i];
    snprintf(p->address, sizeof p->address, "%s/gauge-%llu/%s", o->node_name, (unsigned long long)(i / 5 + 1),
        kinds[i % 5].name);
    p->value = kinds[i % 5].value, p->step = kinds[i % 5].step, p->scale = kinds[i % 5].scale;
  }
}

static void reading_next(struct origin *o, struct record *record) {
  struct point *p = &o->points[o->made % o->addresses];
  p->value += p->step * ((int64_t)(random_next(o) % 3) - 1);
  /* one MQTT message holds the readings of one gauge */
  if (o->made % SAME_MESSAGE == 0) record->received = node_received(o->node);
  record->time = record->received / SECOND_US * SECOND_US;
  record->address = bytes_text(p->address);
  record->value = (struct value){.type = VALUE_NUMBER, .number = (double)p->value / p->scale};
}

/* ---- into the store ---- */

static uint64_t due(const struct origin *o) {
  if (o->rate == 0) return o->count;
  uint64_t by_now = (uint64_t)((double)(now_mono() - o->begun_at) * (double)o->rate / 1e6);
  return by_now < o->count ? by_now : o->count;
}

static void finish_block(struct origin *o, struct store_batch *batch) {
  struct bytes stream = bytes_text(o->node_name);
  struct blob *draft = block_builder_finish(o->builder, stream, node_run(o->node));
  if (draft) store_batch_own(batch, LANE_LIVE, stream, draft);
}

static struct store_batch *batch_make(struct origin *o, uint64_t until) {
  struct store_batch *batch = store_batch_new();
  struct record record = {.kind = RECORD_READING, .received = node_received(o->node)};
  for (unsigned n = 0; n < PART_RECORDS && o->made < until; n++, o->made++) {
    reading_next(o, &record);
    if (block_builder_add(o->builder, &record, BLOCK_MAX) == 0) continue;
    finish_block(o, batch);
    if (block_builder_add(o->builder, &record, BLOCK_MAX) != 0) die("a reading", "does not fit a block");
  }
  finish_block(o, batch);
  return batch;
}

static void feed(struct origin *o) {
  uint64_t until = o->begun ? due(o) : 0;
  while (o->waiting || (o->made < until && o->in_flight < IN_FLIGHT)) {
    if (!o->waiting) o->waiting = batch_make(o, until);
    if (node_submit(o->node, o->waiting, NULL) == STORE_BUSY) return;
    o->waiting = NULL;
    o->in_flight++;
  }
}

static void on_submitted(void *ctx, void *cookie, const struct store_done *done) {
  struct origin *o = ctx;
  (void)cookie;
  if (done->kind != STORE_DONE_BATCH) die("the store", "refused a batch: it is too small for this run");
  o->in_flight--;
}

/* ---- the link ---- */

static void disconnect(struct origin *o) {
  for (int channel = 0; channel < CHANNELS; channel++) {
    uint64_t conn = o->conns[channel];
    o->conns[channel] = 0;
    o->stands[channel] = false;
    if (!conn) continue;
    node_closed(o->node, conn);
    net_close(o->net, conn);
  }
  o->connect_at = now_mono() + RETRY_US;
}

static void connect_both(struct origin *o) {
  const char *endpoints[CHANNELS] = {o->broker, o->telemetry}, *why = "";
  struct public_key key;
  uint8_t transport[32];
  if (public_key_parse(bytes_text(o->broker_key), &key) != 0 || public_key_transport(&key, transport) != 0)
    die(o->broker_key, "is no public key");
  for (int channel = 0; channel < CHANNELS; channel++)
    if (net_connect(o->net, endpoints[channel], transport, channel, o->principal, &o->conns[channel], &why) != 0)
      die(endpoints[channel], why);
  o->connect_at = 0;
}

static bool on_send(void *ctx, uint64_t conn, struct bytes message) {
  return net_send(((struct origin *)ctx)->net, conn, message) == 0;
}

static void on_close(void *ctx, uint64_t conn) { /* the pair is replaced as a whole, not from within the node's call */
  struct origin *o = ctx;
  net_close(o->net, conn);
  for (int channel = 0; channel < CHANNELS; channel++)
    if (o->conns[channel] == conn)
      o->conns[channel] = 0, o->stands[channel] = false, o->connect_at = now_mono() + RETRY_US;
}

static void on_session(void *ctx, struct node_peer *peer, bool up) {
  struct origin *o = ctx;
  (void)peer;
  o->session = up;
  if (up && !o->said_ready) say("ready");
  if (up)
    o->said_ready = true;
  else
    fprintf(stderr, "session down\n");
}

static const char *on_principal(void *ctx, const uint8_t transport_key[32]) {
  (void)ctx, (void)transport_key;
  return NULL;
}
static void on_message(void *ctx, uint64_t conn, int channel, const char *principal, struct bytes message) {
  node_receive(((struct origin *)ctx)->node, principal, conn, (enum channel)channel, message);
}
static void on_opened(void *ctx, uint64_t conn) {
  struct origin *o = ctx;
  for (int channel = 0; channel < CHANNELS; channel++)
    if (o->conns[channel] == conn) o->stands[channel] = true;
  if (o->stands[CHANNEL_URGENT] && o->stands[CHANNEL_TELEMETRY])
    node_opened(o->node, o->peer, o->conns[CHANNEL_URGENT], o->conns[CHANNEL_TELEMETRY]);
}
static void on_closed(void *ctx, uint64_t conn) {
  struct origin *o = ctx;
  for (int channel = 0; channel < CHANNELS; channel++)
    if (o->conns[channel] == conn) o->stands[channel] = false;
  node_closed(o->node, conn);
}
static void on_refused(void *ctx, const char *address, const char *reason) {
  (void)ctx;
  fprintf(stderr, "refused: %s %s\n", address, reason);
}
static void on_event(void *ctx, const char *name, struct bytes text) {
  (void)ctx;
  fprintf(stderr, "event %s: " BYTES_FMT "\n", name, BYTES_ARG(text));
}

/* ---- composition ---- */

static void open_store(struct origin *o) {
  struct store_problem problem;
  const struct store_options options = {
      .path = o->store_path, .max_size = o->mib << 20, .world = &world_system, .fatal = store_failed};
  int outcome = store_open_lmdb(&o->store, &options, &problem);
  if (outcome) die(o->store_path, outcome > 0 ? problem.text : strerror(-outcome));
}

static void open_net(struct origin *o) {
  struct net_options options = {.events = {.ctx = o,
                                    .principal = on_principal,
                                    .message = on_message,
                                    .opened = on_opened,
                                    .closed = on_closed,
                                    .refused = on_refused}};
  identity_transport(o->identity, &options.transport);
  if (net_new(&o->net, &options) != 0) die("ZeroMQ", "cannot be set up");
}

static void open_node(struct origin *o) {
  const struct node_options options = {.name = o->node_name,
      .world = &world_system,
      .store = o->store,
      .hooks = {.ctx = o,
          .send = on_send,
          .close = on_close,
          .session = on_session,
          .submitted = on_submitted,
          .event = on_event}};
  const struct node_peer_config peer = {
      .principal = o->principal, .node = o->province, .role = NODE_PEER_UPSTREAM, .connects = true, .owner = o};
  o->node = node_new(&options);
  o->peer = node_peer_add(o->node, &peer);
  o->builder = block_builder_new();
}

static void open_all(struct origin *o) {
  struct identity_problem problem;
  const char *colon = strrchr(o->broker, ':');
  snprintf(o->telemetry, sizeof o->telemetry, "%.*s:%d", (int)(colon - o->broker), o->broker, atoi(colon + 1) + 1);
  snprintf(o->province, sizeof o->province, "%.*s", (int)strcspn(o->node_name, "/"), o->node_name);
  snprintf(o->principal, sizeof o->principal, "broker %s", o->province);
  if (identity_load(&o->identity, o->key, &problem) != 0) die("key", problem.text);
  open_store(o);
  open_net(o);
  open_node(o);
  points_make(o);
  connect_both(o);
}

static uint64_t disk_bytes(void) {
  unsigned long long bytes = 0;
  char line[128];
  FILE *io = fopen("/proc/self/io", "r");
  while (io && fgets(line, sizeof line, io)) sscanf(line, "write_bytes: %llu", &bytes);
  if (io) fclose(io);
  return bytes;
}

static void close_all(struct origin *o) {
  struct store_stats stats;
  struct node_peer_status status;
  store_stats(o->store, &stats);
  node_peer_status(o->node, o->peer, &status);
  printf("{\"made\":%llu,\"commits\":%llu,\"fsyncs\":%llu,\"records\":%llu,\"blocks\":%llu,\"bytes_payload\":%llu,"
         "\"bytes_disk\":%llu,\"acked\":%llu,\"duplicates\":%llu}\n",
      (unsigned long long)o->made, (unsigned long long)stats.commits, (unsigned long long)stats.fsyncs,
      (unsigned long long)stats.records, (unsigned long long)stats.blocks, (unsigned long long)stats.bytes_written,
      (unsigned long long)disk_bytes(), (unsigned long long)status.acked_records,
      (unsigned long long)status.duplicates);
  disconnect(o);
  o->net = net_free(o->net);
  if (o->waiting) store_batch_free(o->waiting);
  o->node = node_free(o->node);
  o->store = store_close(o->store);
  o->builder = block_builder_free(o->builder);
  o->identity = identity_free(o->identity);
  free(o->points);
}

/* ---- the loop ---- */

static void take_input(struct origin *o) {
  char line[64];
  ssize_t n = read(STDIN_FILENO, line, sizeof line);
  if (n <= 0)
    o->ends = true;
  else if (!o->begun)
    o->begun = true, o->begun_at = now_mono();
}

static void look_at_progress(struct origin *o) {
  struct node_peer_status status;
  if (!o->begun || o->made < o->count || o->in_flight || o->waiting) return;
  if (!o->said_stored) say("stored");
  o->said_stored = true;
  node_peer_status(o->node, o->peer, &status);
  if (o->said_sent || !status.up || status.backlog_records || status.in_flight_bytes || status.acked_records < o->count)
    return;
  say("sent");
  o->said_sent = true;
}

static int64_t wait_for(struct origin *o, int64_t until) {
  int64_t now = now_mono(), wait = until - now;
  if (o->connect_at && o->connect_at - now < wait) wait = o->connect_at - now;
  if (o->begun && o->rate && o->made < o->count && wait > MILLISECOND_US) wait = MILLISECOND_US;
  if (o->begun && !o->rate && !o->waiting && o->made < o->count && o->in_flight < IN_FLIGHT) wait = 0;
  if (wait > 100 * MILLISECOND_US) wait = 100 * MILLISECOND_US;
  return wait > 0 ? wait : 0;
}

static void turn(struct origin *o) {
  struct pollfd extra[EXTRAS] = {[EXTRA_STORE] = {.fd = store_fd(o->store), .events = POLLIN},
      [EXTRA_INPUT] = {.fd = STDIN_FILENO, .events = POLLIN}};
  if (net_poll(o->net, extra, EXTRAS, wait_for(o, node_tick(o->node))) < 0) die("ZeroMQ", "failed");
  if (extra[EXTRA_STORE].revents) node_store_ready(o->node);
  if (extra[EXTRA_INPUT].revents) take_input(o);
  if (o->connect_at && now_mono() >= o->connect_at) {
    disconnect(o);
    connect_both(o);
  }
  feed(o);
  look_at_progress(o);
}

static bool read_option(struct origin *o, const char *name, const char *value) {
  const struct {
    const char *name;
    const char **text;
    uint64_t *number;
  } options[] = {{"--key", &o->key, NULL}, {"--broker", &o->broker, NULL}, {"--broker-key", &o->broker_key, NULL},
      {"--node", &o->node_name, NULL}, {"--store", &o->store_path, NULL}, {"--mib", NULL, &o->mib},
      {"--count", NULL, &o->count}, {"--rate", NULL, &o->rate}, {"--addresses", NULL, &o->addresses}};
  for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
    if (strcmp(name, options[i].name) != 0) continue;
    if (options[i].text)
      *options[i].text = value;
    else
      *options[i].number = strtoull(value, NULL, 10);
    return true;
  }
  return false;
}

int main(int argc, char **argv) {
  struct origin o = {.mib = 1024, .count = 1000000, .addresses = 400, .seed = 88172645463325252u};
  bool good = argc % 2 == 1;
  for (int i = 1; good && i + 1 < argc; i += 2) good = read_option(&o, argv[i], argv[i + 1]);
  if (!good || !o.key || !o.broker || !strrchr(o.broker, ':') || !o.broker_key || !o.node_name || !o.store_path ||
      !o.addresses || o.addresses > ADDRESSES_MAX) {
    fprintf(stderr,
        "usage: %s --key FILE --broker tcp://HOST:PORT --broker-key KEY --node NAME --store DIR [--mib N] [--count N] "
        "[--rate N] [--addresses N]\n",
        argv[0]);
    return 2;
  }
  open_all(&o);
  while (!o.ends) turn(&o);
  close_all(&o);
  return 0;
}
