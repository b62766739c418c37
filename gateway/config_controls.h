#ifndef RIVERBUS_GATEWAY_CONFIG_CONTROLS_H
#define RIVERBUS_GATEWAY_CONFIG_CONTROLS_H
/* The part of the configuration's schema that says what can be set, and how safely (gateway/config.h, struct
 * gateway_control). */
#include "common/config/schema.h"
#include "gateway/config.h"

extern const struct section gateway_control_section;
/* Rules between a control's keys and its point; node: the control's mapping. */
void controls_finish(
    struct document *document, yaml_node_t *node, struct gateway_device *device, struct gateway_control *control);
/* After all addresses are known: what the lines of `refuse-when` mean, and what the operating log names. devices: the
 * list's node. */
void controls_finish_lines(struct document *document, yaml_node_t *devices, struct gateway_config *config);
#endif
