#ifndef RIVERBUS_GATEWAY_GATEWAY_H
#define RIVERBUS_GATEWAY_GATEWAY_H
/*
 * A station's gateway: store, node, network, MQTT and what stands between them, put together. One thread, that of
 * gateway_run, does all of it; the store and the MQTT clients have their own. Nothing here decides: see mapping, inbox,
 * silence, dispatch.
 */
#include "common/audit/pace.h"
#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "gateway/dispatch.h"
#include "gateway/door.h"
#include "gateway/inbox.h"
#include "gateway/mapping.h"
#include "gateway/mqtt.h"
#include "gateway/pack.h"
#include "gateway/silence.h"
#include "gateway/tasks.h"
#include "gateway/uplink.h"

/* The batch of MQTT messages that is being committed: one at a time, in parts that the store takes as one transaction
 * each. */
struct intake {
  struct mqtt_batch *batch; /* NULL: none */
  bool is_urgent;           /* the pass: first the messages with events, which may use the reserve, then the others */
  size_t at;                /* the first message that this pass has not looked at */
  size_t part_bytes;        /* when to close a part */
  /* gateway.mqtt_made when it was taken: it goes back to those clients, which are others after a reload */
  uint64_t from;
  /* from clients that a reload made anew while the batch of the old ones was still being committed */
  struct mqtt_batch *next;
  uint64_t next_from;
  bool retained; /* of the message being mapped */
  uint64_t messages, suppressed, unwanted, refused, dropped;
  struct log_limit full_limit;
};

struct gateway {
  char *config_path;
  struct gateway_config *config;
  struct daemon daemon;
  struct node *node;
  struct mqtt *mqtt;
  uint64_t mqtt_made; /* how often the clients were made */
  struct dispatch *dispatch;
  struct clock clock;
  struct pace pace;             /* of the checkpoints of the audit log */
  int64_t clock_at;             /* mono: when to note it again */
  struct refusal clock_refusal; /* what gateway_health returned last */
  struct points points;
  struct silence silence;
  struct inbox inbox;
  struct pack pack;
  struct tasks tasks;
  struct uplink uplink;
  struct intake intake;
  struct door door;
  struct table descriptors; /* address -> uint64_t, hash of the descriptor that was issued last */
  bool is_ready;            /* that was said */
  bool past_told;           /* to the broker, in this session, of the epochs below */
  struct epoch past_epochs[CHANNELS];
};

/* Opens everything. 0, DAEMON_FAILED, or <0. config is consumed. May block. */
int gateway_init(
    struct gateway *gateway, const char *config_path, struct gateway_config *config, const struct world *world);
void gateway_deinit(struct gateway *gateway);
/* Until SIGTERM or SIGINT: 0. <0: fatal. */
int gateway_run(struct gateway *gateway);
/* gateway_hooks.c: the parts, each with its hooks. open_net: 0, DAEMON_FAILED, or <0. */
void gateway_make_dispatch(struct gateway *gateway);
int gateway_open_net(struct gateway *gateway);
void gateway_make_node(struct gateway *gateway);
/* descriptors.c: load takes one of STORE_META, other keys are passed over; issue: of points whose descriptor changed */
void gateway_load_descriptor(struct gateway *gateway, struct bytes key, struct bytes value);
void gateway_issue_descriptors(struct gateway *gateway);
/* audit.c */
void gateway_audit_start(struct gateway *gateway);  /* before anything else is committed */
void gateway_audit_reload(struct gateway *gateway); /* another configuration is in force */
/* Signs a checkpoint where one is due; mono: when to call again. */
int64_t gateway_audit_tick(struct gateway *gateway, struct instant now);
void gateway_audit_stop(struct gateway *gateway); /* a clean stop: the store is closed next */
/* reload.c: reads the configuration again; a bad file keeps the old one and says so. */
void gateway_reload(struct gateway *gateway);
/* intake.c */
void intake_take(struct gateway *gateway, struct mqtt_batch *batch);
void intake_done(struct gateway *gateway, const struct store_done *done); /* of a part */
int64_t intake_silence(struct gateway *gateway, struct instant now); /* says who is silent; mono: when to ask again */
void gateway_take_events(struct gateway *gateway);                   /* of the MQTT clients, a share of them */
/* gateway_hooks.c: what is known of the clock now, and what that means for commands. */
struct clock_reading gateway_clock_reading(struct gateway *gateway);
enum clock_verdict gateway_clock(struct gateway *gateway, struct refusal *refusal);
/* metrics.c */
void gateway_metrics(struct gateway *gateway, struct buffer *out);
const char *gateway_health(struct gateway *gateway); /* NULL: healthy */
#endif
