/* A neighbour that claims, or names as gone, what is another's to give: up to the end of all numbers. What the other
 * one gives is taken all the same, also by a later session and a later life. */
#include "common/node/parts.h"
#include "tests/unit/node/chain.h"

static void lie(struct chain *chain, uint8_t type, struct epoch epoch, uint64_t from, uint64_t to, const char *by) {
  struct node_peer *peer = chain->provinces[A].peers[B];
  struct link_message m = {.type = type,
      .session = peer->session,
      .number = peer->channels[CHANNEL_TELEMETRY].next_number++,
      .scope = peer->feeds[0].scope,
      .stream = bytes_text("c"),
      .epoch = epoch,
      .from = from,
      .to = to,
      .by = bytes_text(by),
      .reason = bytes_text("keep"),
      .time = 1};
  assert_true(peer_send(peer, CHANNEL_TELEMETRY, &m));
  chain_pass(chain, SECOND_US);
}

static void measure(struct chain *chain, int64_t from, int64_t count) {
  for (int64_t i = from; i < from + count; i++) chain_measure(chain, C, "c/s/g/level", i);
  chain_pass(chain, 2 * SECOND_US);
}

static void assert_all(struct chain *chain, int64_t count) {
  for (int64_t i = 1; i <= count; i++) assert_int_equal(chain_times(chain, B, i), 1);
}

static void what_another_gives_is_taken_all_the_same(void **state) {
  struct chain *chain = *state;
  struct store_stream held;
  chain_start(chain);
  chain_join(chain, B, C);
  measure(chain, 1, 3);
  assert_true(store_stream_get(chain->provinces[C].store, bytes_text("c"), &held));
  struct epoch epoch = held.epoch;
  chain_join(chain, A, B);
  const uint64_t ends[] = {100, (uint64_t)1 << 62, INT64_MAX, (uint64_t)1 << 63, UINT64_MAX};
  static const char *const names[] = {"a", "c", "nobody"};
  for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
    lie(chain, LINK_CLAIM, epoch, 1 + i, ends[i], "");
    for (size_t n = 0; n < 3; n++) lie(chain, LINK_DISCARD, epoch, 1 + i, ends[i], names[n]);
  }
  measure(chain, 4, 3);
  assert_all(chain, 6);
  chain_cut(chain, B, C);
  measure(chain, 7, 3);
  chain_join(chain, B, C);
  chain_pass(chain, 5 * SECOND_US);
  assert_all(chain, 9);
  chain_restart(chain, B);
  measure(chain, 10, 3);
  chain_join(chain, B, C);
  chain_pass(chain, 5 * SECOND_US);
  assert_all(chain, 12);
}

int main(void) {
  log_set_level(LOG_LEVEL_ERROR);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(what_another_gives_is_taken_all_the_same, chain_setup, chain_teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
