/*
 * The fields of a roster, inside the frame of common/identity/seal.h with the prefix "riverbus roster v1": sized
 * province, varint version, zigzag issued, zigzag valid until, varint n, n x (sized name, u8 flags: 1 local, varint k,
 * k x 32 key, three lists of patterns: read, command, approve, each varint m, m x sized pattern). Bytes behind are of
 * later versions: signed, and passed over.
 */
#include "common/command/roster.h"
#include "common/base/mem.h"
#include <stdlib.h>

static const struct seal seal = {"riverbus roster v1", ROSTER_MAX};

static void operator_deinit(struct roster_operator *operator) {
  free(operator->name);
  patterns_deinit(&operator->read);
  patterns_deinit(&operator->command);
  patterns_deinit(&operator->approve);
}

struct roster *roster_free(struct roster *roster) {
  if (!roster) return NULL;
  for (size_t i = 0; i < roster->operator_count; i++) operator_deinit(&roster->operators[i]);
  free(roster->operators);
  free(roster->province);
  free(roster);
  return NULL;
}

static bool name_is_good(const char *name) {
  return name && name[0] && strlen(name) <= ROSTER_NAME_MAX && bytes_is_utf8(bytes_text(name));
}

static const char *broken_rule(const struct roster *r) {
  if (!name_is_good(r->province)) return "the province is missing";
  if (r->version == 0) return "the version is missing: it begins at 1 and rises with each roster";
  if (r->issued < 0 || r->valid_until > COMMAND_TIME_MAX || r->valid_until <= r->issued)
    return "valid-until does not lie after the time of issue";
  if (r->operator_count > ROSTER_OPERATORS_MAX) return "there are more than 1000 operators";
  for (size_t i = 0; i < r->operator_count; i++) {
    const struct roster_operator *o = &r->operators[i];
    if (!name_is_good(o->name)) return "an operator's name is empty, too long or no UTF-8";
    if (o->key_count == 0 || o->key_count > ROSTER_KEYS_MAX) return "an operator has no key, or more than 8";
    if (o->read.count > ROSTER_PATTERNS_MAX || o->command.count > ROSTER_PATTERNS_MAX ||
        o->approve.count > ROSTER_PATTERNS_MAX)
      return "an operator has more than 64 patterns of one sort";
  }
  return NULL;
}

/* ---- writing ---- */

static void put_patterns(struct writer *w, const struct patterns *set) {
  writer_varint(w, set->count);
  for (size_t i = 0; i < set->count; i++) writer_sized(w, pattern_text(set->items[i]));
}

static void put_operator(struct writer *w, const struct roster_operator *o) {
  writer_sized(w, bytes_text(o->name));
  writer_u8(w, o->local);
  writer_varint(w, o->key_count);
  for (uint32_t i = 0; i < o->key_count; i++) writer_bytes(w, bytes_of(o->keys[i].bytes, 32));
  put_patterns(w, &o->read);
  put_patterns(w, &o->command);
  put_patterns(w, &o->approve);
}

int roster_sign(struct buffer *out, const struct roster *r, const struct identity *identity, const char **why) {
  struct buffer body = BUFFER_NULL;
  struct writer w;
  *why = broken_rule(r);
  if (*why) return ROSTER_MALFORMED;
  seal_begin(&seal, identity, &body, &w);
  writer_sized(&w, bytes_text(r->province));
  writer_varint(&w, r->version);
  writer_zigzag(&w, r->issued);
  writer_zigzag(&w, r->valid_until);
  writer_varint(&w, r->operator_count);
  for (size_t i = 0; i < r->operator_count; i++) put_operator(&w, &r->operators[i]);
  if (seal_close(identity, &body, &w, out) == 0) return 0;
  *why = "the roster is larger than 256 KiB";
  return ROSTER_TOO_LARGE;
}

/* ---- reading ---- */

static char *get_name(struct reader *r) {
  struct bytes text = reader_sized(r);
  char *name = mem_text(text.data, text.len);
  if (!name_is_good(name) || strlen(name) != text.len) reader_fail(r);
  return name;
}

static void get_patterns(struct reader *r, struct patterns *set) {
  const char *why;
  uint64_t count = reader_varint(r);
  if (count > ROSTER_PATTERNS_MAX) reader_fail(r);
  for (uint64_t i = 0; i < count && !r->failed; i++)
    if (patterns_add(set, reader_sized(r), &why) != 0) reader_fail(r);
}

static void get_operator(struct reader *r, struct roster_operator *o) {
  o->name = get_name(r);
  o->local = reader_u8(r) & 1;
  uint64_t keys = reader_varint(r);
  if (keys > ROSTER_KEYS_MAX) reader_fail(r);
  for (uint64_t i = 0; i < keys && !r->failed; i++) {
    struct bytes key = reader_bytes(r, 32);
    if (!r->failed) memcpy(o->keys[o->key_count++].bytes, key.data, 32);
  }
  get_patterns(r, &o->read);
  get_patterns(r, &o->command);
  get_patterns(r, &o->approve);
}

static void get_operators(struct reader *r, struct roster *roster) {
  uint64_t count = reader_varint(r);
  if (count > ROSTER_OPERATORS_MAX) reader_fail(r);
  if (r->failed) return;
  roster->operators = mem_alloc(((size_t)count + 1) * sizeof *roster->operators);
  while (roster->operator_count < count && !r->failed) get_operator(r, &roster->operators[roster->operator_count++]);
}

int roster_open(struct roster **out, struct bytes bytes) {
  struct bytes fields;
  struct reader r;
  struct roster *roster = mem_alloc(sizeof *roster);
  *out = NULL;
  int result = seal_open(&seal, bytes, &roster->authority, &fields);
  if (result != 0) {
    roster_free(roster);
    return result;
  }
  reader_init(&r, fields);
  roster->province = get_name(&r);
  roster->version = reader_varint(&r);
  roster->issued = reader_zigzag(&r);
  roster->valid_until = reader_zigzag(&r);
  get_operators(&r, roster);
  if (r.failed || broken_rule(roster)) {
    roster_free(roster);
    return ROSTER_MALFORMED;
  }
  *out = roster;
  return 0;
}
