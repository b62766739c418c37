/* The agreements as they are kept: versions, and from which place of the logs each rule holds, over changes and starts.
 */
#include "broker/agreements.h"
#include "common/store/memory.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct store *store;
static struct memory_disk *disk;
static struct agreements agreements;

static struct instant now_of(void *ctx) {
  (void)ctx;
  return (struct instant){1, 1};
}
static void random_of(void *ctx, void *out, size_t len) {
  (void)ctx;
  memset(out, 7, len);
}
static const struct world world = {.now = now_of, .random = random_of};

static void open_all(void) {
  const struct store_options options = {.max_size = 64 * 1024 * 1024, .world = &world};
  assert_int_equal(store_open_memory(&store, &options, disk), 0);
  assert_int_equal(agreements_load(&agreements, "chongqing", store), 0);
}

static void restart(void) {
  agreements_deinit(&agreements);
  store = store_memory_crash(store);
  open_all();
}

static int setup(void **state) {
  (void)state;
  disk = memory_disk_new();
  open_all();
  return 0;
}

static int teardown(void **state) {
  (void)state;
  agreements_deinit(&agreements);
  store = store_memory_crash(store);
  disk = memory_disk_free(disk);
  return 0;
}

static void commit(struct store_batch *batch) {
  assert_int_equal(store_submit(store, batch, NULL), 0);
  store_memory_run(store, 8);
  struct store_done *done = store_next(store);
  assert_int_equal(done->kind, STORE_DONE_BATCH);
  store_done_free(done);
}

static struct peer_from at(uint64_t place) { return (struct peer_from){{place, place, place}}; }

/* Our half for hubei: share rules in the form of a half's line; until: of the last. */
static bool set(const char *const *matches, size_t count, int64_t until, uint64_t place) {
  char name[] = "hubei";
  struct broker_share rules[4] = {{0}};
  struct peer_from next = at(place);
  struct broker_peer peer = {.name = name, .share = rules, .share_count = count};
  struct store_batch *batch = store_batch_new();
  for (size_t i = 0; i < count; i++) assert_int_equal(pattern_new(&rules[i].match, bytes_text(matches[i]), NULL), 0);
  if (count) rules[count - 1].until = until;
  bool changed = agreements_set(&agreements, &peer, &next, 1, batch);
  agreements_settle(&agreements, batch);
  if (store_batch_is_empty(batch))
    store_batch_free(batch);
  else
    commit(batch);
  for (size_t i = 0; i < count; i++) pattern_free(rules[i].match);
  return changed;
}

static uint64_t place_of(const char *match) {
  const struct agreement *a = agreements_find(&agreements, bytes_text("hubei"));
  for (size_t i = 0; i < a->ours->share_count; i++)
    if (bytes_equal(pattern_text(a->ours->share[i].match), bytes_text(match))) return a->share_from[i].at[LANE_LIVE];
  fail_msg("there is no rule %s", match);
  return 0;
}

static const char *const both[] = {"chongqing/b", "chongqing/a"}, *const one[] = {"chongqing/a"};

static void test_where_a_rule_begins(void **state) {
  (void)state;
  assert_true(set(one, 1, 0, 50)); /* the first start: from the beginning */
  assert_int_equal(place_of("chongqing/a"), 0);
  assert_true(set(both, 2, 0, 60));
  assert_int_equal(place_of("chongqing/a"), 0);
  assert_int_equal(place_of("chongqing/b"), 60);
  restart();
  assert_false(set(both, 2, 0, 70));
  assert_int_equal(place_of("chongqing/b"), 60);
  assert_true(set(both, 2, 99, 80)); /* until alone: the same readings, to another end */
  assert_int_equal(place_of("chongqing/a"), 0);
  assert_true(set(one, 1, 0, 90));
  restart();
  assert_true(set(both, 2, 0, 100)); /* it comes back and begins anew */
  assert_int_equal(place_of("chongqing/b"), 100);
  assert_int_equal(place_of("chongqing/a"), 0);
  assert_int_equal(agreements_find(&agreements, bytes_text("hubei"))->our_version, 5);
  struct store_audit head;
  store_audit_head(store, &head);
  assert_int_equal(head.number, 5); /* an entry for each change */
}

