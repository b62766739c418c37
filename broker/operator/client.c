#include "broker/operator/client.h"
#include "broker/operator/output.h"
#include "common/base/mem.h"
#include "common/base/world.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct client {
  struct operator_config *config;
  struct identity *identity;
  struct net *net;
  uint64_t conn;
  struct client_events events;
  bool opened, welcome, refused;
  char node[REQUEST_TEXT_MAX + 1], name[REQUEST_TEXT_MAX + 1];
  int64_t greeted_wall, greeted_mono; /* when HELLO was sent */
  int64_t ahead;
  int64_t heard, pinged; /* mono */
  uint64_t last_id, token;
  struct buffer frame, queue;
  char lost[256];
  char why[256]; /* what the network said of the last handshake that failed */
};

/* ---- errors ---- */

void complain(const char *code, const char *hint, const char *format, ...) {
  va_list list;
  bool colour = isatty(STDERR_FILENO) && !(getenv("NO_COLOR") && *getenv("NO_COLOR"));
  fputs(colour ? "\033[31mriverbus:\033[0m " : "riverbus: ", stderr);
  va_start(list, format);
  vfprintf(stderr, format, list);
  va_end(list);
  if (code) fprintf(stderr, "\n  code: %s", code);
  if (hint && *hint) fprintf(stderr, "\n  hint: %s", hint);
  fputc('\n', stderr);
}

static enum exit_code exit_of_code(const char *code) {
  enum code known = code_parse(bytes_text(code));
  if (known == CODE_AUTHORITY || known == CODE_SIGNATURE) return EXIT_CODE_NOT_AUTHORISED;
  return known == CODE_MALFORMED ? EXIT_CODE_USAGE : EXIT_CODE_ERROR;
}

enum exit_code complain_of_reply(const json_t *body) {
  const json_t *error = json_object_get(body, "error");
  if (!error) return EXIT_CODE_DONE;
  const char *code = json_string_value(json_object_get(error, "code")),
             *message = json_string_value(json_object_get(error, "message"));
  complain(
      code ? code : "error", json_string_value(json_object_get(error, "hint")), "%s", message ? message : "refused");
  return exit_of_code(code ? code : "");
}

/* ---- messages ---- */

static int64_t mono(void) { return world_now(&world_system).mono; }

