#include "broker/operator/follower.h"
#include "broker/operator/output.h"
#include "common/base/mem.h"
#include "common/base/units.h"
#include <stdio.h>
#include <jansson.h>
#include <stdlib.h>
#include <wchar.h>

void follower_init(struct follower *follower) { *follower = (struct follower){0}; }
void follower_deinit(struct follower *follower) {
  table_deinit(&follower->units, free);
  table_deinit(&follower->greatest, free);
}

static char *text_of(struct bytes from) { return mem_text(from.data, from.len); }

void follower_unit(struct follower *follower, struct bytes address, struct bytes unit) {
  free(unit.len ? table_put(&follower->units, address, text_of(unit)) : table_remove(&follower->units, address));
}

/* A point that is described anew while it is followed. */
static void learn_unit(struct follower *follower, const struct record *record) {
  if (record->value.type != VALUE_TEXT) return;
  json_t *object = json_loadb((const char *)record->value.bytes.data, record->value.bytes.len, 0, NULL);
  follower_unit(follower, record->address, bytes_text(json_string_value(json_object_get(object, "unit"))));
  json_decref(object);
}

/* Columns taken by UTF-8 text: a Chinese character takes two. */
static size_t text_width(struct bytes text) {
  char *copy = text_of(text);
  wchar_t wide[ADDRESS_MAX + 1];
  size_t count = mbstowcs(wide, copy, ADDRESS_MAX);
  int width = count == (size_t)-1 ? -1 : wcswidth(wide, count);
  free(copy);
  return width < 0 ? text.len : (size_t)width;
}

enum { ADDRESS_COLUMNS = 40 };

static const char *quality_colour(const struct follower *follower, const struct record *record) {
  if (!follower->colour || record->quality == QUALITY_GOOD) return "";
  return record->quality == QUALITY_BAD ? "\033[31m" : "\033[33m";
}

static void put_row(const struct follower *follower, const struct record *record, struct bytes unit, enum lane lane,
    struct buffer *out) {
  const char *colour = quality_colour(follower, record), *reason = record_reason_name(record->reason);
  units_put_local(out, record->time, follower->zone);
  buffer_printf(out, "  " BYTES_FMT "  ", BYTES_ARG(record->address));
  for (size_t width = text_width(record->address); width < ADDRESS_COLUMNS; width++)
    buffer_append(out, bytes_text(" "));
  if (record->value.type == VALUE_TEXT)
    output_put_clean(out, record->value.bytes);
  else
    value_put_json(out, &record->value);
  if (unit.len) buffer_append(out, bytes_text(" "));
  output_put_clean(out, unit);
  if (record->kind != RECORD_READING) buffer_printf(out, "  %s", record_kind_name(record->kind));
  if (record->quality != QUALITY_GOOD)
    buffer_printf(out, "  %s%s%s%s%s", colour, record_quality_name(record->quality), reason ? ": " : "",
        reason ? reason : "", *colour ? "\033[0m" : "");
  if (lane == LANE_BACKFILL) buffer_append(out, bytes_text("  backfill"));
  buffer_append(out, bytes_text("\n"));
}

/* The object is closed again behind the path. */
static void put_path(const struct block *block, struct buffer *out) {
  out->len--;
  buffer_append(out, bytes_text(",\"path\":["));
  for (uint32_t i = 0; i < block->hop_count; i++) {
    buffer_append(out, bytes_text(i ? ",{\"node\":" : "{\"node\":"));
    json_put_text(out, block->hops[i].node);
    buffer_append(out, bytes_text(",\"time\":\""));
    units_put_rfc3339(out, block->hops[i].time);
    buffer_append(out, bytes_text("\"}"));
  }
  buffer_append(out, bytes_text("]}"));
}

static void put_record(const struct follower *follower, const struct block *block, const struct record *record,
    enum lane lane, struct buffer *out) {
  if (follower->form == FOLLOWER_QUIET) return;
  const char *known = follower->units.count ? table_get(&follower->units, record->address) : NULL;
  struct bytes unit = bytes_text(known);
  if (follower->form == FOLLOWER_TABLE) {
    put_row(follower, record, unit, lane, out);
    return;
  }
  record_put_json(out, record, unit, block->stream, block->epoch, lane);
  if (follower->trace) put_path(block, out);
  buffer_append(out, bytes_text("\n"));
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
