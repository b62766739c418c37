/* From `received` to the outcome: what is done with an order once nothing of it waits for the store. */
#include "common/base/defect.h"
#include "common/base/units.h"
#include "gateway/dispatch_internal.h"
#include <stdio.h>

struct point *dispatch_point(const struct dispatch *d, const struct order *order) {
  return points_of_address(d->points, order->command.address);
}

/* NULL where there is none, or none any more after a reload. */
const struct gateway_control *dispatch_control(const struct dispatch *d, const struct order *order) {
  const struct point *point = dispatch_point(d, order);
  return point ? point->control : NULL;
}

void dispatch_log(const struct order *order) {
  const struct ledger_entry *entry = &order->ledger.entry;
  const char *code = code_name(entry->code);
  log_info("command", NULL, BYTES_FMT " " BYTES_FMT ": %s%s%s%s" BYTES_FMT, BYTES_ARG(entry->id),
      BYTES_ARG(order->command.address), state_name(entry->state), code ? ", " : "", code ? code : "",
      entry->message.len ? ": " : "", BYTES_ARG(entry->message));
}

bool dispatch_is_untold(const struct order *order) {
  enum state state = order_state(order);
  bool halted_first = state == STATE_STOPPED && order->publish == ORDER_NOT_PUBLISHED && !order->restarted;
  return order->ledger.entry.times[STATE_DISPATCHED] && (state == STATE_UNDELIVERED || halted_first);
}

void dispatch_end(
    struct dispatch *d, struct order *order, enum state state, const struct refusal *refusal, struct instant now) {
  if (!order_move(order, state, refusal->code, refusal->message, refusal->hint[0] ? refusal->hint : NULL, now.wall)) {
    log_error("command", NULL, BYTES_FMT ": %s cannot become %s", BYTES_ARG(order_id(order)),
        state_name(order_state(order)), state_name(state));
    return;
  }
  if (dispatch_is_untold(order)) dispatch_place_stays(dispatch_place(d, order->command.address), order);
  d->stats.ended[state]++;
  dispatch_log(order);
  dispatch_commit(d, order);
}

void dispatch_refuse(struct dispatch *d, struct order *order, const struct refusal *refusal, struct instant now) {
  enum state state = refusal->code == CODE_EXPIRED      ? STATE_EXPIRED
                     : refusal->code == CODE_SUPERSEDED ? STATE_SUPERSEDED
                                                        : STATE_REJECTED;
  dispatch_end(d, order, state, refusal, now);
}

static void dispatch_already(struct dispatch *d, struct order *order, struct instant now) {
  struct refusal refusal;
  dispatch_unselect(d, order);
  dispatch_place_given(dispatch_place(d, order->command.address), order, now);
  refusal_set(&refusal, CODE_ALREADY, NULL, "the point has that value already; nothing was sent to the device");
  dispatch_end(d, order, STATE_EXECUTED, &refusal, now);
}

void dispatch_answer(struct dispatch *d, struct order *order, enum dispatch_verdict verdict, struct instant now) {
  const struct point *point = dispatch_point(d, order);
  const struct gateway_control *control = point->control;
  struct buffer span = BUFFER_NULL;
  struct refusal refusal;
  units_put_duration(&span, control->select_us);
  if (point_is_good(point, now)) order_keep_actual(order, &point->last.value);
  if (order->command.verb == COMMAND_SELECT) {
    dispatch_select(d, &order->command, now.mono + control->select_us);
    refusal_set(
        &refusal, CODE_SELECTED, NULL, "the point is armed for this value and this key for %s", buffer_text(&span));
  } else {
    refusal_set(&refusal, CODE_DRY_RUN, NULL, "every check passed; nothing was moved, as asked%s%s%s",
        verdict == DISPATCH_IS_THERE ? "; the point has that value already" : "",
        control->approval ? "; a set needs the approval of a second person" : "",
        control->select_us ? "; a set needs a selection first" : "");
  }
  buffer_deinit(&span);
  dispatch_end(d, order, STATE_EXECUTED, &refusal, now);
}

