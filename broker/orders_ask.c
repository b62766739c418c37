/* What operators ask about commands: to take one, to follow one, to list them. */
#include "broker/order.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include <stdlib.h>

enum { LIST_BYTES = 32 * 1024 }; /* of one reply; a row adds at most a command and its texts */

/* ---- taking ---- */

static void inquiry_end(struct inquiry *inquiry) {
  order_leave(inquiry);
  errand_forget(inquiry->reading);
  for (size_t i = 0; i < inquiry->id_count; i++) free((void *)(uintptr_t)inquiry->ids[i].data);
  free(inquiry->ids);
  buffer_deinit(&inquiry->bytes);
  buffer_deinit(&inquiry->rows);
  free(inquiry);
}

void orders_request_end(struct request *request) {
  if (request->state) inquiry_end(request->state);
}

struct inquiry *inquiry_new(struct orders *orders, struct request *request) {
  struct inquiry *inquiry = mem_alloc(sizeof *inquiry);
  inquiry->owner = orders;
  inquiry->request = request;
  request->state = inquiry;
  return inquiry;
}

/* Asks for the finished command of that id. */
void inquiry_look_up(struct inquiry *inquiry, struct bytes id, errand_fn *done) {
  struct orders *orders = inquiry->owner;
  struct store_read read = {.what = STORE_READ_TABLE, .table = STORE_COMMANDS, .key = id, .max_bytes = 1};
  inquiry->reading = orders->hooks.read(orders->hooks.ctx, ERRAND_URGENT, &read, done, inquiry, NULL);
}

bool inquiry_found(const struct store_done *done, struct bytes id, struct ledger_entry *entry) {
  return done->kind == STORE_DONE_READ && done->keyed_count && bytes_equal(done->keyed[0].key, id) &&
         ledger_read(entry, done->keyed[0].value) == 0;
}

static void judge(struct inquiry *inquiry) {
  struct refusal refusal;
  struct target target;
  if (!orders_check_rights(inquiry->owner, &inquiry->command, &refusal) ||
      !orders_check(inquiry->owner, &inquiry->command, &target, &refusal)) {
    orders_refuse_for_good(inquiry, &refusal);
    return;
  }
  struct order *order = orders_accept(inquiry->owner, &inquiry->command, &target, inquiry->by, "operator");
  order_join(order, inquiry);
  order_begin(order, target.approval);
}

static void answer_known(struct inquiry *inquiry, const struct ledger_entry *entry) {
  struct refusal refusal;
  struct buffer text = BUFFER_NULL;
  if (check_known(&inquiry->command, entry, &refusal) != CHECK_KNOWN_SAME) {
    orders_refuse(inquiry->owner, inquiry->request, &inquiry->command, &refusal);
    return;
  }
  ledger_put_json(&text, entry);
  request_reply_text(inquiry->request, buffer_bytes(&text), state_is_final(entry->state));
  buffer_deinit(&text);
}

static void answer_open(struct inquiry *inquiry, struct order *order) {
  struct refusal refusal;
  if (check_known(&inquiry->command, &order->ledger.entry, &refusal) == CHECK_KNOWN_SAME)
    order_join(order, inquiry);
  else
    orders_refuse(inquiry->owner, inquiry->request, &inquiry->command, &refusal);
}

static void take_looked_up(void *ctx, void *cookie, const struct store_done *done) {
  struct inquiry *inquiry = ctx;
  struct ledger_entry entry;
  (void)cookie;
  inquiry->reading = NULL;
  struct order *order = table_get(&inquiry->owner->open, inquiry->command.id); /* it may have come twice */
  if (order)
    answer_open(inquiry, order);
  else if (inquiry_found(done, inquiry->command.id, &entry))
    answer_known(inquiry, &entry);
  else
    judge(inquiry);
}

static void take_start(struct orders *orders, struct request *request, const char *by) {
  struct inquiry *inquiry = inquiry_new(orders, request);
  snprintf(inquiry->by, sizeof inquiry->by, "%s", by);
  buffer_append(&inquiry->bytes, request_command(request));
  command_read(&inquiry->command, buffer_bytes(&inquiry->bytes)); /* it was opened a moment ago */
  struct order *order = table_get(&orders->open, inquiry->command.id);
  if (order)
    answer_open(inquiry, order);
  else
    inquiry_look_up(inquiry, inquiry->command.id, take_looked_up);
}

