/*
 * What a broker's node does for each record, for each reconnect and at rest while it holds many streams: its node and
 * the rules of its agreements over a store in memory, with three neighbours of the same kind. For counts of
 * instructions, which other load on the machine does not change; no socket, no disk.
 *
 *   bench_streams [--streams N] [--records N] [--patterns N] [--sparse N] [--holes] [--waits]
 *
 *   --streams N   stations, one stream each (default 10,000)
 *   --records N   of one record each, one stream after another, in the phase of that name (default 20,000)
 *   --patterns N  what each neighbour accepts; the last of them matches (default 1, at most 256)
 *   --holes       the broker misses one record of each stream, below newer ones
 *   --waits       the stations were here a moment ago when the links come again: with --sparse or --holes what the
 *                 neighbours miss waits for them. Else they have been away for long
 *   --sparse N    each block holds every N-th number alone, as if the rest had been filtered before (default 1: whole)
 *
 * Prints for each phase the seconds of the broker's own turns, what it sent, and how often. Counts of instructions:
 *
 *   valgrind --tool=callgrind --collect-atstart=no --toggle-collect=turn_records bench_streams
 *
 * and likewise turn_greeting, turn_rest, turn_again, turn_later.
 */
#include "broker/peers.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/node/node.h"
#include "common/store/memory.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define AWAY_US (700 * SECOND_US)
enum { NEIGHBOURS = 3, BROKER = NEIGHBOURS, NODES = NEIGHBOURS + 1, PER_BATCH = 100 };
static const char *const names[NODES] = {"anhui", "hubei", "sichuan", "chongqing"};
static const char *const principals[NODES] = {"peer anhui", "peer hubei", "peer sichuan", "peer chongqing"};

struct bench;
struct place { /* a node of the four */
  struct bench *bench;
  int at;
  struct memory_disk *disk;
  struct store *store;
  struct node *node;
  struct node_peer *peers[NODES];
  bool joined[NODES];
};
struct parcel {
  struct parcel *next;
  int from, to;
  enum channel channel;
  struct bytes frame;
};
struct agreement {
  struct half *ours, *theirs;
  struct peer_from from[BROKER_RULES_MAX];
  struct peer_rules rules;
};
struct bench {
  struct world world;
  int64_t now, busy_ns;
  uint64_t random, sent_messages, sent_bytes, sent_records;
  struct place places[NODES];
  struct parcel *first, *last;
  struct agreement agreements[NEIGHBOURS];
  size_t streams, records, patterns, sparse;
  bool holes, waits;
  struct epoch epoch;
  uint64_t *next; /* of each stream: the number given next */
};

static void check(bool good, const char *what) {
  if (good) return;
  fprintf(stderr, "bench_streams: %s\n", what);
  exit(1);
}

/* ---- the world ---- */

static struct instant world_at(void *ctx) {
  const struct bench *bench = ctx;
  return (struct instant){INT64_C(1790000000000000) + bench->now, bench->now};
}

static void world_chance(void *ctx, void *out, size_t len) {
  struct bench *bench = ctx;
  uint8_t *bytes = out;
  for (size_t i = 0; i < len; i++)
    bytes[i] = (uint8_t)((bench->random = bench->random * 6364136223846793005u + 1442695040888963407u) >> 56);
}

static int64_t cpu_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- the broker's turns: one function a phase, so that callgrind can tell them apart ---- */

typedef void turn_fn(struct node *node, const struct parcel *parcel);
#define TURN(name)                                                                                                     \
  __attribute__((noinline)) static void name(struct node *node, const struct parcel *parcel) {                         \
    if (parcel)                                                                                                        \
      node_receive(node, principals[parcel->from], 1 + (uint64_t)parcel->from * CHANNELS + parcel->channel,            \
          parcel->channel, parcel->frame);                                                                             \
    else                                                                                                               \
      node_tick(node);                                                                                                 \
    __asm__ volatile("" ::: "memory");                                                                                 \
  }
TURN(turn_neighbour)
TURN(turn_filling)
TURN(turn_greeting)
TURN(turn_records)
TURN(turn_rest)
TURN(turn_again)
TURN(turn_later)

static void turn(struct bench *bench, int at, turn_fn *as, const struct parcel *parcel) {
  int64_t began = cpu_ns();
  (at == BROKER ? as : turn_neighbour)(bench->places[at].node, parcel);
  if (at == BROKER) bench->busy_ns += cpu_ns() - began;
}

/* ---- hooks ---- */

static int place_of(const struct node_peer *peer) {
  int at = 0;
  while (at < BROKER && strcmp(names[at], node_peer_node(peer)) != 0) at++;
  return at;
}

