/* The life of a command at the broker, as stories: what happens, what the operator is told then, what the station is
 * sent then. The store is the memory backend, so that nothing is durable until the story says so; requests come through
 * the real protocol. */
#include "broker/order.h"
#include "common/command/audit.h"
#include "common/store/memory.h"
#include <sodium.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define STATION "chongqing/cai"
#define THEIRS "hubei/dan/gate-1/opening" /* the neighbour's */
#define POINT STATION "/gate-1/opening"
#define GUARDED STATION "/gate-7/opening" /* needs the approval of a second person */
static const char descriptor[] = "{\"type\":\"number\",\"unit\":\"%\",\"control\":{\"type\":\"number\",\"unit\":\"%\","
                                 "\"range\":[0,100],\"confirm_timeout_us\":20000000}}";

static const char guarded_descriptor[] =
    "{\"type\":\"number\",\"control\":{\"type\":\"number\",\"range\":[0,100],\"approval\":true}}";

/* ---- the world of a story ---- */

struct pending {
  struct pending *next;
  errand_fn *done;
  void *ctx, *cookie;
};
struct scene {
  struct world world;
  struct instant now;
  struct memory_disk *disk;
  struct store *store;
  struct orders *orders;
  struct requests *requests;
  struct identity *operator_key, *station_key, *stranger, *second;
  struct patterns command, read;
  struct check_operator rows[2];
  struct check_operators operators;
  struct requester who;
  struct public_key station_public;
  struct epoch epoch;
  bool up, peer_up, told_lives;
  uint32_t starts;
  struct identity *foreign; /* an operator of the neighbour */
  struct public_key foreign_public;
  struct broker_peer agreement;
  struct broker_request lines[2];
  struct catalogue_point point, guarded;
  struct buffer said, sent; /* since the last line of the story */
  struct buffer reason;     /* of the last state or refusal that was said */
  struct buffer command_bytes;
  char id[16]; /* of the next command */
  uint64_t request_id, report_sequence;
  struct pending *pending;
  size_t contradictions; /* events: each is an entry of the audit log, with the station's report */
};
static struct scene scene;

static struct instant scene_now(void *ctx) { return ((struct scene *)ctx)->now; }
static void scene_random(void *ctx, void *out, size_t len) {
  (void)ctx;
  memset(out, 7, len);
}

static struct pending *pending_new(errand_fn *done, void *ctx, void *cookie) {
  struct pending *pending = malloc(sizeof *pending);
  *pending = (struct pending){scene.pending, done, ctx, cookie};
  scene.pending = pending;
  return pending;
}
static void pending_answer(struct pending *pending, const struct store_done *done) {
  struct pending **at = &scene.pending;
  while (*at != pending) at = &(*at)->next;
  *at = pending->next;
  pending->done(pending->ctx, pending->cookie, done);
  free(pending);
}

static void hook_commit(void *ctx, struct store_batch *batch, errand_fn *done, void *done_ctx, void *cookie) {
  assert_int_equal(store_submit(((struct scene *)ctx)->store, batch, pending_new(done, done_ctx, cookie)), 0);
}
static struct errand *hook_read(
    void *ctx, enum errand_rank rank, const struct store_read *read, errand_fn *done, void *done_ctx, void *cookie) {
  (void)rank;
  assert_int_equal(store_read(((struct scene *)ctx)->store, read, pending_new(done, done_ctx, cookie)), 0);
  return NULL;
}
static struct order_station the_station(void) {
  return (struct order_station){
      .node = bytes_text(STATION), .keys = &scene.station_public, .key_count = 1, .up = scene.up, .epoch = scene.epoch};
}
static struct order_station the_peer(void) {
  return (struct order_station){.node = bytes_text("hubei"), .peer = true, .up = scene.peer_up, .epoch = scene.epoch};
}
static const struct broker_peer *hook_agreement(void *ctx, struct bytes peer) {
  (void)ctx;
  return bytes_equal(peer, bytes_text("hubei")) ? &scene.agreement : NULL;
}
static void note_state(struct bytes body) {
  struct ledger_entry entry;
  assert_int_equal(ledger_read(&entry, body), 0);
  assert_true(entry.command.len > 0);
  const char *code = code_name(entry.code);
  buffer_printf(&scene.sent, "hubei:%s%s%s%s ", state_name(entry.state), code ? ":" : "", code ? code : "",
      ledger_is_unconfirmed(&entry) ? "?" : "");
}
static bool hook_station(void *ctx, struct bytes address, struct order_station *out) {
  (void)ctx;
  bool theirs = address_below(address, bytes_text("hubei"));
  *out = theirs ? the_peer() : the_station();
  return theirs || address_below(address, bytes_text(STATION));
}
static bool hook_send(void *ctx, struct bytes station, uint8_t type, struct bytes body) {
  struct bytes command, approval;
  (void)ctx;
  bool theirs = bytes_equal(station, bytes_text("hubei"));
  if (theirs && !scene.peer_up) return false;
  if (type == SETTLE_LIVES) {
    struct settle_lives lives;
    assert_true(theirs && settle_get_lives(body, &lives) == 0 && lives.count == scene.starts);
    scene.told_lives = true;
    return true;
  }
  if (type == SETTLE_STATE || type == SETTLE_NEVER) {
    assert_true(theirs);
    if (type == SETTLE_STATE)
      note_state(body);
    else
      buffer_printf(&scene.sent, "hubei:never ");
    return true;
  }
  if (theirs) buffer_printf(&scene.sent, "hubei:");
  bool approved = type == SETTLE_COMMAND && settle_get_command(body, &command, &approval) == 0 && approval.len;
  if (scene.up || theirs)
    buffer_printf(&scene.sent, "%s%s ",
        type == SETTLE_COMMAND    ? "command"
        : type == SETTLE_DECISION ? "decision"
                                  : "ask",
        approved ? "+approval" : "");
  return scene.up || theirs;
}
static const struct check_operators *hook_operators(void *ctx) {
  (void)ctx;
  return &scene.operators;
}
static void hook_event(void *ctx, const char *name, struct bytes text) {
  (void)ctx, (void)text;
  buffer_printf(&scene.sent, "!%s ", name);
  scene.contradictions += strcmp(name, "contradiction") == 0;
}
static const struct catalogue_point *hook_point(void *ctx, struct bytes address) {
  (void)ctx;
  if (bytes_equal(address, bytes_text(GUARDED))) return &scene.guarded;
  return bytes_equal(address, bytes_text(POINT)) ? &scene.point : NULL;
}

/* What the operator is told: the state, and the code where there is one. */
static enum requests_send hook_operator_send(void *ctx, uint64_t conn, struct bytes frame) {
  struct request_message m;
  (void)ctx, (void)conn;
  assert_int_equal(request_read(&m, frame), 0);
  if (m.type != REQUEST_REPLY) return REQUESTS_SENT;
  json_t *body = json_loadb((const char *)m.body.data, m.body.len, 0, NULL);
  const json_t *rows = json_object_get(body, "commands"), *row = rows ? json_array_get(rows, 0) : body;
  const char *verbatim = json_string_value(json_object_get(body, "command"));
  if (verbatim) {
    char text[2 * COMMAND_MAX];
    sodium_bin2base64(
        text, sizeof text, scene.command_bytes.data, scene.command_bytes.len, sodium_base64_VARIANT_ORIGINAL);
    buffer_printf(&scene.said, "%s ", strcmp(text, verbatim) == 0 ? "verbatim" : "altered");
    row = json_object_get(body, "state");
  }
  const char *state = json_string_value(json_object_get(row, "state")),
             *code = json_string_value(json_object_get(row, "code"));
  if (!rows && json_object_get(body, "end")) state = "end";
  const json_t *error = json_object_get(body, "error");
  if (error) code = json_string_value(json_object_get(error, "code"));
  const char *reason = json_string_value(json_object_get(error ? error : row, "message"));
  buffer_clear(&scene.reason);
  buffer_append(&scene.reason, bytes_text(reason));
  buffer_printf(
      &scene.said, "%s%s%s%s ", state ? state : "error", code ? ":" : "", code ? code : "", m.last ? "." : "");
  json_decref(body);
  return REQUESTS_SENT;
}
static void hook_close(void *ctx, uint64_t conn) { (void)ctx, (void)conn; }
static const struct requester *hook_requester(void *ctx, const char *principal) {
  (void)ctx, (void)principal;
  return &scene.who;
}
static void verb_take(void *ctx, struct request *request, const json_t *body) {
  (void)body;
  orders_take(((struct scene *)ctx)->orders, request);
}
static void verb_follow(void *ctx, struct request *request, const json_t *body) {
  orders_follow(((struct scene *)ctx)->orders, request, body);
}
static void verb_list(void *ctx, struct request *request, const json_t *body) {
  orders_list(((struct scene *)ctx)->orders, request, body);
}
static void verb_list_more(void *ctx, struct request *request) {
  (void)ctx;
  orders_list_more(request);
}
static void verb_show(void *ctx, struct request *request, const json_t *body) {
  orders_show(((struct scene *)ctx)->orders, request, body);
}
static void verb_decide(void *ctx, struct request *request, const json_t *body) {
  orders_decide(((struct scene *)ctx)->orders, request, body);
}
static void verb_end(void *ctx, struct request *request) {
  (void)ctx;
  orders_request_end(request);
}
static const struct request_verb command_verb = {.name = "command", .start = verb_take, .end = verb_end};
static const struct request_verb follow_verbs[] = {{.name = "follow", .start = verb_follow, .end = verb_end},
    {.name = "commands", .start = verb_list, .more = verb_list_more, .end = verb_end},
    {.name = "command", .start = verb_show, .end = verb_end}, {.name = "decide", .start = verb_decide, .end = verb_end},
    {0}};

