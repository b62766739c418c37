#ifndef RIVERBUS_GATEWAY_PACK_H
#define RIVERBUS_GATEWAY_PACK_H
/* Records of this station on their way into one store batch: events and reports into the urgent stream, the rest into
 * the telemetry stream. */
#include "common/store/store.h"

struct pack {
  char telemetry[STREAM_MAX], urgent[STREAM_MAX];
  uint64_t run;
  struct block_builder *builders[2]; /* urgent, telemetry */
  struct store_batch *batch;         /* of the records so far; NULL: none yet */
  size_t count;
  size_t bytes; /* about what the batch will take */
};
void pack_init(struct pack *pack, const char *station, uint64_t run);
void pack_deinit(struct pack *pack);
void pack_add(struct pack *pack, const struct record *record); /* copies */
/* the batch, for what else belongs into it; made where there is none */
struct store_batch *pack_batch(struct pack *pack);
/* finished: the caller's; NULL: nothing was added. The pack is empty again */
struct store_batch *pack_take(struct pack *pack);
#endif
