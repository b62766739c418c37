#include "common/base/log.h"
#include "tests/sim/sim.h"

static const char *const star[PLACES] = {"p", "p/s", "q", "p/t", "p/s", ""};
const char *const *place_names = star;
static struct owner owners[PLACES];

const char *place_principal(const struct sim *s, int at, int of) {
  static const char *const provinces[PLACES] = {"peer a", "peer b", "peer c", "peer d", "peer e", "peer f"};
  if (s->graph) return provinces[of];
  if (place_is_station(s, at)) return "broker p";
  if (at == NEIGHBOUR) return "peer p";
  return of == NEIGHBOUR ? "peer q" : of == SECOND_STATION ? "station p/t" : "station p/s";
}

/* ---- what a node asks of its owner ---- */

static bool on_send(void *ctx, uint64_t conn, struct bytes bytes) {
  return network_send(((struct owner *)ctx)->s, conn, bytes);
}
static void on_close(void *ctx, uint64_t conn) { network_close(((struct owner *)ctx)->s, conn); }

/* Of the neighbour's two feeds. */
struct choice {
  const struct terms *terms;
  size_t feed;
};

static bool is_level(void *ctx, const struct record *record) {
  const struct choice *choice = ctx;
  struct bytes a = record->address;
  if ((choice->terms->paced >> 1 & 1) != choice->feed || !terms_let(choice->terms, 1, record->received))
    return record->kind == RECORD_HEAD;
  return record->kind == RECORD_HEAD || (a.len > 6 && memcmp(a.data + a.len - 6, "/level", 6) == 0);
}

static struct blob *on_share(void *ctx, struct node_peer *peer, size_t feed, struct blob *from,
    const struct block *block, enum lane lane, uint64_t position) {
  struct choice choice = {&((struct owner *)ctx)->s->terms, feed};
  (void)lane, (void)position;
  if (strcmp(node_peer_node(peer), "q") != 0) return blob_ref(from);
  struct blob *out = NULL;
  return block_filter(&out, from, block, is_level, &choice) == 0 ? out : NULL;
}

/* Each province gives what is its own. */
static bool on_share_stream(void *ctx, struct node_peer *peer, size_t feed, struct bytes stream) {
  (void)peer, (void)feed;
  return stream.data[0] == place_names[((struct owner *)ctx)->place][0];
}

/* A copy of what was written after a restore, before the peer was met, is issued again now; put back after that it
 * would be issued once more: a known limit. */
static void forget_copies(struct place *place) {
  for (int i = 0; i < COPIES; i++)
    if (place->copies[i] && place->restored_at > 0 && place->copied_at[i] >= place->restored_at)
      place->copies[i] = memory_disk_free(place->copies[i]);
}

static struct bytes own_stream(int n, enum channel channel, struct buffer *name) {
  buffer_printf(name, "%s%s", place_names[n], channel == CHANNEL_URGENT ? "!urgent" : "");
  return buffer_bytes(name);
}

void place_note_renumbered(struct sim *s, int n) {
  struct place *place = &s->places[n];
  for (int c = 0; c < CHANNELS && place->up; c++) {
    struct renumbered *renumbered = &place->renumbered[c];
    struct buffer name = BUFFER_NULL;
    struct store_stream newest;
    if (renumbered->waits && store_stream_get(place->store, own_stream(n, (enum channel)c, &name), &newest) &&
        epoch_compare(newest.epoch, renumbered->old) > 0) {
      judge_note_renumbered(s, n, c == CHANNEL_URGENT, renumbered, newest.epoch);
      renumbered->waits = false;
    }
    buffer_deinit(&name);
  }
}

static bool holds_after(const struct sim *s, int n, bool urgent, const struct renumbered *from, int64_t at) {
  for (size_t i = 0; i < s->reading_count; i++) {
    const struct reading *r = &s->readings[i];
    if (r->station != n || r->urgent != urgent || !r->durable || r->durable_at >= at) continue;
    for (size_t k = 0; k < r->identity_count; k++)
      if (epoch_compare(r->identities[k].epoch, from->old) == 0 && r->identities[k].sequence > from->common)
        return true;
  }
  return false;
}

