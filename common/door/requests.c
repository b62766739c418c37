#include "common/door/requests.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/table.h"
#include <sodium.h>
#include <stdlib.h>

struct waiting {
  struct waiting *next;
  struct buffer frame;
};

struct session {
  struct requests *owner;
  uint64_t conn;
  char *principal;
  const struct requester *who;
  bool greeted, refused, doomed;
  int64_t heard; /* mono */
  struct request *requests;
  size_t request_count;
  struct waiting *first, **last; /* replies that the socket did not take */
  size_t waiting_bytes;
};

struct requests {
  char *node;
  const struct world *world;
  struct requests_hooks hooks;
  size_t sessions_max;
  struct table sessions; /* conn (8 bytes) -> session */
  struct buffer frame;   /* reused for what is sent */
  struct bytes command;  /* during start of a COMMAND */
  uint64_t malformed;
  struct log_limit limit;
  bool want_more; /* a send failed: call `more` again at the next tick */
};

struct requests *requests_new(const char *node, const struct world *world, const struct requests_hooks *hooks) {
  struct requests *requests = mem_alloc(sizeof *requests);
  requests->node = mem_text(node, strlen(node));
  requests->world = world;
  requests->hooks = *hooks;
  requests->sessions_max = SESSIONS_MAX;
  requests->limit = (struct log_limit){.interval_us = SECOND_US, .burst = 5};
  return requests;
}

static struct bytes conn_key(const uint64_t *conn) { return bytes_of(conn, sizeof *conn); }

void requests_set_sessions(struct requests *requests, size_t most) { requests->sessions_max = most; }
size_t requests_sessions(const struct requests *requests) { return requests->sessions.count; }
uint64_t requests_malformed(const struct requests *requests) { return requests->malformed; }

/* ---- ends ---- */

static void request_free(struct request *request) {
  struct session *session = request->session;
  struct request **at = &session->requests;
  while (*at != request) at = &(*at)->next;
  *at = request->next;
  session->request_count--;
  if (request->verb->end) request->verb->end(session->owner->hooks.verb_ctx, request);
  free(request);
}

static void waiting_free(struct waiting *waiting) {
  buffer_deinit(&waiting->frame);
  free(waiting);
}

static void session_free(struct session *session) {
  while (session->requests) request_free(session->requests);
  while (session->first) {
    struct waiting *next = session->first->next;
    waiting_free(session->first);
    session->first = next;
  }
  free(session->principal);
  free(session);
}

static void session_drop(struct session *session, bool close) {
  struct requests *requests = session->owner;
  uint64_t conn = session->conn;
  table_remove(&requests->sessions, conn_key(&conn));
  session_free(session);
  if (close) requests->hooks.close(requests->hooks.ctx, conn);
}

struct requests *requests_free(struct requests *requests) {
  if (!requests) return NULL;
  struct table_cursor cursor = TABLE_CURSOR_NULL;
  void *session;
  while (table_next(&requests->sessions, &cursor, NULL, &session)) session_free(session);
  table_deinit(&requests->sessions, NULL);
  buffer_deinit(&requests->frame);
  free(requests->node);
  free(requests);
  return NULL;
}

void requests_closed(struct requests *requests, uint64_t conn) {
  struct session *session = table_get(&requests->sessions, conn_key(&conn));
  if (session) session_drop(session, false);
}

/* ---- sending ---- */

/* A client that is gone is dropped by the next tick. */
static bool send_bytes(struct session *session, struct bytes frame) {
  struct requests *requests = session->owner;
  enum requests_send outcome = requests->hooks.send(requests->hooks.ctx, session->conn, frame);
  if (outcome == REQUESTS_GONE) session->doomed = true;
  return outcome == REQUESTS_SENT;
}

static bool send_frame(struct session *session, const struct request_message *message) {
  struct buffer *frame = &session->owner->frame;
  buffer_clear(frame);
  return request_write(frame, message) == 0 && send_bytes(session, buffer_bytes(frame));
}

