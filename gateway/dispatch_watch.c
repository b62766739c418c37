/* Movements that nobody ordered: what commands explain is none. */
#include "common/audit/note.h"
#include "gateway/dispatch_internal.h"

/* From here on movements are compared with what the points were worth when the gateway ended. */
void dispatch_watch_from(struct dispatch *d, struct instant now) {
  struct value from;
  for (size_t i = 0; i < d->points->count; i++) {
    const struct point *point = &d->points->items[i];
    if (point->control && point->has_last && point->last.quality == QUALITY_GOOD)
      (void)movement_hear(&dispatch_place(d, bytes_text(point->config->address))->movement, 0, &point->last.value, true,
          now.mono, &from);
  }
}

/* Whether commands explain a movement of the point: one is under way, has just ended, or may still be carried out. */
static bool dispatch_is_ordered(const struct dispatch *d, struct bytes address, struct instant now) {
  struct table_cursor cursor = TABLE_CURSOR_NULL;
  struct bytes id;
  void *value;
  while (table_next(&d->orders, &cursor, &id, &value)) {
    const struct order *order = value;
    if (order->ledger.entry.times[STATE_DISPATCHED] == 0 || !bytes_equal(order->command.address, address)) continue;
    if (order_awaits(order) || now.wall - order->ledger.entry.time <= DISPATCH_REST_US ||
        (order_locks(order) && now.mono <= order->expires_mono))
      return true;
  }
  return false;
}

static double dispatch_beyond(const struct gateway_control *control) {
  if (control->uncommanded.set) return control->uncommanded.beyond;
  return control->confirm.set ? control->confirm.within : 0;
}

static void dispatch_tell_movement(
    struct dispatch *d, struct bytes address, const struct value *from, const struct value *to, struct instant now) {
  struct buffer text = BUFFER_NULL;
  d->stats.movements++;
  buffer_printf(&text, "{\"point\":");
  json_put_text(&text, address);
  buffer_printf(&text, ",\"from\":");
  value_put_json(&text, from);
  buffer_printf(&text, ",\"to\":");
  value_put_json(&text, to);
  buffer_printf(&text, "}");
  d->options.hooks.event(d->options.hooks.ctx, "uncommanded-movement", buffer_bytes(&text));
  buffer_clear(&text);
  note_movement(&text, bytes_text(d->station), address, from, to, "nobody had ordered it", now.wall);
  dispatch_note(d, buffer_bytes(&text));
  buffer_deinit(&text);
}

void dispatch_watch(
    struct dispatch *d, const struct gateway_control *control, const struct record *record, struct instant now) {
  struct value from;
  if (record->quality != QUALITY_GOOD) return;
  if (movement_hear(&dispatch_place(d, record->address)->movement, dispatch_beyond(control), &record->value,
          dispatch_is_ordered(d, record->address, now), now.mono, &from))
    dispatch_tell_movement(d, record->address, &from, &record->value, now);
}
