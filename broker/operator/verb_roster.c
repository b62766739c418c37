/* riverbus roster sign FILE.yaml --key KEY [--out FILE] | show [FILE] | push FILE */
#include "broker/operator/encoded.h"
#include "broker/operator/roster_file.h"
#include "broker/operator/verb.h"
#include "common/base/mem.h"
#include "common/base/units.h"
#include "common/base/world.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- showing ---- */

static json_t *patterns_json(const struct patterns *set) {
  json_t *list = json_array();
  for (size_t i = 0; i < set->count; i++) {
    struct bytes text = pattern_text(set->items[i]);
    json_array_append_new(list, json_stringn((const char *)text.data, text.len));
  }
  return list;
}

static json_t *keys_json(const struct roster_operator *o) {
  json_t *list = json_array();
  char text[IDENTITY_KEY_TEXT + 1];
  for (uint32_t i = 0; i < o->key_count; i++) {
    public_key_text(&o->keys[i], text);
    json_array_append_new(list, json_string(text));
  }
  return list;
}

static json_t *time_json(int64_t us) {
  struct buffer text = BUFFER_NULL;
  units_put_rfc3339(&text, us);
  json_t *json = json_string(buffer_text(&text));
  buffer_deinit(&text);
  return json;
}

static json_t *roster_json(const struct roster *roster) {
  char authority[IDENTITY_KEY_TEXT + 1];
  json_t *operators = json_array();
  public_key_text(&roster->authority, authority);
  for (size_t i = 0; i < roster->operator_count; i++) {
    const struct roster_operator *o = &roster->operators[i];
    json_array_append_new(operators,
        json_pack("{s:s,s:o,s:o,s:o,s:o,s:b}", "name", o->name, "key", keys_json(o), "read", patterns_json(&o->read),
            "command", patterns_json(&o->command), "approve", patterns_json(&o->approve), "local", (int)o->local));
  }
  return json_pack("{s:s,s:I,s:s,s:o,s:o,s:o}", "province", roster->province, "version", (json_int_t)roster->version,
      "authority", authority, "issued", time_json(roster->issued), "valid_until", time_json(roster->valid_until),
      "operators", operators);
}

static const char *joined(const json_t *list) {
  static struct buffer texts[8];
  static unsigned at;
  struct buffer *text = &texts[at++ % 8];
  buffer_clear(text);
  for (size_t i = 0; i < json_array_size(list); i++)
    buffer_printf(text, "%s%s", i ? " " : "", json_string_value(json_array_get(list, i)));
  return buffer_text(text);
}

static void print_table(const json_t *roster) {
  static const struct view_column columns[] = {
      {"operator", false}, {"read", false}, {"command", false}, {"approve", false}, {"local", false}, {"key", false}};
  struct view *view = view_new(columns, 6);
  const json_t *operators = json_object_get(roster, "operators");
  for (size_t i = 0; i < json_array_size(operators); i++) {
    const json_t *o = json_array_get(operators, i);
    const char *cells[] = {view_text(o, "name"), joined(json_object_get(o, "read")),
        joined(json_object_get(o, "command")), joined(json_object_get(o, "approve")),
        json_is_true(json_object_get(o, "local")) ? "yes" : "", joined(json_object_get(o, "key"))};
    view_add(view, cells, SIZE_MAX, NULL);
  }
  view_print(view, 0, "it names no operator");
}

static void print_roster(const struct call *call, const struct roster *roster) {
  json_t *json = roster_json(roster);
  if (call->json) {
    view_print_json(json);
  } else {
    printf("roster of %s, version %s, issued %s, valid until %s%s\nsigned by %s\n", view_text(json, "province"),
        view_text(json, "version"), view_time(json, "issued"), view_time(json, "valid_until"),
        roster->valid_until < world_now(&world_system).wall ? ": it has ended" : "", view_text(json, "authority"));
    print_table(json);
  }
  json_decref(json);
}

