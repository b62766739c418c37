/* Patterns, compiled into their segments once. */
#include "common/base/mem.h"
#include "common/record/address.h"
#include <stdlib.h>

enum segment_kind { SEGMENT_EXACT, SEGMENT_ONE, SEGMENT_REST };
struct segment {
  enum segment_kind kind;
  struct bytes text; /* EXACT: a view into the pattern's text */
};
struct pattern {
  struct bytes text;
  size_t count;
  struct segment segments[];
};

static const char *wildcard_rule(struct bytes text, unsigned count) {
  for (unsigned i = 0; i < count; i++) {
    struct bytes part = address_segment(text, i);
    bool wild = memchr(part.data, '+', part.len) || memchr(part.data, '#', part.len);
    if (wild && part.len > 1) return "'+' and '#' stand for whole segments";
    if (part.len == 1 && part.data[0] == '#' && i + 1 < count) return "'#' may only be the last segment";
  }
  return NULL;
}

static const char *pattern_rule(struct bytes text, unsigned count) {
  char plain[ADDRESS_MAX + 1];
  const char *why;
  if (text.len == 0) return "it is empty";
  if (text.len > ADDRESS_MAX) return "it is longer than 255 bytes";
  memcpy(plain, text.data, text.len);
  for (size_t i = 0; i < text.len; i++)
    if (plain[i] == '+' || plain[i] == '#') plain[i] = 'x';
  if (address_check(bytes_of(plain, text.len), &why) != 0) return why;
  return wildcard_rule(text, count);
}

static struct segment segment_of(struct bytes part) {
  if (part.len == 1 && part.data[0] == '+') return (struct segment){SEGMENT_ONE, part};
  if (part.len == 1 && part.data[0] == '#') return (struct segment){SEGMENT_REST, part};
  return (struct segment){SEGMENT_EXACT, part};
}

int pattern_new(struct pattern **out, struct bytes text, const char **why) {
  unsigned count = address_segments(text);
  const char *broken = pattern_rule(text, count);
  if (why) *why = broken;
  if (broken) return PATTERN_BAD;
  struct pattern *pattern = mem_alloc(sizeof *pattern + count * sizeof pattern->segments[0]);
  pattern->text = bytes_of(mem_copy(text.data, text.len), text.len);
  pattern->count = count;
  for (unsigned i = 0; i < count; i++) pattern->segments[i] = segment_of(address_segment(pattern->text, i));
  *out = pattern;
  return 0;
}

struct pattern *pattern_free(struct pattern *pattern) {
  if (pattern) free((void *)(uintptr_t)pattern->text.data);
  free(pattern);
  return NULL;
}

struct bytes pattern_text(const struct pattern *pattern) {
  return pattern->text;
}

bool pattern_matches(const struct pattern *pattern, struct bytes address) {
  const uint8_t *at = address.data, *end = address.data + address.len;
  bool more = address.len > 0;
  for (size_t i = 0; i < pattern->count; i++) {
    const struct segment *segment = &pattern->segments[i];
    if (segment->kind == SEGMENT_REST) return address.len > 0;
    if (!more) return false;
    const uint8_t *slash = memchr(at, '/', (size_t)(end - at));
    const uint8_t *stop = slash ? slash : end;
    if (segment->kind == SEGMENT_EXACT && !bytes_equal(segment->text, bytes_of(at, (size_t)(stop - at)))) return false;
    more = slash != NULL;
    at = slash ? slash + 1 : end;
  }
  return !more;
}
