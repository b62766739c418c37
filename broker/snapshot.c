#include "broker/snapshot.h"

/* ---- sending ---- */

void snapshot_begin(struct snapshot *snapshot) {
  snapshot_end(snapshot);
  snapshot->runs = true;
}

void snapshot_end(struct snapshot *snapshot) {
  buffer_deinit(&snapshot->piece);
  *snapshot = (struct snapshot){0};
}

static bool is_shared(const struct peer_rules *rules, const struct catalogue_point *point) {
  return peer_shares_point(rules, point->address);
}

static void fill(struct snapshot *snapshot, const struct catalogue *catalogue, const struct peer_rules *rules) {
  struct buffer *piece = &snapshot->piece;
  size_t end = snapshot->next + SNAPSHOT_LOOKS;
  if (end > catalogue->count) end = catalogue->count;
  buffer_append(piece, bytes_of((uint8_t[]){0}, 1));
  catalogue_put_head(piece);
  size_t empty = piece->len;
  for (; snapshot->next < end; snapshot->next++) {
    const struct catalogue_point *point = catalogue->points[snapshot->next];
    if (!is_shared(rules, point)) continue;
    struct catalogue_point shown = *point; /* what is thinned or late comes by the stream alone */
    shown.has_last = point->has_last && peer_shares_value(rules, point->address, point->received);
    bool fits = catalogue_put_point(piece, &shown, piece->len == empty ? SNAPSHOT_ONE_MAX : SNAPSHOT_BYTES);
    if (!fits && piece->len > empty) break; /* the next piece begins with it */
  }
  bool last = snapshot->next >= catalogue->count;
  if (last)
    piece->data[0] = 1;
  else if (piece->len == empty)
    buffer_clear(piece);
}

struct bytes snapshot_due(
    struct snapshot *snapshot, const struct catalogue *catalogue, const struct peer_rules *rules, int64_t now) {
  if (!snapshot->runs || (snapshot->again_at && now < snapshot->again_at)) return BYTES_NULL;
  if (snapshot->again_at && snapshot->repeats++ >= SNAPSHOT_REPEATS) {
    snapshot_end(snapshot);
    return BYTES_NULL;
  }
  if (!snapshot->piece.len) fill(snapshot, catalogue, rules);
  return buffer_bytes(&snapshot->piece);
}

void snapshot_sent(struct snapshot *snapshot, int64_t now) { snapshot->again_at = now + SNAPSHOT_REPEAT_US; }

void snapshot_taken(struct snapshot *snapshot) {
  if (!snapshot->runs || !snapshot->again_at) return;
  bool last = snapshot->piece.len && snapshot->piece.data[0];
  buffer_clear(&snapshot->piece);
  snapshot->again_at = 0;
  snapshot->repeats = 0;
  if (last) snapshot_end(snapshot);
}

/* ---- taking ---- */

struct taking {
  const struct peer_rules *rules;
  struct bytes peer;
};

static bool admits(void *ctx, struct bytes address, struct bytes stream) {
  const struct taking *taking = ctx;
  struct bytes owner = stream.len ? stream_owner(stream) : taking->peer;
  return address_below(owner, taking->peer) && address_below(address, owner) &&
         !address_below(address, taking->rules->node) && patterns_match(&taking->rules->ours->accept, address);
}

bool snapshot_take(
    struct catalogue *catalogue, const struct peer_rules *rules, struct bytes peer, struct bytes piece, bool *last) {
  struct taking taking = {rules, peer};
  *last = piece.len && piece.data[0] == 1;
  return piece.len > 1 && catalogue_merge(catalogue, bytes_of(piece.data + 1, piece.len - 1), admits, &taking);
}
