/*
 * What a broker does for its node: now and then it looks for what is missing of other provinces' streams, and asks the
 * neighbours that may have it. The real ledger of gaps says what is missing (broker/gaps.h), the real pace when it is
 * asked for (broker/gap_ask.h), the node's claims what was left out on purpose (broker/gap_claims.h); only who may send
 * what comes of the bits of the graph.
 */
#include "broker/gap_claims.h"
#include "broker/gaps.h"
#include "tests/sim/sim.h"

struct noting {
  struct epoch epoch;
  struct gap_discard *discards;
  size_t count;
};

static void note(void *ctx, const struct store_discard *discard) {
  struct noting *noting = ctx;
  if (epoch_compare(discard->epoch, noting->epoch) != 0) return;
  noting->discards = mem_resize(noting->discards, noting->count + 1, sizeof *noting->discards);
  noting->discards[noting->count++] =
      (struct gap_discard){discard->from, discard->to, discard->by, discard->reason, discard->time};
}

struct asking {
  struct sim *s;
  int place;
};

/* What each source has said all of, and what all of them have. */
struct words {
  struct gap_speaker speakers[PLACES];
  size_t count;
  struct gap_source said[PLACES];
  struct intervals filtered;
};

static void hear(
    struct sim *s, int n, const struct graph_sources *sources, const struct store_stream *stream, struct words *words) {
  for (size_t i = 0; i < sources->count; i++) {
    int of = sources->places[i];
    uint32_t feeds = graph_feeds(s->graph, of, n, sources->origin);
    words->speakers[words->count++] = (struct gap_speaker){
        s->places[n].store, graph_peer(s->graph, n, of), bytes_text(place_principal(s, n, of)), feeds, feeds == 3};
    gap_claims_of(&words->speakers[i], stream->stream, stream->epoch, &words->said[i].claimed);
  }
  gap_filtered(words->said, sources->count, &words->filtered);
}

static void find_missing(
    struct sim *s, int n, const struct words *words, const struct store_stream *stream, struct intervals *missing) {
  struct noting noting = {.epoch = stream->epoch};
  struct gap_facts facts = {.node = bytes_text(place_names[n]),
      .stream = stream->stream,
      .epoch = stream->epoch,
      .floor = stream->floor,
      .filtered = words->filtered};
  struct intervals held = INTERVALS_NULL;
  gap_held(s->places[n].store, words->speakers, words->count, stream, &held);
  store_discards(s->places[n].store, stream->stream, note, &noting);
  facts.discards = noting.discards;
  facts.discard_count = noting.count;
  gap_wanted(&facts, &held, stream->last, missing);
  free(noting.discards);
  intervals_deinit(&held);
}

/* Who has said all of it is not asked again. */
static bool ask_one(struct sim *s, int n, int of, const struct intervals *said, const struct store_stream *stream,
    const struct intervals *ranges) {
  struct intervals rest = INTERVALS_NULL;
  intervals_add_all(&rest, ranges);
  intervals_remove_all(&rest, said);
  bool asked =
      rest.count > 0 && node_want(s->places[n].node, graph_peer(s->graph, n, of), stream->stream, stream->epoch, &rest);
  intervals_deinit(&rest);
  return asked;
}

static void ask(struct sim *s, int n, const struct graph_sources *sources, const struct words *words,
    const struct store_stream *stream, const struct intervals *ranges) {
  bool any = false;
  s->asked_of[sources->origin] = true;
  for (size_t i = 0; i < sources->count; i++)
    any = ask_one(s, n, sources->places[i], &words->said[i].claimed, stream, ranges) || any;
  if (!any) gap_ask_failed(&s->places[n].asks, stream->stream, stream->epoch, s->now);
}

static void look(void *ctx, const struct store_stream *stream) {
  struct asking *asking = ctx;
  struct sim *s = asking->s;
  struct graph_sources sources;
  struct words words = {.filtered = INTERVALS_NULL};
  struct intervals missing = INTERVALS_NULL, wanted = INTERVALS_NULL;
  graph_sources_of(s->graph, asking->place, stream->stream, &sources);
  if (sources.origin == asking->place) return;
  hear(s, asking->place, &sources, stream, &words);
  find_missing(s, asking->place, &words, stream, &missing);
  if (gap_ask_look(&s->places[asking->place].asks, stream->stream, stream->epoch, &missing, s->now, &wanted))
    ask(s, asking->place, &sources, &words, stream, &wanted);
  for (size_t i = 0; i < sources.count; i++) intervals_deinit(&words.said[i].claimed);
  intervals_deinit(&words.filtered);
  intervals_deinit(&missing);
  intervals_deinit(&wanted);
}

void asking_begin(struct sim *s, int n) {
  gap_ask_init(&s->places[n].asks, ASKING_AGE_US);
  s->places[n].asks_at = s->now;
}

void asking_end(struct sim *s, int n) {
  s->asked += s->places[n].asks.asked;
  s->asked_came += s->places[n].asks.answered;
  gap_ask_deinit(&s->places[n].asks);
}

void asking_tick(struct sim *s, int n) {
  struct asking asking = {s, n};
  if (s->now < s->places[n].asks_at) return;
  store_streams(s->places[n].store, look, &asking);
  s->places[n].asks_at = s->now + ASKING_AGE_US / 3;
}
