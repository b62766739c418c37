#include "broker/snapshot.h"
#include "common/record/onward.h"

/* ---- sending ---- */

void snapshot_begin(struct snapshot *snapshot) {
  snapshot_end(snapshot);
  snapshot->runs = true;
}

void snapshot_end(struct snapshot *snapshot) {
  buffer_deinit(&snapshot->piece);
  *snapshot = (struct snapshot){0};
}

/* chongqing/cuntan of chongqing/cuntan/gauge-1/level; the owner of a stream that it has. */
static struct bytes station_of(const struct catalogue_point *point) {
  struct bytes second = address_segment(point->address, 1);
  if (point->has_last) return stream_owner(bytes_text(point->stream));
  return bytes_of(point->address.data, (size_t)(second.data - point->address.data) + second.len);
}

/* Of a third province. Its value only where that came with these very grants: a plain copy of what is granted thinned
 * or late stays here. */
static bool show_third(
    const struct snapshot_of *of, const struct catalogue_point *point, struct catalogue_point *shown) {
  struct bytes grants = granted_find(of->granted, station_of(point));
  shown->has_last = point->has_last && point->onward == onward_digest(grants);
  return peer_passes_point(of->rules, point->address, grants);
}

/* What of the point may be shown; false: nothing. What is thinned or late comes by the stream alone. */
static bool show(const struct snapshot_of *of, const struct catalogue_point *point, struct catalogue_point *shown) {
  *shown = *point;
  if (address_segments(point->address) < 2) return false;
  if (!address_below(point->address, of->rules->node)) return show_third(of, point, shown);
  shown->has_last = point->has_last && peer_shares_value(of->rules, point->address, point->received);
  return peer_shares_point(of->rules, point->address, point->descriptor ? point->described.time : point->received);
}

static void fill(struct snapshot *snapshot, const struct snapshot_of *of) {
  const struct catalogue *catalogue = of->catalogue;
  struct buffer *piece = &snapshot->piece;
  size_t end = snapshot->next + SNAPSHOT_LOOKS;
  if (end > catalogue->count) end = catalogue->count;
  buffer_append(piece, bytes_of((uint8_t[]){0}, 1));
  catalogue_put_head(piece);
  size_t empty = piece->len;
  for (; snapshot->next < end; snapshot->next++) {
    struct catalogue_point shown;
    if (!show(of, catalogue->points[snapshot->next], &shown)) continue;
    bool fits = catalogue_put_point(piece, &shown, piece->len == empty ? SNAPSHOT_ONE_MAX : SNAPSHOT_BYTES);
    if (!fits && piece->len > empty) break; /* the next piece begins with it */
  }
  bool last = snapshot->next >= catalogue->count;
  if (last)
    piece->data[0] = 1;
  else if (piece->len == empty)
    buffer_clear(piece);
}

struct bytes snapshot_due(struct snapshot *snapshot, const struct snapshot_of *of, int64_t now) {
  if (!snapshot->runs || (snapshot->again_at && now < snapshot->again_at)) return BYTES_NULL;
  if (snapshot->again_at && snapshot->repeats++ >= SNAPSHOT_REPEATS) {
    snapshot_end(snapshot);
    return BYTES_NULL;
  }
  if (!snapshot->piece.len) fill(snapshot, of);
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

static bool admits(void *ctx, struct bytes address, struct bytes stream) {
  const struct peer_rules *rules = ctx;
  return (!stream.len || address_below(address, stream_owner(stream))) && !address_below(address, rules->node) &&
         patterns_match(&rules->ours->accept, address);
}

bool snapshot_take(struct catalogue *catalogue, const struct peer_rules *rules, struct bytes piece, bool *last) {
  *last = piece.len && piece.data[0] == 1;
  return piece.len > 1 &&
         catalogue_merge(catalogue, bytes_of(piece.data + 1, piece.len - 1), admits, (void *)(uintptr_t)rules);
}
