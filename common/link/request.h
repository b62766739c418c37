#ifndef RIVERBUS_COMMON_LINK_REQUEST_H
#define RIVERBUS_COMMON_LINK_REQUEST_H
/*
 * The operators' protocol: what the command line and a node say to each other. It shares the urgent ROUTER port with
 * the links between nodes; message types below 128 are the links', from 128 on they are these. Every message is one
 * frame: u8 type, then the fields of its row, in order (varint, zigzag and sized as in common/base/cursor.h):
 *
 *   128 HELLO    client -> node   varint version, zigzag clock (wall, µs UTC), sized program
 *   129 WELCOME  node -> client   varint version, zigzag clock, sized node name, sized operator name
 *   130 PING     client -> node   varint token, zigzag clock          every REQUEST_PING_US
 *   131 PONG     node -> client   varint token, zigzag clock
 *   132 REQUEST  client -> node   varint id, varint window, sized JSON object with "verb"
 *   133 COMMAND  client -> node   varint id, varint window, sized signed command (common/command/command.h), carried
 *                                 verbatim
 *   134 REPLY    node -> client   varint id, u8 last, sized JSON object
 *   135 RECORDS  node -> client   varint id, u8 lane, varint position, sized block
 *   136 CREDIT   client -> node   varint id, varint bytes             more that may be sent
 *   137 ACK      client -> node   varint id, u8 lane, varint position, varint within
 *                                 everything up to that position is safe with the client, and of the entry that follows
 *                                 it all records up to the sequence `within` (0: none): a run that ends in the middle
 *                                 of a block resumes there
 *   138 CANCEL   client -> node   varint id                           the node answers with a last REPLY
 *
 * A request is open from REQUEST or COMMAND until the REPLY with last = 1; its id is the client's, from 1, never used
 * again in the same connection. The bytes of REPLY (not the last) and RECORDS payloads are charged to the request's
 * window: the node sends no more than it was granted, so a client that does not read costs the node nothing but its own
 * place. An error is a last REPLY {"error": {"code", "message", "hint"}}. Id 0 is the connection itself: an error under
 * it refuses the connection.
 *
 * The first message of a connection is HELLO; nothing else is answered before it. A node that heard nothing for
 * REQUEST_DEAD_US forgets the client; a client that heard nothing for as long says that the node is not reachable.
 */
#include "common/base/buffer.h"
#include "common/record/record.h"

enum request_type {
  REQUEST_HELLO = 128,
  REQUEST_WELCOME = 129,
  REQUEST_PING = 130,
  REQUEST_PONG = 131,
  REQUEST_REQUEST = 132,
  REQUEST_COMMAND = 133,
  REQUEST_REPLY = 134,
  REQUEST_RECORDS = 135,
  REQUEST_CREDIT = 136,
  REQUEST_ACK = 137,
  REQUEST_CANCEL = 138,
  REQUEST_TYPES_END = 139
};
enum {
  REQUEST_VERSION = 1,
  REQUEST_JSON_MAX = 96 * 1024, /* a JSON body; longer answers come in several replies */
  /* four times COMMAND_MAX of common/command/command.h: who sends one that is too large is told so */
  REQUEST_COMMAND_MAX = 64 * 1024,
  REQUEST_TEXT_MAX = 255, /* program, node and operator names */
  REQUEST_WINDOW_MAX = 4 * 1024 * 1024,
  REQUEST_PING_US = 1000000,
  REQUEST_DEAD_US = 6000000,
  REQUEST_MALFORMED = 1
};

struct request_message {
  enum request_type type;
  uint64_t version;     /* HELLO, WELCOME */
  int64_t clock;        /* HELLO, WELCOME, PING, PONG */
  struct bytes program; /* HELLO */
  struct bytes node;    /* WELCOME */
  struct bytes name;    /* WELCOME: of the operator */
  uint64_t token;       /* PING, PONG */
  uint64_t id;          /* REQUEST and all below */
  uint64_t window;      /* REQUEST, COMMAND: bytes; CREDIT: bytes more */
  bool last;            /* REPLY */
  enum lane lane;       /* RECORDS, ACK */
  uint64_t position;    /* RECORDS, ACK */
  uint64_t within;      /* ACK */
  struct bytes body;    /* JSON, command or block: a view of the frame */
};

/* Appends the frame. The sizes of the fields are the caller's promise: REQUEST_MALFORMED where one is too large, then
 * nothing is appended. */
int request_write(struct buffer *out, const struct request_message *message);
/* Reads one frame; the views point into it. REQUEST_MALFORMED: unknown type, a field cut off, out of range, or
 * something left over. */
int request_read(struct request_message *message, struct bytes frame);
#endif
