/* May it be done? Looked at when a command comes and again just before the device is told: values and authority may
 * have changed meanwhile. */
#include "common/base/defect.h"
#include "common/base/units.h"
#include "gateway/descriptor.h"
#include "gateway/dispatch_internal.h"

struct looking {
  const struct dispatch *d;
  struct instant now;
};

static struct guard_input dispatch_look(void *ctx, struct bytes address) {
  const struct looking *looking = ctx;
  const struct point *point = points_of_address(looking->d->points, address);
  if (!point) return (struct guard_input){.exists = false, .unit = ""};
  return (struct guard_input){.exists = true,
      .known = point->has_last,
      .good = point_is_good(point, looking->now),
      .undated = point->undated,
      .age_us = point->has_last ? point_age(point, looking->now) : 0,
      .value = point->has_last ? point->last.value : VALUE_EMPTY,
      .unit = point->config->unit ? point->config->unit : ""};
}

/* ---- who and when ---- */

static bool dispatch_is_authorised(
    struct dispatch *d, struct order *order, const struct check_operator **by, int64_t now, struct refusal *refusal) {
  const struct check_operators operators = {d->operators, d->operator_count};
  if (!check_authority(&order->command, &operators, now, d->where, by, refusal)) return false;
  order->ledger.entry.by = bytes_text((*by)->name);
  if (!order->is_local || (*by)->local) return true;
  refusal_set(refusal, CODE_AUTHORITY, "Give the command to the province's broker.",
      "%s may not command at the door of %s: `local: true` is not set for them", (*by)->name, d->where);
  return false;
}

static bool dispatch_is_in_time(
    struct dispatch *d, const struct order *order, struct instant now, struct refusal *refusal) {
  const struct command *command = &order->command;
  return (check_created(command, d->options.store_created, refusal) || defect("accept-replay")) &&
         dispatch_clock(d, refusal) != CLOCK_BAD && check_lifetime(command, d->config->max_deadline_us, refusal) &&
         check_deadline(command, now.wall, d->config->max_deadline_us, refusal) &&
         check_life_left(order_life(order, now), refusal);
}

static bool dispatch_value_is_good(const struct dispatch *d, const struct order *order, struct refusal *refusal) {
  const struct point *point = dispatch_point(d, order);
  struct control control;
  bool writable = point && point->control;
  if (writable) descriptor_control(&control, point);
  return check_value(&order->command, point != NULL, writable ? &control : NULL, refusal);
}

bool dispatch_lacks_approval(const struct dispatch *d, const struct order *order) {
  const struct gateway_control *control = dispatch_control(d, order);
  return order->is_local && control && control->approval && order->command.verb == COMMAND_SET &&
         order->ledger.entry.approval.len == 0;
}

/* A set that was long on its way, behind one that was given after it. The broker keeps its own in order; what was given
 * at the own door meanwhile, or how long somebody held a command back, only this station sees. */
static bool dispatch_is_newest(
    struct dispatch *d, const struct order *order, struct instant now, struct refusal *refusal) {
  struct place_given later;
  struct buffer span = BUFFER_NULL;
  if (order->command.verb != COMMAND_SET || !dispatch_later_given(d, order, now, &later)) return true;
  int64_t at = later.issued > order->command.issued ? later.issued : later.signed_at;
  units_put_duration(&span, at - order->command.issued);
  refusal_set(refusal, CODE_SUPERSEDED, "look at the point; if this is still wanted, give it again",
      "the command %s for the same point%s was given %s after this one, and came here first", later.id,
      later.is_local && !order->is_local ? ", at the station's own door," : "", buffer_text(&span));
  buffer_deinit(&span);
  return false;
}

