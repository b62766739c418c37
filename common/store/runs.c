#include "common/store/runs.h"
#include "common/base/mem.h"
#include <stdlib.h>
#include <string.h>

void runs_deinit(struct runs *runs) {
  free(runs->items);
  *runs = (struct runs){NULL, 0, 0};
}

static void take_out(struct runs *runs, uint32_t at) {
  memmove(runs->items + at, runs->items + at + 1, (runs->count - at - 1) * sizeof *runs->items);
  runs->count--;
}

static void put_in(struct runs *runs, uint64_t run, uint64_t first) {
  uint32_t at = runs->count;
  if (runs->count == runs->cap) {
    runs->cap = runs->cap ? runs->cap * 2 : 4;
    runs->items = mem_resize(runs->items, runs->cap, sizeof *runs->items);
  }
  while (at > 0 && runs->items[at - 1].first > first) at--;
  memmove(runs->items + at + 1, runs->items + at, (runs->count - at) * sizeof *runs->items);
  runs->items[at] = (struct store_run_start){.run = run, .first = first};
  runs->count++;
}

static int level_of(uint64_t run) {
  int level = __builtin_ctzll(run);
  return level < STORE_RUNS_LEVELS ? level : STORE_RUNS_LEVELS - 1;
}

/* Counts the run in each of its levels; whether it is among the newest of one. */
static bool is_among(uint32_t counts[STORE_RUNS_LEVELS], uint64_t run) {
  bool among = false;
  for (int level = level_of(run); level >= 0; level--) among |= counts[level]++ < STORE_RUNS_LEVEL;
  return among;
}

static void thin_out(struct runs *runs) {
  uint32_t counts[STORE_RUNS_LEVELS] = {0};
  for (uint32_t i = runs->count, newest = STORE_RUNS_NEWEST; i-- > 0;) {
    bool among = is_among(counts, runs->items[i].run);
    if (newest > 0)
      newest--;
    else if (!among)
      take_out(runs, i);
  }
}

void runs_note(struct runs *runs, uint64_t run, uint64_t first) {
  uint32_t at = runs->count;
  if (run == 0) return;
  while (at > 0 && runs->items[at - 1].run != run) at--; /* the newest first: nearly always it */
  if (at > 0 && runs->items[at - 1].first <= first) return;
  if (at > 0) take_out(runs, at - 1);
  put_in(runs, run, first);
  if (runs->count > STORE_RUNS_NEWEST) thin_out(runs);
}

void runs_cut(struct runs *runs, uint64_t ceiling) {
  while (runs->count > 0 && runs->items[runs->count - 1].first > ceiling) runs->count--;
}
