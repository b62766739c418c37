/*
 * What is told to a peer in place of records: that nothing of a range is for it (claim), or that a range is gone
 * (discard). Claims of neighbouring ranges are gathered for a while, or go along with a block. Both name the stream: of
 * one of which the peer may have no record nothing is told, as if there were none (names_stream).
 */
#include "common/base/mem.h"
#include "common/node/parts.h"
#include <stdlib.h>

/* ---- whether anything may be told ---- */

void claims_name(struct node_peer *peer, struct out_stream *stream) {
  struct intervals withheld = stream->withheld;
  if (stream->named) return;
  stream->named = true;
  out_stream_settles(peer, stream);
  stream->withheld = INTERVALS_NULL;
  intervals_remove_all(&withheld, &stream->covered);
  for (size_t i = 0; i < withheld.count; i++)
    out_stream_miss(peer, stream, withheld.items[i].from, withheld.items[i].to);
  intervals_deinit(&withheld);
}

bool claims_may_name(struct node_peer *peer, struct out_stream *stream) {
  const struct node_hooks *hooks = &peer->node->options.hooks;
  if (stream->named) return true;
  if (hooks->names_stream && !hooks->names_stream(hooks->ctx, peer, stream->stream)) return false;
  claims_name(peer, stream);
  return true;
}

/* True: it is not told. What was joined is read once more than need be, when the peer may know. */
static bool withhold(struct node_peer *peer, struct out_stream *stream, uint64_t from, uint64_t to) {
  if (claims_may_name(peer, stream)) return false;
  intervals_add(&stream->withheld, from, to);
  if (stream->withheld.count > LINK_RANGES_MAX) intervals_join(&stream->withheld, LINK_RANGES_MAX / 2);
  return true;
}

/* ---- telling ---- */

enum told { TOLD_CLAIM, TOLD_ECHO, TOLD_SETTLED, TOLD_DISCARD };

static uint64_t scope_of(const struct out_stream *stream, enum told what) {
  if (what == TOLD_SETTLED) return link_settled_scope(stream->scope);
  return what == TOLD_ECHO ? link_echo_scope(stream->scope) : stream->scope;
}

static bool send_range(struct node_peer *peer, struct out_stream *stream, enum told what,
    const struct store_discard *discard, uint64_t from, uint64_t to) {
  enum channel channel = stream->urgent ? CHANNEL_URGENT : CHANNEL_TELEMETRY;
  struct out_channel *out = &peer->channels[channel];
  struct link_message m = {.type = LINK_CLAIM,
      .session = peer->session,
      .number = out->next_number,
      .scope = scope_of(stream, what),
      .stream = stream->stream,
      .epoch = stream->epoch,
      .from = from,
      .to = to};
  if (discard) {
    m.type = LINK_DISCARD;
    m.time = discard->time;
    m.by = discard->by.len > 0 ? discard->by : bytes_text(peer->node->name);
    m.reason = discard->reason;
  }
  if (!peer_send(peer, channel, &m)) return false;
  if (what != TOLD_SETTLED) out_stream_claimed(stream, from, to);
  flights_add(peer, &out->flights,
      (struct flight){
          .number = out->next_number++, .stream = stream, .from = from, .to = to, .settled = what == TOLD_SETTLED});
  return true;
}

bool claims_send_settled(struct node_peer *peer, struct out_stream *stream, struct interval range) {
  return send_range(peer, stream, TOLD_SETTLED, NULL, range.from, range.to);
}

bool claims_send(struct node_peer *peer, struct out_stream *stream) {
  if (stream->claim_from > stream->claim_to) return true;
  enum told what = stream->claim_echo ? TOLD_ECHO : TOLD_CLAIM;
  if (!send_range(peer, stream, what, NULL, stream->claim_from, stream->claim_to)) return false;
  stream->claim_from = 1;
  stream->claim_to = 0;
  return true;
}

static void claims_add(struct node_peer *peer, struct out_stream *stream, bool echo, uint64_t from, uint64_t to) {
  if (withhold(peer, stream, from, to)) return;
  bool none = stream->claim_from > stream->claim_to;
  if (!none && stream->claim_echo == echo && stream->claim_to + 1 == from) {
    stream->claim_to = to;
    return;
  }
  if (!none && !claims_send(peer, stream)) return; /* lost: the peer asks for it again in the next session */
  stream->claim_from = from;
  stream->claim_to = to;
  stream->claim_since = node_now(peer->node).mono;
  stream->claim_echo = echo;
  out_stream_tick(peer, stream);
}

void claims_add_block(struct node_peer *peer, struct out_stream *stream, const struct block *block) {
  struct intervals runs = INTERVALS_NULL;
  bool echo = outgoing_is_echo(peer, stream, block);
  outgoing_runs(block, &runs);
  for (size_t i = 0; i < runs.count; i++) claims_add(peer, stream, echo, runs.items[i].from, runs.items[i].to);
  intervals_deinit(&runs);
}

/* ---- what is gone ---- */

