#ifndef RIVERBUS_COMMON_COMMAND_SETTLE_H
#define RIVERBUS_COMMON_COMMAND_SETTLE_H
/*
 * The link messages of the command layer (node_message, types 0-63, urgent channel; the link promises nothing about
 * them, so all may be repeated). Reports do not travel here: they are records of kind report on the station's urgent
 * stream, durable and numbered like any other.
 *
 *   COMMAND  broker -> gateway   a command. Sent after `sent` is committed, and again after every session start while
 * it is open and alive. ASK      broker -> gateway   what became of these ids? Sent at session start, and after a
 * deadline without a report. NEVER    gateway -> broker   these ids were never received here; each is now committed in
 * the ledger as expired (not-received), so that a late copy cannot be taken. Carries the epoch of the gateway's urgent
 * stream: the broker settles `expired` only where that is the epoch noted at `sent` (a restored store has forgotten,
 * and its word about the past means nothing). For an id that it knows, the gateway answers ASK by issuing its last
 * report once more as a record.
 *
 * Bytes. COMMAND: varint length and the verbatim signed command, then items (varint id, u8 flags: 1 critical, varint
 * length, value), none defined yet; an unknown critical item makes the message malformed. ASK: varint count, each id as
 * varint length and text. NEVER: u64 epoch created, u64 epoch random, then as ASK.
 */
#include "common/command/command.h"
#include "common/record/record.h"

enum settle_type { SETTLE_COMMAND = 1, SETTLE_ASK = 2, SETTLE_NEVER = 3 };
enum { SETTLE_MALFORMED = 1, SETTLE_IDS_MAX = 256 };

struct settle_ids {
  uint32_t count;
  struct bytes ids[SETTLE_IDS_MAX];
};

void settle_put_command(struct buffer *out, struct bytes command);
int settle_get_command(struct bytes body, struct bytes *command); /* a view into body; not verified. SETTLE_MALFORMED */
void settle_put_ask(struct buffer *out, const struct settle_ids *ids);
int settle_get_ask(struct bytes body, struct settle_ids *ids);
void settle_put_never(struct buffer *out, struct epoch epoch, const struct settle_ids *ids);
int settle_get_never(struct bytes body, struct epoch *epoch, struct settle_ids *ids);
#endif
