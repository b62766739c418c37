/* What a neighbour gets and what is taken from it, against a reference of ten lines, over random rules and addresses.
 */
#include "broker/peers.h"
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

static struct peer_rules rules_of(char (*share)[64], int shares, char (*accept)[64], int accepts) {
  struct peer_rules rules = {.node = "chongqing"};
  for (int i = 0; i < shares; i++) assert_int_equal(patterns_add(&rules.share, bytes_text(share[i]), NULL), 0);
  for (int i = 0; i < accepts; i++) assert_int_equal(patterns_add(&rules.accept, bytes_text(accept[i]), NULL), 0);
  return rules;
}

/* ---- blocks ---- */

static struct blob *block_of(const char *stream, char (*addresses)[64], int count, enum record_kind kind) {
  struct block_builder *builder = block_builder_new();
  for (int i = 0; i < count; i++) {
    struct record record = {.kind = kind,
        .address = bytes_text(addresses[i]),
        .time = 1,
        .received = 1,
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

enum { ADDRESSES = 12 };

static void one_round(void) {
  char share[3][64], accept[3][64], node[64], stream[80], addresses[ADDRESSES][64];
  int shares = below(4), accepts = below(4);
  for (int i = 0; i < 3; i++) random_pattern(share[i]), random_pattern(accept[i]);
  random_address(node, 2);
  snprintf(stream, sizeof stream, "%s%s", node, below(2) ? "!urgent" : "");
  for (int i = 0; i < ADDRESSES; i++) snprintf(addresses[i], 64, "%.30s/%s/%s", node, segment(2), segment(3));
  struct peer_rules rules = rules_of(share, shares, accept, accepts);
  struct blob *blob = block_of(stream, addresses, ADDRESSES, RECORD_READING);
  struct block block;
  assert_int_equal(block_open(&block, blob_bytes(blob)), 0);

  bool ours = strncmp(node, "chongqing/", 10) == 0;
  unsigned may_go = 0, may_come = 0;
  for (int i = 0; i < ADDRESSES; i++) {
    if (ours && any(share, shares, addresses[i])) may_go |= 1u << i;
    if (!ours && any(accept, accepts, addresses[i])) may_come |= 1u << i;
  }
  struct blob *sent = peer_share(&rules, blob, &block), *replace = NULL;
  assert_int_equal(sent ? values_in(blob_bytes(sent)) : 0, may_go);
  if (may_go) assert_true(peer_shares_stream(&rules, bytes_text(stream)));
  for (int i = 0; i < ADDRESSES; i++) /* not only the record: its name is nowhere in what goes out */
    if (ours && !any(share, shares, addresses[i])) assert_false(is_a_name_in(sent, addresses[i]));
  enum peer_accept verdict = peer_accept(&rules, &block, &replace);
  unsigned taken = verdict == PEER_ACCEPT_NOTHING ? 0
                   : verdict == PEER_ACCEPT_ALL   ? (1u << ADDRESSES) - 1
                                                  : values_in(blob_bytes(replace));
  assert_int_equal(taken, may_come);
  blob_unref(sent);
  blob_unref(replace);
  blob_unref(blob);
  peer_rules_deinit(&rules);
}

static void test_against_reference(void **state) {
  (void)state;
  for (int i = 0; i < 20000; i++) one_round();
}

/* The dictionary of a filtered block has no trace of what was taken out. */
static void test_no_name_leaks(void **state) {
  (void)state;
  char share[1][64] = {"chongqing/+/+/level"},
       addresses[2][64] = {"chongqing/cuntan/gauge-1/level", "chongqing/cuntan/secret-7/flow"};
  struct peer_rules rules = rules_of(share, 1, NULL, 0);
  struct blob *blob = block_of("chongqing/cuntan", addresses, 2, RECORD_READING);
  struct block block;
  assert_int_equal(block_open(&block, blob_bytes(blob)), 0);
  struct blob *sent = peer_share(&rules, blob, &block);
  assert_int_equal(values_in(blob_bytes(sent)), 1);
  assert_true(bytes_hold(blob, "secret"));
  assert_false(bytes_hold(sent, "secret"));
  blob_unref(sent);
  blob_unref(blob);
  peer_rules_deinit(&rules);
}

static bool is_shared(const struct peer_rules *rules, const char *stream, const char *address, enum record_kind kind) {
  char addresses[1][64];
  struct block block;
  snprintf(addresses[0], sizeof addresses[0], "%s", address);
  struct blob *blob = block_of(stream, addresses, 1, kind);
  assert_int_equal(block_open(&block, blob_bytes(blob)), 0);
  struct blob *sent = peer_share(rules, blob, &block);
  bool shared = sent != NULL;
  blob_unref(sent);
  blob_unref(blob);
  return shared;
}

static bool is_accepted(
    const struct peer_rules *rules, const char *stream, const char *address, enum record_kind kind) {
  char addresses[1][64];
  struct block block;
  struct blob *replace;
  snprintf(addresses[0], sizeof addresses[0], "%s", address);
  struct blob *blob = block_of(stream, addresses, 1, kind);
  assert_int_equal(block_open(&block, blob_bytes(blob)), 0);
  enum peer_accept accepted = peer_accept(rules, &block, &replace);
  blob_unref(replace);
  blob_unref(blob);
  return accepted != PEER_ACCEPT_NOTHING;
}

static void test_kinds(void **state) {
  (void)state;
  char share[1][64] = {"chongqing/#"}, accept[1][64] = {"hubei/+/+/level"};
  struct peer_rules rules = rules_of(share, 1, accept, 1);
  assert_false(is_shared(&rules, "chongqing/cai!urgent", "chongqing/cai/gate-1/opening", RECORD_REPORT));
  assert_true(is_shared(&rules, "chongqing/cai!urgent", "chongqing/cai", RECORD_HEAD));
  assert_true(is_shared(&rules, "chongqing/cai!urgent", "chongqing/cai/gate-1/limit", RECORD_EVENT));
  assert_true(is_accepted(&rules, "hubei/yichang", "hubei/yichang", RECORD_HEAD));
  assert_false(is_accepted(&rules, "anhui/yichang", "anhui/yichang", RECORD_HEAD));
  /* our own streams never come from a neighbour */
  assert_false(is_accepted(&rules, "chongqing/cai!urgent", "chongqing/cai/gate-1/limit", RECORD_EVENT));
  peer_rules_deinit(&rules);
}

static void test_scope(void **state) {
  (void)state;
  char one[2][64] = {"a/#", "b/+"}, other[2][64] = {"b/+", "a/#"}, third[2][64] = {"a/#", "b/#"};
  struct peer_rules a = rules_of(one, 2, NULL, 0), b = rules_of(other, 2, NULL, 0), c = rules_of(third, 2, NULL, 0),
                    none = rules_of(NULL, 0, NULL, 0);
  assert_true(peer_rules_scope(&a) == peer_rules_scope(&b));
  assert_true(peer_rules_scope(&a) != peer_rules_scope(&c));
  assert_true(peer_rules_scope(&none) != 0 && peer_rules_scope(&none) != peer_rules_scope(&a));
  peer_rules_deinit(&a);
  peer_rules_deinit(&b);
  peer_rules_deinit(&c);
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
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
