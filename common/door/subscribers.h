#ifndef RIVERBUS_COMMON_DOOR_SUBSCRIBERS_H
#define RIVERBUS_COMMON_DOOR_SUBSCRIBERS_H
/*
 * Who follows records: the verb `tail`. A subscriber has a place in each of the three logs and is served from there,
 * urgent first, live before backfill: what is young comes from the node's ring, the rest in pages through the store's
 * reader. It costs its window and at most one page a lane, however slow it is. Passing subscribers begin now (or at the
 * front of the logs, or at a time); durable ones at what they acknowledged (readers.h).
 *
 * Request
 * {"verb":"tail","patterns":["..."],"lanes":["urgent","live","backfill"],"since":µs,"from_start":bool,"durable":"NAME"
 *          }
 * Replies  {"start":{"positions":[u,l,b],"within":[u,l,b],"resumed":bool}}, then {"units":[["address","m"],...]} until
 *          all are told, then RECORDS; {"lost":{"lane":"live","from":p,"to":p}} where retention was faster than the
 *          subscriber.
 */
#include "common/door/readers.h"
#include "common/door/requests.h"

struct subscribers;
struct subscribers_options {
  struct node *node;
  struct store *store;
  struct errands *errands;
  struct readers *readers;
  /* Appends rows ["address","unit"] from *cursor on, separated by commas, up to about `room` bytes, for addresses that
   * `wanted` takes; false at the end. */
  bool (*units)(void *ctx, size_t *cursor, size_t room, bool (*wanted)(void *ctx, struct bytes address),
      void *wanted_ctx, struct buffer *out);
  void *units_ctx;
};
struct subscribers *subscribers_new(const struct subscribers_options *options);
struct subscribers *subscribers_free(struct subscribers *subscribers); /* after the requests are gone */
/* Something was committed, or time passed: serves everybody. True: there is more to do at once. */
bool subscribers_pump(struct subscribers *subscribers);
/* The units changed otherwise than by records: everybody is told them anew. */
void subscribers_tell_units(struct subscribers *subscribers);
size_t subscribers_count(const struct subscribers *subscribers);

/* The verb's functions; ctx is given by the caller's table, see answers.c. */
void subscriber_start(struct subscribers *subscribers, struct request *request, const json_t *body);
void subscriber_more(struct subscribers *subscribers, struct request *request);
void subscriber_ack(struct subscribers *subscribers, struct request *request, const struct request_message *ack);
void subscriber_cancel(struct subscribers *subscribers, struct request *request);
void subscriber_end(struct subscribers *subscribers, struct request *request);

/* Reads "patterns" of a request: at least one, each good; else the request is refused and false returned. */
bool request_patterns(struct request *request, const json_t *body, struct patterns *patterns);
#endif
