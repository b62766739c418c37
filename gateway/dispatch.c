#include "gateway/dispatch.h"
#include "common/audit/note.h"
#include "common/base/mem.h"
#include "gateway/dispatch_internal.h"
#include <stdlib.h>

static char *dispatch_text(const char *a, const char *b) {
  struct buffer text = BUFFER_NULL;
  buffer_printf(&text, "%s%s", a, b);
  char *copy = mem_text(text.data, text.len);
  buffer_deinit(&text);
  return copy;
}

struct dispatch *dispatch_new(const struct dispatch_options *options) {
  struct dispatch *d = mem_alloc(sizeof *d);
  d->options = *options;
  d->station = dispatch_text(options->station, "");
  d->broker = dispatch_text(options->broker, "");
  d->elsewhere = dispatch_text(options->station, "/riverbus/command");
  d->where = dispatch_text("the station ", options->station);
  d->builder = block_builder_new();
  d->refused_limit = (struct log_limit){.interval_us = 10 * SECOND_US, .burst = 20};
  d->forged_limit = (struct log_limit){.interval_us = 10 * SECOND_US, .burst = 3};
  return d;
}

static void dispatch_free_order(void *order) { order_free(order); }

static void dispatch_free_waiting(void *value) {
  struct waiting *waiting = value;
  buffer_deinit(&waiting->command);
  buffer_deinit(&waiting->approval);
  buffer_deinit(&waiting->decision);
  free(waiting);
}

struct dispatch *dispatch_free(struct dispatch *d) {
  if (!d) return NULL;
  table_deinit(&d->orders, dispatch_free_order);
  table_deinit(&d->waiting, dispatch_free_waiting);
  table_deinit(&d->places, dispatch_free_place);
  table_deinit(&d->unreadable, free);
  block_builder_free(d->builder);
  free(d->operators);
  roster_free(d->roster);
  buffer_deinit(&d->signed_roster);
  free(d->where);
  free(d->station);
  free(d->broker);
  free(d->elsewhere);
  free(d);
  return NULL;
}

void dispatch_configure(struct dispatch *d, const struct gateway_config *config, const struct points *points) {
  d->config = config;
  d->points = points;
  dispatch_make_operators(d);
}

struct order **dispatch_all(const struct dispatch *d, size_t *count) {
  struct order **all = mem_alloc((d->orders.count + 1) * sizeof *all);
  struct table_cursor cursor = TABLE_CURSOR_NULL;
  struct bytes id;
  void *order;
  *count = 0;
  while (table_next(&d->orders, &cursor, &id, &order)) all[(*count)++] = order;
  return all;
}

static int dispatch_by_receipt(const void *a, const void *b) {
  int64_t x = (*(struct order *const *)a)->ledger.entry.times[STATE_RECEIVED];
  int64_t y = (*(struct order *const *)b)->ledger.entry.times[STATE_RECEIVED];
  return (x > y) - (x < y);
}

/* From here on movements are compared with what the points were worth when the gateway ended. */
static void dispatch_start_places(struct dispatch *d, struct instant now) {
  struct value from;
  for (size_t i = 0; i < d->points->count; i++) {
    const struct point *point = &d->points->items[i];
    if (point->control && point->has_last && point->last.quality == QUALITY_GOOD)
      (void)movement_hear(&dispatch_place(d, bytes_text(point->config->address))->movement, 0, &point->last.value, true,
          now.mono, &from);
  }
}

void dispatch_start(struct dispatch *d, struct instant now) {
  size_t count;
  struct order **all = dispatch_all(d, &count);
  qsort(all, count, sizeof *all, dispatch_by_receipt);
  for (size_t i = 0; i < count; i++) all[i]->number = ++d->numbers;
  for (size_t i = 0; i < count; i++)
    if (order_state(all[i]) == STATE_RECEIVED) dispatch_supersede(d, all[i], now);
  for (size_t i = 0; i < count; i++) {
    if (all[i]->unlisted && !all[i]->pending)
      dispatch_commit(d, all[i]);
    else
      dispatch_step(d, all[i], now);
  }
  free(all);
  dispatch_start_places(d, now);
  dispatch_mark(d);
}

/* ---- commands ---- */

enum clock_verdict dispatch_clock(const struct dispatch *d, struct refusal *refusal) {
  return d->options.hooks.clock(d->options.hooks.ctx, refusal);
}

/* One that was found after a start waits: a clock that a power cut has set back must not bring a dead command to life.
 */
enum clock_verdict dispatch_clock_for(const struct dispatch *d, const struct order *order, struct refusal *refusal) {
  enum clock_verdict verdict = dispatch_clock(d, refusal);
  return verdict == CLOCK_UNKNOWN && order->is_local && !order->loaded ? CLOCK_GOOD : verdict;
}