/* Nor is an older copy put back that has any of what is issued again now. */
static void forget_reissued(struct sim *s, int n, bool urgent) {
  struct place *place = &s->places[n];
  const struct renumbered *from = &place->renumbered[urgent ? CHANNEL_URGENT : CHANNEL_TELEMETRY];
  for (int i = 0; i < COPIES; i++)
    if (place->copies[i] && holds_after(s, n, urgent, from, place->copied_at[i]))
      place->copies[i] = memory_disk_free(place->copies[i]);
}

/* {"stream":...,"peer":...,"common":N,"reissued":N} */
static void begin_renumbering(struct sim *s, int n, struct bytes event) {
  struct buffer name = BUFFER_NULL, text = BUFFER_NULL;
  buffer_append(&text, event);
  const char *common = strstr(buffer_text(&text), "\"common\":");
  enum channel c = strstr(buffer_text(&text), "!urgent\"") ? CHANNEL_URGENT : CHANNEL_TELEMETRY;
  struct store_stream held;
  if (common && store_stream_get(s->places[n].store, own_stream(n, c, &name), &held))
    s->places[n].renumbered[c] =
        (struct renumbered){.waits = true, .old = held.epoch, .common = strtoull(common + 9, NULL, 10)};
  forget_reissued(s, n, c == CHANNEL_URGENT);
  buffer_deinit(&name);
  buffer_deinit(&text);
}

static void on_event(void *ctx, const char *name, struct bytes text) {
  struct owner *owner = ctx;
  if (strcmp(name, "clone") == 0) owner->s->clones_refused++;
  if (strcmp(name, "epoch") != 0) return;
  owner->s->epochs++;
  forget_copies(&owner->s->places[owner->place]);
  if (owner->s->clones && owner->place == CLONE) return;
  place_note_renumbered(owner->s, owner->place);
  begin_renumbering(owner->s, owner->place, text);
}

static void on_session(void *ctx, struct node_peer *peer, bool up) {
  struct owner *owner = ctx;
  if (owner->s->clones && owner->place == CLONE && up) owner->s->clones_up++;
  if (owner->s->clones && owner->place == CLONE && !up) owner->s->clone_ends = true;
  if (!owner->s->graph && owner->place == BROKER && !up && strcmp(node_peer_node(peer), place_names[STATION]) == 0)
    owner->s->station_downs++;
}

static void on_committed(void *ctx, const struct store_item *item, struct node_peer *from) {
  struct owner *owner = ctx;
  struct block block;
  if ((owner->s->clones && owner->place == CLONE) || block_open(&block, blob_bytes(item->block)) != 0) return;
  if (!from && place_originates(owner->s, owner->place)) judge_note_own(owner->s, owner->place, &block);
  if (from) ledger_block(owner->s->places[owner->place].ledger, item->lane, &block);
  if (from) judge_arrival(owner->s, owner->place, &block);
}

static void on_submitted(void *ctx, void *cookie, const struct store_done *done) {
  struct sim *s = ((struct owner *)ctx)->s;
  size_t first = (size_t)(uintptr_t)cookie - 1;
  if (done->kind != STORE_DONE_BATCH) return;
  for (size_t id = first; id < first + s->readings[first].batch; id++) {
    s->readings[id].durable = true;
    s->readings[id].durable_at = s->now;
  }
}

/* ---- life ---- */

static struct node_peer *add_peer(struct sim *s, struct node *node, int at, int of) {
  enum node_peer_role role = place_is_station(s, at)   ? NODE_PEER_UPSTREAM
                             : place_is_station(s, of) ? NODE_PEER_STATION
                                                       : NODE_PEER_NEIGHBOUR;
  static const struct terms none = {.paced = 0};
  struct node_feed feeds[2];
  uint64_t scope = of == NEIGHBOUR ? 77 : at == NEIGHBOUR ? 78 : 0;
  size_t feed_count = terms_feeds(at == BROKER && of == NEIGHBOUR ? &s->terms : &none, scope, feeds);
  struct node_peer_config config = {.principal = place_principal(s, at, of),
      .node = place_names[of],
      .role = role,
      .connects = place_is_station(s, at) || of == NEIGHBOUR,
      .feeds = feeds,
      .feed_count = feed_count,
      .window_bytes = 1}; /* the least there is */
  return node_peer_add(node, &config);
}

