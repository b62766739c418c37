#ifndef RIVERBUS_BROKER_CONFIG_H
#define RIVERBUS_BROKER_CONFIG_H
/*
 * The broker's configuration file as plain structs: what stands in riverbus-broker.yaml(5), defaults filled in,
 * everything checked (names, keys given once, also by their transport form, patterns, endpoints, the identity). What a
 * later version brings is refused by name, never ignored.
 */
#include "common/config/values.h"
#include "common/record/value.h"

struct broker_station {
  char *name; /* one segment: owns NODE/name/# */
  char *node; /* NODE/name */
  struct config_keys keys;
};

/* One line of share:, what goes to the neighbour. */
struct broker_names {
  char **items;
  size_t count;
};
struct broker_share {
  struct pattern *match;
  int64_t every_us;           /* of each address one reading in so long; 0: all */
  int64_t delay_us;           /* how long after it was stored here; 0: at once */
  int64_t until;              /* what was received before; 0: no end */
  int64_t since;              /* what was received then or later; 0: what comes from now on */
  struct broker_names onward; /* to whom the neighbour may pass it on; none: it keeps it */
};
/* One line of accept:. */
struct broker_rule {
  struct pattern *match;
};
/* What may go over the link in each direction at most; 0: no limit. */
struct broker_quota {
  uint64_t readings; /* a second */
  uint64_t bytes;    /* in 24 hours */
};
enum {
  BROKER_RULES_MAX = 256, /* lines of share, of accept, and patterns of transit */
  BROKER_ONWARD_MAX = 16, /* names in one onward: */
  BROKER_FEEDS_MAX = 16   /* different (every, delay) in one share:, with the immediate one (common/node) */
};

/* One line of requests:, what operators of the neighbour may ask for here. */
struct broker_value {
  char *text; /* what a text value points into */
  struct value value;
};
enum broker_approval {
  BROKER_APPROVAL_NONE = 0,
  BROKER_APPROVAL_LOCAL = 1 /* a person of this province approves it first */
};
struct broker_request {
  struct pattern *match;
  struct config_keys operators; /* of the neighbour, at least one */
  struct config_range range;    /* not set: no limit but the point's own */
  struct broker_value *allowed; /* the only values; none: see range */
  size_t allowed_count;
  int approval; /* enum broker_approval */
};

struct broker_peer {
  char *name; /* the neighbour's node name, one segment */
  struct config_keys keys;
  struct config_endpoint connect; /* urgent NULL: wait for the peer */
  struct broker_share *share;     /* what we send; empty: nothing */
  size_t share_count;
  struct broker_rule *accept; /* what we take; empty: nothing */
  size_t accept_count;
  struct patterns transit; /* what of third provinces may pass through us to it */
  struct broker_quota quota;
  struct broker_request *requests;
  size_t request_count;
};

struct broker_config {
  char *node;     /* one segment: first of every address this broker owns */
  char *identity; /* path of the secret key file, loaded once to check it */
  int32_t zone_s; /* time-zone, seconds east of UTC */
  struct config_endpoint listen;
  struct config_http http;
  struct config_store store;
  struct config_audit audit;
  int64_t max_deadline_us; /* a command whose deadline is further away is rejected; default 5m */
  struct broker_station *stations;
  size_t station_count;
  struct config_operator *operators;
  size_t operator_count;
  struct config_keys authority; /* whose roster is obeyed; none: of nobody */
  struct broker_peer *peers;
  size_t peer_count;
};

/* Reads and checks the file at path. 0, or CONFIG_WRONG with one line for each problem (each ends with a newline) in
 * *problems. Relative paths inside the file are relative to the file's folder and stand resolved in the structs. Reads
 * files: may block. */
int broker_config_load(struct broker_config **out, const char *path, struct buffer *problems);
struct broker_config *broker_config_free(struct broker_config *config);
/* What a reload from `old` to `fresh` has to do: a mask of enum config_redo; 0: nothing changed. */
unsigned broker_config_changed(const struct broker_config *old, const struct broker_config *fresh);
#endif
