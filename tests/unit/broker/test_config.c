/* The broker's file: who is who, and each key given once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "broker/config.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], path[128];
static char keys[5][IDENTITY_KEY_TEXT + 1]; /* 0 is this broker's own */

static int make_key(char *text, const char *save_as) {
  struct identity *identity = NULL;
  struct public_key key;
  if (identity_generate(&identity) != 0) return -1;
  int result = save_as ? identity_save(identity, folder, save_as, NULL) : 0;
  identity_public(identity, &key);
  public_key_text(&key, text);
  identity_free(identity);
  return result;
}

static int setup(void **state) {
  (void)state;
  strcpy(folder, "/tmp/riverbus-config-XXXXXX");
  if (!mkdtemp(folder) || make_key(keys[0], "broker") != 0) return -1;
  for (int i = 1; i < 5; i++)
    if (make_key(keys[i], NULL) != 0) return -1;
  snprintf(path, sizeof path, "%s/broker.yaml", folder);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  static const char *const names[] = {"broker.yaml", "broker.key", "broker.pub"};
  for (size_t i = 0; i < 3; i++) {
    char name[128];
    snprintf(name, sizeof name, "%s/%s", folder, names[i]);
    unlink(name);
  }
  return rmdir(folder);
}

/* @0 to @4 in the text stand for the keys. */
static int load(const char *text, struct broker_config **config, struct buffer *problems) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  for (const char *c = text; *c; c++)
    if (*c == '@')
      fputs(keys[*++c - '0'], file);
    else
      fputc(*c, file);
  fclose(file);
  buffer_clear(problems);
  return broker_config_load(config, path, problems);
}

static const char good[] =
    "node: chongqing\nidentity: broker.key\nlisten: tcp://127.0.0.1:7400\nstore: {path: data, max-size: 64MiB}\n"
    "stations:\n  - {name: cuntan, key: [\"@1\", \"@2\"]}\n"
    "operators:\n  - {name: duty, key: \"@3\", read: [\"#\"], command: [\"chongqing/#\"]}\n"
    "peers:\n  - {name: hubei, key: \"@4\", share: [{match: \"chongqing/+/+/level\"}], accept: [{match: "
    "\"hubei/#\"}]}\n";

