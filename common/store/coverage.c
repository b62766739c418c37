#include "common/store/coverage.h"
#include "common/base/mem.h"
#include <stdlib.h>

static struct bytes bytes_own(struct bytes from) {
  return from.len ? bytes_of(mem_copy(from.data, from.len), from.len) : BYTES_NULL;
}

static void bytes_disown(struct bytes *owned) {
  free((void *)(uintptr_t)owned->data);
  *owned = BYTES_NULL;
}

static void cover_free(struct cover *cover) {
  for (size_t i = 0; i < cover->claim_count; i++) {
    bytes_disown(&cover->claims[i].source);
    intervals_deinit(&cover->claims[i].ranges);
  }
  for (size_t i = 0; i < cover->discard_count; i++) {
    bytes_disown(&cover->discards[i].by);
    bytes_disown(&cover->discards[i].reason);
  }
  runs_deinit(&cover->runs);
  free(cover->claims);
  free(cover->discards);
  intervals_deinit(&cover->held);
  intervals_deinit(&cover->unsure);
  free(cover);
}

static void cover_stream_free(void *value) {
  struct cover_stream *stream = value;
  for (size_t i = 0; i < stream->epoch_count; i++) cover_free(stream->epochs[i]);
  free(stream->epochs);
  bytes_disown(&stream->name);
  free(stream);
}

void coverage_deinit(struct coverage *coverage) {
  table_deinit(&coverage->streams, cover_stream_free);
  *coverage = COVERAGE_NULL;
}

/* The place of the first epoch that is not below `epoch`. */
static size_t cover_stream_seek(const struct cover_stream *stream, struct epoch epoch) {
  size_t at = stream->epoch_count;
  while (at > 0 && epoch_compare(stream->epochs[at - 1]->epoch, epoch) >= 0) at--;
  return at;
}

struct cover *coverage_find(const struct coverage *coverage, struct bytes name, struct epoch epoch) {
  const struct cover_stream *stream = table_get(&coverage->streams, name);
  if (!stream) return NULL;
  size_t at = cover_stream_seek(stream, epoch);
  bool found = at < stream->epoch_count && epoch_compare(stream->epochs[at]->epoch, epoch) == 0;
  return found ? stream->epochs[at] : NULL;
}

struct cover *coverage_newest(const struct coverage *coverage, struct bytes name) {
  const struct cover_stream *stream = table_get(&coverage->streams, name);
  return stream && stream->epoch_count ? stream->epochs[stream->epoch_count - 1] : NULL;
}

size_t coverage_epochs(const struct coverage *coverage, struct bytes name, const struct coverage *but) {
  const struct cover_stream *stream = table_get(&coverage->streams, name);
  size_t count = 0;
  for (size_t i = 0; stream && i < stream->epoch_count; i++)
    if (!but || !coverage_find(but, name, stream->epochs[i]->epoch)) count++;
  return count;
}

static struct cover_stream *coverage_stream(struct coverage *coverage, struct bytes name) {
  struct cover_stream *stream = table_get(&coverage->streams, name);
  if (stream) return stream;
  stream = mem_alloc(sizeof *stream);
  stream->name = bytes_own(name);
  table_put(&coverage->streams, name, stream);
  return stream;
}

struct cover *coverage_make(struct coverage *coverage, struct bytes name, struct epoch epoch) {
  struct cover *cover = coverage_find(coverage, name, epoch);
  if (cover) return cover;
  struct cover_stream *stream = coverage_stream(coverage, name);
  size_t at = cover_stream_seek(stream, epoch);
  stream->epochs = mem_resize(stream->epochs, stream->epoch_count + 1, sizeof *stream->epochs);
  memmove(stream->epochs + at + 1, stream->epochs + at, (stream->epoch_count - at) * sizeof *stream->epochs);
  stream->epoch_count++;
  coverage->covers++;
  cover = mem_alloc(sizeof *cover);
  cover->of = stream;
  cover->epoch = epoch;
  cover->floor = 1;
  cover->ceiling = UINT64_MAX;
  stream->epochs[at] = cover;
  return cover;
}

/* Joins the smallest holes of what is held and remembers them as unsure, so that nobody is told that they are held. */
static void cover_join(struct cover *cover) {
  if (cover->held.count > COVER_RANGES_MAX) {
    struct intervals before = INTERVALS_NULL, holes = INTERVALS_NULL;
    intervals_add_all(&before, &cover->held);
    intervals_join(&cover->held, COVER_RANGES_MAX / 2);
    intervals_add_all(&holes, &cover->held);
    intervals_remove_all(&holes, &before);
    intervals_add_all(&cover->unsure, &holes);
    intervals_deinit(&before);
    intervals_deinit(&holes);
  }
  if (cover->unsure.count > COVER_RANGES_MAX) intervals_join(&cover->unsure, COVER_RANGES_MAX / 2);
}

