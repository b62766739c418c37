/*
 * What goes to a peer. Two sources: blocks offered just after their commit (live queue), and ranges that the peer
 * misses, read back from the store (backfill queue). A block that does not fit the window's worth of queue becomes a
 * missed range: the newest goes on, the rest follows. What is on the way is remembered as ranges, not as bytes; when
 * the session ends all of it is forgotten, since the next one begins with what the receiver says it holds.
 */
#include "common/base/mem.h"
#include "common/node/parts.h"
#include <stdlib.h>

/* ---- streams ---- */

struct stream_key {
  uint8_t bytes[STREAM_MAX + 16];
  size_t len;
};
static struct bytes stream_key(struct stream_key *key, struct bytes stream, struct epoch epoch) {
  memcpy(key->bytes, &epoch, 16);
  memcpy(key->bytes + 16, stream.data, stream.len);
  key->len = 16 + stream.len;
  return bytes_of(key->bytes, key->len);
}

bool sender_shares(const struct node_peer *peer, struct bytes stream) {
  const struct node_hooks *hooks = &peer->node->options.hooks;
  struct bytes origin = stream_node(stream);
  if (peer->config.role == NODE_PEER_STATION || bytes_equal(origin, bytes_text(peer->name))) return false;
  if (hooks->share_stream) return hooks->share_stream(hooks->ctx, (struct node_peer *)(uintptr_t)peer, stream);
  return bytes_equal(origin, bytes_text(peer->node->name));
}

struct out_stream *sender_stream(struct node_peer *peer, struct bytes name, struct epoch epoch) {
  struct stream_key key;
  if (name.len > STREAM_MAX) name.len = STREAM_MAX;
  struct out_stream *stream = table_get(&peer->by_stream, stream_key(&key, name, epoch));
  if (stream) return stream;
  stream = mem_alloc(sizeof *stream);
  stream->stream = bytes_of(mem_copy(name.data, name.len), name.len);
  stream->epoch = epoch;
  stream->urgent = stream_is_urgent(name);
  stream->shared = sender_shares(peer, name);
  stream->claim_from = 1;
  table_put(&peer->by_stream, bytes_of(key.bytes, key.len), stream);
  if (peer->stream_count == peer->stream_cap) {
    peer->stream_cap = peer->stream_cap ? peer->stream_cap * 2 : 8;
    peer->streams = mem_resize(peer->streams, peer->stream_cap, sizeof(struct out_stream *));
  }
  peer->streams[peer->stream_count++] = stream;
  return stream;
}

static struct out_channel *channel_of(struct node_peer *peer, const struct out_stream *stream) {
  return &peer->channels[stream->urgent ? CHANNEL_URGENT : CHANNEL_TELEMETRY];
}

static void list_missing(struct node_peer *peer, struct out_stream *stream) {
  struct out_channel *channel = channel_of(peer, stream);
  peer_mark(peer);
  if (stream->listed || stream->missed.count == 0) return;
  stream->listed = true;
  if (channel->missing_count == channel->missing_cap) {
    channel->missing_cap = channel->missing_cap ? channel->missing_cap * 2 : 8;
    channel->missing = mem_resize(channel->missing, channel->missing_cap, sizeof(struct out_stream *));
  }
  channel->missing[channel->missing_count++] = stream;
}

static void miss(struct node_peer *peer, struct out_stream *stream, uint64_t from, uint64_t to) {
  if (!stream->shared) return;
  intervals_add(&stream->missed, from, to);
  if (stream->missed.count > LINK_RANGES_MAX) intervals_join(&stream->missed, LINK_RANGES_MAX);
  list_missing(peer, stream);
}

/* ---- order at a relay ----
 * What a link misses goes by backfill, in order. A relay may also miss itself what lies below (its own source's
 * backfill is still under way); that will follow by backfill as well and would then step back behind what went before
 * it. So backfill only takes what lies below the relay's first hole, and what was missed above it is made good in the
 * live lane, with newer blocks of that stream waiting behind it. What
 * lies between the hole and newer blocks that the peer has already would break the order in either lane: it waits until
 * the hole is filled, or for a while only, where its source does not fill it. */

