#include "common/base/mem.h"
#include "common/store/internal.h"
#include <stdlib.h>

/* ---- set-up ---- */

void store_setup(struct store *store, const struct store_ops *ops, const struct store_options *options, uint64_t run,
    int64_t created) {
  store->ops = ops;
  store->world = *options->world;
  store->max_size = options->max_size;
  store->keep_us = options->keep_us;
  store->when_full = options->when_full;
  store->run = run;
  store->created = created;
}

void store_teardown(struct store *store) {
  coverage_deinit(&store->view);
  coverage_deinit(&store->admitted);
}

struct store *store_close(struct store *store) {
  if (store) store->ops->close(store);
  return NULL;
}

uint64_t store_run(const struct store *store) { return store->run; }
int64_t store_created(const struct store *store) { return store->created; }

void store_audit_head(const struct store *store, struct store_audit *head) { *head = store->audit; }

int store_scan(struct store *store, enum store_table table,
    bool (*visit)(void *ctx, struct bytes key, struct bytes value), void *ctx) {
  return store->ops->scan(store, table, visit, ctx);
}

int store_replay(struct store *store, enum lane lane, uint64_t from,
    bool (*visit)(void *ctx, const struct store_entry *entry), void *ctx) {
  return store->ops->replay(store, lane, from, visit, ctx);
}

/* ---- the core's view ---- */

bool store_stream_get(struct store *store, struct bytes stream, struct store_stream *out) {
  const struct cover *cover = coverage_newest(&store->view, stream);
  if (cover) cover_describe(cover, out);
  return cover != NULL;
}

struct describing {
  void (*visit)(void *ctx, const struct store_stream *stream);
  void *ctx;
};

static void describe(void *ctx, struct cover *cover) {
  struct describing *describing = ctx;
  struct store_stream stream;
  cover_describe(cover, &stream);
  describing->visit(describing->ctx, &stream);
}

void store_streams(struct store *store, void (*visit)(void *ctx, const struct store_stream *stream), void *ctx) {
  coverage_each(&store->view, describe, &(struct describing){visit, ctx});
}

void store_stream_each(
    struct store *store, struct bytes name, void (*visit)(void *ctx, const struct store_stream *stream), void *ctx) {
  const struct cover_stream *stream = table_get(&store->view.streams, name);
  for (size_t i = 0; stream && i < stream->epoch_count; i++)
    describe(&(struct describing){visit, ctx}, stream->epochs[i]);
}

void store_epochs(struct store *store, struct bytes name, void (*visit)(void *ctx, struct epoch epoch), void *ctx) {
  const struct cover_stream *stream = table_get(&store->view.streams, name);
  for (size_t i = 0; stream && i < stream->epoch_count; i++) visit(ctx, stream->epochs[i]->epoch);
}

void store_held(struct store *store, struct bytes stream, struct epoch epoch, struct intervals *out) {
  const struct cover *cover = coverage_find(&store->view, stream, epoch);
  if (cover) cover_held(cover, out);
}

void store_claimed(struct store *store, struct bytes stream, struct epoch epoch, struct bytes source, uint64_t scope,
    struct intervals *out) {
  const struct cover *cover = coverage_find(&store->view, stream, epoch);
  const struct intervals *ranges = cover ? cover_claimed(cover, source, scope) : NULL;
  if (ranges) intervals_add_all(out, ranges);
}

void store_claims(struct store *store, struct bytes stream, struct epoch epoch,
    void (*visit)(void *ctx, struct bytes source, uint64_t scope, const struct intervals *ranges), void *ctx) {
  const struct cover *cover = coverage_find(&store->view, stream, epoch);
  for (size_t i = 0; cover && i < cover->claim_count; i++)
    visit(ctx, cover->claims[i].source, cover->claims[i].scope, &cover->claims[i].ranges);
}

void store_discards(
    struct store *store, struct bytes name, void (*visit)(void *ctx, const struct store_discard *discard), void *ctx) {
  const struct cover_stream *stream = table_get(&store->view.streams, name);
  for (size_t i = 0; stream && i < stream->epoch_count; i++)
    for (size_t k = 0; k < stream->epochs[i]->discard_count; k++) {
      const struct cover_discard *d = &stream->epochs[i]->discards[k];
      visit(ctx,
          &(struct store_discard){stream->name, stream->epochs[i]->epoch, d->from, d->to, d->by, d->reason, d->time});
    }
}

/* ---- how many streams ---- */

struct pruning {
  const struct coverage *view;
  struct coverage *left;
};

static void prune(void *ctx, struct cover *cover) {
  struct pruning *pruning = ctx;
  if (!coverage_find(pruning->view, cover->of->name, cover->epoch))
    coverage_make(pruning->left, cover->of->name, cover->epoch);
}

/* Pairs that the view shows by now are counted there. */
static void admitted_prune(struct store *store) {
  struct coverage left = COVERAGE_NULL;
  coverage_each(&store->admitted, prune, &(struct pruning){&store->view, &left});
  coverage_deinit(&store->admitted);
  store->admitted = left;
}

static bool has_room(struct store *store, struct bytes stream) {
  size_t epochs = coverage_epochs(&store->view, stream, NULL) + coverage_epochs(&store->admitted, stream, &store->view);
  if (epochs >= STORE_EPOCHS_MAX) return false;
  if (store->view.covers + store->admitted.covers >= STORE_PAIRS_MAX) admitted_prune(store);
  return store->view.covers + store->admitted.covers < STORE_PAIRS_MAX;
}

bool store_admits(struct store *store, struct bytes stream, struct epoch epoch) {
  if (coverage_find(&store->view, stream, epoch) || coverage_find(&store->admitted, stream, epoch)) return true;
  if (!has_room(store, stream)) {
    store->not_admitted++;
    return false;
  }
  coverage_make(&store->admitted, stream, epoch);
  return true;
}

