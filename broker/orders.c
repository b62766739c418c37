/* The ledger: what stations, the clock and the store do to open commands. What operators ask is in orders_ask.c. */
#include "broker/orders.h"
#include "broker/hostile.h"
#include "broker/order.h"
#include "common/base/defect.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include <stdlib.h>

struct orders *orders_new(const char *node, const struct world *world, const struct orders_hooks *hooks) {
  struct orders *orders = mem_alloc(sizeof *orders);
  orders->node = mem_text(node, strlen(node));
  orders->world = world;
  orders->hooks = *hooks;
  orders->ahead_us = CHECK_AHEAD_US;
  orders->last_recall = &orders->recalls;
  orders->limit = (struct log_limit){.interval_us = SECOND_US, .burst = 10};
  return orders;
}

struct orders *orders_free(struct orders *orders) {
  if (!orders) return NULL;
  orders_recall_end(orders);
  orders_asked_end(orders);
  table_deinit(&orders->refusals, free);
  table_deinit(&orders->pasts, free);
  struct table_cursor cursor = TABLE_CURSOR_NULL;
  void *order;
  while (table_next(&orders->open, &cursor, NULL, &order)) order_free(order);
  table_deinit(&orders->open, NULL);
  free(orders->node);
  free(orders);
  return NULL;
}

void orders_set_deadline(struct orders *orders, int64_t ahead_us) { orders->ahead_us = ahead_us; }

void orders_stats(const struct orders *orders, struct orders_stats *out) {
  *out = orders->stats;
  out->open = orders->open_count;
}

static int64_t wall(const struct orders *orders) { return world_now(orders->world).wall; }

/* ---- the start ---- */

static bool load_one(void *ctx, struct bytes key, struct bytes value) {
  struct orders *orders = ctx;
  struct ledger ledger = {0};
  struct command command;
  if (!key.len || key.data[0] != '!') return false; /* the open ones stand first */
  if (ledger_load(&ledger, value) || command_read(&command, ledger.entry.command)) {
    log_error("commands", NULL, "the entry of command " BYTES_FMT " cannot be read: it is left as it is",
        (int)key.len - 1, (const char *)key.data + 1);
    ledger_deinit(&ledger);
    return true;
  }
  struct order *order = order_read_back(orders, &ledger, &command); /* consumes ledger */
  /* unknown, as older versions kept it among the open ones: moves where it belongs */
  order->provisional = order_is_of_door(order);
  order->again = order->said_final && !order_decision_pending(order) && !order->provisional;
  return true;
}

int orders_load(struct orders *orders, struct store *store) {
  int outcome = store_scan(store, STORE_COMMANDS, load_one, orders);
  orders_put_in_order(orders);
  return outcome ? outcome : orders_lives_load(orders, store);
}

/* ---- handing over ---- */

static void send_command(struct order *order) {
  struct orders *orders = order->owner;
  struct buffer body = BUFFER_NULL;
  settle_put_command(&body, order->ledger.entry.command, order->ledger.entry.approval);
  if (orders->hooks.send(orders->hooks.ctx, order->ledger.entry.station, SETTLE_COMMAND, buffer_bytes(&body)))
    order->told = wall(orders);
  order->handed_over = true;
  buffer_deinit(&body);
}

/* From accepted to sent; the station is told when that is durable. */
static void begin_hand_over(struct order *order, const struct order_station *station) {
  struct orders *orders = order->owner;
  if (!order_judge_again(order)) {
    order_commit(order);
    return;
  }
  if (ledger_move(&order->ledger.entry, ACTOR_BROKER, STATE_SENT, wall(orders))) return;
  order->ledger.entry.epoch = station->epoch;
  order->of_session = true;
  order->told = 0;
  order_say(order);
  order_commit(order);
}

/* With a cancel on its way, or overtaken, it is not: a copy that was lost is then asked for, which the station refuses
 * for good. */
static bool is_to_be_sent(const struct order *order) {
  return !order_decision_pending(order) && !order_is_overtaken(order);
}

/* Also where the station came while `accepted` was still being committed: its session passed over the order then. */
void order_hand_over(struct order *order) {
  struct order_station station;
  struct orders *orders = order->owner;
  const struct ledger_entry *entry = &order->ledger.entry;
  bool durable = order->accepted && order->committed == order->commits && !order->again;
  bool waits = entry->state == STATE_ACCEPTED && entry->custody == LEDGER_HERE && wall(orders) < order->deadline;
  bool sent = entry->state == STATE_SENT && !order->told && is_to_be_sent(order);
  if (!durable || (!waits && !sent)) return;
  if (!orders_receiver(orders, entry->station, &station)) return;
  if (waits)
    begin_hand_over(order, &station);
  else
    send_command(order);
}

