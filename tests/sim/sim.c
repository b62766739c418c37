/*
 * A seeded simulation of three nodes over a bad network: a station's gateway (p/s) -> the broker of its province (p) ->
 * the neighbour (q), which is entitled to levels only. The real node and link code runs on memory stores; the network
 * drops, doubles, reorders, delays and cuts; processes die at any step, also with an older copy of their store put
 * back. The judge stands outside: it knows each reading by its value and by when the gateway said that it was durable.
 * After the faults end and things settle, every reading is at every entitled node exactly once, nothing else is, and
 * sequences rise in each lane of each log.
 *
 * --defect plants a known defect into the node: then a seed must fail, which shows that the judge would see it.
 *
 *   sim [--first SEED] [--seeds N] [--seconds T] [--defect NAME] [--until-failed] [-v]
 */
#include "common/base/mem.h"
#include "common/node/node.h"
#include "common/store/memory.h"
#include "common/base/log.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { NODES = 3, GATEWAY = 0, BROKER = 1, NEIGHBOUR = 2, LINKS = 2, COPIES = 2 };
enum { FAULT_STEPS = 3000, SETTLE_US = 90 * 1000000, STEP_US = 10000 };
static const char *const names[NODES] = {"p/s", "p", "q"};

struct message {
  int64_t at;
  uint64_t order;
  uint64_t to_conn;
  int to;
  int channel;
  struct buffer bytes;
};
struct conn {
  uint64_t number;
  int node, other;
  uint64_t twin;
  int channel;
  bool open;
  int64_t last_at;
}; /* one end */
struct link_end {
  int from, to;
  struct node_peer *peer;
  uint64_t conns[CHANNELS];
  int64_t open_at;
}; /* the side that connects */

struct place {
  struct memory_disk *disk, *copies[COPIES];
  int64_t copied_at[COPIES], restored_at;
  struct store *store;
  struct node *node;
  bool up;
  int64_t up_at, crashed_by;
};
struct reading {
  int64_t durable_at;
  bool durable, level, urgent, may_be_lost;
};

struct sim {
  uint64_t seed, rng;
  int64_t now;
  bool faults;
  struct place places[NODES];
  struct link_end links[LINKS];
  struct conn *conns;
  size_t conn_count;
  struct message *messages;
  size_t message_count, message_cap;
  uint64_t order, next_conn;
  int64_t partition_until[LINKS][2];
  struct reading *readings;
  size_t reading_count;
  size_t epochs, restores, crashes, cuts, backfilled, full_rounds, reopened;
  bool fills_stores;
  char failure[512];
};
static const struct {
  const char *name;
  enum node_defect defect;
} defects[] = {{"ack-early", NODE_DEFECT_ACK_EARLY}, {"no-epoch", NODE_DEFECT_NO_EPOCH},
    {"forget-missed", NODE_DEFECT_FORGET_MISSED}, {"no-gap-check", NODE_DEFECT_NO_GAP_CHECK}};
static bool verbose;

/* ---- chance ---- */

static uint64_t next_random(struct sim *s) { /* splitmix64 */
  uint64_t z = (s->rng += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}
static uint64_t below(struct sim *s, uint64_t n) { return next_random(s) % n; }
static bool chance(struct sim *s, unsigned per_thousand) { return below(s, 1000) < per_thousand; }

static struct instant sim_now(void *ctx) {
  struct sim *s = ctx;
  return (struct instant){INT64_C(1790000000000000) + s->now, s->now + 1000000};
}
static void sim_random(void *ctx, void *out, size_t len) {
  uint8_t *bytes = out;
  for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)next_random(ctx);
}
static struct world worlds[1];

