#include "broker/operator/client_internal.h"
#include "broker/operator/view.h"
#include "common/base/mem.h"
#include "common/base/world.h"
#include <stdio.h>
#include <stdlib.h>

/* ---- messages ---- */

static int64_t mono(void) { return world_now(&world_system).mono; }

bool client_send(struct client *client, const struct request_message *message) {
  buffer_clear(&client->frame);
  if (request_write(&client->frame, message)) return false;
  return net_send(client->net, client->conn, buffer_bytes(&client->frame)) == 0;
}

/* Sends what waited; true: nothing waits any more. */
static bool flush_queue(struct client *client) {
  struct reader r;
  reader_init(&r, buffer_bytes(&client->queue));
  while (reader_left(&r)) {
    struct reader before = r;
    struct bytes frame = reader_sized(&r);
    if (net_send(client->net, client->conn, frame)) {
      size_t left = reader_left(&before);
      memmove(client->queue.data, before.at, left);
      client->queue.len = left;
      return false;
    }
  }
  buffer_clear(&client->queue);
  return true;
}

/* Kept where the socket is full (what we ask is small), and sent by a later turn: this is also called from within a
 * turn. */
static void send_surely(struct client *client, const struct request_message *message) {
  struct writer w;
  if (flush_queue(client) && client_send(client, message)) return;
  buffer_clear(&client->frame);
  if (request_write(&client->frame, message)) return;
  writer_init(&w, &client->queue, SIZE_MAX);
  writer_sized(&w, buffer_bytes(&client->frame));
}

uint64_t client_request(struct client *client, json_t *body, uint64_t window) {
  char *text = json_dumps(body, JSON_COMPACT);
  uint64_t id = ++client->last_id;
  send_surely(
      client, &(struct request_message){.type = REQUEST_REQUEST, .id = id, .window = window, .body = bytes_text(text)});
  free(text);
  json_decref(body);
  return id;
}

uint64_t client_command(struct client *client, struct bytes command, uint64_t window) {
  uint64_t id = ++client->last_id;
  send_surely(client, &(struct request_message){.type = REQUEST_COMMAND, .id = id, .window = window, .body = command});
  return id;
}

void client_credit(struct client *client, uint64_t id, uint64_t bytes) {
  if (bytes) send_surely(client, &(struct request_message){.type = REQUEST_CREDIT, .id = id, .window = bytes});
}

void client_ack(struct client *client, uint64_t id, enum lane lane, uint64_t position, uint64_t within) {
  send_surely(client,
      &(struct request_message){.type = REQUEST_ACK, .id = id, .lane = lane, .position = position, .within = within});
}

void client_cancel(struct client *client, uint64_t id) {
  send_surely(client, &(struct request_message){.type = REQUEST_CANCEL, .id = id});
}

static void take_welcome(struct client *client, const struct request_message *m) {
  int64_t round_trip = mono() - client->greeted_mono;
  client->welcome = true;
  client->ahead = client->greeted_wall + round_trip / 2 - m->clock;
  snprintf(client->node, sizeof client->node, BYTES_FMT, BYTES_ARG(m->node));
  snprintf(client->name, sizeof client->name, BYTES_FMT, BYTES_ARG(m->name));
}

/* Under id 0 the node speaks of the connection itself: it ends here. */
static void take_end(struct client *client, const json_t *body, struct bytes text) {
  const char *message = view_text(json_object_get(body, "error"), "message");
  snprintf(client->lost, sizeof client->lost, "the broker at %s ended the session: %s", client->config->broker.urgent,
      *message ? message : "it does not say why");
  if (client->welcome) return;
  client->refused = true;
  buffer_clear(&client->said);
  buffer_append(&client->said, text);
}

static void take_reply(struct client *client, const struct request_message *m) {
  json_t *body = json_loadb((const char *)m->body.data, m->body.len, 0, NULL);
  if (!json_is_object(body))
    snprintf(client->lost, sizeof client->lost, "what the broker at %s says is no answer in our protocol",
        client->config->broker.urgent);
  else if (m->id == 0)
    take_end(client, body, m->body);
  else if (client->events.reply)
    client->events.reply(client->events.ctx, m->id, body, m->body, m->last);
  json_decref(body);
}

