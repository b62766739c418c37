#include "broker/config_rules.h"
#include "common/base/mem.h"
#include "common/config/schema.h"
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

static void station_deinit(void *object) { free(((struct broker_station *)object)->node); }
static const struct field station_fields[] = {
    {.key = "name",
        .type = FIELD_SEGMENT,
        .offset = offsetof(struct broker_station, name),
        .required = true,
        .help = "the station owns NODE/name and all below"},
    {.key = "key",
        .type = FIELD_KEYS,
        .offset = offsetof(struct broker_station, keys),
        .required = true,
        .help = "the gateway's public key; during rotation both"},
    {.key = NULL},
};
static const struct section station_section = {
    .name = "a station", .size = sizeof(struct broker_station), .fields = station_fields, .deinit = station_deinit};

#define OF_ALLOWED(place)                                                                                              \
  ((struct broker_request *)(void *)((char *)(uintptr_t)(place)-offsetof(struct broker_request, allowed)))

static void read_allowed(struct document *d, yaml_node_t *node, void *place) {
  struct broker_request *request = OF_ALLOWED(place);
  if (node->type != YAML_SEQUENCE_NODE) {
    document_problem(d, node, "allowed: needs a list of values, such as [true, false]");
    return;
  }
  yaml_node_item_t *first = node->data.sequence.items.start, *end = node->data.sequence.items.top;
  if (end == first || end - first > 16) document_problem(d, node, "allowed: from 1 to 16 values");
  request->allowed = mem_alloc((size_t)(end - first + 1) * sizeof *request->allowed);
  for (yaml_node_item_t *item = first; item < end; item++) {
    struct broker_value *value = &request->allowed[request->allowed_count++];
    schema_value(d, document_node(d, *item), VALUE_NONE, &value->text, &value->value);
  }
}

static void free_allowed(void *place) {
  struct broker_request *request = OF_ALLOWED(place);
  for (size_t i = 0; i < request->allowed_count; i++) free(request->allowed[i].text);
  free(request->allowed);
}

static bool allowed_same(const void *a, const void *b) {
  const struct broker_request *x = OF_ALLOWED(a), *y = OF_ALLOWED(b);
  bool same = x->allowed_count == y->allowed_count;
  for (size_t i = 0; same && i < x->allowed_count; i++) same = value_equal(&x->allowed[i].value, &y->allowed[i].value);
  return same;
}

static void finish_request(struct document *d, yaml_node_t *node, void *object) {
  struct broker_request *request = object;
  if (request->allowed && request->range.set) document_problem(d, node, "give either range or allowed, not both");
}

static const char *const approval_names[] = {"none", "local", NULL};
static const struct field request_fields[] = {
    {.key = "match",
        .type = FIELD_PATTERN,
        .offset = offsetof(struct broker_request, match),
        .required = true,
        .help = "the points that may be commanded"},
    {.key = "operators",
        .type = FIELD_KEYS,
        .offset = offsetof(struct broker_request, operators),
        .required = true,
        .help = "public keys of the neighbour's operators who may ask"},
    {.key = "range",
        .type = FIELD_RANGE,
        .offset = offsetof(struct broker_request, range),
        .help = "the values that may be asked for, within what the point itself allows"},
    {.key = "allowed",
        .type = FIELD_CUSTOM,
        .offset = offsetof(struct broker_request, allowed),
        .custom = read_allowed,
        .custom_free = free_allowed,
        .custom_same = allowed_same,
        .help = "the same as a list"},
    {.key = "approval",
        .type = FIELD_ENUM,
        .offset = offsetof(struct broker_request, approval),
        .names = approval_names,
        .fallback = "none",
        .help = "local: a person of this province approves it first"},
    {.key = NULL},
};
static const struct section request_section = {
    .name = "a request", .size = sizeof(struct broker_request), .fields = request_fields, .finish = finish_request};

