/*
 * A ledger entry: u8 version (1), then items, each varint id, sized value; absent items are zero or empty, and an id
 * that is not known is kept and written back:
 *
 *    1 id                2 command, verbatim    3 u8 state           4 varint code      5 message
 *    6 hint              7 times: one zigzag a state, in order of the states' numbers   8 zigzag time
 *    9 u8 custody       10 station             11 by                12 approved by     13 batch
 *   14 from             15 value actual        16 device message    17 varint fence    18 epoch: u64, u64
 *   19 zigzag settle by 20 report, verbatim    21 approval, verbatim                   22 decision, verbatim
 *   23 value before      24, 25 what was observed before and after (observation.c)   26 overtaken by
 */
#include "common/command/ledger.h"
#include "common/command/decision.h"
#include "common/base/units.h"

enum item {
  ITEM_ID = 1,
  ITEM_COMMAND,
  ITEM_STATE,
  ITEM_CODE,
  ITEM_MESSAGE,
  ITEM_HINT,
  ITEM_TIMES,
  ITEM_TIME,
  ITEM_CUSTODY,
  ITEM_STATION,
  ITEM_BY,
  ITEM_APPROVED_BY,
  ITEM_BATCH,
  ITEM_FROM,
  ITEM_ACTUAL,
  ITEM_DEVICE_MESSAGE,
  ITEM_FENCE,
  ITEM_EPOCH,
  ITEM_SETTLE_BY,
  ITEM_REPORT,
  ITEM_APPROVAL,
  ITEM_DECISION,
  ITEM_BEFORE,
  ITEM_OBSERVED_BEFORE,
  ITEM_OBSERVED_AFTER,
  ITEM_OVERTAKEN_BY,
  ITEM_LAST = ITEM_OVERTAKEN_BY
};
enum { LEDGER_VERSION = 1 };

/* ---- writing ---- */

static void put_text(struct writer *w, enum item id, struct bytes text) {
  if (text.len == 0) return;
  writer_varint(w, id);
  writer_sized(w, text);
}

/* An item made of a few numbers: encoded aside, since its length comes first. */
struct piece {
  struct buffer bytes;
  struct writer w;
};
static struct writer *piece_begin(struct piece *piece) {
  piece->bytes = BUFFER_NULL;
  writer_init(&piece->w, &piece->bytes, SIZE_MAX);
  return &piece->w;
}
static void piece_end(struct piece *piece, struct writer *w, enum item id) {
  writer_varint(w, id);
  writer_sized(w, buffer_bytes(&piece->bytes));
  buffer_deinit(&piece->bytes);
}

static void put_byte(struct writer *w, enum item id, uint8_t byte) { put_text(w, id, bytes_of(&byte, 1)); }

static void put_signed(struct writer *w, enum item id, int64_t number) {
  struct piece piece;
  if (number == 0) return;
  writer_zigzag(piece_begin(&piece), number);
  piece_end(&piece, w, id);
}

static void put_unsigned(struct writer *w, enum item id, uint64_t number) {
  struct piece piece;
  if (number == 0) return;
  writer_varint(piece_begin(&piece), number);
  piece_end(&piece, w, id);
}

static void put_composed(struct writer *w, const struct ledger_entry *e) {
  struct piece piece;
  struct writer *p = piece_begin(&piece);
  for (int i = 0; i < STATE_STATES; i++) writer_zigzag(p, e->times[i]);
  piece_end(&piece, w, ITEM_TIMES);
  if (e->actual.type != VALUE_NONE) {
    value_write(piece_begin(&piece), &e->actual);
    piece_end(&piece, w, ITEM_ACTUAL);
  }
  if (e->before.type != VALUE_NONE) {
    value_write(piece_begin(&piece), &e->before);
    piece_end(&piece, w, ITEM_BEFORE);
  }
  if (e->epoch.created || e->epoch.random) {
    p = piece_begin(&piece);
    writer_u64(p, e->epoch.created);
    writer_u64(p, e->epoch.random);
    piece_end(&piece, w, ITEM_EPOCH);
  }
}