static void begin_process(void) {
  struct store_options options = {.world = &scene.world, .max_size = 64 * 1024 * 1024};
  struct orders_hooks hooks = {
      &scene, hook_commit, hook_read, hook_station, hook_send, hook_operators, hook_point, hook_agreement, hook_event};
  struct requests_hooks doors = {
      &scene, hook_operator_send, hook_close, hook_requester, &scene, follow_verbs, &command_verb};
  assert_int_equal(store_open_memory(&scene.store, &options, scene.disk), 0);
  scene.starts++;
  scene.orders = orders_new("chongqing", &scene.world, &hooks);
  assert_int_equal(orders_load(scene.orders, scene.store), 0);
  scene.requests = requests_new("chongqing", &scene.world, &doors);
  struct buffer hello = BUFFER_NULL;
  request_write(&hello, &(struct request_message){.type = REQUEST_HELLO, .version = REQUEST_VERSION});
  requests_receive(scene.requests, "operator duty", 1, buffer_bytes(&hello));
  buffer_deinit(&hello);
}

static void take_completions(void) {
  struct store_done *done;
  while ((done = store_next(scene.store))) {
    if (done->cookie) pending_answer(done->cookie, done);
    store_done_free(done);
  }
}

static void end_process(void) {
  const struct store_done refused = {.kind = STORE_DONE_REFUSED};
  scene.requests = requests_free(scene.requests);
  scene.store = store_memory_crash(scene.store);
  while (scene.pending) pending_answer(scene.pending, &refused);
  scene.orders = orders_free(scene.orders);
  scene.up = scene.peer_up = false;
}

static void begin_scene(void) {
  scene = (struct scene){.now = {1764000000000000, 5000000}, .epoch = {100, 1}, .id = "c1"};
  scene.world = (struct world){.ctx = &scene, .now = scene_now, .random = scene_random};
  scene.disk = memory_disk_new();
  identity_generate(&scene.operator_key);
  identity_generate(&scene.station_key);
  identity_generate(&scene.stranger);
  identity_generate(&scene.second);
  patterns_add(&scene.command, bytes_text("chongqing/cai/#"), NULL);
  patterns_add(&scene.command, bytes_text("hubei/#"), NULL);
  patterns_add(&scene.command, bytes_text("anhui/#"), NULL);
  identity_generate(&scene.foreign);
  identity_public(scene.foreign, &scene.foreign_public);
  const struct config_keys theirs = {&scene.foreign_public, 1};
  scene.lines[0] = (struct broker_request){.operators = theirs, .range = {true, 0, 45}};
  pattern_new(&scene.lines[0].match, bytes_text(POINT), NULL);
  scene.lines[1] = (struct broker_request){.operators = theirs, .approval = BROKER_APPROVAL_LOCAL};
  pattern_new(&scene.lines[1].match, bytes_text(GUARDED), NULL);
  scene.agreement = (struct broker_peer){.name = "hubei", .requests = scene.lines, .request_count = 2};
  patterns_add(&scene.read, bytes_text("#"), NULL);
  scene.rows[0] = (struct check_operator){.name = "duty", .command = &scene.command, .approve = &scene.command};
  identity_public(scene.operator_key, &scene.rows[0].key);
  scene.rows[1] = (struct check_operator){.name = "second", .command = &scene.command, .approve = &scene.command};
  identity_public(scene.second, &scene.rows[1].key);
  scene.operators = (struct check_operators){scene.rows, 2};
  scene.who = (struct requester){"duty", &scene.read};
  identity_public(scene.station_key, &scene.station_public);
  scene.point = (struct catalogue_point){.address = bytes_text(POINT), .descriptor = (char *)(uintptr_t)descriptor};
  scene.guarded =
      (struct catalogue_point){.address = bytes_text(GUARDED), .descriptor = (char *)(uintptr_t)guarded_descriptor};
  begin_process();
}

static void end_scene(void) {
  end_process();
  memory_disk_free(scene.disk);
  identity_free(scene.operator_key);
  identity_free(scene.station_key);
  identity_free(scene.stranger);
  identity_free(scene.second);
  identity_free(scene.foreign);
  pattern_free(scene.lines[0].match);
  pattern_free(scene.lines[1].match);
  patterns_deinit(&scene.command);
  patterns_deinit(&scene.read);
  buffer_deinit(&scene.said);
  buffer_deinit(&scene.reason);
  buffer_deinit(&scene.sent);
  buffer_deinit(&scene.command_bytes);
}

/* ---- what can happen ---- */

static void commit(void) {
  for (int i = 0; i < 4; i++) { /* a completion may submit the next batch */
    store_memory_run(scene.store, 1000);
    take_completions();
  }
}

static void ask(enum request_type type, struct bytes body) {
  struct buffer frame = BUFFER_NULL;
  struct request_message m = {.type = type, .id = ++scene.request_id, .window = 1 << 20, .body = body};
  assert_int_equal(request_write(&frame, &m), 0);
  requests_receive(scene.requests, "operator duty", 1, buffer_bytes(&frame));
  buffer_deinit(&frame);
}

static void sign_decision(struct buffer *out, uint8_t verb, int64_t ago_us, const struct identity *by) {
  struct decision decision = {.verb = verb,
      .id = bytes_text(scene.id),
      .issued = scene.now.wall - ago_us,
      .deadline = scene.now.wall + 60 * SECOND_US,
      .basis = bytes_text("seen")};
  command_digest(buffer_bytes(&scene.command_bytes), decision.digest);
  assert_int_equal(decision_sign(out, &decision, by, NULL), 0);
}

/* What the neighbour sends. */
static void from_peer(uint8_t type, struct bytes body) {
  struct order_station peer = the_peer();
  orders_message(scene.orders, &peer, type, body);
  store_memory_run(scene.store, 0); /* the look-up of the id */
  take_completions();
}
static void ask_as_peer(void) {
  struct buffer body = BUFFER_NULL;
  settle_put_command(&body, buffer_bytes(&scene.command_bytes), BYTES_NULL);
  from_peer(SETTLE_COMMAND, buffer_bytes(&body));
  buffer_deinit(&body);
}
static void do_asked_again(const char *arguments) {
  (void)arguments;
  ask_as_peer();
}
/* "word ID": what became of it? */
static void do_word(const char *arguments) {
  struct settle_ids ids = {.count = 1, .ids = {bytes_text(arguments)}};
  struct buffer body = BUFFER_NULL;
  settle_put_ask(&body, &ids);
  from_peer(SETTLE_ASK, buffer_bytes(&body));
  buffer_deinit(&body);
}
/* So many ids that nobody knows: how many were answered. */
static void do_word_flood(const char *arguments) {
  char id[16];
  size_t answered = 0;
  for (int i = 0; i < atoi(arguments); i++) {
    snprintf(id, sizeof id, "w%d", i);
    buffer_clear(&scene.sent);
    do_word(id);
    commit();
    if (scene.sent.len) answered++;
  }
  buffer_clear(&scene.sent);
  buffer_printf(&scene.said, "%zu ", answered);
}
/* "state NAME [other|signed]": of the command that was asked of the neighbour. */
static void do_state(const char *arguments) {
  char name[32], how[16] = "";
  sscanf(arguments, "%31s %15s", name, how);
  struct ledger_entry entry = LEDGER_ENTRY_NULL;
  struct buffer body = BUFFER_NULL;
  entry.id = bytes_text(scene.id);
  entry.command = strcmp(how, "other") == 0 ? bytes_text("another one") : buffer_bytes(&scene.command_bytes);
  entry.state = state_parse(bytes_text(name));
  entry.time = scene.now.wall;
  entry.settle_by = scene.now.wall + 200 * SECOND_US;
  if (strcmp(how, "signed") == 0) entry.report = bytes_text("by the station");
  if (strncmp(how, "resolved", 8) == 0) entry.code = CODE_RESOLVED;
  struct buffer word = BUFFER_NULL;
  if (strcmp(how, "resolved?") == 0) sign_decision(&word, DECISION_RESOLVE_MOVED, 0, scene.foreign);
  entry.decision = buffer_bytes(&word);
  ledger_write(&body, &entry);
  buffer_deinit(&word);
  from_peer(SETTLE_STATE, buffer_bytes(&body));
  commit();
  buffer_deinit(&body);
}
static void do_peer_never(const char *arguments) {
  struct settle_ids ids = {.count = 1, .ids = {bytes_text(scene.id)}};
  struct epoch epoch = scene.epoch;
  struct buffer body = BUFFER_NULL;
  if (strstr(arguments, "restored")) epoch.created++;
  settle_put_never(&body, epoch, &ids);
  from_peer(SETTLE_NEVER, buffer_bytes(&body));
  commit();
  buffer_deinit(&body);
}
/* "peer-up": it remembers one opening of its store; "restarted": and one more; "restored": it has another store;
 * "silent": it does not say. */
