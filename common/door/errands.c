#include "common/door/errands.h"
#include "common/base/mem.h"
#include <stdlib.h>

struct errand {
  struct errand *next;
  struct errand **place; /* what points to it in its list */
  struct errand_list *list;
  struct errands *owner;
  struct store_batch *batch; /* until the store took it */
  struct store_read read;
  struct buffer key; /* what `read` points to, while it waits */
  enum errand_rank rank;
  bool forgotten;
  errand_fn *done;
  void *ctx, *cookie;
};

/* ---- lists ---- */

static void list_add(struct errand_list *list, struct errand *errand) {
  errand->list = list;
  errand->next = NULL;
  errand->place = list->last;
  *list->last = errand;
  list->last = &errand->next;
  list->count++;
}

static void list_remove(struct errand *errand) {
  *errand->place = errand->next;
  if (errand->next)
    errand->next->place = errand->place;
  else
    errand->list->last = errand->place;
  errand->list->count--;
  errand->list = NULL;
}

static void list_init(struct errand_list *list) { *list = (struct errand_list){NULL, &list->first, 0}; }

void errands_init(struct errands *errands, struct node *node) {
  *errands = (struct errands){.node = node};
  list_init(&errands->under_way);
  for (int rank = 0; rank < ERRAND_RANKS; rank++) list_init(&errands->waiting[rank]);
}

static void errand_free(struct errand *errand) {
  if (errand->batch) store_batch_free(errand->batch);
  buffer_deinit(&errand->key);
  free(errand);
}

static void answer(struct errand *errand, const struct store_done *done) {
  list_remove(errand);
  if (errand->done && !errand->forgotten) errand->done(errand->ctx, errand->cookie, done);
  errand_free(errand);
}

void errands_deinit(struct errands *errands) {
  const struct store_done refused = {.kind = STORE_DONE_REFUSED};
  errands->node = NULL; /* who is answered may ask again, and is refused again */
  while (errands->under_way.first) answer(errands->under_way.first, &refused);
  for (int rank = 0; rank < ERRAND_RANKS; rank++)
    while (errands->waiting[rank].first) answer(errands->waiting[rank].first, &refused);
}

/* ---- asking ---- */

static bool has_turn(const struct errands *errands, enum errand_rank rank) {
  return rank == ERRAND_URGENT ||
         (!errands->waiting[ERRAND_URGENT].first && errands->patient_under_way < ERRANDS_PATIENT_MAX);
}

/* Hands the first that waits to the store; false: it has no turn, or the store is full. */
static bool ask(struct errands *errands, struct errand *errand) {
  if (!errands->node || !has_turn(errands, errand->rank)) return false;
  if (errand->batch ? node_submit(errands->node, errand->batch, errand)
                    : node_read(errands->node, &errand->read, errand))
    return false;
  errand->batch = NULL; /* the store's now */
  if (errand->rank == ERRAND_PATIENT) errands->patient_under_way++;
  list_remove(errand);
  list_add(&errands->under_way, errand);
  return true;
}

static struct errand *start(struct errands *errands, struct errand *errand) {
  struct errand_list *list = &errands->waiting[errand->rank];
  list_add(list, errand);
  if (list->first == errand) ask(errands, errand);
  return errand;
}

static struct errand *errand_new(
    struct errands *errands, enum errand_rank rank, errand_fn *done, void *ctx, void *cookie) {
  struct errand *errand = mem_alloc(sizeof *errand);
  errand->owner = errands;
  errand->rank = rank;
  errand->done = done;
  errand->ctx = ctx;
  errand->cookie = cookie;
  return errand;
}

void errands_submit(struct errands *errands, enum errand_rank rank, struct store_batch *batch, errand_fn *done,
    void *ctx, void *cookie) {
  struct errand *errand = errand_new(errands, rank, done, ctx, cookie);
  errand->batch = batch;
  start(errands, errand);
}

struct errand *errands_read(struct errands *errands, enum errand_rank rank, const struct store_read *read,
    errand_fn *done, void *ctx, void *cookie) {
  struct errand *errand = errand_new(errands, rank, done, ctx, cookie);
  errand->read = *read;
  if (read->key.len) {
    buffer_append(&errand->key, read->key);
    errand->read.key = buffer_bytes(&errand->key);
  }
  return start(errands, errand);
}

void errand_forget(struct errand *errand) {
  if (!errand) return;
  errand->forgotten = true;
  if (errand->list != &errand->owner->waiting[errand->rank]) return; /* the store has it */
  list_remove(errand);
  errand_free(errand);
}

bool errands_has(const struct errands *errands, const void *cookie) {
  const struct errand *errand = errands->under_way.first;
  while (errand && errand != cookie) errand = errand->next;
  return errand != NULL;
}

void errands_finish(struct errands *errands, void *cookie, const struct store_done *done) {
  struct errand *errand = cookie;
  if (errand->rank == ERRAND_PATIENT) errands->patient_under_way--;
  answer(errand, done);
  errands_retry(errands);
}

void errands_retry(struct errands *errands) {
  for (int rank = 0; rank < ERRAND_RANKS; rank++)
    while (errands->waiting[rank].first && ask(errands, errands->waiting[rank].first)) {}
}
