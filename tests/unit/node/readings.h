#ifndef RIVERBUS_TESTS_UNIT_NODE_READINGS_H
#define RIVERBUS_TESTS_UNIT_NODE_READINGS_H
/* Readings as the tests of the node make them, and find them again in a store. Include it behind cmocka's needs. */
#include "common/record/block.h"
#include "common/store/store.h"

/* One reading, measured and received at `at` (wall). */
static inline struct blob *reading_draft(
    struct bytes stream, const char *address, int64_t at, int64_t value, uint64_t run) {
  struct block_builder *builder = block_builder_new();
  struct record record = {.kind = RECORD_READING,
      .address = bytes_text(address),
      .time = at,
      .received = at,
      .value = {.type = VALUE_INTEGER, .integer = value}};
  block_builder_add(builder, &record, BLOCK_MAX);
  struct blob *blob = block_builder_finish(builder, stream, run);
  block_builder_free(builder);
  return blob;
}

struct found {
  int64_t value;
  size_t times;
  enum lane lane; /* of the last one */
};
static inline bool find_value(void *ctx, const struct store_entry *entry) {
  struct found *found = ctx;
  struct block block;
  struct block_reader *reader;
  struct record record;
  if (!entry->block) return true;
  assert_int_equal(block_open(&block, blob_bytes(entry->block)), 0);
  assert_int_equal(block_reader_new(&reader, &block), 0);
  while (block_reader_next(reader, &record) == 0) {
    if (record.kind != RECORD_READING || record.value.integer != found->value) continue;
    found->times++;
    found->lane = entry->lane;
  }
  block_reader_free(reader);
  return true;
}

static inline struct found found_in(struct store *store, int64_t value) {
  struct found found = {.value = value};
  for (int lane = 0; lane < LANES; lane++) store_replay(store, (enum lane)lane, 1, find_value, &found);
  return found;
}
#endif
