#include "broker/peers.h"
#include "common/base/mem.h"
#include "broker/effective.h"
#include <sodium.h>
#include <stdlib.h>

/* ---- feeds ---- */

static size_t feed_of(struct peer_rules *rules, const struct half_share *rule) {
  for (size_t i = 0; i < rules->feed_count; i++)
    if (rules->feeds[i].every_us == rule->every_us && rules->feeds[i].delay_us == rule->delay_us) return i;
  if (rules->feed_count == PEER_FEEDS_MAX) return PEER_FEEDS_MAX; /* refused by the configuration */
  rules->feeds[rules->feed_count] = (struct peer_feed){.every_us = rule->every_us, .delay_us = rule->delay_us};
  return rules->feed_count++;
}

static void hash_add(crypto_generichash_state *hash, struct bytes bytes) {
  uint64_t len = bytes.len;
  crypto_generichash_update(hash, (const uint8_t *)&len, sizeof len);
  if (len) crypto_generichash_update(hash, bytes.data, bytes.len);
}

static void hash_rule(crypto_generichash_state *hash, struct bytes text, const struct peer_from *from) {
  hash_add(hash, text);
  crypto_generichash_update(hash, (const uint8_t *)from->at, sizeof from->at);
}

static uint64_t scope_of(const struct peer_rules *rules, size_t feed, struct bytes salt, struct bytes sources) {
  uint64_t scope;
  crypto_generichash_state hash;
  crypto_generichash_init(&hash, NULL, 0, crypto_generichash_BYTES_MIN);
  hash_add(&hash, salt);
  for (size_t i = 0; i < rules->ours->share_count; i++)
    if (rules->feed_of[i] == feed) hash_rule(&hash, rules->ours->share[i].line, &rules->share_from[i]);
  hash_add(&hash, BYTES_NULL);
  for (size_t i = 0; feed == 0 && i < rules->ours->transit.count; i++)
    hash_rule(&hash, pattern_text(rules->ours->transit.items[i]), &rules->transit_from[i]);
  if (feed == 0 && rules->ours->transit.count) hash_add(&hash, sources);
  for (size_t i = 0; rules->theirs && i < rules->theirs->accept.count; i++)
    hash_rule(&hash, pattern_text(rules->theirs->accept.items[i]), &rules->accept_from[i]);
  uint8_t digest[crypto_generichash_BYTES_MIN];
  crypto_generichash_final(&hash, digest, sizeof digest);
  memcpy(&scope, digest, sizeof scope);
  return scope ? scope : 1;
}

void peer_rules_init(struct peer_rules *rules, struct bytes salt, struct bytes sources) {
  rules->feeds[0] = (struct peer_feed){0, 0, 0};
  rules->feed_count = 1;
  rules->feed_of = mem_alloc(rules->ours->share_count + 1);
  for (size_t i = 0; i < rules->ours->share_count; i++)
    rules->feed_of[i] = (uint8_t)feed_of(rules, &rules->ours->share[i]);
  rules->accept_newest = (struct peer_from){{0}};
  for (size_t i = 0; rules->theirs && i < rules->theirs->accept.count; i++)
    for (int lane = 0; lane < LANES; lane++)
      if (rules->accept_from[i].at[lane] > rules->accept_newest.at[lane])
        rules->accept_newest.at[lane] = rules->accept_from[i].at[lane];
  for (size_t i = 0; i < rules->feed_count; i++) rules->feeds[i].scope = scope_of(rules, i, salt, sources);
}

static void granted_deinit(struct peer_granted *granted) {
  buffer_deinit(&granted->grants);
  patterns_deinit(&granted->patterns);
}

void peer_rules_deinit(struct peer_rules *rules) {
  granted_deinit(&rules->out);
  granted_deinit(&rules->in);
  free(rules->feed_of);
  *rules = PEER_RULES_NULL;
}

