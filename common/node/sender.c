/*
 * What goes to a peer. Two sources: blocks offered just after their commit (live queue), and ranges that the peer
 * misses, read back from the store (backfill queue, missed.c). A block that does not fit the window's worth of queue
 * becomes a missed range: the newest goes on, the rest follows. What is on the way is remembered as ranges, not as
 * bytes; when the session ends all of it is forgotten, since the next one begins with what the receiver says it holds.
 */
#include "common/base/mem.h"
#include "common/node/parts.h"
#include <stdlib.h>

/* ---- life ---- */

void sender_reset(struct node_peer *peer) {
  for (int c = 0; c < CHANNELS; c++) {
    struct out_channel *channel = &peer->channels[c];
    outgoing_clear(&channel->live);
    outgoing_clear(&channel->backfill);
    channel->flights.head = channel->flights.count = 0;
    channel->missing_count = channel->missing_next = 0;
    channel->next_number = 1;
    channel->read_under_way = channel->held_back = false;
    channel->live_since_backfill = 0;
    channel->retry_at = 0;
    channel->retry_us = SENDER_RETRY_US;
  }
  for (size_t i = 0; i < peer->stream_count; i++) out_stream_free(peer->streams[i]);
  for (struct out_stream *next, *stream = peer->retired; stream; stream = next) {
    next = stream->next;
    out_stream_free(stream);
  }
  peer->retired = NULL;
  peer->ticked.first = peer->ticked.last = NULL;
  peer->stream_count = 0;
  peer->rules = RULES_KNOWN; /* the next greeting tells them */
  peer->rules_at = 0;
  peer->asks = 0;
  table_deinit(&peer->by_stream, NULL);
  peer->window.in_flight = 0;
  peer->urgent_in_flight = 0;
}

/* ---- new rules ---- */

static void drop_queued(struct outgoing_queue *queue, const size_t *places) {
  struct outgoing_queue all = *queue;
  struct outgoing *out;
  *queue = (struct outgoing_queue){NULL, NULL, 0};
  while ((out = outgoing_pop(&all))) {
    out->next = NULL;
    if (places[out->stream->feed] == NODE_FEEDS_MAX)
      outgoing_free(out);
    else
      outgoing_push(queue, out);
  }
}

void sender_rearrange(struct node_peer *peer, const size_t *places) {
  struct stream_key key;
  size_t kept = 0, count = peer->stream_count;
  for (int c = 0; c < CHANNELS; c++) {
    drop_queued(&peer->channels[c].live, places);
    drop_queued(&peer->channels[c].backfill, places);
  }
  table_deinit(&peer->by_stream, NULL);
  peer->stream_count = 0;
  for (size_t i = 0; i < count; i++) {
    struct out_stream *stream = peer->streams[i];
    size_t place = places[stream->feed];
    if (place == NODE_FEEDS_MAX) {
      out_stream_retire(peer, stream);
      continue;
    }
    stream->feed = (uint32_t)place;
    table_put(&peer->by_stream, stream_key(&key, place, stream->stream, stream->epoch), stream);
    peer->streams[kept++] = stream;
  }
  peer->stream_count = kept;
}

/* ---- the live queue ---- */

/* Moves what stands in the live queue to what is missed; stream NULL: of all streams. */
static void yield_live(struct node_peer *peer, struct out_channel *channel, const struct out_stream *stream) {
  struct outgoing_queue all = channel->live;
  struct outgoing *out;
  channel->live = (struct outgoing_queue){NULL, NULL, 0};
  while ((out = outgoing_pop(&all))) {
    out->next = NULL;
    if (stream && out->stream != stream) {
      outgoing_push(&channel->live, out);
      continue;
    }
    if (!NODE_HAS_DEFECT(NODE_DEFECT_FORGET_MISSED)) out_stream_miss(peer, out->stream, out->from, out->to);
    outgoing_free(out);
  }
}

/* The live queue holds what live_most says; beyond it the oldest become missed, so that live stays live. Of a stream
 * with a hole, or whose missed blocks go out in the live lane, all of it: it has to stay in order. Of a block that was
 * cut the rest goes together: if its middle went on alone, the receiver would make a block with a hole of what follows,
 * and a relay could send on neither in order. */
static void trim_live(struct node_peer *peer, struct out_channel *channel, size_t most) {
  for (bool rest = false;
       channel->live.first && (rest || (channel->live.bytes > most && channel->live.first != channel->live.last));) {
    struct outgoing *out = outgoing_pop(&channel->live);
    struct out_stream *stream = out->stream;
    uint64_t to = out->to;
    rest = out->goes_on;
    if (!NODE_HAS_DEFECT(NODE_DEFECT_FORGET_MISSED)) out_stream_miss(peer, stream, out->from, out->to);
    outgoing_free(out);
    if (stream->as_live || to >= missed_hole(peer, stream)) {
      yield_live(peer, channel, stream);
      rest = false;
    }
  }
}

