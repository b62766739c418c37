#ifndef RIVERBUS_GATEWAY_CLIENT_H
#define RIVERBUS_GATEWAY_CLIENT_H
/* What the two MQTT clients have in common: options, TLS, password, connecting, backing off. */
#include "common/base/world.h"
#include "gateway/config.h"
#include <mosquitto.h>

struct client {
  const char *name; /* for log lines: "telemetry", "commands" */
  const struct gateway_mqtt *config;
  const struct world *world;
  struct mosquitto *mosq; /* NULL: down */
  bool connected;         /* CONNACK was good */
  unsigned failures;      /* in a row */
  int64_t retry_at;       /* mono: when to connect again */
  int64_t misc_at;        /* mono: when to call mosquitto_loop_misc */
};

/* Makes a client with all options set, whose writes only happen in mosquitto_loop_write; callbacks and the connection
 * are the caller's. NULL: a file cannot be used (logged). */
struct mosquitto *client_make(const struct client *client, const char *suffix, bool clean, void *ctx);
/* Connects; blocks as long as TCP does. false: logged, retry_at is set and the client is gone. */
bool client_connect(struct client *client, const mosquitto_property *properties);
/* Destroys the connection without another byte leaving, and sets retry_at with backoff and jitter. why: for the log;
 * NULL: none. */
void client_cut(struct client *client, const char *why);
/* CONNACK: reason 0 is good. The backoff starts anew only when a connection has held for a second. */
void client_greeted(struct client *client, int reason);
/* Once a second: keepalive. It only queues. false: the connection is dead. */
bool client_misc(struct client *client, int64_t now);
#endif