const char *orders_signer(const struct orders *orders, const struct public_key *key) {
  const struct check_operators *operators = orders->hooks.operators(orders->hooks.ctx);
  for (size_t i = 0; i < operators->count; i++)
    if (memcmp(operators->rows[i].key.bytes, key->bytes, sizeof key->bytes) == 0) return operators->rows[i].name;
  return NULL;
}

void orders_take(struct orders *orders, struct request *request) {
  struct command command = {0};
  struct refusal refusal;
  if (!check_open(&command, request_command(request), &refusal)) {
    orders_refuse(orders, request, &command, &refusal);
    return;
  }
  const char *by = orders_signer(orders, &command.key);
  if (by) {
    take_start(orders, request, by);
    return;
  }
  char key[IDENTITY_KEY_TEXT + 1];
  public_key_text(&command.key, key);
  refusal_set(&refusal, CODE_AUTHORITY, NULL, "the key %s is no operator's at the broker %s", key, orders->node);
  orders_refuse(orders, request, &command, &refusal);
}

/* ---- following ---- */

bool inquiry_may_read(const struct request *request, const struct ledger_entry *entry) {
  struct command command;
  return command_read(&command, entry->command) == 0 &&
         patterns_match(request_requester(request)->read, command.address);
}

void inquiry_no_such(struct request *request) {
  request_refuse(request, "not-found", "no command of that id is known here", "List them with: riverbus commands");
}

static void follow_looked_up(void *ctx, void *cookie, const struct store_done *done) {
  struct inquiry *inquiry = ctx;
  struct ledger_entry entry;
  struct buffer text = BUFFER_NULL;
  (void)cookie;
  inquiry->reading = NULL;
  if (!inquiry_found(done, buffer_bytes(&inquiry->bytes), &entry) || !inquiry_may_read(inquiry->request, &entry)) {
    inquiry_no_such(inquiry->request);
    return;
  }
  ledger_put_json(&text, &entry);
  request_reply_text(inquiry->request, buffer_bytes(&text), true);
  buffer_deinit(&text);
}

void orders_follow(struct orders *orders, struct request *request, const json_t *body) {
  const char *text = json_string_value(json_object_get(body, "id"));
  struct bytes id = bytes_text(text);
  struct order *order = text ? table_get(&orders->open, id) : NULL;
  if (!text || !command_id_is_good(id) || (order && !inquiry_may_read(request, &order->ledger.entry))) {
    inquiry_no_such(request);
    return;
  }
  struct inquiry *inquiry = inquiry_new(orders, request);
  if (order) {
    order_join(order, inquiry);
    return;
  }
  buffer_append(&inquiry->bytes, id);
  inquiry_look_up(inquiry, buffer_bytes(&inquiry->bytes), follow_looked_up);
}

/* ---- listing: the open ones out of memory, then the finished or only the unknown ones page by page ---- */

static bool is_listed(const struct inquiry *inquiry, const struct ledger_entry *entry) {
  struct command command;
  return command_read(&command, entry->command) == 0 && command.issued >= inquiry->since &&
         patterns_match(request_requester(inquiry->request)->read, command.address);
}

static void row_begin(struct inquiry *inquiry) {
  buffer_printf(&inquiry->rows, "%s", inquiry->rows.len ? "," : "{\"commands\":[");
}

static void collect_open(struct inquiry *inquiry) {
  struct orders *orders = inquiry->owner;
  struct table_cursor cursor = TABLE_CURSOR_NULL;
  void *value;
  inquiry->ids = mem_alloc((orders->open.count + 1) * sizeof *inquiry->ids);
  while (table_next(&orders->open, &cursor, NULL, &value)) {
    const struct order *order = value;
    if (!order->said || order->said_final || !is_listed(inquiry, &order->ledger.entry)) continue;
    struct bytes id = order->ledger.entry.id;
    inquiry->ids[inquiry->id_count++] = bytes_of(mem_copy(id.data, id.len), id.len);
  }
}

