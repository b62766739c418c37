/* MQTT messages to records, in one transaction with what makes a redelivered one known; and silence to records. */
#include "gateway/gateway.h"

static bool is_clock_bad(const struct record *record) { return record->reason == REASON_CLOCK; }

static void intake_record(void *ctx, struct point *point, const struct record *mapped) {
  struct gateway *gateway = ctx;
  struct record record = *mapped;
  record.received = node_received(gateway->node);
  pack_add(&gateway->pack, &record);
  if (!is_clock_bad(&record)) point_keep(point, &record);
  dispatch_measured(gateway->dispatch, point, &record, gateway->intake.retained, world_now(gateway->world));
}

/* Counted at the point already; here it becomes a line, at a bounded rate. */
static void intake_fault(void *ctx, struct point *point, enum point_fault fault) {
  struct gateway *gateway = ctx;
  uint64_t suppressed = 0;
  if (!log_allow(&gateway->intake.fault_limit, world_now(gateway->world).mono, &suppressed)) return;
  log_warning("mapping", point->config->address, "%s in a payload of %s (%llu so far%s)", point_fault_name(fault), point->config->topic,
              (unsigned long long)point->faults[fault], suppressed ? "; more such lines were left out" : "");
}

static void intake_message(struct gateway *gateway, const struct mqtt_batch *batch, const struct mqtt_message *from, struct instant now) {
  const struct mapping_sink sink = {gateway, intake_record, intake_fault};
  const struct mapping_message message = {.topic = bytes_of(batch->bytes.data + from->topic, from->topic_len),
                                          .payload = bytes_of(batch->bytes.data + from->payload, from->payload_len),
                                          .too_large = from->too_large,
                                          .now = now.wall,
                                          .mono = now.mono};
  bool held = inbox_holds(&gateway->inbox, from->mid, from->hash);
  inbox_note(&gateway->inbox, from->mid, from->hash);
  gateway->intake.messages++;
  if (held) {
    gateway->intake.suppressed++;
    return;
  }
  gateway->intake.retained = from->retained;
  if (mapping_message(&gateway->points, gateway->config->zone_s, &message, &sink) == 0) gateway->intake.unwanted++;
}

void intake_take(struct gateway *gateway, struct mqtt_batch *batch) {
  struct instant now = world_now(gateway->world);
  gateway->intake.batch = batch;
  gateway->intake.from = gateway->mqtt;
  if (batch->fresh) inbox_connected(&gateway->inbox, batch->session_present);
  for (size_t i = 0; i < batch->count; i++) intake_message(gateway, batch, &batch->messages[i], now);
  inbox_put(&gateway->inbox, pack_batch(&gateway->pack));
  struct store_batch *made = pack_take(&gateway->pack);
  if (!store_batch_is_empty(made)) {
    tasks_submit(&gateway->tasks, TASK_INTAKE, NULL, made);
    return;
  }
  store_batch_free(made); /* QoS 0 and nothing of use: there is nothing to commit */
  intake_done(gateway, true);
}

void intake_done(struct gateway *gateway, bool durable) {
  struct intake *intake = &gateway->intake;
  struct mqtt_batch *batch = intake->batch;
  uint64_t suppressed = 0;
  intake->batch = NULL;
  if (durable) {
    inbox_committed(&gateway->inbox);
  } else {
    inbox_refused(&gateway->inbox);
    intake->refused++;
    if (log_allow(&intake->full_limit, world_now(gateway->world).mono, &suppressed))
      log_error("store", NULL, "the store is full and `when-full` is refuse: messages stay at the MQTT broker, which keeps only so many");
  }
  batch->durable = durable;
  if (intake->from == gateway->mqtt && gateway->mqtt) mqtt_batch_done(gateway->mqtt, batch);
  else mqtt_batch_free(batch);
}

int64_t intake_silence(struct gateway *gateway, struct instant now) {
  struct point *point;
  struct record record;
  if (silence_next(&gateway->silence) > now.mono) return silence_next(&gateway->silence);
  while ((point = silence_take(&gateway->silence, now.mono))) {
    if (!silence_record(point, now.wall, &record)) continue;
    record.received = node_received(gateway->node);
    point->readings++;
    pack_add(&gateway->pack, &record);
    log_notice("mapping", point->config->address, "silent: the last value goes out as stale");
  }
  struct store_batch *batch = pack_take(&gateway->pack);
  if (batch) tasks_submit(&gateway->tasks, TASK_OTHER, NULL, batch);
  return silence_next(&gateway->silence);
}