static enum exit_code open_roster(struct roster **out, struct bytes bytes, const char *from) {
  int outcome = roster_open(out, bytes);
  if (outcome == 0) return EXIT_CODE_DONE;
  complain(outcome == ROSTER_FORGED ? "signature" : "malformed", NULL, "%s is no roster: %s", from,
      outcome == ROSTER_FORGED      ? "its signature does not fit"
      : outcome == ROSTER_VERSION   ? "it is of a version that this program does not know"
      : outcome == ROSTER_TOO_LARGE ? "it is too large"
                                    : "it cannot be read (riverbus roster sign makes one out of a YAML file)");
  return EXIT_CODE_WANTING;
}

/* ---- files ---- */

static enum exit_code file_failed(const char *path, const char *what) {
  complain("file", NULL, "%s cannot be %s: %s", path, what, strerror(errno));
  return EXIT_CODE_ERROR;
}

static enum exit_code read_file(const char *path, struct buffer *bytes) {
  FILE *file = fopen(path, "rb");
  if (!file) return file_failed(path, "read");
  buffer_reserve(bytes, ROSTER_MAX + 1);
  bytes->len = fread(bytes->data, 1, ROSTER_MAX + 1, file);
  bool good = !ferror(file);
  fclose(file);
  return good ? EXIT_CODE_DONE : file_failed(path, "read");
}

/* Whole or not at all: written beside it, then renamed. */
static enum exit_code write_file(const char *path, struct bytes bytes) {
  struct buffer beside = BUFFER_NULL;
  buffer_printf(&beside, "%s.new", path);
  FILE *file = fopen(buffer_text(&beside), "wb");
  bool good =
      file && fwrite(bytes.data, 1, bytes.len, file) == bytes.len && fflush(file) == 0 && fsync(fileno(file)) == 0;
  if (file && fclose(file) != 0) good = false;
  good = good && rename(buffer_text(&beside), path) == 0;
  enum exit_code code = good ? EXIT_CODE_DONE : file_failed(path, "written");
  if (!good) unlink(buffer_text(&beside));
  buffer_deinit(&beside);
  return code;
}

/* orders.yaml gives orders.roster. */
static char *default_out(const char *path) {
  struct buffer out = BUFFER_NULL;
  size_t len = strlen(path);
  if (len > 5 && strcmp(path + len - 5, ".yaml") == 0) len -= 5;
  buffer_printf(&out, "%.*s.roster", (int)len, path);
  buffer_text(&out);
  return (char *)out.data;
}

/* ---- sign ---- */

static enum exit_code sign(const struct call *call, const char *path, struct identity *identity) {
  const char *out = arguments_text(call->arguments, "out"), *why = NULL;
  struct buffer problems = BUFFER_NULL, bytes = BUFFER_NULL;
  struct roster_file *file = NULL;
  struct roster *roster = NULL;
  char *made = out ? NULL : default_out(path);
  enum exit_code code = EXIT_CODE_ERROR;
  if (roster_file_load(&file, path, &problems))
    fputs(buffer_text(&problems), stderr);
  else if (!roster_file_sign(file, world_now(&world_system).wall, identity, &bytes, &why))
    complain("malformed", NULL, "the roster cannot be signed: %s", why);
  else
    code = write_file(out ? out : made, buffer_bytes(&bytes));
  if (code == EXIT_CODE_DONE) code = open_roster(&roster, buffer_bytes(&bytes), out ? out : made);
  if (code == EXIT_CODE_DONE) print_roster(call, roster);
  if (code == EXIT_CODE_DONE && !call->json) printf("written to %s\n", out ? out : made);
  free(made);
  roster_free(roster);
  roster_file_free(file);
  buffer_deinit(&problems);
  buffer_deinit(&bytes);
  return code;
}

static enum exit_code sign_with_key(const struct call *call, const char *path) {
  const char *key = arguments_text(call->arguments, "key");
  struct identity *identity = NULL;
  struct identity_problem problem;
  if (!path || !key) return verb_misused(call, "sign needs FILE.yaml and --key AUTHORITY.key");
  if (identity_load(&identity, key, &problem)) {
    complain("identity", NULL, "%s", problem.text);
    return EXIT_CODE_ERROR;
  }
  enum exit_code code = sign(call, path, identity);
  identity_free(identity);
  return code;
}

/* ---- show, push ---- */

