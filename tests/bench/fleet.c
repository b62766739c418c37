/*
 * Many stations in one process, each with its key, its two CURVE connections and its node over a store in memory, so
 * that the broker is what is measured. For tests/bench/run.
 *
 *   bench_fleet --stations N --count N --port N --broker-key ed25519:... --province NAME
 *
 * Prints "s1 ed25519:..." and so on, and "keys"; a line on standard input: connects. Says "ready" when all sessions are
 * up; the next line: makes `count` readings, shared evenly, in blocks of 100, and says "sent" when the broker has
 * acknowledged all. Ends at the end of standard input.
 */
#include "common/base/mem.h"
#include "common/net/socket.h"
#include "common/node/node.h"
#include "common/store/memory.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <zmq.h>

enum {
  POINTS = 5,
  BLOCK_READINGS = 100,
  EVENTS = 256,
  INPUT = 0,
  TICK_MS = 10,
  OUTSTANDING = 200000,
  FEED_AT_ONCE = 8,
  CONNECT_AT_ONCE = 50,
  NAME_MAX_BYTES = 64
};
#define RANDOM_START 88172645463325252ULL

struct fleet;
struct station {
  struct fleet *fleet;
  size_t number; /* from 1 */
  char name[NAME_MAX_BYTES];
  struct identity *identity;
  struct memory_disk *disk;
  struct store *store;
  struct node *node;
  struct node_peer *peer;
  void *zmq[CHANNELS];
  bool opened, up, busy;
  uint64_t made, todo;
  int64_t level[POINTS]; /* cm */
};
struct fleet {
  size_t station_count;
  uint64_t count, random;
  const char *province, *broker_key;
  char principal[NAME_MAX_BYTES];
  unsigned port, lines;
  void *context;
  int epoll;
  struct block_builder *builder;
  struct station *stations;
  size_t connected, up_count, next;
  bool ends, begun, said_ready, said_sent;
  int64_t tick_at;
};

static int64_t now_mono(void) { return world_now(&world_system).mono; }

