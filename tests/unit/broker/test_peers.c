/* What a neighbour gets and what is taken from it, against a reference of ten lines, over random rules and addresses.
 */
#include "broker/effective.h"
#include "broker/peers.h"
#include "common/record/onward.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

static unsigned seed;

/* ---- the reference: split at '/', compare from the left ---- */

static bool matches(const char *pattern, const char *address) {
  for (;;) {
    size_t p = strcspn(pattern, "/"), a = strcspn(address, "/");
    if (p == 1 && *pattern == '#') return true;
    if (!(p == 1 && *pattern == '+') && (p != a || strncmp(pattern, address, p) != 0)) return false;
    if (!pattern[p] || !address[a])
      return (!pattern[p] && !address[a]) || (!address[a] && strcmp(pattern + p, "/#") == 0);
    pattern += p + 1, address += a + 1;
  }
}
static bool any(char (*patterns)[64], int count, const char *address) {
  for (int i = 0; i < count; i++)
    if (matches(patterns[i], address)) return true;
  return false;
}

/* ---- random names over a small alphabet, so that near misses are common ---- */

static int below(int n) { return (int)(random() % n); }
static const char *segment(int level) {
  static const char *const names[4][4] = {{"chongqing", "hubei", "chong", "chongqing2"},
      {"cuntan", "寸滩", "cuntan2", "cai"}, {"gauge-1", "gate-1", "gauge", "1号闸"},
      {"level", "flow", "opening", "lev"}};
  return names[level][below(4)];
}
static void random_address(char out[64], int depth) {
  out[0] = '\0';
  for (int i = 0; i < depth; i++) snprintf(out + strlen(out), 64 - strlen(out), "%s%s", i ? "/" : "", segment(i));
}
static void random_pattern(char out[64]) {
  int depth = 1 + below(4);
  out[0] = '\0';
  for (int i = 0; i < depth; i++) {
    const char *part = below(4) == 0 ? (i + 1 == depth && below(2) ? "#" : "+") : segment(i);
    snprintf(out + strlen(out), 64 - strlen(out), "%s%s", i ? "/" : "", part);
    if (*part == '#') break;
  }
}

/* ---- agreements ---- */

enum { RULES = 3, ADDRESSES = 12 };
struct rule { /* of share */
  char match[64];
  int64_t every, delay, until, since;
  bool onward; /* to anhui */
  uint64_t from;
};
struct bond {
  struct rule share[RULES];
  char accept[RULES][64], transit[RULES][64], their_accept[RULES][64];
  uint64_t transit_from[RULES], their_from[RULES];
  int shares, accepts, transits, their_accepts;
};
struct held { /* what the rules look into */
  struct half *ours, *theirs;
  struct peer_from share_from[RULES], transit_from[RULES], accept_from[RULES];
  const struct half_share *granting[RULES];
  struct peer_grants grants;
  struct peer_rules rules;
};

static void put_list(struct buffer *text, const char *word, char (*patterns)[64], int count) {
  for (int i = 0; i < count; i++) buffer_printf(text, "%s\t%s\n", word, patterns[i]);
}

static void put_condition(struct buffer *text, const char *word, int64_t value) {
  if (value) buffer_printf(text, "\t%s\t%lld", word, (long long)value);
}

