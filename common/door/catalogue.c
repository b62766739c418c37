#include "common/door/catalogue.h"
#include "common/base/mem.h"
#include "common/record/onward.h"
#include <jansson.h>
#include <stdlib.h>

static struct rank rank_of(const struct record *record, struct epoch epoch) {
  int64_t time = record->time < record->received ? record->time : record->received;
  return (struct rank){record->reason != REASON_CLOCK, time, epoch, record->sequence};
}

static int rank_compare(const struct rank *a, const struct rank *b) {
  if (a->trusted != b->trusted) return a->trusted ? 1 : -1;
  if (a->time != b->time) return a->time < b->time ? -1 : 1;
  int order = epoch_compare(a->epoch, b->epoch);
  if (order) return order;
  return a->sequence == b->sequence ? 0 : a->sequence < b->sequence ? -1 : 1;
}

void catalogue_init(struct catalogue *catalogue) { *catalogue = (struct catalogue){0}; }

static bool value_is_owned(const struct value *value) {
  return value->type == VALUE_TEXT || value->type == VALUE_BYTES;
}

static void value_drop(struct value *value) {
  if (value_is_owned(value)) free((void *)(uintptr_t)value->bytes.data);
  *value = VALUE_EMPTY;
}

static void value_keep(struct value *to, const struct value *from) {
  value_drop(to);
  *to = *from;
  if (value_is_owned(from)) to->bytes.data = mem_copy(from->bytes.data, from->bytes.len);
}

static void point_free(struct catalogue_point *point) {
  value_drop(&point->value);
  free(point->descriptor);
  free(point->unit);
  free((void *)(uintptr_t)point->address.data);
  free(point);
}

void catalogue_deinit(struct catalogue *catalogue) {
  for (size_t i = 0; i < catalogue->count; i++) point_free(catalogue->points[i]);
  free(catalogue->points);
  free(catalogue->dirty);
  table_deinit(&catalogue->by_address, NULL);
  table_deinit(&catalogue->streams, free);
  catalogue_init(catalogue);
}

const struct catalogue_point *catalogue_find(const struct catalogue *catalogue, struct bytes address) {
  return table_get(&catalogue->by_address, address);
}

struct bytes point_unit(const struct catalogue_point *point) {
  return point && point->unit ? bytes_text(point->unit) : BYTES_NULL;
}

/* ---- taking records ---- */

static void mark_dirty(struct catalogue *catalogue, size_t index) {
  size_t byte = index / CATALOGUE_PIECE / 8;
  if (byte >= catalogue->dirty_cap) {
    size_t cap = catalogue->dirty_cap ? catalogue->dirty_cap * 2 : 64;
    while (cap <= byte) cap *= 2;
    catalogue->dirty = mem_resize(catalogue->dirty, cap, 1);
    memset(catalogue->dirty + catalogue->dirty_cap, 0, cap - catalogue->dirty_cap);
    catalogue->dirty_cap = cap;
  }
  catalogue->dirty[byte] |= (uint8_t)(1u << (index / CATALOGUE_PIECE % 8));
  catalogue->any_dirty = true;
}

static struct catalogue_point *point_get(struct catalogue *catalogue, struct bytes address) {
  struct catalogue_point *point = table_get(&catalogue->by_address, address);
  if (point) return point;
  if (catalogue->count >= CATALOGUE_POINTS_MAX) {
    catalogue->left_out++;
    return NULL;
  }
  if (catalogue->count == catalogue->cap) {
    catalogue->cap = catalogue->cap ? catalogue->cap * 2 : 64;
    catalogue->points = mem_resize(catalogue->points, catalogue->cap, sizeof *catalogue->points);
  }
  point = mem_alloc(sizeof *point);
  point->index = (uint32_t)catalogue->count;
  point->address = bytes_of(mem_copy(address.data, address.len), address.len);
  catalogue->points[catalogue->count++] = point;
  table_put(&catalogue->by_address, address, point);
  return point;
}

static char *intern(struct catalogue *catalogue, struct bytes stream) {
  char *known = table_get(&catalogue->streams, stream);
  if (known) return known;
  known = mem_text(stream.data, stream.len);
  table_put(&catalogue->streams, stream, known);
  return known;
}

