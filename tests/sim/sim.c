/*
 * What a seed does, see sim.h.
 *
 *   sim [--places 2|3|4 | --graph 2..6] [--first SEED] [--seeds N] [--seconds T] [--defect NAME] [--until-failed] [-v]
 *
 * --places 2: a station's gateway (p/s) and the broker of its province (p); 3: and the neighbour (q), which is entitled
 * to levels only; 4: and a second station (p/t). --graph: so many provinces, see graph.c. --defect plants a known
 * defect into the node: then a seed must fail, which shows that the judge would see it.
 */
#include "tests/sim/sim.h"
#include "common/base/log.h"
#include <stdarg.h>
#include <time.h>

enum { FAULT_STEPS = 3000, CALM_STEPS = 300, STEP_US = 10000, QUIET_STEP_US = 40000 };
enum { SETTLE_US = 60 * SECOND, CLONE_US = 8 * SECOND, LEAVE_US = 15 * SECOND };

static const struct {
  const char *name;
  enum node_defect defect;
} defects[] = {{"ack-early", NODE_DEFECT_ACK_EARLY}, {"no-epoch", NODE_DEFECT_NO_EPOCH},
    {"forget-missed", NODE_DEFECT_FORGET_MISSED}, {"no-gap-check", NODE_DEFECT_NO_GAP_CHECK},
    {"reissue-held", NODE_DEFECT_REISSUE_HELD}, {"no-discard", NODE_DEFECT_NO_DISCARD},
    {"overtake", NODE_DEFECT_OVERTAKE}, {"later-is-ack", NODE_DEFECT_LATER_IS_ACK},
    {"after-refused", NODE_DEFECT_AFTER_REFUSED}, {"no-window", NODE_DEFECT_NO_WINDOW},
    {"take-clone", NODE_DEFECT_TAKE_CLONE}, {"no-want", NODE_DEFECT_NO_WANT}, {"thin-anew", NODE_DEFECT_THIN_ANEW},
    {"early", NODE_DEFECT_EARLY}, {"keep-word", NODE_DEFECT_KEEP_WORD}};

/* ---- chance ---- */