static void hold(struct held *held, struct bond *bond) {
  struct buffer ours = BUFFER_NULL, theirs = BUFFER_NULL;
  *held = (struct held){0};
  buffer_printf(&ours, "riverbus-agreement\t1\tchongqing\thubei\n");
  put_list(&ours, "accept", bond->accept, bond->accepts);
  for (int i = 0; i < bond->shares; i++) {
    const struct rule *rule = &bond->share[i];
    buffer_printf(&ours, "share\t%s", rule->match);
    put_condition(&ours, "every", rule->every);
    put_condition(&ours, "delay", rule->delay);
    put_condition(&ours, "until", rule->until);
    put_condition(&ours, "since", rule->since);
    buffer_printf(&ours, "%s\n", rule->onward ? "\tonward\tanhui" : "");
    for (int lane = 0; lane < LANES; lane++) held->share_from[i].at[lane] = rule->from;
  }
  put_list(&ours, "transit", bond->transit, bond->transits);
  for (int i = 0; i < bond->transits; i++)
    for (int lane = 0; lane < LANES; lane++) held->transit_from[i].at[lane] = bond->transit_from[i];
  buffer_printf(&theirs, "riverbus-agreement\t1\thubei\tchongqing\n");
  put_list(&theirs, "accept", bond->their_accept, bond->their_accepts);
  for (int i = 0; i < bond->their_accepts; i++)
    for (int lane = 0; lane < LANES; lane++) held->accept_from[i].at[lane] = bond->their_from[i];
  assert_int_equal(half_new(&held->ours, buffer_bytes(&ours), bytes_text("chongqing"), bytes_text("hubei"), NULL), 0);
  assert_int_equal(
      half_new(&held->theirs, buffer_bytes(&theirs), bytes_text("hubei"), bytes_text("chongqing"), NULL), 0);
  for (size_t i = 0; i < held->ours->share_count; i++)
    if (held->ours->share[i].onward_count && !held->ours->share[i].every_us && !held->ours->share[i].delay_us)
      held->granting[held->grants.count++] = &held->ours->share[i];
  held->grants.rules = held->granting;
  held->rules = (struct peer_rules){.node = bytes_text("chongqing"),
      .peer = bytes_text("hubei"),
      .ours = held->ours,
      .theirs = held->theirs,
      .share_from = held->share_from,
      .transit_from = held->transit_from,
      .accept_from = held->accept_from,
      .grants = &held->grants};
  peer_rules_init(&held->rules, BYTES_NULL, &(struct peer_from){{2, 2, 2}});
  buffer_deinit(&ours);
  buffer_deinit(&theirs);
}

static void let_go(struct held *held) {
  peer_rules_deinit(&held->rules);
  half_free(held->ours);
  half_free(held->theirs);
}

/* ---- blocks ---- */

static struct blob *block_of(const char *stream, char (*addresses)[64], int count, enum record_kind kind) {
  struct block_builder *builder = block_builder_new();
  for (int i = 0; i < count; i++) {
    struct record record = {.kind = kind,
        .address = bytes_text(addresses[i]),
        .time = 1,
        .received = 100 + i,
        .value = {.type = VALUE_INTEGER, .integer = i}};
    assert_int_equal(block_builder_add(builder, &record, BLOCK_MAX), 0);
  }
  struct blob *blob = block_builder_finish(builder, bytes_text(stream), 1);
  block_number(blob, (struct epoch){1, 2}, 10);
  block_builder_free(builder);
  return blob;
}

/* The values left in a block as bits: value i stands for address i. */
static unsigned values_in(struct bytes bytes) {
  struct block block;
  struct block_reader *reader;
  struct record record;
  unsigned bits = 0;
  assert_int_equal(block_open(&block, bytes), 0);
  assert_int_equal(block_reader_new(&reader, &block), 0);
  while (block_reader_next(reader, &record) == 0) {
    assert_true(record.sequence == 10 + (uint64_t)record.value.integer);
    bits |= 1u << record.value.integer;
  }
  block_reader_free(reader);
  return bits;
}

/* Whether the block's dictionary has the address. */
static bool is_a_name_in(const struct blob *blob, const char *address) {
  struct block block;
  struct block_reader *reader;
  const struct bytes *names;
  bool found = false;
  if (!blob) return false;
  assert_int_equal(block_open(&block, blob_bytes(blob)), 0);
  assert_int_equal(block_reader_new(&reader, &block), 0);
  size_t count = block_reader_addresses(reader, &names);
  for (size_t i = 0; i < count; i++) found |= bytes_equal(names[i], bytes_text(address));
  block_reader_free(reader);
  return found;
}

static bool bytes_hold(const struct blob *blob, const char *text) {
  return blob && memmem(blob->data, blob->len, text, strlen(text));
}

static void random_bond(struct bond *bond) {
  *bond = (struct bond){.shares = below(4), .accepts = below(4), .transits = below(4), .their_accepts = below(4)};
  for (int i = 0; i < RULES; i++) {
    struct rule *rule = &bond->share[i];
    random_pattern(rule->match), random_pattern(bond->accept[i]), random_pattern(bond->transit[i]),
        random_pattern(bond->their_accept[i]);
    if (below(2)) snprintf(bond->their_accept[i], 64, "#");
    rule->every = below(3) ? 0 : 7, rule->delay = below(3) ? 0 : 9;
    rule->until = below(2) ? 0 : 98 + below(16), rule->since = below(2) ? 0 : 98 + below(16);
    rule->onward = below(2), rule->from = (uint64_t)below(3), bond->transit_from[i] = (uint64_t)below(3),
    bond->their_from[i] = (uint64_t)below(3);
  }
}

