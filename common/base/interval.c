#include "common/base/interval.h"
#include "common/base/mem.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

void intervals_deinit(struct intervals *set) {
  free(set->items);
  *set = INTERVALS_NULL;
}

void intervals_clear(struct intervals *set) { set->count = 0; }

/* Index of the first range whose end is at or after number; count where there is none. */
static size_t intervals_find(const struct intervals *set, uint64_t number) {
  size_t low = 0, high = set->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (set->items[middle].to < number)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* Replaces items [at, at + gone) by `count` new ones. */
static void intervals_splice(
    struct intervals *set, size_t at, size_t gone, const struct interval *new_items, size_t count) {
  size_t total = set->count - gone + count;
  if (total > set->cap) {
    set->cap = total < 8 ? 8 : total * 2;
    set->items = mem_resize(set->items, set->cap, sizeof *set->items);
  }
  size_t tail = set->count - at - gone;
  if (tail > 0) memmove(set->items + at + count, set->items + at + gone, tail * sizeof *set->items);
  for (size_t i = 0; i < count; i++) set->items[at + i] = new_items[i];
  set->count = total;
}

void intervals_add(struct intervals *set, uint64_t from, uint64_t to) {
  assert(from <= to);
  size_t at = intervals_find(set, from > 0 ? from - 1 : 0); /* a range that ends just before touches */
  size_t end = at;
  struct interval joined = {from, to};
  while (end < set->count && (to == UINT64_MAX || set->items[end].from <= to + 1)) {
    if (set->items[end].from < joined.from) joined.from = set->items[end].from;
    if (set->items[end].to > joined.to) joined.to = set->items[end].to;
    end++;
  }
  intervals_splice(set, at, end - at, &joined, 1);
}

void intervals_remove(struct intervals *set, uint64_t from, uint64_t to) {
  assert(from <= to);
  size_t at = intervals_find(set, from);
  size_t end = at;
  struct interval kept[2];
  size_t count = 0;
  while (end < set->count && set->items[end].from <= to) end++;
  if (end == at) return;
  if (set->items[at].from < from) kept[count++] = (struct interval){set->items[at].from, from - 1};
  if (set->items[end - 1].to > to) kept[count++] = (struct interval){to + 1, set->items[end - 1].to};
  intervals_splice(set, at, end - at, kept, count);
}

void intervals_add_all(struct intervals *set, const struct intervals *other) {
  if (set == other) return;
  for (size_t i = 0; i < other->count; i++) intervals_add(set, other->items[i].from, other->items[i].to);
}

void intervals_remove_all(struct intervals *set, const struct intervals *other) {
  if (set == other) {
    intervals_clear(set);
    return;
  }
  for (size_t i = 0; i < other->count; i++) intervals_remove(set, other->items[i].from, other->items[i].to);
}

void intervals_keep(struct intervals *set, const struct intervals *other) {
  uint64_t from = 0;
  for (size_t i = 0; i < other->count && set->count > 0; i++) {
    if (other->items[i].from > from) intervals_remove(set, from, other->items[i].from - 1);
    if (other->items[i].to == UINT64_MAX) return;
    from = other->items[i].to + 1;
  }
  intervals_remove(set, from, UINT64_MAX);
}

bool intervals_contains(const struct intervals *set, uint64_t number) {
  return intervals_overlaps(set, number, number);
}

bool intervals_reach(const struct intervals *set, uint64_t number, uint64_t *to) {
  size_t at = intervals_find(set, number);
  if (at == set->count) return false;
  bool is = set->items[at].from <= number;
  uint64_t end = is ? set->items[at].to : set->items[at].from - 1;
  if (end < *to) *to = end;
  return is;
}

bool intervals_covers(const struct intervals *set, uint64_t from, uint64_t to) {
  size_t at = intervals_find(set, from);
  return at < set->count && set->items[at].from <= from && set->items[at].to >= to;
}

bool intervals_overlaps(const struct intervals *set, uint64_t from, uint64_t to) {
  size_t at = intervals_find(set, from);
  return at < set->count && set->items[at].from <= to;
}

uint64_t intervals_size(const struct intervals *set) {
  uint64_t total = 0;
  for (size_t i = 0; i < set->count; i++) {
    uint64_t span = set->items[i].to - set->items[i].from; /* one less than the count: the count may not fit */
    if (__builtin_add_overflow(total, span, &total) || __builtin_add_overflow(total, 1, &total)) return UINT64_MAX;
  }
  return total;
}

static int size_order(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

/* The size of the k-th smallest hole (k from 1) and how many holes of exactly that size are among the k smallest. */
static uint64_t hole_limit(const struct intervals *set, size_t k, size_t *equal) {
  size_t holes = set->count - 1;
  uint64_t *sizes = mem_resize(NULL, holes, sizeof *sizes);
  for (size_t i = 0; i < holes; i++) sizes[i] = set->items[i + 1].from - set->items[i].to;
  qsort(sizes, holes, sizeof *sizes, size_order);
  uint64_t limit = sizes[k - 1];
  *equal = 0;
  for (size_t i = k; i > 0 && sizes[i - 1] == limit; i--) (*equal)++;
  free(sizes);
  return limit;
}

void intervals_join(struct intervals *set, size_t most) {
  assert(most > 0);
  if (set->count <= most) return;
  size_t equal;
  uint64_t limit = hole_limit(set, set->count - most, &equal);
  size_t kept = 0;
  for (size_t i = 1; i < set->count; i++) {
    uint64_t hole = set->items[i].from - set->items[i - 1].to;
    bool close = hole < limit || (hole == limit && equal > 0);
    if (hole == limit && equal > 0) equal--;
    if (close)
      set->items[kept].to = set->items[i].to;
    else
      set->items[++kept] = set->items[i];
  }
  set->count = kept + 1;
}

uint64_t intervals_first_missing(const struct intervals *set, uint64_t from) {
  size_t at = intervals_find(set, from);
  if (at == set->count || set->items[at].from > from) return from;
  return set->items[at].to == UINT64_MAX ? UINT64_MAX : set->items[at].to + 1;
}
