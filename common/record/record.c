#include "common/record/record.h"
#include "common/base/units.h"
#include <stdio.h>

static const char *const kind_names[RECORD_KINDS] = {"reading", "event", "command", "report", "descriptor", "head"};
static const char *const quality_names[] = {"good", "uncertain", "bad"};
static const char *const reason_names[REASON_REASONS] = {
    NULL, "stale", "out-of-range", "sensor-fault", "clock", "not-a-number", "wrong-type", "substituted"};
static const char *const lane_names[LANES] = {"urgent", "live", "backfill"};

const char *record_kind_name(enum record_kind kind) { return (unsigned)kind < RECORD_KINDS ? kind_names[kind] : "?"; }
const char *record_quality_name(enum record_quality quality) {
  return (unsigned)quality < 3 ? quality_names[quality] : "?";
}
const char *record_reason_name(enum record_reason reason) {
  return (unsigned)reason < REASON_REASONS ? reason_names[reason] : "?";
}
const char *lane_name(enum lane lane) { return (unsigned)lane < LANES ? lane_names[lane] : "?"; }

int lane_parse(struct bytes text, enum lane *lane) {
  for (unsigned i = 0; i < LANES; i++)
    if (bytes_equal(text, bytes_text(lane_names[i]))) {
      *lane = (enum lane)i;
      return 0;
    }
  return VALUE_BAD;
}

bool record_is_urgent(enum record_kind kind) {
  return kind == RECORD_EVENT || kind == RECORD_COMMAND || kind == RECORD_REPORT;
}

void epoch_put_text(struct buffer *out, struct epoch epoch) {
  buffer_printf(out, "%016llx%016llx", (unsigned long long)epoch.created, (unsigned long long)epoch.random);
}

static void put_member(struct buffer *out, const char *head, struct bytes text) {
  buffer_append(out, bytes_text(head));
  json_put_text(out, text);
}

static void put_time(struct buffer *out, const char *head, int64_t time) {
  buffer_append(out, bytes_text(head));
  units_put_rfc3339(out, time);
  buffer_append(out, bytes_text("\""));
}

static void put_unit(struct buffer *out, struct bytes unit) {
  if (unit.len > 0)
    put_member(out, ",\"unit\":", unit);
  else
    buffer_append(out, bytes_text(",\"unit\":null"));
}

void record_put_json(struct buffer *out, const struct record *record, struct bytes unit, struct bytes stream,
    struct epoch epoch, enum lane lane) {
  const char *reason = record_reason_name(record->reason);
  put_time(out, "{\"time\":\"", record->time);
  put_time(out, ",\"received\":\"", record->received);
  put_member(out, ",\"address\":", record->address);
  put_member(out, ",\"kind\":", bytes_text(record_kind_name(record->kind)));
  buffer_append(out, bytes_text(",\"value\":"));
  value_put_json(out, &record->value);
  put_unit(out, unit);
  put_member(out, ",\"quality\":", bytes_text(record_quality_name(record->quality)));
  if (record->quality != QUALITY_GOOD && reason) put_member(out, ",\"reason\":", bytes_text(reason));
  put_member(out, ",\"stream\":", stream);
  buffer_append(out, bytes_text(",\"epoch\":\""));
  epoch_put_text(out, epoch);
  buffer_printf(out, "\",\"seq\":%llu", (unsigned long long)record->sequence);
  put_member(out, ",\"lane\":", bytes_text(lane_name(lane)));
  buffer_append(out, bytes_text("}"));
}
