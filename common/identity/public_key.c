#include "common/identity/identity.h"
#include <sodium.h>

static const char prefix[] = "ed25519:";

int public_key_parse(struct bytes text, struct public_key *key) {
  const size_t head = sizeof prefix - 1;
  size_t len = 0;
  if (text.len != IDENTITY_KEY_TEXT || memcmp(text.data, prefix, head) != 0) return IDENTITY_BAD_TEXT;
  int result = sodium_base642bin(key->bytes, sizeof key->bytes, (const char *)text.data + head, text.len - head, NULL,
      &len, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  return result == 0 && len == sizeof key->bytes ? 0 : IDENTITY_BAD_TEXT;
}

void public_key_text(const struct public_key *key, char text[IDENTITY_KEY_TEXT + 1]) {
  memcpy(text, prefix, sizeof prefix - 1);
  sodium_bin2base64(text + sizeof prefix - 1, IDENTITY_KEY_TEXT + 1 - (sizeof prefix - 1), key->bytes,
      sizeof key->bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

int public_key_transport(const struct public_key *key, uint8_t transport[32]) {
  return crypto_sign_ed25519_pk_to_curve25519(transport, key->bytes) == 0 ? 0 : IDENTITY_BAD_TEXT;
}

bool public_key_verify(
    const struct public_key *key, struct bytes message, const uint8_t signature[IDENTITY_SIGNATURE]) {
  return crypto_sign_verify_detached(signature, message.data, message.len, key->bytes) == 0;
}
