#ifndef RIVERBUS_COMMON_AUDIT_BOOK_H
#define RIVERBUS_COMMON_AUDIT_BOOK_H
/*
 * What other nodes have signed about the ends of their audit logs: the last checkpoint of each. A later one that goes
 * back behind it, or gives the same entry another link, shows that the log was cut off or written anew. The verbatim
 * checkpoints stand in this node's own audit log for good; the last one also in STORE_META, under "audit/" and the
 * node's name. Pure.
 */
#include "common/audit/note.h"
#include "common/base/log.h"
#include "common/base/table.h"
#include "common/base/world.h"

struct book {
  struct table words;  /* node -> struct book_word */
  struct table limits; /* node -> struct log_limit */
};
#define BOOK_NULL ((struct book){TABLE_NULL, TABLE_NULL})
/* What one node may put into this node's log: so many at once, and then one each interval. What is left out is covered
 * by the next. */
enum { BOOK_BURST = 200 };
#define BOOK_INTERVAL_US (10 * SECOND_US)
struct book_word {
  uint64_t number;
  uint8_t link[CHAIN_HASH];
  int64_t time;
};
void book_deinit(struct book *book);
/* At the start: a value of STORE_META; other keys are passed over. */
void book_load(struct book *book, struct bytes key, struct bytes value);
const struct book_word *book_find(const struct book *book, struct bytes node); /* NULL: nothing was heard of it */

enum book_verdict {
  BOOK_NEW,        /* the log has grown */
  BOOK_KNOWN,      /* the last one again, or an older one on a long way: nothing to note */
  BOOK_CONTRADICTS /* *why says how */
};
bool book_has_room(struct book *book, struct bytes node, int64_t mono); /* and takes it */
/* A checkpoint whose signature and signer the caller has checked. */
enum book_verdict book_judge(const struct book *book, const struct audit_checkpoint *checkpoint, struct buffer *why);
/* Puts a new or contradicting one into the batch: the entry of this node's own log, and the last word of that node. */
void book_put(struct store_batch *batch, struct bytes node, const struct audit_checkpoint *checkpoint, const char *why,
    int64_t time);
void book_keep(struct book *book, const struct audit_checkpoint *checkpoint); /* the batch is durable */
#endif