static void add_peers(struct sim *s, int n) {
  struct node *node = s->places[n].node;
  if (s->graph) {
    graph_add_peers(s, n);
    return;
  }
  if (n != BROKER) {
    struct node_peer *peer = add_peer(s, node, n, BROKER);
    if (place_is_station(s, n)) s->links[n].peer = peer;
    return;
  }
  add_peer(s, node, BROKER, STATION);
  if (place_is_used(s, SECOND_STATION)) add_peer(s, node, BROKER, SECOND_STATION);
  if (place_is_used(s, NEIGHBOUR)) s->links[NEIGHBOUR].peer = add_peer(s, node, BROKER, NEIGHBOUR);
}

void place_start(struct sim *s, int n) {
  struct place *place = &s->places[n];
  struct store_options store_options = {.path = "",
      .max_size = place->max_size ? place->max_size : 1 << 30,
      .keep_us = place->keep_us,
      .when_full = place->max_size ? STORE_DISCARD_OLDEST : STORE_REFUSE,
      .world = &sim_world};
  if (store_open_memory(&place->store, &store_options, place->disk) != 0) {
    sim_fail(s, "the store of %s does not open", place_names[n]);
    return;
  }
  owners[n] = (struct owner){s, n};
  struct node_options options = {.name = place_names[n],
      .world = &sim_world,
      .store = place->store,
      .ring_bytes = 64 * 1024,
      .hooks = {.ctx = &owners[n],
          .send = on_send,
          .close = on_close,
          .share = n == BROKER ? on_share : NULL,
          .share_stream = place_is_station(s, n) ? NULL : on_share_stream,
          .committed = on_committed,
          .session = on_session,
          .submitted = on_submitted,
          .event = on_event}};
  if (s->graph) graph_hooks(&options.hooks);
  place->node = node_new(&options);
  if (!place->ledger) place->ledger = ledger_new(s, n);
  add_peers(s, n);
  if (s->graph) asking_begin(s, n);
  place->up = true;
  if (!(s->clones && n == CLONE)) judge_note_stored(s, n);
  place_note_renumbered(s, n);
}

void place_copy(struct sim *s, int n) {
  struct place *place = &s->places[n];
  int which = (int)sim_below(s, COPIES);
  memory_disk_free(place->copies[which]);
  place->copies[which] = memory_disk_copy(place->disk);
  place->copied_at[which] = s->now;
}

/* What was durable after the copy was taken may be lost: this is not the node's to prevent. Copies are taken before the
 * commits of a step. A copy of a later time is of a past that is no more; it may come back too, but then the judge
 * could not tell. */
static void forget_future(struct sim *s, int n, int64_t copied_at) {
  struct place *place = &s->places[n];
  for (size_t i = 0; i < s->reading_count; i++)
    if (s->readings[i].station == n && s->readings[i].durable && s->readings[i].durable_at >= copied_at)
      s->readings[i].may_be_lost = true;
  for (int i = 0; i < COPIES; i++)
    if (place->copies[i] && place->copied_at[i] > copied_at) place->copies[i] = memory_disk_free(place->copies[i]);
}

static void restore_copy(struct sim *s, int n) {
  struct place *place = &s->places[n];
  int which = (int)sim_below(s, COPIES);
  if (!place->copies[which]) return;
  memory_disk_free(place->disk);
  place->disk = memory_disk_copy(place->copies[which]);
  place->ledger = ledger_free(place->ledger);
  s->restores++;
  if (place->restored_at == 0) place->restored_at = s->now;
  log_notice("sim", place_names[n], "an old copy of %lld s is put back at %lld",
      (long long)(place->copied_at[which] / SECOND), (long long)s->now);
  forget_future(s, n, place->copied_at[which]);
  if (s->graph && sim_chance(s, 700)) graph_break(s->graph, n);
}

static void stop(struct sim *s, int n) {
  struct place *place = &s->places[n];
  place->up = false;
  if (s->graph) asking_end(s, n);
  node_free(place->node);
  place->node = NULL;
  place->store = store_memory_crash(place->store);
  network_drop(s, n);
}

