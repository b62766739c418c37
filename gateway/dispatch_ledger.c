/*
 * Where commands stand in the store's table STORE_COMMANDS: what may still change under `!` and the id, all else under
 * the id alone. `!` comes before every id (see command_id_is_good), so a start reads the first few entries and no more,
 * however many commands there have been. A store that an earlier program wrote has them all under their ids: it is read
 * once as a whole, what may still change is committed anew, and then the mark says that this was done.
 */
#include "common/base/mem.h"
#include "gateway/dispatch_internal.h"
#include <stdlib.h>

static const char mark_key[] = "commands/open";

/* An `unknown` may still become what the device, a measurement or a person says of it, as long as the order is in
 * memory; a set stays there and locks its point. */
static bool dispatch_may_change(const struct order *order) {
  return order_is_open(order) || (order_state(order) == STATE_UNKNOWN && !order->leaving);
}

void dispatch_put_entry(struct store_batch *batch, const struct order *order) {
  struct bytes id = order_id(order), value = buffer_bytes(&order->ledger.storage);
  char text[COMMAND_ID_MAX + 1];
  text[0] = '!';
  memcpy(text + 1, id.data, id.len);
  struct bytes listed = bytes_of(text, id.len + 1);
  bool may_change = dispatch_may_change(order);
  store_batch_put(batch, STORE_COMMANDS, may_change ? listed : id, value);
  store_batch_delete(batch, STORE_COMMANDS, may_change ? id : listed);
}

/* ---- the start ---- */

static bool dispatch_is_over(const struct order *order, struct instant now) {
  return !dispatch_may_change(order) ||
         (!order_is_open(order) && order->command.deadline + DISPATCH_MARGIN_US < now.wall);
}

/* Its id must not look new: what came of it is not known here. */
static void dispatch_set_aside(struct dispatch *d, struct bytes id) {
  log_error("command", NULL,
      "the ledger's entry of command " BYTES_FMT " cannot be read by this version; it is left alone", BYTES_ARG(id));
  free(table_put(&d->unreadable, id, mem_copy("", 1)));
}

bool dispatch_load(struct dispatch *d, struct bytes key, struct bytes value, struct instant now) {
  bool listed = key.len > 1 && key.data[0] == '!';
  if (!listed && d->marked) return false;
  struct order *order = order_new();
  order->unlisted = !listed;
  if (order_load(order, value, now) != 0) {
    dispatch_set_aside(d, listed ? bytes_of(key.data + 1, key.len - 1) : key);
  } else if (listed || !dispatch_is_over(order, now)) {
    d->unlisted += order->unlisted;
    order = table_put(&d->orders, order_id(order), order);
  }
  order_free(order);
  return true;
}

void dispatch_load_meta(struct dispatch *d, struct bytes key, struct bytes value) {
  if (bytes_equal(key, bytes_text(mark_key))) d->marked = true;
  dispatch_place_load(d, key, value);
}

/* Once nothing that may change stands under its id alone. Where the store has no room for it, the next start reads all
 * once more. */
void dispatch_mark(struct dispatch *d) {
  if (d->marked || d->unlisted > 0) return;
  struct store_batch *batch = store_batch_new();
  store_batch_urgent(batch);
  store_batch_put(batch, STORE_META, bytes_text(mark_key), bytes_text("1"));
  d->marked = true;
  d->options.hooks.submit(d->options.hooks.ctx, batch, NULL);
}
