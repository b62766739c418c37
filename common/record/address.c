#include "common/record/address.h"

/* C0, DEL and C1 controls; in UTF-8 C1 is 0xC2 0x80-0x9F. */
static bool has_control(struct bytes text) {
  for (size_t i = 0; i < text.len; i++) {
    uint8_t c = text.data[i];
    if (c < 0x20 || c == 0x7f) return true;
    if (c == 0xc2 && i + 1 < text.len && text.data[i + 1] >= 0x80 && text.data[i + 1] <= 0x9f) return true;
  }
  return false;
}

static bool has_empty_segment(struct bytes text) {
  if (text.data[0] == '/' || text.data[text.len - 1] == '/') return true;
  for (size_t i = 1; i < text.len; i++)
    if (text.data[i] == '/' && text.data[i - 1] == '/') return true;
  return false;
}

/* The rules that addresses and patterns share; NULL where all hold. */
static const char *broken_rule(struct bytes text) {
  if (text.len == 0) return "it is empty";
  if (text.len > ADDRESS_MAX) return "it is longer than 255 bytes";
  if (!bytes_is_utf8(text)) return "it is not well-formed UTF-8";
  if (has_control(text)) return "it holds a control character";
  if (has_empty_segment(text)) return "it has an empty segment";
  return NULL;
}

int address_check(struct bytes address, const char **why) {
  const char *broken = broken_rule(address);
  if (!broken && (memchr(address.data, '+', address.len) || memchr(address.data, '#', address.len)))
    broken = "it holds '+' or '#', which only patterns may";
  if (why) *why = broken;
  return broken ? ADDRESS_BAD : 0;
}

bool address_below(struct bytes address, struct bytes node) {
  if (node.len == 0 || address.len < node.len || memcmp(address.data, node.data, node.len) != 0) return false;
  return address.len == node.len || address.data[node.len] == '/';
}

struct bytes address_segment(struct bytes address, unsigned n) {
  const uint8_t *at = address.data, *end = address.data + address.len;
  while (at && at <= end) {
    const uint8_t *slash = memchr(at, '/', (size_t)(end - at));
    if (!slash) slash = end;
    if (n-- == 0) return bytes_of(at, (size_t)(slash - at));
    if (slash == end) break;
    at = slash + 1;
  }
  return BYTES_NULL;
}

unsigned address_segments(struct bytes address) {
  if (address.len == 0) return 0;
  unsigned count = 1;
  for (size_t i = 0; i < address.len; i++) count += address.data[i] == '/';
  return count;
}
