#include "broker/principals.h"
#include "common/base/mem.h"
#include <stdlib.h>

static struct principal *add(struct principals *principals, enum principal_kind kind, const char *prefix,
    const char *name, const struct config_keys *keys) {
  struct buffer text = BUFFER_NULL;
  struct principal *principal = mem_alloc(sizeof *principal);
  buffer_printf(&text, "%s %s", prefix, name);
  principal->kind = kind;
  principal->name = mem_text(text.data, text.len);
  table_put(&principals->by_name, buffer_bytes(&text), principal);
  for (size_t i = 0; i < keys->count; i++) {
    uint8_t transport[32];
    if (public_key_transport(&keys->items[i], transport) == 0)
      table_put(&principals->by_key, bytes_of(transport, sizeof transport), principal);
  }
  buffer_deinit(&text);
  return principal;
}

static void add_operator(struct principals *principals, const struct config_operator *from) {
  struct principal *principal = add(principals, PRINCIPAL_OPERATOR, "operator", from->name, &from->keys);
  principal->requester = (struct requester){from->name, &from->read};
  size_t count = principals->operator_count + from->keys.count;
  principals->operators = mem_resize(principals->operators, count + 1, sizeof *principals->operators);
  for (size_t i = 0; i < from->keys.count; i++)
    principals->operators[principals->operator_count++] = (struct check_operator){
        .name = from->name, .key = from->keys.items[i], .command = &from->command, .approve = &from->approve};
}

void principals_init(struct principals *principals, const struct broker_config *config) {
  *principals = (struct principals){0};
  for (size_t i = 0; i < config->station_count; i++)
    add(principals, PRINCIPAL_STATION, "station", config->stations[i].node, &config->stations[i].keys)->station =
        &config->stations[i];
  for (size_t i = 0; i < config->peer_count; i++)
    add(principals, PRINCIPAL_PEER, "peer", config->peers[i].name, &config->peers[i].keys)->peer = &config->peers[i];
  for (size_t i = 0; i < config->operator_count; i++) add_operator(principals, &config->operators[i]);
}

static void principal_free(void *value) {
  struct principal *principal = value;
  free(principal->name);
  free(principal);
}

void principals_deinit(struct principals *principals) {
  table_deinit(&principals->by_key, NULL);
  table_deinit(&principals->by_name, principal_free);
  free(principals->operators);
  *principals = (struct principals){0};
}

const struct principal *principals_by_key(const struct principals *principals, const uint8_t transport_key[32]) {
  return table_get(&principals->by_key, bytes_of(transport_key, 32));
}

const struct principal *principals_by_name(const struct principals *principals, const char *name) {
  return table_get(&principals->by_name, bytes_text(name));
}