uint64_t sim_next(struct sim *s) { /* splitmix64 */
  uint64_t z = (s->rng += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static struct instant sim_now(void *ctx) {
  struct sim *s = ctx;
  return (struct instant){SIM_START + s->now, s->now + 1000000};
}
static void sim_random(void *ctx, void *out, size_t len) {
  uint8_t *bytes = out;
  for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)sim_next(ctx);
}
struct world sim_world;

void sim_fail(struct sim *s, const char *format, ...) {
  va_list args;
  if (s->failure[0]) return;
  va_start(args, format);
  vsnprintf(s->failure, sizeof s->failure, format, args);
  va_end(args);
}

/* ---- the scenario ---- */

/* Clones and old copies exclude each other: two pasts that both come back hide each other. */
static void draw_scenario(struct sim *s) {
  s->breaks_often = sim_chance(s, 300);
  s->outages = s->graph && sim_chance(s, 500); /* long ones, so that much comes by other ways */
  s->fills_stores = sim_chance(s, 400);
  s->large = sim_chance(s, 250);
  s->us_per_byte = sim_chance(s, 400) ? 1 + (int64_t)sim_below(s, s->large ? 2 : 20) : 0;
  s->clones = sim_chance(s, 200);
  s->restored = s->clones || sim_chance(s, 250) ? PLACES : (int)sim_below(s, (uint64_t)s->places_used);
  s->trims = sim_chance(s, s->graph ? 800 : 600) ? PLACES : (int)sim_below(s, (uint64_t)s->places_used);
  if (s->graph) s->clones = false;
  terms_draw(s, &s->terms);
  if (s->graph && s->restored != PLACES && sim_chance(s, 800)) graph_break_beside(s->graph, s->restored);
  /* what an old copy takes in again of what it had named as gone those do not get who were told so: a known limit */
  if (s->graph && s->trims != PLACES) s->restored = PLACES;
  /* nor is it judged what a relay names while its rules change */
  s->changes = s->graph && sim_chance(s, 400) && s->trims == PLACES;
  if (s->clones && s->trims == STATION) s->trims = PLACES;
  if (s->trims == PLACES) return;
  struct place *place = &s->places[s->trims];
  /* In a graph by age alone: over what never came a small relay's floor goes unnamed until its next sessions. */
  if (place_is_station(s, s->trims) && !s->large && sim_chance(s, 500))
    place->max_size = 12000 + sim_below(s, 40000);
  else
    place->keep_us = SECOND + (int64_t)sim_below(s, 10 * SECOND);
}

static void commit(struct sim *s, int n) {
  struct place *place = &s->places[n];
  if (place->up && (!s->faults || sim_chance(s, s->breaks_often ? 200 : 600)))
    store_memory_run(place->store, 1 + sim_below(s, 8));
}

static int some_place(struct sim *s) { return (int)sim_below(s, (uint64_t)s->places_used); }
static struct link_end *some_link(struct sim *s) {
  return &s->links[s->graph ? sim_below(s, (uint64_t)s->link_count) : 1 + sim_below(s, (uint64_t)s->places_used - 1)];
}

/* Mostly for a moment, so that what comes next finds room again. */
static void fill_stores(struct sim *s) {
  int n = some_place(s);
  struct memory_faults full = {.full = true}, none = {.full = false};
  if (sim_chance(s, 10) && s->places[n].up) {
    s->places[n].full_until = s->now + (int64_t)sim_below(s, sim_chance(s, 800) ? 50000 : 2 * SECOND);
    store_memory_faults(s->places[n].store, &full);
  }
  for (n = 0; n < s->places_used; n++)
    if (s->places[n].up && s->places[n].full_until <= s->now) store_memory_faults(s->places[n].store, &none);
}

/* Anywhere at any time, and with a liking for the moment between receipt and commit. */
static void crash_some(struct sim *s) {
  int n = some_place(s);
  if (sim_chance(s, s->breaks_often ? 12 : 4) && s->places[n].up) place_crash(s, n);
  for (n = 0; n < s->places_used; n++)
    if (!place_is_station(s, n) && s->places[n].up && store_memory_pending(s->places[n].store) > 0 && sim_chance(s, 3))
      place_crash(s, n);
}

static void faults(struct sim *s) {
  if (s->fills_stores) fill_stores(s);
  if (s->calm) return;
  if (sim_chance(s, s->breaks_often ? 12 : 4)) {
    s->cuts++;
    network_cut(s, some_link(s));
  }
  if (sim_chance(s, 2)) some_link(s)->partition_until[sim_below(s, 2)] = s->now + (int64_t)sim_below(s, 4000000);
  crash_some(s);
  if (sim_chance(s, 3)) place_copy(s, s->graph && s->restored != PLACES ? s->restored : some_place(s));
  if (s->changes && sim_chance(s, 3)) graph_change(s);
  if (s->clones && !s->places[CLONE].up && sim_chance(s, 2)) clone_start(s);
  /* Once taken in it does not come back: two that take turns hide each other's past, a known limit. */
  if (s->clones && s->places[CLONE].up && (s->clone_ends || sim_chance(s, 3))) clone_end(s);
  s->clone_ends = false;
}

static void step(struct sim *s) {
  s->now += 1 + (int64_t)sim_below(s, s->faults ? STEP_US : QUIET_STEP_US);
  if (s->faults) faults(s);
  for (int n = 0; n < s->places_used; n++)
    if (!s->places[n].up && s->places[n].up_at <= s->now) place_start(s, n);
  for (int n = 0; n < LINKS; n++)
    if (s->links[n].from != s->links[n].to) network_open(s, &s->links[n]);
  for (int n = 0; s->faults && n < s->places_used; n++)
    if (place_originates(s, n) && s->places[n].up && sim_chance(s, s->graph ? 60 : 200)) place_submit(s, n);
  network_deliver(s);
  for (int n = 0; n < PLACES; n++) {
    if (!s->places[n].up) continue;
    commit(s, n);
    node_tick(s->places[n].node);
    if (s->graph) asking_tick(s, n);
    bounds_check(s, n);
  }
}

static void run_for(struct sim *s, int64_t us) {
  for (int64_t until = s->now + us; s->now < until && !s->failure[0];) step(s);
}

static void end_faults(struct sim *s) {
  struct memory_faults none = {.full = false};
  s->faults = false;
  clone_end(s);
  if (s->graph) graph_break(s->graph, PLACES);
  for (int i = 0; i < LINKS; i++) memset(s->links[i].partition_until, 0, sizeof s->links[i].partition_until);
  for (int n = 0; n < PLACES; n++) {
    if (s->places[n].up) store_memory_faults(s->places[n].store, &none);
  }
}

/* While the station answers, a second process with its key is refused, and said to be. */
static void try_clone(struct sim *s) {
  size_t up = s->clones_up, downs = s->station_downs;
  struct node *broker = s->places[BROKER].node;
  struct node_peer_status status;
  clone_start(s);
  run_for(s, CLONE_US);
  if (s->clones_up > up) sim_fail(s, "a clone was taken while the old one answers");
  node_peer_status(broker, node_peer_find(broker, place_principal(s, BROKER, STATION)), &status);
  if (!status.clone_refused || s->clones_refused == 0) sim_fail(s, "a clone was refused and nobody is told");
  if (s->station_downs > downs) sim_fail(s, "a clone ended the session of the one that answers");
  clone_end(s);
}

static bool all_is_sent(const struct sim *s) {
  for (int i = 0; i < s->link_count; i++) {
    if (i == graph_broken(s->graph)) continue;
    for (int way = 0; way < 2; way++) {
      int at = way ? s->links[i].to : s->links[i].from, of = way ? s->links[i].from : s->links[i].to;
      struct node_peer_status status = {.up = false};
      struct node *node = s->places[at].node;
      if (node) node_peer_status(node, node_peer_find(node, place_principal(s, at, of)), &status);
      if (!status.up || status.backlog_records > 0) return false;
    }
  }
  return true;
}

/* What a relay holds in small pieces goes out piece by piece, and a step of this world is long. */
static void run_until_sent(struct sim *s) {
  for (int more = 0; more < 60 && !all_is_sent(s); more++) run_for(s, 10 * SECOND);
}

static void settle(struct sim *s) {
  end_faults(s);
  run_for(s, SETTLE_US);
  if (s->graph) run_until_sent(s);
  if (s->clones && !s->failure[0]) try_clone(s);
  run_for(s, LEAVE_US);
  for (int n = 0; n < s->places_used; n++)
    if (!s->places[n].up) sim_fail(s, "%s is down", place_names[n]);
}

/* ---- a run ---- */

struct arguments {
  uint64_t first, seeds;
  double seconds;
  int places;
  bool graph, until_failed, verbose;
};

static void run_init(struct sim *s, uint64_t seed, int places, bool graph) {
  *s = (struct sim){
      .seed = seed, .rng = seed * 2654435761u + 1, .faults = true, .next_conn = 100, .places_used = places};
  sim_world = (struct world){.ctx = s, .now = sim_now, .random = sim_random};
  if (graph) s->graph = graph_new(s, places);
  draw_scenario(s);
  for (int n = 1; n < places && !graph; n++)
    s->links[n] =
        (struct link_end){.from = n == NEIGHBOUR ? BROKER : n, .to = n == NEIGHBOUR ? NEIGHBOUR : BROKER, .open_at = 1};
  for (int n = 0; n < places; n++) {
    s->places[n].disk = memory_disk_new();
    place_start(s, n);
  }
}

static void run_deinit(struct sim *s) {
  for (int n = 0; n < PLACES; n++) {
    struct place *place = &s->places[n];
    if (s->graph && place->up) asking_end(s, n);
    if (place->node) node_free(place->node);
    if (place->store) store_close(place->store);
    memory_disk_free(place->disk);
    ledger_free(place->ledger);
    for (int i = 0; i < COPIES; i++) memory_disk_free(place->copies[i]);
  }
  s->graph = graph_free(s->graph);
  for (size_t i = 0; i < s->reading_count; i++) free(s->readings[i].identities);
  free(s->readings);
  network_deinit(s);
}

static void describe(const struct sim *s, int places) {
  if (s->graph) graph_describe(s->graph);
  printf("seed %llu: %s\n  it has:%s%s%s%s%s; restored %s, trims %s (keep %lld s, size %llu)\n"
         "  again with: sim --%s %d --first %llu --seeds 1 -v\n",
      (unsigned long long)s->seed, s->failure, s->breaks_often ? " often broken," : "", s->outages ? " outages," : "",
      s->fills_stores ? " full," : "", s->large ? " large," : "",
      s->clones    ? " clones"
      : s->changes ? " changed rules"
                   : "",
      s->restored < PLACES ? place_names[s->restored] : "none", s->trims < PLACES ? place_names[s->trims] : "none",
      (long long)(s->trims < PLACES ? s->places[s->trims].keep_us / SECOND : 0),
      (unsigned long long)(s->trims < PLACES ? s->places[s->trims].max_size : 0), s->graph ? "graph" : "places", places,
      (unsigned long long)s->seed);
}

static bool run(uint64_t seed, const struct arguments *with, struct sim *s) {
  int places = with->places;
  run_init(s, seed, places, with->graph);
  for (int i = 0; i < FAULT_STEPS && !s->failure[0]; i++) {
    s->calm = i >= FAULT_STEPS - CALM_STEPS; /* no new session heals what full stores did last */
    step(s);
  }
  if (!s->failure[0]) settle(s);
  for (int n = 0; n < places && !s->failure[0]; n++) place_note_renumbered(s, n);
  for (int n = 0; n < places && !s->failure[0]; n++)
    if (!place_is_station(s, n)) judge_place(s, n);
  if (s->failure[0]) describe(s, places);
  run_deinit(s);
  return !s->failure[0];
}

/* ---- the command line ---- */

static bool plant(const char *name) {
  for (size_t i = 0; i < sizeof defects / sizeof defects[0]; i++)
    if (strcmp(defects[i].name, name) == 0) node_defect = defects[i].defect;
  return node_defect != NODE_DEFECT_NONE;
}

static bool take_argument(struct arguments *to, const char *name, const char *value) {
  if (!value) return false;
  if (strcmp(name, "--first") == 0)
    to->first = strtoull(value, NULL, 10);
  else if (strcmp(name, "--seeds") == 0)
    to->seeds = strtoull(value, NULL, 10);
  else if (strcmp(name, "--seconds") == 0)
    to->seconds = strtod(value, NULL);
  else if (strcmp(name, "--places") == 0)
    to->places = atoi(value);
  else if (strcmp(name, "--graph") == 0) {
    to->places = atoi(value);
    to->graph = true;
  } else
    return strcmp(name, "--defect") == 0 && plant(value);
  return to->places >= 2 && to->places <= (to->graph ? (int)PLACES : 4);
}

static bool take_arguments(struct arguments *to, int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "-v") == 0)
      to->verbose = true;
    else if (strcmp(argv[i], "--until-failed") == 0)
      to->until_failed = true;
    else if (take_argument(to, argv[i], i + 1 < argc ? argv[i + 1] : NULL))
      i++;
    else
      return false;
  }
  return true;
}