/* conn: 1 + 2 * other + channel, at either side */
static bool on_send(void *ctx, uint64_t conn, struct bytes message) {
  const struct place *place = ctx;
  struct bench *bench = place->bench;
  int to = (int)(conn - 1) / CHANNELS;
  if (!place->joined[to]) return false;
  struct parcel *parcel = mem_alloc(sizeof *parcel);
  *parcel = (struct parcel){NULL, place->at, to, (enum channel)((conn - 1) % CHANNELS),
      bytes_of(mem_copy(message.data, message.len), message.len)};
  if (bench->last)
    bench->last->next = parcel;
  else
    bench->first = parcel;
  bench->last = parcel;
  if (place->at == BROKER) bench->sent_messages++;
  if (place->at == BROKER) bench->sent_bytes += message.len;
  return true;
}

static void on_close(void *ctx, uint64_t conn) { (void)ctx, (void)conn; }

static void on_sent(void *ctx, struct node_peer *peer, uint32_t records, size_t bytes) {
  const struct place *place = ctx;
  (void)peer, (void)bytes;
  if (place->at == BROKER) place->bench->sent_records += records;
}

static bool on_share_stream(void *ctx, struct node_peer *peer, size_t feed, struct bytes stream) {
  const struct place *place = ctx;
  int to = place_of(peer);
  return place->at == BROKER && to < NEIGHBOURS &&
         peer_shares_stream(&place->bench->agreements[to].rules, feed, stream);
}

static struct blob *on_share(void *ctx, struct node_peer *peer, size_t feed, struct blob *from,
    const struct block *block, enum lane lane, uint64_t position) {
  const struct place *place = ctx;
  int to = place_of(peer);
  if (place->at != BROKER || to >= NEIGHBOURS) return NULL;
  return peer_share(&place->bench->agreements[to].rules, feed, from, block, lane, position);
}

/* ---- life ---- */

static void agreement_make(struct bench *bench, int with) {
  struct agreement *agreement = &bench->agreements[with];
  struct buffer ours = BUFFER_NULL, theirs = BUFFER_NULL;
  buffer_printf(&ours, "riverbus-agreement\t1\tchongqing\t%s\nshare\tchongqing/#\n", names[with]);
  buffer_printf(&theirs, "riverbus-agreement\t1\t%s\tchongqing\n", names[with]);
  for (size_t i = 1; i <= bench->patterns; i++) buffer_printf(&theirs, "accept\tchongqing/+/gauge-1/p%03zu\n", i);
  check(half_new(&agreement->ours, buffer_bytes(&ours), bytes_text("chongqing"), bytes_text(names[with]), NULL) == 0 &&
            half_new(
                &agreement->theirs, buffer_bytes(&theirs), bytes_text(names[with]), bytes_text("chongqing"), NULL) == 0,
      "a half is malformed");
  agreement->rules = (struct peer_rules){.node = bytes_text("chongqing"),
      .peer = bytes_text(names[with]),
      .ours = agreement->ours,
      .theirs = agreement->theirs,
      .share_from = agreement->from,
      .transit_from = agreement->from,
      .accept_from = agreement->from};
  peer_rules_init(&agreement->rules, BYTES_NULL, &(struct peer_from){{1, 1, 1}});
  buffer_deinit(&ours);
  buffer_deinit(&theirs);
}

static void add_peer(struct bench *bench, int at, int to) {
  struct node_feed feed = {.scope = at == BROKER ? bench->agreements[to].rules.feeds[0].scope : 7};
  struct node_peer_config config = {.principal = principals[to],
      .node = names[to],
      .role = NODE_PEER_NEIGHBOUR,
      .connects = at == BROKER,
      .feeds = &feed,
      .feed_count = 1};
  bench->places[at].peers[to] = node_peer_add(bench->places[at].node, &config);
}

static void place_open(struct bench *bench, int at) {
  struct place *place = &bench->places[at];
  *place = (struct place){.bench = bench, .at = at, .disk = memory_disk_new()};
  const struct store_options store = {.path = "", .max_size = UINT64_C(4) << 30, .world = &bench->world};
  check(store_open_memory(&place->store, &store, place->disk) == 0, "no store");
  const struct node_options node = {.name = names[at],
      .world = &bench->world,
      .store = place->store,
      .hooks = {.ctx = place,
          .send = on_send,
          .close = on_close,
          .sent = on_sent,
          .share_stream = on_share_stream,
          .share = on_share}};
  place->node = node_new(&node);
}

static void add_stations(struct bench *bench) {
  char name[64], principal[80];
  for (size_t i = 0; i < bench->streams; i++) {
    snprintf(name, sizeof name, "chongqing/s%05zu", i);
    snprintf(principal, sizeof principal, "station %s", name);
    const struct node_peer_config config = {.principal = principal, .node = name, .role = NODE_PEER_STATION};
    node_peer_add(bench->places[BROKER].node, &config);
  }
}

