/*
 * Provinces: each a broker that originates readings of three kinds and relays what others let pass, joined at random,
 * with random agreements that change while all runs. The hooks decide record by record as a broker's rules do, by bits:
 * what is shared of one's own, what passes of third provinces, what the other side accepts, and to whom the origin lets
 * a record go on (which rides in the block). Who is entitled to what is found anew from the same bits by a walk.
 */
#include "tests/sim/sim.h"

struct rules {              /* of one direction of a link; bits of kinds */
  unsigned share;           /* of the giver's own */
  unsigned transit[PLACES]; /* of others, by origin */
  unsigned accept[PLACES];  /* what the taker takes, by origin */
};
struct graph {
  struct sim *s;
  int provinces, broken; /* broken: a link that fails for good, LINKS: none */
  bool is_broken;        /* it has failed */
  bool joined[PLACES][PLACES];
  struct rules rules[PLACES][PLACES], ever[PLACES][PLACES]; /* giver, taker */
  struct terms terms[PLACES][PLACES];                       /* of the giver's own; they do not change */
  uint64_t version[PLACES][PLACES];
  unsigned onward[PLACES][KINDS], onward_ever[PLACES][KINDS]; /* origin, kind -> bits of places */
  struct node_peer *peers[PLACES][PLACES];                    /* at, of; NULL: down */
};

static const char *const names[PLACES] = {"a", "b", "c", "d", "e", "f"};
static const char *const kinds[KINDS] = {"flow", "level", "rain"};
enum { ALL_KINDS = (1 << KINDS) - 1 };

/* ---- drawing ---- */

/* Mostly all of it: where little passes little can go wrong. */
static unsigned some_kinds(struct sim *s) {
  return sim_chance(s, 600) ? ALL_KINDS : (unsigned)sim_below(s, ALL_KINDS + 1);
}

static unsigned some_places(struct sim *s) {
  return sim_chance(s, 700) ? (1u << PLACES) - 1 : (unsigned)sim_below(s, 1u << PLACES);
}

static void draw_direction(struct graph *graph, int giver, int taker) {
  struct rules *rules = &graph->rules[giver][taker];
  rules->share = some_kinds(graph->s);
  terms_draw(graph->s, &graph->terms[giver][taker]);
  for (int origin = 0; origin < graph->provinces; origin++) {
    rules->transit[origin] = some_kinds(graph->s);
    rules->accept[origin] = sim_chance(graph->s, 800) ? ALL_KINDS : some_kinds(graph->s);
  }
}

static void join(struct graph *graph, int a, int b, int *links) {
  if (a == b || graph->joined[a][b] || *links == LINKS) return;
  graph->joined[a][b] = graph->joined[b][a] = true;
  graph->s->links[(*links)++] = (struct link_end){.from = a, .to = b, .open_at = 1};
  draw_direction(graph, a, b);
  draw_direction(graph, b, a);
}

static void note_ever(struct graph *graph) {
  for (int a = 0; a < PLACES; a++) {
    for (int b = 0; b < PLACES; b++) {
      graph->ever[a][b].share |= graph->rules[a][b].share;
      for (int origin = 0; origin < PLACES; origin++) {
        graph->ever[a][b].transit[origin] |= graph->rules[a][b].transit[origin];
        graph->ever[a][b].accept[origin] |= graph->rules[a][b].accept[origin];
      }
    }
    for (int kind = 0; kind < KINDS; kind++) graph->onward_ever[a][kind] |= graph->onward[a][kind];
  }
}

/* A tree, so that all are joined, and some links more: chains, rings, two ways and whole nets come of it. */
struct graph *graph_new(struct sim *s, int provinces) {
  struct graph *graph = mem_alloc(sizeof *graph);
  *graph = (struct graph){.s = s, .provinces = provinces};
  place_names = names;
  for (int n = 1; n < provinces; n++) join(graph, (int)sim_below(s, (uint64_t)n), n, &s->link_count);
  for (uint64_t more = sim_below(s, (uint64_t)provinces); more > 0; more--)
    join(graph, (int)sim_below(s, (uint64_t)provinces), (int)sim_below(s, (uint64_t)provinces), &s->link_count);
  for (int origin = 0; origin < provinces; origin++)
    for (int kind = 0; kind < KINDS; kind++) graph->onward[origin][kind] = sim_chance(s, 900) ? some_places(s) : 0;
  graph->broken = sim_chance(s, 600) ? LINKS : (int)sim_below(s, (uint64_t)s->link_count);
  note_ever(graph);
  return graph;
}

