/* A neighbour's receipt of what we gave: it is compared with what stands in our store, one at a time of each neighbour,
 * and answered. */
#include "broker/broker.h"
#include "broker/hostile.h"
#include "common/audit/note.h"
#include "common/base/mem.h"
#include "common/base/units.h"
#include <inttypes.h>
#include <stdlib.h>

enum { PAGE_BYTES = 128 * 1024 };

struct receipt_check {
  struct broker *broker;
  struct receipt_book *book;
  struct buffer bytes, answer;
  struct receipt receipt; /* views of bytes */
  struct receipt_fold fold;
  size_t part; /* that is being read */
  uint64_t next;
  struct intervals *unreadable; /* of each part */
  bool too_much;
  enum receipt_verdict verdict;
  struct buffer why; /* of the worst */
  struct receipt_change change;
};

static struct instant now_of(const struct broker *broker) { return world_now(broker->daemon.world); }

static void check_free(struct receipt_check *check) {
  check->book->check = NULL;
  for (size_t i = 0; i < check->receipt.part_count; i++) intervals_deinit(&check->unreadable[i]);
  free(check->unreadable);
  receipt_deinit(&check->receipt);
  receipt_fold_deinit(&check->fold);
  buffer_deinit(&check->bytes);
  buffer_deinit(&check->answer);
  buffer_deinit(&check->why);
  free(check);
}

static void send_answer(const struct receipt_check *check, struct bytes answer) {
  const struct link *link = links_of_peer(&check->broker->links, bytes_text(check->book->peer));
  if (link) (void)node_message_behind(check->broker->node, link->peer, RECEIPT_ANSWER, answer);
}

/* ---- what it comes to ---- */

struct knowing {
  const struct receipt_part *part;
  struct intervals gone; /* of the part: what was here, and is no more */
  struct buffer since;   /* when and why the last of it went */
  uint64_t floor;
};

static void know_discard(void *ctx, const struct store_discard *discard) {
  struct knowing *knowing = ctx;
  if (epoch_compare(discard->epoch, knowing->part->epoch) != 0) return;
  intervals_add(&knowing->gone, discard->from, discard->to);
  if (!intervals_overlaps(&knowing->part->ranges, discard->from, discard->to)) return;
  buffer_clear(&knowing->since);
  buffer_printf(&knowing->since, " since ");
  units_put_rfc3339(&knowing->since, discard->time);
  buffer_printf(&knowing->since, " (" BYTES_FMT ")", BYTES_ARG(discard->reason));
}

static void know_floor(void *ctx, const struct store_stream *stream) {
  struct knowing *knowing = ctx;
  bool same =
      epoch_compare(stream->epoch, knowing->part->epoch) == 0 && bytes_equal(stream->stream, knowing->part->stream);
  if (same) knowing->floor = stream->floor;
}

/* The worst that was found counts, and of it the first. */
__attribute__((format(printf, 3, 4))) static void find(
    struct receipt_check *check, enum receipt_verdict verdict, const char *format, ...) {
  static const uint8_t rank[RECEIPT_VERDICTS] = {
      [RECEIPT_CONFIRMED] = 0, [RECEIPT_UNCONFIRMED] = 1, [RECEIPT_DISPUTED] = 2};
  char text[RECEIPT_WHY_MAX];
  va_list arguments;
  if (rank[verdict] <= rank[check->verdict]) return;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  check->verdict = verdict;
  buffer_clear(&check->why);
  buffer_printf(&check->why, "%s", text);
}

/* What of the part is not held here. */
static void judge_missing(struct receipt_check *check, const struct receipt_part *part,
    const struct intervals *unreadable, struct intervals *missing) {
  struct store *store = check->broker->daemon.store;
  struct knowing knowing = {.part = part, .gone = INTERVALS_NULL, .since = BUFFER_NULL, .floor = 1};
  uint64_t first = missing->items[0].from, count = intervals_size(missing);
  store_discards(store, part->stream, know_discard, &knowing);
  store_streams(store, know_floor, &knowing);
  intervals_remove_all(missing, &knowing.gone);
  intervals_remove_all(missing, unreadable);
  if (knowing.floor > 1) intervals_remove(missing, 1, knowing.floor - 1);
  if (missing->count > 0)
    find(check, RECEIPT_DISPUTED,
        "%" PRIu64 " records of " BYTES_FMT " are not known here, the first is number %" PRIu64,
        intervals_size(missing), BYTES_ARG(part->stream), missing->items[0].from);
  else
    find(check, RECEIPT_UNCONFIRMED,
        "%" PRIu64 " records of " BYTES_FMT " from number %" PRIu64 " on are not held here any more%s", count,
        BYTES_ARG(part->stream), first, buffer_text(&knowing.since));
  intervals_deinit(&knowing.gone);
  buffer_deinit(&knowing.since);
}

