/*
 * What this node originates: heads, and a new epoch where a peer holds another past under the same numbers. What
 * follows the last common record is issued again under it, with an event; what retention had taken of that keeps its
 * place among the new numbers, and its name. One peer can cause it once a minute, and names no epoch of the future.
 */
#include "common/base/mem.h"
#include "common/node/parts.h"
#include <stdlib.h>

/* ---- heads ---- */

static void add_head(struct node *node, struct store_batch *batch, enum channel channel) {
  struct block_builder *builder = block_builder_new();
  int64_t received = node_received(node);
  struct record record = {
      .kind = RECORD_HEAD, .address = bytes_text(node->name), .time = received, .received = received};
  block_builder_add(builder, &record, BLOCK_MAX);
  store_batch_own(batch, channel == CHANNEL_URGENT ? LANE_URGENT : LANE_LIVE, node->own[channel],
      block_builder_finish(builder, node->own[channel], node_run(node)));
  block_builder_free(builder);
}

void origin_tick(struct node *node) {
  int64_t now = node_now(node).mono;
  if (node->head_at == 0) node->head_at = now; /* the first at once: it also begins the epochs of a new store */
  if (now < node->head_at) return;
  struct store_batch *batch = store_batch_new();
  struct work *work = work_new(node, WORK_HEAD);
  add_head(node, batch, CHANNEL_URGENT);
  add_head(node, batch, CHANNEL_TELEMETRY);
  marks_save(&node->marks, batch, node_now(node));
  if (store_submit(node->options.store, batch, work) == 0) {
    node->head_at = now + node->options.head_us;
    return;
  }
  store_batch_free(batch);
  work_free(node, work);
}

/* ---- another past ---- */

struct past {
  struct epoch newest;
  const struct out_stream *same;
}; /* what the peer told of our stream: its newest epoch, and the entry for ours */

static bool is_ahead(const struct node *node, struct epoch epoch) {
  int64_t most = node_now(node).wall + ORIGIN_AHEAD_US;
  return most < 0 || epoch.created > (uint64_t)most;
}

static struct past past_of(struct node_peer *peer, struct bytes stream, struct epoch mine) {
  struct past past = {{0, 0}, NULL};
  for (size_t i = 0; i < peer->stream_count; i++) {
    const struct out_stream *told = peer->streams[i];
    if (!bytes_equal(told->stream, stream) || told->peer_last == 0) continue;
    if (epoch_compare(told->epoch, mine) > 0 && is_ahead(peer->node, told->epoch)) {
      receiver_count_refusal(peer, "it tells of an epoch of our stream that lies in the future", stream);
      continue;
    }
    if (epoch_compare(told->epoch, past.newest) > 0) past.newest = told->epoch;
    bool knows_more = !past.same || told->peer_last > past.same->peer_last;
    if (epoch_compare(told->epoch, mine) == 0 && knows_more) past.same = told;
  }
  return past;
}

static void tell_epoch(
    struct node *node, const struct node_peer *peer, struct bytes stream, uint64_t common, uint64_t last) {
  const struct node_hooks *hooks = &node->options.hooks;
  struct buffer text = BUFFER_NULL;
  log_warning("link", peer->principal,
      "it holds another past of stream " BYTES_FMT " (an old copy of this store?): the last common record is %llu; "
      "%llu later ones are issued again under a new epoch",
      BYTES_ARG(stream), (unsigned long long)common, (unsigned long long)(last - common));
  buffer_printf(&text, "{\"stream\":");
  json_put_text(&text, stream);
  buffer_printf(&text, ",\"peer\":");
  json_put_text(&text, bytes_text(peer->principal));
  buffer_printf(
      &text, ",\"common\":%llu,\"reissued\":%llu}", (unsigned long long)common, (unsigned long long)(last - common));
  if (hooks->event) hooks->event(hooks->ctx, "epoch", buffer_bytes(&text));
  buffer_deinit(&text);
}

