/*
 * Commands at the gateway as stories: real signatures, a store in memory whose commits happen when the story says so, a
 * device and an MQTT broker that are lines of the story. What the gateway reports is read back from the signed records
 * that it commits. For the tests of this folder that begin with test_dispatch.
 */
#ifndef RIVERBUS_TESTS_UNIT_GATEWAY_SCENE_H
#define RIVERBUS_TESTS_UNIT_GATEWAY_SCENE_H
#include "common/command/audit.h"
#include "common/store/memory.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "gateway/dispatch.h"
#include "tests/unit/gateway/sample.h"
#include <stdio.h>

static struct instant now = {.wall = INT64_C(1795507200) * 1000000, .mono = INT64_C(5000) * 1000000};
static inline struct instant tell_time(void *ctx) {
  (void)ctx;
  return now;
}
static inline void draw(void *ctx, void *out, size_t len) {
  static uint8_t next = 1;
  (void)ctx;
  memset(out, next++, len);
}
static const struct world world = {.now = tell_time, .random = draw};

static inline void pass(int64_t us) {
  now.wall += us;
  now.mono += us;
}

/* The station under test, what surrounds it, and what was heard of it. */
struct scene {
  struct memory_disk *disk;
  struct store *store;
  struct dispatch *dispatch;
  struct identity *station, *duty, *chief, *stranger; /* the chief may approve too */
  struct gateway_point points[4];                     /* opening, on, level, mode */
  struct gateway_control controls[2];
  struct gateway_device devices[3];
  struct gateway_config config;
  struct config_operator operators[2];
  struct public_key duty_key, chief_key;
  struct points live;
  struct buffer message, hint, actual; /* of the last report */
  struct buffer states;    /* of all reports, in order: "received dispatched executed/already"; received+command */
  struct buffer said;      /* the states that were durable, to the station's own door */
  struct buffer published; /* payloads and expiries */
  struct buffer events;
  struct buffer reported; /* " id/state " of every report, for the audit log */
  struct buffer observed; /* the levels and flows of the last report: before, after */
  struct buffer nevers;   /* ids said to be never received */
  int64_t offset;
  bool offset_known, unsynchronised;
  size_t read; /* entries of the ledger that starts have read */
};

static struct scene scene;

static inline void hook_submit(void *ctx, struct store_batch *batch, void *cookie) {
  (void)ctx;
  assert_int_equal(store_submit(scene.store, batch, cookie), 0);
}
static inline void hook_lookup(void *ctx, struct bytes id) {
  const struct store_read read = {.what = STORE_READ_TABLE, .table = STORE_COMMANDS, .key = id, .max_bytes = 1};
  (void)ctx;
  assert_int_equal(store_read(scene.store, &read, mem_text(id.data, id.len)), 0);
}
static inline void hook_publish(void *ctx, const struct dispatch_publish *p) {
  (void)ctx;
  assert_true(p->life_us >= CHECK_DISPATCH_LEFT_US);
  buffer_printf(&scene.published, "%s%s " BYTES_FMT " for %us", scene.published.len ? "; " : "", p->topic,
      BYTES_ARG(p->payload), (unsigned)(p->life_us / SECOND_US));
}
static inline void hook_send(void *ctx, uint8_t type, struct bytes body) {
  struct settle_ids ids;
  struct epoch epoch;
  (void)ctx;
  assert_int_equal(type, SETTLE_NEVER);
  assert_int_equal(settle_get_never(body, &epoch, &ids), 0);
  for (uint32_t i = 0; i < ids.count; i++) buffer_printf(&scene.nevers, BYTES_FMT " ", BYTES_ARG(ids.ids[i]));
}
static inline void hook_event(void *ctx, const char *name, struct bytes text) {
  (void)ctx;
  buffer_printf(&scene.events, "%s%s " BYTES_FMT, scene.events.len ? "; " : "", name, BYTES_ARG(text));
}
static const struct gateway_clock clock_config = {.require_synchronised = true, .max_offset_us = 2 * SECOND_US};
static inline struct clock_reading read_clock(void) {
  return (struct clock_reading){now.wall, !scene.unsynchronised, scene.offset_known, scene.offset};
}
static inline enum clock_verdict hook_clock(void *ctx, struct refusal *refusal) {
  const struct clock clock = {.config = &clock_config};
  const struct clock_reading reading = read_clock();
  (void)ctx;
  return clock_judge(&clock, &reading, refusal);
}
static inline enum clock_verdict hook_stop_clock(void *ctx, int64_t *shift_us) {
  const struct clock clock = {.config = &clock_config};
  const struct clock_reading reading = read_clock();
  (void)ctx;
  return clock_for_stop(&clock, &reading, shift_us);
}
static inline int64_t hook_received(void *ctx) {
  (void)ctx;
  return now.wall;
}
static inline struct epoch hook_epoch(void *ctx) {
  (void)ctx;
  return (struct epoch){1, 2};
}