static const struct receipt_part *ours_of(const struct receipt_check *check, const struct receipt_part *part) {
  for (size_t i = 0; i < check->fold.part_count; i++) {
    const struct receipt_part *ours = &check->fold.parts[i];
    if (epoch_compare(ours->epoch, part->epoch) == 0 && bytes_equal(ours->stream, part->stream)) return ours;
  }
  return NULL;
}

static void judge_part(struct receipt_check *check, const struct link *link, size_t i) {
  const struct receipt_part *part = &check->receipt.parts[i], *ours = ours_of(check, part);
  struct intervals missing = INTERVALS_NULL;
  bool shared = false;
  for (size_t feed = 0; link && feed < link->rules.feed_count; feed++)
    shared = shared || peer_shares_stream(&link->rules, feed, part->stream);
  if (!shared)
    find(check, RECEIPT_UNCONFIRMED, BYTES_FMT " is not shared by the rules in force now", BYTES_ARG(part->stream));
  intervals_add_all(&missing, &part->ranges);
  if (ours) intervals_remove_all(&missing, &ours->ranges);
  if (missing.count > 0)
    judge_missing(check, part, &check->unreadable[i], &missing);
  else if (memcmp(ours->hash, part->hash, RECEIPT_HASH) != 0)
    find(check, RECEIPT_DISPUTED, "the records of " BYTES_FMT " are others here", BYTES_ARG(part->stream));
  intervals_deinit(&missing);
}

/* ---- the answer ---- */

static void answer_kept(void *ctx, void *cookie, const struct store_done *done) {
  struct receipt_check *check = cookie;
  (void)ctx;
  if (done->kind == STORE_DONE_BATCH) { /* else it is sent again, and compared again */
    receipt_book_kept(check->book, &check->change);
    send_answer(check, buffer_bytes(&check->answer));
  }
  check_free(check);
}

static void commit(struct receipt_check *check) {
  struct broker *broker = check->broker;
  struct store_batch *batch = store_batch_new();
  struct buffer text = BUFFER_NULL;
  buffer_printf(&text, "%s took %" PRIu64 " records of ours from ", check->book->peer, check->receipt.records);
  units_put_rfc3339(&text, check->receipt.from);
  buffer_printf(&text, " to ");
  units_put_rfc3339(&text, check->receipt.to);
  buffer_printf(&text, ", answered as %s%s%s", receipt_verdict_name(check->verdict), check->why.len ? ": " : "",
      buffer_text(&check->why));
  if (check->verdict == RECEIPT_DISPUTED) log_warning("receipts", check->book->peer, "%s", buffer_text(&text));
  note_receipt(
      batch, bytes_text(broker->config->node), buffer_text(&text), buffer_bytes(&check->bytes), now_of(broker).wall);
  check->change = receipt_book_put(
      check->book, check->receipt.number, buffer_bytes(&check->bytes), buffer_bytes(&check->answer), batch);
  store_batch_urgent(batch);
  errands_submit(&broker->errands, ERRAND_URGENT, batch, answer_kept, broker, check);
  buffer_deinit(&text);
}

static void conclude(struct receipt_check *check) {
  struct broker *broker = check->broker;
  const struct link *link = links_of_peer(&broker->links, bytes_text(check->book->peer));
  receipt_fold_end(&check->fold);
  if (check->too_much) find(check, RECEIPT_DISPUTED, "these are more records than one receipt may name");
  for (size_t i = 0; i < check->receipt.part_count; i++) judge_part(check, link, i);
  struct receipt_answer answer = {.giver = bytes_text(broker->config->node),
      .taker = bytes_text(check->book->peer),
      .number = check->receipt.number,
      .verdict = check->verdict,
      .time = now_of(broker).wall,
      .why = buffer_bytes(&check->why)};
  receipt_digest(buffer_bytes(&check->bytes), answer.digest);
  hostile_answer(&answer);
  receipt_answer_sign(&check->answer, &answer, broker->daemon.identity);
  commit(check);
}

/* ---- reading ---- */

