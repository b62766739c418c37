#include "broker/links.h"
#include "broker/effective.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include <stdlib.h>

void links_init(struct links *links, const char *name, const struct world *world, struct node *node, struct net *net,
    struct agreements *agreements) {
  *links = (struct links){
      .node = node, .net = net, .world = world, .name = mem_text(name, strlen(name)), .agreements = agreements};
}

/* ---- connections that we open ---- */

static void disconnect(struct links *links, struct link *link) {
  for (int channel = 0; channel < CHANNELS; channel++) {
    if (link->conns[channel]) {
      uint64_t conn = link->conns[channel];
      link->conns[channel] = 0;
      node_closed(links->node, conn);
      net_close(links->net, conn);
    }
    link->stands[channel] = false;
  }
}

static void forget_endpoints(struct link *link) {
  for (int channel = 0; channel < CHANNELS; channel++) {
    free(link->endpoints[channel]);
    link->endpoints[channel] = NULL;
  }
}

static void connect_now(struct links *links, struct link *link) {
  uint8_t key[32];
  const char *why = "its key is not a valid point";
  link->connect_at = 0;
  link->used_key = link->config->keys.items[link->key];
  bool good = public_key_transport(&link->used_key, key) == 0;
  for (int channel = 0; channel < CHANNELS && good; channel++)
    good = net_connect(
               links->net, link->endpoints[channel], key, channel, link->principal, &link->conns[channel], &why) == 0;
  if (good) return;
  log_warning("links", link->principal, "cannot connect to %s: %s", link->endpoints[0], why);
  disconnect(links, link);
  link->connect_at = world_now(links->world).mono + 10 * LINK_RECONNECT_US;
}

static struct link *link_of_conn(const struct links *links, uint64_t conn, int *channel) {
  for (size_t i = 0; i < links->count; i++)
    for (*channel = 0; *channel < CHANNELS; ++*channel)
      if (links->items[i]->conns[*channel] == conn) return links->items[i];
  return NULL;
}

static void log_key(const struct link *link) {
  char key[IDENTITY_KEY_TEXT + 1];
  if (link->config->keys.count == 1) return;
  public_key_text(&link->used_key, key);
  log_notice("links", link->principal, "connected to %s by key %zu of %zu: %s", link->endpoints[0], link->key + 1,
      link->config->keys.count, key);
}

void links_opened(struct links *links, uint64_t conn) {
  int channel;
  struct link *link = link_of_conn(links, conn, &channel);
  if (!link) return;
  link->stands[channel] = true;
  if (!link->stands[CHANNEL_URGENT] || !link->stands[CHANNEL_TELEMETRY]) return;
  link->refused[0] = '\0';
  log_key(link);
  node_opened(links->node, link->peer, link->conns[CHANNEL_URGENT], link->conns[CHANNEL_TELEMETRY]);
}

void links_closed(struct links *links, uint64_t conn) {
  int channel;
  struct link *link = link_of_conn(links, conn, &channel);
  if (link) link->stands[channel] = false;
  node_closed(links->node, conn);
}

static void say_failed(struct links *links, struct link *link, bool unknown) {
  char key[IDENTITY_KEY_TEXT + 1];
  uint64_t suppressed;
  public_key_text(&link->used_key, key);
  if (unknown)
    snprintf(link->refused, sizeof link->refused,
        "refused: %s does not know our key: its `peers:` must name %s with it", link->endpoints[0], links->name);
  else
    snprintf(link->refused, sizeof link->refused,
        "refused: who answers at %s does not hold the key %s that `peers:` has for %s", link->endpoints[0], key,
        link->node);
  if (log_allow(&link->limit, world_now(links->world).mono, &suppressed))
    log_warning("links", link->principal, "%s (%llu more before)", link->refused, (unsigned long long)suppressed);
}

