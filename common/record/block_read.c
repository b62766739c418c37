/* Reading the records of a block. Bytes: block_format.h. */
#include "common/base/mem.h"
#include "common/record/block_format.h"
#include <math.h>
#include <stdlib.h>
#include <zstd.h>

struct block_reader {
  const struct block *block;
  struct blob *unpacked; /* NULL: the body is a view into the block */
  uint8_t *names;        /* the addresses, one after the other */
  struct bytes *addresses;
  struct format_last *last;
  size_t address_count;
  struct reader at;
  uint32_t read;
  uint64_t sequence;
  int64_t received;
};

static int unpack(struct block_reader *reader, struct bytes *body) {
  const struct block *block = reader->block;
  *body = block->body;
  if (!block->compressed) return 0;
  reader->unpacked = blob_new(block->body_size);
  size_t size = ZSTD_decompress(reader->unpacked->data, block->body_size, block->body.data, block->body.len);
  if (ZSTD_isError(size) || size != block->body_size) return BLOCK_MALFORMED;
  *body = blob_bytes(reader->unpacked);
  return 0;
}

/* Adds one address behind the others: the shared beginning of the one before, and what follows. */
static bool read_address(struct block_reader *reader, struct bytes before, size_t *used, size_t i) {
  uint64_t shared = reader_varint(&reader->at);
  struct bytes rest = reader_sized(&reader->at);
  if (reader->at.failed || shared > before.len || shared + rest.len > ADDRESS_MAX) return false;
  uint8_t *name = reader->names + *used;
  if (shared > 0) memmove(name, before.data, shared);
  if (rest.len > 0) memcpy(name + shared, rest.data, rest.len);
  reader->addresses[i] = bytes_of(name, shared + rest.len);
  reader->last[i] = (struct format_last){0, FORMAT_EXPONENT_FIRST};
  *used += shared + rest.len;
  return address_check(reader->addresses[i], NULL) == 0;
}

static int read_dictionary(struct block_reader *reader) {
  uint64_t count = reader_varint(&reader->at);
  if (reader->at.failed || count == 0 || count > reader->block->count) return BLOCK_MALFORMED;
  reader->address_count = (size_t)count;
  reader->names = mem_alloc(reader->address_count * ADDRESS_MAX);
  reader->addresses = mem_resize(NULL, reader->address_count, sizeof *reader->addresses);
  reader->last = mem_resize(NULL, reader->address_count, sizeof *reader->last);
  struct bytes before = format_node(reader->block->stream);
  size_t used = 0;
  for (size_t i = 0; i < reader->address_count; i++) {
    if (!read_address(reader, before, &used, i)) return BLOCK_MALFORMED;
    before = reader->addresses[i];
  }
  return 0;
}

int block_reader_new(struct block_reader **out, const struct block *block) {
  struct block_reader *reader = mem_alloc(sizeof *reader);
  struct bytes body;
  reader->block = block;
  reader->sequence = block->first;
  reader->received = block->received_from;
  int result = unpack(reader, &body);
  if (result == 0) {
    reader_init(&reader->at, body);
    result = read_dictionary(reader);
  }
  *out = result == 0 ? reader : block_reader_free(reader);
  return result;
}

struct block_reader *block_reader_free(struct block_reader *reader) {
  if (!reader) return NULL;
  blob_unref(reader->unpacked);
  free(reader->names);
  free(reader->addresses);
  free(reader->last);
  free(reader);
  return NULL;
}

size_t block_reader_addresses(const struct block_reader *reader, const struct bytes **addresses) {
  *addresses = reader->addresses;
  return reader->address_count;
}

