#ifndef RIVERBUS_COMMON_COMMAND_SETTLE_H
#define RIVERBUS_COMMON_COMMAND_SETTLE_H
/*
 * The link messages of the command layer (node_message, types 0-63, urgent channel; the link promises nothing about
 * them, so all may be repeated). Reports do not travel here: they are records of kind report on the station's urgent
 * stream, durable and numbered like any other. "Down" is from the node that was asked to the one that decides: broker
 * to gateway, or the asking province's broker to the owning one's.
 *
 *   COMMAND   down  a command, with the approval where one was given. Sent after `sent` is committed, and again after
 *                   every session start while it is open and alive.
 *   ASK       down  what became of these ids? Sent at session start, and after a deadline without word.
 *   NEVER     up    these ids were never received here; each is now committed in the ledger as expired (not-received),
 *                   so that a late copy cannot be taken. A gateway's carries the epoch of the sender's urgent stream:
 * the asker settles `expired` only where that is the epoch noted at `sent` (a restored store has forgotten, and its
 * word about the past means nothing). For an id that it knows, a gateway answers ASK by issuing its last report once
 * more as a record, a broker by STATE. DECISION  down  a signed cancel or resolve (decision.h). Repeated at session
 * start until the answer shows that it was heard: a state after it, or the last one once more. ROSTER    down  the
 * signed roster (roster.h); at session start and when a new one was pushed. CHECKPOINT      broker to broker, both
 * ways: the sender's last signed checkpoint of its audit log (audit.h); at session start and when one was signed. LIVES
 * up    broker to broker: which of its openings the sender's store remembers, the present one first; at session start,
 * before any answer. A broker's urgent stream says nothing about commands, so its NEVER is believed where the opening
 * noted at `sent` is among them. STATE     up    broker to broker: the ledger entry of a command that the other asked
 * for, as it now stands.
 *
 * Bytes. COMMAND: sized verbatim command, then items (varint id, u8 flags: 1 critical, sized value): 1 the verbatim
 * approval (not critical: a gateway that needs one and does not see it refuses); an unknown critical item makes the
 * message malformed. ASK: varint count, each id sized. NEVER: u64 epoch created, u64 epoch random, then as ASK.
 * LIVES: varint count, each u64 time, u64 random. DECISION, ROSTER, CHECKPOINT: the verbatim bytes. STATE: a ledger
 * entry (ledger.c).
 */
#include "common/command/command.h"
#include "common/record/record.h"

enum settle_type {
  SETTLE_COMMAND = 1,
  SETTLE_ASK = 2,
  SETTLE_NEVER = 3,
  SETTLE_DECISION = 4,
  SETTLE_ROSTER = 5,
  SETTLE_STATE = 6,
  SETTLE_CHECKPOINT = 7,
  SETTLE_LIVES = 8
};
enum { SETTLE_MALFORMED = 1, SETTLE_IDS_MAX = 256, SETTLE_LIVES_MAX = 64 };

struct settle_ids {
  uint32_t count;
  struct bytes ids[SETTLE_IDS_MAX];
};

void settle_put_command(struct buffer *out, struct bytes command, struct bytes approval); /* approval empty: none */
/* Views into body, not verified; approval empty: none. SETTLE_MALFORMED. */
int settle_get_command(struct bytes body, struct bytes *command, struct bytes *approval);
void settle_put_ask(struct buffer *out, const struct settle_ids *ids);
int settle_get_ask(struct bytes body, struct settle_ids *ids);
void settle_put_never(struct buffer *out, struct epoch epoch, const struct settle_ids *ids);
int settle_get_never(struct bytes body, struct epoch *epoch, struct settle_ids *ids);

/* The openings of a store that it remembers, the newest first. */
struct settle_lives {
  uint32_t count;
  struct epoch lives[SETTLE_LIVES_MAX];
};
void settle_put_lives(struct buffer *out, const struct settle_lives *lives);
int settle_get_lives(struct bytes body, struct settle_lives *lives); /* SETTLE_MALFORMED */
#endif
