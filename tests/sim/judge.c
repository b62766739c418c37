/* What must hold once the faults have ended and all is quiet: every reading that its station called durable is at every
 * entitled place exactly once, or lies in a range that is named there as gone; nothing else is there; sequences rise in
 * each lane. Order and once are also held against what each node was told to be committed while it ran, since a store
 * that trims keeps no trace of it. */
#include "tests/sim/sim.h"

enum { STREAMS_MAX = 128 };

struct seen_stream {
  char name[32];
  struct epoch epoch;
  uint64_t last;
  struct intervals held;
};
struct ledger {
  struct sim *s;
  int place;
  uint8_t *counts; /* by reading */
  size_t cap;
  struct seen_stream streams[LANES][STREAMS_MAX];
  size_t stream_count[LANES];
};

struct ledger *ledger_new(struct sim *s, int place) {
  struct ledger *ledger = mem_alloc(sizeof *ledger);
  ledger->s = s;
  ledger->place = place;
  return ledger;
}

struct ledger *ledger_free(struct ledger *ledger) {
  if (!ledger) return NULL;
  for (int lane = 0; lane < LANES; lane++)
    for (size_t i = 0; i < ledger->stream_count[lane]; i++) intervals_deinit(&ledger->streams[lane][i].held);
  free(ledger->counts);
  free(ledger);
  return NULL;
}

static enum entitled entitled_of(const struct sim *s, int n, const struct reading *reading) {
  if (s->graph) return graph_entitled(s->graph, n, reading);
  if (n == BROKER) return ENTITLED;
  if (reading->kind != 1 || !terms_pass(s, &s->terms, reading, true)) return ENTITLED_NOT;
  return terms_pass(s, &s->terms, reading, false) ? ENTITLED : ENTITLED_MAYBE;
}

static uint8_t count_of(const struct ledger *ledger, size_t id) { return id < ledger->cap ? ledger->counts[id] : 0; }

bool ledger_has(const struct ledger *ledger, size_t reading) { return count_of(ledger, reading) > 0; }

/* An origin with several neighbours that got an old copy back goes on in the old epoch until it meets one that knows
 * more than the copy: a known limit, of which a gateway, and a broker with one neighbour, know nothing. */
static bool may_go_on_unaware(const struct sim *s, int origin) {
  return s->graph && s->places[origin].restored_at > 0 && graph_neighbours(s->graph, origin) > 1;
}
static bool goes_on_unaware(const struct sim *s, const struct reading *reading) {
  return may_go_on_unaware(s, reading->station);
}

/* What it gave meanwhile to the first it met is issued again when it meets the other; and what it gave before to the
 * one, where the other, by whom the old copy is found, knows none of the runs that wrote it. */
static bool may_be_double(const struct sim *s, const struct reading *reading) {
  return reading->may_be_double || goes_on_unaware(s, reading);
}

static void count_reading(struct ledger *ledger, const struct record *record) {
  struct sim *s = ledger->s;
  if (record->kind == RECORD_HEAD || record->value.type != VALUE_INTEGER) return;
  size_t id = (size_t)record->value.integer;
  if (id >= s->reading_count) {
    sim_fail(s, "%s holds a reading that nobody made", place_names[ledger->place]);
    return;
  }
  if (id >= ledger->cap) {
    size_t cap = s->reading_count + 256;
    ledger->counts = mem_resize(ledger->counts, cap, 1);
    memset(ledger->counts + ledger->cap, 0, cap - ledger->cap);
    ledger->cap = cap;
  }
  if (ledger->counts[id] < 200) ledger->counts[id]++;
  if (ledger->counts[id] > 1 && !may_be_double(s, &s->readings[id]))
    sim_fail(s, "reading %zu (%s) is %u times at %s", id, s->readings[id].urgent ? "urgent" : "telemetry",
        ledger->counts[id], place_names[ledger->place]);
  if (entitled_of(s, ledger->place, &s->readings[id]) == ENTITLED_NOT)
    sim_fail(s, "%s holds reading %zu of %s, kind %u, to which it is not entitled", place_names[ledger->place], id,
        place_names[s->readings[id].station], s->readings[id].kind);
}

