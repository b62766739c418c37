#include "gateway/client.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include <errno.h>
#include <mqtt_protocol.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { CLIENT_KEEPALIVE_S = 30, CLIENT_FIRST_RETRY_MS = 100, CLIENT_LAST_RETRY_MS = 10000 };

/* The first line of the file. */
static bool client_read_password(const char *path, char *password, size_t size) {
  FILE *file = fopen(path, "re");
  bool read = file && fgets(password, (int)size, file);
  if (file) fclose(file);
  if (read) password[strcspn(password, "\r\n")] = 0;
  return read;
}

static int client_set_password(struct mosquitto *mosq, const struct gateway_mqtt *config) {
  char password[1024] = "";
  if (!config->username) return MOSQ_ERR_SUCCESS;
  if (config->password_file && !client_read_password(config->password_file, password, sizeof password))
    return MOSQ_ERR_AUTH;
  int rc = mosquitto_username_pw_set(mosq, config->username, config->password_file ? password : NULL);
  explicit_bzero(password, sizeof password);
  return rc;
}

static int client_set_tls(struct mosquitto *mosq, const struct gateway_mqtt *config) {
  if (!config->ca_file) return MOSQ_ERR_SUCCESS;
  return mosquitto_tls_set(mosq, config->ca_file, NULL, config->cert_file, config->key_file, NULL);
}

struct mosquitto *client_make(const struct client *client, const char *suffix, bool clean, void *ctx) {
  char id[512];
  snprintf(id, sizeof id, "%s%s", client->config->client_id, suffix);
  struct mosquitto *mosq = mosquitto_new(id, clean, ctx);
  if (!mosq) return NULL;
  int rc = mosquitto_int_option(mosq, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
  if (rc == MOSQ_ERR_SUCCESS) rc = mosquitto_int_option(mosq, MOSQ_OPT_TCP_NODELAY, 1);
  /* packets are queued, and leave in mosquitto_loop_write only */
  if (rc == MOSQ_ERR_SUCCESS) rc = mosquitto_threaded_set(mosq, true);
  if (rc == MOSQ_ERR_SUCCESS) rc = client_set_password(mosq, client->config);
  if (rc == MOSQ_ERR_SUCCESS) rc = client_set_tls(mosq, client->config);
  if (rc == MOSQ_ERR_SUCCESS) return mosq;
  log_error("mqtt", client->name, "the client cannot be set up: %s; look at username, password-file and the TLS files",
      mosquitto_strerror(rc));
  mosquitto_destroy(mosq);
  return NULL;
}

/* 100 ms, doubling up to 10 s, each between half and all of it: many gateways behind one restarted broker do not knock
 * together. */
static void client_back_off(struct client *client) {
  uint32_t random;
  unsigned shift = client->failures < 10 ? client->failures : 10;
  int64_t wait_ms = (int64_t)CLIENT_FIRST_RETRY_MS << shift;
  if (wait_ms > CLIENT_LAST_RETRY_MS) wait_ms = CLIENT_LAST_RETRY_MS;
  world_random(client->world, &random, sizeof random);
  client->retry_at = world_now(client->world).mono + wait_ms * (500 + random % 501);
  client->failures++;
}

void client_cut(struct client *client, const char *why) {
  if (client->mosq) {
    int fd = mosquitto_socket(client->mosq);
    /* what is queued stays here: it may hold acknowledgements of what is not durable */
    if (fd >= 0) shutdown(fd, SHUT_RDWR);
    mosquitto_destroy(client->mosq);
    client->mosq = NULL;
  }
  if (why && (client->connected || client->failures == 0))
    log_warning("mqtt", client->name, "%s:%u: %s", client->config->host, client->config->port, why);
  client->connected = false;
  client_back_off(client);
}

bool client_connect(struct client *client, const mosquitto_property *properties) {
  int rc = mosquitto_connect_bind_v5(
      client->mosq, client->config->host, client->config->port, CLIENT_KEEPALIVE_S, NULL, properties);
  client->misc_at = 0;
  if (rc == MOSQ_ERR_SUCCESS) return true;
  client_cut(client, rc == MOSQ_ERR_ERRNO ? strerror(errno) : mosquitto_strerror(rc));
  return false;
}

void client_greeted(struct client *client, int reason) {
  client->connected = reason == 0;
  if (reason != 0)
    log_warning("mqtt", client->name, "the MQTT broker %s:%u refuses us: %s", client->config->host,
        client->config->port, mosquitto_reason_string(reason));
}

bool client_misc(struct client *client, int64_t now) {
  if (now < client->misc_at) return true;
  if (client->connected && client->misc_at > 0) client->failures = 0; /* it has held for a second */
  client->misc_at = now + SECOND_US;
  return mosquitto_loop_misc(client->mosq) == MOSQ_ERR_SUCCESS;
}
