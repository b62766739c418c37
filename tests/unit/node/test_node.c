/* Sessions, order, bounds and refusals: two honest nodes, and a broker to which a station by hand speaks. */
#include "common/node/parts.h"
#include "tests/unit/node/pair.h"

/* ---- two honest nodes ---- */

static void hello_brings_both_up(void **state) {
  struct pipe *p = *state;
  connect_link(p);
  assert_true(status_of(p, GATEWAY).up);
  assert_true(status_of(p, BROKER).up);
  assert_int_equal(sent_since(p, 0, GATEWAY, LINK_ATTACH), 1);
}

static void live_is_acknowledged_after_the_commit(void **state) {
  struct pipe *p = *state;
  connect_link(p);
  settle(p);
  size_t mark = p->count;
  measure(p, 7);
  pass(p, 300 * MILLISECOND_US);
  assert_int_equal(sent_since(p, mark, GATEWAY, LINK_BLOCK), 1);
  assert_true(store_memory_pending(p->sides[BROKER].store) > 0);
  assert_int_equal(sent_since(p, mark, BROKER, LINK_ACK), 0);
  assert_true(status_of(p, GATEWAY).in_flight_bytes > 0);
  commit(p, BROKER);
  assert_int_equal(sent_since(p, mark, BROKER, LINK_ACK), 1);
  assert_int_equal(status_of(p, GATEWAY).in_flight_bytes, 0);
  struct found found = at_broker(p, 7);
  assert_int_equal(found.times, 1);
  assert_int_equal(found.lane, LANE_LIVE);
}

static void a_full_store_is_answered_with_later(void **state) {
  struct pipe *p = *state;
  connect_link(p);
  settle(p);
  size_t mark = p->count;
  store_memory_faults(p->sides[BROKER].store, &(struct memory_faults){.full = true});
  measure(p, 7);
  commit(p, BROKER);
  assert_int_equal(sent_since(p, mark, BROKER, LINK_ACK), 0);
  assert_int_equal(sent_since(p, mark, BROKER, LINK_LATER), 1);
  assert_int_equal(status_of(p, GATEWAY).backlog_records, 1);
  store_memory_faults(p->sides[BROKER].store, &(struct memory_faults){.full = false});
  settle(p);
  assert_int_equal(at_broker(p, 7).times, 1);
  assert_int_equal(status_of(p, GATEWAY).backlog_records, 0);
}

static void a_new_session_resumes_by_what_is_claimed(void **state) {
  struct pipe *p = *state;
  connect_link(p);
  for (int64_t i = 0; i < 10; i++) measure(p, i);
  settle(p);
  disconnect_link(p);
  for (int64_t i = 10; i < 13; i++) measure(p, i);
  pass(p, 10 * SECOND_US);
  size_t mark = p->count;
  connect_link(p);
  settle(p);
  assert_int_equal(sent_since(p, mark, GATEWAY, LINK_BLOCK), 3);
  assert_int_equal(status_of(p, BROKER).duplicates, 0);
  for (int64_t i = 0; i < 13; i++) assert_int_equal(at_broker(p, i).times, 1);
  assert_int_equal(at_broker(p, 9).lane, LANE_LIVE);
  assert_int_equal(at_broker(p, 12).lane, LANE_BACKFILL);
}

/* A record that is stored and cannot be read is not "not held". */
static void what_is_damaged_arrives_by_name(void **state) {
  struct pipe *p = *state;
  measure(p, 1);
  settle(p);
  store_memory_faults(p->sides[GATEWAY].store, &(struct memory_faults){.damage_next_read = true});
  connect_link(p);
  settle(p);
  assert_int_equal(p->told_discards, 1); /* of whichever stream was read first */
  assert_string_equal(p->discard_reason, "damaged");
}

static void what_the_origin_trimmed_arrives_by_name(void **state) {
  struct pipe *p = *state;
  for (int64_t i = 0; i < 10; i++) measure(p, i);
  for (int hour = 0; hour < 3; hour++) {
    p->now += INT64_C(3600) * SECOND_US;
    measure(p, 100 + hour);
  }
  connect_link(p);
  settle(p);
  assert_true(p->told_discards > 0);
  assert_string_equal(p->discard_reason, "keep");
  assert_true(p->discard_from == 1 && p->discard_to >= 10);
  assert_int_equal(at_broker(p, 3).times, 0);
  assert_int_equal(at_broker(p, 102).times, 1);
}

