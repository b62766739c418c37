/* riverbus audit show [options] | verify [--store PATH] [FILE...] [--key KEY]... */
#include "broker/operator/auditor.h"
#include "broker/operator/logbook.h"
#include "broker/operator/verb.h"
#include "common/base/mem.h"
#include "common/store/store.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- show ---- */

struct showing {
  const struct call *call;
  struct view *view;
  size_t count;
  int64_t since, until;
  const char *id;          /* NULL: any */
  struct logbook *logbook; /* --orders: one row an order; NULL: one an entry */
};
/* An order is issued before its first entry is written, by a clock that may be so far ahead. */
#define AHEAD_US (10 * SECOND_US)

static void add_row(struct showing *showing, const json_t *row) {
  const char *state = view_text(row, "state"), *code = view_text(row, "code"), *verb = view_text(row, "verb");
  char shown[96];
  snprintf(shown, sizeof shown, "%s%s%s", state, *state && *code ? ": " : "", code);
  const char *cells[] = {view_text(row, "number"), view_time(row, "time"), *verb ? verb : view_text(row, "kind"),
      view_text(row, "id"), view_text(row, "address"), view_text(row, "value"), view_text(row, "before"),
      view_text(row, "actual"), shown, view_text(row, "by"), view_text(row, "approved_by"), view_text(row, "basis"),
      view_text(row, "message")};
  view_add(showing->view, cells, 8, view_state_colour(state));
}

static void show_row(struct showing *showing, const json_t *row) {
  showing->count++;
  if (showing->logbook)
    logbook_take(showing->logbook, row);
  else if (showing->call->json)
    view_print_json(row);
  else
    add_row(showing, row);
}

static void take(void *ctx, const json_t *reply) {
  const json_t *rows = json_object_get(reply, "audit");
  for (size_t i = 0; i < json_array_size(rows); i++) show_row(ctx, json_array_get(rows, i));
}

static enum exit_code show_node(struct showing *showing) {
  struct client *client;
  enum exit_code code = client_open(&client, showing->call->config);
  bool links = showing->call->json && !showing->logbook;
  json_t *body = json_pack("{s:s,s:b}", "verb", "audit", "links", (int)links);
  if (showing->since > INT64_MIN) json_object_set_new(body, "since", json_integer(showing->since));
  if (showing->until < INT64_MAX) json_object_set_new(body, "until", json_integer(showing->until));
  if (showing->id) json_object_set_new(body, "id", json_string(showing->id));
  if (code == EXIT_CODE_DONE)
    code = client_ask(client, body, take, showing);
  else
    json_decref(body);
  client_close(client);
  return code;
}

static bool show_stored(void *ctx, const struct store_audit *at, struct bytes bytes) {
  struct showing *showing = ctx;
  struct audit_entry entry;
  struct buffer text = BUFFER_NULL;
  if (!bytes.data || audit_read(&entry, bytes)) {
    complain("damaged", NULL, "entry %llu cannot be read", (unsigned long long)at->number);
    return true;
  }
  if (entry.time < showing->since || entry.time > showing->until) return true;
  if (showing->id && !bytes_equal(entry.id, bytes_text(showing->id))) return true;
  audit_put_json(&text, at->number, &entry, bytes, showing->call->json ? at->link : NULL);
  json_t *row = json_loadb((const char *)text.data, text.len, 0, NULL);
  if (row) show_row(showing, row);
  json_decref(row);
  buffer_deinit(&text);
  return true;
}

static enum exit_code say_store(int outcome, const struct store_problem *problem) {
  complain("store", NULL, "%s", problem->text);
  return outcome == STORE_DAMAGED ? EXIT_CODE_WANTING : EXIT_CODE_ERROR;
}

static enum exit_code show_store(struct showing *showing, const char *path) {
  struct store_audit head;
  struct store_problem problem;
  int outcome = store_audit_scan(path, show_stored, showing, &head, &problem);
  return outcome ? say_store(outcome, &problem) : EXIT_CODE_DONE;
}

