#ifndef RIVERBUS_COMMON_BASE_CURSOR_H
#define RIVERBUS_COMMON_BASE_CURSOR_H
/*
 * The one bounds-checked cursor of all codecs. A reader and a writer keep their first failure: after it every read
 * yields zeros or an empty view, every write does nothing, and the caller asks `failed` once at the end. Fixed-width
 * integers are little-endian. A varint is LEB128 (7 bits a byte, low first, at most 10 bytes, shortest form only: a
 * longer one fails); zigzag maps signed to unsigned as (n << 1) ^ (n >> 63).
 */
#include "common/base/buffer.h"

struct reader {
  const uint8_t *at;
  const uint8_t *end;
  bool failed;
};
void reader_init(struct reader *r, struct bytes from);
size_t reader_left(const struct reader *r); /* 0 after a failure */
bool reader_done(const struct reader *r);   /* all read, nothing failed */
void reader_fail(struct reader *r);         /* for rules above the cursor */
uint8_t reader_u8(struct reader *r);
uint16_t reader_u16(struct reader *r);
uint32_t reader_u32(struct reader *r);
uint64_t reader_u64(struct reader *r);
double reader_double(struct reader *r); /* IEEE 754 bits as u64 */
uint64_t reader_varint(struct reader *r);
int64_t reader_zigzag(struct reader *r);
struct bytes reader_bytes(struct reader *r, size_t len); /* a view into the source */
struct bytes reader_sized(struct reader *r);             /* varint length, then so many bytes */

/* Writes into a buffer that grows up to max bytes in all; one byte more fails and leaves the buffer as it was before
 * that write. */
struct writer {
  struct buffer *to;
  size_t max;
  bool failed;
};
void writer_init(struct writer *w, struct buffer *to, size_t max);
void writer_u8(struct writer *w, uint8_t v);
void writer_u16(struct writer *w, uint16_t v);
void writer_u32(struct writer *w, uint32_t v);
void writer_u64(struct writer *w, uint64_t v);
void writer_double(struct writer *w, double v);
void writer_varint(struct writer *w, uint64_t v);
void writer_zigzag(struct writer *w, int64_t v);
void writer_bytes(struct writer *w, struct bytes v);
void writer_sized(struct writer *w, struct bytes v);
#endif
