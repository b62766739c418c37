#ifndef RIVERBUS_COMMON_LINK_FORK_H
#define RIVERBUS_COMMON_LINK_FORK_H
/*
 * Whether two holders of one (stream, epoch) hold different pasts. The origin marks each record with the run (a number
 * drawn whenever its store was opened) that wrote it, and both sides know from which sequence on each run wrote. A
 * store that was put back as an old copy is opened again, so its new records carry a new run from the number after the
 * copy's last on, while the peer still has the records that the lost timeline gave the same numbers. Comparing the last
 * sequence alone would miss a copy that has written as much again. Of a run that runs.h has thinned out only the first
 * record counts as common: after many starts without the link some records are issued again that the peer had, twice
 * rather than lost.
 */
#include "common/link/message.h"

struct fork_side {
  uint64_t last;
  const struct link_run *runs;
  size_t run_count;
}; /* runs: oldest first; the newest LINK_RUNS_NEWEST all, older ones as both sides choose alike */

/* The greatest sequence up to which both surely hold the same; *forked: the peer holds something after it, and so it
 * does not surely continue the origin's. Of an older common run, after which others may have been left out, only the
 * first sequence counts. */
uint64_t fork_common(const struct fork_side *mine, const struct fork_side *peer, bool *forked);
#endif
