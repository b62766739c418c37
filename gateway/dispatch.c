#include "gateway/dispatch.h"
#include "common/base/mem.h"
#include "gateway/descriptor.h"
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
  d->builder = block_builder_new();
  d->forged_limit = (struct log_limit){.interval_us = 10 * SECOND_US, .burst = 3};
  return d;
}

static void dispatch_free_order(void *order) { order_free(order); }

static void dispatch_free_waiting(void *value) {
  struct buffer *waiting = value;
  buffer_deinit(waiting);
  free(waiting);
}

struct dispatch *dispatch_free(struct dispatch *d) {
  if (!d) return NULL;
  table_deinit(&d->orders, dispatch_free_order);
  table_deinit(&d->waiting, dispatch_free_waiting);
  table_deinit(&d->fences, free);
  table_deinit(&d->unreadable, free);
  block_builder_free(d->builder);
  free(d->operators);
  free(d->station);
  free(d->broker);
  free(d->elsewhere);
  free(d);
  return NULL;
}

/* One row for each key of each operator. */
void dispatch_configure(struct dispatch *d, const struct gateway_config *config, const struct points *points) {
  size_t count = 0;
  for (size_t i = 0; i < config->operator_count; i++) count += config->operators[i].keys.count;
  free(d->operators);
  d->operators = mem_alloc((count + 1) * sizeof *d->operators);
  d->operator_count = 0;
  for (size_t i = 0; i < config->operator_count; i++) {
    const struct config_operator *from = &config->operators[i];
    for (size_t k = 0; k < from->keys.count; k++)
      d->operators[d->operator_count++] =
          (struct check_operator){.name = from->name, .key = from->keys.items[k], .command = &from->command};
  }
  d->config = config;
  d->points = points;
}

/* All orders, in a list of their own: steps change the table. */
static struct order **dispatch_all(const struct dispatch *d, size_t *count) {
  struct order **all = mem_alloc((d->orders.count + 1) * sizeof *all);
  struct table_cursor cursor = TABLE_CURSOR_NULL;
  struct bytes id;
  void *order;
  *count = 0;
  while (table_next(&d->orders, &cursor, &id, &order)) all[(*count)++] = order;
  return all;
}

void dispatch_start(struct dispatch *d, struct instant now) {
  size_t count;
  struct order **all = dispatch_all(d, &count);
  for (size_t i = 0; i < count; i++) {
    if (all[i]->unlisted)
      dispatch_commit(d, all[i]);
    else
      dispatch_step(d, all[i], now);
  }
  free(all);
  dispatch_mark(d);
}

/* ---- commands ---- */

static struct order *dispatch_running(const struct dispatch *d, const struct order *order) {
  struct table_cursor cursor = TABLE_CURSOR_NULL;
  struct bytes id;
  void *other;
  while (table_next(&d->orders, &cursor, &id, &other))
    if (other != order && order_is_open(other) && bytes_equal(order_device(other), order_device(order))) return other;
  return NULL;
}

enum clock_verdict dispatch_clock(const struct dispatch *d, struct refusal *refusal) {
  return d->options.hooks.clock(d->options.hooks.ctx, refusal);
}

static bool dispatch_value_is_good(const struct dispatch *d, const struct order *order, struct refusal *refusal) {
  const struct point *point = dispatch_point(d, order);
  struct control control;
  bool writable = point && point->control;
  if (writable) descriptor_control(&control, point);
  return check_value(&order->command, point != NULL, writable ? &control : NULL, refusal);
}

static bool dispatch_device_is_free(const struct dispatch *d, const struct order *order, struct refusal *refusal) {
  const struct order *running = dispatch_running(d, order);
  return check_busy(
      &order->command, running ? order_id(running) : BYTES_NULL, running ? order_state(running) : STATE_NONE, refusal);
}

/* The order of the checks is the order in which a person would want to hear of them. */
static bool dispatch_is_allowed(struct dispatch *d, const struct order *order, const struct check_operator **by,
    struct instant now, struct refusal *refusal) {
  const struct check_operators operators = {d->operators, d->operator_count};
  struct buffer where = BUFFER_NULL;
  buffer_printf(&where, "the station %s", d->station);
  bool authorised = check_authority(&order->command, &operators, now.wall, buffer_text(&where), by, refusal);
  buffer_deinit(&where);
  return authorised && check_understood(&order->command, 0, refusal) &&
         check_created(&order->command, d->options.store_created, refusal) && dispatch_clock(d, refusal) != CLOCK_BAD &&
         check_deadline(&order->command, now.wall, d->config->max_deadline_us, refusal) &&
         check_life_left(&order->command, order_life(order, now), refusal) &&
         dispatch_value_is_good(d, order, refusal) && dispatch_device_is_free(d, order, refusal);
}

