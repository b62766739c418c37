/* The way to a session: configuration, keys in turn, greeting, and what is said when it does not come. */
#include "broker/operator/client_internal.h"
#include "broker/operator/probe.h"
#include "common/base/mem.h"
#include "common/base/world.h"
#include <stdio.h>
#include <stdlib.h>

#define PAUSE_US (200 * MILLISECOND_US)
#define PAUSE_MAX_US (5 * SECOND_US)

static int64_t mono(void) { return world_now(&world_system).mono; }

/* ---- what the network says ---- */

static void on_message(void *ctx, uint64_t conn, int channel, const char *principal, struct bytes frame) {
  (void)conn, (void)channel, (void)principal;
  client_take(ctx, frame);
}

static void on_opened(void *ctx, uint64_t conn) {
  struct client *client = ctx;
  (void)conn;
  client->opened = true;
}

/* The network connects again by itself; the session does not come back with it. */
static void on_closed(void *ctx, uint64_t conn) {
  struct client *client = ctx;
  (void)conn;
  client->opened = client->greeted = false;
  if (client->welcome)
    snprintf(client->lost, sizeof client->lost, "the connection to %s broke", client->config->broker.urgent);
}

/* Only the answer to our key is final. A handshake that breaks off may be a node that starts or ends just now, or one
 * with another key than the one tried. */
static void on_refused(void *ctx, const char *address, const char *reason) {
  struct client *client = ctx;
  (void)address;
  if (client->welcome) return;
  if (strncmp(reason, "the key is not known", 20) == 0)
    client->refused = true;
  else
    client->broke = true;
}

static const char *nobody(void *ctx, const uint8_t key[32]) {
  (void)ctx, (void)key;
  return NULL; /* nobody connects to us */
}

/* ---- trying ---- */

static void begin(struct client *client) {
  uint8_t key[32];
  const char *why = "the broker's key is not a valid point";
  if (public_key_transport(&client->config->broker_keys.items[client->key], key) == 0 &&
      net_connect(client->net, client->config->broker.urgent, key, 0, "broker", &client->conn, &why) == 0)
    return;
  client->broke = true;
}

/* The next key at once, the list anew after a pause. */
static void turn_to_next_key(struct client *client) {
  if (client->conn) net_close(client->net, client->conn);
  client->conn = 0;
  client->opened = client->greeted = client->broke = false;
  client->broken++;
  client->key = (client->key + 1) % client->config->broker_keys.count;
  if (client->key) return;
  client->next = mono() + client->pause;
  client->pause = client->pause * 2 < PAUSE_MAX_US ? client->pause * 2 : PAUSE_MAX_US;
}

static void greet(struct client *client) {
  struct instant now = world_now(&world_system);
  client->greeted_wall = now.wall;
  client->greeted_mono = now.mono;
  client->greeted = client_send(client, &(struct request_message){.type = REQUEST_HELLO,
                                            .version = REQUEST_VERSION,
                                            .clock = now.wall,
                                            .program = bytes_text("riverbus " RIVERBUS_VERSION)});
}

void client_again(struct client *client) {
  if (client->conn) net_close(client->net, client->conn);
  client->conn = 0;
  client->opened = client->greeted = client->welcome = client->broke = client->refused = false;
  client->broken = 0;
  client->next = mono();
  client->pause = PAUSE_US;
  *client->lost = '\0';
  buffer_clear(&client->queue);
}

enum client_standing client_try(struct client *client, struct pollfd *extra, size_t extra_count, int64_t timeout_us) {
  if (client->broke) turn_to_next_key(client);
  int64_t left = client->next - mono();
  if (!client->conn && left <= 0) begin(client);
  int64_t wait = !client->conn && left > 0 && left < timeout_us ? left : timeout_us;
  if (client->opened && !client->greeted) greet(client);
  if (!client->broke) net_poll(client->net, extra, extra_count, wait);
  client->heard = client->pinged = mono();
  if (client->refused) return CLIENT_REFUSED;
  return client->welcome ? CLIENT_STANDS : CLIENT_TRIES;
}

bool client_meets_stranger(const struct client *client) {
  return client->broken >= CLIENT_ROUNDS * client->config->broker_keys.count;
}

/* ---- what is said ---- */

