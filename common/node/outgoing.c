#include "common/base/mem.h"
#include "common/node/parts.h"
#include <stdlib.h>

/* ---- what is to go out ---- */

/* A new reference, or a smaller copy while the link carries little: a flood over a fast one needs no saving. */
static struct blob *pack(struct node_peer *peer, struct blob *blob, const struct block *block) {
  return window_is_thin(&peer->window) ? block_compress(peer->node->packer, blob, block) : blob_ref(blob);
}

static struct blob *share(struct node_peer *peer, size_t feed, const struct stored *from, const struct block *block) {
  const struct node_hooks *hooks = &peer->node->options.hooks;
  if (!hooks->share) return blob_ref(from->blob);
  return hooks->share(hooks->ctx, peer, feed, from->blob, block, from->lane, from->position);
}

/* The peer's clock minus ours, NULL while no ping of this session was answered. */
static const int64_t *clock_of(const struct node_peer *peer) {
  return peer->figures.round_trip > 0 ? &peer->figures.clock_offset : NULL;
}

static bool passes(void *ctx, const struct record *record) { return intervals_contains(ctx, record->sequence); }

static struct blob *thin(struct blob *blob, const struct intervals *pass) {
  struct blob *kept = NULL;
  struct block block;
  if (!blob || !pass) return blob;
  if (block_open(&block, blob_bytes(blob)) != 0 ||
      block_filter(&kept, blob, &block, passes, (struct intervals *)(uintptr_t)pass) != 0)
    kept = NULL;
  blob_unref(blob);
  return kept;
}

static struct blob *prepare(struct node_peer *peer, size_t feed, const struct stored *from, const struct block *block) {
  struct blob *shared = thin(share(peer, feed, from, block), from->pass), *hopped = NULL;
  struct block opened;
  if (!shared || block_open(&opened, blob_bytes(shared)) != 0) return blob_unref(shared);
  if (peer->config.role == NODE_PEER_NEIGHBOUR) {
    if (block_with_hop(&hopped, &opened, bytes_text(peer->node->name), node_now(peer->node).wall, clock_of(peer)) != 0)
      return blob_unref(shared); /* a path of 16: a loop */
    blob_unref(shared);
    shared = hopped;
    block_open(&opened, blob_bytes(shared));
  }
  return shared;
}

/* A block out of which duplicates were taken has holes that stand elsewhere: it may claim only what is in it. */
bool outgoing_has_holes(const struct block *block) { return block->last - block->first + 1 != block->count; }

void outgoing_runs(const struct block *block, struct intervals *runs) {
  struct block_reader *reader;
  struct record record;
  bool whole = !outgoing_has_holes(block);
  if (whole) intervals_add(runs, block->first, block->last);
  if (whole || block_reader_new(&reader, block) != 0) return;
  while (block_reader_next(reader, &record) == 0) intervals_add(runs, record.sequence, record.sequence);
  block_reader_free(reader);
}

bool outgoing_is_echo(const struct node_peer *peer, const struct out_stream *stream, const struct block *block) {
  return block_visited(block, bytes_text(peer->name)) &&
         !intervals_overlaps(&stream->wanted, block->first, block->last);
}

struct outgoing *outgoing_new(struct node_peer *peer, struct out_stream *stream, const struct stored *from,
    const struct block *block, enum lane lane) {
  if (outgoing_is_echo(peer, stream, block)) return NULL;
  struct blob *whole = prepare(peer, stream->feed, from, block);
  struct block opened;
  if (!whole) return NULL;
  block_open(&opened, blob_bytes(whole));
  struct blob *ready = pack(peer, whole, &opened);
  struct outgoing *out = mem_alloc(sizeof *out);
  *out = (struct outgoing){.stream = stream,
      .block = ready,
      .lane = lane,
      .from = block->first,
      .to = block->last,
      .records = opened.count,
      .saved = (uint32_t)(whole->len - ready->len),
      .source = outgoing_has_holes(block) ? blob_ref(from->blob) : NULL};
  blob_unref(whole);
  return out;
}

/* ---- queues ---- */

struct outgoing *outgoing_free(struct outgoing *out) {
  if (out->from_read) out->stream->waiting--;
  if (out->from_read && out->lane == LANE_LIVE) out->stream->waiting_live--;
  blob_unref(out->block);
  blob_unref(out->source);
  free(out);
  return NULL;
}

void outgoing_push(struct outgoing_queue *queue, struct outgoing *out) {
  if (queue->last)
    queue->last->next = out;
  else
    queue->first = out;
  queue->last = out;
  queue->bytes += out->block->len;
}

struct outgoing *outgoing_pop(struct outgoing_queue *queue) {
  struct outgoing *out = queue->first;
  if (!out) return NULL;
  queue->first = out->next;
  if (!queue->first) queue->last = NULL;
  queue->bytes -= out->block->len;
  return out;
}

void outgoing_clear(struct outgoing_queue *queue) {
  struct outgoing *out;
  while ((out = outgoing_pop(queue))) outgoing_free(out);
}

/* ---- pieces ---- */

struct cutting {
  struct node_peer *peer;
  const struct outgoing *whole;
  struct outgoing_queue pieces;
  uint64_t from; /* of the next piece: it covers what lies between it and the one before */
};

static void take_piece(void *ctx, struct blob *piece) {
  struct cutting *cutting = ctx;
  const struct outgoing *whole = cutting->whole;
  struct block opened;
  struct outgoing *out = mem_alloc(sizeof *out);
  block_open(&opened, blob_bytes(piece));
  *out = *whole;
  out->next = NULL;
  out->goes_on = true;
  out->from = cutting->from;
  out->to = opened.last;
  out->records = opened.count;
  cutting->from = opened.last + 1;
  out->block = pack(cutting->peer, piece, &opened);
  out->saved = (uint32_t)(piece->len - out->block->len);
  if (out->from_read) out->stream->waiting++;
  if (out->from_read && out->lane == LANE_LIVE) out->stream->waiting_live++;
  blob_unref(piece);
  outgoing_push(&cutting->pieces, out);
}

static void put_in_front(struct outgoing_queue *queue, const struct outgoing_queue *pieces) {
  pieces->last->next = queue->first;
  if (!queue->first) queue->last = pieces->last;
  queue->first = pieces->first;
  queue->bytes += pieces->bytes;
}

void outgoing_fit(struct node_peer *peer, struct outgoing_queue *queue, size_t most) {
  struct outgoing *whole = queue->first;
  struct block block;
  if (whole->source || whole->records < 2 || whole->block->len <= most + most / 2) return;
  size_t each = whole->records * most / whole->block->len;
  struct cutting cutting = {peer, whole, {NULL, NULL, 0}, whole->from};
  if (block_open(&block, blob_bytes(whole->block)) != 0) return;
  if (block_cut(&block, each ? (uint32_t)each : 1, take_piece, &cutting) != 0) {
    outgoing_clear(&cutting.pieces);
    return;
  }
  cutting.pieces.last->to = whole->to;
  cutting.pieces.last->goes_on = whole->goes_on;
  outgoing_free(outgoing_pop(queue));
  put_in_front(queue, &cutting.pieces);
}

/* ---- sent, not answered yet ---- */

void flights_add(struct node_peer *peer, struct flights *flights, struct flight flight) {
  flight.sent = node_now(peer->node).mono;
  flight.stream->flights++;
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
struct flight *flights_from(struct flights *flights, uint64_t number) {
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

void flights_drop_front(struct flights *flights) {
  while (flights->count > 0 && !flights->items[flights->head].stream) {
    flights->head++;
    flights->count--;
  }
  if (flights->count == 0) flights->head = 0;
}
