#include "common/base/blob.h"
#include "common/base/mem.h"
#include <assert.h>
#include <stdlib.h>

enum { BLOB_MAX = 1 << 30 };

struct blob *blob_new(size_t len) {
  assert(len <= BLOB_MAX);
  struct blob *blob = mem_alloc(sizeof *blob + len);
  atomic_init(&blob->refs, 1);
  blob->len = (uint32_t)len;
  return blob;
}

struct blob *blob_copy(struct bytes from) {
  assert(from.len <= BLOB_MAX);
  struct blob *blob = mem_resize(NULL, 1, sizeof *blob + from.len); /* not zeroed: written at once */
  atomic_init(&blob->refs, 1);
  blob->len = (uint32_t)from.len;
  if (from.len > 0) memcpy(blob->data, from.data, from.len);
  return blob;
}

struct blob *blob_ref(struct blob *blob) {
  if (blob) atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);
  return blob;
}

struct blob *blob_unref(struct blob *blob) {
  if (!blob) return NULL;
  unsigned before = atomic_fetch_sub_explicit(&blob->refs, 1, memory_order_acq_rel);
  assert(before > 0);
  if (before == 1) free(blob);
  return NULL;
}