static void cover_hold(struct cover *cover, const struct effect *effect) {
  if (effect->from > cover->ceiling) return;
  uint64_t from = effect->from, to = effect->to < cover->ceiling ? effect->to : cover->ceiling;
  if (to > cover->last) cover->last = to;
  runs_note(&cover->runs, effect->run, from);
  if (from < cover->floor) from = cover->floor;
  if (from > to) return;
  intervals_add(&cover->held, from, to);
  intervals_remove(&cover->unsure, from, to);
  cover_join(cover);
}

static size_t cover_claim_find(const struct cover *cover, struct bytes source, uint64_t scope) {
  size_t at = 0;
  while (
      at < cover->claim_count && (cover->claims[at].scope != scope || !bytes_equal(cover->claims[at].source, source)))
    at++;
  return at;
}

static struct cover_claim *cover_claim_renew(struct cover *cover, struct bytes source, uint64_t scope) {
  size_t at = cover_claim_find(cover, source, scope);
  struct cover_claim claim;
  if (at < cover->claim_count) {
    claim = cover->claims[at];
  } else {
    claim = (struct cover_claim){.source = bytes_own(source), .scope = scope, .ranges = INTERVALS_NULL};
    if (cover->claim_count < COVER_CLAIMS_MAX) {
      cover->claims = mem_resize(cover->claims, cover->claim_count + 1, sizeof *cover->claims);
      cover->claim_count++;
    } else {
      bytes_disown(&cover->claims[0].source);
      intervals_deinit(&cover->claims[0].ranges);
      at = 0;
    }
  }
  if (at < cover->claim_count - 1)
    memmove(cover->claims + at, cover->claims + at + 1, (cover->claim_count - 1 - at) * sizeof *cover->claims);
  cover->claims[cover->claim_count - 1] = claim;
  return &cover->claims[cover->claim_count - 1];
}

static void intervals_drop_smallest(struct intervals *set) {
  size_t smallest = 0;
  for (size_t i = 1; i < set->count; i++)
    if (set->items[i].to - set->items[i].from < set->items[smallest].to - set->items[smallest].from) smallest = i;
  intervals_remove(set, set->items[smallest].from, set->items[smallest].to);
}

static void cover_claim_add(struct cover *cover, const struct effect *effect) {
  uint64_t from = effect->from < cover->floor ? cover->floor : effect->from;
  if (from > effect->to) return;
  struct cover_claim *claim = cover_claim_renew(cover, effect->source, effect->scope);
  intervals_add(&claim->ranges, from, effect->to);
  while (claim->ranges.count > COVER_CLAIM_RANGES_MAX) intervals_drop_smallest(&claim->ranges);
}

/* Joins the older into the younger; the reason and the source of the younger stay, since it is the one still looked at.
 * But of what lies between the two, or was said by another, nobody else said that it is gone: then it is the word of
 * this node, which closes nothing for good. */
static void cover_discard_join(struct cover *cover, size_t older, size_t younger) {
  struct cover_discard *gone = &cover->discards[older], *kept = &cover->discards[younger];
  bool apart =
      (gone->from > kept->to && gone->from - kept->to > 1) || (kept->from > gone->to && kept->from - gone->to > 1);
  if (apart || !bytes_equal(gone->by, kept->by)) bytes_disown(&kept->by);
  if (gone->from < kept->from) kept->from = gone->from;
  if (gone->to > kept->to) kept->to = gone->to;
  bytes_disown(&gone->by);
  bytes_disown(&gone->reason);
  memmove(gone, gone + 1, (cover->discard_count - older - 1) * sizeof *gone);
  cover->discard_count--;
}

static bool cover_discard_touches(const struct cover_discard *discard, const struct effect *effect) {
  bool apart = (effect->to < discard->from && discard->from - effect->to > 1) ||
               (effect->from > discard->to && effect->from - discard->to > 1);
  return !apart && bytes_equal(discard->by, effect->source) && bytes_equal(discard->reason, effect->reason);
}

static void cover_discard_add(struct cover *cover, const struct effect *noted) {
  struct effect cut = *noted, *effect = &cut;
  if (cut.to > cover->ceiling) cut.to = cover->ceiling;
  if (cut.from > cut.to) return;
  for (size_t i = cover->discard_count; i-- > 0;) {
    struct cover_discard *discard = &cover->discards[i];
    if (!cover_discard_touches(discard, effect)) continue;
    if (effect->from < discard->from) discard->from = effect->from;
    if (effect->to > discard->to) discard->to = effect->to;
    if (effect->time > discard->time) discard->time = effect->time;
    return;
  }
  cover->discards = mem_resize(cover->discards, cover->discard_count + 1, sizeof *cover->discards);
  cover->discards[cover->discard_count++] = (struct cover_discard){.from = effect->from,
      .to = effect->to,
      .by = bytes_own(effect->source),
      .reason = bytes_own(effect->reason),
      .time = effect->time};
  if (cover->discard_count > COVER_DISCARDS_MAX) cover_discard_join(cover, 0, 1);
}