static struct seen_stream *seen_stream(struct ledger *ledger, enum lane lane, const struct block *block) {
  size_t count = ledger->stream_count[lane];
  for (size_t i = 0; i < count; i++) {
    struct seen_stream *seen = &ledger->streams[lane][i];
    if (bytes_equal(bytes_text(seen->name), block->stream) && epoch_compare(seen->epoch, block->epoch) == 0)
      return seen;
  }
  if (count == STREAMS_MAX) {
    sim_fail(ledger->s, "%s knows too many epochs", place_names[ledger->place]);
    return NULL;
  }
  struct seen_stream *seen = &ledger->streams[lane][ledger->stream_count[lane]++];
  *seen = (struct seen_stream){.epoch = block->epoch, .held = INTERVALS_NULL};
  snprintf(seen->name, sizeof seen->name, BYTES_FMT, BYTES_ARG(block->stream));
  return seen;
}

/* What comes to a place by several ways or feeds, or is asked for, keeps the order of each, not of all; and what a new
 * rule brings of the past comes after what the old one brought. */
static bool ways_cross(const struct sim *s, const struct ledger *ledger, const struct seen_stream *seen) {
  if (!s->graph) return ledger->place == NEIGHBOUR && s->terms.paced;
  int origin = graph_origin(bytes_text(seen->name));
  return s->changes || s->link_count >= s->places_used || s->asked_of[origin] || graph_paces(s->graph, origin);
}

static void see_record(struct ledger *ledger, enum lane lane, struct seen_stream *seen, const struct record *record) {
  const char *place = place_names[ledger->place];
  unsigned long long sequence = (unsigned long long)record->sequence;
  if (intervals_contains(&seen->held, record->sequence))
    sim_fail(ledger->s, "%s holds %s %llu twice", place, seen->name, sequence);
  if (record->sequence <= seen->last && (lane == LANE_LIVE || !ways_cross(ledger->s, ledger, seen)))
    sim_fail(ledger->s, "%s: sequence %llu of %s comes after %llu in lane %s", place, sequence, seen->name,
        (unsigned long long)seen->last, lane_name(lane));
  intervals_add(&seen->held, record->sequence, record->sequence);
  seen->last = record->sequence;
  count_reading(ledger, record);
}

/* The terms under which alone readings of this kind come to the place; NULL: there may be others. */
static const struct terms *only_terms(const struct sim *s, int n, int origin, unsigned kind) {
  if (s->graph) return graph_only_terms(s->graph, n, origin, kind);
  return n == NEIGHBOUR && kind == 1 ? &s->terms : NULL;
}

void judge_arrival(struct sim *s, int n, const struct block *block) {
  struct block_reader *reader;
  struct record record;
  if (block_reader_new(&reader, block) != 0) return;
  while (block_reader_next(reader, &record) == 0) {
    if (record.kind == RECORD_HEAD || record.value.type != VALUE_INTEGER) continue;
    const struct reading *r = &s->readings[record.value.integer];
    const struct terms *terms = only_terms(s, n, r->station, r->kind);
    if (terms) terms_judge_early(s, n, terms, r);
  }
  block_reader_free(reader);
}

void ledger_block(struct ledger *ledger, enum lane lane, const struct block *block) {
  struct block_reader *reader;
  struct record record;
  struct seen_stream *seen = seen_stream(ledger, lane, block);
  if (!seen) return;
  if (block_reader_new(&reader, block) != 0) {
    sim_fail(ledger->s, "%s holds a damaged block", place_names[ledger->place]);
    return;
  }
  while (block_reader_next(reader, &record) == 0) see_record(ledger, lane, seen, &record);
  block_reader_free(reader);
}

static bool has_identity(const struct reading *r, struct epoch epoch, uint64_t sequence) {
  for (size_t i = 0; i < r->identity_count; i++)
    if (r->identities[i].sequence == sequence && epoch_compare(r->identities[i].epoch, epoch) == 0) return true;
  return false;
}

/* Of a past that is no more (may_be_lost) nothing counts. */
static int64_t received_before(const struct sim *s, const struct reading *r, struct epoch epoch, uint64_t sequence) {
  int64_t before = 0;
  for (const struct reading *other = s->readings; other < r && !r->urgent; other++) {
    if (other->station != r->station || other->kind != r->kind || other->urgent || other->may_be_lost) continue;
    for (size_t i = 0; i < other->identity_count; i++)
      if (other->identities[i].sequence < sequence && epoch_compare(other->identities[i].epoch, epoch) == 0)
        before = other->received;
  }
  return before;
}