static bool is_accepted_at(struct bond *bond, const char *address, uint64_t position) {
  for (int i = 0; i < bond->their_accepts; i++)
    if (position >= bond->their_from[i] && matches(bond->their_accept[i], address)) return true;
  return false;
}

/* The reference: whether record i (received at 100 + i) of our province goes by the feed (every, delay), from a block
 * that stands at `position`. */
static bool may_go(
    struct bond *bond, const struct peer_feed *feed, const char *address, int64_t received, uint64_t position) {
  for (int i = 0; i < bond->shares; i++) {
    const struct rule *rule = &bond->share[i];
    if (rule->every == feed->every_us && rule->delay == feed->delay_us && matches(rule->match, address) &&
        (!rule->until || received < rule->until) && (rule->since ? received >= rule->since : position >= rule->from) &&
        is_accepted_at(bond, address, rule->since ? UINT64_MAX : position))
      return true;
  }
  return false;
}

static bool may_pass(struct bond *bond, const char *address, bool granted, uint64_t position) {
  for (int i = 0; i < bond->transits; i++)
    if (granted && position >= bond->transit_from[i] && matches(bond->transit[i], address) &&
        is_accepted_at(bond, address, position))
      return true;
  return false;
}

/* The nodes that the block's grants let have the address: what a relay would make of it. */
static bool grants_anhui(const struct blob *blob, const char *address) {
  struct block block;
  struct patterns granted = PATTERNS_NULL;
  assert_int_equal(block_open(&block, blob_bytes(blob)), 0);
  onward_granted(block.onward, bytes_text("anhui"), &granted);
  bool named = patterns_match(&granted, bytes_text(address));
  patterns_deinit(&granted);
  return named;
}

/* Whether some rule, of the immediate ones or of this feed, lets anhui have all that is sent, which is `bits`. */
static bool may_be_granted(struct bond *bond, const struct peer_feed *feed, const char *address, unsigned bits) {
  int first = 0, last = 0;
  for (int i = ADDRESSES; i-- > 0;)
    if (bits >> i & 1) first = i;
  for (int i = 0; i < ADDRESSES; i++)
    if (bits >> i & 1) last = i;
  for (int i = 0; i < bond->shares; i++) {
    const struct rule *rule = &bond->share[i];
    bool in_feed = (!rule->every && !rule->delay) || (rule->every == feed->every_us && rule->delay == feed->delay_us);
    if (rule->onward && in_feed && matches(rule->match, address) && (!rule->until || rule->until > 100 + last) &&
        (!rule->since || rule->since <= 100 + first))
      return true;
  }
  return false;
}

/* Of all pairs of what we let pass by the feed and what they accept, whether one meets below the owner. */
static bool may_share(const struct held *held, size_t feed, const char *owner) {
  struct bytes name = bytes_text(owner);
  bool ours = address_below(name, bytes_text("chongqing")), found = false;
  if (address_below(name, bytes_text("hubei")) || (!ours && feed)) return false;
  for (size_t i = 0; i < (ours ? held->ours->share_count : held->ours->transit.count); i++)
    for (size_t k = 0; k < held->theirs->accept.count; k++) {
      const struct pattern *rule = ours ? held->ours->share[i].match : held->ours->transit.items[i];
      struct buffer both = BUFFER_NULL;
      if ((!ours || held->rules.feed_of[i] == feed) &&
          pattern_meet(&both, pattern_text(rule), pattern_text(held->theirs->accept.items[k])))
        found |= pattern_extent(buffer_bytes(&both), name) != SELECTION_NONE;
      buffer_deinit(&both);
    }
  return found;
}

static void check_streams(const struct held *held) {
  char owner[64];
  for (size_t feed = 0; feed < held->rules.feed_count; feed++)
    for (int i = 0; i < 8; i++) {
      random_address(owner, 2);
      assert_int_equal(peer_shares_stream(&held->rules, feed, bytes_text(owner)), may_share(held, feed, owner));
    }
}