/* Needed for a set alone: the others move nothing. One that is there must be good, whatever it was given for. */
static bool dispatch_is_approved(struct dispatch *d, struct order *order, const struct gateway_control *control,
    const struct check_operator *by, int64_t now, struct refusal *refusal) {
  const struct check_operators operators = {d->operators, d->operator_count};
  const struct check_operator *approved_by = NULL;
  struct bytes approval = order->ledger.entry.approval;
  bool needed = control->approval && order->command.verb == COMMAND_SET;
  if ((!needed || dispatch_lacks_approval(d, order)) && approval.len == 0) return true;
  if (!check_approval(&order->command, approval, &operators, by, now, &approved_by, refusal)) return false;
  order->ledger.entry.approved_by = bytes_text(approved_by->name);
  return true;
}

/* ---- the point and its device ---- */

static bool dispatch_moves(const struct order *order) {
  return order->command.verb == COMMAND_SET || order->command.verb == COMMAND_STOP;
}

/* What runs at the device. What only waits for the same point is superseded, so it is not in the way. */
static const struct order *dispatch_running(const struct dispatch *d, const struct order *order) {
  struct table_cursor cursor = TABLE_CURSOR_NULL;
  struct bytes id;
  void *value;
  while (table_next(&d->orders, &cursor, &id, &value)) {
    const struct order *other = value;
    bool waits = order_state(other) == STATE_RECEIVED && order_is_at(other, order->command.address, COMMAND_SET);
    if (other != order && order_is_open(other) && dispatch_moves(other) && !waits &&
        bytes_equal(order_device(other), order_device(order)))
      return other;
  }
  return NULL;
}

static const struct order *dispatch_locking(const struct dispatch *d, const struct order *order) {
  struct table_cursor cursor = TABLE_CURSOR_NULL;
  struct bytes id;
  void *other;
  while (table_next(&d->orders, &cursor, &id, &other))
    if (other != order && order_locks(other) && order_is_at(other, order->command.address, COMMAND_SET)) return other;
  return NULL;
}

/* A set operates a selection when its operator gives it: how long it then waits, for a person's approval or for the
 * store, is nothing that they could hurry. */
static bool dispatch_is_selected(struct dispatch *d, const struct order *order, const struct gateway_control *control,
    struct instant now, struct refusal *refusal) {
  const struct command *command = &order->command;
  const struct check_selection armed = dispatch_selection(dispatch_place(d, command->address));
  bool armed_now = armed.id.len > 0 && now.mono <= armed.until;
  if (command->verb == COMMAND_SET || command_item(command, COMMAND_ITEM_SELECTION))
    return check_selection(command, control->select_us, &armed, order->given_mono, refusal);
  if (command->verb != COMMAND_SELECT) return true;
  if (control->select_us == 0)
    refusal_set(refusal, CODE_SELECT, "give the command without selecting first", "the control knows no selection");
  else if (armed_now && memcmp(armed.key->bytes, command->key.bytes, sizeof command->key.bytes) != 0)
    refusal_set(refusal, CODE_SELECT, NULL, "the point is selected by another operator");
  else
    return true;
  return false;
}

static bool dispatch_is_free(const struct dispatch *d, const struct order *order, struct refusal *refusal) {
  const struct order *running = dispatch_running(d, order);
  return check_busy(
      &order->command, running ? order_id(running) : BYTES_NULL, running ? order_state(running) : STATE_NONE, refusal);
}

static bool dispatch_is_unlocked(const struct dispatch *d, const struct order *order, struct refusal *refusal) {
  const struct order *locking = dispatch_locking(d, order);
  return check_locked(&order->command, locking ? order_id(locking) : BYTES_NULL, refusal);
}

/* Whether the point is known to be there: then nothing is published. */
static bool dispatch_is_there(
    const struct order *order, const struct point *point, const struct gateway_control *control, struct instant now) {
  return control->confirm.set && !point->undated && point_is_good(point, now) &&
         order_value_reached(control, &order->command.value, &point->last.value);
}

