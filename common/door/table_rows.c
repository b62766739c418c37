#include "common/door/table_rows.h"

enum { PAGE_BYTES = 64 * 1024 };

struct buffer *table_rows_add(struct table_rows *rows) {
  if (rows->piece.len)
    buffer_append(&rows->piece, bytes_text(","));
  else
    buffer_printf(&rows->piece, "{\"%s\":[", rows->kind->name);
  return &rows->piece;
}

/* True: nothing waits for the window. */
static bool flush(struct table_rows *rows) {
  if (!rows->piece.len) return true;
  size_t len = rows->piece.len;
  buffer_append(&rows->piece, bytes_text("]}"));
  bool sent = request_rows(rows->request, buffer_bytes(&rows->piece));
  rows->piece.len = sent ? 0 : len;
  return sent;
}

/* False: what follows waits for the next page, or is not wanted. */
static bool take(struct table_rows *rows, struct bytes key, struct bytes value) {
  if (rows->piece.len >= rows->kind->piece_bytes) return false;
  rows->ended = !rows->kind->take(rows, rows->ctx, key, value);
  buffer_clear(&rows->next);
  buffer_append(&rows->next, key);
  buffer_append(&rows->next, bytes_of("", 1)); /* the next key there can be */
  return !rows->ended;
}

static void page_read(void *ctx, void *cookie, const struct store_done *done) {
  struct table_rows *rows = ctx;
  size_t i = 0;
  (void)cookie;
  rows->reading = NULL;
  while (i < done->keyed_count && take(rows, done->keyed[i].key, done->keyed[i].value)) i++;
  if (i == done->keyed_count && !done->next) rows->ended = true;
  if (done->kind != STORE_DONE_READ) rows->ended = true;
  table_rows_more(rows);
}

void table_rows_more(struct table_rows *rows) {
  if (rows->reading || !flush(rows)) return;
  if (rows->ended) {
    request_reply(rows->request, json_pack("{s:b}", "end", 1), true);
    return;
  }
  const struct store_read read = {
      .what = STORE_READ_TABLE, .table = rows->kind->table, .key = buffer_bytes(&rows->next), .max_bytes = PAGE_BYTES};
  rows->reading = errands_read(rows->errands, ERRAND_PATIENT, &read, page_read, rows, NULL);
}

void table_rows_start(struct table_rows *rows, const struct table_rows_kind *kind, struct errands *errands,
    struct request *request, struct bytes from, void *ctx) {
  *rows = (struct table_rows){.kind = kind, .ctx = ctx, .errands = errands, .request = request};
  buffer_append(&rows->next, from);
  table_rows_more(rows);
}

void table_rows_deinit(struct table_rows *rows) {
  errand_forget(rows->reading);
  buffer_deinit(&rows->next);
  buffer_deinit(&rows->piece);
}