static unsigned sent_bits(const struct blob *sent) { return sent ? values_in(blob_bytes(sent)) : 0; }

static void check_feed(struct held *held, struct bond *bond, size_t feed, struct blob *blob, char (*addresses)[64],
    bool ours, uint64_t position) {
  struct block block;
  unsigned want = 0;
  assert_int_equal(block_open(&block, blob_bytes(blob)), 0);
  for (int i = 0; i < ADDRESSES; i++)
    if (ours && may_go(bond, &held->rules.feeds[feed], addresses[i], 100 + i, position)) want |= 1u << i;
  struct blob *sent = peer_share(&held->rules, feed, blob, &block, LANE_LIVE, position);
  if (ours) assert_int_equal(sent_bits(sent), want);
  if (want) assert_true(peer_shares_stream(&held->rules, feed, block.stream));
  for (int i = 0; i < ADDRESSES; i++) { /* not only the record: its name is nowhere in what goes out */
    bool here = false;
    for (int k = 0; k < ADDRESSES; k++) here |= (want >> k & 1) && strcmp(addresses[i], addresses[k]) == 0;
    if (ours && !here) assert_false(is_a_name_in(sent, addresses[i]));
    if (ours && (want >> i & 1))
      assert_true(
          grants_anhui(sent, addresses[i]) == may_be_granted(bond, &held->rules.feeds[feed], addresses[i], want));
  }
  blob_unref(sent);
}

static void check_transit(
    struct held *held, struct bond *bond, struct blob *blob, char (*addresses)[64], bool theirs, uint64_t position) {
  struct buffer grants = BUFFER_NULL;
  struct bytes nodes[2] = {bytes_text("anhui"), bytes_text("hubei")};
  struct blob *granted;
  struct block block;
  char granting[1][64];
  unsigned want = 0;
  random_pattern(granting[0]);
  assert_int_equal(onward_add(&grants, bytes_text(granting[0]), nodes, 1 + (size_t)below(2)), 0);
  bool names_us = memmem(grants.data, grants.len, "hubei", 5) && grants.data[grants.len - 5] == 'h';
  assert_int_equal(block_open(&block, blob_bytes(blob)), 0);
  assert_int_equal(block_with_onward(&granted, &block, buffer_bytes(&grants)), 0);
  assert_int_equal(block_open(&block, blob_bytes(granted)), 0);
  for (int i = 0; i < ADDRESSES; i++)
    if (!theirs && may_pass(bond, addresses[i], names_us && matches(granting[0], addresses[i]), position))
      want |= 1u << i;
  struct blob *sent = peer_share(&held->rules, 0, granted, &block, LANE_LIVE, position);
  assert_int_equal(sent_bits(sent), want);
  assert_null(peer_share(&held->rules, 1, granted, &block, LANE_LIVE, position));
  if (want) { /* the origin's word goes on unchanged */
    struct block passed;
    assert_int_equal(block_open(&passed, blob_bytes(sent)), 0);
    assert_true(bytes_equal(passed.onward, buffer_bytes(&grants)));
  }
  blob_unref(sent);
  blob_unref(granted);
  buffer_deinit(&grants);
}

static void check_accept(struct held *held, struct bond *bond, struct blob *blob, char (*addresses)[64], bool theirs) {
  struct block block;
  struct blob *replace;
  unsigned want = 0;
  uint32_t left_out;
  assert_int_equal(block_open(&block, blob_bytes(blob)), 0);
  for (int i = 0; i < ADDRESSES; i++) /* of a third province nothing is granted here */
    if (theirs && any(bond->accept, bond->accepts, addresses[i])) want |= 1u << i;
  enum peer_accept verdict = peer_accept(&held->rules, &block, &replace, &left_out);
  unsigned taken = verdict == PEER_ACCEPT_NOTHING ? 0
                   : verdict == PEER_ACCEPT_ALL   ? (1u << ADDRESSES) - 1
                                                  : values_in(blob_bytes(replace));
  assert_int_equal(taken, want);
  assert_int_equal(left_out, ADDRESSES - __builtin_popcount(want));
  blob_unref(replace);
}

