/* The halves of agreements: ours by the configuration, theirs as they tell it; who is told what, until it is durable
 * there. */
#include "broker/broker.h"
#include "common/base/cursor.h"
#include "common/base/mem.h"
#include <stdlib.h>

#define HALF_AGAIN_US (10 * SECOND_US) /* where no TAKEN came */
#define QUOTA_SAVE_US (60 * SECOND_US)
#define HALF_RETRY_US (50 * MILLISECOND_US) /* where the connection takes no more just now */

static void change_done(void *ctx, void *cookie, const struct store_done *done) {
  (void)ctx, (void)cookie;
  if (done->kind == STORE_DONE_REFUSED)
    log_warning("agreements", NULL, "the store is full: a change of an agreement was not recorded");
}

static void commit(struct broker *broker, struct store_batch *batch, errand_fn *done, void *cookie) {
  if (store_batch_is_empty(batch)) {
    store_batch_free(batch);
    return;
  }
  store_batch_urgent(batch);
  errands_submit(&broker->errands, ERRAND_URGENT, batch, done, broker, cookie);
}

/* ---- ours ---- */

static bool is_configured(const struct broker_config *config, const char *peer) {
  for (size_t i = 0; i < config->peer_count; i++)
    if (strcmp(config->peers[i].name, peer) == 0) return true;
  return false;
}

void broker_agreements_configure(struct broker *broker) {
  struct agreements *agreements = &broker->agreements;
  struct peer_from next = links_next(&broker->links);
  int64_t now = world_now(broker->daemon.world).wall;
  struct store_batch *batch = store_batch_new();
  for (size_t i = 0; i < broker->config->peer_count; i++)
    (void)agreements_set(agreements, &broker->config->peers[i], &next, now, batch);
  agreements_settle(agreements, batch);
  links_configure(&broker->links, broker->config);
  for (size_t i = 0; i < agreements->count; i++) /* after its link, which looked into it */
    if (!is_configured(broker->config, agreements->items[i]->peer))
      (void)agreements_end(agreements->items[i], agreements, &next, now, batch);
  commit(broker, batch, change_done, NULL);
  broker->halves_at = broker->snapshots_at = 0;
}

void broker_agreement_session(struct broker *broker, struct link *link, bool up) {
  link->half_told = 0;
  link->held_told = false;
  link->held_there = 0;
  link->half_at = up ? world_now(broker->daemon.world).mono : 0;
  broker->halves_at = 0;
}

/* false: it has to wait. */
static bool tell_half(struct broker *broker, struct link *link) {
  struct buffer body = BUFFER_NULL;
  agreement_put(&body, link->agreement);
  bool sent = node_message_behind(broker->node, link->peer, HALF_MESSAGE, buffer_bytes(&body));
  buffer_deinit(&body);
  return sent;
}

/* That something waits for the quota, or no longer. */
static void tell_quota(struct broker *broker, struct link *link) {
  struct quota *quota = &link->agreement->quota;
  struct buffer body = BUFFER_NULL;
  struct writer w;
  if (!link->most.bytes && !link->most.readings) quota->held_since = 0;
  bool held = quota->held_since != 0;
  if (held == link->held_told) return;
  writer_init(&w, &body, 16);
  writer_zigzag(&w, quota->held_since);
  if (node_message(broker->node, link->peer, HALF_QUOTA, buffer_bytes(&body))) link->held_told = held;
  buffer_deinit(&body);
}

/* What is derived from what passes: a crash forgets little of it. */
static void save_derived(struct broker *broker, int64_t now) {
  if (now < broker->quotas_at) return;
  broker->quotas_at = now + QUOTA_SAVE_US;
  struct store_batch *batch = store_batch_new();
  for (size_t i = 0; i < broker->links.count; i++)
    if (broker->links.items[i]->is_peer && broker->links.items[i]->most.bytes)
      agreement_save_quota(broker->links.items[i]->agreement, batch);
  granted_save(&broker->granted, batch);
  commit(broker, batch, change_done, NULL);
}

