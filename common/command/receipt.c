#include "common/command/receipt.h"
#include "common/base/mem.h"
#include <sodium.h>
#include <stdlib.h>

static const struct seal receipt_seal = {"riverbus receipt v1", RECEIPT_BYTES_MAX};
static const struct seal answer_seal = {"riverbus receipt-answer v1", RECEIPT_ANSWER_MAX};

void receipt_digest(struct bytes bytes, uint8_t digest[RECEIPT_HASH]) {
  crypto_generichash(digest, RECEIPT_HASH, bytes.data, bytes.len, NULL, 0);
}

/* ---- writing ---- */

static void put_part(struct writer *w, const struct receipt_part *part) {
  uint64_t end = 0;
  writer_sized(w, part->stream);
  writer_u64(w, part->epoch.created);
  writer_u64(w, part->epoch.random);
  writer_bytes(w, bytes_of(part->hash, RECEIPT_HASH));
  writer_varint(w, part->ranges.count);
  for (size_t i = 0; i < part->ranges.count; i++) {
    const struct interval *range = &part->ranges.items[i];
    writer_varint(w, range->from - end);
    writer_varint(w, range->to - range->from);
    end = range->to;
  }
}

bool receipt_sign(struct buffer *out, const struct receipt *receipt, const struct identity *identity) {
  struct buffer body = BUFFER_NULL;
  struct writer w;
  seal_begin(&receipt_seal, identity, &body, &w);
  writer_sized(&w, receipt->taker);
  writer_sized(&w, receipt->giver);
  writer_varint(&w, receipt->number);
  writer_zigzag(&w, receipt->from);
  writer_zigzag(&w, receipt->to);
  writer_varint(&w, receipt->part_count);
  for (size_t i = 0; i < receipt->part_count; i++) put_part(&w, &receipt->parts[i]);
  return seal_close(identity, &body, &w, out) == 0;
}

void receipt_answer_sign(struct buffer *out, const struct receipt_answer *answer, const struct identity *identity) {
  struct buffer body = BUFFER_NULL;
  struct writer w;
  seal_begin(&answer_seal, identity, &body, &w);
  writer_sized(&w, answer->giver);
  writer_sized(&w, answer->taker);
  writer_varint(&w, answer->number);
  writer_bytes(&w, bytes_of(answer->digest, RECEIPT_HASH));
  writer_u8(&w, (uint8_t)answer->verdict);
  writer_zigzag(&w, answer->time);
  writer_sized(&w, answer->why);
  (void)seal_close(identity, &body, &w, out);
}

/* ---- reading ---- */

void receipt_deinit(struct receipt *receipt) {
  for (size_t i = 0; i < receipt->part_count; i++) intervals_deinit(&receipt->parts[i].ranges);
  free(receipt->parts);
  receipt->parts = NULL;
  receipt->part_count = 0;
}

static void get_ranges(struct reader *r, struct receipt *receipt, struct receipt_part *part) {
  uint64_t count = reader_varint(r), end = 0;
  if (count == 0 || count > reader_left(r)) reader_fail(r);
  for (uint64_t i = 0; i < count && !r->failed; i++) {
    uint64_t distance = reader_varint(r), more = reader_varint(r);
    bool good = distance > (i > 0) && distance <= INT64_MAX - end && more < RECEIPT_RECORDS_MAX &&
                more <= INT64_MAX - end - distance && receipt->records + more < RECEIPT_RECORDS_MAX;
    if (!good) reader_fail(r);
    if (r->failed) return;
    intervals_add(&part->ranges, end + distance, end + distance + more);
    receipt->records += more + 1;
    end += distance + more;
  }
}

static bool follows(const struct receipt *receipt, const struct receipt_part *part) {
  const struct receipt_part *before = receipt->part_count > 0 ? part - 1 : NULL;
  int order = before ? bytes_compare(before->stream, part->stream) : -1;
  return order < 0 || (order == 0 && epoch_compare(before->epoch, part->epoch) < 0);
}

static void get_part(struct reader *r, struct receipt *receipt) {
  struct receipt_part *part = &receipt->parts[receipt->part_count];
  part->stream = reader_sized(r);
  part->epoch.created = reader_u64(r);
  part->epoch.random = reader_u64(r);
  struct bytes hash = reader_bytes(r, RECEIPT_HASH);
  if (part->stream.len == 0 || part->stream.len > STREAM_MAX || !follows(receipt, part)) reader_fail(r);
  if (r->failed) return;
  memcpy(part->hash, hash.data, RECEIPT_HASH);
  receipt->part_count++;
  get_ranges(r, receipt, part);
}

static int seal_outcome(int outcome) {
  return outcome == 0 ? 0 : outcome == SEAL_FORGED ? RECEIPT_FORGED : RECEIPT_MALFORMED;
}

int receipt_open(struct receipt *receipt, struct bytes bytes) {
  struct bytes fields;
  struct reader r;
  *receipt = (struct receipt){0};
  int outcome = seal_outcome(seal_open(&receipt_seal, bytes, &receipt->key, &fields));
  if (outcome) return outcome;
  reader_init(&r, fields);
  receipt->taker = reader_sized(&r);
  receipt->giver = reader_sized(&r);
  receipt->number = reader_varint(&r);
  receipt->from = reader_zigzag(&r);
  receipt->to = reader_zigzag(&r);
  uint64_t parts = reader_varint(&r);
  if (parts == 0 || parts > RECEIPT_PARTS_MAX || receipt->number > INT64_MAX) reader_fail(&r);
  if (!r.failed) receipt->parts = mem_alloc(parts * sizeof *receipt->parts);
  for (uint64_t i = 0; i < parts && !r.failed; i++) get_part(&r, receipt);
  if (reader_done(&r)) return 0;
  receipt_deinit(receipt);
  return RECEIPT_MALFORMED;
}

int receipt_answer_open(struct receipt_answer *answer, struct bytes bytes) {
  struct bytes fields;
  struct reader r;
  *answer = (struct receipt_answer){0};
  int outcome = seal_outcome(seal_open(&answer_seal, bytes, &answer->key, &fields));
  if (outcome) return outcome;
  reader_init(&r, fields);
  answer->giver = reader_sized(&r);
  answer->taker = reader_sized(&r);
  answer->number = reader_varint(&r);
  struct bytes digest = reader_bytes(&r, RECEIPT_HASH);
  answer->verdict = (enum receipt_verdict)reader_u8(&r);
  answer->time = reader_zigzag(&r);
  answer->why = reader_sized(&r);
  if (!reader_done(&r) || answer->verdict >= RECEIPT_VERDICTS || answer->why.len > RECEIPT_WHY_MAX ||
      !bytes_is_utf8(answer->why))
    return RECEIPT_MALFORMED;
  memcpy(answer->digest, digest.data, RECEIPT_HASH);
  return 0;
}

const char *receipt_verdict_name(enum receipt_verdict verdict) {
  static const char *const names[RECEIPT_VERDICTS] = {"confirmed", "disputed", "unconfirmed"};
  return (unsigned)verdict < RECEIPT_VERDICTS ? names[verdict] : "?";
}
