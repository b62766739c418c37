#ifndef RIVERBUS_BROKER_GRANTED_H
#define RIVERBUS_BROKER_GRANTED_H
/*
 * To whom other provinces let their stations' data be passed on, as the grants of the block said that came last of each
 * (common/record/onward.h). The stream itself needs none of this, its blocks carry their grants; it is for what is told
 * of points outside the stream: a neighbour's snapshot. Kept in STORE_META under "onward/STATION".
 */
#include "common/base/table.h"
#include "common/store/store.h"

enum { GRANTED_MAX = 20000 }; /* stations; of more nothing is told outside the stream */
struct granted {
  struct table stations; /* struct granted_station */
  struct granted_station *unsaved;
};
int granted_load(struct granted *granted, struct store *store); /* at the start; <0: disk */
void granted_deinit(struct granted *granted);
/* What a stored block of that station (the owner of its stream) carries. True: of this station nothing was known. */
bool granted_note(struct granted *granted, struct bytes station, struct bytes grants);
struct bytes granted_find(const struct granted *granted, struct bytes station); /* empty: nothing */
void granted_save(struct granted *granted, struct store_batch *batch);          /* what has changed since */
#endif
