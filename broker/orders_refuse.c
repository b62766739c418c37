/* What becomes of a command that this broker does not take. */
#include "broker/order.h"
#include "common/base/mem.h"

static void fill_refusal(struct ledger_entry *entry, const struct command *command, const struct refusal *refusal) {
  entry->id = command->id;
  entry->command = command->bytes;
  entry->code = refusal->code;
  entry->message = bytes_text(refusal->message);
  entry->hint = bytes_text(refusal->hint);
}

static enum state state_of(const struct refusal *refusal) {
  return refusal->code == CODE_EXPIRED ? STATE_EXPIRED : STATE_REJECTED;
}

static void note_unrecorded(struct orders *orders, const struct request *request, const struct refusal *refusal) {
  uint64_t suppressed;
  orders->stats.unrecorded++;
  if (!log_allow(&orders->limit, world_now(orders->world).mono, &suppressed)) return;
  log_warning("commands", request_requester(request)->name,
      "a command was refused and leaves no entry: %s (%llu more before)", refusal->message,
      (unsigned long long)suppressed);
}

void orders_refuse(
    struct orders *orders, struct request *request, const struct command *command, const struct refusal *refusal) {
  struct ledger_entry entry = LEDGER_ENTRY_NULL;
  struct buffer text = BUFFER_NULL;
  fill_refusal(&entry, command, refusal);
  entry.state = state_of(refusal);
  entry.by = bytes_text(request_requester(request)->name);
  entry.time = world_now(orders->world).wall;
  ledger_put_json(&text, &entry);
  orders->stats.refused++;
  note_unrecorded(orders, request, refusal);
  request_reply_text(request, buffer_bytes(&text), true);
  buffer_deinit(&text);
}

bool orders_may_record(struct orders *orders, const char *by) {
  uint64_t suppressed;
  struct log_limit *limit = table_get(&orders->refusals, bytes_text(by));
  if (!limit) {
    limit = mem_alloc(sizeof *limit);
    *limit = (struct log_limit){.interval_us = ORDERS_REFUSAL_US, .burst = ORDERS_REFUSALS};
    table_put(&orders->refusals, bytes_text(by), limit);
  }
  return log_allow(limit, world_now(orders->world).mono, &suppressed);
}

void orders_refuse_for_good(struct inquiry *inquiry, const struct refusal *refusal) {
  struct orders *orders = inquiry->owner;
  if (!orders_may_record(orders, inquiry->by)) {
    orders_refuse(orders, inquiry->request, &inquiry->command, refusal);
    return;
  }
  struct order *order = order_new(orders, &inquiry->command);
  struct ledger_entry *entry = &order->ledger.entry;
  ledger_move(entry, ACTOR_BROKER, state_of(refusal), world_now(orders->world).wall);
  fill_refusal(entry, &inquiry->command, refusal);
  entry->by = bytes_text(inquiry->by);
  entry->from = bytes_text("operator");
  order_say(order);
  orders->stats.refused++;
  order_join(order, inquiry);
  order_commit(order);
}
