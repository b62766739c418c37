/* What a person decides about a command that was given: to cancel it while it waits, or, where nobody knows, what
 * became of it. */
#include "common/audit/note.h"
#include "gateway/dispatch_internal.h"
#include <stdio.h>

bool dispatch_may_record(struct dispatch *d, struct instant now) {
  uint64_t suppressed;
  return log_allow(&d->refused_limit, now.mono, &suppressed);
}

static const char *dispatch_name_of(const struct dispatch *d, const struct public_key *key) {
  for (size_t i = 0; i < d->operator_count; i++)
    if (memcmp(d->operators[i].key.bytes, key->bytes, sizeof key->bytes) == 0) return d->operators[i].name;
  return NULL;
}

/* A person's word is evidence whether it was obeyed or not; those that were not are bounded. */
static void dispatch_note_refused(struct dispatch *d, const struct decision *decision, const struct ledger_entry *about,
    const struct refusal *refusal, struct instant now) {
  struct buffer entry = BUFFER_NULL;
  if (!dispatch_may_record(d, now)) return;
  note_decision(&entry, bytes_text(d->station),
      &(struct note_decision){.decision = decision,
          .about = about,
          .by = dispatch_name_of(d, &decision->key),
          .code = refusal->code,
          .message = refusal->message,
          .time = now.wall});
  dispatch_note(d, buffer_bytes(&entry));
  buffer_deinit(&entry);
}

/* Once: the broker says it again until it knows better. */
static void dispatch_note_refused_once(struct dispatch *d, const struct decision *decision, struct order *order,
    const struct refusal *refusal, struct instant now) {
  if (bytes_equal(buffer_bytes(&order->refused), decision->bytes)) return;
  buffer_clear(&order->refused);
  buffer_append(&order->refused, decision->bytes);
  log_warning("command", d->broker, "%s " BYTES_FMT " was refused: %s", decision_verb_name(decision->verb),
      BYTES_ARG(decision->id), refusal->message);
  dispatch_note_refused(d, decision, &order->ledger.entry, refusal, now);
}

static bool dispatch_may_decide(struct dispatch *d, const struct decision *decision, struct order *order,
    const struct check_operator **by, struct instant now) {
  const struct check_operators operators = {d->operators, d->operator_count};
  struct refusal refusal;
  if (check_decision(decision, &order->command, &operators, now.wall, d->where, by, &refusal)) {
    d->stats.decisions++;
    return true;
  }
  d->stats.decisions_refused++;
  dispatch_note_refused_once(d, decision, order, &refusal, now);
  return false;
}

void dispatch_refused_decision(
    struct dispatch *d, const struct decision *decision, const struct refusal *refusal, struct instant now) {
  const struct order *order = table_get(&d->orders, decision->id);
  d->stats.decisions_refused++;
  if (dispatch_name_of(d, &decision->key))
    dispatch_note_refused(d, decision, order ? &order->ledger.entry : NULL, refusal, now);
}

/* It goes with the batch of what comes of it. */
static void dispatch_note_taken(
    struct dispatch *d, struct order *order, const struct decision *decision, const char *by, struct instant now) {
  struct buffer entry = BUFFER_NULL;
  note_decision(&entry, bytes_text(d->station),
      &(struct note_decision){.decision = decision, .about = &order->ledger.entry, .by = by, .time = now.wall});
  if (order->decided.len)
    dispatch_note(d, buffer_bytes(&entry)); /* another one waits already, and only that counts */
  else
    buffer_append(&order->decided, buffer_bytes(&entry));
  buffer_deinit(&entry);
}

/* A person's word that waits for the commit under way, and what became of it in the audit log. */
static void dispatch_put_aside(struct dispatch *d, struct order *order) {
  struct buffer entry = BUFFER_NULL;
  order->wish.state = STATE_NONE;
  if (order->decided.len == 0 || order->decided_goes) return; /* it is noted as taken already */
  note_refused_after_all(&entry, buffer_bytes(&order->decided), CODE_SUPERSEDED,
      "a resolve that was signed later came before it was obeyed");
  dispatch_note(d, buffer_bytes(&entry));
  buffer_clear(&order->decided);
  buffer_deinit(&entry);
}

