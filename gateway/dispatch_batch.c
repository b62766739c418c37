#include "gateway/dispatch_internal.h"
#include <stdio.h>

/* A draft of one report record. Views of the report are copied by the builder. */
static void dispatch_put_report(
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

static struct store_batch *dispatch_batch(struct dispatch *d, struct order *order) {
  struct store_batch *batch = store_batch_new();
  const struct ledger_entry *entry = &order->ledger.entry;
  order_seal(order, d->options.identity);
  store_batch_urgent(batch);
  dispatch_put_entry(batch, order);
  if (order_state(order) == STATE_DISPATCHED)
    dispatch_place_put(batch, order->command.address, dispatch_place(d, order->command.address));
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

void dispatch_issue_again(struct dispatch *d, struct bytes address, struct bytes report, int64_t time) {
  struct store_batch *batch = store_batch_new();
  store_batch_urgent(batch);
  dispatch_put_report(d, batch, address, report, time);
  if (store_batch_is_empty(batch))
    store_batch_free(batch);
  else
    d->options.hooks.submit(d->options.hooks.ctx, batch, NULL);
}
