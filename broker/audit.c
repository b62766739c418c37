/*
 * The broker's own part of the audit log: starts, configurations, and signed checkpoints: its own, which go to every
 * neighbour, and those of stations (events on their urgent streams) and neighbours (messages), which it keeps.
 */
#include "broker/broker.h"
#include "common/audit/note.h"
#include "common/base/mem.h"
#include <stdlib.h>

static struct bytes node_of(const struct broker *broker) { return bytes_text(broker->config->node); }
static struct store_audit head_of(const struct broker *broker) {
  struct store_audit head;
  store_audit_head(broker->daemon.store, &head);
  return head;
}
static int64_t mono(const struct broker *broker) { return world_now(broker->daemon.world).mono; }
static int64_t wall(const struct broker *broker) { return world_now(broker->daemon.world).wall; }

static void submit_done(void *ctx, void *cookie, const struct store_done *done) {
  (void)ctx, (void)cookie;
  if (done->kind == STORE_DONE_REFUSED)
    log_warning("audit", NULL, "the store is full: a start or a configuration was not recorded");
}

/* ---- the start ---- */

static bool load_one(void *ctx, struct bytes key, struct bytes value) {
  book_load(ctx, key, value);
  return true;
}

int broker_audit_load(struct broker *broker) {
  pace_init(&broker->pace, broker->config->audit.checkpoint_us, head_of(broker).number);
  return store_scan(broker->daemon.store, STORE_META, load_one, &broker->book);
}

void broker_audit_start(struct broker *broker) {
  const struct store *store = broker->daemon.store;
  struct store_batch *batch = store_batch_new();
  note_start(batch, node_of(broker), store_run(store), store_created(store), wall(broker));
  note_config(batch, node_of(broker), "loaded", broker->config_path, wall(broker));
  errands_submit(&broker->errands, ERRAND_URGENT, batch, submit_done, NULL, NULL);
}

void broker_audit_reload(struct broker *broker) {
  struct store_batch *batch = store_batch_new();
  broker->pace.every_us = broker->config->audit.checkpoint_us;
  note_config(batch, node_of(broker), "reloaded", broker->config_path, wall(broker));
  errands_submit(&broker->errands, ERRAND_URGENT, batch, submit_done, NULL, NULL);
}

/* ---- its own checkpoints ---- */

static void sign(struct broker *broker, struct buffer *out, const struct store_audit *head) {
  struct audit_checkpoint checkpoint = {.node = node_of(broker), .number = head->number, .time = wall(broker)};
  memcpy(checkpoint.link, head->link, CHAIN_HASH);
  audit_checkpoint_sign(out, &checkpoint, broker->daemon.identity);
}

/* To those that are there; the others are told when their session comes up. */
static void tell_peers(struct broker *broker) {
  const struct store_audit head = head_of(broker);
  struct buffer bytes = BUFFER_NULL;
  sign(broker, &bytes, &head);
  for (size_t i = 0; i < broker->links.count; i++)
    if (broker->links.items[i]->is_peer)
      (void)node_message(broker->node, broker->links.items[i]->peer, SETTLE_CHECKPOINT, buffer_bytes(&bytes));
  pace_signed(&broker->pace, head.number);
  buffer_deinit(&bytes);
}

int64_t broker_audit_tick(struct broker *broker, int64_t now) {
  if (pace_is_due(&broker->pace, head_of(broker).number, now)) tell_peers(broker);
  return pace_next(&broker->pace);
}

void broker_audit_stop(struct broker *broker) {
  if (pace_has_more(&broker->pace, head_of(broker).number)) tell_peers(broker);
}

void broker_audit_session(struct broker *broker, const struct link *link) {
  const struct store_audit head = head_of(broker);
  struct buffer bytes = BUFFER_NULL;
  if (head.number) {
    sign(broker, &bytes, &head);
    (void)node_message(broker->node, link->peer, SETTLE_CHECKPOINT, buffer_bytes(&bytes));
  }
  buffer_deinit(&bytes);
}

/* ---- those of others ---- */

static bool open_theirs(struct broker *broker, struct audit_checkpoint *checkpoint, const struct config_keys *keys,
    const char *node, struct bytes bytes) {
  uint64_t left_out;
  if (audit_checkpoint_open(checkpoint, bytes) == 0 && config_keys_contain(keys, &checkpoint->key) &&
      bytes_equal(checkpoint->node, bytes_text(node)))
    return true;
  if (log_allow(&broker->audit_limit, mono(broker), &left_out))
    log_warning("audit", node, "a checkpoint that is not its own is not believed");
  return false;
}

