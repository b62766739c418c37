/* riverbus tail PATTERN... */
#include "broker/operator/follower.h"
#include "broker/operator/output.h"
#include "broker/operator/verb.h"
#include "common/base/world.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>

enum { WINDOW = 512 * 1024 }; /* of blocks under way: some 40 MB as JSON at their densest */

static volatile sig_atomic_t interrupted;
static void on_interrupt(int signal) {
  (void)signal;
  interrupted = 1;
}

struct tail {
  const struct call *call;
  struct client *client;
  struct follower follower;
  struct output output;
  uint64_t id;
  bool durable;
  bool finished; /* the count is reached */
  bool last;     /* the broker ended the request */
  bool gaps;     /* a break may cost records: neither durable nor asked for from a certain place on */
  enum exit_code code;
  uint64_t owed; /* credit to be given when what it bought is written out */
  bool pulled;   /* there were lines since the last flush */
};

/* ---- what comes ---- */

static void take_start(struct tail *tail, const json_t *start) {
  for (size_t lane = 0; lane < LANES; lane++) {
    tail->follower.skip_position[lane] =
        (uint64_t)json_integer_value(json_array_get(json_object_get(start, "positions"), lane));
    tail->follower.skip_within[lane] =
        (uint64_t)json_integer_value(json_array_get(json_object_get(start, "within"), lane));
  }
}

static void say_lost(const json_t *lost) {
  complain("discarded", "Read more often, or keep more (store: keep, max-size).",
      "the broker no longer has entries %s to %s of the %s log: they were discarded before they were read",
      view_count(lost, "from"), view_count(lost, "to"), view_text(lost, "lane"));
}

static void on_reply(void *ctx, uint64_t id, const json_t *body, struct bytes text, bool last) {
  struct tail *tail = ctx;
  if (id != tail->id) return;
  const json_t *start = json_object_get(body, "start"), *units = json_object_get(body, "units"),
               *lost = json_object_get(body, "lost");
  if (start) take_start(tail, start);
  if (lost) say_lost(lost);
  if (units) {
    unit_names_take(&tail->follower.units, units);
    tail->owed += text.len;
  }
  if (!last) return;
  tail->last = true;
  tail->code = complain_of_reply(body);
}

static void on_records(void *ctx, uint64_t id, enum lane lane, uint64_t position, struct bytes block) {
  struct tail *tail = ctx;
  if (id != tail->id || tail->finished) return;
  if (!follower_take(&tail->follower, lane, position, block, &tail->output.pending)) tail->finished = true;
  tail->owed += block.len;
  tail->pulled = true;
}

/* ---- what goes ---- */

static void acknowledge(struct tail *tail) {
  for (int lane = 0; lane < LANES; lane++) {
    if (!tail->follower.marks[lane].moved) continue;
    tail->follower.marks[lane].moved = false;
    if (tail->durable)
      client_ack(tail->client, tail->id, (enum lane)lane, tail->follower.marks[lane].position,
          tail->follower.marks[lane].within);
  }
}

/* Lines are written out first; only then the window grows and the durable place moves. */
static void write_out(struct tail *tail) {
  if (!output_flush(&tail->output)) return;
  acknowledge(tail);
  if (tail->owed && !tail->finished) client_credit(tail->client, tail->id, tail->owed);
  tail->owed = 0;
}

static bool output_failed(const struct tail *tail) { return tail->output.gone || tail->output.error; }

static bool turn(struct tail *tail, int64_t timeout_us) {
  struct pollfd fd = {.fd = tail->output.fd, .events = tail->output.waits ? POLLOUT : 0};
  bool watched = tail->output.fd != 1; /* a file is never waited for */
  bool there = client_turn(tail->client, &fd, watched ? 1 : 0, timeout_us);
  if (watched && (fd.revents & POLLERR)) tail->output.gone = true; /* the pager was closed */
  write_out(tail);
  return there;
}

/* ---- the beginning ---- */

