#include "broker/operator/encoded.h"
#include "common/base/mem.h"
#include <sodium.h>
#include <stdlib.h>

enum { VARIANT = sodium_base64_VARIANT_ORIGINAL };

json_t *encoded_json(struct bytes bytes) {
  size_t room = sodium_base64_encoded_len(bytes.len, VARIANT);
  char *text = mem_alloc(room);
  sodium_bin2base64(text, room, bytes.data, bytes.len, VARIANT);
  json_t *json = json_string(text);
  free(text);
  return json;
}

bool encoded_read(const json_t *text, struct buffer *out) {
  const char *from = json_string_value(text), *end = NULL;
  size_t len = json_string_length(text), got = 0;
  if (!from) return false;
  buffer_reserve(out, len / 4 * 3 + 3);
  if (sodium_base642bin(out->data + out->len, len / 4 * 3 + 3, from, len, NULL, &got, &end, VARIANT) != 0) return false;
  if (end != from + len) return false;
  out->len += got;
  return true;
}
