#ifndef RIVERBUS_COMMON_BASE_QUEUE_H
#define RIVERBUS_COMMON_BASE_QUEUE_H
/* A bounded queue of pointers between threads: mutex and eventfd. Any number of senders and receivers. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue;
enum { QUEUE_FULL = 1, QUEUE_EMPTY = 2, QUEUE_CLOSED = 3 };

int queue_new(struct queue **out, size_t most); /* most: entries. <0: no descriptor */
struct queue *queue_free(struct queue *queue);  /* entries left are the caller's to drain first; returns NULL */
/* readable while entries wait, and for ever once closed; poll it, do not read it */
int queue_fd(const struct queue *queue);
int queue_push(struct queue *queue, void *entry); /* QUEUE_FULL, QUEUE_CLOSED: not taken. Never blocks */
int queue_pop(struct queue *queue, void **entry); /* QUEUE_EMPTY, or QUEUE_CLOSED when closed and empty. Never blocks */
/* as pop, but waits; timeout <0: for ever. Blocks */
int queue_wait(struct queue *queue, void **entry, int64_t timeout_us);
void queue_close(struct queue *queue); /* no more pushes; waiters wake */
size_t queue_count(struct queue *queue);
#endif
