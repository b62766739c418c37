#include "gateway/telemetry.h"
#include "common/base/mem.h"
#include "gateway/inbox.h"
#include "gateway/mapping.h"
#include <errno.h>
#include <mqtt_protocol.h>
#include <poll.h>
#include <stdlib.h>

enum {
  TELEMETRY_BATCH_MESSAGES = 1024,
  TELEMETRY_BATCH_BYTES = 1024 * 1024,
  TELEMETRY_PACKET_MAX = 2 * 1024 * 1024, /* told to the MQTT broker: bounds what one message can cost us */
  TELEMETRY_SUBSCRIBE_AT_ONCE = 64,
};
#define TELEMETRY_NEVER INT64_MAX
/* No point has a wildcard in its topic: this ends no subscription. */
#define TELEMETRY_NOBODYS "riverbus/nobody/+"

/* hurries: somebody waits for what comes on this topic. */
static void telemetry_add_topic(struct telemetry *t, const struct gateway_point *point, bool hurries) {
  int qos = point->qos > 1 ? 1 : point->qos;
  const size_t *known = table_get(&t->known, bytes_text(point->topic));
  if (known) {
    size_t at = *known;
    if (qos > t->qos[at]) t->qos[at] = qos;
    t->hurries[at] = t->hurries[at] || hurries;
    return;
  }
  t->hurries[t->topic_count] = hurries;
  table_put(&t->known, bytes_text(point->topic), mem_copy(&t->topic_count, sizeof t->topic_count));
  t->topics[t->topic_count] = mem_text(point->topic, strlen(point->topic));
  t->qos[t->topic_count++] = qos;
}

static bool point_hurries(const struct gateway_device *device, size_t point) {
  for (size_t c = 0; c < device->control_count; c++)
    if (device->controls[c].point_index == point) return true;
  return device->points[point].kind == GATEWAY_EVENT;
}

void telemetry_init(struct telemetry *t, const struct gateway_mqtt *config, const struct gateway_config *points,
    const struct world *world) {
  size_t count = 0;
  *t = (struct telemetry){.client = {.name = "telemetry", .config = config, .world = world},
      .limit = {.interval_us = 10 * SECOND_US, .burst = 5}};
  for (size_t d = 0; d < points->device_count; d++) count += points->devices[d].point_count;
  t->topics = mem_alloc((count + 1) * sizeof *t->topics);
  t->qos = mem_alloc((count + 1) * sizeof *t->qos);
  t->hurries = mem_alloc((count + 1) * sizeof *t->hurries);
  for (size_t d = 0; d < points->device_count; d++)
    for (size_t p = 0; p < points->devices[d].point_count; p++)
      telemetry_add_topic(t, &points->devices[d].points[p], point_hurries(&points->devices[d], p));
  t->batch = mem_alloc(sizeof *t->batch);
}

void telemetry_deinit(struct telemetry *t) {
  if (t->client.mosq) client_cut(&t->client, NULL);
  for (size_t i = 0; i < t->topic_count; i++) free(t->topics[i]);
  free(t->topics);
  free(t->qos);
  free(t->hurries);
  table_deinit(&t->known, free);
  t->batch = mqtt_batch_free(t->batch);
}

/* ---- callbacks of libmosquitto, all within mosquitto_loop_read ---- */

static void telemetry_subscribe(struct telemetry *t, struct mosquitto *mosq) {
  for (size_t from = 0; from < t->topic_count;) {
    size_t count = 1;
    while (from + count < t->topic_count && count < TELEMETRY_SUBSCRIBE_AT_ONCE && t->qos[from + count] == t->qos[from])
      count++;
    /* retained messages only with a new subscription: a reconnect is no new reading */
    int rc = mosquitto_subscribe_multiple(
        mosq, NULL, (int)count, t->topics + from, t->qos[from], MQTT_SUB_OPT_SEND_RETAIN_NEW, NULL);
    if (rc != MOSQ_ERR_SUCCESS)
      log_error("mqtt", "telemetry", "subscribing failed: %s", mosquitto_strerror(rc));
    else
      t->subscribes++;
    from += count;
  }
}

static void telemetry_on_connect(
    struct mosquitto *mosq, void *ctx, int reason, int flags, const mosquitto_property *properties) {
  struct telemetry *t = ctx;
  (void)properties;
  client_greeted(&t->client, reason);
  if (reason != 0) {
    t->lost = true;
    return;
  }
  /* a session that was new stays so until the core has heard of it */
  t->session_present = (flags & 1) != 0 && (!t->fresh || t->session_present);
  t->fresh = true;
  t->state = TELEMETRY_READING;
  t->connects++;
  t->subscribes = 0;
  log_info("mqtt", "telemetry", "connected to %s:%u, session %s, %zu topics", t->client.config->host,
      t->client.config->port, t->session_present ? "present" : "new", t->topic_count);
  telemetry_subscribe(t, mosq);
  t->subscribed = t->subscribes == 0;
}

