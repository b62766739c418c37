/*
 * The signed bytes of a report: "riverbus report v1" and a NUL (19 bytes), 32 the station's public key, sized id, sized
 * address, 32 digest, u8 state, varint code, sized message, sized hint, value actual, sized device message, zigzag
 * time, varint fence, sized by, 64 Ed25519 signature over all before it. Bytes between `by` and the signature are of
 * later versions: signed, and passed over.
 */
#include "common/command/report.h"

static const char prefix[] = "riverbus report v1";
static const char prefix_family[] = "riverbus report v";
enum { HEAD = sizeof prefix, SMALLEST = HEAD + 32 + IDENTITY_SIGNATURE };

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

static void write_body(
    struct writer *w, const struct report *r, const struct public_key *key, const struct value *actual) {
  writer_bytes(w, bytes_of(prefix, HEAD));
  writer_bytes(w, bytes_of(key->bytes, 32));
  writer_sized(w, r->id);
  writer_sized(w, r->address);
  writer_bytes(w, bytes_of(r->digest, COMMAND_DIGEST));
  writer_u8(w, (uint8_t)r->state);
  writer_varint(w, (uint64_t)r->code);
  writer_sized(w, cut(r->message));
  writer_sized(w, cut(r->hint));
  value_write(w, actual);
  writer_sized(w, cut(r->device_message));
  writer_zigzag(w, r->time);
  writer_varint(w, r->fence);
  writer_sized(w, cut(r->by));
}

int report_sign(struct buffer *out, const struct report *report, const struct identity *identity) {
  struct buffer body = BUFFER_NULL;
  struct writer w;
  struct public_key key;
  uint8_t signature[IDENTITY_SIGNATURE];
  static const struct value none = {.type = VALUE_NONE};
  if (!is_good(report)) return REPORT_MALFORMED;
  identity_public(identity, &key);
  writer_init(&w, &body, REPORT_MAX - IDENTITY_SIGNATURE);
  write_body(&w, report, &key, &report->actual);
  if (w.failed) { /* only the measured value can be that large */
    buffer_clear(&body);
    writer_init(&w, &body, REPORT_MAX - IDENTITY_SIGNATURE);
    write_body(&w, report, &key, &none);
  }
  identity_sign(identity, buffer_bytes(&body), signature);
  buffer_append(out, buffer_bytes(&body));
  buffer_append(out, bytes_of(signature, sizeof signature));
  buffer_deinit(&body);
  return 0;
}

static int check_frame(struct bytes bytes) {
  if (bytes.len < SMALLEST || bytes.len > REPORT_MAX ||
      memcmp(bytes.data, prefix_family, sizeof prefix_family - 1) != 0)
    return REPORT_MALFORMED;
  return memcmp(bytes.data, prefix, HEAD) == 0 ? 0 : REPORT_VERSION;
}

static void read_body(struct reader *r, struct report *report) {
  reader_bytes(r, HEAD);
  struct bytes key = reader_bytes(r, 32);
  report->id = reader_sized(r);
  report->address = reader_sized(r);
  struct bytes digest = reader_bytes(r, COMMAND_DIGEST);
  if (!r->failed) {
    memcpy(report->key.bytes, key.data, 32);
    memcpy(report->digest, digest.data, COMMAND_DIGEST);
  }
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
}

static bool texts_are_good(const struct report *r) {
  return bytes_is_utf8(r->message) && bytes_is_utf8(r->hint) && bytes_is_utf8(r->device_message) &&
         bytes_is_utf8(r->by);
}

int report_read(struct report *report, struct bytes bytes) {
  struct reader r;
  int result = check_frame(bytes);
  *report = (struct report){.bytes = bytes};
  if (result != 0) return result;
  reader_init(&r, bytes_of(bytes.data, bytes.len - IDENTITY_SIGNATURE));
  read_body(&r, report);
  return !r.failed && is_good(report) && texts_are_good(report) ? 0 : REPORT_MALFORMED;
}

int report_open(struct report *report, struct bytes bytes) {
  struct public_key key;
  int result = check_frame(bytes);
  *report = (struct report){.bytes = bytes};
  if (result != 0) return result;
  memcpy(key.bytes, bytes.data + HEAD, 32);
  struct bytes body = bytes_of(bytes.data, bytes.len - IDENTITY_SIGNATURE);
  if (!public_key_verify(&key, body, bytes.data + body.len)) return REPORT_FORGED;
  return report_read(report, bytes);
}