/* A message without a window: kept where the socket is full, so that no state of a command is lost on the way. */
static void send_or_wait(struct session *session, const struct request_message *message) {
  struct requests *requests = session->owner;
  if (session->doomed || (!session->first && send_frame(session, message))) return;
  struct waiting *waiting = mem_alloc(sizeof *waiting);
  if (request_write(&waiting->frame, message) || session->waiting_bytes + waiting->frame.len > SESSION_WAITING_MAX) {
    log_warning("requests", session->principal, "does not read its answers: the session is closed");
    waiting_free(waiting);
    session->doomed = true;
    requests->want_more = true;
    return;
  }
  session->waiting_bytes += waiting->frame.len;
  if (!session->first) session->last = &session->first;
  *session->last = waiting;
  session->last = &waiting->next;
  requests->want_more = true;
}

static void flush_waiting(struct session *session) {
  struct requests *requests = session->owner;
  while (session->first) {
    struct waiting *waiting = session->first;
    if (!send_bytes(session, buffer_bytes(&waiting->frame))) {
      requests->want_more = true;
      return;
    }
    session->waiting_bytes -= waiting->frame.len;
    session->first = waiting->next;
    waiting_free(waiting);
  }
}

void request_reply_text(struct request *request, struct bytes text, bool last) {
  struct request_message message = {.type = REQUEST_REPLY, .id = request->id, .last = last, .body = text};
  send_or_wait(request->session, &message);
  if (last) request_free(request);
}

void request_reply(struct request *request, json_t *body, bool last) {
  char *text = json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(15));
  json_decref(body);
  request_reply_text(request, bytes_text(text), last);
  free(text);
}

static json_t *error_body(const char *code, const char *message, const char *hint) {
  return json_pack("{s:{s:s,s:s,s:s?}}", "error", "code", code, "message", message, "hint", hint);
}

void request_refuse(struct request *request, const char *code, const char *message, const char *hint) {
  request_reply(request, error_body(code, message, hint), true);
}

/* The last bytes of a window are lent generously: it never goes below zero for the next one. */
static bool send_charged(struct request *request, const struct request_message *message) {
  struct session *session = request->session;
  if (!request->window) return false;
  if (session->first || session->doomed || !send_frame(session, message)) {
    session->owner->want_more = true;
    return false;
  }
  request->window -= message->body.len < request->window ? message->body.len : request->window;
  return true;
}

bool request_rows(struct request *request, struct bytes text) {
  return send_charged(request, &(struct request_message){.type = REQUEST_REPLY, .id = request->id, .body = text});
}

bool request_records(struct request *request, enum lane lane, uint64_t position, struct bytes block) {
  return send_charged(
      request, &(struct request_message){
                   .type = REQUEST_RECORDS, .id = request->id, .lane = lane, .position = position, .body = block});
}

void request_again(struct request *request) { request->session->owner->want_more = true; }

const struct requester *request_requester(const struct request *request) { return request->session->who; }
struct bytes request_command(const struct request *request) {
  return request->session->owner->command;
}

bool request_read_bytes(const json_t *text, size_t most, struct buffer *out) {
  size_t len = json_string_length(text), got = 0;
  if (!len || len / 4 * 3 > most + 2) return false;
  buffer_reserve(out, out->len + len);
  if (sodium_base642bin(
          out->data + out->len, len, json_string_value(text), len, NULL, &got, NULL, sodium_base64_VARIANT_ORIGINAL) ||
      got > most)
    return false;
  out->len += got;
  return true;
}

/* ---- receiving ---- */

static struct request *request_find(struct session *session, uint64_t id) {
  struct request *request = session->requests;
  while (request && request->id != id) request = request->next;
  return request;
}

static void refuse_session(struct session *session, const char *code, const char *text, const char *hint) {
  json_t *body = error_body(code, text, hint);
  char *json = json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(15));
  send_or_wait(session, &(struct request_message){.type = REQUEST_REPLY, .last = true, .body = bytes_text(json)});
  free(json);
  json_decref(body);
}