void broker_agreements_stop(struct broker *broker) {
  broker->quotas_at = 0;
  save_derived(broker, world_now(broker->daemon.world).mono);
}

int64_t broker_agreements_tick(struct broker *broker, int64_t now) {
  int64_t next = now + SECOND_US;
  save_derived(broker, now);
  for (size_t i = 0; i < broker->links.count; i++) {
    struct link *link = broker->links.items[i];
    if (link->is_peer) tell_quota(broker, link);
    if (!link->is_peer || !link->half_at) continue;
    if (link->half_at <= now && tell_half(broker, link)) link->half_at = now + HALF_AGAIN_US;
    if (link->half_at <= now && now + HALF_RETRY_US < next) next = now + HALF_RETRY_US;
  }
  return next;
}

/* ---- theirs ---- */

struct telling {
  char *principal;
  uint64_t version;
};

/* Durable: the neighbour need not repeat it. */
static void half_done(void *ctx, void *cookie, const struct store_done *done) {
  struct broker *broker = ctx;
  struct telling *telling = cookie;
  struct link *link = links_find(&broker->links, telling->principal);
  struct buffer body = BUFFER_NULL;
  struct writer w;
  writer_init(&w, &body, 16);
  writer_varint(&w, telling->version);
  if (link && done->kind == STORE_DONE_BATCH)
    (void)node_message(broker->node, link->peer, HALF_TAKEN, buffer_bytes(&body));
  else
    change_done(ctx, NULL, done);
  buffer_deinit(&body);
  free(telling->principal);
  free(telling);
}

static void answer(struct broker *broker, struct link *link, struct store_batch *batch) {
  struct telling *telling = mem_alloc(sizeof *telling);
  *telling = (struct telling){mem_text(link->principal, strlen(link->principal)), link->agreement->their_version};
  if (store_batch_is_empty(batch)) {
    store_batch_free(batch);
    half_done(broker, telling, &(struct store_done){.kind = STORE_DONE_BATCH});
  } else {
    commit(broker, batch, half_done, telling);
  }
}

static void take_half(struct broker *broker, struct link *link, struct bytes body) {
  struct instant now = world_now(broker->daemon.world);
  struct peer_from next = links_next(&broker->links);
  struct store_batch *batch = store_batch_new();
  const char *why = NULL;
  uint64_t suppressed;
  switch (agreement_take(link->agreement, &broker->agreements, body, &next, now.wall, batch, &why)) {
    case AGREEMENT_SAME: answer(broker, link, batch); return;
    case AGREEMENT_MALFORMED:
      store_batch_free(batch);
      if (log_allow(&link->limit, now.mono, &suppressed))
        log_warning(
            "agreements", link->principal, "its half of the agreement cannot be read and the old one stays: %s", why);
      return;
    case AGREEMENT_TAKEN: break;
  }
  log_notice("agreements", link->principal, "told version %llu of its half",
      (unsigned long long)link->agreement->their_version);
  links_renew(&broker->links);
  broker->snapshots_at = 0;
  answer(broker, link, batch);
}

void broker_agreement_message(struct broker *broker, struct link *link, uint8_t type, struct bytes body) {
  struct reader r;
  uint64_t suppressed;
  if (type == HALF_MESSAGE) {
    /* each one costs a commit and an entry of the log; what is passed over is repeated */
    if (log_allow(&link->half_limit, world_now(broker->daemon.world).mono, &suppressed)) take_half(broker, link, body);
    return;
  }
  reader_init(&r, body);
  if (type == HALF_QUOTA) {
    link->held_there = reader_zigzag(&r);
    return;
  }
  link->half_told = reader_varint(&r);
  if (r.failed || link->half_told != link->agreement->our_version) return;
  link->half_at = 0;
  struct store_batch *batch = store_batch_new();
  (void)agreement_taken(link->agreement, link->half_told, world_now(broker->daemon.world).wall, batch);
  commit(broker, batch, change_done, NULL);
}
