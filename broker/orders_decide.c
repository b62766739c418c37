/* What persons decide about commands: approve, cancel, resolve; and the verbatim command, which they look at before. */
#include "broker/order.h"
#include "common/audit/note.h"
#include "common/base/log.h"
#include <stdlib.h>

/* ---- entries of the audit log by themselves ---- */

static void noted(void *ctx, void *cookie, const struct store_done *done) {
  (void)ctx, (void)cookie;
  if (done->kind == STORE_DONE_REFUSED)
    log_warning("commands", NULL, "the store is full: a refused decision, or a contradiction, was not recorded");
}

/* An entry of the audit log that belongs to no commit of an order. */
void orders_note(struct orders *orders, struct bytes entry) {
  struct store_batch *batch = store_batch_new();
  note_put(batch, entry);
  orders->hooks.commit(orders->hooks.ctx, batch, noted, NULL, NULL);
}

void orders_note_refused(struct orders *orders, const struct decision *decision, const struct ledger_entry *about,
    const char *by, const struct refusal *refusal) {
  struct buffer entry = BUFFER_NULL;
  note_decision(&entry, bytes_text(orders->node),
      &(struct note_decision){.decision = decision,
          .about = about,
          .by = by,
          .code = refusal->code,
          .message = refusal->message,
          .time = world_now(orders->world).wall});
  orders_note(orders, buffer_bytes(&entry));
  buffer_deinit(&entry);
}

/* ---- what the station has still to hear ---- */

bool order_decision_pending(const struct order *order) { return order->ledger.entry.decision.len > 0; }

bool order_awaits_word(const struct order *order) {
  return ledger_is_unconfirmed(&order->ledger.entry) && !orders_is_ours(order->owner, bytes_text(order->point));
}

void order_tell_anew(struct order *order) { order->decision_told = order->decision_pause = 0; }

/* One that the station does not obey is answered by how the command stands, which a late report looks like too: so it
 * is told again, but ever more rarely. */
static void told(struct order *order, int64_t now) {
  int64_t pause = order->decision_pause ? 2 * order->decision_pause : ORDERS_ASK_US;
  order->decision_told = now;
  order->decision_pause = pause < ORDERS_TELL_MAX_US ? pause : ORDERS_TELL_MAX_US;
}

int64_t order_tell_decision(struct order *order, int64_t now) {
  struct orders *orders = order->owner;
  const struct ledger_entry *entry = &order->ledger.entry;
  struct order_station station;
  struct decision decision;
  bool durable = order->committed == order->commits && !order->again;
  if (!order_decision_pending(order) || order_awaits_word(order)) return now + 60 * SECOND_US;
  /* past its deadline the station refuses it: a person may resolve once more */
  if (decision_read(&decision, entry->decision) || decision.deadline < now) return now + 60 * SECOND_US;
  if (!durable) return now + SECOND_US;
  if (order->decision_told && now < order->decision_told + order->decision_pause)
    return order->decision_told + order->decision_pause;
  if (!orders->hooks.station(orders->hooks.ctx, entry->station, &station) || !station.up) return now + SECOND_US;
  if (orders->hooks.send(orders->hooks.ctx, station.node, SETTLE_DECISION, entry->decision)) told(order, now);
  return now + SECOND_US;
}

static struct bytes report_of(const struct ledger_entry *entry, enum state said) {
  struct report report;
  bool says = entry->report.len && report_read(&report, entry->report) == 0 && report.state == said;
  return says ? entry->report : BYTES_NULL;
}

static void tell_contradiction(struct order *order, enum state resolved, enum state said) {
  struct buffer text = BUFFER_NULL, note = BUFFER_NULL;
  const struct ledger_entry *entry = &order->ledger.entry;
  struct orders *orders = order->owner;
  buffer_printf(&text, "command " BYTES_FMT " was resolved as %s, and its station says that it is %s",
      BYTES_ARG(entry->id), state_name(resolved), state_name(said));
  log_warning("commands", NULL, "%s", buffer_text(&text));
  orders->hooks.event(orders->hooks.ctx, "contradiction", buffer_bytes(&text));
  note_contradiction(&note, bytes_text(orders->node), entry, said, report_of(entry, said), buffer_text(&text),
      world_now(orders->world).wall);
  orders_note(orders, buffer_bytes(&note));
  buffer_deinit(&note);
  buffer_deinit(&text);
}