static bool is_carried_out_by_station(const struct order *order, int64_t now) {
  return order->ledger.entry.state == STATE_SENT && now < order->deadline && is_to_be_sent(order);
}

static bool is_unsettled_there(const struct order *order) {
  return order->ledger.entry.custody == LEDGER_NEXT &&
         (state_is_open(order->ledger.entry.state) || order->ledger.entry.state == STATE_UNKNOWN);
}

void asking_flush(struct asking *asking) {
  struct buffer body = BUFFER_NULL;
  if (asking->ids.count) {
    settle_put_ask(&body, &asking->ids);
    asking->orders->hooks.send(asking->orders->hooks.ctx, asking->station, SETTLE_ASK, buffer_bytes(&body));
  }
  buffer_deinit(&body);
  asking->ids.count = 0;
}

void asking_add(struct asking *asking, struct order *order) {
  asking->ids.ids[asking->ids.count++] = order->ledger.entry.id;
  order->told = wall(asking->orders);
  if (asking->ids.count == SETTLE_IDS_MAX) asking_flush(asking);
}

void orders_session(struct orders *orders, const struct order_station *station) {
  struct asking asking = {orders, station->node, {0}};
  struct table_cursor cursor = TABLE_CURSOR_NULL;
  void *value;
  int64_t now = wall(orders);
  if (station->peer) orders_lives_session(orders, station->node);
  while (table_next(&orders->open, &cursor, NULL, &value)) {
    struct order *order = value;
    if (!order->accepted || !bytes_equal(order->ledger.entry.station, station->node)) continue;
    order->told = 0;
    order->of_session = false;
    order_tell_anew(order);
    order_tell_decision(order, now);
    if (order->ledger.entry.state == STATE_ACCEPTED && now < order->deadline && !station->peer)
      begin_hand_over(order, station);
    else if (is_carried_out_by_station(order, now))
      order_hand_over(order); /* not asked for: an id that is unknown there is then refused for good */
    else if (is_unsettled_there(order) || order_awaits_word(order))
      asking_add(&asking, order);
  }
  asking_flush(&asking);
  orders_recall(orders, station->node);
}

/* ---- reports ---- */

static bool is_key_of(const struct order_station *station, const struct public_key *key) {
  for (size_t i = 0; i < station->key_count; i++)
    if (memcmp(station->keys[i].bytes, key->bytes, sizeof key->bytes) == 0) return true;
  return false;
}

static bool report_is_of(const struct report *report, const struct order *order) {
  uint8_t digest[COMMAND_DIGEST];
  command_digest(order->ledger.entry.command, digest);
  return memcmp(digest, report->digest, sizeof digest) == 0;
}

static void note_forged(struct orders *orders, struct bytes station, struct bytes address) {
  uint64_t suppressed;
  orders->stats.forged++;
  if (!log_allow(&orders->limit, world_now(orders->world).mono, &suppressed)) return;
  log_warning("commands", NULL, "a report about " BYTES_FMT " that is not signed by " BYTES_FMT " is not believed",
      BYTES_ARG(address), BYTES_ARG(station));
}

/* From a store that knows nothing of it. */
static void forget_word(struct order *order) {
  bool pending = order_decision_pending(order);
  order_hear_nothing(order);
  ledger_keep(&order->ledger);
  if (pending != order_decision_pending(order)) order_commit(order);
}

static void admit_report(struct orders *orders, const struct order_station *station, const struct block *block,
    const struct record *record, struct store_batch *batch) {
  struct report report;
  if (record->value.type != VALUE_BYTES || report_open(&report, record->value.bytes) ||
      !is_key_of(station, &report.key)) {
    note_forged(orders, station->node, record->address);
    return;
  }
  struct order *order = table_get(&orders->open, report.id);
  if (!order && report.command.len) order = orders_from_door(orders, station, &report);
  if (!order) orders_recall(orders, station->node); /* it may be an unknown one that memory does not hold: asked anew */
  if (!order || !order->accepted || !bytes_equal(order->ledger.entry.station, station->node)) return;
  if (!report_is_of(&report, order)) {
    note_forged(orders, station->node, record->address);
    return;
  }
  orders->stats.reports++;
  if (order_is_word_of_new_store(order, block, &report)) {
    forget_word(order);
    return;
  }
  hostile_hear(&report);
  bool resolved = ledger_is_unconfirmed(&order->ledger.entry);
  bool moved = ledger_report(&order->ledger.entry, &report) == 0;
  if (moved && resolved) order_note_again(order);
  order_hear(order, report.state);
  bool heard = resolved && !order_decision_pending(order);
  /* who asked from another province waits for that */
  if (moved || (heard && order_is_of_peer(order))) order_say_by_report(order, block->epoch, record->sequence);
  ledger_keep(&order->ledger);
  /* A commit of ours that still waits for the store would undo this one: one more follows it. */
  if (order->committed < order->commits) order->again = true;
  order_put_report(
      order, batch, &report); /* also for one that came before: the batch that held it then may have been refused */
}