struct named {
  struct epoch epoch;
  struct intervals *ranges;
};

static void add_discard(void *ctx, const struct store_discard *discard) {
  struct named *named = ctx;
  if (epoch_compare(discard->epoch, named->epoch) == 0) intervals_add(named->ranges, discard->from, discard->to);
}

/* Adds what is named as gone, by whomever. */
static void add_named(const struct node *node, const struct out_stream *stream, struct intervals *ranges) {
  struct named named = {stream->epoch, ranges};
  store_discards(node->options.store, stream->stream, add_discard, &named);
}

static void add_claims(
    const struct node *node, const struct node_peer *source, const struct out_stream *stream, struct intervals *have) {
  if (source)
    store_claimed(
        node->options.store, stream->stream, stream->epoch, bytes_text(source->principal), source->peer_scope, have);
}

/* The first sequence that may still come here from elsewhere; UINT64_MAX: none, the stream is our own. */
static uint64_t first_hole(const struct node_peer *peer, const struct out_stream *stream) {
  const struct node *node = peer->node;
  struct intervals have = INTERVALS_NULL;
  struct bytes origin = stream_node(stream->stream);
  if (bytes_equal(origin, bytes_text(node->name))) return UINT64_MAX;
  store_held(node->options.store, stream->stream, stream->epoch, &have);
  add_named(node, stream, &have);
  add_claims(node, table_get(&node->by_name, origin), stream, &have);
  for (size_t i = 0; i < node->taker_count; i++) add_claims(node, node->takers[i], stream, &have);
  uint64_t hole = intervals_first_missing(&have, 1);
  intervals_deinit(&have);
  return hole;
}

static bool misses_above(const struct out_stream *stream, uint64_t hole) {
  return stream->missed.count > 0 && stream->missed.items[stream->missed.count - 1].to >= hole;
}

/* While something older of the stream is still to come in the same lane, newer blocks wait behind it. */
static bool is_catching_up(const struct node_peer *peer, const struct out_stream *stream) {
  if (stream->reading_live || stream->waiting_live > 0) return true;
  if (stream->urgent || stream->as_live) return stream->missed.count > 0 || stream->reading || stream->waiting > 0;
  return stream->missed.count > 0 && misses_above(stream, first_hole(peer, stream));
}

/* ---- queues ---- */

static struct outgoing *outgoing_free(struct outgoing *out) {
  if (out->from_read) out->stream->waiting--;
  if (out->from_read && out->lane == LANE_LIVE) out->stream->waiting_live--;
  blob_unref(out->block);
  blob_unref(out->source);
  free(out);
  return NULL;
}

static void queue_push(struct outgoing_queue *queue, struct outgoing *out) {
  if (queue->last)
    queue->last->next = out;
  else
    queue->first = out;
  queue->last = out;
  queue->bytes += out->block->len;
}

static struct outgoing *queue_pop(struct outgoing_queue *queue) {
  struct outgoing *out = queue->first;
  if (!out) return NULL;
  queue->first = out->next;
  if (!queue->first) queue->last = NULL;
  queue->bytes -= out->block->len;
  return out;
}

static void queue_clear(struct outgoing_queue *queue) {
  struct outgoing *out;
  while ((out = queue_pop(queue))) outgoing_free(out);
}

static void flight_add(struct node_peer *peer, struct flights *flights, struct flight flight) {
  flight.sent = node_now(peer->node).mono;
  if (flights->head > 0 && flights->head + flights->count == flights->cap) {
    memmove(flights->items, flights->items + flights->head, flights->count * sizeof *flights->items);
    flights->head = 0;
  }
  if (flights->head + flights->count == flights->cap) {
    flights->cap = flights->cap ? flights->cap * 2 : 64;
    flights->items = mem_resize(flights->items, flights->cap, sizeof *flights->items);
  }
  flights->items[flights->head + flights->count++] = flight;
}