/* Rising for good: above the last one, and above any that a store which is gone may have given. */
static uint64_t dispatch_fence(struct place *place, int64_t wall) {
  uint64_t least = wall > 0 ? (uint64_t)wall : 1;
  return place->fence = place->fence + 1 > least ? place->fence + 1 : least;
}

void dispatch_dispatch(struct dispatch *d, struct order *order, struct instant now) {
  struct place *place = dispatch_place(d, order->command.address);
  order->measured = order->reached = false;
  if (!order_move(order, STATE_DISPATCHED, CODE_NONE, NULL, NULL, now.wall)) return;
  order->ledger.entry.fence = dispatch_fence(place, now.wall);
  if (order->command.verb == COMMAND_SET) dispatch_place_moves(place, now);
  dispatch_place_given(place, order, now);
  dispatch_log(order);
  const struct gateway_control *control = dispatch_control(d, order);
  if (defect("publish-before-commit") && order->command.verb == COMMAND_SET)
    dispatch_publish(d, order, control->topic, control->qos, &control->payload, BYTES_NULL, now);
  dispatch_commit(d, order);
}

/* `received` is durable: the device is next. Until the clock was compared with the broker's after a start nothing is
 * done, as one that a power cut has set back must not bring a dead command to life; dispatch_tick looks again. */
static void dispatch_next(struct dispatch *d, struct order *order, struct instant now) {
  struct refusal refusal = {.code = CODE_NONE}, bad;
  bool lacks_approval = dispatch_lacks_approval(d, order);
  if (!check_life_left(order_life(order, now), &refusal)) {
    if (lacks_approval)
      refusal_set(&refusal, CODE_APPROVAL, "send a new command, and have a second person approve it in time",
          "nobody approved it before its deadline");
    dispatch_end(d, order, STATE_EXPIRED, &refusal, now);
    return;
  }
  if (lacks_approval || dispatch_clock_for(d, order, &bad) == CLOCK_UNKNOWN) return;
  enum dispatch_verdict verdict = dispatch_check(d, order, now, &refusal);
  if (verdict == DISPATCH_REFUSED)
    dispatch_refuse(d, order, &refusal, now);
  else if (order->command.verb != COMMAND_SET)
    dispatch_answer(d, order, verdict, now);
  else if (verdict == DISPATCH_IS_THERE)
    dispatch_already(d, order, now);
  else
    dispatch_dispatch(d, order, now);
}

static int64_t later(int64_t a, int64_t b) { return a > b ? a : b; }

int64_t dispatch_since(const struct order *order, struct instant now) {
  return now.mono - (now.wall - order->ledger.entry.times[STATE_DISPATCHED]);
}

/* How long the outcome is awaited. With a measurement to look at never shorter than the deadline: until then the device
 * may rightly begin. */
static int64_t dispatch_settle_at(
    const struct order *order, const struct gateway_control *control, struct instant now) {
  int64_t since = dispatch_since(order, now), at = since;
  if (control && control->reply.topic) at = later(at, since + control->reply.timeout_us);
  if (control && control->confirm.set) at = later(later(at, since + control->confirm.timeout_us), order->expires_mono);
  return order->restarted ? later(at, now.mono + DISPATCH_RESTART_US) : at;
}

void dispatch_publish(struct dispatch *d, struct order *order, const char *topic, int qos,
    const struct gateway_template *payload, struct bytes running, struct instant now) {
  struct buffer text = BUFFER_NULL;
  const struct template_values values = {order_id(order), order->command.address, &order->command.value,
      order->command.deadline, order->ledger.entry.fence, running};
  template_put(&text, payload, &values);
  const struct dispatch_publish publish = {order_id(order), topic, qos, buffer_bytes(&text), order_life(order, now)};
  order->publish = ORDER_PUBLISHED;
  d->options.hooks.publish(d->options.hooks.ctx, &publish);
  buffer_deinit(&text);
}

/* `dispatched` is durable: its selection is used; the last look at the clock and for a stop, then
 * the publish. */