static char *member_text(const json_t *object, const char *name) {
  const char *text = json_string_value(json_object_get(object, name));
  return text && *text ? mem_text(text, strlen(text)) : NULL;
}

/* Reads what is asked often out of a descriptor; the rest stays in its text. A descriptor that is no object says
 * nothing. */
static void describe(struct catalogue_point *point, struct bytes text) {
  json_t *object = json_loadb((const char *)text.data, text.len, 0, NULL);
  free(point->descriptor);
  free(point->unit);
  point->descriptor = mem_text(text.data, text.len);
  point->unit = member_text(object, "unit");
  point->writable = json_is_object(json_object_get(object, "control"));
  const char *type = json_string_value(json_object_get(object, "type"));
  if (!type || value_type_parse(bytes_text(type), &point->type)) point->type = VALUE_NONE;
  json_decref(object);
}

static bool take_descriptor(struct catalogue_point *point, const struct record *record, const struct rank *rank) {
  if (record->value.type != VALUE_TEXT) return false;
  if (point->descriptor && rank_compare(rank, &point->described) <= 0) return false;
  point->described = *rank;
  describe(point, record->value.bytes);
  return true;
}

static bool take_last(struct catalogue *catalogue, struct catalogue_point *point, const struct record *record,
    const struct rank *rank, struct bytes stream, enum lane lane) {
  if (point->has_last && rank_compare(rank, &point->rank) <= 0) return false;
  if (!point->stream || !bytes_equal(bytes_text(point->stream), stream)) point->stream = intern(catalogue, stream);
  point->has_last = true;
  point->rank = *rank;
  point->kind = (uint8_t)record->kind;
  point->quality = (uint8_t)record->quality;
  point->reason = (uint8_t)record->reason;
  point->lane = (uint8_t)lane;
  point->onward = 0;
  point->time = record->time;
  point->received = record->received;
  value_keep(&point->value, &record->value);
  return true;
}

/* Whether it is the newest of its kind. */
static bool take(struct catalogue *catalogue, struct catalogue_point *point, const struct record *record,
    struct bytes stream, struct epoch epoch, enum lane lane) {
  struct rank rank = rank_of(record, epoch);
  bool changed = record->kind == RECORD_DESCRIPTOR ? take_descriptor(point, record, &rank)
                                                   : take_last(catalogue, point, record, &rank, stream, lane);
  catalogue->applied++;
  if (changed) mark_dirty(catalogue, point->index);
  return changed;
}

static bool is_taken(enum record_kind kind) {
  return kind == RECORD_READING || kind == RECORD_EVENT || kind == RECORD_DESCRIPTOR;
}

void catalogue_take(
    struct catalogue *catalogue, const struct record *record, struct bytes stream, struct epoch epoch, enum lane lane) {
  struct catalogue_point *point = is_taken(record->kind) ? point_get(catalogue, record->address) : NULL;
  if (point) (void)take(catalogue, point, record, stream, epoch, lane);
}

/* Records of a block mostly come in the order of its dictionary, so the place of an address there is guessed before it
 * is searched for. */
struct guess {
  const struct bytes *addresses;
  struct catalogue_point **points;
  size_t count, next;
};

static struct catalogue_point *guess_point(struct catalogue *catalogue, struct guess *guess, struct bytes address) {
  size_t at = guess->next < guess->count ? guess->next : 0;
  if (guess->addresses[at].data != address.data)
    for (at = 0; at < guess->count && guess->addresses[at].data != address.data;) at++;
  if (at == guess->count) return point_get(catalogue, address);
  guess->next = at + 1;
  if (!guess->points[at]) guess->points[at] = point_get(catalogue, address);
  return guess->points[at];
}

void catalogue_apply(struct catalogue *catalogue, const struct block *block, enum lane lane) {
  struct block_reader *reader = NULL;
  struct record record;
  if (block_reader_new(&reader, block)) return;
  uint32_t onward = onward_digest(block->onward);
  struct guess guess = {0};
  guess.count = block_reader_addresses(reader, &guess.addresses);
  guess.points = mem_alloc((guess.count + 1) * sizeof *guess.points);
  while (guess.count && block_reader_next(reader, &record) == 0) {
    if (!is_taken(record.kind)) continue;
    struct catalogue_point *point = guess_point(catalogue, &guess, record.address);
    bool newest = point && take(catalogue, point, &record, block->stream, block->epoch, lane);
    if (newest && record.kind != RECORD_DESCRIPTOR) point->onward = onward;
  }
  free(guess.points);
  block_reader_free(reader);
}