static bool dispatch_has_room(const struct dispatch *d, uint8_t verb) {
  return d->orders.count < DISPATCH_ORDERS_MAX + (verb == COMMAND_STOP ? DISPATCH_STOPS_MORE : 0);
}

static void dispatch_take(
    struct dispatch *d, const struct command *command, struct bytes approval, bool is_local, struct instant now) {
  struct refusal refusal = {.code = CODE_NONE};
  struct order *order = order_new();
  order_begin(order, command, approval, d->station, is_local ? ORDER_LOCAL : d->broker, now);
  order->number = ++d->numbers;
  table_put(&d->orders, order_id(order), order);
  d->stats.commands++;
  enum dispatch_verdict verdict = dispatch_check(d, order, now, &refusal);
  bool waits = verdict != DISPATCH_REFUSED && dispatch_lacks_approval(d, order);
  if (!order_move(order, STATE_RECEIVED, waits ? CODE_APPROVAL : CODE_NONE,
          waits ? "it waits for the approval of a second person" : NULL, NULL, now.wall))
    return;
  if (verdict == DISPATCH_REFUSED) {
    dispatch_refuse(d, order, &refusal, now);
  } else if (command->verb == COMMAND_SELECT || command->verb == COMMAND_TRY) {
    dispatch_answer(d, order, verdict, now);
  } else {
    dispatch_supersede(d, order, now);
    dispatch_commit(d, order);
  }
}

static bool dispatch_has_local_room(const struct dispatch *d, uint8_t verb) {
  struct table_cursor cursor = TABLE_CURSOR_NULL;
  struct bytes id;
  void *order;
  size_t count = 0;
  while (table_next(&d->orders, &cursor, &id, &order)) count += ((struct order *)order)->is_local;
  return dispatch_has_room(d, verb) && (count < DISPATCH_LOCAL_MAX || verb == COMMAND_STOP);
}

bool dispatch_local(struct dispatch *d, const struct command *command, struct instant now, struct refusal *refusal) {
  if (table_get(&d->unreadable, command->id)) {
    refusal_set(refusal, CODE_REPLAY, NULL, "the ledger's entry of that id cannot be read by this version");
    return false;
  }
  if (!dispatch_has_local_room(d, command->verb)) {
    refusal_set(refusal, CODE_FULL, NULL, "the station holds as many commands as it can, at most %d of its own door",
        DISPATCH_LOCAL_MAX);
    return false;
  }
  dispatch_take(d, command, BYTES_NULL, true, now);
  return true;
}

const struct ledger_entry *dispatch_entry(const struct dispatch *d, struct bytes id, bool *durable) {
  const struct order *order = table_get(&d->orders, id);
  if (!order || order->never) return NULL;
  *durable = !order->pending;
  return &order->ledger.entry;
}

struct check_operators dispatch_operators(const struct dispatch *d) {
  return (struct check_operators){d->operators, d->operator_count};
}

static void dispatch_again(struct dispatch *d, const struct command *command, const struct ledger_entry *known) {
  struct refusal refusal;
  if (check_known(command, known, &refusal) == CHECK_KNOWN_OTHER) {
    d->stats.replays++;
    log_warning("command", NULL, BYTES_FMT ": %s; nothing is done", BYTES_ARG(command->id), refusal.message);
  }
  dispatch_issue_again(d, command->address, known->report, known->time);
}

/* ---- ids that are not in memory ---- */

void dispatch_lookup(
    struct dispatch *d, struct bytes id, struct bytes command, struct bytes approval, struct bytes decision) {
  struct waiting *waiting = table_get(&d->waiting, id);
  if (waiting || table_get(&d->unreadable, id)) return;
  if (d->waiting.count >= DISPATCH_WAITING_MAX) return; /* the broker repeats */
  waiting = mem_alloc(sizeof *waiting);
  buffer_append(&waiting->command, command);
  buffer_append(&waiting->approval, approval);
  buffer_append(&waiting->decision, decision);
  table_put(&d->waiting, id, waiting);
  d->options.hooks.lookup(d->options.hooks.ctx, id);
}

static void dispatch_never(struct dispatch *d, struct bytes id, struct instant now) {
  struct order *order = order_new();
  order->ledger.entry = LEDGER_ENTRY_NULL;
  order->ledger.entry.id = id;
  order->ledger.entry.station = bytes_text(d->station);
  order->ledger.entry.from = bytes_text(d->broker);
  order->never = true;
  if (!order_move(order, STATE_EXPIRED, CODE_NOT_RECEIVED, NULL, NULL, now.wall)) {
    order_free(order);
    return;
  }
  table_put(&d->orders, order_id(order), order);
  dispatch_commit(d, order);
}

