/* What comes in about commands: new ones, repeated ones, and what has become of them; and the store's word about ids
 * that are not in memory. */
#include "gateway/dispatch.h"
#include "common/base/mem.h"
#include "gateway/dispatch_internal.h"
#include <stdlib.h>

/* ---- commands ---- */

static bool dispatch_has_room(const struct dispatch *d, uint8_t verb) {
  return d->orders.count < DISPATCH_ORDERS_MAX + (verb == COMMAND_STOP ? DISPATCH_STOPS_MORE : 0);
}

static void dispatch_take(
    struct dispatch *d, const struct command *command, struct bytes approval, bool is_local, struct instant now) {
  struct refusal refusal = {.code = CODE_NONE};
  struct order *order = order_new();
  order_begin(order, command, approval, d->station, is_local ? ORDER_LOCAL : d->broker, now);
  order->number = ++d->numbers;
  if (command->verb == COMMAND_STOP && !is_local) {
    int64_t shift_us;
    (void)d->options.hooks.stop_clock(d->options.hooks.ctx, &shift_us); /* unknown: it is in time by this clock */
    order_shift(order, shift_us);
  }
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

void dispatch_free_waiting(void *value) {
  struct waiting *waiting = value;
  buffer_deinit(&waiting->command);
  buffer_deinit(&waiting->approval);
  buffer_deinit(&waiting->decision);
  free(waiting);
}

bool dispatch_lookup(
    struct dispatch *d, struct bytes id, struct bytes command, struct bytes approval, struct bytes decision) {
  struct waiting *waiting = table_get(&d->waiting, id);
  if (waiting || table_get(&d->unreadable, id)) return false;
  if (d->waiting.count >= DISPATCH_WAITING_MAX) return false; /* the broker repeats */
  waiting = mem_alloc(sizeof *waiting);
  buffer_append(&waiting->command, command);
  buffer_append(&waiting->approval, approval);
  buffer_append(&waiting->decision, decision);
  table_put(&d->waiting, id, waiting);
  d->options.hooks.lookup(d->options.hooks.ctx, id);
  return true;
}

/* Each stays in the ledger for good: a broker that invents ids gets no word about most of them. One that asks in
 * earnest asks again. */
static void dispatch_never(struct dispatch *d, struct bytes id, struct instant now) {
  uint64_t suppressed;
  if (!log_allow(&d->never_limit, now.mono, &suppressed)) {
    d->stats.nevers_dropped++;
    return;
  }
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

static bool dispatch_knows(const struct dispatch *d, const struct public_key *key) {
  for (size_t i = 0; i < d->operator_count; i++)
    if (memcmp(d->operators[i].key.bytes, key->bytes, sizeof key->bytes) == 0) return true;
  return false;
}

/* A key that is nobody's here can be made by anyone, and each refusal stays in the ledger for good. */
static bool dispatch_hears(struct dispatch *d, const struct command *command, struct instant now) {
  uint64_t suppressed;
  if (dispatch_knows(d, &command->key) || log_allow(&d->stranger_limit, now.mono, &suppressed)) return true;
  d->stats.strangers_dropped++;
  return false;
}

static void dispatch_found_command(
    struct dispatch *d, const struct waiting *waiting, const struct ledger_entry *known, struct instant now) {
  struct command command;
  if (command_read(&command, buffer_bytes(&waiting->command)) != 0)
    return; /* it was opened before it was put to wait */
  if (known)
    dispatch_again(d, &command, known);
  else if (dispatch_has_room(d, command.verb) &&
           dispatch_hears(d, &command, now)) /* else the broker sends it again, or settles it by asking */
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
  bool in_memory = table_get(&d->orders, id);
  if (in_memory && waiting->decision.len > 0)
    dispatch_decision(d, buffer_bytes(&waiting->decision), now);
  else if (in_memory || (found && !known))
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

/* What its deadline means here is not known before the first ping of the session; the broker repeats it. A stop waits
 * for that only where the clock here is not synchronised, and says that the stop is out of time. */
static bool dispatch_must_wait(const struct dispatch *d, const struct command *command, struct instant now) {
  struct refusal refusal;
  int64_t shift_us, left_us = command->deadline - now.wall;
  if (command->verb != COMMAND_STOP) return dispatch_clock(d, &refusal) == CLOCK_UNKNOWN;
  return (left_us < CHECK_DISPATCH_LEFT_US || left_us > dispatch_stop_ahead(d)) &&
         d->options.hooks.stop_clock(d->options.hooks.ctx, &shift_us) == CLOCK_UNKNOWN;
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
  if (!known && dispatch_must_wait(d, &command, now)) return;
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
