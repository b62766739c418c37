#include "broker/receipt_rows.h"
#include "broker/broker.h"
#include "common/base/mem.h"
#include "common/door/table_rows.h"
#include <stdlib.h>

enum { PIECE_BYTES = 16 * 1024 }; /* a piece takes one of the largest rows more */
static const char prefix[] = "receipt/";

struct receipt_rows {
  struct broker *broker;
  uint64_t since; /* the lowest number that is wanted */
  struct table_rows table;
};

/* ---- one row ---- */

static void put_key(struct buffer *out, const char *between, const struct public_key *key) {
  char text[IDENTITY_KEY_TEXT + 1];
  public_key_text(key, text);
  buffer_printf(out, "%s\"%s\"", between, text);
}

static void put_keys(const struct receipt_rows *rows, struct buffer *out, struct bytes peer) {
  const struct link *link = links_of_peer(&rows->broker->links, peer);
  struct public_key own;
  identity_public(rows->broker->daemon.identity, &own);
  buffer_printf(out, ",\"keys\":[");
  put_key(out, "", &own);
  buffer_printf(out, "],\"peer_keys\":[");
  for (size_t i = 0; link && i < link->config->keys.count; i++)
    put_key(out, i ? "," : "", &link->config->keys.items[i]);
  buffer_printf(out, "]}");
}

static void put_bytes(struct buffer *out, const char *name, struct bytes bytes) {
  const struct value value = {.type = bytes.len > 0 ? VALUE_BYTES : VALUE_NONE, .bytes = bytes};
  buffer_printf(out, ",\"%s\":", name);
  value_put_json(out, &value);
}

static bool begins(struct bytes key) {
  return key.len >= sizeof prefix - 1 && memcmp(key.data, prefix, sizeof prefix - 1) == 0;
}

static bool take_row(struct table_rows *table, void *ctx, struct bytes key, struct bytes value) {
  const struct receipt_rows *rows = ctx;
  struct bytes receipt, answer;
  struct receipt_place place;
  if (!begins(key)) return false;
  if (!receipt_book_place(key, &place) || place.number < rows->since || !receipt_book_value(value, &receipt, &answer))
    return true;
  struct buffer *out = table_rows_add(table);
  buffer_printf(out, "{\"peer\":");
  json_put_text(out, place.peer);
  buffer_printf(out, ",\"direction\":\"%s\"", place.given ? "given" : "taken");
  put_bytes(out, "receipt", receipt);
  put_bytes(out, "answer", answer);
  put_keys(rows, out, place.peer);
  return true;
}

/* ---- the verb ---- */

static const struct table_rows_kind kind = {STORE_META, "receipts", PIECE_BYTES, take_row};

void receipt_rows_start(void *ctx, struct request *request, const json_t *body) {
  struct receipt_rows *rows = mem_alloc(sizeof *rows);
  json_int_t since = json_integer_value(json_object_get(body, "since"));
  rows->broker = ctx;
  rows->since = since > 0 ? (uint64_t)since : 0;
  request->state = rows;
  table_rows_start(&rows->table, &kind, &rows->broker->errands, request, bytes_text(prefix), rows);
}

void receipt_rows_more(void *ctx, struct request *request) {
  struct receipt_rows *rows = request->state;
  (void)ctx;
  if (rows) table_rows_more(&rows->table);
}

void receipt_rows_end(void *ctx, struct request *request) {
  struct receipt_rows *rows = request->state;
  (void)ctx;
  if (!rows) return;
  table_rows_deinit(&rows->table);
  free(rows);
}
