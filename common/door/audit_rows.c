#include "common/door/audit_rows.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/command/audit.h"
#include "common/door/selection.h"
#include <stdlib.h>

enum {
  PAGE_BYTES = 64 * 1024,
  PIECE_BYTES = 24 * 1024, /* of one reply; what has begun is finished */
  ROW_MAX = REQUEST_JSON_MAX - PIECE_BYTES - 64
};

struct audit_rows {
  struct errands *errands;
  struct request *request;
  struct errand *reading;
  uint64_t next; /* number of the first entry that was not looked at */
  int64_t since, until;
  struct buffer id;   /* empty: all */
  struct buffer rows; /* of the piece that waits for the window */
  bool links;
  bool all; /* the reader may see everything */
  bool ended;
};

static void step(struct audit_rows *rows);

/* ---- what is told ---- */

static bool is_wanted(const struct audit_rows *rows, const struct audit_entry *entry) {
  if (entry->time < rows->since || entry->time > rows->until) return false;
  if (rows->id.len && !bytes_equal(entry->id, buffer_bytes(&rows->id))) return false;
  return rows->all || (entry->address.len && patterns_match(request_requester(rows->request)->read, entry->address));
}

/* Texts full of control characters take six bytes each: such an entry is told without its values, which its own bytes
 * hold. */
static void put_row(const struct audit_rows *rows, struct buffer *out, const struct store_audit *at,
    const struct audit_entry *entry, struct bytes bytes) {
  size_t begin = out->len;
  const uint8_t *link = rows->links ? at->link : NULL;
  audit_put_json(out, at->number, entry, bytes, link);
  if (out->len - begin <= ROW_MAX) return;
  struct audit_entry slim = *entry;
  slim.value = slim.before = slim.actual = VALUE_EMPTY;
  slim.proof = slim.device_message = slim.observed_before = slim.observed_after = BYTES_NULL;
  out->len = begin;
  audit_put_json(out, at->number, &slim, bytes, link);
}

/* One entry into the piece, which keeps its room for one of the largest. */
static void take_row(struct audit_rows *rows, struct bytes key, struct bytes value) {
  struct store_audit at;
  struct audit_entry entry;
  struct bytes bytes;
  if (!store_audit_row(key, value, &at, &bytes)) return;
  rows->next = at.number + 1;
  if (audit_read(&entry, bytes) != 0) { /* of a later version, whose fields cannot be told */
    if (!rows->links || !rows->all) return;
    entry = (struct audit_entry){.value = VALUE_EMPTY, .before = VALUE_EMPTY, .actual = VALUE_EMPTY};
  } else if (!is_wanted(rows, &entry)) {
    return;
  }
  buffer_printf(&rows->rows, "%s", rows->rows.len ? "," : "{\"audit\":[");
  put_row(rows, &rows->rows, &at, &entry, bytes);
}

/* True: nothing waits for the window. */
static bool flush(struct audit_rows *rows) {
  if (!rows->rows.len) return true;
  size_t len = rows->rows.len;
  buffer_append(&rows->rows, bytes_text("]}"));
  bool sent = request_rows(rows->request, buffer_bytes(&rows->rows));
  rows->rows.len = sent ? 0 : len;
  return sent;
}

/* ---- the pages ---- */

static void page_read(void *ctx, void *cookie, const struct store_done *done) {
  struct audit_rows *rows = ctx;
  (void)cookie;
  rows->reading = NULL;
  if (done->kind != STORE_DONE_READ) {
    rows->ended = true;
  } else {
    size_t i = 0;
    while (i < done->keyed_count && rows->rows.len < PIECE_BYTES) {
      take_row(rows, done->keyed[i].key, done->keyed[i].value);
      i++;
    }
    rows->ended = i == done->keyed_count && !done->next;
  }
  step(rows);
}

static void read_page(struct audit_rows *rows) {
  uint8_t key[8];
  store_audit_key(rows->next, key);
  const struct store_read read = {
      .what = STORE_READ_TABLE, .table = STORE_AUDIT, .key = bytes_of(key, sizeof key), .max_bytes = PAGE_BYTES};
  rows->reading = errands_read(rows->errands, ERRAND_PATIENT, &read, page_read, rows, NULL);
}

static void step(struct audit_rows *rows) {
  if (rows->reading || !flush(rows)) return;
  if (rows->ended)
    request_reply(rows->request, json_pack("{s:b}", "end", 1), true);
  else
    read_page(rows);
}

/* ---- the verb ---- */

static int64_t time_of(const json_t *body, const char *name, int64_t otherwise) {
  const json_t *time = json_object_get(body, name);
  return json_is_integer(time) ? json_integer_value(time) : otherwise;
}

void audit_rows_start(struct errands *errands, struct request *request, const json_t *body, struct bytes node) {
  struct audit_rows *rows = mem_alloc(sizeof *rows);
  int64_t from = time_of(body, "from", 1);
  *rows = (struct audit_rows){.errands = errands,
      .request = request,
      .next = from > 1 ? (uint64_t)from : 1,
      .since = time_of(body, "since", INT64_MIN),
      .until = time_of(body, "until", INT64_MAX),
      .links = json_is_true(json_object_get(body, "links")),
      .all = patterns_extent(request_requester(request)->read, node) == SELECTION_ALL};
  buffer_append(&rows->id, bytes_text(json_string_value(json_object_get(body, "id"))));
  request->state = rows;
  step(rows);
}

void audit_rows_more(void *ctx, struct request *request) {
  (void)ctx;
  if (request->state) step(request->state);
}

void audit_rows_end(void *ctx, struct request *request) {
  struct audit_rows *rows = request->state;
  (void)ctx;
  if (!rows) return;
  errand_forget(rows->reading);
  buffer_deinit(&rows->id);
  buffer_deinit(&rows->rows);
  free(rows);
}
