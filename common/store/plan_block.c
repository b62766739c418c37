/* What of a foreign block is new. */
#include "common/store/internal.h"
#include "common/store/plan.h"

struct taking {
  struct plan *plan;
  struct done *done;
};

static void apply_taking(void *ctx, const struct effect *effect) {
  struct taking *taking = ctx;
  plan_effect(taking->plan, taking->done, effect);
}

struct collecting {
  uint64_t from, to;
  struct intervals *taken;
};

static void collect(void *ctx, const struct entry *entry) {
  struct collecting *collecting = ctx;
  entry_sequences(entry, collecting->from, collecting->to, collecting->taken);
}

static bool held_overlaps(const struct coverage *coverage, const struct block_summary *is) {
  const struct cover *cover = coverage_find(coverage, is->stream, is->epoch);
  return cover && intervals_overlaps(&cover->held, is->first, is->last);
}

/* Adds to *taken the sequences within the block's extent that are stored already, or planned. */
static int plan_taken(struct plan *plan, const struct block_summary *is, struct intervals *taken) {
  struct collecting collecting = {.from = is->first, .to = is->last, .taken = taken};
  if (held_overlaps(&plan->extra, is))
    for (size_t i = 0; i < plan->entry_count; i++)
      if (entry_overlaps(&plan->entries[i], is->stream, is->epoch, is->first, is->last))
        collect(&collecting, &plan->entries[i]);
  if (!held_overlaps(plan->base, is)) return 0;
  return plan->stored.overlapping(plan->stored.ctx, is->stream, is->epoch, is->first, is->last, collect, &collecting);
}

/* The numbers that are accepted as new at all: [floor, ceiling]. */
static void plan_bounds(const struct plan *plan, const struct block_summary *is, uint64_t *floor, uint64_t *ceiling) {
  const struct cover *cover = coverage_find(plan->base, is->stream, is->epoch);
  *floor = cover ? cover->floor : 1;
  *ceiling = cover ? cover->ceiling : UINT64_MAX;
}

struct sieve {
  const struct intervals *taken;
  uint64_t floor, ceiling;
  uint64_t held, late;
  struct intervals below; /* the floor */
};

static bool sieve_keep(void *ctx, const struct record *record) {
  struct sieve *sieve = ctx;
  if (record->sequence < sieve->floor || record->sequence > sieve->ceiling) {
    sieve->late++;
    if (record->sequence < sieve->floor) intervals_add(&sieve->below, record->sequence, record->sequence);
    return false;
  }
  if (!intervals_contains(sieve->taken, record->sequence)) return true;
  sieve->held++;
  return false;
}

static void plan_store(struct plan *plan, const struct batch_item *from, struct done *done, struct store_item *item,
    struct blob *block, const struct block_summary *is) {
  struct entry *entry = plan_entry(plan, from->lane, block, is);
  entry->source = from->source;
  entry->scope = from->scope;
  entry->covers_from = from->from;
  entry->covers_to = from->to;
  item->position = entry->position;
  item->block = blob_ref(block);
  item->first = is->first;
  item->last = is->last;
  entry_effects(entry, apply_taking, &(struct taking){plan, done});
}

/* The floor goes over what had not come yet; when it comes it is gone, and nobody has named it so far. */
static void plan_name_late(
    struct plan *plan, const struct block_summary *is, struct intervals *late, struct done *done) {
  const struct cover *cover = coverage_find(plan->base, is->stream, is->epoch);
  int64_t now = world_now(plan->world).wall;
  for (size_t i = 0; cover && i < cover->discard_count; i++)
    intervals_remove(late, cover->discards[i].from, cover->discards[i].to);
  for (size_t i = 0; i < late->count; i++) {
    uint64_t from = late->items[i].from, to = late->items[i].to;
    done_discard(
        done, &(struct store_discard){is->stream, is->epoch, from, to, BYTES_NULL, bytes_text(trim_by_lateness), now});
    plan_effect(plan, done,
        &(struct effect){.kind = EFFECT_DISCARD,
            .stream = is->stream,
            .epoch = is->epoch,
            .from = from,
            .to = to,
            .reason = bytes_text(trim_by_lateness),
            .time = now});
  }
}

/* Takes out what is held or late. A block whose body cannot be read is not stored in part: it counts as held where its
 * extent is. */
static void plan_sieve(
    struct plan *plan, const struct batch_item *from, struct done *done, struct store_item *item, struct sieve *sieve) {
  struct block block;
  struct blob *left = NULL;
  bool readable = block_open(&block, blob_bytes(from->block)) == 0 &&
                  block_filter(&left, from->block, &block, sieve_keep, sieve) == 0;
  if (!readable) {
    sieve->held = from->block_is.count;
    left = NULL;
  }
  plan->counts.duplicates += sieve->held;
  plan->counts.late += sieve->late;
  plan_name_late(plan, &from->block_is, &sieve->below, done);
  intervals_deinit(&sieve->below);
  struct block_summary is;
  if (left && block_summarise(&is, blob_bytes(left))) {
    item->outcome = left == from->block ? STORE_STORED : STORE_PARTIAL;
    plan_store(plan, from, done, item, left, &is);
  } else {
    item->outcome = sieve->held == 0 && sieve->late > 0 ? STORE_LATE : STORE_DUPLICATE;
  }
  blob_unref(left);
}

int plan_block(struct plan *plan, const struct batch_item *from, struct done *done, struct store_item *item) {
  const struct block_summary *is = &from->block_is;
  struct intervals taken = INTERVALS_NULL;
  struct sieve sieve = {.taken = &taken};
  *item = (struct store_item){
      .outcome = STORE_STORED, .lane = from->lane, .stream = is->stream, .epoch = is->epoch, .source = from->source};
  plan_bounds(plan, is, &sieve.floor, &sieve.ceiling);
  int r = plan_taken(plan, is, &taken);
  if (r == 0) {
    bool within = is->first >= sieve.floor && is->last <= sieve.ceiling;
    if (within && taken.count == 0)
      plan_store(plan, from, done, item, from->block, is);
    else
      plan_sieve(plan, from, done, item, &sieve);
  }
  intervals_deinit(&taken);
  return r;
}