static const struct field peer_fields[] = {
    {.key = "name",
        .type = FIELD_SEGMENT,
        .offset = offsetof(struct broker_peer, name),
        .required = true,
        .help = "the neighbour's node name"},
    {.key = "key",
        .type = FIELD_KEYS,
        .offset = offsetof(struct broker_peer, keys),
        .required = true,
        .help = "the neighbour's public key; during rotation both"},
    {.key = "connect",
        .type = FIELD_ENDPOINT,
        .offset = offsetof(struct broker_peer, connect),
        .second = "connect-telemetry",
        .help = "where the neighbour listens; without it the neighbour connects"},
    {.key = "connect-telemetry",
        .type = FIELD_COMPANION,
        .help = "the neighbour's telemetry port, where it is not the next one"},
    {.key = "share",
        .type = FIELD_SECTIONS,
        .offset = offsetof(struct broker_peer, share),
        .count_offset = offsetof(struct broker_peer, share_count),
        .section = &config_share_section,
        .help = "what is sent to it"},
    {.key = "accept",
        .type = FIELD_SECTIONS,
        .offset = offsetof(struct broker_peer, accept),
        .count_offset = offsetof(struct broker_peer, accept_count),
        .section = &config_accept_section,
        .help = "what is taken from it"},
    {.key = "transit",
        .type = FIELD_PATTERNS,
        .offset = offsetof(struct broker_peer, transit),
        .help = "what of third provinces may pass through us to it, as far as they granted it"},
    {.key = "requests",
        .type = FIELD_SECTIONS,
        .offset = offsetof(struct broker_peer, requests),
        .count_offset = offsetof(struct broker_peer, request_count),
        .section = &request_section,
        .help = "what its operators may ask for here"},
    {.key = "quota",
        .type = FIELD_SECTION,
        .offset = offsetof(struct broker_peer, quota),
        .section = &config_quota_section,
        .help = "what may go over the link at most; what is over it waits"},
    {.key = NULL},
};
static const struct section peer_section = {
    .name = "a peer", .size = sizeof(struct broker_peer), .fields = peer_fields};

static void twice(struct document *d, yaml_node_t *list, size_t i, const char *kind, const char *name) {
  document_problem(d, document_node(d, list->data.sequence.items.start[i]), "the %s '%s' stands twice", kind, name);
}

static yaml_node_t *item_node(struct document *d, yaml_node_t *list, size_t i) {
  return document_node(d, list->data.sequence.items.start[i]);
}

static void finish_stations(
    struct document *d, yaml_node_t *list, struct broker_config *config, struct key_book *book) {
  for (size_t i = 0; i < config->station_count; i++) {
    struct broker_station *station = &config->stations[i];
    struct buffer node = BUFFER_NULL;
    const char *why = NULL;
    char owner[128];
    if (!station->name) continue;
    buffer_printf(&node, "%s/%s", config->node ? config->node : "?", station->name);
    buffer_text(&node);
    station->node = (char *)node.data;
    if (address_check(bytes_text(station->node), &why) != 0)
      document_problem(d, item_node(d, list, i), "the station's address '%s': %s", station->node, why);
    for (size_t j = 0; j < i; j++)
      if (config->stations[j].name && strcmp(config->stations[j].name, station->name) == 0)
        twice(d, list, i, "station", station->name);
    snprintf(owner, sizeof owner, "station %s", station->name);
    key_book_add(book, d, item_node(d, list, i), &station->keys, owner);
  }
}

static void finish_operators(
    struct document *d, yaml_node_t *list, struct broker_config *config, struct key_book *book) {
  for (size_t i = 0; i < config->operator_count; i++) {
    struct config_operator *operator= & config->operators[i];
    char owner[128];
    if (!operator->name) continue;
    for (size_t j = 0; j < i; j++)
      if (config->operators[j].name && strcmp(config->operators[j].name, operator->name) == 0)
        twice(d, list, i, "operator", operator->name);
    if (operator->local)
      document_problem(d, schema_find(d, item_node(d, list, i), "local"),
          "local: belongs in the station's own file, riverbus-gateway.yaml, or in the roster");
    snprintf(owner, sizeof owner, "operator %s", operator->name);
    key_book_add(book, d, item_node(d, list, i), &operator->keys, owner);
  }
}

static void finish_peers(struct document *d, yaml_node_t *list, struct broker_config *config, struct key_book *book) {
  for (size_t i = 0; i < config->peer_count; i++) {
    struct broker_peer *peer = &config->peers[i];
    char owner[128];
    if (!peer->name) continue;
    if (config->node && strcmp(peer->name, config->node) == 0)
      document_problem(d, item_node(d, list, i), "the peer '%s' has the name of this node", peer->name);
    for (size_t j = 0; j < i; j++)
      if (config->peers[j].name && strcmp(config->peers[j].name, peer->name) == 0)
        twice(d, list, i, "peer", peer->name);
    snprintf(owner, sizeof owner, "peer %s", peer->name);
    key_book_add(book, d, item_node(d, list, i), &peer->keys, owner);
    config_rules_finish(d, item_node(d, list, i), config, peer);
  }
}

/* This node's own key may not be given to anybody else. */
static void note_own_key(
    struct document *d, yaml_node_t *node, const struct broker_config *config, struct key_book *book) {
  struct identity *identity = NULL;
  struct public_key key;
  if (!config->identity || identity_load(&identity, config->identity, NULL) != 0) return;
  identity_public(identity, &key);
  struct config_keys keys = {&key, 1};
  key_book_add(book, d, node, &keys, "this node");
  identity_free(identity);
}

