/* What one side asks the other for by name (WANT), since it misses it: it is sent whatever its path, and taken so. */
#include "common/node/parts.h"
#include <string.h>

/* ---- asking ---- */

void wanted_deinit(struct node_peer *peer) { table_deinit(&peer->wanted, NULL); }

static bool send_want(
    struct node_peer *peer, struct bytes stream, struct epoch epoch, const struct interval *ranges, size_t count) {
  struct link_message m = {
      .type = LINK_WANT, .session = peer->session, .stream = stream, .epoch = epoch, .range_count = (uint32_t)count};
  memcpy(m.ranges, ranges, count * sizeof *ranges);
  return peer_send(peer, CHANNEL_URGENT, &m);
}

bool node_want(struct node *node, struct node_peer *peer, struct bytes stream, struct epoch epoch,
    const struct intervals *ranges) {
  struct stream_key key;
  (void)node;
  if (peer->state != SESSION_UP || stream.len > STREAM_MAX) return false;
  table_put(&peer->wanted, stream_key(&key, 0, stream, epoch), peer);
  for (size_t at = 0; at < ranges->count; at += LINK_RANGES_MAX) {
    size_t count = ranges->count - at < LINK_RANGES_MAX ? ranges->count - at : LINK_RANGES_MAX;
    if (!send_want(peer, stream, epoch, ranges->items + at, count)) return false;
  }
  return true;
}

/* Not looked at by ranges: what was asked for comes in the blocks in which it stands there, and these in pieces. */
bool wanted_from(const struct node_peer *peer, const struct block *block) {
  struct stream_key key;
  return table_get(&peer->wanted, stream_key(&key, 0, block->stream, block->epoch)) != NULL;
}

/* ---- being asked ---- */

/* Only what is here can be sent: whoever asks for more is not told that it is gone. But it is told, as settled, what
 * will not come from here. */
static void add_wanted(
    struct node_peer *peer, size_t feed, const struct link_message *m, const struct intervals *here) {
  struct out_stream *stream = out_stream_of(peer, feed, m->stream, m->epoch);
  struct intervals asked = INTERVALS_NULL;
  for (uint32_t i = 0; i < m->range_count; i++) intervals_add(&asked, m->ranges[i].from, m->ranges[i].to);
  intervals_add_all(&stream->asked, &asked);
  if (stream->asked.count > LINK_RANGES_MAX) intervals_join(&stream->asked, LINK_RANGES_MAX);
  out_stream_settles(peer, stream);
  intervals_keep(&asked, here);
  intervals_add_all(&stream->wanted, &asked);
  if (stream->wanted.count > LINK_RANGES_MAX) intervals_join(&stream->wanted, LINK_RANGES_MAX);
  for (size_t i = 0; i < asked.count; i++) out_stream_miss(peer, stream, asked.items[i].from, asked.items[i].to);
  intervals_deinit(&asked);
}

/* What was never heard of takes memory for the session. */
static bool has_room(const struct node_peer *peer, const struct intervals *here) {
  return here->count > 0 || peer->stream_count < NODE_NAMES_MAX;
}

void wanted_asked(struct node_peer *peer, const struct link_message *m) {
  struct intervals here = INTERVALS_NULL;
  if (peer->state != SESSION_UP || m->stream.len == 0 || m->stream.len > STREAM_MAX ||
      NODE_HAS_DEFECT(NODE_DEFECT_NO_WANT))
    return;
  store_held(peer->node->options.store, m->stream, m->epoch, &here);
  for (size_t feed = 0; feed < peer->feed_count && has_room(peer, &here); feed++)
    if (!(peer->asks >> feed & 1) && out_stream_shared(peer, feed, m->stream)) add_wanted(peer, feed, m, &here);
  intervals_deinit(&here);
}
