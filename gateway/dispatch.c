#include "gateway/dispatch.h"
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
  d->never_limit = (struct log_limit){.interval_us = DISPATCH_STRANGE_US, .burst = DISPATCH_NEVERS};
  d->stranger_limit = (struct log_limit){.interval_us = DISPATCH_STRANGE_US, .burst = DISPATCH_STRANGERS};
  d->forged_limit = (struct log_limit){.interval_us = 10 * SECOND_US, .burst = 3};
  return d;
}

static void dispatch_free_order(void *order) { order_free(order); }

struct dispatch *dispatch_free(struct dispatch *d) {
  if (!d) return NULL;
  table_deinit(&d->orders, dispatch_free_order);
  table_deinit(&d->waiting, dispatch_free_waiting);
  table_deinit(&d->places, dispatch_free_place);
  table_deinit(&d->unreadable, free);
  block_builder_free(d->builder);
  free(d->operators);
  dispatch_free_kept(d);
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

void dispatch_start(struct dispatch *d, struct instant now) {
  size_t count;
  struct order **all = dispatch_all(d, &count);
  qsort(all, count, sizeof *all, dispatch_by_receipt);
  for (size_t i = 0; i < count; i++) all[i]->number = ++d->numbers;
  for (size_t i = 0; i < count; i++) /* a stop that had gone on may have left what the store refused to end */
    if (order_state(all[i]) == STATE_RECEIVED || (order_awaits(all[i]) && all[i]->command.verb == COMMAND_STOP))
      dispatch_supersede(d, all[i], now);
  for (size_t i = 0; i < count; i++) {
    if (all[i]->unlisted && !all[i]->pending)
      dispatch_commit(d, all[i]);
    else
      dispatch_step(d, all[i], now);
  }
  free(all);
  dispatch_watch_from(d, now);
  dispatch_mark(d);
}

/* ---- the clock ---- */

enum clock_verdict dispatch_clock(const struct dispatch *d, struct refusal *refusal) {
  return d->options.hooks.clock(d->options.hooks.ctx, refusal);
}

/* One that was found after a start waits: a clock that a power cut has set back must not bring a dead command to life.
 */
enum clock_verdict dispatch_clock_for(const struct dispatch *d, const struct order *order, struct refusal *refusal) {
  enum clock_verdict verdict = dispatch_clock(d, refusal);
  return verdict == CLOCK_UNKNOWN && order->is_local && !order->loaded ? CLOCK_GOOD : verdict;
}

/* ---- what comes back ---- */

static void dispatch_forget(struct dispatch *d, struct order *order) {
  table_remove(&d->orders, order_id(order));
  order_free(order);
}

void dispatch_committed(struct dispatch *d, void *cookie, bool durable, struct instant now) {
  struct order *order = cookie;
  if (dispatch_kept(d, cookie, durable, now)) return;
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

/* What a batch says may have changed since the store refused it. Of the words about what has happened nothing has; but
 * a command that nobody was told of is decided anew, as if `dispatched` had never been tried. */
static void dispatch_retry(struct dispatch *d, struct order *order) {
  if (order_state(order) != STATE_DISPATCHED || order->restarted || order->publish != ORDER_NOT_PUBLISHED) {
    dispatch_commit(d, order);
    return;
  }
  dispatch_place_stays(dispatch_place(d, order->command.address), order);
  order_take_back(order);
  order_seal(order, d->options.identity);
  order->pending = false;
  order->retry_mono = 0;
}

static int64_t sooner(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t dispatch_tick_order(struct dispatch *d, struct order *order, struct instant now) {
  if (order->retry_mono > 0 && now.mono >= order->retry_mono) dispatch_retry(d, order);
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
  int64_t next = dispatch_kept_tick(d, now);
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
