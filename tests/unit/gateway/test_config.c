#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "gateway/config.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[64], path[128];
static char key[IDENTITY_KEY_TEXT + 1];

static int setup(void **state) {
  (void)state;
  struct identity *identity;
  struct public_key public_key;
  strcpy(folder, "/tmp/riverbus-config-XXXXXX");
  if (!mkdtemp(folder) || identity_generate(&identity) != 0) return -1;
  int result = identity_save(identity, folder, "station", NULL);
  identity_public(identity, &public_key);
  public_key_text(&public_key, key);
  identity_free(identity);
  snprintf(path, sizeof path, "%s/gateway.yaml", folder);
  return result;
}

static int teardown(void **state) {
  (void)state;
  static const char *const names[] = {"gateway.yaml", "station.key", "station.pub"};
  for (size_t i = 0; i < 3; i++) {
    char name[128];
    snprintf(name, sizeof name, "%s/%s", folder, names[i]);
    unlink(name);
  }
  return rmdir(folder);
}

static int load(const char *text, struct gateway_config **config, struct buffer *problems) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  for (const char *c = text; *c; c++)
    if (*c == '@')
      fputs(key, file);
    else
      fputc(*c, file);
  fclose(file);
  buffer_clear(problems);
  return gateway_config_load(config, path, problems);
}

static const char good[] =
    "station: chongqing/caijiagang\nidentity: station.key\ntime-zone: \"+08:00\"\nbroker: {endpoints: "
    "[\"tcp://10.0.0.1:7400\", \"tcp://[::1]:7400\"], key: \"@\"}\n"
    "store: {path: data, max-size: 64MiB, keep: 90d}\nmqtt: {port: 1884, client-id: riverbus}\noperators:\n  - {name: "
    "duty, key: \"@\", command: [\"chongqing/caijiagang/#\"]}\n"
    "devices:\n  - name: gauge-1\n    kind: sensor\n    points:\n      - {name: level, unit: m, topic: hydro/level, "
    "value: /z, scale: 0.01, time: /tm, time-format: \"%Y-%m-%d %H:%M:%S\", range: [150, 200], stale-after: 10m}\n"
    "  - name: gate-1\n    kind: sluice\n    points:\n      - {name: opening, unit: \"%\", topic: gates/1/state, "
    "value: /pos}\n      - {name: mode, type: text, topic: gates/1/state, value: /mode, map: {\"0\": local, \"1\": "
    "remote}}\n"
    "    controls:\n      - point: opening\n        topic: gates/1/set\n        payload: "
    "'{\"id\":\"${id}\",\"pos\":${value},\"cost\":\"$$\"}'\n        reply: {topic: gates/1/reply, id: /id, ok: /ok}\n  "
    "      confirm: {within: 1.0, timeout: 20m}\n        range: [0, 100]\n";

static void a_control_without_stop_is_named(void **state) {
  (void)state;
  struct gateway_config *config = NULL;
  struct buffer problems = BUFFER_NULL, notes = BUFFER_NULL;
  if (load(good, &config, &problems) != 0) fail_msg("%s", buffer_text(&problems));
  gateway_config_notes(&notes, config);
  assert_string_equal(buffer_text(&notes),
      "note: chongqing/caijiagang/gate-1/opening has no `stop:`: no command can halt its movement\n");
  gateway_config_free(config);
  buffer_deinit(&notes);
  buffer_deinit(&problems);
}

