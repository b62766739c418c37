/*
 * A piece, little-endian, varints as in common/base/cursor.h:
 *
 *   u8 version (1) | sized stream | u64 created | u64 random | varint id | varint floor | varint ceiling | varint last
 *   held: ranges | unsure: ranges
 *   runs: varint count, each u64 run, varint first
 *   claims: varint count, each sized source, u64 scope, ranges
 *   discards: varint count, each varint from, varint to, sized by, sized reason, zigzag time
 *   ranges = varint count, each varint (from - end of the one before), varint (to - from)
 */
#include "common/base/cursor.h"
#include "common/store/coverage.h"

enum { PIECE_VERSION = 1, PIECE_MAX = 1 << 20 };

static void ranges_write(struct writer *w, const struct intervals *ranges) {
  uint64_t end = 0;
  writer_varint(w, ranges->count);
  for (size_t i = 0; i < ranges->count; i++) {
    writer_varint(w, ranges->items[i].from - end);
    writer_varint(w, ranges->items[i].to - ranges->items[i].from);
    end = ranges->items[i].to;
  }
}

static void ranges_read(struct reader *r, struct intervals *ranges) {
  uint64_t end = 0;
  for (uint64_t left = reader_varint(r); left > 0 && !r->failed; left--) {
    uint64_t from = end + reader_varint(r);
    uint64_t to = from + reader_varint(r);
    if (from < end || to < from) reader_fail(r);
    if (!r->failed) intervals_add(ranges, from, to);
    end = to;
  }
}

static void claims_write(struct writer *w, const struct cover *cover) {
  writer_varint(w, cover->claim_count);
  for (size_t i = 0; i < cover->claim_count; i++) {
    writer_sized(w, cover->claims[i].source);
    writer_u64(w, cover->claims[i].scope);
    ranges_write(w, &cover->claims[i].ranges);
  }
}

static void discards_write(struct writer *w, const struct cover *cover) {
  writer_varint(w, cover->discard_count);
  for (size_t i = 0; i < cover->discard_count; i++) {
    const struct cover_discard *discard = &cover->discards[i];
    writer_varint(w, discard->from);
    writer_varint(w, discard->to);
    writer_sized(w, discard->by);
    writer_sized(w, discard->reason);
    writer_zigzag(w, discard->time);
  }
}

void cover_write(const struct cover *cover, struct buffer *to) {
  struct writer w;
  writer_init(&w, to, to->len + PIECE_MAX);
  writer_u8(&w, PIECE_VERSION);
  writer_sized(&w, cover->of->name);
  writer_u64(&w, cover->epoch.created);
  writer_u64(&w, cover->epoch.random);
  writer_varint(&w, cover->id);
  writer_varint(&w, cover->floor);
  writer_varint(&w, cover->ceiling);
  writer_varint(&w, cover->last);
  ranges_write(&w, &cover->held);
  ranges_write(&w, &cover->unsure);
  writer_varint(&w, cover->runs.count);
  for (uint32_t i = 0; i < cover->runs.count; i++) {
    writer_u64(&w, cover->runs.items[i].run);
    writer_varint(&w, cover->runs.items[i].first);
  }
  claims_write(&w, cover);
  discards_write(&w, cover);
}

/* Everything goes through coverage_apply, so that a piece joins what is known already. */
static void runs_read(struct reader *r, struct coverage *coverage, struct effect effect, uint64_t last) {
  effect.kind = EFFECT_HOLD;
  for (uint64_t left = reader_varint(r); left > 0 && !r->failed; left--) {
    effect.run = reader_u64(r);
    effect.from = reader_varint(r);
    effect.to = effect.from;
    if (effect.from == 0 || effect.from > last) reader_fail(r);
    if (!r->failed) coverage_apply(coverage, &effect);
  }
}

static void claims_read(struct reader *r, struct coverage *coverage, struct effect effect) {
  effect.kind = EFFECT_CLAIM;
  for (uint64_t left = reader_varint(r); left > 0 && !r->failed; left--) {
    struct intervals ranges = INTERVALS_NULL;
    effect.source = reader_sized(r);
    effect.scope = reader_u64(r);
    ranges_read(r, &ranges);
    for (size_t i = 0; i < ranges.count && !r->failed; i++) {
      effect.from = ranges.items[i].from;
      effect.to = ranges.items[i].to;
      coverage_apply(coverage, &effect);
    }
    intervals_deinit(&ranges);
  }
}

static void discards_read(struct reader *r, struct coverage *coverage, struct effect effect) {
  effect.kind = EFFECT_DISCARD;
  for (uint64_t left = reader_varint(r); left > 0 && !r->failed; left--) {
    effect.from = reader_varint(r);
    effect.to = reader_varint(r);
    effect.source = reader_sized(r);
    effect.reason = reader_sized(r);
    effect.time = reader_zigzag(r);
    if (!r->failed) coverage_apply(coverage, &effect);
  }
}

static void held_read(struct reader *r, struct cover *cover) {
  ranges_read(r, &cover->held);
  ranges_read(r, &cover->unsure);
}

struct cover *coverage_read(struct coverage *coverage, struct bytes piece) {
  struct reader r;
  reader_init(&r, piece);
  if (reader_u8(&r) != PIECE_VERSION) return NULL;
  struct effect effect = {.kind = EFFECT_FLOOR};
  effect.stream = reader_sized(&r);
  effect.epoch.created = reader_u64(&r);
  effect.epoch.random = reader_u64(&r);
  uint32_t id = (uint32_t)reader_varint(&r);
  effect.from = reader_varint(&r);
  uint64_t ceiling = reader_varint(&r), last = reader_varint(&r);
  if (r.failed || effect.stream.len == 0) return NULL;
  struct cover *cover = coverage_apply(coverage, &effect);
  if (id) cover->id = id;
  effect.kind = EFFECT_CEILING;
  effect.from = ceiling;
  coverage_apply(coverage, &effect);
  if (last > cover->last) cover->last = last;
  held_read(&r, cover);
  runs_read(&r, coverage, effect, last);
  claims_read(&r, coverage, effect);
  discards_read(&r, coverage, effect);
  return reader_done(&r) ? cover : NULL;
}

struct copy {
  struct coverage *to;
  struct buffer piece;
};

static void copy_cover(void *ctx, struct cover *cover) {
  struct copy *copy = ctx;
  buffer_clear(&copy->piece);
  cover_write(cover, &copy->piece);
  coverage_read(copy->to, buffer_bytes(&copy->piece));
}

void coverage_copy(struct coverage *to, const struct coverage *from) {
  struct copy copy = {.to = to, .piece = BUFFER_NULL};
  coverage_each(from, copy_cover, &copy);
  buffer_deinit(&copy.piece);
}
