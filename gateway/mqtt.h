#ifndef RIVERBUS_GATEWAY_MQTT_H
#define RIVERBUS_GATEWAY_MQTT_H
/*
 * The MQTT side of the station: a thread with two libmosquitto clients (telemetry.h, courier.h) and two queues to and
 * from the core. What the core gets are events, what it says are words. Nothing here knows what a payload means.
 *
 * The promise: no PUBACK leaves before the core has said that the batch with that message is durable. See telemetry.h
 * for how.
 */
#include "common/base/buffer.h"
#include "common/base/world.h"
#include "gateway/config.h"
#include "gateway/order.h"

struct mqtt_message {
  size_t topic, topic_len; /* in the batch's bytes */
  size_t payload, payload_len;
  uint64_t hash;            /* inbox_hash of topic and whole payload */
  uint16_t mid;             /* 0: QoS 0 */
  bool retained, too_large; /* too_large: payload_len is 0 */
  bool is_urgent;           /* the core's note: an event hangs on the topic */
};

/* Messages in the order in which they came; none: the batch only brings `proven`. It belongs to the core from the event
 * on, until it is given back by mqtt_batch_done. */
struct mqtt_batch {
  struct buffer bytes;
  struct mqtt_message *messages;
  size_t count, cap;
  bool fresh;           /* the first of a connection */
  bool session_present; /* of that connection */
  uint64_t proven; /* the MQTT broker has processed the PUBACKs up to this mark of the core, and came to that before the
                      end of this batch; 0: nothing new */
  bool durable;    /* the core's answer */
  uint64_t mark;   /* the core's answer: inbox_mark, all of it durable */
};
struct mqtt_batch *mqtt_batch_free(struct mqtt_batch *batch);

enum mqtt_event_kind { MQTT_EVENT_BATCH, MQTT_EVENT_REPLY, MQTT_EVENT_PUBLISHED };
struct mqtt_event {
  enum mqtt_event_kind kind;
  struct mqtt_batch *batch;     /* BATCH: the receiver's */
  struct buffer topic, payload; /* REPLY */
  struct buffer id;             /* PUBLISHED */
  enum order_publish outcome;
};
struct mqtt_event *mqtt_event_free(struct mqtt_event *event); /* without the batch */

/* Counters, written by the thread and read by the core. up: connected, and all subscriptions are answered. */
struct mqtt_stats {
  uint64_t connects, messages, batches, replies_lost;
  bool telemetry_up, courier_up;
};

struct mqtt;
/* Starts the thread. What is needed of config is copied. <0: no thread or descriptor. */
int mqtt_new(struct mqtt **out, const struct gateway_config *config, const struct world *world);
/* Ends the thread: the telemetry connection is cut, never closed politely, since that would let unsent PUBACKs out.
 * Waits two seconds at most. Returns NULL. */
struct mqtt *mqtt_free(struct mqtt *mqtt);
/* The same without waiting, for clients whose place `heir` takes: what they were told to publish and have not begun to,
 * heir publishes. The thread ends by itself, also where it hangs in a connect, and frees what is left. */
void mqtt_leave(struct mqtt *mqtt, struct mqtt *heir);
int mqtt_fd(const struct mqtt *mqtt);            /* readable while events wait */
struct mqtt_event *mqtt_next(struct mqtt *mqtt); /* NULL: none */
/* The batch is durable (batch->durable), or was refused: then the connection is cut and the messages come again. Takes
 * it back. */
void mqtt_batch_done(struct mqtt *mqtt, struct mqtt_batch *batch);
/* Publishes a command; answered by a PUBLISHED event, but for a connection that breaks before the PUBACK. Copies. */
void mqtt_publish(
    struct mqtt *mqtt, struct bytes id, const char *topic, int qos, struct bytes payload, int64_t life_us);
void mqtt_stats(struct mqtt *mqtt, struct mqtt_stats *out);
#endif
