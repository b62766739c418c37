#ifndef RIVERBUS_BROKER_ERRANDS_H
#define RIVERBUS_BROKER_ERRANDS_H
/*
 * What the broker asks of the store through its node, each with a function to call when it is done. Where the store's
 * queue is full the errand waits here in order; what may be asked is bounded by those who ask (one flush per reader,
 * one page per lane of a subscriber, the open commands).
 */
#include "common/node/node.h"

/* done: BATCH or REFUSED for a batch, READ for a read; valid during the call. */
typedef void errand_fn(void *ctx, void *cookie, const struct store_done *done);

struct errand;
struct errands {
  struct node *node;
  struct errand *first, **last; /* waiting for the store's queue */
  struct errand *under_way;
};

void errands_init(struct errands *errands, struct node *node);
/* At the end of the process, after node and store: whatever is still open is answered as refused, so that everybody
 * frees what is theirs. */
void errands_deinit(struct errands *errands);
void errands_submit(
    struct errands *errands, struct store_batch *batch, errand_fn *done, void *ctx, void *cookie); /* takes the batch */
struct errand *errands_read(
    struct errands *errands, const struct store_read *read, errand_fn *done, void *ctx, void *cookie);
/* Whoever asked is gone: the function is not called any more. NULL is allowed. */
void errand_forget(struct errand *errand);
/* For the node's hooks `submitted` and `read`: `errand` is the cookie. */
void errands_finish(struct errands *errands, void *errand, const struct store_done *done);
/* Tries again what waited. */
void errands_retry(struct errands *errands);
#endif
