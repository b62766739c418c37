#ifndef RIVERBUS_GATEWAY_TELEMETRY_H
#define RIVERBUS_GATEWAY_TELEMETRY_H
/*
 * The telemetry client: MQTT 5, persistent session, QoS 1 at most, and no PUBACK before the commit. One thread.
 *
 *   down -> connecting -> reading <-> holding
 *
 * libmosquitto queues the PUBACK of a message while it reads it, and whatever is written lets the whole queue out. So
 * nothing is written while there are messages that are not durable: `reading` either writes what is queued (then it
 * does not read), or reads; as soon as messages are there it only reads on for a moment and hands them over; `holding`
 * touches the socket for nothing. The core's "durable" lets the queue out; a refusal cuts the socket, and the MQTT
 * broker sends the messages again. mosquitto_loop_misc only queues its PINGREQ (checked in the source of 2.0.11) and is
 * not called while holding.
 *
 * That a PUBACK was written does not say that it arrived. An UNSUBSCRIBE of a filter that nobody has is queued behind
 * the PUBACKs of durable batches, at most one at a time and one a second: its UNSUBACK proves that the MQTT broker has
 * processed them. What it sent again after the CONNACK came before the UNSUBACK, so the core is told with the batch
 * that was being read, or with one without messages, and takes it as said at the end of that batch.
 *
 * QoS 2 is subscribed as QoS 1: libmosquitto keeps a QoS 2 message in memory between PUBREC and PUBREL, where a crash
 * would lose it; exactly once is the inbox's work.
 */
#include "common/base/log.h"
#include "common/base/table.h"
#include "gateway/client.h"
#include "gateway/linger.h"
#include "gateway/mqtt.h"

enum telemetry_state { TELEMETRY_DOWN, TELEMETRY_CONNECTING, TELEMETRY_READING, TELEMETRY_HOLDING };

struct telemetry {
  struct client client;
  enum telemetry_state state;
  char **topics; /* each once */
  int *qos;
  bool *hurries; /* what comes there does not linger */
  size_t topic_count;
  struct table known;       /* the same, for looking up */
  struct mqtt_batch *batch; /* being filled; NULL while holding */
  bool fresh, session_present;
  size_t subscribes; /* SUBSCRIBE packets of this connection that are not answered yet */
  bool subscribed;   /* all of them are */
  bool lost;         /* the connection broke */
  /* marks of the core, of this connection; 0: none */
  uint64_t acknowledged; /* the PUBACKs up to here are written or queued */
  uint64_t asked;        /* up to here the last UNSUBSCRIBE asked */
  uint64_t proven;       /* answered, and not told to the core */
  int asking;            /* packet id of the UNSUBSCRIBE under way; 0: none */
  int64_t ask_at;        /* mono: not before */
  struct linger linger;
  struct log_limit limit;
  uint64_t connects, messages, batches;
};

void telemetry_init(struct telemetry *telemetry, const struct gateway_mqtt *config, const struct gateway_config *points,
    const struct world *world);
void telemetry_deinit(struct telemetry *telemetry);
/* The descriptor to poll and for what; fd -1: none. Returns when to call telemetry_run at the latest (mono). */
int64_t telemetry_poll(struct telemetry *telemetry, int *fd, short *events);
/* Does what is due. Returns a batch to hand to the core, or NULL. */
struct mqtt_batch *telemetry_run(struct telemetry *telemetry, short revents, int64_t now);
void telemetry_done(struct telemetry *telemetry, struct mqtt_batch *batch); /* takes the batch back */
#endif
