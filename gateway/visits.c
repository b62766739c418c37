#include "gateway/visits.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "gateway/visit.h"
#include <stdlib.h>

void visits_init(struct visits *visits, struct dispatch *dispatch, struct errands *errands, const struct world *world,
    const char *station) {
  struct buffer where = BUFFER_NULL;
  buffer_printf(&where, "the station %s", station);
  *visits = (struct visits){
      .dispatch = dispatch, .errands = errands, .world = world, .where = mem_text(where.data, where.len)};
  buffer_deinit(&where);
}

void visits_deinit(struct visits *visits) {
  free(visits->where);
  *visits = (struct visits){0};
}

struct visit *visit_new(struct visits *visits, struct request *request) {
  struct visit *visit = mem_alloc(sizeof *visit);
  visit->owner = visits;
  visit->request = request;
  request->state = visit;
  return visit;
}

static void visit_leave(struct visit *visit) {
  if (!visit->waits) return;
  struct visit **at = &visit->owner->first;
  while (*at != visit) at = &(*at)->next;
  *at = visit->next;
  visit->waits = false;
}

void visits_request_end(struct request *request) {
  struct visit *visit = request->state;
  if (!visit) return;
  visit_leave(visit);
  errand_forget(visit->reading);
  buffer_deinit(&visit->id);
  buffer_deinit(&visit->bytes);
  buffer_deinit(&visit->rows);
  free(visit);
}

/* ---- saying ---- */

void visit_no_such(struct request *request) {
  request_refuse(
      request, "not-found", "no command of that id is known at this station", "List them with: riverbus commands");
}

void visit_refuse(struct visit *visit, const struct refusal *refusal) {
  struct visits *visits = visit->owner;
  if (visit->decides) dispatch_refused_decision(visits->dispatch, &visit->decision, refusal, world_now(visits->world));
  log_info("door", request_requester(visit->request)->name, "refused: %s", refusal->message);
  request_refuse(visit->request, code_name(refusal->code), refusal->message, refusal->hint);
}

static bool visit_may_read(const struct visit *visit, const struct ledger_entry *entry) {
  struct command command;
  return command_read(&command, entry->command) == 0 &&
         patterns_match(request_requester(visit->request)->read, command.address);
}

static void visit_show(struct visit *visit, const struct ledger_entry *entry) {
  struct buffer text = BUFFER_NULL;
  const struct value command = {.type = VALUE_BYTES, .bytes = entry->command};
  buffer_printf(&text, "{\"command\":");
  value_put_json(&text, &command);
  buffer_printf(&text, ",\"state\":");
  ledger_put_json(&text, entry);
  buffer_printf(&text, "}");
  request_reply_text(visit->request, buffer_bytes(&text), true);
  buffer_deinit(&text);
}

/* Says what the entry says, as the visit's kind wants it. After a last reply the visit is gone. */
static void visit_tell(struct visit *visit, const struct ledger_entry *entry) {
  struct buffer text = BUFFER_NULL;
  if (visit->kind == VISIT_SHOW) {
    visit_show(visit, entry);
    return;
  }
  if (visit->cancels && state_may_have_moved(entry->state)) {
    struct refusal refusal;
    refusal_set(&refusal, CODE_TOO_LATE, NULL,
        "the command is %s: the device was told already, and only before that it can be cancelled",
        state_name(entry->state));
    request_refuse(visit->request, code_name(refusal.code), refusal.message, refusal.hint);
    return;
  }
  ledger_put_json(&text, entry);
  request_reply_text(visit->request, buffer_bytes(&text), state_is_final(entry->state));
  buffer_deinit(&text);
}

void visits_said(struct visits *visits, const struct ledger_entry *entry) {
  for (struct visit *visit = visits->first, *next; visit; visit = next) {
    next = visit->next;
    if (bytes_equal(buffer_bytes(&visit->id), entry->id)) visit_tell(visit, entry);
  }
}

void visit_join(struct visit *visit, enum visit_kind kind) {
  struct visits *visits = visit->owner;
  bool durable;
  const struct ledger_entry *entry = dispatch_entry(visits->dispatch, buffer_bytes(&visit->id), &durable);
  visit->kind = kind;
  visit->next = visits->first;
  visits->first = visit;
  visit->waits = true;
  if (entry && durable) visit_tell(visit, entry);
}

/* ---- looking up ---- */

void visit_look_up(struct visit *visit, errand_fn *done) {
  struct store_read read = {
      .what = STORE_READ_TABLE, .table = STORE_COMMANDS, .key = buffer_bytes(&visit->id), .max_bytes = 1};
  visit->reading = errands_read(visit->owner->errands, ERRAND_URGENT, &read, done, visit, NULL);
}

bool visit_found(
    const struct visit *visit, const struct store_done *done, struct ledger_entry *entry, bool *unreadable) {
  bool there = done->kind == STORE_DONE_READ && done->keyed_count > 0 &&
               bytes_equal(done->keyed[0].key, buffer_bytes(&visit->id));
  *unreadable = done->kind != STORE_DONE_READ || (there && ledger_read(entry, done->keyed[0].value) != 0);
  return there && !*unreadable;
}

/* ---- giving ---- */

