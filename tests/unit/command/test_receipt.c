/* Receipts: golden bytes, a hash that does not depend on blocks, no altered byte passes, bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <sodium.h>
#include "common/base/mem.h"
#include "common/command/receipt.h"

/* sequence, address, time, received, kind, quality, reason, value */
#define GOLDEN_RECORD "051e63686f6e6771696e672f63756e74616e2f67617567652d322f6c6576656cda0faa1f000201010000000000f06540"

static const struct epoch epoch = {5, 6};

static void add(struct block_builder *builder, int i) {
  char address[64];
  snprintf(address, sizeof address, "chongqing/cuntan/gauge-%d/level", i % 3);
  struct record record = {.kind = i % 4 ? RECORD_READING : RECORD_EVENT,
      .quality = i % 5 == 0 ? QUALITY_BAD : QUALITY_GOOD,
      .reason = i % 5 == 0 ? REASON_STALE : REASON_NONE,
      .address = bytes_text(address),
      .time = 1000 + i,
      .received = 2000 + i,
      .value = {.type = VALUE_NUMBER, .number = 170.5 + i}};
  assert_int_equal(block_builder_add(builder, &record, BLOCK_MAX), 0);
}

/* Records with the sequences first to last, each of them made from its number alone. */
static struct blob *block_of(const char *stream, int first, int last) {
  struct block_builder *builder = block_builder_new();
  for (int i = first; i <= last; i++) add(builder, i);
  struct blob *blob = block_builder_finish(builder, bytes_text(stream), 9);
  block_number(blob, epoch, (uint64_t)first);
  block_builder_free(builder);
  return blob;
}

static void fold(struct receipt_fold *out, const char *stream, int first, int last) {
  struct blob *blob = block_of(stream, first, last);
  struct block block;
  assert_int_equal(block_open(&block, blob_bytes(blob)), 0);
  assert_true(receipt_fold_add(out, &block));
  blob_unref(blob);
}

static void assert_hex(const uint8_t *bytes, size_t len, const char *hex) {
  char *text = mem_alloc(2 * len + 1);
  sodium_bin2hex(text, 2 * len + 1, bytes, len);
  assert_string_equal(text, hex);
  free(text);
}

static void the_hash_does_not_depend_on_blocks(void **state) {
  (void)state;
  struct receipt_fold whole = RECEIPT_FOLD_NULL, cut = RECEIPT_FOLD_NULL;
  fold(&whole, "chongqing/cuntan", 1, 30);
  fold(&whole, "chongqing/aaa", 1, 2);
  fold(&cut, "chongqing/cuntan", 20, 30);
  fold(&cut, "chongqing/aaa", 2, 2);
  fold(&cut, "chongqing/cuntan", 1, 1);
  fold(&cut, "chongqing/cuntan", 2, 19);
  fold(&cut, "chongqing/cuntan", 5, 8); /* again: counts once */
  fold(&cut, "chongqing/aaa", 1, 1);
  receipt_fold_end(&whole);
  receipt_fold_end(&cut);
  assert_int_equal(whole.part_count, 2);
  assert_int_equal(cut.part_count, 2);
  for (size_t i = 0; i < 2; i++) {
    assert_true(bytes_equal(whole.parts[i].stream, cut.parts[i].stream));
    assert_memory_equal(whole.parts[i].hash, cut.parts[i].hash, RECEIPT_HASH);
    assert_int_equal(cut.parts[i].ranges.count, 1);
  }
  assert_true(bytes_equal(whole.parts[0].stream, bytes_text("chongqing/aaa")));
  assert_memory_not_equal(whole.parts[0].hash, whole.parts[1].hash, RECEIPT_HASH);
  receipt_fold_deinit(&whole);
  receipt_fold_deinit(&cut);
}

static void the_canonical_bytes_are_these(void **state) {
  (void)state;
  struct receipt_fold one = RECEIPT_FOLD_NULL;
  uint8_t hash[RECEIPT_HASH];
  fold(&one, "chongqing/cuntan", 5, 5);
  receipt_fold_end(&one);
  assert_hex(one.records.data, one.records.len, GOLDEN_RECORD);
  receipt_digest(buffer_bytes(&one.records), hash);
  assert_memory_equal(hash, one.parts[0].hash, RECEIPT_HASH);
  receipt_fold_deinit(&one);
}

static struct receipt receipt_of(const struct receipt_fold *of) {
  return (struct receipt){.taker = bytes_text("hubei"),
      .giver = bytes_text("chongqing"),
      .number = 7,
      .from = 3600,
      .to = 7200,
      .parts = of->parts,
      .part_count = of->part_count};
}

