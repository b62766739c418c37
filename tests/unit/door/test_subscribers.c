/* tail and history at the broker, over a real node and the memory store: passing and durable, from the ring and from
 * the store, windows and rights. */
#include "common/door/history.h"
#include "common/door/subscribers.h"
#include "common/store/memory.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct {
  struct instant now;
  struct world world;
  struct memory_disk *disk;
  struct store *store;
  struct node *node;
  struct errands errands;
  struct readers readers;
  struct subscribers *subscribers;
  struct histories histories;
  struct requests *requests;
  struct patterns read;
  struct requester who;
  bool full, crowd;
  unsigned pages; /* that the store has answered */
  /* what the client saw */
  struct buffer values; /* "lane:value " of each record */
  size_t bytes, lasts;
  uint64_t positions[LANES];
  char code[32];
} t;

static struct instant test_now(void *ctx) {
  (void)ctx;
  return t.now;
}
static void test_random(void *ctx, void *out, size_t len) {
  (void)ctx;
  memset(out, 3, len);
}

static void see_block(const struct request_message *m) {
  struct block block;
  struct block_reader *reader;
  struct record record;
  assert_int_equal(block_open(&block, m->body), 0);
  assert_int_equal(block_reader_new(&reader, &block), 0);
  while (block_reader_next(reader, &record) == 0)
    if (record.kind == RECORD_READING) buffer_printf(&t.values, "%lld ", (long long)record.value.integer);
  block_reader_free(reader);
  assert_true(t.crowd || m->position > t.positions[m->lane]); /* in order, nothing twice */
  t.positions[m->lane] = m->position;
  t.bytes += m->body.len;
}

static enum requests_send client(void *ctx, uint64_t conn, struct bytes frame) {
  struct request_message m;
  (void)ctx, (void)conn;
  if (t.full) return REQUESTS_FULL;
  assert_int_equal(request_read(&m, frame), 0);
  if (m.type == REQUEST_RECORDS) see_block(&m);
  if (m.type != REQUEST_REPLY || !m.last) return REQUESTS_SENT;
  t.lasts++;
  json_t *body = json_loadb((const char *)m.body.data, m.body.len, 0, NULL);
  const char *code = json_string_value(json_object_get(json_object_get(body, "error"), "code"));
  snprintf(t.code, sizeof t.code, "%s", code ? code : "");
  json_decref(body);
  return REQUESTS_SENT;
}
static void closed(void *ctx, uint64_t conn) { (void)ctx, (void)conn; }
static const struct requester *requester(void *ctx, const char *principal) {
  (void)ctx, (void)principal;
  return &t.who;
}
static void start(void *ctx, struct request *request, const json_t *body) {
  (void)ctx;
  subscriber_start(t.subscribers, request, body);
}
static void more(void *ctx, struct request *request) {
  (void)ctx;
  subscriber_more(t.subscribers, request);
}
static void ack(void *ctx, struct request *request, const struct request_message *message) {
  (void)ctx;
  subscriber_ack(t.subscribers, request, message);
}
static void cancel(void *ctx, struct request *request) {
  (void)ctx;
  subscriber_cancel(t.subscribers, request);
}
static void end(void *ctx, struct request *request) {
  (void)ctx;
  subscriber_end(t.subscribers, request);
}
static void start_history(void *ctx, struct request *request, const json_t *body) {
  (void)ctx;
  history_start(&t.histories, request, body);
}
static const struct request_verb tail_verbs[] = {{"tail", start, more, ack, cancel, end},
    {.name = "history", .start = start_history, .more = history_more, .end = history_end}, {0}};

static bool no_send(void *ctx, uint64_t conn, struct bytes message) {
  (void)ctx, (void)conn, (void)message;
  return false;
}
static void done(void *ctx, void *cookie, const struct store_done *what) {
  (void)ctx;
  if (what->kind == STORE_DONE_READ && what->entry_count) t.pages++;
  if (cookie) errands_finish(&t.errands, cookie, what);
}
static bool no_units(void *ctx, size_t *cursor, size_t room, bool (*wanted)(void *ctx, struct bytes address),
    void *wanted_ctx, struct buffer *out) {
  (void)ctx, (void)cursor, (void)room, (void)wanted, (void)wanted_ctx, (void)out;
  return false;
}

