#include "broker/order.h"
#include "common/audit/note.h"
#include "common/base/mem.h"
#include <stdlib.h>

struct order *order_new(struct orders *orders, const struct command *command) {
  struct order *order = mem_alloc(sizeof *order);
  order->owner = orders;
  order->ledger.entry = LEDGER_ENTRY_NULL;
  order->last_saying = &order->sayings;
  order->number = ++orders->numbers;
  order->deadline = command->deadline;
  order->verb = command->verb;
  order->point = mem_text(command->address.data, command->address.len);
  table_put(&orders->open, command->id, order);
  return order;
}

struct order *order_read_back(struct orders *orders, const struct ledger *ledger, const struct command *command) {
  struct buffer text = BUFFER_NULL;
  struct order *order = order_new(orders, command);
  order->ledger = *ledger; /* the views point into its storage */
  order->accepted = order->handed_over = true;
  order->noted = note_states(&order->ledger.entry);
  ledger_put_json(&text, &order->ledger.entry);
  order->said = mem_text(text.data, text.len);
  order->said_final = state_is_final(order->ledger.entry.state);
  if (order_is_of_peer(order)) buffer_append(&order->said_entry, buffer_bytes(&order->ledger.storage));
  order_count(order);
  buffer_deinit(&text);
  return order;
}

static struct saying *saying_free(struct saying *saying) {
  free(saying->text);
  buffer_deinit(&saying->entry);
  free(saying);
  return NULL;
}

void order_count(struct order *order) {
  bool open = state_is_open(order->ledger.entry.state);
  if (open != order->counted) order->owner->open_count += open ? 1 : (size_t)-1;
  order->counted = open;
}

void order_not_recalled(struct order *order) {
  if (order->recalled_until) order->owner->recalled--;
  order->recalled_until = 0;
}

void order_free(struct order *order) {
  if (order->counted) order->owner->open_count--;
  order_not_recalled(order);
  table_remove(&order->owner->open, order->ledger.entry.id);
  while (order->sayings) {
    struct saying *next = order->sayings->next;
    saying_free(order->sayings);
    order->sayings = next;
  }
  while (order->followers) order_leave(order->followers);
  errand_forget(order->looking);
  buffer_deinit(&order->said_entry);
  free(order->said);
  free(order->point);
  buffer_deinit(&order->decided);
  buffer_deinit(&order->refused);
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

/* Final and durable, so that memory need not hold it. An unknown one that was read back waits for its answer. */
static bool is_done(const struct order *order) {
  enum state state = order->ledger.entry.state;
  bool waits = (state == STATE_UNKNOWN && order->recalled_until) || order_decision_pending(order) || order->provisional;
  return state_is_final(state) && !waits && !order->sayings && !order->again && order->committed >= order->commits;
}

/* ---- saying ---- */

static struct saying *say(struct order *order) {
  struct saying *saying = mem_alloc(sizeof *saying);
  struct buffer text = BUFFER_NULL;
  ledger_keep(&order->ledger);
  ledger_put_json(&text, &order->ledger.entry);
  saying->text = mem_text(text.data, text.len);
  saying->state = order->ledger.entry.state;
  saying->final = state_is_final(saying->state);
  buffer_deinit(&text);
  if (order_is_of_peer(order)) buffer_append(&saying->entry, buffer_bytes(&order->ledger.storage));
  *order->last_saying = saying;
  order->last_saying = &saying->next;
  if (saying->final && saying->state != order->ended) order->owner->stats.ended[saying->state]++;
  if (saying->final) order->ended = saying->state;
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

/* Who asked to cancel, and the device was told before that could be done. */
static void refuse_too_late(struct request *request, enum state state) {
  struct buffer text = BUFFER_NULL;
  buffer_printf(&text, "the command is %s: the device was told before it could be cancelled", state_name(state));
  request_refuse(request, code_name(CODE_TOO_LATE), buffer_text(&text), code_hint(CODE_TOO_LATE));
  buffer_deinit(&text);
}

/* A last reply ends the request, whose end takes its inquiry away. */
static void tell(struct order *order, struct saying *saying) {
  for (struct inquiry *inquiry = order->followers, *next; inquiry; inquiry = next) {
    next = inquiry->next;
    struct request *request = inquiry->request;
    bool late = inquiry->cancels && !saying->final && state_may_have_moved(saying->state);
    request_reply_text(request, bytes_text(saying->text), saying->final);
    if (late) refuse_too_late(request, saying->state);
  }
  free(order->said);
  order->said = saying->text;
  order->said_final = saying->final;
  saying->text = NULL; /* consumed */
  if (!saying->entry.len) return;
  buffer_deinit(&order->said_entry);
  order->said_entry = saying->entry;
  saying->entry = BUFFER_NULL; /* consumed */
  order_tell_peer(order, buffer_bytes(&order->said_entry));
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
