/* Blocks: the checksum is made good first, so that what lies behind it is reached. */
#include "common/record/block.h"
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 40 || size > BLOCK_MAX) return 0;
  struct blob *blob = blob_copy(bytes_of(data, size)), *copy = NULL;
  struct block block;
  blob->data[0] = BLOCK_VERSION;
  for (int i = 0; i < 4; i++) blob->data[4 + i] = (uint8_t)(size >> 8 * i);
  block_number(blob, (struct epoch){1, 2}, 3);
  if (block_open(&block, blob_bytes(blob)) == 0 && block_check(&block) == 0 && block_with_hop(&copy, &block, bytes_text("x"), 1) == 0) blob_unref(copy);
  blob_unref(blob);
  return 0;
}