/* What the link carries in a second, so that live is not older than that; the window itself at most. */
static size_t live_most(const struct node_peer *peer) {
  size_t most = (size_t)peer->window.now * 4;
  if (most < SENDER_LIVE_LEAST) most = SENDER_LIVE_LEAST;
  return most < peer->config.window_bytes ? most : peer->config.window_bytes;
}

static void offer(struct node_peer *peer, size_t feed, const struct store_item *item, const struct block *block) {
  struct out_stream *stream = out_stream_of(peer, feed, block->stream, block->epoch);
  if (!stream->shared) return;
  if (stream->parked) out_stream_list(peer, stream); /* it may fill the hole */
  /* An old copy of our store takes in again what the peer has long had, or was told is gone: that it stays. */
  if (intervals_covers(&stream->covered, block->first, block->last)) return;
  if (paced(stream)) {
    paced_offer(peer, stream, item, block);
    return;
  }
  bool steps_back = item->lane == LANE_LIVE && block->first <= stream->top;
  if (item->lane == LANE_BACKFILL || steps_back || out_stream_channel(peer, stream)->held_back ||
      missed_is_catching_up(peer, stream)) {
    out_stream_miss(peer, stream, block->first, block->last);
    return;
  }
  struct outgoing *out =
      outgoing_new(peer, stream, &(struct stored){item->block, item->lane, item->position, NULL}, block, item->lane);
  peer_mark(peer);
  if (!out) {
    claims_add_block(peer, stream, block);
    return;
  }
  struct out_channel *channel = out_stream_channel(peer, stream);
  outgoing_push(&channel->live, out);
  if (!stream->urgent) trim_live(peer, channel, live_most(peer));
}

void sender_offer(struct node_peer *peer, const struct store_item *item, const struct block *block) {
  for (size_t feed = 0; feed < peer->feed_count; feed++)
    if (!(peer->asks >> feed & 1)) offer(peer, feed, item, block);
}

/* ---- sending ---- */

static bool send_block(struct node_peer *peer, enum channel c, struct outgoing *out) {
  struct out_channel *channel = &peer->channels[c];
  struct out_stream *stream = out->stream;
  bool whole = out->source == NULL;
  if (whole && !stream->claim_echo && stream->claim_from <= stream->claim_to && stream->claim_to + 1 == out->from) {
    out->from = stream->claim_from; /* the block brings the claim along */
    stream->claim_from = 1;
    stream->claim_to = 0;
  }
  struct link_message m = {.type = LINK_BLOCK,
      .session = peer->session,
      .number = channel->next_number,
      .lane = (uint8_t)out->lane,
      .scope = stream->scope,
      .from = whole ? out->from : 0,
      .to = whole ? out->to : 0,
      .body = blob_bytes(out->block)};
  if (!peer_send(peer, c, &m)) return false;
  claims_name(peer, stream);
  if (whole) out_stream_claimed(stream, out->from, out->to);
  flights_add(peer, &channel->flights,
      (struct flight){.number = channel->next_number++,
          .stream = stream,
          .from = out->from,
          .to = out->to,
          .bytes = out->block->len,
          .live = out->lane == LANE_LIVE,
          .records = out->records});
  if (out->lane == LANE_LIVE && out->to > stream->top) stream->top = out->to;
  peer->figures.sent_records[out->lane] += out->records;
  peer->figures.sent_bytes += out->block->len;
  peer->figures.saved_bytes += out->saved;
  const struct node_hooks *hooks = &peer->node->options.hooks;
  if (c == CHANNEL_TELEMETRY && hooks->sent) hooks->sent(hooks->ctx, peer, out->records, out->block->len);
  if (c == CHANNEL_URGENT)
    peer->urgent_in_flight += out->block->len;
  else if (!NODE_HAS_DEFECT(NODE_DEFECT_NO_WINDOW))
    window_sent(&peer->window, out->block->len, node_now(peer->node).mono);
  struct block source;
  if (whole) return true;
  out_stream_settles(peer, stream);
  if (block_open(&source, blob_bytes(out->source)) == 0) claims_add_block(peer, stream, &source);
  return true;
}

static bool may_send(struct node_peer *peer, enum channel c, size_t bytes) {
  const struct node_hooks *hooks = &peer->node->options.hooks;
  if (c == CHANNEL_TELEMETRY)
    return window_open(&peer->window, bytes) && (!hooks->may_send || hooks->may_send(hooks->ctx, peer, bytes));
  /* The pings go by this connection: what stands before them must not take as long as a dead link. */
  size_t most = peer->window.now > SENDER_URGENT_LEAST ? peer->window.now : SENDER_URGENT_LEAST;
  if (most > SENDER_URGENT_WINDOW) most = SENDER_URGENT_WINDOW;
  return peer->urgent_in_flight == 0 || peer->urgent_in_flight + bytes <= most;
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
  while ((queue = pick(channel, c))) {
    outgoing_fit(peer, queue, window_block(&peer->window));
    if (!may_send(peer, c, queue->first->block->len)) break;
    bool live = queue == &channel->live;
    if (!send_block(peer, c, queue->first)) break;
    channel->live_since_backfill = live ? channel->live_since_backfill + queue->first->block->len : 0;
    outgoing_free(outgoing_pop(queue));
    if (!live) missed_read(peer, c);
  }
  missed_read(peer, c);
}

