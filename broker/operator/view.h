#ifndef RIVERBUS_BROKER_OPERATOR_VIEW_H
#define RIVERBUS_BROKER_OPERATOR_VIEW_H
/* How things are shown: tables (libsmartcols, so that Chinese names have their width), colours, times, values, JSON. */
#include "common/command/state.h"
#include "common/record/record.h"
#include <jansson.h>

/* JSON with numbers in their shortest exact form, members in order, no newline. */
void view_put_json(struct buffer *out, const json_t *value);
/* Prints it as a line. False: the output failed. */
bool view_print_json(const json_t *value);

struct view_column {
  const char *title;
  bool right;
};
struct view;
struct view *view_new(const struct view_column *columns, size_t count);
/* Cells are copied; NULL is an empty one. colour: NULL, or a name such as "red", for the last cell that is coloured
 * (index). */
void view_add(struct view *view, const char *const *cells, size_t coloured, const char *colour);
/* Prints and frees; NULL is nothing. sort: column to sort by (as text), or SIZE_MAX. empty: what is said, on standard
 * error, where there is no row; or NULL. */
void view_print(struct view *view, size_t sort, const char *empty);

/* "red", "green", "yellow", or NULL. */
const char *view_state_colour(const char *state);
const char *view_quality_colour(const char *quality);
const char *view_colour_on(const char *colour); /* the sequence, or "" where there is no colour */
const char *view_colour_off(const char *colour);

/* Text of JSON members for people, without control characters; "" for null or none. Owned by a ring of 16: use at once.
 */
const char *view_text(const json_t *object, const char *member);
/* A hint whose `... ADDRESS` is that address, so that it can be copied as it stands; "" or NULL: as it is. Of the ring
 * too. */
const char *view_hint(const char *hint, const char *address);
const char *view_time(const json_t *object, const char *member); /* local, from RFC 3339 */
const char *view_age(const json_t *object, const char *member, int64_t now);
const char *view_us(int64_t us); /* a duration */
const char *view_size(uint64_t bytes);
const char *view_count(const json_t *object, const char *member);
int32_t view_zone(void);                        /* of this machine now, seconds east */
const char *view_zone_title(const char *title); /* "time (+08:00)" */
#endif
