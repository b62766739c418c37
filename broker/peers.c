#include "broker/peers.h"
#include "common/base/mem.h"
#include "broker/effective.h"
#include "common/base/table.h"
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

static uint64_t digest_of(char kind, struct bytes text, const struct peer_from *from) {
  uint8_t digest[crypto_generichash_BYTES_MIN];
  uint64_t out;
  crypto_generichash_state hash;
  crypto_generichash_init(&hash, NULL, 0, sizeof digest);
  crypto_generichash_update(&hash, (const uint8_t *)&kind, 1);
  if (from) crypto_generichash_update(&hash, (const uint8_t *)from->at, sizeof from->at);
  if (text.len) crypto_generichash_update(&hash, text.data, text.len);
  crypto_generichash_final(&hash, digest, sizeof digest);
  memcpy(&out, digest, sizeof out);
  return out;
}

static void add_part(struct peer_rules *rules, size_t feed, char kind, struct bytes text, const struct peer_from *from,
    const struct peer_from *next) {
  bool begins = true;
  for (int lane = 0; lane < LANES; lane++) begins = begins && from->at[lane] >= next->at[lane];
  rules->parts[rules->part_count++] = (struct peer_part){digest_of(kind, text, from), (uint8_t)feed, begins};
}

/* The line without its grants: they change nothing of what goes to the peer. */
static struct bytes selecting(struct bytes line) {
  const uint8_t *onward = memmem(line.data, line.len, "\tonward\t", 8);
  return onward ? bytes_of(line.data, (size_t)(onward - line.data)) : line;
}

static void find_parts(struct peer_rules *rules, const struct peer_from *next) {
  const struct half *ours = rules->ours;
  size_t accepts = rules->theirs ? rules->theirs->accept.count : 0;
  rules->parts = mem_alloc((ours->share_count + ours->transit.count + accepts + 1) * sizeof *rules->parts);
  for (size_t i = 0; i < ours->share_count; i++) {
    add_part(rules, rules->feed_of[i], 's', selecting(ours->share[i].line), &rules->share_from[i], next);
    if (ours->share[i].since) rules->parts[rules->part_count - 1].begins = false;
  }
  for (size_t i = 0; i < ours->transit.count; i++)
    add_part(rules, 0, 't', pattern_text(ours->transit.items[i]), &rules->transit_from[i], next);
  for (size_t i = 0; i < accepts; i++)
    add_part(rules, PEER_FEEDS_MAX, 'a', pattern_text(rules->theirs->accept.items[i]), &rules->accept_from[i], next);
}

static bool is_of(const struct peer_part *part, size_t feed) {
  return part->feed == feed || part->feed == PEER_FEEDS_MAX;
}

static uint64_t scope_of(const struct peer_rules *rules, size_t feed, struct bytes salt) {
  struct buffer all = BUFFER_NULL;
  buffer_append(&all, salt);
  for (size_t i = 0; i < rules->part_count; i++)
    if (is_of(&rules->parts[i], feed)) buffer_append(&all, bytes_of(&rules->parts[i].digest, sizeof(uint64_t)));
  uint64_t scope = digest_of('f', buffer_bytes(&all), NULL);
  buffer_deinit(&all);
  return scope ? scope : 1;
}

/* Once, and not for each stream: a neighbour may have many streams looked at by a long list of what it accepts. */
static void find_meets(struct peer_rules *rules) {
  const struct half *ours = rules->ours, *theirs = rules->theirs;
  size_t own = ours->share_count + ours->transit.count, accepts = theirs ? theirs->accept.count : 0;
  struct buffer ignored = BUFFER_NULL;
  rules->meets = mem_alloc(own * accepts + 1);
  for (size_t i = 0; i < own; i++) {
    const struct pattern *rule =
        i < ours->share_count ? ours->share[i].match : ours->transit.items[i - ours->share_count];
    for (size_t k = 0; k < accepts; k++) {
      buffer_clear(&ignored);
      rules->meets[i * accepts + k] = pattern_meet(&ignored, pattern_text(rule), pattern_text(theirs->accept.items[k]));
    }
  }
  buffer_deinit(&ignored);
}

static void find_newest(struct peer_rules *rules) {
  for (size_t i = 0; rules->theirs && i < rules->theirs->accept.count; i++)
    for (int lane = 0; lane < LANES; lane++)
      if (rules->accept_from[i].at[lane] > rules->accept_newest.at[lane])
        rules->accept_newest.at[lane] = rules->accept_from[i].at[lane];
}

void peer_rules_init(struct peer_rules *rules, struct bytes salt, const struct peer_from *next) {
  rules->feed_count = 1; /* the immediate one, zero */
  rules->feed_of = mem_alloc(rules->ours->share_count + 1);
  for (size_t i = 0; i < rules->ours->share_count; i++)
    rules->feed_of[i] = (uint8_t)feed_of(rules, &rules->ours->share[i]);
  for (size_t i = 0; i < rules->ours->share_count; i++)
    patterns_add(&rules->shares, pattern_text(rules->ours->share[i].match), NULL);
  find_newest(rules);
  find_meets(rules);
  find_parts(rules, next);
  for (size_t i = 0; i < rules->feed_count; i++) rules->feeds[i].scope = scope_of(rules, i, salt);
}