static void dispatch_send(struct dispatch *d, struct order *order, struct instant now) {
  const struct gateway_control *control = dispatch_control(d, order);
  const struct order *stop = dispatch_later_stop(d, order, false);
  struct refusal refusal = {.code = CODE_NONE};
  dispatch_unselect(d, order);
  order->settle_mono = dispatch_settle_at(order, control, now);
  if (stop) {
    refusal_set(&refusal, CODE_STOPPED, NULL, "the stop " BYTES_FMT " came first; nothing was published",
        BYTES_ARG(order_id(stop)));
    dispatch_end(d, order, STATE_STOPPED, &refusal, now);
    return;
  }
  if (!control)
    refusal_set(&refusal, CODE_NOT_WRITABLE, NULL, "the point has no control any more; nothing was published");
  if (control && check_life_left(order_life(order, now), &refusal))
    dispatch_publish(d, order, control->topic, control->qos, &control->payload, BYTES_NULL, now);
  else /* the commit took long: `dispatched` stands, and it is proven that nobody heard */
    dispatch_end(d, order, STATE_UNDELIVERED, &refusal, now);
}

void dispatch_undelivered(struct dispatch *d, struct order *order, struct instant now) {
  struct refusal refusal;
  const char *message = order->publish == ORDER_NO_LISTENER     ? "nobody subscribed to the topic of the device"
                        : order->publish == ORDER_NOT_CONNECTED ? "the MQTT broker of the station is not connected"
                                                                : "the MQTT broker of the station refused the message";
  refusal_set(&refusal, CODE_NO_LISTENER, NULL, "%s", message);
  dispatch_end(d, order, STATE_UNDELIVERED, &refusal, now);
}

static void dispatch_not_reached(struct dispatch *d, struct order *order, struct instant now) {
  struct refusal refusal;
  refusal_set(
      &refusal, CODE_NOT_REACHED, NULL, "the measured value did not come within the limit of the target in time");
  dispatch_end(d, order, STATE_FAILED, &refusal, now);
}

static void dispatch_unknown(struct dispatch *d, struct order *order, struct instant now) {
  struct refusal refusal;
  char hint[sizeof refusal.hint];
  snprintf(hint, sizeof hint,
      "look at the device, then: riverbus resolve " BYTES_FMT " --moved (or --not-moved) --basis ...",
      BYTES_ARG(order_id(order)));
  refusal_set(&refusal, order->restarted ? CODE_RESTARTED : CODE_NO_ANSWER, hint, "%s",
      order->restarted  ? "the gateway ended after it had dispatched the command, and neither the device nor a "
                          "measurement says what came of it"
      : order->measured ? "the command was published; the point was measured elsewhere, but not once the time was up, "
                          "and nothing else says what came of it"
                        : "the command was published, and neither the device nor a measurement says what came of it");
  dispatch_end(d, order, STATE_UNKNOWN, &refusal, now);
}

/* How long a measurement is awaited after the time is up: as long as the point may be silent, but no longer than the
 * broker waits for the report (deadline, confirm timeout and ten seconds). */
static int64_t dispatch_look_us(
    const struct order *order, const struct point *point, const struct gateway_control *control) {
  int64_t life = order->command.deadline - order->ledger.entry.times[STATE_DISPATCHED];
  int64_t most = control->confirm.timeout_us < life ? control->confirm.timeout_us : life;
  int64_t silence = point->config->stale_after_us, least = DISPATCH_LOOK_US;
  if (most < 0) most = 0;
  return silence < least ? least : silence < least + most ? silence : least + most;
}

/* The time is up. Where the point is measured still, one more measurement says whether it is elsewhere: what was
 * measured before says nothing, and what waited while this process or a connection stood still comes at once. */
static void dispatch_time_is_up(struct dispatch *d, struct order *order, struct instant now) {
  const struct point *point = dispatch_point(d, order);
  bool measures = point && point->control && point->control->confirm.set;
  if (order->look_from > 0 || !measures || !order->measured || !point_is_good(point, now)) {
    dispatch_unknown(d, order, now);
    return;
  }
  order->look_from = now.wall + DISPATCH_BURST_US;
  order->settle_mono = now.mono + DISPATCH_BURST_US + dispatch_look_us(order, point, point->control);
}