/* A person says whether the device did it; the station may have another word for that it did not. One that was halted
 * did neither. */
static bool contradicts(enum state resolved, enum state said) {
  return said == STATE_STOPPED || (said == STATE_EXECUTED) != (resolved == STATE_EXECUTED);
}

void order_hear(struct order *order, enum state said) {
  struct ledger_entry *entry = &order->ledger.entry;
  struct decision decision;
  bool settled = state_is_final(said) && said != STATE_UNKNOWN;
  if (!order_decision_pending(order)) return;
  bool resolved = decision_read(&decision, entry->decision) == 0 && decision_is_resolve(decision.verb);
  if (!settled && (resolved || !state_may_have_moved(said))) return;
  enum state word = decision.verb == DECISION_RESOLVE_MOVED ? STATE_EXECUTED : STATE_FAILED;
  entry->decision = BYTES_NULL;
  if (resolved && contradicts(word, said)) tell_contradiction(order, word, said);
}

void order_hear_nothing(struct order *order) { order->ledger.entry.decision = BYTES_NULL; }

/* ---- deciding ---- */

/* A person's word is evidence whether it was obeyed or not. */
static void note_refused(struct inquiry *inquiry, const struct refusal *refusal) {
  struct orders *orders = inquiry->owner;
  const char *by = request_requester(inquiry->request)->name;
  const struct order *order = table_get(&orders->open, inquiry->decision.id);
  if (orders_may_record(orders, by))
    orders_note_refused(orders, &inquiry->decision, order ? &order->ledger.entry : NULL, by, refusal);
}

void inquiry_refuse(struct inquiry *inquiry, const struct refusal *refusal) {
  note_refused(inquiry, refusal);
  log_info("commands", request_requester(inquiry->request)->name, "a decision was refused: %s", refusal->message);
  request_refuse(inquiry->request, code_name(refusal->code), refusal->message, refusal->hint);
}

static const char *wrong_state_of(uint8_t verb) {
  return verb == DECISION_APPROVE  ? "it waits for no approval"
         : verb == DECISION_CANCEL ? "there is nothing left to cancel"
                                   : "only an unknown outcome can be resolved";
}

void inquiry_refuse_by_entry(struct inquiry *inquiry, const struct ledger_entry *entry) {
  uint8_t verb = inquiry->decision.verb;
  bool again = decision_is_resolve(verb) && entry->code == CODE_RESOLVED;
  struct bytes id = inquiry->decision.id;
  struct refusal refusal;
  refusal_set(&refusal, state_is_final(entry->state) ? CODE_TOO_LATE : CODE_BUSY, NULL,
      "the command " BYTES_FMT " is %s: %s", BYTES_ARG(id), state_name(entry->state),
      again ? order_final_word(entry) : wrong_state_of(verb));
  if (verb == DECISION_CANCEL && entry->state == STATE_UNKNOWN)
    refusal_hint_resolve(&refusal, id);
  else
    snprintf(refusal.hint, sizeof refusal.hint, "look at it: riverbus follow " BYTES_FMT, BYTES_ARG(id));
  inquiry_refuse(inquiry, &refusal);
}

/* What persons of the province that owns the device decide. */
void inquiry_refuse_theirs(struct inquiry *inquiry, enum code code, const char *what, struct bytes province) {
  struct refusal refusal;
  refusal_set(&refusal, code, "ask the owning province", "a person of " BYTES_FMT ", where the device is, %s it there",
      BYTES_ARG(province), what);
  inquiry_refuse(inquiry, &refusal);
}