/* Those that ended meanwhile are found among the finished ones. */
static void put_open_rows(struct inquiry *inquiry) {
  while (inquiry->id_at < inquiry->id_count && inquiry->rows.len < LIST_BYTES) {
    const struct order *order = table_get(&inquiry->owner->open, inquiry->ids[inquiry->id_at++]);
    if (!order || !order->said || order->said_final) continue;
    row_begin(inquiry);
    buffer_append(&inquiry->rows, bytes_text(order->said));
  }
}

/* True: nothing waits. */
static bool flush_rows(struct inquiry *inquiry) {
  if (!inquiry->rows.len) return true;
  size_t len = inquiry->rows.len;
  buffer_append(&inquiry->rows, bytes_text("]}"));
  if (inquiry->rows.len > REQUEST_JSON_MAX) { /* texts full of control characters, each six bytes of JSON */
    log_warning("commands", NULL, "a piece of the list of commands is too large to be told: follow them by id");
    inquiry->rows.len = 0;
    return true;
  }
  bool sent = request_rows(inquiry->request, buffer_bytes(&inquiry->rows));
  inquiry->rows.len = sent ? 0 : len;
  return sent;
}

static void list_page(void *ctx, void *cookie, const struct store_done *done);

static void list_step(struct inquiry *inquiry) {
  if (inquiry->reading) return;
  while (inquiry->id_at < inquiry->id_count) {
    put_open_rows(inquiry);
    if (!flush_rows(inquiry)) return;
  }
  if (!flush_rows(inquiry)) return;
  if (inquiry->listing_done) {
    request_reply(inquiry->request, json_pack("{s:b}", "end", 1), true);
    return;
  }
  struct store_read read = {
      .what = STORE_READ_TABLE, .table = STORE_COMMANDS, .key = buffer_bytes(&inquiry->bytes), .max_bytes = LIST_BYTES};
  inquiry->reading =
      inquiry->owner->hooks.read(inquiry->owner->hooks.ctx, ERRAND_PATIENT, &read, list_page, inquiry, NULL);
}

static void list_page(void *ctx, void *cookie, const struct store_done *done) {
  struct inquiry *inquiry = ctx;
  struct ledger_entry entry;
  (void)cookie;
  inquiry->reading = NULL;
  bool more = done->kind == STORE_DONE_READ && done->keyed_count && done->next;
  for (size_t i = 0; done->kind == STORE_DONE_READ && i < done->keyed_count; i++) {
    if (inquiry->only_open && done->keyed[i].key.data[0] != '+') {
      more = false; /* the unknown ones are through */
      break;
    }
    if (ledger_read(&entry, done->keyed[i].value) || !is_listed(inquiry, &entry)) continue;
    row_begin(inquiry);
    ledger_put_json(&inquiry->rows, &entry);
  }
  if (more) {
    struct bytes last = done->keyed[done->keyed_count - 1].key;
    buffer_clear(&inquiry->bytes);
    buffer_append(&inquiry->bytes, last);
    buffer_append(&inquiry->bytes, bytes_of("", 1)); /* the least key after it */
  } else {
    inquiry->listing_done = true;
  }
  list_step(inquiry);
}

void orders_list(struct orders *orders, struct request *request, const json_t *body) {
  if (json_is_string(json_object_get(body, "id"))) {
    orders_follow(orders, request, body);
    return;
  }
  struct inquiry *inquiry = inquiry_new(orders, request);
  inquiry->since = json_integer_value(json_object_get(body, "since"));
  inquiry->only_open = json_is_true(json_object_get(body, "open"));
  /* An id begins with no less than '-'; before these stand the open ones, which memory has, and the unknown ones. */
  buffer_append(&inquiry->bytes, bytes_text(inquiry->only_open ? "+" : "-"));
  collect_open(inquiry);
  list_step(inquiry);
}

/* The list of one command is a follow, which has no more to tell. */
void orders_list_more(struct request *request) {
  struct inquiry *inquiry = request->state;
  if (inquiry && inquiry->ids) list_step(inquiry);
}