static void do_peer_up(const char *arguments) {
  struct settle_lives lives = {.count = 1, .lives = {scene.epoch}};
  struct buffer body = BUFFER_NULL;
  scene.peer_up = true;
  scene.told_lives = false;
  struct order_station peer = the_peer();
  orders_session(scene.orders, &peer);
  assert_true(scene.told_lives);
  if (strcmp(arguments, "restored") == 0) lives.lives[0].created++;
  if (strcmp(arguments, "restarted") == 0) lives = (struct settle_lives){2, {{500, 5}, scene.epoch}};
  settle_put_lives(&body, &lives);
  if (strcmp(arguments, "silent") != 0) from_peer(SETTLE_LIVES, buffer_bytes(&body));
  commit();
  buffer_deinit(&body);
}
static void do_peer_down(const char *arguments) {
  (void)arguments;
  scene.peer_up = false;
}

static void do_take(const char *arguments) {
  char address[80] = POINT;
  int value = 40, deadline = 60;
  sscanf(arguments, "%d %d %79s", &value, &deadline, address);
  struct command command = {.verb = strstr(arguments, "stop")     ? COMMAND_STOP
                                    : strstr(arguments, "try")    ? COMMAND_TRY
                                    : strstr(arguments, "select") ? COMMAND_SELECT
                                                                  : COMMAND_SET,
      .id = bytes_text(scene.id),
      .address = bytes_text(address),
      .issued = scene.now.wall,
      .deadline = scene.now.wall + deadline * SECOND_US,
      .value = {.type = VALUE_INTEGER, .integer = value}};
  if (command.verb == COMMAND_STOP) command.value = VALUE_EMPTY;
  if (strstr(arguments, "old")) command.issued -= 250 * SECOND_US;
  buffer_clear(&scene.command_bytes);
  assert_int_equal(command_sign(&scene.command_bytes, &command,
                       strstr(arguments, "stranger")  ? scene.stranger
                       : strstr(arguments, "foreign") ? scene.foreign
                                                      : scene.operator_key,
                       NULL),
      0);
  if (strstr(arguments, "asked")) {
    ask_as_peer();
    return;
  }
  ask(REQUEST_COMMAND, buffer_bytes(&scene.command_bytes));
  store_memory_run(scene.store, 0); /* the look-up of the id */
  take_completions();
}

/* "other ID ...": the next orders have that id. */
static void do_id(const char *arguments) { snprintf(scene.id, sizeof scene.id, "%s", arguments); }

/* "approve", "cancel", "moved", "not-moved", then who: duty, second, stranger; about the last command. "early": signed
 * two seconds ago. */
static void do_decide(const char *arguments) {
  char what[16] = "", who[16] = "duty", text[2 * DECISION_MAX] = "";
  sscanf(arguments, "%15s %15s", what, who);
  uint8_t verb = strcmp(what, "approve") == 0  ? DECISION_APPROVE
                 : strcmp(what, "cancel") == 0 ? DECISION_CANCEL
                 : strcmp(what, "moved") == 0  ? DECISION_RESOLVE_MOVED
                                               : DECISION_RESOLVE_NOT_MOVED;
  struct buffer bytes = BUFFER_NULL, body = BUFFER_NULL;
  const struct identity *key = strcmp(who, "second") == 0        ? scene.second
                               : strcmp(who, "stranger") == 0    ? scene.stranger
                               : strncmp(who, "foreign", 7) == 0 ? scene.foreign
                                                                 : scene.operator_key;
  sign_decision(&bytes, verb, strstr(arguments, "early") ? 2 * SECOND_US : 0, key);
  sodium_bin2base64(text, sizeof text, bytes.data, bytes.len, sodium_base64_VARIANT_ORIGINAL);
  if (strstr(arguments, "asked")) {
    from_peer(SETTLE_DECISION, buffer_bytes(&bytes));
    buffer_deinit(&bytes);
    return;
  }
  if (strstr(arguments, "forged")) text[120] = text[120] == 'A' ? 'B' : 'A';
  buffer_printf(&body, "{\"verb\":\"decide\",\"decision\":\"%s\"}", text);
  ask(REQUEST_REQUEST, buffer_bytes(&body));
  store_memory_run(scene.store, 0);
  take_completions();
  buffer_deinit(&bytes);
  buffer_deinit(&body);
}

/* The verbatim command, for who is to decide about it. */
static void do_show(const char *arguments) {
  struct buffer body = BUFFER_NULL;
  buffer_printf(&body, "{\"verb\":\"command\",\"id\":\"%s\"}", arguments);
  ask(REQUEST_REQUEST, buffer_bytes(&body));
  store_memory_run(scene.store, 0);
  take_completions();
  buffer_deinit(&body);
}

static void do_again(const char *arguments) {
  (void)arguments;
  ask(REQUEST_COMMAND, buffer_bytes(&scene.command_bytes));
  store_memory_run(scene.store, 0);
  take_completions();
}

static void do_follow(const char *arguments) {
  struct buffer body = BUFFER_NULL;
  buffer_printf(&body, "{\"verb\":\"follow\",\"id\":\"%s\"}", *arguments ? arguments : scene.id);
  ask(REQUEST_REQUEST, buffer_bytes(&body));
  buffer_deinit(&body);
  store_memory_run(scene.store, 0);
  take_completions();
}

static void do_commit(const char *arguments) {
  (void)arguments;
  commit();
}

static void do_up(const char *arguments) {
  struct order_station station;
  (void)arguments;
  scene.up = true;
  station = the_station();
  orders_session(scene.orders, &station);
  commit();
}

static void do_down(const char *arguments) {
  (void)arguments;
  scene.up = false;
}

/* A command that an operator ("stranger": nobody known here) gave at the station's door: only made. */
static void do_door(const char *arguments) {
  struct command command = {.verb = COMMAND_SET,
      .id = bytes_text(scene.id),
      .address = bytes_text(strstr(arguments, "elsewhere") ? "chongqing/other/a/b" : POINT),
      .issued = scene.now.wall,
      .deadline = scene.now.wall + 60 * SECOND_US,
      .value = {.type = VALUE_INTEGER, .integer = 30}};
  buffer_clear(&scene.command_bytes);
  const struct identity *key = strstr(arguments, "stranger") ? scene.stranger : scene.operator_key;
  assert_int_equal(command_sign(&scene.command_bytes, &command, key, NULL), 0);
  if (strstr(arguments, "altered")) scene.command_bytes.data[scene.command_bytes.len - 1] ^= 1;
}

/* "report STATE": "door" behind: with the verbatim command; "report STATE": admitted with the record's block, which is
 * then committed; "forged" in front: signed by somebody else. */
static void do_report(const char *arguments) {
  char name[32], how[32] = "";
  sscanf(arguments, "%31s %31s", name, how);
  struct report report = {.id = bytes_text(scene.id),
      .address = bytes_text(POINT),
      .state = state_parse(bytes_text(name)),
      .time = scene.now.wall};
  command_digest(buffer_bytes(&scene.command_bytes), report.digest);
  if (strcmp(how, "resolved") == 0) report.code = CODE_RESOLVED;
  if (strstr(arguments, "replay")) report.code = CODE_REPLAY;
  if (strcmp(how, "door") == 0) report.command = buffer_bytes(&scene.command_bytes);
  if (strcmp(how, "door") == 0) report.by = bytes_text("keeper");
  struct buffer bytes = BUFFER_NULL;
  assert_int_equal(report_sign(&bytes, &report, strcmp(how, "forged") == 0 ? scene.stranger : scene.station_key), 0);
  struct block_builder *builder = block_builder_new();
  struct record record = {.kind = RECORD_REPORT,
      .address = report.address,
      .time = scene.now.wall,
      .received = scene.now.wall,
      .value = {.type = VALUE_BYTES, .bytes = buffer_bytes(&bytes)}};
  assert_int_equal(block_builder_add(builder, &record, BLOCK_MAX), 0);
  struct blob *blob = block_builder_finish(builder, bytes_text(STATION "!urgent"), 1);
  struct epoch epoch = scene.epoch;
  if (strcmp(how, "anew") == 0) epoch.created++;
  block_number(blob, epoch, ++scene.report_sequence);
  struct block block;
  assert_int_equal(block_open(&block, blob_bytes(blob)), 0);
  struct store_batch *batch = store_batch_new();
  struct order_station station = the_station();
  orders_admit(scene.orders, &station, &block, batch);
  size_t said = scene.said.len;
  if (store_batch_is_empty(batch))
    store_batch_free(batch);
  else
    assert_int_equal(store_submit(scene.store, batch, NULL), 0);
  assert_int_equal(scene.said.len, said); /* nothing is said before the commit */
  commit();
  orders_committed(scene.orders, &block);
  block_builder_free(builder);
  blob_unref(blob);
  buffer_deinit(&bytes);
}

/* "epochs": the station's store knows the one that is known here; "epochs new": only another. */
static void do_epochs(const char *arguments) {
  struct epoch known = scene.epoch;
  if (*arguments) known.created++;
  orders_epochs(scene.orders, bytes_text(STATION), &known, 1);
  commit();
}

static void do_never(const char *arguments) {
  struct settle_ids ids = {.count = 1, .ids = {bytes_text(scene.id)}};
  struct epoch epoch = scene.epoch;
  struct buffer body = BUFFER_NULL;
  struct order_station station = the_station();
  if (strstr(arguments, "restored")) epoch.created++;
  settle_put_never(&body, epoch, &ids);
  orders_message(scene.orders, &station, SETTLE_NEVER, buffer_bytes(&body));
  commit();
  buffer_deinit(&body);
}