static inline void hook_said(void *ctx, const struct ledger_entry *entry) {
  (void)ctx;
  buffer_printf(&scene.said, "%s%s", scene.said.len ? " " : "", state_name(entry->state));
}

static inline void hear_report(struct bytes value) {
  struct public_key key;
  struct report report;
  identity_public(scene.station, &key);
  assert_int_equal(report_open(&report, value), 0);
  assert_memory_equal(&report.key, &key, sizeof key);
  buffer_printf(&scene.states, "%s%s", scene.states.len ? " " : "", state_name(report.state));
  if (report.command.len) buffer_printf(&scene.states, "+command");
  buffer_printf(&scene.reported, " " BYTES_FMT "/%s ", BYTES_ARG(report.id), state_name(report.state));
  buffer_clear(&scene.message);
  buffer_append(&scene.message, report.message);
  buffer_clear(&scene.hint);
  buffer_append(&scene.hint, report.hint);
  buffer_clear(&scene.actual);
  value_put_json(&scene.actual, &report.actual);
  buffer_clear(&scene.observed);
  observations_put_json(&scene.observed, report.observed_before);
  buffer_printf(&scene.observed, " ");
  observations_put_json(&scene.observed, report.observed_after);
  if (report.code != CODE_NONE) buffer_printf(&scene.states, "/%s", code_name(report.code));
}

static inline void hear_block(struct blob *blob) {
  struct block block;
  struct block_reader *reader;
  struct record record;
  assert_int_equal(block_open(&block, blob_bytes(blob)), 0);
  assert_int_equal(block_reader_new(&reader, &block), 0);
  while (block_reader_next(reader, &record) == 0) {
    assert_int_equal(record.kind, RECORD_REPORT);
    assert_true(address_below(record.address, bytes_text("chongqing/caijiagang")));
    hear_report(record.value.bytes);
  }
  block_reader_free(reader);
}

static inline void take_done(const struct store_done *done) {
  if (done->kind == STORE_DONE_READ) {
    char *id = done->cookie;
    bool found = done->keyed_count > 0 && bytes_equal(done->keyed[0].key, bytes_text(id));
    dispatch_found(scene.dispatch, bytes_text(id), found, found ? done->keyed[0].value : BYTES_NULL, now);
    free(id);
    return;
  }
  for (size_t i = 0; i < done->item_count; i++)
    if (done->items[i].block) hear_block(done->items[i].block);
  dispatch_committed(scene.dispatch, done->cookie, done->kind == STORE_DONE_BATCH, now);
}

/* One group commit, at most `batches`; and everything that follows from it at once. Returns whether something was
 * committed. */
static inline bool commit(size_t batches) {
  struct store_done *done;
  bool any = false;
  store_memory_run(scene.store, batches);
  while ((done = store_next(scene.store))) {
    any = true;
    take_done(done);
    store_done_free(done);
  }
  return any;
}
static inline void settle(void) {
  while (commit(1000)) continue;
}

static inline void open_station(void) {
  const struct store_options store = {.path = "memory", .max_size = 64 << 20, .world = &world};
  assert_int_equal(store_open_memory(&scene.store, &store, scene.disk), 0);
  const struct dispatch_options options = {.station = "chongqing/caijiagang",
      .broker = "broker chongqing",
      .identity = scene.station,
      .store_created = store_created(scene.store),
      .run = store_run(scene.store),
      .hooks = {.submit = hook_submit,
          .lookup = hook_lookup,
          .publish = hook_publish,
          .send = hook_send,
          .event = hook_event,
          .stop_clock = hook_stop_clock,
          .clock = hook_clock,
          .received = hook_received,
          .epoch = hook_epoch,
          .said = hook_said}};
  scene.dispatch = dispatch_new(&options);
  points_init(&scene.live, &scene.config);
  dispatch_configure(scene.dispatch, &scene.config, &scene.live);
}

