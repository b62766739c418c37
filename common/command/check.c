#include "common/command/check.h"
#include "common/base/units.h"
#include <stdarg.h>
#include <stdio.h>

void refusal_set(struct refusal *refusal, enum code code, const char *hint, const char *format, ...) {
  va_list args;
  refusal->code = code;
  snprintf(refusal->hint, sizeof refusal->hint, "%s", hint ? hint : code_hint(code) ? code_hint(code) : "");
  va_start(args, format);
  vsnprintf(refusal->message, sizeof refusal->message, format, args);
  va_end(args);
}

bool check_open(struct command *command, struct bytes bytes, struct refusal *refusal) {
  switch (command_open(command, bytes)) {
    case 0: return true;
    case COMMAND_FORGED:
      refusal_set(refusal, CODE_SIGNATURE, NULL, "the signature does not fit the %zu bytes of the command", bytes.len);
      return false;
    case COMMAND_VERSION:
      refusal_set(refusal, CODE_UNSUPPORTED, NULL, "the command is of another version; version 1 is understood here");
      return false;
    case COMMAND_TOO_LARGE:
      refusal_set(
          refusal, CODE_TOO_LARGE, NULL, "the command has %zu bytes; at most %d are taken", bytes.len, COMMAND_MAX);
      return false;
    default: refusal_set(refusal, CODE_MALFORMED, NULL, "the command cannot be read"); return false;
  }
}

bool check_understood(const struct command *command, struct refusal *refusal) {
  if (command->verb != COMMAND_SET) {
    refusal_set(refusal, CODE_UNSUPPORTED, NULL, "the command is no `set` (verb %u); this version evaluates only set",
        command->verb);
    return false;
  }
  if (command->condition_count > 0) {
    refusal_set(refusal, CODE_UNSUPPORTED, NULL,
        "the command carries %u conditions; this version evaluates none, and none is ignored",
        command->condition_count);
    return false;
  }
  for (uint32_t i = 0; i < command->item_count; i++)
    if (command->items[i].critical) {
      refusal_set(refusal, CODE_UNSUPPORTED, NULL,
          "the command carries the critical item %llu, which is not known here",
          (unsigned long long)command->items[i].id);
      return false;
    }
  return true;
}

bool check_authority(const struct command *command, const struct check_operators *operators, const char *where,
    const struct check_operator **by, struct refusal *refusal) {
  char key[IDENTITY_KEY_TEXT + 1];
  const struct check_operator *known = NULL;
  *by = NULL;
  for (size_t i = 0; i < operators->count; i++) {
    const struct check_operator *row = &operators->rows[i];
    if (memcmp(row->key.bytes, command->key.bytes, 32) != 0) continue;
    known = row;
    if (!patterns_match(row->command, command->address)) continue;
    *by = row;
    return true;
  }
  public_key_text(&command->key, key);
  if (known)
    refusal_set(refusal, CODE_AUTHORITY, NULL, "operator %s may not command " BYTES_FMT " at %s", known->name,
        BYTES_ARG(command->address), where);
  else
    refusal_set(refusal, CODE_AUTHORITY, NULL, "the key %s is no operator's at %s", key, where);
  return false;
}

static const char *duration(struct buffer *text, int64_t us) {
  buffer_clear(text);
  units_put_duration(text, us);
  return buffer_text(text);
}

bool check_deadline(const struct command *command, int64_t now, int64_t ahead_us, struct refusal *refusal) {
  struct buffer a = BUFFER_NULL, b = BUFFER_NULL;
  bool good = false;
  if (command->deadline <= command->issued)
    refusal_set(refusal, CODE_DEADLINE, NULL, "the deadline does not lie after the time of issue");
  else if (command->issued > now && command->issued - now > CHECK_CLOCK_US)
    refusal_set(refusal, CODE_CLOCK, "compare the clock of the operator's machine with this node's",
        "the command was issued %s ahead of this clock; at most %s is allowed", duration(&a, command->issued - now),
        duration(&b, CHECK_CLOCK_US));
  else if (command->deadline <= now)
    refusal_set(refusal, CODE_EXPIRED, NULL, "the deadline passed %s ago", duration(&a, now - command->deadline));
  else if (command->deadline - now > ahead_us)
    refusal_set(refusal, CODE_DEADLINE, NULL, "the deadline is %s ahead; at most %s is allowed",
        duration(&a, command->deadline - now), duration(&b, ahead_us));
  else
    good = true;
  buffer_deinit(&a);
  buffer_deinit(&b);
  return good;
}

bool check_life_left(const struct command *command, int64_t left_us, struct refusal *refusal) {
  struct buffer a = BUFFER_NULL, b = BUFFER_NULL;
  (void)command;
  if (left_us >= CHECK_DISPATCH_LEFT_US) return true;
  refusal_set(refusal, CODE_EXPIRED, NULL, "%s of life was left before the device was told; at least %s is needed",
      duration(&a, left_us < 0 ? 0 : left_us), duration(&b, CHECK_DISPATCH_LEFT_US));
  buffer_deinit(&a);
  buffer_deinit(&b);
  return false;
}