static void finish(struct document *d, yaml_node_t *node, void *object) {
  struct broker_config *config = object;
  struct key_book book = {NULL, 0};
  yaml_node_t *stations = schema_find(d, node, "stations"), *operators = schema_find(d, node, "operators"),
              *peers = schema_find(d, node, "peers");
  note_own_key(d, node, config, &book);
  if (stations) finish_stations(d, stations, config, &book);
  if (operators) finish_operators(d, operators, config, &book);
  if (peers) finish_peers(d, peers, config, &book);
  key_book_deinit(&book);
}

static const struct field fields[] = {
    {.key = "node",
        .type = FIELD_SEGMENT,
        .offset = offsetof(struct broker_config, node),
        .required = true,
        .help = "first segment of every address that this broker owns"},
    {.key = "identity",
        .type = FIELD_IDENTITY,
        .offset = offsetof(struct broker_config, identity),
        .required = true,
        .help = "this broker's secret key (`riverbus keys new`)"},
    {.key = "time-zone",
        .type = FIELD_ZONE,
        .offset = offsetof(struct broker_config, zone_s),
        .fallback = "Z",
        .help = "of the province: told by `riverbus status`, and for dates in this file"},
    {.key = "listen",
        .type = FIELD_ENDPOINT,
        .offset = offsetof(struct broker_config, listen),
        .second = "listen-telemetry",
        .listens = true,
        .required = true,
        .help = "urgent lane; telemetry is on the next port"},
    {.key = "listen-telemetry", .type = FIELD_COMPANION, .help = "the telemetry port, where it is not the next one"},
    {.key = "listen-next", .type = FIELD_LATER},
    {.key = "http",
        .type = FIELD_HTTP,
        .offset = offsetof(struct broker_config, http),
        .help = "metrics and health; omit for none"},
    {.key = "store",
        .type = FIELD_SECTION,
        .offset = offsetof(struct broker_config, store),
        .section = &config_store_section,
        .required = true,
        .help = "the durable store"},
    {.key = "audit",
        .type = FIELD_SECTION,
        .offset = offsetof(struct broker_config, audit),
        .section = &config_audit_section,
        .redo = CONFIG_REDO_LIMITS,
        .help = "the audit log"},
    {.key = "max-deadline",
        .type = FIELD_DURATION,
        .offset = offsetof(struct broker_config, max_deadline_us),
        .fallback = "5m",
        .low = 1e7,
        .high = 8.64e10,
        .redo = CONFIG_REDO_LIMITS,
        .help = "a command whose deadline is further away is rejected"},
    {.key = "stations",
        .type = FIELD_SECTIONS,
        .offset = offsetof(struct broker_config, stations),
        .count_offset = offsetof(struct broker_config, station_count),
        .section = &station_section,
        .redo = CONFIG_REDO_PRINCIPALS,
        .help = "the gateways of this province"},
    {.key = "operators",
        .type = FIELD_SECTIONS,
        .offset = offsetof(struct broker_config, operators),
        .count_offset = offsetof(struct broker_config, operator_count),
        .section = &config_operator_section,
        .redo = CONFIG_REDO_PRINCIPALS,
        .help = "who may read and command here"},
    {.key = "authority",
        .type = FIELD_KEYS,
        .offset = offsetof(struct broker_config, authority),
        .redo = CONFIG_REDO_PRINCIPALS,
        .help = "whose signed roster of operators is obeyed beside the list"},
    {.key = "peers",
        .type = FIELD_SECTIONS,
        .offset = offsetof(struct broker_config, peers),
        .count_offset = offsetof(struct broker_config, peer_count),
        .section = &peer_section,
        .redo = CONFIG_REDO_LINKS | CONFIG_REDO_RULES,
        .help = "the neighbouring provinces' brokers"},
    {.key = NULL},
};
static const struct section root = {
    .name = "this file", .size = sizeof(struct broker_config), .fields = fields, .finish = finish};

int broker_config_load(struct broker_config **out, const char *path, struct buffer *problems) {
  struct broker_config *config = mem_alloc(sizeof *config);
  int result = config_load(path, &root, config, problems);
  *out = result == 0 ? config : broker_config_free(config);
  return result;
}

struct broker_config *broker_config_free(struct broker_config *config) {
  if (config) schema_deinit(&root, config);
  free(config);
  return NULL;
}

unsigned broker_config_changed(const struct broker_config *old, const struct broker_config *fresh) {
  return schema_changed(&root, old, fresh);
}