static void add_identity(struct reading *r, struct identity identity) {
  r->identities = mem_resize(r->identities, r->identity_count + 1, sizeof *r->identities);
  r->identities[r->identity_count++] = identity;
}

void judge_note_own(struct sim *s, int station, const struct block *block) {
  struct block_reader *reader;
  struct record record;
  (void)station;
  if (block_reader_new(&reader, block) != 0) return;
  while (block_reader_next(reader, &record) == 0) {
    if (record.kind == RECORD_HEAD || record.value.type != VALUE_INTEGER) continue;
    struct reading *r = &s->readings[record.value.integer];
    if (!has_identity(r, block->epoch, record.sequence))
      add_identity(
          r, (struct identity){block->epoch, record.sequence, received_before(s, r, block->epoch, record.sequence)});
  }
  block_reader_free(reader);
}

struct noting {
  struct sim *s;
  int station;
};

static bool note_entry(void *ctx, const struct store_entry *entry) {
  const struct noting *noting = ctx;
  struct block block;
  if (entry->source.len == 0 && entry->block && block_open(&block, blob_bytes(entry->block)) == 0)
    judge_note_own(noting->s, noting->station, &block);
  return true;
}

void judge_note_stored(struct sim *s, int station) {
  struct noting noting = {s, station};
  for (int lane = 0; lane < LANES && place_originates(s, station); lane++)
    store_replay(s->places[station].store, (enum lane)lane, 1, note_entry, &noting);
}

/* What retention took of the old epoch is committed under no number of the new one: it is named there as n - common. */
void judge_note_renumbered(struct sim *s, int station, bool urgent, const struct renumbered *from, struct epoch to) {
  for (size_t i = 0; i < s->reading_count; i++) {
    struct reading *r = &s->readings[i];
    struct identity last = r->identity_count ? r->identities[r->identity_count - 1] : (struct identity){{0, 0}, 0, 0};
    if (r->station == station && r->urgent == urgent && epoch_compare(last.epoch, from->old) == 0 &&
        last.sequence > from->common)
      add_identity(r, (struct identity){to, last.sequence - from->common, 0});
  }
}

/* ---- at the end ---- */

static bool judge_entry(void *ctx, const struct store_entry *entry) {
  struct ledger *ledger = ctx;
  struct block block;
  if (!entry->block) return true;
  if (block_open(&block, blob_bytes(entry->block)) != 0) {
    sim_fail(ledger->s, "%s holds a damaged block", place_names[ledger->place]);
    return false;
  }
  if (entry->source.len == 0) return true; /* its own heads */
  ledger_block(ledger, entry->lane, &block);
  if (entry->lane == LANE_BACKFILL) ledger->s->backfilled += block.count;
  return true;
}

struct looking {
  const struct reading *reading;
  bool found;
};

static void look(void *ctx, const struct store_discard *discard) {
  struct looking *looking = ctx;
  for (size_t i = 0; i < looking->reading->identity_count; i++) {
    const struct identity *id = &looking->reading->identities[i];
    if (epoch_compare(id->epoch, discard->epoch) == 0 && id->sequence >= discard->from && id->sequence <= discard->to)
      looking->found = true;
  }
}

/* Whether the place can name the reading as gone. */
static bool is_named(struct sim *s, int n, const struct reading *reading) {
  struct looking looking = {reading, false};
  char stream[32];
  snprintf(stream, sizeof stream, "%s%s", place_names[reading->station], reading->urgent ? "!urgent" : "");
  store_discards(s->places[n].store, bytes_text(stream), look, &looking);
  return looking.found;
}

/* It is not issued again where that other is never met, or only once a new epoch has begun: who knew more before takes
 * it for what it has. */
static bool is_hidden_for_good(const struct sim *s, const struct reading *reading) {
  return goes_on_unaware(s, reading) && reading->durable_at >= s->places[reading->station].restored_at;
}

struct explaining {
  int place;
  uint64_t sequence;
};