static void bench_open(struct bench *bench) {
  bench->now = SECOND_US;
  bench->world = (struct world){.ctx = bench, .now = world_at, .random = world_chance};
  bench->epoch = (struct epoch){1790000000000000, 1};
  bench->next = mem_alloc((bench->streams + 1) * sizeof *bench->next);
  for (size_t i = 0; i < bench->streams; i++) bench->next[i] = 1;
  for (int n = 0; n < NEIGHBOURS; n++) agreement_make(bench, n);
  for (int at = 0; at < NODES; at++) place_open(bench, at);
  for (int n = 0; n < NEIGHBOURS; n++) {
    add_peer(bench, BROKER, n);
    add_peer(bench, n, BROKER);
  }
  add_stations(bench);
}

static void bench_close(struct bench *bench) {
  for (int at = 0; at < NODES; at++) {
    node_free(bench->places[at].node);
    store_close(bench->places[at].store);
    memory_disk_free(bench->places[at].disk);
  }
  for (int n = 0; n < NEIGHBOURS; n++) {
    peer_rules_deinit(&bench->agreements[n].rules);
    half_free(bench->agreements[n].ours);
    half_free(bench->agreements[n].theirs);
  }
  free(bench->next);
}

/* ---- time and messages ---- */

static void deliver(struct bench *bench, turn_fn *as) {
  struct parcel *parcel;
  while ((parcel = bench->first)) {
    bench->first = parcel->next;
    if (!bench->first) bench->last = NULL;
    if (bench->places[parcel->to].joined[parcel->from]) turn(bench, parcel->to, as, parcel);
    free((void *)(uintptr_t)parcel->frame.data);
    free(parcel);
  }
}

static bool has_pending(const struct bench *bench) {
  bool pending = false;
  for (int n = 0; n < NEIGHBOURS && !pending; n++) pending = store_memory_pending(bench->places[n].store) > 0;
  return pending;
}

/* All stores commit, all nodes tick, all is delivered, as long as that brings more; then time passes. */
static void pass(struct bench *bench, turn_fn *as, int64_t us) {
  do {
    for (int at = 0; at < NODES; at++) store_memory_run(bench->places[at].store, 1000);
    for (int at = 0; at < NODES; at++) turn(bench, at, as, NULL);
    deliver(bench, as);
  } while (store_memory_pending(bench->places[BROKER].store) > 0 || has_pending(bench));
  bench->now += us;
}

/* Until nothing was sent for a while: claims wait for a second. */
static void settle(struct bench *bench, turn_fn *as) {
  for (int quiet = 0; quiet < 300;) {
    uint64_t before = bench->sent_records;
    pass(bench, as, quiet < 50 ? MILLISECOND_US : 10 * MILLISECOND_US);
    quiet = bench->sent_records == before ? quiet + 1 : 0;
  }
}

static void join(struct bench *bench) {
  for (int n = 0; n < NEIGHBOURS; n++) {
    bench->places[n].joined[BROKER] = bench->places[BROKER].joined[n] = true;
    node_opened(bench->places[BROKER].node, bench->places[BROKER].peers[n], 1 + (uint64_t)n * CHANNELS,
        2 + (uint64_t)n * CHANNELS);
  }
}

static void cut(struct bench *bench) {
  for (int n = 0; n < NEIGHBOURS; n++) {
    bench->places[n].joined[BROKER] = bench->places[BROKER].joined[n] = false;
    for (uint64_t c = 1; c <= CHANNELS; c++) {
      node_closed(bench->places[BROKER].node, (uint64_t)n * CHANNELS + c);
      node_closed(bench->places[n].node, (uint64_t)BROKER * CHANNELS + c);
    }
  }
}

/* ---- records ---- */

static bool is_kept(void *ctx, const struct record *record) { return record->sequence % *(const size_t *)ctx == 0; }

/* A block of so many records of a stream; what `sparse` leaves out is not in it. */
static void put(struct bench *bench, struct store_batch *batch, size_t stream, size_t count, enum lane lane) {
  char name[64], source[80], address[96];
  struct block_builder *builder = block_builder_new();
  struct block block;
  snprintf(name, sizeof name, "chongqing/s%05zu", stream);
  snprintf(source, sizeof source, "station %s", name);
  snprintf(address, sizeof address, "%s/gauge-1/p%03zu", name, bench->patterns);
  int64_t received = world_at(bench).wall;
  for (size_t i = 0; i < count * bench->sparse; i++) {
    struct record record = {.kind = RECORD_READING,
        .address = bytes_text(address),
        .time = received,
        .received = received,
        .value = {.type = VALUE_INTEGER, .integer = (int64_t)i}};
    check(block_builder_add(builder, &record, BLOCK_MAX) == 0, "a block is full");
  }
  struct blob *blob = block_builder_finish(builder, bytes_text(name), 1);
  uint64_t from = bench->next[stream], to = from + count * bench->sparse - 1;
  block_number(blob, bench->epoch, from);
  bench->next[stream] = to + 1;
  block_builder_free(builder);
  if (bench->sparse > 1) {
    struct blob *some = NULL;
    check(block_open(&block, blob_bytes(blob)) == 0 &&
              block_filter(&some, blob, &block, is_kept, &bench->sparse) == 0 && some,
        "nothing is left");
    blob_unref(blob);
    blob = some;
  }
  store_batch_block(batch, lane, bytes_text(source), 0, from, to, blob);
}

