#ifndef RIVERBUS_COMMON_BASE_BLOB_H
#define RIVERBUS_COMMON_BASE_BLOB_H
/*
 * Bytes that are written once and then shared: a block in the store's queue, in the ring of live data and in the queues
 * of several links is one blob. The count of references is atomic, since blobs pass between threads; the bytes are not
 * to be changed once a second reference exists.
 */
#include "common/base/bytes.h"
#include <stdatomic.h>

struct blob {
  atomic_uint refs;
  uint32_t len;
  uint8_t data[];
};

struct blob *blob_new(size_t len);          /* one reference; the bytes are zero. len at most 1 GiB */
struct blob *blob_copy(struct bytes from);  /* one reference */
struct blob *blob_ref(struct blob *blob);   /* one more reference, returned; NULL gives NULL */
struct blob *blob_unref(struct blob *blob); /* gives one back; returns NULL; NULL is allowed */
static inline struct bytes blob_bytes(const struct blob *blob) { return bytes_of(blob->data, blob->len); }
#endif
