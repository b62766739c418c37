/*
 * What a peer misses: computed when its session begins, and read back from the store in an order that steps back in
 * neither lane.
 */
#include "common/base/mem.h"
#include "common/node/parts.h"
#include <stdlib.h>

/* ---- order at a relay ----
 * What a link misses goes by backfill, in order. A relay may also miss itself what lies below (its own source's
 * backfill is still under way); that will follow by backfill as well and would then step back behind what went before
 * it. So backfill only takes what lies below the relay's first hole, and what was missed above it is made good in the
 * live lane, with newer blocks of that stream waiting behind it. What lies between the hole and newer blocks that the
 * peer has already would break the order in either lane: it waits until the hole is filled, or for a while only, where
 * its source does not fill it. */

struct named {
  struct epoch epoch;
  struct intervals *ranges;
};

static void add_discard(void *ctx, const struct store_discard *discard) {
  struct named *named = ctx;
  if (epoch_compare(discard->epoch, named->epoch) == 0) intervals_add(named->ranges, discard->from, discard->to);
}

void missed_named(const struct node *node, const struct out_stream *stream, struct intervals *ranges) {
  struct named named = {stream->epoch, ranges};
  store_discards(node->options.store, stream->stream, add_discard, &named);
}

static void add_claims(const struct node_peer *source, const struct out_stream *stream, struct intervals *have) {
  if (source) settled_by(source, stream->stream, stream->epoch, have);
}

uint64_t missed_hole(const struct node_peer *peer, const struct out_stream *stream) {
  const struct node *node = peer->node;
  struct intervals have = INTERVALS_NULL;
  struct bytes origin = stream_node(stream->stream);
  if (bytes_equal(origin, bytes_text(node->name))) return UINT64_MAX;
  store_held(node->options.store, stream->stream, stream->epoch, &have);
  missed_named(node, stream, &have);
  add_claims(table_get(&node->by_name, origin), stream, &have);
  for (size_t i = 0; i < node->taker_count; i++) add_claims(node->takers[i], stream, &have);
  uint64_t hole = intervals_first_missing(&have, 1);
  intervals_deinit(&have);
  return hole;
}

static bool misses_above(const struct out_stream *stream, uint64_t hole) {
  return stream->missed.count > 0 && stream->missed.items[stream->missed.count - 1].to >= hole;
}

bool missed_is_catching_up(const struct node_peer *peer, const struct out_stream *stream) {
  if (stream->reading_live || stream->waiting_live > 0) return true;
  if (stream->urgent || stream->as_live) return stream->missed.count > 0 || stream->reading || stream->waiting > 0;
  return stream->missed.count > 0 && misses_above(stream, missed_hole(peer, stream));
}

/* ---- what the peer misses ---- */

struct starter {
  struct node_peer *peer;
  size_t feed;
  bool short_outage;
};

/* Also of streams that this node does not hold yet: an old copy of its store takes in again what the peer has. */
static void set_top(struct out_stream *stream) {
  const struct intervals *covered = &stream->covered;
  stream->top = stream->peer_last;
  if (covered->count > 0 && covered->items[covered->count - 1].to > stream->top)
    stream->top = covered->items[covered->count - 1].to;
}

static void start_stream(void *ctx, const struct store_stream *held) {
  struct starter *starter = ctx;
  struct node_peer *peer = starter->peer;
  struct out_stream *stream = out_stream_of(peer, starter->feed, held->stream, held->epoch);
  if (!stream->shared) return;
  uint64_t newest = stream->top;
  out_stream_settles(peer, stream);
  store_held(peer->node->options.store, held->stream, held->epoch, &stream->missed);
  if (!NODE_HAS_DEFECT(NODE_DEFECT_KEEP_WORD))
    missed_named(peer->node, stream, &stream->missed); /* a relay passes on what others said is gone */
  intervals_remove_all(&stream->missed, &stream->covered);
  if (stream->missed.count > LINK_RANGES_MAX) intervals_join(&stream->missed, LINK_RANGES_MAX);
  /* Only where all that is missed is newer than all that the peer has: else the live lane would step back. */
  stream->as_live = starter->short_outage && stream->missed.count == 1 && stream->missed.items[0].from > newest &&
                    intervals_size(&stream->missed) <= BLOCK_RECORDS_MAX;
  out_stream_list(peer, stream);
}

