/* The operators' protocol. */
#include "common/link/request.h"
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct request_message message;
  (void)request_read(&message, bytes_of(data, size));
  return 0;
}
