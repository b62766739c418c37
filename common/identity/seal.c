#include "common/identity/seal.h"

static size_t head(const struct seal *seal) { return strlen(seal->prefix) + 1 + 32; }

void seal_begin(const struct seal *seal, const struct identity *identity, struct buffer *body, struct writer *writer) {
  struct public_key key;
  identity_public(identity, &key);
  writer_init(writer, body, seal->max - IDENTITY_SIGNATURE);
  writer_bytes(writer, bytes_of(seal->prefix, strlen(seal->prefix) + 1));
  writer_bytes(writer, bytes_of(key.bytes, 32));
}

int seal_close(const struct identity *identity, struct buffer *body, const struct writer *writer, struct buffer *out) {
  uint8_t signature[IDENTITY_SIGNATURE];
  bool fits = !writer->failed;
  if (fits) {
    identity_sign(identity, buffer_bytes(body), signature);
    buffer_append(out, buffer_bytes(body));
    buffer_append(out, bytes_of(signature, sizeof signature));
  }
  buffer_deinit(body);
  return fits ? 0 : SEAL_TOO_LARGE;
}

int seal_read(const struct seal *seal, struct bytes bytes, struct public_key *key, struct bytes *fields) {
  size_t prefix = strlen(seal->prefix), start = head(seal);
  if (bytes.len > seal->max) return SEAL_TOO_LARGE;
  if (bytes.len < start + IDENTITY_SIGNATURE || memcmp(bytes.data, seal->prefix, prefix - 1) != 0)
    return SEAL_MALFORMED;
  if (memcmp(bytes.data, seal->prefix, prefix + 1) != 0) return SEAL_VERSION;
  memcpy(key->bytes, bytes.data + prefix + 1, 32);
  *fields = bytes_of(bytes.data + start, bytes.len - start - IDENTITY_SIGNATURE);
  return 0;
}

int seal_open(const struct seal *seal, struct bytes bytes, struct public_key *key, struct bytes *fields) {
  int result = seal_read(seal, bytes, key, fields);
  if (result != 0) return result;
  struct bytes signed_part = bytes_of(bytes.data, bytes.len - IDENTITY_SIGNATURE);
  return public_key_verify(key, signed_part, bytes.data + signed_part.len) ? 0 : SEAL_FORGED;
}