static void greet(uint64_t conn) {
  struct buffer frame = BUFFER_NULL;
  request_write(&frame, &(struct request_message){.type = REQUEST_HELLO, .version = REQUEST_VERSION});
  requests_receive(t.requests, "operator duty", conn, buffer_bytes(&frame));
  buffer_deinit(&frame);
}

static void begin_process(size_t ring_bytes) {
  struct store_options store = {.world = &t.world, .max_size = 64 * 1024 * 1024};
  assert_int_equal(store_open_memory(&t.store, &store, t.disk), 0);
  errands_init(&t.errands, NULL);
  readers_init(&t.readers, &t.errands, &t.world);
  assert_int_equal(readers_load(&t.readers, t.store), 0);
  struct node_options options = {.name = "chongqing",
      .world = &t.world,
      .store = t.store,
      .ring_bytes = ring_bytes,
      .hooks = {.send = no_send, .close = closed, .submitted = done, .read = done}};
  t.node = node_new(&options);
  t.errands.node = t.node;
  struct subscribers_options followed = {t.node, t.store, &t.errands, &t.readers, no_units, NULL};
  t.subscribers = subscribers_new(&followed);
  t.histories = (struct histories){&t.errands, t.store, no_units, NULL, NULL};
  struct requests_hooks hooks = {.send = client, .close = closed, .requester = requester, .verbs = tail_verbs};
  t.requests = requests_new("chongqing", &t.world, &hooks);
  greet(1);
}

static void end_process(void) {
  t.requests = requests_free(t.requests);
  t.subscribers = subscribers_free(t.subscribers);
  t.node = node_free(t.node);
  t.store = store_memory_crash(t.store);
  errands_deinit(&t.errands);
  readers_deinit(&t.readers);
}

static void begin(size_t ring_bytes) {
  memset(&t, 0, sizeof t);
  t.now = (struct instant){1764000000000000, 9000000};
  t.world = (struct world){.now = test_now, .random = test_random};
  t.disk = memory_disk_new();
  patterns_add(&t.read, bytes_text("#"), NULL);
  t.who = (struct requester){"duty", &t.read};
  begin_process(ring_bytes);
}

static void finish(void) {
  end_process();
  memory_disk_free(t.disk);
  patterns_deinit(&t.read);
  buffer_deinit(&t.values);
}

/* Everything that can happen happens. */
static void settle(void) {
  for (int i = 0; i < 20; i++) {
    store_memory_run(t.store, 1000);
    node_store_ready(t.node);
    errands_retry(&t.errands);
    subscribers_pump(t.subscribers);
    requests_tick(t.requests);
  }
}

/* One block with the readings from `first` to `last`, odd ones at .../odd, even ones at .../even. */
static void feed(int first, int last) {
  struct block_builder *builder = block_builder_new();
  for (int i = first; i <= last; i++) {
    struct record record = {.kind = RECORD_READING,
        .address = bytes_text(i % 2 ? "chongqing/x/y/odd" : "chongqing/x/y/even"),
        .time = i * SECOND_US,
        .received = node_received(t.node),
        .value = {.type = VALUE_INTEGER, .integer = i}};
    assert_int_equal(block_builder_add(builder, &record, BLOCK_MAX), 0);
  }
  struct store_batch *batch = store_batch_new();
  store_batch_own(batch, LANE_LIVE, bytes_text("chongqing"),
      block_builder_finish(builder, bytes_text("chongqing"), node_run(t.node)));
  assert_int_equal(node_submit(t.node, batch, NULL), 0);
  block_builder_free(builder);
  settle();
}

static void receive(uint64_t conn, struct request_message m) {
  struct buffer frame = BUFFER_NULL;
  assert_int_equal(request_write(&frame, &m), 0);
  requests_receive(t.requests, "operator duty", conn, buffer_bytes(&frame));
  buffer_deinit(&frame);
}
static void send_in(uint64_t conn, struct request_message m) {
  receive(conn, m);
  settle();
}
static void begin_tail(uint64_t conn, uint64_t id, uint64_t window, const char *body) {
  receive(
      conn, (struct request_message){.type = REQUEST_REQUEST, .id = id, .window = window, .body = bytes_text(body)});
}
static void tail(uint64_t conn, uint64_t id, uint64_t window, const char *body) {
  memset(t.positions, 0, sizeof t.positions);
  send_in(
      conn, (struct request_message){.type = REQUEST_REQUEST, .id = id, .window = window, .body = bytes_text(body)});
}