struct graph *graph_free(struct graph *graph) {
  free(graph);
  return NULL;
}

/* ---- who is entitled ---- */

static bool is_broken(const struct graph *graph, int a, int b) {
  if (graph->broken == LINKS) return false;
  const struct link_end *link = &graph->s->links[graph->broken];
  return (link->from == a && link->to == b) || (link->from == b && link->to == a);
}

static bool passes(const struct graph *graph, bool ever, int giver, int taker, int origin, unsigned kind) {
  const struct rules *rules = ever ? &graph->ever[giver][taker] : &graph->rules[giver][taker];
  unsigned onward = ever ? graph->onward_ever[origin][kind] : graph->onward[origin][kind];
  unsigned given = giver == origin ? rules->share : onward >> taker & 1 ? rules->transit[origin] : 0;
  return given & rules->accept[origin] & 1u << kind;
}

struct walk {
  bool ever;
  int origin;
  unsigned kind;
  const struct reading *reading; /* NULL: any of the kind, */
  int past;                      /* but not from the origin to this place; PLACES: to all */
};

static bool goes(const struct graph *graph, const struct walk *walk, int a, int b) {
  if (!graph->joined[a][b] || (!walk->ever && is_broken(graph, a, b))) return false;
  if (a == walk->origin && b == walk->past) return false;
  if (a == walk->origin && walk->reading && !terms_pass(graph->s, &graph->terms[a][b], walk->reading, walk->ever))
    return false;
  return passes(graph, walk->ever, a, b, walk->origin, walk->kind);
}

/* Places that it reaches. */
static unsigned reach(const struct graph *graph, const struct walk *walk) {
  unsigned have = 1u << walk->origin, before = 0;
  while (have != before) {
    before = have;
    for (int a = 0; a < graph->provinces; a++)
      for (int b = 0; b < graph->provinces; b++)
        if (before >> a & 1 && goes(graph, walk, a, b)) have |= 1u << b;
  }
  return have;
}

enum entitled graph_entitled(const struct graph *graph, int place, const struct reading *reading) {
  struct walk walk = {false, reading->station, reading->kind, reading, PLACES};
  if (reach(graph, &walk) >> place & 1) return ENTITLED;
  walk.ever = true;
  return reach(graph, &walk) >> place & 1 ? ENTITLED_MAYBE : ENTITLED_NOT;
}

bool graph_paces(const struct graph *graph, int origin) {
  bool paces = false;
  for (int n = 0; n < graph->provinces; n++)
    paces = paces || (graph->joined[origin][n] && graph->terms[origin][n].paced);
  return paces;
}

const struct terms *graph_only_terms(const struct graph *graph, int place, int origin, unsigned kind) {
  struct walk others = {true, origin, kind, NULL, place};
  return graph->joined[origin][place] && !(reach(graph, &others) >> place & 1) ? &graph->terms[origin][place] : NULL;
}

/* ---- the hooks of a node ---- */

int graph_origin(struct bytes stream) { return stream.data[0] - 'a'; }
static int peer_of(const struct node_peer *peer) { return node_peer_node(peer)[0] - 'a'; }

/* a/g/flow */
static unsigned kind_of(struct bytes address) {
  for (unsigned kind = 0; kind < KINDS; kind++)
    if (bytes_equal(address_segment(address, 2), bytes_text(kinds[kind]))) return kind;
  return KINDS;
}

struct filter {
  unsigned kinds;
  const struct patterns *granted; /* of third provinces; NULL: one's own, */
  const struct terms *terms;      /* under these, NULL: none */
};

static bool keeps(void *ctx, const struct record *record) {
  const struct filter *filter = ctx;
  if (record->kind == RECORD_HEAD) return true;
  bool given = !filter->granted || patterns_match(filter->granted, record->address);
  unsigned kind = kind_of(record->address);
  return given && filter->kinds >> kind & 1 && (!filter->terms || terms_let(filter->terms, kind, record->received));
}

static struct blob *filtered(const struct filter *filter, struct blob *from, const struct block *block) {
  struct blob *out = NULL;
  return block_filter(&out, from, block, keeps, (void *)(uintptr_t)filter) == 0 ? out : NULL;
}