static void approve(struct inquiry *inquiry, struct order *order, const struct command *command) {
  struct orders *orders = inquiry->owner;
  struct ledger_entry *entry = &order->ledger.entry;
  struct refusal refusal;
  const struct check_operator *row;
  char name[sizeof inquiry->by];
  if (bytes_equal(entry->approval, inquiry->decision.bytes)) { /* said twice is said once */
    order_join(order, inquiry);
    return;
  }
  if (entry->state == STATE_APPROVAL && entry->custody == LEDGER_NEXT) {
    inquiry_refuse_theirs(inquiry, CODE_APPROVAL, "approves", entry->station);
    return;
  }
  if (entry->state != STATE_APPROVAL) {
    inquiry_refuse_by_entry(inquiry, entry);
    return;
  }
  snprintf(name, sizeof name, BYTES_FMT, BYTES_ARG(entry->by));
  struct check_operator giver = {.name = name, .key = command->key};
  if (!check_approval(command, inquiry->decision.bytes, orders->hooks.operators(orders->hooks.ctx), &giver,
          world_now(orders->world).wall, &row, &refusal)) {
    inquiry_refuse(inquiry, &refusal);
    return;
  }
  entry->approval = inquiry->decision.bytes;
  entry->approved_by = bytes_text(row->name);
  ledger_keep(&order->ledger);
  order_decided(order, &inquiry->decision, row->name);
  order_join(order, inquiry);
  order_enter(order);
}

void orders_put_reason(struct buffer *message, const char *what, const char *by, struct bytes basis) {
  buffer_printf(message, "%s by %s", what, by);
  if (basis.len) buffer_printf(message, ": " BYTES_FMT, BYTES_ARG(basis));
}

static void cancel_here(struct order *order, const struct decision *decision, const char *by) {
  struct ledger_entry *entry = &order->ledger.entry;
  struct buffer message = BUFFER_NULL;
  if (ledger_move(entry, ACTOR_BROKER, STATE_CANCELLED, world_now(order->owner->world).wall)) return;
  orders_put_reason(&message, "cancelled", by, decision->basis);
  entry->code = CODE_CANCELLED;
  entry->message = buffer_bytes(&message);
  order_say(order);
  buffer_deinit(&message);
}

bool order_cancel(struct order *order, const struct decision *decision, const char *by) {
  char key[IDENTITY_KEY_TEXT + 1];
  enum state state = order->ledger.entry.state;
  if (!state_is_open(state) || state_may_have_moved(state)) return false;
  public_key_text(&decision->key, key);
  if (order->ledger.entry.custody == LEDGER_HERE) {
    cancel_here(order, decision, by ? by : key);
  } else { /* who decides there is told when it is durable */
    order->ledger.entry.decision = decision->bytes;
    order_tell_anew(order);
    ledger_keep(&order->ledger);
  }
  order_decided(order, decision, by ? by : key);
  order_commit(order);
  return true;
}

static void cancel_too_late(struct inquiry *inquiry, enum state state) {
  struct refusal refusal;
  refusal_set(&refusal, CODE_TOO_LATE, NULL,
      "the command is %s: the device was told already, and only before that it can be cancelled", state_name(state));
  inquiry_refuse(inquiry, &refusal);
}

static void cancel(struct inquiry *inquiry, struct order *order, const char *by) {
  enum state state = order->ledger.entry.state;
  bool there = order->ledger.entry.custody == LEDGER_NEXT;
  if (order_cancel(order, &inquiry->decision, by)) {
    inquiry->cancels = there;
    order_join(order, inquiry);
  } else if (state_is_final(state))
    inquiry_refuse_by_entry(inquiry, &order->ledger.entry);
  else
    cancel_too_late(inquiry, state);
}

static bool may_decide(struct inquiry *inquiry, const struct command *command, const struct check_operator **by) {
  const struct orders *orders = inquiry->owner;
  struct buffer where = BUFFER_NULL;
  struct refusal refusal;
  buffer_printf(&where, "the broker %s", orders->node);
  bool may = check_decision(&inquiry->decision, command, orders->hooks.operators(orders->hooks.ctx),
      world_now(orders->world).wall, buffer_text(&where), by, &refusal);
  if (!may) inquiry_refuse(inquiry, &refusal);
  buffer_deinit(&where);
  return may;
}

static void decide_on(struct inquiry *inquiry, struct order *order) {
  const struct check_operator *row;
  struct command command;
  if (command_read(&command, order->ledger.entry.command)) {
    inquiry_no_such(inquiry->request);
    return;
  }
  if (inquiry->decision.verb == DECISION_APPROVE) {
    approve(inquiry, order, &command);
    return;
  }
  if (!may_decide(inquiry, &command, &row)) return;
  if (inquiry->decision.verb == DECISION_CANCEL)
    cancel(inquiry, order, row->name);
  else
    order_resolve(inquiry, order, row->name);
}

