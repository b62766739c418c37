/* Link messages: whatever is read can be written and read again. */
#include "common/link/message.h"
#include <stdlib.h>
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct link_message message, again;
  if (link_message_read(&message, bytes_of(data, size)) != 0) return 0;
  struct buffer out = BUFFER_NULL;
  link_message_write(&out, &message);
  if (link_message_read(&again, buffer_bytes(&out)) != 0 || again.type != message.type) abort();
  buffer_deinit(&out);
  return 0;
}
