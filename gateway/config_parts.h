#ifndef RIVERBUS_GATEWAY_CONFIG_PARTS_H
#define RIVERBUS_GATEWAY_CONFIG_PARTS_H
/* The values of gateway/config.h that have a syntax of their own: readers for the schema's custom rows, and what frees
 * them. */
#include "common/config/schema.h"
#include "gateway/config.h"
#include <stddef.h>

#define CUSTOM(place_type, member, read, release, same)                                                                \
  .type = FIELD_CUSTOM, .offset = offsetof(place_type, member), .custom = read, .custom_free = release,                \
  .custom_same = same

/* A custom row is given the place of its member; what stands beside it is found from there. */
#define OWNER(owner_type, member, place)                                                                               \
  ((const owner_type *)(const void *)((const uint8_t *)(place)-offsetof(owner_type, member)))

/* Read by a section's finish: the row only makes the key known. */
void part_later(struct document *document, yaml_node_t *node, void *place);

void part_pointer(struct document *document, yaml_node_t *node, void *place); /* struct gateway_pointer */
void part_pointer_free(void *place);
void part_template(struct document *document, yaml_node_t *node, void *place); /* struct gateway_template */
void part_stop_template(struct document *document, yaml_node_t *node, void *place);
void part_template_free(void *place);
void part_time(struct document *document, yaml_node_t *node, void *place); /* struct gateway_time */
void part_time_free(void *place);
void part_topic(struct document *document, yaml_node_t *node, void *place); /* char *; no wildcard */
void part_text_free(void *place);
/* These need the point's type, so the section's finish calls them. */
void part_map(
    struct document *document, yaml_node_t *node, enum value_type type, struct gateway_map **map, size_t *count);
void part_map_free(struct gateway_map *map, size_t count);
void part_values(
    struct document *document, yaml_node_t *node, enum value_type type, struct gateway_value **values, size_t *count);
void part_values_free(struct gateway_value *values, size_t count);

/* Whether a reload finds them unchanged: the same text means the same thing. */
bool part_text_same(const void *a, const void *b); /* places of char * */
bool part_pointer_same(const void *a, const void *b);
bool part_template_same(const void *a, const void *b);
bool part_time_same(const void *a, const void *b);
bool part_map_same(const struct gateway_map *a, size_t a_count, const struct gateway_map *b, size_t b_count);
bool part_values_same(const struct gateway_value *a, size_t a_count, const struct gateway_value *b, size_t b_count);
#endif