/* Whether all that goes by the feed went by the old one, but for what begins now. */
static bool is_covered(const struct peer_rules *rules, size_t feed, const struct peer_rules *before, size_t old) {
  struct table known = TABLE_NULL;
  bool covered = true;
  for (size_t i = 0; i < before->part_count; i++)
    if (is_of(&before->parts[i], old))
      table_put(&known, bytes_of(&before->parts[i].digest, sizeof(uint64_t)), before->parts);
  for (size_t i = 0; i < rules->part_count && covered; i++) {
    const struct peer_part *part = &rules->parts[i];
    if (!is_of(part, feed) || part->begins) continue;
    covered = table_get(&known, bytes_of(&part->digest, sizeof(uint64_t))) != NULL;
  }
  table_deinit(&known, NULL);
  return covered;
}

void peer_rules_inherit(struct peer_rules *rules, const struct peer_rules *before) {
  for (size_t i = 0; i < rules->feed_count; i++) {
    struct peer_feed *feed = &rules->feeds[i];
    for (size_t k = 0; k < before->feed_count; k++) {
      const struct peer_feed *old = &before->feeds[k];
      if (old->every_us != feed->every_us || old->delay_us != feed->delay_us) continue;
      if (old->scope == feed->scope)
        feed->inherits = old->inherits;
      else if (is_covered(rules, i, before, k))
        feed->inherits = old->scope;
    }
  }
}

static void granted_deinit(struct peer_granted *granted) {
  buffer_deinit(&granted->grants);
  patterns_deinit(&granted->patterns);
}