static void take_hello(struct session *session, const struct request_message *m) {
  struct requests *requests = session->owner;
  if (m->version != REQUEST_VERSION) {
    refuse_session(session, "unsupported", "the command line speaks another version of the protocol than this node",
        "Install the same version of riverbus on both.");
    return;
  }
  session->greeted = true;
  send_or_wait(session, &(struct request_message){.type = REQUEST_WELCOME,
                            .version = REQUEST_VERSION,
                            .clock = world_now(requests->world).wall,
                            .node = bytes_text(requests->node),
                            .name = bytes_text(session->who->name)});
}

static void take_ping(struct session *session, const struct request_message *m) {
  send_or_wait(session, &(struct request_message){
                            .type = REQUEST_PONG, .token = m->token, .clock = world_now(session->owner->world).wall});
}

static struct request *request_new(
    struct session *session, const struct request_message *m, const struct request_verb *verb) {
  struct request *request = mem_alloc(sizeof *request);
  request->session = session;
  request->id = m->id;
  request->window = m->window < REQUEST_WINDOW_MAX ? m->window : REQUEST_WINDOW_MAX;
  request->verb = verb;
  request->next = session->requests;
  session->requests = request;
  session->request_count++;
  return request;
}

static void no_start(void *ctx, struct request *request, const json_t *body) {
  bool named = json_is_string(json_object_get(body, "verb"));
  (void)ctx;
  request_refuse(request, named ? "unsupported" : "malformed", "this node does not know that request",
      "Install the same version of riverbus on both.");
}
static const struct request_verb unknown_verb = {.name = "", .start = no_start};

static const struct request_verb *verb_find(const struct requests *requests, const json_t *body) {
  const char *name = json_string_value(json_object_get(body, "verb"));
  for (const struct request_verb *verb = requests->hooks.verbs; name && verb->name; verb++)
    if (strcmp(verb->name, name) == 0) return verb;
  return &unknown_verb;
}

static bool request_may_start(struct session *session, const struct request_message *m) {
  if (m->id == 0 || request_find(session, m->id)) {
    session->owner->malformed++;
    return false;
  }
  if (session->request_count < SESSION_REQUESTS_MAX) return true;
  json_t *body = error_body("full", "too many requests are open in this session", "End some of them first.");
  char *json = json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(15));
  send_or_wait(
      session, &(struct request_message){.type = REQUEST_REPLY, .id = m->id, .last = true, .body = bytes_text(json)});
  free(json);
  json_decref(body);
  return false;
}

static void take_request(struct session *session, const struct request_message *m) {
  struct requests *requests = session->owner;
  if (!request_may_start(session, m)) return;
  json_t *body = json_loadb((const char *)m->body.data, m->body.len, JSON_REJECT_DUPLICATES, NULL);
  const struct request_verb *verb = verb_find(requests, body);
  verb->start(requests->hooks.verb_ctx, request_new(session, m, verb), body);
  json_decref(body);
}

static void take_command(struct session *session, const struct request_message *m) {
  struct requests *requests = session->owner;
  if (!request_may_start(session, m)) return;
  const struct request_verb *verb = requests->hooks.command ? requests->hooks.command : &unknown_verb;
  requests->command = m->body;
  verb->start(requests->hooks.verb_ctx, request_new(session, m, verb), NULL);
  requests->command = BYTES_NULL;
}

static void take_credit(struct session *session, const struct request_message *m) {
  struct request *request = request_find(session, m->id);
  if (!request) return;
  uint64_t room = REQUEST_WINDOW_MAX - request->window;
  request->window += m->window < room ? m->window : room;
  if (request->verb->more) request->verb->more(session->owner->hooks.verb_ctx, request);
}

static void take_ack(struct session *session, const struct request_message *m) {
  struct request *request = request_find(session, m->id);
  if (request && request->verb->ack) request->verb->ack(session->owner->hooks.verb_ctx, request, m);
}

static void take_cancel(struct session *session, const struct request_message *m) {
  struct request *request = request_find(session, m->id);
  if (!request) return;
  if (request->verb->cancel)
    request->verb->cancel(session->owner->hooks.verb_ctx, request);
  else
    request_reply(request, json_pack("{s:b}", "cancelled", 1), true);
}