static void read_page(struct receipt_check *check);

static void next_part(struct receipt_check *check) {
  check->part++;
  check->next = 0;
}

static void page_read(void *ctx, void *cookie, const struct store_done *done) {
  struct receipt_check *check = cookie;
  struct block block;
  (void)ctx;
  if (done->kind != STORE_DONE_READ) { /* the end of the process */
    check_free(check);
    return;
  }
  const struct receipt_part *part = &check->receipt.parts[check->part];
  for (size_t i = 0; i < done->entry_count; i++)
    if (done->entries[i].block && block_open(&block, blob_bytes(done->entries[i].block)) == 0 &&
        !receipt_fold_add_only(&check->fold, &block, &part->ranges))
      check->too_much = true;
  for (size_t i = 0; i < done->unreadable_count; i++)
    intervals_add(&check->unreadable[check->part], done->unreadable[i].from, done->unreadable[i].to);
  check->next = done->next;
  if (!done->next) next_part(check);
  read_page(check);
}

static void read_page(struct receipt_check *check) {
  if (check->too_much || check->part == check->receipt.part_count) {
    conclude(check);
    return;
  }
  const struct receipt_part *part = &check->receipt.parts[check->part];
  const struct store_read read = {.what = STORE_READ_STREAM,
      .stream = part->stream,
      .epoch = part->epoch,
      .from = check->next ? check->next : part->ranges.items[0].from,
      .to = part->ranges.items[part->ranges.count - 1].to,
      .max_bytes = PAGE_BYTES};
  errands_read(&check->broker->errands, ERRAND_PATIENT, &read, page_read, NULL, check);
}

/* Whether it was answered before. */
static void found(void *ctx, void *cookie, const struct store_done *done) {
  struct receipt_check *check = cookie;
  struct bytes receipt, answer;
  struct buffer key = BUFFER_NULL;
  (void)ctx;
  receipt_book_key(check->book, check->receipt.number, &key);
  bool read = done->kind == STORE_DONE_READ;
  bool known = read && done->keyed_count > 0 && bytes_equal(done->keyed[0].key, buffer_bytes(&key)) &&
               receipt_book_value(done->keyed[0].value, &receipt, &answer);
  buffer_deinit(&key);
  if (read && !known) {
    read_page(check);
    return;
  }
  if (known && bytes_equal(receipt, buffer_bytes(&check->bytes)))
    send_answer(check, answer);
  else if (known)
    log_warning("receipts", check->book->peer, "it signed two receipts under one number, the second is not answered");
  check_free(check);
}

static bool is_good(const struct broker *broker, const struct link *link, const struct receipt *receipt) {
  return config_keys_contain(&link->config->keys, &receipt->key) &&
         bytes_equal(receipt->taker, bytes_text(link->node)) &&
         bytes_equal(receipt->giver, bytes_text(broker->config->node));
}

static void begin(struct broker *broker, struct receipt_book *book, struct bytes body) {
  struct receipt_check *check = book->check = mem_alloc(sizeof *check);
  struct buffer key = BUFFER_NULL;
  check->broker = broker;
  check->book = book;
  buffer_append(&check->bytes, body);
  (void)receipt_open(&check->receipt, buffer_bytes(&check->bytes)); /* it was opened before */
  check->unreadable = mem_alloc((check->receipt.part_count + 1) * sizeof *check->unreadable);
  receipt_book_key(book, check->receipt.number, &key);
  const struct store_read read = {
      .what = STORE_READ_TABLE, .table = STORE_META, .key = buffer_bytes(&key), .max_bytes = 1};
  errands_read(&broker->errands, ERRAND_PATIENT, &read, found, NULL, check);
  buffer_deinit(&key);
}

/* What is passed over here is sent again. */
void broker_receipt_message(struct broker *broker, const struct link *link, struct bytes body) {
  struct receipt_book *book = receipt_books_of(&broker->receipts, bytes_text(link->node), true);
  struct receipt receipt;
  uint64_t left_out;
  if (book->check || !log_allow(&book->limit, now_of(broker).mono, &left_out)) return;
  if (receipt_open(&receipt, body) != 0) {
    log_warning("receipts", link->node, "a receipt that is malformed or forged was passed over");
    return;
  }
  if (is_good(broker, link, &receipt))
    begin(broker, book, body);
  else
    log_warning("receipts", link->node, "a receipt that is not its own of us was passed over");
  receipt_deinit(&receipt);
}