void ledger_write(struct buffer *out, const struct ledger_entry *e) {
  struct writer w;
  writer_init(&w, out, SIZE_MAX);
  writer_u8(&w, LEDGER_VERSION);
  put_text(&w, ITEM_ID, e->id);
  put_text(&w, ITEM_COMMAND, e->command);
  put_byte(&w, ITEM_STATE, (uint8_t)e->state);
  put_unsigned(&w, ITEM_CODE, (uint64_t)e->code);
  put_text(&w, ITEM_MESSAGE, e->message);
  put_text(&w, ITEM_HINT, e->hint);
  put_signed(&w, ITEM_TIME, e->time);
  put_byte(&w, ITEM_CUSTODY, (uint8_t)e->custody);
  put_text(&w, ITEM_STATION, e->station);
  put_text(&w, ITEM_BY, e->by);
  put_text(&w, ITEM_APPROVED_BY, e->approved_by);
  put_text(&w, ITEM_BATCH, e->batch);
  put_text(&w, ITEM_FROM, e->from);
  put_text(&w, ITEM_DEVICE_MESSAGE, e->device_message);
  put_unsigned(&w, ITEM_FENCE, e->fence);
  put_signed(&w, ITEM_SETTLE_BY, e->settle_by);
  put_text(&w, ITEM_REPORT, e->report);
  put_text(&w, ITEM_APPROVAL, e->approval);
  put_text(&w, ITEM_DECISION, e->decision);
  put_text(&w, ITEM_OBSERVED_BEFORE, e->observed_before);
  put_text(&w, ITEM_OBSERVED_AFTER, e->observed_after);
  put_text(&w, ITEM_OVERTAKEN_BY, e->overtaken_by);
  put_composed(&w, e);
  writer_bytes(&w, e->extra);
}

/* ---- reading ---- */

static void read_times(struct reader *r, struct ledger_entry *e) {
  for (int i = 0; i < STATE_STATES && reader_left(r) > 0; i++) e->times[i] = reader_zigzag(r);
}

static void read_numbers(struct ledger_entry *e, uint64_t id, struct reader *r) {
  switch (id) {
    case ITEM_STATE: e->state = (enum state)reader_u8(r); break;
    case ITEM_CODE: e->code = (enum code)reader_varint(r); break;
    case ITEM_TIMES: read_times(r, e); break;
    case ITEM_TIME: e->time = reader_zigzag(r); break;
    case ITEM_CUSTODY: e->custody = reader_u8(r) ? LEDGER_NEXT : LEDGER_HERE; break;
    case ITEM_ACTUAL: value_read(r, &e->actual); break;
    case ITEM_BEFORE: value_read(r, &e->before); break;
    case ITEM_FENCE: e->fence = reader_varint(r); break;
    case ITEM_EPOCH:
      e->epoch.created = reader_u64(r);
      e->epoch.random = reader_u64(r);
      break;
    default: e->settle_by = reader_zigzag(r); break;
  }
}

static struct bytes *text_of(struct ledger_entry *e, uint64_t id) {
  switch (id) {
    case ITEM_ID: return &e->id;
    case ITEM_COMMAND: return &e->command;
    case ITEM_MESSAGE: return &e->message;
    case ITEM_HINT: return &e->hint;
    case ITEM_STATION: return &e->station;
    case ITEM_BY: return &e->by;
    case ITEM_APPROVED_BY: return &e->approved_by;
    case ITEM_BATCH: return &e->batch;
    case ITEM_FROM: return &e->from;
    case ITEM_DEVICE_MESSAGE: return &e->device_message;
    case ITEM_REPORT: return &e->report;
    case ITEM_APPROVAL: return &e->approval;
    case ITEM_DECISION: return &e->decision;
    case ITEM_OBSERVED_BEFORE: return &e->observed_before;
    case ITEM_OBSERVED_AFTER: return &e->observed_after;
    case ITEM_OVERTAKEN_BY: return &e->overtaken_by;
    default: return NULL;
  }
}

/* Unknown items stand at the end in what we write ourselves; a newer version must add its own behind those of this one,
 * so that they are one run. */
static bool read_item(struct ledger_entry *e, struct reader *r) {
  const uint8_t *start = r->at;
  uint64_t id = reader_varint(r);
  struct bytes value = reader_sized(r);
  struct bytes *text = text_of(e, id);
  struct reader v;
  if (r->failed || id == 0) return false;
  if (text) {
    *text = value;
    return true;
  }
  if (id > ITEM_LAST) {
    e->extra = e->extra.len ? bytes_of(e->extra.data, (size_t)(r->at - e->extra.data))
                            : bytes_of(start, (size_t)(r->at - start));
    return true;
  }
  reader_init(&v, value);
  read_numbers(e, id, &v);
  return !v.failed;
}

