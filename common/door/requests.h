#ifndef RIVERBUS_COMMON_DOOR_REQUESTS_H
#define RIVERBUS_COMMON_DOOR_REQUESTS_H
/*
 * The server side of the operators' protocol (common/link/request.h): sessions, the requests open in each, windows and
 * replies. Pure: messages and time in, messages out by hooks. What a request means is decided by a table of verbs that
 * the owner brings; nothing here knows a broker, so that a station's own door can use it as it is.
 *
 * Bounds: sessions, requests of a session, bytes of a request under way (its window), small replies that wait because
 * the socket is full (then the session is cut: a client that does not read loses its place and nothing else).
 */
#include "common/base/buffer.h"
#include "common/base/world.h"
#include "common/command/check.h"
#include "common/link/request.h"
#include <jansson.h>

enum { SESSIONS_MAX = 512, SESSION_REQUESTS_MAX = 64, SESSION_WAITING_MAX = 512 * 1024 };

/* Who asks, and what they may see. Lives as long as the owner's configuration; the owner calls requests_recheck after a
 * reload. */
struct requester {
  const char *name;
  const struct patterns *read;
};

struct requests;
struct session;
struct request_verb;

struct request {
  struct session *session;
  uint64_t id;
  uint64_t window; /* bytes that may still be sent */
  const struct request_verb *verb;
  void *state; /* the verb's own */
  struct request *next;
};

struct request_verb {
  const char *name;
  /* Begins. Exactly one of: a last reply was sent (request_reply, request_refuse), or the request stays open. */
  void (*start)(void *ctx, struct request *request, const json_t *body);
  void (*more)(void *ctx, struct request *request); /* the window grew, or the socket may take more; NULL: not needed */
  void (*ack)(void *ctx, struct request *request, const struct request_message *ack); /* NULL: ignored */
  /* The client cancels. NULL: the request just ends. Else the verb sends the last reply, now or later. */
  void (*cancel)(void *ctx, struct request *request);
  /* free state: after the last reply, or when the session is gone; NULL: none */
  void (*end)(void *ctx, struct request *request);
};

enum requests_send { REQUESTS_SENT = 0, REQUESTS_FULL = 1, REQUESTS_GONE = 2 };
struct requests_hooks {
  void *ctx;
  enum requests_send (*send)(void *ctx, uint64_t conn, struct bytes message); /* never blocks */
  void (*close)(void *ctx, uint64_t conn);
  const struct requester *(*requester)(void *ctx, const char *principal); /* NULL: not (any more) an operator */
  void *verb_ctx;
  const struct request_verb *verbs;   /* ends with a NULL name */
  const struct request_verb *command; /* takes COMMAND messages; body is NULL, see request_command */
};

struct requests *requests_new(const char *node, const struct world *world, const struct requests_hooks *hooks);
struct requests *requests_free(struct requests *requests);
void requests_set_sessions(struct requests *requests, size_t most); /* SESSIONS_MAX unless said otherwise */
void requests_receive(struct requests *requests, const char *principal, uint64_t conn, struct bytes message);
void requests_closed(struct requests *requests, uint64_t conn);
/* Drops silent clients, sends what waited. Returns when to call again at the latest, µs mono. */
int64_t requests_tick(struct requests *requests);
/* After a reload: sessions whose principal is no operator any more are closed, the others see their new rights. */
void requests_recheck(struct requests *requests);
size_t requests_sessions(const struct requests *requests);
uint64_t requests_malformed(const struct requests *requests);

/* ---- for verbs ---- */
const struct requester *request_requester(const struct request *request);
struct bytes request_command(const struct request *request); /* the body of a COMMAND message, valid during start */
/* Sends a reply that is not charged to the window; takes the reference of body. After last the request is gone: do not
 * touch it. */
void request_reply(struct request *request, json_t *body, bool last);
/* A JSON text, the same way. */
void request_reply_text(struct request *request, struct bytes text, bool last);
void request_refuse(struct request *request, const char *code, const char *message, const char *hint);
/* Charged to the window: false, and nothing sent, when the window or the socket is full: `more` is called when it may
 * work. A body is sent where at least one byte of window is left, so that the largest block passes the smallest window.
 */
bool request_rows(struct request *request, struct bytes text);
/* Calls `more` soon: for a verb that has much to look through and lets others have their turn. */
void request_again(struct request *request);
/* Bytes that stand in a request as base64 (RFC 4648, section 4), as value_put_json writes them: appended. False: it is
 * no such text, or more than `most` bytes. */
bool request_read_bytes(const json_t *text, size_t most, struct buffer *out);
bool request_records(struct request *request, enum lane lane, uint64_t position, struct bytes block);
#endif
