/* riverbus apply FILE */
#include "broker/operator/output.h"
#include "broker/operator/giving.h"
#include "broker/operator/script.h"
#include "common/base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
  PARALLEL_MAX = 60, /* a node answers so many requests of a session at a time, and some of other kinds */
  BATCH_ID_MAX = COMMAND_ID_MAX - 11 /* room for a line's number */
};

enum sent { NOT_SENT, UNDER_WAY, ENDED };
struct sending {
  enum sent sent;
  json_t *last; /* state; NULL: none came */
  uint64_t request;
  struct proof proof;
  enum exit_code code;
};
struct applying {
  const struct call *call;
  struct client *client;
  struct script script;
  struct described *described;
  struct sending *sendings;
  char batch[COMMAND_ID_MAX + 1];
  size_t most, next, under_way, done; /* most: under way at a time */
  bool dry, ends_at_first, stopped;
  enum exit_code worst;
};

/* ---- what comes ---- */

static void end_one(struct applying *applying, struct sending *sending, enum exit_code code) {
  sending->sent = ENDED;
  sending->code = code;
  applying->under_way--;
  applying->done += code == EXIT_CODE_DONE;
  applying->worst = exit_code_worst(applying->worst, code);
  if (code != EXIT_CODE_DONE && applying->ends_at_first) applying->stopped = true;
}

static void take(void *ctx, uint64_t id, const json_t *body, struct bytes text, bool last) {
  struct applying *applying = ctx;
  size_t i = 0;
  (void)text;
  while (i < applying->next && (applying->sendings[i].sent != UNDER_WAY || applying->sendings[i].request != id)) i++;
  if (i == applying->next) return;
  struct sending *sending = &applying->sendings[i];
  bool error = json_object_get(body, "error") != NULL;
  if (!applying->call->json && applying->most > 1) printf("line %u: ", applying->script.lines[i].number);
  bool wrong = false;
  json_t *shown = error ? NULL : state_verify(&sending->proof, body, &wrong);
  if (!error) state_print(applying->call, shown);
  json_decref(sending->last);
  sending->last = shown;
  if (last || error || wrong)
    end_one(applying, sending, error ? complain_about(body, sending->proof.address) : state_exit_of(shown));
}

/* ---- what goes ---- */

static bool send_next(struct applying *applying) {
  size_t i = applying->next;
  struct sending *sending = &applying->sendings[i];
  const struct script_line *line = &applying->script.lines[i];
  char problem[WISH_PROBLEM];
  if (!applying->call->json) printf("line %u: ", line->number);
  sending->proof = (struct proof){.config = client_config(applying->client), .id = line->wish.id};
  if (giving_send(applying->call, applying->client, &line->wish, applying->described[i].type, &sending->proof,
          &sending->request, problem)) {
    if (*problem) complain("malformed", NULL, "line %u cannot be signed: %s", line->number, problem);
    applying->worst = EXIT_CODE_ERROR;
    applying->stopped = true;
    return false;
  }
  if (arguments_text(applying->call->arguments, "id")) sending->proof.has_digest = false; /* as for a named command */
  applying->next++;
  applying->under_way++;
  sending->sent = UNDER_WAY;
  return true;
}

static void fill(struct applying *applying) {
  while (applying->under_way < applying->most && applying->next < applying->script.count && !applying->stopped &&
         send_next(applying)) {}
}

static bool is_over(const struct applying *applying) {
  return applying->under_way == 0 && (applying->stopped || applying->next == applying->script.count);
}

/* ---- the end ---- */

static void say_not_sent(const struct applying *applying) {
  const struct script *script = &applying->script;
  if (applying->next == script->count) return;
  unsigned first = script->lines[applying->next].number, last = script->lines[script->count - 1].number;
  if (first == last)
    notice("line %u of %s was not sent", first, script->name);
  else
    notice("lines %u to %u of %s were not sent", first, last, script->name);
}

/* Interrupted, or the connection broke: what is under way goes on. */
static void say_under_way(struct applying *applying, bool there) {
  if (!there)
    complain("no-answer", "Commands under way go on; nobody is told here what becomes of them.", "%s",
        client_lost(applying->client));
  for (size_t i = 0; i < applying->next; i++) {
    struct sending *sending = &applying->sendings[i];
    if (sending->sent != UNDER_WAY) continue;
    state_say_open(applying->script.lines[i].wish.id, sending->last);
    end_one(applying, sending, there && sending->last ? EXIT_CODE_OPEN : EXIT_CODE_UNKNOWN);
  }
  enum exit_code rest = there ? EXIT_CODE_OPEN : EXIT_CODE_NOT_REACHABLE;
  if (applying->next < applying->script.count) applying->worst = exit_code_worst(applying->worst, rest);
}