static enum exit_code complain_of_own_key(const struct client *client) {
  struct public_key key;
  char text[IDENTITY_KEY_TEXT + 1];
  identity_public(client->identity, &key);
  public_key_text(&key, text);
  complain("authority",
      "Is this the right identity? If so, let the broker's administrator add the key under operators: and reload.",
      "the broker at %s does not know our key %s (identity: %s, in %s)", client->config->broker.urgent, text,
      client->config->identity, client->config_path);
  return EXIT_CODE_NOT_AUTHORISED;
}

static enum exit_code complain_of_stranger(const struct client *client) {
  char text[IDENTITY_KEY_TEXT + 1];
  size_t count = client->config->broker_keys.count;
  public_key_text(&client->config->broker_keys.items[0], text);
  complain("not-reachable",
      "Ask the broker's administrator for its public key (there: riverbus keys show FILE), and check that the endpoint "
      "is what its listen: says.",
      "what answers at %s does not prove to be our broker: it breaks off, as it does when its key is not %s%s "
      "(broker: key: in %s)",
      client->config->broker.urgent, text, count > 1 ? " or one of the others" : "", client->config_path);
  return EXIT_CODE_NOT_REACHABLE;
}

static enum exit_code complain_of_silence(const struct client *client) {
  char why[256];
  probe(client->config->broker.urgent, why, sizeof why);
  complain("not-reachable", "Is the broker running, and is broker: endpoint: what its listen: says?",
      "the broker at %s does not answer: %s (from %s)", client->config->broker.urgent, why, client->config_path);
  return EXIT_CODE_NOT_REACHABLE;
}

enum exit_code client_complain(const struct client *client) {
  if (client->refused && client->said.len) {
    json_t *body = json_loadb((const char *)client->said.data, client->said.len, 0, NULL);
    enum exit_code code = complain_of_reply(body);
    json_decref(body);
    return code ? code : EXIT_CODE_ERROR;
  }
  if (client->refused) return complain_of_own_key(client);
  return client_meets_stranger(client) ? complain_of_stranger(client) : complain_of_silence(client);
}

/* ---- opening ---- */

static enum exit_code load(struct client *client, const char *path) {
  struct buffer problems = BUFFER_NULL;
  struct identity_problem problem;
  enum exit_code code = EXIT_CODE_DONE;
  if (operator_config_load(&client->config, path, &problems)) {
    fputs(buffer_text(&problems), stderr);
    complain("config",
        "It holds broker: {endpoint: \"tcp://HOST:7400\", key: \"ed25519:...\"} and identity: FILE.key; see FILES in "
        "riverbus(1). Another one: --config FILE.",
        "the configuration %s cannot be used", path);
    code = EXIT_CODE_ERROR;
  } else if (identity_load(&client->identity, client->config->identity, &problem)) {
    complain("identity", NULL, "%s", problem.text);
    code = EXIT_CODE_ERROR;
  }
  buffer_deinit(&problems);
  return code;
}

static enum exit_code start_net(struct client *client) {
  struct net_options options = {.events = {.ctx = client,
                                    .principal = nobody,
                                    .message = on_message,
                                    .opened = on_opened,
                                    .closed = on_closed,
                                    .refused = on_refused}};
  identity_transport(client->identity, &options.transport);
  if (net_new(&client->net, &options) == 0) return EXIT_CODE_DONE;
  complain("connect", NULL, "the ZeroMQ library of this machine cannot be used (is it built with CURVE?)");
  return EXIT_CODE_ERROR;
}

enum exit_code client_open(struct client **out, const char *config_path) {
  struct client *client = mem_alloc(sizeof *client);
  *out = client;
  client->config_path = mem_text(config_path, strlen(config_path));
  enum exit_code code = load(client, config_path);
  if (code == EXIT_CODE_DONE) code = start_net(client);
  if (code != EXIT_CODE_DONE) return code;
  client_again(client);
  int64_t until = mono() + CLIENT_CONNECT_US, left = CLIENT_CONNECT_US;
  enum client_standing standing = CLIENT_TRIES;
  while (standing == CLIENT_TRIES && left > 0 && !client_meets_stranger(client)) {
    standing = client_try(client, NULL, 0, left);
    left = until - mono();
  }
  return standing == CLIENT_STANDS ? EXIT_CODE_DONE : client_complain(client);
}

struct client *client_close(struct client *client) {
  if (!client) return NULL;
  client->net = net_free(client->net);
  client->identity = identity_free(client->identity);
  client->config = operator_config_free(client->config);
  buffer_deinit(&client->frame);
  buffer_deinit(&client->queue);
  buffer_deinit(&client->said);
  free(client->config_path);
  free(client);
  return NULL;
}
