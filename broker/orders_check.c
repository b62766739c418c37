/* What this broker looks at before it takes a command, whoever asks: the point, the time, the room. */
#include "broker/order.h"

int64_t orders_confirm_us(const struct orders *orders, struct bytes address) {
  const struct catalogue_point *point = orders->hooks.point(orders->hooks.ctx, address);
  struct control control;
  bool known = point && point->descriptor && control_from_descriptor(&control, bytes_text(point->descriptor)) == 0;
  return known ? control.confirm_timeout_us : 0;
}

bool orders_is_ours(const struct orders *orders, struct bytes address) {
  return bytes_equal(address_segment(address, 0), bytes_text(orders->node));
}

bool orders_check_rights(const struct orders *orders, const struct command *command, struct refusal *refusal) {
  const struct check_operator *by;
  struct buffer where = BUFFER_NULL;
  buffer_printf(&where, "the broker %s", orders->node);
  bool passed = check_authority(command, orders->hooks.operators(orders->hooks.ctx), world_now(orders->world).wall,
      buffer_text(&where), &by, refusal);
  buffer_deinit(&where);
  return passed;
}

/* Selections are for the station to judge, but no second person is asked to approve what does not even name one. */
static bool check_select(const struct command *command, const struct control *control, struct refusal *refusal) {
  bool waits = command->verb == COMMAND_SET && control->approval && control->select_us;
  if (!waits || command_item(command, COMMAND_ITEM_SELECTION)) return true;
  return check_selection(command, control->select_us, NULL, 0, refusal);
}

/* A stop is for the station to judge: what this broker knows of the point may be old. */
static bool check_point(
    const struct orders *orders, const struct command *command, struct target *target, struct refusal *refusal) {
  const struct catalogue_point *point = orders->hooks.point(orders->hooks.ctx, command->address);
  bool known = point && point->descriptor;
  struct control control;
  control_init(&control, VALUE_NONE, BYTES_NULL);
  bool writable = known && control_from_descriptor(&control, bytes_text(point->descriptor)) == 0;
  target->approval = command->verb == COMMAND_SET && control.approval;
  target->confirm_us = control.confirm_timeout_us;
  if (command->verb == COMMAND_STOP) return true;
  return check_value(command, known, writable ? &control : NULL, refusal) && check_select(command, &control, refusal);
}

/* A stop is not refused because a clock is slow. How long it was signed to live is by one clock alone. */
static bool check_when(const struct orders *orders, const struct command *command, struct refusal *refusal) {
  int64_t now = world_now(orders->world).wall;
  struct command when = *command;
  if (command->verb == COMMAND_STOP && when.issued > now) when.issued = now;
  return check_lifetime(command, orders->ahead_us, refusal) && check_deadline(&when, now, orders->ahead_us, refusal);
}

static bool check_room(const struct orders *orders, const struct command *command, struct refusal *refusal) {
  size_t limit = ORDERS_MAX + (command->verb == COMMAND_STOP ? ORDERS_STOPS_MAX : 0);
  if (orders->open_count < limit) return true;
  refusal_set(refusal, CODE_FULL, NULL, "%zu commands are open, the limit is %zu", orders->open_count, limit);
  return false;
}

static bool check_station(
    const struct orders *orders, const struct command *command, struct target *target, struct refusal *refusal) {
  struct bytes province = address_segment(command->address, 0);
  bool ours = orders_is_ours(orders, command->address);
  if (orders->hooks.station(orders->hooks.ctx, command->address, &target->station)) return true;
  if (ours)
    refusal_set(refusal, command->verb == COMMAND_STOP ? CODE_NO_STOP : CODE_UNKNOWN_POINT,
        "check the address; `riverbus points` lists what is known",
        "no station of this broker owns the address " BYTES_FMT, BYTES_ARG(command->address));
  else
    refusal_set(refusal, CODE_UNSUPPORTED, "ask the province's own broker, or a direct neighbour of it",
        "the address " BYTES_FMT " belongs to the province " BYTES_FMT ", which is no neighbour of %s",
        BYTES_ARG(command->address), BYTES_ARG(province), orders->node);
  return false;
}

/* Of another province's points its own broker judges. */
bool orders_check(
    const struct orders *orders, const struct command *command, struct target *target, struct refusal *refusal) {
  *target = (struct target){.confirm_us = orders_confirm_us(orders, command->address)};
  return check_understood(command, CHECK_ALL, refusal) && check_when(orders, command, refusal) &&
         (!orders_is_ours(orders, command->address) || check_point(orders, command, target, refusal)) &&
         check_station(orders, command, target, refusal) && check_room(orders, command, refusal);
}

struct order *orders_accept(struct orders *orders, const struct command *command, const struct target *target,
    const char *by, const char *from) {
  struct order *order = order_new(orders, command);
  struct ledger_entry *entry = &order->ledger.entry;
  const struct command_item *batch = command_item(command, COMMAND_ITEM_BATCH);
  entry->id = command->id;
  entry->command = command->bytes;
  entry->station = target->station.node;
  entry->by = bytes_text(by);
  entry->from = bytes_text(from);
  if (batch) entry->batch = batch->value;
  entry->settle_by = command->deadline + target->confirm_us + ORDERS_GRACE_US;
  ledger_keep(&order->ledger);
  orders->stats.taken++;
  return order;
}

void order_begin(struct order *order, bool approval) {
  struct ledger_entry *entry = &order->ledger.entry;
  int64_t now = world_now(order->owner->world).wall;
  if (!approval) {
    order_enter(order);
    return;
  }
  ledger_move(entry, ACTOR_BROKER, STATE_ACCEPTED, now);
  order_say(order);
  ledger_move(entry, ACTOR_BROKER, STATE_APPROVAL, now);
  order_say(order);
  order_commit(order);
}

bool order_judge_again(struct order *order) {
  struct orders *orders = order->owner;
  struct ledger_entry *entry = &order->ledger.entry;
  struct command command;
  struct refusal refusal;
  if (command_read(&command, entry->command)) return true; /* it was read at the start, or when it came */
  bool may = order_is_of_peer(order) ? order_is_agreed(order, &command, &refusal)
                                     : orders_check_rights(orders, &command, &refusal);
  if (may) return true;
  if (ledger_move(entry, ACTOR_BROKER, STATE_REJECTED, world_now(orders->world).wall)) return true;
  entry->code = refusal.code;
  entry->message = bytes_text(refusal.message);
  entry->hint = bytes_text(refusal.hint);
  order_say(order);
  orders->stats.refused++;
  return false;
}
