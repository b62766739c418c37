#ifndef RIVERBUS_GATEWAY_REPLIES_H
#define RIVERBUS_GATEWAY_REPLIES_H
/* Reads a device's answer to a command. Pure. */
#include "gateway/config.h"

struct reply {
  const struct gateway_control *control;
  struct bytes id; /* views into the struct or the document */
  bool ok;
  struct bytes reason; /* may be empty */
};
/* Calls heard for each control with that reply topic whose id pointer names an id in the payload. Returns how many; 0:
 * not JSON, or no id. */
size_t replies_read(const struct gateway_config *config, const char *topic, struct bytes payload,
    void (*heard)(void *ctx, const struct reply *reply), void *ctx);
#endif
