#ifndef RIVERBUS_GATEWAY_CALLERS_H
#define RIVERBUS_GATEWAY_CALLERS_H
/*
 * Who may speak at the station's own door: the operators of the configuration, and beside them those of the roster.
 * From a transport key to a name, and from the name to what its owner may read. Made anew whenever either changes.
 */
#include "common/base/table.h"
#include "common/command/roster.h"
#include "common/door/requests.h"
#include "gateway/config.h"

struct caller {
  char *principal; /* "operator duty", "roster duty" */
  struct requester requester;
};
struct callers {
  struct table by_key; /* 32 bytes of the transport key */
  struct table by_name;
};
/* roster: the one that is obeyed, NULL: none. Both outlive it. A key that stands in both is the configuration's. */
void callers_init(struct callers *callers, const struct gateway_config *config, const struct roster *roster);
void callers_deinit(struct callers *callers);
const struct caller *callers_by_key(const struct callers *callers, const uint8_t transport_key[32]); /* NULL */
const struct caller *callers_by_name(const struct callers *callers, const char *principal);          /* NULL */
#endif
