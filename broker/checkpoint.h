#ifndef RIVERBUS_BROKER_CHECKPOINT_H
#define RIVERBUS_BROKER_CHECKPOINT_H
/*
 * The catalogue's checkpoint: what is in memory goes to the store's table STORE_CHECKPOINT in small pieces, so that a
 * start replays the logs' tails only. A round notes how far each log was applied, writes the pieces that changed, a few
 * at a time, and at its end the noted positions under the key "at". A crash in between leaves newer pieces beside older
 * positions, which is harmless: applying a record twice changes nothing.
 */
#include "common/door/catalogue.h"
#include "common/door/errands.h"

#define CHECKPOINT_EVERY_US (60 * SECOND_US)
enum { CHECKPOINT_LOG_BYTES = 16 * 1024 * 1024 }; /* of blocks since the last round: bounds what a start replays */

struct checkpoint {
  struct catalogue *catalogue;
  struct errands *errands;
  uint64_t applied[LANES]; /* the last position of each log that the catalogue has seen */
  uint64_t noted[LANES];   /* at the beginning of the round */
  uint64_t log_bytes;      /* since the last round began */
  uint64_t round_bytes, last_round_bytes;
  size_t piece; /* next of the round */
  bool running, writing;
  int64_t began; /* mono */
};
void checkpoint_init(struct checkpoint *checkpoint, struct catalogue *catalogue, struct errands *errands);
/* At the start: reads the pieces, then the logs from there on. <0: disk. */
int checkpoint_load(struct checkpoint *checkpoint, struct store *store);
void checkpoint_applied(struct checkpoint *checkpoint, enum lane lane, uint64_t position, size_t bytes);
/* Begins or continues a round. now: mono. Returns when to call again at the latest. */
int64_t checkpoint_tick(struct checkpoint *checkpoint, int64_t now);
#endif
