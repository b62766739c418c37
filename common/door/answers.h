#ifndef RIVERBUS_COMMON_DOOR_ANSWERS_H
#define RIVERBUS_COMMON_DOOR_ANSWERS_H
/* Answers that every node gives alike, out of its catalogue, its store and its durable readers. */
#include "common/door/catalogue.h"
#include "common/door/listing.h"
#include "common/door/readers.h"
#include "common/net/net.h"

struct answers {
  struct catalogue *catalogue;
  struct node *node;
  struct store *store;
  struct readers *readers;
  bool (*is_operator)(void *ctx, const char *name); /* whether somebody of that name may ask here, now */
  void *is_operator_ctx;
};

/* {"patterns"}: {"last":[...]}, {"points":[...]}, and {"readers":[...]}; continued by listing_more, ended by
 * listing_end. */
void answers_last(struct answers *answers, struct request *request, const json_t *body);
void answers_points(struct answers *answers, struct request *request, const json_t *body);
void answers_readers(struct answers *answers, struct request *request);
void answers_readers_remove(struct answers *answers, struct request *request, const json_t *body);

/* Parts of a status. */
json_t *answers_store(const struct answers *answers);
json_t *answers_lanes(const struct answers *answers);
json_t *answers_net(const struct net *net);
json_t *answers_link(const struct answers *answers, const struct node_peer *peer, const char *name, const char *kind,
    const char *refused); /* refused: why the last handshake failed, told while the link is down; empty: it did not */
/* Of the catalogue, for subscribers_options.units; ctx is the catalogue. */
bool answers_units(void *ctx, size_t *cursor, size_t room, bool (*wanted)(void *ctx, struct bytes address),
    void *wanted_ctx, struct buffer *out);
#endif