static char *with(const char *from, const char *to) {
  struct buffer text = BUFFER_NULL;
  const char *at = strstr(good, from);
  assert_non_null(at);
  buffer_printf(&text, "%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
  buffer_text(&text);
  return (char *)text.data;
}

static void a_good_file_loads(void **state) {
  (void)state;
  struct broker_config *config = NULL;
  struct buffer problems = BUFFER_NULL;
  if (load(good, &config, &problems) != 0) fail_msg("%s", buffer_text(&problems));
  assert_string_equal(config->stations[0].node, "chongqing/cuntan");
  assert_int_equal(config->stations[0].keys.count, 2);
  assert_string_equal(config->listen.telemetry, "tcp://127.0.0.1:7401");
  assert_null(config->peers[0].connect.urgent);
  assert_int_equal(config->max_deadline_us, 300000000);
  assert_int_equal(config->store.when_full, CONFIG_WHEN_FULL_REFUSE);
  assert_true(pattern_matches(config->peers[0].share[0].match, bytes_text("chongqing/cuntan/gauge-1/level")));
  broker_config_free(config);
  buffer_deinit(&problems);
}

static void assert_wrong(const char *from, const char *to, const char *says) {
  struct broker_config *config = NULL;
  struct buffer problems = BUFFER_NULL;
  char *text = with(from, to);
  assert_int_equal(load(text, &config, &problems), CONFIG_WRONG);
  if (!strstr(buffer_text(&problems), says)) fail_msg("'%s' is not in:\n%s", says, buffer_text(&problems));
  free(text);
  buffer_deinit(&problems);
}

static void names_and_keys_stand_once(void **state) {
  (void)state;
  assert_wrong("\"@3\"", "\"@1\"", ":8:5: the key of operator duty is station cuntan's already");
  assert_wrong("\"@4\"", "\"@0\"", ":10:5: the key of peer hubei is this node's already");
  assert_wrong("\"@2\"", "\"@1\"", "the key of station cuntan is station cuntan's already");
  assert_wrong("name: hubei", "name: chongqing", "has the name of this node");
  assert_wrong("operators:", "  - {name: cuntan, key: []}\noperators:", "the station 'cuntan' stands twice");
  assert_wrong("name: cuntan", "name: a/b", "is no name");
}

static void what_comes_later_is_not_ignored(void **state) {
  (void)state;
  assert_wrong("node:", "listen-next: {}\nnode:", "listen-next: not supported by this version yet");
}

#define LEVEL "{match: \"chongqing/+/+/level\"}"
static void what_passes_to_a_neighbour(void **state) {
  (void)state;
  struct broker_config *config = NULL;
  struct buffer problems = BUFFER_NULL;
  char *text = with(LEVEL "]",
      "{match: \"chongqing/+/+/flow\", every: 5m, delay: 10m, since: 2026-01-01, until: 2027-12-31 08:00, onward: "
      "[anhui, 江西]}], transit: [\"sichuan/#\"], quota: {readings: 5000/s, bytes: 20GiB/day}");
  struct buffer zoned = BUFFER_NULL;
  buffer_printf(&zoned, "%stime-zone: \"+08:00\"\n", text); /* behind the dates */
  if (load(buffer_text(&zoned), &config, &problems)) fail_msg("%s", buffer_text(&problems));
  const struct broker_share *rule = &config->peers[0].share[0];
  assert_true(rule->every_us == 300000000 && rule->delay_us == 600000000);
  assert_true(rule->since == 1767196800000000 && rule->until == 1830211200000000); /* 2025-12-31T16:00Z, 2027-12-31Z */
  assert_int_equal(rule->onward.count, 2);
  assert_string_equal(rule->onward.items[1], "江西");
  assert_true(config->peers[0].quota.readings == 5000 && config->peers[0].quota.bytes == 20ull << 30);
  assert_int_equal(config->peers[0].transit.count, 1);
  broker_config_free(config);
  free(text);
  buffer_deinit(&zoned);
  buffer_deinit(&problems);
}

static void rules_that_can_do_nothing(void **state) {
  (void)state;
  static const char *const rules[][2] = {
      {"every: 1ms", "every: '1ms' is out of range (100ms to 30d"},
      {"delay: 31d", "delay: '31d' is out of range (1s to 30d"},
      {"until: tomorrow", "until: 'tomorrow' is no date"},
      {"until: [2027-01-01]", "needs a date"},
      {"since: 2027-02-30", "since: '2027-02-30' is no date"},
      {"until: 2026-01-01, since: 2026-01-01", "until: is not later than since"},
      {"onward: [chongqing]", "onward: chongqing is this node"},
      {"onward: [hubei]", "onward: hubei is the peer itself"},
      {"onward: [a/b]", "onward: 'a/b' is no name"},
      {"onward: [anhui, anhui]", "onward: 'anhui' stands twice"},
      {"onward: {}", "onward: needs a list"},
  };
  for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
    char to[160];
    snprintf(to, sizeof to, "{match: \"chongqing/+/+/level\", %s}", rules[i][0]);
    assert_wrong(LEVEL, to, rules[i][1]);
  }
  assert_wrong(LEVEL, "{match: \"anhui/#\"}", ":10:95: match: nothing of chongqing matches 'anhui/#'");
  assert_wrong("{match: \"hubei/#\"}", "{match: \"chongqing/#\"}", "accept: 'chongqing/#' is of this province");
  assert_wrong("{match: \"hubei/#\"}", "{match: \"hubei/#\", every: 5m}", "unknown key 'every' in an accept rule");
  assert_wrong("share:", "transit: [\"a/#\", \"chongqing/+\"], share:", ":10:96: transit: 'chongqing/+' is of this");
  assert_wrong("share:", "transit: [\"hubei/#\"], share:", "transit: 'hubei/#' is of the peer itself");
  assert_wrong("share:", "quota: {readings: 5000}, share:", "readings: '5000' is no rate");
  assert_wrong("share:", "quota: {readings: 0/s}, share:", "readings: '0/s' is no rate");
  assert_wrong("share:", "quota: {bytes: 20GiB/s}, share:", "bytes: '20GiB/s' is no amount a day");
}

/* A peer with more rules than fit is refused before anybody is told. */
static void too_many_rules(void **state) {
  (void)state;
  struct buffer rules = BUFFER_NULL, granted = BUFFER_NULL;
  for (int i = 0; i <= BROKER_RULES_MAX; i++) buffer_printf(&rules, "%s{match: \"chongqing/s%d/+\"}", i ? ", " : "", i);
  for (int i = 0; i < 100; i++)
    buffer_printf(&granted, "%s{match: \"chongqing/s%d/+\", onward: [anhui]}", i ? ", " : "", i);
  assert_wrong(LEVEL, buffer_text(&rules), "share: has 257 lines; at most 256 are taken");
  assert_wrong(LEVEL, buffer_text(&granted), "share: the rules with onward: have more than 1500 bytes");
  buffer_deinit(&rules);
  buffer_deinit(&granted);
}

