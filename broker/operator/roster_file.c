#include "broker/operator/roster_file.h"
#include "common/base/mem.h"
#include "common/base/units.h"
#include "common/config/schema.h"
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

static const struct field fields[] = {
    {.key = "province",
        .type = FIELD_SEGMENT,
        .offset = offsetof(struct roster_file, province),
        .required = true,
        .help = "whose roster it is: the name of its broker"},
    {.key = "version",
        .type = FIELD_INTEGER,
        .offset = offsetof(struct roster_file, version),
        .required = true,
        .low = 1,
        .high = 2147483647,
        .help = "rises with each roster; a lower one than the one held is refused"},
    {.key = "valid-until",
        .type = FIELD_TEXT,
        .offset = offsetof(struct roster_file, valid_until),
        .required = true,
        .help = "after it these operators may command nothing"},
    {.key = "time-zone",
        .type = FIELD_ZONE,
        .offset = offsetof(struct roster_file, zone_s),
        .fallback = "Z",
        .help = "of valid-until, where that has no offset"},
    {.key = "operators",
        .type = FIELD_SECTIONS,
        .offset = offsetof(struct roster_file, operators),
        .count_offset = offsetof(struct roster_file, operator_count),
        .section = &config_operator_section,
        .required = true,
        .help = "who may read, command and approve what"},
    {.key = NULL},
};

static void finish_operators(struct document *d, yaml_node_t *list, struct roster_file *file) {
  struct key_book book = {NULL, 0};
  for (size_t i = 0; i < file->operator_count; i++) {
    const struct config_operator *o = &file->operators[i];
    yaml_node_t *node = document_node(d, list->data.sequence.items.start[i]);
    char owner[160];
    if (!o->name) continue;
    for (size_t j = 0; j < i; j++)
      if (file->operators[j].name && strcmp(file->operators[j].name, o->name) == 0)
        document_problem(d, node, "the operator '%s' stands twice", o->name);
    snprintf(owner, sizeof owner, "operator %s", o->name);
    key_book_add(&book, d, node, &o->keys, owner);
  }
  key_book_deinit(&book);
}

static void finish(struct document *d, yaml_node_t *node, void *object) {
  struct roster_file *file = object;
  yaml_node_t *list = schema_find(d, node, "operators");
  struct bytes until = bytes_text(file->valid_until);
  if (list && list->type == YAML_SEQUENCE_NODE) finish_operators(d, list, file);
  if (!file->valid_until || units_rfc3339(until, &file->until) == 0 ||
      units_local_time(until, file->zone_s, &file->until) == 0)
    return;
  document_problem(d, schema_find(d, node, "valid-until"),
      "valid-until: '%s' is no time (RFC 3339, or YYYY-MM-DD[ HH:MM[:SS]] in time-zone:)", file->valid_until);
}

static const struct section root = {
    .name = "the roster", .size = sizeof(struct roster_file), .fields = fields, .finish = finish};

int roster_file_load(struct roster_file **out, const char *path, struct buffer *problems) {
  struct roster_file *file = mem_alloc(sizeof *file);
  int result = config_load(path, &root, file, problems);
  *out = result == 0 ? file : roster_file_free(file);
  return result;
}

struct roster_file *roster_file_free(struct roster_file *file) {
  if (file) schema_deinit(&root, file);
  free(file);
  return NULL;
}

/* A view of the file's operator. */
static struct roster_operator operator_of(const struct config_operator *from) {
  struct roster_operator to = {.name = from->name,
      .key_count = (uint32_t)from->keys.count,
      .read = from->read,
      .command = from->command,
      .approve = from->approve,
      .local = from->local};
  for (size_t i = 0; i < from->keys.count && i < ROSTER_KEYS_MAX; i++) to.keys[i] = from->keys.items[i];
  return to;
}

bool roster_file_sign(const struct roster_file *file, int64_t now, const struct identity *identity, struct buffer *out,
    const char **why) {
  struct roster roster = {.province = file->province,
      .version = (uint64_t)file->version,
      .issued = now,
      .valid_until = file->until,
      .operators = mem_alloc((file->operator_count + 1) * sizeof *roster.operators),
      .operator_count = file->operator_count};
  for (size_t i = 0; i < file->operator_count; i++) roster.operators[i] = operator_of(&file->operators[i]);
  bool good = roster_sign(out, &roster, identity, why) == 0;
  free(roster.operators);
  return good;
}
