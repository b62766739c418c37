#ifndef RIVERBUS_COMMON_STORE_DONE_H
#define RIVERBUS_COMMON_STORE_DONE_H
/* A completion with what only the store knows of it: the effects that the core's view takes over when it is handed out.
 */
#include "common/store/coverage.h"
#include "common/store/entry.h"

struct done {
  struct store_done face; /* first: the caller holds a pointer to it */
  struct effect *effects;
  size_t effect_count, effect_cap;
  size_t item_cap, entry_cap, keyed_cap, discard_cap;
  struct arena arena;
  struct intervals unreadable;
  struct store_batch *batch; /* its names are what items and effects point to */
  struct store_audit audit;  /* BATCH: the end of the audit log with it; number 0: it added nothing */
  size_t charge;             /* bytes of the submit queue that it still occupies */
  struct done *before;       /* completions that are handed out before this one, in order (linked by next) */
  struct done *next;         /* the list it stands in */
};

struct done *done_new(enum store_done_kind kind, void *cookie);
struct done *done_free(struct done *done);
void done_reset(struct done *done);              /* takes back what planning put in, keeps batch and cookie */
struct store_item *done_item(struct done *done); /* appends one, all zero */
struct store_keyed *done_keyed(struct done *done, struct bytes key, struct bytes value); /* copies both */
/* Appends a copy of what was read; takes one reference of block, which may be NULL. */
void done_entry(struct done *done, const struct entry *entry, struct blob *block);
/* READ of a STREAM: takes over the ranges that must stand in the log and were not met; of TIME: positions that are
 * damaged. What lies behind face.next was not looked at. */
void done_unreadable(struct done *done, struct intervals *unread);
void done_discard(struct done *done, const struct store_discard *discard); /* copies the names */
void done_effect(struct done *done, const struct effect *effect);          /* copies no name: they must live as long */
#endif