static void submit_epoch(struct node_peer *peer, int own, uint64_t common, struct epoch above) {
  struct node *node = peer->node;
  struct store_batch *batch = store_batch_new();
  struct work *work = work_new(node, WORK_EPOCH);
  work->peer_id = peer->id;
  work->session = peer->session;
  work->own = own;
  store_batch_new_epoch(batch, node->own[own], common, above);
  store_batch_urgent(batch);
  if (store_submit(node->options.store, batch, work) == 0) {
    node->epoch_pending[own] = true;
    peer->reissued[own] = node_now(node).mono;
    peer->epochs_pending++;
    return;
  }
  store_batch_free(batch);
  work_free(node, work);
  session_end(peer, "the store is busy: the new epoch has to wait"); /* the next greeting finds the same */
}

/* What a peer says it holds cannot be checked: a lie would make us issue everything again at every greeting. */
static bool is_too_soon(const struct node_peer *peer, int own) {
  return peer->reissued[own] > 0 && node_now(peer->node).mono - peer->reissued[own] < ORIGIN_REISSUE_US;
}

static uint64_t run_first(const struct node *node, const struct store_stream *held) {
  const struct store_run_start *newest = held->run_count > 0 ? &held->runs[held->run_count - 1] : NULL;
  return newest && newest->run == store_run(node->options.store) ? newest->first : held->last + 1;
}

/* Numbers that only this process can have given are told of by a peer that it has not met yet: a past that is lost gave
 * them. The runs do not show it where nothing of that was for the peer but a claim. */
static bool tells_of_unmet(const struct node_peer *peer, const struct store_stream *held, uint64_t first) {
  bool tells = false;
  for (size_t i = 0; i < peer->stream_count && !peer->met; i++) {
    const struct out_stream *told = peer->streams[i];
    const struct intervals *covered = &told->covered;
    tells = tells || (bytes_equal(told->stream, held->stream) && epoch_compare(told->epoch, held->epoch) == 0 &&
                         covered->count > 0 && covered->items[covered->count - 1].to >= first);
  }
  return tells;
}

void origin_compare(struct node_peer *peer, int own) {
  struct node *node = peer->node;
  struct store_stream held;
  struct link_run runs[LINK_RUNS_MAX];
  struct bytes stream = node->own[own];
  if (peer->config.role == NODE_PEER_STATION || peer->state != SESSION_RESUMING ||
      NODE_HAS_DEFECT(NODE_DEFECT_NO_EPOCH))
    return;
  if (!store_stream_get(node->options.store, stream, &held)) held = (struct store_stream){.stream = stream};
  struct past past = past_of(peer, stream, held.epoch);
  bool forked = false;
  uint64_t common = held.last;
  for (uint32_t i = 0; i < held.run_count; i++) runs[i] = (struct link_run){held.runs[i].run, held.runs[i].first};
  if (past.same) {
    struct fork_side mine = {held.last, runs, held.run_count},
                     theirs = {past.same->peer_last, past.same->peer_runs, past.same->peer_run_count};
    common = fork_common(&mine, &theirs, &forked);
    if (!forked) common = held.last;
  }
  uint64_t first = run_first(node, &held);
  if (tells_of_unmet(peer, &held, first)) {
    forked = true;
    if (common >= first) common = first - 1;
  }
  if (!forked && epoch_compare(past.newest, held.epoch) <= 0) return;
  if (node->epoch_pending[own]) {
    session_end(peer, "a new epoch is on its way");
    return;
  }
  if (is_too_soon(peer, own)) {
    receiver_count_refusal(peer, "it tells of another past of our stream again within a minute", stream);
    session_end(peer, "it made us issue a stream again less than a minute ago");
    return;
  }
  tell_epoch(node, peer, stream, common, held.last);
  submit_epoch(peer, own, NODE_HAS_DEFECT(NODE_DEFECT_REISSUE_HELD) ? 0 : common, past.newest);
}

void origin_epoch_done(struct node *node, struct work *work, const struct store_done *done) {
  struct node_peer *peer = node_peer_of_id(node, work->peer_id);
  node->epoch_pending[work->own] = false;
  bool same = peer && peer->session == work->session && peer->epochs_pending > 0;
  if (done->kind != STORE_DONE_BATCH) {
    log_error("store", NULL,
        "the new epoch of " BYTES_FMT " was refused: the store is full; it is tried again with the next greeting",
        BYTES_ARG(node->own[work->own]));
    if (peer) peer->reissued[work->own] = 0;
    if (same) session_end(peer, "the new epoch could not be stored");
    return;
  }
  if (!same) return;
  peer->epochs_pending--;
  session_resumed(peer);
}