int ledger_read(struct ledger_entry *entry, struct bytes bytes) {
  struct reader r;
  *entry = LEDGER_ENTRY_NULL;
  reader_init(&r, bytes);
  uint8_t version = reader_u8(&r);
  if (r.failed || version == 0) return LEDGER_MALFORMED;
  if (version > LEDGER_VERSION) return LEDGER_NEWER;
  while (reader_left(&r) > 0)
    if (!read_item(entry, &r)) return LEDGER_MALFORMED;
  return (unsigned)entry->state < STATE_STATES && command_id_is_good(entry->id) ? 0 : LEDGER_MALFORMED;
}

void ledger_keep(struct ledger *ledger) {
  struct buffer fresh = BUFFER_NULL;
  ledger_write(&fresh, &ledger->entry);
  buffer_deinit(&ledger->storage);
  ledger->storage = fresh;
  ledger_read(&ledger->entry, buffer_bytes(&ledger->storage));
}

int ledger_load(struct ledger *ledger, struct bytes bytes) {
  ledger->storage = BUFFER_NULL;
  buffer_append(&ledger->storage, bytes);
  return ledger_read(&ledger->entry, buffer_bytes(&ledger->storage));
}

void ledger_deinit(struct ledger *ledger) {
  buffer_deinit(&ledger->storage);
  ledger->entry = LEDGER_ENTRY_NULL;
}

/* ---- changes ---- */

int ledger_move(struct ledger_entry *entry, enum actor actor, enum state to, int64_t time) {
  if (!state_allows(actor, entry->state, to)) return LEDGER_NOT_ALLOWED;
  entry->state = to;
  entry->time = entry->times[to] = time;
  entry->code = CODE_NONE;
  entry->message = entry->hint = BYTES_NULL;
  if (to == STATE_SENT) entry->custody = LEDGER_NEXT;
  return 0;
}

/* What a person resolved stays as it is. The station's own word about it goes along, whichever it is; where it is the
 * same, with what the station measured by then. */
static void keep_word_of_resolved(struct ledger_entry *entry, const struct report *report) {
  if (entry->code != CODE_RESOLVED || !state_is_final(report->state)) return;
  entry->report = report->bytes;
  if (report->state != entry->state) return;
  entry->device_message = report->device_message;
  entry->actual = report->actual;
  entry->observed_after = report->observed_after;
}

bool ledger_is_unconfirmed(const struct ledger_entry *entry) {
  struct decision decision;
  return entry->code == CODE_RESOLVED && entry->decision.len > 0 && decision_read(&decision, entry->decision) == 0 &&
         decision_is_resolve(decision.verb);
}

/* The station has taken another person's word than the one that stands here: that one is confirmed. */
static enum actor actor_of_report(const struct ledger_entry *entry, const struct report *report) {
  bool corrects = ledger_is_unconfirmed(entry) && report->code == CODE_RESOLVED && report->state != entry->state;
  return corrects ? ACTOR_CORRECT : ACTOR_REPORT;
}

int ledger_report(struct ledger_entry *entry, const struct report *report) {
  if (ledger_move(entry, actor_of_report(entry, report), report->state, report->time) != 0) {
    if (entry->times[report->state] == 0) entry->times[report->state] = report->time;
    keep_word_of_resolved(entry, report);
    return LEDGER_NOT_ALLOWED;
  }
  entry->code = report->code;
  entry->message = report->message;
  entry->hint = report->hint;
  entry->device_message = report->device_message;
  if (report->before.type != VALUE_NONE) entry->before = report->before;
  if (report->actual.type != VALUE_NONE) entry->actual = report->actual;
  if (report->fence) entry->fence = report->fence;
  if (report->observed_before.len) entry->observed_before = report->observed_before;
  if (report->observed_after.len) entry->observed_after = report->observed_after;
  entry->report = report->bytes;
  return 0;
}