static bool send_message(struct client *client, const struct request_message *message) {
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
  if (flush_queue(client) && send_message(client, message)) return;
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

static void take_reply(struct client *client, const struct request_message *m) {
  json_t *body = json_loadb((const char *)m->body.data, m->body.len, 0, NULL);
  if (m->id == 0) {
    complain_of_reply(body);
    client->refused = true;
    snprintf(client->lost, sizeof client->lost, "the broker at %s ended the session", client->config->broker.urgent);
  } else if (client->events.reply) {
    client->events.reply(client->events.ctx, m->id, body, m->body, m->last);
  }
  json_decref(body);
}

static void on_message(void *ctx, uint64_t conn, int channel, const char *principal, struct bytes frame) {
  struct client *client = ctx;
  struct request_message m;
  (void)conn, (void)channel, (void)principal;
  client->heard = mono();
  if (request_read(&m, frame)) return;
  if (m.type == REQUEST_WELCOME)
    take_welcome(client, &m);
  else if (m.type == REQUEST_REPLY)
    take_reply(client, &m);
  else if (m.type == REQUEST_RECORDS && client->events.records)
    client->events.records(client->events.ctx, m.id, m.lane, m.position, m.body);
}

static void on_opened(void *ctx, uint64_t conn) {
  (void)conn;
  ((struct client *)ctx)->opened = true;
}

static void on_closed(void *ctx, uint64_t conn) {
  struct client *client = ctx;
  (void)conn;
  if (client->welcome)
    snprintf(client->lost, sizeof client->lost, "the connection to %s broke", client->config->broker.urgent);
}

/* Only the answer to our key is final. A handshake that breaks off may be a node that starts or ends just now, or one
 * with another key than ours for it: it is tried again until the time is up, and then said. */
static void on_refused(void *ctx, const char *address, const char *reason) {
  struct client *client = ctx;
  (void)address;
  if (client->welcome) return;
  snprintf(client->why, sizeof client->why, "%s", reason);
  client->refused = strncmp(reason, "the key is not known", 20) == 0;
}

static const char *nobody(void *ctx, const uint8_t key[32]) {
  (void)ctx, (void)key;
  return NULL; /* nobody connects to us */
}

/* ---- opening ---- */

static enum exit_code load(struct client *client, const char *path) {
  struct buffer problems = BUFFER_NULL;
  struct identity_problem problem;
  enum exit_code code = EXIT_CODE_DONE;
  if (operator_config_load(&client->config, path, &problems)) {
    fputs(buffer_text(&problems), stderr);
    complain("config", "See riverbus(1) for the file, or name another with --config FILE.",
        "the configuration %s cannot be used", path);
    code = EXIT_CODE_ERROR;
  } else if (identity_load(&client->identity, client->config->identity, &problem)) {
    complain("identity", NULL, "%s", problem.text);
    code = EXIT_CODE_ERROR;
  }
  buffer_deinit(&problems);
  return code;
}

static enum exit_code connect_net(struct client *client) {
  uint8_t key[32];
  const char *why = "the broker's key is not a valid point";
  struct net_options options = {.events = {client, nobody, on_message, on_opened, on_closed, on_refused}};
  identity_transport(client->identity, &options.transport);
  bool good = net_new(&client->net, &options) == 0 &&
              public_key_transport(&client->config->broker_keys.items[0], key) == 0 &&
              net_connect(client->net, client->config->broker.urgent, key, 0, "broker", &client->conn, &why) == 0;
  if (good) return EXIT_CODE_DONE;
  complain("connect", NULL, "cannot connect to %s: %s", client->config->broker.urgent, why);
  return EXIT_CODE_ERROR;
}

static void greet(struct client *client) {
  struct instant now = world_now(&world_system);
  client->greeted_wall = now.wall;
  client->greeted_mono = now.mono;
  send_message(client, &(struct request_message){.type = REQUEST_HELLO,
                           .version = REQUEST_VERSION,
                           .clock = now.wall,
                           .program = bytes_text("riverbus " RIVERBUS_VERSION)});
}

static enum exit_code say_unreachable(const struct client *client) {
  if (client->refused) {
    complain("authority",
        "Ask the broker's administrator to add this key to its operators (riverbus keys show FILE prints it).",
        "the broker at %s refuses the connection%s%s", client->config->broker.urgent, *client->why ? ": " : "",
        client->why);
    return EXIT_CODE_NOT_AUTHORISED;
  }
  complain("not-reachable",
      "Is the broker running, and are the endpoint and the broker's key in the configuration right?",
      "the broker at %s does not answer%s%s", client->config->broker.urgent, *client->why ? ": " : "", client->why);
  return EXIT_CODE_NOT_REACHABLE;
}

enum exit_code client_open(struct client **out, const char *config_path) {
  struct client *client = mem_alloc(sizeof *client);
  *out = client;
  enum exit_code code = load(client, config_path);
  if (code == EXIT_CODE_DONE) code = connect_net(client);
  if (code != EXIT_CODE_DONE) return code;
  int64_t until = mono() + CLIENT_CONNECT_US;
  bool greeted = false;
  while (!client->welcome && !client->refused && mono() < until) {
    if (client->opened && !greeted) {
      greet(client);
      greeted = true;
    }
    if (net_poll(client->net, NULL, 0, until - mono()) < 0) break;
  }
  client->heard = client->pinged = mono();
  return client->welcome ? EXIT_CODE_DONE : say_unreachable(client);
}

struct client *client_close(struct client *client) {
  if (!client) return NULL;
  client->net = net_free(client->net);
  client->identity = identity_free(client->identity);
  client->config = operator_config_free(client->config);
  buffer_deinit(&client->frame);
  buffer_deinit(&client->queue);
  free(client);
  return NULL;
}

void client_set_events(struct client *client, const struct client_events *events) { client->events = *events; }
const char *client_node(const struct client *client) { return client->node; }
const char *client_operator(const struct client *client) { return client->name; }
const struct identity *client_identity(const struct client *client) { return client->identity; }
int64_t client_clock_ahead(const struct client *client) { return client->ahead; }
const char *client_lost(const struct client *client) { return client->lost; }

/* ---- the loop ---- */

bool client_turn(struct client *client, struct pollfd *extra, size_t extra_count, int64_t timeout_us) {
  int64_t now = mono();
  if (*client->lost) return false;
  flush_queue(client);
  if (now - client->pinged >= REQUEST_PING_US) {
    send_message(client, &(struct request_message){
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
};

static void ask_reply(void *ctx, uint64_t id, const json_t *body, struct bytes text, bool last) {
  struct client_ask *ask = ctx;
  if (id != ask->id) return;
  ask->code = complain_of_reply(body);
  ask->done = last;
  if (!last && ask->row) ask->row(ask->ctx, body);
  if (!last) client_credit(ask->client, id, text.len);
}

enum exit_code client_ask(struct client *client, json_t *body, void (*row)(void *ctx, const json_t *reply), void *ctx) {
  struct client_ask ask = {.client = client, .row = row, .ctx = ctx};
  struct client_events before = client->events;
  client->events = (struct client_events){.ctx = &ask, .reply = ask_reply};
  ask.id = client->last_id + 1;
  client_request(client, body, 1024 * 1024);
  while (!ask.done && client_turn(client, NULL, 0, SECOND_US)) {}
  client->events = before;
  if (ask.done) return ask.code;
  complain("not-reachable", NULL, "%s", client->lost);
  return EXIT_CODE_NOT_REACHABLE;
}
