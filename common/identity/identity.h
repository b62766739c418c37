#ifndef RIVERBUS_COMMON_IDENTITY_IDENTITY_H
#define RIVERBUS_COMMON_IDENTITY_IDENTITY_H
/*
 * One identity is one Ed25519 key. The transport's CURVE (X25519) key is derived from it by libsodium's conversion.
 * Written form of a public key: "ed25519:" and 43 characters of base64url without padding. A secret key file holds one
 * line "riverbus-secret-ed25519:" + base64url of the 32-byte seed, mode 0600; one that group or others can read is
 * refused. Secrets are wiped (sodium_memzero) when freed.
 */
#include "common/base/buffer.h"

enum { IDENTITY_KEY_TEXT = 8 + 43, IDENTITY_SIGNATURE = 64 };
enum identity_outcome {
  IDENTITY_BAD_TEXT = 1,
  IDENTITY_BAD_FILE = 2,
  IDENTITY_READABLE_BY_OTHERS = 3,
  IDENTITY_EXISTS = 4,
  IDENTITY_NO_FILE = 5
};

struct public_key {
  uint8_t bytes[32];
};
struct identity; /* a secret key in memory */
struct identity_transport {
  uint8_t public_key[32];
  uint8_t secret_key[32];
};
struct identity_problem {
  char text[512];
}; /* a whole sentence: what, which file, what to do */

int public_key_parse(struct bytes text, struct public_key *key); /* IDENTITY_BAD_TEXT */
void public_key_text(const struct public_key *key, char text[IDENTITY_KEY_TEXT + 1]);
/* IDENTITY_BAD_TEXT: not a valid point */
int public_key_transport(const struct public_key *key, uint8_t transport[32]);
int public_key_load(const char *path, struct public_key *key, struct identity_problem *problem);

int identity_generate(struct identity **out);
/* BAD_FILE, READABLE_BY_OTHERS, NO_FILE */
int identity_load(struct identity **out, const char *path, struct identity_problem *problem);
/* Writes DIR/NAME.key (0600, never over an existing one: IDENTITY_EXISTS) and DIR/NAME.pub, both whole or none, synced.
 * BAD_FILE: cannot be written. */
int identity_save(const struct identity *identity, const char *dir, const char *name, struct identity_problem *problem);
struct identity *identity_free(struct identity *identity);
void identity_public(const struct identity *identity, struct public_key *key);
void identity_transport(const struct identity *identity, struct identity_transport *transport);
void identity_sign(const struct identity *identity, struct bytes message, uint8_t signature[IDENTITY_SIGNATURE]);
bool public_key_verify(const struct public_key *key, struct bytes message, const uint8_t signature[IDENTITY_SIGNATURE]);
#endif
