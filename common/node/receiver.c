/*
 * What comes from a peer: each message is checked, put into the batch of its channel, and acknowledged when that batch
 * is durable. Urgent has a batch of its own, so that it never waits for telemetry's bytes. A batch gathers messages of
 * all peers while the store is busy, up to a limit; then a message is put off alone (LATER), and what the batch holds
 * stays.
 */
#include "common/base/mem.h"
#include "common/node/parts.h"
#include <stdlib.h>

void receiver_count_refusal(struct node_peer *peer, const char *what, struct bytes stream) {
  uint64_t suppressed;
  peer->figures.refused_blocks++;
  if (log_allow(&peer->limit, node_now(peer->node).mono, &suppressed))
    log_warning("link", peer->principal, "refused from stream '" BYTES_FMT "': %s (%llu more before)",
        BYTES_ARG(stream), what, (unsigned long long)suppressed);
}

static void send_refused(struct node_peer *peer, enum channel channel, const struct link_message *m,
    enum link_refused code, const char *why, struct bytes stream) {
  receiver_count_refusal(peer, why, stream);
  peer_send(peer, CHANNEL_URGENT,
      &(struct link_message){.type = LINK_REFUSED,
          .session = peer->session,
          .channel = (uint8_t)channel,
          .number = m->number,
          .code = (uint8_t)code,
          .reason = bytes_text(why)});
}

/* ---- checks ---- */

/* Which streams a peer may bring: a station its own two, a neighbour any but ours and our stations', a broker none to
 * its gateway. */
static const char *forbids_stream(const struct node_peer *peer, enum channel channel, struct bytes stream) {
  struct bytes origin = stream_node(stream);
  if (peer->config.role == NODE_PEER_UPSTREAM) return "a broker sends no records to its gateway";
  if (peer->config.role == NODE_PEER_STATION && !bytes_equal(origin, bytes_text(peer->name)))
    return "the stream is not this station's own";
  if (bytes_equal(origin, bytes_text(peer->node->name))) return "the stream is this node's own";
  if (peer->config.role == NODE_PEER_NEIGHBOUR && address_below(origin, bytes_text(peer->node->name)))
    return "the stream is one of this node's stations'";
  if (stream_is_urgent(stream) != (channel == CHANNEL_URGENT)) return "the stream does not belong into this channel";
  return NULL;
}

static const char *forbids_addresses(const struct block *block) {
  struct block_reader *reader;
  const struct bytes *addresses;
  struct bytes origin = stream_node(block->stream);
  bool good = true;
  if (block_reader_new(&reader, block) != 0) return "the records cannot be read";
  size_t count = block_reader_addresses(reader, &addresses);
  for (size_t i = 0; i < count && good; i++) good = address_below(addresses[i], origin);
  block_reader_free(reader);
  return good ? NULL : "an address does not belong to the stream's node";
}

static const char *forbids_scope(const struct node_peer *peer, uint8_t type, uint64_t scope) {
  for (size_t i = 0; i < peer->scope_count; i++)
    if (peer->scopes[i] == scope || (type == LINK_CLAIM && (link_settled_scope(peer->scopes[i]) == scope ||
                                                               link_echo_scope(peer->scopes[i]) == scope)))
      return NULL;
  return "it comes under rules that this session does not know";
}

static const char *malformed(const struct link_message *m, struct block *block) {
  int result = block_open(block, m->body);
  if (result == BLOCK_VERSION_UNKNOWN) return "the block has a version that is not known here";
  if (result != 0) return "the block is damaged or malformed";
  if (block->first == 0) return "the block's sequences are out of range";
  if (m->from > 0 && (m->from > block->first || m->to < block->last))
    return "the block is outside the range it claims to cover";
  return block_check(block) == 0 ? NULL : "the block's records are malformed";
}

static enum channel lane_channel(enum lane lane) { return lane == LANE_URGENT ? CHANNEL_URGENT : CHANNEL_TELEMETRY; }

static const char *forbidden(struct node_peer *peer, enum channel channel, const struct link_message *m,
    const struct block *block, enum link_refused *code) {
  *code = LINK_REFUSED_FORBIDDEN;
  const char *why = forbids_stream(peer, channel, block->stream);
  if (!why) why = forbids_scope(peer, m->type, m->scope);
  if (why) return why;
  if (lane_channel((enum lane)m->lane) != channel) return "the lane does not belong into this channel";
  if (block_visited(block, bytes_text(peer->node->name)) && !wanted_from(peer, block))
    return "the block was here already: a loop";
  why = forbids_addresses(block);
  return why ? why : names_forbid(peer, block->stream, block->epoch, code);
}

/* ---- the batch ---- */

