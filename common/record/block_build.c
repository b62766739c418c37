/* Building a block: the dictionary and the records grow side by side; finish puts them together. Bytes: block_format.h.
 */
#include "common/base/mem.h"
#include "common/base/table.h"
#include "common/record/block_format.h"
#include <math.h>
#include <stdlib.h>

struct span {
  size_t offset, len;
};
struct block_builder {
  struct table index;     /* address -> index + 1, as a pointer-sized number */
  struct buffer names;    /* addresses as they came, one after the other */
  struct span *addresses; /* where each stands in names */
  struct format_last *last;
  size_t address_count, address_cap;
  struct buffer records;
  size_t count;
  bool keeps_sequences;
  uint64_t first, sequence; /* of the first and last record */
  int64_t received, received_from, received_to, time_from, time_to;
};

struct block_builder *block_builder_new(void) {
  return mem_alloc(sizeof(struct block_builder));
}

struct block_builder *format_builder_keeping(void) {
  struct block_builder *builder = block_builder_new();
  builder->keeps_sequences = true;
  return builder;
}

struct block_builder *block_builder_free(struct block_builder *builder) {
  if (!builder) return NULL;
  table_deinit(&builder->index, NULL);
  buffer_deinit(&builder->names);
  buffer_deinit(&builder->records);
  free(builder->addresses);
  free(builder->last);
  free(builder);
  return NULL;
}

size_t block_builder_count(const struct block_builder *builder) { return builder->count; }

/* An upper bound: the dictionary without front coding. 96: fixed items besides the stream. */
static size_t block_builder_size(const struct block_builder *builder) {
  return FORMAT_FIXED + 96 + STREAM_MAX + builder->names.len + 4 * builder->address_count + builder->records.len;
}

static void clear(struct block_builder *builder) {
  table_deinit(&builder->index, NULL);
  buffer_clear(&builder->names);
  buffer_clear(&builder->records);
  builder->address_count = 0;
  builder->count = 0;
}

static size_t find_address(const struct block_builder *builder, struct bytes address) {
  return (size_t)(uintptr_t)table_get(&builder->index, address);
}

static size_t add_address(struct block_builder *builder, struct bytes address) {
  if (builder->address_count == builder->address_cap) {
    builder->address_cap = builder->address_cap ? builder->address_cap * 2 : 16;
    builder->addresses = mem_resize(builder->addresses, builder->address_cap, sizeof *builder->addresses);
    builder->last = mem_resize(builder->last, builder->address_cap, sizeof *builder->last);
  }
  builder->addresses[builder->address_count] = (struct span){builder->names.len, address.len};
  builder->last[builder->address_count] = (struct format_last){0, FORMAT_EXPONENT_FIRST};
  buffer_append(&builder->names, address);
  builder->address_count++;
  table_put(&builder->index, address, (void *)(uintptr_t)builder->address_count);
  return builder->address_count;
}

/* Whether the number is m / 10^e with few digits: then a difference of small integers stands for it, exactly. */
static bool as_decimal(double number, uint8_t exponent, int64_t *mantissa) {
  double scaled = number * format_powers[exponent];
  if (!(fabs(scaled) < 4503599627370496.0) || (number == 0 && signbit(number))) return false;
  int64_t whole = llrint(scaled);
  *mantissa = whole;
  return (double)whole / format_powers[exponent] == number;
}

static bool find_decimal(double number, const struct format_last *last, struct format_last *found) {
  if (as_decimal(number, last->exponent, &found->mantissa)) {
    found->exponent = last->exponent;
    return true;
  }
  for (uint8_t exponent = 0; exponent <= FORMAT_EXPONENT_MAX; exponent++)
    if (as_decimal(number, exponent, &found->mantissa)) {
      found->exponent = exponent;
      return true;
    }
  return false;
}

