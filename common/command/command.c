/*
 * The signed bytes of a command (varint, zigzag, sized: common/base/cursor.h):
 *
 *   20        "riverbus command v1" and a NUL: the domain prefix; another version is another prefix
 *   32        the operator's public key
 *    u8       verb: 1 set, 2 stop, 3 select, 4 try
 *   sized     id
 *   sized     address
 *   value     as in common/record/value.h
 *   zigzag    issued, µs UTC
 *   zigzag    deadline, µs UTC
 *   sized     basis
 *   varint n, n x (sized address, u8 operator, value)       conditions
 *   varint m, m x (varint id, u8 flags: 1 critical, sized value)   items: 1 selection, 2 batch (command.h)
 *   64        Ed25519 signature over all bytes before it
 *
 * Example (set of a/b/c/d to integer 40, id "x", issued 1, deadline 2, no basis): prefix, key, 01, 01 78, 07 "a/b/c/d",
 * 02 50, 02, 04, 00, 00, 00, signature.
 */
#include "common/command/command.h"
#include "common/identity/seal.h"
#include <sodium.h>
#include <stdio.h>
#include <time.h>

static const struct seal seal = {"riverbus command v1", COMMAND_MAX};

bool command_id_is_good(struct bytes id) {
  if (id.len == 0 || id.len > COMMAND_ID_MAX) return false;
  for (size_t i = 0; i < id.len; i++) {
    uint8_t c = id.data[i];
    bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (!letter && c != '.' && c != '_' && c != '-') return false;
  }
  return true;
}

void command_id_new(const struct world *world, char id[COMMAND_ID_MAX + 1]) {
  uint32_t random;
  time_t seconds = (time_t)(world_now(world).wall / SECOND_US);
  struct tm utc;
  world_random(world, &random, sizeof random);
  gmtime_r(&seconds, &utc);
  size_t len = strftime(id, COMMAND_ID_MAX, "%Y%m%d-%H%M%S", &utc);
  snprintf(id + len, COMMAND_ID_MAX + 1 - len, "-%08x", random);
}

bool command_verb_has_value(uint8_t verb) {
  return verb == COMMAND_SET || verb == COMMAND_SELECT || verb == COMMAND_TRY;
}

const char *command_verb_name(uint8_t verb) {
  static const char *const names[] = {NULL, "set", "stop", "select", "try"};
  return verb < sizeof names / sizeof names[0] ? names[verb] : NULL;
}

const struct command_item *command_item(const struct command *command, uint64_t id) {
  for (uint32_t i = 0; i < command->item_count; i++)
    if (command->items[i].id == id) return &command->items[i];
  return NULL;
}

/* ---- writing ---- */

static const char *broken_rule(const struct command *c) {
  const char *why = NULL;
  if (!command_id_is_good(c->id)) return "an id is 1 to 64 of the characters A-Z a-z 0-9 . _ -";
  if (address_check(c->address, &why) != 0) return why;
  if (command_verb_has_value(c->verb) && c->value.type == VALUE_NONE) return "a value is missing";
  if (c->issued < 0 || c->issued > COMMAND_TIME_MAX || c->deadline < 0 || c->deadline > COMMAND_TIME_MAX)
    return "a time lies outside the years 1970 to 9999";
  if (c->basis.len > COMMAND_BASIS_MAX) return "the basis is longer than 1024 bytes";
  if (!bytes_is_utf8(c->basis)) return "the basis is not UTF-8";
  if (c->condition_count > COMMAND_CONDITIONS_MAX) return "there are more than 16 conditions";
  if (c->item_count > COMMAND_ITEMS_MAX) return "there are too many items";
  for (uint32_t i = 0; i < c->condition_count; i++)
    if (address_check(c->conditions[i].address, &why) != 0 || !condition_op_name(c->conditions[i].op))
      return "a condition is malformed";
  return NULL;
}

static void write_body(struct writer *w, const struct command *c) {
  writer_u8(w, c->verb);
  writer_sized(w, c->id);
  writer_sized(w, c->address);
  value_write(w, &c->value);
  writer_zigzag(w, c->issued);
  writer_zigzag(w, c->deadline);
  writer_sized(w, c->basis);
  writer_varint(w, c->condition_count);
  for (uint32_t i = 0; i < c->condition_count; i++) {
    writer_sized(w, c->conditions[i].address);
    writer_u8(w, (uint8_t)c->conditions[i].op);
    value_write(w, &c->conditions[i].value);
  }
  writer_varint(w, c->item_count);
  for (uint32_t i = 0; i < c->item_count; i++) {
    writer_varint(w, c->items[i].id);
    writer_u8(w, c->items[i].critical);
    writer_sized(w, c->items[i].value);
  }
}

