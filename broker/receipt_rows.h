#ifndef RIVERBUS_BROKER_RECEIPT_ROWS_H
#define RIVERBUS_BROKER_RECEIPT_ROWS_H
/*
 * The verb "receipts": {"since": µs UTC} gives rows {"receipts": [{"peer", "direction": "taken" or "given", "receipt",
 * "answer": base64, null where there is none, "keys": [ours], "peer_keys": [those of the neighbour in the
 * configuration]}]} of the receipts numbered at or after `since`, by neighbour, direction, number; then {"end": true}.
 * Who asks verifies.
 */
#include "common/door/requests.h"

void receipt_rows_start(void *ctx, struct request *request, const json_t *body); /* ctx: the broker */
void receipt_rows_more(void *ctx, struct request *request);
void receipt_rows_end(void *ctx, struct request *request);
#endif