static enum exit_code fetch(const struct call *call, struct buffer *bytes) {
  struct client *client;
  json_t *reply = NULL;
  enum exit_code code = client_open(&client, call->config);
  if (code == EXIT_CODE_DONE) code = client_fetch(client, json_pack("{s:s}", "verb", "roster"), &reply);
  if (code == EXIT_CODE_DONE && !encoded_read(json_object_get(reply, "roster"), bytes)) {
    complain("not-found",
        "Make one with riverbus roster sign, and push it; the broker's authority: names who may sign.",
        "the broker holds no roster");
    code = EXIT_CODE_WANTING;
  }
  json_decref(reply);
  client_close(client);
  return code;
}

static enum exit_code show(const struct call *call, const char *path) {
  struct buffer bytes = BUFFER_NULL;
  struct roster *roster = NULL;
  enum exit_code code = path ? read_file(path, &bytes) : fetch(call, &bytes);
  if (code == EXIT_CODE_DONE) code = open_roster(&roster, buffer_bytes(&bytes), path ? path : "what the broker gives");
  if (code == EXIT_CODE_DONE) print_roster(call, roster);
  roster_free(roster);
  buffer_deinit(&bytes);
  return code;
}

static enum exit_code send_roster(const struct call *call, struct bytes bytes) {
  struct client *client;
  json_t *reply = NULL;
  json_t *body = json_pack("{s:s,s:o}", "verb", "roster", "push", encoded_json(bytes));
  enum exit_code code = client_open(&client, call->config);
  if (code == EXIT_CODE_DONE)
    code = client_fetch(client, body, &reply);
  else
    json_decref(body);
  if (reply && call->json) view_print_json(reply);
  if (reply && !call->json)
    printf("the broker %s holds version %s now, and gives it to its stations\n", client_node(client),
        view_text(reply, "version"));
  json_decref(reply);
  client_close(client);
  return code;
}

static enum exit_code push(const struct call *call, const char *path) {
  enum { PUSH_MAX = REQUEST_JSON_MAX / 4 * 3 - 64 };
  struct buffer bytes = BUFFER_NULL;
  struct roster *roster = NULL;
  if (!path) return verb_misused(call, "push needs a FILE that riverbus roster sign has written");
  enum exit_code code = read_file(path, &bytes);
  if (code == EXIT_CODE_DONE) code = open_roster(&roster, buffer_bytes(&bytes), path);
  if (code == EXIT_CODE_DONE && bytes.len > PUSH_MAX) {
    complain("too-large", "Shorter lists of patterns, or fewer operators.",
        "%s has %zu bytes; at most %d can be pushed", path, bytes.len, PUSH_MAX);
    code = EXIT_CODE_REJECTED;
  }
  if (code == EXIT_CODE_DONE) code = send_roster(call, buffer_bytes(&bytes));
  roster_free(roster);
  buffer_deinit(&bytes);
  return code;
}

static enum exit_code run(const struct call *call) {
  const struct arguments *a = call->arguments;
  const char *what = a->operands[0], *path = a->operand_count > 1 ? a->operands[1] : NULL;
  bool signs = strcmp(what, "sign") == 0;
  if (!signs && (arguments_has(a, "key") || arguments_has(a, "out")))
    return verb_misused(call, "--key and --out are for sign");
  if (signs) return verb_written(sign_with_key(call, path));
  if (strcmp(what, "show") == 0) return verb_written(show(call, path));
  if (strcmp(what, "push") == 0) return verb_written(push(call, path));
  return verb_misused(call, "\"%s\" is none of sign, show, push", what);
}

static const struct option_spec options[] = {
    {"key", OPTION_TEXT, "FILE", "sign: the authority's secret key (riverbus keys new)"},
    {"out", OPTION_TEXT, "FILE", "sign: where the signed roster goes (default: FILE.roster)"}, {0}};
const struct verb verb_roster = {"roster", "sign FILE.yaml --key AUTHORITY.key [--out FILE] | show [FILE] | push FILE",
    "operators of a province, signed by its authority",
    "sign and show FILE work offline. show without FILE asks the broker. push gives a signed roster to the broker, "
    "which\n"
    "gives it to its stations: its version must be higher than the one held. Exit codes: 12 where there is none, or "
    "its\n"
    "signature does not fit; 5 where the broker refuses it.",
    options, 1, 2, run};