/* What is durable is what the next one is compared with; a contradiction is said once it is on record. */
static void keep(struct broker *broker, const struct audit_checkpoint *checkpoint) {
  struct buffer why = BUFFER_NULL;
  uint64_t left_out;
  enum book_verdict verdict = book_judge(&broker->book, checkpoint, &why);
  if (verdict == BOOK_CONTRADICTS && log_allow(&broker->audit_limit, mono(broker), &left_out)) {
    log_error("audit", NULL, "%s", buffer_text(&why));
    broker_event(broker, "audit-contradiction", buffer_bytes(&why));
  }
  if (verdict != BOOK_KNOWN) book_keep(&broker->book, checkpoint);
  buffer_deinit(&why);
}

static bool put(struct broker *broker, const struct audit_checkpoint *checkpoint, struct store_batch *batch) {
  struct buffer why = BUFFER_NULL;
  enum book_verdict verdict = book_judge(&broker->book, checkpoint, &why);
  bool goes = verdict != BOOK_KNOWN && book_has_room(&broker->book, checkpoint->node, mono(broker));
  if (goes)
    book_put(batch, node_of(broker), checkpoint, verdict == BOOK_CONTRADICTS ? buffer_text(&why) : NULL, wall(broker));
  buffer_deinit(&why);
  return goes;
}

static bool is_checkpoint(const struct link *link, const struct record *record) {
  struct buffer address = BUFFER_NULL;
  buffer_printf(&address, "%s/riverbus/audit", link->node);
  bool is = record->kind == RECORD_EVENT && record->value.type == VALUE_BYTES &&
            bytes_equal(record->address, buffer_bytes(&address));
  buffer_deinit(&address);
  return is;
}

static void each_checkpoint(struct broker *broker, const struct link *link, const struct block *block,
    void (*take)(struct broker *broker, const struct audit_checkpoint *checkpoint, struct store_batch *batch),
    struct store_batch *batch) {
  struct block_reader *reader = NULL;
  struct record record;
  struct audit_checkpoint checkpoint;
  if (block_reader_new(&reader, block)) return;
  while (block_reader_next(reader, &record) == 0)
    if (is_checkpoint(link, &record) &&
        open_theirs(broker, &checkpoint, &link->station->keys, link->node, record.value.bytes))
      take(broker, &checkpoint, batch);
  block_reader_free(reader);
}

static void take_admitted(struct broker *broker, const struct audit_checkpoint *checkpoint, struct store_batch *batch) {
  (void)put(broker, checkpoint, batch);
}

static void take_committed(
    struct broker *broker, const struct audit_checkpoint *checkpoint, struct store_batch *batch) {
  (void)batch;
  keep(broker, checkpoint);
}

void broker_audit_admit(
    struct broker *broker, const struct link *link, const struct block *block, struct store_batch *batch) {
  each_checkpoint(broker, link, block, take_admitted, batch);
}

void broker_audit_committed(struct broker *broker, const struct link *link, const struct block *block) {
  each_checkpoint(broker, link, block, take_committed, NULL);
}

/* The cookie is the verbatim checkpoint. */
static void message_done(void *ctx, void *cookie, const struct store_done *done) {
  struct broker *broker = ctx;
  struct buffer *bytes = cookie;
  struct audit_checkpoint checkpoint;
  if (done->kind == STORE_DONE_BATCH && audit_checkpoint_open(&checkpoint, buffer_bytes(bytes)) == 0) {
    keep(broker, &checkpoint);
    pace_pass(&broker->pace, head_of(broker).number);
  }
  buffer_deinit(bytes);
  free(bytes);
}

void broker_audit_message(struct broker *broker, const struct link *link, struct bytes body) {
  struct audit_checkpoint checkpoint;
  if (!open_theirs(broker, &checkpoint, &link->config->keys, link->node, body)) return;
  struct store_batch *batch = store_batch_new();
  if (!put(broker, &checkpoint, batch)) {
    store_batch_free(batch);
    return;
  }
  struct buffer *bytes = mem_alloc(sizeof *bytes);
  buffer_append(bytes, body);
  errands_submit(&broker->errands, ERRAND_URGENT, batch, message_done, broker, bytes);
}
