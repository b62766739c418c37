#include "common/base/cursor.h"

/* ---- reader ---- */

void reader_init(struct reader *r, struct bytes from) {
  static const uint8_t nothing; /* C allows no arithmetic on NULL, not even + 0 */
  const uint8_t *at = from.len > 0 ? from.data : &nothing;
  *r = (struct reader){at, at + from.len, false};
}

size_t reader_left(const struct reader *r) { return r->failed ? 0 : (size_t)(r->end - r->at); }

bool reader_done(const struct reader *r) { return !r->failed && r->at == r->end; }

void reader_fail(struct reader *r) { r->failed = true; }

/* The next len bytes, or NULL after the failure it notes. */
static const uint8_t *reader_take(struct reader *r, size_t len) {
  if (r->failed || (size_t)(r->end - r->at) < len) {
    r->failed = true;
    return NULL;
  }
  const uint8_t *taken = r->at;
  r->at += len;
  return taken;
}

static uint64_t reader_fixed(struct reader *r, size_t len) {
  if (r->failed) return 0;
  const uint8_t *p = reader_take(r, len);
  uint64_t v = 0;
  if (!p) return 0;
  for (size_t i = len; i > 0; i--) v = v << 8 | p[i - 1];
  return v;
}

uint8_t reader_u8(struct reader *r) { return (uint8_t)reader_fixed(r, 1); }
uint16_t reader_u16(struct reader *r) { return (uint16_t)reader_fixed(r, 2); }
uint32_t reader_u32(struct reader *r) { return (uint32_t)reader_fixed(r, 4); }
uint64_t reader_u64(struct reader *r) { return reader_fixed(r, 8); }

double reader_double(struct reader *r) {
  uint64_t bits = reader_u64(r);
  double v;
  memcpy(&v, &bits, sizeof v);
  return v;
}

uint64_t reader_varint(struct reader *r) {
  uint64_t v = 0;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    uint8_t byte = reader_u8(r);
    if (r->failed) return 0;
    bool overflows = shift == 63 && byte > 1;
    bool longer_than_needed = shift > 0 && byte == 0;
    if (overflows || longer_than_needed) break;
    v |= (uint64_t)(byte & 0x7F) << shift;
    if (byte < 0x80) return v;
  }
  reader_fail(r);
  return 0;
}

int64_t reader_zigzag(struct reader *r) {
  uint64_t v = reader_varint(r);
  return (int64_t)(v >> 1 ^ (~(v & 1) + 1));
}

struct bytes reader_bytes(struct reader *r, size_t len) {
  const uint8_t *p = reader_take(r, len);
  return p ? bytes_of(p, len) : BYTES_NULL;
}

struct bytes reader_sized(struct reader *r) {
  uint64_t len = reader_varint(r);
  if (len > reader_left(r)) {
    reader_fail(r);
    return BYTES_NULL;
  }
  return reader_bytes(r, (size_t)len);
}

/* ---- writer ---- */

void writer_init(struct writer *w, struct buffer *to, size_t max) { *w = (struct writer){to, max, false}; }

/* Room for len bytes, already counted into the buffer, or NULL after the failure it notes. */
static uint8_t *writer_room(struct writer *w, size_t len) {
  if (w->failed || w->to->len > w->max || w->max - w->to->len < len) {
    w->failed = true;
    return NULL;
  }
  buffer_reserve(w->to, len);
  uint8_t *room = w->to->data + w->to->len;
  w->to->len += len;
  return room;
}

static void writer_fixed(struct writer *w, uint64_t v, size_t len) {
  uint8_t *room = writer_room(w, len);
  for (size_t i = 0; room && i < len; i++) room[i] = (uint8_t)(v >> 8 * i);
}

void writer_u8(struct writer *w, uint8_t v) { writer_fixed(w, v, 1); }
void writer_u16(struct writer *w, uint16_t v) { writer_fixed(w, v, 2); }
void writer_u32(struct writer *w, uint32_t v) { writer_fixed(w, v, 4); }
void writer_u64(struct writer *w, uint64_t v) { writer_fixed(w, v, 8); }

void writer_double(struct writer *w, double v) {
  uint64_t bits;
  memcpy(&bits, &v, sizeof bits);
  writer_u64(w, bits);
}

static size_t varint_put(uint8_t *to, uint64_t v) {
  size_t len = 0;
  for (; v >= 0x80; v >>= 7) to[len++] = (uint8_t)(v | 0x80);
  to[len++] = (uint8_t)v;
  return len;
}

void writer_varint(struct writer *w, uint64_t v) {
  uint8_t form[10];
  size_t len = varint_put(form, v);
  writer_bytes(w, bytes_of(form, len));
}

void writer_zigzag(struct writer *w, int64_t v) { writer_varint(w, (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0)); }

void writer_bytes(struct writer *w, struct bytes v) {
  uint8_t *room = writer_room(w, v.len);
  if (room && v.len > 0) memcpy(room, v.data, v.len);
}

void writer_sized(struct writer *w, struct bytes v) {
  size_t before = w->to->len;
  writer_varint(w, v.len);
  writer_bytes(w, v);
  if (w->failed) w->to->len = before; /* one member, one write: no length without its content */
}
