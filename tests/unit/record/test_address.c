#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "common/record/address.h"
#include <stdio.h>
#include <stdlib.h>

#define ROWS(a) (sizeof(a) / sizeof((a)[0]))

static void addresses_are_checked(void **state) {
  (void)state;
  static const char *const good[] = {"a", "chongqing/cuntan/gauge-1/level", "重庆/寸滩/1号闸/开度", "a/b c/d"};
  static const char *const bad[] = {
      "", "/a", "a/", "a//b", "a/+", "a/#", "a/b+", "a\n/b", "a/\x7f", "a/\xc2\x85", "a/\xff", "a/\xed\xa0\x80"};
  char longest[ADDRESS_MAX + 2];
  memset(longest, 'x', sizeof longest);
  for (size_t i = 0; i < ROWS(good); i++) assert_int_equal(address_check(bytes_text(good[i]), NULL), 0);
  for (size_t i = 0; i < ROWS(bad); i++) {
    const char *why = NULL;
    assert_int_equal(address_check(bytes_text(bad[i]), &why), ADDRESS_BAD);
    assert_non_null(why);
  }
  assert_int_equal(address_check(bytes_of(longest, ADDRESS_MAX), NULL), 0);
  assert_int_equal(address_check(bytes_of(longest, ADDRESS_MAX + 1), NULL), ADDRESS_BAD);
}

static void below_is_by_segments(void **state) {
  (void)state;
  struct bytes node = bytes_text("chongqing/cuntan");
  assert_true(address_below(bytes_text("chongqing/cuntan"), node));
  assert_true(address_below(bytes_text("chongqing/cuntan/gauge-1/level"), node));
  assert_false(address_below(bytes_text("chongqing/cuntan2/x"), node));
  assert_false(address_below(bytes_text("chongqing"), node));
  assert_false(address_below(bytes_text("a"), BYTES_NULL));
}

static void segments_are_counted(void **state) {
  (void)state;
  struct bytes a = bytes_text("a/bc/d");
  assert_int_equal(address_segments(a), 3);
  assert_true(bytes_equal(address_segment(a, 1), bytes_text("bc")));
  assert_true(bytes_equal(address_segment(a, 2), bytes_text("d")));
  assert_int_equal(address_segment(a, 3).len, 0);
}

static void patterns_match_as_in_mqtt(void **state) {
  (void)state;
  static const struct {
    const char *pattern, *address;
    bool matches;
  } rows[] = {{"#", "a", true}, {"#", "a/b/c", true}, {"a/#", "a", true}, {"a/#", "a/b/c", true}, {"a/#", "ab", false},
      {"+", "a", true}, {"+", "a/b", false}, {"a/+/c", "a/b/c", true}, {"a/+/c", "a/b/d", false}, {"a/+", "a", false},
      {"a/b", "a/b/c", false}, {"a/b/c", "a/b", false}, {"+/+/#", "a", false}, {"+/+/#", "a/b", true},
      {"重庆/+/+/开度", "重庆/寸滩/1号闸/开度", true},
      {"chongqing/+/+/level", "chongqing/cuntan/gauge-1/levels", false}};
  for (size_t i = 0; i < ROWS(rows); i++) {
    struct pattern *pattern;
    assert_int_equal(pattern_new(&pattern, bytes_text(rows[i].pattern), NULL), 0);
    assert_int_equal(pattern_matches(pattern, bytes_text(rows[i].address)), rows[i].matches);
    pattern_free(pattern);
  }
  static const char *const bad[] = {"", "a+", "a/#/b", "#a", "a//b", "a/\n"};
  for (size_t i = 0; i < ROWS(bad); i++) {
    struct pattern *pattern;
    const char *why = NULL;
    assert_int_equal(pattern_new(&pattern, bytes_text(bad[i]), &why), PATTERN_BAD);
    assert_non_null(why);
  }
}

/* The reference: recursion over segments, a few lines. */
static bool reference(const char *p, const char *a) {
  if (strcmp(p, "#") == 0) return true;
  const char *pe = strchr(p, '/'), *ae = strchr(a, '/');
  size_t pl = pe ? (size_t)(pe - p) : strlen(p), al = ae ? (size_t)(ae - a) : strlen(a);
  if (!(pl == 1 && *p == '+') && (pl != al || memcmp(p, a, pl) != 0)) return false;
  if (!pe) return !ae;
  if (!ae) return strcmp(pe + 1, "#") == 0;
  return reference(pe + 1, ae + 1);
}

