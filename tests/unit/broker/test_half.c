/* Halves of agreements: canonical text, hostile texts, and what two of them come to, against a reference. */
#include "broker/effective.h"
#include "common/base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

static unsigned seed;
static int below(int n) { return (int)(random() % n); }

#define HEAD "riverbus-agreement\t1\tchongqing\thubei\n"

static int read_half(struct half **out, const char *text, const char **why) {
  return half_new(out, bytes_text(text), bytes_text("chongqing"), bytes_text("hubei"), why);
}

static void assert_bad(const char *text, const char *says) {
  struct half *half;
  const char *why = NULL;
  assert_int_equal(read_half(&half, text, &why), HALF_MALFORMED);
  assert_null(half);
  if (!strstr(why, says)) fail_msg("'%s' is not in '%s'", says, why);
}

static void test_canonical(void **state) {
  (void)state;
  char anhui[] = "anhui", jiangxi[] = "江西", *up[] = {jiangxi, anhui}, *down[] = {anhui, jiangxi};
  struct broker_share a[2] = {{.every_us = 300000000, .onward = {up, 2}}, {.until = 5}},
                      b[2] = {{.until = 5}, {.every_us = 300000000, .onward = {down, 2}}};
  struct broker_rule accept[2];
  char name[] = "hubei";
  assert_int_equal(pattern_new(&a[0].match, bytes_text("chongqing/+/+/flow"), NULL), 0);
  assert_int_equal(pattern_new(&a[1].match, bytes_text("chongqing/寸滩/#"), NULL), 0);
  assert_int_equal(pattern_new(&accept[0].match, bytes_text("hubei/#"), NULL), 0);
  b[0].match = a[1].match, b[1].match = a[0].match;
  accept[1] = accept[0];
  struct broker_peer one = {.name = name, .share = a, .share_count = 2, .accept = accept, .accept_count = 1},
                     other = {.name = name, .share = b, .share_count = 2, .accept = accept, .accept_count = 2};
  one.quota = other.quota = (struct broker_quota){5000, 0};
  struct half *x = half_of_config(bytes_text("chongqing"), &one), *y = half_of_config(bytes_text("chongqing"), &other);
  assert_string_equal(buffer_text(&x->text),
      HEAD "accept\thubei/#\nquota\treadings\t5000\tbytes\t0\n"
           "share\tchongqing/+/+/flow\tevery\t300000000\tonward\tanhui\tonward\t江西\n"
           "share\tchongqing/寸滩/#\tuntil\t5\n");
  assert_string_equal(buffer_text(&x->text), buffer_text(&y->text));
  assert_int_equal(x->share[0].onward_count, 2);
  assert_true(bytes_equal(x->share[0].onward[1], bytes_text("江西")));
  half_free(x);
  half_free(y);
  pattern_free(a[0].match);
  pattern_free(a[1].match);
  pattern_free(accept[0].match);
}

static void test_hostile_texts(void **state) {
  (void)state;
  struct half *half;
  assert_int_equal(read_half(&half, HEAD "of-next-year\tx\n", NULL), 0);
  half_free(half);
  assert_bad("", "no text");
  assert_bad(HEAD "accept\thubei/#", "no text of lines");
  assert_bad(HEAD "accept\thubei/\x01\n", "control");
  assert_bad(HEAD "accept\thubei/\xff\n", "no text");
  assert_bad("riverbus-agreement\t2\tchongqing\thubei\n", "first line");
  assert_bad("riverbus-agreement\t1\tanhui\thubei\n", "first line");
  static const char *const lines[] = {"accept\thubei/#/x", "accept\t", "share\ta\tevery\t0", "share\ta\tevery\t-5",
      "share\ta\tevery\t99999999999999999999", "share\ta\tevery", "share\ta\tonward\ta/b", "share\ta\tonward\t",
      "share\ta\tnever\t5", "share\ta\tevery\t5\tevery\t6", "share", "transit\t+a", "quota\tbytes\tx", "request\t",
      "request\t#/a\toperator\tx"};
  for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
    char text[256];
    snprintf(text, sizeof text, HEAD "%s\n", lines[i]);
    assert_bad(text, "cannot be read");
  }
}

/* 10,000 rules, 17 names, a text beyond the limit: refused, whatever is in it. */
static void test_too_much(void **state) {
  (void)state;
  struct buffer text = BUFFER_NULL;
  buffer_printf(&text, HEAD);
  for (int i = 0; i < BROKER_RULES_MAX; i++) buffer_printf(&text, "accept\ta\n");
  struct half *half;
  assert_int_equal(read_half(&half, buffer_text(&text), NULL), 0);
  half_free(half);
  buffer_printf(&text, "accept\ta\n");
  assert_bad(buffer_text(&text), "too many lines");
  for (int i = 0; i < 10000; i++) buffer_printf(&text, "colour\ta\n");
  assert_bad(buffer_text(&text), "too many lines");
  while (text.len <= HALF_BYTES_MAX) buffer_printf(&text, "accept\tabcdefghijklmnop\n");
  assert_bad(buffer_text(&text), "too long");
  buffer_clear(&text);
  buffer_printf(&text, HEAD "share\ta");
  for (int i = 0; i <= BROKER_ONWARD_MAX; i++) buffer_printf(&text, "\tonward\tn%d", i);
  buffer_printf(&text, "\n");
  assert_bad(buffer_text(&text), "cannot be read");
  buffer_deinit(&text);
}

