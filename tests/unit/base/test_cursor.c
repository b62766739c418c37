/* Every member of the cursor at its edges: the first byte, the last, one past; and after a failure. */
#include "common/base/cursor.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>

/* One row per member: its width at least, and what it reads from bytes of 01 02 03 .. (so no width can be mistaken). */
struct member {
  const char *name;
  size_t width;
  void (*write)(struct writer *w);
  bool (*read_same)(struct reader *r);  /* reads one and says whether it is what write() wrote */
  bool (*read_empty)(struct reader *r); /* reads one and says whether it is zero or empty */
};

static const uint8_t blob[5] = {9, 8, 7, 6, 5};
static bool view_is_blob(struct bytes v) { return bytes_equal(v, bytes_of(blob, sizeof blob)); }
static bool view_is_empty(struct bytes v) { return v.data == NULL && v.len == 0; }

#define MEMBER(NAME, TYPE, VALUE)                                                                                      \
  static void write_##NAME(struct writer *w) { writer_##NAME(w, VALUE); }                                              \
  static bool same_##NAME(struct reader *r) {                                                                          \
    TYPE v = reader_##NAME(r);                                                                                         \
    TYPE want = VALUE;                                                                                                 \
    return memcmp(&v, &want, sizeof v) == 0;                                                                           \
  }                                                                                                                    \
  static bool empty_##NAME(struct reader *r) {                                                                         \
    TYPE v = reader_##NAME(r);                                                                                         \
    TYPE want = 0;                                                                                                     \
    return memcmp(&v, &want, sizeof v) == 0;                                                                           \
  }

MEMBER(u8, uint8_t, 0xA5)
MEMBER(u16, uint16_t, 0xBEEF)
MEMBER(u32, uint32_t, 0xDEADBEEF)
MEMBER(u64, uint64_t, UINT64_C(0x0123456789ABCDEF))
MEMBER(double, double, -178.52)
MEMBER(varint, uint64_t, UINT64_C(300))
MEMBER(zigzag, int64_t, INT64_C(-5000000))
static void write_bytes(struct writer *w) { writer_bytes(w, bytes_of(blob, sizeof blob)); }
static bool same_bytes(struct reader *r) { return view_is_blob(reader_bytes(r, sizeof blob)); }
static bool empty_bytes(struct reader *r) { return view_is_empty(reader_bytes(r, sizeof blob)); }
static void write_sized(struct writer *w) { writer_sized(w, bytes_of(blob, sizeof blob)); }
static bool same_sized(struct reader *r) { return view_is_blob(reader_sized(r)); }
static bool empty_sized(struct reader *r) { return view_is_empty(reader_sized(r)); }

#define ROW(NAME, WIDTH)                                                                                               \
  { #NAME, WIDTH, write_##NAME, same_##NAME, empty_##NAME }
static const struct member members[] = {ROW(u8, 1), ROW(u16, 2), ROW(u32, 4), ROW(u64, 8), ROW(double, 8),
    ROW(varint, 2), ROW(zigzag, 4), ROW(bytes, 5), ROW(sized, 6)};
#define EACH_MEMBER(m) for (const struct member *m = members; m < members + sizeof members / sizeof *members; m++)

static void written(const struct member *m, struct buffer *out) {
  struct writer w;
  writer_init(&w, out, SIZE_MAX);
  m->write(&w);
  assert_false(w.failed);
  assert_int_equal(out->len, m->width);
}

static void reads_at_the_first_byte_and_to_the_last(void **state) {
  (void)state;
  EACH_MEMBER(m) {
    struct buffer b = BUFFER_NULL;
    struct reader r;
    written(m, &b);
    reader_init(&r, buffer_bytes(&b));
    assert_true(m->read_same(&r));
    assert_true(reader_done(&r));
    assert_int_equal(reader_left(&r), 0);
    buffer_deinit(&b);
  }
}

static void every_missing_byte_fails_and_yields_nothing(void **state) {
  (void)state;
  EACH_MEMBER(m) {
    struct buffer b = BUFFER_NULL;
    written(m, &b);
    for (size_t len = 0; len < m->width; len++) {
      struct reader r;
      uint8_t *exact = malloc(len + 1); /* the sanitizer sees a read past it */
      memcpy(exact, b.data, len);
      exact = realloc(exact, len ? len : 1);
      reader_init(&r, bytes_of(exact, len));
      assert_true(m->read_empty(&r));
      assert_true(r.failed);
      assert_false(reader_done(&r));
      assert_int_equal(reader_left(&r), 0);
      free(exact);
    }
    buffer_deinit(&b);
  }
}

static void after_a_failure_every_read_is_empty(void **state) {
  (void)state;
  EACH_MEMBER(m) {
    struct buffer b = BUFFER_NULL;
    struct reader r;
    written(m, &b);
    reader_init(&r, buffer_bytes(&b));
    reader_fail(&r);
    assert_true(m->read_empty(&r));
    assert_true(m->read_empty(&r));
    assert_true(r.failed);
    buffer_deinit(&b);
  }
}

static void writes_up_to_max_and_not_one_byte_more(void **state) {
  (void)state;
  EACH_MEMBER(m) {
    for (size_t max = 0; max <= m->width + 2; max++) {
      struct buffer b = BUFFER_NULL;
      struct writer w;
      writer_init(&w, &b, max);
      m->write(&w);
      assert_int_equal(w.failed, max < m->width);
      assert_int_equal(b.len, w.failed ? 0 : m->width);
      buffer_deinit(&b);
    }
  }
}

static void a_failed_writer_stays_failed_and_writes_nothing(void **state) {
  (void)state;
  EACH_MEMBER(m) {
    struct buffer b = BUFFER_NULL;
    struct writer w;
    writer_init(&w, &b, 3);
    writer_u32(&w, 1);
    assert_true(w.failed);
    w.max = SIZE_MAX; /* room there is: only the failure stops it */
    m->write(&w);
    assert_true(w.failed);
    assert_int_equal(b.len, 0);
    buffer_deinit(&b);
  }
}

static void a_failed_write_keeps_what_was_there(void **state) {
  (void)state;
  EACH_MEMBER(m) {
    struct buffer b = BUFFER_NULL;
    struct writer w;
    writer_init(&w, &b, 1 + m->width - 1);
    writer_u8(&w, 0x77);
    m->write(&w);
    assert_true(w.failed);
    assert_int_equal(b.len, 1);
    assert_int_equal(b.data[0], 0x77);
    buffer_deinit(&b);
  }
}

static void integers_are_little_endian(void **state) {
  (void)state;
  struct buffer b = BUFFER_NULL;
  struct writer w;
  writer_init(&w, &b, SIZE_MAX);
  writer_u16(&w, 0x0201);
  writer_u32(&w, 0x06050403);
  writer_u64(&w, UINT64_C(0x0E0D0C0B0A090807));
  for (size_t i = 0; i < 14; i++) assert_int_equal(b.data[i], i + 1);
  buffer_deinit(&b);
}

static const struct {
  uint64_t number;
  size_t len;
  uint8_t form[10];
} varints[] = {
    {0, 1, {0}},
    {1, 1, {1}},
    {127, 1, {0x7F}},
    {128, 2, {0x80, 1}},
    {16383, 2, {0xFF, 0x7F}},
    {16384, 3, {0x80, 0x80, 1}},
    {(UINT64_C(1) << 63) - 1, 9, {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F}},
    {UINT64_C(1) << 63, 10, {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1}},
    {UINT64_MAX, 10, {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1}},
};

static void varints_have_their_form(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof varints / sizeof *varints; i++) {
    struct buffer b = BUFFER_NULL;
    struct writer w;
    struct reader r;
    writer_init(&w, &b, SIZE_MAX);
    writer_varint(&w, varints[i].number);
    assert_true(bytes_equal(buffer_bytes(&b), bytes_of(varints[i].form, varints[i].len)));
    reader_init(&r, buffer_bytes(&b));
    assert_true(reader_varint(&r) == varints[i].number);
    assert_true(reader_done(&r));
    buffer_deinit(&b);
  }
}