static void assert_saw(const char *values) {
  assert_string_equal(buffer_text(&t.values), values);
  buffer_clear(&t.values);
}

static void test_passing(void **state) {
  (void)state;
  begin(0);
  feed(1, 3);
  tail(1, 1, 1 << 20, "{\"verb\":\"tail\",\"patterns\":[\"#\"]}");
  assert_saw(""); /* from now */
  feed(4, 5);
  assert_saw("4 5 ");
  tail(1, 2, 1 << 20, "{\"verb\":\"tail\",\"patterns\":[\"+/x/+/odd\"],\"from_start\":true}");
  assert_saw("1 3 5 ");
  send_in(1, (struct request_message){.type = REQUEST_CANCEL, .id = 1});
  assert_int_equal(t.lasts, 1);
  feed(6, 7);
  assert_saw("7 ");
  tail(1, 3, 1 << 20, "{\"verb\":\"tail\",\"patterns\":[\"#\"],\"since\":5000000}");
  assert_saw("5 6 7 ");
  finish();
}

/* A ring that holds nothing old: everything comes through the store's reader, page by page. */
static void test_from_the_store(void **state) {
  (void)state;
  begin(1);
  struct buffer all = BUFFER_NULL;
  for (int i = 0; i < 300; i++) {
    feed(i * 10, i * 10 + 9);
    for (int k = 0; k < 10; k++) buffer_printf(&all, "%d ", i * 10 + k);
  }
  tail(1, 1, 1 << 20, "{\"verb\":\"tail\",\"patterns\":[\"#\"],\"from_start\":true}");
  assert_saw(buffer_text(&all));
  buffer_deinit(&all);
  finish();
}

static void test_window(void **state) {
  (void)state;
  begin(0);
  tail(1, 1, 1, "{\"verb\":\"tail\",\"patterns\":[\"#\"]}");
  for (int i = 0; i < 50; i++) feed(i * 10, i * 10 + 9);
  assert_int_equal(t.bytes, 0); /* the list of units took the only byte */
  send_in(1, (struct request_message){.type = REQUEST_CREDIT, .id = 1, .window = 1});
  size_t one = t.bytes;
  assert_true(one > 0 && one < 1000);
  send_in(1, (struct request_message){.type = REQUEST_CREDIT, .id = 1, .window = one * 3 + 1});
  assert_true(t.bytes >= one * 4 && t.bytes < one * 6);
  t.full = true;
  send_in(1, (struct request_message){.type = REQUEST_CREDIT, .id = 1, .window = 1 << 20});
  size_t before = t.bytes;
  t.full = false;
  settle();
  assert_true(t.bytes > before * 5);
  finish();
}

static void test_rights(void **state) {
  (void)state;
  begin(0);
  patterns_deinit(&t.read);
  patterns_add(&t.read, bytes_text("chongqing/x/y/even"), NULL);
  tail(1, 1, 1 << 20, "{\"verb\":\"tail\",\"patterns\":[\"#\"]}");
  feed(1, 6);
  assert_saw("2 4 6 ");
  tail(1, 2, 1 << 20, "{\"verb\":\"tail\",\"patterns\":[\"a/+b\"]}");
  assert_string_equal(t.code, "malformed");
  tail(1, 3, 1 << 20, "{\"verb\":\"tail\"}");
  assert_string_equal(t.code, "malformed");
  finish();
}

static void acknowledge(uint64_t conn, uint64_t id) {
  send_in(conn,
      (struct request_message){.type = REQUEST_ACK, .id = id, .lane = LANE_LIVE, .position = t.positions[LANE_LIVE]});
}

#define RANGE "{\"verb\":\"history\",\"patterns\":[\"#\"],\"clock\":\"time\",\"since\":3000000,\"until\":8000000}"

/* The range of the clock, half open; only what may be read. */
static void test_history(void **state) {
  (void)state;
  begin(1);
  for (int i = 0; i < 5; i++) feed(i * 2, i * 2 + 1);
  tail(1, 1, 1 << 20, RANGE);
  assert_saw("3 4 5 6 7 ");
  assert_int_equal(t.lasts, 1);
  assert_string_equal(t.code, "");
  patterns_deinit(&t.read);
  patterns_add(&t.read, bytes_text("chongqing/x/y/even"), NULL);
  tail(1, 2, 1 << 20, RANGE);
  assert_saw("4 6 ");
  tail(1, 3, 1 << 20, "{\"verb\":\"history\",\"patterns\":[\"#\"],\"clock\":\"time\",\"since\":3000000}");
  assert_string_equal(t.code, "malformed");
  tail(1, 4, 1 << 20, "{\"verb\":\"history\",\"patterns\":[],\"clock\":\"time\",\"since\":0,\"until\":1}");
  assert_string_equal(t.code, "malformed");
  finish();
}

