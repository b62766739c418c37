#ifndef RIVERBUS_BROKER_CONFIG_RULES_H
#define RIVERBUS_BROKER_CONFIG_RULES_H
/* The part of the broker's file that says what passes between it and one neighbour: share, accept, transit, quota. */
#include "broker/config.h"
#include "common/config/schema.h"

extern const struct section config_share_section, config_accept_section, config_quota_section;
/* What needs the rest of the file: dates in its time zone, and whether each line can ever do anything. node: the
 * mapping of the peer. */
void config_rules_finish(
    struct document *document, yaml_node_t *node, const struct broker_config *config, struct broker_peer *peer);
#endif
