#include "common/config/values.h"
#include "common/base/mem.h"
#include "common/config/schema.h"
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

bool config_keys_contain(const struct config_keys *keys, const struct public_key *key) {
  for (size_t i = 0; i < keys->count; i++)
    if (memcmp(keys->items[i].bytes, key->bytes, sizeof key->bytes) == 0) return true;
  return false;
}

static const char *const full_names[] = {"refuse", "discard-oldest", NULL};
static const struct field store_fields[] = {
    {.key = "path",
        .type = FIELD_PATH,
        .offset = offsetof(struct config_store, path),
        .required = true,
        .help = "folder of the store, on a local file system"},
    {.key = "max-size",
        .type = FIELD_SIZE,
        .offset = offsetof(struct config_store, max_size),
        .fallback = "2GiB",
        .low = 16 << 20,
        .high = 1e15,
        .help = "size of the store's file, taken from the disk at the first start"},
    {.key = "keep",
        .type = FIELD_DURATION,
        .offset = offsetof(struct config_store, keep_us),
        .fallback = "0",
        .help = "age after which records are trimmed; 0: by size alone"},
    {.key = "when-full",
        .type = FIELD_ENUM,
        .offset = offsetof(struct config_store, when_full),
        .names = full_names,
        .fallback = "refuse",
        .help = "what happens when the store is full: new records are refused, or the oldest are discarded by name"},
    {.key = "linger",
        .type = FIELD_DURATION,
        .offset = offsetof(struct config_store, linger_us),
        .fallback = "0",
        .low = 0,
        .high = 1e6,
        .help = "how long a commit may wait for company: fewer fsyncs, more delay"},
    {.key = NULL},
};
const struct section config_store_section = {
    .name = "store", .size = sizeof(struct config_store), .fields = store_fields};

static const struct field audit_fields[] = {
    {.key = "checkpoint-every",
        .type = FIELD_DURATION,
        .offset = offsetof(struct config_audit, checkpoint_us),
        .fallback = "1h",
        .low = 1e5,
        .high = 8.64e10,
        .redo = CONFIG_REDO_LIMITS,
        .help = "a signed checkpoint of the audit log leaves the node so long after an entry at the latest"},
    {.key = NULL},
};
const struct section config_audit_section = {
    .name = "audit", .size = sizeof(struct config_audit), .fields = audit_fields};

static const struct field operator_fields[] = {
    {.key = "name",
        .type = FIELD_SEGMENT,
        .offset = offsetof(struct config_operator, name),
        .required = true,
        .help = "how the operator is called in logs and ledgers"},
    {.key = "key",
        .type = FIELD_KEYS,
        .offset = offsetof(struct config_operator, keys),
        .required = true,
        .help = "the operator's public key; during rotation both"},
    {.key = "read",
        .type = FIELD_PATTERNS,
        .offset = offsetof(struct config_operator, read),
        .help = "what the operator may read"},
    {.key = "command",
        .type = FIELD_PATTERNS,
        .offset = offsetof(struct config_operator, command),
        .help = "what the operator may command"},
    {.key = "approve",
        .type = FIELD_PATTERNS,
        .offset = offsetof(struct config_operator, approve),
        .help = "where the operator may approve what another one commands"},
    {.key = "local",
        .type = FIELD_BOOLEAN,
        .offset = offsetof(struct config_operator, local),
        .help = "may command at the station's own door"},
    {.key = NULL},
};
const struct section config_operator_section = {
    .name = "an operator", .size = sizeof(struct config_operator), .fields = operator_fields};

void key_book_add(struct key_book *book, struct document *document, yaml_node_t *node, const struct config_keys *keys,
    const char *owner) {
  for (size_t i = 0; i < keys->count; i++) {
    uint8_t transport[32];
    if (public_key_transport(&keys->items[i], transport) != 0) continue;
    for (size_t j = 0; j < book->count; j++)
      if (memcmp(book->rows[j].transport, transport, 32) == 0)
        document_problem(
            document, node, "the key of %s is %s's already: each needs its own", owner, book->rows[j].owner);
    book->rows = mem_resize(book->rows, book->count + 1, sizeof *book->rows);
    book->rows[book->count].key = keys->items[i];
    memcpy(book->rows[book->count].transport, transport, 32);
    snprintf(book->rows[book->count].owner, sizeof book->rows[0].owner, "%s", owner);
    book->count++;
  }
}

void key_book_deinit(struct key_book *book) {
  free(book->rows);
  *book = (struct key_book){NULL, 0};
}
