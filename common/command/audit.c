/*
 * An audit entry: u8 version (1), then items (varint id, sized value), absent ones zero or empty, unknown ones passed
 * over: 1 u8 kind   2 zigzag time   3 node   4 id   5 address   6 u8 verb   7 u8 state   8 varint code   9 message
 *  10 by   11 approved by   12 basis   13 value   14 before   15 actual   16 zigzag issued   17 zigzag deadline
 *  18 varint fence   19 device message   20 proof   21, 22 observed before and after (observation.c)
 *
 * The fields of a checkpoint, inside the frame of common/identity/seal.h with the prefix "riverbus checkpoint v1":
 * sized node, varint number, 32 link, zigzag time.
 */
#include "common/command/audit.h"
#include "common/base/units.h"
#include "common/command/decision.h"
#include <sodium.h>

enum { AUDIT_VERSION = 1 };
enum item {
  ITEM_KIND = 1,
  ITEM_TIME,
  ITEM_NODE,
  ITEM_ID,
  ITEM_ADDRESS,
  ITEM_VERB,
  ITEM_STATE,
  ITEM_CODE,
  ITEM_MESSAGE,
  ITEM_BY,
  ITEM_APPROVED_BY,
  ITEM_BASIS,
  ITEM_VALUE,
  ITEM_BEFORE,
  ITEM_ACTUAL,
  ITEM_ISSUED,
  ITEM_DEADLINE,
  ITEM_FENCE,
  ITEM_DEVICE_MESSAGE,
  ITEM_PROOF,
  ITEM_OBSERVED_BEFORE,
  ITEM_OBSERVED_AFTER
};

static const char *const kind_names[AUDIT_KINDS] = {NULL, "command", "decision", "roster", "start", "config",
    "movement", NULL, "checkpoint", "agreement", "contradiction", "receipt"};

/* "command", ...; "kind-?" */
static const char *audit_kind_name(enum audit_kind kind) {
  return (unsigned)kind < AUDIT_KINDS && kind_names[kind] ? kind_names[kind] : "kind-?";
}

/* ---- writing ---- */

static void put_text(struct writer *w, enum item id, struct bytes text) {
  if (text.len == 0) return;
  writer_varint(w, id);
  writer_sized(w, text);
}

static void put_number(struct writer *w, enum item id, uint64_t number, bool zigzag) {
  struct buffer piece = BUFFER_NULL;
  struct writer p;
  if (number == 0) return;
  writer_init(&p, &piece, SIZE_MAX);
  if (zigzag)
    writer_zigzag(&p, (int64_t)number);
  else
    writer_varint(&p, number);
  put_text(w, id, buffer_bytes(&piece));
  buffer_deinit(&piece);
}

static void put_value(struct writer *w, enum item id, const struct value *value) {
  struct buffer piece = BUFFER_NULL;
  struct writer p;
  if (value->type == VALUE_NONE) return;
  writer_init(&p, &piece, SIZE_MAX);
  value_write(&p, value);
  put_text(w, id, buffer_bytes(&piece));
  buffer_deinit(&piece);
}

void audit_write(struct buffer *out, const struct audit_entry *e) {
  struct writer w;
  writer_init(&w, out, SIZE_MAX);
  writer_u8(&w, AUDIT_VERSION);
  put_number(&w, ITEM_KIND, e->kind, false);
  put_number(&w, ITEM_TIME, (uint64_t)e->time, true);
  put_text(&w, ITEM_NODE, e->node);
  put_text(&w, ITEM_ID, e->id);
  put_text(&w, ITEM_ADDRESS, e->address);
  put_number(&w, ITEM_VERB, e->verb, false);
  put_number(&w, ITEM_STATE, e->state, false);
  put_number(&w, ITEM_CODE, e->code, false);
  put_text(&w, ITEM_MESSAGE, e->message);
  put_text(&w, ITEM_BY, e->by);
  put_text(&w, ITEM_APPROVED_BY, e->approved_by);
  put_text(&w, ITEM_BASIS, e->basis);
  put_value(&w, ITEM_VALUE, &e->value);
  put_value(&w, ITEM_BEFORE, &e->before);
  put_value(&w, ITEM_ACTUAL, &e->actual);
  put_number(&w, ITEM_ISSUED, (uint64_t)e->issued, true);
  put_number(&w, ITEM_DEADLINE, (uint64_t)e->deadline, true);
  put_number(&w, ITEM_FENCE, e->fence, false);
  put_text(&w, ITEM_DEVICE_MESSAGE, e->device_message);
  put_text(&w, ITEM_PROOF, e->proof);
  put_text(&w, ITEM_OBSERVED_BEFORE, e->observed_before);
  put_text(&w, ITEM_OBSERVED_AFTER, e->observed_after);
}