static void put_decimal(struct writer *w, struct format_last *last, struct format_last now) {
  int64_t step = now.mantissa - last->mantissa; /* both below 2^52: no overflow, and one bit is left for the shift */
  uint64_t zigzag = ((uint64_t)step << 1) ^ (uint64_t)(step >> 63);
  bool changed = now.exponent != last->exponent;
  writer_varint(w, zigzag << 1 | changed);
  if (changed) writer_u8(w, now.exponent);
  *last = now;
}

static uint8_t worth_of(const struct value *value, const struct format_last *last, struct format_last *decimal) {
  switch (value->type) {
    case VALUE_NUMBER: return find_decimal(value->number, last, decimal) ? WORTH_DECIMAL : WORTH_DOUBLE;
    case VALUE_INTEGER: return WORTH_INTEGER;
    case VALUE_BOOLEAN: return value->boolean ? WORTH_TRUE : WORTH_FALSE;
    case VALUE_TEXT: return WORTH_TEXT;
    case VALUE_BYTES: return WORTH_BYTES;
    case VALUE_NONE: break;
  }
  return WORTH_NONE;
}

static void put_worth(
    struct writer *w, uint8_t worth, const struct value *value, struct format_last *last, struct format_last decimal) {
  switch (worth) {
    case WORTH_DOUBLE: writer_double(w, value->number); break;
    case WORTH_INTEGER: writer_zigzag(w, value->integer); break;
    case WORTH_TEXT:
    case WORTH_BYTES: writer_sized(w, value->bytes); break;
    case WORTH_DECIMAL: put_decimal(w, last, decimal); break;
    default: break;
  }
}

static void put_record(struct block_builder *builder, const struct record *record, size_t index, uint64_t extra) {
  struct format_last *last = &builder->last[index], decimal = {0, 0};
  uint8_t worth = worth_of(&record->value, last, &decimal);
  bool bad = record->quality != QUALITY_GOOD || record->reason != REASON_NONE;
  int64_t before = builder->count > 0 ? builder->received : record->received;
  uint8_t flags = worth;
  if (bad) flags |= RECORD_BIT_QUALITY;
  if (record->kind != RECORD_READING) flags |= RECORD_BIT_KIND;
  if (record->time == record->received) flags |= RECORD_BIT_SAME_TIME;
  if (extra > 0) flags |= RECORD_BIT_GAP;
  if (record->received == before) flags |= RECORD_BIT_SAME_RECEIVED;
  struct writer w;
  writer_init(&w, &builder->records, SIZE_MAX);
  writer_u8(&w, flags);
  if (record->kind != RECORD_READING) writer_u8(&w, (uint8_t)record->kind);
  if (bad) writer_u8(&w, (uint8_t)(record->quality << 4 | record->reason));
  if (extra > 0) writer_varint(&w, extra);
  writer_varint(&w, index);
  if (record->received != before) writer_zigzag(&w, (int64_t)((uint64_t)record->received - (uint64_t)before));
  if (record->time != record->received)
    writer_zigzag(&w, (int64_t)((uint64_t)record->received - (uint64_t)record->time));
  put_worth(&w, worth, &record->value, last, decimal);
}

static void note_times(struct block_builder *builder, const struct record *record) {
  if (builder->count == 0) {
    builder->received_from = builder->received_to = record->received;
    builder->time_from = builder->time_to = record->time;
  }
  builder->received = record->received;
  if (record->received > builder->received_to) builder->received_to = record->received;
  if (record->time < builder->time_from) builder->time_from = record->time;
  if (record->time > builder->time_to) builder->time_to = record->time;
}

static size_t content_size(const struct value *value) {
  return value->type == VALUE_TEXT || value->type == VALUE_BYTES ? value->bytes.len : 0;
}

