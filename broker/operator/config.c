#include "broker/operator/config.h"
#include <assert.h>
#include "common/base/mem.h"
#include "common/config/schema.h"
#include <stddef.h>
#include <stdlib.h>

struct broker_section {
  struct config_endpoint endpoint;
  struct config_keys keys;
};

static const struct field broker_fields[] = {
    {.key = "endpoint", .type = FIELD_ENDPOINT, .offset = 0, .required = true, .help = "where the broker listens"},
    {.key = "key",
        .type = FIELD_KEYS,
        .offset = sizeof(struct config_endpoint),
        .required = true,
        .help = "the broker's public key"},
    {.key = NULL},
};
static const struct section broker_part = {
    .name = "broker", .size = sizeof(struct broker_section), .fields = broker_fields};
static_assert(offsetof(struct operator_config, broker_keys) ==
                  offsetof(struct operator_config, broker) + sizeof(struct config_endpoint),
    "the section lies in place");

static const struct field fields[] = {
    {.key = "broker",
        .type = FIELD_SECTION,
        .offset = offsetof(struct operator_config, broker),
        .section = &broker_part,
        .required = true,
        .help = "the broker that is asked"},
    {.key = "identity",
        .type = FIELD_IDENTITY,
        .offset = offsetof(struct operator_config, identity),
        .required = true,
        .help = "the operator's secret key (`riverbus keys new`)"},
    {.key = NULL},
};
static const struct section root = {.name = "this file", .size = sizeof(struct operator_config), .fields = fields};

int operator_config_load(struct operator_config **out, const char *path, struct buffer *problems) {
  struct operator_config *config = mem_alloc(sizeof *config);
  int result = config_load(path, &root, config, problems);
  *out = result == 0 ? config : operator_config_free(config);
  return result;
}

struct operator_config *operator_config_free(struct operator_config *config) {
  if (config) schema_deinit(&root, config);
  free(config);
  return NULL;
}
