/* What the store holds of an order, and the one place where a transition gets into a batch; and what gives way to it.
 */
#include "broker/order.h"
#include "common/audit/note.h"
#include "common/base/mem.h"
#include <stdlib.h>

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

/* what the store shall hold of it now */
static void order_put(struct order *order, struct store_batch *batch) {
  char text[COMMAND_ID_MAX + 2];
  struct bytes key = open_key(order, text), value = buffer_bytes(&order->ledger.storage);
  bool final = state_is_final(order->ledger.entry.state) && !order->provisional;
  if (final) put_final(order, batch, value);
  if (!final || order_decision_pending(order))
    store_batch_put(batch, STORE_COMMANDS, key, value);
  else
    store_batch_delete(batch, STORE_COMMANDS, key);
  note_command(batch, bytes_text(order->owner->node), &order->ledger.entry,
      order->noted | order->noting | order->reporting, true);
  store_batch_urgent(batch);
  order_count(order);
}

static void withdrawn(void *ctx, void *cookie, const struct store_done *done) { (void)ctx, (void)cookie, (void)done; }

void order_withdraw(struct order *order) {
  struct orders *orders = order->owner;
  char text[COMMAND_ID_MAX + 2];
  struct store_batch *batch = store_batch_new();
  store_batch_delete(batch, STORE_COMMANDS, open_key(order, text));
  store_batch_urgent(batch);
  orders->hooks.commit(orders->hooks.ctx, batch, withdrawn, orders, NULL);
  order_free(order);
}

/* What a batch that is under way notes is noted once: here for own commits, in order_noted for reports. A commit that
 * is refused makes the next one note all of it again. */
static void note_done(struct order *order, bool refused) {
  if (refused)
    order->noting = 0;
  else if (order->committed == order->commits)
    order->noted |= order->noting;
  if (order->committed == order->commits) order->noting = 0;
  if (order->decided_in != order->committed) return;
  if (!refused) buffer_clear(&order->decided);
  order->decided_in = 0;
}

static void note_goes(struct order *order, struct store_batch *batch) {
  order->noting |= note_states(&order->ledger.entry) & ~order->reporting;
  if (!order->decided.len) return;
  note_put(batch, buffer_bytes(&order->decided));
  order->decided_in = order->commits + 1;
}

/* A record that comes again may be there because the batch that noted it was refused: it is noted again, unless that is
 * known to be durable. */
void order_put_report(struct order *order, struct store_batch *batch, const struct report *report) {
  uint32_t state = 1u << report->state;
  order->reporting &= ~state;
  order_put(order, batch);
  order->reporting |= state;
}

void order_noted(struct order *order, const struct report *report) {
  if (order->ledger.entry.times[report->state] != report->time) return;
  order->noted |= 1u << report->state;
  order->reporting &= ~(1u << report->state);
}

void order_note_again(struct order *order) {
  uint32_t state = 1u << order->ledger.entry.state;
  order->noted &= ~state;
  order->noting &= ~state;
  order->reporting &= ~state;
}