static void telemetry_on_subscribe(
    struct mosquitto *mosq, void *ctx, int mid, int count, const int *granted, const mosquitto_property *properties) {
  struct telemetry *t = ctx;
  (void)mosq, (void)mid, (void)properties;
  if (t->subscribes > 0 && --t->subscribes == 0) t->subscribed = true;
  for (int i = 0; i < count; i++)
    if (granted[i] > 2)
      log_error("mqtt", "telemetry", "the MQTT broker refuses a subscription: %s", mosquitto_reason_string(granted[i]));
}

static void telemetry_on_unsubscribe(struct mosquitto *mosq, void *ctx, int mid, const mosquitto_property *properties) {
  struct telemetry *t = ctx;
  (void)mosq, (void)properties;
  if (t->asking == 0 || mid != t->asking) return;
  t->asking = 0;
  t->proven = t->asked;
}

/* A topic of an earlier configuration: the session still has it. */
static void telemetry_forget(struct telemetry *t, struct mosquitto *mosq, const char *topic) {
  uint64_t suppressed;
  mosquitto_unsubscribe_v5(mosq, NULL, topic, NULL);
  if (log_allow(&t->limit, world_now(t->client.world).mono, &suppressed))
    log_notice("mqtt", "telemetry", "unsubscribed from %s, which no point has any more", topic);
}

static void telemetry_on_message(
    struct mosquitto *mosq, void *ctx, const struct mosquitto_message *from, const mosquitto_property *properties) {
  struct telemetry *t = ctx;
  struct mqtt_batch *batch = t->batch;
  struct bytes topic = bytes_text(from->topic), payload = bytes_of(from->payload, (size_t)from->payloadlen);
  (void)properties;
  const size_t *known = table_get(&t->known, topic);
  if (!known) telemetry_forget(t, mosq, from->topic);
  if (known && t->hurries[*known]) linger_hurry(&t->linger);
  if (batch->count == batch->cap)
    batch->messages =
        mem_resize(batch->messages, batch->cap = batch->cap ? batch->cap * 2 : 64, sizeof *batch->messages);
  struct mqtt_message *message = &batch->messages[batch->count++];
  *message = (struct mqtt_message){
      .mid = from->qos > 0 ? (uint16_t)from->mid : 0, .retained = from->retain, .hash = inbox_hash(topic, payload)};
  message->too_large = payload.len > MAPPING_PAYLOAD_MAX;
  if (message->too_large) payload.len = 0;
  message->topic = batch->bytes.len;
  message->topic_len = topic.len;
  buffer_append(&batch->bytes, topic);
  message->payload = batch->bytes.len;
  message->payload_len = payload.len;
  buffer_append(&batch->bytes, payload);
}

/* ---- states ---- */

static void telemetry_open(struct telemetry *t) {
  mosquitto_property *properties = NULL;
  t->lost = false;
  t->client.mosq = client_make(&t->client, "", false, t);
  if (!t->client.mosq) {
    client_cut(&t->client, "the client cannot be set up");
    return;
  }
  mosquitto_connect_v5_callback_set(t->client.mosq, telemetry_on_connect);
  mosquitto_subscribe_v5_callback_set(t->client.mosq, telemetry_on_subscribe);
  mosquitto_unsubscribe_v5_callback_set(t->client.mosq, telemetry_on_unsubscribe);
  mosquitto_message_v5_callback_set(t->client.mosq, telemetry_on_message);
  mosquitto_property_add_int32(&properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL, UINT32_MAX); /* never */
  mosquitto_property_add_int16(&properties, MQTT_PROP_RECEIVE_MAXIMUM, INBOX_PAIRS);
  mosquitto_property_add_int32(&properties, MQTT_PROP_MAXIMUM_PACKET_SIZE, TELEMETRY_PACKET_MAX);
  if (client_connect(&t->client, properties)) t->state = TELEMETRY_CONNECTING;
  mosquitto_property_free_all(&properties);
}

static void telemetry_drop(struct telemetry *t, const char *why) {
  client_cut(&t->client, why);
  t->subscribed = false;
  t->acknowledged = t->asked = t->proven = 0;
  t->asking = 0;
  t->state = TELEMETRY_DOWN;
}

static bool telemetry_batch_is_full(const struct telemetry *t) {
  return t->batch->count >= TELEMETRY_BATCH_MESSAGES || t->batch->bytes.len >= TELEMETRY_BATCH_BYTES;
}

/* Reads what the socket has, up to a full batch. libmosquitto says with errno that there is nothing more; but a call
 * that brought a message says nothing by it: each PUBACK that is queued also writes a byte to libmosquitto's own
 * wake-up socket, which nobody reads in an external loop, and that is full after some 280 of them and leaves EAGAIN
 * behind. */