void missed_start(struct node_peer *peer, uint32_t feeds, bool short_outage) {
  struct starter starter = {peer, 0, short_outage};
  for (size_t i = 0; i < peer->stream_count; i++)
    if (feeds >> peer->streams[i]->feed & 1) set_top(peer->streams[i]);
  for (; starter.feed < peer->feed_count; starter.feed++)
    if (feeds >> starter.feed & 1) store_streams(peer->node->options.store, start_stream, &starter);
  peer_mark(peer);
}

static void miss_gone(struct node_peer *peer, struct out_stream *stream, const struct store_discard *discard) {
  out_stream_miss(peer, stream, discard->from, discard->to);
  if (stream->undecided.count > 0) paced_reopen(peer, stream);
}

void missed_gone(struct node_peer *peer, const struct store_discard *discard) {
  if (NODE_HAS_DEFECT(NODE_DEFECT_KEEP_WORD)) return;
  for (size_t feed = 0; feed < peer->feed_count; feed++)
    if (!(peer->asks >> feed & 1)) miss_gone(peer, out_stream_of(peer, feed, discard->stream, discard->epoch), discard);
}

struct known {
  const struct store_discard *said;
  struct intervals ranges;
};

static void add_known(void *ctx, const struct store_discard *discard) {
  struct known *known = ctx;
  if (epoch_compare(discard->epoch, known->said->epoch) == 0 && bytes_equal(discard->by, known->said->by) &&
      bytes_equal(discard->reason, known->said->reason))
    intervals_add(&known->ranges, discard->from, discard->to);
}

/* What this node said, come back: in its own name, or as what it had said of the origin. */
static bool is_own_word(const struct node *node, struct bytes by) {
  size_t name = strlen(node->name), via = sizeof NODE_VIA - 1;
  if (by.len < name || memcmp(by.data + by.len - name, node->name, name) != 0) return false;
  return by.len == name || (by.len > name + via && memcmp(by.data + by.len - name - via, NODE_VIA, via) == 0);
}

bool missed_is_news(const struct node *node, const struct store_discard *discard) {
  struct known known = {discard, INTERVALS_NULL};
  if (is_own_word(node, discard->by)) return false;
  store_discards(node->options.store, discard->stream, add_known, &known);
  bool news = !intervals_covers(&known.ranges, discard->from, discard->to);
  intervals_deinit(&known.ranges);
  return news;
}

/* ---- what to read next ---- */

/* The peer was sent, or will be before anything that is read now, live blocks up to here. */
static uint64_t live_top(struct node_peer *peer, const struct out_stream *stream) {
  uint64_t top = stream->top;
  for (const struct outgoing *out = out_stream_channel(peer, stream)->live.first; out; out = out->next)
    if (out->stream == stream && out->to > top) top = out->to;
  return top;
}

/* Whether what the node misses itself is likely to come: its source is here and still brings what was missed, or was
 * here a while ago. */
