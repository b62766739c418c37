/*
 * The fields of a decision, inside the frame of common/identity/seal.h with the prefix "riverbus decision v1": u8 verb,
 * sized id, 32 digest, zigzag issued, zigzag deadline, sized basis. Bytes behind are of later versions: signed, and
 * passed over.
 */
#include "common/command/decision.h"

static const struct seal seal = {"riverbus decision v1", DECISION_MAX};

const char *decision_verb_name(uint8_t verb) {
  static const char *const names[] = {NULL, "approve", "cancel", "resolve --moved", "resolve --not-moved"};
  return verb < sizeof names / sizeof names[0] ? names[verb] : NULL;
}

bool decision_is_resolve(uint8_t verb) { return verb == DECISION_RESOLVE_MOVED || verb == DECISION_RESOLVE_NOT_MOVED; }

bool decision_is_about(const struct decision *decision, struct bytes command) {
  uint8_t digest[COMMAND_DIGEST];
  command_digest(command, digest);
  return memcmp(digest, decision->digest, COMMAND_DIGEST) == 0;
}

bool decision_is_later(const struct decision *decision, const struct decision *than) {
  if (decision->issued != than->issued) return decision->issued > than->issued;
  return bytes_compare(decision->bytes, than->bytes) > 0;
}

static bool time_is_good(int64_t time) { return time >= 0 && time <= COMMAND_TIME_MAX; }

static const char *broken_rule(const struct decision *d) {
  if (!decision_verb_name(d->verb)) return "the verb is not known";
  if (!command_id_is_good(d->id)) return "an id is 1 to 64 of the characters A-Z a-z 0-9 . _ -";
  if (!time_is_good(d->issued) || !time_is_good(d->deadline)) return "a time lies outside the years 1970 to 9999";
  if (d->deadline <= d->issued) return "the deadline does not lie after the time of issue";
  if (d->basis.len > COMMAND_BASIS_MAX) return "the basis is longer than 1024 bytes";
  if (!bytes_is_utf8(d->basis)) return "the basis is not UTF-8";
  if (decision_is_resolve(d->verb) && d->basis.len == 0) return "a resolve needs a basis: what was seen, and by whom";
  return NULL;
}

int decision_sign(struct buffer *out, const struct decision *d, const struct identity *identity, const char **why) {
  struct buffer body = BUFFER_NULL;
  struct writer w;
  const char *broken = broken_rule(d);
  if (why) *why = broken;
  if (broken) return DECISION_MALFORMED;
  seal_begin(&seal, identity, &body, &w);
  writer_u8(&w, d->verb);
  writer_sized(&w, d->id);
  writer_bytes(&w, bytes_of(d->digest, COMMAND_DIGEST));
  writer_zigzag(&w, d->issued);
  writer_zigzag(&w, d->deadline);
  writer_sized(&w, d->basis);
  return seal_close(identity, &body, &w, out) ? DECISION_MALFORMED : 0;
}

static int decode(struct decision *d, struct bytes fields) {
  struct reader r;
  reader_init(&r, fields);
  d->verb = reader_u8(&r);
  d->id = reader_sized(&r);
  struct bytes digest = reader_bytes(&r, COMMAND_DIGEST);
  if (!r.failed) memcpy(d->digest, digest.data, COMMAND_DIGEST);
  d->issued = reader_zigzag(&r);
  d->deadline = reader_zigzag(&r);
  d->basis = reader_sized(&r);
  return !r.failed && !broken_rule(d) ? 0 : DECISION_MALFORMED;
}

static int outcome_of(int sealed) { return sealed == SEAL_TOO_LARGE ? DECISION_MALFORMED : sealed; }

int decision_read(struct decision *decision, struct bytes bytes) {
  struct bytes fields;
  *decision = (struct decision){.bytes = bytes};
  int result = seal_read(&seal, bytes, &decision->key, &fields);
  return result ? outcome_of(result) : decode(decision, fields);
}

int decision_open(struct decision *decision, struct bytes bytes) {
  struct bytes fields;
  *decision = (struct decision){.bytes = bytes};
  int result = seal_open(&seal, bytes, &decision->key, &fields);
  return result ? outcome_of(result) : decode(decision, fields);
}