/* In this session, whatever the socket takes. */
static void what_is_gone_is_told_when_the_socket_takes_it(void **state) {
  struct pipe *p = *state;
  for (int64_t i = 0; i < 10; i++) measure(p, i);
  p->now += INT64_C(7200) * SECOND_US;
  commit(p, GATEWAY);
  connect_link(p);
  p->deaf_conn = CONN_GATEWAY + CHANNEL_TELEMETRY;
  size_t before = p->count;
  settle(p);
  assert_int_equal(sent_since(p, before, GATEWAY, LINK_HELLO), 0); /* it is the same session still */
  assert_int_equal(p->told_discards, 1);                           /* of the urgent stream */
  p->deaf_conn = 0;
  settle(p);
  assert_int_equal(p->told_discards, 2);
  assert_true(p->discard_from == 1 && p->discard_to >= 10);
}

/* ---- what follows a refused block ---- */

/* What came after a refused block is not stored before it, though it would fit. */
static void after_later_nothing_is_taken_until_it_begins_again(void **state) {
  struct pipe *p = *state;
  be_station(p);
  store_memory_faults(p->sides[BROKER].store, &(struct memory_faults){.full = true});
  say_block(p, 1, "p/s", "p/s/g/level");
  say_block(p, 2, "p/s", "p/s/g/level"); /* on its way into the store when the first is refused */
  assert_int_equal(store_memory_pending(p->sides[BROKER].store), 3); /* with the broker's own heads */
  store_memory_run(p->sides[BROKER].store, 2);
  store_memory_faults(p->sides[BROKER].store, &(struct memory_faults){.full = false});
  commit(p, BROKER);
  say_block(p, 3, "p/s", "p/s/g/level");
  commit(p, BROKER);
  assert_null(last_to(p, CONN_STRANGER, LINK_ACK));
  assert_int_equal(last_to(p, CONN_STRANGER, LINK_LATER)->number, 3);
  assert_int_equal(at_broker(p, 5).times, 0);
  say_on(p, CONN_STRANGER + CHANNEL_TELEMETRY,
      &(struct link_message){.type = LINK_ATTACH, .session = 99, .number = 3}); /* one that came late */
  say_block(p, 4, "p/s", "p/s/g/level");
  assert_int_equal(last_to(p, CONN_STRANGER, LINK_LATER)->number, 4);
  say_on(p, CONN_STRANGER + CHANNEL_TELEMETRY, &(struct link_message){.type = LINK_ATTACH, .session = 99, .number = 5});
  say_block(p, 5, "p/s", "p/s/g/level");
  commit(p, BROKER);
  assert_int_equal(last_to(p, CONN_STRANGER, LINK_ACK)->number, 5);
  assert_int_equal(at_broker(p, 5).times, 1);
}

/* The same of urgent, when the reserve is used up too: what the store had before it refused the first is refused. */
static void urgent_that_follows_a_refusal_is_not_stored(void **state) {
  struct pipe *p = *state;
  be_station(p);
  store_memory_faults(p->sides[BROKER].store, &(struct memory_faults){.full = true, .full_urgent = true});
  say_urgent(p, 1);
  say_urgent(p, 2);
  assert_int_equal(store_memory_pending(p->sides[BROKER].store), 3); /* with the broker's own heads */
  store_memory_run(p->sides[BROKER].store, 2);
  store_memory_faults(p->sides[BROKER].store, &(struct memory_faults){.full = false});
  commit(p, BROKER);
  assert_null(last_to(p, CONN_STRANGER, LINK_ACK));
  assert_int_equal(last_to(p, CONN_STRANGER, LINK_LATER)->number, 2);
  assert_int_equal(at_broker(p, 5).times, 0);
  say_on(p, CONN_STRANGER + CHANNEL_URGENT, &(struct link_message){.type = LINK_ATTACH, .session = 99, .number = 3});
  say_urgent(p, 3);
  commit(p, BROKER);
  assert_int_equal(last_to(p, CONN_STRANGER, LINK_ACK)->number, 3);
  assert_int_equal(at_broker(p, 5).times, 1);
}

