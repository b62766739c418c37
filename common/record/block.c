/* A block's header: opening, numbering, hops, compression. The bytes are described in block_format.h. */
#include "common/record/block_format.h"
#include "common/base/mem.h"
#include <stdlib.h>
#include <xxhash.h>
#include <zstd.h>

const double format_powers[FORMAT_EXPONENT_MAX + 1] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};

struct bytes format_node(struct bytes stream) {
  const uint8_t *mark = stream.len > 0 ? memchr(stream.data, '!', stream.len) : NULL;
  return mark ? bytes_of(stream.data, (size_t)(mark - stream.data)) : stream;
}

static uint64_t format_checksum(struct bytes block) {
  struct reader r;
  reader_init(&r, block);
  uint64_t seed = reader_u64(&r);
  return XXH3_64bits_withSeed(block.data + FORMAT_AT_EPOCH, block.len - FORMAT_AT_EPOCH, seed);
}

static void put_u64(uint8_t *at, uint64_t v) {
  for (int i = 0; i < 8; i++) at[i] = (uint8_t)(v >> 8 * i);
}

static void seal(struct blob *block) { put_u64(block->data + FORMAT_AT_CHECKSUM, format_checksum(blob_bytes(block))); }

struct blob *format_assemble(uint8_t flags, struct epoch epoch, uint64_t first, struct bytes items, struct bytes body) {
  struct buffer out = BUFFER_NULL;
  struct writer w;
  size_t header = FORMAT_FIXED + items.len, total = header + body.len;
  buffer_reserve(&out, total);
  writer_init(&w, &out, total);
  writer_u8(&w, BLOCK_VERSION);
  writer_u8(&w, flags);
  writer_u16(&w, (uint16_t)header);
  writer_u32(&w, (uint32_t)total);
  writer_u64(&w, 0);
  writer_u64(&w, epoch.created);
  writer_u64(&w, epoch.random);
  writer_u64(&w, first);
  writer_bytes(&w, items);
  writer_bytes(&w, body);
  struct blob *block = blob_copy(buffer_bytes(&out));
  buffer_deinit(&out);
  seal(block);
  return block;
}

void block_number(struct blob *draft, struct epoch epoch, uint64_t first) {
  put_u64(draft->data + FORMAT_AT_EPOCH, epoch.created);
  put_u64(draft->data + FORMAT_AT_EPOCH + 8, epoch.random);
  put_u64(draft->data + FORMAT_AT_FIRST, first);
  seal(draft);
}

void format_put_item(struct writer *w, uint64_t id, struct bytes value) {
  writer_varint(w, id);
  writer_sized(w, value);
}

void format_put_extent(struct writer *w, uint64_t span, uint64_t count, uint64_t body_size) {
  struct buffer value = BUFFER_NULL;
  struct writer v;
  writer_init(&v, &value, 64);
  writer_varint(&v, span);
  writer_varint(&v, count);
  writer_varint(&v, body_size);
  format_put_item(w, FORMAT_ITEM_EXTENT, buffer_bytes(&value));
  buffer_deinit(&value);
}

void format_put_times(
    struct writer *w, int64_t received_from, int64_t received_to, int64_t time_from, int64_t time_to) {
  struct buffer value = BUFFER_NULL;
  struct writer v;
  writer_init(&v, &value, 64);
  writer_zigzag(&v, received_from);
  writer_varint(&v, (uint64_t)received_to - (uint64_t)received_from);
  writer_zigzag(&v, (int64_t)((uint64_t)received_from - (uint64_t)time_from));
  writer_varint(&v, (uint64_t)time_to - (uint64_t)time_from);
  format_put_item(w, FORMAT_ITEM_TIMES, buffer_bytes(&value));
  buffer_deinit(&value);
}

/* ---- opening ---- */

enum { SEEN_STREAM = 1, SEEN_RUN = 2, SEEN_EXTENT = 4, SEEN_TIMES = 8, SEEN_ALL = 15, SEEN_ONWARD = 16 };

static bool stream_is_good(struct bytes stream) {
  struct bytes node = format_node(stream);
  struct bytes tail = bytes_of(stream.data + node.len, stream.len - node.len);
  return address_check(node, NULL) == 0 && (tail.len == 0 || bytes_equal(tail, bytes_text("!urgent")));
}