void orders_admit(
    struct orders *orders, const struct order_station *station, const struct block *block, struct store_batch *batch) {
  struct block_reader *reader = NULL;
  struct record record;
  if (block_reader_new(&reader, block)) return;
  while (block_reader_next(reader, &record) == 0)
    if (record.kind == RECORD_REPORT) admit_report(orders, station, block, &record, batch);
  block_reader_free(reader);
}

void orders_committed(struct orders *orders, const struct block *block) {
  struct block_reader *reader = NULL;
  struct record record;
  struct report report;
  if (!orders->open.count || block_reader_new(&reader, block)) return;
  while (block_reader_next(reader, &record) == 0) {
    if (record.kind != RECORD_REPORT || record.value.type != VALUE_BYTES || report_read(&report, record.value.bytes))
      continue;
    struct order *order = table_get(&orders->open, report.id);
    if (order) order_noted(order, &report);
    if (order) order_release_reports(order, block->epoch, record.sequence);
  }
  block_reader_free(reader);
}

/* ---- "never received" ---- */

static void say_never(struct order *order) {
  struct ledger_entry *entry = &order->ledger.entry;
  entry->code = CODE_NOT_RECEIVED;
  entry->message = bytes_text("the command was never received there, and will not be taken any more");
  order_say(order);
}

/* It was held back, or lost, behind a later one for its point: that one took its place, and whoever gave both has no
 * reason to give this one again. */
static void say_overtaken(struct order *order) {
  struct ledger_entry *entry = &order->ledger.entry;
  char message[COMMAND_ID_MAX + 128], hint[COMMAND_ID_MAX + 128];
  snprintf(message, sizeof message,
      "the later " BYTES_FMT " for the same point took its place before it had reached the station",
      BYTES_ARG(entry->overtaken_by));
  snprintf(hint, sizeof hint, ORDERS_NEWER_HINT, BYTES_ARG(entry->overtaken_by));
  entry->code = CODE_SUPERSEDED;
  entry->message = bytes_text(message);
  entry->hint = bytes_text(hint);
  order_say(order);
}

static void settle_never(struct order *order, bool believed) {
  bool overtaken = order->ledger.entry.overtaken_by.len > 0;
  enum state to = overtaken ? STATE_SUPERSEDED : STATE_EXPIRED;
  bool moved = believed && ledger_move(&order->ledger.entry, ACTOR_NEVER, to, wall(order->owner)) == 0;
  bool pending = order_decision_pending(order);
  if (moved && overtaken)
    say_overtaken(order);
  else if (moved)
    say_never(order);
  if (believed)
    order_hear(order, STATE_EXPIRED);
  else
    order_hear_nothing(order);
  if (!moved && pending && !order_decision_pending(order) && order_is_of_peer(order)) order_say(order);
  ledger_keep(&order->ledger);
  if (moved || order_decision_pending(order) != pending) order_commit(order);
}

static bool is_believed(const struct order *order, struct epoch epoch) {
  struct epoch noted = order->ledger.entry.epoch;
  return (noted.created || noted.random) && epoch_compare(noted, epoch) == 0;
}

static void settle_never_there(struct order *order) {
  enum order_memory memory = order_memory(order);
  if (memory == ORDER_FORGOTTEN && order_lose(order))
    order_commit(order);
  else
    settle_never(order, memory == ORDER_REMEMBERED);
}