/* ---- many peers, one group ---- */

enum { CONN_OTHER = 40, CLAIM_CHARGE = 256, GROUP_BYTES = 1024 * 1024 };

static void be_other_station(struct pipe *p) {
  const char *me = "station p/t";
  struct node_peer_config config = {.principal = me, .node = "p/t", .role = NODE_PEER_STATION};
  node_peer_add(p->sides[BROKER].node, &config);
  put_on(p, me, CONN_OTHER,
      &(struct link_message){.type = LINK_HELLO,
          .session = 77,
          .version_low = LINK_VERSION,
          .version_high = LINK_VERSION,
          .scope_count = 1,
          .run = 4712,
          .node = bytes_text("p/t")});
  put_on(p, me, CONN_OTHER, &(struct link_message){.type = LINK_HELD_END, .session = 77});
  put_on(p, me, CONN_OTHER + CHANNEL_TELEMETRY, &(struct link_message){.type = LINK_ATTACH, .session = 77});
  deliver(p);
}

static void put_claim(struct pipe *p, const char *station, uint64_t conn, uint64_t session, uint64_t number) {
  struct buffer principal = BUFFER_NULL;
  buffer_printf(&principal, "station %s", station);
  put_on(p, buffer_text(&principal), conn,
      &(struct link_message){.type = LINK_CLAIM,
          .session = session,
          .number = number,
          .stream = bytes_text(station),
          .epoch = {1, 1},
          .from = number,
          .to = number});
  buffer_deinit(&principal);
}

/* Fills the queue to the store's writer by what an owner submits. */
static void make_busy(struct pipe *p) {
  for (int result = 0; result == 0;) {
    struct store_batch *batch = store_batch_new();
    store_batch_put(batch, STORE_META, bytes_text("key"), bytes_text("value"));
    result = node_submit(p->sides[BROKER].node, batch, NULL);
    if (result != 0) store_batch_free(batch);
  }
}

/* Without time passing, for a station by hand does not answer pings. */
static void commit_all(struct pipe *p) {
  deliver(p);
  while (store_memory_pending(p->sides[BROKER].store) > 0) commit(p, BROKER);
}

static void a_flood_does_not_put_off_what_another_sent(void **state) {
  struct pipe *p = *state;
  uint64_t flood = 2 * GROUP_BYTES / CLAIM_CHARGE;
  be_station(p);
  be_other_station(p);
  make_busy(p);
  put_claim(p, "p/t", CONN_OTHER + CHANNEL_TELEMETRY, 77, 1);
  size_t mark = p->count;
  for (uint64_t n = 1; n <= flood; n++) put_claim(p, "p/s", CONN_STRANGER + CHANNEL_TELEMETRY, 99, n);
  assert_int_equal(sent_since(p, mark, BROKER, LINK_LATER), flood - GROUP_BYTES / CLAIM_CHARGE / 2);
  put_claim(p, "p/t", CONN_OTHER + CHANNEL_TELEMETRY, 77, 2); /* there is room for others */
  assert_null(last_to(p, CONN_OTHER, LINK_LATER));
  commit_all(p);
  assert_null(last_to(p, CONN_OTHER, LINK_LATER));
  assert_int_equal(last_to(p, CONN_OTHER, LINK_ACK)->to, 2);
  assert_int_equal(last_to(p, CONN_STRANGER, LINK_ACK)->to, GROUP_BYTES / CLAIM_CHARGE / 2);
}

/* What was put off is asked for again, and until it comes nothing of that channel is taken: urgent too keeps its order.
 */
