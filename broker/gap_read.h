#ifndef RIVERBUS_BROKER_GAP_READ_H
#define RIVERBUS_BROKER_GAP_READ_H
/* Which records the blocks of a read hold, for the gap ledger. A block is opened to its records only where its head
 * does not say it: where it has holes, reaches out of what was read, or spans a long time. Pure. */
#include "broker/gaps.h"
#include "common/record/block.h"
#include "common/store/store.h"

/* Tells the fold what a STORE_READ_STREAM of [from, to] holds of [from, to]; to: at most `next` - 1. */
void gap_read_page(struct gap_fold *fold, uint64_t from, uint64_t to, const struct store_done *done);
/* The first block that a read gave. False: none. */
bool gap_read_first(const struct store_done *done, struct block *block);
#endif
