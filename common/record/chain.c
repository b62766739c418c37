#include "common/record/chain.h"
#include <sodium.h>

void chain_next(const uint8_t before[CHAIN_HASH], uint64_t number, struct bytes entry, uint8_t link[CHAIN_HASH]) {
  crypto_generichash_state state;
  uint8_t bytes[8];
  for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(number >> (8 * i));
  crypto_generichash_init(&state, NULL, 0, CHAIN_HASH);
  crypto_generichash_update(&state, before, CHAIN_HASH);
  crypto_generichash_update(&state, bytes, sizeof bytes);
  if (entry.len > 0) crypto_generichash_update(&state, entry.data, entry.len);
  crypto_generichash_final(&state, link, CHAIN_HASH);
}