static void urgent_that_was_put_off_begins_again(void **state) {
  struct pipe *p = *state;
  uint64_t fits = GROUP_BYTES / CLAIM_CHARGE / 2;
  be_station(p);
  make_busy(p);
  for (uint64_t n = 1; n <= fits + 1; n++)
    put_on(p, "station p/s", CONN_STRANGER,
        &(struct link_message){.type = LINK_CLAIM,
            .session = 99,
            .number = n,
            .stream = bytes_text("p/s!urgent"),
            .epoch = {1, 1},
            .from = n,
            .to = n});
  assert_int_equal(last_to(p, CONN_STRANGER, LINK_LATER)->number, fits + 1);
  commit_all(p);
  assert_int_equal(last_to(p, CONN_STRANGER, LINK_ACK)->to, fits);
  struct link_message again = {.type = LINK_CLAIM,
      .session = 99,
      .number = fits + 2,
      .stream = bytes_text("p/s!urgent"),
      .epoch = {1, 1},
      .from = fits + 1,
      .to = fits + 1};
  say_on(p, CONN_STRANGER, &again);
  assert_int_equal(last_to(p, CONN_STRANGER, LINK_LATER)->number, fits + 2);
  again.number = fits + 3;
  say_on(p, CONN_STRANGER, &(struct link_message){.type = LINK_ATTACH, .session = 99, .number = again.number});
  say_on(p, CONN_STRANGER, &again);
  commit_all(p);
  assert_int_equal(last_to(p, CONN_STRANGER, LINK_ACK)->to, fits + 3);
}

/* ---- what a peer may name ---- */

static void put_range(struct pipe *p, uint8_t type, uint64_t number, const char *stream, uint64_t created) {
  put_on(p, "station p/s", CONN_STRANGER + CHANNEL_TELEMETRY,
      &(struct link_message){.type = type,
          .session = 99,
          .number = number,
          .stream = bytes_text(stream),
          .epoch = {created, 1},
          .from = 1,
          .to = 1,
          .by = bytes_text("p/s"),
          .reason = bytes_text("keep")});
}

static void count_epoch(void *ctx, struct epoch epoch) {
  size_t *count = ctx;
  (void)epoch;
  ++*count;
}

static size_t epochs_of(struct pipe *p, const char *stream) {
  size_t count = 0;
  store_epochs(p->sides[BROKER].store, bytes_text(stream), count_epoch, &count);
  return count;
}

static void of_a_stream_that_is_not_accepted_nothing_is_kept(void **state) {
  struct pipe *p = *state;
  be_station(p);
  p->denied = "p/s";
  say_block(p, 1, "p/s", "p/s/g/level");
  put_range(p, LINK_CLAIM, 2, "p/s", 1);
  put_range(p, LINK_DISCARD, 3, "p/s", 1);
  commit_all(p);
  assert_int_equal(sent_since(p, 0, BROKER, LINK_REFUSED), 3);
  assert_int_equal(last_to(p, CONN_STRANGER, LINK_REFUSED)->code, LINK_REFUSED_STREAM);
  assert_int_equal(status_of(p, BROKER).refused_blocks, 3);
  assert_int_equal(epochs_of(p, "p/s"), 0);
}

static void a_stream_that_is_not_accepted_is_not_sent_again(void **state) {
  struct pipe *p = *state;
  connect_link(p);
  p->denied = "p/s";
  settle(p);
  size_t mark = p->count;
  for (int64_t i = 0; i < 5; i++) measure(p, i);
  settle(p);
  assert_int_equal(sent_since(p, mark, GATEWAY, LINK_BLOCK), 0); /* the heads before were refused */
  assert_int_equal(status_of(p, GATEWAY).in_flight_bytes, 0);
  p->denied = NULL; /* other rules: a new session */
  disconnect_link(p);
  connect_link(p);
  settle(p);
  for (int64_t i = 0; i < 5; i++) assert_int_equal(at_broker(p, i).times, 1);
}

static void epochs_of_a_stream_are_bounded(void **state) {
  struct pipe *p = *state;
  be_station(p);
  for (uint64_t n = 1; n <= STORE_EPOCHS_MAX; n++)
    put_range(p, LINK_CLAIM, n, "p/s", n == STORE_EPOCHS_MAX ? 5 : 1000 + n); /* an older one is taken too */
  commit_all(p);
  assert_int_equal(epochs_of(p, "p/s"), STORE_EPOCHS_MAX);
  assert_int_equal(status_of(p, BROKER).refused_blocks, 0);
  put_range(p, LINK_CLAIM, STORE_EPOCHS_MAX + 1, "p/s", 9000);
  put_range(p, LINK_DISCARD, STORE_EPOCHS_MAX + 2, "p/s", 9001);
  put_range(p, LINK_CLAIM, STORE_EPOCHS_MAX + 3, "p/s", 1001); /* known */
  commit_all(p);
  assert_int_equal(status_of(p, BROKER).refused_blocks, 2);
  assert_int_equal(epochs_of(p, "p/s"), STORE_EPOCHS_MAX);
  assert_int_equal(last_to(p, CONN_STRANGER, LINK_ACK)->to, STORE_EPOCHS_MAX + 3);
}