/* What the grants of a block let go to `node`. */
static const struct patterns *granted_to(struct peer_granted *granted, struct bytes grants, struct bytes node) {
  if (!bytes_equal(buffer_bytes(&granted->grants), grants)) {
    granted_deinit(granted);
    buffer_append(&granted->grants, grants);
    onward_granted(grants, node, &granted->patterns);
  }
  return &granted->patterns;
}

/* ---- which streams ---- */

static bool stream_is_ours(const struct peer_rules *rules, struct bytes stream) {
  return address_below(stream_owner(stream), rules->node);
}
static bool stream_is_theirs(const struct peer_rules *rules, struct bytes stream) {
  return address_below(stream_owner(stream), rules->peer);
}

static enum selection_extent extent_of(const struct pattern *pattern, struct bytes owner) {
  return pattern_extent(pattern_text(pattern), owner);
}

/* Whether both sides' patterns have an address below the owner in common. */
static bool is_accepted_below(const struct peer_rules *rules, const struct pattern *pattern, struct bytes owner) {
  bool found = false;
  if (extent_of(pattern, owner) == SELECTION_NONE) return false;
  for (size_t i = 0; i < rules->theirs->accept.count && !found; i++) {
    const struct pattern *accept = rules->theirs->accept.items[i];
    struct buffer both = BUFFER_NULL;
    if (extent_of(accept, owner) == SELECTION_NONE) continue;
    found = pattern_meet(&both, pattern_text(pattern), pattern_text(accept)) &&
            pattern_extent(buffer_bytes(&both), owner) != SELECTION_NONE;
    buffer_deinit(&both);
  }
  return found;
}

bool peer_shares_stream(const struct peer_rules *rules, size_t feed, struct bytes stream) {
  struct bytes owner = stream_owner(stream);
  bool ours = stream_is_ours(rules, stream);
  if (!rules->theirs || stream_is_theirs(rules, stream) || (!ours && feed)) return false;
  size_t count = ours ? rules->ours->share_count : rules->ours->transit.count;
  for (size_t i = 0; i < count; i++) {
    if (ours && rules->feed_of[i] != feed) continue;
    const struct pattern *pattern = ours ? rules->ours->share[i].match : rules->ours->transit.items[i];
    if (is_accepted_below(rules, pattern, owner)) return true;
  }
  return false;
}

/* ---- what goes of a block ---- */

/* A rule that can let something of the block pass. */
struct active {
  const struct pattern *match;
  int64_t since, until; /* 0: the block as a whole is within */
  bool history;         /* the rule has a since: what is accepted now holds for it, whenever that began */
};
struct sharing {
  struct peer_rules *rules;
  const struct block *block;
  size_t feed;
  const struct patterns *granted; /* third provinces: what may go to the peer; NULL: ours */
  struct patterns accepted;       /* of what the neighbour accepts that which holds at the position; views */
  bool owns_accepted;
  struct active active[BROKER_RULES_MAX];
  size_t count;
};

/* Mostly all: only a change that is younger than the block makes a difference. */
static void find_accepted(struct sharing *s, enum lane lane, uint64_t position) {
  const struct patterns *all = &s->rules->theirs->accept;
  s->accepted = *all;
  if (position >= s->rules->accept_newest.at[lane]) return;
  s->accepted = (struct patterns){mem_alloc(all->count * sizeof *all->items), 0};
  s->owns_accepted = true;
  for (size_t i = 0; i < all->count; i++)
    if (position >= s->rules->accept_from[i].at[lane]) s->accepted.items[s->accepted.count++] = all->items[i];
}

static void add_active(struct sharing *s, const struct pattern *match, int64_t since, int64_t until) {
  const struct block *block = s->block;
  bool history = since != 0;
  if (s->count == BROKER_RULES_MAX || extent_of(match, stream_owner(block->stream)) == SELECTION_NONE) return;
  if ((since && block->received_to < since) || (until && block->received_from >= until)) return;
  if (since && block->received_from >= since) since = 0;
  if (until && block->received_to < until) until = 0;
  s->active[s->count++] = (struct active){match, since, until, history};
}