static void die(const char *what) {
  fprintf(stderr, "bench_fleet: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void say(const char *word) {
  printf("%s\n", word);
  fflush(stdout);
}

static void store_failed(void *ctx, const char *message) {
  (void)ctx;
  fprintf(stderr, "%s\n", message);
  _exit(75);
}

/* ---- a station's node; its connections are called by the channel, plus one ---- */

static bool on_send(void *ctx, uint64_t conn, struct bytes message) {
  const struct station *s = ctx;
  return zmq_send(s->zmq[conn - 1], message.data, message.len, ZMQ_DONTWAIT) >= 0;
}

static void on_close(void *ctx, uint64_t conn) {
  const struct station *s = ctx;
  (void)conn;
  fprintf(stderr, "bench_fleet: %s was closed\n", s->name);
  exit(1);
}

static void on_session(void *ctx, struct node_peer *peer, bool up) {
  struct station *s = ctx;
  (void)peer;
  if (s->up && !up) fprintf(stderr, "session down: %s\n", s->name);
  if (s->up != up) s->fleet->up_count += up ? 1 : (size_t)-1;
  s->up = up;
}

static void on_submitted(void *ctx, void *cookie, const struct store_done *done) {
  struct station *s = ctx;
  (void)cookie;
  if (done->kind != STORE_DONE_BATCH) die("the store refused a batch");
  s->busy = false;
}

static void station_open(struct station *s) {
  const struct store_options store = {.path = "", .max_size = 64 << 20, .world = &world_system, .fatal = store_failed};
  s->disk = memory_disk_new();
  if (store_open_memory(&s->store, &store, s->disk) != 0) die("store");
  const struct node_options node = {.name = s->name,
      .world = &world_system,
      .store = s->store,
      .ring_bytes = 64 << 10,
      .hooks = {.ctx = s, .send = on_send, .close = on_close, .session = on_session, .submitted = on_submitted}};
  const struct node_peer_config peer = {
      .principal = s->fleet->principal, .node = s->fleet->province, .role = NODE_PEER_UPSTREAM, .connects = true};
  s->node = node_new(&node);
  s->peer = node_peer_add(s->node, &peer);
}

static void station_connect(struct station *s) {
  struct fleet *f = s->fleet;
  struct public_key key;
  struct net_options options = {0};
  uint8_t transport[32];
  if (public_key_parse(bytes_text(f->broker_key), &key) != 0 || public_key_transport(&key, transport) != 0)
    die(f->broker_key);
  identity_transport(s->identity, &options.transport);
  for (int channel = 0; channel < CHANNELS; channel++) {
    char endpoint[64];
    int fd = -1;
    size_t len = sizeof fd;
    const struct net_socket_setup setup = {
        .side = NET_CONNECTS, .channel = channel, .options = &options, .server_key = transport};
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", f->port + (unsigned)channel);
    s->zmq[channel] = net_socket_new(f->context, &setup);
    if (!s->zmq[channel] || zmq_connect(s->zmq[channel], endpoint) != 0 ||
        zmq_getsockopt(s->zmq[channel], ZMQ_FD, &fd, &len) != 0)
      die(endpoint);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = s->number};
    if (epoll_ctl(f->epoll, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll");
  }
}

/* ---- readings ---- */

static void reading_add(struct station *s, int64_t received) {
  static const char *const names[POINTS] = {"level", "flow", "rain", "temperature", "voltage"};
  struct fleet *f = s->fleet;
  char address[ADDRESS_MAX + 1];
  size_t point = s->made % POINTS;
  f->random ^= f->random << 13;
  f->random ^= f->random >> 7;
  f->random ^= f->random << 17;
  s->level[point] += (int64_t)(f->random % 3) - 1;
  snprintf(address, sizeof address, "%s/gauge-%u/%s", s->name, (unsigned)(s->made / POINTS % 4) + 1, names[point]);
  const struct record record = {.kind = RECORD_READING,
      .address = bytes_text(address),
      .received = received,
      .time = received / SECOND_US * SECOND_US,
      .value = {.type = VALUE_NUMBER, .number = (double)s->level[point] / 100}};
  if (block_builder_add(f->builder, &record, BLOCK_MAX) != 0) die("a reading does not fit its block");
  s->made++;
}

/* So many readings of all stations together may be unacknowledged: with few and with many stations alike. */
static bool has_room(const struct station *s) {
  struct node_peer_status status;
  uint64_t share = OUTSTANDING / s->fleet->station_count;
  node_peer_status(s->node, s->peer, &status);
  return s->made < status.acked_records + (share > 2 * BLOCK_READINGS ? share : 2 * BLOCK_READINGS);
}

static void feed(struct station *s) {
  if (!s->fleet->begun || s->busy || s->made == s->todo || !has_room(s)) return;
  struct store_batch *batch = store_batch_new();
  struct bytes stream = bytes_text(s->name);
  int64_t received = node_received(s->node);
  for (unsigned n = 0; n < BLOCK_READINGS && s->made < s->todo; n++) reading_add(s, received);
  store_batch_own(batch, LANE_LIVE, stream, block_builder_finish(s->fleet->builder, stream, node_run(s->node)));
  s->busy = true;
  if (node_submit(s->node, batch, NULL) != 0) die("a batch was not taken");
}

/* ---- the loop ---- */

static bool receive(struct station *s) {
  bool any = false;
  for (int channel = 0; channel < CHANNELS; channel++) {
    zmq_msg_t message;
    zmq_msg_init(&message);
    while (zmq_msg_recv(&message, s->zmq[channel], ZMQ_DONTWAIT) >= 0) {
      any = true;
      node_receive(s->node, s->fleet->principal, (uint64_t)channel + 1, (enum channel)channel,
          bytes_of(zmq_msg_data(&message), zmq_msg_size(&message)));
    }
    zmq_msg_close(&message);
  }
  return any;
}

static bool stands(void *zmq) {
  int events = 0;
  size_t len = sizeof events;
  return zmq_getsockopt(zmq, ZMQ_EVENTS, &events, &len) == 0 && (events & ZMQ_POLLOUT);
}

static void look_for_opening(struct station *s) {
  if (s->opened || !stands(s->zmq[CHANNEL_URGENT]) || !stands(s->zmq[CHANNEL_TELEMETRY])) return;
  s->opened = true;
  node_opened(s->node, s->peer, CHANNEL_URGENT + 1, CHANNEL_TELEMETRY + 1);
}

/* Until nothing moves any more: a socket that was sent to or read from does not tell its descriptor again. A bounded
 * piece of the load each time, so that all stations go on. */
static void serve(struct station *s) {
  look_for_opening(s);
  feed(s);
  do {
    store_memory_run(s->store, 64);
    node_tick(s->node);
  } while (receive(s) || store_memory_pending(s->store) > 0);
}

static bool all_acknowledged(const struct fleet *f) {
  uint64_t acked = 0;
  for (size_t i = 0; i < f->station_count; i++) {
    struct node_peer_status status;
    node_peer_status(f->stations[i].node, f->stations[i].peer, &status);
    if (status.backlog_records || status.in_flight_bytes) return false;
    acked += status.acked_records;
  }
  return acked >= f->count;
}

/* A few at a time: handshakes of all at once would keep this one process from answering the pings of the first. */
static void connect_more(struct fleet *f) {
  while (f->connected < f->station_count && f->connected - f->up_count < CONNECT_AT_ONCE)
    station_connect(&f->stations[f->connected++]);
}

static void serve_all(struct fleet *f) {
  bool pending = false;
  connect_more(f);
  for (size_t i = 0; i < f->connected; i++) {
    serve(&f->stations[i]);
    pending = pending || f->stations[i].made < f->stations[i].todo;
  }
  if (!f->said_ready && f->up_count == f->station_count) say("ready"), f->said_ready = true;
  if (f->begun && !pending && !f->said_sent && all_acknowledged(f)) say("sent"), f->said_sent = true;
  f->tick_at = now_mono() + TICK_MS * MILLISECOND_US;
}

static void take_input(struct fleet *f) {
  char line[64];
  if (read(STDIN_FILENO, line, sizeof line) <= 0) {
    f->ends = true;
  } else if (f->lines++ > 0) {
    f->begun = true;
    for (size_t i = 0; i < f->station_count; i++) f->stations[i].todo = f->count / f->station_count;
  }
}

static void turn(struct fleet *f) {
  struct epoll_event events[EVENTS];
  int ready = epoll_wait(f->epoll, events, EVENTS, f->begun && !f->said_sent ? 0 : TICK_MS);
  for (int i = 0; i < ready; i++)
    if (events[i].data.u64 == INPUT)
      take_input(f);
    else
      serve(&f->stations[events[i].data.u64 - 1]);
  for (int i = 0; f->begun && !f->said_sent && i < FEED_AT_ONCE; i++, f->next++)
    serve(&f->stations[f->next % f->station_count]);
  if (f->lines > 0 && now_mono() >= f->tick_at) serve_all(f);
}

static void open_all(struct fleet *f) {
  struct epoll_event input = {.events = EPOLLIN, .data.u64 = INPUT};
  f->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ctl(f->epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input) != 0) die("standard input");
  f->context = zmq_ctx_new();
  zmq_ctx_set(f->context, ZMQ_MAX_SOCKETS, (int)(CHANNELS * f->station_count + 64));
  zmq_ctx_set(f->context, ZMQ_IO_THREADS, 2);
  f->builder = block_builder_new();
  f->stations = mem_alloc(f->station_count * sizeof *f->stations);
  for (size_t i = 0; i < f->station_count; i++) {
    struct station *s = &f->stations[i];
    char text[IDENTITY_KEY_TEXT + 1];
    struct public_key key;
    *s = (struct station){.fleet = f, .number = i + 1, .level = {17852, 23500, 5, 184, 1261}};
    snprintf(s->name, sizeof s->name, "%s/s%zu", f->province, s->number);
    if (identity_generate(&s->identity) != 0) die("a key");
    identity_public(s->identity, &key);
    public_key_text(&key, text);
    printf("s%zu %s\n", s->number, text);
    station_open(s);
  }
  say("keys");
}

static void close_all(struct fleet *f) {
  for (size_t i = 0; i < f->station_count; i++) {
    struct station *s = &f->stations[i];
    for (int channel = 0; channel < CHANNELS; channel++)
      if (s->zmq[channel]) zmq_close(s->zmq[channel]);
    node_free(s->node);
    store_close(s->store);
    memory_disk_free(s->disk);
    identity_free(s->identity);
  }
  zmq_ctx_term(f->context);
  block_builder_free(f->builder);
  free(f->stations);
  close(f->epoll);
}

static const char *argument(int argc, char **argv, const char *name) {
  for (int i = 1; i + 1 < argc; i++)
    if (strcmp(argv[i], name) == 0) return argv[i + 1];
  fprintf(stderr, "bench_fleet: %s is missing\n", name);
  exit(2);
}

int main(int argc, char **argv) {
  struct fleet f = {.station_count = strtoul(argument(argc, argv, "--stations"), NULL, 10),
      .count = strtoull(argument(argc, argv, "--count"), NULL, 10),
      .port = (unsigned)strtoul(argument(argc, argv, "--port"), NULL, 10),
      .broker_key = argument(argc, argv, "--broker-key"),
      .province = argument(argc, argv, "--province"),
      .random = RANDOM_START};
  snprintf(f.principal, sizeof f.principal, "broker %s", f.province);
  open_all(&f);
  while (!f.ends) turn(&f);
  close_all(&f);
  return 0;
}