/* Finds by number: rising, though acknowledged ones may have been taken out of the middle. */
static struct flight *flight_from(struct flights *flights, uint64_t number) {
  size_t low = flights->head, high = flights->head + flights->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (flights->items[middle].number < number)
      low = middle + 1;
    else
      high = middle;
  }
  return flights->items + low;
}

static void flights_drop_front(struct flights *flights) {
  while (flights->count > 0 && !flights->items[flights->head].stream) {
    flights->head++;
    flights->count--;
  }
  if (flights->count == 0) flights->head = 0;
}

/* ---- life ---- */

static void stream_free(struct out_stream *stream) {
  intervals_deinit(&stream->covered);
  intervals_deinit(&stream->missed);
  free((void *)(uintptr_t)stream->stream.data);
  free(stream);
}

void sender_reset(struct node_peer *peer) {
  for (int c = 0; c < CHANNELS; c++) {
    struct out_channel *channel = &peer->channels[c];
    queue_clear(&channel->live);
    queue_clear(&channel->backfill);
    channel->flights.head = channel->flights.count = 0;
    channel->missing_count = channel->missing_next = 0;
    channel->next_number = 1;
    channel->read_under_way = channel->held_back = false;
    channel->live_since_backfill = 0;
    channel->retry_at = 0;
    channel->retry_us = SENDER_RETRY_US;
  }
  for (size_t i = 0; i < peer->stream_count; i++) stream_free(peer->streams[i]);
  peer->stream_count = 0;
  table_deinit(&peer->by_stream, NULL);
  peer->window.in_flight = 0;
  peer->urgent_in_flight = 0;
}

struct starter {
  struct node_peer *peer;
  bool short_outage;
};

static void start_stream(void *ctx, const struct store_stream *held) {
  struct starter *starter = ctx;
  struct node_peer *peer = starter->peer;
  struct out_stream *stream = sender_stream(peer, held->stream, held->epoch);
  if (!stream->shared) return;
  uint64_t newest = stream->peer_last;
  if (stream->covered.count > 0 && stream->covered.items[stream->covered.count - 1].to > newest)
    newest = stream->covered.items[stream->covered.count - 1].to;
  stream->top = newest;
  store_held(peer->node->options.store, held->stream, held->epoch, &stream->missed);
  add_named(peer->node, stream, &stream->missed); /* a relay passes on what others said is gone */
  intervals_remove_all(&stream->missed, &stream->covered);
  intervals_clear(&stream->covered);
  if (stream->missed.count > LINK_RANGES_MAX) intervals_join(&stream->missed, LINK_RANGES_MAX);
  /* Only where all that is missed is newer than all that the peer has: else the live lane would step back. */
  stream->as_live = starter->short_outage && stream->missed.count == 1 && stream->missed.items[0].from > newest &&
                    intervals_size(&stream->missed) <= BLOCK_RECORDS_MAX;
  list_missing(peer, stream);
}

void sender_start(struct node_peer *peer, bool short_outage) {
  struct starter starter = {peer, short_outage};
  if (peer->config.role == NODE_PEER_STATION) return;
  store_streams(peer->node->options.store, start_stream, &starter);
  peer_mark(peer);
}

void sender_gone(struct node_peer *peer, const struct store_discard *discard) {
  struct out_stream *stream = sender_stream(peer, discard->stream, discard->epoch);
  if (stream->shared) miss(peer, stream, discard->from, discard->to);
}

/* ---- claims and discards ---- */

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
  flight_add(
      peer, &out->flights, (struct flight){.number = out->next_number++, .stream = stream, .from = from, .to = to});
  return true;
}

static bool send_claim(struct node_peer *peer, struct out_stream *stream) {
  if (stream->claim_from > stream->claim_to) return true;
  if (!send_range(peer, stream, NULL, stream->claim_from, stream->claim_to)) return false;
  stream->claim_from = 1;
  stream->claim_to = 0;
  return true;
}