static inline bool load_order(void *ctx, struct bytes key, struct bytes value) {
  (void)ctx;
  scene.read++;
  return dispatch_load(scene.dispatch, key, value, now);
}
static inline bool load_meta(void *ctx, struct bytes key, struct bytes value) {
  (void)ctx;
  dispatch_load_meta(scene.dispatch, key, value);
  return true;
}

static inline bool load_roster(void *ctx, struct bytes key, struct bytes value) {
  (void)ctx;
  dispatch_load_roster(scene.dispatch, key, value);
  return true;
}

static inline void close_station(void) {
  scene.dispatch = dispatch_free(scene.dispatch);
  points_deinit(&scene.live);
}

/* kill -9, and the start after it. */
static inline void crash(void) {
  close_station();
  scene.store = store_memory_crash(scene.store);
  open_station();
  assert_int_equal(store_scan(scene.store, STORE_META, load_meta, NULL), 0);
  assert_int_equal(store_scan(scene.store, STORE_ROSTER, load_roster, NULL), 0);
  assert_int_equal(store_scan(scene.store, STORE_COMMANDS, load_order, NULL), 0);
  dispatch_start(scene.dispatch, now);
}

static struct gateway_piece pieces[] = {{GATEWAY_PIECE_LITERAL, "{\"id\":\""}, {GATEWAY_PIECE_ID, NULL},
    {GATEWAY_PIECE_LITERAL, "\",\"pos\":"}, {GATEWAY_PIECE_VALUE, NULL}, {GATEWAY_PIECE_LITERAL, "}"}};

static struct gateway_piece stop_pieces[] = {{GATEWAY_PIECE_LITERAL, "halt "}, {GATEWAY_PIECE_ID, NULL},
    {GATEWAY_PIECE_LITERAL, " of "}, {GATEWAY_PIECE_RUNNING, NULL}};

static inline struct config_operator scene_operator(char *name, struct public_key *key) {
  struct config_operator operator= {.name = name, .keys = {key, 1}};
  assert_int_equal(patterns_add(&operator.command, bytes_text("chongqing/caijiagang/#"), NULL), 0);
  return operator;
}

static inline int set_up(void **state) {
  (void)state;
  memset(&scene, 0, sizeof scene);
  scene.disk = memory_disk_new();
  scene.offset_known = true;
  assert_int_equal(identity_generate(&scene.station), 0);
  assert_int_equal(identity_generate(&scene.duty), 0);
  assert_int_equal(identity_generate(&scene.chief), 0);
  assert_int_equal(identity_generate(&scene.stranger), 0);
  identity_public(scene.chief, &scene.chief_key);
  identity_public(scene.duty, &scene.duty_key);
  scene.points[0] = sample_point("opening", "chongqing/caijiagang/gate-1/opening", "gates/1/state");
  scene.points[1] = sample_point("on", "chongqing/caijiagang/pump-1/on", "pumps/1/state");
  scene.points[1].type = VALUE_BOOLEAN;
  scene.points[2] = sample_point("level", "chongqing/caijiagang/gauge-1/level", "gauges/1");
  scene.points[2].unit = "m";
  scene.points[3] = sample_point("mode", "chongqing/caijiagang/gauge-1/mode", "gauges/1/mode");
  scene.points[3].type = VALUE_TEXT;
  scene.controls[0] = (struct gateway_control){.point = "opening",
      .address = scene.points[0].address,
      .topic = "gates/1/set",
      .qos = 1,
      .payload = {NULL, pieces, 5},
      .confirm = {true, 1.0, 60 * SECOND_US},
      .range = {true, 0, 100}};
  scene.controls[0].reply = (struct gateway_reply){.topic = "gates/1/reply", .timeout_us = 10 * SECOND_US};
  scene.controls[1] = (struct gateway_control){.point = "on",
      .address = scene.points[1].address,
      .topic = "pumps/1/set",
      .qos = 1,
      .payload = {NULL, pieces, 5}};
  scene.controls[1].reply = (struct gateway_reply){.topic = "pumps/1/reply", .timeout_us = 10 * SECOND_US};
  scene.devices[0] = (struct gateway_device){.name = "gate-1",
      .kind = GATEWAY_SLUICE,
      .points = &scene.points[0],
      .point_count = 1,
      .controls = &scene.controls[0],
      .control_count = 1};
  scene.devices[1] = (struct gateway_device){.name = "pump-1",
      .kind = GATEWAY_PUMP,
      .points = &scene.points[1],
      .point_count = 1,
      .controls = &scene.controls[1],
      .control_count = 1};
  scene.controls[0].stop = (struct gateway_stop){.topic = "gates/1/stop", .qos = 1, .payload = {NULL, stop_pieces, 4}};
  scene.devices[2] =
      (struct gateway_device){.name = "gauge-1", .kind = GATEWAY_SENSOR, .points = &scene.points[2], .point_count = 2};
  scene.operators[0] = scene_operator("duty", &scene.duty_key);
  scene.operators[1] = scene_operator("chief", &scene.chief_key);
  assert_int_equal(patterns_add(&scene.operators[1].approve, bytes_text("chongqing/caijiagang/#"), NULL), 0);
  scene.config = (struct gateway_config){.station = "chongqing/caijiagang",
      .province = "chongqing",
      .max_deadline_us = 300 * SECOND_US,
      .operators = scene.operators,
      .operator_count = 2,
      .devices = scene.devices,
      .device_count = 3};
  open_station();
  pass(SECOND_US);
  return 0;
}