static void read_times(struct block *block, struct reader *r) {
  block->received_from = reader_zigzag(r);
  block->received_to = (int64_t)((uint64_t)block->received_from + reader_varint(r));
  block->time_from = (int64_t)((uint64_t)block->received_from - (uint64_t)reader_zigzag(r));
  block->time_to = (int64_t)((uint64_t)block->time_from + reader_varint(r));
  if (block->received_to < block->received_from || block->time_to < block->time_from) reader_fail(r);
}

static void read_extent(struct block *block, struct reader *r) {
  uint64_t span = reader_varint(r), count = reader_varint(r), body_size = reader_varint(r);
  block->last = block->first + span;
  if (count == 0 || body_size > BLOCK_MAX) reader_fail(r);
  if (block->last < block->first || span >= BLOCK_RECORDS_MAX || count - 1 > span) reader_fail(r);
  block->count = (uint32_t)count;
  block->body_size = (uint32_t)body_size;
}

static void read_hop(struct block *block, struct reader *r) {
  if (block->hop_count == BLOCK_HOPS_MAX) {
    reader_fail(r);
    return;
  }
  struct block_hop *hop = &block->hops[block->hop_count++];
  hop->time = reader_zigzag(r);
  hop->node = reader_bytes(r, reader_left(r));
  if (address_check(hop->node, NULL) != 0) reader_fail(r);
}

static void read_clock(struct block *block, struct reader *r) {
  struct block_hop *hop = block->hop_count ? &block->hops[block->hop_count - 1] : NULL;
  int64_t ahead = reader_zigzag(r);
  if (!hop || hop->measured || ahead == INT64_MIN) {
    reader_fail(r);
    return;
  }
  hop->measured = true;
  hop->ahead = ahead;
}

/* Returns which item it was of those that may stand once, 0 for another. */
static unsigned read_item(struct block *block, uint64_t id, struct reader *r) {
  switch (id) {
    case FORMAT_ITEM_STREAM:
      block->stream = reader_bytes(r, reader_left(r));
      if (!stream_is_good(block->stream)) reader_fail(r);
      return SEEN_STREAM;
    case FORMAT_ITEM_RUN: block->run = reader_u64(r); return SEEN_RUN;
    case FORMAT_ITEM_EXTENT: read_extent(block, r); return SEEN_EXTENT;
    case FORMAT_ITEM_TIMES: read_times(block, r); return SEEN_TIMES;
    case FORMAT_ITEM_HOP: read_hop(block, r); return 0;
    case FORMAT_ITEM_CLOCK: read_clock(block, r); return 0;
    case FORMAT_ITEM_ONWARD:
      block->onward = reader_bytes(r, reader_left(r));
      if (block->onward.len > ONWARD_MAX) reader_fail(r);
      return SEEN_ONWARD;
    default: return 0;
  }
}

static int read_items(struct block *block, struct bytes items) {
  struct reader r;
  unsigned seen = 0;
  reader_init(&r, items);
  while (reader_left(&r) > 0) {
    uint64_t id = reader_varint(&r);
    struct reader value;
    reader_init(&value, reader_sized(&r));
    unsigned item = read_item(block, id, &value);
    if (r.failed || value.failed || (seen & item)) return BLOCK_MALFORMED;
    seen |= item;
  }
  return (seen & SEEN_ALL) == SEEN_ALL && !r.failed ? 0 : BLOCK_MALFORMED;
}

int block_open(struct block *block, struct bytes bytes) {
  struct reader r;
  *block = (struct block){.bytes = bytes};
  if (bytes.len < FORMAT_FIXED || bytes.len > BLOCK_MAX) return BLOCK_DAMAGED;
  reader_init(&r, bytes);
  uint8_t version = reader_u8(&r), flags = reader_u8(&r);
  size_t header = reader_u16(&r), total = reader_u32(&r);
  uint64_t checksum = reader_u64(&r);
  if (total != bytes.len || checksum != format_checksum(bytes)) return BLOCK_DAMAGED;
  if (version != BLOCK_VERSION) return BLOCK_VERSION_UNKNOWN;
  block->epoch.created = reader_u64(&r);
  block->epoch.random = reader_u64(&r);
  block->first = reader_u64(&r);
  block->compressed = flags & FORMAT_COMPRESSED;
  if ((flags & ~FORMAT_COMPRESSED) || header < FORMAT_FIXED || header > total) return BLOCK_MALFORMED;
  int result = read_items(block, bytes_of(bytes.data + FORMAT_FIXED, header - FORMAT_FIXED));
  if (result != 0) return result;
  block->body = bytes_of(bytes.data + header, total - header);
  if (!block->compressed && block->body.len != block->body_size) return BLOCK_MALFORMED;
  return 0;
}