static void dispatch_take(struct dispatch *d, const struct command *command, struct instant now) {
  const struct check_operator *by = NULL;
  struct refusal refusal = {.code = CODE_NONE};
  if (d->orders.count >= DISPATCH_ORDERS_MAX) return; /* the broker sends it again, or settles it by asking */
  struct order *order = order_new();
  order_begin(order, command, d->station, NULL, d->broker, now);
  table_put(&d->orders, order_id(order), order);
  d->stats.commands++;
  bool allowed = dispatch_is_allowed(d, order, &by, now, &refusal);
  order->ledger.entry.by = bytes_text(by ? by->name : NULL);
  if (!order_move(order, STATE_RECEIVED, CODE_NONE, NULL, NULL, now.wall)) return;
  if (allowed)
    dispatch_commit(d, order);
  else
    dispatch_end(d, order, refusal.code == CODE_EXPIRED ? STATE_EXPIRED : STATE_REJECTED, &refusal, now);
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

static void dispatch_lookup(struct dispatch *d, struct bytes id, struct bytes command) {
  struct buffer *waiting = table_get(&d->waiting, id);
  if (waiting || table_get(&d->unreadable, id)) return;
  if (d->waiting.count >= DISPATCH_WAITING_MAX) return; /* the broker repeats */
  waiting = mem_alloc(sizeof *waiting);
  buffer_append(waiting, command);
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
  dispatch_commit_never(d, order);
}

static void dispatch_say_never(struct dispatch *d, const struct order *order) {
  struct buffer body = BUFFER_NULL;
  struct settle_ids ids = {.count = 1, .ids = {order_id(order)}};
  settle_put_never(&body, d->options.hooks.epoch(d->options.hooks.ctx), &ids);
  d->options.hooks.send(d->options.hooks.ctx, SETTLE_NEVER, buffer_bytes(&body));
  buffer_deinit(&body);
}

static void dispatch_found_command(
    struct dispatch *d, struct bytes bytes, const struct ledger_entry *known, struct instant now) {
  struct command command;
  if (command_read(&command, bytes) != 0) return; /* it was opened before it was put to wait */
  if (known)
    dispatch_again(d, &command, known);
  else
    dispatch_take(d, &command, now);
}

void dispatch_found(struct dispatch *d, struct bytes id, bool found, struct bytes value, struct instant now) {
  struct buffer *waiting = table_remove(&d->waiting, id);
  struct ledger_entry entry;
  struct report report;
  bool known = found && ledger_read(&entry, value) == 0;
  if (!waiting) return;
  if (table_get(&d->orders, id) ||
      (found && !known)) { /* it came into memory meanwhile, or cannot be read: the broker asks again */
    dispatch_free_waiting(waiting);
    return;
  }
  if (waiting->len > 0)
    dispatch_found_command(d, buffer_bytes(waiting), known ? &entry : NULL, now);
  else if (!known)
    dispatch_never(d, id, now);
  else if (entry.command.len > 0 && report_read(&report, entry.report) == 0)
    dispatch_issue_again(d, report.address, entry.report, entry.time);
  else
    dispatch_say_never(d, &(struct order){.ledger.entry = entry});
  dispatch_free_waiting(waiting);
}

/* ---- messages ---- */

static void dispatch_command(struct dispatch *d, struct bytes body, struct instant now) {
  uint64_t suppressed = 0;
  struct refusal refusal;
  struct command command;
  struct bytes bytes, approval; /* no control needs one yet */
  if (settle_get_command(body, &bytes, &approval) != 0) {
    d->stats.malformed++;
    return;
  }
  if (!check_open(&command, bytes,
          &refusal)) { /* nothing in it can be believed, not even the id: there is nobody to report to */
    d->stats.forged++;
    if (log_allow(&d->forged_limit, now.mono, &suppressed))
      log_warning("command", d->broker, "a command was refused: %s", refusal.message);
    return;
  }
  const struct order *known = table_get(&d->orders, command.id);
  /* what its deadline means here is not known before the first ping of the session; the broker repeats it */
  if (!known && dispatch_clock(d, &refusal) == CLOCK_UNKNOWN) return;
  if (!known)
    dispatch_lookup(d, command.id, bytes);
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
      dispatch_lookup(d, ids.ids[i], BYTES_NULL);
    else if (!order->pending && !order->never)
      dispatch_issue_again(d, order->command.address, order->ledger.entry.report, order->ledger.entry.time);
  }
}

void dispatch_message(struct dispatch *d, uint8_t type, struct bytes body, struct instant now) {
  if (type == SETTLE_COMMAND)
    dispatch_command(d, body, now);
  else if (type == SETTLE_ASK)
    dispatch_ask(d, body);
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
  if (order->unlisted) {
    order->unlisted = false;
    d->unlisted--;
    dispatch_mark(d);
  }
  if (order->never) dispatch_say_never(d, order);
  if (order->never || (order->leaving && !order->has_reply)) {
    dispatch_forget(d, order);
    return;
  }
  order->leaving = false; /* the answer came after all */
  dispatch_step(d, order, now);
}

void dispatch_published(struct dispatch *d, struct bytes id, enum order_publish outcome, struct instant now) {
  struct order *order = table_get(&d->orders, id);
  if (!order || order->publish != ORDER_PUBLISHED) return;
  order->publish = outcome;
  dispatch_step(d, order, now);
}

void dispatch_reply(
    struct dispatch *d, struct bytes address, struct bytes id, bool ok, struct bytes reason, struct instant now) {
  struct order *order = table_get(&d->orders, id);
  if (!order || !state_may_have_moved(order_state(order)) || !bytes_equal(order->command.address, address)) return;
  order_hear_reply(order, ok, reason);
  dispatch_step(d, order, now);
}

void dispatch_measured(
    struct dispatch *d, const struct point *point, const struct record *record, bool retained, struct instant now) {
  if (!point->control || d->orders.count == 0) return;
  size_t count;
  struct order **all = dispatch_all(d, &count);
  for (size_t i = 0; i < count; i++) {
    if (!order_awaits(all[i]) || !bytes_equal(all[i]->command.address, record->address)) continue;
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
}