struct totals {
  size_t seeds, failed, readings, crashes, restores, cuts, epochs, backfilled, discarded, clones, lost_to_clones,
      memory, asked, asked_came;
};

static void add_up(struct totals *totals, const struct sim *s, bool good) {
  totals->seeds++;
  totals->failed += !good;
  totals->readings += s->reading_count;
  totals->crashes += s->crashes;
  totals->restores += s->restores;
  totals->cuts += s->cuts;
  totals->epochs += s->epochs;
  totals->backfilled += s->backfilled;
  totals->discarded += s->discarded;
  totals->clones += s->clone_starts;
  totals->lost_to_clones += s->lost_to_clones;
  totals->asked += s->asked;
  totals->asked_came += s->asked_came;
  if (s->memory_most > totals->memory) totals->memory = s->memory_most;
}

int main(int argc, char **argv) {
  struct arguments arguments = {.first = 1, .seeds = 50, .seconds = 1e9, .places = 3};
  if (!take_arguments(&arguments, argc, argv)) {
    fprintf(stderr,
        "usage: sim [--places 2|3|4 | --graph 2..6] [--first SEED] [--seeds N] [--seconds T] [--defect NAME] "
        "[--until-failed] [-v]\n");
    return 2;
  }
  log_set_level(arguments.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
  setvbuf(stdout, NULL, _IOLBF, 0);
  time_t began = time(NULL);
  struct totals t = {0};
  while (t.seeds < arguments.seeds && difftime(time(NULL), began) < arguments.seconds) {
    static struct sim s;
    add_up(&t, &s, run(arguments.first + t.seeds, &arguments, &s));
    if (t.failed && arguments.until_failed) break;
  }
  printf(
      "%zu seeds from %llu with %d places, %zu failed: %zu readings, %zu crashes, %zu old copies put back, %zu cuts, "
      "%zu new epochs, %zu clones (%zu readings lost to them), %zu records by backfill, %zu readings named as "
      "discarded, %zu "
      "ranges asked for (%zu records came or were settled), at most %zu bytes in a node's memory\n",
      t.seeds, (unsigned long long)arguments.first, arguments.places, t.failed, t.readings, t.crashes, t.restores,
      t.cuts, t.epochs, t.clones, t.lost_to_clones, t.backfilled, t.discarded, t.asked, t.asked_came, t.memory);
  return t.failed ? 1 : 0;
}
