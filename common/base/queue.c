#include "common/base/queue.h"
#include "common/base/mem.h"
#include "common/base/world.h"
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* The eventfd's count is 1 while entries wait or the queue is closed, else 0; it changes under the mutex, so that
 * nobody sees one without the other. Waiters poll it instead of a condition variable: one way of waking for threads and
 * for poll loops. */
struct queue {
  pthread_mutex_t mutex;
  int fd;
  bool signalled;
  bool closed;
  size_t most, count, head;
  void *entries[];
};

int queue_new(struct queue **out, size_t most) {
  assert(most > 0);
  int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) return -errno;
  struct queue *queue = mem_alloc(sizeof *queue + most * sizeof(void *));
  pthread_mutex_init(&queue->mutex, NULL);
  queue->fd = fd;
  queue->most = most;
  *out = queue;
  return 0;
}

struct queue *queue_free(struct queue *queue) {
  if (!queue) return NULL;
  close(queue->fd);
  pthread_mutex_destroy(&queue->mutex);
  free(queue);
  return NULL;
}

int queue_fd(const struct queue *queue) { return queue->fd; }

/* Brings the eventfd in line with the state; the mutex is held. It cannot fail: the count never passes 1. */
static void queue_signal(struct queue *queue) {
  bool wanted = queue->count > 0 || queue->closed;
  uint64_t one = 1;
  if (wanted == queue->signalled) return;
  ssize_t moved = wanted ? write(queue->fd, &one, sizeof one) : read(queue->fd, &one, sizeof one);
  assert(moved == (ssize_t)sizeof one);
  (void)moved;
  queue->signalled = wanted;
}

static int queue_push_locked(struct queue *queue, void *entry) {
  if (queue->closed) return QUEUE_CLOSED;
  if (queue->count == queue->most) return QUEUE_FULL;
  queue->entries[(queue->head + queue->count) % queue->most] = entry;
  queue->count++;
  queue_signal(queue);
  return 0;
}

int queue_push(struct queue *queue, void *entry) {
  pthread_mutex_lock(&queue->mutex);
  int r = queue_push_locked(queue, entry);
  pthread_mutex_unlock(&queue->mutex);
  return r;
}

static int queue_pop_locked(struct queue *queue, void **entry) {
  if (queue->count == 0) return queue->closed ? QUEUE_CLOSED : QUEUE_EMPTY;
  *entry = queue->entries[queue->head];
  queue->head = (queue->head + 1) % queue->most;
  queue->count--;
  queue_signal(queue);
  return 0;
}

int queue_pop(struct queue *queue, void **entry) {
  pthread_mutex_lock(&queue->mutex);
  int r = queue_pop_locked(queue, entry);
  pthread_mutex_unlock(&queue->mutex);
  return r;
}

/* Until the queue is readable or left_us have passed (<0: for ever); may return early. */
static void queue_poll(const struct queue *queue, int64_t left_us) {
  struct pollfd fd = {.fd = queue->fd, .events = POLLIN};
  struct timespec left = {.tv_sec = left_us / SECOND_US, .tv_nsec = left_us % SECOND_US * 1000};
  ppoll(&fd, 1, left_us < 0 ? NULL : &left, NULL);
}

int queue_wait(struct queue *queue, void **entry, int64_t timeout_us) {
  int64_t began = world_now(&world_system).mono;
  for (;;) {
    int r = queue_pop(queue, entry);
    if (r != QUEUE_EMPTY) return r;
    int64_t left = timeout_us < 0 ? -1 : timeout_us - (world_now(&world_system).mono - began);
    if (timeout_us >= 0 && left <= 0) return QUEUE_EMPTY;
    queue_poll(queue, left);
  }
}

void queue_close(struct queue *queue) {
  pthread_mutex_lock(&queue->mutex);
  queue->closed = true;
  queue_signal(queue);
  pthread_mutex_unlock(&queue->mutex);
}

size_t queue_count(struct queue *queue) {
  pthread_mutex_lock(&queue->mutex);
  size_t count = queue->count;
  pthread_mutex_unlock(&queue->mutex);
  return count;
}
