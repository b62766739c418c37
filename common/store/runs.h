#ifndef RIVERBUS_COMMON_STORE_RUNS_H
#define RIVERBUS_COMMON_STORE_RUNS_H
/*
 * The runs that wrote a stream, each with the first sequence it wrote. Of many only some are kept: the newest
 * STORE_RUNS_NEWEST without a gap, and of the older ones those whose number has many trailing zero bits: for each level
 * up to STORE_RUNS_LEVELS - 1 the newest STORE_RUNS_LEVEL with at least so many. Numbers are random, so that two
 * holders of a stream keep the same of the past that they share without a word between them, the thinner the older it
 * is.
 */
#include "common/store/store.h"

struct runs {
  struct store_run_start *items; /* by first sequence, rising; on the heap */
  uint32_t count, cap;
};

void runs_deinit(struct runs *runs);
/* The run wrote `first`, or something after it; of one run the smallest first counts. 0 is no run. */
void runs_note(struct runs *runs, uint64_t run, uint64_t first);
/* Nothing above `ceiling` counts any more. */
void runs_cut(struct runs *runs, uint64_t ceiling);
#endif
