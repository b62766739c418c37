#include "common/door/listing.h"
#include "common/base/mem.h"
#include "common/base/units.h"
#include <stdlib.h>

enum {
  ROWS_BYTES = 24 * 1024, /* of one piece; a row with the largest descriptor or value still fits a reply */
  TURN_ROWS = 20000,      /* looked at before others have their turn: some milliseconds */
};

static void put_rows(struct listing *listing, struct request *request, size_t end, struct buffer *rows) {
  buffer_printf(rows, "{\"%s\":[", listing->kind->member);
  size_t begin = rows->len;
  while (listing->at < end && rows->len < ROWS_BYTES) {
    size_t before = rows->len;
    if (before > begin) buffer_append(rows, bytes_text(","));
    size_t after = rows->len;
    listing->kind->put(listing, request, listing->at++, rows);
    if (rows->len == after) rows->len = before;
  }
  if (rows->len == begin)
    buffer_clear(rows);
  else
    buffer_append(rows, bytes_text("]}"));
}

void listing_more(void *ctx, struct request *request) {
  struct listing *listing = request->state;
  struct buffer rows = BUFFER_NULL;
  bool sent = true;
  (void)ctx;
  size_t count = listing->kind->count(listing->ctx), end = listing->at < count ? listing->at + TURN_ROWS : count;
  if (end > count) end = count;
  while (sent && listing->at < end) {
    size_t before = listing->at;
    buffer_clear(&rows);
    put_rows(listing, request, end, &rows);
    /* a row that fits no reply is left out */
    sent = !rows.len || rows.len > REQUEST_JSON_MAX || request_rows(request, buffer_bytes(&rows));
    if (!sent) listing->at = before;
  }
  buffer_deinit(&rows);
  if (sent && listing->at >= count)
    request_reply(request, json_pack("{s:b}", "end", 1), true);
  else
    request_again(request);
}

void listing_only(struct listing *listing, struct request *request, size_t index) {
  struct buffer rows = BUFFER_NULL;
  listing->at = index;
  put_rows(listing, request, index + 1, &rows);
  if (rows.len && rows.len <= REQUEST_JSON_MAX) request_reply_text(request, buffer_bytes(&rows), false);
  buffer_deinit(&rows);
  listing->at = SIZE_MAX;
}

void listing_end(void *ctx, struct request *request) {
  struct listing *listing = request->state;
  (void)ctx;
  if (listing) patterns_deinit(&listing->patterns);
  free(listing);
}

struct listing *listing_new(
    struct request *request, const struct listing_kind *kind, void *ctx, struct patterns *patterns) {
  struct listing *listing = mem_alloc(sizeof *listing);
  listing->kind = kind;
  listing->ctx = ctx;
  if (patterns) listing->patterns = *patterns; /* consumes patterns */
  request->state = listing;
  return listing;
}

json_t *listing_time(int64_t us) {
  if (us <= 0) return json_null();
  struct buffer text = BUFFER_NULL;
  units_put_rfc3339(&text, us);
  json_t *out = json_string(buffer_text(&text));
  buffer_deinit(&text);
  return out;
}

void listing_put_json(struct buffer *out, json_t *row) {
  char *text = json_dumps(row, JSON_COMPACT | JSON_REAL_PRECISION(15));
  if (text) buffer_append(out, bytes_text(text));
  free(text);
  json_decref(row);
}
