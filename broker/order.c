#include "broker/order.h"
#include "common/base/mem.h"
#include <stdlib.h>

struct order *order_new(struct orders *orders, struct bytes id) {
  struct order *order = mem_alloc(sizeof *order);
  order->owner = orders;
  order->ledger.entry = LEDGER_ENTRY_NULL;
  order->last_saying = &order->sayings;
  table_put(&orders->open, id, order);
  return order;
}

static struct saying *saying_free(struct saying *saying) {
  free(saying->text);
  free(saying);
  return NULL;
}

void order_count(struct order *order) {
  bool open = state_is_open(order->ledger.entry.state);
  if (open != order->counted) order->owner->open_count += open ? 1 : (size_t)-1;
  order->counted = open;
}

void order_free(struct order *order) {
  if (order->counted) order->owner->open_count--;
  if (order->recalled_until) order->owner->recalled--;
  table_remove(&order->owner->open, order->ledger.entry.id);
  while (order->sayings) {
    struct saying *next = order->sayings->next;
    saying_free(order->sayings);
    order->sayings = next;
  }
  while (order->followers) order_leave(order->followers);
  free(order->said);
  ledger_deinit(&order->ledger);
  free(order);
}

void order_leave(struct inquiry *inquiry) {
  if (!inquiry->order) return;
  struct inquiry **at = &inquiry->order->followers;
  while (*at != inquiry) at = &(*at)->next;
  *at = inquiry->next;
  inquiry->order = NULL;
}

/* ---- the store ---- */

/* Final and durable, so that memory need not hold it. An unknown one that was read back waits for its answer. */
static bool is_done(const struct order *order) {
  enum state state = order->ledger.entry.state;
  bool waits = state == STATE_UNKNOWN && order->recalled_until;
  return state_is_final(state) && !waits && !order->sayings && !order->again && order->committed >= order->commits;
}

static struct bytes open_key(const struct order *order, char key[COMMAND_ID_MAX + 2]) {
  struct bytes id = order->ledger.entry.id;
  key[0] = '!';
  memcpy(key + 1, id.data, id.len);
  return bytes_of(key, id.len + 1);
}

void order_unknown_key(struct buffer *out, struct bytes station, struct bytes id) {
  buffer_append(out, bytes_text("+"));
  buffer_append(out, station);
  buffer_append(out, bytes_of("", 1));
  buffer_append(out, id);
}

static void put_final(const struct order *order, struct store_batch *batch, struct bytes value) {
  const struct ledger_entry *entry = &order->ledger.entry;
  struct buffer key = BUFFER_NULL;
  order_unknown_key(&key, entry->station, entry->id);
  if (entry->state == STATE_UNKNOWN)
    store_batch_put(batch, STORE_COMMANDS, buffer_bytes(&key), value);
  else if (entry->times[STATE_UNKNOWN])
    store_batch_delete(batch, STORE_COMMANDS, buffer_bytes(&key));
  store_batch_put(batch, STORE_COMMANDS, entry->id, value);
  buffer_deinit(&key);
}

void order_put(struct order *order, struct store_batch *batch) {
  char text[COMMAND_ID_MAX + 2];
  struct bytes key = open_key(order, text), value = buffer_bytes(&order->ledger.storage);
  if (state_is_final(order->ledger.entry.state)) {
    store_batch_delete(batch, STORE_COMMANDS, key);
    put_final(order, batch, value);
  } else {
    store_batch_put(batch, STORE_COMMANDS, key, value);
  }
  store_batch_urgent(batch);
  order_count(order);
}

/* Not even its acceptance could be stored: it never was. A refusal is said as it is, and leaves no entry. */
static void refuse_full(struct order *order) {
  struct ledger_entry entry = order->ledger.entry;
  struct buffer text = BUFFER_NULL;
  if (!state_is_final(entry.state)) {
    entry.state = STATE_REJECTED;
    entry.code = CODE_FULL;
    entry.message = bytes_text("the store of the broker is full");
  }
  ledger_put_json(&text, &entry);
  while (order->followers) {
    struct request *request = order->followers->request;
    order_leave(order->followers);
    request_reply_text(request, buffer_bytes(&text), true);
  }
  buffer_deinit(&text);
  order_free(order);
}

