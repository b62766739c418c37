#include "broker/operator/follower.h"
#include "common/base/mem.h"
#include <jansson.h>
#include <stdlib.h>

void follower_init(struct follower *follower) { *follower = (struct follower){0}; }
void follower_deinit(struct follower *follower) {
  unit_names_deinit(&follower->units);
  table_deinit(&follower->greatest, free);
}

/* A point that is described anew while it is followed. */
static void learn_unit(struct follower *follower, const struct record *record) {
  if (record->value.type != VALUE_TEXT) return;
  json_t *object = json_loadb((const char *)record->value.bytes.data, record->value.bytes.len, 0, NULL);
  unit_names_put(&follower->units, record->address, bytes_text(json_string_value(json_object_get(object, "unit"))));
  json_decref(object);
}

static void put_record(const struct follower *follower, const struct block *block, const struct record *record,
    enum lane lane, struct buffer *out) {
  const struct row row = {block, record, unit_names_get(&follower->units, record->address), lane};
  if (follower->form == FOLLOWER_TABLE) row_put_line(out, &row, &follower->style);
  if (follower->form == FOLLOWER_JSON) row_put_json(out, &row, &follower->style);
}

static bool is_wanted(const struct follower *follower, const struct record *record) {
  return follower->all || record->kind == RECORD_READING || record->kind == RECORD_EVENT;
}

static void mark(struct follower *follower, enum lane lane, uint64_t position, uint64_t within) {
  follower->marks[lane].moved = true;
  follower->marks[lane].position = position;
  follower->marks[lane].within = within;
}

/* ---- what was taken ---- */

void follower_again(struct follower *follower) {
  for (int lane = 0; lane < LANES; lane++) {
    follower->taken_then[lane] = follower->taken[lane];
    follower->marks[lane].moved = false; /* the node takes no acknowledgement of what it has not sent again */
  }
}

struct origin {
  uint8_t bytes[1 + sizeof(struct epoch) + ADDRESS_MAX + 8];
  size_t len;
};

static struct origin origin_of(const struct block *block, enum lane lane) {
  struct origin origin = {.bytes = {(uint8_t)lane}, .len = 1};
  size_t room = sizeof origin.bytes - 1 - sizeof block->epoch,
         stream = block->stream.len < room ? block->stream.len : room;
  memcpy(origin.bytes + 1, &block->epoch, sizeof block->epoch);
  memcpy(origin.bytes + 1 + sizeof block->epoch, block->stream.data, stream);
  origin.len += sizeof block->epoch + stream;
  return origin;
}

/* Records up to this sequence are not wanted of this entry: 0, or where it was taken before. */
static uint64_t taken_before(
    const struct follower *follower, const struct block *block, enum lane lane, uint64_t position) {
  if (position > follower->taken_then[lane]) return 0;
  struct origin origin = origin_of(block, lane);
  const uint64_t *greatest = table_get(&follower->greatest, bytes_of(origin.bytes, origin.len));
  return greatest ? *greatest : 0;
}

static void remember(
    struct follower *follower, const struct block *block, enum lane lane, uint64_t position, uint64_t sequence) {
  struct origin origin = origin_of(block, lane);
  struct bytes key = bytes_of(origin.bytes, origin.len);
  uint64_t *greatest = table_get(&follower->greatest, key);
  if (!greatest) table_put(&follower->greatest, key, greatest = mem_alloc(sizeof *greatest));
  if (*greatest < sequence) *greatest = sequence;
  if (follower->taken[lane] < position) follower->taken[lane] = position;
}

bool follower_take(
    struct follower *follower, enum lane lane, uint64_t position, struct bytes bytes, struct buffer *out) {
  struct block block;
  struct block_reader *reader = NULL;
  struct record record;
  if (follower->most && follower->count >= follower->most) return false;
  uint64_t skip = follower->skip_position[lane] == position ? follower->skip_within[lane] : 0;
  if (block_open(&block, bytes) || block_reader_new(&reader, &block)) {
    follower->malformed++;
    mark(follower, lane, position, 0);
    return true;
  }
  uint64_t before = taken_before(follower, &block, lane, position), sequence = 0;
  bool more = true;
  if (skip < before) skip = before;
  while (more && block_reader_next(reader, &record) == 0) {
    sequence = record.sequence;
    if (sequence <= skip) continue;
    if (record.kind == RECORD_DESCRIPTOR) learn_unit(follower, &record);
    if (!is_wanted(follower, &record)) continue;
    put_record(follower, &block, &record, lane, out);
    more = ++follower->count != follower->most;
  }
  block_reader_free(reader);
  remember(follower, &block, lane, position, sequence);
  if (more)
    mark(follower, lane, position, 0);
  else
    mark(follower, lane, position - 1, record.sequence);
  return more;
}
