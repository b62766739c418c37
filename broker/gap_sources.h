#ifndef RIVERBUS_BROKER_GAP_SOURCES_H
#define RIVERBUS_BROKER_GAP_SOURCES_H
/* From whom a stream may come to this broker, and what they have said all of. */
#include "broker/gaps.h"
#include "broker/links.h"

enum { GAP_SOURCES_MAX = 64 };
struct gap_sources {
  const struct link *links[GAP_SOURCES_MAX];
  size_t count;
  bool foreign; /* of another province: sources select, else the one source sends everything */
};
/* A station's own stream: the station; a stream of another province: each neighbour from which it may come. None: our
 * own, or nobody's. */
void gap_sources_of(const struct links *links, const char *node, struct bytes stream, struct gap_sources *out);
/* What of the epoch they have left out on purpose. Adds to *out. */
void gap_sources_filtered(const struct gap_sources *sources, struct store *store, struct bytes stream,
    struct epoch epoch, struct intervals *out);
#endif