/* ---- reading ---- */

static struct bytes *text_of(struct audit_entry *e, uint64_t id) {
  switch (id) {
    case ITEM_NODE: return &e->node;
    case ITEM_ID: return &e->id;
    case ITEM_ADDRESS: return &e->address;
    case ITEM_MESSAGE: return &e->message;
    case ITEM_BY: return &e->by;
    case ITEM_APPROVED_BY: return &e->approved_by;
    case ITEM_BASIS: return &e->basis;
    case ITEM_DEVICE_MESSAGE: return &e->device_message;
    case ITEM_PROOF: return &e->proof;
    case ITEM_OBSERVED_BEFORE: return &e->observed_before;
    case ITEM_OBSERVED_AFTER: return &e->observed_after;
    default: return NULL;
  }
}

static void read_item(struct audit_entry *e, uint64_t id, struct reader *r) {
  switch (id) {
    case ITEM_KIND: e->kind = (enum audit_kind)reader_varint(r); break;
    case ITEM_TIME: e->time = reader_zigzag(r); break;
    case ITEM_VERB: e->verb = (uint8_t)reader_varint(r); break;
    case ITEM_STATE: e->state = (enum state)reader_varint(r); break;
    case ITEM_CODE: e->code = (enum code)reader_varint(r); break;
    case ITEM_VALUE: value_read(r, &e->value); break;
    case ITEM_BEFORE: value_read(r, &e->before); break;
    case ITEM_ACTUAL: value_read(r, &e->actual); break;
    case ITEM_ISSUED: e->issued = reader_zigzag(r); break;
    case ITEM_DEADLINE: e->deadline = reader_zigzag(r); break;
    case ITEM_FENCE: e->fence = reader_varint(r); break;
    default: break;
  }
}

int audit_read(struct audit_entry *entry, struct bytes bytes) {
  struct reader r, v;
  *entry = (struct audit_entry){.value = VALUE_EMPTY, .before = VALUE_EMPTY, .actual = VALUE_EMPTY};
  reader_init(&r, bytes);
  uint8_t version = reader_u8(&r);
  if (r.failed || version == 0) return AUDIT_MALFORMED;
  if (version > AUDIT_VERSION) return AUDIT_NEWER;
  while (reader_left(&r) > 0) {
    uint64_t id = reader_varint(&r);
    struct bytes value = reader_sized(&r);
    struct bytes *text = text_of(entry, id);
    reader_init(&v, value);
    if (text)
      *text = value;
    else
      read_item(entry, id, &v);
    if (r.failed || v.failed) return AUDIT_MALFORMED;
  }
  return r.failed || entry->kind == 0 ? AUDIT_MALFORMED : 0;
}

void audit_of_ledger(
    struct audit_entry *out, const struct ledger_entry *ledger, struct bytes node, struct bytes proof) {
  struct command command;
  bool known = ledger->command.len > 0 && command_read(&command, ledger->command) == 0;
  *out = (struct audit_entry){.kind = AUDIT_COMMAND,
      .time = ledger->time,
      .node = node,
      .id = ledger->id,
      .state = ledger->state,
      .code = ledger->code,
      .message = ledger->message,
      .by = ledger->by,
      .approved_by = ledger->approved_by,
      .before = ledger->before,
      .actual = ledger->actual,
      .fence = ledger->fence,
      .device_message = ledger->device_message,
      .observed_before = ledger->observed_before,
      .observed_after = ledger->observed_after,
      .proof = proof};
  if (!known) return;
  out->address = command.address;
  out->verb = command.verb;
  out->value = command.value;
  out->basis = command.basis;
  out->issued = command.issued;
  out->deadline = command.deadline;
}

/* ---- JSON ---- */

static void put_member(struct buffer *out, const char *name, struct bytes text) {
  buffer_printf(out, ",\"%s\":", name);
  if (text.len > 0 && bytes_is_utf8(text))
    json_put_text(out, text);
  else
    buffer_append(out, bytes_text("null"));
}