static void cover_raise_floor(struct cover *cover, uint64_t floor) {
  if (floor - 1 > cover->ceiling) floor = cover->ceiling + 1;
  if (floor <= cover->floor) return;
  intervals_remove(&cover->held, 0, floor - 1);
  intervals_remove(&cover->unsure, 0, floor - 1);
  for (size_t i = 0; i < cover->claim_count; i++) intervals_remove(&cover->claims[i].ranges, 0, floor - 1);
  cover->floor = floor;
}

static void cover_cut_discards(struct cover *cover, uint64_t ceiling) {
  size_t kept = 0;
  for (size_t i = 0; i < cover->discard_count; i++) {
    struct cover_discard *discard = &cover->discards[i];
    if (discard->to > ceiling) discard->to = ceiling;
    if (discard->from <= discard->to) {
      cover->discards[kept++] = *discard;
      continue;
    }
    bytes_disown(&discard->by);
    bytes_disown(&discard->reason);
  }
  cover->discard_count = kept;
}

static void cover_lower_ceiling(struct cover *cover, uint64_t ceiling) {
  if (ceiling >= cover->ceiling) return;
  cover_cut_discards(cover, ceiling);
  if (cover->floor - 1 > ceiling) cover->floor = ceiling + 1;
  intervals_remove(&cover->held, ceiling + 1, UINT64_MAX);
  intervals_remove(&cover->unsure, ceiling + 1, UINT64_MAX);
  runs_cut(&cover->runs, ceiling);
  if (cover->last > ceiling) cover->last = ceiling;
  cover->ceiling = ceiling;
}

struct cover *coverage_apply(struct coverage *coverage, const struct effect *effect) {
  struct cover *cover = coverage_make(coverage, effect->stream, effect->epoch);
  switch (effect->kind) {
    case EFFECT_HOLD: cover_hold(cover, effect); break;
    case EFFECT_CLAIM: cover_claim_add(cover, effect); break;
    case EFFECT_DISCARD: cover_discard_add(cover, effect); break;
    case EFFECT_FLOOR: cover_raise_floor(cover, effect->from); break;
    case EFFECT_EPOCH:
      if (effect->to > cover->last && effect->to <= cover->ceiling) cover->last = effect->to;
      break;
    case EFFECT_CEILING: cover_lower_ceiling(cover, effect->from); break;
  }
  return cover;
}

static int cover_stream_order(const void *a, const void *b) {
  const struct cover_stream *left = *(const struct cover_stream *const *)a,
                            *right = *(const struct cover_stream *const *)b;
  return bytes_compare(left->name, right->name);
}

void coverage_each(const struct coverage *coverage, void (*visit)(void *ctx, struct cover *cover), void *ctx) {
  if (coverage->streams.count == 0) return;
  struct cover_stream **sorted = mem_alloc(coverage->streams.count * sizeof *sorted);
  struct table_cursor cursor = TABLE_CURSOR_NULL;
  size_t count = 0;
  void *value;
  while (table_next(&coverage->streams, &cursor, NULL, &value)) sorted[count++] = value;
  qsort(sorted, count, sizeof *sorted, cover_stream_order);
  for (size_t i = 0; i < count; i++)
    for (size_t k = 0; k < sorted[i]->epoch_count; k++) visit(ctx, sorted[i]->epochs[k]);
  free(sorted);
}

void cover_held(const struct cover *cover, struct intervals *out) {
  struct intervals sure = INTERVALS_NULL;
  intervals_add_all(&sure, &cover->held);
  intervals_remove_all(&sure, &cover->unsure);
  if (cover->floor > 1) intervals_add(&sure, 1, cover->floor - 1);
  intervals_add_all(out, &sure);
  intervals_deinit(&sure);
}

void cover_stands(const struct cover *cover, uint64_t from, uint64_t to, struct intervals *out) {
  for (size_t i = 0; i < cover->held.count; i++) {
    struct interval range = cover->held.items[i];
    if (range.to < from || range.from > to) continue;
    intervals_add(out, range.from > from ? range.from : from, range.to < to ? range.to : to);
  }
  intervals_remove_all(out, &cover->unsure);
}

const struct intervals *cover_claimed(const struct cover *cover, struct bytes source, uint64_t scope) {
  size_t at = cover_claim_find(cover, source, scope);
  return at < cover->claim_count ? &cover->claims[at].ranges : NULL;
}

void cover_describe(const struct cover *cover, struct store_stream *out) {
  *out = (struct store_stream){.stream = cover->of->name,
      .epoch = cover->epoch,
      .last = cover->last,
      .floor = cover->floor,
      .runs = cover->runs.items,
      .run_count = cover->runs.count};
}