/* What does not read gets its window and no more; the rest follows its credit; nothing that came later is told. */
static void test_history_window(void **state) {
  (void)state;
  begin(1);
  for (int i = 0; i < 5; i++) feed(i * 2, i * 2 + 1);
  tail(1, 1, 1, RANGE);
  assert_saw("3 ");
  assert_int_equal(t.lasts, 0);
  begin_tail(1, 2, 1 << 20, RANGE); /* one at a time in a session */
  assert_string_equal(t.code, "busy");
  feed(7, 7);
  t.full = true;
  send_in(1, (struct request_message){.type = REQUEST_CREDIT, .id = 1, .window = 1 << 20});
  assert_saw("");
  t.full = false;
  settle();
  assert_saw("4 5 6 7 ");
  assert_int_equal(t.lasts, 2);
  finish();
}

/* A session that ends while the store reads for it. */
static void test_history_left_alone(void **state) {
  (void)state;
  begin(1);
  for (int i = 0; i < 5; i++) feed(i * 2, i * 2 + 1);
  begin_tail(1, 1, 1 << 20, RANGE);
  requests_closed(t.requests, 1);
  settle();
  assert_saw("");
  greet(2);
  begin_tail(2, 1, 1 << 20, RANGE); /* and one that is open when the process ends */
  finish();
}

/* What a reader lost is counted once, however often it is told, and outlives the process; what it has not heard of yet
 * counts too. */
static void test_loss(void **state) {
  (void)state;
  begin(0);
  const uint64_t at[LANES] = {0, 10, 0};
  struct reader_place *place = readers_add(&t.readers, "书", "duty", "#", at);
  assert_non_null(place);
  assert_int_equal(reader_loss(place, LANE_LIVE, 11), 0);
  assert_int_equal(reader_loss(place, LANE_LIVE, 21), 10);
  readers_lost(&t.readers, place, LANE_LIVE, 11, 20);
  readers_lost(&t.readers, place, LANE_LIVE, 11, 20);
  readers_lost(&t.readers, place, LANE_LIVE, 11, 25);
  assert_int_equal(place->lost[LANE_LIVE], 15);
  assert_int_equal(reader_loss(place, LANE_LIVE, 26), 15);
  assert_int_equal(reader_loss(place, LANE_LIVE, 31), 20);
  readers_ack(&t.readers, place, LANE_LIVE, 40, 0);
  assert_int_equal(reader_loss(place, LANE_LIVE, 41), 15);
  settle();
  end_process();
  begin_process(0);
  place = readers_find(&t.readers, "书");
  assert_non_null(place);
  assert_int_equal(place->positions[LANE_LIVE], 40);
  assert_int_equal(place->lost[LANE_LIVE], 15);
  assert_int_equal(place->lost_to[LANE_LIVE], 25);
  assert_int_equal(place->lost[LANE_URGENT], 0);
  finish();
}

static void test_durable(void **state) {
  static const char body[] = "{\"verb\":\"tail\",\"patterns\":[\"#\"],\"durable\":\"d\"}";
  (void)state;
  begin(0);
  tail(1, 1, 1 << 20, body);
  feed(1, 3);
  assert_saw("1 2 3 ");
  acknowledge(1, 1);
  feed(4, 6);
  assert_saw("4 5 6 "); /* not acknowledged: the client is killed here */
  requests_closed(t.requests, 1);
  feed(7, 9);
  greet(2);
  tail(2, 1, 1 << 20, body);
  assert_saw("4 5 6 7 8 9 ");
  acknowledge(2, 1);
  send_in(2, (struct request_message){.type = REQUEST_CANCEL, .id = 1});
  assert_int_equal(t.lasts, 1);
  end_process(); /* the broker dies: what was acknowledged is durable */
  begin_process(0);
  feed(10, 11);
  tail(1, 1, 1 << 20, body);
  assert_saw("10 11 ");
  tail(1, 2, 1 << 20, body); /* a second run under the name takes over */
  assert_string_equal(t.code, "busy");
  assert_saw("10 11 ");
  feed(12, 12);
  assert_saw("12 ");
  t.who.name = "other";
  tail(1, 3, 1 << 20, body);
  assert_string_equal(t.code, "authority");
  finish();
}

