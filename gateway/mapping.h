#ifndef RIVERBUS_GATEWAY_MAPPING_H
#define RIVERBUS_GATEWAY_MAPPING_H
/*
 * From an MQTT message to records. Pure: bytes and time in, records and faults out. One message may carry several
 * points; each becomes a record. Whatever can be represented is kept, with quality bad and a reason; what cannot is a
 * fault only. A fault is counted at its point before it is told.
 */
#include "gateway/points.h"

enum {
  MAPPING_PAYLOAD_MAX = 128 * 1024
}; /* a larger payload is refused whole; a single value is bounded by VALUE_MAX */

struct mapping_message {
  struct bytes topic;
  struct bytes payload;
  bool too_large; /* the payload was not kept */
  int64_t now;    /* wall µs of receipt: `time` where the device gives none, and what max-future is measured from */
  int64_t mono;
};

struct mapping_sink {
  void *ctx;
  /* One record; record->received is 0, the receiver stamps it. Views are valid during the call. */
  void (*record)(void *ctx, struct point *point, const struct record *record);
  void (*fault)(void *ctx, struct point *point, enum point_fault fault);
};

/* Returns how many points the topic has (0: nobody asked for it). */
size_t mapping_message(const struct points *points, int32_t zone_s, const struct mapping_message *message,
    const struct mapping_sink *sink);
#endif