static void be_neighbour(struct pipe *p, uint64_t session) {
  put_on(p, "peer q", CONN_OTHER,
      &(struct link_message){.type = LINK_HELLO,
          .session = session,
          .version_low = LINK_VERSION,
          .version_high = LINK_VERSION,
          .scope_count = 1,
          .run = 4713,
          .node = bytes_text("q")});
  put_on(p, "peer q", CONN_OTHER, &(struct link_message){.type = LINK_HELD_END, .session = session});
  put_on(p, "peer q", CONN_OTHER + CHANNEL_TELEMETRY, &(struct link_message){.type = LINK_ATTACH, .session = session});
  deliver(p);
}

static void name_streams(struct pipe *p, uint64_t session, unsigned from, unsigned count) {
  char stream[32];
  for (unsigned i = 0; i < count; i++) {
    snprintf(stream, sizeof stream, "q/s%u", from + i);
    put_on(p, "peer q", CONN_OTHER + CHANNEL_TELEMETRY,
        &(struct link_message){.type = LINK_CLAIM,
            .session = session,
            .number = i + 1,
            .stream = bytes_text(stream),
            .epoch = {1, 1},
            .from = 1,
            .to = 1});
    if (i % 1024 == 0) commit_all(p);
  }
  commit_all(p);
}

/* A new session does not begin to count anew. */
static void streams_of_a_peer_are_bounded(void **state) {
  struct pipe *p = *state;
  struct node_peer_config config = {.principal = "peer q", .node = "q", .role = NODE_PEER_NEIGHBOUR};
  struct node_peer *q = node_peer_add(p->sides[BROKER].node, &config);
  struct node_peer_status status;
  be_neighbour(p, 77);
  name_streams(p, 77, 0, NODE_NAMES_MAX - 10);
  be_neighbour(p, 78);
  name_streams(p, 78, NODE_NAMES_MAX, 20);
  node_peer_status(p->sides[BROKER].node, q, &status);
  assert_int_equal(status.refused_blocks, 10);
  be_neighbour(p, 79);
  name_streams(p, 79, 2 * NODE_NAMES_MAX, 5000); /* each of another name: none of them is kept */
  node_peer_status(p->sides[BROKER].node, q, &status);
  assert_int_equal(status.refused_blocks, 10 + 5000);
  assert_int_equal(q->names.count, 0);
}

/* ---- order at a relay ---- */

static void put_sequence(struct pipe *p, uint64_t number, enum lane lane, uint64_t sequence) {
  struct blob *blob = draft(p, "p/s", "p/s/g/level", (int64_t)sequence, 4711);
  block_number(blob, (struct epoch){1, 1}, sequence);
  say_on(p, CONN_STRANGER + CHANNEL_TELEMETRY,
      &(struct link_message){.type = LINK_BLOCK,
          .session = 99,
          .number = number,
          .lane = (uint8_t)lane,
          .from = sequence,
          .to = sequence,
          .body = blob_bytes(blob)});
  blob_unref(blob);
  commit_all(p);
}

