#include "broker/operator/row.h"
#include "broker/operator/output.h"
#include "common/base/mem.h"
#include "common/base/units.h"
#include "common/base/world.h"
#include <stdlib.h>
#include <wchar.h>

enum { ADDRESS_COLUMNS = 40, TIME_COLUMNS = 19 };

/* ---- units ---- */

void unit_names_deinit(struct unit_names *names) { table_deinit(&names->by_address, free); }

void unit_names_put(struct unit_names *names, struct bytes address, struct bytes unit) {
  free(unit.len ? table_put(&names->by_address, address, mem_text(unit.data, unit.len))
                : table_remove(&names->by_address, address));
}

static struct bytes json_bytes(const json_t *text) {
  return bytes_of(json_string_value(text), json_string_length(text));
}

void unit_names_take(struct unit_names *names, const json_t *rows) {
  for (size_t i = 0; i < json_array_size(rows); i++) {
    const json_t *row = json_array_get(rows, i);
    unit_names_put(names, json_bytes(json_array_get(row, 0)), json_bytes(json_array_get(row, 1)));
  }
}

struct bytes unit_names_get(const struct unit_names *names, struct bytes address) {
  return bytes_text(names->by_address.count ? table_get(&names->by_address, address) : NULL);
}

/* ---- for people ---- */

static void put(struct buffer *out, const char *text) { buffer_append(out, bytes_text(text)); }

/* Columns taken by UTF-8 text: a Chinese character takes two. */
static size_t text_width(struct bytes text) {
  char *copy = mem_text(text.data, text.len);
  wchar_t wide[ADDRESS_MAX + 1];
  size_t count = mbstowcs(wide, copy, ADDRESS_MAX);
  int width = count == (size_t)-1 ? -1 : wcswidth(wide, count);
  free(copy);
  return width < 0 ? text.len : (size_t)width;
}

static void put_padding(struct buffer *out, size_t width, size_t columns) {
  for (; width < columns; width++) put(out, " ");
}

void row_put_title(struct buffer *out, const struct row_style *style) {
  int32_t minutes = style->zone / 60, size = minutes < 0 ? -minutes : minutes;
  size_t begin = out->len;
  buffer_printf(out, "TIME (%c%02d:%02d)", minutes < 0 ? '-' : '+', (int)(size / 60), (int)(size % 60));
  put_padding(out, out->len - begin, TIME_COLUMNS);
  put(out, "  ADDRESS  ");
  put_padding(out, sizeof "ADDRESS" - 1, ADDRESS_COLUMNS);
  put(out, "VALUE\n");
}

static void put_value(struct buffer *out, const struct row *row) {
  if (row->record->value.type == VALUE_TEXT)
    output_put_clean(out, row->record->value.bytes);
  else
    value_put_json(out, &row->record->value);
  if (row->unit.len) put(out, " ");
  output_put_clean(out, row->unit);
}

static void put_quality(struct buffer *out, const struct record *record, bool colour) {
  const char *reason = record_reason_name(record->reason);
  if (record->quality == QUALITY_GOOD) return;
  const char *on = !colour ? "" : record->quality == QUALITY_BAD ? "\033[31m" : "\033[33m";
  buffer_printf(out, "  %s%s%s%s%s", on, record_quality_name(record->quality), reason ? ": " : "", reason ? reason : "",
      *on ? "\033[0m" : "");
}

static void put_way(struct buffer *out, const struct block *block, int32_t zone) {
  for (uint32_t i = 0; i < block->hop_count; i++) {
    put(out, i ? " > " : "  path: ");
    output_put_clean(out, block->hops[i].node);
    put(out, " ");
    units_put_local(out, block->hops[i].time, zone);
    buffer_printf(out, ".%03u", (unsigned)((block->hops[i].time % SECOND_US + SECOND_US) % SECOND_US / 1000));
    if (!block->hops[i].measured) continue;
    put(out, block->hops[i].ahead < 0 ? " (next clock -" : " (next clock +");
    units_put_duration(out, block->hops[i].ahead < 0 ? -block->hops[i].ahead : block->hops[i].ahead);
    put(out, ")");
  }
}