/* Of what a person resolved there: another word, or the station's beside it. */
static enum actor actor_of_peer(const struct ledger_entry *entry, const struct ledger_entry *said) {
  bool news = said->state != entry->state || !bytes_equal(said->decision, entry->decision) ||
              !bytes_equal(said->report, entry->report);
  return ledger_is_unconfirmed(entry) && said->code == CODE_RESOLVED && news ? ACTOR_CORRECT : ACTOR_PEER;
}

int ledger_peer(struct ledger_entry *entry, const struct ledger_entry *said) {
  if (ledger_move(entry, actor_of_peer(entry, said), said->state, said->time) != 0) return LEDGER_NOT_ALLOWED;
  entry->code = said->code;
  entry->message = said->message;
  entry->hint = said->hint;
  entry->device_message = said->device_message;
  if (said->before.type != VALUE_NONE) entry->before = said->before;
  if (said->actual.type != VALUE_NONE) entry->actual = said->actual;
  if (said->fence) entry->fence = said->fence;
  if (said->observed_before.len) entry->observed_before = said->observed_before;
  if (said->observed_after.len) entry->observed_after = said->observed_after;
  if (said->approved_by.len) entry->approved_by = said->approved_by;
  if (said->report.len) entry->report = said->report;
  if (said->code == CODE_RESOLVED) entry->decision = said->decision;
  return 0;
}

void ledger_to_report(const struct ledger_entry *entry, struct report *report) {
  struct command command;
  *report = (struct report){.id = entry->id,
      .state = entry->state,
      .code = entry->code,
      .message = entry->message,
      .hint = entry->hint,
      .before = entry->before,
      .actual = entry->actual,
      .device_message = entry->device_message,
      .observed_before = entry->observed_before,
      .observed_after = entry->observed_after,
      .time = entry->time,
      .fence = entry->fence,
      .by = entry->by};
  if (entry->command.len == 0 || command_read(&command, entry->command) != 0) return;
  report->address = command.address;
  command_digest(entry->command, report->digest);
}

/* ---- JSON ---- */

static void put_member(struct buffer *out, const char *name, struct bytes text) {
  buffer_printf(out, "%s\"%s\":", out->len > 0 && out->data[out->len - 1] != '{' ? "," : "", name);
  if (text.len > 0)
    json_put_text(out, text);
  else
    buffer_append(out, bytes_text("null"));
}

static void put_time(struct buffer *out, const char *name, int64_t time) {
  struct buffer text = BUFFER_NULL;
  if (time != 0) units_put_rfc3339(&text, time);
  put_member(out, name, buffer_bytes(&text));
  buffer_deinit(&text);
}

static void put_value(struct buffer *out, const char *name, const struct value *value) {
  buffer_printf(out, ",\"%s\":", name);
  value_put_json(out, value);
}

static void put_report(struct buffer *out, struct bytes report) {
  const struct value value = {.type = VALUE_BYTES, .bytes = report};
  const struct value none = {.type = VALUE_NONE};
  put_value(out, "report", report.len ? &value : &none);
}

void ledger_put_json(struct buffer *out, const struct ledger_entry *e) {
  struct command command = {.value = VALUE_EMPTY};
  bool known = e->command.len > 0 && command_read(&command, e->command) == 0;
  if (!known) command = (struct command){.value = VALUE_EMPTY};
  buffer_append(out, bytes_text("{"));
  put_member(out, "id", e->id);
  put_member(out, "verb", bytes_text(command_verb_name(command.verb)));
  put_member(out, "address", command.address);
  put_value(out, "value", &command.value);
  put_member(out, "state", bytes_text(state_name(e->state)));
  put_member(out, "code", bytes_text(code_name(e->code)));
  put_member(out, "message", e->message);
  put_member(out, "hint", e->hint.len ? e->hint : bytes_text(code_hint(e->code)));
  put_member(out, "basis", command.basis);
  put_member(out, "by", e->by);
  put_member(out, "approved_by", e->approved_by);
  put_member(out, "station", e->station);
  put_member(out, "batch", e->batch);
  put_time(out, "issued", command.issued);
  put_time(out, "deadline", command.deadline);
  put_time(out, "time", e->time);
  put_value(out, "actual", &e->actual);
  put_member(out, "device_message", e->device_message);
  put_report(out, e->report);
  buffer_append(out, bytes_text("}"));
}
