#include "gateway/order.h"
#include "common/audit/note.h"
#include "common/base/defect.h"
#include "common/base/mem.h"
#include <math.h>
#include <stdlib.h>

struct order *order_new(void) {
  return mem_alloc(sizeof(struct order));
}

struct order *order_free(struct order *order) {
  if (!order) return NULL;
  ledger_deinit(&order->ledger);
  buffer_deinit(&order->reply_reason);
  buffer_deinit(&order->decided);
  buffer_deinit(&order->refused);
  buffer_deinit(&order->actual_text);
  buffer_deinit(&order->wish.message);
  buffer_deinit(&order->wish.decision);
  free(order);
  return NULL;
}

/* The command's views follow the ledger's storage, which moves when an entry is encoded anew. */
static void order_read_command(struct order *order) {
  if (order->ledger.entry.command.len > 0) (void)command_read(&order->command, order->ledger.entry.command);
}

static bool order_is_from_door(const struct order *order) {
  return bytes_equal(order->ledger.entry.from, bytes_text(ORDER_LOCAL));
}

static int64_t order_given(const struct order *order, struct instant now) {
  int64_t waited_us = now.wall - order->command.issued;
  return order->ledger.entry.approval.len > 0 && waited_us > 0 ? now.mono - waited_us : now.mono;
}

void order_begin(struct order *order, const struct command *command, struct bytes approval, const char *station,
    const char *from, struct instant now) {
  struct ledger_entry *entry = &order->ledger.entry;
  *entry = LEDGER_ENTRY_NULL;
  entry->id = command->id;
  entry->command = command->bytes;
  entry->approval = approval;
  entry->station = bytes_text(station);
  entry->from = bytes_text(from);
  ledger_keep(&order->ledger);
  order->is_local = order_is_from_door(order);
  order_read_command(order);
  order->expires_mono = now.mono + (order->command.deadline - now.wall);
  order->given_mono = order_given(order, now);
}

void order_shift(struct order *order, int64_t shift_us) {
  order->expires_mono -= shift_us - order->shift_us;
  order->shift_us = shift_us;
}

int order_load(struct order *order, struct bytes bytes, struct instant now) {
  int outcome = ledger_load(&order->ledger, bytes);
  if (outcome != 0) return outcome;
  order_read_command(order);
  order->expires_mono = now.mono + (order->command.deadline - now.wall);
  order->given_mono = now.mono;
  order->restarted = order_awaits(order);
  order->noted = note_states(&order->ledger.entry);
  order->is_local = order_is_from_door(order);
  order->introduced = order->loaded = true;
  return 0;
}

struct bytes order_id(const struct order *order) {
  return order->ledger.entry.id;
}
enum state order_state(const struct order *order) { return order->ledger.entry.state; }
bool order_is_open(const struct order *order) { return state_is_open(order_state(order)); }
bool order_awaits(const struct order *order) {
  return order_state(order) == STATE_DISPATCHED || order_state(order) == STATE_ACTING;
}

bool order_locks(const struct order *order) {
  return order_state(order) == STATE_UNKNOWN && order->command.verb == COMMAND_SET;
}
bool order_is_at(const struct order *order, struct bytes address, uint8_t verb) {
  return order->command.verb == verb && bytes_equal(order->command.address, address);
}

struct bytes order_device(const struct order *order) {
  struct bytes device = order->command.address;
  while (device.len > 0 && device.data[device.len - 1] != '/') device.len--;
  return device.len > 0 ? bytes_of(device.data, device.len - 1) : device;
}

int64_t order_life(const struct order *order, struct instant now) {
  int64_t by_wall = order->command.deadline - now.wall - order->shift_us, by_boot = order->expires_mono - now.mono;
  if (defect("skip-expiry")) return 60 * SECOND_US;
  return by_wall < by_boot ? by_wall : by_boot;
}

bool order_move(
    struct order *order, enum state to, enum code code, const char *message, const char *hint, int64_t now) {
  struct ledger_entry *entry = &order->ledger.entry;
  if (ledger_move(entry, ACTOR_GATEWAY, to, now) != 0) return false;
  entry->code = code;
  entry->message = bytes_text(message);
  entry->hint = bytes_text(hint);
  if (order->measured) entry->actual = order->actual;
  if (order->has_reply) entry->device_message = buffer_bytes(&order->reply_reason);
  ledger_keep(&order->ledger); /* the texts are the caller's */
  order_read_command(order);
  return true;
}

void order_take_back(struct order *order) {
  struct ledger_entry *entry = &order->ledger.entry;
  entry->state = STATE_RECEIVED;
  entry->times[STATE_DISPATCHED] = 0;
  entry->time = entry->times[STATE_RECEIVED];
  entry->fence = 0;
  entry->before = entry->actual = VALUE_EMPTY;
  entry->observed_before = BYTES_NULL;
  order->settle_mono = 0;
  order->measured = order->reached = false;
}

