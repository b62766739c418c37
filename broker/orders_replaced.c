/*
 * A station's gateway that was replaced: its store knows nothing of what the former one had taken, which may have moved
 * the device. What was handed over to that one is unknown as soon as this shows, by the epochs that the store tells of;
 * no word of the new store says that the device was not told.
 */
#include "broker/order.h"
#include "common/base/log.h"
#include <stdio.h>

static bool is_among(struct epoch epoch, const struct epoch *known, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (epoch_compare(known[i], epoch) == 0) return true;
  return false;
}

static bool has_epoch(const struct order *order) {
  struct epoch epoch = order->ledger.entry.epoch;
  return epoch.created || epoch.random;
}

static bool is_there(const struct order *order, struct bytes station) {
  const struct ledger_entry *entry = &order->ledger.entry;
  return order->accepted && entry->custody == LEDGER_NEXT && state_is_open(entry->state) && has_epoch(order) &&
         bytes_equal(entry->station, station);
}

static void lose(struct order *order) {
  struct ledger_entry *entry = &order->ledger.entry;
  struct refusal refusal;
  if (ledger_move(entry, ACTOR_TIMER, STATE_UNKNOWN, world_now(order->owner->world).wall)) return;
  refusal_set(&refusal, CODE_NO_ANSWER, NULL,
      "the station's gateway was replaced; the new one does not know what the old one did with the command");
  refusal_hint_resolve(&refusal, entry->id);
  entry->code = refusal.code;
  entry->message = bytes_text(refusal.message);
  entry->hint = bytes_text(refusal.hint);
  entry->decision = BYTES_NULL; /* a cancel that was still to be told comes too late */
  order_say(order);
  order_commit(order);
}

static struct epoch newest(const struct epoch *known, size_t count) {
  struct epoch epoch = {0, 0};
  for (size_t i = 0; i < count; i++)
    if (epoch_compare(known[i], epoch) > 0) epoch = known[i];
  return epoch;
}

static void tell(struct orders *orders, struct bytes station, size_t lost) {
  struct buffer text = BUFFER_NULL;
  buffer_printf(&text, "the gateway of " BYTES_FMT " was replaced: %zu open command%s unknown", BYTES_ARG(station),
      lost, lost == 1 ? " is" : "s are");
  log_warning("commands", NULL, "%s", buffer_text(&text));
  orders->hooks.event(orders->hooks.ctx, "gateway-replaced", buffer_bytes(&text));
  buffer_deinit(&text);
}

void orders_epochs(struct orders *orders, struct bytes station, const struct epoch *known, size_t count) {
  struct table_cursor cursor = TABLE_CURSOR_NULL;
  void *value;
  size_t lost = 0;
  while (count > 0 && table_next(&orders->open, &cursor, NULL, &value)) {
    struct order *order = value;
    if (!is_there(order, station) || is_among(order->ledger.entry.epoch, known, count)) continue;
    if (order->of_session) { /* handed over to this store, before its first record had come */
      order->ledger.entry.epoch = newest(known, count);
      ledger_keep(&order->ledger);
      order_commit(order);
    } else {
      lose(order);
      lost++;
    }
  }
  if (lost > 0) tell(orders, station, lost);
}

bool order_is_word_of_new_store(const struct order *order, const struct block *block, const struct report *report) {
  enum state state = order->ledger.entry.state;
  bool ends_before = state_is_final(report->state) && !state_may_have_moved(report->state);
  bool in_doubt = state == STATE_UNKNOWN || ledger_is_unconfirmed(&order->ledger.entry) || report->code == CODE_REPLAY;
  return ends_before && in_doubt && report->state != STATE_UNDELIVERED && has_epoch(order) &&
         epoch_compare(block->epoch, order->ledger.entry.epoch) > 0;
}