/* ---- showing ---- */

static void point_record(const struct catalogue_point *point, struct record *record) {
  *record = (struct record){.kind = (enum record_kind)point->kind,
      .quality = (enum record_quality)point->quality,
      .reason = (enum record_reason)point->reason,
      .address = point->address,
      .time = point->time,
      .received = point->received,
      .sequence = point->rank.sequence,
      .value = point->value};
}

void point_put_json(struct buffer *out, const struct catalogue_point *point) {
  struct record record;
  point_record(point, &record);
  record_put_json(
      out, &record, point_unit(point), bytes_text(point->stream), point->rank.epoch, (enum lane)point->lane);
}

void point_put_description(struct buffer *out, const struct catalogue_point *point) {
  json_t *object = point->descriptor ? json_loads(point->descriptor, 0, NULL) : NULL;
  json_t *row = json_object();
  json_object_set_new(row, "address", json_stringn((const char *)point->address.data, point->address.len));
  json_object_set_new(row, "type", point->type ? json_string(value_type_name(point->type)) : json_null());
  json_object_set_new(row, "unit", point->unit ? json_string(point->unit) : json_null());
  json_object_set_new(row, "writable", json_boolean(point->writable));
  if (json_is_object(object)) json_object_update_missing(row, object);
  char *text = json_dumps(row, JSON_COMPACT | JSON_REAL_PRECISION(15));
  if (text) buffer_append(out, bytes_text(text));
  free(text);
  json_decref(row);
  json_decref(object);
}

/* ---- the checkpoint: u8 version, then for each point: address, flags, [descriptor], [last] ---- */

enum { PIECE_VERSION = 1, PIECE_MAX = 120 * 1024, HAS_DESCRIPTOR = 1, HAS_LAST = 2 };

static void rank_write(struct writer *w, const struct rank *rank) {
  writer_u8(w, rank->trusted);
  writer_zigzag(w, rank->time);
  writer_u64(w, rank->epoch.created);
  writer_u64(w, rank->epoch.random);
  writer_varint(w, rank->sequence);
}

static void rank_read(struct reader *r, struct rank *rank) {
  rank->trusted = reader_u8(r);
  rank->time = reader_zigzag(r);
  rank->epoch.created = reader_u64(r);
  rank->epoch.random = reader_u64(r);
  rank->sequence = reader_varint(r);
}

static void point_write(struct writer *w, const struct catalogue_point *point) {
  writer_sized(w, point->address);
  writer_u8(w, (uint8_t)((point->descriptor ? HAS_DESCRIPTOR : 0) | (point->has_last ? HAS_LAST : 0)));
  if (point->descriptor) {
    rank_write(w, &point->described);
    writer_sized(w, bytes_text(point->descriptor));
  }
  if (!point->has_last) return;
  rank_write(w, &point->rank);
  writer_sized(w, bytes_text(point->stream));
  writer_u8(w, point->kind);
  writer_u8(w, point->quality);
  writer_u8(w, point->reason);
  writer_u8(w, point->lane);
  writer_zigzag(w, point->time);
  writer_zigzag(w, point->received);
  value_write(w, &point->value);
}

size_t catalogue_pieces(const struct catalogue *catalogue) {
  return (catalogue->count + CATALOGUE_PIECE - 1) / CATALOGUE_PIECE;
}

bool catalogue_take_dirty(struct catalogue *catalogue, size_t piece) {
  if (piece / 8 >= catalogue->dirty_cap) return false;
  uint8_t bit = (uint8_t)(1u << (piece % 8));
  bool dirty = catalogue->dirty[piece / 8] & bit;
  catalogue->dirty[piece / 8] &= (uint8_t)~bit;
  return dirty;
}

void catalogue_mark_all(struct catalogue *catalogue) {
  for (size_t i = 0; i < catalogue->count; i += CATALOGUE_PIECE) mark_dirty(catalogue, i);
}

