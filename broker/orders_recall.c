/* Unknown commands are not held in memory: they are read back, station by station, when their station can be asked for
 * them, and go again when they are settled or nobody knew more in time. */
#include "broker/order.h"
#include "common/base/mem.h"
#include <stdlib.h>

#define RECALLED_US (30 * SECOND_US) /* an answer takes a round trip; thin links are slow */
enum { RECALLED_MAX = 1024, RECALL_BYTES = 32 * 1024 };

struct recall {
  struct recall *next;
  struct buffer prefix;
  size_t station_len;
  struct buffer key; /* where to go on */
};

static struct bytes station_of(const struct recall *recall) {
  return bytes_of(recall->prefix.data + 1, recall->station_len);
}

static void recall_drop_first(struct orders *orders) {
  struct recall *recall = orders->recalls;
  orders->recalls = recall->next;
  if (!orders->recalls) orders->last_recall = &orders->recalls;
  buffer_deinit(&recall->prefix);
  buffer_deinit(&recall->key);
  free(recall);
}

void orders_recall_end(struct orders *orders) {
  errand_forget(orders->recalling);
  orders->recalling = NULL;
  while (orders->recalls) recall_drop_first(orders);
}

struct order *orders_bring_back(struct orders *orders, struct bytes value) {
  struct ledger ledger = {0};
  struct command command;
  if (ledger_load(&ledger, value) || command_read(&command, ledger.entry.command) ||
      table_get(&orders->open, ledger.entry.id)) {
    ledger_deinit(&ledger);
    return NULL;
  }
  struct order *order = order_read_back(orders, &ledger, &command); /* consumes ledger */
  order->recalled_until = world_now(orders->world).wall + RECALLED_US;
  orders->recalled++;
  return order;
}

static bool begins_with(struct bytes text, struct bytes prefix) {
  return text.len >= prefix.len && memcmp(text.data, prefix.data, prefix.len) == 0;
}

/* False: the last of this station was seen. */
static bool take_page(struct orders *orders, struct recall *recall, const struct store_done *done) {
  struct asking asking = {orders, station_of(recall), {0}};
  bool more = done->kind == STORE_DONE_READ && done->next;
  for (size_t i = 0; i < done->keyed_count; i++) {
    const struct store_keyed *row = &done->keyed[i];
    if (!begins_with(row->key, buffer_bytes(&recall->prefix))) {
      more = false;
      break;
    }
    buffer_clear(&recall->key);
    buffer_append(&recall->key, row->key);
    more = more || orders->recalled >= RECALLED_MAX;
    if (orders->recalled >= RECALLED_MAX) break; /* from this one on, when others have gone */
    struct order *order = orders_bring_back(orders, row->value);
    if (order) asking_add(&asking, order);
    buffer_append(&recall->key, bytes_of("", 1)); /* the least key after it */
  }
  asking_flush(&asking);
  return more;
}

static void page_read(void *ctx, void *cookie, const struct store_done *done) {
  struct orders *orders = ctx;
  struct order_station station;
  (void)cookie;
  orders->recalling = NULL;
  orders->recall_under_way = false;
  struct recall *recall = orders->recalls;
  bool there = orders->hooks.station(orders->hooks.ctx, station_of(recall), &station) && station.up;
  if (!there || !take_page(orders, recall, done)) recall_drop_first(orders); /* its next session begins anew */
  orders_recall_step(orders);
}

void orders_recall_step(struct orders *orders) {
  if (!orders->recalls || orders->recall_under_way || orders->recalled >= RECALLED_MAX) return;
  struct store_read read = {.what = STORE_READ_TABLE,
      .table = STORE_COMMANDS,
      .key = buffer_bytes(&orders->recalls->key),
      .max_bytes = RECALL_BYTES};
  orders->recall_under_way = true;
  orders->recalling = orders->hooks.read(orders->hooks.ctx, ERRAND_URGENT, &read, page_read, orders, NULL);
}

void orders_recall(struct orders *orders, struct bytes station) {
  for (const struct recall *at = orders->recalls; at; at = at->next)
    if (bytes_equal(station_of(at), station)) return;
  struct recall *recall = mem_alloc(sizeof *recall);
  order_unknown_key(&recall->prefix, station, BYTES_NULL);
  order_unknown_key(&recall->key, station, BYTES_NULL);
  recall->station_len = station.len;
  *orders->last_recall = recall;
  orders->last_recall = &recall->next;
  orders_recall_step(orders);
}