static void add_order(const struct showing *showing, const json_t *row) {
  struct buffer before = BUFFER_NULL, after = BUFFER_NULL, shown = BUFFER_NULL;
  const char *state = view_text(row, "state"), *code = view_text(row, "code");
  logbook_put_observed(&before, json_object_get(row, "observed_before"));
  logbook_put_observed(&after, json_object_get(row, "observed_after"));
  buffer_printf(&shown, "%s%s%s", json_string_value(json_object_get(row, "state")), *code ? ": " : "", code);
  const char *cells[] = {view_text(row, "id"), view_time(row, "issued"), view_text(row, "by"), view_text(row, "basis"),
      view_text(row, "approved_by"), view_text(row, "verb"), view_text(row, "address"), view_text(row, "value"),
      view_time(row, "start"), view_time(row, "end"), view_text(row, "before"), view_text(row, "actual"),
      buffer_text(&before), buffer_text(&after), buffer_text(&shown), view_text(row, "message")};
  view_add(showing->view, cells, 14, view_state_colour(state));
  buffer_deinit(&before);
  buffer_deinit(&after);
  buffer_deinit(&shown);
}

static void show_orders(const struct showing *showing, int64_t since, int64_t until) {
  for (size_t i = 0; i < json_array_size(showing->logbook->list); i++) {
    const json_t *row = json_array_get(showing->logbook->list, i);
    if (!logbook_is_within(row, since, until)) continue;
    if (showing->call->json)
      view_print_json(row);
    else
      add_order(showing, row);
  }
}

/* Of an order that was issued in time all entries are wanted, however much later they are. */
static enum exit_code show_by_order(const struct call *call) {
  const struct arguments *a = call->arguments;
  const struct view_column columns[] = {{"order", false}, {view_zone_title("issued"), false}, {"issuer", false},
      {"basis", false}, {"supervisor", false}, {"what", false}, {"gate", false}, {"ordered", true}, {"start", false},
      {"end", false}, {"before", true}, {"after", true}, {"levels and flows before", false},
      {"levels and flows after", false}, {"end state", false}, {"why", false}};
  struct logbook logbook;
  int64_t since = arguments_number(a, "since", INT64_MIN), until = arguments_number(a, "until", INT64_MAX);
  struct showing showing = {.call = call,
      .view = call->json ? NULL : view_new(columns, sizeof columns / sizeof columns[0]),
      .since = since == INT64_MIN ? since : since - AHEAD_US,
      .until = INT64_MAX,
      .id = arguments_text(a, "id"),
      .logbook = &logbook};
  const char *store = arguments_text(a, "store");
  logbook_init(&logbook);
  enum exit_code code = store ? show_store(&showing, store) : show_node(&showing);
  if (code == EXIT_CODE_DONE) show_orders(&showing, since, until);
  view_print(showing.view, SIZE_MAX, code ? NULL : "no order is recorded there in that time");
  logbook_deinit(&logbook);
  return code;
}

static enum exit_code show(const struct call *call) {
  const struct arguments *a = call->arguments;
  if (arguments_has(a, "orders")) return show_by_order(call);
  const struct view_column columns[] = {{"number", true}, {view_zone_title("time"), false}, {"what", false},
      {"order", false}, {"address", false}, {"value", true}, {"before", true}, {"after", true}, {"state", false},
      {"operator", false}, {"supervisor", false}, {"basis", false}, {"why", false}};
  struct showing showing = {.call = call,
      .view = call->json ? NULL : view_new(columns, 13),
      .since = arguments_number(a, "since", INT64_MIN),
      .until = arguments_number(a, "until", INT64_MAX),
      .id = arguments_text(a, "id")};
  const char *store = arguments_text(a, "store");
  enum exit_code code = store ? show_store(&showing, store) : show_node(&showing);
  view_print(showing.view, SIZE_MAX, code ? NULL : "nothing is recorded there in that time");
  return code;
}

/* ---- verify ---- */

enum { SOURCES_MAX = ARGUMENTS_MAX };
struct source {
  const char *name;
  struct auditor auditor;
};
struct verifying {
  const struct call *call;
  struct config_keys keys;
  struct source sources[SOURCES_MAX];
  size_t count;
};

static struct auditor *add_source(struct verifying *verifying, const char *name) {
  struct source *source = &verifying->sources[verifying->count++];
  source->name = name;
  auditor_init(&source->auditor, verifying->keys.count ? &verifying->keys : NULL);
  return &source->auditor;
}

static void verify_line(struct auditor *auditor, unsigned number, const char *line, size_t len) {
  while (len && (line[len - 1] == '\n' || line[len - 1] == '\r')) len--;
  if (!len) return;
  json_t *object = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
  if (json_is_object(object))
    auditor_take_json(auditor, object);
  else
    auditor_fail(auditor, auditor->last + 1, "line %u is no JSON object", number);
  json_decref(object);
}

