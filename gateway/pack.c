#include "gateway/pack.h"
#include <stdio.h>

enum { PACK_URGENT = 0, PACK_TELEMETRY = 1, PACK_RECORD_OVERHEAD = 32 };

void pack_init(struct pack *pack, const char *station, uint64_t run) {
  *pack = (struct pack){.run = run, .builders = {block_builder_new(), block_builder_new()}};
  snprintf(pack->telemetry, sizeof pack->telemetry, "%s", station);
  snprintf(pack->urgent, sizeof pack->urgent, "%s!urgent", station);
}

void pack_deinit(struct pack *pack) {
  if (pack->batch) store_batch_free(pack->batch);
  pack->batch = NULL;
  for (int i = 0; i < 2; i++) pack->builders[i] = block_builder_free(pack->builders[i]);
}

struct store_batch *pack_batch(struct pack *pack) {
  if (!pack->batch) pack->batch = store_batch_new();
  return pack->batch;
}

static void pack_finish(struct pack *pack, int which) {
  struct bytes stream = bytes_text(which == PACK_URGENT ? pack->urgent : pack->telemetry);
  struct blob *draft = block_builder_finish(pack->builders[which], stream, pack->run);
  if (draft) store_batch_own(pack_batch(pack), which == PACK_URGENT ? LANE_URGENT : LANE_LIVE, stream, draft);
}

void pack_add(struct pack *pack, const struct record *record) {
  int which = record_is_urgent(record->kind) ? PACK_URGENT : PACK_TELEMETRY;
  pack->count++;
  pack->bytes += PACK_RECORD_OVERHEAD + record->address.len;
  if (record->value.type == VALUE_TEXT || record->value.type == VALUE_BYTES) pack->bytes += record->value.bytes.len;
  if (block_builder_add(pack->builders[which], record, BLOCK_MAX) == 0) return;
  pack_finish(pack, which);
  (void)block_builder_add(pack->builders[which], record, BLOCK_MAX); /* any record fits an empty builder */
}

struct store_batch *pack_take(struct pack *pack) {
  pack_finish(pack, PACK_URGENT);
  pack_finish(pack, PACK_TELEMETRY);
  struct store_batch *batch = pack->batch;
  pack->batch = NULL;
  pack->count = pack->bytes = 0;
  return batch;
}