static void one_round(void) {
  struct bond bond;
  struct held held;
  char node[64], stream[80], addresses[ADDRESSES][64];
  random_bond(&bond);
  hold(&held, &bond);
  random_address(node, 2);
  snprintf(stream, sizeof stream, "%s%s", node, below(2) ? "!urgent" : "");
  for (int i = 0; i < ADDRESSES; i++) snprintf(addresses[i], 64, "%.30s/%s/%s", node, segment(2), segment(3));
  struct blob *blob = block_of(stream, addresses, ADDRESSES, RECORD_READING);
  bool ours = strncmp(node, "chongqing/", 10) == 0, theirs = strncmp(node, "hubei/", 6) == 0;
  uint64_t position = (uint64_t)below(3);
  for (size_t feed = 0; feed < held.rules.feed_count; feed++)
    check_feed(&held, &bond, feed, blob, addresses, ours, position);
  if (!ours) check_transit(&held, &bond, blob, addresses, theirs, position);
  check_accept(&held, &bond, blob, addresses, theirs);
  check_streams(&held);
  blob_unref(blob);
  let_go(&held);
}

static void test_against_reference(void **state) {
  (void)state;
  for (int i = 0; i < 20000; i++) one_round();
}

static void simple(struct bond *bond, const char *share, const char *accept) {
  *bond = (struct bond){.shares = 1, .accepts = 1, .their_accepts = 1, .transits = 1};
  snprintf(bond->share[0].match, 64, "%s", share);
  snprintf(bond->accept[0], 64, "%s", accept);
  snprintf(bond->their_accept[0], 64, "#");
  snprintf(bond->transit[0], 64, "#");
}

/* The dictionary of a filtered block has no trace of what was taken out. */
static void test_no_name_leaks(void **state) {
  (void)state;
  char addresses[2][64] = {"chongqing/cuntan/gauge-1/level", "chongqing/cuntan/secret-7/flow"};
  struct bond bond;
  struct held held;
  simple(&bond, "chongqing/+/+/level", "hubei/#");
  hold(&held, &bond);
  struct blob *blob = block_of("chongqing/cuntan", addresses, 2, RECORD_READING);
  struct block block;
  assert_int_equal(block_open(&block, blob_bytes(blob)), 0);
  struct blob *sent = peer_share(&held.rules, 0, blob, &block, LANE_LIVE, 1);
  assert_int_equal(values_in(blob_bytes(sent)), 1);
  assert_true(bytes_hold(blob, "secret"));
  assert_false(bytes_hold(sent, "secret"));
  blob_unref(sent);
  held.rules.theirs = NULL; /* not told yet */
  assert_null(peer_share(&held.rules, 0, blob, &block, LANE_LIVE, 1));
  assert_false(peer_shares_stream(&held.rules, 0, bytes_text("chongqing/cuntan")));
  blob_unref(blob);
  let_go(&held);
}

static bool is_shared(struct peer_rules *rules, const char *stream, const char *address, enum record_kind kind) {
  char addresses[1][64];
  struct block block;
  snprintf(addresses[0], sizeof addresses[0], "%s", address);
  struct blob *blob = block_of(stream, addresses, 1, kind);
  assert_int_equal(block_open(&block, blob_bytes(blob)), 0);
  struct blob *sent = peer_share(rules, 0, blob, &block, LANE_LIVE, 1);
  bool shared = sent != NULL;
  blob_unref(sent);
  blob_unref(blob);
  return shared;
}

static bool is_accepted(struct peer_rules *rules, const char *stream, const char *address, enum record_kind kind) {
  char addresses[1][64];
  struct block block;
  struct blob *replace;
  uint32_t left_out;
  snprintf(addresses[0], sizeof addresses[0], "%s", address);
  struct blob *blob = block_of(stream, addresses, 1, kind);
  assert_int_equal(block_open(&block, blob_bytes(blob)), 0);
  enum peer_accept accepted = peer_accept(rules, &block, &replace, &left_out);
  blob_unref(replace);
  blob_unref(blob);
  return accepted != PEER_ACCEPT_NOTHING;
}

