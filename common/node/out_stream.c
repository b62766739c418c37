#include "common/base/mem.h"
#include "common/node/parts.h"
#include <stdlib.h>

struct bytes stream_key(struct stream_key *key, size_t feed, struct bytes stream, struct epoch epoch) {
  memcpy(key->bytes, &epoch, 16);
  key->bytes[16] = (uint8_t)feed;
  memcpy(key->bytes + 17, stream.data, stream.len);
  return bytes_of(key->bytes, 17 + stream.len);
}

bool out_stream_shared(const struct node_peer *peer, size_t feed, struct bytes stream) {
  const struct node_hooks *hooks = &peer->node->options.hooks;
  struct bytes origin = stream_node(stream);
  if (peer->config.role == NODE_PEER_STATION || bytes_equal(origin, bytes_text(peer->name))) return false;
  if (hooks->share_stream) return hooks->share_stream(hooks->ctx, (struct node_peer *)(uintptr_t)peer, feed, stream);
  return bytes_equal(origin, bytes_text(peer->node->name));
}

struct out_stream *out_stream_of(struct node_peer *peer, size_t feed, struct bytes name, struct epoch epoch) {
  struct stream_key key;
  if (name.len > STREAM_MAX) name.len = STREAM_MAX;
  struct out_stream *stream = table_get(&peer->by_stream, stream_key(&key, feed, name, epoch));
  if (stream) return stream;
  stream = mem_alloc(sizeof *stream);
  stream->stream = bytes_of(mem_copy(name.data, name.len), name.len);
  stream->epoch = epoch;
  stream->urgent = stream_is_urgent(name);
  stream->feed = (uint32_t)feed;
  stream->scope = peer->feeds[feed].scope;
  stream->every_us = peer->feeds[feed].every_us;
  stream->delay_us = peer->feeds[feed].delay_us;
  stream->shared = out_stream_shared(peer, feed, name);
  stream->leads = true;
  for (size_t i = 0; i < feed && stream->leads; i++) stream->leads = !out_stream_shared(peer, i, name);
  stream->claim_from = 1;
  table_put(&peer->by_stream, stream_key(&key, feed, name, epoch), stream);
  if (peer->stream_count == peer->stream_cap) {
    peer->stream_cap = peer->stream_cap ? peer->stream_cap * 2 : 8;
    peer->streams = mem_resize(peer->streams, peer->stream_cap, sizeof(struct out_stream *));
  }
  peer->streams[peer->stream_count++] = stream;
  return stream;
}

struct out_channel *out_stream_channel(struct node_peer *peer, const struct out_stream *stream) {
  return &peer->channels[stream->urgent ? CHANNEL_URGENT : CHANNEL_TELEMETRY];
}

void out_stream_list(struct node_peer *peer, struct out_stream *stream) {
  struct out_channel *channel = out_stream_channel(peer, stream);
  peer_mark(peer);
  if (stream->listed) return;
  stream->parked = false;
  if (stream->missed.count == 0) return;
  stream->listed = true;
  if (channel->missing_count == channel->missing_cap) {
    channel->missing_cap = channel->missing_cap ? channel->missing_cap * 2 : 8;
    channel->missing = mem_resize(channel->missing, channel->missing_cap, sizeof(struct out_stream *));
  }
  channel->missing[channel->missing_count++] = stream;
}

void out_stream_miss(struct node_peer *peer, struct out_stream *stream, uint64_t from, uint64_t to) {
  if (!stream->shared) return;
  intervals_add(&stream->missed, from, to);
  if (stream->reading) intervals_add(&stream->again, from, to);
  if (stream->again.count > LINK_RANGES_MAX) intervals_join(&stream->again, LINK_RANGES_MAX);
  if (stream->missed.count > LINK_RANGES_MAX) intervals_join(&stream->missed, LINK_RANGES_MAX);
  out_stream_list(peer, stream);
}

/* A superset where they are many: then less is told as settled. */
void out_stream_claimed(struct out_stream *stream, uint64_t from, uint64_t to) {
  intervals_add(&stream->claimed, from, to);
  if (stream->claimed.count > LINK_RANGES_MAX) intervals_join(&stream->claimed, LINK_RANGES_MAX / 2);
}

void out_stream_tick(struct node_peer *peer, struct out_stream *stream) {
  if (stream->ticked || stream->retired) return;
  stream->ticked = true;
  stream->before = peer->ticked.last;
  stream->after = NULL;
  if (stream->before)
    stream->before->after = stream;
  else
    peer->ticked.first = stream;
  peer->ticked.last = stream;
}

void out_stream_no_tick(struct node_peer *peer, struct out_stream *stream) {
  if (!stream->ticked) return;
  stream->ticked = false;
  if (stream->before)
    stream->before->after = stream->after;
  else
    peer->ticked.first = stream->after;
  if (stream->after)
    stream->after->before = stream->before;
  else
    peer->ticked.last = stream->before;
}

void out_stream_settles(struct node_peer *peer, struct out_stream *stream) {
  stream->unsettled = true;
  out_stream_tick(peer, stream);
}

void out_stream_retire(struct node_peer *peer, struct out_stream *stream) {
  struct out_channel *channel = out_stream_channel(peer, stream);
  out_stream_no_tick(peer, stream);
  for (size_t i = 0; i < channel->missing_count && stream->listed; i++) {
    if (channel->missing[i] != stream) continue;
    channel->missing[i] = channel->missing[--channel->missing_count];
    stream->listed = false;
  }
  intervals_clear(&stream->missed);
  stream->shared = false;
  stream->retired = true;
  stream->claim_from = 1;
  stream->claim_to = 0;
  stream->next = peer->retired;
  peer->retired = stream;
  out_stream_release(peer, stream);
}

void out_stream_release(struct node_peer *peer, struct out_stream *stream) {
  if (!stream->retired || stream->flights > 0 || stream->reading) return;
  struct out_stream **at = &peer->retired;
  while (*at != stream) at = &(*at)->next;
  *at = stream->next;
  out_stream_free(stream);
  peer_mark(peer);
}

void out_stream_free(struct out_stream *stream) {
  intervals_deinit(&stream->wanted);
  intervals_deinit(&stream->asked);
  intervals_deinit(&stream->withheld);
  intervals_deinit(&stream->again);
  paced_deinit(stream);
  intervals_deinit(&stream->claimed);
  intervals_deinit(&stream->settled);
  intervals_deinit(&stream->covered);
  intervals_deinit(&stream->missed);
  free((void *)(uintptr_t)stream->stream.data);
  free(stream->peer_runs);
  free(stream);
}

void out_stream_park(struct node_peer *peer, struct out_stream *stream) {
  struct out_channel *channel = out_stream_channel(peer, stream);
  channel->missing[--channel->missing_next] = channel->missing[--channel->missing_count];
  stream->listed = false;
  stream->parked = true;
  stream->look_at = node_now(peer->node).mono + SENDER_PARK_US;
  out_stream_tick(peer, stream);
}

struct out_stream *out_stream_next(struct out_channel *channel) {
  while (channel->missing_count > 0) {
    if (channel->missing_next >= channel->missing_count) channel->missing_next = 0;
    struct out_stream *stream = channel->missing[channel->missing_next];
    if (stream->missed.count > 0) {
      channel->missing_next++;
      return stream;
    }
    stream->listed = false;
    channel->missing[channel->missing_next] = channel->missing[--channel->missing_count];
  }
  return NULL;
}
