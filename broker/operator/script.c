#include "broker/operator/script.h"
#include "broker/operator/view.h"
#include "common/base/mem.h"
#include "common/base/table.h"
#include "common/base/units.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { WORDS_MAX = 64 };
static const struct option_spec no_options[] = {{0}};
static const struct option_spec line_options[] = {
    WISH_OPTION_DEADLINE, WISH_OPTION_BASIS, WISH_OPTION_IF, WISH_OPTION_ID, {0}};

struct reading {
  struct script *script;
  unsigned number;
  bool wrong;
};

static void add_problem(struct script *script, unsigned number, const char *text) {
  if (script->problem_count == script->problem_cap) {
    script->problem_cap = script->problem_cap ? 2 * script->problem_cap : 16;
    script->problems = mem_resize(script->problems, script->problem_cap, sizeof *script->problems);
  }
  size_t found = script->problem_count++;
  script->problems[found] = (struct script_problem){number, found, mem_text(text, strlen(text))};
}

__attribute__((format(printf, 2, 3))) static void problem(struct reading *reading, const char *format, ...) {
  char text[WISH_PROBLEM];
  va_list list;
  va_start(list, format);
  vsnprintf(text, sizeof text, format, list);
  va_end(list);
  add_problem(reading->script, reading->number, text);
  reading->wrong = true;
}

static void add_word(struct script_line *line, struct bytes text) {
  line->words = mem_resize(line->words, line->word_count + 1, sizeof *line->words);
  line->words[line->word_count++] = mem_text(text.data, text.len);
}

/* ---- words, as a shell splits them ---- */

static bool is_space(uint8_t c) { return c == ' ' || c == '\t'; }

/* From behind the opening quote to behind the closing one. False: there is none. */
static bool take_quoted(struct bytes text, size_t *at, struct buffer *word) {
  uint8_t quote = text.data[*at - 1];
  for (; *at < text.len; (*at)++) {
    uint8_t c = text.data[*at];
    if (c == quote) {
      (*at)++;
      return true;
    }
    bool escapes =
        quote == '"' && c == '\\' && *at + 1 < text.len && (text.data[*at + 1] == '"' || text.data[*at + 1] == '\\');
    if (escapes) (*at)++;
    buffer_append(word, bytes_of(&text.data[*at], 1));
  }
  return false;
}

static const char *take_word(struct bytes text, size_t *at, struct buffer *word) {
  while (*at < text.len && !is_space(text.data[*at])) {
    uint8_t c = text.data[(*at)++];
    if (c == '\'' || c == '"') {
      if (!take_quoted(text, at, word)) return "a quote is not closed";
      continue;
    }
    if (c == '\\' && *at == text.len) return "nothing follows the \\ at the end";
    if (c == '\\') c = text.data[(*at)++];
    buffer_append(word, bytes_of(&c, 1));
  }
  return NULL;
}

/* A static sentence where the line cannot be split. */
static const char *split(struct script_line *line, struct bytes text) {
  struct buffer word = BUFFER_NULL;
  const char *wrong = NULL;
  size_t at = 0;
  while (!wrong) {
    while (at < text.len && is_space(text.data[at])) at++;
    if (at == text.len || text.data[at] == '#') break;
    buffer_clear(&word);
    wrong = take_word(text, &at, &word);
    if (!wrong && line->word_count == WORDS_MAX) wrong = "it has too many words";
    if (!wrong) add_word(line, buffer_bytes(&word));
  }
  buffer_deinit(&word);
  return wrong;
}

/* ---- a JSON object, as the same words ---- */

static bool is_scalar(const json_t *value) {
  return json_is_string(value) || json_is_number(value) || json_is_boolean(value);
}

static void put_scalar(struct buffer *out, const json_t *value) {
  if (json_is_string(value))
    buffer_append(out, bytes_of(json_string_value(value), json_string_length(value)));
  else
    view_put_json(out, value);
}

static void add_option(struct script_line *line, const char *name, const json_t *value) {
  struct buffer word = BUFFER_NULL;
  buffer_printf(&word, "--%s=", name);
  put_scalar(&word, value);
  add_word(line, buffer_bytes(&word));
  buffer_deinit(&word);
}

