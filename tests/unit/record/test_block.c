#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "common/record/block_format.h"
#include "common/base/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <zstd.h>

static struct record reading(const char *address, double value, int64_t at) {
  return (struct record){
      .address = bytes_text(address), .time = at, .received = at, .value = {.type = VALUE_NUMBER, .number = value}};
}

static struct blob *golden_block(void) {
  struct block_builder *builder = block_builder_new();
  struct record record = reading("chongqing/cuntan/gauge-1/level", 178.52, 1000000);
  assert_int_equal(block_builder_add(builder, &record, BLOCK_MAX), 0);
  struct blob *block = block_builder_finish(builder, bytes_text("chongqing/cuntan"), 3);
  block_number(block, (struct epoch){1, 2}, 7);
  block_builder_free(builder);
  return block;
}

/* The bytes are the format: a change here is a new version. */
static const char golden[] = "0100510067000000@@@@@@@@@@@@@@@@010000000000000002000000000000000700000000000000"
                             "0110"
                             "63686f6e6771696e672f63756e74616e"
                             "02080300000000000000"
                             "0303000116"
                             "040680897a000000"
                             "01100e"
                             "2f67617567652d312f6c6576656c"
                             "a700f0ad04";

#define GOLDEN_CHECKSUM "3f95eeed30f959af"
static void golden_vector(void **state) {
  (void)state;
  struct blob *blob = golden_block();
  char hex[2 * 512 + 1] = "";
  for (uint32_t i = 0; i < blob->len; i++) sprintf(hex + 2 * i, "%02x", blob->data[i]);
  for (size_t i = 0; golden[i]; i++)
    if (golden[i] != '@' && golden[i] != hex[i]) fail_msg("differs at byte %zu:\n%s\n%s", i / 2, hex, golden);
  assert_int_equal(strlen(golden), strlen(hex));
  printf("checksum %.16s\n", hex + 16);
  assert_memory_equal(hex + 16, GOLDEN_CHECKSUM, 16);
  struct block block;
  assert_int_equal(block_open(&block, blob_bytes(blob)), 0);
  assert_int_equal(block.first, 7);
  assert_int_equal(block.last, 7);
  assert_int_equal(block.run, 3);
  assert_int_equal(block.epoch.random, 2);
  assert_true(bytes_equal(block.stream, bytes_text("chongqing/cuntan")));
  assert_int_equal(block_check(&block), 0);
  assert_true(blob->len <= 120);
  blob_unref(blob);
}

/* The same from the other side: the bytes as they stand in the text above are a block. */
static void golden_bytes_open(void **state) {
  (void)state;
  uint8_t bytes[512];
  size_t len = 0;
  struct block block;
  struct block_reader *reader;
  struct record record;
  char hex[sizeof golden];
  memcpy(hex, golden, sizeof golden);
  memcpy(strchr(hex, '@'), GOLDEN_CHECKSUM, 16);
  for (; hex[2 * len]; len++) {
    char pair[3] = {hex[2 * len], hex[2 * len + 1], 0};
    bytes[len] = (uint8_t)strtoul(pair, NULL, 16);
  }
  assert_int_equal(block_open(&block, bytes_of(bytes, len)), 0);
  assert_int_equal(block_reader_new(&reader, &block), 0);
  assert_int_equal(block_reader_next(reader, &record), 0);
  assert_int_equal(record.sequence, 7);
  assert_true(record.value.number == 178.52);
  assert_true(bytes_equal(record.address, bytes_text("chongqing/cuntan/gauge-1/level")));
  assert_int_equal(block_reader_next(reader, &record), BLOCK_EMPTY);
  block_reader_free(reader);
}

struct made {
  struct record record;
  char address[64];
  char text[40];
};

static void make_record(struct made *made, unsigned *seed, int64_t *received) {
  static const double tens[] = {1, 10, 100, 1000};
  *received += rand_r(seed) % 3 ? rand_r(seed) % 100000 : 0;
  sprintf(made->address, "chongqing/cuntan/gauge-%d/level", rand_r(seed) % 40);
  sprintf(made->text, "text %d", rand_r(seed));
  made->record = reading(made->address, (double)(rand_r(seed) % 20000 - 100) / tens[rand_r(seed) % 4], *received);
  if (rand_r(seed) % 3 == 0) made->record.time -= rand_r(seed) % 1000000 - 1000;
  if (rand_r(seed) % 5 == 0) made->record.quality = QUALITY_BAD, made->record.reason = REASON_CLOCK;
  if (rand_r(seed) % 7 == 0) made->record.kind = (enum record_kind)(rand_r(seed) % RECORD_KINDS);
  switch (rand_r(seed) % 8) {
    case 0:
      made->record.value = (struct value){.type = VALUE_INTEGER, .integer = (int64_t)rand_r(seed) << 32 ^ rand_r(seed)};
      break;
    case 1: made->record.value = (struct value){.type = VALUE_BOOLEAN, .boolean = rand_r(seed) & 1}; break;
    case 2: made->record.value = (struct value){.type = VALUE_TEXT, .bytes = bytes_text(made->text)}; break;
    case 3: made->record.value = (struct value){.type = VALUE_BYTES, .bytes = bytes_text(made->text)}; break;
    case 4: made->record.value = VALUE_EMPTY; break;
    case 5: made->record.value.number = rand_r(seed) / 3.0; break;
    default: break;
  }
}