#define REQUEST "{match: \"chongqing/+/gate-1/opening\", operators: \"@2\""
static void what_a_neighbours_operators_may_ask_for(void **state) {
  (void)state;
  struct broker_config *config = NULL, *same = NULL, *other = NULL;
  struct buffer problems = BUFFER_NULL;
  char *text = with("share:",
      "requests: [" REQUEST ", range: [0, 40], approval: local}, " REQUEST ", allowed: [true, \"half\", 2]}], share:");
  if (load(text, &config, &problems) || load(text, &same, &problems)) fail_msg("%s", buffer_text(&problems));
  free(text);
  const struct broker_request *lines = config->peers[0].requests;
  assert_int_equal(config->peers[0].request_count, 2);
  assert_true(lines[0].range.set && lines[0].range.high == 40 && lines[0].approval == BROKER_APPROVAL_LOCAL);
  assert_true(!lines[1].range.set && lines[1].allowed_count == 3 && lines[1].approval == BROKER_APPROVAL_NONE);
  assert_int_equal(lines[1].allowed[1].value.type, VALUE_TEXT);
  assert_int_equal(broker_config_changed(config, same), 0);
  text = with("share:",
      "requests: [" REQUEST ", range: [0, 40], approval: local}, " REQUEST ", allowed: [true, \"half\", 3]}], share:");
  assert_int_equal(load(text, &other, &problems), 0);
  free(text);
  assert_true(broker_config_changed(config, other) & CONFIG_REDO_RULES);
  broker_config_free(config);
  broker_config_free(same);
  broker_config_free(other);
  buffer_deinit(&problems);
  assert_wrong("share:", "requests: [{match: \"#\"}], share:", "operators");
  assert_wrong("share:", "requests: [" REQUEST ", range: [0, 1], allowed: [1]}], share:", "not both");
  assert_wrong("share:", "requests: [" REQUEST ", allowed: 1}], share:", "needs a list of values");
  assert_wrong("share:", "requests: [" REQUEST ", approval: maybe}], share:", "local");
}

static void an_identity_must_load(void **state) {
  (void)state;
  char name[128];
  snprintf(name, sizeof name, "%s/broker.key", folder);
  assert_wrong("broker.key", "nothing.key", ":2:11: identity: ");
  assert_int_equal(chmod(name, 0644), 0);
  assert_wrong("chongqing", "chongqing", ":2:11: identity: ");
  assert_int_equal(chmod(name, 0600), 0);
}

static unsigned changed(const char *from, const char *to) {
  struct broker_config *before = NULL, *after = NULL;
  struct buffer problems = BUFFER_NULL;
  char *text = with(from, to);
  assert_int_equal(load(good, &before, &problems), 0);
  assert_int_equal(load(text, &after, &problems), 0);
  unsigned redo = broker_config_changed(before, after);
  broker_config_free(before);
  broker_config_free(after);
  buffer_deinit(&problems);
  free(text);
  return redo;
}

static void a_reload_finds_what_changed(void **state) {
  (void)state;
  assert_int_equal(changed("cuntan", "cuntan"), 0);
  assert_int_equal(changed("+/+/level", "+/+/flow"), CONFIG_REDO_LINKS | CONFIG_REDO_RULES);
  assert_int_equal(changed("{match: \"hubei/#\"}", ""), CONFIG_REDO_LINKS | CONFIG_REDO_RULES);
  assert_int_equal(changed(", \"@2\"", ""), CONFIG_REDO_PRINCIPALS);
  assert_int_equal(changed("command: [\"chongqing/#\"]", "command: []"), CONFIG_REDO_PRINCIPALS);
  assert_int_equal(changed("7400", "7500"), CONFIG_REDO_RESTART);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_good_file_loads), cmocka_unit_test(names_and_keys_stand_once),
      cmocka_unit_test(what_comes_later_is_not_ignored), cmocka_unit_test(what_passes_to_a_neighbour),
      cmocka_unit_test(rules_that_can_do_nothing), cmocka_unit_test(too_many_rules),
      cmocka_unit_test(what_a_neighbours_operators_may_ask_for), cmocka_unit_test(an_identity_must_load),
      cmocka_unit_test(a_reload_finds_what_changed)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