static const char *add_member(struct script_line *line, const char *name, const json_t *value) {
  bool list = json_is_array(value) && strcmp(name, "if") == 0;
  bool known = false;
  if (strcmp(name, "address") == 0 || strcmp(name, "value") == 0) return NULL;
  for (const struct option_spec *spec = line_options; spec->name; spec++)
    known = known || strcmp(name, spec->name) == 0;
  if (!known) return "it has a member that is none of address, value, basis, deadline, if, id";
  if (!list && !json_is_string(value)) return "a member is no text";
  if (!list) add_option(line, name, value);
  for (size_t i = 0; list && i < json_array_size(value); i++) {
    if (!json_is_string(json_array_get(value, i))) return "a condition of \"if\" is no text";
    if (line->word_count >= WORDS_MAX) return "it has too many conditions";
    add_option(line, name, json_array_get(value, i));
  }
  return NULL;
}

static const char *read_members(struct script_line *line, json_t *object) {
  const json_t *address = json_object_get(object, "address"), *value = json_object_get(object, "value");
  struct buffer text = BUFFER_NULL;
  const char *name, *wrong = NULL;
  json_t *member;
  json_object_foreach(object, name, member) {
    if (!wrong) wrong = add_member(line, name, member);
  }
  if (wrong) return wrong;
  if (!json_is_string(address) || !is_scalar(value))
    return "it needs \"address\", a text, and \"value\", no list or object";
  add_word(line, bytes_text("--"));
  add_word(line, bytes_text(json_string_value(address)));
  put_scalar(&text, value);
  add_word(line, buffer_bytes(&text));
  buffer_deinit(&text);
  return NULL;
}

static const char *read_json(struct script_line *line, struct bytes text) {
  json_t *object = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
  const char *wrong = json_is_object(object) ? read_members(line, object) : "it is no JSON object";
  json_decref(object);
  return wrong;
}

/* ---- lines ---- */

static bool read_words(struct reading *reading, struct script_line *line, uint8_t verb) {
  static struct arguments arguments;
  char *argv[2 + WORDS_MAX + 8] = {(char *)(uintptr_t) "riverbus", (char *)(uintptr_t) "apply"};
  char text[WISH_PROBLEM];
  arguments = (struct arguments){0};
  for (size_t i = 0; i < line->word_count; i++) argv[2 + i] = line->words[i];
  if (arguments_parse(&arguments, 2 + (int)line->word_count, argv, no_options, line_options))
    problem(reading, "%s", arguments.problem);
  else if (wish_read(&line->wish, verb, &arguments, text))
    problem(reading, "%s", text);
  else
    return true;
  return false;
}

static struct script_line *add_line(struct reading *reading) {
  struct script *script = reading->script;
  if (script->count == script->cap) {
    script->cap = script->cap ? 2 * script->cap : 64;
    script->lines = mem_resize(script->lines, script->cap, sizeof *script->lines);
  }
  struct script_line *line = &script->lines[script->count++];
  memset(line, 0, sizeof *line);
  line->number = reading->number;
  return line;
}

static void drop_line(struct script *script) {
  struct script_line *line = &script->lines[--script->count];
  for (size_t i = 0; i < line->word_count; i++) free(line->words[i]);
  free(line->words);
}

static void read_line(struct reading *reading, struct bytes text, uint8_t verb) {
  struct script_line *line = add_line(reading);
  size_t at = 0;
  while (at < text.len && is_space(text.data[at])) at++;
  bool json = at < text.len && text.data[at] == '{';
  const char *wrong = !bytes_is_utf8(text) || memchr(text.data, 0, text.len) ? "it is no UTF-8 text"
                      : json                                                 ? read_json(line, text)
                                                                             : split(line, text);
  if (wrong) problem(reading, "%s", wrong);
  bool good = !wrong && line->word_count && read_words(reading, line, verb);
  if (!good) drop_line(reading->script);
}

static void check_ids(struct reading *reading) {
  struct table ids = TABLE_NULL;
  for (size_t i = 0; i < reading->script->count; i++) {
    struct script_line *line = &reading->script->lines[i];
    const struct script_line *before = table_put(&ids, bytes_text(line->wish.id), line);
    reading->number = line->number;
    if (before && *line->wish.id)
      problem(reading, "the id %s stands in line %u already", line->wish.id, before->number);
  }
  table_deinit(&ids, NULL);
}