/* ---- copies ---- */

static struct bytes items_of(const struct block *block) {
  return bytes_of(block->bytes.data + FORMAT_FIXED, (size_t)(block->body.data - block->bytes.data) - FORMAT_FIXED);
}

static uint8_t flags_of(const struct block *block) { return block->compressed ? FORMAT_COMPRESSED : 0; }

/* A copy with more items (encoded) behind the others. */
static int with_items(struct blob **out, const struct block *block, struct bytes more) {
  struct buffer items = BUFFER_NULL;
  buffer_append(&items, items_of(block));
  buffer_append(&items, more);
  bool fits = FORMAT_FIXED + items.len + block->body.len <= BLOCK_MAX;
  if (fits) *out = format_assemble(flags_of(block), block->epoch, block->first, buffer_bytes(&items), block->body);
  buffer_deinit(&items);
  return fits ? 0 : BLOCK_FULL;
}

static void put_clock(struct writer *items, int64_t ahead) {
  struct buffer clock = BUFFER_NULL;
  struct writer w;
  writer_init(&w, &clock, 16);
  writer_zigzag(&w, ahead);
  format_put_item(items, FORMAT_ITEM_CLOCK, buffer_bytes(&clock));
  buffer_deinit(&clock);
}

int block_with_hop(
    struct blob **out, const struct block *block, struct bytes node, int64_t time, const int64_t *ahead) {
  struct buffer hop = BUFFER_NULL, items = BUFFER_NULL;
  struct writer w, added;
  if (block->hop_count == BLOCK_HOPS_MAX) return BLOCK_FULL;
  writer_init(&w, &hop, ADDRESS_MAX + 16);
  writer_zigzag(&w, time);
  writer_bytes(&w, node);
  writer_init(&added, &items, ADDRESS_MAX + 64);
  format_put_item(&added, FORMAT_ITEM_HOP, buffer_bytes(&hop));
  if (ahead) put_clock(&added, *ahead);
  int result = with_items(out, block, buffer_bytes(&items));
  buffer_deinit(&items);
  buffer_deinit(&hop);
  return result;
}

int block_with_onward(struct blob **out, const struct block *block, struct bytes grants) {
  if (block->onward.len > 0 || grants.len > ONWARD_MAX) return BLOCK_FULL;
  struct buffer item = BUFFER_NULL;
  struct writer w;
  writer_init(&w, &item, grants.len + 16);
  format_put_item(&w, FORMAT_ITEM_ONWARD, grants);
  int result = with_items(out, block, buffer_bytes(&item));
  buffer_deinit(&item);
  return result;
}

bool block_visited(const struct block *block, struct bytes node) {
  for (uint32_t i = 0; i < block->hop_count; i++)
    if (bytes_equal(block->hops[i].node, node)) return true;
  return false;
}

struct block_packer {
  ZSTD_CCtx *context; /* NULL: no memory for it, blocks stay as they are */
};

struct block_packer *block_packer_new(void) {
  struct block_packer *packer = mem_alloc(sizeof *packer);
  packer->context = ZSTD_createCCtx();
  return packer;
}

struct block_packer *block_packer_free(struct block_packer *packer) {
  if (!packer) return NULL;
  ZSTD_freeCCtx(packer->context);
  free(packer);
  return NULL;
}

struct blob *block_compress(struct block_packer *packer, struct blob *from, const struct block *block) {
  if (!packer->context || block->compressed || block->body.len < 64) return blob_ref(from);
  size_t bound = ZSTD_compressBound(block->body.len);
  struct blob *packed = blob_new(bound);
  size_t size = ZSTD_compressCCtx(packer->context, packed->data, bound, block->body.data, block->body.len, 3);
  struct blob *out = NULL;
  if (!ZSTD_isError(size) && size < block->body.len)
    out = format_assemble(FORMAT_COMPRESSED, block->epoch, block->first, items_of(block), bytes_of(packed->data, size));
  blob_unref(packed);
  return out ? out : blob_ref(from);
}