const struct check_operator *visit_signer(
    const struct visit *visit, const struct public_key *key, struct refusal *refusal) {
  const struct check_operators operators = dispatch_operators(visit->owner->dispatch);
  const struct check_operator *named = NULL;
  char text[IDENTITY_KEY_TEXT + 1];
  for (size_t i = 0; i < operators.count; i++) {
    const struct check_operator *row = &operators.rows[i];
    if (memcmp(row->key.bytes, key->bytes, sizeof key->bytes) != 0) continue;
    if (row->local) return row;
    named = row;
  }
  public_key_text(key, text);
  if (named)
    refusal_set(refusal, CODE_AUTHORITY,
        "Give the command to the province's broker; at the station only those with `local: true` may command.",
        "%s may not command at the door of %s", named->name, visit->owner->where);
  else
    refusal_set(refusal, CODE_AUTHORITY, NULL, "the key %s is no operator's at %s", text, visit->owner->where);
  return NULL;
}

static void visit_answer_known(struct visit *visit, const struct ledger_entry *known) {
  struct refusal refusal;
  if (check_known(&visit->command, known, &refusal) == CHECK_KNOWN_SAME)
    visit_tell(visit, known); /* out of the store: nothing of it changes any more */
  else
    visit_refuse(visit, &refusal);
}

static void visit_answer_open(struct visit *visit, const struct ledger_entry *known) {
  struct refusal refusal;
  if (check_known(&visit->command, known, &refusal) == CHECK_KNOWN_SAME)
    visit_join(visit, VISIT_FOLLOW);
  else
    visit_refuse(visit, &refusal);
}

static void visit_take_found(void *ctx, void *cookie, const struct store_done *done) {
  struct visit *visit = ctx;
  struct visits *visits = visit->owner;
  struct ledger_entry entry;
  struct refusal refusal;
  bool durable, unreadable;
  (void)cookie;
  visit->reading = NULL;
  const struct ledger_entry *open = dispatch_entry(visits->dispatch, visit->command.id, &durable);
  if (open) { /* it came twice */
    visit_answer_open(visit, open);
  } else if (visit_found(visit, done, &entry, &unreadable)) {
    visit_answer_known(visit, &entry);
  } else if (unreadable) {
    refusal_set(&refusal, CODE_REPLAY, NULL, "the ledger could not be asked whether that id is new");
    visit_refuse(visit, &refusal);
  } else if (dispatch_local(visits->dispatch, &visit->command, world_now(visits->world), &refusal)) {
    visit_join(visit, VISIT_FOLLOW);
  } else {
    visit_refuse(visit, &refusal);
  }
}

static bool visit_is_known(const struct visit *visit, const struct public_key *key) {
  const struct check_operators operators = dispatch_operators(visit->owner->dispatch);
  for (size_t i = 0; i < operators.count; i++)
    if (memcmp(operators.rows[i].key.bytes, key->bytes, sizeof key->bytes) == 0) return true;
  return false;
}

/* One who is known here and may not command at the door is refused by the dispatch, for good and on record: in the
 * ledger, the audit log, and by a report at the province. */
static bool visit_goes_on(const struct visit *visit, struct refusal *refusal) {
  struct visits *visits = visit->owner;
  const struct public_key *key = &visit->command.key;
  return visit_signer(visit, key, refusal) ||
         (visit_is_known(visit, key) && dispatch_may_record(visits->dispatch, world_now(visits->world)));
}

void visits_take(struct visits *visits, struct request *request) {
  struct visit *visit = visit_new(visits, request);
  struct refusal refusal;
  bool durable;
  buffer_append(&visit->bytes, request_command(request));
  if (!check_open(&visit->command, buffer_bytes(&visit->bytes), &refusal) || !visit_goes_on(visit, &refusal)) {
    visit_refuse(visit, &refusal);
    return;
  }
  buffer_append(&visit->id, visit->command.id);
  const struct ledger_entry *open = dispatch_entry(visits->dispatch, visit->command.id, &durable);
  if (open)
    visit_answer_open(visit, open);
  else
    visit_look_up(visit, visit_take_found);
}

/* ---- following and showing ---- */

static void visit_tell_found(void *ctx, void *cookie, const struct store_done *done) {
  struct visit *visit = ctx;
  struct ledger_entry entry;
  bool unreadable;
  (void)cookie;
  visit->reading = NULL;
  if (visit_found(visit, done, &entry, &unreadable) && visit_may_read(visit, &entry))
    visit_tell(visit, &entry);
  else
    visit_no_such(visit->request);
}

static void visits_look(struct visits *visits, struct request *request, const json_t *body, enum visit_kind kind) {
  struct bytes id = bytes_text(json_string_value(json_object_get(body, "id")));
  bool durable;
  if (!command_id_is_good(id)) {
    visit_no_such(request);
    return;
  }
  struct visit *visit = visit_new(visits, request);
  buffer_append(&visit->id, id);
  visit->kind = kind;
  const struct ledger_entry *open = dispatch_entry(visits->dispatch, id, &durable);
  if (!open)
    visit_look_up(visit, visit_tell_found);
  else if (visit_may_read(visit, open))
    visit_join(visit, kind);
  else
    visit_no_such(request);
}

void visits_follow(struct visits *visits, struct request *request, const json_t *body) {
  visits_look(visits, request, body, VISIT_FOLLOW);
}
void visits_show(struct visits *visits, struct request *request, const json_t *body) {
  visits_look(visits, request, body, VISIT_SHOW);
}