static enum exit_code send_all(struct applying *applying) {
  bool there = true;
  state_catch_signals();
  client_set_events(applying->client, &(struct client_events){.ctx = applying, .reply = take});
  fill(applying);
  while (there && !is_over(applying) && !state_interrupted()) {
    there = client_turn(applying->client, NULL, 0, SECOND_US);
    if (there && !state_interrupted()) fill(applying);
  }
  client_set_events(applying->client, &(struct client_events){0});
  if (!is_over(applying)) say_under_way(applying, there);
  if (!applying->call->json)
    printf("batch %s: %zu of %zu %s\n", applying->batch, applying->done, applying->script.count,
        applying->dry ? "would pass" : "executed");
  output_said();
  say_not_sent(applying);
  return applying->worst;
}

/* ---- checking all before the first is sent ---- */

static enum exit_code say_problems(struct script *script, bool points_checked) {
  struct buffer problems = BUFFER_NULL;
  script_put_problems(script, &problems);
  output_said();
  fputs(buffer_text(&problems), stderr);
  notice(points_checked ? "nothing was sent" : "nothing was sent, and the points of the lines were not looked at");
  buffer_deinit(&problems);
  return EXIT_CODE_USAGE;
}

static enum exit_code describe_points(struct applying *applying) {
  char **addresses;
  size_t count = script_addresses(&applying->script, &addresses);
  applying->described = mem_alloc((count + 1) * sizeof *applying->described);
  enum exit_code code = giving_describe(applying->client, (const char *const *)addresses, count, applying->described);
  for (size_t i = 0; i < count; i++) free(addresses[i]);
  free(addresses);
  return code;
}

static enum exit_code check_points(struct applying *applying) {
  struct script_world world = {.now = world_now(&world_system).wall};
  enum exit_code code = describe_points(applying);
  if (code == EXIT_CODE_DONE) code = giving_max_deadline(applying->client, &world.max_deadline_us);
  if (code == EXIT_CODE_DONE) script_check(&applying->script, applying->described, &world);
  return code;
}

/* With a line in the wrong form the others are looked at all the same, so that one report has everything. */
static enum exit_code check(struct applying *applying) {
  struct script *script = &applying->script;
  if (!script->count) return say_problems(script, true);
  enum exit_code code = client_open(&applying->client, applying->call->config);
  if (code == EXIT_CODE_DONE) code = giving_check_clock(applying->client);
  if (code == EXIT_CODE_DONE) code = check_points(applying);
  return script->problem_count ? say_problems(script, code == EXIT_CODE_DONE) : code;
}

/* Lines without an id get the batch's and their number: the same file under the same id is the same commands. */
static void name_batch(struct applying *applying) {
  const char *id = arguments_text(applying->call->arguments, "id");
  if (id)
    snprintf(applying->batch, sizeof applying->batch, "%s", id);
  else
    command_id_new(&world_system, applying->batch);
  for (size_t i = 0; i < applying->script.count; i++) {
    struct script_line *line = &applying->script.lines[i];
    line->wish.batch = applying->batch;
    if (!line->wish.named)
      snprintf(line->wish.id, sizeof line->wish.id, "%.*s-%u", BATCH_ID_MAX, applying->batch, line->number);
  }
}

static enum exit_code apply(struct applying *applying) {
  struct script *script = &applying->script;
  enum exit_code code = check(applying);
  if (code != EXIT_CODE_DONE) return code;
  name_batch(applying);
  applying->sendings = mem_alloc((script->count + 1) * sizeof *applying->sendings);
  if (!applying->call->json)
    printf("batch %s: %zu commands of %s%s\n", applying->batch, script->count, script->name,
        applying->dry ? ", as dry runs" : "");
  return send_all(applying);
}

/* ---- the file ---- */