static void a_receipt_is_read_as_it_was_signed(void **state) {
  (void)state;
  struct identity *taker;
  struct receipt_fold of = RECEIPT_FOLD_NULL;
  struct buffer out = BUFFER_NULL;
  struct receipt opened;
  struct public_key key;
  identity_generate(&taker);
  identity_public(taker, &key);
  fold(&of, "chongqing/cuntan", 3, 4);
  fold(&of, "chongqing/cuntan", 300, 301);
  receipt_fold_end(&of);
  struct receipt receipt = receipt_of(&of);
  assert_true(receipt_sign(&out, &receipt, taker));
  /* behind prefix and key, before hash, behind hash, before the signature */
  assert_memory_equal(out.data, "riverbus receipt v1", 20);
  assert_hex(out.data + 52, 55,
      "05"
      "6875626569"
      "09"
      "63686f6e6771696e67"
      "07"
      "a038"
      "c070"
      "01"
      "10"
      "63686f6e6771696e672f63756e74616e"
      "0500000000000000"
      "0600000000000000");
  assert_hex(out.data + 52 + 55 + RECEIPT_HASH, 6,
      "02"
      "0301"
      "a80201");
  assert_int_equal(out.len, 52 + 55 + RECEIPT_HASH + 6 + IDENTITY_SIGNATURE);
  assert_int_equal(receipt_open(&opened, buffer_bytes(&out)), 0);
  assert_memory_equal(opened.key.bytes, key.bytes, 32);
  assert_int_equal(opened.records, 4);
  assert_int_equal(opened.part_count, 1);
  assert_int_equal(opened.parts[0].ranges.items[1].from, 300);
  assert_memory_equal(opened.parts[0].hash, of.parts[0].hash, RECEIPT_HASH);
  receipt_deinit(&opened);
  for (size_t i = 0; i < out.len; i++) {
    out.data[i] ^= 0x10;
    assert_int_not_equal(receipt_open(&opened, buffer_bytes(&out)), 0);
    out.data[i] ^= 0x10;
    assert_int_not_equal(receipt_open(&opened, bytes_of(out.data, i)), 0);
  }
  buffer_deinit(&out);
  receipt_fold_deinit(&of);
  identity_free(taker);
}

static void an_answer_is_read_as_it_was_signed(void **state) {
  (void)state;
  struct identity *giver;
  struct buffer out = BUFFER_NULL;
  struct receipt_answer opened, answer = {.giver = bytes_text("chongqing"),
                                    .taker = bytes_text("hubei"),
                                    .number = 7,
                                    .digest = {1, 2},
                                    .verdict = RECEIPT_DISPUTED,
                                    .time = 9,
                                    .why = bytes_text("不同")};
  identity_generate(&giver);
  receipt_answer_sign(&out, &answer, giver);
  assert_int_equal(receipt_answer_open(&opened, buffer_bytes(&out)), 0);
  assert_int_equal(opened.number, 7);
  assert_int_equal(opened.verdict, RECEIPT_DISPUTED);
  assert_true(bytes_equal(opened.why, answer.why));
  for (size_t i = 0; i < out.len; i++) {
    out.data[i] ^= 1;
    assert_int_not_equal(receipt_answer_open(&opened, buffer_bytes(&out)), 0);
    out.data[i] ^= 1;
  }
  buffer_deinit(&out);
  identity_free(giver);
}

/* Signed by somebody with a good key, and still not taken. */
static void hostile_receipts_are_refused(void **state) {
  (void)state;
  struct identity *taker;
  struct receipt opened;
  struct interval ranges[2] = {{1, 5}, {6, 7}};
  struct receipt_part parts[2] = {
      {.stream = bytes_text("b"), .ranges = {ranges, 1, 1}}, {.stream = bytes_text("a"), .ranges = {ranges, 1, 1}}};
  struct receipt receipt = {.taker = bytes_text("hubei"), .giver = bytes_text("chongqing"), .parts = parts};
  identity_generate(&taker);
  for (int i = 0; i < 6; i++) {
    struct buffer out = BUFFER_NULL;
    receipt.part_count = i == 0 ? 2 : i == 1 ? 0 : 1;                          /* not in order; none */
    parts[0].ranges.count = i == 2 ? 2 : i == 3 ? 0 : 1;                       /* touching ranges; none */
    ranges[0].to = i == 4 ? RECEIPT_RECORDS_MAX + 1 : i == 5 ? UINT64_MAX : 5; /* too many */
    assert_true(receipt_sign(&out, &receipt, taker));
    assert_int_equal(receipt_open(&opened, buffer_bytes(&out)), RECEIPT_MALFORMED);
    buffer_deinit(&out);
  }
  identity_free(taker);
}

/* Every second record alone, in as many streams as there are: what is taken always fits. */
static void what_is_full_says_so(void **state) {
  (void)state;
  struct identity *taker;
  struct receipt_fold of = RECEIPT_FOLD_NULL;
  struct receipt opened;
  struct buffer out = BUFFER_NULL;
  bool full = false;
  identity_generate(&taker);
  for (int i = 1; !full && i < 100000; i++) {
    struct blob *blob = block_of(i % 2 ? "chongqing/cuntan" : "chongqing/yichang!urgent", i * 1000, i * 1000 + i % 2);
    struct block block;
    assert_int_equal(block_open(&block, blob_bytes(blob)), 0);
    full = !receipt_fold_add(&of, &block);
    blob_unref(blob);
  }
  assert_true(full);
  assert_true(of.entry_count > 1000);
  receipt_fold_end(&of);
  struct receipt receipt = receipt_of(&of);
  assert_true(receipt_sign(&out, &receipt, taker));
  assert_int_equal(receipt_open(&opened, buffer_bytes(&out)), 0);
  assert_int_equal(opened.records, of.entry_count);
  receipt_deinit(&opened);
  buffer_deinit(&out);
  receipt_fold_deinit(&of);
  identity_free(taker);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(the_hash_does_not_depend_on_blocks),
      cmocka_unit_test(the_canonical_bytes_are_these), cmocka_unit_test(a_receipt_is_read_as_it_was_signed),
      cmocka_unit_test(an_answer_is_read_as_it_was_signed), cmocka_unit_test(hostile_receipts_are_refused),
      cmocka_unit_test(what_is_full_says_so)};
  if (sodium_init() < 0) return 1;
  return cmocka_run_group_tests(tests, NULL, NULL);
}