static void assert_same(const struct record *a, const struct record *b) {
  assert_true(bytes_equal(a->address, b->address));
  assert_int_equal(a->kind, b->kind);
  assert_int_equal(a->quality, b->quality);
  assert_int_equal(a->reason, b->reason);
  assert_int_equal(a->time, b->time);
  assert_int_equal(a->received, b->received);
  assert_int_equal(a->value.type, b->value.type);
  if (a->value.type == VALUE_NUMBER)
    assert_memory_equal(&a->value.number, &b->value.number, sizeof(double));
  else
    assert_true(value_equal(&a->value, &b->value));
}

static bool keep_odd(void *ctx, const struct record *record) { return record->sequence % 2 == (uint64_t) * (int *)ctx; }

static void assert_holds(struct blob *blob, const struct made *made, uint64_t first, uint64_t step, uint32_t count) {
  struct block block;
  struct block_reader *reader;
  struct record record;
  assert_int_equal(block_open(&block, blob_bytes(blob)), 0);
  assert_int_equal(block.count, count);
  assert_int_equal(block_check(&block), 0);
  assert_int_equal(block_reader_new(&reader, &block), 0);
  for (uint32_t i = 0; i < count; i++) {
    assert_int_equal(block_reader_next(reader, &record), 0);
    assert_int_equal(record.sequence, first + i * step);
    assert_same(&record, &made[record.sequence - 100].record);
  }
  assert_int_equal(block_reader_next(reader, &record), BLOCK_EMPTY);
  block_reader_free(reader);
}

static void round_trips(void **state) {
  (void)state;
  unsigned seed = getenv("SEED") ? (unsigned)atoi(getenv("SEED")) : 11;
  struct block_packer *packer = block_packer_new();
  printf("seed %u\n", seed);
  for (int round = 0; round < 300; round++) {
    uint32_t count = 1 + (uint32_t)(rand_r(&seed) % 400);
    struct made *made = mem_alloc(count * sizeof *made);
    struct block_builder *builder = block_builder_new();
    int64_t received = INT64_C(1790000000000000);
    for (uint32_t i = 0; i < count; i++) {
      make_record(&made[i], &seed, &received);
      assert_int_equal(block_builder_add(builder, &made[i].record, BLOCK_MAX), 0);
    }
    struct blob *blob = block_builder_finish(builder, bytes_text("chongqing/cuntan"), 9);
    block_number(blob, (struct epoch){5, 6}, 100);
    assert_holds(blob, made, 100, 1, count);
    struct block block;
    int odd = 1;
    block_open(&block, blob_bytes(blob));
    struct blob *packed = block_compress(packer, blob, &block), *half = NULL, *hopped = NULL;
    assert_holds(packed, made, 100, 1, count);
    block_open(&block, blob_bytes(packed));
    const int64_t ahead = -1234;
    assert_int_equal(block_with_hop(&hopped, &block, bytes_text("hubei"), 77, count % 2 ? &ahead : NULL), 0);
    assert_holds(hopped, made, 100, 1, count);
    assert_int_equal(block_open(&block, blob_bytes(hopped)), 0);
    assert_true(block_visited(&block, bytes_text("hubei")));
    assert_int_equal(block.hops[0].time, 77);
    assert_int_equal(block.hops[0].measured, count % 2);
    assert_int_equal(block.hops[0].ahead, count % 2 ? ahead : 0);
    assert_int_equal(block_filter(&half, hopped, &block, keep_odd, &odd), 0);
    if (count > 1) {
      assert_holds(half, made, 101, 2, count / 2);
      struct block filtered;
      block_open(&filtered, blob_bytes(half));
      assert_true(block_visited(&filtered, bytes_text("hubei")));
      assert_int_equal(filtered.hops[0].measured, count % 2);
      assert_int_equal(filtered.hops[0].ahead, count % 2 ? ahead : 0);
      assert_true(half->len <= BLOCK_MAX);
    } else
      assert_null(half);
    blob_unref(half);
    blob_unref(hopped);
    blob_unref(packed);
    blob_unref(blob);
    block_builder_free(builder);
    free(made);
  }
  block_packer_free(packer);
}

