#include "broker/principals.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include <stdlib.h>

static struct principal *add(struct principals *principals, enum principal_kind kind, const char *prefix,
    const char *name, const struct config_keys *keys) {
  struct buffer text = BUFFER_NULL;
  buffer_printf(&text, "%s %s", prefix, name);
  struct principal *principal = table_get(&principals->by_name, buffer_bytes(&text));
  if (!principal) {
    principal = mem_alloc(sizeof *principal);
    principal->kind = kind;
    principal->name = mem_text(text.data, text.len);
    table_put(&principals->by_name, buffer_bytes(&text), principal);
  }
  for (size_t i = 0; i < keys->count; i++) {
    uint8_t transport[32];
    if (public_key_transport(&keys->items[i], transport) == 0)
      table_put(&principals->by_key, bytes_of(transport, sizeof transport), principal);
  }
  buffer_deinit(&text);
  return principal;
}

/* A row for each key of an operator. */
static void add_rows(struct principals *principals, const struct check_operator *row, const struct config_keys *keys) {
  size_t count = principals->operator_count + keys->count;
  principals->operators = mem_resize(principals->operators, count + 1, sizeof *principals->operators);
  for (size_t i = 0; i < keys->count; i++) {
    principals->operators[principals->operator_count] = *row;
    principals->operators[principals->operator_count++].key = keys->items[i];
  }
}

static void may_read(struct principal *principal, const char *name, const struct patterns *read) {
  for (size_t i = 0; i < read->count; i++) patterns_add(&principal->read, pattern_text(read->items[i]), NULL);
  principal->requester = (struct requester){name, &principal->read};
}

static void add_operator(struct principals *principals, const struct config_operator *from) {
  const struct check_operator row = {.name = from->name, .command = &from->command, .approve = &from->approve};
  may_read(add(principals, PRINCIPAL_OPERATOR, "operator", from->name, &from->keys), from->name, &from->read);
  add_rows(principals, &row, &from->keys);
}

/* The configuration has the last word: a key that it gives to somebody else is not the roster's to give. */
static bool is_taken(const struct principals *principals, const struct public_key *key, const char *name) {
  uint8_t transport[32];
  char text[IDENTITY_KEY_TEXT + 1];
  if (public_key_transport(key, transport)) return true;
  const struct principal *owner = principals_by_key(principals, transport);
  if (!owner || (owner->kind == PRINCIPAL_OPERATOR && strcmp(owner->name + strlen("operator "), name) == 0))
    return false;
  public_key_text(key, text);
  log_warning(
      "roster", NULL, "the key %s of %s is %s's here: it is not taken from the roster", text, name, owner->name);
  return true;
}

/* One of the same name is the same person: what the two lists give adds up. */
static void add_from_roster(
    struct principals *principals, const struct roster_operator *from, const struct roster *roster) {
  const struct check_operator row = {
      .name = from->name, .command = &from->command, .approve = &from->approve, .until = roster->valid_until};
  struct public_key free_keys[ROSTER_KEYS_MAX];
  struct config_keys keys = {free_keys, 0};
  for (uint32_t i = 0; i < from->key_count; i++)
    if (!is_taken(principals, &from->keys[i], from->name)) free_keys[keys.count++] = from->keys[i];
  may_read(add(principals, PRINCIPAL_OPERATOR, "operator", from->name, &keys), from->name, &from->read);
  add_rows(principals, &row, &keys);
}

void principals_init(struct principals *principals, const struct broker_config *config, const struct roster *roster) {
  *principals = (struct principals){0};
  for (size_t i = 0; i < config->station_count; i++)
    add(principals, PRINCIPAL_STATION, "station", config->stations[i].node, &config->stations[i].keys)->station =
        &config->stations[i];
  for (size_t i = 0; i < config->peer_count; i++)
    add(principals, PRINCIPAL_PEER, "peer", config->peers[i].name, &config->peers[i].keys)->peer = &config->peers[i];
  for (size_t i = 0; i < config->operator_count; i++) add_operator(principals, &config->operators[i]);
  for (size_t i = 0; roster && i < roster->operator_count; i++)
    add_from_roster(principals, &roster->operators[i], roster);
}

static void principal_free(void *value) {
  struct principal *principal = value;
  free(principal->name);
  patterns_deinit(&principal->read);
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