/* One place of a run is restored: two at once can hide each other's past, which nobody could tell. */
void place_crash(struct sim *s, int n) {
  s->crashes++;
  stop(s, n);
  if (s->faults && n == s->restored && sim_chance(s, s->graph ? 500 : 300)) restore_copy(s, n);
  s->places[n].up_at = s->now + 20000 + (int64_t)sim_below(s, sim_chance(s, 300) ? 5000000 : 200000);
}

/* ---- a copied key and store, running at the same time ---- */

/* What a copied store holds and the broker does not can be issued again by each of the two, once the broker took in the
 * one while the other did not answer: a known limit. */
static void note_copied(struct sim *s) {
  for (size_t i = 0; i < s->reading_count; i++)
    if (s->readings[i].station == STATION && !ledger_has(s->places[BROKER].ledger, i))
      s->readings[i].may_be_double = true;
}

void clone_start(struct sim *s) {
  struct place *place = &s->places[CLONE];
  memory_disk_free(place->disk);
  place->disk = memory_disk_copy(s->places[STATION].disk);
  s->links[CLONE] = (struct link_end){.from = CLONE, .to = BROKER, .open_at = s->now + 1};
  s->clone_starts++;
  note_copied(s);
  place_start(s, CLONE);
}

void clone_end(struct sim *s) {
  if (s->graph || !s->places[CLONE].up) return;
  stop(s, CLONE);
  s->links[CLONE].open_at = 0;
}

/* ---- readings ---- */

/* What compression does not make smaller, so that windows and queues fill. */
static void add_padding(struct sim *s, struct block_builder *builder, int64_t received) {
  static uint8_t noise[16384];
  for (uint64_t i = 0, x = 1; noise[sizeof noise - 1] == 0 && i < sizeof noise; i++) {
    x = x * UINT64_C(6364136223846793005) + 1;
    noise[i] = (uint8_t)(x >> 56) | 1;
  }
  size_t len = 1 + sim_below(s, sizeof noise);
  struct record record = {.kind = RECORD_READING,
      .address = bytes_text(sim_chance(s, 500) ? "p/s/pad/level" : "p/s/pad/flow"),
      .time = received,
      .received = received,
      .value = {.type = VALUE_BYTES, .bytes = bytes_of(noise, len)}};
  block_builder_add(builder, &record, BLOCK_MAX);
}

static void add_reading(struct sim *s, struct block_builder *builder, int station, bool urgent, int64_t received) {
  static const char *const points[KINDS] = {"flow", "level", "rain"};
  char address[32];
  unsigned kind = (unsigned)sim_below(s, s->graph ? KINDS : 2);
  snprintf(address, sizeof address, "%s/g/%s", place_names[station], points[kind]);
  struct record record = {.kind = urgent ? RECORD_EVENT : RECORD_READING,
      .address = bytes_text(address),
      .time = received,
      .received = received,
      .value = {.type = VALUE_INTEGER, .integer = (int64_t)s->reading_count}};
  block_builder_add(builder, &record, BLOCK_MAX);
  s->readings = mem_resize(s->readings, s->reading_count + 1, sizeof *s->readings);
  s->readings[s->reading_count++] =
      (struct reading){.station = station, .kind = kind, .urgent = urgent, .received = received, .made_at = s->now};
}

void place_submit(struct sim *s, int n) {
  struct node *node = s->places[n].node;
  struct block_builder *builder = block_builder_new();
  struct store_batch *batch = store_batch_new();
  bool urgent = sim_chance(s, 100);
  int64_t received = node_received(node);
  size_t first = s->reading_count, count = 1 + sim_below(s, 3);
  struct buffer stream = BUFFER_NULL;
  struct bytes name = own_stream(n, urgent ? CHANNEL_URGENT : CHANNEL_TELEMETRY, &stream);
  for (size_t i = 0; i < count; i++) add_reading(s, builder, n, urgent, received);
  if (s->large && n == STATION && !s->graph && !urgent) add_padding(s, builder, received);
  s->readings[first].batch = count;
  store_batch_own(batch, urgent ? LANE_URGENT : LANE_LIVE, name, block_builder_finish(builder, name, node_run(node)));
  block_builder_free(builder);
  buffer_deinit(&stream);
  if (urgent) store_batch_urgent(batch);
  if (node_submit(node, batch, (void *)(uintptr_t)(first + 1)) != 0) store_batch_free(batch);
}
