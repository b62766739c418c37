/* Chance that repeats: the seed is printed; RIVERBUS_SEED sets it. */
#ifndef RIVERBUS_TESTS_UNIT_BROKER_DRAW_H
#define RIVERBUS_TESTS_UNIT_BROKER_DRAW_H
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline uint64_t draw(uint64_t *seed) { /* splitmix64 */
  uint64_t z = (*seed += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}
static inline uint64_t draw_below(uint64_t *seed, uint64_t n) { return draw(seed) % n; }
static inline uint64_t draw_seed(void) {
  const char *set = getenv("RIVERBUS_SEED");
  uint64_t seed = set ? strtoull(set, NULL, 0) : (uint64_t)time(NULL);
  printf("RIVERBUS_SEED=%" PRIu64 "\n", seed);
  return seed;
}
#endif