void row_put_line(struct buffer *out, const struct row *row, const struct row_style *style) {
  const struct record *record = row->record;
  units_put_local(out, record->time, style->zone);
  put(out, "  ");
  output_put_clean(out, record->address);
  put(out, "  ");
  put_padding(out, text_width(record->address), ADDRESS_COLUMNS);
  put_value(out, row);
  if (record->kind != RECORD_READING) buffer_printf(out, "  %s", record_kind_name(record->kind));
  put_quality(out, record, style->colour);
  if (row->lane == LANE_BACKFILL) put(out, "  backfill");
  if (style->trace) put_way(out, row->block, style->zone);
  put(out, "\n");
}

/* ---- JSON ---- */

/* The object is closed again behind the path. */
static void put_path(struct buffer *out, const struct block *block) {
  out->len--;
  put(out, ",\"path\":[");
  for (uint32_t i = 0; i < block->hop_count; i++) {
    put(out, i ? ",{\"node\":" : "{\"node\":");
    json_put_text(out, block->hops[i].node);
    put(out, ",\"time\":\"");
    units_put_rfc3339(out, block->hops[i].time);
    put(out, "\"");
    if (block->hops[i].measured) buffer_printf(out, ",\"next_clock_us\":%lld", (long long)block->hops[i].ahead);
    put(out, "}");
  }
  put(out, "]}");
}

void row_put_json(struct buffer *out, const struct row *row, const struct row_style *style) {
  record_put_json(out, row->record, row->unit, row->block->stream, row->block->epoch, row->lane);
  if (style->trace) put_path(out, row->block);
  put(out, "\n");
}

/* ---- CSV ---- */

static bool needs_quotes(struct bytes text) {
  for (size_t i = 0; i < text.len; i++)
    if (strchr("\",\r\n", text.data[i])) return true; /* so does a NUL */
  return text.len > 0 && (text.data[0] == ' ' || text.data[text.len - 1] == ' ');
}

static void put_field(struct buffer *out, struct bytes text, bool clean) {
  struct buffer shown = BUFFER_NULL;
  if (clean) {
    output_put_clean(&shown, text);
    text = buffer_bytes(&shown);
  }
  bool quoted = needs_quotes(text);
  if (quoted) put(out, "\"");
  for (size_t i = 0; quoted && i < text.len; i++) {
    if (text.data[i] == '"') put(out, "\"");
    buffer_append(out, bytes_of(&text.data[i], 1));
  }
  if (quoted) put(out, "\"");
  if (!quoted) buffer_append(out, text);
  buffer_deinit(&shown);
}

static void put_csv_value(struct buffer *out, const struct value *value, bool clean) {
  size_t begin = out->len;
  if (value->type == VALUE_NONE) return;
  if (value->type == VALUE_TEXT) {
    put_field(out, value->bytes, clean);
    return;
  }
  value_put_json(out, value);
  if (value->type != VALUE_BYTES) return;
  memmove(out->data + begin, out->data + begin + 1, out->len - begin - 2); /* base64 needs no quotes */
  out->len -= 2;
}

void row_put_csv_title(struct buffer *out, bool bom) {
  if (bom) put(out, "\xef\xbb\xbf");
  put(out, "time,address,value,unit,quality,reason,stream,epoch,seq\r\n");
}

void row_put_csv(struct buffer *out, const struct row *row, const struct row_style *style) {
  const struct record *record = row->record;
  const char *reason = record->quality == QUALITY_GOOD ? NULL : record_reason_name(record->reason);
  units_put_rfc3339(out, record->time);
  put(out, ",");
  put_field(out, record->address, style->clean);
  put(out, ",");
  put_csv_value(out, &record->value, style->clean);
  put(out, ",");
  put_field(out, row->unit, style->clean);
  buffer_printf(out, ",%s,%s,", record_quality_name(record->quality), reason ? reason : "");
  put_field(out, row->block->stream, style->clean);
  put(out, ",");
  epoch_put_text(out, row->block->epoch);
  buffer_printf(out, ",%llu\r\n", (unsigned long long)record->sequence);
}
