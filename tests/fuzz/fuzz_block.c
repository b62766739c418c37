/* Blocks: the checksum is made good first, so that what lies behind it is reached. Whatever passes the check can be
 * copied, filtered and compressed, and passes again. */
#include "common/record/block.h"
#include <stdlib.h>
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
static bool keep_even(void *ctx, const struct record *record) {
  (void)ctx;
  return record->sequence % 2 == 0;
}
static void expect_good(struct blob *blob) {
  struct block block;
  if (blob && (block_open(&block, blob_bytes(blob)) != 0 || block_check(&block) != 0)) abort();
  blob_unref(blob);
}
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 40 || size > BLOCK_MAX) return 0;
  struct blob *blob = blob_copy(bytes_of(data, size)), *hopped = NULL, *half = NULL;
  struct block block;
  blob->data[0] = BLOCK_VERSION;
  for (int i = 0; i < 4; i++) blob->data[4 + i] = (uint8_t)(size >> 8 * i);
  block_number(blob, (struct epoch){1, 2}, 3);
  if (block_open(&block, blob_bytes(blob)) == 0 && block_check(&block) == 0) {
    if (block_with_hop(&hopped, &block, bytes_text("x"), 1, NULL) == 0) expect_good(hopped);
    if (block_filter(&half, blob, &block, keep_even, NULL) == 0) expect_good(half);
    struct block_packer *packer = block_packer_new();
    expect_good(block_compress(packer, blob, &block));
    block_packer_free(packer);
  }
  blob_unref(blob);
  return 0;
}
