#ifndef RIVERBUS_GATEWAY_INBOX_H
#define RIVERBUS_GATEWAY_INBOX_H
/*
 * Which messages of the MQTT session are stored already though their PUBACK may not have arrived: the last INBOX_PAIRS
 * pairs of packet id and content, committed with the readings. After a CONNACK with "session present" the broker sends
 * again what it has no PUBACK for; each pair then suppresses one message, for the first INBOX_PAIRS messages. In a
 * running connection nothing is compared: two equal payloads in a row are two readings.
 *
 * An MQTT broker that crashed goes on from an old snapshot, and gives packet ids a second time, to new messages. So a
 * pair answers only until it is proven that its PUBACK was processed (inbox_prove). Pure.
 *
 * In the store: table STORE_INBOX, key u64 big-endian (number of the batch), value a run of (u16 packet id, u64 hash),
 * little-endian.
 */
#include "common/store/store.h"

enum { INBOX_PAIRS = 2048 }; /* the Receive Maximum that the gateway states */

struct inbox_pair {
  uint16_t mid;
  bool used;
  uint64_t hash;
};
struct inbox_batch {
  uint64_t number;
  uint32_t count;
};

struct inbox {
  struct inbox_pair *pairs; /* oldest first; grouped by batches */
  size_t pair_count, pair_cap;
  struct inbox_batch *batches;
  size_t batch_count, batch_cap;
  uint64_t next;            /* number of the next batch */
  struct inbox_pair *fresh; /* of the batch under way */
  size_t fresh_count, fresh_cap;
  size_t keep_from; /* batches before it are deleted by the batch under way */
  uint64_t proven;  /* pairs of batches up to this number answer no more */
  size_t compare;   /* so many more messages are compared */
};

void inbox_init(struct inbox *inbox);
void inbox_deinit(struct inbox *inbox);
/* At the start: one entry of the table, in key order. A damaged one is passed over. */
void inbox_load(struct inbox *inbox, struct bytes key, struct bytes value);
uint64_t inbox_hash(struct bytes topic, struct bytes payload);
/* The number of the newest batch that is durable; 0: none. */
uint64_t inbox_mark(const struct inbox *inbox);
/* The MQTT broker has processed the PUBACKs of all batches up to `mark`, and has sent again before that what it had no
 * PUBACK for; all of that went through inbox_holds. What is proven leaves the store with the next inbox_put. */
void inbox_prove(struct inbox *inbox, uint64_t mark);
size_t inbox_unproven(const struct inbox *inbox); /* pairs that may still answer */
/* A new connection. Without the session everything known is void. */
void inbox_connected(struct inbox *inbox, bool session_present);
/* Whether this message is stored already; a pair answers once. mid 0 (QoS 0): false. */
bool inbox_holds(struct inbox *inbox, uint16_t mid, uint64_t hash);
/* Notes a message of the batch under way; suppressed ones too, since their PUBACK may be lost again. */
void inbox_note(struct inbox *inbox, uint16_t mid, uint64_t hash);
/* Puts and deletes of the batch under way; adds nothing where there is neither. */
void inbox_put(struct inbox *inbox, struct store_batch *batch);
void inbox_committed(struct inbox *inbox); /* it is durable */
void inbox_refused(struct inbox *inbox);   /* it is not: the pairs are forgotten */
#endif