static void reseal(struct blob *blob) {
  struct reader r;
  reader_init(&r, bytes_of(blob->data + 16, 24));
  struct epoch epoch;
  epoch.created = reader_u64(&r);
  epoch.random = reader_u64(&r);
  block_number(blob, epoch, reader_u64(&r));
}

/* Whatever a peer sends, opening and checking end in a result; sealed anew, so that the parsers behind the checksum are
 * reached. */
static void hostile_bytes(void **state) {
  (void)state;
  struct blob *good = golden_block();
  for (uint32_t at = 0; at < good->len; at++)
    for (int bit = 0; bit < 8; bit++) {
      struct blob *bad = blob_copy(blob_bytes(good));
      struct block block;
      bad->data[at] ^= (uint8_t)(1 << bit);
      assert_int_equal(block_open(&block, blob_bytes(bad)), BLOCK_DAMAGED);
      reseal(bad);
      if (block_open(&block, blob_bytes(bad)) == 0) (void)block_check(&block);
      blob_unref(bad);
    }
  for (uint32_t len = 0; len < good->len; len++) {
    struct blob *cut = blob_copy(bytes_of(good->data, len));
    struct block block;
    assert_int_equal(block_open(&block, blob_bytes(cut)), BLOCK_DAMAGED);
    blob_unref(cut);
  }
  blob_unref(good);
}

/* ---- blocks that a peer forged, with a checksum that fits ---- */

/* What the header says and what stands behind it. */
struct forged {
  uint64_t first, span, count, body_size;
  bool compressed;
  struct bytes body;
};

static struct blob *forge(const struct forged *forged) {
  struct buffer items = BUFFER_NULL;
  struct writer w;
  writer_init(&w, &items, SIZE_MAX);
  format_put_item(&w, FORMAT_ITEM_STREAM, bytes_text("a/b"));
  format_put_item(&w, FORMAT_ITEM_RUN, bytes_of("\0\0\0\0\0\0\0\1", 8));
  format_put_extent(&w, forged->span, forged->count, forged->body_size);
  format_put_times(&w, 1, 1, 1, 1);
  struct blob *blob = format_assemble(forged->compressed ? FORMAT_COMPRESSED : 0, (struct epoch){1, 2}, forged->first,
      buffer_bytes(&items), forged->body);
  buffer_deinit(&items);
  return blob;
}

enum { OPENS_NOT, CHECKS_NOT, GOOD };
static int verdict(const struct forged *forged) {
  struct blob *blob = forge(forged);
  struct block block;
  assert_true(blob->len <= BLOCK_MAX);
  int opened = block_open(&block, blob_bytes(blob)), checked = opened == 0 ? block_check(&block) : 0;
  assert_true(opened == 0 || opened == BLOCK_MALFORMED);
  assert_true(checked == 0 || checked == BLOCK_MALFORMED);
  blob_unref(blob);
  return opened ? OPENS_NOT : checked ? CHECKS_NOT : GOOD;
}

/* One address, a/b/c, and `count` records without a value, of the time 1. */
static struct bytes plain_body(struct buffer *out, size_t count) {
  struct writer w;
  buffer_clear(out);
  writer_init(&w, out, SIZE_MAX);
  writer_bytes(&w, bytes_of("\1\3\2/c", 5));
  for (size_t i = 0; i < count; i++) {
    writer_u8(&w, RECORD_BIT_SAME_TIME | RECORD_BIT_SAME_RECEIVED);
    writer_varint(&w, 0);
  }
  return buffer_bytes(out);
}

static void a_lying_count_is_found(void **state) {
  (void)state;
  struct buffer text = BUFFER_NULL;
  struct forged f = {.first = 1, .span = 2, .count = 3, .body = plain_body(&text, 3)};
  f.body_size = f.body.len;
  assert_int_equal(verdict(&f), GOOD);
  f.count = 2; /* fewer than there are */
  assert_int_equal(verdict(&f), CHECKS_NOT);
  f.count = 4, f.span = 3; /* more than there are */
  assert_int_equal(verdict(&f), CHECKS_NOT);
  f.count = BLOCK_RECORDS_MAX, f.span = BLOCK_RECORDS_MAX - 1;
  assert_int_equal(verdict(&f), CHECKS_NOT);
  f.count = BLOCK_RECORDS_MAX + 1, f.span = BLOCK_RECORDS_MAX;
  assert_int_equal(verdict(&f), OPENS_NOT);
  f.count = 0, f.span = 2;
  assert_int_equal(verdict(&f), OPENS_NOT);
  f.count = UINT64_C(0x100000003); /* 3, cut to 32 bits */
  assert_int_equal(verdict(&f), OPENS_NOT);
  f.count = 3, f.body_size = f.body.len + 1;
  assert_int_equal(verdict(&f), OPENS_NOT);
  ((uint8_t *)text.data)[0] = 4; /* more addresses than records */
  f.body_size = f.body.len;
  assert_int_equal(verdict(&f), CHECKS_NOT);
  buffer_deinit(&text);
}

