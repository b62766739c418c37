#include "gateway/courier.h"
#include "common/base/defect.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include <errno.h>
#include <mqtt_protocol.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

static void courier_add_topic(struct courier *c, const char *topic) {
  for (size_t i = 0; i < c->topic_count; i++)
    if (strcmp(c->topics[i], topic) == 0) return;
  c->topics[c->topic_count++] = mem_text(topic, strlen(topic));
}

void courier_init(struct courier *c, const struct gateway_mqtt *config, const struct gateway_config *controls,
    const struct world *world) {
  size_t count = 0;
  *c = (struct courier){.client = {.name = "commands", .config = config, .world = world}};
  for (size_t d = 0; d < controls->device_count; d++) count += controls->devices[d].control_count;
  c->topics = mem_alloc((count + 1) * sizeof *c->topics);
  for (size_t d = 0; d < controls->device_count; d++)
    for (size_t i = 0; i < controls->devices[d].control_count; i++)
      if (controls->devices[d].controls[i].reply.topic)
        courier_add_topic(c, controls->devices[d].controls[i].reply.topic);
}

void courier_deinit(struct courier *c) {
  if (c->client.mosq) client_cut(&c->client, NULL);
  for (size_t i = 0; i < c->topic_count; i++) free(c->topics[i]);
  free(c->topics);
}

bool courier_is_ready(const struct courier *c) { return c->client.connected && !c->lost && c->acked >= c->topic_count; }

static void courier_on_connect(
    struct mosquitto *mosq, void *ctx, int reason, int flags, const mosquitto_property *properties) {
  struct courier *c = ctx;
  (void)flags, (void)properties;
  client_greeted(&c->client, reason);
  c->acked = 0;
  if (reason != 0) c->lost = true;
  for (size_t i = 0; i < c->topic_count && !c->lost; i++)
    if (mosquitto_subscribe_v5(mosq, NULL, c->topics[i], 1, 0, NULL) != MOSQ_ERR_SUCCESS) c->lost = true;
}

static void courier_on_subscribe(
    struct mosquitto *mosq, void *ctx, int mid, int count, const int *granted, const mosquitto_property *properties) {
  struct courier *c = ctx;
  (void)mosq, (void)mid, (void)properties;
  c->acked++;
  for (int i = 0; i < count; i++)
    if (granted[i] > 2)
      log_error("mqtt", "commands", "the MQTT broker refuses to let us hear a device's replies: %s",
          mosquitto_reason_string(granted[i]));
  if (courier_is_ready(c))
    log_info("mqtt", "commands", "connected to %s:%u", c->client.config->host, c->client.config->port);
}

static void courier_on_message(
    struct mosquitto *mosq, void *ctx, const struct mosquitto_message *message, const mosquitto_property *properties) {
  struct courier *c = ctx;
  (void)mosq, (void)properties;
  if (!message->retain) c->reply(c->ctx, message->topic, bytes_of(message->payload, (size_t)message->payloadlen));
}

static enum order_publish courier_outcome(int reason) {
  if (reason == MQTT_RC_NO_MATCHING_SUBSCRIBERS) return ORDER_NO_LISTENER;
  return reason >= 128 ? ORDER_PUBLISH_REFUSED : ORDER_PUBLISH_ACKED;
}

static void courier_on_publish(
    struct mosquitto *mosq, void *ctx, int mid, int reason, const mosquitto_property *properties) {
  struct courier *c = ctx;
  (void)mosq, (void)properties;
  for (size_t i = 0; i < c->pending_count; i++) {
    if (c->pending[i].mid != mid) continue;
    struct courier_pending pending = c->pending[i];
    c->pending[i] = c->pending[--c->pending_count];
    c->published(c->ctx, pending.id, courier_outcome(reason));
    return;
  }
}

static void courier_drop(struct courier *c, const char *why) {
  if (c->pending_count > 0)
    log_warning("mqtt", "commands",
        "%zu published commands were not acknowledged by the MQTT broker; they are not sent again", c->pending_count);
  c->pending_count = 0;
  c->stall_at = 0;
  c->lost = false;
  client_cut(&c->client, why);
}