/* q, which has 1 and `newest` of the station's stream. */
static void q_that_has(struct pipe *p, uint64_t newest) {
  struct node_peer_config config = {.principal = "peer q", .node = "q", .role = NODE_PEER_NEIGHBOUR};
  node_peer_add(p->sides[BROKER].node, &config);
  put_on(p, "peer q", CONN_OTHER,
      &(struct link_message){.type = LINK_HELLO,
          .session = 77,
          .version_low = LINK_VERSION,
          .version_high = LINK_VERSION,
          .scope_count = 1,
          .run = 4713,
          .node = bytes_text("q")});
  put_on(p, "peer q", CONN_OTHER,
      &(struct link_message){.type = LINK_HELD,
          .session = 77,
          .stream = bytes_text("p/s"),
          .epoch = {1, 1},
          .last = newest,
          .range_count = newest > 1 ? 2 : 1,
          .ranges = {{1, 1}, {newest, newest}},
          .number = 1});
  put_on(p, "peer q", CONN_OTHER, &(struct link_message){.type = LINK_HELD_END, .session = 77, .number = 1});
  put_on(p, "peer q", CONN_OTHER + CHANNEL_TELEMETRY, &(struct link_message){.type = LINK_ATTACH, .session = 77});
  deliver(p);
}

/* Sequences of p/s that q was sent in this lane, in order, as digits: 23. */
static unsigned sent_to_q(const struct pipe *p, enum lane lane) {
  unsigned digits = 0;
  for (size_t i = 0; i < p->count; i++) {
    const struct link_message *m = &p->sent[i].m;
    struct block block;
    if (p->sent[i].conn != CONN_OTHER + CHANNEL_TELEMETRY || m->type != LINK_BLOCK || m->lane != lane) continue;
    assert_int_equal(block_open(&block, m->body), 0);
    if (bytes_equal(block.stream, bytes_text("p/s"))) digits = digits * 10 + (unsigned)block.first;
  }
  return digits;
}

static void look(struct pipe *p) {
  for (int i = 0; i < 4; i++) {
    pass(p, 60 * MILLISECOND_US);
    store_memory_run(p->sides[BROKER].store, 100);
  }
}

static void backfill_waits_for_what_the_relay_misses_below(void **state) {
  struct pipe *p = *state;
  be_station(p);
  put_sequence(p, 1, LANE_LIVE, 1);
  put_sequence(p, 2, LANE_LIVE, 3);
  put_sequence(p, 3, LANE_LIVE, 4);
  q_that_has(p, 4);
  look(p);
  assert_int_equal(sent_to_q(p, LANE_BACKFILL), 0);
  put_sequence(p, 4, LANE_BACKFILL, 2);
  look(p);
  assert_int_equal(sent_to_q(p, LANE_BACKFILL), 23);
  assert_int_equal(sent_to_q(p, LANE_LIVE), 0);
}

static void what_was_put_off_goes_live_again_at_a_relay(void **state) {
  struct pipe *p = *state;
  be_station(p);
  put_sequence(p, 1, LANE_LIVE, 1);
  q_that_has(p, 1);
  put_sequence(p, 2, LANE_LIVE, 3);
  assert_int_equal(sent_to_q(p, LANE_LIVE), 3);
  uint64_t number = last_to(p, CONN_OTHER + CHANNEL_TELEMETRY, LINK_BLOCK)->number;
  put_on(p, "peer q", CONN_OTHER,
      &(struct link_message){
          .type = LINK_LATER, .session = 77, .channel = CHANNEL_TELEMETRY, .number = 1, .to = number});
  for (int i = 0; i < 5; i++) look(p);
  assert_int_equal(sent_to_q(p, LANE_LIVE), 33);
  put_sequence(p, 3, LANE_BACKFILL, 2);
  look(p);
  assert_int_equal(sent_to_q(p, LANE_BACKFILL), 2);
}

static void held_of_a_stream_that_is_not_sent_is_passed_over(void **state) {
  struct pipe *p = *state;
  greet_as(p, "p/s");
  say_on(p, CONN_STRANGER,
      &(struct link_message){
          .type = LINK_HELD, .session = 99, .stream = bytes_text("p/other"), .epoch = {1, 1}, .number = 1});
  say_on(p, CONN_STRANGER, &(struct link_message){.type = LINK_HELD_END, .session = 99, .number = 1});
  assert_true(status_of(p, BROKER).up);
  assert_int_equal(status_of(p, BROKER).refused_blocks, 1);
}

static void another_name_is_refused(void **state) {
  struct pipe *p = *state;
  greet_as(p, "p/other");
  const struct link_message *m = last_to(p, CONN_STRANGER, LINK_REFUSE);
  assert_non_null(m);
  assert_int_equal(m->code, LINK_CODE_NAME);
  assert_false(status_of(p, BROKER).up);
}

