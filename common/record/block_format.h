#ifndef RIVERBUS_COMMON_RECORD_BLOCK_FORMAT_H
#define RIVERBUS_COMMON_RECORD_BLOCK_FORMAT_H
/*
 * The bytes of a block, for the files block*.c alone. Integers are little-endian; varint and zigzag as in
 * common/base/cursor.h.
 *
 * Fixed part, 40 bytes:
 *    0  u8   version: 1
 *    1  u8   flags: bit 0 the body is one zstd frame; other bits 0
 *    2  u16  header length: the fixed part and the items
 *    4  u32  total length
 *    8  u64  XXH3-64 of bytes 16 to the end, seeded with bytes 0 to 7 read as one u64
 *   16  u64  epoch: created     (0 in a draft)
 *   24  u64  epoch: random      (0 in a draft)
 *   32  u64  sequence of the first record (0 in a draft)
 * Items, each varint id, varint length, value. Unknown ids are skipped by readers and kept by whoever copies the block.
 *    1  stream, text                                          required, first
 *    2  run, u64                                              required
 *    3  extent: varint last - first, varint count, varint length of the body before compression     required
 *    4  times: zigzag received_from, varint received_to - received_from, zigzag received_from - time_from, varint
 *       time_to - time_from    required
 *    5  hop: zigzag time, then the node's name; one item a hop, in order of the way
 *    7  clock of the node to which the hop before this item passed it, minus that hop's own: zigzag µs; no item where
 * it had not been measured 6  onward: to whom it may be passed on (common/record/onward.h); at most one item Body
 * (after decompression): varint count of addresses, then each: varint n, varint m, m bytes: the address is the first n
 * bytes of the one before it and then these m. Before the first stands the stream's node name (the stream without
 * "!urgent"). then the records, as many as `count`: u8 flags: bits 0-2 value: 0 none, 1 double, 2 integer, 3 false, 4
 * true, 5 text, 6 bytes, 7 decimal bit 3: a byte quality << 4 | reason follows (else good, no reason) bit 4: a byte
 * kind follows (else reading) bit 5: time equals received (else zigzag received - time follows) bit 6: varint extra
 * follows: sequence is the one before + 1 + extra bit 7: received equals that of the record before (else zigzag of the
 * difference follows) in this order: [kind] [quality] [extra] varint address index, [received] [time], value double: 8
 * bytes; integer: zigzag; text, bytes: varint length, content; decimal: varint zigzag(m - m') << 1 | e, and if e = 1 a
 * byte with the new exponent: worth m / 10^exponent, where m' and the exponent are those of the last decimal at this
 * address in this block (0 and 2 before the first). The first record has the sequence `first` and the received time
 * `received_from`, without extra or difference.
 *
 * Example: stream chongqing/cuntan, epoch {1, 2}, first 7, run 3: one reading gauge-1/level = 178.52 at time =
 * received = 1000000 µs:
 *   01 00 51 00 67 00 00 00 <8: XXH3> 01 00 .. 02 00 .. 07 00 ..   fixed part; header 0x51 = 81, total 0x67 = 103
 *   01 10 "chongqing/cuntan"                                       stream
 *   02 08 03 00 00 00 00 00 00 00                                  run
 *   03 03 00 01 16   04 06 80 89 7a 00 00 00                       extent, times
 *   01  10 0e "/gauge-1/level"                                     one address
 *   a7 00 f0 ad 04                                                 flags: decimal, time = received, received unchanged;
 *                                                                  address 0; 17852 = zigzag 35704, << 1
 */
#include "common/record/block.h"
#include "common/base/cursor.h"

enum {
  FORMAT_FIXED = 40,
  FORMAT_AT_LENGTHS = 2,
  FORMAT_AT_TOTAL = 4,
  FORMAT_AT_CHECKSUM = 8,
  FORMAT_AT_EPOCH = 16,
  FORMAT_AT_FIRST = 32,
  FORMAT_COMPRESSED = 1,
  FORMAT_ITEM_STREAM = 1,
  FORMAT_ITEM_RUN = 2,
  FORMAT_ITEM_EXTENT = 3,
  FORMAT_ITEM_TIMES = 4,
  FORMAT_ITEM_HOP = 5,
  FORMAT_ITEM_ONWARD = 6,
  FORMAT_ITEM_CLOCK = 7,
  FORMAT_BUILD_MAX = BLOCK_MAX - 3000, /* what a builder makes at most: room for the hops of a path and for grants */
  FORMAT_EXPONENT_FIRST = 2,
  FORMAT_EXPONENT_MAX = 9
};
enum {
  RECORD_BIT_QUALITY = 8,
  RECORD_BIT_KIND = 16,
  RECORD_BIT_SAME_TIME = 32,
  RECORD_BIT_GAP = 64,
  RECORD_BIT_SAME_RECEIVED = 128
};
enum { WORTH_NONE, WORTH_DOUBLE, WORTH_INTEGER, WORTH_FALSE, WORTH_TRUE, WORTH_TEXT, WORTH_BYTES, WORTH_DECIMAL };

extern const double format_powers[FORMAT_EXPONENT_MAX + 1];

/* What the codec remembers of an address within one block. */
struct format_last {
  int64_t mantissa;
  uint8_t exponent;
};

/* The stream's node name: without "!urgent". */
struct bytes format_node(struct bytes stream);
/* Puts a block together: items are the encoded header items. Lengths and checksum are set; epoch and first as given. */
struct blob *format_assemble(uint8_t flags, struct epoch epoch, uint64_t first, struct bytes items, struct bytes body);
void format_put_item(struct writer *w, uint64_t id, struct bytes value);
void format_put_extent(struct writer *w, uint64_t span, uint64_t count, uint64_t body_size);
void format_put_times(struct writer *w, int64_t received_from, int64_t received_to, int64_t time_from, int64_t time_to);
/* Builder's content with the items of another block but for extent and times (block_filter). Sequences of the records
 * are kept. NULL when empty. */
struct blob *format_finish_like(struct block_builder *builder, const struct block *like);
struct block_builder *format_builder_keeping(void); /* keeps the sequences it is given */
#endif