static void do_wait(const char *arguments) {
  int64_t us = atoi(arguments) * SECOND_US;
  scene.now.wall += us;
  scene.now.mono += us;
  orders_tick(scene.orders);
  commit();
  orders_tick(scene.orders);
  commit();
}

static void do_crash(const char *arguments) {
  (void)arguments;
  end_process();
  begin_process();
}

/* How many count as open, and how many memory holds. */
static void do_count(const char *arguments) {
  size_t open = 0, held = 0;
  assert_int_equal(sscanf(arguments, "%zu %zu", &open, &held), 2);
  assert_int_equal(scene.orders->open_count, open);
  assert_int_equal(scene.orders->open.count, held);
}

static void do_list(const char *arguments) {
  buffer_clear(&scene.said);
  ask(REQUEST_REQUEST,
      bytes_text(strcmp(arguments, "open") == 0 ? "{\"verb\":\"commands\",\"open\":true}" : "{\"verb\":\"commands\"}"));
  commit();
}

/* The command of the story alone: a follow by another name. */
static void do_list_one(const char *arguments) {
  struct buffer body = BUFFER_NULL;
  (void)arguments;
  buffer_clear(&scene.said);
  buffer_printf(&body, "{\"verb\":\"commands\",\"id\":\"%s\"}", scene.id);
  ask(REQUEST_REQUEST, buffer_bytes(&body));
  buffer_deinit(&body);
  commit();
}

/* More room for the newest request. */
static void do_credit(const char *arguments) {
  struct buffer frame = BUFFER_NULL;
  const struct request_message m = {.type = REQUEST_CREDIT, .id = scene.request_id, .window = 1000};
  (void)arguments;
  assert_int_equal(request_write(&frame, &m), 0);
  requests_receive(scene.requests, "operator duty", 1, buffer_bytes(&frame));
  buffer_deinit(&frame);
  commit();
}

/* So many refusals of one operator, none of the same id. */
static void do_flood(const char *arguments) {
  for (int i = 0; i < atoi(arguments); i++) {
    snprintf(scene.id, sizeof scene.id, "f%d", i);
    do_take("140");
    commit();
  }
  buffer_clear(&scene.said);
  buffer_printf(&scene.said, "%llu ", (unsigned long long)scene.orders->stats.unrecorded);
}

/* "change NAME": the configuration is read anew: the operator on duty may command nothing any more, or the agreement
 * with the neighbour has no lines; "change back". */
static void do_change(const char *arguments) {
  scene.rows[0].command = strcmp(arguments, "duty") == 0 ? NULL : &scene.command;
  scene.agreement.request_count = strcmp(arguments, "hubei") == 0 ? 0 : 2;
}

/* What was said last gives exactly that reason; "why": one with these words in it. */
static void do_says(const char *arguments) { assert_string_equal(buffer_text(&scene.reason), arguments); }
static void do_why(const char *arguments) {
  if (!strstr(buffer_text(&scene.reason), arguments)) fail_msg("%s", buffer_text(&scene.reason));
}

static bool see_decision(void *ctx, struct bytes key, struct bytes value) {
  struct store_audit row;
  struct bytes bytes;
  struct audit_entry entry;
  struct decision decision;
  assert_true(store_audit_row(key, value, &row, &bytes));
  assert_int_equal(audit_read(&entry, bytes), 0);
  if (entry.kind != AUDIT_DECISION || entry.code != CODE_NONE) return true;
  assert_int_equal(decision_open(&decision, entry.proof), 0);
  buffer_printf(ctx, "%s%s", ((struct buffer *)ctx)->len ? " " : "", decision_verb_name(decision.verb));
  return true;
}

/* Those in the audit log that were taken. */
static void do_decisions(const char *arguments) {
  struct buffer seen = BUFFER_NULL;
  assert_int_equal(store_scan(scene.store, STORE_AUDIT, see_decision, &seen), 0);
  assert_string_equal(buffer_text(&seen), arguments);
  buffer_deinit(&seen);
}

static const struct {
  const char *word;
  void (*act)(const char *arguments);
} actions[] = {{"take", do_take}, {"again", do_again}, {"follow", do_follow}, {"commit", do_commit}, {"up", do_up},
    {"down", do_down}, {"report", do_report}, {"never", do_never}, {"wait", do_wait}, {"crash", do_crash},
    {"count", do_count}, {"list", do_list}, {"list-one", do_list_one}, {"credit", do_credit}, {"flood", do_flood},
    {"id", do_id}, {"decide", do_decide}, {"show", do_show}, {"door", do_door}, {"asked-again", do_asked_again},
    {"word", do_word}, {"word-flood", do_word_flood}, {"state", do_state}, {"peer-never", do_peer_never},
    {"peer-up", do_peer_up}, {"peer-down", do_peer_down}, {"change", do_change}, {"says", do_says}, {"why", do_why},
    {"decisions", do_decisions}, {"epochs", do_epochs}};

static void act(const char *line) {
  for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
    size_t len = strlen(actions[i].word);
    if (strncmp(line, actions[i].word, len) != 0 || (line[len] && line[len] != ' ')) continue;
    actions[i].act(line[len] ? line + len + 1 : "");
    return;
  }
  fail_msg("no such action: %s", line);
}

/* ---- the stories ---- */

struct line {
  const char *happens, *said, *sent;
};
struct story {
  const char *name;
  struct line lines[32];
};

