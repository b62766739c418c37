#ifndef RIVERBUS_GATEWAY_WORTH_H
#define RIVERBUS_GATEWAY_WORTH_H
/*
 * What a payload, or a member of it, is worth at a point: type, map, scale and offset, range. Pure. A good worth is of
 * the point's type; a bad one is of whatever type the payload was, or VALUE_NONE.
 */
#include "gateway/points.h"
#include <jansson.h>

struct worth {
  struct value value;
  bool is_faulty; /* `fault` says why */
  enum point_fault fault;
  bool is_lost;              /* it cannot be represented: no record */
  enum record_reason reason; /* of a faulty one that is kept */
  char text[32];             /* of a number, for the map */
};

/* the whole payload is the value; views into it */
void worth_of_text(struct worth *worth, const struct gateway_point *point, struct bytes payload);
void worth_of_json(struct worth *worth, const struct gateway_point *point, const json_t *json); /* views into json */
#endif
