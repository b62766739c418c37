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

/* By the extents of what is held. */
static void find_missing(const struct broker *broker, const struct gap_sources *sources,
    const struct store_stream *stream, const struct intervals *held, struct intervals *missing) {
  struct store *store = broker->daemon.store;
  struct gap_facts facts = {.node = bytes_text(broker->links.name),
      .stream = stream->stream,
      .epoch = stream->epoch,
      .floor = stream->floor,
      .filtered = INTERVALS_NULL};
  struct noting noting = {&facts, NULL};
  gap_sources_filtered(sources, store, stream->stream, stream->epoch, &facts.filtered);
  store_discards(store, stream->stream, note, &noting);
  facts.discards = noting.discards;
  gap_wanted(&facts, held, stream->last, missing);
  free(noting.discards);
  intervals_deinit(&facts.filtered);
}

static void ask(struct broker *broker, const struct gap_sources *sources, const struct store_stream *stream,
    const struct intervals *ranges, int64_t now) {
  bool any = false;
  for (size_t i = 0; i < sources->count; i++)
    any = node_want(broker->node, sources->links[i]->peer, stream->stream, stream->epoch, ranges) || any;
  if (!any) gap_ask_failed(&broker->asks, stream->stream, stream->epoch, now);
}

static void look(void *ctx, const struct store_stream *stream) {
  struct looking *looking = ctx;
  struct broker *broker = looking->broker;
  struct intervals held = INTERVALS_NULL, missing = INTERVALS_NULL, wanted = INTERVALS_NULL;
  struct gap_sources sources;
  if (address_below(stream_owner(stream->stream), bytes_text(broker->links.name))) return;
  store_held(broker->daemon.store, stream->stream, stream->epoch, &held);
  bool whole = stream->last == 0 || intervals_covers(&held, 1, stream->last);
  if (!whole) {
    gap_sources_of(&broker->links, broker->links.name, stream->stream, &sources);
    find_missing(broker, &sources, stream, &held, &missing);
  }
  if (gap_ask_look(&broker->asks, stream->stream, stream->epoch, &missing, looking->now, &wanted))
    ask(broker, &sources, stream, &wanted, looking->now);
  broker->missing += intervals_size(&missing);
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