static const struct story stories[] = {
    {"the usual way: nothing is said before the commit, sent is durable before the station is told",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "},
            {"report received", "received ", ""}, {"report dispatched", "dispatched ", ""},
            {"report executed", "executed. ", ""}, {"follow", "executed. ", ""}}},
    {"the station is away: accepted, and handed over when it comes",
        {{"take", "", ""}, {"commit", "accepted ", ""}, {"wait 10", "", ""}, {"up", "sent ", "command "},
            {"report executed", "executed. ", ""}}},
    {"the station comes while the order is being committed: handed over when it is durable",
        {{"take", "", ""}, {"up", "accepted sent ", "command "}, {"report executed", "executed. ", ""}}},
    {"the station stays away: expired at the deadline",
        {{"take", "", ""}, {"commit", "accepted ", ""}, {"wait 61", "expired:expired. ", ""}, {"up", "", ""}}},
    {"handed over and silent: asked for after the deadline, unknown in the end, and the late truth comes once",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "}, {"down", "", ""},
            {"wait 61", "", ""}, {"wait 30", "unknown:no-answer. ", ""}, {"follow", "unknown:no-answer. ", ""},
            {"up", "", "ask "}, {"report executed", "", ""}, {"list open", "end. ", ""}, {"follow", "executed. ", ""},
            {"report failed", "", ""}, {"follow", "executed. ", ""}}},
    {"never received, from the same epoch: expired",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "}, {"down", "", ""},
            {"wait 61", "", ""}, {"up", "", "ask "}, {"never", "expired:not-received. ", ""}}},
    {"never received, from a restored store: its word means nothing",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "}, {"down", "", ""},
            {"wait 61", "", ""}, {"up", "", "ask "}, {"never restored", "", ""}, {"down", "", ""},
            {"wait 30", "unknown:no-answer. ", ""}}},
    {"lost on the way: handed over again while it is alive",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "}, {"wait 2", "", "command "}}},
    {"a session that breaks: handed over again, not asked for",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "}, {"down", "", ""},
            {"up", "", "command "}}},
    {"the broker dies before the commit: the command never was",
        {{"up", "", ""}, {"take", "", ""}, {"crash", "", ""}, {"follow", "error:not-found. ", ""}}},
    {"the broker dies after the commit: it goes on",
        {{"take", "", ""}, {"commit", "accepted ", ""}, {"crash", "", ""}, {"follow", "accepted ", ""},
            {"up", "sent ", "command "}, {"report executed", "executed. ", ""}, {"crash", "", ""},
            {"follow", "executed. ", ""}}},
    {"the broker dies after sent: never expired by the broker any more",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "}, {"crash", "", ""},
            {"wait 61", "", ""}, {"follow", "sent ", ""}, {"up", "", "ask "}, {"report executed", "executed. ", ""}}},
    {"one command is listed by following it, and room for more does not make a list of all out of that",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "}, {"list-one", "sent ", ""},
            {"credit", "", ""}, {"report executed", "executed. executed. ", ""}}},
    {"the same order twice is one",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "}, {"again", "sent ", ""},
            {"report executed", "executed. executed. ", ""}, {"again", "executed. ", ""}}},
    {"the same id with other content is refused, also when the first has long ended",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "},
            {"take 50", "rejected:replay. ", ""}}},
    {"a report that the station did not sign is not believed",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "}, {"report executed forged", "", ""},
            {"report received", "received ", ""}}},
    {"unknown: it is listed and followed, counts for nothing, and memory holds it only while its station is asked",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "}, {"count 1 1", "", ""},
            {"down", "", ""}, {"wait 61", "", ""}, {"wait 30", "unknown:no-answer. ", ""}, {"count 0 0", "", ""},
            {"list open", "unknown:no-answer end. ", ""}, {"list", "unknown:no-answer end. ", ""}, {"crash", "", ""},
            {"up", "", "ask "}, {"count 0 1", "", ""}, {"wait 31", "", ""}, {"count 0 0", "", ""},
            {"again", "unknown:no-answer. ", ""}}},
    {"unknown: what the station reports in the same session settles it too",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "}, {"wait 61", "", "ask "},
            {"wait 30", "unknown:no-answer. ", ""}, {"count 0 0", "", ""}, {"report executed", "", "ask "},
            {"report executed", "", ""}, {"count 0 0", "", ""}, {"follow", "executed. ", ""}, {"crash", "", ""},
            {"up", "", ""}, {"list open", "end. ", ""}, {"list", "executed end. ", ""}}},
    {"refused: range; it leaves an entry, and the same id is that refusal for good",
        {{"take 140", "", ""}, {"commit", "rejected:range. ", ""}, {"count 0 0", "", ""},
            {"follow", "rejected:range. ", ""}, {"crash", "", ""}, {"list", "rejected:range end. ", ""},
            {"again", "rejected:range. ", ""}, {"take 40", "rejected:replay. ", ""},
            {"follow", "rejected:range. ", ""}}},
    {"refused, and the broker dies before the commit: nothing was said",
        {{"take 140", "", ""}, {"crash", "", ""}, {"follow", "error:not-found. ", ""}}},
    {"refused: a stranger's key leaves nothing",
        {{"take 40 60 " POINT " stranger", "rejected:authority. ", ""}, {"follow", "error:not-found. ", ""}}},
    {"refused: not a point",
        {{"take 40 60 chongqing/cai/gate-2/opening", "", ""}, {"commit", "rejected:unknown-point. ", ""},
            {"follow", "rejected:unknown-point. ", ""}}},
    {"refused: not one of this province",
        {{"take 40 60 anhui/x/gate-1/opening", "", ""}, {"commit", "rejected:unsupported. ", ""}}},
    {"refused: may not command there",
        {{"take 40 60 chongqing/other/gate-1/opening", "", ""}, {"commit", "rejected:authority. ", ""},
            {"follow", "rejected:authority. ", ""}}},
    {"refused: too far ahead", {{"take 40 900", "", ""}, {"commit", "rejected:deadline. ", ""}}},
    {"stop: passes whatever the point is, also one that this broker does not know; unknown verbs do not",
        {{"up", "", ""}, {"take 0 60 " STATION "/gate-9/x stop", "", ""}, {"commit", "accepted sent ", "command "},
            {"report executed", "executed. ", ""}}},
    {"stop: late is late", {{"take 0 900 " POINT " stop", "", ""}, {"commit", "rejected:deadline. ", ""}}},
    {"try and select pass",
        {{"up", "", ""}, {"take 40 60 " POINT " try", "", ""}, {"commit", "accepted sent ", "command "},
            {"report executed", "executed. ", ""}, {"id c2", "", ""}, {"take 40 60 " POINT " select", "", ""},
            {"commit", "accepted sent ", "command "}}},
    {"try: out of range is found here", {{"take 140 60 " POINT " try", "", ""}, {"commit", "rejected:range. ", ""}}},
    {"approval: by a second person, handed over with it, once",
        {{"up", "", ""}, {"take 40 60 " GUARDED, "", ""}, {"commit", "accepted approval ", ""},
            {"show c1", "verbatim approval. ", ""}, {"decide approve duty", "error:approval. ", ""},
            {"decide approve stranger", "error:approval. ", ""},
            {"decide approve second forged", "error:signature. ", ""}, {"decide approve second", "approval ", ""},
            {"commit", "sent sent ", "command+approval "}, {"decide approve second", "sent ", ""},
            {"decide approve duty", "error:busy. ", ""}, {"report executed", "executed. executed. executed. ", ""},
            {"decide approve duty", "error:too-late. ", ""}, {"show c1", "verbatim executed. ", ""}}},
    {"approval: a stop and a dry run need none",
        {{"up", "", ""}, {"take 0 60 " GUARDED " stop", "", ""}, {"commit", "accepted sent ", "command "},
            {"id c2", "", ""}, {"take 40 60 " GUARDED " try", "", ""}, {"commit", "accepted sent ", "command "}}},
    {"approval: nobody gives it, also not after a crash: expired",
        {{"up", "", ""}, {"take 40 60 " GUARDED, "", ""}, {"commit", "accepted approval ", ""}, {"crash", "", ""},
            {"up", "", ""}, {"follow", "approval ", ""}, {"wait 61", "expired:approval. ", ""}}},
    {"approval: given while the station is away, it goes along later, also after a crash",
        {{"take 40 60 " GUARDED, "", ""}, {"commit", "accepted approval ", ""},
            {"decide approve second", "approval ", ""}, {"commit", "accepted accepted ", ""}, {"crash", "", ""},
            {"up", "", "command+approval "}}},
    {"approval: the broker dies before it is durable: it was never given",
        {{"up", "", ""}, {"take 40 60 " GUARDED, "", ""}, {"commit", "accepted approval ", ""},
            {"decide approve second", "approval ", ""}, {"crash", "", ""}, {"up", "", ""},
            {"follow", "approval ", ""}}},
    {"superseded: the newer takes the place of one that waits here, for the same point only",
        {{"take", "", ""}, {"commit", "accepted ", ""}, {"id c2", "", ""}, {"take 50 60 " GUARDED, "", ""},
            {"commit", "accepted approval ", ""}, {"id c3", "", ""}, {"take 60", "", ""},
            {"commit", "accepted superseded:superseded. ", ""}, {"count 2 2", "", ""},
            {"follow c1", "superseded:superseded. ", ""}, {"up", "sent ", "command "}, {"id c4", "", ""},
            {"take 70", "", ""}, {"commit", "accepted sent ", "command "}, {"follow c3", "sent ", ""}}},
    {"superseded: what is not approved takes no place; the approved one does",
        {{"take 40 60 " GUARDED, "", ""}, {"commit", "accepted approval ", ""}, {"id c2", "", ""},
            {"take 50 60 " GUARDED, "", ""}, {"commit", "accepted approval ", ""},
            {"decide approve second", "approval ", ""}, {"commit", "accepted accepted superseded:superseded. ", ""},
            {"count 1 1", "", ""}}},
    {"superseded: a stop takes the place of all that wait",
        {{"take 40 60 " GUARDED, "", ""}, {"commit", "accepted approval ", ""}, {"id c2", "", ""},
            {"take 50 60 " GUARDED, "", ""}, {"commit", "accepted approval ", ""}, {"id c3", "", ""},
            {"take 0 60 " GUARDED " stop", "", ""},
            {"commit", "accepted superseded:superseded. superseded:superseded. ", ""}, {"crash", "", ""},
            {"count 1 1", "", ""}}},
    {"sent before a stop, and lost: it is not sent again, where it would come behind the stop, but asked for",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "}, {"down", "", ""},
            {"id c2", "", ""}, {"take 0 60 " POINT " stop", "", ""}, {"commit", "accepted ", ""},
            {"up", "sent ", "ask command "}, {"report executed", "executed. ", ""}, {"wait 6", "", "ask "},
            {"crash", "", ""}, {"id c1", "", ""}, {"follow", "sent ", ""}, {"up", "", "ask "}}},
    {"sent before a stop that is still under way: over a start of the broker too",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "}, {"down", "", ""},
            {"id c2", "", ""}, {"take 0 60 " POINT " stop", "", ""}, {"commit", "accepted ", ""}, {"crash", "", ""},
            {"up", "", "ask command "}, {"id c1", "", ""}, {"never", "", ""},
            {"follow", "superseded:superseded. ", ""}}},
    {"sent before another set, and lost: asked for, and never again behind it, not after a start when that has ended",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "}, {"down", "", ""},
            {"id c2", "", ""}, {"take 50", "", ""}, {"commit", "accepted ", ""}, {"up", "sent ", "ask command "},
            {"report executed", "executed. ", ""}, {"wait 6", "", "ask "}, {"crash", "", ""}, {"up", "", "ask "},
            {"wait 6", "", "ask "}, {"id c1", "", ""}, {"never", "", ""}, {"follow", "superseded:superseded. ", ""},
            {"wait 6", "", ""}}},
    {"sent before another set, in the same session: what was dropped there is not sent again either",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "}, {"id c2", "", ""},
            {"take 50", "", ""}, {"commit", "accepted sent ", "command "}, {"report executed", "executed. ", ""},
            {"wait 2", "", ""}, {"wait 4", "", "ask "}, {"id c1", "", ""}, {"never", "superseded:superseded. ", ""}}},
    {"sent before another set, and received: its reports are followed as ever",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "}, {"show c1", "verbatim sent. ", ""},
            {"report received", "received ", ""}, {"id c2", "", ""}, {"take 50", "", ""},
            {"commit", "accepted sent ", "command "}, {"report executed", "executed. ", ""}, {"wait 10", "", ""},
            {"crash", "", ""}, {"up", "", "ask "}}},
    {"sent before another set that waits for a person, or for another point: sent again as ever",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "}, {"id c2", "", ""},
            {"take 50 60 " GUARDED, "", ""}, {"commit", "accepted approval ", ""}, {"id c3", "", ""},
            {"take 50 60 " POINT " try", "", ""}, {"commit", "accepted sent ", "command "},
            {"report executed", "executed. ", ""}, {"wait 2", "", "command "}, {"crash", "", ""},
            {"up", "", "command "}}},
    {"sent before another set, and the clock was set back meanwhile: what was given later is later",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "}, {"down", "", ""},
            {"wait -30", "", ""}, {"id c2", "", ""}, {"take 50", "", ""}, {"commit", "accepted ", ""},
            {"up", "sent ", "ask command "}, {"crash", "", ""}, {"up", "", "command ask "}}},
    {"cancelled while it is here",
        {{"take", "", ""}, {"commit", "accepted ", ""}, {"decide cancel stranger", "error:authority. ", ""},
            {"decide cancel second", "accepted ", ""}, {"commit", "cancelled:cancelled. cancelled:cancelled. ", ""},
            {"decide cancel duty", "error:too-late. ", ""}, {"up", "", ""}}},
    {"cancelled after sent: the station decides, and is told until it has heard",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "},
            {"report received", "received ", ""}, {"decide cancel", "received ", ""}, {"commit", "", "decision "},
            {"down", "", ""}, {"crash", "", ""}, {"up", "", "decision ask "}, {"follow", "received ", ""},
            {"report cancelled", "cancelled. ", ""}, {"down", "", ""}, {"up", "", ""}, {"count 0 0", "", ""}}},
    {"cancelled after sent, but the device was told: too late, and the command goes on",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "}, {"decide cancel", "sent ", ""},
            {"commit", "", "decision "}, {"report dispatched", "dispatched error:too-late. dispatched ", ""},
            {"wait 6", "", ""}, {"decide cancel", "error:too-late. ", ""}, {"report executed", "executed. ", ""}}},
    {"cancelled after sent, and the copy was lost: not sent again but asked for",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "}, {"decide cancel", "sent ", ""},
            {"commit", "", "decision "}, {"wait 6", "", "decision ask "},
            {"never", "expired:not-received. expired:not-received. ", ""}, {"count 0 0", "", ""}}},
    {"a stop that was signed to lie in wait, and one that was not",
        {{"up", "", ""}, {"take 0 51 " POINT " stop old", "", ""}, {"commit", "rejected:deadline. ", ""},
            {"id c2", "", ""}, {"take 0 50 " POINT " stop old", "", ""}, {"commit", "accepted sent ", "command "}}},
    {"resolve: what is unknown, by a person who looked; the station is told until it has heard",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "},
            {"decide moved", "error:busy. ", ""}, {"down", "", ""}, {"wait 61", "", ""},
            {"wait 30", "unknown:no-answer. ", ""}, {"decide cancel", "error:too-late. ", ""},
            {"decide moved stranger", "error:authority. ", ""}, {"decide moved", "", ""},
            {"commit", "executed:resolved. ", ""}, {"list", "executed:resolved end. ", ""}, {"crash", "", ""},
            {"follow", "executed:resolved. ", ""}, {"up", "", "decision "}, {"report executed", "", ""},
            {"count 0 0", "", ""}, {"decide not-moved", "error:too-late. ", ""},
            {"list", "executed:resolved end. ", ""}}},
    {"resolve: the station knows better, which is told, and what was resolved stays",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "}, {"down", "", ""},
            {"wait 61", "", ""}, {"wait 30", "unknown:no-answer. ", ""}, {"crash", "", ""},
            {"decide not-moved", "", ""}, {"commit", "failed:resolved. ", ""}, {"up", "", "decision "},
            {"report unknown", "", ""}, {"count 0 1", "", ""}, {"report executed", "", "!contradiction "},
            {"count 0 0", "", ""}, {"follow", "failed:resolved. ", ""}, {"up", "", ""}}},
    {"resolve: the station has another word for that nothing was done, which contradicts nobody",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "}, {"down", "", ""},
            {"wait 61", "", ""}, {"wait 30", "unknown:no-answer. ", ""}, {"decide not-moved", "", ""},
            {"commit", "failed:resolved. ", ""}, {"up", "", "decision "}, {"report expired", "", ""},
            {"count 0 0", "", ""}, {"follow", "failed:resolved. ", ""}}},
    {"resolve: the station was away until the deadline of the person's word, who says it once more",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "}, {"down", "", ""},
            {"wait 61", "", ""}, {"wait 30", "unknown:no-answer. ", ""}, {"decide moved", "", ""},
            {"commit", "executed:resolved. ", ""}, {"wait 61", "", ""}, {"up", "", ""}, {"decide moved second", "", ""},
            {"commit", "executed:resolved. ", "decision "}, {"report executed", "", ""}, {"count 0 0", "", ""}}},
    {"resolve: what the station has not confirmed is corrected by a word that was signed later, in either direction",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "}, {"down", "", ""},
            {"wait 61", "", ""}, {"wait 30", "unknown:no-answer. ", ""}, {"decide moved", "", ""},
            {"commit", "executed:resolved. ", ""}, {"wait 1", "", ""},
            {"decide not-moved stranger", "error:authority. ", ""},
            {"decide not-moved early", "error:superseded. ", ""}, {"decide not-moved second", "", ""},
            {"commit", "failed:resolved. ", ""},
            {"says resolved as not moved by second: seen; before: resolved as moved by duty: seen", "", ""},
            {"crash", "", ""}, {"wait 1", "", ""}, {"decide not-moved early", "error:superseded. ", ""},
            {"decide moved", "", ""}, {"commit", "executed:resolved. ", ""},
            {"says resolved as moved by duty: seen; before: resolved as not moved by second: seen; before: resolved as "
             "moved by duty: seen",
                "", ""},
            {"up", "", "decision "}, {"report executed resolved", "", ""}, {"count 0 0", "", ""}, {"wait 1", "", ""},
            {"decide not-moved", "error:too-late. ", ""}, {"why confirmed that: it is final", "", ""},
            {"follow", "executed:resolved. ", ""},
            {"decisions resolve --moved resolve --not-moved resolve --moved", "", ""}}},
    {"resolve: the station took the first word before the second came to it, and that one is final",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "}, {"down", "", ""},
            {"wait 61", "", ""}, {"wait 30", "unknown:no-answer. ", ""}, {"decide moved", "", ""},
            {"commit", "executed:resolved. ", ""}, {"wait 1", "", ""}, {"decide not-moved second", "", ""},
            {"commit", "failed:resolved. ", ""}, {"up", "", "decision "},
            {"report executed resolved", "", "!contradiction "}, {"count 0 0", "", ""},
            {"follow", "executed:resolved. ", ""}, {"crash", "", ""}, {"follow", "executed:resolved. ", ""},
            {"wait 1", "", ""}, {"decide not-moved", "error:too-late. ", ""}}},
    {"resolve: the station knew it by itself, and no further word is taken",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "}, {"down", "", ""},
            {"wait 61", "", ""}, {"wait 30", "unknown:no-answer. ", ""}, {"decide not-moved", "", ""},
            {"commit", "failed:resolved. ", ""}, {"up", "", "decision "}, {"report executed", "", "!contradiction "},
            {"wait 1", "", ""}, {"decide moved", "error:too-late. ", ""}, {"why its station says otherwise", "", ""}}},
    {"resolve: by one whom the station does not obey: it is told ever more rarely, and another's word takes its place",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "}, {"down", "", ""},
            {"wait 61", "", ""}, {"wait 30", "unknown:no-answer. ", ""}, {"up", "", "ask "}, {"decide moved", "", ""},
            {"commit", "executed:resolved. ", "decision "}, {"report unknown", "", ""}, {"wait 6", "", "decision "},
            {"wait 6", "", ""}, {"wait 5", "", "decision "}, {"wait 18", "", ""}, {"wait 3", "", "decision "},
            {"decide moved second", "", ""}, {"commit", "executed:resolved. ", "decision "},
            {"report executed", "", ""}, {"count 0 0", "", ""}}},
    {"the gateway was replaced: what the old one had is unknown at once, whatever the new one says of it",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "},
            {"report dispatched", "dispatched ", ""}, {"down", "", ""}, {"up", "", "ask "},
            {"epochs new", "unknown:no-answer. ", "!gateway-replaced "},
            {"why the station's gateway was replaced", "", ""}, {"count 0 0", "", ""},
            {"report rejected anew", "", "ask "}, {"report rejected anew", "", ""}, {"never restored", "", ""},
            {"follow", "unknown:no-answer. ", ""}, {"decide moved", "", ""},
            {"commit", "executed:resolved. ", "decision "}, {"never restored", "", ""}, {"count 0 0", "", ""},
            {"follow", "executed:resolved. ", ""}}},
    {"the gateway was replaced: it refuses what it cannot know before its past is told",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "}, {"down", "", ""},
            {"up", "", "command "}, {"report rejected anew replay", "", ""}, {"follow", "sent ", ""},
            {"epochs new", "unknown:no-answer. unknown:no-answer. ", "!gateway-replaced "}}},
    {"the gateway was replaced: what was handed over to the new one goes on, and so does all after a short cut",
        {{"up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "}, {"epochs new", "", ""},
            {"report rejected anew", "rejected. ", ""}, {"id c2", "", ""}, {"take", "", ""},
            {"commit", "accepted sent ", "command "}, {"down", "", ""}, {"up", "", "command "}, {"epochs", "", ""},
            {"report executed", "executed. ", ""}}},
    {"at the station's door: the first report makes the entry, followed like any other",
        {{"up", "", ""}, {"door", "", ""}, {"report received door", "", ""}, {"follow", "received ", ""},
            {"report dispatched", "dispatched ", ""}, {"show c1", "verbatim dispatched. ", ""}, {"crash", "", ""},
            {"wait 1", "", ""}, {"up", "", "ask "}, {"report executed", "", ""}, {"follow", "executed. ", ""},
            {"count 0 0", "", ""}, {"list", "executed end. ", ""}, {"crash", "", ""}, {"list", "executed end. ", ""}}},
    {"at the station's door: refused there at once",
        {{"up", "", ""}, {"door", "", ""}, {"report rejected door", "", ""}, {"follow", "rejected. ", ""},
            {"count 0 0", "", ""}, {"list", "rejected end. ", ""}}},
    {"at the station's door: silent after it, unknown in the end; late truth",
        {{"up", "", ""}, {"door", "", ""}, {"report received door", "", ""}, {"down", "", ""}, {"wait 61", "", ""},
            {"wait 30", "", ""}, {"follow", "unknown:no-answer. ", ""}, {"up", "", "ask "}, {"report executed", "", ""},
            {"follow", "executed. ", ""}}},
    {"at the station's door: an id that was used before changes nothing",
        {{"take 140", "", ""}, {"commit", "rejected:range. ", ""}, {"up", "", ""}, {"door", "", ""},
            {"report executed door", "", ""}, {"follow", "rejected:range. ", ""}, {"count 0 0", "", ""},
            {"crash", "", ""}, {"count 0 0", "", ""}, {"list", "rejected:range end. ", ""}}},
    {"at the station's door: what it says is signed by nobody, or is not about its own point",
        {{"up", "", ""}, {"door altered", "", ""}, {"report received door", "", ""},
            {"follow", "error:not-found. ", ""}, {"door elsewhere", "", ""}, {"report received door", "", ""},
            {"follow", "error:not-found. ", ""}, {"door stranger", "", ""}, {"report received door", "", ""},
            {"follow", "received ", ""}}},
    {"across: the neighbour is asked, its states are followed",
        {{"peer-up", "", ""}, {"take 40 60 " THEIRS, "", ""}, {"commit", "accepted sent ", "hubei:command "},
            {"state sent", "", ""}, {"wait 2", "", ""}, {"state approval", "approval ", ""},
            {"state received", "received ", ""}, {"decide approve second", "error:busy. ", ""},
            {"state dispatched", "dispatched ", ""}, {"state executed other", "", ""},
            {"state executed", "executed. ", ""}, {"count 0 0", "", ""}, {"follow", "executed. ", ""}}},
    {"across: it is away; then it is asked, and asked again until it answers",
        {{"take 40 60 " THEIRS, "", ""}, {"commit", "accepted ", ""}, {"peer-up", "sent ", "hubei:command "},
            {"wait 2", "", "hubei:command "}, {"peer-down", "", ""}, {"peer-up", "", "hubei:command "}}},
    {"across: it stays away: expired",
        {{"take 40 60 " THEIRS, "", ""}, {"commit", "accepted ", ""}, {"wait 61", "expired:expired. ", ""}}},
    {"across: the link is cut, unknown in the end by the neighbour's own time, and late truth settles it, once",
        {{"peer-up", "", ""}, {"take 40 60 " THEIRS, "", ""}, {"commit", "accepted sent ", "hubei:command "},
            {"state received", "received ", ""}, {"peer-down", "", ""}, {"wait 61", "", ""}, {"wait 30", "", ""},
            {"wait 130", "unknown:no-answer. ", ""}, {"decide moved", "error:authority. ", ""}, {"crash", "", ""},
            {"peer-up", "", "hubei:ask "}, {"state executed", "", ""}, {"follow", "executed. ", ""},
            {"state failed", "", ""}, {"follow", "executed. ", ""}}},
    {"across: what was resolved there is not confirmed yet: another word is taken, asked for after a cut, then "
     "confirmed",
        {{"peer-up", "", ""}, {"take 40 60 " THEIRS, "", ""}, {"commit", "accepted sent ", "hubei:command "},
            {"state unknown", "unknown. ", ""}, {"state executed resolved?", "", "hubei:ask "},
            {"state executed resolved?", "", ""}, {"follow", "executed:resolved. ", ""}, {"wait 1", "", ""},
            {"decide not-moved", "error:authority. ", ""}, {"state failed resolved?", "", ""},
            {"follow", "failed:resolved. ", ""}, {"crash", "", ""}, {"follow", "failed:resolved. ", ""},
            {"wait 90", "", ""}, {"peer-up", "", "hubei:ask "}, {"wait 6", "", ""},
            {"state executed resolved?", "", ""}, {"follow", "executed:resolved. ", ""}, {"count 0 1", "", ""},
            {"state executed resolved", "", ""}, {"count 0 0", "", ""}, {"state failed resolved?", "", ""},
            {"follow", "executed:resolved. ", ""}, {"crash", "", ""}, {"peer-up", "", ""}, {"count 0 0", "", ""}}},
    {"across: never received there",
        {{"peer-up", "", ""}, {"take 40 60 " THEIRS, "", ""}, {"commit", "accepted sent ", "hubei:command "},
            {"peer-down", "", ""}, {"wait 61", "", ""}, {"peer-up", "", "hubei:ask "},
            {"peer-never", "expired:not-received. ", ""}}},
    {"across: never received there, and it was started anew meanwhile",
        {{"peer-up", "", ""}, {"take 40 60 " THEIRS, "", ""}, {"commit", "accepted sent ", "hubei:command "},
            {"peer-down", "", ""}, {"wait 61", "", ""}, {"peer-up restarted", "", "hubei:ask "},
            {"peer-never", "expired:not-received. ", ""}}},
    {"across: its store was put back, and does not know what the former one had: unknown at once",
        {{"peer-up", "", ""}, {"take 40 60 " THEIRS, "", ""}, {"commit", "accepted sent ", "hubei:command "},
            {"state received", "received ", ""}, {"peer-down", "", ""}, {"peer-up restored", "", "hubei:ask "},
            {"peer-never", "unknown:no-answer. ", ""}, {"peer-never", "", ""}, {"count 0 0", "", ""}}},
    {"across: its store was put back, and takes the command anew: how that ends is not how it ended",
        {{"peer-up", "", ""}, {"take 40 60 " THEIRS, "", ""}, {"commit", "accepted sent ", "hubei:command "},
            {"peer-down", "", ""}, {"peer-up restored", "", "hubei:command "}, {"state accepted", "", ""},
            {"state expired", "unknown:no-answer. ", ""}, {"state executed signed", "", "hubei:ask "},
            {"state executed signed", "", ""}, {"follow", "executed. ", ""}}},
    {"across: its store was put back, and what the station has signed is true",
        {{"peer-up", "", ""}, {"take 40 60 " THEIRS, "", ""}, {"commit", "accepted sent ", "hubei:command "},
            {"peer-down", "", ""}, {"peer-up restored", "", "hubei:command "},
            {"state expired signed", "expired. ", ""}}},
    {"across: its store was put back before anything went out: handed over to the new one, whose word counts",
        {{"take 40 60 " THEIRS, "", ""}, {"commit", "accepted ", ""}, {"peer-up restored", "sent ", "hubei:command "},
            {"state rejected", "rejected. ", ""}}},
    {"across: one that does not say what it remembers is waited for a moment, and its never proves nothing",
        {{"take 40 60 " THEIRS, "", ""}, {"commit", "accepted ", ""}, {"peer-up silent", "", ""},
            {"wait 2", "sent ", "hubei:command "}, {"wait 60", "", "hubei:ask "}, {"peer-never", "", ""},
            {"wait 30", "unknown:no-answer. ", ""}}},
    {"across: a cancel goes to the neighbour",
        {{"peer-up", "", ""}, {"take 40 60 " THEIRS, "", ""}, {"commit", "accepted sent ", "hubei:command "},
            {"state approval", "approval ", ""}, {"decide approve second", "error:approval. ", ""},
            {"decide cancel", "approval ", ""}, {"commit", "", "hubei:decision "},
            {"state cancelled", "cancelled. cancelled. ", ""}}},
    {"across: asked of us, within the agreement",
        {{"up", "", ""}, {"peer-up", "", ""}, {"take 40 60 " POINT " foreign asked", "", ""},
            {"commit", "", "command hubei:accepted hubei:sent "}, {"asked-again", "", "hubei:sent "},
            {"report received", "", "hubei:received "}, {"report executed", "", "hubei:executed "},
            {"asked-again", "", "hubei:executed "}, {"word c1", "", "hubei:executed "}, {"follow", "executed. ", ""}}},
    {"across: asked of us, outside the agreement: the value, the person, the point",
        {{"up", "", ""}, {"peer-up", "", ""}, {"take 50 60 " POINT " foreign asked", "", ""},
            {"commit", "", "hubei:rejected:agreement "}, {"asked-again", "", "hubei:rejected:agreement "},
            {"id c2", "", ""}, {"take 40 60 " POINT " asked", "", ""}, {"commit", "", "hubei:rejected:agreement "},
            {"id c3", "", ""}, {"take 40 60 " STATION "/gate-9/opening foreign asked", "", ""},
            {"commit", "", "hubei:rejected:agreement "}, {"id c4", "", ""},
            {"take 40 900 " POINT " foreign asked", "", ""}, {"commit", "", "hubei:rejected:deadline "},
            {"id c5", "", ""}, {"take 40 60 " THEIRS " foreign asked", "", ""}, {"commit", "", ""},
            {"count 0 0", "", ""}}},
    {"across: asked of us, a person of ours approves; a stop needs none",
        {{"up", "", ""}, {"peer-up", "", ""}, {"take 40 60 " GUARDED " foreign asked", "", ""},
            {"commit", "", "hubei:accepted hubei:approval "}, {"decide approve foreign", "error:approval. ", ""},
            {"decide approve second", "approval ", ""}, {"commit", "sent ", "command+approval hubei:sent "},
            {"report executed", "executed. ", "hubei:executed "}, {"id c2", "", ""},
            {"take 0 60 " GUARDED " stop foreign asked", "", ""},
            {"commit", "", "command hubei:accepted hubei:sent "}}},
    {"across: asked of us, and cancelled by who may ask, before it is sent and after",
        {{"peer-up", "", ""}, {"take 40 60 " POINT " foreign asked", "", ""}, {"commit", "", "hubei:accepted "},
            {"decide cancel stranger-asked", "", ""}, {"decide cancel foreign-asked", "", ""},
            {"commit", "", "hubei:cancelled:cancelled "}, {"up", "", ""}, {"id c2", "", ""},
            {"take 40 60 " POINT " foreign asked", "", ""}, {"commit", "", "command hubei:accepted hubei:sent "},
            {"decide cancel foreign-asked", "", ""}, {"commit", "", "decision "},
            {"report dispatched", "", "hubei:dispatched "}, {"decide cancel foreign-asked", "", "hubei:dispatched "},
            {"decide moved foreign-asked", "", ""}}},
    {"across: asked of us while the link was cut: the word about it is had at the next session, late truth too",
        {{"up", "", ""}, {"peer-up", "", ""}, {"take 40 60 " POINT " foreign asked", "", ""},
            {"commit", "", "command hubei:accepted hubei:sent "}, {"down", "", ""}, {"wait 61", "", ""},
            {"wait 30", "", "hubei:unknown:no-answer "}, {"word c1", "", "hubei:unknown:no-answer "}, {"crash", "", ""},
            {"peer-up", "", ""}, {"up", "", "ask "}, {"report executed", "", "hubei:executed "},
            {"word c1", "", "hubei:executed "}}},
    {"across: asked of us, and resolved here: each word is told, and that the station has confirmed it",
        {{"up", "", ""}, {"peer-up", "", ""}, {"take 40 60 " POINT " foreign asked", "", ""},
            {"commit", "", "command hubei:accepted hubei:sent "}, {"down", "", ""}, {"wait 61", "", ""},
            {"wait 30", "", "hubei:unknown:no-answer "}, {"decide moved", "", ""},
            {"commit", "executed:resolved. ", "hubei:executed:resolved? "}, {"wait 1", "", ""},
            {"decide not-moved second", "", ""}, {"commit", "failed:resolved. ", "hubei:failed:resolved? "},
            {"crash", "", ""}, {"peer-up", "", ""}, {"word c1", "", "hubei:failed:resolved? "}, {"up", "", "decision "},
            {"report failed resolved", "", "hubei:failed:resolved "}, {"count 0 0", "", ""},
            {"word c1", "", "hubei:failed:resolved "}}},
    {"across: asked for what never came: committed, then said; a late copy is refused",
        {{"up", "", ""}, {"peer-up", "", ""}, {"word c1", "", ""}, {"commit", "", "hubei:never "},
            {"count 0 0", "", ""}, {"take 40 60 " POINT " foreign asked", "", "hubei:rejected:replay "},
            {"word c1", "", "hubei:never "}, {"crash", "", ""}, {"peer-up", "", ""},
            {"asked-again", "", "hubei:rejected:replay "}}},
    {"across: who asks for ids without end fills no ledger",
        {{"peer-up", "", ""}, {"word-flood 203", "200 ", ""}, {"count 0 0", "", ""}}},
    {"across: an id that is ours is not the neighbour's",
        {{"up", "", ""}, {"peer-up", "", ""}, {"take", "", ""}, {"commit", "accepted sent ", "command "},
            {"asked-again", "", "hubei:rejected:replay "}, {"word c1", "", ""}, {"report executed", "executed. ", ""},
            {"asked-again", "", "hubei:rejected:replay "}, {"word c1", "", "hubei:never "}}},
    {"who gave it may command no more when its station comes: refused, also after a crash, and the station hears of "
     "nothing",
        {{"take", "", ""}, {"commit", "accepted ", ""}, {"change duty", "", ""}, {"up", "rejected:authority. ", ""},
            {"count 0 0", "", ""}, {"down", "", ""}, {"change back", "", ""}, {"id c2", "", ""}, {"take", "", ""},
            {"commit", "accepted ", ""}, {"crash", "", ""}, {"change duty", "", ""}, {"up", "", ""},
            {"follow", "rejected:authority. ", ""}, {"change back", "", ""}, {"wait 2", "", ""}}},
    {"who gave it may command no more when it is approved: refused",
        {{"up", "", ""}, {"take 40 60 " GUARDED, "", ""}, {"commit", "accepted approval ", ""}, {"change duty", "", ""},
            {"decide approve second", "approval ", ""}, {"commit", "rejected:authority. rejected:authority. ", ""},
            {"count 0 0", "", ""}}},
    {"across: asked of us, and the agreement ended while it waited for its station",
        {{"peer-up", "", ""}, {"take 40 60 " POINT " foreign asked", "", ""}, {"commit", "", "hubei:accepted "},
            {"change hubei", "", ""}, {"up", "", "hubei:rejected:agreement "}, {"count 0 0", "", ""},
            {"word c1", "", "hubei:rejected:agreement "}}},
    {"across: asked of us, and the agreement ended while it waited for a person of ours",
        {{"up", "", ""}, {"peer-up", "", ""}, {"take 40 60 " GUARDED " foreign asked", "", ""},
            {"commit", "", "hubei:accepted hubei:approval "}, {"change hubei", "", ""},
            {"decide approve second", "approval ", ""}, {"commit", "rejected:agreement. ", "hubei:rejected:agreement "},
            {"count 0 0", "", ""}}},
    {"a flood of refusals: the ledger takes so many, and then one now and then",
        {{"flood 203", "3 ", ""}, {"count 0 0", "", ""}, {"wait 10", "", ""}, {"flood 205", "7 ", ""}}},
};

