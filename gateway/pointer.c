#include "gateway/pointer.h"
#include <string.h>

/* Whether the token is an index, and which. More than nine digits is no index of anything we read. */
static bool pointer_index(const char *token, size_t *index) {
  size_t len = strlen(token);
  *index = 0;
  if (len == 0 || len > 9 || (len > 1 && token[0] == '0')) return false;
  for (size_t i = 0; i < len; i++) {
    if (token[i] < '0' || token[i] > '9') return false;
    *index = *index * 10 + (size_t)(token[i] - '0');
  }
  return true;
}

static const json_t *pointer_step(const json_t *at, const char *token) {
  size_t index;
  if (json_is_object(at)) return json_object_get(at, token);
  if (json_is_array(at) && pointer_index(token, &index)) return json_array_get(at, index);
  return NULL;
}

const json_t *pointer_get(const struct gateway_pointer *pointer, const json_t *document) {
  const json_t *at = document;
  for (size_t i = 0; at && i < pointer->count; i++) at = pointer_step(at, pointer->tokens[i]);
  return at;
}
