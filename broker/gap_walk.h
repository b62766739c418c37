#ifndef RIVERBUS_BROKER_GAP_WALK_H
#define RIVERBUS_BROKER_GAP_WALK_H
/*
 * What an operator asks about gaps: request verb "gaps", {"stream": NAME (none: all that may be read), "since",
 * "until": µs of `received`}. The blocks of the period are read page by page with the patience of readers; the answer
 * streams:
 *
 *   {"gaps":[ROW, ...]}   of each stream its rows, in order of epoch and sequence, then its silent times, then one row
 *                         with "complete" that ends it
 *   {"end":true}
 *
 * A row: stream, epoch, from, to, state, records, by, reason, named, since, until, wanting. The row that ends a stream:
 * stream, complete, since and until of what was heard, held, filtered, discarded, missing, lost, silent_us, sources
 * (name, up, since, state).
 */
#include "broker/gaps.h"
#include "common/door/requests.h"

struct broker;
void gap_walk_start(void *ctx, struct request *request, const json_t *body); /* ctx: the broker */
void gap_walk_more(void *ctx, struct request *request);
void gap_walk_end(void *ctx, struct request *request);
#endif