/* ---- I7: the chain holds, and what the ledger has passed through is in the log ---- */

struct audit_seen {
  struct store_audit at;
  struct buffer states; /* " id/state " */
  size_t contradictions;
  bool good;
};

static bool see_audit(void *ctx, struct bytes key, struct bytes value) {
  struct audit_seen *seen = ctx;
  struct store_audit row;
  struct bytes bytes;
  struct audit_entry entry;
  uint8_t link[CHAIN_HASH];
  assert_true(store_audit_row(key, value, &row, &bytes));
  chain_next(seen->at.link, row.number, bytes, link);
  assert_int_equal(row.number, seen->at.number + 1);
  assert_memory_equal(link, row.link, CHAIN_HASH);
  seen->at = row;
  assert_int_equal(audit_read(&entry, bytes), 0);
  seen->contradictions += entry.kind == AUDIT_CONTRADICTION && entry.state == STATE_EXECUTED && entry.proof.len > 0;
  if (entry.kind == AUDIT_COMMAND)
    buffer_printf(&seen->states, " " BYTES_FMT "/%s ", BYTES_ARG(entry.id), state_name(entry.state));
  return true;
}

static bool see_ledger(void *ctx, struct bytes key, struct bytes value) {
  struct audit_seen *seen = ctx;
  struct ledger_entry entry;
  char text[256];
  if (key.data[0] == '+' || ledger_read(&entry, value)) return true; /* a copy; or what a story wrote there itself */
  for (int state = STATE_NONE + 1; state < STATE_STATES; state++) {
    snprintf(text, sizeof text, " " BYTES_FMT "/%s ", BYTES_ARG(entry.id), state_name((enum state)state));
    if (!entry.times[state] || strstr(buffer_text(&seen->states), text)) continue;
    print_error("in the ledger, and not in the audit log:%s\n", text);
    seen->good = false;
  }
  return true;
}

