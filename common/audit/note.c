#include "common/audit/note.h"
#include "common/base/units.h"
#include <sodium.h>
#include <stdio.h>

void note_put(struct store_batch *batch, struct bytes entry) {
  store_batch_audit(batch, entry);
  store_batch_urgent(batch);
}

static void put(struct store_batch *batch, const struct audit_entry *entry) {
  struct buffer bytes = BUFFER_NULL;
  audit_write(&bytes, entry);
  note_put(batch, buffer_bytes(&bytes));
  buffer_deinit(&bytes);
}

/* ---- commands ---- */

uint32_t note_states(const struct ledger_entry *entry) {
  uint32_t states = 0;
  for (int state = STATE_NONE + 1; state < STATE_STATES; state++)
    if (entry->times[state]) states |= 1u << state;
  return states;
}

/* A state that was passed in the same commit, or that a late report told of: of the words and measurements of the entry
 * only those that stood then. */
static void passed(struct ledger_entry *out, const struct ledger_entry *entry, enum state state) {
  *out = *entry;
  out->state = state;
  out->time = entry->times[state];
  out->code = CODE_NONE;
  out->message = out->device_message = BYTES_NULL;
  out->actual = VALUE_EMPTY;
  out->observed_after = BYTES_NULL;
  if (state >= STATE_DISPATCHED && entry->times[STATE_DISPATCHED]) return;
  out->before = VALUE_EMPTY;
  out->observed_before = BYTES_NULL;
  out->fence = 0;
}

static struct bytes report_of(const struct ledger_entry *entry, enum state state) {
  struct report report;
  bool says = entry->report.len > 0 && report_read(&report, entry->report) == 0 && report.state == state;
  return says ? entry->report : BYTES_NULL;
}

static void note_state(struct store_batch *batch, struct bytes node, const struct ledger_entry *entry, enum state state,
    struct bytes proof) {
  struct ledger_entry then = *entry;
  struct audit_entry audit;
  if (state != entry->state) passed(&then, entry, state);
  audit_of_ledger(&audit, &then, node, proof);
  put(batch, &audit);
}

/* The order in which a command can pass its states: by number, but unknown before what it became in the end. */
static const uint8_t in_order[] = {STATE_ACCEPTED, STATE_APPROVAL, STATE_SENT, STATE_RECEIVED, STATE_DISPATCHED,
    STATE_ACTING, STATE_UNKNOWN, STATE_EXECUTED, STATE_FAILED, STATE_STOPPED, STATE_REJECTED, STATE_EXPIRED,
    STATE_CANCELLED, STATE_SUPERSEDED, STATE_UNDELIVERED};

void note_command(
    struct store_batch *batch, struct bytes node, const struct ledger_entry *entry, uint32_t noted, bool reports) {
  uint32_t states = note_states(entry) & ~noted;
  bool first = noted == 0;
  for (size_t i = 0; i < sizeof in_order; i++) {
    enum state state = (enum state)in_order[i];
    if (!(states & 1u << state)) continue;
    struct bytes proof = first ? entry->command : reports ? report_of(entry, state) : BYTES_NULL;
    note_state(batch, node, entry, state, proof);
    first = false;
  }
}

/* ---- decisions, rosters ---- */

void note_decision(struct buffer *out, struct bytes node, const struct note_decision *note) {
  const struct decision *decision = note->decision;
  struct command command;
  bool known = note->about && note->about->command.len > 0 && command_read(&command, note->about->command) == 0;
  struct audit_entry entry = {.kind = AUDIT_DECISION,
      .time = note->time,
      .node = node,
      .id = decision->id,
      .address = known ? command.address : BYTES_NULL,
      .verb = decision->verb,
      .state = note->about ? note->about->state : STATE_NONE,
      .code = note->code,
      .message = bytes_text(note->message),
      .by = bytes_text(note->by),
      .basis = decision->basis,
      .value = known ? command.value : VALUE_EMPTY,
      .before = VALUE_EMPTY,
      .actual = VALUE_EMPTY,
      .proof = decision->bytes};
  audit_write(out, &entry);
}

void note_refused_after_all(struct buffer *out, struct bytes noted, enum code code, const char *message) {
  struct audit_entry entry;
  if (audit_read(&entry, noted) != 0) return; /* it was written here a moment ago */
  entry.code = code;
  entry.message = bytes_text(message);
  audit_write(out, &entry);
}

void note_contradiction(struct buffer *out, struct bytes node, const struct ledger_entry *ledger, enum state said,
    struct bytes report, const char *message, int64_t time) {
  struct audit_entry entry;
  audit_of_ledger(&entry, ledger, node, report);
  entry.kind = AUDIT_CONTRADICTION;
  entry.time = time;
  entry.state = said;
  entry.code = CODE_NONE;
  entry.message = bytes_text(message);
  audit_write(out, &entry);
}