static void varints_of_another_form_fail(void **state) {
  (void)state;
  static const struct {
    size_t len;
    uint8_t form[11];
  } bad[] = {
      {2, {0x80, 0}},                                                        /* 0 in two bytes */
      {3, {0xFF, 0x80, 0}},                                                  /* 127 in three */
      {10, {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2}},       /* bit 64 */
      {10, {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0}},       /* 0 in ten */
      {11, {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1}}, /* eleven bytes */
      {11, {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x81, 0}},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct reader r;
    reader_init(&r, bytes_of(bad[i].form, bad[i].len));
    assert_true(reader_varint(&r) == 0);
    assert_true(r.failed);
  }
}

static void zigzag_holds_both_ends(void **state) {
  (void)state;
  static const int64_t numbers[] = {0, -1, 1, -64, 63, 64, INT64_MIN, INT64_MAX, INT64_MIN + 1};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    struct buffer b = BUFFER_NULL;
    struct writer w;
    struct reader r;
    writer_init(&w, &b, SIZE_MAX);
    writer_zigzag(&w, numbers[i]);
    reader_init(&r, buffer_bytes(&b));
    assert_true(reader_zigzag(&r) == numbers[i]);
    assert_true(reader_done(&r));
    buffer_deinit(&b);
  }
}

static void a_length_that_lies_fails(void **state) {
  (void)state;
  static const uint8_t one_short[] = {3, 'a', 'b'};
  static const uint8_t huge[] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 'a'};
  struct reader r;
  reader_init(&r, bytes_of(one_short, sizeof one_short));
  assert_true(view_is_empty(reader_sized(&r)));
  assert_true(r.failed);
  reader_init(&r, bytes_of(huge, sizeof huge));
  assert_true(view_is_empty(reader_sized(&r)));
  assert_true(r.failed);
}

static void nothing_can_be_read_and_written(void **state) {
  (void)state;
  struct buffer b = BUFFER_NULL;
  struct writer w;
  struct reader r;
  writer_init(&w, &b, 0);
  writer_bytes(&w, BYTES_NULL);
  assert_false(w.failed);
  reader_init(&r, BYTES_NULL);
  assert_true(reader_done(&r));
  assert_int_equal(reader_bytes(&r, 0).len, 0);
  assert_true(reader_done(&r));
  assert_int_equal(reader_u8(&r), 0);
  assert_true(r.failed);
  buffer_deinit(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_at_the_first_byte_and_to_the_last),
      cmocka_unit_test(every_missing_byte_fails_and_yields_nothing),
      cmocka_unit_test(after_a_failure_every_read_is_empty),
      cmocka_unit_test(writes_up_to_max_and_not_one_byte_more),
      cmocka_unit_test(a_failed_writer_stays_failed_and_writes_nothing),
      cmocka_unit_test(a_failed_write_keeps_what_was_there),
      cmocka_unit_test(integers_are_little_endian),
      cmocka_unit_test(varints_have_their_form),
      cmocka_unit_test(varints_of_another_form_fail),
      cmocka_unit_test(zigzag_holds_both_ends),
      cmocka_unit_test(a_length_that_lies_fails),
      cmocka_unit_test(nothing_can_be_read_and_written),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