static bool read_all(int fd, struct buffer *text) {
  ssize_t n = 1;
  while (n > 0 && text->len <= SCRIPT_BYTES_MAX) {
    buffer_reserve(text, 64 * 1024);
    n = read(fd, text->data + text->len, 64 * 1024);
    if (n > 0) text->len += (size_t)n;
    if (n < 0 && errno == EINTR) n = 1;
  }
  return n >= 0;
}

static const char *name_of(const char *path) { return strcmp(path, "-") == 0 ? "standard input" : path; }

static enum exit_code read_file(const char *path, struct buffer *text) {
  bool in = strcmp(path, "-") == 0;
  int fd = in ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
  bool good = fd >= 0 && read_all(fd, text);
  int error = errno;
  if (!in && fd >= 0) close(fd);
  if (!good) complain("file", NULL, "%s cannot be read: %s", name_of(path), strerror(error));
  if (!good) return EXIT_CODE_ERROR;
  if (text->len <= SCRIPT_BYTES_MAX) return EXIT_CODE_DONE;
  complain(
      "too-large", "Apply it in parts.", "%s is larger than %d MiB", name_of(path), SCRIPT_BYTES_MAX / 1024 / 1024);
  return EXIT_CODE_ERROR;
}

/* A file without a command is what is left when the program that should have written it failed: nothing is done, and
 * that must not pass for done. */
static bool holds_any(const struct script *script, size_t bytes) {
  if (script->count || script->problem_count) return true;
  complain("malformed",
      "A command is a line `ADDRESS VALUE [options]`; was the program that should have written the lines cut short?",
      bytes ? "%s holds no command, only blank lines and comments: nothing was sent" : "%s is empty: nothing was sent",
      script->name);
  return false;
}

static enum exit_code run(const struct call *call) {
  const struct arguments *a = call->arguments;
  const char *path = a->operands[0], *id = arguments_text(a, "id");
  int64_t parallel = arguments_number(a, "parallel", 1);
  struct applying applying = {.call = call, .most = (size_t)parallel, .dry = arguments_has(a, "dry-run")};
  struct buffer text = BUFFER_NULL;
  if (arguments_has(a, "in-order") && arguments_has(a, "parallel"))
    return verb_misused(call, "--in-order and --parallel exclude each other");
  if (parallel > PARALLEL_MAX) return verb_misused(call, "--parallel is at most %d", PARALLEL_MAX);
  if (id && (!command_id_is_good(bytes_text(id)) || strlen(id) > BATCH_ID_MAX))
    return verb_misused(call, "\"%s\" is no id of a batch: 1 to %d of A-Z a-z 0-9 . _ -", id, BATCH_ID_MAX);
  applying.ends_at_first = !arguments_has(a, "parallel") && !applying.dry;
  enum exit_code code = read_file(path, &text);
  if (code == EXIT_CODE_DONE)
    script_read(&applying.script, name_of(path), buffer_bytes(&text), applying.dry ? COMMAND_TRY : COMMAND_SET);
  if (code == EXIT_CODE_DONE) code = holds_any(&applying.script, text.len) ? apply(&applying) : EXIT_CODE_USAGE;
  client_close(applying.client);
  script_deinit(&applying.script);
  free(applying.described);
  for (size_t i = 0; i < applying.next; i++) json_decref(applying.sendings[i].last);
  free(applying.sendings);
  buffer_deinit(&text);
  return verb_given(code);
}

static const struct option_spec options[] = {
    {"in-order", OPTION_FLAG, NULL, "the next after `executed`, ending at the first that is not (default)"},
    {"parallel", OPTION_COUNT, "N", "so many under way at a time; all are sent"},
    {"id", OPTION_TEXT, "ID", "the batch's id; the same file under the same id is the same commands, however often"},
    {"dry-run", OPTION_FLAG, NULL, "every check for every line, also the station's, and nothing moves"}, {0}};
const struct verb verb_apply = {"apply", "FILE|- [--in-order|--parallel N] [--id ID] [--dry-run]",
    "several commands, all checked before the first is sent",
    "A line is ADDRESS VALUE [--deadline D] [--basis TEXT] [--if CONDITION]... [--id ID], quoted as for a shell, or\n"
    "a JSON object with address, value, basis, deadline, if, id. # begins a comment. Where any line is wrong all\n"
    "problems are said in the order of the lines, nothing is sent, and the exit code is 2; so where there is no\n"
    "command at all. Else it is the worst of the commands', in the order 8 7 11 5 4 6 10 9 3 0.",
    options, 1, 1, run};
