#include "common/base/queue.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

static bool readable(const struct queue *queue) {
  struct pollfd fd = {.fd = queue_fd(queue), .events = POLLIN};
  return poll(&fd, 1, 0) == 1;
}

static void the_first_in_is_the_first_out(void **state) {
  (void)state;
  struct queue *queue;
  int entries[3];
  void *got;
  assert_int_equal(queue_new(&queue, 2), 0);
  assert_false(readable(queue));
  assert_int_equal(queue_pop(queue, &got), QUEUE_EMPTY);
  for (int round = 0; round < 5; round++) { /* runs round the ring */
    assert_int_equal(queue_push(queue, &entries[0]), 0);
    assert_int_equal(queue_push(queue, &entries[1]), 0);
    assert_int_equal(queue_push(queue, &entries[2]), QUEUE_FULL);
    assert_int_equal(queue_count(queue), 2);
    assert_true(readable(queue));
    assert_int_equal(queue_pop(queue, &got), 0);
    assert_ptr_equal(got, &entries[0]);
    assert_true(readable(queue));
    assert_int_equal(queue_wait(queue, &got, -1), 0);
    assert_ptr_equal(got, &entries[1]);
    assert_false(readable(queue));
  }
  assert_null(queue_free(queue));
}

static void a_closed_queue_gives_what_it_has_and_wakes(void **state) {
  (void)state;
  struct queue *queue;
  int entry;
  void *got;
  assert_int_equal(queue_new(&queue, 4), 0);
  queue_push(queue, &entry);
  queue_close(queue);
  assert_int_equal(queue_push(queue, &entry), QUEUE_CLOSED);
  assert_int_equal(queue_wait(queue, &got, 0), 0);
  assert_int_equal(queue_wait(queue, &got, -1), QUEUE_CLOSED);
  assert_int_equal(queue_pop(queue, &got), QUEUE_CLOSED);
  assert_true(readable(queue));
  queue_free(queue);
}

static void waiting_ends_with_the_time(void **state) {
  (void)state;
  struct queue *queue;
  void *got;
  assert_int_equal(queue_new(&queue, 1), 0);
  assert_int_equal(queue_wait(queue, &got, 0), QUEUE_EMPTY);
  assert_int_equal(queue_wait(queue, &got, 2000), QUEUE_EMPTY);
  queue_free(queue);
}

enum { ENTRIES = 20000, SIDES = 3 };
struct crossing {
  struct queue *queue;
  atomic_int next, taken;
  atomic_int seen[ENTRIES];
};

static void *send_all(void *arg) {
  struct crossing *c = arg;
  for (int i; (i = atomic_fetch_add(&c->next, 1)) < ENTRIES;)
    while (queue_push(c->queue, &c->seen[i]) == QUEUE_FULL) sched_yield();
  return NULL;
}

static void *take_all(void *arg) {
  struct crossing *c = arg;
  for (void *got; queue_wait(c->queue, &got, -1) == 0;) {
    atomic_fetch_add((atomic_int *)got, 1);
    if (atomic_fetch_add(&c->taken, 1) + 1 == ENTRIES) queue_close(c->queue);
  }
  return NULL;
}

static void many_threads_lose_and_double_nothing(void **state) {
  (void)state;
  static struct crossing c;
  pthread_t threads[2 * SIDES];
  assert_int_equal(queue_new(&c.queue, 16), 0);
  for (int i = 0; i < 2 * SIDES; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, i % 2 ? send_all : take_all, &c), 0);
  for (int i = 0; i < 2 * SIDES; i++) pthread_join(threads[i], NULL);
  for (int i = 0; i < ENTRIES; i++) assert_int_equal(c.seen[i], 1);
  queue_free(c.queue);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_first_in_is_the_first_out),
      cmocka_unit_test(a_closed_queue_gives_what_it_has_and_wakes),
      cmocka_unit_test(waiting_ends_with_the_time),
      cmocka_unit_test(many_threads_lose_and_double_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