static void a_good_file_loads(void **state) {
  (void)state;
  struct gateway_config *config = NULL;
  struct buffer problems = BUFFER_NULL;
  int result = load(good, &config, &problems);
  if (result != 0) fail_msg("%s", buffer_text(&problems));
  assert_string_equal(config->province, "chongqing");
  assert_int_equal(config->zone_s, 28800);
  assert_int_equal(config->broker.endpoint_count, 2);
  assert_string_equal(config->broker.endpoints[1].telemetry, "tcp://[::1]:7401");
  assert_int_equal(config->store.when_full, CONFIG_WHEN_FULL_DISCARD_OLDEST);
  assert_int_equal(config->store.max_size, 64 << 20);
  assert_string_equal(config->devices[0].points[0].address, "chongqing/caijiagang/gauge-1/level");
  assert_true(config->devices[0].points[0].range.set);
  assert_null(config->local.urgent);
  /* at the own door all of the station is readable unless `read` says less */
  assert_int_equal(config->operators[0].read.count, 1);
  assert_true(patterns_match(&config->operators[0].read, bytes_text("chongqing/caijiagang/gate-1/opening")));
  assert_false(patterns_match(&config->operators[0].read, bytes_text("chongqing/cuntan/gauge-1/level")));
  assert_int_equal(config->devices[0].points[0].type, VALUE_NUMBER);
  assert_int_equal(config->devices[1].points[1].map_count, 2);
  const struct gateway_control *control = &config->devices[1].controls[0];
  assert_string_equal(control->address, "chongqing/caijiagang/gate-1/opening");
  assert_int_equal(control->payload.count, 5);
  assert_string_equal(control->payload.pieces[4].literal, ",\"cost\":\"$\"}");
  assert_true(control->confirm.set);
  assert_int_equal(control->reply.timeout_us, 10000000);
  gateway_config_free(config);
  buffer_deinit(&problems);
}

static void the_door_and_who_reads_there(void **state) {
  (void)state;
  struct gateway_config *config = NULL;
  struct buffer problems = BUFFER_NULL, text = BUFFER_NULL;
  buffer_printf(&text,
      "local: tcp://127.0.0.1:7410\n%.*soperators:\n  - {name: duty, key: \"@\", read: "
      "[\"chongqing/caijiagang/gauge-1/#\"], local: true}\n%s",
      (int)(strstr(good, "operators:") - good), good, strstr(good, "devices:"));
  if (load(buffer_text(&text), &config, &problems) != 0) fail_msg("%s", buffer_text(&problems));
  assert_string_equal(config->local.urgent, "tcp://127.0.0.1:7410");
  assert_true(config->operators[0].local);
  assert_false(patterns_match(&config->operators[0].read, bytes_text("chongqing/caijiagang/gate-1/opening")));
  gateway_config_free(config);
  buffer_deinit(&text);
  buffer_deinit(&problems);
}

static void assert_problem(struct buffer *problems, const char *position, const char *says) {
  char want[64];
  snprintf(want, sizeof want, "gateway.yaml:%s: ", position);
  const char *at = strstr(buffer_text(problems), want);
  if (!at) fail_msg("no problem at %s in:\n%s", position, buffer_text(problems));
  const char *end = strchr(at, '\n');
  char line[1024];
  snprintf(line, sizeof line, "%.*s", (int)(end - at), at);
  if (!strstr(line, says)) fail_msg("'%s' is not in: %s", says, line);
}

static void all_problems_in_one_run(void **state) {
  (void)state;
  static const char bad[] =
      "station: chongqing\n"                                           /* 1:10 */
      "identiy: station.key\n"                                         /* 2:1 */
      "time-zone: Beijing\n"                                           /* 3:12 */
      "broker: {endpoints: [\"udp://x:1\"], key: \"ed25519:short\"}\n" /* 4:22, 4:42 */
      "store: {path: data, max-size: 5parsec, max-size: 1GiB}\n"       /* 5:31, 5:40 */
      "mqtt: {port: 70000}\n"                                          /* 6:14 */
      "devices:\n"
      "  - name: gate-1\n"
      "    kind: weir\n" /* 9:11 */
      "    points:\n"
      "      - {name: opening, topic: \"gates/+\", value: pos, range: [9, 1]}\n" /* 11:31, 11:48, 11:60 */
      "    controls:\n"
      "      - {point: nothing, topic: t, payload: \"${speed}\", range: [0, 1], max-step: -20}\n"; /* 13:9 .. */
  struct gateway_config *config = NULL;
  struct buffer problems = BUFFER_NULL;
  assert_int_equal(load(bad, &config, &problems), CONFIG_WRONG);
  assert_null(config);
  assert_problem(&problems, "1:10", "two segments");
  assert_problem(&problems, "2:1", "did you mean 'identity'");
  assert_problem(&problems, "1:1", "'identity' is missing");
  assert_problem(&problems, "3:12", "time zone");
  assert_problem(&problems, "4:22", "no endpoint");
  assert_problem(&problems, "4:41", "no public key");
  assert_problem(&problems, "5:31", "no size");
  assert_problem(&problems, "5:40", "twice");
  assert_problem(&problems, "6:14", "out of range");
  assert_problem(&problems, "9:11", "allowed: sensor, sluice, pump");
  assert_problem(&problems, "11:32", "wildcard");
  assert_problem(&problems, "11:50", "JSON pointer");
  assert_problem(&problems, "11:62", "above the high end");
  assert_problem(&problems, "13:45", "${speed}");
  assert_problem(&problems, "13:82", "out of range");
  buffer_deinit(&problems);
}