/* Bytes that were changed, cut or doubled are read or refused, and what is read means what it says. */
static void test_mutated(void **state) {
  (void)state;
  static const char good[] = HEAD "accept\thubei/#\nquota\treadings\t5\tbytes\t7\nrequest\ta/b\toperator\tk\n"
                                  "share\tchongqing/+/x\tevery\t5\tdelay\t6\tuntil\t9\tsince\t8\tonward\tanhui\n"
                                  "transit\tsichuan/#\n";
  for (int round = 0; round < 20000; round++) {
    struct half *half;
    size_t len = sizeof good - 1;
    char *text = mem_copy(good, len);
    for (int i = below(4); i >= 0; i--) text[below((int)len)] = (char)below(256);
    if (below(4) == 0) len = (size_t)below((int)len);
    if (half_new(&half, bytes_of(text, len), bytes_text("chongqing"), bytes_text("hubei"), NULL) == 0)
      for (size_t i = 0; i < half->share_count; i++) assert_non_null(half->share[i].match);
    half_free(half);
    free(text);
  }
}

/* ---- what two patterns have in common ---- */

static const char *const names[4][3] = {{"a", "b", "+"}, {"寸滩", "c", "+"}, {"d", "e", "+"}, {"f", "g", "+"}};

static void random_name(char out[64], bool pattern) {
  int depth = 1 + below(4);
  out[0] = '\0';
  for (int i = 0; i < depth; i++) {
    bool rest = pattern && i + 1 == depth && below(3) == 0;
    snprintf(out + strlen(out), 64 - strlen(out), "%s%s", i ? "/" : "", rest ? "#" : names[i][below(pattern ? 3 : 2)]);
  }
}

static void test_meet(void **state) {
  (void)state;
  int met = 0;
  for (int round = 0; round < 200000; round++) {
    char a[64], b[64], address[64];
    struct buffer both = BUFFER_NULL;
    struct pattern *x, *y, *z = NULL;
    random_name(a, true), random_name(b, true), random_name(address, false);
    assert_int_equal(pattern_new(&x, bytes_text(a), NULL), 0);
    assert_int_equal(pattern_new(&y, bytes_text(b), NULL), 0);
    if (pattern_meet(&both, bytes_text(a), bytes_text(b))) {
      if (pattern_new(&z, buffer_bytes(&both), NULL)) fail_msg("'%s' of '%s' and '%s'", buffer_text(&both), a, b);
      met++;
    }
    bool want = pattern_matches(x, bytes_text(address)) && pattern_matches(y, bytes_text(address));
    if (want != (z && pattern_matches(z, bytes_text(address))))
      fail_msg("%s and %s give '%s', which is wrong for %s", a, b, z ? buffer_text(&both) : "nothing", address);
    buffer_deinit(&both);
    pattern_free(x);
    pattern_free(y);
    pattern_free(z);
  }
  assert_true(met > 1000);
}

/* ---- what does not fit ---- */

static void collect(void *ctx, const char *sentence) { buffer_printf(ctx, "%s\n", sentence); }

static void test_disagreements(void **state) {
  (void)state;
  struct half *ours, *theirs;
  struct buffer said = BUFFER_NULL;
  assert_int_equal(read_half(&ours,
                       HEAD "accept\tanhui/#\naccept\thubei/#\nquota\treadings\t5\tbytes\t7\n"
                            "share\tchongqing/a/#\tuntil\t5\nshare\tchongqing/b/#\ntransit\tsichuan/#\n",
                       NULL),
      0);
  assert_int_equal(
      half_new(&theirs,
          bytes_text("riverbus-agreement\t1\thubei\tchongqing\naccept\tchongqing/+/+/level\naccept\tyunnan/#\n"
                     "quota\treadings\t4\tbytes\t0\nshare\thubei/x/#\nshare\tguizhou/y\n"),
          bytes_text("hubei"), bytes_text("chongqing"), NULL),
      0);
  effective_disagreements(ours, theirs, "hubei", 6, collect, &said);
  static const char *const wanted[] = {"we let through 'sichuan/#', of which hubei accepts nothing",
      "we accept 'anhui/#', of which hubei shares nothing", "hubei accepts 'yunnan/#', of which we share nothing",
      "hubei shares 'guizhou/y', of which we accept nothing", "our sharing of 'chongqing/a/#' ended at 1970",
      "our quota of readings a second is 5, that of hubei 4"};
  size_t lines = 0;
  for (size_t i = 0; i < said.len; i++) lines += said.data[i] == '\n';
  for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
    if (!strstr(buffer_text(&said), wanted[i])) fail_msg("not said: %s, but:\n%s", wanted[i], buffer_text(&said));
  assert_int_equal(lines, sizeof wanted / sizeof wanted[0]);
  struct effective out;
  effective_init(&out, ours, theirs);
  assert_int_equal(out.count, 2);
  assert_true(bytes_equal(pattern_text(out.lines[0].match), bytes_text("chongqing/a/+/level")));
  effective_deinit(&out);
  assert_int_equal(effective_quota(ours, theirs).readings, 4);
  assert_int_equal(effective_quota(ours, theirs).bytes, 7);
  buffer_clear(&said);
  effective_disagreements(ours, NULL, "hubei", 6, collect, &said);
  assert_non_null(strstr(buffer_text(&said), "has not told its half"));
  buffer_deinit(&said);
  half_free(ours);
  half_free(theirs);
}

int main(void) {
  const char *given = getenv("RIVERBUS_TEST_SEED");
  seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
  printf("seed %u (RIVERBUS_TEST_SEED=%u repeats it)\n", seed, seed);
  srandom(seed);
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_canonical), cmocka_unit_test(test_hostile_texts),
      cmocka_unit_test(test_too_much), cmocka_unit_test(test_mutated), cmocka_unit_test(test_meet),
      cmocka_unit_test(test_disagreements)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