static json_t *request_of(const struct call *call) {
  const struct arguments *a = call->arguments;
  json_t *body = json_pack("{s:s,s:o}", "verb", "tail", "patterns", verb_patterns(call));
  const char *durable = arguments_text(a, "durable");
  if (durable) json_object_set_new(body, "durable", json_string(durable));
  if (arguments_has(a, "since")) json_object_set_new(body, "since", json_integer(arguments_number(a, "since", 0)));
  if (arguments_has(a, "from-start")) json_object_set_new(body, "from_start", json_true());
  json_t *lanes = json_array();
  for (size_t i = 0; i < a->option_count; i++)
    if (strcmp(a->options[i].spec->name, "lane") == 0) json_array_append_new(lanes, json_string(a->options[i].text));
  if (json_array_size(lanes)) json_object_set(body, "lanes", lanes);
  json_decref(lanes);
  return body;
}

static void prepare(struct tail *tail) {
  const struct arguments *a = tail->call->arguments;
  follower_init(&tail->follower);
  tail->follower.form = arguments_has(a, "quiet") ? FOLLOWER_QUIET : tail->call->json ? FOLLOWER_JSON : FOLLOWER_TABLE;
  tail->follower.all = arguments_has(a, "all");
  tail->follower.most = (uint64_t)arguments_number(a, "count", 0);
  tail->follower.style =
      (struct row_style){.trace = arguments_has(a, "trace"), .colour = output_has_colour(), .zone = view_zone()};
  tail->durable = arguments_has(a, "durable");
  tail->gaps = !tail->durable && !arguments_has(a, "since") && !arguments_has(a, "from-start");
  output_init(&tail->output);
}

/* What was written is acknowledged and that is committed before we end: the next run begins behind it. */
static void finish(struct tail *tail) {
  int64_t until = world_now(&world_system).mono + 5 * SECOND_US;
  if (output_drain(&tail->output)) acknowledge(tail);
  client_cancel(tail->client, tail->id);
  while (!tail->last && world_now(&world_system).mono < until &&
         client_turn(tail->client, NULL, 0, 100 * MILLISECOND_US)) {}
}

/* ---- a break ---- */

/* Nothing is asked for while lines wait: what a stalled reader costs stays bounded however often the connection breaks.
 */
static void wait_for_reader(struct tail *tail) {
  while (!interrupted && !output_failed(tail) && !output_flush(&tail->output) && tail->output.waits) {
    struct pollfd fd = {.fd = tail->output.fd, .events = POLLOUT};
    poll(&fd, 1, 1000);
  }
}

static void begin(struct tail *tail) {
  tail->owed = 0;
  tail->id = client_request(tail->client, request_of(tail->call), WINDOW);
}

static void say_again(const struct tail *tail) {
  const char *endpoint = client_endpoint(tail->client);
  if (tail->gaps)
    notice("connected to %s again; records that came meanwhile may be missing here (--durable NAME misses none)",
        endpoint);
  else
    notice("connected to %s again, going on where it broke", endpoint);
}

/* Tries until there is a session again. False: interrupted, the output failed, or we are refused for good (code). */
static bool reconnect(struct tail *tail) {
  enum client_standing standing = CLIENT_TRIES;
  bool stranger = false;
  notice("%s; trying again until it stands", client_lost(tail->client));
  wait_for_reader(tail);
  client_again(tail->client);
  follower_again(&tail->follower);
  while (standing == CLIENT_TRIES && !interrupted && !output_failed(tail)) {
    standing = client_try(tail->client, NULL, 0, SECOND_US);
    if (standing == CLIENT_TRIES && client_meets_stranger(tail->client) && !stranger) client_complain(tail->client);
    stranger = stranger || client_meets_stranger(tail->client);
  }
  if (standing == CLIENT_REFUSED) tail->code = client_complain(tail->client);
  tail->last = standing == CLIENT_REFUSED;
  if (standing != CLIENT_STANDS) return false;
  say_again(tail);
  begin(tail);
  return true;
}

/* ---- the whole ---- */

