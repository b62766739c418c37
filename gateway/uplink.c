#include "gateway/uplink.h"
#include "common/base/log.h"
#include <stdio.h>

#define UPLINK_PATIENCE_US (3 * SECOND_US) /* for both connections and the hello; then the next endpoint */
#define UPLINK_FIRST_RETRY_US (200 * MILLISECOND_US)
/* What was not settled when the link broke is settled within ten seconds of its return. */
#define UPLINK_LAST_RETRY_US (5 * SECOND_US)

static int64_t uplink_now(const struct uplink *uplink) { return world_now(uplink->world).mono; }

static const struct config_endpoint *uplink_active(const struct uplink *uplink) {
  return &uplink->config->endpoints[uplink->turn % uplink->config->endpoint_count];
}
static const struct public_key *uplink_key(const struct uplink *uplink) {
  return &uplink->config->keys.items[uplink->turn / uplink->config->endpoint_count % uplink->config->keys.count];
}
const char *uplink_endpoint(const struct uplink *uplink) { return uplink_active(uplink)->urgent; }

static void uplink_disconnect(struct uplink *uplink) {
  for (int channel = 0; channel < CHANNELS; channel++) {
    uint64_t conn = uplink->conns[channel];
    uplink->conns[channel] = 0;
    uplink->stands[channel] = false;
    if (!conn) continue;
    node_closed(uplink->node, conn);
    net_close(uplink->net, conn);
  }
  uplink->up = false;
}

static void uplink_connect(struct uplink *uplink) {
  const struct config_endpoint *endpoint = uplink_active(uplink);
  const char *endpoints[CHANNELS] = {endpoint->urgent, endpoint->telemetry};
  const char *why = "its key is not a valid point";
  uint8_t key[32];
  uplink->failed = false;
  bool good = public_key_transport(uplink_key(uplink), key) == 0;
  for (int channel = 0; channel < CHANNELS && good; channel++)
    good = net_connect(
               uplink->net, endpoints[channel], key, channel, uplink->principal, &uplink->conns[channel], &why) == 0;
  uplink->act_at = uplink_now(uplink) + UPLINK_PATIENCE_US;
  if (good) return;
  log_warning("uplink", uplink->principal, "cannot connect to %s: %s", endpoint->urgent, why);
  uplink_disconnect(uplink);
}

/* The next endpoint, after a pause that grows only when all of them failed. */
static void uplink_next(struct uplink *uplink) {
  uint32_t random;
  size_t rounds = ++uplink->failures / uplink->config->endpoint_count;
  int64_t pause = UPLINK_FIRST_RETRY_US << (rounds < 7 ? rounds : 7);
  if (pause > UPLINK_LAST_RETRY_US) pause = UPLINK_LAST_RETRY_US;
  if (uplink->failures == uplink->config->endpoint_count * uplink->config->keys.count)
    log_warning("uplink", uplink->principal, "no session at any of %zu endpoints; this goes on until there is one",
        uplink->config->endpoint_count);
  world_random(uplink->world, &random, sizeof random);
  uplink_disconnect(uplink);
  uplink->turn++;
  uplink->act_at = uplink_now(uplink) + pause / 2 + (int64_t)(random % (uint32_t)(pause / 2 + 1));
}

void uplink_init(struct uplink *uplink, const char *province, const struct world *world, struct net *net,
    struct node *node, const struct gateway_broker *config) {
  *uplink = (struct uplink){.config = config, .world = world, .net = net, .node = node};
  uplink->limit = (struct log_limit){.interval_us = 10 * SECOND_US, .burst = 4};
  snprintf(uplink->principal, sizeof uplink->principal, "broker %s", province);
  const struct node_peer_config peer = {
      .principal = uplink->principal, .node = province, .role = NODE_PEER_UPSTREAM, .connects = true, .owner = uplink};
  uplink->peer = node_peer_add(node, &peer);
  uplink->act_at = uplink_now(uplink);
}

