#include "broker/operator/wish.h"
#include "common/base/mem.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define DEADLINE_MAX_US (365 * 24 * 3600 * SECOND_US) /* a broker's max-deadline is far below */

__attribute__((format(printf, 2, 3))) static int wrong(char problem[WISH_PROBLEM], const char *format, ...) {
  va_list list;
  va_start(list, format);
  vsnprintf(problem, WISH_PROBLEM, format, list);
  va_end(list);
  return WISH_WRONG;
}

/* ---- reading ---- */

static int read_condition(struct wish *wish, const char *text, char problem[WISH_PROBLEM]) {
  const char *why = NULL;
  if (wish->condition_count == COMMAND_CONDITIONS_MAX)
    return wrong(problem, "more than %d conditions (--if)", COMMAND_CONDITIONS_MAX);
  struct command_condition *condition = &wish->conditions[wish->condition_count++];
  if (!bytes_is_utf8(bytes_text(text))) return wrong(problem, "--if is not UTF-8");
  if (condition_parse(bytes_text(text), condition, &why) || address_check(condition->address, &why))
    return wrong(problem, "--if '%s' is no condition: %s ('ADDRESS OP VALUE', OP one of < <= > >= == !=)", text, why);
  return 0;
}

static int read_conditions(struct wish *wish, const struct arguments *a, char problem[WISH_PROBLEM]) {
  int outcome = 0;
  for (size_t i = 0; i < a->option_count && outcome == 0; i++)
    if (strcmp(a->options[i].spec->name, "if") == 0) outcome = read_condition(wish, a->options[i].text, problem);
  return outcome;
}

static int read_id(struct wish *wish, const char *id, char problem[WISH_PROBLEM]) {
  if (!id) {
    command_id_new(&world_system, wish->id);
    return 0;
  }
  if (!command_id_is_good(bytes_text(id)))
    return wrong(problem, "\"%s\" is no id of a command: 1 to 64 of A-Z a-z 0-9 . _ -", id);
  snprintf(wish->id, sizeof wish->id, "%s", id);
  wish->named = true;
  return 0;
}

static int read_options(struct wish *wish, const struct arguments *a, char problem[WISH_PROBLEM]) {
  wish->basis = arguments_text(a, "basis");
  wish->deadline_us = arguments_number(a, "deadline", WISH_DEADLINE_US);
  if (wish->deadline_us <= 0 || wish->deadline_us > DEADLINE_MAX_US)
    return wrong(problem, "--deadline %s is not above 0s and at most 365d", arguments_text(a, "deadline"));
  if (wish->basis && (strlen(wish->basis) > COMMAND_BASIS_MAX || !bytes_is_utf8(bytes_text(wish->basis))))
    return wrong(problem, "--basis is longer than %d bytes, or not UTF-8", COMMAND_BASIS_MAX);
  return read_id(wish, arguments_text(a, "id"), problem);
}

int wish_read(struct wish *wish, uint8_t verb, const struct arguments *a, char problem[WISH_PROBLEM]) {
  bool valued = command_verb_has_value(verb);
  const char *why = NULL;
  *wish = (struct wish){.verb = verb};
  if (a->operand_count != (valued ? 2 : 1))
    return wrong(
        problem, a->operand_count == 0 ? "%s is missing" : "%s is expected", valued ? "ADDRESS VALUE" : "ADDRESS");
  wish->address = a->operands[0];
  wish->text = valued ? a->operands[1] : NULL;
  if (address_check(bytes_text(wish->address), &why))
    return wrong(problem, "\"%s\" is no address: %s (province/station/device/point)", wish->address, why);
  if (wish->text && (strlen(wish->text) > COMMAND_MAX || !bytes_is_utf8(bytes_text(wish->text))))
    return wrong(problem, "the value is longer than %d bytes, or not UTF-8", COMMAND_MAX);
  int outcome = read_options(wish, a, problem);
  return outcome ? outcome : read_conditions(wish, a, problem);
}

/* ---- what is known of the point ---- */

void described_read(struct described *described, const json_t *row) {
  *described = (struct described){.known = row != NULL};
  const char *name = json_string_value(json_object_get(row, "type"));
  if (name) value_type_parse(bytes_text(name), &described->type);
  char *text = row ? json_dumps(row, JSON_COMPACT) : NULL;
  described->writable = text && control_from_descriptor(&described->control, bytes_text(text)) == 0;
  free(text);
}

/* ---- signing ---- */

static void add_item(struct command *command, enum command_item_id id, bool critical, const char *value) {
  if (value) command->items[command->item_count++] = (struct command_item){id, critical, bytes_text(value)};
}

/* Whoever writes +10 may mean ten more than now: the gate would go the other way. */
static bool value_is_number(const struct value *value) {
  return value->type == VALUE_NUMBER || value->type == VALUE_INTEGER;
}

int wish_command(
    const struct wish *wish, enum value_type type, int64_t now, struct command *command, char problem[WISH_PROBLEM]) {
  *command = (struct command){.verb = wish->verb,
      .id = bytes_text(wish->id),
      .address = bytes_text(wish->address),
      .value = VALUE_EMPTY,
      .issued = now,
      .deadline = now + wish->deadline_us,
      .basis = bytes_text(wish->basis),
      .condition_count = wish->condition_count};
  memcpy(command->conditions, wish->conditions, sizeof command->conditions);
  add_item(command, COMMAND_ITEM_SELECTION, true, wish->selection);
  add_item(command, COMMAND_ITEM_BATCH, false, wish->batch);
  if (!wish->text) return 0;
  if (value_parse(bytes_text(wish->text), type, &command->value))
    return wrong(problem, "\"%s\" is no %s, but that is what the point %s takes", wish->text, value_type_name(type),
        wish->address);
  if (*wish->text == '+' && value_is_number(&command->value))
    return wrong(problem, "\"%s\" looks like a step, and a target is absolute: give the value that %s shall have",
        wish->text, wish->address);
  return 0;
}

int wish_sign(const struct wish *wish, enum value_type type, int64_t now, const struct identity *identity,
    struct buffer *out, char problem[WISH_PROBLEM]) {
  struct command command;
  const char *why = NULL;
  if (wish_command(wish, type, now, &command, problem)) return WISH_WRONG;
  int outcome = command_sign(out, &command, identity, &why);
  if (outcome == 0) return 0;
  return wrong(problem, "the command cannot be signed: %s",
      outcome == COMMAND_TOO_LARGE ? "it is too large"
      : why                        ? why
                                   : "a field breaks its rule");
}

void wish_put(struct buffer *out, const struct wish *wish) {
  buffer_printf(out, wish->text ? "%s = %s" : "%s", wish->address, wish->text);
}
