#ifndef RIVERBUS_COMMON_BASE_BUFFER_H
#define RIVERBUS_COMMON_BASE_BUFFER_H
/* A growing run of bytes, owned. BUFFER_NULL is a valid empty one; deinit is safe twice. */
#include "common/base/bytes.h"

struct buffer {
  uint8_t *data;
  size_t len;
  size_t cap;
};
#define BUFFER_NULL ((struct buffer){NULL, 0, 0})

void buffer_deinit(struct buffer *buffer);
void buffer_clear(struct buffer *buffer); /* keeps the memory */
/* room for `more` bytes after len; data is not NULL after it */
void buffer_reserve(struct buffer *buffer, size_t more);
void buffer_append(struct buffer *buffer, struct bytes from); /* from: not a part of this buffer */
void buffer_printf(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline struct bytes buffer_bytes(const struct buffer *buffer) { return bytes_of(buffer->data, buffer->len); }
/* the content with a closing NUL behind len; valid until the next change */
const char *buffer_text(struct buffer *buffer);
#endif
