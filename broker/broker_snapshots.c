/* Snapshots between neighbours: when they begin, and the way of their pieces. */
#include "broker/broker.h"

#define AGAIN_US (10 * SECOND_US)      /* between two snapshots because stations of third provinces became known */
#define RETRY_US (50 * MILLISECOND_US) /* where the connection takes no more just now */

static void pump(struct broker *broker, struct link *link, int64_t now) {
  const struct snapshot_of of = {&broker->catalogue, &broker->granted, &link->rules};
  struct bytes piece = snapshot_due(&link->snapshot, &of, now);
  if (piece.len && node_message_behind(broker->node, link->peer, SNAPSHOT_PIECE, piece))
    snapshot_sent(&link->snapshot, now);
}

static void begin(struct link *link, int64_t now) {
  link->snapshot_again = false;
  link->snapshot_at = now + AGAIN_US;
  snapshot_begin(&link->snapshot);
}

void broker_snapshots_granted(struct broker *broker, const struct block *block) {
  if (!granted_note(&broker->granted, stream_owner(block->stream), block->onward)) return;
  for (size_t i = 0; i < broker->links.count; i++) {
    struct link *link = broker->links.items[i];
    if (link->is_peer && link->agreement->ours && link->agreement->ours->transit.count) link->snapshot_again = true;
  }
}

int64_t broker_snapshots_tick(struct broker *broker, int64_t now) {
  int64_t next = now + SECOND_US;
  for (size_t i = 0; i < broker->links.count; i++) {
    struct link *link = broker->links.items[i];
    if (link->snapshot_again && !link->snapshot.runs && now >= link->snapshot_at) begin(link, now);
    if (!link->snapshot.runs) continue;
    pump(broker, link, now);
    if (link->snapshot.runs && !link->snapshot.again_at) next = now + RETRY_US;
  }
  return next;
}

void broker_snapshot_session(struct broker *broker, struct link *link, bool up) {
  link->snapshot_again = false;
  if (up)
    begin(link, world_now(broker->daemon.world).mono);
  else
    snapshot_end(&link->snapshot);
  broker->snapshots_at = 0;
}

static void take(struct broker *broker, struct link *link, struct bytes piece) {
  bool last;
  if (!snapshot_take(&broker->catalogue, &link->rules, piece, &last))
    log_warning("links", link->principal, "a malformed piece of a snapshot was passed over");
  node_message(broker->node, link->peer, SNAPSHOT_TAKEN, BYTES_NULL);
  if (last) subscribers_tell_units(broker->subscribers);
}

void broker_snapshot_message(struct broker *broker, struct link *link, uint8_t type, struct bytes body) {
  if (type == SNAPSHOT_PIECE) take(broker, link, body);
  if (type == SNAPSHOT_TAKEN) snapshot_taken(&link->snapshot);
  broker->snapshots_at = 0;
}