static void (*const takers[REQUEST_TYPES_END - REQUEST_HELLO])(
    struct session *session, const struct request_message *m) = {
    [REQUEST_HELLO - REQUEST_HELLO] = take_hello,
    [REQUEST_PING - REQUEST_HELLO] = take_ping,
    [REQUEST_REQUEST - REQUEST_HELLO] = take_request,
    [REQUEST_COMMAND - REQUEST_HELLO] = take_command,
    [REQUEST_CREDIT - REQUEST_HELLO] = take_credit,
    [REQUEST_ACK - REQUEST_HELLO] = take_ack,
    [REQUEST_CANCEL - REQUEST_HELLO] = take_cancel,
};

static void note_malformed(struct requests *requests, const char *principal) {
  uint64_t suppressed;
  requests->malformed++;
  if (log_allow(&requests->limit, world_now(requests->world).mono, &suppressed))
    log_warning("requests", principal, "sent a malformed or unexpected message: dropped");
}

/* It was forgotten here, or never greeted: told once, so that it does not wait for answers that cannot come. */
static void refuse_stranger(struct session *session) {
  session->owner->malformed++;
  if (session->refused) return;
  session->refused = true;
  refuse_session(session, "session", "this node does not know the session (any more)", "Run the command again.");
}

static struct session *session_get(struct requests *requests, const char *principal, uint64_t conn) {
  struct session *session = table_get(&requests->sessions, conn_key(&conn));
  if (session) return session;
  const struct requester *who = requests->hooks.requester(requests->hooks.ctx, principal);
  if (!who || requests->sessions.count >= requests->sessions_max) {
    requests->hooks.close(requests->hooks.ctx, conn);
    return NULL;
  }
  session = mem_alloc(sizeof *session);
  session->owner = requests;
  session->conn = conn;
  session->principal = mem_text(principal, strlen(principal));
  session->who = who;
  table_put(&requests->sessions, conn_key(&conn), session);
  return session;
}

void requests_receive(struct requests *requests, const char *principal, uint64_t conn, struct bytes frame) {
  struct request_message message;
  struct session *session = session_get(requests, principal, conn);
  if (!session || session->doomed) return;
  session->heard = world_now(requests->world).mono;
  bool good = request_read(&message, frame) == 0 && takers[message.type - REQUEST_HELLO];
  if (good && !session->greeted && message.type != REQUEST_HELLO) {
    refuse_stranger(session);
    return;
  }
  if (!good) {
    note_malformed(requests, principal);
    return;
  }
  takers[message.type - REQUEST_HELLO](session, &message);
}

/* ---- time ---- */

static void session_more(struct session *session) {
  flush_waiting(session);
  for (struct request *request = session->requests, *next; request && !session->first; request = next) {
    next = request->next;
    if (request->verb->more) request->verb->more(session->owner->hooks.verb_ctx, request);
  }
}

int64_t requests_tick(struct requests *requests) {
  int64_t now = world_now(requests->world).mono;
  bool more = requests->want_more;
  requests->want_more = false;
  struct table_cursor cursor = TABLE_CURSOR_NULL;
  void *value;
  while (table_next(&requests->sessions, &cursor, NULL, &value)) {
    struct session *session = value;
    if (session->doomed || now - session->heard > REQUEST_DEAD_US)
      session_drop(session, true);
    else if (more)
      session_more(session);
  }
  return now + (requests->want_more ? 5 * MILLISECOND_US : SECOND_US);
}

void requests_recheck(struct requests *requests) {
  struct table_cursor cursor = TABLE_CURSOR_NULL;
  void *value;
  while (table_next(&requests->sessions, &cursor, NULL, &value)) {
    struct session *session = value;
    session->who = requests->hooks.requester(requests->hooks.ctx, session->principal);
    if (session->who) continue;
    refuse_session(
        session, "authority", "this key is no longer an operator's here", "Ask the administrator of the node.");
    session_drop(session, true);
  }
}