/* All that the origin says about its records, as a broker writes it. */
static struct blob *granting(const struct graph *graph, int origin, struct blob *plain) {
  struct buffer grants = BUFFER_NULL;
  struct block block;
  struct blob *with = NULL;
  for (unsigned kind = 0; kind < KINDS; kind++) {
    struct bytes nodes[PLACES];
    char pattern[32];
    size_t count = 0;
    for (int n = 0; n < graph->provinces; n++)
      if (graph->onward[origin][kind] >> n & 1) nodes[count++] = bytes_text(names[n]);
    snprintf(pattern, sizeof pattern, "%s/+/%s", names[origin], kinds[kind]);
    if (count > 0) onward_add(&grants, bytes_text(pattern), nodes, count);
  }
  if (block_open(&block, blob_bytes(plain)) == 0 && grants.len > 0)
    block_with_onward(&with, &block, buffer_bytes(&grants));
  buffer_deinit(&grants);
  if (!with) return plain;
  blob_unref(plain);
  return with;
}

/* What goes of one's own by a feed. */
static unsigned own_kinds(const struct graph *graph, int origin, int taker, size_t feed) {
  const struct rules *rules = &graph->rules[origin][taker];
  unsigned paced = graph->terms[origin][taker].paced;
  return rules->share & rules->accept[origin] & (feed == 0 ? ~paced : paced);
}

static struct blob *on_share(void *ctx, struct node_peer *peer, size_t feed, struct blob *from,
    const struct block *block, enum lane lane, uint64_t position) {
  struct owner *owner = ctx;
  const struct graph *graph = owner->s->graph;
  int origin = graph_origin(block->stream), taker = peer_of(peer);
  const struct rules *rules = &graph->rules[owner->place][taker];
  (void)lane, (void)position;
  if (origin == owner->place) {
    struct filter filter = {own_kinds(graph, origin, taker, feed), NULL, &graph->terms[origin][taker]};
    struct blob *plain = filtered(&filter, from, block);
    return plain ? granting(graph, origin, plain) : NULL;
  }
  struct patterns granted = PATTERNS_NULL;
  onward_granted(block->onward, bytes_text(names[taker]), &granted);
  struct filter filter = {rules->transit[origin] & rules->accept[origin], &granted, NULL};
  struct blob *out = filtered(&filter, from, block);
  patterns_deinit(&granted);
  return out;
}

static bool on_share_stream(void *ctx, struct node_peer *peer, size_t feed, struct bytes stream) {
  struct owner *owner = ctx;
  int origin = graph_origin(stream), taker = peer_of(peer);
  const struct rules *rules = &owner->s->graph->rules[owner->place][taker];
  if (origin == owner->place) return own_kinds(owner->s->graph, origin, taker, feed);
  return feed == 0 && origin != taker && rules->transit[origin] & rules->accept[origin];
}

static bool on_accept_stream(void *ctx, struct node_peer *peer, struct bytes stream) {
  struct owner *owner = ctx;
  return owner->s->graph->rules[peer_of(peer)][owner->place].accept[graph_origin(stream)];
}

static enum node_admit on_admit(void *ctx, struct node_peer *peer, enum lane lane, const struct block *block,
    struct store_batch *batch, struct blob **replace, bool *drop, const char **reason) {
  struct owner *owner = ctx;
  struct filter filter = {
      owner->s->graph->rules[peer_of(peer)][owner->place].accept[graph_origin(block->stream)], NULL, NULL};
  (void)lane, (void)batch, (void)reason;
  *replace = filtered(&filter, NULL, block);
  *drop = !*replace;
  return NODE_ADMIT;
}

void graph_hooks(struct node_hooks *hooks) {
  hooks->share = on_share;
  hooks->share_stream = on_share_stream;
  hooks->accept_stream = on_accept_stream;
  hooks->admit = on_admit;
}

/* ---- peers ---- */

static uint64_t scope_of(const struct graph *graph, int giver, int taker) {
  return 1000 * (graph->version[giver][taker] + 1) + (uint64_t)(giver * PLACES + taker);
}

void graph_add_peers(struct sim *s, int n) {
  struct graph *graph = s->graph;
  for (int i = 0; i < s->link_count; i++) {
    struct link_end *link = &s->links[i];
    if (link->from != n && link->to != n) continue;
    int other = link->from == n ? link->to : link->from;
    struct node_feed feeds[2];
    size_t count = terms_feeds(&graph->terms[n][other], scope_of(graph, n, other), feeds);
    struct node_peer_config config = {.principal = place_principal(s, n, other),
        .node = names[other],
        .role = NODE_PEER_NEIGHBOUR,
        .connects = link->from == n,
        .feeds = feeds,
        .feed_count = count,
        .window_bytes = 1};
    graph->peers[n][other] = node_peer_add(s->places[n].node, &config);
    if (link->from == n) link->peer = graph->peers[n][other];
  }
}

struct node_peer *graph_peer(const struct graph *graph, int at, int of) {
  return graph->peers[at][of];
}

