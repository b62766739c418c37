/*
 * What a neighbour's broker remembers, so that its "never received" can be believed or not. Its store may be put back
 * to an old copy, which knows nothing of the commands that were taken since. Each opening of a store is noted in it
 * (STORE_META, "orders/lives", the newest SETTLE_LIVES_MAX), and told to neighbours as a session begins; who hands a
 * command over notes the opening that took it. A store that does not remember that opening has no word about the
 * command but what its station signed.
 */
#include "broker/order.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include <stdlib.h>

static const char lives_key[] = "orders/lives";

/* ---- our own ---- */

static bool load_one(void *ctx, struct bytes key, struct bytes value) {
  struct orders *orders = ctx;
  if (bytes_equal(key, bytes_text(lives_key)) && settle_get_lives(value, &orders->lives)) orders->lives.count = 0;
  return true;
}

int orders_lives_load(struct orders *orders, struct store *store) {
  struct settle_lives *lives = &orders->lives;
  int outcome = store_scan(store, STORE_META, load_one, orders);
  if (lives->count == SETTLE_LIVES_MAX) lives->count--;
  memmove(&lives->lives[1], &lives->lives[0], lives->count * sizeof lives->lives[0]);
  lives->lives[0] = (struct epoch){(uint64_t)world_now(orders->world).wall, store_run(store)};
  lives->count++;
  return outcome;
}

static void kept(void *ctx, void *cookie, const struct store_done *done) {
  struct orders *orders = ctx;
  (void)cookie;
  if (done->kind == STORE_DONE_REFUSED) orders->lives_kept = false; /* at the next session */
}

/* Before the first command is taken from a neighbour: what is durable of that is so after this. */
static void keep(struct orders *orders) {
  struct store_batch *batch = store_batch_new();
  struct buffer value = BUFFER_NULL;
  settle_put_lives(&value, &orders->lives);
  store_batch_put(batch, STORE_META, bytes_text(lives_key), buffer_bytes(&value));
  store_batch_urgent(batch);
  orders->lives_kept = true;
  orders->hooks.commit(orders->hooks.ctx, batch, kept, orders, NULL);
  buffer_deinit(&value);
}

/* ---- a neighbour's ---- */

struct past {
  struct settle_lives lives;
  bool heard;    /* in this session */
  int64_t since; /* mono, of the session */
};

static struct past *past_of(struct orders *orders, struct bytes peer) {
  struct past *past = table_get(&orders->pasts, peer);
  if (past) return past;
  past = mem_alloc(sizeof *past);
  table_put(&orders->pasts, peer, past);
  return past;
}

void orders_lives_session(struct orders *orders, struct bytes peer) {
  struct past *past = past_of(orders, peer);
  struct buffer body = BUFFER_NULL;
  past->heard = false;
  past->since = world_now(orders->world).mono;
  if (!orders->lives_kept) keep(orders);
  settle_put_lives(&body, &orders->lives);
  orders->hooks.send(orders->hooks.ctx, peer, SETTLE_LIVES, buffer_bytes(&body));
  buffer_deinit(&body);
}

bool orders_lives_heard(struct orders *orders, struct bytes peer, struct bytes body) {
  struct past *past = past_of(orders, peer);
  struct table_cursor cursor = TABLE_CURSOR_NULL;
  void *value;
  past->heard = settle_get_lives(body, &past->lives) == 0 && past->lives.count > 0;
  if (!past->heard) return false;
  while (table_next(&orders->open, &cursor, NULL, &value)) {
    struct order *order = value;
    if (bytes_equal(order->ledger.entry.station, peer)) order_hand_over(order);
  }
  return true;
}

bool orders_receiver(struct orders *orders, struct bytes node, struct order_station *out) {
  if (!orders->hooks.station(orders->hooks.ctx, node, out) || !out->up) return false;
  if (!out->peer) return true;
  const struct past *past = past_of(orders, out->node);
  out->epoch = past->heard ? past->lives.lives[0] : (struct epoch){0, 0};
  return past->heard || world_now(orders->world).mono - past->since >= ORDERS_LIVES_US;
}

enum order_memory order_memory(const struct order *order) {
  struct orders *orders = order->owner;
  struct epoch noted = order->ledger.entry.epoch;
  const struct past *past = table_get(&orders->pasts, order->ledger.entry.station);
  if (!order->handed_over) return ORDER_REMEMBERED;
  if (!past || !past->heard || (!noted.created && !noted.random)) return ORDER_NOT_KNOWN;
  for (uint32_t i = 0; i < past->lives.count; i++)
    if (epoch_compare(past->lives.lives[i], noted) == 0) return ORDER_REMEMBERED;
  return ORDER_FORGOTTEN;
}

bool order_lose(struct order *order) {
  struct ledger_entry *entry = &order->ledger.entry;
  char message[ADDRESS_MAX + 128];
  if (ledger_move(entry, ACTOR_TIMER, STATE_UNKNOWN, world_now(order->owner->world).wall)) return false;
  snprintf(message, sizeof message, "an older store was put in place at " BYTES_FMT ", which does not know the command",
      BYTES_ARG(entry->station));
  entry->code = CODE_NO_ANSWER;
  entry->message = bytes_text(message);
  entry->decision = BYTES_NULL;
  order_say(order);
  return true;
}
