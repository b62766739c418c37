/*
 * The fields of a report, inside the frame of common/identity/seal.h with the prefix "riverbus report v1": sized id,
 * sized address, 32 digest, u8 state, varint code, sized message, sized hint, value actual, sized device message,
 * zigzag time, varint fence, sized by, then items (varint id, sized value): 1 the verbatim command, where the station
 * took it at its own door; 2 value before; 3 and 4 what was observed before and after (observation.c). Items that are
 * not known are passed over.
 */
#include "common/command/report.h"

static const struct seal seal = {"riverbus report v1", REPORT_MAX};
enum { ITEM_COMMAND = 1, ITEM_BEFORE = 2, ITEM_OBSERVED_BEFORE = 3, ITEM_OBSERVED_AFTER = 4 };

/* At most REPORT_TEXT_MAX bytes, ending at a whole character. */
static struct bytes cut(struct bytes text) {
  if (text.len <= REPORT_TEXT_MAX) return text;
  size_t len = REPORT_TEXT_MAX;
  while (len > 0 && (text.data[len] & 0xc0) == 0x80) len--;
  return bytes_of(text.data, len);
}

static bool is_good(const struct report *r) {
  bool address = r->address.len == 0 || address_check(r->address, NULL) == 0;
  return command_id_is_good(r->id) && address && r->time >= 0 && r->time <= COMMAND_TIME_MAX && r->state > STATE_NONE &&
         r->state < STATE_STATES;
}

static void write_before(struct writer *w, const struct value *before) {
  struct buffer piece = BUFFER_NULL;
  struct writer p;
  if (before->type == VALUE_NONE) return;
  writer_init(&p, &piece, SIZE_MAX);
  value_write(&p, before);
  writer_varint(w, ITEM_BEFORE);
  writer_sized(w, buffer_bytes(&piece));
  buffer_deinit(&piece);
}

static void write_item(struct writer *w, int item, struct bytes bytes) {
  if (bytes.len == 0) return;
  writer_varint(w, (uint64_t)item);
  writer_sized(w, bytes);
}

static void write_body(struct writer *w, const struct report *r) {
  writer_sized(w, r->id);
  writer_sized(w, r->address);
  writer_bytes(w, bytes_of(r->digest, COMMAND_DIGEST));
  writer_u8(w, (uint8_t)r->state);
  writer_varint(w, (uint64_t)r->code);
  writer_sized(w, cut(r->message));
  writer_sized(w, cut(r->hint));
  value_write(w, &r->actual);
  writer_sized(w, cut(r->device_message));
  writer_zigzag(w, r->time);
  writer_varint(w, r->fence);
  writer_sized(w, cut(r->by));
  write_before(w, &r->before);
  write_item(w, ITEM_OBSERVED_BEFORE, r->observed_before);
  write_item(w, ITEM_OBSERVED_AFTER, r->observed_after);
  write_item(w, ITEM_COMMAND, r->command);
}

int report_sign(struct buffer *out, const struct report *report, const struct identity *identity) {
  struct buffer body = BUFFER_NULL;
  struct writer w;
  if (!is_good(report)) return REPORT_MALFORMED;
  seal_begin(&seal, identity, &body, &w);
  write_body(&w, report);
  if (w.failed) { /* only measured values can be that large */
    struct report slim = *report;
    slim.before = slim.actual = VALUE_EMPTY;
    slim.observed_before = slim.observed_after = BYTES_NULL;
    buffer_clear(&body);
    seal_begin(&seal, identity, &body, &w);
    write_body(&w, &slim);
  }
  return seal_close(identity, &body, &w, out) ? REPORT_MALFORMED : 0;
}

static void read_item(struct reader *r, struct report *report) {
  struct reader v;
  uint64_t item = reader_varint(r);
  struct bytes value = reader_sized(r);
  if (item == ITEM_COMMAND) report->command = value;
  if (item == ITEM_OBSERVED_BEFORE) report->observed_before = value;
  if (item == ITEM_OBSERVED_AFTER) report->observed_after = value;
  if (item != ITEM_BEFORE) return;
  reader_init(&v, value);
  value_read(&v, &report->before);
  if (v.failed) reader_fail(r);
}

static void read_body(struct reader *r, struct report *report) {
  report->id = reader_sized(r);
  report->address = reader_sized(r);
  struct bytes digest = reader_bytes(r, COMMAND_DIGEST);
  if (!r->failed) memcpy(report->digest, digest.data, COMMAND_DIGEST);
  report->state = (enum state)reader_u8(r);
  uint64_t code = reader_varint(r);
  if (code > UINT16_MAX) reader_fail(r);
  report->code = (enum code)code;
  report->message = reader_sized(r);
  report->hint = reader_sized(r);
  value_read(r, &report->actual);
  report->device_message = reader_sized(r);
  report->time = reader_zigzag(r);
  report->fence = reader_varint(r);
  report->by = reader_sized(r);
  while (reader_left(r) > 0) read_item(r, report);
}

static bool texts_are_good(const struct report *r) {
  return bytes_is_utf8(r->message) && bytes_is_utf8(r->hint) && bytes_is_utf8(r->device_message) &&
         bytes_is_utf8(r->by) && observations_are_good(r->observed_before) && observations_are_good(r->observed_after);
}

static int decode(struct report *report, struct bytes fields) {
  struct reader r;
  reader_init(&r, fields);
  read_body(&r, report);
  return !r.failed && is_good(report) && texts_are_good(report) ? 0 : REPORT_MALFORMED;
}

static int outcome_of(int sealed) {
  return sealed == SEAL_FORGED ? REPORT_FORGED : sealed == SEAL_VERSION ? REPORT_VERSION : REPORT_MALFORMED;
}

int report_read(struct report *report, struct bytes bytes) {
  struct bytes fields;
  *report = (struct report){.bytes = bytes};
  int result = seal_read(&seal, bytes, &report->key, &fields);
  return result ? outcome_of(result) : decode(report, fields);
}

int report_open(struct report *report, struct bytes bytes) {
  struct bytes fields;
  *report = (struct report){.bytes = bytes};
  int result = seal_open(&seal, bytes, &report->key, &fields);
  return result ? outcome_of(result) : decode(report, fields);
}