static bool audit_is_whole(void) {
  struct audit_seen seen = {.good = true};
  buffer_printf(&seen.states, " ");
  assert_int_equal(store_scan(scene.store, STORE_AUDIT, see_audit, &seen), 0);
  assert_int_equal(store_scan(scene.store, STORE_COMMANDS, see_ledger, &seen), 0);
  buffer_deinit(&seen.states);
  if (seen.contradictions != scene.contradictions)
    print_error("%zu contradictions are in the audit log\n", seen.contradictions);
  return seen.good && seen.contradictions == scene.contradictions;
}

static bool tell_story(const struct story *story) {
  bool good = true;
  begin_scene();
  for (const struct line *line = story->lines; line->happens; line++) {
    buffer_clear(&scene.said);
    buffer_clear(&scene.sent);
    act(line->happens);
    if (strcmp(buffer_text(&scene.said), line->said) == 0 && strcmp(buffer_text(&scene.sent), line->sent) == 0)
      continue;
    print_error("%s\n  at \"%s\": said \"%s\" and not \"%s\", sent \"%s\" and not \"%s\"\n", story->name, line->happens,
        buffer_text(&scene.said), line->said, buffer_text(&scene.sent), line->sent);
    good = false;
    break;
  }
  if (!audit_is_whole()) {
    print_error("%s\n", story->name);
    good = false;
  }
  end_scene();
  return good;
}

static void test_stories(void **state) {
  (void)state;
  int failed = 0;
  for (size_t i = 0; i < sizeof stories / sizeof stories[0]; i++)
    if (!tell_story(&stories[i])) failed++;
  assert_int_equal(failed, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_stories)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