static void telemetry_read(struct telemetry *t, int64_t now) {
  size_t before = t->batch->count;
  for (unsigned i = 0; i < 4 * TELEMETRY_BATCH_MESSAGES && !t->lost && !telemetry_batch_is_full(t); i++) {
    size_t had = t->batch->count;
    errno = 0;
    if (mosquitto_loop_read(t->client.mosq, 1) != MOSQ_ERR_SUCCESS)
      t->lost = true;
    else if (t->batch->count == had && (errno == EAGAIN || errno == EWOULDBLOCK))
      break;
    if (t->state == TELEMETRY_CONNECTING) break;
  }
  linger_add(&t->linger, now, (uint32_t)(t->batch->count - before));
}

/* Until when it is worth to wait for more messages before this batch is committed. */
static int64_t telemetry_wait_until(const struct telemetry *t) {
  return telemetry_batch_is_full(t) || t->lost ? t->linger.last_at : linger_until(&t->linger);
}

static bool telemetry_wants_to_ask(const struct telemetry *t) {
  return t->state == TELEMETRY_READING && t->batch->count == 0 && t->asking == 0 && t->acknowledged > t->asked;
}

/* Only without messages that are not durable, since it lets the queue out. */
static void telemetry_ask(struct telemetry *t, int64_t now) {
  if (!telemetry_wants_to_ask(t) || now < t->ask_at) return;
  if (mosquitto_unsubscribe_v5(t->client.mosq, &t->asking, TELEMETRY_NOBODYS, NULL) != MOSQ_ERR_SUCCESS) {
    t->lost = true;
    return;
  }
  t->asked = t->acknowledged;
  t->ask_at = now + SECOND_US;
}

int64_t telemetry_poll(struct telemetry *t, int *fd, short *events) {
  *fd = -1;
  *events = 0;
  if (t->state == TELEMETRY_DOWN) return t->client.retry_at;
  if (t->state == TELEMETRY_HOLDING) return TELEMETRY_NEVER;
  bool writes = t->batch->count == 0 && mosquitto_want_write(t->client.mosq);
  *fd = mosquitto_socket(t->client.mosq);
  if (t->state == TELEMETRY_CONNECTING)
    *events = (short)(POLLIN | (writes ? POLLOUT : 0));
  else
    *events = writes ? POLLOUT : POLLIN;
  if (t->batch->count > 0) return telemetry_wait_until(t);
  return telemetry_wants_to_ask(t) && t->ask_at < t->client.misc_at ? t->ask_at : t->client.misc_at;
}

/* Hands the batch over; the socket is left alone from here on. */
static struct mqtt_batch *telemetry_hand_over(struct telemetry *t) {
  struct mqtt_batch *batch = t->batch;
  batch->fresh = t->fresh;
  batch->session_present = t->session_present;
  batch->proven = t->proven;
  t->fresh = false;
  t->proven = 0;
  t->batch = NULL;
  linger_clear(&t->linger);
  t->state = TELEMETRY_HOLDING;
  t->messages += batch->count;
  t->batches += batch->count > 0;
  return batch;
}

static void telemetry_socket(struct telemetry *t, short revents, int64_t now) {
  bool is_reading = t->state == TELEMETRY_READING;
  if (t->batch->count == 0 && mosquitto_want_write(t->client.mosq)) {
    if ((revents & (POLLOUT | POLLERR | POLLHUP)) && mosquitto_loop_write(t->client.mosq, 1) != MOSQ_ERR_SUCCESS)
      t->lost = true;
    if (is_reading) return;
  }
  if (revents & (POLLIN | POLLERR | POLLHUP)) telemetry_read(t, now);
}

struct mqtt_batch *telemetry_run(struct telemetry *t, short revents, int64_t now) {
  if (t->state == TELEMETRY_DOWN && now >= t->client.retry_at) telemetry_open(t);
  if (t->state == TELEMETRY_DOWN || t->state == TELEMETRY_HOLDING) return NULL;
  linger_tick(&t->linger, now);
  telemetry_socket(t, revents, now);
  if (t->batch->count > 0 && now >= telemetry_wait_until(t)) return telemetry_hand_over(t);
  if (t->batch->count == 0 && !t->lost && t->proven > 0) return telemetry_hand_over(t);
  if (!t->lost) telemetry_ask(t, now);
  if (t->batch->count == 0 && !t->lost && !client_misc(&t->client, now)) t->lost = true;
  if (t->batch->count == 0 && t->lost) telemetry_drop(t, "the connection is lost");
  return NULL;
}

void telemetry_done(struct telemetry *t, struct mqtt_batch *batch) {
  bool durable = batch->durable;
  t->acknowledged = batch->mark;
  batch->count = 0;
  buffer_clear(&batch->bytes);
  t->batch = batch;
  t->state = TELEMETRY_READING;
  if (!durable)
    telemetry_drop(t, "the store did not take the messages: the connection is cut, they come again");
  else if (t->lost || mosquitto_loop_write(t->client.mosq, 1) != MOSQ_ERR_SUCCESS)
    telemetry_drop(t, "the connection is lost");
}
