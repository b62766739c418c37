#ifndef RIVERBUS_GATEWAY_CONFIG_OBSERVED_H
#define RIVERBUS_GATEWAY_CONFIG_OBSERVED_H
/* The key `operating-log` of a control: which points the operating log names before and after a movement. Without the
 * key these are what a water bureau writes down: the measured inputs of `refuse-when`, then the station's levels and
 * flows (units m, m3/s, m³/s) that no command moves, OBSERVATION_POINTS_MAX at most. */
#include "common/config/schema.h"
#include "gateway/config.h"

/* After all addresses are known. */
void observed_finish(
    struct document *document, yaml_node_t *node, const struct gateway_config *config, struct gateway_control *control);
void observed_free(struct gateway_control *control);
bool observed_same(const void *a, const void *b); /* places of struct gateway_control's `observed` */
/* device/point of the station; NULL: none. */
const struct gateway_point *config_find_point(const struct gateway_config *config, const char *name);
#endif