int command_sign(struct buffer *out, const struct command *command, const struct identity *identity, const char **why) {
  struct buffer body = BUFFER_NULL;
  struct writer w;
  const char *broken = broken_rule(command);
  if (why) *why = broken;
  if (broken) return COMMAND_MALFORMED;
  seal_begin(&seal, identity, &body, &w);
  write_body(&w, command);
  if (seal_close(identity, &body, &w, out) == 0) return 0;
  if (why) *why = "the command is larger than 16 KiB";
  return COMMAND_TOO_LARGE;
}

/* ---- reading ---- */

static void read_conditions(struct reader *r, struct command *c) {
  uint64_t count = reader_varint(r);
  if (count > COMMAND_CONDITIONS_MAX) reader_fail(r);
  for (uint64_t i = 0; i < count && !r->failed; i++) {
    struct command_condition *condition = &c->conditions[c->condition_count++];
    condition->address = reader_sized(r);
    condition->op = (enum condition_op)reader_u8(r);
    value_read(r, &condition->value);
    if (address_check(condition->address, NULL) != 0 || !condition_op_name(condition->op)) reader_fail(r);
  }
}

static void read_items(struct reader *r, struct command *c) {
  uint64_t count = reader_varint(r);
  if (count > COMMAND_ITEMS_MAX) reader_fail(r);
  for (uint64_t i = 0; i < count && !r->failed; i++) {
    struct command_item *item = &c->items[c->item_count++];
    item->id = reader_varint(r);
    uint8_t flags = reader_u8(r);
    if (flags > 1) reader_fail(r);
    item->critical = flags & 1;
    item->value = reader_sized(r);
  }
}

static void read_body(struct reader *r, struct command *c) {
  c->verb = reader_u8(r);
  c->id = reader_sized(r);
  c->address = reader_sized(r);
  value_read(r, &c->value);
  c->issued = reader_zigzag(r);
  c->deadline = reader_zigzag(r);
  c->basis = reader_sized(r);
  read_conditions(r, c);
  read_items(r, c);
}

static int decode(struct command *command, struct bytes fields) {
  struct reader r;
  reader_init(&r, fields);
  read_body(&r, command);
  return reader_done(&r) && !broken_rule(command) ? 0 : COMMAND_MALFORMED;
}

int command_read(struct command *command, struct bytes bytes) {
  struct bytes fields;
  *command = (struct command){.bytes = bytes};
  int result = seal_read(&seal, bytes, &command->key, &fields);
  return result ? result : decode(command, fields);
}

int command_open(struct command *command, struct bytes bytes) {
  struct bytes fields;
  *command = (struct command){.bytes = bytes};
  int result = seal_open(&seal, bytes, &command->key, &fields);
  return result ? result : decode(command, fields);
}

/* ---- comparing ---- */

static bool conditions_same(const struct command *a, const struct command *b) {
  if (a->condition_count != b->condition_count) return false;
  for (uint32_t i = 0; i < a->condition_count; i++) {
    const struct command_condition *x = &a->conditions[i], *y = &b->conditions[i];
    if (!bytes_equal(x->address, y->address) || x->op != y->op || !value_equal(&x->value, &y->value)) return false;
  }
  return true;
}

static bool items_same(const struct command *a, const struct command *b) {
  if (a->item_count != b->item_count) return false;
  for (uint32_t i = 0; i < a->item_count; i++)
    if (a->items[i].id != b->items[i].id || a->items[i].critical != b->items[i].critical ||
        !bytes_equal(a->items[i].value, b->items[i].value))
      return false;
  return true;
}

bool command_same(const struct command *a, const struct command *b) {
  return memcmp(a->key.bytes, b->key.bytes, 32) == 0 && a->verb == b->verb && bytes_equal(a->id, b->id) &&
         bytes_equal(a->address, b->address) && value_equal(&a->value, &b->value) && bytes_equal(a->basis, b->basis) &&
         conditions_same(a, b) && items_same(a, b);
}

void command_digest(struct bytes bytes, uint8_t digest[COMMAND_DIGEST]) {
  crypto_generichash(digest, COMMAND_DIGEST, bytes.data, bytes.len, NULL, 0);
}
