#ifndef RIVERBUS_COMMON_STORE_BATCH_H
#define RIVERBUS_COMMON_STORE_BATCH_H
/* What a batch is inside the store: its items with copies of all names, keys and values, and references of all blocks.
 */
#include "common/store/arena.h"
#include "common/store/store.h"

enum batch_kind {
  BATCH_OWN,
  BATCH_BLOCK,
  BATCH_CLAIM,
  BATCH_DISCARD,
  BATCH_PUT,
  BATCH_DELETE,
  BATCH_NEW_EPOCH,
  BATCH_AUDIT
};

/* What the store needs of a block's header; stream is a view into the block. */
struct block_summary {
  struct bytes stream;
  struct epoch epoch;
  uint64_t run;
  uint64_t first, last;
  uint32_t count;
  int64_t received_from, received_to;
  int64_t time_from, time_to;
};
/* Opens a block of a peer, of the disk, or a numbered one of our own, and checks what the store relies on: sequences
 * from 1 that rise and span at most BLOCK_RECORDS_MAX numbers (an origin cuts no longer block, and taking records out
 * makes it no longer). false: it is not such a block. */
bool block_summarise(struct block_summary *summary, struct bytes bytes);

struct batch_item {
  enum batch_kind kind;
  enum lane lane;
  enum store_table table;
  struct blob *block;  /* OWN, BLOCK */
  struct bytes stream; /* OWN, CLAIM, DISCARD, NEW_EPOCH */
  struct epoch epoch;  /* CLAIM, DISCARD; NEW_EPOCH: above */
  struct bytes source; /* BLOCK, CLAIM; DISCARD: by */
  uint64_t scope;
  uint64_t from, to;             /* the claimed or discarded range; from > to: no claim */
  uint64_t common;               /* NEW_EPOCH */
  struct bytes key;              /* PUT, DELETE */
  struct bytes value;            /* PUT, AUDIT; DISCARD: reason */
  int64_t time;                  /* DISCARD */
  struct block_summary block_is; /* BLOCK: after batch_check; OWN: when it is numbered */
};

struct store_batch {
  struct batch_item *items;
  size_t count, cap;
  struct arena arena;
  void *cookie;
  size_t bytes; /* of blocks, keys and values, with a flat share for each item */
  bool urgent;
  bool in_order;
  uint64_t refusals_known; /* in_order: when it was submitted */
  uint64_t refusals;       /* in_order, when it is refused: so many up to here */
  bool deletes_only;       /* it can only free space */
  bool has_new_epoch;
  bool too_large; /* a key or value beyond its limit */
};

/* 0, or why the batch is refused; opens every block but the drafts. Changes nothing else. */
enum { BATCH_GOOD = 0 };
int batch_check(struct store_batch *batch);
#endif