struct audit_seen {
  struct store_audit at;
  struct buffer states; /* like scene.reported */
};

static inline bool see_audit(void *ctx, struct bytes key, struct bytes value) {
  struct audit_seen *seen = ctx;
  struct store_audit row;
  struct bytes bytes;
  struct audit_entry entry;
  uint8_t link[CHAIN_HASH];
  char text[256];
  assert_true(store_audit_row(key, value, &row, &bytes));
  assert_int_equal(row.number, seen->at.number + 1);
  chain_next(seen->at.link, row.number, bytes, link);
  assert_memory_equal(link, row.link, CHAIN_HASH);
  seen->at = row;
  assert_int_equal(audit_read(&entry, bytes), 0);
  if (entry.kind != AUDIT_COMMAND) return true;
  snprintf(text, sizeof text, " " BYTES_FMT "/%s ", BYTES_ARG(entry.id), state_name(entry.state));
  if (seen->states.len && strstr(buffer_text(&seen->states), text)) fail_msg("twice in the audit log:%s", text);
  buffer_printf(&seen->states, "%s", text);
  return true;
}

/* I7: the chain holds, and what was reported is in it, once. */
static inline void judge_audit(void) {
  struct audit_seen seen = {.states = BUFFER_NULL};
  char *rest = scene.reported.len ? (char *)(uintptr_t)buffer_text(&scene.reported) : NULL, *word;
  assert_int_equal(store_scan(scene.store, STORE_AUDIT, see_audit, &seen), 0);
  while (rest && (word = strsep(&rest, " "))) {
    char text[256];
    snprintf(text, sizeof text, " %s ", word);
    if (*word && !(seen.states.len && strstr(buffer_text(&seen.states), text)))
      fail_msg("reported, and not in the audit log: %s", word);
  }
  buffer_deinit(&seen.states);
  buffer_deinit(&scene.reported);
}

static inline int tear_down(void **state) {
  (void)state;
  judge_audit();
  close_station();
  scene.store = store_close(scene.store);
  memory_disk_free(scene.disk);
  identity_free(scene.station);
  identity_free(scene.duty);
  identity_free(scene.chief);
  identity_free(scene.stranger);
  for (size_t i = 0; i < 2; i++) patterns_deinit(&scene.operators[i].command);
  patterns_deinit(&scene.operators[1].approve);
  buffer_deinit(&scene.message);
  buffer_deinit(&scene.hint);
  buffer_deinit(&scene.actual);
  buffer_deinit(&scene.observed);
  buffer_deinit(&scene.states);
  buffer_deinit(&scene.said);
  buffer_deinit(&scene.published);
  buffer_deinit(&scene.events);
  buffer_deinit(&scene.nevers);
  return 0;
}

struct ask {
  const char *id, *address;
  struct value value;
  int64_t life_us;
  const struct identity *by;
  uint8_t verb;
  int64_t ago_us;
  const struct identity *approved_by;
  const char *selection;
  const struct command_condition *condition;
};
#define GATE "chongqing/caijiagang/gate-1/opening"
#define PUMP "chongqing/caijiagang/pump-1/on"
#define NUMBER(x)                                                                                                      \
  { .type = VALUE_NUMBER, .number = (x) }
#define YES                                                                                                            \
  { .type = VALUE_BOOLEAN, .boolean = true }

