#include "broker/operator/logbook.h"
#include "broker/operator/output.h"
#include "broker/operator/view.h"
#include "common/base/units.h"

void logbook_init(struct logbook *logbook) { *logbook = (struct logbook){.list = json_array()}; }

void logbook_deinit(struct logbook *logbook) {
  table_deinit(&logbook->rows, NULL);
  json_decref(logbook->list);
  logbook->list = NULL;
}

static const char *text_of(const json_t *object, const char *member) {
  const char *text = json_string_value(json_object_get(object, member));
  return text ? text : "";
}

/* What moves a device, and what halts it. */
static bool is_of_order(const json_t *entry) {
  const char *verb = text_of(entry, "verb");
  return strcmp(text_of(entry, "kind"), "command") == 0 && *text_of(entry, "id") &&
         (strcmp(verb, "set") == 0 || strcmp(verb, "stop") == 0);
}

static json_t *row_of(struct logbook *logbook, const json_t *entry) {
  static const char *const members[] = {"id", "verb", "address", "value", "by", "approved_by", "basis", "issued",
      "deadline", "start", "end", "before", "actual", "observed_before", "observed_after", "state", "code", "message",
      "fence"};
  struct bytes id = bytes_text(text_of(entry, "id"));
  json_t *row = table_get(&logbook->rows, id);
  if (row) return row;
  row = json_object();
  for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) json_object_set_new(row, members[i], json_null());
  json_array_append_new(logbook->list, row);
  table_put(&logbook->rows, id, row);
  return row;
}

static void copy(json_t *row, const json_t *entry, const char *member) {
  json_object_set(row, member, json_object_get(entry, member));
}

/* What an entry does not say leaves what an earlier one said. */
static void copy_known(json_t *row, const json_t *entry) {
  static const char *const members[] = {"id", "verb", "address", "value", "by", "approved_by", "basis", "issued",
      "deadline", "before", "actual", "observed_before", "observed_after"};
  for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
    const json_t *said = json_object_get(entry, members[i]);
    if (said && !json_is_null(said)) copy(row, entry, members[i]);
  }
  if (json_integer_value(json_object_get(entry, "fence"))) copy(row, entry, "fence");
}

static enum state state_in(const json_t *object) { return state_parse(bytes_text(text_of(object, "state"))); }

static bool is_settled(enum state state) { return state_is_final(state) && state != STATE_UNKNOWN; }

/* What one person resolved and another one otherwise, before the station had confirmed it. */
static bool is_another_word(const json_t *row, const json_t *entry) {
  const char *resolved = code_name(CODE_RESOLVED);
  return strcmp(text_of(row, "code"), resolved) == 0 && strcmp(text_of(entry, "code"), resolved) == 0;
}

/* A late report tells of a state that was passed long ago, or of what a person resolved meanwhile: it stands behind the
 * end in the log, and undoes nothing. */
static void take_state(json_t *row, const json_t *entry) {
  enum state state = state_in(entry);
  if (state == STATE_DISPATCHED) json_object_set(row, "start", json_object_get(entry, "time"));
  if (is_settled(state_in(row)) && !is_another_word(row, entry)) return;
  if (state_in(row) == STATE_UNKNOWN && !is_settled(state)) return;
  copy(row, entry, "state");
  copy(row, entry, "code");
  copy(row, entry, "message");
  if (state_is_final(state)) json_object_set(row, "end", json_object_get(entry, "time"));
}

void logbook_take(struct logbook *logbook, const json_t *entry) {
  if (!is_of_order(entry)) return;
  json_t *row = row_of(logbook, entry);
  copy_known(row, entry);
  take_state(row, entry);
}

bool logbook_is_within(const json_t *row, int64_t since, int64_t until) {
  int64_t issued;
  if (since == INT64_MIN && until == INT64_MAX) return true;
  return units_rfc3339(bytes_text(text_of(row, "issued")), &issued) == 0 && issued >= since && issued <= until;
}

/* ---- for people ---- */

static void put_one(struct buffer *out, const json_t *o) {
  const char *quality = text_of(o, "quality"), *unit = view_text(o, "unit");
  const json_t *value = json_object_get(o, "value");
  buffer_printf(out, "%s ", view_text(o, "point"));
  if (!value || json_is_null(value)) {
    buffer_printf(out, "not measured");
    return;
  }
  buffer_printf(out, "%s%s%s", view_text(o, "value"), *unit ? " " : "", unit);
  if (strcmp(quality, "good") != 0) buffer_printf(out, " (%s)", view_text(o, "quality"));
}

void logbook_put_observed(struct buffer *out, const json_t *list) {
  for (size_t i = 0; i < json_array_size(list); i++) {
    if (i > 0) buffer_printf(out, ", ");
    put_one(out, json_array_get(list, i));
  }
}