void uplink_deinit(struct uplink *uplink) {
  if (uplink->peer) uplink_disconnect(uplink);
  uplink->peer = NULL;
}

void uplink_configure(struct uplink *uplink, const struct gateway_broker *config, bool reconnect) {
  uplink->config = config;
  if (!reconnect) return;
  uplink_disconnect(uplink);
  uplink->turn = uplink->failures = 0;
  uplink->act_at = uplink_now(uplink);
}

static int uplink_channel(const struct uplink *uplink, uint64_t conn) {
  for (int channel = 0; channel < CHANNELS; channel++)
    if (uplink->conns[channel] == conn) return channel;
  return -1;
}

void uplink_opened(struct uplink *uplink, uint64_t conn) {
  int channel = uplink_channel(uplink, conn);
  if (channel < 0) return;
  uplink->stands[channel] = true;
  if (!uplink->stands[CHANNEL_URGENT] || !uplink->stands[CHANNEL_TELEMETRY]) return;
  uplink->act_at = uplink_now(uplink) + UPLINK_PATIENCE_US; /* for the hello */
  node_opened(uplink->node, uplink->peer, uplink->conns[CHANNEL_URGENT], uplink->conns[CHANNEL_TELEMETRY]);
}

void uplink_closed(struct uplink *uplink, uint64_t conn) {
  int channel = uplink_channel(uplink, conn);
  if (channel < 0) return;
  uplink->stands[channel] = false;
  uplink->act_at = uplink_now(uplink) + UPLINK_PATIENCE_US; /* ZeroMQ tries again by itself meanwhile */
  node_closed(uplink->node, conn);
}

void uplink_failed(struct uplink *uplink, uint64_t conn, bool unknown) {
  char key[IDENTITY_KEY_TEXT + 1];
  uint64_t suppressed;
  int64_t now = uplink_now(uplink);
  if (uplink_channel(uplink, conn) < 0 || uplink->failed) return; /* of both connections one tells it */
  uplink->failed = true;
  uplink->act_at = now; /* the next endpoint or key, at the next tick: not from within the network's call */
  if (!log_allow(&uplink->limit, now, &suppressed)) return;
  public_key_text(uplink_key(uplink), key);
  if (unknown)
    log_warning("uplink", uplink->principal,
        "refused: %s does not know our key: its `stations:` must have this station with it (%llu more before)",
        uplink_endpoint(uplink), (unsigned long long)suppressed);
  else
    log_warning("uplink", uplink->principal,
        "refused: who answers at %s does not hold the key %s that `broker:` has for it (%llu more before)",
        uplink_endpoint(uplink), key, (unsigned long long)suppressed);
}

void uplink_close(struct uplink *uplink, uint64_t conn) {
  int channel = uplink_channel(uplink, conn);
  net_close(uplink->net, conn);
  if (channel < 0) return;
  uplink->conns[channel] = 0;
  uplink->stands[channel] = false;
  /* the pair is replaced as a whole; not from within the node's call */
  uplink->act_at = uplink_now(uplink) + UPLINK_FIRST_RETRY_US;
}

void uplink_session(struct uplink *uplink, bool up) {
  uplink->up = up;
  if (up) uplink->failures = 0;
  uplink->act_at = up ? 0 : uplink_now(uplink) + UPLINK_PATIENCE_US;
  if (up)
    log_info("uplink", uplink->principal, "session up at %s", uplink_endpoint(uplink));
  else
    log_warning("uplink", uplink->principal, "session down");
}

int64_t uplink_tick(struct uplink *uplink, int64_t now) {
  if (uplink->act_at == 0) return now + SECOND_US;
  if (now >= uplink->act_at) {
    if (uplink->conns[CHANNEL_URGENT] || uplink->conns[CHANNEL_TELEMETRY])
      uplink_next(uplink);
    else
      uplink_connect(uplink);
  }
  return uplink->act_at;
}
