/* What stations and neighbours tell of their own streams' past (common/node/epochs.h): what a store of theirs promised
 * that is no more is named as lost, here and to all neighbours that get the stream. */
#include "broker/broker.h"
#include "broker/gaps.h"
#include "common/base/mem.h"
#include "common/node/epochs.h"
#include <stdlib.h>

struct naming {
  struct broker *broker;
  const struct link *link;
  const struct epochs *epochs;
  struct bytes by;            /* whose word it is: the province's */
  struct store_discard *lost; /* texts owned */
  size_t count;
};

static struct bytes keep(struct bytes text) { return bytes_of(mem_copy(text.data, text.len), text.len); }
static void drop(struct bytes text) { free((void *)(uintptr_t)text.data); }

static void naming_free(struct naming *naming) {
  for (size_t i = 0; i < naming->count; i++) {
    drop(naming->lost[i].stream);
    drop(naming->lost[i].by);
  }
  free(naming->lost);
  free(naming);
}

struct settled {
  struct epoch epoch;
  struct bytes origin;
  struct intervals *ranges;
};

/* What the origin named itself, or was named as lost before, is not named again. */
static void take_settled(void *ctx, const struct store_discard *discard) {
  struct settled *settled = ctx;
  bool lost = bytes_equal(discard->reason, bytes_text(GAP_LOST_REASON));
  if (epoch_compare(discard->epoch, settled->epoch) == 0 && (lost || bytes_equal(discard->by, settled->origin)))
    intervals_add(settled->ranges, discard->from, discard->to);
}

static void add_lost(struct naming *naming, const struct store_stream *stream, const struct intervals *ranges) {
  for (size_t i = 0; i < ranges->count; i++) {
    naming->lost = mem_resize(naming->lost, naming->count + 1, sizeof *naming->lost);
    naming->lost[naming->count++] = (struct store_discard){.stream = keep(stream->stream),
        .epoch = stream->epoch,
        .from = ranges->items[i].from,
        .to = ranges->items[i].to,
        .by = keep(naming->by),
        .reason = bytes_text(GAP_LOST_REASON),
        .time = world_now(naming->broker->daemon.world).wall};
  }
}

static void look(void *ctx, const struct store_stream *stream) {
  struct naming *naming = ctx;
  struct store *store = naming->broker->daemon.store;
  struct bytes owner = stream_owner(stream->stream);
  struct intervals held = INTERVALS_NULL, lost = INTERVALS_NULL;
  if (!bytes_equal(owner, bytes_text(naming->link->node))) return;
  enum channel own = owner.len == stream->stream.len ? CHANNEL_TELEMETRY : CHANNEL_URGENT;
  struct settled settled = {stream->epoch, owner, &held};
  store_held(store, stream->stream, stream->epoch, &held);
  store_discards(store, stream->stream, take_settled, &settled);
  if (stream->last > 0) epochs_lost(naming->epochs, own, stream->epoch, stream->last, &held, &lost);
  add_lost(naming, stream, &lost);
  intervals_deinit(&held);
  intervals_deinit(&lost);
}

static void tell_event(struct broker *broker, const struct store_discard *lost) {
  struct buffer text = BUFFER_NULL;
  buffer_printf(&text, "{\"stream\":");
  json_put_text(&text, lost->stream);
  buffer_printf(&text, ",\"epoch\":\"");
  epoch_put_text(&text, lost->epoch);
  buffer_printf(&text, "\",\"from\":%llu,\"to\":%llu}", (unsigned long long)lost->from, (unsigned long long)lost->to);
  broker_event(broker, GAP_LOST_REASON, buffer_bytes(&text));
  buffer_deinit(&text);
}

static void named(void *ctx, void *cookie, const struct store_done *done) {
  struct broker *broker = ctx;
  struct naming *naming = cookie;
  if (done->kind == STORE_DONE_BATCH && broker->node) {
    node_name_gone(broker->node, naming->lost, naming->count);
    for (size_t i = 0; i < naming->count; i++) tell_event(broker, &naming->lost[i]);
  } else if (done->kind == STORE_DONE_REFUSED) {
    log_warning("gaps", NULL, "the store is full: what is lost is named at the next session");
  }
  naming_free(naming);
}

static void tell_orders(struct broker *broker, const struct link *link, const struct epochs *epochs) {
  struct epoch known[EPOCHS_MAX];
  size_t count = 0;
  for (size_t i = 0; i < epochs->count; i++)
    if (epochs->items[i].own == CHANNEL_URGENT) known[count++] = epochs->items[i].epoch;
  orders_epochs(broker->orders, bytes_text(link->node), known, count);
}

void broker_past_message(struct broker *broker, const struct link *link, struct bytes body) {
  struct epochs epochs;
  if (epochs_get(body, &epochs) != 0) {
    log_warning("gaps", link->principal, "what it tells of its epochs cannot be read");
    return;
  }
  if (!link->is_peer) tell_orders(broker, link, &epochs);
  struct naming *naming = mem_alloc(sizeof *naming);
  *naming = (struct naming){.broker = broker,
      .link = link,
      .epochs = &epochs,
      .by = bytes_text(link->is_peer ? link->node : broker->links.name)};
  store_streams(broker->daemon.store, look, naming);
  naming->epochs = NULL;
  if (naming->count == 0) {
    naming_free(naming);
    return;
  }
  struct store_batch *batch = store_batch_new();
  for (size_t i = 0; i < naming->count; i++) store_batch_discard(batch, &naming->lost[i]);
  store_batch_urgent(batch);
  errands_submit(&broker->errands, ERRAND_URGENT, batch, named, broker, naming);
}

void broker_past_session(struct broker *broker, const struct link *link) {
  struct epochs epochs;
  struct buffer body = BUFFER_NULL;
  epochs_of(&epochs, broker->daemon.store, broker->links.name);
  epochs_put(&body, &epochs);
  (void)node_message(broker->node, link->peer, EPOCHS_MESSAGE, buffer_bytes(&body));
  buffer_deinit(&body);
}
