#ifndef RIVERBUS_COMMON_IDENTITY_IDENTITY_SEED_H
#define RIVERBUS_COMMON_IDENTITY_IDENTITY_SEED_H
/* The seed of an identity, for its file alone. */
#include "common/identity/identity.h"
struct identity *identity_from_seed(const uint8_t seed[32]);
void identity_seed(const struct identity *identity, uint8_t seed[32]);
#endif
