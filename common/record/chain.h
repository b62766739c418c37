#ifndef RIVERBUS_COMMON_RECORD_CHAIN_H
#define RIVERBUS_COMMON_RECORD_CHAIN_H
/*
 * The hash chain of the audit log: each link is BLAKE2b-256 over the link before it (32 bytes, zeros before the first),
 * the entry's number (u64, little-endian, from 1) and the entry's bytes. Who knows one link knows that nothing before
 * it was altered, left out or put in. Pure.
 */
#include "common/base/bytes.h"

enum { CHAIN_HASH = 32 };
void chain_next(const uint8_t before[CHAIN_HASH], uint64_t number, struct bytes entry, uint8_t link[CHAIN_HASH]);
#endif