void links_failed(struct links *links, uint64_t conn, bool unknown) {
  int channel;
  struct link *link = link_of_conn(links, conn, &channel);
  if (!link || link->connect_at) return; /* of both connections one tells it */
  say_failed(links, link, unknown);
  if (!unknown) link->key = (link->key + 1) % link->config->keys.count;
  link->connect_at = world_now(links->world).mono + (unknown || !link->key ? LINK_RECONNECT_US : LINK_NEXT_KEY_US);
}

void links_close(struct links *links, uint64_t conn) {
  int channel;
  struct link *link = link_of_conn(links, conn, &channel);
  net_close(links->net, conn);
  if (!link) return;
  link->conns[channel] = 0;
  link->stands[channel] = false;
  link->connect_at = world_now(links->world).mono + LINK_RECONNECT_US;
}

int64_t links_tick(struct links *links, int64_t now) {
  int64_t next = now + SECOND_US;
  for (size_t i = 0; i < links->count; i++) {
    struct link *link = links->items[i];
    if (!link->connect_at) continue;
    if (link->connect_at > now) {
      if (link->connect_at < next) next = link->connect_at;
      continue;
    }
    disconnect(links, link); /* what is left of the old pair */
    connect_now(links, link);
  }
  return next;
}

/* ---- configuration ---- */

struct link *links_find(const struct links *links, const char *principal) {
  return table_get(&links->by_principal, bytes_text(principal));
}

/* A station's node has two segments. */
struct link *links_of_address(const struct links *links, struct bytes address) {
  struct bytes station = address_segment(address, 1);
  if (!station.len) return NULL;
  struct link *link =
      table_get(&links->by_node, bytes_of(address.data, (size_t)(station.data - address.data) + station.len));
  return link && !link->is_peer ? link : NULL;
}

struct link *links_of_peer(const struct links *links, struct bytes name) {
  struct link *link = table_get(&links->by_node, name);
  return link && link->is_peer ? link : NULL;
}

static void link_free(struct links *links, struct link *link) {
  table_remove(&links->by_principal, bytes_text(link->principal));
  table_remove(&links->by_node, bytes_text(link->node));
  disconnect(links, link);
  node_peer_remove(links->node, link->peer);
  peer_rules_deinit(&link->rules);
  snapshot_end(&link->snapshot);
  forget_endpoints(link);
  free(link->principal);
  free(link->node);
  free(link);
}

void links_deinit(struct links *links) {
  while (links->count) link_free(links, links->items[--links->count]);
  free(links->items);
  free(links->grants.rules);
  table_deinit(&links->by_principal, NULL);
  table_deinit(&links->by_node, NULL);
  free(links->name);
  *links = (struct links){0};
}

static struct link *link_new(struct links *links, const char *principal, const char *node, bool is_peer) {
  struct link *link = mem_alloc(sizeof *link);
  link->principal = mem_text(principal, strlen(principal));
  link->node = mem_text(node, strlen(node));
  link->is_peer = is_peer;
  link->limit = (struct log_limit){.interval_us = 10 * SECOND_US, .burst = 4};
  link->half_limit = (struct log_limit){.interval_us = 10 * SECOND_US, .burst = 20};
  links->items = mem_resize(links->items, links->count + 1, sizeof *links->items);
  links->items[links->count++] = link;
  table_put(&links->by_principal, bytes_text(principal), link);
  table_put(&links->by_node, bytes_text(node), link);
  return link;
}

static struct link *link_get(struct links *links, const char *kind, const char *node, bool is_peer, bool *fresh) {
  struct buffer principal = BUFFER_NULL;
  buffer_printf(&principal, "%s %s", kind, node);
  struct link *link = links_find(links, buffer_text(&principal));
  *fresh = link == NULL;
  if (!link) link = link_new(links, buffer_text(&principal), node, is_peer);
  buffer_deinit(&principal);
  link->wanted = true;
  return link;
}

/* As the node takes them; to a station none. */
static size_t put_feeds(const struct link *link, struct node_feed feeds[NODE_FEEDS_MAX]) {
  const struct peer_rules *rules = &link->rules;
  for (size_t i = 0; i < rules->feed_count; i++)
    feeds[i] = (struct node_feed){.scope = rules->feeds[i].scope,
        .inherits = rules->feeds[i].inherits,
        .every_us = rules->feeds[i].every_us,
        .delay_us = rules->feeds[i].delay_us};
  return rules->feed_count;
}

