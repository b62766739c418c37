#include "common/base/buffer.h"
#include "common/base/mem.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUFFER_LEAST = 64 };

void buffer_deinit(struct buffer *buffer) {
  free(buffer->data);
  *buffer = BUFFER_NULL;
}

void buffer_clear(struct buffer *buffer) { buffer->len = 0; }

void buffer_reserve(struct buffer *buffer, size_t more) {
  if (buffer->data && more <= buffer->cap - buffer->len) return;
  assert(more <= SIZE_MAX / 2 - buffer->len);
  size_t cap = buffer->cap > BUFFER_LEAST ? buffer->cap : BUFFER_LEAST;
  while (cap < buffer->len + more) cap *= 2;
  buffer->data = mem_resize(buffer->data, cap, 1);
  buffer->cap = cap;
}

void buffer_append(struct buffer *buffer, struct bytes from) {
  if (from.len == 0) return;
  buffer_reserve(buffer, from.len);
  memcpy(buffer->data + buffer->len, from.data, from.len);
  buffer->len += from.len;
}

void buffer_printf(struct buffer *buffer, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  buffer_reserve(buffer, BUFFER_LEAST);
  size_t room = buffer->cap - buffer->len;
  int len = vsnprintf((char *)buffer->data + buffer->len, room, format, args);
  assert(len >= 0);
  if ((size_t)len >= room) {
    buffer_reserve(buffer, (size_t)len + 1);
    vsnprintf((char *)buffer->data + buffer->len, (size_t)len + 1, format, again);
  }
  buffer->len += (size_t)len;
  va_end(again);
  va_end(args);
}

const char *buffer_text(struct buffer *buffer) {
  buffer_reserve(buffer, 1);
  buffer->data[buffer->len] = 0;
  return (const char *)buffer->data;
}
