#include "common/record/onward.h"
#include "common/base/cursor.h"
#include <xxhash.h>

int onward_add(struct buffer *to, struct bytes pattern, const struct bytes *nodes, size_t count) {
  struct writer w;
  size_t before = to->len;
  writer_init(&w, to, ONWARD_MAX);
  writer_sized(&w, pattern);
  writer_varint(&w, count);
  for (size_t i = 0; i < count; i++) writer_sized(&w, nodes[i]);
  if (!w.failed) return 0;
  to->len = before;
  return ONWARD_FULL;
}

/* Reads one grant; adds its pattern where `node` is named. */
static void read_grant(struct reader *r, struct bytes node, struct patterns *out) {
  struct bytes pattern = reader_sized(r);
  uint64_t count = reader_varint(r);
  bool named = false;
  for (uint64_t i = 0; i < count && !r->failed; i++)
    if (bytes_equal(reader_sized(r), node)) named = true;
  if (!r->failed && named && patterns_add(out, pattern, NULL) != 0) reader_fail(r);
}

void onward_granted(struct bytes grants, struct bytes node, struct patterns *out) {
  struct patterns found = PATTERNS_NULL;
  struct reader r;
  reader_init(&r, grants.len <= ONWARD_MAX ? grants : bytes_of(NULL, 0));
  while (reader_left(&r) > 0) read_grant(&r, node, &found);
  for (size_t i = 0; !r.failed && i < found.count; i++) patterns_add(out, pattern_text(found.items[i]), NULL);
  patterns_deinit(&found);
}

uint32_t onward_digest(struct bytes grants) {
  uint32_t digest = (uint32_t)XXH3_64bits(grants.data, grants.len);
  return digest ? digest : 1;
}