static void submit(struct bench *bench, struct store_batch *batch, turn_fn *as) {
  check(node_submit(bench->places[BROKER].node, batch, NULL) == 0, "the store is busy");
  pass(bench, as, MILLISECOND_US);
}

/* `count` blocks, one stream after another. */
static void put_all(struct bench *bench, size_t blocks, size_t each, turn_fn *as) {
  struct store_batch *batch = store_batch_new();
  for (size_t i = 0; i < blocks; i++) {
    put(bench, batch, i % bench->streams, each, LANE_LIVE);
    if (i % PER_BATCH < PER_BATCH - 1 && i + 1 < blocks) continue;
    submit(bench, batch, as);
    batch = store_batch_new();
  }
  store_batch_free(batch);
}

/* ---- phases ---- */

static void begin(struct bench *bench) {
  bench->busy_ns = 0;
  bench->sent_messages = bench->sent_bytes = bench->sent_records = 0;
}

static void tell(const struct bench *bench, const char *phase, size_t per, const char *unit) {
  printf("%-9s %8.3f s, %9.2f us a %s; sent %llu records, %llu messages, %llu bytes\n", phase,
      (double)bench->busy_ns / 1e9, (double)bench->busy_ns / 1e3 / (double)per, unit,
      (unsigned long long)bench->sent_records, (unsigned long long)bench->sent_messages,
      (unsigned long long)bench->sent_bytes);
  fflush(stdout);
}

static void run(struct bench *bench) {
  begin(bench);
  put_all(bench, bench->streams, 5, turn_filling);
  for (size_t i = 0; bench->holes && i < bench->streams; i++) bench->next[i]++;
  if (bench->holes) put_all(bench, bench->streams, 5, turn_filling);
  tell(bench, "filling", bench->streams, "stream");
  begin(bench);
  join(bench);
  settle(bench, turn_greeting);
  tell(bench, "greeting", bench->streams, "stream");
  begin(bench);
  put_all(bench, bench->records, 1, turn_records);
  settle(bench, turn_records);
  tell(bench, "records", bench->records, "record");
  begin(bench);
  for (int i = 0; i < 1000; i++) pass(bench, turn_rest, 10 * MILLISECOND_US);
  tell(bench, "rest", 10, "second");
  begin(bench);
  cut(bench);
  for (int i = 0; i < 300; i++) pass(bench, turn_again, 10 * MILLISECOND_US);
  if (!bench->waits) bench->now += AWAY_US;
  join(bench);
  settle(bench, turn_again);
  tell(bench, "again", bench->streams, "stream");
  begin(bench);
  put_all(bench, bench->records, 1, turn_later);
  settle(bench, turn_later);
  tell(bench, "later", bench->records, "record");
}

int main(int argc, char **argv) {
  static const struct option options[] = {{"streams", required_argument, NULL, 's'},
      {"records", required_argument, NULL, 'r'}, {"patterns", required_argument, NULL, 'p'},
      {"sparse", required_argument, NULL, 'e'}, {"holes", no_argument, NULL, 'h'}, {"waits", no_argument, NULL, 'w'},
      {NULL, 0, NULL, 0}};
  struct bench bench = {.streams = 10000, .records = 20000, .patterns = 1, .sparse = 1, .random = 1};
  for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    size_t number = optarg ? strtoul(optarg, NULL, 10) : 0;
    if (option == 's') bench.streams = number;
    if (option == 'r') bench.records = number;
    if (option == 'p') bench.patterns = number;
    if (option == 'e') bench.sparse = number;
    if (option == 'h') bench.holes = true;
    if (option == 'w') bench.waits = true;
    check(option != '?', "usage: see the head of streams.c");
  }
  check(bench.streams > 0 && bench.records > 0 && bench.patterns > 0 && bench.patterns <= 256 && bench.sparse > 0,
      "a number is out of range");
  log_set_level(LOG_LEVEL_WARNING);
  bench_open(&bench);
  run(&bench);
  bench_close(&bench);
  return 0;
}
