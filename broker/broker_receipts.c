/* Receipts of what neighbours gave us: made at each full hour out of the logs, sent until they are answered. */
#include "broker/broker.h"
#include "broker/hostile.h"
#include "common/audit/note.h"
#include "common/base/mem.h"
#include "common/base/units.h"
#include <stdlib.h>

#define HOUR_US (3600 * SECOND_US)
#define AGAIN_US (10 * SECOND_US) /* where no answer came, or the store took nothing */
#define RETRY_US SECOND_US        /* where the connection takes no more just now */
enum { PAGE_BYTES = 128 * 1024 };

struct taken {
  struct receipt_book *book;
  struct receipt_fold fold;
  struct receipt_change change;
};
struct receipt_making {
  int64_t until;                 /* wall: the end of the period */
  uint64_t at[LANES], to[LANES]; /* positions: the last that was looked at, the last of all */
  enum lane lane;
  bool full; /* of the period there is more than one receipt takes */
  struct taken *taken;
  size_t count;
};

static struct instant now_of(const struct broker *broker) { return world_now(broker->daemon.world); }

static void making_end(struct broker *broker) {
  struct receipt_making *making = broker->making;
  broker->making = NULL;
  for (size_t i = 0; i < making->count; i++) receipt_fold_deinit(&making->taken[i].fold);
  free(making->taken);
  free(making);
}

/* ---- what was made ---- */

static void made(void *ctx, void *cookie, const struct store_done *done) {
  struct broker *broker = ctx;
  struct receipt_making *making = broker->making;
  (void)cookie;
  if (done->kind == STORE_DONE_BATCH) {
    for (size_t i = 0; i < making->count; i++) {
      if (making->taken[i].change.number == 0) continue;
      receipt_book_kept(making->taken[i].book, &making->taken[i].change);
      making->taken[i].book->send_at = 0;
    }
    memcpy(broker->receipts.at, making->at, sizeof making->at);
    if (!making->full) broker->receipts.since = making->until;
    broker->receipts_at = 0;
  } else {
    log_warning("receipts", NULL, "the store is full: a receipt was not recorded, it is made again");
    broker->receipts_at = now_of(broker).mono + AGAIN_US;
  }
  making_end(broker);
}

static void note(struct broker *broker, const struct receipt *receipt, struct bytes bytes, struct store_batch *batch) {
  struct buffer text = BUFFER_NULL;
  buffer_printf(&text, "we took %llu records of " BYTES_FMT " from ", (unsigned long long)receipt->records,
      BYTES_ARG(receipt->giver));
  units_put_rfc3339(&text, receipt->from);
  buffer_printf(&text, " to ");
  units_put_rfc3339(&text, receipt->to);
  note_receipt(batch, bytes_text(broker->config->node), buffer_text(&text), bytes, now_of(broker).wall);
  buffer_deinit(&text);
}

static void put(struct broker *broker, struct taken *taken, struct store_batch *batch) {
  uint64_t last = receipt_book_last(taken->book), wall = (uint64_t)now_of(broker).wall;
  struct buffer bytes = BUFFER_NULL;
  receipt_fold_end(&taken->fold);
  hostile_receipt(&taken->fold);
  struct receipt receipt = {.taker = bytes_text(broker->config->node),
      .giver = bytes_text(taken->book->peer),
      .number = wall > last ? wall : last + 1,
      .from = broker->receipts.since,
      .to = broker->making->until,
      .parts = taken->fold.parts,
      .part_count = taken->fold.part_count,
      .records = taken->fold.entry_count};
  if (receipt_sign(&bytes, &receipt, broker->daemon.identity)) {
    taken->change = receipt_book_put(taken->book, receipt.number, buffer_bytes(&bytes), BYTES_NULL, batch);
    note(broker, &receipt, buffer_bytes(&bytes), batch);
  } else { /* its bound does not allow it */
    log_error("receipts", taken->book->peer, "a receipt is too large and was left out");
  }
  buffer_deinit(&bytes);
}

static void commit(struct broker *broker) {
  struct receipt_making *making = broker->making;
  struct store_batch *batch = store_batch_new();
  for (size_t i = 0; i < making->count; i++)
    if (making->taken[i].fold.entry_count > 0) put(broker, &making->taken[i], batch);
  receipt_books_put_place(batch, making->full ? broker->receipts.since : making->until, making->at);
  store_batch_urgent(batch);
  errands_submit(&broker->errands, ERRAND_URGENT, batch, made, broker, NULL);
}

/* ---- making ---- */

static struct taken *taken_of(struct broker *broker, const struct link *link) {
  struct receipt_making *making = broker->making;
  struct receipt_book *book = receipt_books_of(&broker->receipts, bytes_text(link->node), false);
  for (size_t i = 0; i < making->count; i++)
    if (making->taken[i].book == book) return &making->taken[i];
  making->taken = mem_resize(making->taken, making->count + 1, sizeof *making->taken);
  making->taken[making->count] = (struct taken){.book = book};
  return &making->taken[making->count++];
}

