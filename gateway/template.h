#ifndef RIVERBUS_GATEWAY_TEMPLATE_H
#define RIVERBUS_GATEWAY_TEMPLATE_H
/* Fills a control's payload template. Pure. */
#include "gateway/config.h"

struct template_values {
  struct bytes id;
  struct bytes address;
  const struct value *value;
  int64_t deadline; /* wall µs */
  uint64_t fence;
  struct bytes running; /* of a stop; may be empty */
};
void template_put(struct buffer *out, const struct gateway_template *template, const struct template_values *values);
#endif
