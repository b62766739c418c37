#ifndef RIVERBUS_COMMON_DOOR_HISTORY_H
#define RIVERBUS_COMMON_DOOR_HISTORY_H
/*
 * What is stored of a range of time: the verb `history`. Blocks come as they stand in the logs (urgent, then live, then
 * backfill), with only the records that lie in the range, match, and may be read; what was stored when the request
 * began is told, what comes later is not. Sorting is the client's, which asks for as short a range as it can hold.
 *
 * A request costs its patterns and one page, whatever it asks for and however slowly it is read: the next page is read
 * from the store when this one was sent. A session has one at a time.
 *
 * Request  {"verb":"history","patterns":["..."],"clock":"time"|"received","since":µs,"until":µs,"units":bool}
 *          of the clock: since <= clock < until
 * Replies  with "units": {"units":[["address","m"],...]} until all are told; then RECORDS, and at last
 *          {"end":true,"damaged":n}: n entries of the store's logs met on the way could not be read. Without that end
 *          the answer is not whole. With "units" also "kept_from":µs, where retention took away something of the
 *          streams that are asked for: what came before that time, by `received`, may be gone; INT64_MAX: all of it.
 */
#include "common/door/errands.h"
#include "common/door/requests.h"

struct history;
struct histories {
  struct errands *errands;
  struct store *store;
  /* as in subscribers_options; ctx is units_ctx */
  bool (*units)(void *ctx, size_t *cursor, size_t room, bool (*wanted)(void *ctx, struct bytes address),
      void *wanted_ctx, struct buffer *out);
  void *units_ctx;
  struct history *first;
};

void history_start(struct histories *histories, struct request *request, const json_t *body);
/* For the table of verbs; ctx is not used. */
void history_more(void *ctx, struct request *request);
void history_end(void *ctx, struct request *request);
#endif
