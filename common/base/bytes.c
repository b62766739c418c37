#include "common/base/bytes.h"

int bytes_compare(struct bytes a, struct bytes b) {
  size_t least = a.len < b.len ? a.len : b.len;
  int order = least > 0 ? memcmp(a.data, b.data, least) : 0;
  if (order != 0) return order;
  return a.len == b.len ? 0 : a.len < b.len ? -1 : 1;
}

/* Length of the well-formed sequence at p (RFC 3629 section 4), or 0. */
static size_t sequence_length(const uint8_t *p, size_t left) {
  uint8_t lead = p[0];
  uint8_t low = 0x80,
          high = 0xBF; /* allowed range of the second byte: this is what shuts out overlong forms and surrogates */
  size_t len;
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) {
    len = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    len = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    len = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return 0;
  }
  if (left < len || p[1] < low || p[1] > high) return 0;
  for (size_t i = 2; i < len; i++)
    if ((p[i] & 0xC0) != 0x80) return 0;
  return len;
}

bool bytes_is_utf8(struct bytes b) {
  size_t at = 0;
  while (at < b.len) {
    size_t len = sequence_length(b.data + at, b.len - at);
    if (len == 0) return false;
    at += len;
  }
  return true;
}
