/* Stops: they halt what runs at a point, wait for nothing, and lock nothing. */
#include "gateway/dispatch_internal.h"
#include <stdio.h>
#include <stdlib.h>

/* ---- what a stop, or another set, means for the other orders of the point ---- */

const struct order *dispatch_later_stop(const struct dispatch *d, const struct order *order, bool told) {
  struct table_cursor cursor = TABLE_CURSOR_NULL;
  struct bytes id;
  void *value;
  const struct order *found = NULL;
  while (table_next(&d->orders, &cursor, &id, &value)) {
    const struct order *stop = value;
    enum state state = order_state(stop);
    bool counts = state_may_have_moved(state) || (!told && state == STATE_RECEIVED);
    if (counts && stop->number > order->number && order_is_at(stop, order->command.address, COMMAND_STOP) &&
        (!found || found->number < stop->number))
      found = stop;
  }
  return found;
}

void dispatch_supersede(struct dispatch *d, const struct order *by, struct instant now) {
  size_t count;
  char message[COMMAND_ID_MAX + 64];
  struct order **all = dispatch_all(d, &count);
  snprintf(message, sizeof message, "the later command " BYTES_FMT " took its place", BYTES_ARG(order_id(by)));
  for (size_t i = 0; i < count; i++) {
    if (all[i] == by || all[i]->number > by->number || order_state(all[i]) != STATE_RECEIVED ||
        !order_is_at(all[i], by->command.address, COMMAND_SET))
      continue;
    order_want(all[i], STATE_SUPERSEDED, CODE_SUPERSEDED, message);
    dispatch_step(d, all[i], now);
  }
  free(all);
}

void dispatch_step_stops(struct dispatch *d, const struct order *of, struct instant now) {
  size_t count;
  struct order **all = dispatch_all(d, &count);
  for (size_t i = 0; i < count; i++)
    if (all[i] != of && order_is_open(all[i]) && order_is_at(all[i], of->command.address, COMMAND_STOP))
      dispatch_step(d, all[i], now);
  free(all);
}

static bool dispatch_is_halted_by(const struct order *order, const struct order *stop) {
  return order != stop && order->number < stop->number && order_awaits(order) &&
         order_is_at(order, stop->command.address, COMMAND_SET);
}

static struct bytes dispatch_halted_id(const struct dispatch *d, const struct order *stop) {
  struct table_cursor cursor = TABLE_CURSOR_NULL;
  struct bytes id;
  void *order;
  while (table_next(&d->orders, &cursor, &id, &order))
    if (dispatch_is_halted_by(order, stop)) return order_id(order);
  return BYTES_NULL;
}

static void dispatch_halt(struct dispatch *d, struct order *order, const struct order *stop, struct instant now) {
  const struct point *point = dispatch_point(d, order);
  struct refusal refusal;
  if (point && point_is_good(point, now)) order_keep_actual(order, &point->last.value);
  refusal_set(&refusal, CODE_STOPPED, NULL, "the stop " BYTES_FMT " halted it", BYTES_ARG(order_id(stop)));
  dispatch_end(d, order, STATE_STOPPED, &refusal, now);
}

/* Ends what ran at the point. Returns whether all of that is durable: only then the stop is executed, so that after a
 * crash it is still there to end them. */
static bool dispatch_halt_all(struct dispatch *d, const struct order *stop, struct instant now) {
  size_t count;
  bool done = true;
  struct order **all = dispatch_all(d, &count);
  for (size_t i = 0; i < count; i++) {
    if (!order_is_at(all[i], stop->command.address, COMMAND_SET) || all[i]->number > stop->number) continue;
    if (!all[i]->pending && dispatch_is_halted_by(all[i], stop)) dispatch_halt(d, all[i], stop, now);
    done = done && !all[i]->pending;
  }
  free(all);
  return done;
}

/* ---- the life of a stop ---- */

static void dispatch_stop_next(struct dispatch *d, struct order *order, struct instant now) {
  struct refusal refusal = {.code = CODE_NONE};
  if (dispatch_check(d, order, now, &refusal) == DISPATCH_REFUSED)
    dispatch_refuse(d, order, &refusal, now);
  else
    dispatch_dispatch(d, order, now);
}

static int64_t dispatch_stop_settles(
    const struct order *order, const struct gateway_control *control, struct instant now) {
  int64_t at = dispatch_since(order, now), restart = now.mono + DISPATCH_RESTART_US;
  if (control) at += control->reply.topic ? control->reply.timeout_us : control->confirm.timeout_us;
  return order->restarted && restart > at ? restart : at;
}

static void dispatch_stop_send(struct dispatch *d, struct order *order, struct instant now) {
  const struct gateway_control *control = dispatch_control(d, order);
  struct refusal refusal = {.code = CODE_NONE};
  bool can = control && control->stop.topic;
  if (!can) refusal_set(&refusal, CODE_NO_STOP, NULL, "the point has no `stop:` any more; nothing was published");
  if (can && check_life_left(order_life(order, now), &refusal))
    dispatch_publish(
        d, order, control->stop.topic, control->stop.qos, &control->stop.payload, dispatch_halted_id(d, order), now);
  else
    dispatch_end(d, order, STATE_UNDELIVERED, &refusal, now);
}

static void dispatch_stop_judge(struct dispatch *d, struct order *order, struct instant now) {
  const struct gateway_control *control = dispatch_control(d, order);
  struct refusal refusal = {.code = CODE_NONE};
  bool stands = order->reached && control && !control->reply.topic;
  if (dispatch_is_undelivered(order)) {
    dispatch_undelivered(d, order, now);
  } else if (order->has_reply && !order->reply_ok) {
    dispatch_device_failed(d, order, now);
  } else if (order->has_reply || stands) {
    if (dispatch_halt_all(d, order, now)) dispatch_end(d, order, STATE_EXECUTED, &refusal, now);
  } else if (now.mono >= order->settle_mono) {
    refusal_set(&refusal, order->restarted ? CODE_RESTARTED : CODE_NO_ANSWER,
        "look at the device; a stop can be given again at any time",
        "the stop was published, and neither the device nor a measurement says whether the movement was halted");
    dispatch_end(d, order, STATE_UNKNOWN, &refusal, now);
  }
}

/* The device's own answer came late. */
static void dispatch_stop_late(struct dispatch *d, struct order *order, struct instant now) {
  const struct refusal none = {.code = CODE_NONE};
  if (order->has_reply && !order->reply_ok)
    dispatch_device_failed(d, order, now);
  else if (order->has_reply && dispatch_halt_all(d, order, now))
    dispatch_end(d, order, STATE_EXECUTED, &none, now);
}

void dispatch_step_stop(struct dispatch *d, struct order *order, struct instant now) {
  switch (order_state(order)) {
    case STATE_RECEIVED: dispatch_stop_next(d, order, now); break;
    case STATE_DISPATCHED:
      if (order->settle_mono == 0) order->settle_mono = dispatch_stop_settles(order, dispatch_control(d, order), now);
      if (order->publish == ORDER_NOT_PUBLISHED && !order->restarted) dispatch_stop_send(d, order, now);
      if (!order->pending) dispatch_stop_judge(d, order, now);
      break;
    case STATE_UNKNOWN: dispatch_stop_late(d, order, now); break;
    default: break;
  }
}