/* The numbers between first and last: a span that one block cannot have would claim what was never there. */
static void the_span_is_bounded(void **state) {
  (void)state;
  struct buffer text = BUFFER_NULL;
  struct forged f = {.first = 5, .span = 0, .count = 1, .body = plain_body(&text, 1)};
  f.body_size = f.body.len;
  assert_int_equal(verdict(&f), GOOD);
  f.span = 1; /* the last record is not the last number */
  assert_int_equal(verdict(&f), CHECKS_NOT);
  f.span = BLOCK_RECORDS_MAX - 1;
  assert_int_equal(verdict(&f), CHECKS_NOT);
  f.span = BLOCK_RECORDS_MAX;
  assert_int_equal(verdict(&f), OPENS_NOT);
  f.span = UINT64_MAX;
  assert_int_equal(verdict(&f), OPENS_NOT);
  f.first = UINT64_MAX, f.span = 1; /* over the end of the numbers */
  assert_int_equal(verdict(&f), OPENS_NOT);
  buffer_deinit(&text);
}

static struct bytes pack(struct buffer *out, struct bytes body) {
  buffer_clear(out);
  buffer_reserve(out, ZSTD_compressBound(body.len));
  out->len = ZSTD_compress(out->data, ZSTD_compressBound(body.len), body.data, body.len, 19);
  assert_false(ZSTD_isError(out->len));
  return buffer_bytes(out);
}

/* 64 MiB in some kilobytes. Whatever the header says, no more than BLOCK_MAX is ever unpacked. */
static void a_bomb_does_not_go_off(void **state) {
  (void)state;
  enum { BOMB = 64 * 1024 * 1024 };
  struct buffer text = BUFFER_NULL, packed = BUFFER_NULL;
  struct forged f = {.first = 1, .span = 2, .count = 3, .compressed = true};
  struct bytes plain = plain_body(&text, 3);
  f.body = pack(&packed, plain), f.body_size = plain.len;
  assert_int_equal(verdict(&f), GOOD);
  f.body_size = plain.len - 1; /* it is longer than was said */
  assert_int_equal(verdict(&f), CHECKS_NOT);
  f.body_size = plain.len + 1; /* shorter */
  assert_int_equal(verdict(&f), CHECKS_NOT);
  uint8_t *bomb = mem_alloc(BOMB);
  f.body = pack(&packed, bytes_of(bomb, BOMB));
  assert_true(f.body.len < 16 * 1024);
  f.body_size = BOMB; /* it says so */
  assert_int_equal(verdict(&f), OPENS_NOT);
  f.body_size = (uint64_t)BOMB << 32 | 100; /* 100, cut to 32 bits */
  assert_int_equal(verdict(&f), OPENS_NOT);
  f.body_size = BLOCK_MAX; /* it does not */
  assert_int_equal(verdict(&f), CHECKS_NOT);
  free(bomb);
  buffer_deinit(&text);
  buffer_deinit(&packed);
}

static void limits_hold(void **state) {
  (void)state;
  struct block_builder *builder = block_builder_new();
  char *content = mem_alloc(VALUE_MAX), address[ADDRESS_MAX + 1];
  memset(content, 'v', VALUE_MAX);
  memset(address, 'a', sizeof address);
  struct record record = {.address = bytes_of(address, ADDRESS_MAX),
      .time = INT64_MAX,
      .received = INT64_MIN,
      .quality = QUALITY_BAD,
      .kind = RECORD_EVENT,
      .value = {.type = VALUE_TEXT, .bytes = bytes_of(content, VALUE_MAX)}};
  char stream[STREAM_MAX];
  memset(stream, 'a', ADDRESS_MAX);
  memcpy(stream + ADDRESS_MAX, "!urgent", 7);
  assert_int_equal(block_builder_add(builder, &record, 100), 0);
  assert_int_equal(block_builder_add(builder, &record, BLOCK_MAX), BLOCK_FULL);
  struct blob *blob = block_builder_finish(builder, bytes_of(stream, ADDRESS_MAX + 7), UINT64_MAX);
  struct block block;
  assert_int_equal(block_open(&block, blob_bytes(blob)), 0);
  assert_int_equal(block_check(&block), 0);
  assert_null(block_builder_finish(builder, bytes_text("a"), 1));
  blob_unref(blob);
  block_builder_free(builder);
  free(content);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(golden_vector), cmocka_unit_test(golden_bytes_open),
      cmocka_unit_test(round_trips), cmocka_unit_test(hostile_bytes), cmocka_unit_test(limits_hold),
      cmocka_unit_test(a_lying_count_is_found), cmocka_unit_test(the_span_is_bounded),
      cmocka_unit_test(a_bomb_does_not_go_off)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