static void random_path(char *out, unsigned *seed, bool wild) {
  int n = 1 + rand_r(seed) % 4;
  *out = '\0';
  for (int i = 0; i < n; i++) {
    static const char *const parts[] = {"a", "b", "ab", "+", "#"};
    int pick = rand_r(seed) % (wild ? 5 : 3);
    if (pick == 4 && i + 1 < n) pick = 3;
    if (i > 0) strcat(out, "/");
    strcat(out, parts[pick]);
  }
}

static void patterns_agree_with_the_reference(void **state) {
  (void)state;
  unsigned seed = getenv("SEED") ? (unsigned)atoi(getenv("SEED")) : 20261124;
  printf("seed %u\n", seed);
  for (int i = 0; i < 20000; i++) {
    char p[64], a[64];
    struct pattern *pattern;
    random_path(p, &seed, true);
    random_path(a, &seed, false);
    assert_int_equal(pattern_new(&pattern, bytes_text(p), NULL), 0);
    assert_int_equal(pattern_matches(pattern, bytes_text(a)), reference(p, a));
    pattern_free(pattern);
  }
}

/* The first segments of a pattern, as many as the node has; false: it has fewer. */
static bool cut_to(char *pattern, const char *node) {
  char *at = pattern;
  for (const char *more = node; (more = strchr(more, '/')); more++) {
    if (!(at = strchr(at, '/'))) return false;
    at++;
  }
  at[strcspn(at, "/")] = '\0';
  return true;
}
static bool reaches_below(const char *pattern, const char *node) {
  char part[64];
  strcpy(part, pattern);
  return reference(pattern, node) || (cut_to(part, node) && reference(part, node));
}
static bool takes_whole(const char *pattern, const char *node) {
  return pattern[strlen(pattern) - 1] == '#' && reference(pattern, node);
}

enum { SET_LARGEST = 12 };
struct seen {
  unsigned times[SET_LARGEST], few; /* few: the one that fits, from 1; 0: none does */
};
static bool see(void *ctx, size_t place) {
  struct seen *seen = ctx;
  seen->times[place]++;
  return place + 1 == seen->few;
}

static void check_search(bool (*find)(const struct patterns *, struct bytes, bool (*)(void *, size_t), void *),
    bool (*expected)(const char *, const char *), const struct patterns *set, char (*texts)[64], const char *a) {
  bool any = false;
  struct seen all = {0};
  for (size_t i = 0; i < set->count; i++) any = any || expected(texts[i], a);
  assert_int_equal(find(set, bytes_text(a), NULL, NULL), any);
  assert_false(find(set, bytes_text(a), see, &all));
  for (size_t i = 0; i < set->count; i++) {
    struct seen one = {.few = (unsigned)i + 1};
    assert_int_equal(all.times[i], expected(texts[i], a));
    assert_int_equal(find(set, bytes_text(a), see, &one), expected(texts[i], a));
  }
}

static void sets_agree_with_the_reference(void **state) {
  (void)state;
  unsigned seed = getenv("SEED") ? (unsigned)atoi(getenv("SEED")) : 20261124;
  printf("seed %u\n", seed);
  for (int i = 0; i < 5000; i++) {
    char texts[SET_LARGEST][64], a[64];
    struct patterns set = PATTERNS_NULL;
    int count = rand_r(&seed) % (SET_LARGEST + 1);
    for (int k = 0; k < count; k++) {
      random_path(texts[k], &seed, true);
      assert_int_equal(patterns_add(&set, bytes_text(texts[k]), NULL), 0);
    }
    for (int k = 0; k < 4; k++) {
      random_path(a, &seed, false);
      check_search(patterns_find, reference, &set, texts, a);
      check_search(patterns_find_whole, takes_whole, &set, texts, a);
      check_search(patterns_find_below, reaches_below, &set, texts, a);
    }
    patterns_deinit(&set);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(addresses_are_checked), cmocka_unit_test(below_is_by_segments),
      cmocka_unit_test(segments_are_counted), cmocka_unit_test(patterns_match_as_in_mqtt),
      cmocka_unit_test(patterns_agree_with_the_reference), cmocka_unit_test(sets_agree_with_the_reference)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
