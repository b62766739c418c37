#include "common/command/condition.h"
#include <stdlib.h>

static const struct row {
  enum condition_op op;
  const char *name, *symbol;
} rows[] = {
    {CONDITION_BELOW, "below", "<"},
    {CONDITION_AT_MOST, "at-most", "<="},
    {CONDITION_ABOVE, "above", ">"},
    {CONDITION_AT_LEAST, "at-least", ">="},
    {CONDITION_EQUALS, "equals", "=="},
    {CONDITION_NOT_EQUALS, "not-equals", "!="},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static const struct row *row_of(enum condition_op op) {
  for (size_t i = 0; i < ROWS; i++)
    if (rows[i].op == op) return &rows[i];
  return NULL;
}

const char *condition_op_name(enum condition_op op) {
  const struct row *row = row_of(op);
  return row ? row->name : NULL;
}

const char *condition_op_symbol(enum condition_op op) {
  const struct row *row = row_of(op);
  return row ? row->symbol : NULL;
}

/* A name or a symbol; "=" is taken for "==". 0: neither. */
static enum condition_op condition_op_parse(struct bytes text) {
  for (size_t i = 0; i < ROWS; i++)
    if (bytes_equal(text, bytes_text(rows[i].name)) || bytes_equal(text, bytes_text(rows[i].symbol))) return rows[i].op;
  return bytes_equal(text, bytes_text("=")) ? CONDITION_EQUALS : (enum condition_op)0;
}

/* ---- parsing ---- */

static bool is_space(uint8_t c) { return c == ' ' || c == '\t'; }

static struct bytes trim(struct bytes text) {
  while (text.len > 0 && is_space(text.data[0])) text = bytes_of(text.data + 1, text.len - 1);
  while (text.len > 0 && is_space(text.data[text.len - 1])) text.len--;
  return text;
}

/* The first word of *text, which then begins behind it. */
static struct bytes next_word(struct bytes *text) {
  *text = trim(*text);
  size_t len = 0;
  while (len < text->len && !is_space(text->data[len])) len++;
  struct bytes word = bytes_of(text->data, len);
  *text = trim(bytes_of(text->data + len, text->len - len));
  return word;
}

int condition_parse(struct bytes text, struct command_condition *condition, const char **why) {
  struct bytes rest = text;
  *condition = (struct command_condition){.address = next_word(&rest)};
  struct bytes op = next_word(&rest);
  condition->op = condition_op_parse(op);
  *why = condition->address.len == 0 ? "the address is missing"
         : op.len == 0               ? "the operator is missing"
         : condition->op == 0        ? "the operator is none of < <= > >= == !="
         : rest.len == 0             ? "the value is missing"
                                     : NULL;
  if (*why) return CONDITION_MALFORMED;
  if (rest.len >= 2 && rest.data[0] == '"' && rest.data[rest.len - 1] == '"')
    condition->value = (struct value){.type = VALUE_TEXT, .bytes = bytes_of(rest.data + 1, rest.len - 2)};
  else if (value_parse(rest, VALUE_NONE, &condition->value) != 0)
    *why = "the value is no number, true, false or text";
  return *why ? CONDITION_MALFORMED : 0;
}

/* ---- judging ---- */

static enum condition_verdict verdict(bool holds) { return holds ? CONDITION_HOLDS : CONDITION_FAILS; }

/* What cannot be equal is no proof that the two differ. */
static enum condition_verdict judge_alike(enum condition_op op, const struct value *actual, const struct value *limit) {
  if (actual->type != limit->type || actual->type == VALUE_NONE) return CONDITION_INCOMPARABLE;
  if (op == CONDITION_EQUALS) return verdict(value_equal(actual, limit));
  if (op == CONDITION_NOT_EQUALS) return verdict(!value_equal(actual, limit));
  return CONDITION_INCOMPARABLE;
}

enum condition_verdict condition_judge(enum condition_op op, const struct value *actual, const struct value *limit) {
  double a, b;
  if (!value_as_number(actual, &a) || !value_as_number(limit, &b)) return judge_alike(op, actual, limit);
  switch (op) {
    case CONDITION_BELOW: return verdict(a < b);
    case CONDITION_AT_MOST: return verdict(a <= b);
    case CONDITION_ABOVE: return verdict(a > b);
    case CONDITION_AT_LEAST: return verdict(a >= b);
    case CONDITION_EQUALS: return verdict(value_equal(actual, limit));
    case CONDITION_NOT_EQUALS: return verdict(!value_equal(actual, limit));
    default: return CONDITION_INCOMPARABLE;
  }
}