/* False: a receipt is full. */
static bool take(struct broker *broker, const struct store_entry *entry) {
  struct block block;
  if (!entry->block || entry->source.len == 0 || block_open(&block, blob_bytes(entry->block))) return true;
  char *principal = mem_text(entry->source.data, entry->source.len);
  const struct link *link = links_find(&broker->links, principal);
  free(principal);
  return !link || !link->is_peer || receipt_fold_add(&taken_of(broker, link)->fold, &block);
}

static void read_page(struct broker *broker);

static void page_read(void *ctx, void *cookie, const struct store_done *done) {
  struct broker *broker = ctx;
  struct receipt_making *making = broker->making;
  (void)cookie;
  if (done->kind != STORE_DONE_READ) { /* the end of the process */
    making_end(broker);
    return;
  }
  for (size_t i = 0; i < done->entry_count && !making->full; i++) {
    making->full = !take(broker, &done->entries[i]);
    if (!making->full) making->at[making->lane] = done->entries[i].position;
  }
  if (!making->full) making->at[making->lane] = done->next ? done->next - 1 : making->to[making->lane];
  read_page(broker);
}

static void read_page(struct broker *broker) {
  struct receipt_making *making = broker->making;
  while (making->lane < LANES && making->at[making->lane] >= making->to[making->lane]) making->lane++;
  if (making->full || making->lane == LANES) {
    commit(broker);
    return;
  }
  const struct store_read read = {.what = STORE_READ_LOG,
      .lane = making->lane,
      .from = making->at[making->lane] + 1,
      .to = making->to[making->lane],
      .max_bytes = PAGE_BYTES};
  errands_read(&broker->errands, ERRAND_PATIENT, &read, page_read, broker, NULL);
}

static void make(struct broker *broker, int64_t until) {
  struct receipt_making *making = broker->making = mem_alloc(sizeof *making);
  making->until = until;
  memcpy(making->at, broker->receipts.at, sizeof making->at);
  for (enum lane lane = LANE_URGENT; lane < LANES; lane++) making->to[lane] = node_log_last(broker->node, lane);
  read_page(broker);
}

/* ---- sending ---- */

static void send_read(void *ctx, void *cookie, const struct store_done *done) {
  struct broker *broker = ctx;
  struct receipt_book *book = cookie;
  struct bytes receipt, answer;
  struct buffer key = BUFFER_NULL;
  book->reading = false;
  if (done->kind != STORE_DONE_READ) return; /* the end of the process */
  const struct link *link = links_of_peer(&broker->links, bytes_text(book->peer));
  receipt_book_key(book, book->sent, &key);
  book->send_at = now_of(broker).mono + AGAIN_US;
  if (link && done->keyed_count > 0 && bytes_equal(done->keyed[0].key, buffer_bytes(&key)) &&
      receipt_book_value(done->keyed[0].value, &receipt, &answer) && answer.len == 0 &&
      !node_message_behind(broker->node, link->peer, RECEIPT_MESSAGE, receipt))
    book->send_at = now_of(broker).mono + RETRY_US;
  buffer_deinit(&key);
}

static void send(struct broker *broker, struct receipt_book *book, int64_t now) {
  struct buffer key = BUFFER_NULL;
  uint64_t number = book->reading || now < book->send_at ? 0 : receipt_book_open(book, book->sent);
  if (!number) return;
  book->sent = number;
  book->reading = true;
  receipt_book_key(book, number, &key);
  const struct store_read read = {
      .what = STORE_READ_TABLE, .table = STORE_META, .key = buffer_bytes(&key), .max_bytes = 1};
  errands_read(&broker->errands, ERRAND_PATIENT, &read, send_read, broker, book);
  buffer_deinit(&key);
}

static void send_all(struct broker *broker, int64_t now) {
  struct node_peer_status status;
  for (size_t i = 0; i < broker->links.count; i++) {
    const struct link *link = broker->links.items[i];
    if (!link->is_peer) continue;
    node_peer_status(broker->node, link->peer, &status);
    if (status.up) send(broker, receipt_books_of(&broker->receipts, bytes_text(link->node), false), now);
  }
}

void broker_receipts_session(struct broker *broker, const struct link *link) {
  receipt_books_of(&broker->receipts, bytes_text(link->node), false)->send_at = 0;
  broker->receipts_at = 0;
}

/* ---- answers ---- */

struct answering {
  struct broker *broker;
  struct receipt_book *book;
  struct buffer answer;
  uint64_t number;
  struct receipt_change change;
};

static void answering_end(struct answering *answering) {
  answering->book->answering = 0;
  buffer_deinit(&answering->answer);
  free(answering);
}

static void answer_kept(void *ctx, void *cookie, const struct store_done *done) {
  struct answering *answering = cookie;
  (void)ctx;
  if (done->kind == STORE_DONE_BATCH) { /* else the receipt is sent again, and answered again */
    receipt_book_kept(answering->book, &answering->change);
    answering->book->send_at = 0;
    answering->broker->receipts_at = 0;
  }
  answering_end(answering);
}

