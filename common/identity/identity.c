#include "common/identity/identity_seed.h"
#include "common/base/mem.h"
#include <sodium.h>
#include <stdlib.h>

struct identity {
  uint8_t seed[crypto_sign_SEEDBYTES];
  uint8_t secret[crypto_sign_SECRETKEYBYTES];
  struct public_key key;
};

static void derive(struct identity *identity) {
  crypto_sign_seed_keypair(identity->key.bytes, identity->secret, identity->seed);
}

struct identity *identity_from_seed(const uint8_t seed[32]) {
  struct identity *identity = mem_alloc(sizeof *identity);
  memcpy(identity->seed, seed, sizeof identity->seed);
  derive(identity);
  return identity;
}

void identity_seed(const struct identity *identity, uint8_t seed[32]) {
  memcpy(seed, identity->seed, sizeof identity->seed);
}

int identity_generate(struct identity **out) {
  uint8_t seed[crypto_sign_SEEDBYTES];
  if (sodium_init() < 0) return -1;
  randombytes_buf(seed, sizeof seed);
  *out = identity_from_seed(seed);
  sodium_memzero(seed, sizeof seed);
  return 0;
}

struct identity *identity_free(struct identity *identity) {
  if (identity) sodium_memzero(identity, sizeof *identity);
  free(identity);
  return NULL;
}

void identity_public(const struct identity *identity, struct public_key *key) { *key = identity->key; }

void identity_transport(const struct identity *identity, struct identity_transport *transport) {
  crypto_sign_ed25519_sk_to_curve25519(transport->secret_key, identity->secret);
  crypto_scalarmult_base(transport->public_key, transport->secret_key);
}

void identity_sign(const struct identity *identity, struct bytes message, uint8_t signature[IDENTITY_SIGNATURE]) {
  crypto_sign_detached(signature, NULL, message.data, message.len, identity->secret);
}
