#ifndef RIVERBUS_COMMON_COMMAND_RECEIPT_H
#define RIVERBUS_COMMON_COMMAND_RECEIPT_H
/*
 * Receipts between provinces. The taker signs what came to it from a neighbour in a period: of each (stream, epoch) the
 * exact sequences and a hash over their records. The giver compares that with its own store and signs an answer, which
 * names the receipt by its digest. Pure.
 *
 *   receipt   seal "riverbus receipt v1": sized taker, sized giver, varint number, zigzag from, zigzag to, varint
 *             parts, and of each, rising by (stream, epoch): sized stream, u64 created, u64 random, 32 bytes hash,
 *             varint ranges, and of each: varint distance from the end of the one before (0 at first) to its first
 *             sequence, at least 1, and varint how many sequences follow that one
 *   answer    seal "riverbus receipt-answer v1": sized giver, sized taker, varint number, 32 bytes BLAKE2b of the whole
 *             receipt, u8 verdict, zigzag time, sized why
 *   hash      BLAKE2b (32 bytes) over the records of that (stream, epoch) by rising sequence, each as varint sequence,
 *             sized address, zigzag time, zigzag received, u8 kind, u8 quality, u8 reason, value (record/value.h). It
 *             does not depend on how they were cut into blocks, nor in which order these came.
 *
 * Numbers of one taker and giver rise; they are the taker's clock when it made the receipt, or one more than the last.
 * Times are µs UTC by the signer's clock.
 *
 * Messages between neighbours (node_message types), telemetry channel: RECEIPT and ANSWER carry these bytes.
 */
#include "common/base/interval.h"
#include "common/identity/seal.h"
#include "common/record/block.h"

enum { RECEIPT_MESSAGE = 21, RECEIPT_ANSWER = 22 };
enum {
  RECEIPT_HASH = 32,
  RECEIPT_BYTES_MAX = 48 * 1024,       /* as base64 it fits one reply */
  RECEIPT_RECORDS_MAX = 256 * 1024,    /* of one receipt; of more there are several */
  RECEIPT_HELD_MAX = 16 * 1024 * 1024, /* bytes of records that making or checking one holds in memory */
  RECEIPT_PARTS_MAX = 1024,
  RECEIPT_ANSWER_MAX = 2048,
  RECEIPT_WHY_MAX = 512,
  RECEIPT_MALFORMED = 1,
  RECEIPT_FORGED = 2
};

/* ---- what is summed up ---- */

struct receipt_part {
  struct bytes stream; /* owned by whoever holds the part */
  struct epoch epoch;
  struct intervals ranges;
  uint8_t hash[RECEIPT_HASH];
};
struct receipt_entry {
  size_t part, at, len; /* of the canonical bytes */
  uint64_t sequence;
};
struct receipt_fold {
  struct receipt_part *parts;
  size_t part_count;
  struct receipt_entry *entries;
  size_t entry_count, entry_cap;
  struct buffer records; /* canonical bytes */
  size_t bound;          /* bytes that the receipt has at most */
};
#define RECEIPT_FOLD_NULL ((struct receipt_fold){0})
void receipt_fold_deinit(struct receipt_fold *fold);
/* False: with this block it would be more than one receipt takes; nothing was added. A first block always fits. A
 * malformed block adds nothing. */
bool receipt_fold_add(struct receipt_fold *fold, const struct block *block);
/* Adds those records of the block alone that `only` has, whatever they come to; false: RECEIPT_HELD_MAX is reached. */
bool receipt_fold_add_only(struct receipt_fold *fold, const struct block *block, const struct intervals *only);
/* Sorts, hashes: parts are in order and whole. A sequence that came twice counts once. */
void receipt_fold_end(struct receipt_fold *fold);

/* ---- the receipt ---- */

struct receipt {
  struct public_key key; /* the taker's */
  struct bytes taker, giver;
  uint64_t number;
  int64_t from, to;
  struct receipt_part *parts; /* owned; streams are views of the bytes */
  size_t part_count;
  uint64_t records;
};
/* Appends the signed bytes of parts that were ended; key and records are not looked at. False: too large. */
bool receipt_sign(struct buffer *out, const struct receipt *receipt, const struct identity *identity);
/* Reads and verifies with the key inside. RECEIPT_MALFORMED, RECEIPT_FORGED; then nothing is to be freed. */
int receipt_open(struct receipt *receipt, struct bytes bytes);
void receipt_deinit(struct receipt *receipt);
void receipt_digest(struct bytes bytes, uint8_t digest[RECEIPT_HASH]);

/* ---- the answer ---- */

enum receipt_verdict { RECEIPT_CONFIRMED = 0, RECEIPT_DISPUTED = 1, RECEIPT_UNCONFIRMED = 2, RECEIPT_VERDICTS };
const char *receipt_verdict_name(enum receipt_verdict verdict); /* "confirmed", "disputed", "unconfirmed" */
struct receipt_answer {
  struct public_key key; /* the giver's */
  struct bytes giver, taker;
  uint64_t number;
  uint8_t digest[RECEIPT_HASH];
  enum receipt_verdict verdict;
  int64_t time;
  struct bytes why; /* UTF-8; empty where confirmed */
};
void receipt_answer_sign(struct buffer *out, const struct receipt_answer *answer, const struct identity *identity);
int receipt_answer_open(struct receipt_answer *answer, struct bytes bytes); /* as receipt_open */
#endif
