#include "broker/operator/config.h"
#include <assert.h>
#include "common/base/mem.h"
#include "common/config/schema.h"
#include "common/record/address.h"
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

static void finish_station(struct document *d, yaml_node_t *node, void *object) {
  const struct operator_station *station = object;
  if (station->name && address_segments(bytes_text(station->name)) != 2)
    document_problem(d, schema_find(d, node, "name"), "name: '%s' needs two segments: province/station", station->name);
}
static const struct field station_fields[] = {
    {.key = "name",
        .type = FIELD_ADDRESS,
        .offset = offsetof(struct operator_station, name),
        .required = true,
        .help = "the station, as its addresses begin: province/station"},
    {.key = "key",
        .type = FIELD_KEYS,
        .offset = offsetof(struct operator_station, keys),
        .required = true,
        .help = "the public key of its gateway; during rotation both"},
    {.key = NULL},
};
static const struct section station_part = {
    .name = "a station", .size = sizeof(struct operator_station), .fields = station_fields, .finish = finish_station};

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
    {.key = "stations",
        .type = FIELD_SECTIONS,
        .offset = offsetof(struct operator_config, stations),
        .count_offset = offsetof(struct operator_config, station_count),
        .section = &station_part,
        .help = "stations whose signed reports are verified here, whatever a broker says"},
    {.key = NULL},
};

/* Of two keys for one station only the first would count. */
static void finish(struct document *d, yaml_node_t *node, void *object) {
  const struct operator_config *config = object;
  yaml_node_t *list = schema_find(d, node, "stations");
  for (size_t i = 0; list && i < config->station_count; i++)
    for (size_t j = 0; j < i; j++)
      if (config->stations[i].name && config->stations[j].name &&
          strcmp(config->stations[i].name, config->stations[j].name) == 0)
        document_problem(d, document_node(d, list->data.sequence.items.start[i]),
            "the station '%s' stands twice: give both keys in one list", config->stations[i].name);
}
static const struct section root = {
    .name = "this file", .size = sizeof(struct operator_config), .fields = fields, .finish = finish};

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