static void find_active(struct sharing *s, enum lane lane, uint64_t position) {
  const struct half *ours = s->rules->ours;
  for (size_t i = 0; !s->granted && i < ours->share_count; i++)
    if (s->rules->feed_of[i] == s->feed && (ours->share[i].since || position >= s->rules->share_from[i].at[lane]))
      add_active(s, ours->share[i].match, ours->share[i].since, ours->share[i].until);
  for (size_t i = 0; s->granted && i < ours->transit.count; i++)
    if (position >= s->rules->transit_from[i].at[lane]) add_active(s, ours->transit.items[i], 0, 0);
}

static const struct patterns *accepted_of(const struct sharing *s, const struct active *active) {
  return active->history ? &s->rules->theirs->accept : &s->accepted;
}

static bool lets_pass(const struct sharing *s, const struct active *active, const struct record *record) {
  return (!active->since || record->received >= active->since) &&
         (!active->until || record->received < active->until) && pattern_matches(active->match, record->address) &&
         patterns_match(accepted_of(s, active), record->address);
}

static bool share_keeps(void *ctx, const struct record *record) {
  const struct sharing *s = ctx;
  if (record->kind == RECORD_HEAD) return peer_shares_stream(s->rules, s->feed, s->block->stream);
  if (record->kind == RECORD_REPORT || record->kind == RECORD_COMMAND) return false;
  bool passes = false;
  for (size_t i = 0; i < s->count && !passes; i++) passes = lets_pass(s, &s->active[i], record);
  return passes && (!s->granted || patterns_match(s->granted, record->address));
}

/* The records decide; a stream's blocks carry its head under the node's own address. */
static bool any_address(void *ctx, struct bytes address) {
  (void)ctx, (void)address;
  return true;
}

/* Decided without opening it. Only the urgent stream carries reports. */
static bool goes_whole(const struct sharing *s) {
  struct bytes owner = stream_owner(s->block->stream);
  bool whole = false;
  if (owner.len != s->block->stream.len) return false;
  for (size_t i = 0; i < s->count && !whole; i++)
    whole = !s->active[i].since && !s->active[i].until && extent_of(s->active[i].match, owner) == SELECTION_ALL &&
            patterns_extent(accepted_of(s, &s->active[i]), owner) == SELECTION_ALL;
  return whole && (!s->granted || patterns_extent(s->granted, owner) == SELECTION_ALL);
}

/* ---- the grants that it carries: see onward.h ---- */

static void add_grant(struct buffer *grants, const struct half_share *rule, const struct block *block) {
  bool within =
      (!rule->until || block->received_to < rule->until) && (!rule->since || block->received_from >= rule->since);
  if (!rule->onward_count || !within || extent_of(rule->match, stream_owner(block->stream)) == SELECTION_NONE) return;
  (void)onward_add(grants, pattern_text(rule->match), rule->onward, rule->onward_count); /* the configuration fits */
}

static void put_grants(struct buffer *grants, const struct sharing *s) {
  const struct peer_grants *immediate = s->rules->grants;
  for (size_t i = 0; immediate && i < immediate->count; i++) add_grant(grants, immediate->rules[i], s->block);
  for (size_t i = 0; s->feed && i < s->rules->ours->share_count; i++)
    if (s->rules->feed_of[i] == s->feed) add_grant(grants, &s->rules->ours->share[i], s->block);
}

/* Takes `sent`. Where there is no room for the grants the block goes without: it goes no further then. */
static struct blob *with_grants(const struct sharing *s, struct blob *sent) {
  struct buffer grants = BUFFER_NULL;
  struct block block;
  struct blob *granted = NULL;
  put_grants(&grants, s);
  bool added = grants.len && block_open(&block, blob_bytes(sent)) == 0 &&
               block_with_onward(&granted, &block, buffer_bytes(&grants)) == 0;
  buffer_deinit(&grants);
  if (!added) return sent;
  blob_unref(sent);
  return granted;
}

