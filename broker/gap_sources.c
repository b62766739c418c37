#include "broker/gap_sources.h"
#include "common/door/selection.h"

void gap_sources_of(const struct links *links, const char *node, struct bytes stream, struct gap_sources *out) {
  struct bytes origin = stream_owner(stream);
  *out = (struct gap_sources){.foreign = !address_below(origin, bytes_text(node))};
  for (size_t i = 0; i < links->count && out->count < GAP_SOURCES_MAX; i++) {
    const struct link *link = links->items[i];
    bool is = link->is_peer ? out->foreign && peer_accepts_stream(&link->rules, stream)
                            : bytes_equal(bytes_text(link->node), origin);
    if (is) out->links[out->count++] = link;
  }
}

struct taking {
  struct bytes source;
  const uint64_t *scopes; /* by which it sends now */
  size_t scope_count;
  size_t which; /* of them the one that is wanted; scope_count: all others */
  struct intervals *claimed;
};

static void take(void *ctx, struct bytes source, uint64_t scope, const struct intervals *ranges) {
  struct taking *taking = ctx;
  size_t at = 0;
  while (at < taking->scope_count && taking->scopes[at] != scope) at++;
  if (at == taking->which && bytes_equal(source, taking->source)) intervals_add_all(taking->claimed, ranges);
}

/* All of it was said by each of the feeds that there are now, or under rules that were valid once. */
static void take_source(
    struct store *store, const struct link *link, struct bytes stream, struct epoch epoch, struct intervals *claimed) {
  struct gap_source feeds[NODE_FEEDS_MAX];
  struct taking taking = {.source = bytes_text(link->principal)};
  taking.scope_count = node_peer_scopes(link->peer, &taking.scopes);
  for (taking.which = 0; taking.which < taking.scope_count; taking.which++) {
    feeds[taking.which] = (struct gap_source){.claimed = INTERVALS_NULL};
    taking.claimed = &feeds[taking.which].claimed;
    store_claims(store, stream, epoch, take, &taking);
  }
  gap_filtered(feeds, taking.scope_count, claimed);
  taking.claimed = claimed;
  store_claims(store, stream, epoch, take, &taking);
  for (size_t i = 0; i < taking.scope_count; i++) intervals_deinit(&feeds[i].claimed);
}

void gap_sources_filtered(const struct gap_sources *sources, struct store *store, struct bytes stream,
    struct epoch epoch, struct intervals *out) {
  struct gap_source said[GAP_SOURCES_MAX];
  if (!sources->foreign) return;
  for (size_t i = 0; i < sources->count; i++) {
    said[i] = (struct gap_source){.claimed = INTERVALS_NULL};
    take_source(store, sources->links[i], stream, epoch, &said[i].claimed);
  }
  gap_filtered(said, sources->count, out);
  for (size_t i = 0; i < sources->count; i++) intervals_deinit(&said[i].claimed);
}
