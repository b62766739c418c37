#include "gateway/guards.h"
#include "common/base/defect.h"
#include "common/base/units.h"

/* ---- words ---- */

struct words {
  struct buffer actual, limit, age;
};

static void words_deinit(struct words *words) {
  buffer_deinit(&words->actual);
  buffer_deinit(&words->limit);
  buffer_deinit(&words->age);
}

static const char *value_words(struct buffer *out, const struct value *value, const char *unit) {
  buffer_clear(out);
  value_put_json(out, value);
  if (unit && unit[0]) buffer_printf(out, " %s", unit);
  return buffer_text(out);
}

static const char *age_words(struct words *words, int64_t us) {
  buffer_clear(&words->age);
  units_put_duration(&words->age, us);
  return buffer_text(&words->age);
}

/* Why an input cannot be relied on; NULL: it can. */
static const char *unreliable(const struct guard_input *input, int64_t max_age_us) {
  if (!input->exists) return "is no point of this station";
  if (!input->known) return "was not measured yet";
  if (!input->good) return "has no good, fresh measurement";
  if (input->undated) return "was kept by the MQTT broker (retained), and was measured at an unknown time";
  if (max_age_us > 0 && input->age_us > max_age_us && !defect("ignore-max-age")) return "was measured too long ago";
  return NULL;
}

bool guard_input_is_sure(const struct guard_input *input) { return !unreliable(input, 0); }

/* ---- refuse-when ---- */

/* Switching on is the way up. */
static bool height(const struct value *value, double *number) {
  if (value->type != VALUE_BOOLEAN) return value_as_number(value, number);
  *number = value->boolean ? 1 : 0;
  return true;
}

static enum guard_moving direction(const struct command *command, const struct guard_input *present) {
  double from, to;
  if (!guard_input_is_sure(present) || !height(&present->value, &from) || !height(&command->value, &to))
    return GUARD_EITHER;
  return to > from ? GUARD_UP : to < from ? GUARD_DOWN : GUARD_EITHER;
}

/* A line with a direction speaks of commands that move that way; where the present value is not known it speaks of all,
 * and one that moves nothing is let pass. */
static bool concerns(const struct guard *guard, const struct command *command, const struct guard_input *present) {
  if (guard->moving == GUARD_EITHER) return true;
  enum guard_moving moving = direction(command, present);
  return !guard_input_is_sure(present) || moving == guard->moving;
}

static void refuse_unreliable(const struct guard *guard, const struct guard_input *input, const char *why,
    struct words *words, struct refusal *refusal) {
  refusal_set(refusal, guard->code, "see to that input: `riverbus last`; without it the command cannot be judged",
      "the condition on %s cannot be judged: it %s%s%s%s%s", guard->address, why,
      input->known && input->age_us > 0 ? " (" : "",
      input->known && input->age_us > 0 ? age_words(words, input->age_us) : "",
      input->known && input->age_us > 0 ? " ago" : "", input->known && input->age_us > 0 ? ")" : "");
}

static bool passes(const struct guard *guard, const struct guard_input *input, struct refusal *refusal) {
  struct words words = {BUFFER_NULL, BUFFER_NULL, BUFFER_NULL};
  const char *why = unreliable(input, guard->max_age_us);
  enum condition_verdict verdict =
      why ? CONDITION_INCOMPARABLE : condition_judge(guard->op, &input->value, &guard->limit);
  if (verdict == CONDITION_INCOMPARABLE)
    refuse_unreliable(guard, input, why ? why : "cannot be compared with the limit", &words, refusal);
  else if (verdict == CONDITION_HOLDS)
    refusal_set(refusal, guard->code, NULL, "%s%s%s is %s; refused when %s %s", guard->say ? guard->say : "",
        guard->say ? ": " : "", guard->address, value_words(&words.actual, &input->value, input->unit),
        condition_op_symbol(guard->op), value_words(&words.limit, &guard->limit, input->unit));
  words_deinit(&words);
  return (verdict == CONDITION_FAILS) != defect("invert-guard");
}

bool guards_pass(const struct guard *guards, size_t count, const struct command *command,
    const struct guard_input *present, guard_input_fn *input, void *ctx, struct refusal *refusal) {
  for (size_t i = 0; i < count; i++) {
    if (!concerns(&guards[i], command, present)) continue;
    const struct guard_input found = input(ctx, bytes_text(guards[i].address));
    if (!passes(&guards[i], &found, refusal)) return false;
  }
  return true;
}

/* ---- preconditions ---- */

static bool holds(const struct command_condition *condition, const char *station, const struct guard_input *input,
    struct refusal *refusal) {
  struct words words = {BUFFER_NULL, BUFFER_NULL, BUFFER_NULL};
  const char *why = unreliable(input, 0);
  enum condition_verdict verdict =
      why ? CONDITION_INCOMPARABLE : condition_judge(condition->op, &input->value, &condition->value);
  if (!input->exists)
    refusal_set(refusal, CODE_PRECONDITION,
        "give conditions on points of the same station, as `riverbus points` lists them",
        "the condition on " BYTES_FMT " cannot be judged at the station %s, which has no such point",
        BYTES_ARG(condition->address), station);
  else if (verdict == CONDITION_INCOMPARABLE)
    refusal_set(refusal, CODE_PRECONDITION, NULL, "the condition on " BYTES_FMT " cannot be judged: it %s",
        BYTES_ARG(condition->address), why ? why : "cannot be compared with the value given");
  else if (verdict == CONDITION_FAILS)
    refusal_set(refusal, CODE_PRECONDITION, NULL, BYTES_FMT " is %s; the command asks for %s %s",
        BYTES_ARG(condition->address), value_words(&words.actual, &input->value, input->unit),
        condition_op_symbol(condition->op), value_words(&words.limit, &condition->value, input->unit));
  words_deinit(&words);
  return verdict == CONDITION_HOLDS;
}

bool guards_preconditions(
    const struct command *command, const char *station, guard_input_fn *input, void *ctx, struct refusal *refusal) {
  for (uint32_t i = 0; i < command->condition_count; i++) {
    const struct guard_input found = input(ctx, command->conditions[i].address);
    if (!holds(&command->conditions[i], station, &found, refusal)) return false;
  }
  return true;
}
