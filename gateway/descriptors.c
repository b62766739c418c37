/* The descriptors that this station has issued: one again only where it says something else than the last. */
#include "common/base/mem.h"
#include "gateway/descriptor.h"
#include "gateway/gateway.h"
#include <stdlib.h>
#include <string.h>

enum { DESCRIPTORS_A_BATCH = 256 };
static const char descriptor_prefix[] = "descriptor/";
enum { DESCRIPTOR_PREFIX = sizeof descriptor_prefix - 1 };

void gateway_load_descriptor(struct gateway *gateway, struct bytes key, struct bytes value) {
  uint64_t hash;
  if (key.len <= DESCRIPTOR_PREFIX || memcmp(key.data, descriptor_prefix, DESCRIPTOR_PREFIX) != 0 ||
      value.len != sizeof hash)
    return;
  free(table_put(&gateway->descriptors, bytes_of(key.data + DESCRIPTOR_PREFIX, key.len - DESCRIPTOR_PREFIX),
      mem_copy(value.data, value.len)));
}

/* Into the pack, where it is not what was issued last. */
static void issue_descriptor(struct gateway *gateway, const struct point *point) {
  struct buffer text = BUFFER_NULL, key = BUFFER_NULL;
  struct bytes address = bytes_text(point->config->address);
  descriptor_put(&text, point);
  uint64_t hash = descriptor_hash(buffer_bytes(&text));
  door_describe(&gateway->door, address, buffer_bytes(&text), world_now(gateway->daemon.world).wall);
  const uint64_t *issued = table_get(&gateway->descriptors, address);
  if (!issued || *issued != hash) {
    struct record record = {
        .kind = RECORD_DESCRIPTOR, .address = address, .value = {.type = VALUE_TEXT, .bytes = buffer_bytes(&text)}};
    record.time = record.received = node_received(gateway->node);
    pack_add(&gateway->pack, &record);
    buffer_printf(&key, "%s%s", descriptor_prefix, point->config->address);
    store_batch_put(pack_batch(&gateway->pack), STORE_META, buffer_bytes(&key), bytes_of(&hash, sizeof hash));
    free(table_put(&gateway->descriptors, address, mem_copy(&hash, sizeof hash)));
  }
  buffer_deinit(&text);
  buffer_deinit(&key);
}

void gateway_issue_descriptors(struct gateway *gateway) {
  for (size_t i = 0; i < gateway->points.count; i++) {
    issue_descriptor(gateway, &gateway->points.items[i]);
    if (gateway->pack.count < DESCRIPTORS_A_BATCH && i + 1 < gateway->points.count) continue;
    struct store_batch *batch = pack_take(&gateway->pack);
    if (batch) tasks_submit(&gateway->tasks, TASK_OTHER, NULL, batch);
  }
}
