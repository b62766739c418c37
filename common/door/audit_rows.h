#ifndef RIVERBUS_COMMON_DOOR_AUDIT_ROWS_H
#define RIVERBUS_COMMON_DOOR_AUDIT_ROWS_H
/*
 * The verb "audit" of the operators' protocol: rows of this node's audit log, read page by page as the window allows.
 * {"since","until"} (µs since 1970 UTC, both may be missing), {"id"} (of a command), {"links": true} (with what it
 * takes to verify them), {"from"} (number of the first entry that is wanted): {"audit":[...]} pieces, rows as
 * audit_put_json writes them, then {"end":true}. An operator sees entries about addresses that he may read; those
 * without an address only who may read everything: all below `node`, or with BYTES_NULL all there is.
 */
#include "common/door/errands.h"
#include "common/door/requests.h"

void audit_rows_start(struct errands *errands, struct request *request, const json_t *body, struct bytes node);
void audit_rows_more(void *ctx, struct request *request); /* for the table of verbs, like the next; ctx is not used */
void audit_rows_end(void *ctx, struct request *request);
#endif
