/* Grants in a block's header: what a relay reads of them, and that they cannot be read as more than they say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "common/base/mem.h"
#include "common/record/block.h"
#include <stdio.h>

static void grant(struct buffer *to, const char *pattern, const char *node, const char *other) {
  struct bytes nodes[2] = {bytes_text(node), bytes_text(other ? other : "")};
  assert_int_equal(onward_add(to, bytes_text(pattern), nodes, other ? 2 : 1), 0);
}

static bool granted(struct bytes grants, const char *node, const char *address) {
  struct patterns patterns = PATTERNS_NULL;
  onward_granted(grants, bytes_text(node), &patterns);
  bool found = patterns_match(&patterns, bytes_text(address));
  patterns_deinit(&patterns);
  return found;
}

static void who_is_named_for_what_matches(void **state) {
  (void)state;
  struct buffer grants = BUFFER_NULL;
  grant(&grants, "a/+/gauge/level", "c", "d");
  grant(&grants, "a/+/gauge/flow", "重庆", NULL);
  struct bytes bytes = buffer_bytes(&grants);
  assert_true(granted(bytes, "c", "a/s/gauge/level"));
  assert_true(granted(bytes, "d", "a/s/gauge/level"));
  assert_true(granted(bytes, "重庆", "a/s/gauge/flow"));
  assert_false(granted(bytes, "c", "a/s/gauge/flow"));
  assert_false(granted(bytes, "重庆", "a/s/gauge/level"));
  assert_false(granted(bytes, "cc", "a/s/gauge/level"));
  assert_false(granted(bytes, "", "a/s/gauge/level"));
  assert_false(granted(bytes_of(NULL, 0), "c", "a/s/gauge/level"));
  buffer_deinit(&grants);
}

/* Cut anywhere, they give nothing: never a grant that was not written. */
static void cut_off_they_grant_nothing(void **state) {
  (void)state;
  struct buffer grants = BUFFER_NULL;
  grant(&grants, "a/#", "c", "d");
  size_t first = grants.len;
  grant(&grants, "b/#", "e", NULL);
  for (size_t len = 0; len < grants.len; len++)
    assert_true(granted(bytes_of(grants.data, len), "c", "a/x") == (len == first));
  buffer_deinit(&grants);
}

static void too_many_are_refused_whole(void **state) {
  (void)state;
  struct buffer grants = BUFFER_NULL;
  struct bytes node = bytes_text("a-province");
  int added = 0;
  while (onward_add(&grants, bytes_text("chongqing/+/+/level"), &node, 1) == 0) added++;
  assert_in_range(grants.len, ONWARD_MAX - 32, ONWARD_MAX);
  assert_true(added > 30);
  assert_true(granted(buffer_bytes(&grants), "a-province", "chongqing/s/g/level"));
  buffer_deinit(&grants);
}

static struct blob *some_block(void) {
  struct block_builder *builder = block_builder_new();
  for (int i = 0; i < 10; i++) {
    struct record record = {.address = bytes_text(i % 2 ? "a/s/gauge/level" : "a/s/gauge/flow"),
        .received = i,
        .time = i,
        .value = {.type = VALUE_INTEGER, .integer = i}};
    assert_int_equal(block_builder_add(builder, &record, BLOCK_MAX), 0);
  }
  struct blob *blob = block_builder_finish(builder, bytes_text("a/s"), 3);
  block_number(blob, (struct epoch){1, 2}, 7);
  block_builder_free(builder);
  return blob;
}

static bool odd(void *ctx, const struct record *record) {
  (void)ctx;
  return record->sequence % 2;
}

