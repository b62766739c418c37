/* MQTT messages to records, in one transaction with what makes a redelivered one known; and silence to records. */
#include "gateway/gateway.h"
#include "gateway/last.h"

static bool is_clock_bad(const struct record *record) { return record->reason == REASON_CLOCK; }

static void intake_record(void *ctx, struct point *point, const struct record *mapped) {
  struct gateway *gateway = ctx;
  struct record record = *mapped;
  record.received = node_received(gateway->node);
  pack_add(&gateway->pack, &record);
  if (!is_clock_bad(&record)) {
    point_keep(point, &record);
    point->undated = gateway->intake.retained && !point->config->time.given;
    if (point->undated) last_put_undated(pack_batch(&gateway->pack), &record);
  }
  dispatch_measured(gateway->dispatch, point, &record, gateway->intake.retained, world_now(gateway->daemon.world));
}

/* Counted at the point already; here it becomes a line, at a bounded rate of each point: one that is always wrong does
 * not hide the others. */
static void intake_fault(void *ctx, struct point *point, enum point_fault fault) {
  struct gateway *gateway = ctx;
  uint64_t suppressed = 0;
  if (!log_allow(&point->fault_limit, world_now(gateway->daemon.world).mono, &suppressed)) return;
  log_warning("mapping", point->config->address, "%s in a payload of %s (%llu so far, %llu lines before left out)",
      point_fault_name(fault), point->config->topic, (unsigned long long)point->faults[fault],
      (unsigned long long)suppressed);
}

static void intake_message(
    struct gateway *gateway, const struct mqtt_batch *batch, const struct mqtt_message *from, struct instant now) {
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

static void intake_next(struct gateway *gateway);

/* The batch goes back: its messages are acknowledged now, or their connection is cut and they come again. */
static void intake_give_back(struct gateway *gateway, bool durable) {
  struct intake *intake = &gateway->intake;
  struct mqtt_batch *batch = intake->batch;
  intake->batch = NULL;
  batch->durable = durable;
  batch->mark = inbox_mark(&gateway->inbox);
  if (durable) inbox_prove(&gateway->inbox, batch->proven);
  if (intake->from == gateway->mqtt_made && gateway->mqtt)
    mqtt_batch_done(gateway->mqtt, batch);
  else
    mqtt_batch_free(batch);
  intake_next(gateway);
}

/* Decided once: a reload between the passes must not hide a message from both. Those of one topic are all of one pass,
 * so each point keeps its order. */
static void intake_sort(const struct gateway *gateway, struct mqtt_batch *batch) {
  for (size_t i = 0; i < batch->count; i++) {
    struct mqtt_message *message = &batch->messages[i];
    struct bytes topic = bytes_of(batch->bytes.data + message->topic, message->topic_len);
    message->is_urgent = points_topic_is_urgent(&gateway->points, topic);
  }
}

/* Maps messages of this pass until the part is large enough; NULL: this pass has no more to commit. */
static struct store_batch *intake_part(struct gateway *gateway) {
  struct intake *intake = &gateway->intake;
  struct instant now = world_now(gateway->daemon.world);
  while (intake->at < intake->batch->count && gateway->pack.bytes < intake->part_bytes) {
    const struct mqtt_message *message = &intake->batch->messages[intake->at++];
    if (message->is_urgent == intake->is_urgent) intake_message(gateway, intake->batch, message, now);
  }
  /* what is proven leaves with messages, or with a commit of its own when there are none */
  struct store_batch *batch = pack_batch(&gateway->pack);
  if (gateway->inbox.fresh_count > 0 || intake->batch->count == 0) inbox_put(&gateway->inbox, batch);
  struct store_batch *part = pack_take(&gateway->pack);
  if (!store_batch_is_empty(part)) return part;
  store_batch_free(part); /* QoS 0 and nothing of use */
  return NULL;
}

/* Fills and submits the next part; at the end gives the batch back. A store that refuses readings since it is full has
 * taken the events before them: their messages are known when they come again. */
static void intake_go_on(struct gateway *gateway) {
  struct intake *intake = &gateway->intake;
  for (;;) {
    struct store_batch *part = intake_part(gateway);
    if (part && intake->is_urgent) store_batch_urgent(part);
    if (part) {
      tasks_submit(&gateway->tasks, TASK_INTAKE, NULL, part);
      return;
    }
    if (intake->at < intake->batch->count) continue;
    if (!intake->is_urgent) break;
    intake->is_urgent = false;
    intake->at = 0;
  }
  intake_give_back(gateway, true);
}

static void intake_begin(struct gateway *gateway, struct mqtt_batch *batch) {
  struct intake *intake = &gateway->intake;
  intake_sort(gateway, batch);
  intake->batch = batch;
  intake->is_urgent = batch->count > 0;
  intake->at = 0;
  intake->from = gateway->mqtt_made;
  if (batch->fresh) {
    inbox_connected(&gateway->inbox, batch->session_present);
    dispatch_reconnected(gateway->dispatch, world_now(gateway->daemon.world));
  }
  if (batch->count == 0) inbox_prove(&gateway->inbox, batch->proven);
  intake_go_on(gateway);
}

static void intake_next(struct gateway *gateway) {
  struct intake *intake = &gateway->intake;
  struct mqtt_batch *batch = intake->next;
  intake->next = NULL;
  if (!batch) return;
  if (intake->next_from == gateway->mqtt_made)
    intake_begin(gateway, batch);
  else
    mqtt_batch_free(batch); /* of clients that are gone: its messages come again */
}

/* Clients hand over one batch and wait for it; but those that a reload made know nothing of the batch of the old ones.
 * Its commit would be taken for theirs. */
void intake_take(struct gateway *gateway, struct mqtt_batch *batch) {
  struct intake *intake = &gateway->intake;
  if (!intake->batch) {
    intake_begin(gateway, batch);
    return;
  }
  mqtt_batch_free(intake->next);
  intake->next = batch;
  intake->next_from = gateway->mqtt_made;
}

static void intake_full(struct gateway *gateway) {
  uint64_t suppressed = 0;
  inbox_refused(&gateway->inbox);
  if (gateway->intake.batch->count == 0) { /* what is proven stays in the store until readings go in again */
    intake_give_back(gateway, true);
    return;
  }
  gateway->intake.refused++;
  if (log_allow(&gateway->intake.full_limit, world_now(gateway->daemon.world).mono, &suppressed))
    log_error("store", NULL,
        "the store is full and `when-full` is refuse: messages stay at the MQTT broker, which keeps only so many");
  intake_give_back(gateway, false);
}

/* A part is as small as it can be: what is refused for its size would be refused for ever, and hold up everything
 * behind it. */
static void intake_drop(struct gateway *gateway) {
  inbox_refused(&gateway->inbox);
  if (gateway->intake.batch->count == 0) {
    intake_give_back(gateway, true);
    return;
  }
  gateway->intake.dropped++;
  log_error("store", NULL,
      "a message makes more records than one transaction of this store can hold; it is dropped: a larger `max-size`, "
      "or fewer large points on one topic");
  intake_go_on(gateway);
}

void intake_done(struct gateway *gateway, const struct store_done *done) {
  if (done->kind != STORE_DONE_BATCH && done->refusal == STORE_REFUSAL_FULL) {
    intake_full(gateway);
  } else if (done->kind != STORE_DONE_BATCH) {
    intake_drop(gateway);
  } else {
    inbox_committed(&gateway->inbox);
    intake_go_on(gateway);
  }
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
