/*
 * What a node tells, in its greeting and when the other side's rules change, of what it holds: for each stream and feed
 * of the other side the ranges of which that said that they are all; and what it is told. A peer is resumed from that
 * word and not from what was sent to it: ranges are kept only while a session lasts.
 */
#include "common/base/mem.h"
#include "common/node/parts.h"
#include <stdlib.h>

enum { HELD_BATCH_CLAIMS = 1024 };

/* A subset: the largest ranges, so that the least is sent twice. */
static void put_largest(struct link_message *m, const struct intervals *covered) {
  uint64_t least = 0;
  for (;;) { /* raise the least size that is told until few enough are left */
    size_t kept = 0;
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < covered->count; i++) {
      uint64_t size = covered->items[i].to - covered->items[i].from;
      if (size < least) continue;
      kept++;
      if (size < next) next = size;
    }
    if (kept <= LINK_RANGES_MAX) break;
    least = next + 1;
  }
  for (size_t i = 0; i < covered->count; i++)
    if (covered->items[i].to - covered->items[i].from >= least) m->ranges[m->range_count++] = covered->items[i];
}

/* ---- telling ---- */

struct teller {
  struct node_peer *peer;
  uint32_t feeds; /* of theirs: a bit each */
  uint64_t count, names;
  struct store_batch **batches; /* what is claimed under new rules because it was under old ones */
  size_t batch_count, claim_count;
};

static void note_claim(
    struct teller *teller, const struct store_stream *stream, uint64_t scope, struct interval range) {
  if (teller->claim_count++ % HELD_BATCH_CLAIMS == 0) {
    teller->batches = mem_resize(teller->batches, teller->batch_count + 1, sizeof(struct store_batch *));
    teller->batches[teller->batch_count++] = store_batch_new();
  }
  store_batch_claim(teller->batches[teller->batch_count - 1], bytes_text(teller->peer->principal), scope,
      stream->stream, stream->epoch, range.from, range.to);
}

/* A store that is busy or full does not take them: the next greeting names the old rules again. */
static void submit_claims(struct teller *teller) {
  struct node *node = teller->peer->node;
  for (size_t i = 0; i < teller->batch_count; i++) {
    struct work *work = work_new(node, WORK_CLAIMS);
    if (store_submit(node->options.store, teller->batches[i], work) == 0) continue;
    store_batch_free(teller->batches[i]);
    work_free(node, work);
  }
  free(teller->batches);
}

static void add_claimed(
    const struct teller *teller, const struct store_stream *stream, uint64_t scope, struct intervals *claimed) {
  const struct node_peer *peer = teller->peer;
  store_claimed(peer->node->options.store, stream->stream, stream->epoch, bytes_text(peer->principal), scope, claimed);
}

/* What was claimed under the scope before, where the other side says that it holds under the new one too. */
static void add_inherited(struct teller *teller, const struct store_stream *stream, uint64_t old_scope, uint64_t scope,
    struct intervals *covered) {
  struct intervals old = INTERVALS_NULL;
  add_claimed(teller, stream, old_scope, &old);
  intervals_remove_all(&old, covered);
  for (size_t i = 0; i < old.count; i++) note_claim(teller, stream, scope, old.items[i]);
  intervals_add_all(covered, &old);
  intervals_deinit(&old);
}

static void add_covered(
    struct teller *teller, const struct store_stream *stream, size_t feed, struct intervals *covered) {
  uint64_t scope = teller->peer->scopes[feed], old = teller->peer->old_scopes[feed];
  add_claimed(teller, stream, scope, covered);
  add_claimed(teller, stream, link_echo_scope(scope), covered);
  if (old == 0) return;
  add_inherited(teller, stream, old, scope, covered);
  add_inherited(teller, stream, link_echo_scope(old), link_echo_scope(scope), covered);
}

/* In as many messages as it takes: of a filtered stream each record may be a range. Where very many have been sent
 * already, in one. */
static void tell_ranges(struct teller *teller, const struct store_stream *stream, uint64_t scope, bool theirs,
    const struct intervals *covered) {
  size_t next = 0;
  do {
    struct link_message m = {.type = LINK_HELD,
        .session = teller->peer->session,
        .stream = stream->stream,
        .epoch = stream->epoch,
        .last = stream->last,
        .scope = scope,
        .number = ++teller->count};
    if (teller->count > SESSION_TOLD_MAX / 2)
      put_largest(&m, covered);
    else
      while (next < covered->count && m.range_count < LINK_RANGES_MAX)
        m.ranges[m.range_count++] = covered->items[next++];
    for (uint32_t i = 0; theirs && i < stream->run_count; i++)
      m.runs[m.run_count++] = (struct link_run){stream->runs[i].run, stream->runs[i].first};
    peer_send(teller->peer, CHANNEL_URGENT, &m);
  } while (next < covered->count && teller->count < SESSION_TOLD_MAX / 2);
}

