/*
 * What a relay has told all of: it has nothing more of a range, and its sources say that nothing more comes. It passes
 * that on, for the sake of the gap ledger at the end of the way. Unlike what a feed claims, such a word may become
 * untrue: rules upstream are widened, another way brings more. So it is told under a scope of its own, anew in each
 * session, and never decides what is sent: a record that comes into such a range goes on like any other. In a circle of
 * relays each waits for the others; there nothing is told, and the ledger shows it as open. Who asks for a range by
 * name is told in the same way that nothing of it comes from here, also of streams of which this node has nothing, or
 * nothing for it.
 */
#include "common/base/mem.h"
#include "common/node/parts.h"

enum { TOLD_MOST = 1024 };

/* ---- sources ---- */

void settled_by(const struct node_peer *source, struct bytes stream, struct epoch epoch, struct intervals *out) {
  struct store *store = source->node->options.store;
  struct bytes principal = bytes_text(source->principal);
  struct intervals all = INTERVALS_NULL;
  for (size_t i = 0; i < source->scope_count; i++) {
    struct intervals claimed = INTERVALS_NULL;
    store_claimed(store, stream, epoch, principal, source->scopes[i], &claimed);
    store_claimed(store, stream, epoch, principal, link_settled_scope(source->scopes[i]), &claimed);
    if (i == 0)
      intervals_add_all(&all, &claimed);
    else
      intervals_keep(&all, &claimed);
    intervals_deinit(&claimed);
  }
  intervals_add_all(out, &all);
  intervals_deinit(&all);
}

static bool is_source(const struct node_peer *peer, struct bytes stream) {
  const struct node_hooks *hooks = &peer->node->options.hooks;
  if (peer->config.role != NODE_PEER_NEIGHBOUR) return false;
  return !hooks->accept_stream || hooks->accept_stream(hooks->ctx, (struct node_peer *)(uintptr_t)peer, stream);
}

/* Keeps of *set what all who may bring something of the stream have settled; but for `to`, who is to be told. */
static void keep_settled(const struct node_peer *to, const struct out_stream *stream, struct intervals *set) {
  const struct node *node = to->node;
  struct bytes origin = stream_node(stream->stream);
  const struct node_peer *station = table_get(&node->by_name, origin);
  bool ours = address_below(origin, bytes_text(node->name));
  size_t sources = 0;
  for (size_t i = 0; i < (ours ? 1 : node->taker_count) && set->count > 0; i++) {
    const struct node_peer *source = ours ? station : node->takers[i];
    struct intervals settled = INTERVALS_NULL;
    if (!source || (!ours && (source == to || !is_source(source, stream->stream)))) continue;
    sources++;
    settled_by(source, stream->stream, stream->epoch, &settled);
    intervals_keep(set, &settled);
    intervals_deinit(&settled);
  }
  /* who has it from the asker alone brings nothing: that is told of what was asked for, not of all the future */
  if (sources == 0) intervals_keep(set, &stream->asked);
}

/* ---- telling ---- */

static void remove_named(const struct node_peer *peer, const struct out_stream *stream, struct intervals *set) {
  struct intervals named = INTERVALS_NULL;
  missed_named(peer->node, stream, &named);
  intervals_remove_all(set, &named);
  intervals_deinit(&named);
}

/* What is still to be sent or read is not told of. */
static void remove_pending(const struct node_peer *peer, const struct out_stream *stream, struct intervals *set) {
  const struct out_channel *channel = &peer->channels[stream->urgent ? CHANNEL_URGENT : CHANNEL_TELEMETRY];
  intervals_remove_all(set, &stream->missed);
  paced_pending(stream, set);
  if (stream->reading) intervals_remove(set, stream->read_from, stream->read_to);
  for (const struct outgoing *out = channel->live.first; out; out = out->next)
    if (out->stream == stream) intervals_remove(set, out->from, out->to);
  for (const struct outgoing *out = channel->backfill.first; out; out = out->next)
    if (out->stream == stream) intervals_remove(set, out->from, out->to);
}

/* The peer knows it where it is claimed by what was sent. */
static bool is_known(const struct out_stream *stream, struct interval range) {
  struct intervals rest = INTERVALS_NULL;
  intervals_add(&rest, range.from, range.to);
  intervals_remove_all(&rest, &stream->covered);
  intervals_remove_all(&rest, &stream->claimed);
  bool known = rest.count == 0;
  intervals_deinit(&rest);
  return known;
}

/* Whether something of it is neither claimed nor yet to be sent. Where a read or a block then leaves a hole, it is
 * looked at again. */
static bool has_news(const struct out_stream *stream, const struct intervals *set) {
  struct intervals rest = INTERVALS_NULL;
  intervals_add_all(&rest, set);
  intervals_remove_all(&rest, &stream->covered);
  intervals_remove_all(&rest, &stream->claimed);
  intervals_remove_all(&rest, &stream->missed);
  bool news = rest.count > 0;
  intervals_deinit(&rest);
  return news;
}

void settled_tell(struct node_peer *peer, struct out_stream *stream) {
  struct intervals set = INTERVALS_NULL;
  if (bytes_equal(stream_node(stream->stream), bytes_text(peer->node->name))) return; /* the origin has all there is */
  if (claims_may_name(peer, stream))
    intervals_add(&set, 1, UINT64_MAX);
  else
    intervals_add_all(&set, &stream->asked); /* the peer named it; the answer does not say whether there is any of it */
  if (set.count == 0) return;
  keep_settled(peer, stream, &set);
  intervals_remove_all(&set, &stream->settled);
  if (!has_news(stream, &set)) intervals_clear(&set);
  if (set.count > 0) remove_named(peer, stream, &set);
  uint64_t all = intervals_size(&set);
  if (set.count > 0) remove_pending(peer, stream, &set);
  if (intervals_size(&set) < all) out_stream_settles(peer, stream); /* the rest a little later */
  for (size_t i = 0; i < set.count; i++) {
    struct interval range = set.items[i];
    if (is_known(stream, range)) continue;
    if (claims_send_settled(peer, stream, range))
      intervals_add(&stream->settled, range.from, range.to);
    else
      out_stream_settles(peer, stream);
  }
  if (stream->settled.count > TOLD_MOST) intervals_join(&stream->settled, TOLD_MOST / 2);
  intervals_deinit(&set);
}

void settled_changed(const struct node_peer *source, struct bytes stream, struct epoch epoch) {
  struct node *node = source->node;
  for (size_t i = 0; i < node->taker_count; i++) {
    struct node_peer *to = node->takers[i];
    if (to == source || to->state != SESSION_UP) continue;
    for (size_t feed = 0; feed < to->feed_count; feed++) {
      if (to->asks >> feed & 1) continue;
      struct out_stream *out = out_stream_of(to, feed, stream, epoch);
      out_stream_settles(to, out);
      if (out->parked) out_stream_list(to, out);
      if (out->undecided.count > 0) paced_reopen(to, out);
    }
  }
}
