#ifndef RIVERBUS_GATEWAY_DISPATCH_INTERNAL_H
#define RIVERBUS_GATEWAY_DISPATCH_INTERNAL_H
/* Shared by dispatch.c (messages in), dispatch_run.c (from received to the outcome), dispatch_batch.c (what is
 * committed) and dispatch_ledger.c (under which keys, and what a start reads). */
#include "common/base/log.h"
#include "gateway/dispatch.h"

/* an ended order stays in memory so long after its deadline, for late replies and repeated commands */
#define DISPATCH_MARGIN_US (5 * 60 * SECOND_US)
#define DISPATCH_RETRY_US SECOND_US /* a batch that the store refused */
/* a received order waits for the clock to be compared with the broker's: how often that is looked at */
#define DISPATCH_CLOCK_US (100 * MILLISECOND_US)
/* after a start a dispatched order waits at least so long for word from the device */
#define DISPATCH_RESTART_US (5 * SECOND_US)

struct dispatch {
  struct dispatch_options options;
  char *station, *broker, *elsewhere; /* elsewhere: address of reports about points that are not this station's */
  const struct gateway_config *config;
  const struct points *points;
  struct check_operator *operators;
  size_t operator_count;
  struct table orders;     /* id -> struct order */
  struct table waiting;    /* id -> struct buffer: the command that waits for its look-up; empty: only asked for */
  struct table fences;     /* address -> uint64_t */
  struct table unreadable; /* ids of entries that this version cannot read */
  size_t unlisted;         /* orders that are */
  bool marked;             /* nothing that may change stands under its id alone */
  struct block_builder *builder;
  struct log_limit forged_limit;
  struct dispatch_stats stats;
};

/* dispatch_batch.c */
void dispatch_commit(struct dispatch *d, struct order *order); /* the entry as it is, with a new report */
/* the same, with a new fence for the point */
void dispatch_commit_fence(struct dispatch *d, struct order *order, struct instant now);
void dispatch_commit_never(struct dispatch *d, struct order *order);
void dispatch_issue_again(struct dispatch *d, struct bytes address, struct bytes report, int64_t time);
/* dispatch_ledger.c */
void dispatch_put_entry(struct store_batch *batch, const struct order *order);
void dispatch_mark(struct dispatch *d);
/* dispatch.c */
enum clock_verdict dispatch_clock(const struct dispatch *d, struct refusal *refusal);
/* dispatch_run.c */
struct point *dispatch_point(const struct dispatch *d, const struct order *order);
/* whatever can be done now, if nothing is pending */
void dispatch_step(struct dispatch *d, struct order *order, struct instant now);
void dispatch_end(
    struct dispatch *d, struct order *order, enum state state, const struct refusal *refusal, struct instant now);
#endif
