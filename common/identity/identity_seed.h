#ifndef RIVERBUS_COMMON_IDENTITY_IDENTITY_SEED_H
#define RIVERBUS_COMMON_IDENTITY_IDENTITY_SEED_H
/* The seed of an identity, for its file and for tests with a fixed key. The caller wipes it. */
#include "common/identity/identity.h"
enum { IDENTITY_SEED = 32 };
struct identity *identity_from_seed(const uint8_t seed[IDENTITY_SEED]);
void identity_seed(const struct identity *identity, uint8_t seed[IDENTITY_SEED]);
#endif
