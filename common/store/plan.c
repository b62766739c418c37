#include "common/store/plan.h"
#include "common/base/mem.h"
#include <stdlib.h>

void plan_init(struct plan *plan, const struct coverage *base, struct plan_stored stored, const struct world *world,
    uint64_t run) {
  *plan = (struct plan){.base = base, .extra = COVERAGE_NULL, .stored = stored, .world = world, .run = run};
}

void plan_deinit(struct plan *plan) {
  for (size_t i = 0; i < plan->entry_count; i++) blob_unref(plan->entries[i].block);
  free(plan->entries);
  plan->entries = NULL;
  plan->entry_count = plan->entry_cap = 0;
  coverage_deinit(&plan->extra);
}

void plan_effect(struct plan *plan, struct done *done, const struct effect *effect) {
  coverage_apply(&plan->extra, effect);
  done_effect(done, effect);
}

struct entry *plan_entry(struct plan *plan, enum lane lane, struct blob *block, const struct block_summary *is) {
  if (plan->entry_count == plan->entry_cap) {
    plan->entry_cap = plan->entry_cap ? plan->entry_cap * 2 : 16;
    plan->entries = mem_resize(plan->entries, plan->entry_cap, sizeof *plan->entries);
  }
  struct entry *entry = &plan->entries[plan->entry_count++];
  *entry = (struct entry){.lane = lane,
      .position = plan->next[lane]++,
      .block = blob_ref(block),
      .covers_from = 1,
      .covers_to = 0,
      .is = *is};
  if (block) {
    plan->counts.blocks++;
    plan->counts.records += is->count;
    plan->counts.bytes += block->len;
  }
  return entry;
}

uint64_t plan_last(const struct plan *plan, struct bytes stream, struct epoch epoch) {
  const struct cover *base = coverage_find(plan->base, stream, epoch),
                     *extra = coverage_find(&plan->extra, stream, epoch);
  uint64_t last = base ? base->last : 0;
  return extra && extra->last > last ? extra->last : last;
}

bool plan_newest(const struct plan *plan, struct bytes stream, struct epoch *epoch) {
  const struct cover *base = coverage_newest(plan->base, stream), *extra = coverage_newest(&plan->extra, stream);
  if (!base && !extra) return false;
  const struct cover *newest = !base || (extra && epoch_compare(extra->epoch, base->epoch) > 0) ? extra : base;
  *epoch = newest->epoch;
  return true;
}

struct epoch plan_draw_epoch(const struct plan *plan, struct epoch above) {
  int64_t now = world_now(plan->world).wall;
  struct epoch epoch = {.created = now > 0 ? (uint64_t)now : 1};
  if (epoch.created <= above.created) epoch.created = above.created + 1;
  world_random(plan->world, &epoch.random, sizeof epoch.random);
  return epoch;
}

static struct epoch plan_own_epoch(struct plan *plan, struct bytes stream, struct done *done) {
  struct epoch epoch;
  if (plan_newest(plan, stream, &epoch)) return epoch;
  epoch = plan_draw_epoch(plan, (struct epoch){0, 0});
  plan_effect(plan, done, &(struct effect){.kind = EFFECT_EPOCH, .stream = stream, .epoch = epoch});
  return epoch;
}

struct to_plan {
  struct plan *plan;
  struct done *done;
};

static void apply_to_plan(void *ctx, const struct effect *effect) {
  struct to_plan *to = ctx;
  plan_effect(to->plan, to->done, effect);
}

static void plan_own(struct plan *plan, struct batch_item *from, struct done *done, struct store_item *item) {
  struct epoch epoch = plan_own_epoch(plan, from->stream, done);
  block_number(from->block, epoch, plan_last(plan, from->stream, epoch) + 1);
  if (!block_summarise(&from->block_is, blob_bytes(from->block)) || !bytes_equal(from->block_is.stream, from->stream))
    abort(); /* our own draft */
  struct entry *entry = plan_entry(plan, from->lane, from->block, &from->block_is);
  entry_effects(entry, apply_to_plan, &(struct to_plan){plan, done});
  *item = (struct store_item){.outcome = STORE_STORED,
      .lane = from->lane,
      .position = entry->position,
      .block = blob_ref(from->block),
      .stream = from->stream,
      .epoch = epoch,
      .first = from->block_is.first,
      .last = from->block_is.last};
}

static bool claim_known(const struct coverage *coverage, const struct batch_item *from) {
  const struct cover *cover = coverage_find(coverage, from->stream, from->epoch);
  const struct intervals *known = cover ? cover_claimed(cover, from->source, from->scope) : NULL;
  uint64_t low = cover && cover->floor > from->from ? cover->floor : from->from;
  return cover && (low > from->to || (known && intervals_covers(known, low, from->to)));
}