static struct inbox *inbox_of(struct node *node, enum channel channel) {
  struct inbox *inbox = &node->inbox[channel];
  if (!inbox->batch) {
    inbox->batch = store_batch_new();
    inbox->work = work_new(node, WORK_RECEIVE);
    inbox->work->channel = channel;
    store_batch_in_order(inbox->batch);
    if (channel == CHANNEL_URGENT) store_batch_urgent(inbox->batch);
  }
  return inbox;
}

static void note_receipt(struct inbox *inbox, struct node_peer *peer, enum channel channel, uint64_t number) {
  struct work *work = inbox->work;
  struct receipt *last = work->receipt_count > 0 ? &work->receipts[work->receipt_count - 1] : NULL;
  if (last && last->peer_id == peer->id && last->session == peer->session && last->channel == channel &&
      last->to + 1 == number) {
    last->to = number;
    return;
  }
  if (work->receipt_count == work->receipt_cap) {
    work->receipt_cap = work->receipt_cap ? work->receipt_cap * 2 : 8;
    work->receipts = mem_resize(work->receipts, work->receipt_cap, sizeof *work->receipts);
  }
  peer->receipts_open[channel]++;
  work->receipts[work->receipt_count++] = (struct receipt){peer->id, peer->session, channel, number, number};
}

static void inbox_begin(struct inbox *inbox) { *inbox = (struct inbox){.group = inbox->group + 1}; }

static void flush_inbox(struct node *node, struct inbox *inbox) {
  /* busy: after the next completion */
  if (!inbox->batch || store_submit(node->options.store, inbox->batch, inbox->work) != 0) return;
  inbox_begin(inbox);
}

static size_t charge_of(const struct node_peer *peer, enum channel channel) {
  return peer->charge[channel].group == peer->node->inbox[channel].group ? peer->charge[channel].bytes : 0;
}

static void charge(struct node_peer *peer, enum channel channel, size_t bytes) {
  struct inbox *inbox = &peer->node->inbox[channel];
  peer->charge[channel].bytes = charge_of(peer, channel) + bytes;
  peer->charge[channel].group = inbox->group;
  inbox->bytes += bytes;
}

/* One peer gets half of a group at most, so that a flood leaves room for the others while the store is busy. */
static bool is_full(const struct node_peer *peer, enum channel channel) {
  const struct node *node = peer->node;
  return node->inbox[channel].bytes >= node->inbox_most || charge_of(peer, channel) >= node->inbox_most / 2;
}

static bool has_room(struct node_peer *peer, enum channel channel) {
  if (is_full(peer, channel)) flush_inbox(peer->node, &peer->node->inbox[channel]);
  return !is_full(peer, channel);
}

void receiver_flush(struct node *node) {
  flush_inbox(node, &node->inbox[CHANNEL_URGENT]);
  flush_inbox(node, &node->inbox[CHANNEL_TELEMETRY]);
}

/* ---- answers ---- */

static void answer(struct node *node, const struct receipt *receipt, uint8_t type) {
  struct node_peer *peer = node_peer_of_id(node, receipt->peer_id);
  if (!peer || peer->session != receipt->session) return;
  peer_send(peer, CHANNEL_URGENT,
      &(struct link_message){.type = type,
          .session = peer->session,
          .channel = (uint8_t)receipt->channel,
          .number = receipt->from,
          .to = receipt->to});
}

/* ---- the three kinds ---- */

static struct bytes copy_text(struct bytes from) {
  return bytes_of(from.len ? mem_copy(from.data, from.len) : NULL, from.len);
}

static void note_claim(struct work *work, const struct node_peer *peer, struct bytes stream, struct epoch epoch) {
  const struct work_claim *last = work->claim_count > 0 ? &work->claims[work->claim_count - 1] : NULL;
  if (last && last->peer_id == peer->id && bytes_equal(last->stream, stream) && epoch_compare(last->epoch, epoch) == 0)
    return;
  if (work->claim_count == work->claim_cap) {
    work->claim_cap = work->claim_cap ? work->claim_cap * 2 : 8;
    work->claims = mem_resize(work->claims, work->claim_cap, sizeof *work->claims);
  }
  work->claims[work->claim_count++] = (struct work_claim){peer->id, copy_text(stream), epoch};
}

/* Whether the message claims more than what stands in the block as it is stored. */
static bool claims_more(const struct link_message *m, const struct block *block, bool changed) {
  return changed || m->from < block->first || m->to > block->last || outgoing_has_holes(block);
}