/* The greeting of version 1 ended with the name. */
static void another_version_is_refused_by_name(void **state) {
  struct pipe *p = *state;
  struct buffer frame = BUFFER_NULL;
  link_message_write(&frame, &(struct link_message){.type = LINK_HELLO,
                                 .session = 99,
                                 .version_low = 1,
                                 .version_high = 1,
                                 .run = 4711,
                                 .node = bytes_text("p/s")});
  node_receive(
      p->sides[BROKER].node, "station p/s", CONN_STRANGER, CHANNEL_URGENT, bytes_of(frame.data, frame.len - 1));
  deliver(p);
  const struct link_message *m = last_to(p, CONN_STRANGER, LINK_REFUSE);
  assert_non_null(m);
  assert_int_equal(m->code, LINK_CODE_VERSION);
  assert_non_null(memmem(m->reason.data, m->reason.len, "speaks version 2, the other 1 to 1", 34));
  assert_false(status_of(p, BROKER).up);
  buffer_deinit(&frame);
}

static void foreign_streams_and_addresses_are_refused(void **state) {
  static const struct {
    const char *stream, *address;
  } bad[] = {{"p/other", "p/other/g/level"}, {"p", "p/x"}, {"p/s", "p/other/g/level"}, {"p/s", "p/sx/level"},
      {"p/s!urgent", "p/s/g/level"}};
  enum { BAD = sizeof bad / sizeof bad[0] };
  struct pipe *p = *state;
  be_station(p);
  for (size_t i = 0; i < BAD; i++) {
    say_block(p, i + 1, bad[i].stream, bad[i].address);
    const struct link_message *m = last_to(p, CONN_STRANGER, LINK_REFUSED);
    assert_non_null(m);
    assert_true(m->number == i + 1 && m->code == LINK_REFUSED_FORBIDDEN && m->channel == CHANNEL_TELEMETRY);
    assert_int_equal(status_of(p, BROKER).refused_blocks, i + 1);
  }
  say_block(p, BAD + 1, "p/s", "p/s/g/level");
  commit(p, BROKER);
  assert_int_equal(status_of(p, BROKER).refused_blocks, BAD);
  assert_int_equal(at_broker(p, 5).times, 1);
  assert_int_equal(last_to(p, CONN_STRANGER, LINK_ACK)->number, BAD + 1);
}

/* A station may end its life many times, not without end; it alone is told so. */
static void epochs_without_end_are_refused(void **state) {
  struct pipe *p = *state;
  be_station(p);
  for (uint64_t i = 1; i <= STORE_EPOCHS_MAX + 3; i++) {
    say_on(p, CONN_STRANGER + CHANNEL_TELEMETRY,
        &(struct link_message){.type = LINK_CLAIM,
            .session = 99,
            .number = i,
            .stream = bytes_text("p/s"),
            .epoch = {.created = i, .random = 1},
            .from = 1,
            .to = 5});
    if (i % 50 == 0) commit(p, BROKER);
  }
  commit(p, BROKER);
  assert_int_equal(status_of(p, BROKER).refused_blocks, 3);
  assert_int_equal(last_to(p, CONN_STRANGER, LINK_REFUSED)->number, STORE_EPOCHS_MAX + 3);
}

static void a_gap_ends_the_session(void **state) {
  struct pipe *p = *state;
  be_station(p);
  say_block(p, 2, "p/s", "p/s/g/level");
  assert_false(status_of(p, BROKER).up);
}

static void a_clone_is_refused_while_the_old_one_answers(void **state) {
  struct pipe *p = *state;
  connect_link(p);
  settle(p);
  greet_as(p, "p/s");
  assert_int_equal(p->clones, 1);
  const struct link_message *m = last_to(p, CONN_STRANGER, LINK_REFUSE);
  assert_non_null(m);
  assert_true(m->code == LINK_CODE_CLONE && m->session == 99);
  assert_true(status_of(p, BROKER).clone_refused && status_of(p, BROKER).up && status_of(p, GATEWAY).up);
  measure(p, 8);
  settle(p);
  assert_int_equal(at_broker(p, 8).times, 1);
}

