#include "common/base/mem.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static void *mem_taken(void *memory, size_t size) {
  if (memory) return memory;
  /* exit handlers may allocate: leave at once. Nothing unacknowledged is lost by it. */
  fprintf(stderr, "riverbus: out of memory (%zu bytes wanted)\n", size);
  _Exit(EX_TEMPFAIL);
}

void *mem_alloc(size_t size) { return mem_taken(calloc(1, size ? size : 1), size); }

void *mem_resize(void *old, size_t count, size_t size) {
  size_t total;
  if (__builtin_mul_overflow(count, size, &total)) return mem_taken(NULL, SIZE_MAX);
  return mem_taken(realloc(old, total ? total : 1), total);
}

void *mem_copy(const void *data, size_t size) {
  void *copy = mem_taken(malloc(size ? size : 1), size);
  if (size) memcpy(copy, data, size);
  return copy;
}

char *mem_text(const void *data, size_t size) {
  char *copy = mem_taken(malloc(size + 1), size);
  if (size) memcpy(copy, data, size);
  copy[size] = '\0';
  return copy;
}