static void put_time_member(struct buffer *out, const char *name, int64_t time) {
  struct buffer text = BUFFER_NULL;
  if (time != 0) units_put_rfc3339(&text, time);
  put_member(out, name, buffer_bytes(&text));
  buffer_deinit(&text);
}

static void put_value_member(struct buffer *out, const char *name, const struct value *value) {
  buffer_printf(out, ",\"%s\":", name);
  value_put_json(out, value);
}

static void put_observed(struct buffer *out, const char *name, struct bytes list) {
  buffer_printf(out, ",\"%s\":", name);
  observations_put_json(out, list);
}

static void put_base64(struct buffer *out, const char *name, struct bytes bytes) {
  const struct value value = {.type = VALUE_BYTES, .bytes = bytes};
  if (bytes.len == 0)
    put_member(out, name, BYTES_NULL);
  else
    put_value_member(out, name, &value);
}

static void put_link(struct buffer *out, const uint8_t link[CHAIN_HASH]) {
  char text[2 * CHAIN_HASH + 1];
  sodium_bin2hex(text, sizeof text, link, CHAIN_HASH);
  put_member(out, "link", bytes_text(text));
}

static const char *verb_name(const struct audit_entry *e) {
  return e->kind == AUDIT_DECISION ? decision_verb_name(e->verb) : command_verb_name(e->verb);
}

void audit_put_json(struct buffer *out, uint64_t number, const struct audit_entry *e, struct bytes bytes,
    const uint8_t link[CHAIN_HASH]) {
  buffer_printf(out, "{\"number\":%llu", (unsigned long long)number);
  put_time_member(out, "time", e->time);
  put_member(out, "node", e->node);
  put_member(out, "kind", bytes_text(audit_kind_name(e->kind)));
  put_member(out, "id", e->id);
  put_member(out, "address", e->address);
  put_member(out, "verb", bytes_text(verb_name(e)));
  put_member(out, "state", bytes_text(e->state ? state_name(e->state) : NULL));
  put_member(out, "code", bytes_text(code_name(e->code)));
  put_member(out, "message", e->message);
  put_member(out, "by", e->by);
  put_member(out, "approved_by", e->approved_by);
  put_member(out, "basis", e->basis);
  put_value_member(out, "value", &e->value);
  put_value_member(out, "before", &e->before);
  put_value_member(out, "actual", &e->actual);
  put_observed(out, "observed_before", e->observed_before);
  put_observed(out, "observed_after", e->observed_after);
  put_time_member(out, "issued", e->issued);
  put_time_member(out, "deadline", e->deadline);
  buffer_printf(out, ",\"fence\":%llu", (unsigned long long)e->fence);
  put_member(out, "device_message", e->device_message);
  put_base64(out, "proof", e->proof);
  if (link) {
    put_link(out, link);
    put_base64(out, "entry", bytes);
  }
  buffer_append(out, bytes_text("}"));
}

/* ---- checkpoints ---- */

static const struct seal seal = {"riverbus checkpoint v1", AUDIT_CHECKPOINT_MAX};

void audit_checkpoint_sign(struct buffer *out, const struct audit_checkpoint *c, const struct identity *identity) {
  struct buffer body = BUFFER_NULL;
  struct writer w;
  seal_begin(&seal, identity, &body, &w);
  writer_sized(&w, c->node);
  writer_varint(&w, c->number);
  writer_bytes(&w, bytes_of(c->link, CHAIN_HASH));
  writer_zigzag(&w, c->time);
  (void)seal_close(identity, &body, &w, out); /* a node's name fits */
}

int audit_checkpoint_open(struct audit_checkpoint *c, struct bytes bytes) {
  struct bytes fields, link;
  struct reader r;
  *c = (struct audit_checkpoint){.bytes = bytes};
  int result = seal_open(&seal, bytes, &c->key, &fields);
  if (result != 0) return result == SEAL_FORGED ? AUDIT_FORGED : AUDIT_MALFORMED;
  reader_init(&r, fields);
  c->node = reader_sized(&r);
  c->number = reader_varint(&r);
  link = reader_bytes(&r, CHAIN_HASH);
  if (!r.failed) memcpy(c->link, link.data, CHAIN_HASH);
  c->time = reader_zigzag(&r);
  return r.failed || !bytes_is_utf8(c->node) ? AUDIT_MALFORMED : 0;
}