void orders_message(struct orders *orders, const struct order_station *station, uint8_t type, struct bytes body) {
  struct epoch epoch;
  struct settle_ids ids;
  if (station->peer && orders_peer_message(orders, station, type, body)) return;
  if (type != SETTLE_NEVER || settle_get_never(body, &epoch, &ids)) {
    log_warning("commands", NULL, BYTES_FMT " sent a message of type %u that is not understood",
        BYTES_ARG(station->node), type);
    return;
  }
  for (uint32_t i = 0; i < ids.count; i++) {
    struct order *order = table_get(&orders->open, ids.ids[i]);
    bool theirs = order && order->accepted && bytes_equal(order->ledger.entry.station, station->node);
    if (theirs && station->peer)
      settle_never_there(order);
    else if (theirs)
      settle_never(order, is_believed(order, epoch));
  }
}

/* ---- time ---- */

static void expire(struct order *order, int64_t now) {
  struct ledger_entry *entry = &order->ledger.entry;
  bool unapproved = entry->state == STATE_APPROVAL;
  char message[2 * ADDRESS_MAX];
  if (ledger_move(entry, ACTOR_BROKER, STATE_EXPIRED, now)) return;
  entry->code = unapproved ? CODE_APPROVAL : CODE_EXPIRED;
  if (unapproved) entry->hint = bytes_text("send a new command, and have a second person approve it in time");
  if (unapproved)
    snprintf(message, sizeof message, "no second person approved it until the deadline passed");
  else
    snprintf(
        message, sizeof message, BYTES_FMT " was not connected until the deadline passed", BYTES_ARG(entry->station));
  entry->message = bytes_text(message);
  order_say(order);
  order_commit(order);
}

/* A cancel that was still to be told comes too late now. */
static void give_up(struct order *order, int64_t now) {
  struct ledger_entry *entry = &order->ledger.entry;
  if (ledger_move(entry, ACTOR_TIMER, STATE_UNKNOWN, now)) return;
  if (defect("broker-ends-after-sent")) entry->state = STATE_EXPIRED;
  entry->code = CODE_NO_ANSWER;
  entry->message = bytes_text("the command was handed over, and no report of its outcome came in time");
  entry->decision = BYTES_NULL;
  order_say(order);
  order_commit(order);
}

/* Sends it again or asks for it, when that is due. */
static int64_t remind(struct order *order, int64_t now) {
  struct orders *orders = order->owner;
  struct order_station station;
  bool carried_out = is_carried_out_by_station(order, now);
  if (!carried_out && is_to_be_sent(order) && now < order->deadline) return order->deadline;
  int64_t due = order->told ? order->told + (carried_out ? ORDERS_RESEND_US : ORDERS_ASK_US) : now;
  if (due > now) return due;
  if (!orders->hooks.station(orders->hooks.ctx, order->ledger.entry.station, &station) || !station.up)
    return now + ORDERS_RESEND_US;
  struct asking asking = {orders, station.node, {0}};
  if (carried_out)
    send_command(order);
  else
    asking_add(&asking, order);
  asking_flush(&asking);
  return now + ORDERS_RESEND_US;
}

/* The station decides. */
static int64_t tick_there(struct order *order, int64_t now) {
  enum state state = order->ledger.entry.state;
  if (state != STATE_UNKNOWN && now >= order->ledger.entry.settle_by) {
    give_up(order, now);
    return now + SECOND_US;
  }
  /* asked in this session: who does not know will not learn it */
  if (state == STATE_UNKNOWN && order->told) return now + 60 * SECOND_US;
  int64_t decision_due = order_tell_decision(order, now), due = remind(order, now);
  return due < decision_due ? due : decision_due;
}

/* What time asks of one order; returns when to look again. May free it. */
static int64_t order_tick(struct order *order, int64_t now) {
  const struct ledger_entry *entry = &order->ledger.entry;
  if (order->again) order_commit(order);
  if (order->provisional && !order->asked) order_look_up(order);
  if (order->committed < order->commits) return now + SECOND_US;
  if (entry->custody == LEDGER_HERE && state_is_open(entry->state)) {
    order_hand_over(order);
    if (now < order->deadline) return order->deadline;
    expire(order, now);
    return now + SECOND_US;
  }
  if (order->recalled_until && now >= order->recalled_until && entry->state == STATE_UNKNOWN) {
    order_free(order);
    return now + SECOND_US;
  }
  return is_unsettled_there(order) ? tick_there(order, now) : order_tell_decision(order, now);
}

int64_t orders_tick(struct orders *orders) {
  int64_t now = wall(orders), next = now + SECOND_US;
  struct table_cursor cursor = TABLE_CURSOR_NULL;
  void *order;
  while (table_next(&orders->open, &cursor, NULL, &order)) {
    int64_t due = order_tick(order, now);
    if (due < next) next = due;
  }
  orders_recall_step(orders);
  return next;
}
