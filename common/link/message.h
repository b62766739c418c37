#ifndef RIVERBUS_COMMON_LINK_MESSAGE_H
#define RIVERBUS_COMMON_LINK_MESSAGE_H
/*
 * The messages of a link between two nodes. One frame each: u8 type, u64 session, then the fields of its row, in order
 * (varint, zigzag, sized: common/base/cursor.h). What follows the last field is ignored, and so are unknown types below
 * 128: that is how later versions add things. Types from 128 on are the operators' (request.h).
 *
 *   1 HELLO     varint lowest version, varint highest version, u64 run, u64 answer (the session it answers, 0: none),
 *               zigzag clock, sized node name, varint n, n x (u64 scope of a feed in which records are sent: what is
 *               claimed, and all that is sent, belongs to one of these; u64 an older scope, 0: none: what was claimed
 *               under that is claimed under this one too). From n on in versions from 2; so much is read of any
 *               version, so that who speaks another one is told
 *   2 HELD      what the sender of this message holds of a stream that the other side sends:
 *               sized stream, u64 epoch created, u64 epoch random, varint last held (0: none),
 *               varint n, n x (varint from - to of the range before, varint length - 1) covered,
 *               varint m, m x (u64 run, varint first sequence) runs known of this epoch, oldest first,
 *               varint number of this message among the HELD of the session, from 1, u64 scope under which all of the
 *               ranges was claimed: one message for each feed
 *   3 HELD_END  varint how many HELD came before it in this session (one that was lost would look like nothing held)
 *   4 ATTACH    varint number (0: of none), sent on the telemetry connection, which then belongs to the session. After
 *               LATER, on either connection, it says that what was refused is sent again from this number on; until
 *               then all of that channel is answered with LATER
 *   5 BLOCK     varint number, u8 lane, u64 scope, varint covers from (0: none), varint covers to - from, the block to
 *               the end
 *   6 CLAIM     varint number, u64 scope, sized stream, u64 created, u64 random, varint from, varint to - from
 *               (nothing of this range is for you, or it was sent already). Under link_settled_scope of a feed's scope:
 *               a relay sent all it has of this range, and knows of nothing more to come; that may become untrue, so it
 *               is not told in HELD. Under link_echo_scope: all of it was at your node before, so you should have it;
 *               told in HELD like what is not for you, but not to be taken for it
 *   7 DISCARD   varint number, u64 scope, sized stream, u64 created, u64 random, varint from, varint to - from, zigzag
 *               time, sized by, sized reason
 *   8 ACK       u8 channel, varint number, varint to - number: all of these are durable
 *   9 REFUSED   u8 channel, varint number, u8 code (LINK_REFUSED_*), sized text: this one will never be taken
 *  10 LATER     u8 channel, varint number, varint to - number: these were not stored (full): send them again after a
 *               while
 *  11 PING      u64 token, zigzag clock
 *  12 PONG      u64 token, zigzag clock of the ping, zigzag clock at its receipt (sent at once, so that receipt and
 *               answer are one moment)
 *  13 PAYLOAD   u8 type of the layer above (0-63), its body to the end
 *  14 REFUSE    u8 code (LINK_CODE_*), sized text: no session; session is the one of the HELLO that is refused
 *  15 RESET     the session of the message that it answers is not known here: greet anew
 *  16 RULES     varint n, n x (u64 scope, u64 older scope) as in HELLO, in its place from here on, varint feeds (a bit
 *               each, in order) of which it is to be told what is held: HELD..., HELD_END, numbered anew
 *  17 WANT      sized stream, u64 epoch created, u64 epoch random, varint n, n x (varint from - to of the range before,
 *               varint length - 1): of this I miss what is for me; send it whatever its path. Answered with blocks, and
 *               with CLAIM under the settled scope of what will not come
 *
 * Example, a PING of session 0x0102 with token 3 at clock 64 µs:
 *   0b 02 01 00 00 00 00 00 00 03 00 00 00 00 00 00 00 80 01
 */
#include "common/base/buffer.h"
#include "common/base/interval.h"
#include "common/record/record.h"