static void they_ride_with_the_block(void **state) {
  (void)state;
  struct buffer grants = BUFFER_NULL;
  struct block block, with;
  struct blob *blob = some_block(), *granting, *hopped, *half, *small;
  grant(&grants, "a/#", "c", NULL);
  assert_int_equal(block_open(&block, blob_bytes(blob)), 0);
  assert_int_equal(block.onward.len, 0);
  assert_int_equal(block_with_onward(&granting, &block, buffer_bytes(&grants)), 0);
  assert_int_equal(block_open(&with, blob_bytes(granting)), 0);
  assert_true(bytes_equal(with.onward, buffer_bytes(&grants)));
  assert_int_equal(block_check(&with), 0);
  assert_int_equal(block_with_onward(&half, &with, buffer_bytes(&grants)), BLOCK_FULL);
  assert_int_equal(block_with_hop(&hopped, &with, bytes_text("b"), 5, NULL), 0);
  assert_int_equal(block_open(&with, blob_bytes(hopped)), 0);
  assert_int_equal(block_filter(&half, hopped, &with, odd, NULL), 0);
  assert_int_equal(block_open(&with, blob_bytes(half)), 0);
  assert_int_equal(with.count, 5);
  struct block_packer *packer = block_packer_new();
  small = block_compress(packer, half, &with);
  block_packer_free(packer);
  assert_int_equal(block_open(&with, blob_bytes(small)), 0);
  assert_true(bytes_equal(with.onward, buffer_bytes(&grants)));
  assert_true(block_visited(&with, bytes_text("b")));
  struct blob *all[] = {blob, granting, hopped, half, small};
  for (int i = 0; i < 5; i++) blob_unref(all[i]);
  buffer_deinit(&grants);
}

struct cut {
  uint64_t next;
  unsigned pieces;
  struct bytes onward;
};

static void take_piece(void *ctx, struct blob *piece) {
  struct cut *cut = ctx;
  struct block block;
  assert_int_equal(block_open(&block, blob_bytes(piece)), 0);
  assert_int_equal(block_check(&block), 0);
  assert_int_equal(block.first, cut->next);
  assert_true(bytes_equal(block.onward, cut->onward));
  assert_true(block_visited(&block, bytes_text("b")));
  assert_int_equal(block.run, 3);
  cut->next = block.last + 1;
  cut->pieces++;
  blob_unref(piece);
}

/* The pieces of a block are that block: each record once, in order, each with path and grants. */
static void a_block_is_cut(void **state) {
  (void)state;
  struct buffer grants = BUFFER_NULL;
  struct block block;
  struct blob *blob = some_block(), *hopped, *granting;
  grant(&grants, "a/#", "c", NULL);
  assert_int_equal(block_open(&block, blob_bytes(blob)), 0);
  assert_int_equal(block_with_hop(&hopped, &block, bytes_text("b"), 5, NULL), 0);
  assert_int_equal(block_open(&block, blob_bytes(hopped)), 0);
  assert_int_equal(block_with_onward(&granting, &block, buffer_bytes(&grants)), 0);
  assert_int_equal(block_open(&block, blob_bytes(granting)), 0);
  for (uint32_t each = 1; each <= 12; each++) {
    struct cut cut = {.next = 7, .onward = buffer_bytes(&grants)};
    assert_int_equal(block_cut(&block, each, take_piece, &cut), 0);
    assert_int_equal(cut.next, 17);
    assert_int_equal(cut.pieces, (10 + each - 1) / each);
  }
  blob_unref(blob);
  blob_unref(hopped);
  blob_unref(granting);
  buffer_deinit(&grants);
}

/* The bytes are the format: a change here is a new version. */
static void golden_bytes(void **state) {
  (void)state;
  static const char golden[] = "\x03"
                               "a/#"
                               "\x02"
                               "\x01"
                               "c"
                               "\x02"
                               "dd";
  struct buffer grants = BUFFER_NULL;
  grant(&grants, "a/#", "c", "dd");
  assert_true(bytes_equal(buffer_bytes(&grants), bytes_of(golden, sizeof golden - 1)));
  buffer_deinit(&grants);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(who_is_named_for_what_matches),
      cmocka_unit_test(cut_off_they_grant_nothing),
      cmocka_unit_test(too_many_are_refused_whole),
      cmocka_unit_test(they_ride_with_the_block),
      cmocka_unit_test(a_block_is_cut),
      cmocka_unit_test(golden_bytes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