/* replace: what is stored in its place, NULL: the block itself. */
static void put_block(struct node *node, const struct link_message *m, const struct lane_claim *claim,
    struct blob *replace, const struct block *block, struct store_batch *batch) {
  struct block opened = *block;
  if (replace) block_open(&opened, blob_bytes(replace));
  lanes_put(node, batch, (enum lane)m->lane, claim, replace ? replace : blob_copy(m->body), &opened);
}

static void take_block(struct node_peer *peer, enum channel channel, const struct link_message *m,
    const struct block *block, struct inbox *inbox) {
  const struct node_hooks *hooks = &peer->node->options.hooks;
  struct blob *replace = NULL;
  const char *reason = "the agreement does not allow it";
  bool drop = false;
  if (hooks->admit &&
      hooks->admit(hooks->ctx, peer, (enum lane)m->lane, block, inbox->batch, &replace, &drop, &reason) != NODE_ADMIT) {
    send_refused(peer, channel, m, LINK_REFUSED_FORBIDDEN, reason, block->stream);
    return;
  }
  struct bytes source = bytes_text(peer->principal);
  bool claims = m->from > 0;
  if (m->lane == LANE_BACKFILL) peer->filled = node_now(peer->node).wall;
  if (claims && claims_more(m, block, drop || replace)) note_claim(inbox->work, peer, block->stream, block->epoch);
  if (drop && claims)
    store_batch_claim(inbox->batch, source, m->scope, block->stream, block->epoch, m->from, m->to);
  else if (!drop)
    put_block(peer->node, m, &(struct lane_claim){source, m->scope, claims ? m->from : 1, claims ? m->to : 0}, replace,
        block, inbox->batch);
  note_receipt(inbox, peer, channel, m->number);
  if (NODE_HAS_DEFECT(NODE_DEFECT_ACK_EARLY))
    answer(peer->node, &(struct receipt){peer->id, peer->session, channel, m->number, m->number}, LINK_ACK);
  charge(peer, channel, RECEIVER_MESSAGE_BYTES + m->body.len);
  has_room(peer, channel); /* a full group goes at once */
}

static void on_block(struct node_peer *peer, enum channel channel, const struct link_message *m) {
  struct block block;
  const char *why = malformed(m, &block);
  enum link_refused code = LINK_REFUSED_MALFORMED;
  if (!why) why = forbidden(peer, channel, m, &block, &code);
  if (why)
    send_refused(peer, channel, m, code, why, block.stream);
  else
    take_block(peer, channel, m, &block, inbox_of(peer->node, channel));
}

/* What the origin says is gone never comes. A relay's word may become untrue (settled.c). */
static uint64_t scope_of_range(const struct node_peer *peer, const struct link_message *m) {
  bool origins = bytes_equal(stream_node(m->stream), bytes_text(peer->name));
  return m->type == LINK_CLAIM || origins ? m->scope : link_settled_scope(m->scope);
}

/* By whose word it is gone: the origin's, and its province's, count as theirs only where they tell it. What a relay
 * says of them is the relay's word and noted so, once: "chongqing/cuntan via sichuan". Nobody named: the peer. */
static struct bytes word_of(const struct node_peer *peer, const struct link_message *m, struct buffer *text) {
  struct bytes origin = stream_node(m->stream), name = bytes_text(peer->name);
  if (m->by.len == 0) return name;
  if (address_below(origin, name) || !address_below(origin, m->by)) return m->by;
  buffer_append(text, m->by);
  buffer_printf(text, NODE_VIA "%s", peer->name);
  return text->len <= ADDRESS_MAX ? buffer_bytes(text) : name;
}

static void note_discard(struct work *work, const struct store_discard *discard) {
  work->discards = mem_resize(work->discards, work->discard_count + 1, sizeof *work->discards);
  struct store_discard *kept = &work->discards[work->discard_count++];
  *kept = *discard;
  kept->stream = copy_text(discard->stream);
  kept->by = copy_text(discard->by);
  kept->reason = copy_text(discard->reason);
}