void sender_pump(struct node_peer *peer) {
  if (peer->state != SESSION_UP || peer->config.role == NODE_PEER_STATION) return;
  pump_channel(peer, CHANNEL_URGENT);
  if (peer->conns[CHANNEL_TELEMETRY] && peer->attached) pump_channel(peer, CHANNEL_TELEMETRY);
}

/* Behind all that was sent; and not while all of that is refused. */
static bool may_settle(struct node_peer *peer, const struct out_stream *stream) {
  bool open = stream->urgent || (peer->conns[CHANNEL_TELEMETRY] && peer->attached);
  return stream->shared && open && !out_stream_channel(peer, stream)->held_back;
}

static void tick_stream(struct node_peer *peer, struct out_stream *stream, int64_t now) {
  if (stream->claim_from <= stream->claim_to && now - stream->claim_since >= SENDER_CLAIM_US) claims_send(peer, stream);
  if (stream->unsettled && now - stream->settled_at >= SENDER_CLAIM_US && may_settle(peer, stream)) {
    stream->unsettled = false;
    stream->settled_at = now;
    settled_tell(peer, stream);
  }
  if (stream->later_count > 0) paced_tick(peer, stream);
  if (stream->parked && now >= stream->look_at) out_stream_list(peer, stream);
  if (stream->as_live && !missed_is_catching_up(peer, stream)) stream->as_live = false;
}

/* What is no longer shared never is again. */
static bool has_more(const struct out_stream *stream) {
  return stream->claim_from <= stream->claim_to || (stream->unsettled && stream->shared) || stream->later_count > 0 ||
         stream->as_live || stream->parked;
}

void sender_tick(struct node_peer *peer) {
  if (peer->state == SESSION_UP) rules_tick(peer);
  if (peer->state != SESSION_UP) return;
  int64_t now = node_now(peer->node).mono;
  for (int c = 0; c < CHANNELS; c++) {
    const struct flights *flights = &peer->channels[c].flights;
    if (flights->count > 0 && now - flights->items[flights->head].sent > SENDER_ANSWER_US) {
      session_end(peer, "an answer is missing");
      return;
    }
  }
  for (struct out_stream *next, *stream = peer->ticked.first; stream; stream = next) {
    next = stream->after;
    tick_stream(peer, stream, now);
    if (!has_more(stream)) out_stream_no_tick(peer, stream);
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
  struct out_stream *stream = flight->stream;
  flight->stream = NULL;
  stream->flights--;
  out_stream_release(peer, stream);
}

void sender_ack(struct node_peer *peer, enum channel c, uint64_t from, uint64_t to) {
  struct flights *flights = &peer->channels[c].flights;
  struct flight *end = flights->items + flights->head + flights->count;
  for (struct flight *flight = flights_from(flights, from); flight < end && flight->number <= to; flight++) {
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
  while ((out = outgoing_pop(&channel->backfill))) {
    out_stream_miss(peer, out->stream, out->from, out->to);
    outgoing_free(out);
  }
  for (size_t i = 0; i < peer->stream_count; i++) {
    struct out_stream *stream = peer->streams[i];
    if (out_stream_channel(peer, stream) != channel || stream->claim_from > stream->claim_to) continue;
    out_stream_miss(peer, stream, stream->claim_from, stream->claim_to);
    stream->claim_from = 1;
    stream->claim_to = 0;
  }
}

static void put_off(struct node_peer *peer, struct flight *flight) {
  struct out_stream *stream = flight->stream;
  intervals_remove(flight->settled ? &stream->settled : &stream->claimed, flight->from, flight->to);
  out_stream_settles(peer, stream);
  if (!flight->settled && !NODE_HAS_DEFECT(NODE_DEFECT_FORGET_MISSED))
    out_stream_miss(peer, stream, flight->from, flight->to);
}

void sender_later(struct node_peer *peer, enum channel c, uint64_t from, uint64_t to) {
  struct out_channel *channel = &peer->channels[c];
  struct flights *flights = &channel->flights;
  struct flight *end = flights->items + flights->head + flights->count;
  if (NODE_HAS_DEFECT(NODE_DEFECT_LATER_IS_ACK)) {
    sender_ack(peer, c, from, to);
    return;
  }
  for (struct flight *flight = flights_from(flights, from); flight < end && flight->number <= to; flight++) {
    if (!flight->stream) continue;
    put_off(peer, flight);
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
  struct flight *flight = flights_from(flights, number);
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
