#include "common/link/fork.h"

/* Up to where the run surely wrote. */
static uint64_t run_end(const struct fork_side *side, size_t i) {
  if (i + 1 == side->run_count) return side->last;
  return i + LINK_RUNS_NEWEST >= side->run_count ? side->runs[i + 1].first - 1 : side->runs[i].first;
}

static bool find_run(const struct fork_side *side, uint64_t run, size_t *at) {
  for (size_t i = side->run_count; i-- > 0;)
    if (side->runs[i].run == run) {
      *at = i;
      return true;
    }
  return false;
}

uint64_t fork_common(const struct fork_side *mine, const struct fork_side *peer, bool *forked) {
  uint64_t common = 0;
  for (size_t i = mine->run_count; i-- > 0;) {
    size_t at;
    if (!find_run(peer, mine->runs[i].run, &at)) continue;
    uint64_t my_end = run_end(mine, i), peer_end = run_end(peer, at);
    common = my_end < peer_end ? my_end : peer_end;
    break;
  }
  *forked = peer->last > common;
  return common;
}