static bool type_fits(const struct value *value, enum value_type type) {
  if (type == VALUE_NONE || value->type == type) return true;
  if (type == VALUE_NUMBER) return value->type == VALUE_INTEGER;
  if (type != VALUE_INTEGER || value->type != VALUE_NUMBER) return false;
  return value->number >= -9007199254740992.0 && value->number <= 9007199254740992.0 &&
         value->number == (double)(int64_t)value->number;
}

static const char *value_text(struct buffer *out, const struct value *value) {
  buffer_clear(out);
  value_put_json(out, value);
  return buffer_text(out);
}

static bool check_allowed(
    const struct command *command, const struct control *control, struct buffer *text, struct refusal *refusal) {
  struct buffer list = BUFFER_NULL;
  for (uint32_t i = 0; i < control->allowed_count; i++) {
    if (value_equal(&command->value, &control->allowed[i])) {
      buffer_deinit(&list);
      return true;
    }
    buffer_printf(&list, "%s", i == 0 ? "" : ", ");
    value_put_json(&list, &control->allowed[i]);
  }
  refusal_set(refusal, CODE_RANGE, NULL, "the value %s is not allowed; allowed: %s", value_text(text, &command->value),
      buffer_text(&list));
  buffer_deinit(&list);
  return false;
}

static bool check_range(
    const struct command *command, const struct control *control, struct buffer *text, struct refusal *refusal) {
  double number;
  if (!control->has_range ||
      (value_as_number(&command->value, &number) && number >= control->low && number <= control->high))
    return true;
  refusal_set(refusal, CODE_RANGE, NULL, "the value %s is outside the range %.10g to %.10g%s%s",
      value_text(text, &command->value), control->low, control->high, control->unit[0] ? " " : "", control->unit);
  return false;
}

bool check_value(const struct command *command, bool known, const struct control *control, struct refusal *refusal) {
  struct buffer text = BUFFER_NULL;
  bool good = false;
  if (!known)
    refusal_set(refusal, CODE_UNKNOWN_POINT, NULL, "no point " BYTES_FMT " is known", BYTES_ARG(command->address));
  else if (!control)
    refusal_set(refusal, CODE_NOT_WRITABLE, NULL, "the point " BYTES_FMT " cannot be set: it has no control",
        BYTES_ARG(command->address));
  else if (!type_fits(&command->value, control->type))
    refusal_set(refusal, CODE_TYPE, NULL, "the value %s is of type %s; the point takes %s",
        value_text(&text, &command->value), value_type_name(command->value.type), value_type_name(control->type));
  else
    good = (control->allowed_count == 0 || check_allowed(command, control, &text, refusal)) &&
           check_range(command, control, &text, refusal);
  buffer_deinit(&text);
  return good;
}

bool check_clock(bool synchronised, bool offset_known, int64_t offset_us, int64_t limit_us, struct refusal *refusal) {
  struct buffer a = BUFFER_NULL, b = BUFFER_NULL;
  int64_t limit = limit_us ? limit_us : CHECK_CLOCK_US, distance = offset_us < 0 ? -offset_us : offset_us;
  bool good = false;
  if (!synchronised)
    refusal_set(refusal, CODE_CLOCK, NULL, "the station's clock is not synchronised");
  else if (offset_known && distance > limit)
    refusal_set(refusal, CODE_CLOCK, NULL, "the station's clock is %s from the broker's; at most %s is allowed",
        duration(&a, distance), duration(&b, limit));
  else
    good = true;
  buffer_deinit(&a);
  buffer_deinit(&b);
  return good;
}

bool check_created(const struct command *command, int64_t store_created, struct refusal *refusal) {
  struct buffer a = BUFFER_NULL;
  if (command->issued >= store_created) return true;
  units_put_rfc3339(&a, store_created);
  refusal_set(refusal, CODE_REPLAY, NULL,
      "the command was issued before the station's store was created or restored (%s), which cannot know whether it "
      "was carried out already",
      buffer_text(&a));
  buffer_deinit(&a);
  return false;
}

bool check_busy(
    const struct command *command, struct bytes running, enum state running_state, struct refusal *refusal) {
  if (running.len == 0 || bytes_equal(running, command->id)) return true;
  refusal_set(refusal, CODE_BUSY, NULL, "the device is busy with command " BYTES_FMT " (%s); one at a time is allowed",
      BYTES_ARG(running), state_name(running_state));
  return false;
}

enum check_known check_known(const struct command *command, const struct ledger_entry *known, struct refusal *refusal) {
  struct command before;
  if (!known) return CHECK_KNOWN_NEW;
  if (known->command.len > 0 && command_read(&before, known->command) == 0 && command_same(command, &before))
    return CHECK_KNOWN_SAME;
  if (known->command.len == 0)
    refusal_set(refusal, CODE_REPLAY, NULL,
        "the id " BYTES_FMT " was given up as never received; it cannot be used any more", BYTES_ARG(command->id));
  else
    refusal_set(
        refusal, CODE_REPLAY, NULL, "the id " BYTES_FMT " was used before for other content", BYTES_ARG(command->id));
  return CHECK_KNOWN_OTHER;
}
