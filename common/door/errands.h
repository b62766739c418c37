#ifndef RIVERBUS_COMMON_DOOR_ERRANDS_H
#define RIVERBUS_COMMON_DOOR_ERRANDS_H
/*
 * What is asked of the store through the node, each with a function to call when it is done. Two lists wait for the
 * store: what somebody's safety hangs on (commands, events) goes first, what readers ask for stands behind it. Of the
 * patient ones only ERRANDS_PATIENT_MAX are at the store at a time, since it answers in order: an urgent one stands
 * behind no more of them, however many readers there are. What may wait is bounded by those who ask (one flush and one
 * page per lane of a reader, the open commands), and what was forgotten while it waited leaves its list at once.
 */
#include "common/node/node.h"

enum errand_rank { ERRAND_URGENT = 0, ERRAND_PATIENT = 1, ERRAND_RANKS = 2 };
/* Pages of 256 KiB: some milliseconds of reading before an urgent one, and enough to keep the reader thread busy. */
enum { ERRANDS_PATIENT_MAX = 8 };

/* done: BATCH or REFUSED for a batch, READ for a read; valid during the call. */
typedef void errand_fn(void *ctx, void *cookie, const struct store_done *done);

struct errand;
struct errand_list {
  struct errand *first, **last;
  size_t count;
};
struct errands {
  struct node *node;
  struct errand_list waiting[ERRAND_RANKS];
  struct errand_list under_way;
  unsigned patient_under_way;
};

void errands_init(struct errands *errands, struct node *node);
/* At the end of the process, after node and store: whatever is still open is answered as refused, so that everybody
 * frees what is theirs. */
void errands_deinit(struct errands *errands);
/* Takes the batch. */
void errands_submit(struct errands *errands, enum errand_rank rank, struct store_batch *batch, errand_fn *done,
    void *ctx, void *cookie);
struct errand *errands_read(struct errands *errands, enum errand_rank rank, const struct store_read *read,
    errand_fn *done, void *ctx, void *cookie);
/* Whoever asked for the read is gone: the function is not called any more. NULL is allowed. */
void errand_forget(struct errand *errand);
/* For the node's hooks `submitted` and `read`: `errand` is the cookie. */
void errands_finish(struct errands *errands, void *errand, const struct store_done *done);
/* Whether a cookie of the node is one of these errands, for an owner whose node serves others too. Looks through what
 * is under way: the patient ones, and as many urgent ones as the owner has. */
bool errands_has(const struct errands *errands, const void *cookie);
/* Tries again what waited. */
void errands_retry(struct errands *errands);
#endif
