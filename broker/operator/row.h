#ifndef RIVERBUS_BROKER_OPERATOR_ROW_H
#define RIVERBUS_BROKER_OPERATOR_ROW_H
/* One record as `tail` and `history` write it: a line for people, a JSON object, a row of CSV. Pure. */
#include "common/base/table.h"
#include "common/record/block.h"
#include <jansson.h>

/* Units of points, as the node tells them: {"units":[["address","m"],...]}. */
struct unit_names {
  struct table by_address; /* -> text */
};
void unit_names_deinit(struct unit_names *names);
void unit_names_put(struct unit_names *names, struct bytes address, struct bytes unit); /* empty: it has none */
void unit_names_take(struct unit_names *names, const json_t *rows);
struct bytes unit_names_get(const struct unit_names *names, struct bytes address); /* empty: none */

struct row {
  const struct block *block;
  const struct record *record;
  struct bytes unit;
  enum lane lane;
};
struct row_style {
  bool trace; /* with the path: the nodes that took the record, each with its time */
  bool colour;
  bool clean;   /* CSV: control characters as '?', for a terminal */
  int32_t zone; /* seconds east, of times for people */
};
/* The title over lines for people. */
void row_put_title(struct buffer *out, const struct row_style *style);
void row_put_line(struct buffer *out, const struct row *row, const struct row_style *style);
void row_put_json(struct buffer *out, const struct row *row, const struct row_style *style);
/* RFC 4180: lines end with CR LF, a field is quoted where it needs to be; UTF-8, times UTC, '.' in numbers whatever the
 * locale. bom: a byte order mark in front, by which a spreadsheet knows UTF-8. */
void row_put_csv_title(struct buffer *out, bool bom);
void row_put_csv(struct buffer *out, const struct row *row, const struct row_style *style);
#endif