/* A claim that says nothing new makes no entry: heads repeat the same claim every minute. */
static void plan_claim(struct plan *plan, const struct batch_item *from, struct done *done, struct store_item *item) {
  item->lane = from->lane;
  item->stream = from->stream;
  item->epoch = from->epoch;
  item->source = from->source;
  item->outcome = STORE_DUPLICATE;
  if (from->from > from->to || claim_known(plan->base, from) || claim_known(&plan->extra, from)) return;
  int64_t now = world_now(plan->world).wall;
  struct block_summary is = {.stream = from->stream, .epoch = from->epoch, .received_from = now, .received_to = now};
  struct entry *entry = plan_entry(plan, from->lane, NULL, &is);
  entry->source = from->source;
  entry->scope = from->scope;
  entry->covers_from = from->from;
  entry->covers_to = from->to;
  entry_effects(entry, apply_to_plan, &(struct to_plan){plan, done});
  item->outcome = STORE_STORED;
  item->position = entry->position;
}

static void plan_discard(struct plan *plan, const struct batch_item *from, struct done *done, struct store_item *item) {
  item->stream = from->stream;
  item->epoch = from->epoch;
  item->source = from->source;
  item->first = from->from;
  item->last = from->to;
  plan_effect(plan, done,
      &(struct effect){.kind = EFFECT_DISCARD,
          .stream = from->stream,
          .epoch = from->epoch,
          .from = from->from,
          .to = from->to,
          .source = from->source,
          .reason = from->value,
          .time = from->time});
}

static int plan_foreign(struct plan *plan, struct batch_item *from, struct done *done, struct store_item *item) {
  from->stream = from->block_is.stream;
  from->epoch = from->block_is.epoch;
  int r = plan_block(plan, from, done, item);
  if (r != 0) return r;
  if (item->position != 0 || from->from > from->to) return 0;
  struct store_item claim = {.outcome = STORE_DUPLICATE};
  plan_claim(plan, from, done, &claim);
  item->position = claim.position;
  return 0;
}

static int plan_item(struct plan *plan, struct batch_item *from, struct done *done, struct store_item *item) {
  switch (from->kind) {
    case BATCH_OWN: plan_own(plan, from, done, item); return 0;
    case BATCH_BLOCK: return plan_foreign(plan, from, done, item);
    case BATCH_CLAIM: plan_claim(plan, from, done, item); return 0;
    case BATCH_DISCARD: plan_discard(plan, from, done, item); return 0;
    case BATCH_NEW_EPOCH: return plan_new_epoch(plan, from, done, item);
    default: return 0; /* keys and values are the backend's */
  }
}

/* A stream whose first epochs come with this batch counts from `fresh`. */
static bool plan_admits_one(
    const struct plan *plan, struct coverage *fresh, const struct batch_item *item, struct bytes stream) {
  struct epoch epoch = item->kind == BATCH_BLOCK ? item->block_is.epoch : item->epoch;
  bool begins = item->kind == BATCH_NEW_EPOCH;
  if (!begins && (coverage_find(plan->base, stream, epoch) || coverage_find(&plan->extra, stream, epoch))) return true;
  size_t epochs = coverage_epochs(plan->base, stream, NULL) + coverage_epochs(&plan->extra, stream, plan->base) +
                  coverage_epochs(fresh, stream, NULL);
  if (!begins) coverage_make(fresh, stream, epoch);
  return epochs < 2 * STORE_EPOCHS_MAX &&
         plan->base->covers + plan->extra.covers + fresh->covers <= (size_t)2 * STORE_PAIRS_MAX;
}

bool plan_admits(const struct plan *plan, const struct store_batch *batch) {
  struct coverage fresh = COVERAGE_NULL;
  bool good = true;
  for (size_t i = 0; good && i < batch->count; i++) {
    const struct batch_item *item = &batch->items[i];
    if (item->kind == BATCH_BLOCK) good = plan_admits_one(plan, &fresh, item, item->block_is.stream);
    if (item->kind == BATCH_CLAIM || item->kind == BATCH_DISCARD || item->kind == BATCH_NEW_EPOCH)
      good = plan_admits_one(plan, &fresh, item, item->stream);
  }
  coverage_deinit(&fresh);
  return good;
}

int plan_batch(struct plan *plan, struct store_batch *batch, struct done *done) {
  for (size_t i = 0; i < batch->count; i++) {
    struct store_item item = {.outcome = STORE_STORED};
    int r = plan_item(plan, &batch->items[i], done, &item);
    *done_item(done) = item;
    if (r != 0) return r;
  }
  return 0;
}