int script_read(struct script *script, const char *name, struct bytes text, uint8_t verb) {
  struct reading reading = {script, 0, false};
  *script = (struct script){.name = name};
  if (text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0) text = bytes_of(text.data + 3, text.len - 3);
  while (text.len && script->count <= SCRIPT_LINES_MAX) {
    const uint8_t *end = memchr(text.data, '\n', text.len);
    size_t len = end ? (size_t)(end - text.data) : text.len, skip = end ? len + 1 : len;
    if (len && text.data[len - 1] == '\r') len--;
    reading.number++;
    if (len) read_line(&reading, bytes_of(text.data, len), verb);
    text = bytes_of(text.data + skip, text.len - skip);
  }
  if (script->count > SCRIPT_LINES_MAX) problem(&reading, "more than %d commands", SCRIPT_LINES_MAX);
  check_ids(&reading);
  return reading.wrong ? SCRIPT_WRONG : 0;
}

void script_deinit(struct script *script) {
  while (script->count) drop_line(script);
  free(script->lines);
  for (size_t i = 0; i < script->problem_count; i++) free(script->problems[i].text);
  free(script->problems);
  *script = (struct script){.name = script->name};
}

/* ---- problems ---- */

/* Of one line in the order in which they were found: those of form come before those of points. */
static int by_line(const void *a, const void *b) {
  const struct script_problem *left = a, *right = b;
  if (left->number != right->number) return left->number < right->number ? -1 : 1;
  return left->found < right->found ? -1 : 1;
}

void script_put_problems(struct script *script, struct buffer *out) {
  if (script->problem_count) qsort(script->problems, script->problem_count, sizeof *script->problems, by_line);
  for (size_t i = 0; i < script->problem_count; i++)
    buffer_printf(out, "%s:%u: %s\n", script->name, script->problems[i].number, script->problems[i].text);
}

/* ---- by what is known of the points ---- */

size_t script_addresses(const struct script *script, char ***addresses) {
  size_t count = script->count, at = script->count;
  for (size_t i = 0; i < script->count; i++) count += script->lines[i].wish.condition_count;
  char **list = mem_alloc((count + 1) * sizeof *list);
  for (size_t i = 0; i < script->count; i++) {
    const struct wish *wish = &script->lines[i].wish;
    list[i] = mem_text(wish->address, strlen(wish->address));
    for (uint32_t k = 0; k < wish->condition_count; k++)
      list[at++] = mem_text((const char *)wish->conditions[k].address.data, wish->conditions[k].address.len);
  }
  *addresses = list;
  return count;
}

/* A point that is not told of here is for the station to judge. */
static void check_condition(
    struct reading *reading, const struct command_condition *condition, const struct described *point) {
  enum value_type type = point->type, limit = condition->value.type;
  bool number = type == VALUE_NUMBER || type == VALUE_INTEGER;
  bool limit_number = limit == VALUE_NUMBER || limit == VALUE_INTEGER;
  bool alike = condition->op == CONDITION_EQUALS || condition->op == CONDITION_NOT_EQUALS;
  if (!point->known || type == VALUE_NONE || (number && limit_number) || (alike && type == limit)) return;
  problem(reading, "precondition: " BYTES_FMT " is a %s, which cannot be compared by %s with the %s given",
      BYTES_ARG(condition->address), value_type_name(type), condition_op_symbol(condition->op), value_type_name(limit));
}

static void check_line(
    struct reading *reading, const struct wish *wish, const struct described *point, const struct script_world *world) {
  struct command command;
  struct refusal refusal;
  struct buffer ahead = BUFFER_NULL;
  char text[WISH_PROBLEM];
  if (wish_command(wish, point->type, world->now, &command, text)) {
    problem(reading, "%s", text);
    return;
  }
  if (!check_value(&command, point->known, point->writable ? &point->control : NULL, &refusal))
    problem(reading, "%s: %s", code_name(refusal.code), refusal.message);
  if (point->writable && point->control.select_us)
    problem(reading, "select: %s is select before operate: use `riverbus set --select`", wish->address);
  if (!world->max_deadline_us || wish->deadline_us <= world->max_deadline_us) return;
  units_put_duration(&ahead, world->max_deadline_us);
  problem(reading, "deadline: %s may be given no more than %s ahead", wish->address, buffer_text(&ahead));
  buffer_deinit(&ahead);
}

int script_check(struct script *script, const struct described *described, const struct script_world *world) {
  struct reading reading = {script, 0, false};
  const struct described *of_conditions = described + script->count;
  for (size_t i = 0; i < script->count; i++) {
    const struct wish *wish = &script->lines[i].wish;
    reading.number = script->lines[i].number;
    check_line(&reading, wish, &described[i], world);
    for (uint32_t k = 0; k < wish->condition_count; k++)
      check_condition(&reading, &wish->conditions[k], of_conditions++);
  }
  return reading.wrong ? SCRIPT_WRONG : 0;
}
