#include "common/store/lmdb.h"
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

int done_list_init(struct done_list *list) {
  *list = (struct done_list){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  list->end = &list->first;
  pthread_mutex_init(&list->lock, NULL);
  return list->fd < 0 ? -errno : 0;
}

void done_list_deinit(struct done_list *list) {
  for (struct done *done; list->end && (done = done_list_pop(list));) done_free(done);
  if (list->end) pthread_mutex_destroy(&list->lock);
  if (list->end && list->fd >= 0) close(list->fd);
  list->end = NULL;
}

void done_list_push(struct done_list *list, struct done *done) {
  uint64_t one = 1;
  struct done *before = done->before;
  done->before = NULL;
  pthread_mutex_lock(&list->lock);
  bool was_empty = !list->first;
  for (*list->end = before; *list->end;) list->end = &(*list->end)->next;
  *list->end = done;
  list->end = &done->next;
  /* a counter that is above zero already is as good */
  if (was_empty && write(list->fd, &one, sizeof one) < 0) errno = 0;
  pthread_mutex_unlock(&list->lock);
}

struct done *done_list_pop(struct done_list *list) {
  uint64_t count;
  pthread_mutex_lock(&list->lock);
  struct done *done = list->first;
  if (done) list->first = done->next;
  if (done && !list->first) {
    list->end = &list->first;
    if (read(list->fd, &count, sizeof count) < 0) errno = 0; /* likewise: it is zero */
  }
  pthread_mutex_unlock(&list->lock);
  if (done) done->next = NULL;
  return done;
}