static void keep(struct answering *answering, struct bytes bytes) {
  struct broker *broker = answering->broker;
  struct store_batch *batch = store_batch_new();
  struct receipt_answer answer;
  struct buffer text = BUFFER_NULL;
  uint8_t digest[RECEIPT_HASH];
  (void)receipt_answer_open(&answer, buffer_bytes(&answering->answer)); /* it was opened before */
  receipt_digest(bytes, digest);
  bool same = memcmp(digest, answer.digest, RECEIPT_HASH) == 0;
  buffer_printf(&text, "%s answers that what we took is %s%s" BYTES_FMT, answering->book->peer,
      same ? receipt_verdict_name(answer.verdict) : "another receipt than ours", answer.why.len ? ": " : "",
      BYTES_ARG(answer.why));
  if (!same || answer.verdict == RECEIPT_DISPUTED)
    log_warning("receipts", answering->book->peer, "%s", buffer_text(&text));
  note_receipt(batch, bytes_text(broker->config->node), buffer_text(&text), bytes, now_of(broker).wall);
  answering->change =
      receipt_book_put(answering->book, answering->number, bytes, buffer_bytes(&answering->answer), batch);
  store_batch_urgent(batch);
  errands_submit(&broker->errands, ERRAND_URGENT, batch, answer_kept, broker, answering);
  buffer_deinit(&text);
}

static void answer_read(void *ctx, void *cookie, const struct store_done *done) {
  struct answering *answering = cookie;
  struct bytes receipt, answer;
  struct buffer key = BUFFER_NULL;
  (void)ctx;
  receipt_book_key(answering->book, answering->number, &key);
  bool open = done->kind == STORE_DONE_READ && done->keyed_count > 0 &&
              bytes_equal(done->keyed[0].key, buffer_bytes(&key)) &&
              receipt_book_value(done->keyed[0].value, &receipt, &answer) && answer.len == 0;
  if (open)
    keep(answering, receipt);
  else
    answering_end(answering);
  buffer_deinit(&key);
}

void broker_receipt_answer(struct broker *broker, const struct link *link, struct bytes body) {
  struct receipt_book *book = receipt_books_of(&broker->receipts, bytes_text(link->node), false);
  struct receipt_answer answer;
  uint64_t left_out;
  if (receipt_answer_open(&answer, body) || !config_keys_contain(&link->config->keys, &answer.key) ||
      !bytes_equal(answer.giver, bytes_text(link->node)) ||
      !bytes_equal(answer.taker, bytes_text(broker->config->node))) {
    if (log_allow(&book->limit, now_of(broker).mono, &left_out))
      log_warning("receipts", link->node, "an answer to a receipt that is not its own is not believed");
    return;
  }
  const struct receipt_mark *mark = receipt_book_find(book, answer.number);
  if (!mark || mark->answered || book->answering) return; /* it comes again */
  struct answering *answering = mem_alloc(sizeof *answering);
  *answering = (struct answering){.broker = broker, .book = book, .number = answer.number};
  buffer_append(&answering->answer, body);
  book->answering = answer.number;
  struct buffer key = BUFFER_NULL;
  receipt_book_key(book, answer.number, &key);
  const struct store_read read = {
      .what = STORE_READ_TABLE, .table = STORE_META, .key = buffer_bytes(&key), .max_bytes = 1};
  errands_read(&broker->errands, ERRAND_PATIENT, &read, answer_read, broker, answering);
  buffer_deinit(&key);
}

/* ---- time ---- */

static int64_t test_period(void) {
  int64_t us = 0;
#ifdef RIVERBUS_TEST_HOOKS
  const char *text = getenv("RIVERBUS_TEST_RECEIPTS");
  if (text && units_duration(bytes_text(text), &us) != 0) us = 0;
#endif
  return us;
}

static void place_kept(void *ctx, void *cookie, const struct store_done *done) { (void)ctx, (void)cookie, (void)done; }

void broker_receipts_start(struct broker *broker) {
  struct receipt_books *books = &broker->receipts;
  int64_t test = test_period();
  broker->receipt_every_us = test ? test : HOUR_US;
  if (books->known) return;
  /* a store that knew no receipts: they begin with what is stored from now on */
  books->since = now_of(broker).wall;
  for (enum lane lane = LANE_URGENT; lane < LANES; lane++) books->at[lane] = node_log_last(broker->node, lane);
  struct store_batch *batch = store_batch_new();
  receipt_books_put_place(batch, books->since, books->at);
  store_batch_urgent(batch);
  errands_submit(&broker->errands, ERRAND_URGENT, batch, place_kept, broker, NULL);
}

int64_t broker_receipts_tick(struct broker *broker, int64_t now) {
  struct receipt_books *books = &broker->receipts;
  int64_t wall = now_of(broker).wall, every = broker->receipt_every_us;
  if (now < broker->receipts_at) return broker->receipts_at;
  broker->receipts_at = now + RETRY_US;
  if (wall + every < books->since) books->since = wall; /* the clock was far ahead */
  int64_t until = wall / every * every;
  if (!broker->making && until > books->since) make(broker, until);
  send_all(broker, now);
  return broker->receipts_at;
}