int block_builder_add(struct block_builder *builder, const struct record *record, size_t max) {
  enum { RECORD_OVERHEAD = 64 }; /* the longest record without address and content: flags 3, varints 10 each */
  size_t index = find_address(builder, record->address);
  size_t need = RECORD_OVERHEAD + content_size(&record->value) + (index == 0 ? record->address.len + 4 : 0);
  size_t limit = builder->count == 0 || max > FORMAT_BUILD_MAX ? FORMAT_BUILD_MAX : max;
  if (builder->keeps_sequences) limit = SIZE_MAX;
  if (builder->count == BLOCK_RECORDS_MAX || block_builder_size(builder) + need > limit) return BLOCK_FULL;
  if (index == 0) index = add_address(builder, record->address);
  uint64_t sequence = builder->keeps_sequences ? record->sequence : builder->count;
  uint64_t extra = builder->count > 0 ? sequence - builder->sequence - 1 : 0;
  put_record(builder, record, index - 1, extra);
  note_times(builder, record);
  if (builder->count == 0) builder->first = sequence;
  builder->sequence = sequence;
  builder->count++;
  return 0;
}

static struct bytes address_at(const struct block_builder *builder, size_t i) {
  return bytes_of(builder->names.data + builder->addresses[i].offset, builder->addresses[i].len);
}

static size_t shared_prefix(struct bytes a, struct bytes b) {
  size_t n = 0;
  while (n < a.len && n < b.len && a.data[n] == b.data[n]) n++;
  return n;
}

static void put_body(const struct block_builder *builder, struct bytes stream, struct buffer *body) {
  struct writer w;
  struct bytes before = format_node(stream);
  writer_init(&w, body, SIZE_MAX);
  writer_varint(&w, builder->address_count);
  for (size_t i = 0; i < builder->address_count; i++) {
    struct bytes address = address_at(builder, i);
    size_t shared = shared_prefix(before, address);
    writer_varint(&w, shared);
    writer_sized(&w, bytes_of(address.data + shared, address.len - shared));
    before = address;
  }
  writer_bytes(&w, buffer_bytes(&builder->records));
}

/* extent and times, as they stand in every block. received_from is what the first record counts from. */
static void put_figures(const struct block_builder *builder, struct writer *w, size_t body_size) {
  format_put_extent(w, builder->sequence - builder->first, builder->count, body_size);
  format_put_times(w, builder->received_from, builder->received_to, builder->time_from, builder->time_to);
}

struct blob *block_builder_finish(struct block_builder *builder, struct bytes stream, uint64_t run) {
  if (builder->count == 0) return NULL;
  struct buffer items = BUFFER_NULL, body = BUFFER_NULL, number = BUFFER_NULL;
  struct writer w, n;
  put_body(builder, stream, &body);
  writer_init(&n, &number, 8);
  writer_u64(&n, run);
  writer_init(&w, &items, SIZE_MAX);
  format_put_item(&w, FORMAT_ITEM_STREAM, stream);
  format_put_item(&w, FORMAT_ITEM_RUN, buffer_bytes(&number));
  put_figures(builder, &w, body.len);
  struct blob *block = format_assemble(0, (struct epoch){0, 0}, 0, buffer_bytes(&items), buffer_bytes(&body));
  buffer_deinit(&items);
  buffer_deinit(&body);
  buffer_deinit(&number);
  clear(builder);
  return block;
}

static void copy_items(struct writer *w, const struct block *like) {
  struct reader r;
  reader_init(
      &r, bytes_of(like->bytes.data + FORMAT_FIXED, (size_t)(like->body.data - like->bytes.data) - FORMAT_FIXED));
  while (reader_left(&r) > 0) {
    uint64_t id = reader_varint(&r);
    struct bytes value = reader_sized(&r);
    if (id != FORMAT_ITEM_EXTENT && id != FORMAT_ITEM_TIMES) format_put_item(w, id, value);
  }
}

struct blob *format_finish_like(struct block_builder *builder, const struct block *like) {
  if (builder->count == 0) return NULL;
  struct buffer items = BUFFER_NULL, body = BUFFER_NULL;
  struct writer w;
  put_body(builder, like->stream, &body);
  writer_init(&w, &items, SIZE_MAX);
  copy_items(&w, like);
  put_figures(builder, &w, body.len);
  struct blob *block = format_assemble(0, like->epoch, builder->first, buffer_bytes(&items), buffer_bytes(&body));
  buffer_deinit(&items);
  buffer_deinit(&body);
  clear(builder);
  return block;
}