static bool source_may_fill(const struct node_peer *peer, const struct out_stream *stream) {
  struct node *node = peer->node;
  const struct node_peer *source = table_get(&node->by_name, stream_node(stream->stream));
  if (!source) return false;
  bool up = source->state == SESSION_UP;
  int64_t last = up && source->filled > source->since ? source->filled : source->since;
  return node_now(node).wall - last < (up ? SENDER_FILL_US : SENDER_RETURN_US);
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
  uint64_t hole = missed_hole(peer, stream);
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

static bool choose_any(struct node_peer *peer, struct out_stream *stream, struct work *work) {
  if (!paced(stream)) return choose_missed(peer, stream, work);
  paced_choose(peer, stream, work);
  return true;
}

/* In turn; NULL: nothing can go now. Those that cannot are not looked at each time: they may be all there are. */
static struct out_stream *choose_stream(struct node_peer *peer, struct out_channel *channel, struct work *work) {
  struct out_stream *stream;
  while ((stream = out_stream_next(channel))) {
    if (choose_any(peer, stream, work)) return stream;
    out_stream_park(peer, stream);
  }
  return NULL;
}

/* ---- reading ---- */

void missed_read(struct node_peer *peer, enum channel c) {
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
  stream->read_from = work->from;
  stream->read_to = work->to;
}

/* What a read found of the stream: the extents of its blocks, and what is in them. */
struct found {
  struct intervals extents, runs;
};

void missed_take(
    struct node_peer *peer, const struct work *work, const struct stored *stored, const struct block *block) {
  struct out_stream *stream = work->stream;
  struct outgoing *out = outgoing_new(peer, stream, stored, block, work->lane);
  if (!out) {
    claims_add_block(peer, stream, block);
    return;
  }
  out->from_read = true;
  stream->waiting++;
  if (out->lane == LANE_LIVE) stream->waiting_live++;
  outgoing_push(&peer->channels[work->channel].backfill, out);
}

/* By its word in the greeting, it has what is in the block: only a hole of it, or what lies beside it, was read. */
static bool peer_has(const struct out_stream *stream, const struct block *block) {
  struct intervals runs = INTERVALS_NULL;
  if (stream->covered.count == 0 || intervals_overlaps(&stream->wanted, block->first, block->last)) return false;
  outgoing_runs(block, &runs);
  intervals_remove_all(&runs, &stream->covered);
  bool has = runs.count == 0;
  intervals_deinit(&runs);
  return has;
}

static void take_read(
    struct node_peer *peer, const struct work *work, const struct store_entry *entry, struct found *found) {
  struct stored stored = {entry->block, entry->lane, entry->position, NULL};
  struct block block;
  if (!entry->block || block_open(&block, blob_bytes(entry->block)) != 0) return;
  intervals_add(&found->extents, block.first, block.last);
  outgoing_runs(&block, &found->runs);
  if (!peer_has(work->stream, &block)) missed_take(peer, work, &stored, &block);
}

static void read_done(struct node_peer *peer, const struct work *work, const struct store_done *done) {
  struct out_stream *stream = work->stream;
  struct found found = {INTERVALS_NULL, INTERVALS_NULL};
  struct interval looked = {work->from, work->to};
  for (size_t i = 0; i < done->entry_count; i++) take_read(peer, work, &done->entries[i], &found);
  if (done->next > 0 && done->next - 1 < looked.to) looked.to = done->next - 1;
  intervals_remove(&stream->missed, looked.from, looked.to);
  intervals_remove_all(&stream->missed, &found.runs);
  claims_name_absent(peer, stream, looked, &found.extents, &found.runs, done); /* misses again what it cannot tell */
  intervals_deinit(&found.extents);
  intervals_deinit(&found.runs);
}

/* What was committed since the read began may not be in it. */
static void miss_again(struct node_peer *peer, struct out_stream *stream) {
  struct intervals again = stream->again;
  stream->again = INTERVALS_NULL;
  if (again.count > 0 && stream->undecided.count > 0) paced_reopen(peer, stream);
  for (size_t i = 0; i < again.count; i++) out_stream_miss(peer, stream, again.items[i].from, again.items[i].to);
  intervals_deinit(&again);
}

void missed_read_done(struct node_peer *peer, const struct work *work, const struct store_done *done) {
  struct out_channel *channel = &peer->channels[work->channel];
  struct out_stream *stream = work->stream;
  channel->read_under_way = false;
  stream->reading = stream->reading_live = false;
  peer_mark(peer);
  if (done->kind != STORE_DONE_READ || channel->held_back || !stream->shared) {
    out_stream_release(peer, stream);
    return;
  }
  if (paced(stream))
    paced_read_done(peer, work, done);
  else
    read_done(peer, work, done);
  out_stream_settles(peer, stream);
  miss_again(peer, stream);
}