static bool dispatch_is_safe(struct dispatch *d, const struct order *order, const struct gateway_control *control,
    struct instant now, struct refusal *refusal) {
  struct looking looking = {d, now};
  const struct command *command = &order->command;
  const struct guard_input present = dispatch_look(&looking, command->address);
  return guards_pass(control->guards, control->guard_count, command, &present, dispatch_look, &looking, refusal) &&
         check_max_step(
             command, control->max_step, present.unit, guard_input_is_sure(&present), &present.value, refusal) &&
         check_min_interval(
             control->min_interval_us, dispatch_place_since(dispatch_place(d, command->address), now), refusal) &&
         guards_preconditions(command, d->station, dispatch_look, &looking, refusal);
}

/* ---- the whole ---- */

int64_t dispatch_stop_ahead(const struct dispatch *d) {
  return d->config->max_deadline_us > CHECK_AHEAD_US ? d->config->max_deadline_us : CHECK_AHEAD_US;
}

/* A stop is not refused because a clock is slow, nor because the station wants short deadlines, nor because it is older
 * than this store: one that a former store had taken halts again what does not move, or what its signer wanted halted
 * until its deadline. One that was signed for next year is none that an operator gives now, and one that lives so long
 * could be kept back until it halts what must move. */
static bool dispatch_stop_is_in_time(
    const struct dispatch *d, const struct order *order, struct instant now, struct refusal *refusal) {
  struct command when = order->command;
  int64_t wall = now.wall + order->shift_us;
  if (when.issued > wall) when.issued = wall;
  return check_lifetime(&order->command, dispatch_stop_ahead(d), refusal) &&
         check_deadline(&when, wall, dispatch_stop_ahead(d), refusal) &&
         check_life_left(order_life(order, now), refusal);
}

/* Signature (checked before), authority, that all of it is understood, and its time: no more. What halts a movement is
 * let through. */
static enum dispatch_verdict dispatch_check_stop(
    struct dispatch *d, struct order *order, struct instant now, struct refusal *refusal) {
  const struct check_operator *by = NULL;
  const struct gateway_control *control = dispatch_control(d, order);
  if (!dispatch_is_authorised(d, order, &by, now.wall + order->shift_us, refusal)) return DISPATCH_REFUSED;
  if (!check_understood(&order->command, CHECK_ALL, refusal) || !dispatch_stop_is_in_time(d, order, now, refusal))
    return DISPATCH_REFUSED;
  if (control && control->stop.topic) return DISPATCH_GOES;
  bool is_known = dispatch_point(d, order) != NULL;
  refusal_set(refusal, CODE_NO_STOP, is_known ? NULL : "check the address; `riverbus points` lists what is known",
      "the point " BYTES_FMT " %s", BYTES_ARG(order->command.address),
      !is_known  ? "is not known here"
      : !control ? "has no control, so nothing of it moves by command"
                 : "has no `stop:` in the station's configuration: no command can halt it");
  return DISPATCH_REFUSED;
}

enum dispatch_verdict dispatch_check(
    struct dispatch *d, struct order *order, struct instant now, struct refusal *refusal) {
  const struct check_operator *by = NULL;
  if (order->command.verb == COMMAND_STOP) return dispatch_check_stop(d, order, now, refusal);
  if (!dispatch_is_authorised(d, order, &by, now.wall, refusal) ||
      !check_understood(&order->command, CHECK_ALL, refusal) || !dispatch_is_in_time(d, order, now, refusal) ||
      !dispatch_value_is_good(d, order, refusal) || !dispatch_is_newest(d, order, now, refusal))
    return DISPATCH_REFUSED;
  const struct point *point = dispatch_point(d, order); /* it has a control, or the value was not good */
  const struct gateway_control *control = point->control;
  if (!dispatch_is_approved(d, order, control, by, now.wall, refusal) || !dispatch_is_unlocked(d, order, refusal) ||
      !dispatch_is_selected(d, order, control, now, refusal) || !dispatch_is_free(d, order, refusal))
    return DISPATCH_REFUSED;
  if (dispatch_is_there(order, point, control, now)) {
    order_keep_actual(order, &point->last.value);
    return DISPATCH_IS_THERE;
  }
  return dispatch_is_safe(d, order, control, now, refusal) ? DISPATCH_GOES : DISPATCH_REFUSED;
}