/* True: to the end that was asked for, with the session standing. */
static bool follow_on(struct tail *tail) {
  for (;;) {
    bool there = true;
    while (there && !tail->last && !tail->finished && !interrupted && !output_failed(tail))
      there = turn(tail, SECOND_US);
    if (there || tail->last) return !tail->last;
    if (tail->finished || interrupted || output_failed(tail) || !reconnect(tail)) return false;
  }
}

static enum exit_code follow(struct tail *tail) {
  int64_t began = world_now(&world_system).mono;
  client_set_events(tail->client, &(struct client_events){tail, on_reply, on_records});
  begin(tail);
  bool there = follow_on(tail);
  int64_t took = world_now(&world_system).mono - began;
  if (tail->last) return tail->code;
  tail->finished = true;
  if (there)
    finish(tail);
  else
    output_drain(&tail->output);
  if (arguments_has(tail->call->arguments, "quiet"))
    fprintf(stderr, "%llu records in %s\n", (unsigned long long)tail->follower.count, view_us(took));
  if (!tail->output.error) return EXIT_CODE_DONE;
  complain("output", NULL, "standard output cannot be written: %s", strerror(tail->output.error));
  return EXIT_CODE_ERROR;
}

static enum exit_code check(const struct call *call) {
  const struct arguments *a = call->arguments;
  const char *durable = arguments_text(a, "durable");
  enum lane lane;
  if (arguments_has(a, "since") && arguments_has(a, "from-start"))
    return verb_misused(call, "--since and --from-start exclude each other");
  for (size_t i = 0; i < a->option_count; i++)
    if (strcmp(a->options[i].spec->name, "lane") == 0 && lane_parse(bytes_text(a->options[i].text), &lane))
      return verb_misused(call, "--lane %s is none: urgent, live or backfill", a->options[i].text);
  if (durable && !verb_reader_is_good(durable))
    return verb_misused(call, "--durable needs a name of 1 to 128 bytes of UTF-8 without control characters");
  return verb_check_patterns(call);
}

/* The second one ends us at once: the first waits until the reader of our lines (a pager, say) has taken them. */
static void catch_signals(void) {
  struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
}

static enum exit_code run(const struct call *call) {
  struct tail tail = {.call = call};
  enum exit_code code = check(call);
  if (code != EXIT_CODE_DONE) return code;
  prepare(&tail);
  code = client_open(&tail.client, call->config);
  catch_signals(); /* not before: nothing has begun that would have to be ended in order */
  if (code == EXIT_CODE_DONE) code = follow(&tail);
  client_close(tail.client);
  output_deinit(&tail.output);
  follower_deinit(&tail.follower);
  return code;
}

static const struct option_spec options[] = {
    {"lane", OPTION_TEXT, "LANE", "only urgent, live or backfill; may be given more than once"},
    {"since", OPTION_TIME, "T", "begin with stored records whose time is at or after T"},
    {"from-start", OPTION_FLAG, NULL, "begin with the oldest stored record"},
    {"durable", OPTION_TEXT, "NAME",
        "go on where the last run under that name ended; the broker remembers what was written out"},
    {"count", OPTION_COUNT, "N", "end after N records"},
    {"all", OPTION_FLAG, NULL, "also heads, descriptors and reports"},
    {"trace", OPTION_FLAG, NULL, "with the path each record took: the nodes, each with the time when it took it"},
    {"quiet", OPTION_FLAG, NULL, "print no records, only their number and the time they took (on standard error)"},
    {0}};
const struct verb verb_tail = {"tail", "PATTERN... [options]", "follows records: readings and events",
    "Begins now, unless --since, --from-start or --durable say otherwise. With --durable nothing is missed between "
    "runs: a place\n"
    "moves when the lines are written out; a run that is killed may repeat lines, whose numbers tell.\n"
    "Where the connection breaks it goes on by itself as soon as the broker is there again: exactly with --durable,\n"
    "--since and --from-start; else what came meanwhile may be missing, and standard error says so.\n"
    "T is RFC 3339, YYYY-MM-DD[ HH:MM[:SS]] in the local zone, or an age such as 2h.",
    options, 1, 64, run};
