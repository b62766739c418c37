#include "common/door/selection.h"

struct bytes stream_owner(struct bytes stream) {
  static const char suffix[] = "!urgent";
  size_t len = sizeof suffix - 1;
  if (stream.len > len && memcmp(stream.data + stream.len - len, suffix, len) == 0) stream.len -= len;
  return stream;
}

/* Cuts the first segment off `rest`; false at the end. */
static bool next_segment(struct bytes *rest, struct bytes *segment) {
  if (!rest->data || !rest->len) return false;
  const uint8_t *slash = memchr(rest->data, '/', rest->len);
  size_t len = slash ? (size_t)(slash - rest->data) : rest->len;
  *segment = bytes_of(rest->data, len);
  *rest = slash ? bytes_of(slash + 1, rest->len - len - 1) : BYTES_NULL;
  return true;
}

enum selection_extent pattern_extent(struct bytes pattern, struct bytes node) {
  struct bytes want, have;
  while (next_segment(&node, &have)) {
    if (!next_segment(&pattern, &want)) return SELECTION_NONE;
    if (bytes_equal(want, bytes_text("#"))) return SELECTION_ALL;
    if (!bytes_equal(want, bytes_text("+")) && !bytes_equal(want, have)) return SELECTION_NONE;
  }
  return bytes_equal(pattern, bytes_text("#")) ? SELECTION_ALL : SELECTION_SOME;
}

enum selection_extent patterns_extent(const struct patterns *patterns, struct bytes node) {
  if (patterns_find_whole(patterns, node, NULL, NULL)) return SELECTION_ALL;
  return patterns_find_below(patterns, node, NULL, NULL) ? SELECTION_SOME : SELECTION_NONE;
}

static bool dictionary_wanted(const struct selection *selection, const struct block *block) {
  struct block_reader *reader = NULL;
  const struct bytes *addresses = NULL;
  bool wanted = false;
  if (!selection->address) return true;
  if (block_reader_new(&reader, block)) return false;
  size_t count = block_reader_addresses(reader, &addresses);
  for (size_t i = 0; i < count && !wanted; i++) wanted = selection->address(selection->ctx, addresses[i]);
  block_reader_free(reader);
  return wanted;
}

struct blob *selection_apply(const struct selection *selection, struct blob *from, const struct block *block) {
  struct blob *out = NULL;
  if (!dictionary_wanted(selection, block)) return NULL;
  if (block_filter(&out, from, block, selection->record, selection->ctx)) return NULL;
  return out;
}
