#ifndef RIVERBUS_COMMON_DOOR_TABLE_ROWS_H
#define RIVERBUS_COMMON_DOOR_TABLE_ROWS_H
/*
 * A table of the store as JSON for an operator: {"NAME":[row,...]} pieces, then {"end":true}. Read page by page, and
 * only while the request's window takes what was read. Its owner embeds it and lives as long as the request; from the
 * core's thread, never blocks.
 */
#include "common/door/errands.h"
#include "common/door/requests.h"

struct table_rows;
struct table_rows_kind {
  enum store_table table;
  const char *name;
  size_t piece_bytes; /* a piece that has reached them is told; the row that began before is finished */
  /* A row in the order of the keys: begins with table_rows_add, or adds nothing. False: no further one is wanted. */
  bool (*take)(struct table_rows *rows, void *ctx, struct bytes key, struct bytes value);
};
struct table_rows {
  const struct table_rows_kind *kind;
  void *ctx;
  struct errands *errands;
  struct request *request;
  struct errand *reading;
  struct buffer next;  /* the key to go on from */
  struct buffer piece; /* what waits for the window */
  bool ended;
};

/* Begins with the first key at or after `from`. kind: static; ctx: for take. */
void table_rows_start(struct table_rows *rows, const struct table_rows_kind *kind, struct errands *errands,
    struct request *request, struct bytes from, void *ctx);
void table_rows_more(struct table_rows *rows); /* the window may take more */
void table_rows_deinit(struct table_rows *rows);
/* Where take writes its row: behind what parts it from the one before. */
struct buffer *table_rows_add(struct table_rows *rows);
#endif