/* Who may not decide is told so, whatever became of the command, as at a station's door. */
static void decide_on_ended(struct inquiry *inquiry, const struct ledger_entry *entry) {
  const struct check_operator *row;
  struct command command;
  if (command_read(&command, entry->command))
    inquiry_no_such(inquiry->request);
  else if (inquiry->decision.verb == DECISION_APPROVE || may_decide(inquiry, &command, &row))
    inquiry_refuse_by_entry(inquiry, entry);
}

static void decide_looked_up(void *ctx, void *cookie, const struct store_done *done) {
  struct inquiry *inquiry = ctx;
  struct ledger_entry entry;
  (void)cookie;
  inquiry->reading = NULL;
  struct order *order = table_get(&inquiry->owner->open, inquiry->decision.id);
  bool found = !order && inquiry_found(done, inquiry->decision.id, &entry);
  if (found && entry.state == STATE_UNKNOWN) order = orders_bring_back(inquiry->owner, done->keyed[0].value);
  if (order)
    decide_on(inquiry, order);
  else if (found)
    decide_on_ended(inquiry, &entry);
  else
    inquiry_no_such(inquiry->request);
}

/* ---- the verbs ---- */

static bool check_signed(struct inquiry *inquiry, const json_t *text, struct refusal *refusal) {
  request_read_bytes(text, DECISION_MAX, &inquiry->bytes); /* what is no base64 leaves nothing, which is malformed */
  return check_open_decision(&inquiry->decision, buffer_bytes(&inquiry->bytes), refusal);
}

void orders_decide(struct orders *orders, struct request *request, const json_t *body) {
  struct inquiry *inquiry = inquiry_new(orders, request);
  struct refusal refusal;
  if (!check_signed(inquiry, json_object_get(body, "decision"), &refusal)) {
    request_refuse(
        request, code_name(refusal.code), refusal.message, refusal.hint); /* nobody is known to have said it */
    return;
  }
  struct order *order = table_get(&orders->open, inquiry->decision.id);
  if (order)
    decide_on(inquiry, order);
  else
    inquiry_look_up(inquiry, inquiry->decision.id, decide_looked_up);
}

static void show(struct request *request, struct bytes command, struct bytes state) {
  struct buffer text = BUFFER_NULL;
  const struct value value = {.type = VALUE_BYTES, .bytes = command};
  buffer_printf(&text, "{\"command\":");
  value_put_json(&text, &value);
  buffer_printf(&text, ",\"state\":" BYTES_FMT "}", BYTES_ARG(state));
  request_reply_text(request, buffer_bytes(&text), true);
  buffer_deinit(&text);
}

static void show_looked_up(void *ctx, void *cookie, const struct store_done *done) {
  struct inquiry *inquiry = ctx;
  struct ledger_entry entry;
  struct buffer state = BUFFER_NULL;
  (void)cookie;
  inquiry->reading = NULL;
  if (!inquiry_found(done, buffer_bytes(&inquiry->bytes), &entry) || !inquiry_may_read(inquiry->request, &entry)) {
    inquiry_no_such(inquiry->request);
    return;
  }
  ledger_put_json(&state, &entry);
  show(inquiry->request, entry.command, buffer_bytes(&state));
  buffer_deinit(&state);
}

void orders_show(struct orders *orders, struct request *request, const json_t *body) {
  const char *text = json_string_value(json_object_get(body, "id"));
  struct bytes id = bytes_text(text);
  struct order *order = text ? table_get(&orders->open, id) : NULL;
  if (!text || !command_id_is_good(id) ||
      (order && (!order->said || !inquiry_may_read(request, &order->ledger.entry)))) {
    inquiry_no_such(request);
    return;
  }
  if (order) {
    show(request, order->ledger.entry.command, bytes_text(order->said));
    return;
  }
  struct inquiry *inquiry = inquiry_new(orders, request);
  buffer_append(&inquiry->bytes, id);
  inquiry_look_up(inquiry, buffer_bytes(&inquiry->bytes), show_looked_up);
}