void catalogue_encode(const struct catalogue *catalogue, size_t piece,
    void (*put)(void *ctx, size_t piece, size_t part, struct bytes value), void *ctx) {
  struct buffer part = BUFFER_NULL, one = BUFFER_NULL;
  struct writer w;
  size_t parts = 0, end = (piece + 1) * CATALOGUE_PIECE;
  for (size_t i = piece * CATALOGUE_PIECE; i < end && i < catalogue->count; i++) {
    buffer_clear(&one);
    writer_init(&w, &one, PIECE_MAX);
    point_write(&w, catalogue->points[i]);
    if (w.failed) continue; /* descriptor and value at their largest together: the log still has both */
    if (part.len + one.len > PIECE_MAX) {
      put(ctx, piece, parts++, buffer_bytes(&part));
      buffer_clear(&part);
    }
    if (!part.len) buffer_append(&part, bytes_of((uint8_t[]){PIECE_VERSION}, 1));
    buffer_append(&part, buffer_bytes(&one));
  }
  if (part.len) put(ctx, piece, parts, buffer_bytes(&part));
  buffer_deinit(&part);
  buffer_deinit(&one);
}

void catalogue_put_head(struct buffer *out) { buffer_append(out, bytes_of((uint8_t[]){PIECE_VERSION}, 1)); }

bool catalogue_put_point(struct buffer *out, const struct catalogue_point *point, size_t most) {
  struct buffer one = BUFFER_NULL;
  struct writer w;
  writer_init(&w, &one, most > out->len ? most - out->len : 0);
  point_write(&w, point);
  if (!w.failed) buffer_append(out, buffer_bytes(&one));
  buffer_deinit(&one);
  return !w.failed;
}

struct merge {
  struct catalogue *catalogue;
  bool (*admits)(void *ctx, struct bytes address, struct bytes stream);
  void *ctx;
};

static struct catalogue_point *merge_point(const struct merge *merge, struct bytes address, struct bytes stream) {
  if (merge->admits && !merge->admits(merge->ctx, address, stream)) return NULL;
  return point_get(merge->catalogue, address);
}

static void decode_descriptor(struct reader *r, struct bytes address, const struct merge *merge) {
  struct rank rank;
  rank_read(r, &rank);
  struct record record = {.kind = RECORD_DESCRIPTOR, .value = {.type = VALUE_TEXT, .bytes = reader_sized(r)}};
  struct catalogue_point *point = r->failed ? NULL : merge_point(merge, address, BYTES_NULL);
  if (point && take_descriptor(point, &record, &rank) && merge->admits) mark_dirty(merge->catalogue, point->index);
}

static void decode_last(struct reader *r, struct bytes address, const struct merge *merge) {
  struct rank rank;
  rank_read(r, &rank);
  struct bytes stream = reader_sized(r);
  struct record record = {0};
  record.kind = reader_u8(r);
  record.quality = reader_u8(r);
  record.reason = reader_u8(r);
  uint8_t lane = reader_u8(r);
  record.time = reader_zigzag(r);
  record.received = reader_zigzag(r);
  value_read(r, &record.value);
  if (!is_taken(record.kind) || record.quality > QUALITY_BAD || record.reason >= REASON_REASONS || lane >= LANES)
    reader_fail(r);
  struct catalogue_point *point = r->failed ? NULL : merge_point(merge, address, stream);
  bool taken = point && take_last(merge->catalogue, point, &record, &rank, stream, (enum lane)lane);
  if (taken && merge->admits) mark_dirty(merge->catalogue, point->index); /* not out of a checkpoint */
}

bool catalogue_merge(struct catalogue *catalogue, struct bytes value,
    bool (*admits)(void *ctx, struct bytes address, struct bytes stream), void *ctx) {
  struct reader r;
  struct merge merge = {catalogue, admits, ctx};
  reader_init(&r, value);
  if (reader_u8(&r) != PIECE_VERSION) return false;
  while (reader_left(&r)) {
    struct bytes address = reader_sized(&r);
    uint8_t flags = reader_u8(&r);
    if (address_check(address, NULL)) reader_fail(&r);
    if (flags & HAS_DESCRIPTOR) decode_descriptor(&r, address, &merge);
    if (flags & HAS_LAST) decode_last(&r, address, &merge);
  }
  return reader_done(&r);
}

bool catalogue_decode(struct catalogue *catalogue, struct bytes value) {
  return catalogue_merge(catalogue, value, NULL, NULL);
}