static enum exit_code verify_file(struct verifying *verifying, const char *path) {
  bool in = strcmp(path, "-") == 0;
  struct auditor *auditor = add_source(verifying, in ? "standard input" : path);
  FILE *file = in ? stdin : fopen(path, "r");
  char *line = NULL;
  size_t room = 0;
  ssize_t len = 0;
  for (unsigned number = 1; file && !auditor->wrong && (len = getline(&line, &room, file)) >= 0; number++)
    verify_line(auditor, number, line, (size_t)len);
  bool good = file && !ferror(file);
  if (!good) complain("file", NULL, "%s cannot be read: %s", path, strerror(errno));
  if (file && !in) fclose(file);
  free(line);
  return good ? EXIT_CODE_DONE : EXIT_CODE_ERROR;
}

static bool verify_stored(void *ctx, const struct store_audit *at, struct bytes entry) {
  struct auditor *auditor = ctx;
  if (entry.data) return auditor_take(auditor, at->number, at->link, entry);
  auditor_fail(auditor, at->number, "its bytes on the disk are damaged");
  return false;
}

/* The store notes the end of its log apart from the rows. */
static void check_head(struct auditor *auditor, const struct store_audit *head) {
  if (head->number > auditor->last)
    auditor_fail(auditor, auditor->last + 1, "it is missing: the store notes that the log goes on to entry %llu",
        (unsigned long long)head->number);
  else if (head->number != auditor->last ||
           (auditor->begun && memcmp(head->link, auditor->links[auditor->last - auditor->first], CHAIN_HASH) != 0))
    auditor_fail(auditor, auditor->last, "the store notes another end of its log");
  if (auditor->first > 1)
    auditor_fail(auditor, 1, "it is missing: the log begins at entry %llu", (unsigned long long)auditor->first);
}

static enum exit_code verify_store(struct verifying *verifying, const char *path) {
  struct auditor *auditor = add_source(verifying, path);
  struct store_audit head;
  struct store_problem problem;
  int outcome = store_audit_scan(path, verify_stored, auditor, &head, &problem);
  if (outcome) return say_store(outcome, &problem);
  check_head(auditor, &head);
  return EXIT_CODE_DONE;
}

static void verify_rows(void *ctx, const json_t *reply) {
  const json_t *rows = json_object_get(reply, "audit");
  for (size_t i = 0; i < json_array_size(rows); i++) auditor_take_json(ctx, json_array_get(rows, i));
}

static enum exit_code verify_node(struct verifying *verifying) {
  struct client *client;
  struct auditor *auditor = add_source(verifying, "the broker");
  enum exit_code code = client_open(&client, verifying->call->config);
  if (code == EXIT_CODE_DONE)
    code = client_ask(client, json_pack("{s:s,s:b}", "verb", "audit", "links", 1), verify_rows, auditor);
  client_close(client);
  return code;
}

/* ---- what was found ---- */

static void print_json(const struct source *source) {
  const struct auditor *a = &source->auditor;
  json_t *row = json_pack("{s:s,s:s?,s:I,s:I,s:I,s:I,s:I,s:b,s:o,s:s?}", "source", source->name, "node", a->node,
      "first", (json_int_t)a->first, "last", (json_int_t)a->last, "signatures", (json_int_t)a->proofs, "refused",
      (json_int_t)a->refused, "newer", (json_int_t)a->newer, "intact", !a->wrong, "broken",
      a->wrong ? json_integer((json_int_t)a->broken) : json_null(), "why", a->wrong ? a->why : NULL);
  view_print_json(row);
  json_decref(row);
}

static void print_intact(const struct source *source) {
  const struct auditor *a = &source->auditor;
  printf("%s: log of %s, entries %llu to %llu: the chain is whole, %llu signatures fit%s\n", source->name,
      a->node ? a->node : "?", (unsigned long long)a->first, (unsigned long long)a->last, (unsigned long long)a->proofs,
      a->keys ? ", all by the keys given" : "");
  if (a->first > 1)
    printf("  entry %llu itself cannot be checked: what comes before it is not here\n", (unsigned long long)a->first);
  if (a->newer)
    printf("  %llu entries are of a later version: they fit the chain, and were not looked into\n",
        (unsigned long long)a->newer);
}

static enum exit_code judge(const struct call *call, struct source *source) {
  struct auditor *auditor = &source->auditor;
  if (!auditor->begun) auditor_fail(auditor, 1, "it is missing: there is no entry");
  if (call->json) print_json(source);
  if (!auditor->wrong && !call->json) print_intact(source);
  if (!auditor->wrong) return EXIT_CODE_DONE;
  complain("broken", "Keep this copy as it is, and compare it with the checkpoints that other nodes hold.",
      "%s: entry %llu is broken: %s", source->name, (unsigned long long)auditor->broken, auditor->why);
  return EXIT_CODE_WANTING;
}

