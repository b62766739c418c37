/* Snapshots between neighbours: when they begin, and the way of their pieces. */
#include "broker/broker.h"

#define RETRY_US (50 * MILLISECOND_US) /* where the connection takes no more just now */

static void pump(struct broker *broker, struct link *link, int64_t now) {
  struct bytes piece = snapshot_due(&link->snapshot, &broker->catalogue, &link->rules, now);
  if (piece.len && node_message_behind(broker->node, link->peer, SNAPSHOT_PIECE, piece))
    snapshot_sent(&link->snapshot, now);
}

int64_t broker_snapshots_tick(struct broker *broker, int64_t now) {
  int64_t next = now + SECOND_US;
  for (size_t i = 0; i < broker->links.count; i++) {
    struct link *link = broker->links.items[i];
    if (!link->snapshot.runs) continue;
    pump(broker, link, now);
    if (link->snapshot.runs && !link->snapshot.again_at) next = now + RETRY_US;
  }
  return next;
}

void broker_snapshot_session(struct broker *broker, struct link *link, bool up) {
  if (up)
    snapshot_begin(&link->snapshot);
  else
    snapshot_end(&link->snapshot);
  broker->snapshots_at = 0;
}

static void take(struct broker *broker, struct link *link, struct bytes piece) {
  bool last;
  if (!snapshot_take(&broker->catalogue, &link->rules, bytes_text(link->node), piece, &last))
    log_warning("links", link->principal, "a malformed piece of a snapshot was passed over");
  node_message(broker->node, link->peer, SNAPSHOT_TAKEN, BYTES_NULL);
  if (last) subscribers_tell_units(broker->subscribers);
}

void broker_snapshot_message(struct broker *broker, struct link *link, uint8_t type, struct bytes body) {
  if (type == SNAPSHOT_PIECE) take(broker, link, body);
  if (type == SNAPSHOT_TAKEN) snapshot_taken(&link->snapshot);
  broker->snapshots_at = 0;
}
