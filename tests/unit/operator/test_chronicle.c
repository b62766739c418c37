/* Lines in order of time out of blocks in any order, in bounded memory: against a plain sort; and the forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/operator/chronicle.h"
#include "common/base/mem.h"
#include "common/base/world.h"
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

#define BASE INT64_C(1700000000000000)
#define TEXT(s) bytes_text(s)
enum { BLOCKS = 60, RECORDS = 20, ALL = BLOCKS * RECORDS };

struct source { /* what the "node" holds */
  struct blob *blocks[BLOCKS];
  int64_t times[ALL];
};

static uint64_t draw(uint64_t *seed) {
  *seed ^= *seed << 13;
  *seed ^= *seed >> 7;
  *seed ^= *seed << 17;
  return *seed;
}

static struct record reading(const char *address, int64_t time, struct value value) {
  return (struct record){
      .kind = RECORD_READING, .address = TEXT(address), .time = time, .received = time, .value = value};
}

static struct blob *block_of(const struct record *records, size_t count, const char *stream, uint64_t first) {
  struct block_builder *builder = block_builder_new();
  for (size_t i = 0; i < count; i++) assert_int_equal(block_builder_add(builder, &records[i], BLOCK_MAX), 0);
  struct blob *blob = block_builder_finish(builder, TEXT(stream), 7);
  block_builder_free(builder);
  block_number(blob, (struct epoch){.created = 1000, .random = 7}, first);
  return blob;
}

/* Many records share a moment; some blocks lie days after the others. */
static void source_make(struct source *source, uint64_t seed) {
  for (size_t b = 0; b < BLOCKS; b++) {
    struct record records[RECORDS];
    int64_t day = draw(&seed) % 4 == 0 ? INT64_C(86400) * (int64_t)(draw(&seed) % 90) : 0;
    for (size_t i = 0; i < RECORDS; i++) {
      int64_t time = BASE + (day + (int64_t)(draw(&seed) % 40)) * SECOND_US;
      source->times[b * RECORDS + i] = time;
      struct value value = {.type = VALUE_INTEGER, .integer = (int64_t)(b * RECORDS + i)};
      records[i] = reading("p/s/g/level", time, value);
    }
    source->blocks[b] = block_of(records, RECORDS, b % 2 ? "p/s" : "p/t", 1 + b * RECORDS);
  }
}

static int time_order(const void *a, const void *b) {
  int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
  return left < right ? -1 : left > right;
}

static void shuffle(struct source *source, uint64_t *seed) {
  for (size_t i = BLOCKS; i > 1; i--) {
    size_t k = draw(seed) % i;
    struct blob *other = source->blocks[i - 1];
    source->blocks[i - 1] = source->blocks[k];
    source->blocks[k] = other;
  }
}

/* Every span is asked for, as the verb does it; each time in another order. */
static size_t drive(struct source *source, struct chronicle *c, uint64_t *seed, struct buffer *out) {
  size_t spans = 0;
  do {
    shuffle(source, seed);
    for (size_t b = 0; b < BLOCKS; b++) {
      chronicle_take(c, blob_bytes(source->blocks[b]), LANE_LIVE);
      assert_true(c->text.len < c->most + 400);
    }
    chronicle_sort(c);
    while (chronicle_tell(c, 100, out)) continue;
    assert_true(++spans < 10 * ALL);
  } while (chronicle_next(c));
  return spans;
}

static void all_come_once_and_in_order(void **state) {
  uint64_t seed = 88172645463325252;
  (void)state;
  for (size_t most = 3000; most < 1000000; most *= 6) { /* a few lines at a time, up to all at once */
    struct source source;
    struct chronicle c;
    struct buffer out = BUFFER_NULL;
    uint8_t seen[ALL] = {0};
    int64_t sorted[ALL];
    source_make(&source, 1234567 + most);
    memcpy(sorted, source.times, sizeof sorted);
    qsort(sorted, ALL, sizeof *sorted, time_order);
    chronicle_init(&c, BASE, INT64_MAX);
    c.form = CHRONICLE_JSON;
    c.most = most;
    drive(&source, &c, &seed, &out);
    assert_int_equal(c.count, ALL);
    char *text = mem_text(out.data, out.len), *rest = text;
    for (size_t i = 0; i < ALL; i++) {
      const char *line = strsep(&rest, "\n"), *value = strstr(line, "\"value\":");
      assert_non_null(value);
      unsigned long number = strtoul(value + 8, NULL, 10);
      assert_true(number < ALL && !seen[number]);
      seen[number] = 1;
      assert_int_equal(source.times[number], sorted[i]);
    }
    free(text);
    buffer_deinit(&out);
    chronicle_deinit(&c);
    for (size_t b = 0; b < BLOCKS; b++) blob_unref(source.blocks[b]);
  }
}

static void the_range_is_half_open(void **state) {
  struct record records[10];
  struct chronicle c;
  struct buffer out = BUFFER_NULL;
  (void)state;
  for (int i = 0; i < 10; i++) {
    records[i] = reading("p/s/g/level", BASE + i, (struct value){.type = VALUE_INTEGER, .integer = i});
    records[i].received = BASE + 100 - (9 - i);
  }
  struct blob *block = block_of(records, 10, "p/s", 1);
  chronicle_init(&c, BASE + 3, BASE + 7);
  c.most = 100000;
  chronicle_take(&c, blob_bytes(block), LANE_LIVE);
  chronicle_sort(&c);
  assert_false(chronicle_tell(&c, 100000, &out));
  assert_int_equal(c.count, 4);
  assert_false(chronicle_next(&c));
  chronicle_deinit(&c);
  chronicle_init(&c, BASE + 100, BASE + 200);
  c.most = 100000;
  c.by_received = true;
  chronicle_take(&c, blob_bytes(block), LANE_LIVE);
  assert_int_equal(c.line_count, 1);
  chronicle_deinit(&c);
  buffer_deinit(&out);
  blob_unref(block);
}

