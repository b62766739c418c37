#include "common/command/check.h"
#include "common/base/defect.h"
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

void refusal_hint_resolve(struct refusal *refusal, struct bytes id) {
  snprintf(refusal->hint, sizeof refusal->hint,
      "look at the device, then: riverbus resolve " BYTES_FMT " --moved (or --not-moved) --basis 'who saw what'",
      BYTES_ARG(id));
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

static unsigned feature_of(uint8_t verb) {
  return verb == COMMAND_STOP     ? CHECK_STOP
         : verb == COMMAND_SELECT ? CHECK_SELECT
         : verb == COMMAND_TRY    ? CHECK_TRY
                                  : 0;
}

static bool verb_understood(const struct command *command, unsigned features, struct refusal *refusal) {
  const char *name = command_verb_name(command->verb);
  unsigned feature = feature_of(command->verb);
  if (name && (feature == 0 || (features & feature))) return true;
  refusal_set(refusal, CODE_UNSUPPORTED, NULL, "the verb %s (%u) is not evaluated here", name ? name : "of the command",
      command->verb);
  return false;
}

static bool item_understood(const struct command_item *item, unsigned features) {
  return !item->critical || (item->id == COMMAND_ITEM_SELECTION && (features & CHECK_SELECT));
}

bool check_understood(const struct command *command, unsigned features, struct refusal *refusal) {
  if (!verb_understood(command, features, refusal)) return false;
  if (command->condition_count > 0 && !(features & CHECK_CONDITIONS)) {
    refusal_set(refusal, CODE_UNSUPPORTED, NULL,
        "the command carries %u conditions; none is evaluated here, and none is ignored", command->condition_count);
    return false;
  }
  for (uint32_t i = 0; i < command->item_count; i++) {
    if (item_understood(&command->items[i], features)) continue;
    refusal_set(refusal, CODE_UNSUPPORTED, NULL, "the command carries the critical item %llu, which is not known here",
        (unsigned long long)command->items[i].id);
    return false;
  }
  return true;
}

/* ---- who ---- */

/* The first row of that key whose patterns hold the address; *known: any row of that key, *expired: it matched but its
 * roster has ended. */
static const struct check_operator *find(const struct check_operators *operators, const struct public_key *key,
    struct bytes address, bool approve, int64_t now, const struct check_operator **known,
    const struct check_operator **expired) {
  for (size_t i = 0; i < operators->count; i++) {
    const struct check_operator *row = &operators->rows[i];
    const struct patterns *patterns = approve ? row->approve : row->command;
    if (memcmp(row->key.bytes, key->bytes, 32) != 0) continue;
    *known = row;
    if (!patterns || !patterns_match(patterns, address)) continue;
    if (row->until == 0 || now <= row->until) return row;
    *expired = row;
  }
  return NULL;
}

static void refuse_stranger(const struct public_key *key, enum code code, const char *where, struct refusal *refusal) {
  char text[IDENTITY_KEY_TEXT + 1];
  public_key_text(key, text);
  refusal_set(refusal, code, NULL, "the key %s is no operator's at %s", text, where);
}

static bool may(const struct public_key *key, struct bytes address, const struct check_operators *operators,
    int64_t now, const char *where, const struct check_operator **by, struct refusal *refusal) {
  const struct check_operator *known = NULL, *expired = NULL;
  struct buffer time = BUFFER_NULL;
  *by = find(operators, key, address, false, now, &known, &expired);
  if (*by) return true;
  if (expired) {
    units_put_rfc3339(&time, expired->until);
    refusal_set(refusal, CODE_AUTHORITY, "have the authority sign a new roster and push it: `riverbus roster push`",
        "operator %s is on a roster that ended at %s; none after it is held at %s", expired->name, buffer_text(&time),
        where);
    buffer_deinit(&time);
  } else if (known)
    refusal_set(refusal, CODE_AUTHORITY, NULL, "operator %s may not command " BYTES_FMT " at %s", known->name,
        BYTES_ARG(address), where);
  else
    refuse_stranger(key, CODE_AUTHORITY, where, refusal);
  return false;
}

bool check_authority(const struct command *command, const struct check_operators *operators, int64_t now,
    const char *where, const struct check_operator **by, struct refusal *refusal) {
  return may(&command->key, command->address, operators, now, where, by, refusal);
}

static bool same_person(const struct check_operator *a, const struct public_key *a_key, const struct check_operator *b,
    const struct public_key *b_key) {
  return memcmp(a_key->bytes, b_key->bytes, 32) == 0 || (a && b && strcmp(a->name, b->name) == 0);
}

static bool approval_opens(const struct command *command, struct bytes approval, struct decision *decision, int64_t now,
    struct refusal *refusal) {
  const char *wrong = NULL;
  struct buffer time = BUFFER_NULL;
  if (approval.len == 0) {
    refusal_set(refusal, CODE_APPROVAL,
        "send a new command; while it waits a second person approves it with: riverbus approve ID",
        "the point needs the approval of a second person, and none was given");
    return false;
  }
  if (decision_open(decision, approval) != 0 || decision->verb != DECISION_APPROVE)
    wrong = "the approval cannot be read, or its signature does not fit";
  else if (!bytes_equal(decision->id, command->id) || !decision_is_about(decision, command->bytes))
    wrong = "the approval was given for another command";
  if (wrong) refusal_set(refusal, CODE_APPROVAL, NULL, "%s", wrong);
  if (wrong) return false;
  if (now <= decision->deadline && decision->issued <= now + CHECK_CLOCK_US) return true;
  units_put_rfc3339(&time, decision->deadline);
  refusal_set(refusal, CODE_APPROVAL, "send a new command, and have it approved in time",
      "the approval was good until %s only", buffer_text(&time));
  buffer_deinit(&time);
  return false;
}

bool check_approval(const struct command *command, struct bytes approval, const struct check_operators *operators,
    const struct check_operator *by, int64_t now, const struct check_operator **approved_by, struct refusal *refusal) {
  struct decision decision;
  const struct check_operator *known = NULL, *expired = NULL;
  *approved_by = NULL;
  if (!approval_opens(command, approval, &decision, now, refusal)) return false;
  const struct check_operator *row = find(operators, &decision.key, command->address, true, now, &known, &expired);
  if (!row) {
    char text[IDENTITY_KEY_TEXT + 1];
    public_key_text(&decision.key, text);
    refusal_set(refusal, CODE_APPROVAL,
        "have it approved by one who may: whose `approve:` at the broker and at the station has the address",
        "%s may not approve " BYTES_FMT, known ? known->name : text, BYTES_ARG(command->address));
    return false;
  }
  if (same_person(by, &command->key, row, &decision.key) && !defect("approve-same-person")) {
    refusal_set(refusal, CODE_APPROVAL, NULL, "%s gave the command and cannot approve it too", row->name);
    snprintf(refusal->hint, sizeof refusal->hint, "have a second person approve it: riverbus approve " BYTES_FMT,
        BYTES_ARG(command->id));
    return false;
  }
  *approved_by = row;
  return true;
}

bool check_open_decision(struct decision *decision, struct bytes bytes, struct refusal *refusal) {
  switch (decision_open(decision, bytes)) {
    case 0: return true;
    case DECISION_FORGED:
      refusal_set(refusal, CODE_SIGNATURE, NULL, "the signature does not fit the bytes of the decision");
      return false;
    case DECISION_VERSION:
      refusal_set(refusal, CODE_UNSUPPORTED, NULL, "the decision is of another version; version 1 is understood here");
      return false;
    default: refusal_set(refusal, CODE_MALFORMED, NULL, "the decision cannot be read"); return false;
  }
}

bool check_decision(const struct decision *decision, const struct command *command,
    const struct check_operators *operators, int64_t now, const char *where, const struct check_operator **by,
    struct refusal *refusal) {
  *by = NULL;
  if (!bytes_equal(decision->id, command->id) || !decision_is_about(decision, command->bytes)) {
    refusal_set(refusal, CODE_REPLAY, NULL, "the decision was signed for another command than " BYTES_FMT,
        BYTES_ARG(command->id));
    return false;
  }
  if (now > decision->deadline) {
    refusal_set(refusal, CODE_EXPIRED, NULL, "the decision came after its own deadline");
    return false;
  }
  if (decision->issued > now + CHECK_CLOCK_US) {
    refusal_set(refusal, CODE_CLOCK, "compare the clock of the operator's machine with this node's",
        "the decision was issued ahead of this clock");
    return false;
  }
  return may(&decision->key, command->address, operators, now, where, by, refusal);
}

/* ---- when ---- */

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
  else if (command->deadline <= now && !defect("skip-expiry"))
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

bool check_lifetime(const struct command *command, int64_t most_us, struct refusal *refusal) {
  struct buffer a = BUFFER_NULL, b = BUFFER_NULL;
  int64_t life_us = command->deadline - command->issued;
  if (life_us <= most_us) return true;
  refusal_set(refusal, CODE_DEADLINE, NULL, "the deadline is %s after the time of issue; at most %s is allowed",
      duration(&a, life_us), duration(&b, most_us));
  buffer_deinit(&a);
  buffer_deinit(&b);
  return false;
}

bool check_life_left(int64_t left_us, struct refusal *refusal) {
  struct buffer a = BUFFER_NULL, b = BUFFER_NULL;
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
    refusal_set(refusal, CODE_CLOCK,
        "run an NTP client at the station (chrony, systemd-timesyncd); where something else keeps its clock right, its "
        "configuration may say `clock: {require-synchronised: false}`",
        "the station's clock is not synchronised, its kernel says");
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
  char hint[sizeof refusal->hint];
  if (running.len == 0 || bytes_equal(running, command->id)) return true;
  snprintf(hint, sizeof hint, "follow it to its end, then send a new command: riverbus follow " BYTES_FMT,
      BYTES_ARG(running));
  refusal_set(refusal, CODE_BUSY, hint, "the device is busy with command " BYTES_FMT " (%s); one at a time is allowed",
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

/* ---- the point ---- */

/* A target that the next command may have: a round number where the step is a large one, and so with room for a
 * measurement that trembles. */
static double first_step(double from, double to, double max_step) {
  double sign = to > from ? 1 : -1, target = from + sign * max_step, grain = max_step >= 2 ? 1 : max_step / 20;
  double round = sign * grain * (double)(int64_t)(sign * target / grain);
  bool fits = target < 1e15 && target > -1e15 && (round - from) * sign > 0 && (round - from) * sign <= max_step;
  return fits ? round : target;
}

bool check_max_step(const struct command *command, double max_step, const char *unit, bool known,
    const struct value *actual, struct refusal *refusal) {
  double from, to;
  char hint[sizeof refusal->hint];
  if (max_step <= 0 || !value_as_number(&command->value, &to)) return true;
  const char *space = unit[0] ? " " : "";
  if (!known || !value_as_number(actual, &from)) {
    refusal_set(refusal, CODE_MAX_STEP,
        "see that the point is measured: `riverbus last "
        "ADDRESS`",
        "the largest step is %.10g%s%s, and the present value is not known (no good, fresh measurement)", max_step,
        space, unit);
    return false;
  }
  double step = to > from ? to - from : from - to;
  if (step <= max_step * (1 + 1e-12)) return true;
  snprintf(hint, sizeof hint,
      "move in steps, each when the one before is executed; the first: riverbus set ADDRESS %.10g",
      first_step(from, to, max_step));
  refusal_set(refusal, CODE_MAX_STEP, hint, "the step from %.10g to %.10g is %.10g%s%s; at most %.10g%s%s is allowed",
      from, to, step, space, unit, max_step, space, unit);
  return false;
}

bool check_min_interval(int64_t min_interval_us, int64_t since_us, struct refusal *refusal) {
  struct buffer a = BUFFER_NULL, b = BUFFER_NULL;
  char hint[sizeof refusal->hint];
  if (min_interval_us <= 0 || since_us >= min_interval_us) return true;
  long long left_s = (min_interval_us - (since_us > 0 ? since_us : 0) + SECOND_US - 1) / SECOND_US;
  snprintf(hint, sizeof hint, "send a new command in %llds", left_s);
  refusal_set(refusal, CODE_MIN_INTERVAL, hint, "the last movement was ordered %s ago; at least %s must lie between",
      duration(&a, since_us > 0 ? since_us : 0), duration(&b, min_interval_us));
  buffer_deinit(&a);
  buffer_deinit(&b);
  return false;
}

bool check_locked(const struct command *command, struct bytes locking, struct refusal *refusal) {
  if (locking.len == 0) return true;
  refusal_set(refusal, CODE_LOCKED, NULL,
      "the point " BYTES_FMT " is locked: the outcome of command " BYTES_FMT " is unknown and was not resolved",
      BYTES_ARG(command->address), BYTES_ARG(locking));
  refusal_hint_resolve(refusal, locking);
  return false;
}

static bool refuse_selection(struct refusal *refusal, const char *message) {
  refusal_set(refusal, CODE_SELECT, NULL, "%s", message);
  return false;
}

bool check_selection(const struct command *command, int64_t select_us, const struct check_selection *armed, int64_t now,
    struct refusal *refusal) {
  const struct command_item *item = command_item(command, COMMAND_ITEM_SELECTION);
  if (select_us == 0)
    return !item || refuse_selection(refusal, "the command operates a selection, and the control knows none");
  if (!item) return refuse_selection(refusal, "the point is select before operate, and the command names no selection");
  if (armed->id.len == 0 || !bytes_equal(armed->id, item->value))
    return refuse_selection(refusal, "the selection that the command names is not armed: it ended, was used, or the "
                                     "gateway was restarted since");
  if (now > armed->until) return refuse_selection(refusal, "the selection has ended");
  if (memcmp(armed->key->bytes, command->key.bytes, 32) != 0)
    return refuse_selection(refusal, "the point is selected by another operator");
  if (!value_equal(armed->value, &command->value))
    return refuse_selection(refusal, "the value is another than the selected one");
  return true;
}