/* Whether the decision counts beside a resolve that waits: of two the one that was signed later does, whichever came
 * first. */
static bool dispatch_outranks(
    struct dispatch *d, struct order *order, const struct decision *decision, struct instant now) {
  struct decision waits;
  struct refusal refusal;
  if (order->wish.state == STATE_NONE || order->wish.code != CODE_RESOLVED || !decision_is_resolve(decision->verb))
    return true;
  if (decision_read(&waits, buffer_bytes(&order->wish.decision)) != 0) return true;
  if (decision_is_later(decision, &waits)) {
    dispatch_put_aside(d, order);
    return true;
  }
  refusal_set(&refusal, CODE_SUPERSEDED, NULL, "a resolve that was signed later is being obeyed");
  if (!bytes_equal(decision->bytes, waits.bytes)) dispatch_note_refused_once(d, decision, order, &refusal, now);
  return false;
}

/* Resolve needs no authority but that to command the address: it moves nothing. */
static void dispatch_want(struct order *order, const struct decision *decision, const char *by) {
  struct buffer message = BUFFER_NULL;
  bool cancel = decision->verb == DECISION_CANCEL, moved = decision->verb == DECISION_RESOLVE_MOVED;
  buffer_printf(&message, "%s %s%s" BYTES_FMT, by,
      cancel  ? "cancelled it"
      : moved ? "has looked: the device did it"
              : "has looked: the device did not do it",
      decision->basis.len ? "; " : "", BYTES_ARG(decision->basis));
  bool waits = order->wish.state != STATE_NONE;
  order_want(order,
      cancel  ? STATE_CANCELLED
      : moved ? STATE_EXECUTED
              : STATE_FAILED,
      cancel ? CODE_CANCELLED : CODE_RESOLVED, buffer_text(&message));
  buffer_deinit(&message);
  if (waits) return;
  buffer_append(&order->wish.decision, decision->bytes);
}

static bool dispatch_fits(const struct order *order) {
  bool resolve = order->wish.code == CODE_RESOLVED;
  return order_state(order) == (resolve ? STATE_UNKNOWN : STATE_RECEIVED);
}

static void dispatch_tell(struct dispatch *d, const struct order *order) {
  dispatch_issue_again(d, order->command.address, order->ledger.entry.report, order->ledger.entry.time);
}

/* It was taken, and nothing could come of it any more. */
static void dispatch_note_too_late(struct dispatch *d, struct order *order) {
  struct buffer entry = BUFFER_NULL, message = BUFFER_NULL;
  buffer_printf(&message, "the command was %s already: that stands", state_name(order_state(order)));
  note_refused_after_all(&entry, buffer_bytes(&order->decided), CODE_TOO_LATE, buffer_text(&message));
  dispatch_note(d, buffer_bytes(&entry));
  buffer_clear(&order->decided);
  buffer_deinit(&entry);
  buffer_deinit(&message);
}

bool dispatch_fulfil(struct dispatch *d, struct order *order, struct instant now) {
  struct order_wish *wish = &order->wish;
  bool moved =
      dispatch_fits(order) && order_move(order, wish->state, wish->code, buffer_text(&wish->message), NULL, now.wall);
  wish->state = STATE_NONE;
  if (moved) {
    d->stats.ended[order_state(order)]++;
    dispatch_log(order);
    dispatch_commit(d, order);
  } else {
    dispatch_tell(d, order); /* too late: the asker learns how it stands */
    if (order->decided.len) dispatch_note_too_late(d, order);
  }
  return moved;
}

static void dispatch_decide(
    struct dispatch *d, struct order *order, const struct decision *decision, struct instant now) {
  const struct check_operator *by = NULL;
  if (order->never) return; /* that is said once it is durable */
  if (dispatch_may_decide(d, decision, order, &by, now)) {
    if (!dispatch_outranks(d, order, decision, now)) return;
    dispatch_note_taken(d, order, decision, by->name, now);
    dispatch_want(order, decision, by->name);
    dispatch_step(d, order, now);
  } else if (!order->pending) {
    dispatch_tell(d, order);
  }
}