static void add_to_node(struct links *links, struct link *link, bool connects) {
  struct node_feed feeds[NODE_FEEDS_MAX];
  size_t count = put_feeds(link, feeds);
  struct node_peer_config config = {.principal = link->principal,
      .node = link->node,
      .role = link->is_peer ? NODE_PEER_NEIGHBOUR : NODE_PEER_STATION,
      .connects = connects,
      .feeds = feeds,
      .feed_count = count,
      .owner = link};
  link->peer = node_peer_add(links->node, &config);
}

static void configure_station(struct links *links, const struct broker_station *station) {
  bool fresh;
  struct link *link = link_get(links, "station", station->node, false, &fresh);
  link->station = station;
  if (fresh) add_to_node(links, link, false);
}

static bool text_same(const char *a, const char *b) { return a == b || (a && b && strcmp(a, b) == 0); }

/* Where the key that is used stands in the list now; 0: nowhere. */
static size_t key_index(const struct public_key *used, const struct config_keys *keys) {
  for (size_t i = 0; i < keys->count; i++)
    if (memcmp(used->bytes, keys->items[i].bytes, sizeof used->bytes) == 0) return i;
  return 0;
}

static bool connection_changed(const struct link *link, const struct broker_peer *peer) {
  return !text_same(link->endpoints[0], peer->connect.urgent) ||
         !text_same(link->endpoints[1], peer->connect.telemetry) || !config_keys_contain(&peer->keys, &link->used_key);
}

static void configure_connection(struct links *links, struct link *link, const struct broker_peer *peer) {
  disconnect(links, link);
  forget_endpoints(link);
  link->refused[0] = '\0';
  link->connect_at = 0;
  link->key = 0;
  link->used_key = peer->keys.items[0];
  if (!peer->connect.urgent) return;
  link->endpoints[0] = mem_text(peer->connect.urgent, strlen(peer->connect.urgent));
  link->endpoints[1] = mem_text(peer->connect.telemetry, strlen(peer->connect.telemetry));
  connect_now(links, link);
}

/* ---- what passes ---- */

static void gather_grants(struct links *links) {
  struct peer_grants *grants = &links->grants;
  grants->count = 0;
  for (size_t i = 0; i < links->count; i++) {
    const struct half *ours =
        links->items[i]->wanted && links->items[i]->is_peer ? links->items[i]->agreement->ours : NULL;
    for (size_t k = 0; ours && k < ours->share_count; k++) {
      const struct half_share *rule = &ours->share[k];
      bool known = !rule->onward_count || rule->every_us || rule->delay_us;
      for (size_t g = 0; g < grants->count && !known; g++) known = bytes_equal(grants->rules[g]->line, rule->line);
      if (known) continue;
      grants->rules = mem_resize(grants->rules, grants->count + 1, sizeof *grants->rules);
      grants->rules[grants->count++] = rule;
    }
  }
}

static void derive_rules(struct links *links, struct link *link, const struct peer_from *next) {
  struct buffer salt = BUFFER_NULL;
  const struct agreement *agreement = link->agreement;
  struct peer_rules before = link->rules;
  link->rules = (struct peer_rules){.node = bytes_text(links->name),
      .peer = bytes_text(link->node),
      .ours = agreement->ours,
      .theirs = agreement->theirs,
      .share_from = agreement->share_from,
      .transit_from = agreement->transit_from,
      .accept_from = agreement->accept_from,
      .grants = &links->grants};
  agreement_put_salt(&salt, agreement);
  peer_rules_init(&link->rules, buffer_bytes(&salt), next);
  peer_rules_inherit(&link->rules, &before);
  peer_rules_deinit(&before);
  link->most = effective_quota(agreement->ours, agreement->theirs);
  buffer_deinit(&salt);
}

