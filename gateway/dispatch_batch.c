#include "common/audit/note.h"
#include "gateway/dispatch_internal.h"
#include <stdio.h>

/* A draft of one report record. Views of the report are copied by the builder. */
void dispatch_put_report(
    struct dispatch *d, struct store_batch *batch, struct bytes address, struct bytes report, int64_t time) {
  char stream[STREAM_MAX];
  const struct record record = {
      .kind = RECORD_REPORT,
      .quality = QUALITY_GOOD,
      .reason = REASON_NONE,
      .address = address_below(address, bytes_text(d->station)) ? address : bytes_text(d->elsewhere),
      .time = time,
      .received = d->options.hooks.received(d->options.hooks.ctx),
      .value = {.type = VALUE_BYTES, .bytes = report},
  };
  snprintf(stream, sizeof stream, "%s!urgent", d->station);
  /* REPORT_MAX fits any empty builder */
  if (report.len == 0 || block_builder_add(d->builder, &record, BLOCK_MAX) != 0) return;
  store_batch_own(
      batch, LANE_URGENT, bytes_text(stream), block_builder_finish(d->builder, bytes_text(stream), d->options.run));
  d->stats.reports++;
}

static bool dispatch_is_sure(const struct point *point) {
  return point->has_last && !point->stale && !point->undated && point->last.quality == QUALITY_GOOD;
}

/* What the operating log names beside the point itself. What cannot be relied on is named too, as what it is. */
static void dispatch_observe(const struct dispatch *d, const struct order *order, struct buffer *list) {
  const struct gateway_control *control = dispatch_control(d, order);
  size_t station = strlen(d->station) + 1;
  for (size_t i = 0; control && i < control->observed_count; i++) {
    const struct point *point = points_of_address(d->points, bytes_text(control->observed[i]));
    if (!point) continue;
    struct observation observation = {.point = bytes_text(control->observed[i] + station),
        .unit = bytes_text(point->config->unit),
        .value = point->has_last ? point->last.value : VALUE_EMPTY,
        .time = point->has_last ? point->last.time : 0,
        .quality = dispatch_is_sure(point) ? QUALITY_GOOD : QUALITY_BAD};
    if (!dispatch_is_sure(point) && point->has_last && point->last.quality != QUALITY_BAD)
      observation.quality = QUALITY_UNCERTAIN;
    observation_put(list, &observation);
  }
}

/* What is measured as the device is about to be told, and as the order ends. `before` and `after` hold the lists until
 * the entry is encoded. */
static void dispatch_keep_measured(
    const struct dispatch *d, struct order *order, struct buffer *before, struct buffer *after) {
  struct ledger_entry *entry = &order->ledger.entry;
  const struct point *point = dispatch_point(d, order);
  enum state state = order_state(order);
  bool fresh = !(order->noted & 1u << state);
  if (fresh && state == STATE_DISPATCHED) {
    if (point && dispatch_is_sure(point)) entry->before = point->last.value;
    dispatch_observe(d, order, before);
    entry->observed_before = buffer_bytes(before);
  } else if (fresh && entry->times[STATE_DISPATCHED] && state_is_final(state)) {
    dispatch_observe(d, order, after);
    entry->observed_after = buffer_bytes(after);
  }
}

static void dispatch_put_audit(const struct dispatch *d, struct store_batch *batch, struct order *order) {
  note_command(batch, bytes_text(d->station), &order->ledger.entry, order->noted, false);
  order->decided_goes = order->decided.len > 0;
  if (order->decided_goes) note_put(batch, buffer_bytes(&order->decided));
}

void dispatch_noted(struct order *order) {
  order->noted = note_states(&order->ledger.entry);
  if (order->decided_goes) buffer_clear(&order->decided);
  order->decided_goes = false;
}

static struct store_batch *dispatch_batch(struct dispatch *d, struct order *order) {
  struct store_batch *batch = store_batch_new();
  const struct ledger_entry *entry = &order->ledger.entry;
  struct buffer before = BUFFER_NULL, after = BUFFER_NULL;
  dispatch_keep_measured(d, order, &before, &after);
  order_seal(order, d->options.identity);
  buffer_deinit(&before);
  buffer_deinit(&after);
  store_batch_urgent(batch);
  dispatch_put_entry(batch, order);
  if (order_state(order) == STATE_DISPATCHED || entry->code == CODE_ALREADY || dispatch_is_untold(order))
    dispatch_place_put(batch, order->command.address, dispatch_place(d, order->command.address));
  dispatch_put_audit(d, batch, order);
  if (!order->never && !order->leaving)
    dispatch_put_report(d, batch, order->command.address, entry->report, entry->time);
  return batch;
}

void dispatch_commit(struct dispatch *d, struct order *order) {
  struct store_batch *batch = dispatch_batch(d, order);
  order->pending = true;
  order->retry_mono = 0;
  d->options.hooks.submit(d->options.hooks.ctx, batch, order);
}
