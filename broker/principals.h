#ifndef RIVERBUS_BROKER_PRINCIPALS_H
#define RIVERBUS_BROKER_PRINCIPALS_H
/*
 * Who may connect: from a transport key to a principal, and from a principal's name to its place in the configuration.
 * Made anew at every reload. Names: "station chongqing/cuntan", "peer hubei", "operator duty".
 */
#include "broker/config.h"
#include "common/door/requests.h"
#include "common/base/table.h"
#include "common/command/roster.h"

enum principal_kind { PRINCIPAL_STATION, PRINCIPAL_PEER, PRINCIPAL_OPERATOR };
struct principal {
  enum principal_kind kind;
  char *name;
  const struct broker_station *station; /* of its kind, else NULL */
  const struct broker_peer *peer;
  struct requester requester; /* operators */
  struct patterns read;       /* the same, owned */
};
struct principals {
  struct table by_key; /* 32 bytes of the transport key */
  struct table by_name;
  struct check_operator *operators; /* a row for each key of each operator */
  size_t operator_count;
};
/* The configuration and the roster (NULL: none) outlive it. A key that the configuration gives to somebody else is not
 * taken from the roster, with a log line. */
void principals_init(struct principals *principals, const struct broker_config *config, const struct roster *roster);
void principals_deinit(struct principals *principals);
const struct principal *principals_by_key(const struct principals *principals, const uint8_t transport_key[32]);
const struct principal *principals_by_name(const struct principals *principals, const char *name);
#endif