static void hostile_files_are_refused(void **state) {
  (void)state;
  static const char *const files[] = {"", "- a\n", "a: &x 1\nb: *x\n", "a: [", "\xff\xfe",
      "a: {b: {c: {d: {e: {f: {g: {h: {i: {j: {k: {l: {m: {n: {o: {p: {q: {r: 1}}}}}}}}}}}}}}}}}}\n",
      "station: [a, b]\n", "devices: 7\n", "devices: [7]\nbroker: []\nstore: x\n", "? [a]\n: b\n"};
  struct gateway_config *config = NULL;
  struct buffer problems = BUFFER_NULL;
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    assert_int_equal(load(files[i], &config, &problems), CONFIG_WRONG);
    assert_true(problems.len > 0);
  }
  unlink(path);
  assert_int_equal(gateway_config_load(&config, path, &problems), CONFIG_WRONG);
  buffer_deinit(&problems);
}

/* The good file with one place of it changed. */
static unsigned changed(const char *from, const char *to) {
  struct gateway_config *before = NULL, *after = NULL;
  struct buffer problems = BUFFER_NULL, text = BUFFER_NULL;
  const char *at = strstr(good, from);
  assert_non_null(at);
  buffer_printf(&text, "%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
  assert_int_equal(load(good, &before, &problems), 0);
  if (load(buffer_text(&text), &after, &problems) != 0) fail_msg("%s", buffer_text(&problems));
  unsigned redo = gateway_config_changed(before, after);
  gateway_config_free(before);
  gateway_config_free(after);
  buffer_deinit(&problems);
  buffer_deinit(&text);
  return redo;
}

/* A reload redoes what changed and nothing else: the links and the MQTT session stand while an operator is added. */
static void a_reload_finds_what_changed(void **state) {
  (void)state;
  assert_int_equal(changed("unit: m", "unit: m"), 0);
  assert_int_equal(changed("topic: hydro/level", "topic: hydro/other"), CONFIG_REDO_DEVICES);
  assert_int_equal(changed("value: /z", "value: /y"), CONFIG_REDO_DEVICES);
  assert_int_equal(changed("%M:%S", "%M"), CONFIG_REDO_DEVICES);
  assert_int_equal(changed("\"1\": remote", "\"2\": remote"), CONFIG_REDO_DEVICES);
  assert_int_equal(changed("gates/1/set", "gates/2/set"), CONFIG_REDO_DEVICES);
  assert_int_equal(changed("\"cost\"", "\"toll\""), CONFIG_REDO_DEVICES);
  assert_int_equal(changed("range: [0, 100]", "allowed: [0, 50]"), CONFIG_REDO_DEVICES);
  assert_int_equal(changed("range: [0, 100]", "range: [0, 100]\n        min-interval: 1s"), CONFIG_REDO_DEVICES);
  assert_int_equal(changed("name: duty", "name: night"), CONFIG_REDO_PRINCIPALS);
  assert_int_equal(changed("tcp://10.0.0.1:7400", "tcp://10.0.0.1:7500"), CONFIG_REDO_LINKS);
  assert_int_equal(changed("port: 1884", "port: 1885"), CONFIG_REDO_MQTT);
  assert_int_equal(changed("+08:00", "+07:00"), CONFIG_REDO_LIMITS);
  assert_int_equal(changed("keep: 90d", "keep: 91d"), CONFIG_REDO_RESTART);
}

static void assert_wrong(const char *from, const char *to, const char *says) {
  struct gateway_config *config = NULL;
  struct buffer problems = BUFFER_NULL, text = BUFFER_NULL;
  const char *at = strstr(good, from);
  assert_non_null(at);
  buffer_printf(&text, "%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
  assert_int_equal(load(buffer_text(&text), &config, &problems), CONFIG_WRONG);
  if (!strstr(buffer_text(&problems), says)) fail_msg("'%s' is not in:\n%s", says, buffer_text(&problems));
  buffer_deinit(&problems);
  buffer_deinit(&text);
}

static void what_would_move_a_gate_wrongly_is_refused(void **state) {
  (void)state;
  assert_wrong("${value}", "7", "payload: needs ${value}");
  assert_wrong("${id}", "7", "payload: needs ${id}");
  assert_wrong("gates/1/reply", "gates/1/set", "topic of the commands themselves");
  assert_wrong("topic: gates/1/set", "topic: gates/+/set", "wildcard");
  assert_wrong("point: opening", "point: closing", "no point of this device");
  assert_wrong("        range: [0, 100]\n", "", "range or allowed");
  assert_wrong("range: [0, 100]", "allowed: [up]", "'up' is no number");
  assert_wrong("name: gate-1", "name: gauge-1", "stands twice");
  assert_wrong("name: mode", "name: opening", "stands twice");
}

/* A control with all that can be said of it. */
static const char safe[] =
    "        range: [0, 100]\n        stop: {topic: gates/1/stop, payload: "
    "'{\"id\":\"${id}\",\"of\":\"${running}\"}'}\n"
    "        max-step: 20\n        min-interval: 10s\n        approval: required\n        select: 10s\n"
    "        uncommanded: {beyond: 2.5}\n        refuse-when:\n"
    "          - {point: gate-1/mode, equals: local, code: local, say: the switch is in local}\n"
    "          - {point: gauge-1/level, at-least: 178.5, moving: up}\n"
    "          - {point: gauge-1/level, below: 150, max-age: 0s}\n";

static void a_control_says_what_is_safe(void **state) {
  (void)state;
  struct gateway_config *config = NULL;
  struct buffer problems = BUFFER_NULL, text = BUFFER_NULL;
  const char *at = strstr(good, "        range: [0, 100]\n");
  buffer_printf(&text, "%.*s%sauthority: \"@\"\n", (int)(at - good), good, safe);
  if (load(buffer_text(&text), &config, &problems) != 0) fail_msg("%s", buffer_text(&problems));
  const struct gateway_control *control = &config->devices[1].controls[0];
  assert_string_equal(control->stop.topic, "gates/1/stop");
  assert_int_equal(control->stop.payload.pieces[3].kind, GATEWAY_PIECE_RUNNING);
  assert_true(control->max_step == 20 && control->min_interval_us == 10 * SECOND_US && control->approval == 1);
  assert_true(control->select_us == 10 * SECOND_US && control->uncommanded.set && control->uncommanded.beyond == 2.5);
  assert_int_equal(control->guard_count, 3);
  assert_string_equal(control->guards[0].address, "chongqing/caijiagang/gate-1/mode");
  assert_true(control->guards[0].code == CODE_LOCAL && control->guards[0].limit.bytes.len == 5);
  assert_true(control->guards[1].op == CONDITION_AT_LEAST && control->guards[1].moving == GUARD_UP);
  assert_true(control->guards[1].max_age_us == 600 * SECOND_US && control->guards[1].limit.number == 178.5);
  assert_int_equal(control->guards[2].max_age_us, 0);
  assert_int_equal(config->authority.count, 1);
  assert_int_equal(control->observed_count, 1); /* the input that is a measurement, once */
  assert_string_equal(control->observed[0], "chongqing/caijiagang/gauge-1/level");
  gateway_config_free(config);
  buffer_deinit(&problems);
  buffer_deinit(&text);
}

static void a_switch_has_a_direction(void **state) {
  static const char line[] = "        refuse-when: [{point: gauge-1/level, at-least: 178.5, moving: up}]\n";
  (void)state;
  struct gateway_config *config = NULL;
  struct buffer problems = BUFFER_NULL, text = BUFFER_NULL;
  const char *type = strstr(good, "name: opening, unit: \"%\""), *at = strstr(good, "        range: [0, 100]\n");
  buffer_printf(&text, "%.*sname: opening, type: boolean%.*s%s", (int)(type - good), good,
      (int)(at - strstr(type, ", topic")), strstr(type, ", topic"), line);
  if (load(buffer_text(&text), &config, &problems) != 0) fail_msg("%s", buffer_text(&problems));
  assert_int_equal(config->devices[1].controls[0].guards[0].moving, GUARD_UP);
  gateway_config_free(config);
  buffer_deinit(&problems);
  buffer_deinit(&text);
}

static void what_would_guard_nothing_is_refused(void **state) {
  (void)state;
  static const char range[] = "        range: [0, 100]\n";
  static const struct {
    const char *line, *says;
  } rows[] = {
      {"stop: {topic: s, payload: '${value}'}", "payload: '${value}' is not known"},
      {"stop: {topic: s, payload: halt}", "needs ${id}"},
      {"stop: {topic: gates/1/reply, payload: '${id}'}", "topic of the replies"},
      {"stop: {payload: '${id}'}", "'topic' is missing"},
      {"approval: sometimes", "allowed: none, required"},
      {"select: 10ms", "out of range"},
      {"refuse-when: [{point: gate-2/mode, equals: local}]", "no point of this station"},
      {"refuse-when: [{point: gate-1/mode}]", "needs one of below"},
      {"refuse-when: [{point: gate-1/mode, equals: local, not-equals: remote}]", "needs one of below"},
      {"refuse-when: [{point: gate-1/mode, below: 7}]", "type number or integer; use equals"},
      {"refuse-when: [{point: gauge-1/level, below: high}]", "'high' is no number"},
      {"refuse-when: [{point: gauge-1/level, below: 1, moving: left}]", "allowed: either, up, down"},
      {"max-step: 1\n      - {point: mode, topic: m, payload: '${id} ${value}', allowed: [local], reply: {topic: r, "
       "id: /id, "
       "ok: /ok},\n         refuse-when: [{point: gauge-1/level, below: 1, moving: up}]}",
          "moving is for controls of type number, integer or boolean"},
      {"refuse-when: [{point: gauge-1/level, below: 1, code: busy}]", "allowed: interlock, local"},
      {"refuse-when: [{point: gauge-1/level, less: 1}]", "unknown key 'less'"},
      {"operating-log: [gauge-2/level]", ":26:25: operating-log: 'gauge-2/level' is no point of this station"},
      {"operating-log: [gate-1/mode]", "'gate-1/mode' is of type text"},
      {"operating-log: [gauge-1/level, gauge-1/level]", "is there twice"},
      {"operating-log: [gate-1/opening]", "is the control's own point"},
      {"operating-log: gauge-1/level", "needs a list of device/point"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char text[512];
    snprintf(text, sizeof text, "%s        %s\n", range, rows[i].line);
    assert_wrong(range, text, rows[i].says);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_good_file_loads),
      cmocka_unit_test(the_door_and_who_reads_there), cmocka_unit_test(a_control_without_stop_is_named),
      cmocka_unit_test(all_problems_in_one_run), cmocka_unit_test(hostile_files_are_refused),
      cmocka_unit_test(a_reload_finds_what_changed), cmocka_unit_test(what_would_move_a_gate_wrongly_is_refused),
      cmocka_unit_test(a_control_says_what_is_safe), cmocka_unit_test(a_switch_has_a_direction),
      cmocka_unit_test(what_would_guard_nothing_is_refused)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
