#ifndef RIVERBUS_BROKER_OPERATOR_LOGBOOK_H
#define RIVERBUS_BROKER_OPERATOR_LOGBOOK_H
/*
 * The operating log as a bureau keeps it: one row for each order, made of the many entries that an audit log has about
 * it. Pure. A row is a JSON object: id, verb, address, value, by, approved_by, basis, issued, deadline, start (the
 * device was told), end (its end is known), before, actual (of the point itself), observed_before, observed_after
 * (levels and flows), state, code, message, fence; null for what is not known.
 */
#include "common/base/buffer.h"
#include "common/base/table.h"
#include <jansson.h>

struct logbook {
  struct table rows; /* by the order's id: json_t */
  json_t *list;      /* the same rows, in the order in which they were first heard of */
};
void logbook_init(struct logbook *logbook);
void logbook_deinit(struct logbook *logbook);
/* An entry of the log, as audit_put_json writes it; later ones after earlier ones. What tells of no order is passed
 * over: a selection and a dry run move nothing. */
void logbook_take(struct logbook *logbook, const json_t *entry);
/* Whether the order was issued between the two, µs UTC; with INT64_MIN and INT64_MAX each is. */
bool logbook_is_within(const json_t *row, int64_t since, int64_t until);
/* Appends a list of observations for people: "gauge-1/level 178.52 m, gauge-1/flow 1200 m3/s (uncertain)". */
void logbook_put_observed(struct buffer *out, const json_t *list);
#endif
