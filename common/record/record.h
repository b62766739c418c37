#ifndef RIVERBUS_COMMON_RECORD_RECORD_H
#define RIVERBUS_COMMON_RECORD_RECORD_H
/* One record of a stream, as views: whoever fills it owns what it points to. */
#include "common/record/address.h"
#include "common/record/value.h"

enum record_kind {
  RECORD_READING = 0,
  RECORD_EVENT = 1,
  RECORD_COMMAND = 2,    /* reserved: commands travel as link messages, see common/link/message.h */
  RECORD_REPORT = 3,     /* value: bytes, a signed report (common/command/report.h); address: the commanded point */
  RECORD_DESCRIPTOR = 4, /* value: text, a JSON object that says what the point at `address` is */
  /* address: the node; no value: this record's own sequence number was the stream's last when it was issued */
  RECORD_HEAD = 5,
  RECORD_KINDS
};
enum record_quality { QUALITY_GOOD = 0, QUALITY_UNCERTAIN = 1, QUALITY_BAD = 2 };
enum record_reason {
  REASON_NONE = 0,
  REASON_STALE = 1,
  REASON_OUT_OF_RANGE = 2,
  REASON_SENSOR_FAULT = 3,
  REASON_CLOCK = 4,
  REASON_NOT_A_NUMBER = 5,
  REASON_WRONG_TYPE = 6,
  REASON_SUBSTITUTED = 7,
  REASON_REASONS
};
enum lane { LANE_URGENT = 0, LANE_LIVE = 1, LANE_BACKFILL = 2, LANES = 3 };

/* An epoch of a stream: when it was begun (µs UTC) and 64 random bits. Order: created, then random. {0,0} is "none". */
struct epoch {
  uint64_t created;
  uint64_t random;
};
static inline int epoch_compare(struct epoch a, struct epoch b) {
  if (a.created != b.created) return a.created < b.created ? -1 : 1;
  return a.random == b.random ? 0 : a.random < b.random ? -1 : 1;
}
void epoch_put_text(struct buffer *out, struct epoch epoch); /* 32 hexadecimal digits: created, random */

struct record {
  enum record_kind kind;
  enum record_quality quality;
  enum record_reason reason;
  struct bytes address;
  int64_t time;      /* the device's, µs UTC */
  int64_t received;  /* the gateway's, µs UTC; never falls within a stream */
  uint64_t sequence; /* within (stream, epoch), from 1 */
  struct value value;
};

const char *record_kind_name(enum record_kind kind);
const char *record_quality_name(enum record_quality quality);
const char *record_reason_name(enum record_reason reason); /* "stale", "out-of-range", ...; NULL for REASON_NONE */
const char *lane_name(enum lane lane);                     /* "urgent", "live", "backfill" */
int lane_parse(struct bytes text, enum lane *lane);        /* VALUE_BAD */
/* The kinds that travel in a node's urgent stream (NAME!urgent): events, commands, reports. */
bool record_is_urgent(enum record_kind kind);

/* One JSON object, as the man page riverbus(1) has it (no newline): time, received, address, kind, value, unit,
 * quality, [reason], stream, epoch, seq, lane. unit may be empty: then null. */
void record_put_json(struct buffer *out, const struct record *record, struct bytes unit, struct bytes stream,
    struct epoch epoch, enum lane lane);
#endif
