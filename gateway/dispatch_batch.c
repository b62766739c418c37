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

/* What is measured as the device is about to be told. */
static void dispatch_keep_before(const struct dispatch *d, struct order *order) {
  struct ledger_entry *entry = &order->ledger.entry;
  const struct point *point = dispatch_point(d, order);
  bool fresh = order_state(order) == STATE_DISPATCHED && !(order->noted & 1u << STATE_DISPATCHED);
  if (fresh && point && point->has_last && !point->stale && !point->undated && point->last.quality == QUALITY_GOOD)
    entry->before = point->last.value;
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
  dispatch_keep_before(d, order);
  order_seal(order, d->options.identity);
  store_batch_urgent(batch);
  dispatch_put_entry(batch, order);
  if (order_state(order) == STATE_DISPATCHED)
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
