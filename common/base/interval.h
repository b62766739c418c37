#ifndef RIVERBUS_COMMON_BASE_INTERVAL_H
#define RIVERBUS_COMMON_BASE_INTERVAL_H
/* A set of uint64 numbers as sorted, disjoint, never touching ranges [from, to], both ends inside. All operations take
 * O(log n) to find plus what they move. INTERVALS_NULL is a valid empty set. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct interval {
  uint64_t from;
  uint64_t to;
};
struct intervals {
  struct interval *items;
  size_t count;
  size_t cap;
};
#define INTERVALS_NULL ((struct intervals){NULL, 0, 0})

void intervals_deinit(struct intervals *set);
void intervals_clear(struct intervals *set);
void intervals_add(struct intervals *set, uint64_t from, uint64_t to); /* from <= to */
void intervals_remove(struct intervals *set, uint64_t from, uint64_t to);
void intervals_add_all(struct intervals *set, const struct intervals *other);
void intervals_remove_all(struct intervals *set, const struct intervals *other);
/* Keeps what is in the other as well. */
void intervals_keep(struct intervals *set, const struct intervals *other);
bool intervals_contains(const struct intervals *set, uint64_t number);
/* The same; *to goes down to the last number for which it is still true. */
bool intervals_reach(const struct intervals *set, uint64_t number, uint64_t *to);
/* every number of [from, to] is in the set */
bool intervals_covers(const struct intervals *set, uint64_t from, uint64_t to);
bool intervals_overlaps(const struct intervals *set, uint64_t from, uint64_t to); /* at least one is */
uint64_t intervals_size(const struct intervals *set); /* how many numbers; saturates at UINT64_MAX */
/* Keeps at most `most` ranges (1 at least) by joining across the smallest holes: the result is a superset. */
void intervals_join(struct intervals *set, size_t most);
/* The first number >= from that is not in the set (UINT64_MAX where all up to it are). */
uint64_t intervals_first_missing(const struct intervals *set, uint64_t from);
#endif
