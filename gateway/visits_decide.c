/* What persons at the station decide about commands: cancel and resolve go to the dispatch as they do from the broker;
 * an approve is of a command that was given here. */
#include "common/base/log.h"
#include "gateway/visit.h"
#include <stdio.h>

static bool visit_read_decision(struct visit *visit, const json_t *text, struct refusal *refusal) {
  request_read_bytes(text, DECISION_MAX, &visit->bytes); /* what is no base64 leaves nothing, which is malformed */
  visit->decides = check_open_decision(&visit->decision, buffer_bytes(&visit->bytes), refusal);
  return visit->decides;
}

static void visit_refuse_state(struct visit *visit, const struct ledger_entry *entry) {
  enum state state = entry->state;
  struct refusal refusal;
  bool cancel = visit->decision.verb == DECISION_CANCEL;
  refusal_set(&refusal, state_is_final(state) || cancel ? CODE_TOO_LATE : CODE_BUSY, NULL,
      "the command " BYTES_FMT " is %s: %s", BYTES_ARG(visit->decision.id), state_name(state),
      cancel                         ? "there is nothing left to cancel"
      : entry->code == CODE_RESOLVED ? "it was resolved already, and what the station has taken is final"
                                     : "only an unknown outcome can be resolved");
  if (state == STATE_UNKNOWN)
    refusal_hint_resolve(&refusal, visit->decision.id);
  else
    snprintf(
        refusal.hint, sizeof refusal.hint, "look at it: riverbus follow " BYTES_FMT, BYTES_ARG(visit->decision.id));
  visit_refuse(visit, &refusal);
}

/* The dispatch looks at it once more, and its states are followed. */
static void visit_pass_on(struct visit *visit) {
  struct visits *visits = visit->owner;
  struct refusal refusal;
  visit->cancels = visit->decision.verb == DECISION_CANCEL;
  if (dispatch_local_decision(visits->dispatch, buffer_bytes(&visit->bytes), world_now(visits->world), &refusal))
    visit_join(visit, VISIT_FOLLOW);
  else
    visit_refuse(visit, &refusal);
}

static void visit_approve(struct visit *visit) {
  struct visits *visits = visit->owner;
  struct refusal refusal;
  if (dispatch_approve(
          visits->dispatch, visit->decision.id, buffer_bytes(&visit->bytes), world_now(visits->world), &refusal))
    visit_join(visit, VISIT_FOLLOW);
  else
    visit_refuse(visit, &refusal);
}

static bool visit_fits(const struct visit *visit, enum state state) {
  if (visit->decision.verb == DECISION_CANCEL) return state == STATE_RECEIVED;
  return state == STATE_UNKNOWN;
}

static void visit_decide_on(struct visit *visit, const struct ledger_entry *entry) {
  struct visits *visits = visit->owner;
  const struct check_operators operators = dispatch_operators(visits->dispatch);
  const struct check_operator *by;
  struct refusal refusal;
  struct command command;
  int64_t now = world_now(visits->world).wall;
  if (command_read(&command, entry->command) != 0)
    visit_no_such(visit->request);
  else if (visit->decision.verb == DECISION_APPROVE)
    visit_approve(visit);
  else if (!check_decision(&visit->decision, &command, &operators, now, visits->where, &by, &refusal))
    visit_refuse(visit, &refusal);
  else if (visit_fits(visit, entry->state))
    visit_pass_on(visit);
  else
    visit_refuse_state(visit, entry);
}

static void visit_decide_found(void *ctx, void *cookie, const struct store_done *done) {
  struct visit *visit = ctx;
  struct ledger_entry entry;
  bool durable, unreadable;
  (void)cookie;
  visit->reading = NULL;
  const struct ledger_entry *open = dispatch_entry(visit->owner->dispatch, visit->decision.id, &durable);
  if (open)
    visit_decide_on(visit, open);
  else if (visit_found(visit, done, &entry, &unreadable))
    visit_decide_on(visit, &entry);
  else
    visit_no_such(visit->request);
}

void visits_decide(struct visits *visits, struct request *request, const json_t *body) {
  struct visit *visit = visit_new(visits, request);
  struct refusal refusal;
  bool durable;
  if (!visit_read_decision(visit, json_object_get(body, "decision"), &refusal) ||
      !visit_signer(visit, &visit->decision.key, &refusal)) {
    visit_refuse(visit, &refusal);
    return;
  }
  buffer_append(&visit->id, visit->decision.id);
  const struct ledger_entry *open = dispatch_entry(visits->dispatch, visit->decision.id, &durable);
  if (open)
    visit_decide_on(visit, open);
  else
    visit_look_up(visit, visit_decide_found);
}