static void fail(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void fail(struct sim *s, const char *format, ...) {
  va_list args;
  if (s->failure[0]) return;
  va_start(args, format);
  vsnprintf(s->failure, sizeof s->failure, format, args);
  va_end(args);
}

/* ---- network ---- */

static struct conn *find_conn(struct sim *s, uint64_t number) {
  for (size_t i = s->conn_count; i-- > 0;)
    if (s->conns[i].number == number) return &s->conns[i];
  return NULL;
}

/* In order, as TCP is, unless `overtaken`. */
static void put_message(struct sim *s, struct conn *from, struct bytes bytes, int64_t delay, bool overtaken) {
  if (s->message_count == s->message_cap) {
    s->message_cap = s->message_cap ? s->message_cap * 2 : 256;
    s->messages = mem_resize(s->messages, s->message_cap, sizeof *s->messages);
  }
  struct message *m = &s->messages[s->message_count++];
  int64_t at = s->now + delay;
  if (!overtaken && at <= from->last_at) at = from->last_at + 1;
  if (!overtaken) from->last_at = at;
  *m = (struct message){
      .at = at, .order = s->order++, .to_conn = from->twin, .to = from->other, .channel = from->channel};
  buffer_append(&m->bytes, bytes);
}

static bool partitioned(struct sim *s, int from, int to) {
  for (int i = 0; i < LINKS; i++) {
    if (s->links[i].from == from && s->links[i].to == to && s->partition_until[i][0] > s->now) return true;
    if (s->links[i].to == from && s->links[i].from == to && s->partition_until[i][1] > s->now) return true;
  }
  return false;
}

struct owner {
  struct sim *s;
  int node;
};
static struct owner owners[NODES];

static bool on_send(void *ctx, uint64_t number, struct bytes bytes) {
  struct owner *owner = ctx;
  struct sim *s = owner->s;
  struct conn *conn = find_conn(s, number);
  if (!conn || !conn->open) return false;
  if (partitioned(s, conn->node, conn->other)) return true;
  if (s->faults && chance(s, 2)) return true;  /* lost */
  if (s->faults && chance(s, 5)) return false; /* the socket is full */
  int64_t delay = 500 + (int64_t)below(s, 400);
  bool overtaken = s->faults && chance(s, 3);
  if (overtaken) delay += (int64_t)below(s, 300000);
  put_message(s, conn, bytes, delay, overtaken);
  if (s->faults && chance(s, 3)) put_message(s, conn, bytes, delay + (int64_t)below(s, 50000), true);
  return true;
}

static void close_end(struct sim *s, uint64_t number) {
  struct conn *conn = find_conn(s, number);
  if (conn) conn->open = false;
}

static void on_close(void *ctx, uint64_t number) {
  struct sim *s = ((struct owner *)ctx)->s;
  struct conn *conn = find_conn(s, number);
  if (!conn) return;
  uint64_t twin = conn->twin;
  close_end(s, number);
  for (int i = 0; i < LINKS; i++)
    for (int c = 0; c < CHANNELS; c++)
      if (s->links[i].conns[c] == number || s->links[i].conns[c] == twin)
        s->links[i].open_at = s->now + 100000 + (int64_t)below(s, 400000);
}

/* Both connections of a link end: the connecting side is told, the other finds out by silence. */
static void cut(struct sim *s, struct link_end *link) {
  for (int c = 0; c < CHANNELS; c++) {
    uint64_t number = link->conns[c];
    struct conn *conn = number ? find_conn(s, number) : NULL;
    if (!conn) continue;
    close_end(s, conn->twin);
    close_end(s, number);
    link->conns[c] = 0;
    if (s->places[link->from].up) node_closed(s->places[link->from].node, number);
  }
  link->open_at = s->now + 100000 + (int64_t)below(s, s->faults && chance(s, 300) ? 6000000 : 500000);
}

static void open_link(struct sim *s, struct link_end *link) {
  if (link->open_at == 0 || link->open_at > s->now || !s->places[link->from].up || !s->places[link->to].up) return;
  for (int c = 0; c < CHANNELS; c++) {
    if (link->conns[c]) {
      close_end(s, link->conns[c]);
      node_closed(s->places[link->from].node, link->conns[c]);
    }
    uint64_t a = ++s->next_conn, b = ++s->next_conn;
    s->conns = mem_resize(s->conns, s->conn_count + 2, sizeof *s->conns);
    s->conns[s->conn_count++] = (struct conn){a, link->from, link->to, b, c, true, 0};
    s->conns[s->conn_count++] = (struct conn){b, link->to, link->from, a, c, true, 0};
    link->conns[c] = a;
  }
  link->open_at = 0;
  s->reopened++;
  node_opened(s->places[link->from].node, link->peer, link->conns[0], link->conns[1]);
}

static const char *principal_at(int node, int other) {
  if (node == GATEWAY) return "broker p";
  return other == GATEWAY ? "station p/s" : node == BROKER ? "peer q" : "peer p";
}

static void deliver(struct sim *s) {
  for (;;) {
    size_t first = SIZE_MAX;
    for (size_t i = 0; i < s->message_count; i++)
      if (s->messages[i].at <= s->now &&
          (first == SIZE_MAX || s->messages[i].at < s->messages[first].at ||
              (s->messages[i].at == s->messages[first].at && s->messages[i].order < s->messages[first].order)))
        first = i;
    if (first == SIZE_MAX) return;
    struct message m = s->messages[first];
    s->messages[first] = s->messages[--s->message_count];
    struct conn *conn = find_conn(s, m.to_conn);
    if (conn && conn->open && s->places[m.to].up)
      node_receive(s->places[m.to].node, principal_at(m.to, conn->other), m.to_conn, (enum channel)m.channel,
          buffer_bytes(&m.bytes));
    buffer_deinit(&m.bytes);
  }
}

/* ---- nodes ---- */

static bool is_level(void *ctx, const struct record *record) {
  (void)ctx;
  struct bytes a = record->address;
  return record->kind == RECORD_HEAD || (a.len > 6 && memcmp(a.data + a.len - 6, "/level", 6) == 0);
}
static struct blob *on_share(void *ctx, struct node_peer *peer, struct blob *from, const struct block *block) {
  (void)ctx;
  if (strcmp(node_peer_node(peer), "q") != 0) return blob_ref(from);
  struct blob *out = NULL;
  return block_filter(&out, from, block, is_level, NULL) == 0 ? out : NULL;
}
static bool on_share_stream(void *ctx, struct node_peer *peer, struct bytes stream) {
  (void)ctx;
  return strcmp(node_peer_node(peer), "q") == 0
             ? stream.data[0] == 'p'
             : stream.data[0] == (strcmp(node_peer_node(peer), "p") == 0 && stream.data[0] == 'q' ? 'q' : 'p');
}
static void on_event(void *ctx, const char *name, struct bytes text) {
  struct owner *owner = ctx;
  struct place *place = &owner->s->places[owner->node];
  (void)text;
  if (strcmp(name, "epoch") != 0) return;
  owner->s->epochs++;
  /* A copy of what was written after a restore, before the peer was met, is issued again now; put back after that it
   * would be issued once more: a known limit. */
  for (int i = 0; i < COPIES; i++)
    if (place->copies[i] && place->restored_at > 0 && place->copied_at[i] >= place->restored_at)
      place->copies[i] = memory_disk_free(place->copies[i]);
}

static void on_submitted(void *ctx, void *cookie, const struct store_done *done) {
  struct sim *s = ((struct owner *)ctx)->s;
  size_t id = (size_t)(uintptr_t)cookie - 1;
  if (done->kind != STORE_DONE_BATCH) return;
  s->readings[id].durable = true;
  s->readings[id].durable_at = s->now;
}

static void start_node(struct sim *s, int n) {
  struct place *place = &s->places[n];
  struct store_options store_options = {.path = "", .max_size = 1 << 30, .world = worlds};
  if (store_open_memory(&place->store, &store_options, place->disk) != 0) {
    fail(s, "the store of %s does not open", names[n]);
    return;
  }
  owners[n] = (struct owner){s, n};
  struct node_options options = {.name = names[n],
      .world = worlds,
      .store = place->store,
      .ring_bytes = 64 * 1024,
      .hooks = {.ctx = &owners[n],
          .send = on_send,
          .close = on_close,
          .share = n == BROKER ? on_share : NULL,
          .share_stream = n == GATEWAY ? NULL : on_share_stream,
          .submitted = on_submitted,
          .event = on_event}};
  place->node = node_new(&options);
  struct node_peer_config to_broker = {.principal = "broker p",
                              .node = "p",
                              .role = NODE_PEER_UPSTREAM,
                              .connects = true},
                          station = {.principal = "station p/s", .node = "p/s", .role = NODE_PEER_STATION},
                          q = {.principal = "peer q",
                              .node = "q",
                              .role = NODE_PEER_NEIGHBOUR,
                              .connects = true,
                              .scope = 77,
                              .compress = true},
                          p = {.principal = "peer p", .node = "p", .role = NODE_PEER_NEIGHBOUR, .scope = 78};
  if (n == GATEWAY) s->links[0].peer = node_peer_add(place->node, &to_broker);
  if (n == BROKER) {
    node_peer_add(place->node, &station);
    s->links[1].peer = node_peer_add(place->node, &q);
  }
  if (n == NEIGHBOUR) node_peer_add(place->node, &p);
  place->up = true;
}

static void drop_conns(struct sim *s, int n) {
  for (size_t i = 0; i < s->conn_count; i++)
    if (s->conns[i].node == n || s->conns[i].other == n) s->conns[i].open = false;
  for (int i = 0; i < LINKS; i++)
    if (s->links[i].from == n || s->links[i].to == n) {
      for (int c = 0; c < CHANNELS; c++) {
        if (s->links[i].conns[c] && s->links[i].from != n && s->places[s->links[i].from].up)
          node_closed(s->places[s->links[i].from].node, s->links[i].conns[c]);
        s->links[i].conns[c] = 0;
      }
      s->links[i].open_at = s->now + 50000 + (int64_t)below(s, 300000);
    }
}

static void restore_copy(struct sim *s, int n) {
  struct place *place = &s->places[n];
  int which = (int)below(s, COPIES);
  if (!place->copies[which]) return;
  memory_disk_free(place->disk);
  place->disk = memory_disk_copy(place->copies[which]);
  s->restores++;
  place->restored_at = s->now;
  log_notice("sim", names[n], "an old copy of %lld s is put back at %lld",
      (long long)(place->copied_at[which] / 1000000), (long long)s->now);
  for (size_t i = 0; n == GATEWAY && i < s->reading_count; i++)
    if (s->readings[i].durable &&
        s->readings[i].durable_at >= place->copied_at[which]) /* copies are taken before the commits of a step */
      s->readings[i].may_be_lost = true;
  /* a copy of a later time is of a past that is no more; it may come back too, but then the judge could not tell */
  for (int i = 0; i < COPIES; i++)
    if (place->copies[i] && place->copied_at[i] > place->copied_at[which])
      place->copies[i] = memory_disk_free(place->copies[i]);
}

static void crash(struct sim *s, int n) {
  struct place *place = &s->places[n];
  s->crashes++;
  place->up = false;
  node_free(place->node);
  place->node = NULL;
  place->store = store_memory_crash(place->store);
  drop_conns(s, n);
  /* one node of a run: two restored at once can hide each other's past, which nobody could tell */
  if (s->faults && n == (int)(s->seed / 3 % NODES) && chance(s, 300)) restore_copy(s, n);
  place->up_at = s->now + 20000 + (int64_t)below(s, chance(s, 300) ? 5000000 : 200000);
}

/* ---- readings ---- */

static void make_readings(struct sim *s) {
  struct place *place = &s->places[GATEWAY];
  if (!place->up || !chance(s, 300)) return;
  struct block_builder *builder = block_builder_new();
  struct store_batch *batch = store_batch_new();
  bool urgent = chance(s, 100), level = chance(s, 500);
  int64_t received = node_received(place->node);
  struct record record = {.kind = urgent ? RECORD_EVENT : RECORD_READING,
      .address = bytes_text(level ? "p/s/g/level" : "p/s/g/flow"),
      .time = received,
      .received = received,
      .value = {.type = VALUE_INTEGER, .integer = (int64_t)s->reading_count}};
  block_builder_add(builder, &record, BLOCK_MAX);
  struct bytes stream = bytes_text(urgent ? "p/s!urgent" : "p/s");
  store_batch_own(
      batch, urgent ? LANE_URGENT : LANE_LIVE, stream, block_builder_finish(builder, stream, node_run(place->node)));
  block_builder_free(builder);
  if (urgent) store_batch_urgent(batch);
  s->readings = mem_resize(s->readings, s->reading_count + 1, sizeof *s->readings);
  s->readings[s->reading_count] = (struct reading){.level = level, .urgent = urgent};
  if (node_submit(place->node, batch, (void *)(uintptr_t)(s->reading_count + 1)) != 0) store_batch_free(batch);
  s->reading_count++;
}

/* ---- the judge ---- */

struct seen {
  uint8_t *counts;
  struct sim *s;
  int node;
  struct {
    char stream[64];
    struct epoch epoch;
    uint64_t last;
    struct intervals held;
  } streams[LANES][64];
  size_t stream_count[LANES];
};

static void judge_record(struct seen *seen, const struct record *record) {
  struct sim *s = seen->s;
  if (record->kind == RECORD_HEAD || record->value.type != VALUE_INTEGER) return;
  size_t id = (size_t)record->value.integer;
  if (id >= s->reading_count) {
    fail(s, "%s holds a reading that nobody made", names[seen->node]);
    return;
  }
  if (seen->counts[id] < 200) seen->counts[id]++;
  if (seen->node == NEIGHBOUR && !s->readings[id].level)
    fail(s, "q holds reading %zu, to which it is not entitled", id);
}

static bool judge_entry(void *ctx, const struct store_entry *entry) {
  struct seen *seen = ctx;
  struct block block;
  struct block_reader *reader;
  struct record record;
  if (!entry->block) return true;
  if (block_open(&block, blob_bytes(entry->block)) != 0 || block_reader_new(&reader, &block) != 0) {
    fail(seen->s, "%s holds a damaged block", names[seen->node]);
    return false;
  }
  size_t at = 0, count = seen->stream_count[entry->lane];
  while (at < count && !(bytes_equal(bytes_text(seen->streams[entry->lane][at].stream), block.stream) &&
                           epoch_compare(seen->streams[entry->lane][at].epoch, block.epoch) == 0))
    at++;
  if (at == 64) {
    fail(seen->s, "too many epochs");
    block_reader_free(reader);
    return false;
  }
  if (at == count) {
    snprintf(seen->streams[entry->lane][at].stream, 64, BYTES_FMT, BYTES_ARG(block.stream));
    seen->streams[entry->lane][at].epoch = block.epoch;
    seen->streams[entry->lane][at].last = 0;
    seen->streams[entry->lane][at].held = INTERVALS_NULL;
    seen->stream_count[entry->lane]++;
  }
  while (block_reader_next(reader, &record) == 0) {
    if (intervals_contains(&seen->streams[entry->lane][at].held, record.sequence))
      fail(seen->s, "%s holds " BYTES_FMT " %llu twice", names[seen->node], BYTES_ARG(block.stream),
          (unsigned long long)record.sequence);
    if (record.sequence <= seen->streams[entry->lane][at].last)
      fail(seen->s, "%s: sequence %llu of " BYTES_FMT " comes after %llu in lane %s", names[seen->node],
          (unsigned long long)record.sequence, BYTES_ARG(block.stream),
          (unsigned long long)seen->streams[entry->lane][at].last, lane_name(entry->lane));
    intervals_add(&seen->streams[entry->lane][at].held, record.sequence, record.sequence);
    seen->streams[entry->lane][at].last = record.sequence;
    if (entry->lane == LANE_BACKFILL) seen->s->backfilled++;
    judge_record(seen, &record);
  }
  block_reader_free(reader);
  return true;
}

static void judge_node(struct sim *s, int n) {
  struct seen *seen = mem_alloc(sizeof *seen);
  seen->counts = mem_alloc(s->reading_count + 1);
  seen->s = s;
  seen->node = n;
  for (int lane = 0; lane < LANES; lane++) store_replay(s->places[n].store, (enum lane)lane, 1, judge_entry, seen);
  for (size_t i = 0; i < s->reading_count; i++) {
    const struct reading *r = &s->readings[i];
    bool entitled = n == BROKER || r->level;
    if (seen->counts[i] > 1)
      fail(s, "reading %zu (%s) is %u times at %s", i, r->urgent ? "urgent" : "telemetry", seen->counts[i], names[n]);
    if (entitled && r->durable && !r->may_be_lost && seen->counts[i] == 0)
      fail(s, "reading %zu (%s, durable at %lld) is not at %s", i, r->urgent ? "urgent" : "telemetry",
          (long long)r->durable_at, names[n]);
  }
  for (int lane = 0; lane < LANES; lane++)
    for (size_t i = 0; i < seen->stream_count[lane]; i++) intervals_deinit(&seen->streams[lane][i].held);
  free(seen->counts);
  free(seen);
}

/* ---- a run ---- */

static void commit(struct sim *s, int n) {
  struct place *place = &s->places[n];
  if (place->up && (!s->faults || chance(s, 600))) store_memory_run(place->store, 1 + below(s, 8));
}

static void faults(struct sim *s) {
  if (chance(s, 4)) {
    s->cuts++;
    cut(s, &s->links[below(s, LINKS)]);
  }
  if (chance(s, 2)) s->partition_until[below(s, LINKS)][below(s, 2)] = s->now + (int64_t)below(s, 4000000);
  if (chance(s, 4)) {
    int n = (int)below(s, NODES);
    if (s->places[n].up) crash(s, n);
  }
  if (chance(s, 3)) {
    int n = (int)below(s, NODES), which = (int)below(s, COPIES);
    memory_disk_free(s->places[n].copies[which]);
    s->places[n].copies[which] = memory_disk_copy(s->places[n].disk);
    s->places[n].copied_at[which] = s->now;
  }
  if (s->fills_stores && chance(s, 3)) {
    int n = 1 + (int)below(s, 2);
    struct memory_faults full = {.full = chance(s, 500)};
    if (s->places[n].up) store_memory_faults(s->places[n].store, &full);
    s->full_rounds++;
  }
}

static void step(struct sim *s) {
  s->now += 1 + (int64_t)below(s, STEP_US);
  if (s->faults) faults(s);
  for (int n = 0; n < NODES; n++)
    if (!s->places[n].up && s->places[n].up_at <= s->now) start_node(s, n);
  for (int i = 0; i < LINKS; i++) open_link(s, &s->links[i]);
  if (s->faults) make_readings(s);
  deliver(s);
  for (int n = 0; n < NODES; n++) {
    commit(s, n);
    if (s->places[n].up) node_tick(s->places[n].node);
  }
}

static void settle(struct sim *s) {
  int64_t until = s->now + SETTLE_US;
  struct memory_faults none = {.full = false};
  s->faults = false;
  memset(s->partition_until, 0, sizeof s->partition_until);
  for (int n = 0; n < NODES; n++)
    if (s->places[n].up) store_memory_faults(s->places[n].store, &none);
  while (s->now < until) step(s);
}

static bool run(uint64_t seed, struct sim *out) {
  struct sim s = {.seed = seed, .rng = seed * 2654435761u + 1, .faults = true, .next_conn = 100};
  worlds[0] = (struct world){&s, sim_now, sim_random};
  s.fills_stores = seed % 3 == 0;
  s.links[0] = (struct link_end){.from = GATEWAY, .to = BROKER, .open_at = 1};
  s.links[1] = (struct link_end){.from = BROKER, .to = NEIGHBOUR, .open_at = 1};
  for (int n = 0; n < NODES; n++) {
    s.places[n].disk = memory_disk_new();
    start_node(&s, n);
  }
  for (int i = 0; i < FAULT_STEPS && !s.failure[0]; i++) step(&s);
  settle(&s);
  for (int n = 0; n < NODES; n++)
    if (!s.places[n].up) fail(&s, "%s is down", names[n]);
  if (!s.failure[0]) {
    judge_node(&s, BROKER);
    judge_node(&s, NEIGHBOUR);
  }
  for (int n = 0; n < NODES; n++) {
    if (s.places[n].node) node_free(s.places[n].node);
    if (s.places[n].store) store_close(s.places[n].store);
    memory_disk_free(s.places[n].disk);
    for (int i = 0; i < COPIES; i++) memory_disk_free(s.places[n].copies[i]);
  }
  for (size_t i = 0; i < s.message_count; i++) buffer_deinit(&s.messages[i].bytes);
  free(s.messages);
  free(s.conns);
  free(s.readings);
  *out = s;
  return !s.failure[0];
}

static bool plant(const char *name) {
  for (size_t i = 0; i < sizeof defects / sizeof defects[0]; i++)
    if (strcmp(defects[i].name, name) == 0) node_defect = defects[i].defect;
  return node_defect != NODE_DEFECT_NONE;
}

int main(int argc, char **argv) {
  uint64_t first = 1, seeds = 50, failed = 0, done = 0;
  double seconds = 1e9;
  bool until_failed = false;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "-v") == 0)
      verbose = true;
    else if (strcmp(argv[i], "--until-failed") == 0)
      until_failed = true;
    else if (i + 1 < argc && strcmp(argv[i], "--first") == 0)
      first = strtoull(argv[++i], NULL, 10);
    else if (i + 1 < argc && strcmp(argv[i], "--seeds") == 0)
      seeds = strtoull(argv[++i], NULL, 10);
    else if (i + 1 < argc && strcmp(argv[i], "--seconds") == 0)
      seconds = strtod(argv[++i], NULL);
    else if (i + 1 < argc && strcmp(argv[i], "--defect") == 0 && plant(argv[i + 1]))
      i++;
    else {
      fprintf(stderr, "usage: sim [--first SEED] [--seeds N] [--seconds T] [--defect NAME] [--until-failed] [-v]\n");
      return 2;
    }
  }
  log_set_level(verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
  setvbuf(stdout, NULL, _IOLBF, 0);
  time_t began = time(NULL);
  uint64_t totals[6] = {0};
  for (uint64_t seed = first; seed < first + seeds && difftime(time(NULL), began) < seconds; seed++, done++) {
    struct sim s;
    bool good = run(seed, &s);
    totals[0] += s.reading_count, totals[1] += s.crashes, totals[2] += s.restores, totals[3] += s.cuts,
        totals[4] += s.epochs, totals[5] += s.backfilled;
    if (good) continue;
    failed++;
    if (until_failed) seeds = 0;
    printf("seed %llu: %s\n  again with: sim --first %llu --seeds 1 -v\n", (unsigned long long)seed, s.failure,
        (unsigned long long)seed);
  }
  printf("%llu seeds, %llu failed; %llu readings, %llu crashes, %llu old copies put back, %llu cuts, %llu new epochs, "
         "%llu records by backfill\n",
      (unsigned long long)done, (unsigned long long)failed, (unsigned long long)totals[0],
      (unsigned long long)totals[1], (unsigned long long)totals[2], (unsigned long long)totals[3],
      (unsigned long long)totals[4], (unsigned long long)totals[5]);
  return failed ? 1 : 0;
}
