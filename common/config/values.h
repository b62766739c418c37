#ifndef RIVERBUS_COMMON_CONFIG_VALUES_H
#define RIVERBUS_COMMON_CONFIG_VALUES_H
/*
 * What the configurations of the three programs have in common, as plain structs. The structs own what they point to;
 * they are filled and freed by the schema engine (common/config/schema.h), and nobody changes them afterwards: a reload
 * makes a new configuration.
 */
#include "common/identity/identity.h"
#include "common/record/address.h"

/* `key:` may be one key or a list: during rotation all of them are valid. At least one where the key is required; 8 at
 * most. */
struct config_keys {
  struct public_key *items;
  size_t count;
};
bool config_keys_contain(const struct config_keys *keys, const struct public_key *key);

/* The two doors of a node. Both are whole ZeroMQ endpoints: tcp://HOST:PORT, IPv6 as tcp://[ADDRESS]:PORT. Where the
 * file names only the urgent one, telemetry is the next port (port 0, for listening: both are picked by the system).
 * urgent NULL: not configured, then telemetry is NULL too. */
struct config_endpoint {
  char *urgent;
  char *telemetry;
};

/* Numbers are those of enum store_full (common/store/store.h). */
enum config_when_full { CONFIG_WHEN_FULL_REFUSE = 0, CONFIG_WHEN_FULL_DISCARD_OLDEST = 1 };

struct config_store {
  char *path;
  uint64_t max_size; /* bytes */
  int64_t keep_us;   /* 0: by size only */
  int when_full;     /* enum config_when_full */
  int64_t linger_us;
};

/* The audit log: how long after an entry a checkpoint is signed at the latest. */
struct config_audit {
  int64_t checkpoint_us;
};

/* HOST:PORT of the HTTP door; host NULL: none. IPv6 without brackets in host. port 0: picked by the system. */
struct config_http {
  char *host;
  uint16_t port;
};

/* Somebody who may read and command. Patterns are over full addresses. */
struct config_operator {
  char *name;
  struct config_keys keys;
  struct patterns read;
  struct patterns command;
  struct patterns approve; /* whose commands they may approve, by address */
  bool local;              /* may command at the station's own door; only in a station's file */
};

/* An optional closed range; set false: none was given. low <= high, both finite. */
struct config_range {
  bool set;
  double low;
  double high;
};

/* What changed between two configurations, and so what a reload has to do again. */
enum config_redo {
  CONFIG_REDO_RESTART = 1 << 0,    /* takes effect at the next start only: the reload says so and keeps the old value */
  CONFIG_REDO_PRINCIPALS = 1 << 1, /* whose keys are obeyed: stations, operators */
  CONFIG_REDO_LINKS = 1 << 2,      /* connections to brokers and peers */
  CONFIG_REDO_RULES = 1 << 3,      /* what peers are sent and what is taken from them */
  CONFIG_REDO_MQTT = 1 << 4,       /* connection to the MQTT broker */
  CONFIG_REDO_DEVICES = 1 << 5,    /* points and controls: subscriptions, mapping, descriptors */
  CONFIG_REDO_LIMITS = 1 << 6      /* a number that is read where it is used */
};

/* Every load function of a configuration returns 0, or this, with `problems` holding one line `FILE:LINE:COLUMN: what
 * is wrong (and what is allowed)` for each. */
enum { CONFIG_WRONG = 1 };
#endif