static double read_decimal(struct reader *r, struct format_last *last) {
  uint64_t coded = reader_varint(r);
  uint64_t zigzag = coded >> 1;
  if (coded & 1) last->exponent = reader_u8(r);
  if (last->exponent > FORMAT_EXPONENT_MAX) {
    reader_fail(r);
    last->exponent = 0;
  }
  int64_t step = (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
  last->mantissa = (int64_t)((uint64_t)last->mantissa + (uint64_t)step);
  return (double)last->mantissa / format_powers[last->exponent];
}

static double finite_or_fail(struct reader *r, double number) {
  if (!isfinite(number)) reader_fail(r);
  return number;
}

static struct bytes read_content(struct reader *r, bool text) {
  struct bytes content = reader_sized(r);
  if (content.len > VALUE_MAX || (text && !bytes_is_utf8(content))) reader_fail(r);
  return content;
}

static struct value read_worth(struct reader *r, uint8_t worth, struct format_last *last) {
  switch (worth) {
    case WORTH_DOUBLE: return (struct value){.type = VALUE_NUMBER, .number = finite_or_fail(r, reader_double(r))};
    case WORTH_DECIMAL: return (struct value){.type = VALUE_NUMBER, .number = read_decimal(r, last)};
    case WORTH_INTEGER: return (struct value){.type = VALUE_INTEGER, .integer = reader_zigzag(r)};
    case WORTH_FALSE:
    case WORTH_TRUE: return (struct value){.type = VALUE_BOOLEAN, .boolean = worth == WORTH_TRUE};
    case WORTH_TEXT: return (struct value){.type = VALUE_TEXT, .bytes = read_content(r, true)};
    case WORTH_BYTES: return (struct value){.type = VALUE_BYTES, .bytes = read_content(r, false)};
    default: return VALUE_EMPTY;
  }
}

static void read_marks(struct reader *r, uint8_t flags, struct record *record) {
  if (flags & RECORD_BIT_KIND) record->kind = (enum record_kind)reader_u8(r);
  if (flags & RECORD_BIT_QUALITY) {
    uint8_t mark = reader_u8(r);
    record->quality = (enum record_quality)(mark >> 4);
    record->reason = (enum record_reason)(mark & 15);
  }
  if ((unsigned)record->kind >= RECORD_KINDS || (unsigned)record->quality > QUALITY_BAD ||
      (unsigned)record->reason >= REASON_REASONS)
    reader_fail(r);
}

int block_reader_next(struct block_reader *reader, struct record *record) {
  struct reader *r = &reader->at;
  if (reader->read == reader->block->count)
    return reader_left(r) == 0 && reader->sequence == reader->block->last ? BLOCK_EMPTY : BLOCK_MALFORMED;
  uint8_t flags = reader_u8(r);
  *record = (struct record){.kind = RECORD_READING};
  read_marks(r, flags, record);
  uint64_t extra = flags & RECORD_BIT_GAP ? reader_varint(r) : 0;
  uint64_t index = reader_varint(r);
  if (!(flags & RECORD_BIT_SAME_RECEIVED))
    reader->received = (int64_t)((uint64_t)reader->received + (uint64_t)reader_zigzag(r));
  record->received = reader->received;
  record->time = flags & RECORD_BIT_SAME_TIME ? reader->received
                                              : (int64_t)((uint64_t)reader->received - (uint64_t)reader_zigzag(r));
  if (r->failed || index >= reader->address_count || extra > reader->block->last - reader->sequence)
    return BLOCK_MALFORMED;
  if (reader->read == 0 && extra > 0) return BLOCK_MALFORMED;
  if (reader->read > 0) reader->sequence += 1 + extra;
  if (reader->sequence > reader->block->last || reader->sequence < reader->block->first) return BLOCK_MALFORMED;
  record->sequence = reader->sequence;
  record->address = reader->addresses[index];
  record->value = read_worth(r, flags & 7, &reader->last[index]);
  reader->read++;
  return r->failed ? BLOCK_MALFORMED : 0;
}

int block_check(const struct block *block) {
  struct block_reader *reader;
  struct record record;
  int result = block_reader_new(&reader, block);
  if (result != 0) return result;
  int64_t received_to = block->received_from, time_from = INT64_MAX, time_to = INT64_MIN;
  while ((result = block_reader_next(reader, &record)) == 0) {
    if (record.received > received_to) received_to = record.received;
    if (record.received < block->received_from) result = BLOCK_MALFORMED;
    if (record.time < time_from) time_from = record.time;
    if (record.time > time_to) time_to = record.time;
    if (result != 0) break;
  }
  block_reader_free(reader);
  if (result != BLOCK_EMPTY) return BLOCK_MALFORMED;
  return received_to == block->received_to && time_from == block->time_from && time_to == block->time_to
             ? 0
             : BLOCK_MALFORMED;
}
