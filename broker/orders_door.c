/* Commands that were given at a station's own door: this broker learns of them by the station's reports, of which the
 * first carries the verbatim command. */
#include "broker/order.h"
#include "common/base/log.h"
#include "common/base/mem.h"

static const char from_door[] = "local";

bool order_is_of_door(const struct order *order) {
  return bytes_equal(order->ledger.entry.from, bytes_text(from_door));
}

/* The id may be that of a finished command, which memory does not hold: until the store was asked, the new one stands
 * beside it ("!ID") and not in its place. */
static void drop(struct order *order) {
  struct orders *orders = order->owner;
  log_warning("commands", NULL,
      BYTES_FMT " reports that command " BYTES_FMT " was given at its door, but that id was used before",
      BYTES_ARG(order->ledger.entry.station), BYTES_ARG(order->ledger.entry.id));
  while (order->followers) {
    struct request *request = order->followers->request;
    order_leave(order->followers);
    inquiry_no_such(request);
  }
  order_withdraw(order);
  orders->stats.forged++;
}

static void looked_up(void *ctx, void *cookie, const struct store_done *done) {
  struct order *order = ctx;
  struct ledger_entry known;
  (void)cookie;
  order->looking = NULL;
  if (done->kind != STORE_DONE_READ) return;
  if (inquiry_found(done, order->ledger.entry.id, &known)) {
    struct orders *orders = order->owner;
    if (known.state == STATE_UNKNOWN) orders_recall(orders, known.station);
    drop(order);
    return;
  }
  order->provisional = false;
  if (state_is_final(order->ledger.entry.state)) order_commit(order);
}

void order_look_up(struct order *order) {
  struct orders *orders = order->owner;
  struct store_read read = {
      .what = STORE_READ_TABLE, .table = STORE_COMMANDS, .key = order->ledger.entry.id, .max_bytes = 1};
  order->provisional = order->asked = true;
  order->looking = orders->hooks.read(orders->hooks.ctx, ERRAND_URGENT, &read, looked_up, order, NULL);
}

/* Any key pair signs a command: those of nobody known here are bounded as refusals are, for each station. */
static bool may_fill_the_ledger(
    struct orders *orders, const struct order_station *station, const struct command *command) {
  char name[ADDRESS_MAX + 1];
  if (orders->open_count >= ORDERS_MAX) return false;
  if (orders_signer(orders, &command->key)) return true;
  snprintf(name, sizeof name, BYTES_FMT, BYTES_ARG(station->node));
  return orders_may_record(orders, name);
}

static bool is_about(const struct report *report, const struct command *command, const struct order_station *station) {
  uint8_t digest[COMMAND_DIGEST];
  command_digest(report->command, digest);
  return memcmp(digest, report->digest, sizeof digest) == 0 && bytes_equal(command->id, report->id) &&
         address_below(command->address, station->node);
}

struct order *orders_from_door(
    struct orders *orders, const struct order_station *station, const struct report *report) {
  struct command command;
  if (command_open(&command, report->command) || !is_about(report, &command, station) ||
      !may_fill_the_ledger(orders, station, &command))
    return NULL;
  struct order *order = order_new(orders, &command);
  struct ledger_entry *entry = &order->ledger.entry;
  entry->id = command.id;
  entry->command = command.bytes;
  entry->station = station->node;
  entry->by = report->by;
  entry->from = bytes_text(from_door);
  entry->state = STATE_SENT; /* as far as this broker goes: the station has it */
  entry->custody = LEDGER_NEXT;
  entry->settle_by = command.deadline + orders_confirm_us(orders, command.address) + ORDERS_GRACE_US;
  order->accepted = true;
  ledger_keep(&order->ledger);
  orders->stats.door++;
  order_look_up(order);
  return order;
}
