#ifndef RIVERBUS_COMMON_CONFIG_SCALAR_H
#define RIVERBUS_COMMON_CONFIG_SCALAR_H
/* Single values, for schema.c and for sections with rules of their own. */
#include "common/config/schema.h"

void scalar_read(struct document *document, const struct field *field, yaml_node_t *node, void *place);
/* An endpoint and its telemetry companion (NULL: the next port). key: for the message. */
bool scalar_endpoint(struct document *document, const char *key, yaml_node_t *node, yaml_node_t *second, bool listens,
    struct config_endpoint *place);
#endif
