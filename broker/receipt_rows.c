#include "broker/receipt_rows.h"
#include "broker/broker.h"
#include "common/base/mem.h"
#include <stdlib.h>

enum { PAGE_BYTES = 64 * 1024, PIECE_BYTES = 16 * 1024 }; /* a piece takes one of the largest rows more */
static const char prefix[] = "receipt/";

struct receipt_rows {
  struct broker *broker;
  struct request *request;
  struct errand *reading;
  uint64_t since;
  struct buffer next; /* key to go on from */
  struct buffer rows; /* of the piece that waits for the window */
  bool ended;
};

static void step(struct receipt_rows *rows);

/* ---- one row ---- */

static void put_key(struct buffer *out, const char *between, const struct public_key *key) {
  char text[IDENTITY_KEY_TEXT + 1];
  public_key_text(key, text);
  buffer_printf(out, "%s\"%s\"", between, text);
}

static void put_keys(struct receipt_rows *rows, struct bytes peer) {
  struct buffer *out = &rows->rows;
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

static void take_row(struct receipt_rows *rows, struct bytes key, struct bytes value) {
  struct bytes receipt, answer;
  struct receipt_place place;
  if (!receipt_book_place(key, &place) || place.number < rows->since || !receipt_book_value(value, &receipt, &answer))
    return;
  buffer_printf(&rows->rows, "%s{\"peer\":", rows->rows.len ? "," : "{\"receipts\":[");
  json_put_text(&rows->rows, place.peer);
  buffer_printf(&rows->rows, ",\"direction\":\"%s\"", place.given ? "given" : "taken");
  put_bytes(&rows->rows, "receipt", receipt);
  put_bytes(&rows->rows, "answer", answer);
  put_keys(rows, place.peer);
}

/* ---- pages ---- */

/* True: nothing waits for the window. */
static bool flush(struct receipt_rows *rows) {
  if (!rows->rows.len) return true;
  size_t len = rows->rows.len;
  buffer_append(&rows->rows, bytes_text("]}"));
  bool sent = request_rows(rows->request, buffer_bytes(&rows->rows));
  rows->rows.len = sent ? 0 : len;
  return sent;
}

static void page_read(void *ctx, void *cookie, const struct store_done *done) {
  struct receipt_rows *rows = ctx;
  (void)cookie;
  rows->reading = NULL;
  rows->ended = done->kind != STORE_DONE_READ || !done->next;
  for (size_t i = 0; i < done->keyed_count; i++) {
    struct bytes key = done->keyed[i].key;
    if (!begins(key) || rows->rows.len >= PIECE_BYTES) {
      rows->ended = !begins(key);
      break;
    }
    take_row(rows, key, done->keyed[i].value);
    buffer_clear(&rows->next);
    buffer_append(&rows->next, key);
    buffer_append(&rows->next, bytes_of("", 1)); /* the next key there can be */
  }
  step(rows);
}

static void step(struct receipt_rows *rows) {
  if (rows->reading || !flush(rows)) return;
  if (rows->ended) {
    request_reply(rows->request, json_pack("{s:b}", "end", 1), true);
    return;
  }
  const struct store_read read = {
      .what = STORE_READ_TABLE, .table = STORE_META, .key = buffer_bytes(&rows->next), .max_bytes = PAGE_BYTES};
  rows->reading = errands_read(&rows->broker->errands, ERRAND_PATIENT, &read, page_read, rows, NULL);
}

/* ---- the verb ---- */

void receipt_rows_start(void *ctx, struct request *request, const json_t *body) {
  struct receipt_rows *rows = mem_alloc(sizeof *rows);
  json_int_t since = json_integer_value(json_object_get(body, "since"));
  *rows = (struct receipt_rows){.broker = ctx, .request = request, .since = since > 0 ? (uint64_t)since : 0};
  buffer_append(&rows->next, bytes_text(prefix));
  request->state = rows;
  step(rows);
}

void receipt_rows_more(void *ctx, struct request *request) {
  (void)ctx;
  if (request->state) step(request->state);
}

void receipt_rows_end(void *ctx, struct request *request) {
  struct receipt_rows *rows = request->state;
  (void)ctx;
  if (!rows) return;
  errand_forget(rows->reading);
  buffer_deinit(&rows->next);
  buffer_deinit(&rows->rows);
  free(rows);
}