bool dispatch_approve(
    struct dispatch *d, struct bytes id, struct bytes approval, struct instant now, struct refusal *refusal) {
  const struct check_operators operators = {d->operators, d->operator_count};
  const struct check_operator *by = NULL;
  struct order *order = table_get(&d->orders, id);
  struct decision decision;
  char name[ROSTER_NAME_MAX + 1];
  if (decision_read(&decision, approval) != 0 || !order || order->pending || order_state(order) != STATE_RECEIVED ||
      !dispatch_lacks_approval(d, order)) {
    refusal_set(refusal, order && order_is_open(order) ? CODE_BUSY : CODE_TOO_LATE, NULL,
        "the command " BYTES_FMT " does not wait here for an approval", BYTES_ARG(id));
    snprintf(refusal->hint, sizeof refusal->hint, "look at it: riverbus follow " BYTES_FMT, BYTES_ARG(id));
    return false;
  }
  snprintf(name, sizeof name, BYTES_FMT, BYTES_ARG(order->ledger.entry.by));
  const struct check_operator giver = {.name = name, .key = order->command.key};
  if (!check_approval(&order->command, approval, &operators, &giver, now.wall, &by, refusal)) return false;
  dispatch_note_taken(d, order, &decision, by->name, now);
  order_approve(order, approval, by->name);
  d->stats.decisions++;
  dispatch_step(d, order, now);
  if (!order->pending)
    dispatch_commit(d, order); /* it waits on, for the clock, and a person's word is kept meanwhile */
  return true;
}

/* Of an entry that had left the memory: only an `unknown` comes back into it. */
void dispatch_found_decision(
    struct dispatch *d, struct bytes body, const struct ledger_entry *known, struct bytes value, struct instant now) {
  struct decision decision;
  struct report report;
  struct refusal refusal;
  if (decision_read(&decision, body) != 0) return; /* it was opened before it was put to wait */
  if (known->command.len == 0) {
    dispatch_say_never(d, known);
  } else if (known->state != STATE_UNKNOWN) {
    refusal_set(&refusal, CODE_TOO_LATE, NULL, "the command was %s already: that stands", state_name(known->state));
    if (dispatch_name_of(d, &decision.key)) dispatch_note_refused(d, &decision, known, &refusal, now);
    if (report_read(&report, known->report) == 0) dispatch_issue_again(d, report.address, known->report, known->time);
  } else {
    struct order *order = order_new();
    if (order_load(order, value, now) != 0) {
      order_free(order);
      return;
    }
    order->number = ++d->numbers;
    table_put(&d->orders, order_id(order), order);
    dispatch_decide(d, order, &decision, now);
  }
}

/* False: nothing comes of it. */
static bool dispatch_decide_about(
    struct dispatch *d, const struct decision *decision, struct bytes body, struct instant now) {
  struct order *order = table_get(&d->orders, decision->id);
  if (!order) return dispatch_lookup(d, decision->id, BYTES_NULL, BYTES_NULL, body);
  dispatch_decide(d, order, decision, now);
  return true;
}

bool dispatch_local_decision(struct dispatch *d, struct bytes bytes, struct instant now, struct refusal *refusal) {
  struct decision decision;
  if (decision_read(&decision, bytes) != 0)
    refusal_set(refusal, CODE_MALFORMED, NULL, "the decision cannot be read");
  else if (dispatch_decide_about(d, &decision, bytes, now))
    return true;
  else if (table_get(&d->waiting, decision.id))
    refusal_set(refusal, CODE_BUSY, "give it again in a moment", "the station is looking that command up already");
  else
    refusal_set(refusal, CODE_FULL, "give it again in a moment", "the station looks up as many commands as it can, %d",
        DISPATCH_WAITING_MAX);
  return false;
}

void dispatch_decision(struct dispatch *d, struct bytes body, struct instant now) {
  struct decision decision;
  int outcome = decision_open(&decision, body);
  if (outcome != 0 || decision.verb == DECISION_APPROVE) {
    dispatch_refuse_message(
        d, outcome == DECISION_FORGED, "a decision: it cannot be read, or its signature does not fit", now);
    return;
  }
  (void)dispatch_decide_about(d, &decision, body, now); /* the broker repeats it */
}
