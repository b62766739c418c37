#ifndef RIVERBUS_COMMON_BASE_BYTES_H
#define RIVERBUS_COMMON_BASE_BYTES_H
/* A view of bytes that somebody else owns; also used for text (UTF-8, no closing NUL). Nothing here allocates. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
  const uint8_t *data;
  size_t len;
};

#define BYTES_NULL ((struct bytes){NULL, 0})
#define BYTES_FMT "%.*s" /* printf of a view that holds text */
#define BYTES_ARG(b) (int)(b).len, (const char *)(b).data

static inline struct bytes bytes_of(const void *data, size_t len) { return (struct bytes){(const uint8_t *)data, len}; }
static inline struct bytes bytes_text(const char *text) {
  return (struct bytes){(const uint8_t *)text, text ? strlen(text) : 0};
}
static inline bool bytes_equal(struct bytes a, struct bytes b) {
  return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}
/* Order by bytes, the shorter first where one begins the other; <0, 0, >0. */
int bytes_compare(struct bytes a, struct bytes b);
/* Whether the bytes are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF). */
bool bytes_is_utf8(struct bytes b);
#endif
