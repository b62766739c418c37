/* The list of commands at the station, page by page out of the store: what it holds is durable. First what may still
 * change, which stands under `!` and the id, then all else. One that ends meanwhile may be told twice. */
#include "common/base/log.h"
#include "gateway/visit.h"

enum { LIST_BYTES = 32 * 1024 }; /* of one reply; a row adds at most a command and its texts */

static bool visit_lists(const struct visit *visit, const struct ledger_entry *entry) {
  struct command command;
  return command_read(&command, entry->command) == 0 && command.issued >= visit->since &&
         patterns_match(request_requester(visit->request)->read, command.address);
}

static void visit_put_row(struct visit *visit, const struct ledger_entry *entry) {
  buffer_printf(&visit->rows, "%s", visit->rows.len ? "," : "{\"commands\":[");
  ledger_put_json(&visit->rows, entry);
}

/* True: nothing waits. */
static bool visit_flush(struct visit *visit) {
  if (!visit->rows.len) return true;
  size_t len = visit->rows.len;
  buffer_append(&visit->rows, bytes_text("]}"));
  if (visit->rows.len > REQUEST_JSON_MAX) { /* texts full of control characters, each six bytes of JSON */
    log_warning("door", NULL, "a piece of the list of commands is too large to be told: follow them by id");
    visit->rows.len = 0;
    return true;
  }
  bool sent = request_rows(visit->request, buffer_bytes(&visit->rows));
  visit->rows.len = sent ? 0 : len;
  return sent;
}

static void visit_list_page(void *ctx, void *cookie, const struct store_done *done);

static void visit_list_step(struct visit *visit) {
  if (visit->reading || !visit_flush(visit)) return;
  if (visit->listing_done) {
    request_reply(visit->request, json_pack("{s:b}", "end", 1), true);
    return;
  }
  struct store_read read = {
      .what = STORE_READ_TABLE, .table = STORE_COMMANDS, .key = buffer_bytes(&visit->id), .max_bytes = LIST_BYTES};
  visit->reading = errands_read(visit->owner->errands, ERRAND_PATIENT, &read, visit_list_page, visit, NULL);
}

static void visit_list_page(void *ctx, void *cookie, const struct store_done *done) {
  struct visit *visit = ctx;
  struct ledger_entry entry;
  (void)cookie;
  visit->reading = NULL;
  bool more = done->kind == STORE_DONE_READ && done->keyed_count > 0 && done->next;
  for (size_t i = 0; done->kind == STORE_DONE_READ && i < done->keyed_count; i++) {
    if (visit->only_open && done->keyed[i].key.data[0] != '!') {
      more = false;
      break;
    }
    if (ledger_read(&entry, done->keyed[i].value) == 0 && visit_lists(visit, &entry)) visit_put_row(visit, &entry);
  }
  if (more) {
    buffer_clear(&visit->id);
    buffer_append(&visit->id, done->keyed[done->keyed_count - 1].key);
    buffer_append(&visit->id, bytes_of("", 1)); /* the least key after it */
  } else {
    visit->listing_done = true;
  }
  visit_list_step(visit);
}

void visits_list(struct visits *visits, struct request *request, const json_t *body) {
  if (json_is_string(json_object_get(body, "id"))) {
    visits_follow(visits, request, body);
    return;
  }
  struct visit *visit = visit_new(visits, request);
  visit->kind = VISIT_LIST;
  visit->since = json_integer_value(json_object_get(body, "since"));
  visit->only_open = json_is_true(json_object_get(body, "open"));
  buffer_append(&visit->id, bytes_text("!"));
  visit_list_step(visit);
}

void visits_list_more(struct request *request) {
  struct visit *visit = request->state; /* of kind FOLLOW where the list was of one id */
  if (visit && visit->kind == VISIT_LIST) visit_list_step(visit);
}