/* Anything that is no command. */
static struct audit_entry plain(enum audit_kind kind, struct bytes node, struct bytes message, int64_t time) {
  return (struct audit_entry){.kind = kind,
      .time = time,
      .node = node,
      .message = message,
      .value = VALUE_EMPTY,
      .before = VALUE_EMPTY,
      .actual = VALUE_EMPTY};
}

enum { HASH = 32 };

static void put_hex(struct buffer *out, const uint8_t hash[HASH]) {
  char text[2 * HASH + 1];
  sodium_bin2hex(text, sizeof text, hash, HASH);
  buffer_printf(out, "%s", text);
}

void note_roster(struct buffer *out, struct bytes node, struct bytes roster, const char *by, const char *message,
    enum code code, int64_t time) {
  struct buffer text = BUFFER_NULL;
  uint8_t hash[HASH];
  crypto_generichash(hash, sizeof hash, roster.data, roster.len, NULL, 0);
  buffer_printf(&text, "%s; hash ", message);
  put_hex(&text, hash);
  struct audit_entry entry = plain(AUDIT_ROSTER, node, buffer_bytes(&text), time);
  entry.code = code;
  entry.by = bytes_text(by);
  if (roster.len <= NOTE_PROOF_MAX) entry.proof = roster;
  audit_write(out, &entry);
  buffer_deinit(&text);
}

/* ---- the node itself ---- */

void note_start(struct store_batch *batch, struct bytes node, uint64_t run, int64_t store_created, int64_t time) {
  struct buffer text = BUFFER_NULL;
  buffer_printf(&text, "riverbus %s, run %016llx, store of ", RIVERBUS_VERSION, (unsigned long long)run);
  units_put_rfc3339(&text, store_created);
  struct audit_entry entry = plain(AUDIT_START, node, buffer_bytes(&text), time);
  put(batch, &entry);
  buffer_deinit(&text);
}

static bool hash_file(const char *path, uint8_t hash[HASH]) {
  crypto_generichash_state state;
  uint8_t piece[4096];
  size_t got;
  FILE *file = fopen(path, "re");
  if (!file) return false;
  crypto_generichash_init(&state, NULL, 0, HASH);
  while ((got = fread(piece, 1, sizeof piece, file)) > 0) crypto_generichash_update(&state, piece, got);
  bool whole = !ferror(file);
  fclose(file);
  crypto_generichash_final(&state, hash, HASH);
  return whole;
}

void note_config(struct store_batch *batch, struct bytes node, const char *what, const char *path, int64_t time) {
  struct buffer text = BUFFER_NULL;
  uint8_t hash[HASH];
  buffer_printf(&text, "%s %s", what, path);
  if (hash_file(path, hash)) {
    buffer_printf(&text, ", hash ");
    put_hex(&text, hash);
  } else {
    buffer_printf(&text, ", which cannot be read any more");
  }
  struct audit_entry entry = plain(AUDIT_CONFIG, node, buffer_bytes(&text), time);
  put(batch, &entry);
  buffer_deinit(&text);
}

void note_movement(struct buffer *out, struct bytes node, struct bytes address, const struct value *from,
    const struct value *to, const char *message, int64_t time) {
  struct audit_entry entry = plain(AUDIT_MOVEMENT, node, bytes_text(message), time);
  entry.address = address;
  entry.before = *from;
  entry.actual = *to;
  audit_write(out, &entry);
}

void note_agreement(struct store_batch *batch, struct bytes node, struct bytes message, int64_t time) {
  struct audit_entry entry = plain(AUDIT_AGREEMENT, node, message, time);
  put(batch, &entry);
}

void note_receipt(
    struct store_batch *batch, struct bytes node, const char *message, struct bytes receipt, int64_t time) {
  struct buffer text = BUFFER_NULL;
  uint8_t hash[HASH];
  crypto_generichash(hash, sizeof hash, receipt.data, receipt.len, NULL, 0);
  buffer_printf(&text, "%s; hash ", message);
  put_hex(&text, hash);
  struct audit_entry entry = plain(AUDIT_RECEIPT, node, buffer_bytes(&text), time);
  put(batch, &entry);
  buffer_deinit(&text);
}

void note_checkpoint(struct store_batch *batch, struct bytes node, const struct audit_checkpoint *checkpoint,
    const char *message, int64_t time) {
  struct buffer text = BUFFER_NULL;
  buffer_printf(&text, BYTES_FMT " ends with entry %llu, link ", BYTES_ARG(checkpoint->node),
      (unsigned long long)checkpoint->number);
  put_hex(&text, checkpoint->link);
  if (message) buffer_printf(&text, ": %s", message);
  struct audit_entry entry = plain(AUDIT_CHECKPOINT, node, buffer_bytes(&text), time);
  entry.proof = checkpoint->bytes;
  put(batch, &entry);
  buffer_deinit(&text);
}