struct blob *peer_share(struct peer_rules *rules, size_t feed, struct blob *from, const struct block *block,
    enum lane lane, uint64_t position) {
  bool ours = stream_is_ours(rules, block->stream);
  if (!rules->theirs || feed >= rules->feed_count || stream_is_theirs(rules, block->stream) || (!ours && feed))
    return NULL;
  if (ours && block->onward.len) return NULL; /* only we may grant: a station that did is refused (broker_hooks) */
  struct sharing s = {.rules = rules, .block = block, .feed = feed};
  if (!ours) s.granted = granted_to(&rules->out, block->onward, rules->peer);
  find_accepted(&s, lane, position);
  find_active(&s, lane, position);
  struct selection selection = {any_address, share_keeps, &s};
  struct blob *sent = goes_whole(&s) ? blob_ref(from) : selection_apply(&selection, from, block);
  if (s.owns_accepted) free(s.accepted.items);
  return sent && ours ? with_grants(&s, sent) : sent;
}

/* ---- accept ---- */

struct taking {
  const struct peer_rules *rules;
  const struct patterns *granted; /* NULL: of the peer's own province */
};

static bool accept_keeps(void *ctx, const struct record *record) {
  const struct taking *taking = ctx;
  if (record->kind == RECORD_HEAD) return true;
  return patterns_match(&taking->rules->ours->accept, record->address) &&
         (!taking->granted || patterns_match(taking->granted, record->address));
}

bool peer_accepts_stream(const struct peer_rules *rules, struct bytes stream) {
  return !stream_is_ours(rules, stream) &&
         patterns_extent(&rules->ours->accept, stream_owner(stream)) != SELECTION_NONE;
}

enum peer_accept peer_accept(
    struct peer_rules *rules, const struct block *block, struct blob **replace, uint32_t *left_out) {
  struct bytes owner = stream_owner(block->stream);
  struct taking taking = {rules, NULL};
  struct blob *kept = NULL;
  *replace = NULL;
  *left_out = block->count;
  if (!peer_accepts_stream(rules, block->stream)) return PEER_ACCEPT_NOTHING;
  if (!stream_is_theirs(rules, block->stream)) {
    taking.granted = granted_to(&rules->in, block->onward, rules->node);
    if (patterns_extent(taking.granted, owner) == SELECTION_NONE) return PEER_ACCEPT_NOTHING;
  }
  *left_out = 0;
  if (patterns_extent(&rules->ours->accept, owner) == SELECTION_ALL &&
      (!taking.granted || patterns_extent(taking.granted, owner) == SELECTION_ALL))
    return PEER_ACCEPT_ALL;
  struct block some;
  bool read = block_filter(&kept, NULL, block, accept_keeps, &taking) == 0 && kept;
  *left_out = block->count - (read && block_open(&some, blob_bytes(kept)) == 0 ? some.count : 0);
  if (*left_out && *left_out < block->count) {
    *replace = kept;
    return PEER_ACCEPT_SOME;
  }
  blob_unref(kept);
  return *left_out ? PEER_ACCEPT_NOTHING : PEER_ACCEPT_ALL;
}

/* ---- snapshots ---- */

bool peer_shares_point(const struct peer_rules *rules, struct bytes address) {
  if (!rules->theirs || !address_below(address, rules->node) || !patterns_match(&rules->theirs->accept, address))
    return false;
  for (size_t i = 0; i < rules->ours->share_count; i++)
    if (pattern_matches(rules->ours->share[i].match, address)) return true;
  return false;
}

bool peer_shares_value(const struct peer_rules *rules, struct bytes address, int64_t received) {
  for (size_t i = 0; i < rules->ours->share_count; i++) {
    const struct half_share *rule = &rules->ours->share[i];
    if (!rule->every_us && !rule->delay_us && (!rule->until || received < rule->until) &&
        (!rule->since || received >= rule->since) && pattern_matches(rule->match, address))
      return true;
  }
  return false;
}
