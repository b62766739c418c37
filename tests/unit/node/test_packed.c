/* Blocks are compressed while the link carries little, and go as they are when it carries much. */
#include "tests/unit/node/pair.h"

enum { MANY = 600, POINTS = 60, TEXT = 1000 };

/* Values that look like readings: slowly moving levels of a station's points, one message a second. */
static struct blob *readings(struct pipe *p, uint32_t count) {
  struct block_builder *builder = block_builder_new();
  for (uint32_t i = 0; i < count; i++) {
    char address[64];
    int64_t received = pipe_now(p).wall + i / 5 * 37 * MILLISECOND_US, step;
    pipe_random(p, &step, sizeof step);
    snprintf(address, sizeof address, "p/s/gauge-%u/level-%u", i % POINTS / 5 + 1, i % 5);
    struct record record = {.kind = RECORD_READING,
        .address = bytes_text(address),
        .time = received / SECOND_US * SECOND_US,
        .received = received,
        .value = {.type = VALUE_NUMBER, .number = (double)(17852 + i % POINTS * 100 + (step & 3)) / 100}};
    assert_int_equal(block_builder_add(builder, &record, BLOCK_MAX), 0);
  }
  struct blob *blob = block_builder_finish(builder, bytes_text("p/s"), node_run(p->sides[GATEWAY].node));
  block_builder_free(builder);
  return blob;
}

/* What zstd cannot make smaller. */
static struct blob *noise(struct pipe *p) {
  struct block_builder *builder = block_builder_new();
  uint8_t bytes[TEXT];
  struct record record = {.kind = RECORD_READING, .address = bytes_text("p/s/g/noise"), .value = {.type = VALUE_BYTES}};
  record.time = record.received = pipe_now(p).wall;
  do {
    pipe_random(p, bytes, sizeof bytes);
    record.value.bytes = bytes_of(bytes, sizeof bytes);
  } while (block_builder_add(builder, &record, BLOCK_MAX) == 0);
  struct blob *blob = block_builder_finish(builder, bytes_text("p/s"), node_run(p->sides[GATEWAY].node));
  block_builder_free(builder);
  return blob;
}

static void submit(struct pipe *p, struct blob *blob) {
  struct store_batch *batch = store_batch_new();
  store_batch_own(batch, LANE_LIVE, bytes_text("p/s"), blob);
  assert_int_equal(node_submit(p->sides[GATEWAY].node, batch, NULL), 0);
  commit(p, GATEWAY);
}

static const struct sent *last_block(const struct pipe *p) {
  for (size_t i = p->count; i-- > 0;)
    if (p->sent[i].side == GATEWAY && p->sent[i].m.type == LINK_BLOCK) return &p->sent[i];
  fail_msg("no block was sent");
  return NULL;
}

static bool is_packed(const struct sent *sent) {
  struct block block;
  assert_int_equal(block_open(&block, sent->m.body), 0);
  return block.compressed;
}

static bool count_readings(void *ctx, const struct store_entry *entry) {
  uint64_t *sum = ctx;
  struct block block;
  struct block_reader *reader;
  struct record record;
  assert_int_equal(block_open(&block, blob_bytes(entry->block)), 0);
  assert_int_equal(block_reader_new(&reader, &block), 0);
  while (block_reader_next(reader, &record) == 0) *sum += record.kind == RECORD_READING;
  block_reader_free(reader);
  return true;
}

static uint64_t readings_at(struct pipe *p, int side) {
  uint64_t sum = 0;
  store_replay(p->sides[side].store, LANE_LIVE, 1, count_readings, &sum);
  return sum;
}

/* The figures of a reading on the link, without ZeroMQ's frame and CURVE's seal of 42 bytes a message. */
static void a_thin_link_gets_packed_blocks(void **state) {
  struct pipe *p = *state;
  connect_link(p);
  settle(p);
  struct blob *blob = readings(p, MANY);
  size_t whole = blob->len;
  submit(p, blob);
  const struct sent *sent = last_block(p);
  assert_true(is_packed(sent));
  printf("a block of %d: %.1f bytes a reading, %.1f unpacked\n", MANY, (double)sent->frame.len / MANY,
      (double)whole / MANY);
  assert_true(sent->frame.len <= 12 * MANY);
  struct node_peer_status status = status_of(p, GATEWAY);
  assert_true(status.saved_bytes >= whole - sent->m.body.len);
  assert_true(status.sent_bytes >= sent->m.body.len && status.sent_bytes < whole);
  settle(p);
  assert_int_equal(readings_at(p, BROKER), MANY);
  submit(p, readings(p, 1));
  printf("a block of one: %zu bytes\n", last_block(p)->frame.len);
  assert_true(last_block(p)->frame.len <= 120);
}

static void flood(struct pipe *p) {
  for (int i = 0; i < 30; i++) {
    for (int k = 0; k < 8; k++) submit(p, noise(p));
    pass(p, 100 * MILLISECOND_US);
    commit(p, BROKER);
  }
}

static void a_flood_over_a_fast_link_goes_as_it_is(void **state) {
  struct pipe *p = *state;
  connect_link(p);
  settle(p);
  flood(p);
  settle(p);
  uint64_t saved = status_of(p, GATEWAY).saved_bytes;
  submit(p, readings(p, MANY));
  assert_false(is_packed(last_block(p)));
  assert_int_equal(status_of(p, GATEWAY).saved_bytes, saved);
  settle(p); /* its acknowledgement ends an interval in which little came */
  submit(p, readings(p, MANY));
  assert_true(is_packed(last_block(p)));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_thin_link_gets_packed_blocks, setup, teardown),
      cmocka_unit_test_setup_teardown(a_flood_over_a_fast_link_goes_as_it_is, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
