#include "common/door/audit_rows.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/command/audit.h"
#include "common/door/selection.h"
#include "common/door/table_rows.h"
#include <stdlib.h>

enum {
  PIECE_BYTES = 24 * 1024, /* of one reply; what has begun is finished */
  ROW_MAX = REQUEST_JSON_MAX - PIECE_BYTES - 64
};

struct audit_rows {
  struct table_rows table;
  int64_t since, until;
  struct buffer id; /* empty: all */
  bool links;
  bool all; /* the reader may see everything */
};

/* ---- what is told ---- */

static bool is_wanted(const struct audit_rows *rows, const struct audit_entry *entry) {
  if (entry->time < rows->since || entry->time > rows->until) return false;
  if (rows->id.len && !bytes_equal(entry->id, buffer_bytes(&rows->id))) return false;
  return rows->all ||
         (entry->address.len && patterns_match(request_requester(rows->table.request)->read, entry->address));
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

static bool take_row(struct table_rows *table, void *ctx, struct bytes key, struct bytes value) {
  const struct audit_rows *rows = ctx;
  struct store_audit at;
  struct audit_entry entry;
  struct bytes bytes;
  if (!store_audit_row(key, value, &at, &bytes)) return true;
  if (audit_read(&entry, bytes) != 0) { /* of a later version, whose fields cannot be told */
    if (!rows->links || !rows->all) return true;
    entry = (struct audit_entry){.value = VALUE_EMPTY, .before = VALUE_EMPTY, .actual = VALUE_EMPTY};
  } else if (!is_wanted(rows, &entry)) {
    return true;
  }
  put_row(rows, table_rows_add(table), &at, &entry, bytes);
  return true;
}

/* ---- the verb ---- */

static int64_t time_of(const json_t *body, const char *name, int64_t otherwise) {
  const json_t *time = json_object_get(body, name);
  return json_is_integer(time) ? json_integer_value(time) : otherwise;
}

static const struct table_rows_kind kind = {STORE_AUDIT, "audit", PIECE_BYTES, take_row};

void audit_rows_start(struct errands *errands, struct request *request, const json_t *body, struct bytes node) {
  struct audit_rows *rows = mem_alloc(sizeof *rows);
  int64_t from = time_of(body, "from", 1);
  uint8_t key[8];
  rows->since = time_of(body, "since", INT64_MIN);
  rows->until = time_of(body, "until", INT64_MAX);
  rows->links = json_is_true(json_object_get(body, "links"));
  rows->all = patterns_extent(request_requester(request)->read, node) == SELECTION_ALL;
  buffer_append(&rows->id, bytes_text(json_string_value(json_object_get(body, "id"))));
  request->state = rows;
  store_audit_key(from > 1 ? (uint64_t)from : 1, key);
  table_rows_start(&rows->table, &kind, errands, request, bytes_of(key, sizeof key), rows);
}

void audit_rows_more(void *ctx, struct request *request) {
  struct audit_rows *rows = request->state;
  (void)ctx;
  if (rows) table_rows_more(&rows->table);
}

void audit_rows_end(void *ctx, struct request *request) {
  struct audit_rows *rows = request->state;
  (void)ctx;
  if (!rows) return;
  table_rows_deinit(&rows->table);
  buffer_deinit(&rows->id);
  free(rows);
}