/* An earlier one that is not durable yet, and maybe never by its own commit, is noted by itself. */
void order_decided(struct order *order, const struct decision *decision, const char *by) {
  if (order->decided.len) orders_note(order->owner, buffer_bytes(&order->decided));
  buffer_clear(&order->decided);
  order->decided_in = 0;
  note_decision(&order->decided, bytes_text(order->owner->node),
      &(struct note_decision){
          .decision = decision, .about = &order->ledger.entry, .by = by, .time = world_now(order->owner->world).wall});
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

static void commit_done_one(struct order *order, bool refused) {
  order->committed++;
  note_done(order, refused);
  if (refused && !order->accepted) {
    refuse_full(order);
    return;
  }
  if (refused)
    order->again = true;
  else
    order->accepted = true;
  order_hand_over(order);
  order_tell_decision(order, world_now(order->owner->world).wall);
  order_release_own(order);
}

/* The cookie is the ids, each with its NUL and one more at the end, since an order may be gone when the answer comes.
 */
static void commit_done(void *ctx, void *cookie, const struct store_done *done) {
  struct orders *orders = ctx;
  for (const char *id = cookie; *id; id += strlen(id) + 1) {
    struct order *order = table_get(&orders->open, bytes_text(id));
    if (order) commit_done_one(order, done->kind == STORE_DONE_REFUSED);
  }
  free(cookie);
}

/* One batch with the transitions of several orders. */
struct committing {
  struct store_batch *batch;
  struct buffer ids;
  size_t count;
};

static void committing_add(struct committing *committing, struct order *order) {
  if (!committing->batch) committing->batch = store_batch_new();
  order_put(order, committing->batch);
  note_goes(order, committing->batch);
  order->again = false;
  order->commits++;
  buffer_append(&committing->ids, order->ledger.entry.id);
  buffer_append(&committing->ids, bytes_of("", 1));
  committing->count++;
}

static void committing_submit(struct committing *committing, struct orders *orders) {
  if (!committing->batch) return;
  buffer_append(&committing->ids, bytes_of("", 1));
  orders->hooks.commit(orders->hooks.ctx, committing->batch, commit_done, orders, committing->ids.data);
  *committing = (struct committing){0}; /* consumed */
}

void order_commit(struct order *order) {
  struct committing committing = {0};
  struct orders *orders = order->owner;
  committing_add(&committing, order);
  committing_submit(&committing, orders);
}

/* ---- one takes the place of others ---- */

enum { COMMIT_ORDERS = 32 }; /* in one batch: their entries are large */

static bool waits_here(const struct order *order) {
  const struct ledger_entry *entry = &order->ledger.entry;
  return entry->custody == LEDGER_HERE && (entry->state == STATE_ACCEPTED || entry->state == STATE_APPROVAL);
}

static bool gives_way(const struct order *older, const struct order *newer) {
  if (older == newer || !waits_here(older) || strcmp(older->point, newer->point) != 0) return false;
  if (newer->verb == COMMAND_STOP) return older->verb != COMMAND_STOP;
  return newer->verb == COMMAND_SET && older->verb == COMMAND_SET && older->number < newer->number;
}

static void supersede(struct order *older, const struct order *newer) {
  struct ledger_entry *entry = &older->ledger.entry;
  char message[COMMAND_ID_MAX + 64], hint[COMMAND_ID_MAX + 128];
  if (ledger_move(entry, ACTOR_BROKER, STATE_SUPERSEDED, world_now(older->owner->world).wall)) return;
  entry->code = CODE_SUPERSEDED;
  snprintf(message, sizeof message, "the %s " BYTES_FMT " for the same point took its place",
      newer->verb == COMMAND_STOP ? "stop" : "command", BYTES_ARG(newer->ledger.entry.id));
  snprintf(hint, sizeof hint, ORDERS_NEWER_HINT, BYTES_ARG(newer->ledger.entry.id));
  entry->message = bytes_text(message);
  entry->hint = bytes_text(hint);
  order_say(older);
}

bool order_is_overtaken(const struct order *order) {
  return order->ledger.entry.state == STATE_SENT && order->ledger.entry.overtaken_by.len > 0;
}

static bool moves(const struct order *order) { return order->verb == COMMAND_SET || order->verb == COMMAND_STOP; }

static bool can_be_overtaken(const struct order *order) {
  return order->ledger.entry.state == STATE_SENT && order->verb == COMMAND_SET && !order_is_overtaken(order);
}

/* Durable with the newer one's acceptance, so that a start knows it when the newer one has long ended. */
static void overtake(struct order *older, const struct order *newer) {
  older->ledger.entry.overtaken_by = newer->ledger.entry.id;
  ledger_keep(&older->ledger);
}

static bool yield(struct order *older, const struct order *newer) {
  if (gives_way(older, newer)) {
    supersede(older, newer);
    return true;
  }
  if (older == newer || !moves(newer) || !can_be_overtaken(older) || older->number > newer->number ||
      strcmp(older->point, newer->point) != 0)
    return false;
  overtake(older, newer);
  return true;
}

static void commit_with_what_gives_way(struct order *order) {
  struct committing committing = {0};
  struct orders *orders = order->owner;
  struct table_cursor cursor = TABLE_CURSOR_NULL;
  void *other;
  committing_add(&committing, order);
  while (table_next(&orders->open, &cursor, NULL, &other)) {
    if (!yield(other, order)) continue;
    committing_add(&committing, other);
    if (committing.count >= COMMIT_ORDERS) committing_submit(&committing, orders);
  }
  committing_submit(&committing, orders);
}

void order_enter(struct order *order) {
  struct orders *orders = order->owner;
  struct ledger_entry *entry = &order->ledger.entry;
  struct order_station station;
  int64_t now = world_now(orders->world).wall;
  bool up = orders_receiver(orders, entry->station, &station);
  if (entry->state == STATE_APPROVAL && !order_judge_again(order)) {
    order_commit(order); /* nothing gives way to it */
    return;
  }
  if ((!up || entry->state == STATE_NONE) && ledger_move(entry, ACTOR_BROKER, STATE_ACCEPTED, now) == 0)
    order_say(order);
  if (up && ledger_move(entry, ACTOR_BROKER, STATE_SENT, now) == 0) {
    entry->epoch = station.epoch;
    order->of_session = true;
    order->told = 0;
    order_say(order);
  }
  commit_with_what_gives_way(order);
}

/* ---- the start ---- */

static int64_t taken_at(const struct order *order) {
  const int64_t *times = order->ledger.entry.times;
  return times[STATE_APPROVAL] ? times[STATE_APPROVAL] : times[STATE_ACCEPTED];
}

static int by_time(const void *a, const void *b) {
  int64_t x = taken_at(*(struct order *const *)a), y = taken_at(*(struct order *const *)b);
  return (x > y) - (x < y);
}

/* The mark is durable with what overtakes, but where so much gave way that it took more than one batch, and in what
 * an older version wrote. One that still waits for a person takes no place. */
void orders_put_in_order(struct orders *orders) {
  struct table later = TABLE_NULL; /* point -> what was given last for it */
  struct table_cursor cursor = TABLE_CURSOR_NULL;
  struct order **all = mem_alloc((orders->open.count + 1) * sizeof *all);
  size_t count = 0;
  void *value;
  while (table_next(&orders->open, &cursor, NULL, &value)) all[count++] = value;
  qsort(all, count, sizeof(struct order *), by_time);
  for (size_t i = 0; i < count; i++) all[i]->number = i + 1;
  for (size_t i = count; i-- > 0;) {
    const struct order *newer = table_get(&later, bytes_text(all[i]->point));
    if (newer && can_be_overtaken(all[i])) overtake(all[i], newer);
    /* the times of one that is overtaken may be those of a clock that was set back meanwhile */
    bool counts = moves(all[i]) && all[i]->ledger.entry.state != STATE_APPROVAL && !order_is_overtaken(all[i]);
    if (counts && !newer) table_put(&later, bytes_text(all[i]->point), all[i]);
  }
  orders->numbers = count;
  table_deinit(&later, NULL);
  free(all);
}
