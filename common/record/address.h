#ifndef RIVERBUS_COMMON_RECORD_ADDRESS_H
#define RIVERBUS_COMMON_RECORD_ADDRESS_H
/*
 * An address names a point: province/station/device/point, e.g. chongqing/cuntan/gauge-1/level. It is 1 to 255 bytes of
 * UTF-8, segments separated by '/', no empty segment, no control character (U+0000-U+001F, U+007F-U+009F), no '+', no
 * '#'. Events of a node itself stand under the reserved device name `riverbus`: chongqing/cuntan/riverbus/epoch,
 * chongqing/riverbus/clone.
 *
 * A pattern is an address in which a whole segment may be '+' (exactly one segment) and the last may be '#' (any number
 * of further segments, none included, as in MQTT: a/# matches a). A pattern is compiled once and matched often.
 */
#include "common/base/bytes.h"

enum { ADDRESS_MAX = 255, ADDRESS_BAD = 1 };

/* 0, or ADDRESS_BAD with *why set to a static sentence that says which rule is broken. why may be NULL. */
int address_check(struct bytes address, const char **why);
/* Whether `address` is `node` itself or lies below it: chongqing/cuntan owns chongqing/cuntan/gauge-1/level but not
 * chongqing/cuntan2/x. */
bool address_below(struct bytes address, struct bytes node);
/* The n-th segment (from 0), empty view where there is none. */
struct bytes address_segment(struct bytes address, unsigned n);
unsigned address_segments(struct bytes address);

struct pattern;
enum { PATTERN_BAD = 1 };
int pattern_new(struct pattern **out, struct bytes text, const char **why); /* PATTERN_BAD: *why is a static sentence */
struct pattern *pattern_free(struct pattern *pattern);
bool pattern_matches(const struct pattern *pattern, struct bytes address); /* no allocation */
struct bytes pattern_text(const struct pattern *pattern);

/* Several patterns as one: matches where any does. Made by patterns_add alone. */
struct pattern_level;
struct patterns {
  struct pattern **items;
  size_t count;
  struct pattern_level *index; /* the same, by their segments; NULL: none */
};
#define PATTERNS_NULL ((struct patterns){NULL, 0, NULL})
int patterns_add(struct patterns *set, struct bytes text, const char **why); /* PATTERN_BAD */
bool patterns_match(const struct patterns *set, struct bytes address);
/* Whether one of the patterns that match the address fits: asked with its place in `items`, in no certain order; NULL:
 * any does. Costs what matches, and a little for each segment, not what is in the set. */
bool patterns_find(const struct patterns *set, struct bytes address, bool (*fits)(void *ctx, size_t place), void *ctx);
/* The same of those that match the node's own name and all below it, */
bool patterns_find_whole(
    const struct patterns *set, struct bytes node, bool (*fits)(void *ctx, size_t place), void *ctx);
/* and of those that can match it, or any address below it. */
bool patterns_find_below(
    const struct patterns *set, struct bytes node, bool (*fits)(void *ctx, size_t place), void *ctx);
void patterns_deinit(struct patterns *set);
#endif
