/* From `received` to the outcome: what is done with an order once nothing of it waits for the store. */
#include "gateway/dispatch_internal.h"

struct point *dispatch_point(const struct dispatch *d, const struct order *order) {
  return points_of_address(d->points, order->command.address);
}

/* NULL after a reload that took the control away. */
static const struct gateway_control *dispatch_control(const struct dispatch *d, const struct order *order) {
  const struct point *point = dispatch_point(d, order);
  return point ? point->control : NULL;
}

static void dispatch_log(const struct order *order) {
  const struct ledger_entry *entry = &order->ledger.entry;
  const char *code = code_name(entry->code);
  log_info("command", NULL, BYTES_FMT " " BYTES_FMT ": %s%s%s%s" BYTES_FMT, BYTES_ARG(entry->id),
      BYTES_ARG(order->command.address), state_name(entry->state), code ? ", " : "", code ? code : "",
      entry->message.len ? ": " : "", BYTES_ARG(entry->message));
}

void dispatch_end(
    struct dispatch *d, struct order *order, enum state state, const struct refusal *refusal, struct instant now) {
  if (!order_move(order, state, refusal->code, refusal->message, refusal->hint[0] ? refusal->hint : NULL, now.wall)) {
    log_error("command", NULL, BYTES_FMT ": %s cannot become %s", BYTES_ARG(order_id(order)),
        state_name(order_state(order)), state_name(state));
    return;
  }
  d->stats.ended[state]++;
  dispatch_log(order);
  dispatch_commit(d, order);
}

/* Whether the point is known to be there: then nothing is published. */
static bool dispatch_is_there(
    const struct dispatch *d, struct order *order, const struct gateway_control *control, struct instant now) {
  const struct point *point = dispatch_point(d, order);
  int64_t span = point->config->stale_after_us;
  if (span > 0 && now.mono - point->heard >= span) return false; /* silent for too long, whether that was said or not */
  if (!control->confirm.set || !point->has_last || point->stale || point->last.quality != QUALITY_GOOD) return false;
  if (!order_value_reached(control, &order->command.value, &point->last.value)) return false;
  order->measured = true;
  order->actual = point->last.value;
  return true;
}

/* `received` is durable: the device is next. */
static void dispatch_next(struct dispatch *d, struct order *order, struct instant now) {
  const struct gateway_control *control = dispatch_control(d, order);
  struct refusal refusal = {.code = CODE_NONE}, bad;
  enum clock_verdict clock = dispatch_clock(d, &bad);
  if (!check_life_left(&order->command, order_life(order, now), &refusal)) {
    dispatch_end(d, order, STATE_EXPIRED, &refusal, now);
  } else if (!control) {
    refusal_set(&refusal, CODE_NOT_WRITABLE, NULL,
        "the point has no control any more: the configuration was changed while the command was under way");
    dispatch_end(d, order, STATE_REJECTED, &refusal, now);
  } else if (clock == CLOCK_UNKNOWN) {
    return; /* found after a start: a clock that a power cut has set back must not bring a dead command to life;
               dispatch_tick looks again */
  } else if (clock == CLOCK_BAD) {
    dispatch_end(d, order, STATE_REJECTED, &bad, now);
  } else if (dispatch_is_there(d, order, control, now)) {
    refusal_set(&refusal, CODE_ALREADY, NULL, "the point has that value already; nothing was sent to the device");
    dispatch_end(d, order, STATE_EXECUTED, &refusal, now);
  } else if (order_move(order, STATE_DISPATCHED, CODE_NONE, NULL, NULL, now.wall)) {
    dispatch_log(order);
    dispatch_commit_fence(d, order, now);
  }
}

static int64_t later(int64_t a, int64_t b) { return a > b ? a : b; }

/* How long the outcome is awaited. With a measurement to look at never shorter than the deadline: until then the device
 * may rightly begin. */
static int64_t dispatch_settle_at(
    const struct order *order, const struct gateway_control *control, struct instant now) {
  /* when it was dispatched, by the boot clock */
  int64_t since = now.mono - (now.wall - order->ledger.entry.times[STATE_DISPATCHED]);
  int64_t at = since;
  if (control && control->reply.topic) at = later(at, since + control->reply.timeout_us);
  if (control && control->confirm.set) at = later(later(at, since + control->confirm.timeout_us), order->expires_mono);
  return order->restarted ? later(at, now.mono + DISPATCH_RESTART_US) : at;
}

/* `dispatched` is durable: the last look at the clock, then the publish. */
static void dispatch_send(struct dispatch *d, struct order *order, struct instant now) {
  const struct gateway_control *control = dispatch_control(d, order);
  int64_t life = order_life(order, now);
  struct refusal refusal = {.code = CODE_NONE};
  order->settle_mono = dispatch_settle_at(order, control, now);
  if (!control)
    refusal_set(&refusal, CODE_NOT_WRITABLE, NULL, "the point has no control any more; nothing was published");
  if (!control || !check_life_left(&order->command, life,
                      &refusal)) { /* the commit took long: `dispatched` stands, and it is proven that nobody heard */
    dispatch_end(d, order, STATE_UNDELIVERED, &refusal, now);
    return;
  }
  struct buffer payload = BUFFER_NULL;
  const struct template_values values = {order_id(order), order->command.address, &order->command.value,
      order->command.deadline, order->ledger.entry.fence, BYTES_NULL};
  template_put(&payload, &control->payload, &values);
  const struct dispatch_publish publish = {order_id(order), control->topic, control->qos, buffer_bytes(&payload), life};
  order->publish = ORDER_PUBLISHED;
  d->options.hooks.publish(d->options.hooks.ctx, &publish);
  buffer_deinit(&payload);
}