/* ---- who may send what ---- */

static unsigned may_send(const struct graph *graph, int giver, int taker, int origin) {
  const struct rules *rules = &graph->rules[giver][taker];
  return (giver == origin ? rules->share : rules->transit[origin]) & rules->accept[origin];
}

uint32_t graph_feeds(const struct graph *graph, int giver, int taker, int origin) {
  if (giver != origin) return 1;
  return (own_kinds(graph, giver, taker, 0) != 0) | (uint32_t)(own_kinds(graph, giver, taker, 1) != 0) << 1;
}

void graph_sources_of(const struct graph *graph, int place, struct bytes stream, struct graph_sources *out) {
  *out = (struct graph_sources){.origin = graph_origin(stream)};
  for (int n = 0; n < graph->provinces; n++)
    if (graph->joined[n][place] && may_send(graph, n, place, out->origin)) out->places[out->count++] = n;
}

/* ---- changes ---- */

static void change_direction(struct graph *graph, int giver, int taker) {
  struct rules *rules = &graph->rules[giver][taker];
  int origin = (int)sim_below(graph->s, (uint64_t)graph->provinces);
  switch (sim_below(graph->s, 3)) {
    case 0: rules->share = some_kinds(graph->s); break;
    case 1: rules->transit[origin] = some_kinds(graph->s); break;
    default: rules->accept[origin] = some_kinds(graph->s); break;
  }
}

static void tell(struct sim *s, int giver, int taker) {
  struct graph *graph = s->graph;
  graph->version[giver][taker]++;
  struct node_feed feeds[2];
  size_t count = terms_feeds(&graph->terms[giver][taker], scope_of(graph, giver, taker), feeds);
  if (s->places[giver].up) node_peer_rules(s->places[giver].node, graph->peers[giver][taker], feeds, count);
}

void graph_change(struct sim *s) {
  const struct link_end *link = &s->links[sim_below(s, (uint64_t)s->link_count)];
  bool there = sim_chance(s, 500);
  int giver = there ? link->from : link->to, taker = there ? link->to : link->from;
  change_direction(s->graph, giver, taker);
  note_ever(s->graph);
  tell(s, giver, taker);
}

int graph_broken(const struct graph *graph) { return graph->broken; }

static bool ends_at(const struct link_end *link, int place) { return link->from == place || link->to == place; }

void graph_break_beside(struct graph *graph, int place) {
  int links[LINKS], count = 0;
  for (int i = 0; i < graph->s->link_count; i++)
    if (ends_at(&graph->s->links[i], place)) links[count++] = i;
  if (graph->broken != LINKS) graph->broken = links[sim_below(graph->s, (uint64_t)count)];
}

void graph_break(struct graph *graph, int place) {
  if (graph->broken == LINKS || (place != PLACES && !ends_at(&graph->s->links[graph->broken], place))) return;
  graph->is_broken = true;
  network_cut(graph->s, &graph->s->links[graph->broken]);
}

bool graph_is_broken(const struct graph *graph, const struct link_end *link) {
  return graph->is_broken && &graph->s->links[graph->broken] == link;
}

int graph_neighbours(const struct graph *graph, int place) {
  int count = 0;
  for (int n = 0; n < graph->provinces; n++) count += graph->joined[place][n];
  return count;
}

void graph_describe(const struct graph *graph) {
  for (int i = 0; i < graph->s->link_count; i++) {
    const struct link_end *link = &graph->s->links[i];
    for (int way = 0; way < 2; way++) {
      int a = way ? link->to : link->from, b = way ? link->from : link->to;
      const struct rules *rules = &graph->rules[a][b];
      printf("  %s -> %s%s: share %x", names[a], names[b], i == graph->broken ? " (broken)" : "", rules->share);
      for (int origin = 0; origin < graph->provinces; origin++)
        if (origin != b)
          printf(", of %s %x/%x", names[origin], origin == a ? rules->share : rules->transit[origin],
              rules->accept[origin]);
      const struct terms *terms = &graph->terms[a][b];
      if (terms->paced)
        printf(", %x every %lld ms after %lld ms", terms->paced, (long long)terms->every_us / 1000,
            (long long)terms->delay_us / 1000);
      if (terms->limited) printf(", %x only of a time", terms->limited);
      printf("\n");
    }
  }
  for (int origin = 0; origin < graph->provinces; origin++)
    printf("  onward of %s: flow %x, level %x, rain %x\n", names[origin], graph->onward[origin][0],
        graph->onward[origin][1], graph->onward[origin][2]);
}
