/* The gateway's own part of the audit log: starts, configurations, and the signed checkpoints that leave the station.
 */
#include "common/audit/note.h"
#include "gateway/gateway.h"
#include <stdio.h>

static struct bytes station_of(const struct gateway *gateway) { return bytes_text(gateway->config->station); }

static uint64_t head_number(const struct gateway *gateway) {
  struct store_audit head;
  store_audit_head(gateway->daemon.store, &head);
  return head.number;
}

void gateway_audit_start(struct gateway *gateway) {
  const struct store *store = gateway->daemon.store;
  int64_t now = world_now(gateway->daemon.world).wall;
  struct store_batch *batch = store_batch_new();
  pace_init(&gateway->pace, gateway->config->audit.checkpoint_us, head_number(gateway));
  note_start(batch, station_of(gateway), store_run(store), store_created(store), now);
  note_config(batch, station_of(gateway), "loaded", gateway->config_path, now);
  tasks_submit(&gateway->tasks, TASK_OTHER, NULL, batch);
}

void gateway_audit_reload(struct gateway *gateway) {
  struct store_batch *batch = store_batch_new();
  gateway->pace.every_us = gateway->config->audit.checkpoint_us;
  note_config(batch, station_of(gateway), "reloaded", gateway->config_path, world_now(gateway->daemon.world).wall);
  tasks_submit(&gateway->tasks, TASK_OTHER, NULL, batch);
}

/* As an event on the urgent stream: durable, numbered and sent like any other. */
static void issue(struct gateway *gateway, struct bytes checkpoint) {
  char address[ADDRESS_MAX + 1];
  struct pack pack;
  snprintf(address, sizeof address, "%s/riverbus/audit", gateway->config->station);
  struct record record = {
      .kind = RECORD_EVENT, .address = bytes_text(address), .value = {.type = VALUE_BYTES, .bytes = checkpoint}};
  record.time = record.received = node_received(gateway->node);
  pack_init(&pack, gateway->config->station, node_run(gateway->node));
  pack_add(&pack, &record);
  store_batch_urgent(pack_batch(&pack));
  tasks_submit(&gateway->tasks, TASK_OTHER, NULL, pack_take(&pack));
  pack_deinit(&pack);
}

static void sign(struct gateway *gateway) {
  struct store_audit head;
  struct buffer bytes = BUFFER_NULL;
  store_audit_head(gateway->daemon.store, &head);
  struct audit_checkpoint checkpoint = {
      .node = station_of(gateway), .number = head.number, .time = world_now(gateway->daemon.world).wall};
  memcpy(checkpoint.link, head.link, CHAIN_HASH);
  audit_checkpoint_sign(&bytes, &checkpoint, gateway->daemon.identity);
  issue(gateway, buffer_bytes(&bytes));
  pace_signed(&gateway->pace, head.number);
  buffer_deinit(&bytes);
}

int64_t gateway_audit_tick(struct gateway *gateway, struct instant now) {
  if (pace_is_due(&gateway->pace, head_number(gateway), now.mono)) sign(gateway);
  return pace_next(&gateway->pace);
}

void gateway_audit_stop(struct gateway *gateway) {
  if (pace_has_more(&gateway->pace, head_number(gateway))) sign(gateway);
}