void order_seal(struct order *order, const struct identity *identity) {
  struct buffer bytes = BUFFER_NULL;
  struct report report;
  ledger_to_report(&order->ledger.entry, &report);
  if (order->is_local && !order->introduced) report.command = order->ledger.entry.command;
  if (report_sign(&bytes, &report, identity) == 0) order->ledger.entry.report = buffer_bytes(&bytes);
  ledger_keep(&order->ledger);
  order_read_command(order);
  buffer_deinit(&bytes);
}

void order_hear_reply(struct order *order, bool ok, struct bytes reason) {
  if (order->has_reply && order->reply_ok == ok) return;
  order->has_reply = true;
  order->reply_ok = ok;
  buffer_clear(&order->reply_reason);
  if (reason.len > REPORT_TEXT_MAX) reason.len = REPORT_TEXT_MAX;
  while (reason.len > 0 && !bytes_is_utf8(reason)) reason.len--; /* not within a character */
  buffer_append(&order->reply_reason, reason);
}

bool order_value_reached(
    const struct gateway_control *control, const struct value *target, const struct value *actual) {
  double wanted, is;
  if (value_as_number(target, &wanted) && value_as_number(actual, &is))
    return fabs(wanted - is) <= control->confirm.within;
  return value_equal(target, actual);
}

void order_approve(struct order *order, struct bytes approval, const char *by) {
  order->ledger.entry.approval = approval;
  order->ledger.entry.approved_by = bytes_text(by);
  order->ledger.entry.code = CODE_NONE; /* it waits for nobody any more */
  order->ledger.entry.message = order->ledger.entry.hint = BYTES_NULL;
  ledger_keep(&order->ledger);
  order_read_command(order);
}

void order_want(struct order *order, enum state state, enum code code, const char *message) {
  if (order->wish.state != STATE_NONE) return;
  order->wish.state = state;
  order->wish.code = code;
  buffer_clear(&order->wish.decision);
  buffer_clear(&order->wish.message);
  buffer_append(&order->wish.message, bytes_text(message));
}

void order_keep_actual(struct order *order, const struct value *value) {
  order->measured = true;
  order->actual = *value;
  if (value->type != VALUE_TEXT && value->type != VALUE_BYTES) return;
  struct bytes text = value->bytes;
  /* too long for a report; whether it was reached was decided on the whole */
  if (text.len > REPORT_TEXT_MAX) text = BYTES_NULL;
  buffer_clear(&order->actual_text);
  buffer_append(&order->actual_text, text);
  order->actual.bytes = buffer_bytes(&order->actual_text);
}

/* From when on measurements count; INT64_MAX: not yet. */
static int64_t order_counts_from(const struct order *order) {
  int64_t dispatched = order->ledger.entry.times[STATE_DISPATCHED];
  if (order->command.verb != COMMAND_STOP || order->restarted) return dispatched;
  return order->publish == ORDER_PUBLISH_ACKED ? order->acked : INT64_MAX;
}

void order_hear_measurement(
    struct order *order, const struct gateway_control *control, const struct record *record, bool retained) {
  int64_t from = order_counts_from(order);
  bool stop = order->command.verb == COMMAND_STOP;
  if (!control->confirm.set || retained || record->quality != QUALITY_GOOD) return;
  if (!order_awaits(order) && !order_locks(order)) return;
  if (record->time <= from || record->received <= from || order->reached) return;
  if (!stop)
    order->reached = order_value_reached(control, &order->command.value, &record->value);
  else
    order->reached = order->measured && order_value_reached(control, &order->actual, &record->value);
  order->measured_at = record->time < record->received ? record->time : record->received;
  order_keep_actual(order, &record->value);
}

static bool order_is_undelivered(const struct order *order) {
  return order->publish == ORDER_NO_LISTENER || order->publish == ORDER_NOT_CONNECTED ||
         order->publish == ORDER_PUBLISH_REFUSED;
}

/* Not by what was measured before: the device may have been under way still. Nor where the message may lie with the
 * MQTT broker. */
static bool order_is_elsewhere(const struct order *order) {
  bool told = order->restarted || order->has_reply || order->publish == ORDER_PUBLISH_ACKED;
  return told && order->measured && order->look_from > 0 && order->measured_at > order->look_from;
}

enum order_verdict order_judge(const struct order *order, const struct gateway_control *control) {
  bool measures = control && control->confirm.set, awaits = order_awaits(order);
  if (awaits && order_is_undelivered(order)) return ORDER_UNDELIVERED;
  if (order->has_reply && !order->reply_ok) return ORDER_REFUSED;
  if (order->reached || (order->has_reply && !measures)) return ORDER_EXECUTED;
  if (awaits && measures && order_is_elsewhere(order)) return ORDER_NOT_REACHED;
  return order->has_reply && order_state(order) == STATE_DISPATCHED ? ORDER_ACTING : ORDER_OPEN;
}