static inline void sign(struct buffer *out, const struct ask *ask) {
  struct command command = {.verb = ask->verb ? ask->verb : COMMAND_SET,
      .id = bytes_text(ask->id),
      .address = bytes_text(ask->address),
      .value = ask->value,
      .issued = now.wall - ask->ago_us,
      .deadline = now.wall + (ask->life_us ? ask->life_us : 60 * SECOND_US),
      .basis = bytes_text("flood order 12")};
  const char *why = "";
  if (ask->selection)
    command.items[command.item_count++] =
        (struct command_item){COMMAND_ITEM_SELECTION, true, bytes_text(ask->selection)};
  if (ask->condition) command.conditions[command.condition_count++] = *ask->condition;
  if (command_sign(out, &command, ask->by ? ask->by : scene.duty, &why) != 0) fail_msg("%s", why);
}

static inline void decide(struct buffer *out, uint8_t verb, struct bytes bytes, const struct identity *by) {
  struct decision decision = {
      .verb = verb, .issued = now.wall, .deadline = now.wall + 60 * SECOND_US, .basis = bytes_text("seen by Li")};
  struct command command;
  const char *why = "";
  assert_int_equal(command_read(&command, bytes), 0);
  decision.id = command.id;
  command_digest(bytes, decision.digest);
  if (decision_sign(out, &decision, by, &why) != 0) fail_msg("%s", why);
}

static inline void deliver_with(struct bytes command, struct bytes approval) {
  struct buffer body = BUFFER_NULL;
  settle_put_command(&body, command, approval);
  dispatch_message(scene.dispatch, SETTLE_COMMAND, buffer_bytes(&body), now);
  buffer_deinit(&body);
}
static inline void deliver(struct bytes command) { deliver_with(command, BYTES_NULL); }

/* Signs, delivers, and keeps the bytes in *kept where that is not NULL. */
static inline void order_kept(struct ask ask, struct buffer *kept) {
  struct buffer bytes = BUFFER_NULL, approval = BUFFER_NULL;
  sign(&bytes, &ask);
  if (ask.approved_by) decide(&approval, DECISION_APPROVE, buffer_bytes(&bytes), ask.approved_by);
  deliver_with(buffer_bytes(&bytes), buffer_bytes(&approval));
  if (kept) buffer_clear(kept);
  if (kept) buffer_append(kept, buffer_bytes(&bytes));
  buffer_deinit(&bytes);
  buffer_deinit(&approval);
}
static inline void order(struct ask ask) { order_kept(ask, NULL); }
/* ... and lets everything that follows from it happen. */
static inline void give(struct ask ask) {
  order(ask);
  settle();
}
static inline void ask_about(const char *id) {
  struct buffer body = BUFFER_NULL;
  const struct settle_ids ids = {.count = 1, .ids = {bytes_text(id)}};
  settle_put_ask(&body, &ids);
  dispatch_message(scene.dispatch, SETTLE_ASK, buffer_bytes(&body), now);
  buffer_deinit(&body);
  settle();
}
static inline void measure_of(size_t point, struct value value, enum record_quality quality, bool retained) {
  const struct record record = {.quality = quality,
      .address = bytes_text(scene.points[point].address),
      .time = now.wall,
      .received = now.wall,
      .value = value};
  point_keep(&scene.live.items[point], &record);
  scene.live.items[point].heard = now.mono;
  dispatch_measured(scene.dispatch, &scene.live.items[point], &record, retained, now);
  settle();
}
static inline void measure(double opening) { measure_of(0, (struct value)NUMBER(opening), QUALITY_GOOD, false); }
static inline void answer(const char *address, const char *id, bool ok, const char *reason) {
  dispatch_reply(scene.dispatch, bytes_text(address), bytes_text(id), ok, bytes_text(reason), now);
  settle();
}
static inline void puback(const char *id, enum order_publish outcome) {
  dispatch_published(scene.dispatch, bytes_text(id), outcome, now);
  settle();
}
static inline void wait_for(int64_t us) {
  pass(us);
  (void)dispatch_tick(scene.dispatch, now);
  settle();
}
static inline void expect(const char *states) {
  assert_string_equal(buffer_text(&scene.states), states);
  buffer_clear(&scene.states);
}
static inline void expect_said(const char *states) {
  assert_string_equal(buffer_text(&scene.said), states);
  buffer_clear(&scene.said);
}
static inline void expect_published(const char *published) {
  assert_string_equal(buffer_text(&scene.published), published);
  buffer_clear(&scene.published);
}
static inline void expect_events(const char *events) {
  assert_string_equal(buffer_text(&scene.events), events);
  buffer_clear(&scene.events);
}

#define STORY(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#endif