/* One feed of theirs. */
static bool tell_feed(struct teller *teller, const struct store_stream *stream, size_t feed) {
  struct node_peer *peer = teller->peer;
  uint64_t scope = peer->scopes[feed];
  bool theirs = bytes_equal(stream_node(stream->stream), bytes_text(peer->name));
  struct intervals covered = INTERVALS_NULL;
  add_covered(teller, stream, feed, &covered);
  bool known = theirs || covered.count > 0;
  if (known) tell_ranges(teller, stream, scope, theirs, &covered);
  intervals_deinit(&covered);
  return known;
}

static void tell_stream(void *ctx, const struct store_stream *stream) {
  struct teller *teller = ctx;
  bool known = false;
  for (size_t i = 0; i < teller->peer->scope_count; i++)
    if ((teller->feeds >> i & 1) && tell_feed(teller, stream, i)) known = true;
  teller->names += known;
  /* nothing could be told as settled by a source that had not greeted yet */
  if (known) settled_changed(teller->peer, stream->stream, stream->epoch);
}

/* A station brings its own two and no others: where thousands greet, none of them has all streams walked through. */
static void tell_streams(struct teller *teller) {
  const struct node_peer *peer = teller->peer;
  struct store *store = peer->node->options.store;
  struct buffer urgent = BUFFER_NULL;
  if (peer->config.role == NODE_PEER_NEIGHBOUR) store_streams(store, tell_stream, teller);
  if (peer->config.role != NODE_PEER_STATION) return;
  buffer_printf(&urgent, "%s!urgent", peer->name);
  store_stream_each(store, bytes_text(peer->name), tell_stream, teller);
  store_stream_each(store, buffer_bytes(&urgent), tell_stream, teller);
  buffer_deinit(&urgent);
}

static uint64_t tell(struct node_peer *peer, uint32_t feeds) {
  struct teller teller = {.peer = peer, .feeds = feeds};
  tell_streams(&teller);
  submit_claims(&teller);
  peer_send(peer, CHANNEL_URGENT,
      &(struct link_message){.type = LINK_HELD_END, .session = peer->session, .number = teller.count});
  return teller.names;
}

/* What an earlier session brought may still be on its way into the store. It must be in HELD: a sender whose old copy
 * was put back would give its numbers to other records, and these would be taken for duplicates of it. */
void held_send(struct node_peer *peer) {
  peer->held_owed = peer->receipts_open[CHANNEL_URGENT] + peer->receipts_open[CHANNEL_TELEMETRY] > 0;
  if (!peer->held_owed) names_begin(peer, tell(peer, RULES_ALL));
}

void held_send_of(struct node_peer *peer, uint32_t feeds) { tell(peer, feeds); }

void session_receipts_done(struct node_peer *peer) {
  if (peer->held_owed) held_send(peer);
}

/* ---- being told ---- */

static size_t feed_of(const struct node_peer *peer, uint64_t scope) {
  size_t feed = 0;
  while (feed < peer->feed_count && peer->feeds[feed].scope != scope) feed++;
  return feed;
}

static void take_held(struct node_peer *peer, size_t feed, const struct link_message *m) {
  struct out_stream *stream = out_stream_of(peer, feed, m->stream, m->epoch);
  for (uint32_t i = 0; i < m->range_count; i++) intervals_add(&stream->covered, m->ranges[i].from, m->ranges[i].to);
  stream->peer_last = m->last;
  stream->peer_run_count = m->run_count;
  free(stream->peer_runs);
  stream->peer_runs = m->run_count > 0 ? mem_copy(m->runs, m->run_count * sizeof *m->runs) : NULL;
}

/* Of our own it matters also where nothing of it is sent any more, or not yet: whether it is of the same past. */
static bool is_own(const struct node_peer *peer, struct bytes stream) {
  return bytes_equal(stream_node(stream), bytes_text(peer->node->name));
}

void held_take(struct node_peer *peer, const struct link_message *m) {
  bool greeting = peer->state == SESSION_RESUMING;
  if (!greeting && peer->rules != RULES_ASKED) return;
  if (m->number != peer->told + 1) return; /* doubled, or one before it was lost, which HELD_END will show */
  if (peer->told == SESSION_TOLD_MAX * (peer->feed_count > 0 ? peer->feed_count : 1)) {
    session_end(peer, "it tells of more streams than a node can have");
    return;
  }
  peer->told++;
  size_t feed = feed_of(peer, m->scope);
  bool good = feed < peer->feed_count && (greeting || (peer->asks >> feed & 1)) && m->stream.len > 0 &&
              m->stream.len <= STREAM_MAX;
  if (!good || (!out_stream_shared(peer, feed, m->stream) && !is_own(peer, m->stream)))
    receiver_count_refusal(peer, "it tells of a stream that is not sent to it", m->stream);
  else
    take_held(peer, feed, m);
}