static void print_claim(void *ctx, struct bytes source, uint64_t scope, const struct intervals *ranges) {
  const struct explaining *e = ctx;
  if (intervals_contains(ranges, e->sequence))
    printf("  at %s it is claimed by " BYTES_FMT " under %llx\n", place_names[e->place], BYTES_ARG(source),
        (unsigned long long)scope);
}

/* What each place knows of a reading that is missing somewhere. */
static void explain(const struct sim *s, const struct reading *r) {
  char stream[32];
  snprintf(stream, sizeof stream, "%s%s", place_names[r->station], r->urgent ? "!urgent" : "");
  for (size_t i = 0; i < r->identity_count; i++) {
    const struct identity *id = &r->identities[i];
    printf("  %s, kind %u: %llu of epoch %llu\n", stream, r->kind, (unsigned long long)id->sequence,
        (unsigned long long)id->epoch.created);
    for (int n = 0; n < s->places_used; n++) {
      struct intervals held = INTERVALS_NULL;
      struct explaining e = {n, id->sequence};
      store_held(s->places[n].store, bytes_text(stream), id->epoch, &held);
      printf(
          "  %s holds a block around it: %s\n", place_names[n], intervals_contains(&held, id->sequence) ? "yes" : "no");
      store_claims(s->places[n].store, bytes_text(stream), id->epoch, print_claim, &e);
      intervals_deinit(&held);
    }
  }
}

/* Within what the blocks span, and said by one neighbour to be not for us before the rules changed: so it is not asked
 * for of another that had it from here (gap_claims.h), a known limit. */
static bool is_hidden_in_a_block(const struct sim *s, int n, const struct reading *r) {
  const struct identity *last = r->identity_count > 0 ? &r->identities[r->identity_count - 1] : NULL;
  struct intervals held = INTERVALS_NULL;
  char stream[32];
  if (!last || !s->graph || !s->changes || s->places[n].restored_at == 0) return false;
  snprintf(stream, sizeof stream, "%s%s", place_names[r->station], r->urgent ? "!urgent" : "");
  store_held(s->places[n].store, bytes_text(stream), last->epoch, &held);
  bool hidden = intervals_contains(&held, last->sequence);
  intervals_deinit(&held);
  return hidden;
}

static void judge_reading(struct sim *s, int n, const struct ledger *held, size_t id) {
  const struct reading *r = &s->readings[id];
  if (r->station == n || is_hidden_for_good(s, r) || entitled_of(s, n, r) != ENTITLED || !r->durable ||
      r->may_be_lost || count_of(held, id) > 0)
    return;
  if (is_hidden_in_a_block(s, n, r)) return;
  if (s->trims != PLACES && is_named(s, n, r)) {
    s->discarded++;
    return;
  }
  if (s->clones_up > 0 && r->station == STATION) { /* the copy's records took its numbers: a known limit */
    s->lost_to_clones++;
    return;
  }
  struct identity known = r->identity_count ? r->identities[r->identity_count - 1] : (struct identity){{0, 0}, 0, 0};
  sim_fail(s, "reading %zu (%s of %s, durable at %lld, last known as %llu of epoch %llu) is not at %s", id,
      r->urgent ? "urgent" : "telemetry", place_names[r->station], (long long)r->durable_at,
      (unsigned long long)known.sequence, (unsigned long long)known.epoch.created, place_names[n]);
  explain(s, r);
}

static void judge_thinned(struct sim *s, int n, const struct ledger *held) {
  for (int origin = 0; origin < s->places_used; origin++)
    for (unsigned kind = 0; kind < KINDS; kind++) {
      const struct terms *terms = origin == n ? NULL : only_terms(s, n, origin, kind);
      if (terms && !may_go_on_unaware(s, origin)) terms_judge_thinned(s, n, terms, held, origin, kind);
    }
}

void judge_place(struct sim *s, int n) {
  struct ledger *held = ledger_new(s, n);
  for (int lane = 0; lane < LANES; lane++) store_replay(s->places[n].store, (enum lane)lane, 1, judge_entry, held);
  for (size_t id = 0; id < s->reading_count; id++) judge_reading(s, n, held, id);
  judge_thinned(s, n, held);
  ledger_free(held);
}