/* The cookie is the id, since the order may be gone when the answer comes. */
static void commit_done(void *ctx, void *cookie, const struct store_done *done) {
  struct orders *orders = ctx;
  struct order *order = table_get(&orders->open, bytes_text(cookie));
  free(cookie);
  if (!order) return;
  order->committed++;
  if (done->kind == STORE_DONE_REFUSED && !order->accepted) {
    refuse_full(order);
    return;
  }
  if (done->kind == STORE_DONE_REFUSED)
    order->again = true;
  else
    order->accepted = true;
  order_hand_over(order);
  order_release_own(order);
}

void order_commit(struct order *order) {
  struct orders *orders = order->owner;
  struct store_batch *batch = store_batch_new();
  order_put(order, batch);
  order->again = false;
  order->commits++;
  struct bytes id = order->ledger.entry.id;
  orders->hooks.commit(orders->hooks.ctx, batch, commit_done, orders, mem_text(id.data, id.len));
}

/* ---- saying ---- */

static struct saying *say(struct order *order) {
  struct saying *saying = mem_alloc(sizeof *saying);
  struct buffer text = BUFFER_NULL;
  ledger_keep(&order->ledger);
  ledger_put_json(&text, &order->ledger.entry);
  saying->text = mem_text(text.data, text.len);
  saying->final = state_is_final(order->ledger.entry.state);
  buffer_deinit(&text);
  *order->last_saying = saying;
  order->last_saying = &saying->next;
  if (saying->final) order->owner->stats.ended[order->ledger.entry.state]++;
  return saying;
}

void order_say(struct order *order) { say(order)->gate = order->commits + 1; }

void order_say_by_report(struct order *order, struct epoch epoch, uint64_t sequence) {
  struct saying *saying = say(order);
  saying->by_report = true;
  saying->epoch = epoch;
  saying->gate = sequence;
}

void order_join(struct order *order, struct inquiry *inquiry) {
  if (order->said) request_reply_text(inquiry->request, bytes_text(order->said), order->said_final);
  if (order->said && order->said_final) return; /* that was the last reply: the inquiry is gone */
  inquiry->order = order;
  inquiry->next = order->followers;
  order->followers = inquiry;
}

/* A last reply ends the request, whose end takes its inquiry away. */
static void tell(struct order *order, struct saying *saying) {
  for (struct inquiry *inquiry = order->followers, *next; inquiry; inquiry = next) {
    next = inquiry->next;
    request_reply_text(inquiry->request, bytes_text(saying->text), saying->final);
  }
  free(order->said);
  order->said = saying->text;
  order->said_final = saying->final;
  saying->text = NULL; /* consumed */
}

static bool is_released(
    const struct order *order, const struct saying *saying, bool by_report, struct epoch epoch, uint64_t sequence) {
  if (saying->by_report != by_report) return false;
  if (!by_report) return !order->again && saying->gate <= order->committed;
  int order_of_epochs = epoch_compare(saying->epoch, epoch);
  return order_of_epochs < 0 || (order_of_epochs == 0 && saying->gate <= sequence);
}

static void release(struct order *order, bool by_report, struct epoch epoch, uint64_t sequence) {
  struct saying **at = &order->sayings;
  while (*at) {
    struct saying *saying = *at;
    if (!is_released(order, saying, by_report, epoch, sequence)) {
      at = &saying->next;
      continue;
    }
    *at = saying->next;
    tell(order, saying);
    saying_free(saying);
  }
  order->last_saying = at;
  if (is_done(order)) order_free(order);
}

void order_release_own(struct order *order) { release(order, false, (struct epoch){0, 0}, 0); }
void order_release_reports(struct order *order, struct epoch epoch, uint64_t sequence) {
  release(order, true, epoch, sequence);
}
