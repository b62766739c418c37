#include "gateway/callers.h"
#include "common/base/mem.h"
#include <stdlib.h>

static void callers_add(struct callers *callers, const char *prefix, const char *name, const struct patterns *read,
    const struct public_key *keys, size_t key_count) {
  struct buffer text = BUFFER_NULL;
  struct caller *caller = mem_alloc(sizeof *caller);
  buffer_printf(&text, "%s %s", prefix, name);
  caller->principal = mem_text(text.data, text.len);
  caller->requester = (struct requester){name, read};
  table_put(&callers->by_name, buffer_bytes(&text), caller);
  buffer_deinit(&text);
  for (size_t i = 0; i < key_count; i++) {
    uint8_t transport[32];
    struct bytes key = bytes_of(transport, sizeof transport);
    if (public_key_transport(&keys[i], transport) == 0 && !table_get(&callers->by_key, key))
      table_put(&callers->by_key, key, caller);
  }
}

void callers_init(struct callers *callers, const struct gateway_config *config, const struct roster *roster) {
  *callers = (struct callers){0};
  for (size_t i = 0; i < config->operator_count; i++) {
    const struct config_operator *from = &config->operators[i];
    callers_add(callers, "operator", from->name, &from->read, from->keys.items, from->keys.count);
  }
  for (size_t i = 0; roster && i < roster->operator_count; i++) {
    const struct roster_operator *from = &roster->operators[i];
    callers_add(callers, "roster", from->name, &from->read, from->keys, from->key_count);
  }
}

static void caller_free(void *value) {
  struct caller *caller = value;
  free(caller->principal);
  free(caller);
}

void callers_deinit(struct callers *callers) {
  table_deinit(&callers->by_key, NULL);
  table_deinit(&callers->by_name, caller_free);
  *callers = (struct callers){0};
}

const struct caller *callers_by_key(const struct callers *callers, const uint8_t transport_key[32]) {
  return table_get(&callers->by_key, bytes_of(transport_key, 32));
}

const struct caller *callers_by_name(const struct callers *callers, const char *principal) {
  return table_get(&callers->by_name, bytes_text(principal));
}
