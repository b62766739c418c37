/* Missing ranges of other provinces' streams: looked for every now and then, and asked of the neighbours that may have
 * them. */
#include "broker/broker.h"
#include "broker/gap_sources.h"
#include "common/base/mem.h"
#include <stdlib.h>

struct looking {
  struct broker *broker;
  int64_t now;
};
struct noting {
  struct gap_facts *facts;
  struct gap_discard *discards;
};

static void note(void *ctx, const struct store_discard *discard) {
  struct noting *noting = ctx;
  size_t count = noting->facts->discard_count;
  if (epoch_compare(discard->epoch, noting->facts->epoch) != 0) return;
  noting->discards = mem_resize(noting->discards, count + 1, sizeof *noting->discards);
  noting->discards[count] =
      (struct gap_discard){discard->from, discard->to, discard->by, discard->reason, discard->time};
  noting->facts->discard_count = count + 1;
}

/* What is missing by rules that may have been others is asked for, and not counted. */
static void find_missing(struct broker *broker, const struct gap_words *words, const struct store_stream *stream,
    const struct intervals *held, struct intervals *missing) {
  struct gap_facts facts = {.node = bytes_text(broker->links.name),
      .stream = stream->stream,
      .epoch = stream->epoch,
      .floor = stream->floor,
      .filtered = words->filtered};
  struct noting noting = {&facts, NULL};
  struct intervals counted = INTERVALS_NULL;
  store_discards(broker->daemon.store, stream->stream, note, &noting);
  facts.discards = noting.discards;
  gap_wanted(&facts, held, stream->last, missing);
  free(noting.discards);
  intervals_add_all(&counted, missing);
  intervals_remove_all(&counted, &words->covered);
  broker->missing += intervals_size(&counted);
  intervals_deinit(&counted);
}

/* But for what it has said all of: it would look through its whole history for nothing. What had been here before is no
 * such word (gap_claims.h). */
static bool ask_one(struct broker *broker, const struct link *link, const struct intervals *said,
    const struct store_stream *stream, const struct intervals *ranges) {
  struct intervals rest = INTERVALS_NULL;
  intervals_add_all(&rest, ranges);
  intervals_remove_all(&rest, said);
  bool asked = rest.count > 0 && node_want(broker->node, link->peer, stream->stream, stream->epoch, &rest);
  intervals_deinit(&rest);
  return asked;
}

static void ask(struct broker *broker, const struct gap_sources *sources, const struct gap_words *words,
    const struct store_stream *stream, const struct intervals *ranges, int64_t now) {
  bool any = false;
  for (size_t i = 0; i < words->count; i++)
    any = ask_one(broker, sources->links[i], &words->said[i].ranges, stream, ranges) || any;
  if (!any) gap_ask_failed(&broker->asks, stream->stream, stream->epoch, now);
}

static void look(void *ctx, const struct store_stream *stream) {
  struct looking *looking = ctx;
  struct broker *broker = looking->broker;
  struct intervals held = INTERVALS_NULL, missing = INTERVALS_NULL, wanted = INTERVALS_NULL;
  struct gap_sources sources;
  struct gap_words words = {.count = 0};
  if (address_below(stream_owner(stream->stream), bytes_text(broker->links.name))) return;
  gap_sources_of(&broker->links, broker->links.name, stream->stream, &sources);
  gap_sources_held(&sources, broker->daemon.store, stream, &held);
  bool whole = stream->last == 0 || intervals_covers(&held, 1, stream->last);
  if (!whole) {
    gap_sources_said(&sources, broker->daemon.store, stream->stream, stream->epoch, &words);
    find_missing(broker, &words, stream, &held, &missing);
  }
  if (gap_ask_look(&broker->asks, stream->stream, stream->epoch, &missing, looking->now, &wanted))
    ask(broker, &sources, &words, stream, &wanted, looking->now);
  gap_words_deinit(&words);
  intervals_deinit(&held);
  intervals_deinit(&missing);
  intervals_deinit(&wanted);
}

int64_t broker_gaps_tick(struct broker *broker, int64_t now) {
  struct looking looking = {broker, now};
  if (now < broker->gaps_at) return broker->gaps_at;
  broker->missing = 0;
  store_streams(broker->daemon.store, look, &looking);
  broker->gaps_at = now + broker->asks.age_us / 3;
  return broker->gaps_at;
}
