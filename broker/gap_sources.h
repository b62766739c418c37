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
/* The origin's clock beside ours. */
#define GAP_CLOCKS_US (5 * SECOND_US)

/* What of the epoch they have said all of: see struct gap_facts. */
struct gap_words {
  struct intervals filtered, covered;
  int64_t covered_since;
  struct gap_said said[GAP_SOURCES_MAX]; /* in the order of the sources; names are views */
  size_t count;
};
void gap_sources_said(const struct gap_sources *sources, struct store *store, struct bytes stream, struct epoch epoch,
    struct gap_words *out);
/* What is held, see gap_claims.h. Adds to *out. */
void gap_sources_held(
    const struct gap_sources *sources, struct store *store, const struct store_stream *stream, struct intervals *out);
void gap_words_deinit(struct gap_words *words);
#endif