/* What comes first by a new connection may have waited for it. */
void dispatch_reconnected(struct dispatch *d, struct instant now) {
  struct table_cursor cursor = TABLE_CURSOR_NULL;
  struct bytes id;
  void *value;
  while (table_next(&d->orders, &cursor, &id, &value)) {
    struct order *order = value;
    if (order->look_from > 0) order->look_from = now.wall + DISPATCH_BURST_US;
  }
}

void dispatch_device_failed(struct dispatch *d, struct order *order, struct instant now) {
  struct refusal refusal;
  refusal_set(&refusal, CODE_DEVICE, NULL, "the device answered that it did not do it");
  dispatch_end(d, order, STATE_FAILED, &refusal, now);
}

bool dispatch_is_undelivered(const struct order *order) {
  return order->publish == ORDER_NO_LISTENER || order->publish == ORDER_NOT_CONNECTED ||
         order->publish == ORDER_PUBLISH_REFUSED;
}

/* The device's no: after a stop it means that the movement was halted. */
static void dispatch_refused_there(struct dispatch *d, struct order *order, struct instant now) {
  const struct order *stop = dispatch_later_stop(d, order, true);
  struct refusal refusal;
  if (!stop) {
    dispatch_device_failed(d, order, now);
    return;
  }
  const struct point *point = dispatch_point(d, order);
  if (point && point_is_good(point, now)) order_keep_actual(order, &point->last.value);
  refusal_set(&refusal, CODE_STOPPED, NULL, "the stop " BYTES_FMT " halted it", BYTES_ARG(order_id(stop)));
  dispatch_end(d, order, STATE_STOPPED, &refusal, now);
}

static void dispatch_acting(struct dispatch *d, struct order *order, struct instant now) {
  if (!order_move(order, STATE_ACTING, CODE_NONE, NULL, NULL, now.wall)) return;
  dispatch_log(order);
  dispatch_commit(d, order);
}

/* Of a set that was dispatched. `unknown` may still change: the device's own answer came late, or the point was
 * measured at the target. */
static void dispatch_judge(struct dispatch *d, struct order *order, struct instant now) {
  const struct refusal none = {.code = CODE_NONE};
  switch (order_judge(order, dispatch_control(d, order))) {
    case ORDER_UNDELIVERED: dispatch_undelivered(d, order, now); break;
    case ORDER_REFUSED: dispatch_refused_there(d, order, now); break;
    case ORDER_EXECUTED: dispatch_end(d, order, STATE_EXECUTED, &none, now); break;
    case ORDER_ACTING: dispatch_acting(d, order, now); break;
    case ORDER_NOT_REACHED: dispatch_not_reached(d, order, now); break;
    case ORDER_OPEN:
      if (order_awaits(order) && now.mono >= order->settle_mono) dispatch_time_is_up(d, order, now);
      break;
  }
}

static void dispatch_step_set(struct dispatch *d, struct order *order, struct instant now) {
  switch (order_state(order)) {
    case STATE_RECEIVED: dispatch_next(d, order, now); break;
    case STATE_DISPATCHED:
      if (order->publish == ORDER_NOT_PUBLISHED && (!order->restarted || defect("repeat-after-crash")))
        dispatch_send(d, order, now);
      if (order->settle_mono == 0) order->settle_mono = dispatch_settle_at(order, dispatch_control(d, order), now);
      if (!order->pending) dispatch_judge(d, order, now);
      break;
    case STATE_ACTING:
      if (order->settle_mono == 0) order->settle_mono = dispatch_settle_at(order, dispatch_control(d, order), now);
      dispatch_judge(d, order, now);
      break;
    case STATE_UNKNOWN: dispatch_judge(d, order, now); break;
    default: break;
  }
}

void dispatch_step(struct dispatch *d, struct order *order, struct instant now) {
  if (order->pending || order->never) return;
  if (order->wish.state != STATE_NONE && dispatch_fulfil(d, order, now)) return;
  if (order->command.verb == COMMAND_STOP)
    dispatch_step_stop(d, order, now);
  else
    dispatch_step_set(d, order, now);
}