static void claim(struct node_peer *peer, struct out_stream *stream, uint64_t from, uint64_t to) {
  bool none = stream->claim_from > stream->claim_to;
  if (!none && stream->claim_to + 1 == from) {
    stream->claim_to = to;
    return;
  }
  if (!none && !send_claim(peer, stream)) return; /* lost: the peer asks for it again in the next session */
  stream->claim_from = from;
  stream->claim_to = to;
  stream->claim_since = node_now(peer->node).mono;
}

/* Claims each run of sequences that the block holds: what of it was for the peer went before. */
static void claim_runs(struct node_peer *peer, struct out_stream *stream, const struct block *block) {
  struct block_reader *reader;
  struct record record;
  uint64_t from = 0, to = 0;
  if (block_reader_new(&reader, block) != 0) return;
  while (block_reader_next(reader, &record) == 0) {
    if (from > 0 && record.sequence == to + 1) {
      to = record.sequence;
      continue;
    }
    if (from > 0) claim(peer, stream, from, to);
    from = to = record.sequence;
  }
  if (from > 0) claim(peer, stream, from, to);
  block_reader_free(reader);
}

static void claim_block(struct node_peer *peer, struct out_stream *stream, const struct block *block) {
  if (block->last - block->first + 1 == block->count)
    claim(peer, stream, block->first, block->last);
  else
    claim_runs(peer, stream, block);
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
static void tell_missing(
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

/* ---- what is to go out ---- */

static struct blob *prepare(struct node_peer *peer, struct blob *from, const struct block *block) {
  const struct node_hooks *hooks = &peer->node->options.hooks;
  struct blob *shared = hooks->share ? hooks->share(hooks->ctx, peer, from, block) : blob_ref(from), *hopped = NULL;
  struct block opened;
  if (!shared || block_open(&opened, blob_bytes(shared)) != 0) return blob_unref(shared);
  if (peer->config.role == NODE_PEER_NEIGHBOUR) {
    if (block_with_hop(&hopped, &opened, bytes_text(peer->node->name), node_now(peer->node).wall) != 0)
      return blob_unref(shared); /* a path of 16: a loop */
    blob_unref(shared);
    shared = hopped;
    block_open(&opened, blob_bytes(shared));
  }
  if (!peer->config.compress) return shared;
  struct blob *packed = block_compress(shared, &opened);
  blob_unref(shared);
  return packed;
}

/* A block out of which duplicates were taken has holes that stand elsewhere: it may claim only what is in it. */
static bool has_holes(const struct block *block) { return block->last - block->first + 1 != block->count; }

static struct outgoing *outgoing_new(
    struct node_peer *peer, struct out_stream *stream, struct blob *from, const struct block *block, enum lane lane) {
  if (block_visited(block, bytes_text(peer->name))) return NULL;
  struct blob *ready = prepare(peer, from, block);
  struct block opened;
  if (!ready) return NULL;
  block_open(&opened, blob_bytes(ready));
  struct outgoing *out = mem_alloc(sizeof *out);
  *out = (struct outgoing){.stream = stream,
      .block = ready,
      .lane = lane,
      .from = block->first,
      .to = block->last,
      .records = opened.count,
      .source = has_holes(block) ? blob_ref(from) : NULL};
  return out;
}

/* Moves what stands in the live queue to what is missed; stream NULL: of all streams. */
static void yield_live(struct node_peer *peer, struct out_channel *channel, const struct out_stream *stream) {
  struct outgoing_queue all = channel->live;
  struct outgoing *out;
  channel->live = (struct outgoing_queue){NULL, NULL, 0};
  while ((out = queue_pop(&all))) {
    out->next = NULL;
    if (stream && out->stream != stream) {
      queue_push(&channel->live, out);
      continue;
    }
    if (!NODE_HAS_DEFECT(NODE_DEFECT_FORGET_MISSED)) miss(peer, out->stream, out->from, out->to);
    outgoing_free(out);
  }
}

/* The live queue holds a window's worth; beyond it the oldest become missed, so that live stays live. Of a stream with
 * a hole, or whose missed blocks go out in the live lane, all of it: it has to stay in order. */
static void trim_live(struct node_peer *peer, struct out_channel *channel, size_t most) {
  while (channel->live.bytes > most && channel->live.first != channel->live.last) {
    struct outgoing *out = queue_pop(&channel->live);
    struct out_stream *stream = out->stream;
    uint64_t to = out->to;
    if (!NODE_HAS_DEFECT(NODE_DEFECT_FORGET_MISSED)) miss(peer, stream, out->from, out->to);
    outgoing_free(out);
    if (stream->as_live || to >= first_hole(peer, stream)) yield_live(peer, channel, stream);
  }
}

void sender_offer(struct node_peer *peer, const struct store_item *item, const struct block *block) {
  struct out_stream *stream = sender_stream(peer, block->stream, block->epoch);
  if (!stream->shared) return;
  /* an old copy of our store takes in again what the peer has long had */
  bool steps_back = item->lane == LANE_LIVE && block->first <= stream->top;
  if (item->lane == LANE_BACKFILL || steps_back || channel_of(peer, stream)->held_back ||
      is_catching_up(peer, stream)) {
    miss(peer, stream, block->first, block->last);
    return;
  }
  struct outgoing *out = outgoing_new(peer, stream, item->block, block, item->lane);
  peer_mark(peer);
  if (!out) {
    claim_block(peer, stream, block);
    return;
  }
  struct out_channel *channel = channel_of(peer, stream);
  queue_push(&channel->live, out);
  if (!stream->urgent) trim_live(peer, channel, peer->config.window_bytes);
}

/* ---- reading what is missed ---- */

static struct out_stream *next_missing(struct out_channel *channel) {
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

/* The peer was sent, or will be before anything that is read now, live blocks up to here. */
static uint64_t live_top(struct node_peer *peer, const struct out_stream *stream) {
  uint64_t top = stream->top;
  for (const struct outgoing *out = channel_of(peer, stream)->live.first; out; out = out->next)
    if (out->stream == stream && out->to > top) top = out->to;
  return top;
}

/* Whether what the node misses itself is likely to come: its source is here, or was a while ago. */
static bool source_may_fill(const struct node_peer *peer, const struct out_stream *stream) {
  struct node *node = peer->node;
  const struct node_peer *source = table_get(&node->by_name, stream_node(stream->stream));
  if (!source) return false;
  return node_now(node).wall - source->since < (source->state == SESSION_UP ? SENDER_FILL_US : SENDER_RETURN_US);
}

/* What to read next, and the lane for it: above the hole first, for that is live data. What lies above the hole and
 * below newer blocks that the peer has fits neither lane before the hole is filled. false: all that is left is such. */
static bool choose_missed(struct node_peer *peer, const struct out_stream *stream, struct work *work) {
  const struct intervals *missed = &stream->missed;
  const struct interval *next = &missed->items[NODE_HAS_DEFECT(NODE_DEFECT_OVERTAKE) ? missed->count - 1 : 0];
  uint64_t top = live_top(peer, stream);
  work->from = next->from;
  work->to = next->to;
  work->lane = stream->urgent ? LANE_URGENT : stream->as_live && work->from > top ? LANE_LIVE : LANE_BACKFILL;
  if (work->lane != LANE_BACKFILL) return true;
  uint64_t hole = first_hole(peer, stream);
  uint64_t least = hole > top ? hole : top + 1;
  for (size_t i = 0; i < missed->count; i++) {
    if (missed->items[i].to < hole || missed->items[i].to < least) continue;
    work->from = missed->items[i].from > least ? missed->items[i].from : least;
    work->to = missed->items[i].to;
    work->lane = LANE_LIVE;
    return true;
  }
  if (work->from >= hole) return !source_may_fill(peer, stream);
  if (work->from < hole && work->to >= hole) work->to = hole - 1;
  return true;
}

/* In turn; NULL: nothing can go now. */
static struct out_stream *choose_stream(struct node_peer *peer, struct out_channel *channel, struct work *work) {
  struct out_stream *stream;
  for (size_t tries = channel->missing_count; tries > 0 && (stream = next_missing(channel)); tries--)
    if (choose_missed(peer, stream, work)) return stream;
  return NULL;
}

static void start_read(struct node_peer *peer, enum channel c) {
  struct out_channel *channel = &peer->channels[c];
  struct work chosen;
  if (channel->read_under_way || channel->backfill.first || node_now(peer->node).mono < channel->retry_at) return;
  struct out_stream *stream = choose_stream(peer, channel, &chosen);
  if (!stream) return;
  struct work *work = work_new(peer->node, WORK_BACKFILL);
  work->peer_id = peer->id;
  work->session = peer->session;
  work->channel = c;
  work->stream = stream;
  work->from = chosen.from;
  work->to = chosen.to;
  work->lane = chosen.lane;
  struct store_read read = {.what = STORE_READ_STREAM,
      .from = work->from,
      .to = work->to,
      .stream = stream->stream,
      .epoch = stream->epoch,
      .max_bytes = SENDER_READ_BYTES};
  if (store_read(peer->node->options.store, &read, work) != 0) {
    work_free(peer->node, work); /* the reader is busy: the next tick asks again */
    return;
  }
  channel->read_under_way = true;
  stream->reading = true;
  stream->reading_live = work->lane == LANE_LIVE;
}

void sender_read_done(struct node_peer *peer, const struct work *work, const struct store_done *done) {
  struct out_channel *channel = &peer->channels[work->channel];
  struct out_stream *stream = work->stream;
  uint64_t at = work->from, end = done->kind == STORE_DONE_READ && done->next > 0 && done->next - 1 < work->to
                                      ? done->next - 1
                                      : work->to;
  channel->read_under_way = false;
  stream->reading = stream->reading_live = false;
  peer_mark(peer);
  if (done->kind != STORE_DONE_READ || channel->held_back || !stream->shared) return;
  for (size_t i = 0; i < done->entry_count; i++) {
    struct block block;
    if (!done->entries[i].block || block_open(&block, blob_bytes(done->entries[i].block)) != 0) continue;
    if (block.first > at) tell_missing(peer, stream, at, block.first - 1, done);
    struct outgoing *out = outgoing_new(peer, stream, done->entries[i].block, &block, work->lane);
    if (out) {
      out->from_read = true;
      stream->waiting++;
      if (out->lane == LANE_LIVE) stream->waiting_live++;
      queue_push(&channel->backfill, out);
    } else
      claim_block(peer, stream, &block);
    if (block.last >= at) at = block.last + 1;
  }
  if (at <= end) tell_missing(peer, stream, at, end, done);
  if (at > end + 1) end = at - 1;
  intervals_remove(&stream->missed, work->from, end);
}

/* ---- sending ---- */

static bool send_block(struct node_peer *peer, enum channel c, struct outgoing *out) {
  struct out_channel *channel = &peer->channels[c];
  struct out_stream *stream = out->stream;
  bool whole = out->source == NULL;
  if (whole && stream->claim_from <= stream->claim_to && stream->claim_to + 1 == out->from) {
    out->from = stream->claim_from; /* the block brings the claim along */
    stream->claim_from = 1;
    stream->claim_to = 0;
  }
  struct link_message m = {.type = LINK_BLOCK,
      .session = peer->session,
      .number = channel->next_number,
      .lane = (uint8_t)out->lane,
      .scope = peer->config.scope,
      .from = whole ? out->from : 0,
      .to = whole ? out->to : 0,
      .body = blob_bytes(out->block)};
  if (!peer_send(peer, c, &m)) return false;
  flight_add(peer, &channel->flights,
      (struct flight){.number = channel->next_number++,
          .stream = stream,
          .from = out->from,
          .to = out->to,
          .bytes = out->block->len,
          .live = out->lane == LANE_LIVE,
          .records = out->records});
  if (out->lane == LANE_LIVE && out->to > stream->top) stream->top = out->to;
  peer->figures.sent_records[out->lane] += out->records;
  if (c == CHANNEL_URGENT)
    peer->urgent_in_flight += out->block->len;
  else if (!NODE_HAS_DEFECT(NODE_DEFECT_NO_WINDOW))
    window_sent(&peer->window, out->block->len);
  struct block source;
  if (!whole && block_open(&source, blob_bytes(out->source)) == 0) claim_runs(peer, stream, &source);
  return true;
}

static bool may_send(struct node_peer *peer, enum channel c, size_t bytes) {
  if (c == CHANNEL_TELEMETRY) return window_open(&peer->window, bytes);
  return peer->urgent_in_flight == 0 || peer->urgent_in_flight + bytes <= SENDER_URGENT_WINDOW;
}

/* Live first, but one byte in five is backfill's while both wait. On the urgent channel what was missed comes first:
 * order. */
static struct outgoing_queue *pick(struct out_channel *channel, enum channel c) {
  if (!channel->live.first) return channel->backfill.first ? &channel->backfill : NULL;
  if (!channel->backfill.first) return &channel->live;
  if (c == CHANNEL_URGENT || channel->backfill.first->lane == LANE_LIVE) return &channel->backfill;
  return channel->live_since_backfill >= SENDER_BACKFILL_SHARE * channel->backfill.first->block->len
             ? &channel->backfill
             : &channel->live;
}

/* After LATER: once all that was sent is answered, the peer is told from which number on it is sent again. */
static bool begin_again(struct node_peer *peer, enum channel c) {
  struct out_channel *channel = &peer->channels[c];
  if (channel->flights.count > 0 || channel->read_under_way || node_now(peer->node).mono < channel->retry_at)
    return false;
  channel->held_back = !peer_send(
      peer, c, &(struct link_message){.type = LINK_ATTACH, .session = peer->session, .number = channel->next_number});
  return !channel->held_back;
}

static void pump_channel(struct node_peer *peer, enum channel c) {
  struct out_channel *channel = &peer->channels[c];
  struct outgoing_queue *queue;
  if (channel->held_back && !begin_again(peer, c)) return;
  while ((queue = pick(channel, c)) && may_send(peer, c, queue->first->block->len)) {
    bool live = queue == &channel->live;
    if (!send_block(peer, c, queue->first)) break;
    channel->live_since_backfill = live ? channel->live_since_backfill + queue->first->block->len : 0;
    outgoing_free(queue_pop(queue));
    if (!live) start_read(peer, c);
  }
  start_read(peer, c);
}

void sender_pump(struct node_peer *peer) {
  if (peer->state != SESSION_UP || peer->config.role == NODE_PEER_STATION) return;
  pump_channel(peer, CHANNEL_URGENT);
  if (peer->conns[CHANNEL_TELEMETRY] && peer->attached) pump_channel(peer, CHANNEL_TELEMETRY);
}

void sender_tick(struct node_peer *peer) {
  if (peer->state != SESSION_UP || peer->config.role == NODE_PEER_STATION) return;
  int64_t now = node_now(peer->node).mono;
  for (int c = 0; c < CHANNELS; c++) {
    const struct flights *flights = &peer->channels[c].flights;
    if (flights->count > 0 && now - flights->items[flights->head].sent > SENDER_ANSWER_US) {
      session_end(peer, "an answer is missing");
      return;
    }
  }
  for (size_t i = 0; i < peer->stream_count; i++) {
    struct out_stream *stream = peer->streams[i];
    if (stream->claim_from <= stream->claim_to && now - stream->claim_since >= SENDER_CLAIM_US)
      send_claim(peer, stream);
    if (stream->as_live && !is_catching_up(peer, stream)) stream->as_live = false;
  }
  peer_mark(peer);
}

/* ---- answers ---- */

static void land(struct node_peer *peer, enum channel c, struct flight *flight, bool acked) {
  if (c == CHANNEL_URGENT)
    peer->urgent_in_flight -= flight->bytes < peer->urgent_in_flight ? flight->bytes : peer->urgent_in_flight;
  else if (acked)
    window_acked(&peer->window, flight->bytes, node_now(peer->node).mono);
  else
    window_forget(&peer->window, flight->bytes);
  flight->stream = NULL;
}

void sender_ack(struct node_peer *peer, enum channel c, uint64_t from, uint64_t to) {
  struct flights *flights = &peer->channels[c].flights;
  struct flight *end = flights->items + flights->head + flights->count;
  for (struct flight *flight = flight_from(flights, from); flight < end && flight->number <= to; flight++) {
    if (!flight->stream) continue;
    peer->figures.acked_records += flight->records;
    land(peer, c, flight, true);
  }
  flights_drop_front(flights);
  peer->channels[c].retry_us = SENDER_RETRY_US;
  peer_mark(peer);
}

/* What is queued or claimed comes after what was refused: all of it is read again, in order. */
static void hold_back(struct node_peer *peer, enum channel c) {
  struct out_channel *channel = &peer->channels[c];
  struct outgoing *out;
  channel->held_back = true;
  yield_live(peer, channel, NULL);
  while ((out = queue_pop(&channel->backfill))) {
    miss(peer, out->stream, out->from, out->to);
    outgoing_free(out);
  }
  for (size_t i = 0; i < peer->stream_count; i++) {
    struct out_stream *stream = peer->streams[i];
    if (channel_of(peer, stream) != channel || stream->claim_from > stream->claim_to) continue;
    miss(peer, stream, stream->claim_from, stream->claim_to);
    stream->claim_from = 1;
    stream->claim_to = 0;
  }
}

void sender_later(struct node_peer *peer, enum channel c, uint64_t from, uint64_t to) {
  struct out_channel *channel = &peer->channels[c];
  struct flights *flights = &channel->flights;
  struct flight *end = flights->items + flights->head + flights->count;
  if (NODE_HAS_DEFECT(NODE_DEFECT_LATER_IS_ACK)) {
    sender_ack(peer, c, from, to);
    return;
  }
  for (struct flight *flight = flight_from(flights, from); flight < end && flight->number <= to; flight++) {
    if (!flight->stream) continue;
    if (!NODE_HAS_DEFECT(NODE_DEFECT_FORGET_MISSED)) miss(peer, flight->stream, flight->from, flight->to);
    /* nothing that was sent after it was stored, so it may go live again */
    if (flight->live && flight->stream->top >= flight->from) flight->stream->top = flight->from - 1;
    land(peer, c, flight, false);
  }
  flights_drop_front(flights);
  if (channel->held_back) return; /* all that was on the way is refused one by one: that is one refusal */
  hold_back(peer, c);
  channel->retry_at = node_now(peer->node).mono + channel->retry_us;
  if (channel->retry_us < 8 * SECOND_US) channel->retry_us *= 2;
}

/* In this session; the next asks again, since the peer's rules may have changed. */
static void stop_sharing(struct node_peer *peer, struct out_channel *channel, struct out_stream *stream) {
  stream->shared = false;
  yield_live(peer, channel, stream);
  intervals_clear(&stream->missed);
  stream->claim_from = 1;
  stream->claim_to = 0;
}

void sender_refused(struct node_peer *peer, enum channel c, uint64_t number, enum link_refused code, struct bytes why) {
  struct flights *flights = &peer->channels[c].flights;
  struct flight *flight = flight_from(flights, number);
  uint64_t suppressed;
  if (flight < flights->items + flights->head + flights->count && flight->number == number && flight->stream) {
    if (code == LINK_REFUSED_STREAM) stop_sharing(peer, &peer->channels[c], flight->stream);
    land(peer, c, flight, false);
  }
  flights_drop_front(flights);
  if (code != LINK_REFUSED_STREAM && log_allow(&peer->limit, node_now(peer->node).mono, &suppressed))
    log_error("link", peer->principal, "a block was refused for good: " BYTES_FMT, BYTES_ARG(why));
  peer_mark(peer);
}

uint64_t sender_backlog(const struct node_peer *peer) {
  uint64_t records = 0;
  for (size_t i = 0; i < peer->stream_count; i++) records += intervals_size(&peer->streams[i]->missed);
  for (int c = 0; c < CHANNELS; c++)
    for (const struct outgoing *out = peer->channels[c].backfill.first; out; out = out->next) records += out->records;
  return records;
}
