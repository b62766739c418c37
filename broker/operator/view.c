#include "broker/operator/view.h"
#include "broker/operator/output.h"
#include "common/base/mem.h"
#include "common/base/units.h"
#include "common/base/world.h"
#include <libsmartcols/libsmartcols.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* ---- JSON ---- */

static void put_members(struct buffer *out, const json_t *object) {
  const char *name;
  json_t *member;
  bool first = true;
  json_object_foreach((json_t *)(uintptr_t)object, name, member) {
    buffer_append(out, bytes_text(first ? "{" : ","));
    json_put_text(out, bytes_text(name));
    buffer_append(out, bytes_text(":"));
    view_put_json(out, member);
    first = false;
  }
  buffer_append(out, bytes_text(first ? "{}" : "}"));
}

static void put_items(struct buffer *out, const json_t *array) {
  buffer_append(out, bytes_text("["));
  for (size_t i = 0; i < json_array_size(array); i++) {
    if (i) buffer_append(out, bytes_text(","));
    view_put_json(out, json_array_get(array, i));
  }
  buffer_append(out, bytes_text("]"));
}

void view_put_json(struct buffer *out, const json_t *value) {
  struct value number = {.type = VALUE_NUMBER};
  switch (json_typeof(value)) {
    case JSON_OBJECT: put_members(out, value); break;
    case JSON_ARRAY: put_items(out, value); break;
    case JSON_STRING: json_put_text(out, bytes_of(json_string_value(value), json_string_length(value))); break;
    case JSON_INTEGER: buffer_printf(out, "%lld", (long long)json_integer_value(value)); break;
    case JSON_REAL:
      number.number = json_real_value(value);
      value_put_json(out, &number);
      break;
    case JSON_TRUE: buffer_append(out, bytes_text("true")); break;
    case JSON_FALSE: buffer_append(out, bytes_text("false")); break;
    case JSON_NULL: buffer_append(out, bytes_text("null")); break;
  }
}

bool view_print_json(const json_t *value) {
  struct buffer text = BUFFER_NULL;
  view_put_json(&text, value);
  buffer_append(&text, bytes_text("\n"));
  bool good = fwrite(text.data, 1, text.len, stdout) == text.len;
  if (output_said()) good = false;
  buffer_deinit(&text);
  return good;
}

/* ---- tables ---- */

struct view {
  struct libscols_table *table;
  size_t columns;
};

struct view *view_new(const struct view_column *columns, size_t count) {
  struct view *view = mem_alloc(sizeof *view);
  view->table = scols_new_table();
  view->columns = count;
  scols_table_enable_colors(view->table, output_has_colour());
  scols_table_set_column_separator(view->table, "  ");
  for (size_t i = 0; i < count; i++)
    scols_table_new_column(view->table, columns[i].title, 0, columns[i].right ? SCOLS_FL_RIGHT : 0);
  return view;
}

void view_add(struct view *view, const char *const *cells, size_t coloured, const char *colour) {
  struct libscols_line *line = scols_table_new_line(view->table, NULL);
  for (size_t i = 0; i < view->columns; i++) {
    scols_line_set_data(line, i, cells[i] ? cells[i] : "");
    if (colour && i == coloured) scols_cell_set_color(scols_line_get_cell(line, i), colour);
  }
}

void view_print(struct view *view, size_t sort, const char *empty) {
  if (!view) return;
  if (empty && scols_table_get_nlines(view->table) == 0) fprintf(stderr, "%s\n", empty);
  if (sort < view->columns) {
    struct libscols_column *column = scols_table_get_column(view->table, sort);
    scols_column_set_cmpfunc(column, scols_cmpstr_cells, NULL);
    scols_sort_table(view->table, column);
  }
  scols_print_table(view->table);
  scols_unref_table(view->table);
  free(view);
}

/* ---- colours ---- */

const char *view_state_colour(const char *name) {
  enum state state = state_parse(bytes_text(name));
  if (state == STATE_EXECUTED) return "green";
  if (state == STATE_UNKNOWN || state == STATE_FAILED || state == STATE_REJECTED || state == STATE_UNDELIVERED)
    return "red";
  return state_is_final(state) ? "yellow" : NULL;
}

const char *view_quality_colour(const char *quality) {
  return strcmp(quality, "bad") == 0 ? "red" : strcmp(quality, "uncertain") == 0 ? "yellow" : NULL;
}

const char *view_colour_on(const char *colour) {
  if (!colour || !output_has_colour()) return "";
  return strcmp(colour, "red") == 0 ? "\033[31m" : strcmp(colour, "green") == 0 ? "\033[32m" : "\033[33m";
}

const char *view_colour_off(const char *colour) { return colour && output_has_colour() ? "\033[0m" : ""; }

/* ---- texts ---- */

enum { RING = 16 };

static struct buffer *ring_next(void) {
  static struct buffer ring[RING];
  static unsigned at;
  struct buffer *next = &ring[at++ % RING];
  buffer_clear(next);
  return next;
}

const char *view_text(const json_t *object, const char *member) {
  const json_t *value = json_object_get(object, member);
  struct buffer *text = ring_next();
  if (json_is_string(value))
    output_put_clean(text, bytes_of(json_string_value(value), json_string_length(value)));
  else if (value && !json_is_null(value))
    view_put_json(text, value);
  return buffer_text(text);
}

const char *view_hint(const char *hint, const char *address) {
  static const char name[] = "ADDRESS";
  const char *at = address && *address ? strstr(hint, name) : NULL;
  if (!at) return hint;
  struct buffer *text = ring_next();
  buffer_printf(text, "%.*s%s%s", (int)(at - hint), hint, address, at + sizeof name - 1);
  return buffer_text(text);
}

const char *view_count(const json_t *object, const char *member) {
  struct buffer *text = ring_next();
  buffer_printf(text, "%lld", (long long)json_integer_value(json_object_get(object, member)));
  return buffer_text(text);
}

int32_t view_zone(void) {
  time_t now = (time_t)(world_now(&world_system).wall / SECOND_US);
  struct tm local;
  return localtime_r(&now, &local) ? (int32_t)local.tm_gmtoff : 0;
}

const char *view_zone_title(const char *title) {
  int32_t zone = view_zone(), minutes = (zone < 0 ? -zone : zone) / 60;
  struct buffer *text = ring_next();
  buffer_printf(text, "%s (%c%02d:%02d)", title, zone < 0 ? '-' : '+', minutes / 60, minutes % 60);
  return buffer_text(text);
}

const char *view_time(const json_t *object, const char *member) {
  const char *stamp = json_string_value(json_object_get(object, member));
  struct buffer *text = ring_next();
  int64_t us;
  if (stamp && units_rfc3339(bytes_text(stamp), &us) == 0) units_put_local(text, us, view_zone());
  return buffer_text(text);
}

const char *view_age(const json_t *object, const char *member, int64_t now) {
  const char *stamp = json_string_value(json_object_get(object, member));
  struct buffer *text = ring_next();
  int64_t us;
  if (!stamp || units_rfc3339(bytes_text(stamp), &us)) return buffer_text(text);
  if (us > now) buffer_append(text, bytes_text("in "));
  units_put_duration(text, us > now ? us - now : now - us);
  return buffer_text(text);
}

const char *view_us(int64_t us) {
  struct buffer *text = ring_next();
  if (us < 0) buffer_append(text, bytes_text("-"));
  units_put_duration(text, us < 0 ? -us : us);
  return buffer_text(text);
}

const char *view_size(uint64_t bytes) {
  struct buffer *text = ring_next();
  units_put_size(text, bytes);
  return buffer_text(text);
}
