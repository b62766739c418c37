#ifndef RIVERBUS_GATEWAY_TASKS_H
#define RIVERBUS_GATEWAY_TASKS_H
/*
 * What the gateway has asked of its store, and what waits until the store's queue has room: commands first. Each task
 * is answered once. Bounded by who asks: one intake, one batch for each order in memory, a few others.
 */
#include "common/node/node.h"

enum task_kind { TASK_INTAKE, TASK_ORDER, TASK_LOOKUP, TASK_OTHER };

struct task {
  enum task_kind kind;
  void *cookie;              /* the asker's */
  struct store_batch *batch; /* while it waits; NULL: a look-up, or submitted */
  struct buffer id;          /* LOOKUP */
  struct task *next;         /* among those that wait, or of the submitted */
  struct task *previous;     /* of the submitted */
};
struct tasks {
  struct node *node;
  struct task *first[2], **last[2]; /* waiting: orders and look-ups; the rest */
  struct task *submitted;           /* not answered yet */
  size_t open;                      /* all of them */
};
void tasks_init(struct tasks *tasks, struct node *node);
void tasks_deinit(struct tasks *tasks); /* the batches that were submitted are the store's, and are committed */
/* takes the batch */
void tasks_submit(struct tasks *tasks, enum task_kind kind, void *cookie, struct store_batch *batch);
void tasks_lookup(struct tasks *tasks, struct bytes id);             /* in STORE_COMMANDS */
void tasks_retry(struct tasks *tasks);                               /* after any completion */
struct task *tasks_answered(struct tasks *tasks, struct task *task); /* frees it; returns NULL */
#endif