static void the_newcomer_is_taken_when_the_old_one_is_silent(void **state) {
  struct pipe *p = *state;
  connect_link(p);
  settle(p);
  node_closed(p->sides[GATEWAY].node, CONN_GATEWAY); /* died; the broker has not noticed */
  greet_as(p, "p/s");
  assert_null(last_to(p, CONN_STRANGER, LINK_HELLO));
  pass(p, 2 * SECOND_US);
  assert_non_null(last_to(p, CONN_STRANGER, LINK_HELLO));
  assert_int_equal(p->clones, 0);
}

/* A restarted gateway need not wait for its own old session to be given up. */
static void the_newcomer_is_taken_when_the_old_connection_is_gone(void **state) {
  struct pipe *p = *state;
  connect_link(p);
  settle(p);
  p->deaf_conn = CONN_BROKER + CHANNEL_URGENT;
  greet_as(p, "p/s");
  node_closed(p->sides[BROKER].node, CONN_BROKER + CHANNEL_URGENT);
  pass(p, 60 * MILLISECOND_US);
  const struct link_message *m = last_to(p, CONN_STRANGER, LINK_HELLO);
  assert_non_null(m);
  assert_int_equal(m->answer, 99);
  assert_int_equal(p->clones, 0);
}

/* A full socket is no proof of death: a copied key may not take the place of a station whose link is busy. */
static void a_clone_does_not_win_because_the_socket_is_full(void **state) {
  struct pipe *p = *state;
  connect_link(p);
  settle(p);
  p->deaf_conn = CONN_BROKER + CHANNEL_URGENT;
  greet_as(p, "p/s");
  pass(p, 60 * MILLISECOND_US);
  assert_null(last_to(p, CONN_STRANGER, LINK_HELLO));
  p->deaf_conn = 0;
  pass(p, 600 * MILLISECOND_US);
  assert_int_equal(p->clones, 1);
  assert_null(last_to(p, CONN_STRANGER, LINK_HELLO));
  assert_true(status_of(p, BROKER).up);
}

#define NODE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void) {
  log_set_level(LOG_LEVEL_ERROR);
  const struct CMUnitTest tests[] = {
      NODE_TEST(hello_brings_both_up),
      NODE_TEST(live_is_acknowledged_after_the_commit),
      NODE_TEST(a_full_store_is_answered_with_later),
      NODE_TEST(a_new_session_resumes_by_what_is_claimed),
      NODE_TEST(what_is_damaged_arrives_by_name),
      NODE_TEST(what_the_origin_trimmed_arrives_by_name),
      NODE_TEST(what_is_gone_is_told_when_the_socket_takes_it),
      NODE_TEST(another_name_is_refused),
      NODE_TEST(another_version_is_refused_by_name),
      NODE_TEST(foreign_streams_and_addresses_are_refused),
      NODE_TEST(epochs_without_end_are_refused),
      NODE_TEST(a_gap_ends_the_session),
      NODE_TEST(after_later_nothing_is_taken_until_it_begins_again),
      NODE_TEST(a_flood_does_not_put_off_what_another_sent),
      NODE_TEST(urgent_that_was_put_off_begins_again),
      NODE_TEST(of_a_stream_that_is_not_accepted_nothing_is_kept),
      NODE_TEST(a_stream_that_is_not_accepted_is_not_sent_again),
      NODE_TEST(epochs_of_a_stream_are_bounded),
      NODE_TEST(streams_of_a_peer_are_bounded),
      NODE_TEST(held_of_a_stream_that_is_not_sent_is_passed_over),
      NODE_TEST(backfill_waits_for_what_the_relay_misses_below),
      NODE_TEST(what_was_put_off_goes_live_again_at_a_relay),
      NODE_TEST(urgent_that_follows_a_refusal_is_not_stored),
      NODE_TEST(a_clone_is_refused_while_the_old_one_answers),
      NODE_TEST(the_newcomer_is_taken_when_the_old_one_is_silent),
      NODE_TEST(the_newcomer_is_taken_when_the_old_connection_is_gone),
      NODE_TEST(a_clone_does_not_win_because_the_socket_is_full),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
