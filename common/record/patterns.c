/*
 * Sets of patterns, as a tree of their segments: a neighbour may send hundreds, and each record is compared with them.
 * A level stands for one beginning that patterns have in common. It is visited at most once for an address, so that no
 * set costs more than going through its patterns would; mostly it is one path.
 */
#include "common/base/mem.h"
#include "common/record/address.h"
#include <stdlib.h>

struct places { /* of patterns in their set */
  size_t *items;
  size_t count;
};
struct pattern_level {
  struct bytes segment; /* a view into a pattern's text */
  struct pattern_level **exact;
  size_t exact_count;        /* sorted by segment */
  struct pattern_level *one; /* behind a '+' */
  struct places end;         /* patterns that end here, */
  struct places rest;        /* or with a '#' here */
};

/* ---- building ---- */

static void places_add(struct places *places, size_t place) {
  places->items = mem_resize(places->items, places->count + 1, sizeof *places->items);
  places->items[places->count++] = place;
}

/* The place of the first that is not below the segment. */
static size_t exact_seek(const struct pattern_level *level, struct bytes segment) {
  size_t low = 0, high = level->exact_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (bytes_compare(level->exact[middle]->segment, segment) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static struct pattern_level *exact_find(const struct pattern_level *level, struct bytes segment) {
  size_t at = exact_seek(level, segment);
  return at < level->exact_count && bytes_equal(level->exact[at]->segment, segment) ? level->exact[at] : NULL;
}

static struct pattern_level *exact_make(struct pattern_level *level, struct bytes segment) {
  struct pattern_level *made = exact_find(level, segment);
  if (made) return made;
  size_t at = exact_seek(level, segment);
  level->exact = mem_resize(level->exact, level->exact_count + 1, sizeof *level->exact);
  memmove(level->exact + at + 1, level->exact + at, (level->exact_count++ - at) * sizeof *level->exact);
  made = mem_alloc(sizeof *made);
  made->segment = segment;
  level->exact[at] = made;
  return made;
}

static struct pattern_level *level_make(struct pattern_level *level, struct bytes segment) {
  if (!bytes_equal(segment, bytes_text("+"))) return exact_make(level, segment);
  if (!level->one) level->one = mem_alloc(sizeof *level->one);
  return level->one;
}

/* Cuts the first segment off; false: there is none. What follows the last one has data NULL. */
static bool cut(struct bytes *rest, struct bytes *segment) {
  if (!rest->data) return false;
  const uint8_t *slash = memchr(rest->data, '/', rest->len);
  size_t len = slash ? (size_t)(slash - rest->data) : rest->len;
  *segment = bytes_of(rest->data, len);
  *rest = slash ? bytes_of(slash + 1, rest->len - len - 1) : BYTES_NULL;
  return true;
}

static void index_add(struct patterns *set, size_t place) {
  struct bytes rest = pattern_text(set->items[place]), segment;
  if (!set->index) set->index = mem_alloc(sizeof *set->index);
  struct pattern_level *level = set->index;
  while (cut(&rest, &segment)) {
    if (bytes_equal(segment, bytes_text("#"))) {
      places_add(&level->rest, place);
      return;
    }
    level = level_make(level, segment);
  }
  places_add(&level->end, place);
}

int patterns_add(struct patterns *set, struct bytes text, const char **why) {
  struct pattern *pattern;
  int result = pattern_new(&pattern, text, why);
  if (result != 0) return result;
  set->items = mem_resize(set->items, set->count + 1, sizeof *set->items);
  set->items[set->count] = pattern;
  index_add(set, set->count++);
  return 0;
}

static struct pattern_level *level_free(struct pattern_level *level) {
  if (!level) return NULL;
  for (size_t i = 0; i < level->exact_count; i++) level_free(level->exact[i]);
  level_free(level->one);
  free(level->exact);
  free(level->end.items);
  free(level->rest.items);
  free(level);
  return NULL;
}

void patterns_deinit(struct patterns *set) {
  for (size_t i = 0; i < set->count; i++) pattern_free(set->items[i]);
  level_free(set->index);
  free(set->items);
  *set = PATTERNS_NULL;
}

/* ---- looking ---- */

struct search {
  bool (*fits)(void *ctx, size_t place); /* NULL: any does */
  void *ctx;
};

static bool any_fits(const struct search *search, const struct places *places) {
  bool found = !search->fits && places->count > 0;
  for (size_t i = 0; i < places->count && !found; i++) found = search->fits(search->ctx, places->items[i]);
  return found;
}

static bool search_address(const struct search *search, const struct pattern_level *level, struct bytes address) {
  struct bytes segment;
  if (any_fits(search, &level->rest)) return true;
  if (!cut(&address, &segment)) return any_fits(search, &level->end);
  if (level->one && search_address(search, level->one, address)) return true;
  const struct pattern_level *exact = exact_find(level, segment);
  return exact && search_address(search, exact, address);
}

static bool search_whole(const struct search *search, const struct pattern_level *level, struct bytes node) {
  struct bytes segment;
  if (any_fits(search, &level->rest)) return true;
  if (!cut(&node, &segment)) return false;
  if (level->one && search_whole(search, level->one, node)) return true;
  const struct pattern_level *exact = exact_find(level, segment);
  return exact && search_whole(search, exact, node);
}

static bool search_all(const struct search *search, const struct pattern_level *level) {
  if (any_fits(search, &level->rest) || any_fits(search, &level->end)) return true;
  if (level->one && search_all(search, level->one)) return true;
  bool found = false;
  for (size_t i = 0; i < level->exact_count && !found; i++) found = search_all(search, level->exact[i]);
  return found;
}

static bool search_below(const struct search *search, const struct pattern_level *level, struct bytes node) {
  struct bytes segment;
  if (!cut(&node, &segment)) return search_all(search, level);
  if (any_fits(search, &level->rest)) return true;
  if (level->one && search_below(search, level->one, node)) return true;
  const struct pattern_level *exact = exact_find(level, segment);
  return exact && search_below(search, exact, node);
}

bool patterns_find(const struct patterns *set, struct bytes address, bool (*fits)(void *ctx, size_t place), void *ctx) {
  struct search search = {fits, ctx};
  return set->index && address.len > 0 && search_address(&search, set->index, address);
}

bool patterns_find_whole(
    const struct patterns *set, struct bytes node, bool (*fits)(void *ctx, size_t place), void *ctx) {
  struct search search = {fits, ctx};
  return set->index && search_whole(&search, set->index, node.len > 0 ? node : BYTES_NULL);
}

bool patterns_find_below(
    const struct patterns *set, struct bytes node, bool (*fits)(void *ctx, size_t place), void *ctx) {
  struct search search = {fits, ctx};
  return set->index && search_below(&search, set->index, node.len > 0 ? node : BYTES_NULL);
}

bool patterns_match(const struct patterns *set, struct bytes address) {
  return patterns_find(set, address, NULL, NULL);
}