/* An acknowledgement of what was never sent moves nothing. */
static void test_liar(void **state) {
  static const char body[] = "{\"verb\":\"tail\",\"patterns\":[\"#\"],\"durable\":\"d\"}";
  (void)state;
  begin(0);
  tail(1, 1, 1 << 20, body);
  send_in(1, (struct request_message){.type = REQUEST_ACK, .id = 1, .lane = LANE_LIVE, .position = 1000});
  feed(1, 2);
  requests_closed(t.requests, 1);
  buffer_clear(&t.values);
  greet(2);
  tail(2, 1, 1 << 20, body);
  assert_saw("1 2 ");
  finish();
}

/* Fifty readers from the start of a log of many pages, and then one command: a look into the ledger and a commit, each
 * asked for when all pages already wait. What counts is the order in which the store is done with them. */
enum { CROWD = 50 };
static bool is_looked_up, is_accepted;

static void accepted(void *ctx, void *cookie, const struct store_done *what) {
  (void)ctx, (void)cookie;
  is_accepted = what->kind == STORE_DONE_BATCH;
}

static void looked_up(void *ctx, void *cookie, const struct store_done *what) {
  (void)ctx, (void)cookie;
  is_looked_up = what->kind == STORE_DONE_READ;
  struct store_batch *batch = store_batch_new();
  store_batch_put(batch, STORE_COMMANDS, bytes_text("!id"), bytes_text("accepted"));
  store_batch_urgent(batch);
  errands_submit(&t.errands, ERRAND_URGENT, batch, accepted, NULL, NULL);
}

static size_t waiting(enum errand_rank rank) { return t.errands.waiting[rank].count; }

static void test_urgent_first(void **state) {
  (void)state;
  begin(1);
  t.crowd = true;
  is_looked_up = is_accepted = false;
  for (int i = 0; i < 300; i++) feed(i * 10, i * 10 + 9);
  for (uint64_t i = 1; i <= CROWD; i++)
    begin_tail(1, i, 1 << 20, "{\"verb\":\"tail\",\"patterns\":[\"#\"],\"from_start\":true}");
  assert_int_equal(waiting(ERRAND_PATIENT), CROWD - ERRANDS_PATIENT_MAX);
  struct store_read look = {.what = STORE_READ_TABLE, .table = STORE_COMMANDS, .key = bytes_text("id"), .max_bytes = 1};
  errands_read(&t.errands, ERRAND_URGENT, &look, looked_up, NULL, NULL);
  assert_int_equal(waiting(ERRAND_URGENT), 0); /* the store has it */
  for (int turn = 0; turn < 4 && !is_accepted; turn++) {
    store_memory_run(t.store, 1);
    node_store_ready(t.node);
  }
  assert_true(is_looked_up && is_accepted);
  assert_true(t.pages <= 2 * ERRANDS_PATIENT_MAX); /* those before the look, and those before the commit */
  settle();
  assert_int_equal(waiting(ERRAND_PATIENT), 0);
  finish();
}

/* A client that comes and goes leaves nothing that waits. */
static void test_forgotten(void **state) {
  (void)state;
  begin(1);
  for (int i = 0; i < 300; i++) feed(i * 10, i * 10 + 9);
  for (int i = 0; i < 20; i++) {
    for (uint64_t k = 1; k <= CROWD; k++)
      begin_tail(1, k, 1 << 20, "{\"verb\":\"tail\",\"patterns\":[\"#\"],\"from_start\":true}");
    requests_closed(t.requests, 1);
    assert_int_equal(waiting(ERRAND_PATIENT), 0);
    greet(1);
  }
  finish();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_passing),
      cmocka_unit_test(test_from_the_store),
      cmocka_unit_test(test_window),
      cmocka_unit_test(test_rights),
      cmocka_unit_test(test_durable),
      cmocka_unit_test(test_loss),
      cmocka_unit_test(test_history),
      cmocka_unit_test(test_history_window),
      cmocka_unit_test(test_history_left_alone),
      cmocka_unit_test(test_liar),
      cmocka_unit_test(test_urgent_first),
      cmocka_unit_test(test_forgotten),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