/* What one log holds of another's checkpoints is held against that. */
static void hold_together(struct verifying *verifying) {
  for (size_t i = 0; i < verifying->count; i++)
    for (size_t j = 0; j < verifying->count; j++)
      for (size_t k = 0; k < verifying->sources[j].auditor.other_count; k++)
        auditor_hold(&verifying->sources[i].auditor, &verifying->sources[j].auditor.others[k]);
}

static enum exit_code read_keys(struct verifying *verifying) {
  const struct arguments *a = verifying->call->arguments;
  struct identity_problem problem;
  verifying->keys.items = mem_alloc(ARGUMENTS_MAX * sizeof *verifying->keys.items);
  for (size_t i = 0; i < a->option_count; i++) {
    const char *text = a->options[i].text;
    if (strcmp(a->options[i].spec->name, "key") != 0) continue;
    struct public_key *key = &verifying->keys.items[verifying->keys.count];
    if (public_key_parse(bytes_text(text), key) && public_key_load(text, key, &problem))
      return verb_misused(verifying->call, "--key %s is neither a public key (ed25519:...) nor a file with one", text);
    verifying->keys.count++;
  }
  return EXIT_CODE_DONE;
}

static enum exit_code read_sources(struct verifying *verifying) {
  const struct arguments *a = verifying->call->arguments;
  const char *store = arguments_text(a, "store");
  enum exit_code code = store ? verify_store(verifying, store) : EXIT_CODE_DONE;
  for (size_t i = 1; i < a->operand_count && code == EXIT_CODE_DONE; i++) code = verify_file(verifying, a->operands[i]);
  if (!store && a->operand_count == 1) code = verify_node(verifying);
  return code;
}

static enum exit_code verify(const struct call *call) {
  struct verifying *verifying = mem_alloc(sizeof *verifying);
  verifying->call = call;
  enum exit_code code = read_keys(verifying);
  if (code == EXIT_CODE_DONE) code = read_sources(verifying);
  if (code == EXIT_CODE_DONE) {
    hold_together(verifying);
    for (size_t i = 0; i < verifying->count; i++)
      if (judge(call, &verifying->sources[i])) code = EXIT_CODE_WANTING;
  }
  for (size_t i = 0; i < verifying->count; i++) auditor_deinit(&verifying->sources[i].auditor);
  free(verifying->keys.items);
  free(verifying);
  return code;
}

static enum exit_code run(const struct call *call) {
  const struct arguments *a = call->arguments;
  const char *what = a->operands[0], *id = arguments_text(a, "id");
  if (strcmp(what, "verify") == 0) {
    if (id || arguments_has(a, "since") || arguments_has(a, "until") || arguments_has(a, "orders"))
      return verb_misused(call, "--since, --until, --id and --orders are for show: a part of a chain proves nothing");
    return verb_written(verify(call));
  }
  if (strcmp(what, "show") != 0) return verb_misused(call, "\"%s\" is neither show nor verify", what);
  if (a->operand_count > 1) return verb_misused(call, "\"%s\" is too much", a->operands[1]);
  if (arguments_has(a, "key")) return verb_misused(call, "--key is for verify");
  enum exit_code code = id ? verb_check_id(call, id) : EXIT_CODE_DONE;
  return code == EXIT_CODE_DONE ? verb_written(show(call)) : code;
}

static const struct option_spec options[] = {{"since", OPTION_TIME, "T", "show: entries at or after T"},
    {"until", OPTION_TIME, "T", "show: entries at or before T"},
    {"id", OPTION_TEXT, "ID", "show: entries about that command"},
    {"orders", OPTION_FLAG, NULL, "show: the operating log, one row an order; --since and --until: issued then"},
    {"store", OPTION_TEXT, "PATH", "the log in the store of a node that does not run, offline"},
    {"key", OPTION_TEXT, "KEY", "verify: a public key, or a file with one; then only signatures by such keys count"},
    {0}};
const struct verb verb_audit = {"audit", "show [options] | verify [--store PATH] [FILE...] [--key KEY]...",
    "the log of who did what, and whether it is whole",
    "show asks the broker, or reads a store offline; with --json its output can be kept and verified. verify "
    "recomputes the\n"
    "hash chain and checks every signature, of the broker's log, of a store, or of exports (- is standard input). "
    "Several logs\n"
    "are held against the checkpoints that they hold of each other. Exit codes: 0 whole; 12 broken, and the first "
    "broken\n"
    "entry is named.",
    options, 1, ARGUMENTS_MAX, run};