enum link_type {
  LINK_HELLO = 1,
  LINK_HELD = 2,
  LINK_HELD_END = 3,
  LINK_ATTACH = 4,
  LINK_BLOCK = 5,
  LINK_CLAIM = 6,
  LINK_DISCARD = 7,
  LINK_ACK = 8,
  LINK_REFUSED = 9,
  LINK_LATER = 10,
  LINK_PING = 11,
  LINK_PONG = 12,
  LINK_PAYLOAD = 13,
  LINK_REFUSE = 14,
  LINK_RESET = 15,
  LINK_RULES = 16,
  LINK_WANT = 17
};
enum link_code { LINK_CODE_VERSION = 1, LINK_CODE_CLONE = 2, LINK_CODE_NAME = 3 };
/* STREAM: nothing of this stream is taken, so that in this session no more of it need be sent. */
enum link_refused { LINK_REFUSED_MALFORMED = 1, LINK_REFUSED_FORBIDDEN = 2, LINK_REFUSED_STREAM = 3 };
enum {
  LINK_VERSION = 2,      /* 1 had no scopes in HELLO and HELD, no RULES, no WANT */
  LINK_FEEDS_MAX = 16,   /* scopes in one HELLO */
  LINK_RANGES_MAX = 64,  /* ranges in one HELD: a subset of what is covered where there are more */
  LINK_RUNS_NEWEST = 64, /* of the runs in one HELD these stand without a gap between them, */
  LINK_RUNS_MAX = 112,   /* and of older ones a choice: STORE_RUNS_* in common/store/store.h */
  LINK_MESSAGE_MAX = 128 * 1024,
  LINK_MALFORMED = 1
};
struct link_run {
  uint64_t run, first;
};

/* One message, decoded; a field that its type does not have is zero. Views point into the frame. */
struct link_message {
  uint8_t type;
  uint64_t session;
  uint64_t version_low, version_high, run, answer; /* HELLO */
  int64_t clock, clock_received;                   /* HELLO, PING, PONG */
  struct bytes node;                               /* HELLO */
  uint64_t scope;                                  /* HELD, BLOCK, CLAIM, DISCARD */
  uint32_t scope_count;                            /* HELLO, RULES */
  uint64_t scopes[LINK_FEEDS_MAX], old_scopes[LINK_FEEDS_MAX];
  uint32_t asked;      /* RULES */
  struct bytes stream; /* HELD, CLAIM, DISCARD, WANT */
  struct epoch epoch;
  uint64_t last; /* HELD */
  uint32_t range_count, run_count;
  struct interval ranges[LINK_RANGES_MAX]; /* HELD, WANT: rising */
  struct link_run runs[LINK_RUNS_MAX];     /* HELD: oldest first */
  uint64_t number;   /* BLOCK, CLAIM, DISCARD, REFUSED; ACK, LATER: the first; HELD_END: the count; ATTACH: the next */
  uint64_t from, to; /* BLOCK: covers (from 0: none); CLAIM, DISCARD: sequences; ACK, LATER: `to` is the last number */
  uint8_t lane, channel, code, payload_type;
  int64_t time;            /* DISCARD */
  struct bytes by, reason; /* DISCARD; reason also REFUSED, REFUSE (text) */
  uint64_t token;          /* PING, PONG */
  struct bytes body;       /* BLOCK, PAYLOAD */
};

/* Their marks show also of rules that are long forgotten. A feed's own scope that looks like one of these costs a few
 * questions. */
enum { LINK_SETTLED_MARK = 0x7365, LINK_ECHO_MARK = 0x6563 };
static inline uint64_t link_marked_scope(uint64_t scope, uint64_t mark) {
  return (scope & UINT64_C(0x0000ffffffffffff)) | mark << 48;
}
static inline uint64_t link_settled_scope(uint64_t scope) { return link_marked_scope(scope, LINK_SETTLED_MARK); }
static inline uint64_t link_echo_scope(uint64_t scope) { return link_marked_scope(scope, LINK_ECHO_MARK); }
static inline bool link_is_settled_scope(uint64_t scope) { return scope >> 48 == LINK_SETTLED_MARK; }
static inline bool link_is_echo_scope(uint64_t scope) { return scope >> 48 == LINK_ECHO_MARK; }

void link_message_write(struct buffer *out, const struct link_message *message); /* appends */
/* LINK_MALFORMED; an unknown type is read as type alone */
int link_message_read(struct link_message *message, struct bytes frame);
#endif
