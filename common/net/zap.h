#ifndef RIVERBUS_COMMON_NET_ZAP_H
#define RIVERBUS_COMMON_NET_ZAP_H
/* Our ZAP 1.0 handler (RFC 27/ZAP): answers who may finish a CURVE handshake. It is polled by the core's loop, which
 * never blocks. */
#include "common/net/net.h"

struct zap {
  void *socket;
  const struct net_events *events;
  uint64_t accepted, refused;
};

/* <0: -errno; another handler is there already */
int zap_init(struct zap *zap, void *context, const struct net_events *events);
void zap_deinit(struct zap *zap);
void zap_run(struct zap *zap); /* answers all that waits; never blocks */
/* Asks itself about a key that nobody has and wants a refusal: before the first bind. false: the handler does not work.
 */
bool zap_probe(struct zap *zap, void *context);
/* User-Id of an accepted key: its 64 hexadecimal digits. */
bool zap_key_of_user(const char *user_id, uint8_t key[32]);
#endif