void dispatch_say_never(struct dispatch *d, const struct ledger_entry *entry) {
  struct buffer body = BUFFER_NULL;
  struct settle_ids ids = {.count = 1, .ids = {entry->id}};
  settle_put_never(&body, d->options.hooks.epoch(d->options.hooks.ctx), &ids);
  d->options.hooks.send(d->options.hooks.ctx, SETTLE_NEVER, buffer_bytes(&body));
  buffer_deinit(&body);
}

static void dispatch_found_command(
    struct dispatch *d, const struct waiting *waiting, const struct ledger_entry *known, struct instant now) {
  struct command command;
  if (command_read(&command, buffer_bytes(&waiting->command)) != 0)
    return; /* it was opened before it was put to wait */
  if (known)
    dispatch_again(d, &command, known);
  else if (dispatch_has_room(d, command.verb)) /* else the broker sends it again, or settles it by asking */
    dispatch_take(d, &command, buffer_bytes(&waiting->approval), false, now);
}

static void dispatch_found_asked(struct dispatch *d, const struct ledger_entry *known) {
  struct report report;
  if (known->command.len > 0 && report_read(&report, known->report) == 0)
    dispatch_issue_again(d, report.address, known->report, known->time);
  else
    dispatch_say_never(d, known);
}

void dispatch_found(struct dispatch *d, struct bytes id, bool found, struct bytes value, struct instant now) {
  struct waiting *waiting = table_remove(&d->waiting, id);
  struct ledger_entry entry;
  if (!waiting) return;
  const struct ledger_entry *known = found && ledger_read(&entry, value) == 0 ? &entry : NULL;
  if (table_get(&d->orders, id) || (found && !known))
    (void)0; /* it came into memory meanwhile, or cannot be read: the broker asks again */
  else if (waiting->command.len > 0)
    dispatch_found_command(d, waiting, known, now);
  else if (!known)
    dispatch_never(d, id, now);
  else if (waiting->decision.len > 0)
    dispatch_found_decision(d, buffer_bytes(&waiting->decision), known, value, now);
  else
    dispatch_found_asked(d, known);
  dispatch_free_waiting(waiting);
}

/* ---- messages ---- */

void dispatch_refuse_message(struct dispatch *d, bool forged, const char *why, struct instant now) {
  uint64_t suppressed = 0;
  if (forged)
    d->stats.forged++;
  else
    d->stats.malformed++;
  if (log_allow(&d->forged_limit, now.mono, &suppressed)) log_warning("command", d->broker, "refused: %s", why);
}

static void dispatch_command(struct dispatch *d, struct bytes body, struct instant now) {
  struct refusal refusal;
  struct command command;
  struct bytes bytes, approval;
  if (settle_get_command(body, &bytes, &approval) != 0) {
    dispatch_refuse_message(d, false, "a command: it cannot be read", now);
    return;
  }
  if (!check_open(&command, bytes, &refusal)) {
    /* nothing in it can be believed, not even the id: there is nobody to report to */
    dispatch_refuse_message(d, true, refusal.message, now);
    return;
  }
  const struct order *known = table_get(&d->orders, command.id);
  /* what its deadline means here is not known before the first ping of the session; the broker repeats it. A stop does
   * not wait for that */
  if (!known && command.verb != COMMAND_STOP && dispatch_clock(d, &refusal) == CLOCK_UNKNOWN) return;
  if (!known)
    dispatch_lookup(d, command.id, bytes, approval, BYTES_NULL);
  else if (!known->pending)
    dispatch_again(d, &command, &known->ledger.entry);
}

static void dispatch_ask(struct dispatch *d, struct bytes body) {
  struct settle_ids ids;
  if (settle_get_ask(body, &ids) != 0) {
    d->stats.malformed++;
    return;
  }
  for (uint32_t i = 0; i < ids.count; i++) {
    const struct order *order = table_get(&d->orders, ids.ids[i]);
    if (!order)
      dispatch_lookup(d, ids.ids[i], BYTES_NULL, BYTES_NULL, BYTES_NULL);
    else if (!order->pending && !order->never)
      dispatch_issue_again(d, order->command.address, order->ledger.entry.report, order->ledger.entry.time);
  }
}

void dispatch_message(struct dispatch *d, uint8_t type, struct bytes body, struct instant now) {
  if (type == SETTLE_COMMAND)
    dispatch_command(d, body, now);
  else if (type == SETTLE_ASK)
    dispatch_ask(d, body);
  else if (type == SETTLE_DECISION)
    dispatch_decision(d, body, now);
  else if (type == SETTLE_ROSTER)
    dispatch_roster(d, body, now);
  else
    d->stats.malformed++;
}

/* ---- what comes back ---- */

