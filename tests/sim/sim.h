#ifndef RIVERBUS_TESTS_SIM_SIM_H
#define RIVERBUS_TESTS_SIM_SIM_H
/*
 * A seeded simulation of nodes on a bad network. The real node and link code runs on memory stores; the network drops,
 * doubles, reorders, delays and cuts; processes die at any step, also with an older copy of their store put back;
 * stores are full, trim what is old, and run twice (a copied key). The judge stands outside: it knows each reading by
 * its value and by when its station said that it was durable.
 *
 *   sim.c      what a seed does: the scenario, the steps, the command line
 *   network.c  connections and messages between the places
 *   graph.c    provinces: a random graph, random agreements, who is entitled to what
 *   terms.c    what a share may ask besides: thinned, delayed, of a time
 *   asking.c   what a broker asks its neighbours for, since it misses it
 *   place.c    processes: start, crash, old copies, the copied key; what their nodes ask of them
 *   judge.c    what must hold: exactly once or named as gone, order in each lane
 *   bounds.c   what must hold at each step: memory and windows
 */
#include "broker/gap_ask.h"
#include "common/base/mem.h"
#include "common/node/node.h"
#include "common/store/memory.h"
#include <stdio.h>
#include <stdlib.h>

/* With 2, 3 and 4 places: the first so many of these. The clone runs beside them now and then. With --graph: provinces,
 * each a broker that originates and relays, joined at random (graph.c). */
enum place_name { BROKER, STATION, NEIGHBOUR, SECOND_STATION, CLONE, PLACES = 6 };
enum { COPIES = 2, SECOND = 1000000, LINKS = 16 };
extern const char *const *place_names;

struct conn { /* one end */
  uint64_t number, twin;
  int place, other, channel;
  bool open;
  int64_t last_at;
};
struct message {
  int64_t at;
  uint64_t order, to_conn;
  int to, channel;
  struct buffer bytes;
};
/* links[n] joins n to the broker: stations connect to it, it connects to the neighbour. In a graph: any. */
struct link_end {
  int from, to; /* the same: none */
  struct node_peer *peer;
  uint64_t conns[CHANNELS];
  int64_t open_at; /* 0: not to be opened */
  int64_t partition_until[2];
};

struct ledger; /* judge.c: what one place holds, as the judge reads it */
struct place {
  struct memory_disk *disk, *copies[COPIES];
  int64_t copied_at[COPIES], restored_at; /* when a copy was first put back, 0: never */
  struct store *store;
  struct node *node;
  bool up;
  int64_t up_at, keep_us, full_until;
  uint64_t max_size;
  struct gap_ask asks; /* of a graph */
  int64_t asks_at;
  struct ledger *ledger; /* of what its node was told to be committed, since its store was last put back */
  struct renumbered {    /* of its two streams: what follows `common` is being issued again */
    bool waits;
    struct epoch old;
    uint64_t common;
  } renumbered[CHANNELS];
};

#define SIM_START INT64_C(1790000000000000) /* wall */
enum { KINDS = 3 };                         /* of addresses */
struct terms {
  unsigned paced; /* kinds (a bit each) that go by a second feed of */
  int64_t every_us, delay_us;
  unsigned limited; /* kinds that go only if received within */
  int64_t since, until;
};

struct identity {
  struct epoch epoch;
  uint64_t sequence;
  int64_t before; /* `received` of the reading before it at its address in this epoch, 0: none */
};
struct reading {
  int station;
  int64_t received, made_at, durable_at; /* wall; the simulation's time */
  bool durable, urgent;
  unsigned kind;                   /* of its address; 1: a level */
  bool may_be_lost, may_be_double; /* where no program could know better, see place.c */
  size_t batch;                    /* of the first of a batch: how many */
  struct identity *identities;
  size_t identity_count;
};

struct sim {
  uint64_t seed, rng;
  int64_t now;
  bool faults, calm, clone_ends;
  int places_used;
  struct graph *graph; /* NULL: stations, their broker and a neighbour */
  /* what this seed brings */
  bool fills_stores, clones, large, breaks_often, outages;
  int64_t us_per_byte;   /* of a slow link */
  bool changes;          /* agreements, while all runs */
  int restored, trims;   /* a place; PLACES: none */
  struct terms terms;    /* without a graph: of what the neighbour gets */
  bool asked_of[PLACES]; /* some place asked others for this origin's */
  struct place places[PLACES];
  struct link_end links[LINKS];
  int link_count; /* of a graph */
  struct conn *conns;
  size_t conn_count, conn_cap;
  struct message *messages;
  size_t message_count, message_cap;
  uint64_t order, next_conn;
  struct reading *readings;
  size_t reading_count;
  /* what happened */
  size_t epochs, restores, crashes, cuts, backfilled, discarded, clone_starts, clones_up, clones_refused, station_downs;
  size_t lost_to_clones, memory_most, asked, asked_came;
  char failure[512];
};

