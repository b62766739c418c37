#include "broker/errands.h"
#include "common/base/mem.h"
#include <stdlib.h>

struct errand {
  struct errand *next;
  struct errand **place;     /* under way: what points to it in the list */
  struct store_batch *batch; /* until the store took it */
  struct store_read read;
  struct buffer key; /* what `read` points to, while it waits */
  errand_fn *done;
  void *ctx, *cookie;
};

void errands_init(struct errands *errands, struct node *node) {
  *errands = (struct errands){node, NULL, &errands->first, NULL};
}

static void errand_free(struct errand *errand) {
  if (errand->batch) store_batch_free(errand->batch);
  buffer_deinit(&errand->key);
  free(errand);
}

static void list_add(struct errands *errands, struct errand *errand) {
  errand->next = errands->under_way;
  errand->place = &errands->under_way;
  if (errand->next) errand->next->place = &errand->next;
  errands->under_way = errand;
}

static void list_remove(struct errand *errand) {
  *errand->place = errand->next;
  if (errand->next) errand->next->place = errand->place;
}

static void answer(struct errand *errand, const struct store_done *done) {
  if (errand->done) errand->done(errand->ctx, errand->cookie, done);
  errand_free(errand);
}

void errands_deinit(struct errands *errands) {
  const struct store_done refused = {.kind = STORE_DONE_REFUSED};
  while (errands->under_way) {
    struct errand *errand = errands->under_way;
    list_remove(errand);
    answer(errand, &refused);
  }
  while (errands->first) {
    struct errand *errand = errands->first;
    errands->first = errand->next;
    answer(errand, &refused);
  }
  errands->last = &errands->first;
}

static bool ask(struct errands *errands, struct errand *errand) {
  struct errand *next = errand->next;
  if (errand->batch ? node_submit(errands->node, errand->batch, errand)
                    : node_read(errands->node, &errand->read, errand))
    return false;
  errand->batch = NULL; /* the store's now */
  list_add(errands, errand);
  if (errands->first == errand) errands->first = next;
  return true;
}

static struct errand *start(struct errands *errands, struct errand *errand) {
  if (!errands->first && ask(errands, errand)) return errand;
  *errands->last = errand;
  errands->last = &errand->next;
  return errand;
}

static struct errand *errand_new(errand_fn *done, void *ctx, void *cookie) {
  struct errand *errand = mem_alloc(sizeof *errand);
  errand->done = done;
  errand->ctx = ctx;
  errand->cookie = cookie;
  return errand;
}

void errands_submit(struct errands *errands, struct store_batch *batch, errand_fn *done, void *ctx, void *cookie) {
  struct errand *errand = errand_new(done, ctx, cookie);
  errand->batch = batch;
  start(errands, errand);
}

struct errand *errands_read(
    struct errands *errands, const struct store_read *read, errand_fn *done, void *ctx, void *cookie) {
  struct errand *errand = errand_new(done, ctx, cookie);
  errand->read = *read;
  if (read->key.len) {
    buffer_append(&errand->key, read->key);
    errand->read.key = buffer_bytes(&errand->key);
  }
  return start(errands, errand);
}

void errand_forget(struct errand *errand) {
  if (errand) errand->done = NULL;
}

void errands_finish(struct errands *errands, void *cookie, const struct store_done *done) {
  struct errand *errand = cookie;
  (void)errands;
  list_remove(errand);
  answer(errand, done);
}

void errands_retry(struct errands *errands) {
  while (errands->first && ask(errands, errands->first)) {}
  if (!errands->first) errands->last = &errands->first;
}
