/* What a node holds in memory, beside its store, against what its configuration allows. It looks into the node
 * (common/node/parts.h), for there is nothing outside by which a program could be asked. */
#include "common/node/parts.h"
#include "tests/sim/sim.h"

static size_t ranges_size(const struct intervals *set) { return set->cap * sizeof *set->items; }

static size_t queue_size(const struct outgoing_queue *queue) {
  size_t size = 0;
  for (const struct outgoing *out = queue->first; out; out = out->next)
    size += sizeof *out + out->block->len; /* the source is the store's or the ring's own blob */
  return size;
}

static size_t streams_size(const struct node_peer *peer) {
  size_t size = 0;
  for (size_t i = 0; i < peer->stream_count; i++)
    size +=
        sizeof(struct out_stream) + ranges_size(&peer->streams[i]->covered) + ranges_size(&peer->streams[i]->missed);
  return size;
}

static size_t peer_size(const struct node_peer *peer) {
  size_t size = sizeof *peer + peer->candidate.frame.cap + streams_size(peer);
  for (int c = 0; c < CHANNELS; c++) {
    const struct out_channel *channel = &peer->channels[c];
    size += queue_size(&channel->live) + queue_size(&channel->backfill) + channel->flights.cap * sizeof(struct flight) +
            channel->missing_cap * sizeof(void *);
  }
  return size;
}

static size_t node_size(const struct node *node) {
  size_t size = sizeof *node;
  for (int lane = 0; lane < LANES; lane++)
    size += node->rings[lane].bytes + node->rings[lane].cap * sizeof(struct ring_entry);
  for (int c = 0; c < CHANNELS; c++) size += node->inbox[c].bytes;
  for (size_t i = 0; i < node->peer_count; i++) size += peer_size(node->peers[i]);
  return size;
}

enum { FRAME_MOST = LINK_MESSAGE_MAX + 1024, RANGES_MOST = 2 * LINK_RANGES_MAX + 2 };

static size_t peer_most(const struct node_peer *peer) {
  size_t stream = sizeof(struct out_stream) + 2 * 2 * RANGES_MOST * sizeof(struct interval);
  size_t telemetry = peer->window.most + FRAME_MOST + SENDER_READ_BYTES + FRAME_MOST;
  size_t urgent = SENDER_URGENT_WINDOW + FRAME_MOST + SENDER_READ_BYTES + FRAME_MOST;
  size_t flights = 2 * 4096 * sizeof(struct flight);
  return sizeof *peer + FRAME_MOST + peer->stream_count * (stream + sizeof(void *)) + 2 * (telemetry + urgent) +
         flights;
}

static size_t node_most(const struct node *node) {
  size_t most = sizeof *node + node->options.ring_bytes + LANES * (FRAME_MOST + 4096 * sizeof(struct ring_entry)) +
                CHANNELS * (node->inbox_most + FRAME_MOST);
  for (size_t i = 0; i < node->peer_count; i++) most += peer_most(node->peers[i]);
  return most;
}

static size_t flying(const struct flights *flights) {
  size_t bytes = 0;
  for (size_t i = 0; i < flights->count; i++)
    if (flights->items[flights->head + i].stream) bytes += flights->items[flights->head + i].bytes;
  return bytes;
}

static void check_peer(struct sim *s, int n, const struct node_peer *peer) {
  const struct out_channel *telemetry = &peer->channels[CHANNEL_TELEMETRY], *urgent = &peer->channels[CHANNEL_URGENT];
  size_t most = peer->window.most;
  if (peer->state != SESSION_UP) return;
  if (flying(&telemetry->flights) > (most > FRAME_MOST ? most : FRAME_MOST))
    sim_fail(s, "%s has %zu bytes of telemetry on the way to %s, its window is %zu", place_names[n],
        flying(&telemetry->flights), peer->principal, most);
  if (flying(&urgent->flights) > SENDER_URGENT_WINDOW + FRAME_MOST)
    sim_fail(s, "%s has %zu urgent bytes on the way to %s", place_names[n], flying(&urgent->flights), peer->principal);
  if (telemetry->live.bytes > peer->config.window_bytes + FRAME_MOST)
    sim_fail(s, "%s has %zu live bytes waiting for %s", place_names[n], telemetry->live.bytes, peer->principal);
  for (size_t i = 0; i < peer->stream_count; i++)
    if (peer->streams[i]->missed.count > LINK_RANGES_MAX)
      sim_fail(s, "%s counts %zu missed ranges of one stream for %s", place_names[n], peer->streams[i]->missed.count,
          peer->principal);
}

void bounds_check(struct sim *s, int n) {
  const struct node *node = s->places[n].node;
  size_t size = node_size(node), most = node_most(node);
  if (size > s->memory_most) s->memory_most = size;
  if (size > most) sim_fail(s, "%s holds %zu bytes in memory, more than %zu", place_names[n], size, most);
  for (size_t i = 0; i < node->peer_count; i++) check_peer(s, n, node->peers[i]);
}