static void test_kinds(void **state) {
  (void)state;
  struct bond bond;
  struct held held;
  simple(&bond, "chongqing/#", "hubei/+/+/level");
  hold(&held, &bond);
  struct peer_rules *rules = &held.rules;
  assert_false(is_shared(rules, "chongqing/cai!urgent", "chongqing/cai/gate-1/opening", RECORD_REPORT));
  assert_true(is_shared(rules, "chongqing/cai!urgent", "chongqing/cai", RECORD_HEAD));
  assert_true(is_shared(rules, "chongqing/cai!urgent", "chongqing/cai/gate-1/limit", RECORD_EVENT));
  assert_false(is_shared(rules, "anhui/cai!urgent", "anhui/cai/gate-1/limit", RECORD_EVENT)); /* nothing granted */
  assert_false(is_shared(rules, "anhui/cai", "anhui/cai", RECORD_HEAD)); /* it would name the station */
  assert_true(is_accepted(rules, "hubei/yichang", "hubei/yichang", RECORD_HEAD));
  assert_false(is_accepted(rules, "anhui/yichang", "anhui/yichang", RECORD_HEAD));
  /* our own streams never come from a neighbour */
  assert_false(is_accepted(rules, "chongqing/cai!urgent", "chongqing/cai/gate-1/limit", RECORD_EVENT));
  let_go(&held);
}

static uint64_t scope_with(void (*change)(struct bond *bond)) {
  struct bond bond;
  struct held held;
  simple(&bond, "chongqing/#", "hubei/#");
  if (change) change(&bond);
  hold(&held, &bond);
  uint64_t scope = held.rules.feeds[0].scope;
  let_go(&held);
  assert_true(scope != 0);
  return scope;
}
static void granted_to_others(struct bond *bond) { bond->share[0].onward = true; }
static void later(struct bond *bond) { bond->share[0].from = 5; }
static void later_taken(struct bond *bond) { bond->their_from[0] = 5; }
static void shorter(struct bond *bond) { bond->share[0].until = 5; }
static void pickier(struct bond *bond) { snprintf(bond->their_accept[0], 64, "chongqing/+"); }
static void closed(struct bond *bond) { bond->transits = 0; }
static void taking_less(struct bond *bond) { snprintf(bond->accept[0], 64, "hubei/+"); }

/* next is 2 */
static void closed_rule(struct bond *bond) { bond->shares = 0; }
static void begins_now(struct bond *bond) {
  bond->shares = 2;
  snprintf(bond->share[1].match, 64, "chongqing/+");
  bond->share[1].from = 2;
}
static void taken_from_now(struct bond *bond) {
  bond->their_accepts = 2;
  snprintf(bond->their_accept[1], 64, "chongqing/+");
  bond->their_from[1] = 2;
}
static void history(struct bond *bond) {
  begins_now(bond);
  bond->share[1].since = 5;
}

static void test_scope(void **state) {
  (void)state;
  uint64_t plain = scope_with(NULL);
  assert_true(plain == scope_with(granted_to_others)); /* what it says of others changes nothing here */
  assert_true(plain == scope_with(NULL) && plain == scope_with(taking_less));
  assert_true(plain != scope_with(later) && plain != scope_with(later_taken) && plain != scope_with(shorter) &&
              plain != scope_with(pickier) && plain != scope_with(closed));
}

/* What was claimed under the rules before counts under new ones that are narrower, or wider from now on only. */
static void test_inherited(void **state) {
  (void)state;
  static void (*const narrower[])(struct bond *) = {closed_rule, begins_now, taken_from_now};
  static void (*const wider[])(struct bond *) = {pickier, shorter, history};
  struct bond plain, other;
  struct held before, after;
  simple(&plain, "chongqing/#", "hubei/#");
  hold(&before, &plain);
  for (size_t i = 0; i < 6; i++) {
    bool inherits = i < 3;
    other = plain;
    (inherits ? narrower[i] : wider[i - 3])(&other);
    hold(&after, &other);
    peer_rules_inherit(&after.rules, &before.rules);
    assert_true(after.rules.feeds[0].scope != before.rules.feeds[0].scope);
    assert_true(after.rules.feeds[0].inherits == (inherits ? before.rules.feeds[0].scope : 0));
    let_go(&after);
  }
  let_go(&before);
}

int main(void) {
  const char *given = getenv("RIVERBUS_TEST_SEED");
  seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
  printf("seed %u (RIVERBUS_TEST_SEED=%u repeats it)\n", seed, seed);
  srandom(seed);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_against_reference),
      cmocka_unit_test(test_no_name_leaks),
      cmocka_unit_test(test_kinds),
      cmocka_unit_test(test_scope),
      cmocka_unit_test(test_inherited),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