static void dispatch_undelivered(struct dispatch *d, struct order *order, struct instant now) {
  struct refusal refusal;
  const char *message = order->publish == ORDER_NO_LISTENER     ? "nobody subscribed to the topic of the device"
                        : order->publish == ORDER_NOT_CONNECTED ? "the MQTT broker of the station is not connected"
                                                                : "the MQTT broker of the station refused the message";
  refusal_set(&refusal, CODE_NO_LISTENER, NULL, "%s", message);
  dispatch_end(d, order, STATE_UNDELIVERED, &refusal, now);
}

static void dispatch_timed_out(struct dispatch *d, struct order *order, struct instant now) {
  struct refusal refusal;
  if (order->measured) {
    refusal_set(
        &refusal, CODE_NOT_REACHED, NULL, "the measured value did not come within the limit of the target in time");
    dispatch_end(d, order, STATE_FAILED, &refusal, now);
  } else if (order->restarted) {
    refusal_set(&refusal, CODE_RESTARTED, NULL,
        "the gateway ended after it had dispatched the command, and neither the device nor a measurement says what "
        "came of it");
    dispatch_end(d, order, STATE_UNKNOWN, &refusal, now);
  } else {
    refusal_set(&refusal, CODE_NO_ANSWER, NULL,
        "the command was published, and neither the device nor a measurement says what came of it");
    dispatch_end(d, order, STATE_UNKNOWN, &refusal, now);
  }
}

static void dispatch_device_failed(struct dispatch *d, struct order *order, struct instant now) {
  struct refusal refusal;
  refusal_set(&refusal, CODE_DEVICE, NULL, "the device answered that it did not do it");
  dispatch_end(d, order, STATE_FAILED, &refusal, now);
}

static bool dispatch_is_undelivered(const struct order *order) {
  return order->publish == ORDER_NO_LISTENER || order->publish == ORDER_NOT_CONNECTED ||
         order->publish == ORDER_PUBLISH_REFUSED;
}

/* What is known of an order at the device. Proof that nobody got it comes first, then the device's no, then the
 * measurement, then its yes. */
static void dispatch_judge(struct dispatch *d, struct order *order, struct instant now) {
  const struct gateway_control *control = dispatch_control(d, order);
  const struct refusal none = {.code = CODE_NONE};
  bool measures = control && control->confirm.set;
  if (dispatch_is_undelivered(order)) {
    dispatch_undelivered(d, order, now);
  } else if (order->has_reply && !order->reply_ok) {
    dispatch_device_failed(d, order, now);
  } else if (order->reached || (order->has_reply && !measures)) {
    dispatch_end(d, order, STATE_EXECUTED, &none, now);
  } else if (order->has_reply && order_state(order) == STATE_DISPATCHED) {
    if (!order_move(order, STATE_ACTING, CODE_NONE, NULL, NULL, now.wall)) return;
    dispatch_log(order);
    dispatch_commit(d, order);
  } else if (now.mono >= order->settle_mono) {
    dispatch_timed_out(d, order, now);
  }
}

/* Only `unknown` may still change: the device's own answer came late. */
static void dispatch_late(struct dispatch *d, struct order *order, struct instant now) {
  const struct refusal none = {.code = CODE_NONE};
  if (!order->has_reply || !state_allows(ACTOR_GATEWAY, STATE_UNKNOWN, order->reply_ok ? STATE_EXECUTED : STATE_FAILED))
    return;
  if (order->reply_ok)
    dispatch_end(d, order, STATE_EXECUTED, &none, now);
  else
    dispatch_device_failed(d, order, now);
}

void dispatch_step(struct dispatch *d, struct order *order, struct instant now) {
  if (order->pending || order->never) return;
  switch (order_state(order)) {
    case STATE_RECEIVED: dispatch_next(d, order, now); break;
    case STATE_DISPATCHED:
      if (order->publish == ORDER_NOT_PUBLISHED && !order->restarted) dispatch_send(d, order, now);
      if (order->settle_mono == 0) order->settle_mono = dispatch_settle_at(order, dispatch_control(d, order), now);
      if (!order->pending) dispatch_judge(d, order, now);
      break;
    case STATE_ACTING:
      if (order->settle_mono == 0) order->settle_mono = dispatch_settle_at(order, dispatch_control(d, order), now);
      dispatch_judge(d, order, now);
      break;
    case STATE_UNKNOWN: dispatch_late(d, order, now); break;
    default: break;
  }
}
