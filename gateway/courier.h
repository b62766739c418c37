#ifndef RIVERBUS_GATEWAY_COURIER_H
#define RIVERBUS_GATEWAY_COURIER_H
/*
 * The client for commands and the devices' replies: MQTT 5, clean start, never held up by telemetry. A command is
 * published once: libmosquitto would send an unacknowledged one again after a reconnect, so a broken connection ends
 * this client, and what was not acknowledged stays unanswered.
 *
 * While a command is not wholly in the socket nothing else is put behind it: neither read nor kept alive. If it is not
 * there after COURIER_STALL_US the connection is ended without another byte, so nobody got it whole: it was not
 * delivered, and cannot come out later, when its time is over.
 */
#include "gateway/client.h"
#include "gateway/mqtt.h"

enum { COURIER_PENDING_MAX = 256 };
#define COURIER_STALL_US SECOND_US

struct courier_pending {
  int mid;
  char id[COMMAND_ID_MAX + 1];
};

struct courier {
  struct client client;
  char **topics;             /* of replies */
  size_t topic_count, acked; /* acked: subscriptions that the MQTT broker confirmed */
  struct courier_pending pending[COURIER_PENDING_MAX];
  size_t pending_count;
  bool lost;
  int64_t stall_at; /* mono: until then the newest of pending has to be in the socket; 0: all are */
  void *ctx;
  void (*published)(void *ctx, const char *id, enum order_publish outcome);
  void (*reply)(void *ctx, const char *topic, struct bytes payload);
};

void courier_init(struct courier *courier, const struct gateway_mqtt *config, const struct gateway_config *controls,
    const struct world *world);
void courier_deinit(struct courier *courier);
int64_t courier_poll(struct courier *courier, int *fd, short *events);
void courier_run(struct courier *courier, short revents, int64_t now);
bool courier_is_ready(const struct courier *courier); /* connected, and hears the replies */
void courier_publish(
    struct courier *courier, const char *id, const char *topic, int qos, struct bytes payload, uint32_t expiry_s);
#endif