/* A store that has had agreements knows no first start any more, also for a peer that is new. */
static void test_the_second_peer(void **state) {
  (void)state;
  assert_true(set(NULL, 0, 0, 50));
  restart();
  assert_true(set(one, 1, 0, 60));
  assert_int_equal(place_of("chongqing/a"), 60);
}

static enum agreement_take take(const char *body, size_t len, uint64_t place) {
  const char *why = NULL;
  struct peer_from next = at(place);
  struct store_batch *batch = store_batch_new();
  struct agreement *a = agreements_find(&agreements, bytes_text("hubei"));
  enum agreement_take outcome = agreement_take(a, &agreements, bytes_of(body, len), &next, 1, batch, &why);
  assert_true((outcome == AGREEMENT_MALFORMED) == (why != NULL));
  if (outcome == AGREEMENT_TAKEN)
    commit(batch);
  else
    store_batch_free(batch);
  return outcome;
}
#define TAKE(text, place) take(text, sizeof text - 1, place)
#define THEIRS "riverbus-agreement\t1\thubei\tchongqing\n"

static void test_what_they_tell(void **state) {
  (void)state;
  assert_true(set(one, 1, 0, 50));
  assert_int_equal(TAKE("\x01" THEIRS "accept\tchongqing/a\n", 60), AGREEMENT_TAKEN);
  assert_int_equal(TAKE("\x01" THEIRS "accept\tchongqing/a\n", 61), AGREEMENT_SAME);
  assert_int_equal(TAKE("\x02" THEIRS "accept\tchongqing/a\naccept\tchongqing/b\n", 70), AGREEMENT_TAKEN);
  assert_int_equal(TAKE("\x03"
                        "riverbus-agreement\t1\tanhui\tchongqing\n",
                       80),
      AGREEMENT_MALFORMED);
  assert_int_equal(TAKE("", 80), AGREEMENT_MALFORMED);
  restart();
  const struct agreement *a = agreements_find(&agreements, bytes_text("hubei"));
  assert_int_equal(a->their_version, 2);
  assert_int_equal(a->accept_from[0].at[LANE_LIVE], 0); /* what it told first has no beginning of its own */
  assert_int_equal(a->accept_from[1].at[LANE_LIVE], 70);
}

static void test_an_end(void **state) {
  (void)state;
  struct peer_from next = at(60);
  struct store_batch *batch = store_batch_new();
  assert_true(set(one, 1, 0, 50));
  assert_int_equal(TAKE("\x01" THEIRS "accept\tchongqing/a\n", 55), AGREEMENT_TAKEN);
  struct agreement *a = agreements_find(&agreements, bytes_text("hubei"));
  assert_true(agreements_end(a, &agreements, &next, 1, batch));
  commit(batch);
  restart();
  a = agreements_find(&agreements, bytes_text("hubei"));
  assert_true(!a->ours && !a->theirs && a->our_version == 2);
  assert_true(set(one, 1, 0, 70));
  assert_int_equal(place_of("chongqing/a"), 70);
  assert_int_equal(a->our_version, 3);
}

static void test_the_quota_is_kept(void **state) {
  (void)state;
  assert_true(set(one, 1, 0, 50));
  struct agreement *a = agreements_find(&agreements, bytes_text("hubei"));
  const struct broker_quota limit = {.bytes = 1 << 20};
  quota_sent(&a->quota, &limit, 1, 5000, (int64_t)1e15);
  struct store_batch *batch = store_batch_new();
  agreement_save_quota(a, batch);
  commit(batch);
  restart();
  assert_int_equal(agreements_find(&agreements, bytes_text("hubei"))->quota.day, 5000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_where_a_rule_begins, setup, teardown),
      cmocka_unit_test_setup_teardown(test_the_second_peer, setup, teardown),
      cmocka_unit_test_setup_teardown(test_what_they_tell, setup, teardown),
      cmocka_unit_test_setup_teardown(test_an_end, setup, teardown),
      cmocka_unit_test_setup_teardown(test_the_quota_is_kept, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
