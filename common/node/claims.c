/*
 * What is told to a peer in place of records: that nothing of a range is for it (claim), or that a range is gone
 * (discard). Claims of neighbouring ranges are gathered for a while, or go along with a block.
 */
#include "common/base/mem.h"
#include "common/node/parts.h"
#include <stdlib.h>

static bool send_range(struct node_peer *peer, struct out_stream *stream, const struct store_discard *discard,
    uint64_t from, uint64_t to) {
  enum channel channel = stream->urgent ? CHANNEL_URGENT : CHANNEL_TELEMETRY;
  struct out_channel *out = &peer->channels[channel];
  struct link_message m = {.type = LINK_CLAIM,
      .session = peer->session,
      .number = out->next_number,
      .scope = peer->config.scope,
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
  flights_add(
      peer, &out->flights, (struct flight){.number = out->next_number++, .stream = stream, .from = from, .to = to});
  return true;
}

bool claims_send(struct node_peer *peer, struct out_stream *stream) {
  if (stream->claim_from > stream->claim_to) return true;
  if (!send_range(peer, stream, NULL, stream->claim_from, stream->claim_to)) return false;
  stream->claim_from = 1;
  stream->claim_to = 0;
  return true;
}

static void claims_add(struct node_peer *peer, struct out_stream *stream, uint64_t from, uint64_t to) {
  bool none = stream->claim_from > stream->claim_to;
  if (!none && stream->claim_to + 1 == from) {
    stream->claim_to = to;
    return;
  }
  if (!none && !claims_send(peer, stream)) return; /* lost: the peer asks for it again in the next session */
  stream->claim_from = from;
  stream->claim_to = to;
  stream->claim_since = node_now(peer->node).mono;
}

/* Claims each run of sequences that the block holds: what of it was for the peer went before. */
void claims_add_runs(struct node_peer *peer, struct out_stream *stream, const struct block *block) {
  struct block_reader *reader;
  struct record record;
  uint64_t from = 0, to = 0;
  if (block_reader_new(&reader, block) != 0) return;
  while (block_reader_next(reader, &record) == 0) {
    if (from > 0 && record.sequence == to + 1) {
      to = record.sequence;
      continue;
    }
    if (from > 0) claims_add(peer, stream, from, to);
    from = to = record.sequence;
  }
  if (from > 0) claims_add(peer, stream, from, to);
  block_reader_free(reader);
}

void claims_add_block(struct node_peer *peer, struct out_stream *stream, const struct block *block) {
  if (block->last - block->first + 1 == block->count)
    claims_add(peer, stream, block->first, block->last);
  else
    claims_add_runs(peer, stream, block);
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
  send_range(seeker->peer, seeker->stream, discard, from, to);
  intervals_add(&seeker->named, from, to);
}

/* The peer misses [from, to] and this node has nothing of it to send: what was discarded is named with its reason, the
 * rest with `why`. */
static void tell_gone(struct node_peer *peer, struct out_stream *stream, uint64_t from, uint64_t to, const char *why) {
  struct seeker seeker = {peer, stream, from, to, INTERVALS_NULL};
  if (NODE_HAS_DEFECT(NODE_DEFECT_NO_DISCARD)) return;
  store_discards(peer->node->options.store, stream->stream, name_discard, &seeker);
  struct store_discard absent = {
      .by = bytes_text(peer->node->name), .reason = bytes_text(why), .time = node_now(peer->node).wall};
  for (uint64_t at = from; at <= to && at >= from;) {
    uint64_t start = intervals_first_missing(&seeker.named, at), end = to;
    if (start > to) break;
    for (size_t i = 0; i < seeker.named.count; i++)
      if (seeker.named.items[i].from > start && seeker.named.items[i].from - 1 < end)
        end = seeker.named.items[i].from - 1;
    send_range(peer, stream, &absent, start, end);
    at = end + 1;
  }
  intervals_deinit(&seeker.named);
}

/* What a read did not give: stored and damaged, or not held. */
void claims_name_gone(
    struct node_peer *peer, struct out_stream *stream, uint64_t from, uint64_t to, const struct store_done *done) {
  for (size_t i = 0; i < done->unreadable_count && from <= to; i++) {
    struct interval damaged = done->unreadable[i];
    if (damaged.to < from || damaged.from > to) continue;
    if (damaged.from > from) tell_gone(peer, stream, from, damaged.from - 1, "not-held");
    if (damaged.from > from) from = damaged.from;
    tell_gone(peer, stream, from, damaged.to < to ? damaged.to : to, "damaged");
    from = damaged.to + 1;
  }
  if (from <= to) tell_gone(peer, stream, from, to, "not-held");
}