static void dispatch_forget(struct dispatch *d, struct order *order) {
  table_remove(&d->orders, order_id(order));
  order_free(order);
}

void dispatch_committed(struct dispatch *d, void *cookie, bool durable, struct instant now) {
  struct order *order = cookie;
  if (!order) return;
  if (!durable) {
    order->retry_mono = now.mono + DISPATCH_RETRY_US;
    return;
  }
  order->pending = false;
  dispatch_noted(order);
  order->introduced = true;
  if (d->options.hooks.said && !order->never) d->options.hooks.said(d->options.hooks.ctx, &order->ledger.entry);
  if (order->unlisted) {
    order->unlisted = false;
    d->unlisted--;
    dispatch_mark(d);
  }
  if (order->never) dispatch_say_never(d, &order->ledger.entry);
  if (order->never || (order->leaving && !order->has_reply)) {
    dispatch_forget(d, order);
    return;
  }
  order->leaving = false; /* the answer came after all */
  dispatch_step(d, order, now);
  if (order->command.verb == COMMAND_SET) dispatch_step_stops(d, order, now);
}

void dispatch_published(struct dispatch *d, struct bytes id, enum order_publish outcome, struct instant now) {
  struct order *order = table_get(&d->orders, id);
  if (!order || order->publish != ORDER_PUBLISHED) return;
  order->publish = outcome;
  order->acked = now.wall;
  dispatch_step(d, order, now);
}

void dispatch_reply(
    struct dispatch *d, struct bytes address, struct bytes id, bool ok, struct bytes reason, struct instant now) {
  struct order *order = table_get(&d->orders, id);
  if (!order || !state_may_have_moved(order_state(order)) || !bytes_equal(order->command.address, address)) return;
  order_hear_reply(order, ok, reason);
  dispatch_step(d, order, now);
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
  struct store_batch *batch = store_batch_new();
  note_movement(batch, bytes_text(d->station), address, from, to, "nobody had ordered it", now.wall);
  d->options.hooks.submit(d->options.hooks.ctx, batch, NULL);
  buffer_deinit(&text);
}

static void dispatch_watch(
    struct dispatch *d, const struct gateway_control *control, const struct record *record, struct instant now) {
  struct value from;
  if (record->quality != QUALITY_GOOD) return;
  if (movement_hear(&dispatch_place(d, record->address)->movement, dispatch_beyond(control), &record->value,
          dispatch_is_ordered(d, record->address, now), now.mono, &from))
    dispatch_tell_movement(d, record->address, &from, &record->value, now);
}

void dispatch_measured(
    struct dispatch *d, const struct point *point, const struct record *record, bool retained, struct instant now) {
  if (!point->control) return;
  dispatch_watch(d, point->control, record, now);
  if (d->orders.count == 0) return;
  size_t count;
  struct order **all = dispatch_all(d, &count);
  for (size_t i = 0; i < count; i++) {
    if (!bytes_equal(all[i]->command.address, record->address)) continue;
    order_hear_measurement(all[i], point->control, record, retained);
    dispatch_step(d, all[i], now);
  }
  free(all);
}

/* ---- time ---- */

static int64_t sooner(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t dispatch_tick_order(struct dispatch *d, struct order *order, struct instant now) {
  if (order->retry_mono > 0 && now.mono >= order->retry_mono) dispatch_commit(d, order);
  dispatch_step(d, order, now);
  if (order->retry_mono > 0) return order->retry_mono;
  if (order->pending) return INT64_MAX;
  if (order_state(order) == STATE_RECEIVED) return now.mono + DISPATCH_CLOCK_US;
  if (order_awaits(order)) return order->settle_mono;
  if (order_locks(order)) return INT64_MAX;
  int64_t until = order->expires_mono + DISPATCH_MARGIN_US;
  if (order_is_open(order) || now.mono < until) return until;
  order->leaving = order_state(order) == STATE_UNKNOWN;
  if (order->leaving)
    dispatch_commit(d, order); /* under its id alone: no start reads it any more */
  else
    dispatch_forget(d, order);
  return INT64_MAX;
}

int64_t dispatch_tick(struct dispatch *d, struct instant now) {
  size_t count;
  int64_t next = INT64_MAX;
  if (d->orders.count == 0) return next;
  struct order **all = dispatch_all(d, &count);
  for (size_t i = 0; i < count; i++) next = sooner(next, dispatch_tick_order(d, all[i], now));
  free(all);
  return next;
}

void dispatch_stats(const struct dispatch *d, struct dispatch_stats *out) {
  *out = d->stats;
  out->in_memory = d->orders.count;
  struct table_cursor cursor = TABLE_CURSOR_NULL;
  struct bytes id;
  void *order;
  while (table_next(&d->orders, &cursor, &id, &order)) out->open += order_is_open(order);
}