static void on_range(struct node_peer *peer, enum channel channel, const struct link_message *m) {
  enum link_refused code = LINK_REFUSED_FORBIDDEN;
  const char *why = forbids_stream(peer, channel, m->stream);
  if (!why) why = forbids_scope(peer, m->type, m->scope);
  if (!why && (m->stream.len > STREAM_MAX || address_check(stream_node(m->stream), NULL) != 0 || m->from == 0 ||
                  m->to > RECEIVER_SEQUENCE_MAX))
    why = "the range is malformed";
  if (!why && m->type == LINK_DISCARD &&
      (m->by.len > ADDRESS_MAX || m->reason.len > 64 || !bytes_is_utf8(m->by) || !bytes_is_utf8(m->reason)))
    why = "the discard's texts are malformed";
  if (!why) why = names_forbid(peer, m->stream, m->epoch, &code);
  if (why) {
    send_refused(peer, channel, m, code, why, m->stream);
    return;
  }
  struct inbox *inbox = inbox_of(peer->node, channel);
  /* What a relay merely does not have may come to it later: noted, but asked for again. */
  bool claims = m->type == LINK_CLAIM || !bytes_equal(m->reason, bytes_text("not-held"));
  if (claims)
    store_batch_claim(
        inbox->batch, bytes_text(peer->principal), scope_of_range(peer, m), m->stream, m->epoch, m->from, m->to);
  if (claims) note_claim(inbox->work, peer, m->stream, m->epoch);
  struct buffer word = BUFFER_NULL;
  if (m->type == LINK_DISCARD) {
    struct store_discard discard = {.stream = m->stream,
        .epoch = m->epoch,
        .from = m->from,
        .to = m->to,
        .by = word_of(peer, m, &word),
        .reason = m->reason,
        .time = m->time};
    store_batch_discard(inbox->batch, &discard);
    if (missed_is_news(peer->node, &discard)) note_discard(inbox->work, &discard);
  }
  buffer_deinit(&word);
  note_receipt(inbox, peer, channel, m->number);
  charge(peer, channel, RECEIVER_MESSAGE_BYTES + m->by.len + m->reason.len);
}

/* Not stored, and nothing after it either until the peer begins again there: the order. */
static void put_off(struct node_peer *peer, enum channel channel, uint64_t number) {
  peer->refusing[channel] = true;
  answer(peer->node, &(struct receipt){peer->id, peer->session, channel, number, number}, LINK_LATER);
}

void receiver_message(struct node_peer *peer, enum channel channel, const struct link_message *m) {
  if (peer->state != SESSION_UP && peer->state != SESSION_RESUMING) return;
  if (m->number < peer->expected[channel]) return; /* doubled on the way; its acknowledgement comes or came */
  if (m->number > peer->expected[channel] && !NODE_HAS_DEFECT(NODE_DEFECT_NO_GAP_CHECK)) {
    session_end(peer, "messages were lost on the way");
    return;
  }
  peer->expected[channel]++;
  if ((peer->refusing[channel] && !NODE_HAS_DEFECT(NODE_DEFECT_AFTER_REFUSED)) || !has_room(peer, channel))
    put_off(peer, channel, m->number);
  else if (m->type == LINK_BLOCK)
    on_block(peer, channel, m);
  else
    on_range(peer, channel, m);
}

/* ---- after the commit ---- */

static bool has_open_receipts(const struct node_peer *peer) {
  return peer->receipts_open[CHANNEL_URGENT] + peer->receipts_open[CHANNEL_TELEMETRY] > 0;
}

static void answer_all(struct node *node, const struct work *work, uint8_t type) {
  for (size_t i = 0; i < work->receipt_count; i++) {
    struct node_peer *peer = node_peer_of_id(node, work->receipts[i].peer_id);
    answer(node, &work->receipts[i], type);
    if (!peer) continue;
    peer->receipts_open[work->channel]--;
    if (!has_open_receipts(peer)) session_receipts_done(peer);
  }
}

/* The store refuses all of the channel that was on its way with what it refused; what waits here follows that, and what
 * its peers still send does too. */
static void refuse_what_follows(struct node *node, enum channel channel) {
  struct inbox inbox = node->inbox[channel];
  for (size_t i = 0; i < node->peer_count; i++)
    if (node->peers[i]->receipts_open[channel] > 0) node->peers[i]->refusing[channel] = true;
  if (!inbox.batch) return;
  inbox_begin(&node->inbox[channel]);
  answer_all(node, inbox.work, LINK_LATER);
  store_batch_free(inbox.batch);
  work_free(node, inbox.work);
}

void receiver_done(struct node *node, struct work *work, const struct store_done *done) {
  bool durable = done->kind == STORE_DONE_BATCH;
  if (!durable)
    log_warning("link", NULL, "%zu runs of messages were not stored (%s): they are asked for again later",
        work->receipt_count, done->refusal == STORE_REFUSAL_FULL ? "the store is full" : "refused by the store");
  if (!durable) refuse_what_follows(node, work->channel);
  if (!durable) lanes_forget(node);
  answer_all(node, work, durable ? LINK_ACK : LINK_LATER);
  if (durable) node_discards(node, work->discards, work->discard_count);
  for (size_t i = 0; i < work->claim_count && durable; i++) {
    const struct node_peer *source = node_peer_of_id(node, work->claims[i].peer_id);
    if (source) settled_changed(source, work->claims[i].stream, work->claims[i].epoch);
  }
}