static size_t count_of(enum chronicle_quality quality, struct blob *block, uint64_t *left_out) {
  struct chronicle c;
  struct buffer out = BUFFER_NULL;
  chronicle_init(&c, BASE, BASE + SECOND_US);
  c.most = 100000;
  c.quality = quality;
  chronicle_take(&c, blob_bytes(block), LANE_LIVE);
  chronicle_sort(&c);
  chronicle_tell(&c, 100000, &out);
  size_t count = c.count;
  *left_out = c.left_out;
  chronicle_deinit(&c);
  buffer_deinit(&out);
  return count;
}

static void other_qualities_are_counted(void **state) {
  struct record records[3];
  uint64_t left_out;
  (void)state;
  for (int i = 0; i < 3; i++) {
    records[i] = reading("p/s/g/level", BASE, (struct value){.type = VALUE_INTEGER, .integer = i});
    records[i].quality = (enum record_quality)(QUALITY_GOOD + i);
  }
  struct blob *block = block_of(records, 3, "p/s", 1);
  assert_int_equal(count_of(CHRONICLE_GOOD, block, &left_out), 1);
  assert_int_equal(left_out, 2);
  assert_int_equal(count_of(CHRONICLE_USABLE, block, &left_out), 2);
  assert_int_equal(left_out, 1);
  assert_int_equal(count_of(CHRONICLE_ANY, block, &left_out), 3);
  assert_int_equal(left_out, 0);
  blob_unref(block);
}

static void csv_is_rfc_4180(void **state) {
  static const uint8_t raw[] = {0xfb, 0xef};
  struct record records[6];
  struct chronicle c;
  struct buffer out = BUFFER_NULL;
  (void)state;
  setlocale(LC_ALL, "de_DE.UTF-8"); /* where there is one: its comma must not get into numbers */
  const struct value values[] = {{.type = VALUE_NUMBER, .number = 178.5},
      {.type = VALUE_TEXT, .bytes = TEXT("zu, \"hoch\"\r\nend")}, {.type = VALUE_BOOLEAN, .boolean = true},
      {.type = VALUE_BYTES, .bytes = bytes_of(raw, 2)}, {.type = VALUE_NONE},
      {.type = VALUE_TEXT, .bytes = TEXT(" a")}};
  for (int i = 0; i < 6; i++) records[i] = reading("重庆/寸滩/1号闸/开度,左", BASE + i, values[i]);
  records[4].quality = QUALITY_BAD;
  records[4].reason = REASON_SENSOR_FAULT;
  struct blob *block = block_of(records, 6, "重庆/寸滩", 41);
  chronicle_init(&c, BASE, BASE + SECOND_US);
  c.form = CHRONICLE_CSV;
  c.most = 100000;
  c.quality = CHRONICLE_ANY;
  unit_names_put(&c.units, TEXT("重庆/寸滩/1号闸/开度,左"), TEXT("m³/s"));
  chronicle_title(&c, true, &out);
  chronicle_take(&c, blob_bytes(block), LANE_LIVE);
  chronicle_sort(&c);
  chronicle_tell(&c, 100000, &out);
  buffer_append(&out, bytes_of("", 1));
  static const char address[] = "\"重庆/寸滩/1号闸/开度,左\"";
  char expected[2000], epoch[64];
  struct buffer text = BUFFER_NULL;
  epoch_put_text(&text, (struct epoch){.created = 1000, .random = 7});
  snprintf(epoch, sizeof epoch, BYTES_FMT, BYTES_ARG(buffer_bytes(&text)));
  snprintf(expected, sizeof expected,
      "\xef\xbb\xbftime,address,value,unit,quality,reason,stream,epoch,seq\r\n"
      "2023-11-14T22:13:20.000000Z,%s,178.5,m³/s,good,,重庆/寸滩,%s,41\r\n"
      "2023-11-14T22:13:20.000001Z,%s,\"zu, \"\"hoch\"\"\r\nend\",m³/s,good,,重庆/寸滩,%s,42\r\n"
      "2023-11-14T22:13:20.000002Z,%s,true,m³/s,good,,重庆/寸滩,%s,43\r\n"
      "2023-11-14T22:13:20.000003Z,%s,++8=,m³/s,good,,重庆/寸滩,%s,44\r\n"
      "2023-11-14T22:13:20.000004Z,%s,,m³/s,bad,sensor-fault,重庆/寸滩,%s,45\r\n"
      "2023-11-14T22:13:20.000005Z,%s,\" a\",m³/s,good,,重庆/寸滩,%s,46\r\n",
      address, epoch, address, epoch, address, epoch, address, epoch, address, epoch, address, epoch);
  assert_string_equal((const char *)out.data, expected);
  buffer_deinit(&text);
  buffer_deinit(&out);
  chronicle_deinit(&c);
  blob_unref(block);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_come_once_and_in_order),
      cmocka_unit_test(the_range_is_half_open),
      cmocka_unit_test(other_qualities_are_counted),
      cmocka_unit_test(csv_is_rfc_4180),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