void client_take(struct client *client, struct bytes frame) {
  struct request_message m;
  client->heard = mono();
  if (request_read(&m, frame)) return;
  if (m.type == REQUEST_WELCOME)
    take_welcome(client, &m);
  else if (m.type == REQUEST_REPLY)
    take_reply(client, &m);
  else if (m.type == REQUEST_RECORDS && client->events.records)
    client->events.records(client->events.ctx, m.id, m.lane, m.position, m.body);
}

void client_set_events(struct client *client, const struct client_events *events) { client->events = *events; }
const char *client_node(const struct client *client) { return client->node; }
const char *client_operator(const struct client *client) { return client->name; }
const struct identity *client_identity(const struct client *client) { return client->identity; }
const struct operator_config *client_config(const struct client *client) { return client->config; }
int64_t client_clock_ahead(const struct client *client) { return client->ahead; }
const char *client_endpoint(const struct client *client) { return client->config->broker.urgent; }
const char *client_lost(const struct client *client) { return client->lost; }

/* ---- the loop ---- */

bool client_turn(struct client *client, struct pollfd *extra, size_t extra_count, int64_t timeout_us) {
  int64_t now = mono();
  if (*client->lost) return false;
  flush_queue(client);
  if (now - client->pinged >= REQUEST_PING_US) {
    client_send(client, &(struct request_message){
                            .type = REQUEST_PING, .token = ++client->token, .clock = world_now(&world_system).wall});
    client->pinged = now;
  }
  int64_t wait = client->pinged + REQUEST_PING_US - now;
  if (net_poll(client->net, extra, extra_count, timeout_us < wait ? timeout_us : wait) < 0)
    snprintf(client->lost, sizeof client->lost, "the network failed");
  if (mono() - client->heard > REQUEST_DEAD_US && !*client->lost)
    snprintf(
        client->lost, sizeof client->lost, "the broker at %s does not answer any more", client->config->broker.urgent);
  return !*client->lost;
}

struct client_ask {
  struct client *client;
  uint64_t id;
  bool done;
  enum exit_code code;
  void (*row)(void *ctx, const json_t *reply);
  void *ctx;
  json_t **last; /* NULL: the last reply holds nothing */
};

static void ask_reply(void *ctx, uint64_t id, const json_t *body, struct bytes text, bool last) {
  struct client_ask *ask = ctx;
  if (id != ask->id) return;
  ask->code = complain_of_reply(body);
  ask->done = last;
  if (!last && ask->row) ask->row(ask->ctx, body);
  if (!last) client_credit(ask->client, id, text.len);
  if (last && ask->last && ask->code == EXIT_CODE_DONE) *ask->last = json_incref((json_t *)(uintptr_t)body);
}

static enum exit_code ask_and_wait(struct client *client, json_t *body, struct client_ask *ask) {
  struct client_events before = client->events;
  client->events = (struct client_events){.ctx = ask, .reply = ask_reply};
  ask->id = client->last_id + 1;
  client_request(client, body, 1024 * 1024);
  while (!ask->done && client_turn(client, NULL, 0, SECOND_US)) {}
  client->events = before;
  if (ask->done) return ask->code;
  complain("not-reachable", NULL, "%s", client->lost);
  return EXIT_CODE_NOT_REACHABLE;
}

enum exit_code client_ask(struct client *client, json_t *body, void (*row)(void *ctx, const json_t *reply), void *ctx) {
  return ask_and_wait(client, body, &(struct client_ask){.client = client, .row = row, .ctx = ctx});
}

enum exit_code client_fetch(struct client *client, json_t *body, json_t **reply) {
  *reply = NULL;
  return ask_and_wait(client, body, &(struct client_ask){.client = client, .last = reply});
}