/* The peer must know of it before this session has nothing more for it: where the socket is full it stays missed, and
 * is read and told again a little later. */
static void tell_discard(struct node_peer *peer, struct out_stream *stream, const struct store_discard *discard,
    uint64_t from, uint64_t to) {
  if (withhold(peer, stream, from, to) || send_range(peer, stream, TOLD_DISCARD, discard, from, to)) return;
  out_stream_miss(peer, stream, from, to);
  out_stream_channel(peer, stream)->retry_at = node_now(peer->node).mono + NODE_SCAN_US;
}

struct seeker {
  struct node_peer *peer;
  struct out_stream *stream;
  uint64_t from, to;
  struct intervals named;
};

static void name_discard(void *ctx, const struct store_discard *discard) {
  struct seeker *seeker = ctx;
  if (epoch_compare(discard->epoch, seeker->stream->epoch) != 0 || discard->to < seeker->from ||
      discard->from > seeker->to)
    return;
  uint64_t from = discard->from > seeker->from ? discard->from : seeker->from,
           to = discard->to < seeker->to ? discard->to : seeker->to;
  tell_discard(seeker->peer, seeker->stream, discard, from, to);
  intervals_add(&seeker->named, from, to);
}

/* The first range within [*from, to] that is not in the set; false: none. *from goes behind it. */
static bool next_gap(const struct intervals *set, uint64_t *from, uint64_t to, struct interval *gap) {
  gap->from = intervals_first_missing(set, *from);
  gap->to = to;
  if (*from > to || gap->from > to) return false;
  for (size_t i = 0; i < set->count; i++)
    if (set->items[i].from > gap->from && set->items[i].from - 1 < gap->to) gap->to = set->items[i].from - 1;
  *from = gap->to + 1;
  return true;
}

/* The peer misses [from, to] and this node has nothing of it to send: what was discarded is named with its reason, the
 * rest with `why`, where it is in `of`; NULL: all of the rest. why NULL: the rest is not named. */
static void tell_gone(struct node_peer *peer, struct out_stream *stream, uint64_t from, uint64_t to, const char *why,
    const struct intervals *of) {
  struct seeker seeker = {peer, stream, from, to, INTERVALS_NULL};
  struct intervals rest = INTERVALS_NULL;
  store_discards(peer->node->options.store, stream->stream, name_discard, &seeker);
  if (why) intervals_add(&rest, from, to);
  intervals_remove_all(&rest, &seeker.named);
  if (of) intervals_keep(&rest, of);
  for (size_t i = 0; i < rest.count; i++) {
    struct store_discard absent = {
        .by = bytes_text(peer->node->name), .reason = bytes_text(why), .time = node_now(peer->node).wall};
    tell_discard(peer, stream, &absent, rest.items[i].from, rest.items[i].to);
  }
  intervals_deinit(&rest);
  intervals_deinit(&seeker.named);
}

/* What is not in a read though it should be there. What was never here is not for this node to tell of: where a stream
 * came in many small pieces, what is between them was read with them (out_stream_miss joins). */
static void tell_not_held(struct node_peer *peer, struct out_stream *stream, uint64_t from, uint64_t to) {
  struct intervals held = INTERVALS_NULL;
  store_held(peer->node->options.store, stream->stream, stream->epoch, &held);
  tell_gone(peer, stream, from, to, "not-held", &held);
  intervals_deinit(&held);
}

/* Stored and damaged, or not held. */
static void tell_missing(
    struct node_peer *peer, struct out_stream *stream, uint64_t from, uint64_t to, const struct store_done *done) {
  for (size_t i = 0; i < done->unreadable_count && from <= to; i++) {
    struct interval damaged = done->unreadable[i];
    if (damaged.to < from || damaged.from > to) continue;
    if (damaged.from > from) tell_not_held(peer, stream, from, damaged.from - 1);
    if (damaged.from > from) from = damaged.from;
    tell_gone(peer, stream, from, damaged.to < to ? damaged.to : to, "damaged", NULL);
    from = damaged.to + 1;
  }
  if (from <= to) tell_not_held(peer, stream, from, to);
}

/* The holes of a block mostly stand in another one, and are not for this node to tell of where they were never here;
 * but what retention took of them is named. */
void claims_name_absent(struct node_peer *peer, struct out_stream *stream, struct interval range,
    const struct intervals *extents, const struct intervals *runs, const struct store_done *done) {
  uint64_t from = range.from;
  struct interval gap;
  if (NODE_HAS_DEFECT(NODE_DEFECT_NO_DISCARD)) return;
  while (next_gap(extents, &from, range.to, &gap)) tell_missing(peer, stream, gap.from, gap.to, done);
  for (size_t i = 0; i < extents->count; i++) {
    struct interval extent = extents->items[i];
    uint64_t to = extent.to < range.to ? extent.to : range.to;
    from = extent.from > range.from ? extent.from : range.from;
    while (next_gap(runs, &from, to, &gap)) tell_gone(peer, stream, gap.from, gap.to, NULL, NULL);
  }
}
