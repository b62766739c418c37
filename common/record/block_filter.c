/* Taking records out of a block, and cutting it: identity, run, hops and unknown items stay. */
#include "common/record/block_format.h"

static int keep_some(struct block_builder *builder, struct block_reader *reader,
    bool (*keep)(void *ctx, const struct record *record), void *ctx) {
  struct record record;
  int result;
  while ((result = block_reader_next(reader, &record)) == 0)
    if (keep(ctx, &record) && block_builder_add(builder, &record, BLOCK_MAX) != 0) return BLOCK_MALFORMED;
  return result == BLOCK_EMPTY ? 0 : BLOCK_MALFORMED;
}

static struct blob *same(struct blob *from, const struct block *block) {
  return from ? blob_ref(from) : blob_copy(block->bytes);
}

int block_filter(struct blob **out, struct blob *from, const struct block *block,
    bool (*keep)(void *ctx, const struct record *record), void *ctx) {
  struct block_reader *reader;
  int result = block_reader_new(&reader, block);
  if (result != 0) return result;
  struct block_builder *builder = format_builder_keeping();
  result = keep_some(builder, reader, keep, ctx);
  bool all = block_builder_count(builder) == block->count;
  if (result == 0) *out = all ? same(from, block) : format_finish_like(builder, block);
  /* Fewer records can never need more bytes than all of them did, but a hostile block need not be made by our builder.
   */
  if (result == 0 && *out && (*out)->len > BLOCK_MAX) {
    *out = blob_unref(*out);
    result = BLOCK_MALFORMED;
  }
  block_builder_free(builder);
  block_reader_free(reader);
  return result;
}

int block_cut(const struct block *block, uint32_t each, void (*take)(void *ctx, struct blob *piece), void *ctx) {
  struct block_reader *reader;
  struct record record;
  int result = block_reader_new(&reader, block);
  if (result != 0) return result;
  struct block_builder *builder = format_builder_keeping();
  while (result == 0 && (result = block_reader_next(reader, &record)) == 0) {
    result = block_builder_add(builder, &record, BLOCK_MAX) == 0 ? 0 : BLOCK_MALFORMED;
    if (result == 0 && block_builder_count(builder) == each) take(ctx, format_finish_like(builder, block));
  }
  if (result == BLOCK_EMPTY && block_builder_count(builder) > 0) take(ctx, format_finish_like(builder, block));
  block_builder_free(builder);
  block_reader_free(reader);
  return result == BLOCK_EMPTY ? 0 : BLOCK_MALFORMED;
}