static bool feeds_differ(const struct link *link, const struct peer_feed *feeds, size_t count) {
  bool same = count == link->rules.feed_count;
  for (size_t i = 0; same && i < count; i++) same = feeds[i].scope == link->rules.feeds[i].scope;
  return !same;
}

static void tell_node(struct links *links, struct link *link) {
  struct node_feed feeds[NODE_FEEDS_MAX];
  struct node_peer_status status;
  node_peer_rules(links->node, link->peer, feeds, put_feeds(link, feeds));
  node_peer_status(links->node, link->peer, &status);
  if (!status.up) return; /* a session begins with both */
  snapshot_begin(&link->snapshot);
  link->half_at = world_now(links->world).mono;
}

struct peer_from links_next(const struct links *links) {
  struct peer_from next;
  for (int lane = 0; lane < LANES; lane++) next.at[lane] = node_log_last(links->node, (enum lane)lane) + 1;
  return next;
}

/* All are derived before the node is told of any: it may ask at once about each. */
void links_renew(struct links *links) {
  bool *changed = mem_alloc((links->count + 1) * sizeof *changed);
  struct peer_from next = links_next(links);
  gather_grants(links);
  for (size_t i = 0; i < links->count; i++) {
    struct link *link = links->items[i];
    struct peer_feed feeds[PEER_FEEDS_MAX];
    size_t count = link->rules.feed_count;
    if (!link->is_peer || !link->wanted) continue;
    memcpy(feeds, link->rules.feeds, sizeof feeds);
    derive_rules(links, link, &next);
    changed[i] = link->peer && feeds_differ(link, feeds, count);
  }
  for (size_t i = 0; i < links->count; i++)
    if (changed[i]) tell_node(links, links->items[i]);
  free(changed);
}

/* ---- neighbours of a configuration ---- */

static void find_peer(struct links *links, const struct broker_peer *peer) {
  bool fresh;
  struct link *link = link_get(links, "peer", peer->name, true, &fresh);
  link->config = peer;
  link->agreement = agreements_find(links->agreements, bytes_text(peer->name));
}

static void configure_peer(struct links *links, struct link *link) {
  const struct broker_peer *peer = link->config;
  bool fresh = link->peer == NULL, moved = !fresh && (link->endpoints[0] != NULL) != (peer->connect.urgent != NULL);
  link->key = key_index(&link->used_key, &peer->keys);
  if (moved) { /* who connects is a property of the place in the node */
    disconnect(links, link);
    node_peer_remove(links->node, link->peer);
  }
  if (fresh || moved) add_to_node(links, link, peer->connect.urgent != NULL);
  if (fresh || moved || connection_changed(link, peer)) configure_connection(links, link, peer);
}

/* Those that go leave the list before they are freed: the node closes their connections, and these are looked up in it.
 */
static void drop_unwanted(struct links *links) {
  struct link **gone = mem_alloc((links->count + 1) * sizeof *gone);
  size_t kept = 0, gone_count = 0;
  for (size_t i = 0; i < links->count; i++) {
    if (links->items[i]->wanted)
      links->items[kept++] = links->items[i];
    else
      gone[gone_count++] = links->items[i];
  }
  links->count = kept;
  for (size_t i = 0; i < gone_count; i++) {
    log_notice("links", gone[i]->principal, "is no longer in the configuration: its connections are cut");
    link_free(links, gone[i]);
  }
  free(gone);
}

void links_configure(struct links *links, const struct broker_config *config) {
  for (size_t i = 0; i < links->count; i++) links->items[i]->wanted = false;
  for (size_t i = 0; i < config->station_count; i++) configure_station(links, &config->stations[i]);
  for (size_t i = 0; i < config->peer_count; i++) find_peer(links, &config->peers[i]);
  drop_unwanted(links); /* first: what they were sent by is gone */
  links_renew(links);
  for (size_t i = 0; i < links->count; i++)
    if (links->items[i]->is_peer) configure_peer(links, links->items[i]);
  net_revoke(links->net, ""); /* nobody's name: cuts every connection whose key is obeyed no longer, and no other */
}
