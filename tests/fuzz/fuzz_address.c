/* Addresses and patterns: a pattern that is a plain address matches exactly itself. */
#include "common/record/address.h"
#include <stdlib.h>
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct bytes text = bytes_of(data, size);
  struct pattern *pattern;
  bool address = address_check(text, NULL) == 0;
  if (pattern_new(&pattern, text, NULL) != 0) return address ? (abort(), 0) : 0;
  if (address && !pattern_matches(pattern, text)) abort();
  pattern_free(pattern);
  return 0;
}