/* ---- what is on its way ---- */

bool order_is_broken(const struct store *store, const struct store_batch *batch) {
  return batch->in_order && batch->refusals_known < store->refusals[batch->urgent];
}

void order_break(struct store *store, struct store_batch *batch) {
  if (!batch->in_order) return;
  if (!order_is_broken(store, batch)) store->refusals[batch->urgent]++;
  batch->refusals = store->refusals[batch->urgent];
}

int store_submit(struct store *store, struct store_batch *batch, void *cookie) {
  bool full = store->queued_batches >= STORE_QUEUE_BATCHES || store->queued_bytes + batch->bytes > STORE_QUEUE_BYTES;
  if (full && store->queued_batches > 0) return STORE_BUSY;
  batch->cookie = cookie;
  batch->refusals_known = store->refusals_known[batch->urgent];
  store->queued_batches++;
  store->queued_bytes += batch->bytes;
  store->ops->submit(store, batch);
  return 0;
}

static struct read *read_new(const struct store_read *request, void *cookie) {
  struct read *read = mem_alloc(sizeof *read);
  read->request = *request;
  read->request.stream = arena_copy(&read->arena, request->stream);
  read->request.key = arena_copy(&read->arena, request->key);
  read->cookie = cookie;
  read->stands = INTERVALS_NULL;
  return read;
}

struct read *read_free(struct read *read) {
  if (!read) return NULL;
  arena_deinit(&read->arena);
  intervals_deinit(&read->stands);
  free(read);
  return NULL;
}

int store_read(struct store *store, const struct store_read *request, void *cookie) {
  if (store->queued_reads >= STORE_QUEUE_READS) return STORE_BUSY;
  store->queued_reads++;
  struct read *read = read_new(request, cookie);
  const struct cover *cover =
      request->what == STORE_READ_STREAM ? coverage_find(&store->view, request->stream, request->epoch) : NULL;
  if (cover) cover_stands(cover, request->from, request->to, &read->stands);
  store->ops->read(store, read);
  return 0;
}

/* The view follows what the core has been told, so that it never speaks of data whose commit it does not know. */
struct store_done *store_next(struct store *store) {
  struct done *done = store->ops->next(store);
  if (!done) return NULL;
  for (size_t i = 0; i < done->effect_count; i++) coverage_apply(&store->view, &done->effects[i]);
  if (done->face.kind == STORE_DONE_BATCH || done->face.kind == STORE_DONE_REFUSED) {
    store->queued_batches--;
    store->queued_bytes -= done->charge;
    uint64_t *known = &store->refusals_known[done->batch->urgent];
    if (done->batch->refusals > *known) *known = done->batch->refusals;
  }
  if (done->face.kind == STORE_DONE_BATCH && done->audit.number > 0) store->audit = done->audit;
  if (done->face.kind == STORE_DONE_READ) store->queued_reads--;
  return &done->face;
}

struct store_done *store_done_free(struct store_done *done) {
  done_free((struct done *)done);
  return NULL;
}

int store_fd(const struct store *store) { return store->ops->fd(store); }

void store_stats(struct store *store, struct store_stats *out) {
  *out = (struct store_stats){.max_bytes = store->max_size};
  store->ops->stats(store, out);
  out->refused_streams += store->not_admitted;
  out->urgent_reserve_bytes = space_limit(store->max_size, true) - space_limit(store->max_size, false);
  out->queued_batches = store->queued_batches;
  out->queued_bytes = store->queued_bytes;
}

/* ---- space ---- */

enum { FULL_PERCENT = 85, DELETES_PERCENT = 92, RESERVE_SHARE = 8 };

uint64_t space_limit(uint64_t size, bool urgent) {
  uint64_t limit = size / 100 * FULL_PERCENT;
  return urgent ? limit : limit - limit / RESERVE_SHARE;
}

bool space_fits(uint64_t size, uint64_t used, const struct store_batch *batch) {
  uint64_t limit = batch->deletes_only ? size / 100 * DELETES_PERCENT : space_limit(size, batch->urgent);
  return size == 0 || used + batch->bytes <= limit;
}

/* ---- trimming ---- */

const char trim_by_age[] = "keep", trim_by_size[] = "full", trim_by_lateness[] = "late";

void trim_note(
    struct done *done, const struct cover *cover, uint64_t from, uint64_t to, const char *reason, int64_t time) {
  struct bytes stream = cover->of->name;
  struct epoch epoch = cover->epoch;
  if (to > cover->ceiling) to = cover->ceiling;
  if (from > to) return;
  for (size_t i = done->face.discard_count; i-- > 0;) {
    struct store_discard *last = &done->face.discards[i];
    if (epoch_compare(last->epoch, epoch) != 0 || !bytes_equal(last->stream, stream)) continue;
    if (from > last->to + 1 || to + 1 < last->from) break;
    if (from < last->from) last->from = from;
    if (to > last->to) last->to = to;
    return;
  }
  done_discard(done, &(struct store_discard){stream, epoch, from, to, BYTES_NULL, bytes_text(reason), time});
}

void trim_effects(struct done *done) {
  for (size_t i = 0; i < done->face.discard_count; i++) {
    const struct store_discard *d = &done->face.discards[i];
    struct effect effect = {.kind = EFFECT_DISCARD,
        .stream = d->stream,
        .epoch = d->epoch,
        .from = d->from,
        .to = d->to,
        .source = d->by,
        .reason = d->reason,
        .time = d->time};
    done_effect(done, &effect);
    effect.kind = EFFECT_FLOOR;
    effect.from = d->to + 1;
    done_effect(done, &effect);
  }
}