static void courier_open(struct courier *c) {
  mosquitto_property *properties = NULL;
  c->lost = false;
  c->client.mosq = client_make(&c->client, "-command", true, c);
  if (!c->client.mosq) {
    client_cut(&c->client, "the client cannot be set up");
    return;
  }
  mosquitto_connect_v5_callback_set(c->client.mosq, courier_on_connect);
  mosquitto_subscribe_v5_callback_set(c->client.mosq, courier_on_subscribe);
  mosquitto_message_v5_callback_set(c->client.mosq, courier_on_message);
  mosquitto_publish_v5_callback_set(c->client.mosq, courier_on_publish);
  mosquitto_property_add_int32(&properties, MQTT_PROP_MAXIMUM_PACKET_SIZE, 256 * 1024);
  (void)client_connect(&c->client, properties);
  mosquitto_property_free_all(&properties);
}

int64_t courier_poll(struct courier *c, int *fd, short *events) {
  *fd = -1;
  *events = 0;
  if (!c->client.mosq) return c->client.retry_at;
  *fd = mosquitto_socket(c->client.mosq);
  if (c->stall_at > 0) {
    *events = POLLOUT;
    return c->stall_at;
  }
  *events = (short)(POLLIN | (mosquitto_want_write(c->client.mosq) ? POLLOUT : 0));
  return c->client.misc_at;
}

static void courier_write(struct courier *c) {
  if (!c->lost && mosquitto_want_write(c->client.mosq) && mosquitto_loop_write(c->client.mosq, 1) != MOSQ_ERR_SUCCESS)
    c->lost = true;
}

static void courier_read(struct courier *c) {
  for (int i = 0; i < 64 && !c->lost; i++) { /* a share, so that a flood of replies does not hold up the thread */
    errno = 0;
    if (mosquitto_loop_read(c->client.mosq, 1) != MOSQ_ERR_SUCCESS)
      c->lost = true;
    else if (errno == EAGAIN || errno == EWOULDBLOCK)
      return;
  }
}

/* The newest command waits for room in the socket. */
static void courier_stall(struct courier *c, int64_t now) {
  courier_write(c);
  if (c->lost) return;
  if (!mosquitto_want_write(c->client.mosq)) {
    c->stall_at = 0;
  } else if (now >= c->stall_at) {
    struct courier_pending pending = c->pending[--c->pending_count];
    c->lost = true;
    c->published(c->ctx, pending.id, ORDER_NOT_CONNECTED);
  }
}

void courier_run(struct courier *c, short revents, int64_t now) {
  if (!c->client.mosq) {
    /* nothing is said in this turn: the connect may have hung, and others may have taken our place meanwhile */
    if (now >= c->client.retry_at) courier_open(c);
    return;
  }
  if (c->stall_at > 0) courier_stall(c, now);
  if (c->stall_at == 0 && revents & (POLLIN | POLLERR | POLLHUP)) courier_read(c);
  if (c->stall_at == 0) courier_write(c);
  if (!c->lost && c->stall_at == 0 && !client_misc(&c->client, now)) c->lost = true;
  if (c->lost) courier_drop(c, "the connection is lost");
}

void courier_publish(
    struct courier *c, const char *id, const char *topic, int qos, struct bytes payload, uint32_t expiry_s) {
  mosquitto_property *properties = NULL;
  struct courier_pending *pending = &c->pending[c->pending_count];
  if (courier_is_ready(c)) courier_write(c);
  if (!courier_is_ready(c) || mosquitto_want_write(c->client.mosq) || c->pending_count == COURIER_PENDING_MAX) {
    c->published(c->ctx, id, ORDER_NOT_CONNECTED);
    return;
  }
  if (!defect("expiry-zero")) mosquitto_property_add_int32(&properties, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL, expiry_s);
  int rc = mosquitto_publish_v5(
      c->client.mosq, &pending->mid, topic, (int)payload.len, payload.data, qos, false, properties);
  mosquitto_property_free_all(&properties);
  if (rc != MOSQ_ERR_SUCCESS) { /* refused before anything was queued */
    log_error("mqtt", "commands", "%s: cannot be published to %s: %s", id, topic, mosquitto_strerror(rc));
    c->published(c->ctx, id, ORDER_PUBLISH_REFUSED);
    return;
  }
  snprintf(pending->id, sizeof pending->id, "%s", id);
  c->pending_count++;
  courier_write(c);
  if (!c->lost && mosquitto_want_write(c->client.mosq))
    c->stall_at = world_now(c->client.world).mono + COURIER_STALL_US;
}