void peer_rules_deinit(struct peer_rules *rules) {
  granted_deinit(&rules->out);
  granted_deinit(&rules->in);
  granted_deinit(&rules->shown);
  patterns_deinit(&rules->shares);
  free(rules->feed_of);
  free(rules->parts);
  free(rules->meets);
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

struct reaching { /* below an owner, by a feed */
  const struct peer_rules *rules;
  struct bytes owner;
  bool ours;        /* share rules, else transit */
  size_t feed, row; /* row: of `meets` */
};

static bool accept_meets(void *ctx, size_t place) {
  const struct reaching *rule = ctx;
  return rule->rules->meets[rule->row * rule->rules->theirs->accept.count + place];
}

/* Whether some accept has an address below the owner in common with our rule. The owner's segments are plain: where
 * both patterns reach below it and meet at all, they meet there. */
static bool is_accepted_below(void *ctx, size_t place) {
  struct reaching rule = *(const struct reaching *)ctx;
  const struct peer_rules *rules = rule.rules;
  if (rule.ours && rules->feed_of[place] != rule.feed) return false;
  rule.row = rule.ours ? place : rules->ours->share_count + place;
  return patterns_find_below(&rules->theirs->accept, rule.owner, accept_meets, &rule);
}

bool peer_shares_stream(const struct peer_rules *rules, size_t feed, struct bytes stream) {
  struct bytes owner = stream_owner(stream);
  bool ours = stream_is_ours(rules, stream);
  if (!rules->theirs || stream_is_theirs(rules, stream) || (!ours && feed)) return false;
  struct reaching reaching = {rules, owner, ours, feed, 0};
  const struct patterns *set = ours ? &rules->shares : &rules->ours->transit;
  return patterns_find_below(set, owner, is_accepted_below, &reaching);
}

/* A head names the station: of a third province it passes where anything of the stream is granted. */
static bool grants_below(const struct patterns *granted, struct bytes stream) {
  return !granted || patterns_extent(granted, stream_owner(stream)) != SELECTION_NONE;
}

bool peer_knows_stream(struct peer_rules *rules, struct bytes stream, struct bytes grants) {
  return stream_is_ours(rules, stream) || grants_below(granted_to(&rules->shown, grants, rules->peer), stream);
}

/* ---- what goes of a block ---- */

struct sharing {
  struct peer_rules *rules;
  const struct block *block;
  size_t feed;
  const struct patterns *granted; /* third provinces: what may go to the peer; NULL: ours */
  enum lane lane;
  uint64_t position;
};
struct passing { /* a record, or all of a block */
  const struct sharing *s;
  struct bytes address; /* or the stream's owner */
  int64_t from, to;     /* received */
  bool whole;
};

static bool is_accepted_by_now(void *ctx, size_t place) {
  const struct sharing *s = ctx;
  return s->position >= s->rules->accept_from[place].at[s->lane];
}

/* history: our rule has a since, so that what is accepted now holds for it, whenever that began. Mostly all that is
 * accepted is older than the block. */
static bool is_accepted(const struct passing *passing, bool history) {
  const struct sharing *s = passing->s;
  const struct patterns *accept = &s->rules->theirs->accept;
  bool all = history || s->position >= s->rules->accept_newest.at[s->lane];
  return (passing->whole ? patterns_find_whole : patterns_find)(
      accept, passing->address, all ? NULL : is_accepted_by_now, (struct sharing *)(uintptr_t)s);
}

static bool share_lets_pass(void *ctx, size_t place) {
  const struct passing *passing = ctx;
  const struct sharing *s = passing->s;
  const struct half_share *rule = &s->rules->ours->share[place];
  return s->rules->feed_of[place] == s->feed &&
         (rule->since ? passing->from >= rule->since : s->position >= s->rules->share_from[place].at[s->lane]) &&
         (!rule->until || passing->to < rule->until) && is_accepted(passing, rule->since != 0);
}

static bool transit_lets_pass(void *ctx, size_t place) {
  const struct passing *passing = ctx;
  const struct sharing *s = passing->s;
  return s->position >= s->rules->transit_from[place].at[s->lane] && is_accepted(passing, false);
}

static bool passes(struct passing *passing) {
  const struct sharing *s = passing->s;
  bool ours = !s->granted;
  return (passing->whole ? patterns_find_whole : patterns_find)(ours ? &s->rules->shares : &s->rules->ours->transit,
      passing->address, ours ? share_lets_pass : transit_lets_pass, passing);
}

static bool share_keeps(void *ctx, const struct record *record) {
  const struct sharing *s = ctx;
  if (record->kind == RECORD_HEAD)
    return peer_shares_stream(s->rules, s->feed, s->block->stream) && grants_below(s->granted, s->block->stream);
  if (record->kind == RECORD_REPORT || record->kind == RECORD_COMMAND) return false;
  struct passing passing = {s, record->address, record->received, record->received, false};
  return passes(&passing) && (!s->granted || patterns_match(s->granted, record->address));
}

/* Decided without opening it. Only the urgent stream carries reports. */
static bool goes_whole(const struct sharing *s) {
  struct bytes owner = stream_owner(s->block->stream);
  struct passing passing = {s, owner, s->block->received_from, s->block->received_to, true};
  return owner.len == s->block->stream.len && passes(&passing) &&
         (!s->granted || patterns_extent(s->granted, owner) == SELECTION_ALL);
}

/* ---- the grants that it carries: see onward.h ---- */

static void add_grant(struct buffer *grants, const struct half_share *rule, const struct block *block) {
  bool within =
      (!rule->until || block->received_to < rule->until) && (!rule->since || block->received_from >= rule->since);
  if (!rule->onward_count || !within || extent_of(rule->match, stream_owner(block->stream)) == SELECTION_NONE) return;
  (void)onward_add(grants, pattern_text(rule->match), rule->onward, rule->onward_count); /* the configuration fits */
}

static void put_grants(struct buffer *grants, const struct sharing *s, const struct block *block) {
  const struct peer_grants *immediate = s->rules->grants;
  for (size_t i = 0; immediate && i < immediate->count; i++) add_grant(grants, immediate->rules[i], block);
  for (size_t i = 0; s->feed && i < s->rules->ours->share_count; i++)
    if (s->rules->feed_of[i] == s->feed) add_grant(grants, &s->rules->ours->share[i], block);
}

/* Takes `sent`. Where there is no room for the grants the block goes without: it goes no further then. */
static struct blob *with_grants(const struct sharing *s, struct blob *sent) {
  struct buffer grants = BUFFER_NULL;
  struct block block;
  struct blob *granted = NULL;
  bool good = block_open(&block, blob_bytes(sent)) == 0;
  if (good) put_grants(&grants, s, &block); /* of what is sent: behind its until a rule takes nothing along */
  bool added = good && grants.len && block_with_onward(&granted, &block, buffer_bytes(&grants)) == 0;
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
  struct sharing s = {.rules = rules, .block = block, .feed = feed, .lane = lane, .position = position};
  if (!ours) s.granted = granted_to(&rules->out, block->onward, rules->peer);
  struct selection selection = {NULL, share_keeps, &s}; /* heads stand under the node's own address */
  struct blob *sent = goes_whole(&s) ? blob_ref(from) : selection_apply(&selection, from, block);
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

bool peer_shares_point(const struct peer_rules *rules, struct bytes address, int64_t described) {
  if (!rules->theirs || !address_below(address, rules->node) || !patterns_match(&rules->theirs->accept, address))
    return false;
  for (size_t i = 0; i < rules->ours->share_count; i++) {
    const struct half_share *rule = &rules->ours->share[i];
    if ((!rule->until || described < rule->until) && pattern_matches(rule->match, address)) return true;
  }
  return false;
}

bool peer_passes_point(struct peer_rules *rules, struct bytes address, struct bytes grants) {
  return rules->theirs && !address_below(address, rules->node) && !address_below(address, rules->peer) &&
         patterns_match(&rules->ours->transit, address) && patterns_match(&rules->theirs->accept, address) &&
         patterns_match(granted_to(&rules->shown, grants, rules->peer), address);
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