/* ---- chance ---- */
uint64_t sim_next(struct sim *s);
static inline uint64_t sim_below(struct sim *s, uint64_t n) { return sim_next(s) % n; }
static inline bool sim_chance(struct sim *s, unsigned per_thousand) { return sim_below(s, 1000) < per_thousand; }
extern struct world sim_world;
/* Keeps the first. */
void sim_fail(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- network.c ---- */
bool network_send(struct sim *s, uint64_t conn, struct bytes bytes);
void network_close(struct sim *s, uint64_t conn);
void network_cut(
    struct sim *s, struct link_end *link); /* the connecting side is told, the other finds out by silence */
void network_open(struct sim *s, struct link_end *link);
void network_drop(struct sim *s, int place); /* all that leads to it: it died */
void network_deliver(struct sim *s);
void network_deinit(struct sim *s);

/* ---- terms.c ---- */
void terms_draw(struct sim *s, struct terms *terms);
/* Returns how many. */
size_t terms_feeds(const struct terms *terms, uint64_t scope, struct node_feed feeds[2]);
bool terms_let(const struct terms *terms, unsigned kind, int64_t received);
/* Whether a reading of a kind that is shared goes under these terms; ever: may have gone under some number of its. */
bool terms_pass(const struct sim *s, const struct terms *terms, const struct reading *reading, bool ever);
/* What comes to a place by no other way: that it comes not too early, and not more than one in a bucket. */
void terms_judge_early(struct sim *s, int n, const struct terms *terms, const struct reading *reading);
void terms_judge_thinned(
    struct sim *s, int n, const struct terms *terms, const struct ledger *held, int origin, unsigned kind);

/* ---- place.c ---- */
struct owner {
  struct sim *s;
  int place;
};
static inline bool place_is_station(const struct sim *s, int n) {
  return !s->graph && (n == STATION || n == SECOND_STATION || n == CLONE);
}
static inline bool place_originates(const struct sim *s, int n) { return s->graph || place_is_station(s, n); }
static inline bool place_is_used(const struct sim *s, int n) { return n < s->places_used; }
const char *place_principal(const struct sim *s, int at, int of); /* the name under which `at` knows `of` */
void place_start(struct sim *s, int n);
void place_crash(struct sim *s, int n);
void place_copy(struct sim *s, int n);
void place_submit(struct sim *s, int n); /* some readings of a station */
/* Tells the judge under which numbers a station's new epochs hold, or name, what the old ones held. */
void place_note_renumbered(struct sim *s, int n);
void clone_start(struct sim *s);
void clone_end(struct sim *s);

/* ---- graph.c ---- */
enum entitled { ENTITLED_NOT, ENTITLED_MAYBE, ENTITLED };
/* Draws provinces, links and agreements; the links of s are set. */
struct graph *graph_new(struct sim *s, int provinces);
struct graph *graph_free(struct graph *graph);
/* MAYBE: under rules of before, or over a way that broke for good. */
enum entitled graph_entitled(const struct graph *graph, int place, const struct reading *reading);
/* Hooks of a province's node, and its peers. */
void graph_hooks(struct node_hooks *hooks);
void graph_add_peers(struct sim *s, int n);
void graph_change(struct sim *s);                        /* some rule of some agreement, while all runs */
int graph_broken(const struct graph *graph);             /* the link that fails for good; LINKS: none */
void graph_break_beside(struct graph *graph, int place); /* if any, one of this place's */
void graph_break(struct graph *graph, int place);        /* now, if it is one of this place's; PLACES: whose ever */
bool graph_is_broken(const struct graph *graph, const struct link_end *link);
void graph_describe(const struct graph *graph);
int graph_neighbours(const struct graph *graph, int place); /* how many */
int graph_origin(struct bytes stream);
struct node_peer *graph_peer(const struct graph *graph, int at, int of);
struct graph_sources { /* from whom a stream may come to a place */
  int origin;
  int places[PLACES];
  size_t count;
};
/* By which feeds (a bit each) something of the origin's goes. */
uint32_t graph_feeds(const struct graph *graph, int giver, int taker, int origin);
void graph_sources_of(const struct graph *graph, int place, struct bytes stream, struct graph_sources *out);

/* ---- asking.c ---- */
enum { ASKING_AGE_US = 2 * SECOND };
void asking_begin(struct sim *s, int n); /* its process starts */
void asking_end(struct sim *s, int n);
void asking_tick(struct sim *s, int n);

/* The terms under which readings of this kind come to the place, where they never could by any other way than from the
 * origin itself; NULL: they could. */
bool graph_paces(const struct graph *graph, int origin); /* gives something by a second feed */
const struct terms *graph_only_terms(const struct graph *graph, int place, int origin, unsigned kind);

/* ---- judge.c ---- */
struct ledger *ledger_new(struct sim *s, int place);
struct ledger *ledger_free(struct ledger *ledger);
bool ledger_has(const struct ledger *ledger, size_t reading);
void ledger_block(struct ledger *ledger, enum lane lane, const struct block *block);
void judge_note_own(struct sim *s, int station, const struct block *block);
void judge_note_stored(struct sim *s, int station); /* what was committed, and not told before the process died */
void judge_note_renumbered(struct sim *s, int station, bool urgent, const struct renumbered *from, struct epoch to);
void judge_arrival(struct sim *s, int n, const struct block *block); /* it was committed there just now */
void judge_place(struct sim *s, int n);

/* ---- bounds.c ---- */
void bounds_check(struct sim *s, int n);
#endif
