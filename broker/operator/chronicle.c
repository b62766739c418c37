#include "broker/operator/chronicle.h"
#include "common/base/mem.h"
#include "common/base/world.h"
#include <stdlib.h>

#define FIRST_SPAN (60 * SECOND_US)
enum { GROWTH = 4, FITS_WELL = 8 };

static int64_t add(int64_t a, int64_t b) {
  int64_t sum;
  return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static int64_t length(int64_t from, int64_t to) {
  int64_t span;
  return __builtin_sub_overflow(to, from, &span) ? INT64_MAX : span;
}

static int64_t span_end(const struct chronicle *chronicle, int64_t span) {
  int64_t to = add(chronicle->from, span);
  return to < chronicle->until ? to : chronicle->until;
}

void chronicle_init(struct chronicle *chronicle, int64_t since, int64_t until) {
  *chronicle = (struct chronicle){.from = since, .until = until, .quality = CHRONICLE_USABLE};
  chronicle->to = span_end(chronicle, FIRST_SPAN);
}

void chronicle_deinit(struct chronicle *chronicle) {
  unit_names_deinit(&chronicle->units);
  table_deinit(&chronicle->streams, free);
  buffer_deinit(&chronicle->text);
  free(chronicle->lines);
  chronicle->lines = NULL;
}

void chronicle_title(const struct chronicle *chronicle, bool bom, struct buffer *out) {
  if (chronicle->form == CHRONICLE_CSV) row_put_csv_title(out, bom);
  if (chronicle->form == CHRONICLE_LINES) row_put_title(out, &chronicle->style);
}

/* ---- order ---- */

static int key_compare(const struct chronicle_key *a, const struct chronicle_key *b) {
  if (a->at != b->at) return a->at < b->at ? -1 : 1;
  if (!a->stream || !b->stream) return (a->stream != NULL) - (b->stream != NULL);
  int order = strcmp(a->stream, b->stream);
  if (order == 0) order = epoch_compare(a->epoch, b->epoch);
  return order ? order : a->sequence < b->sequence ? -1 : a->sequence > b->sequence;
}

static int line_order(const void *a, const void *b) {
  const struct chronicle_line *left = a, *right = b;
  return key_compare(&left->key, &right->key);
}

static const char *stream_name(struct chronicle *chronicle, struct bytes stream) {
  char *name = table_get(&chronicle->streams, stream);
  if (!name) table_put(&chronicle->streams, stream, name = mem_text(stream.data, stream.len));
  return name;
}

/* ---- taking ---- */

static size_t held(const struct chronicle *chronicle) {
  return chronicle->text.len + chronicle->line_count * sizeof *chronicle->lines;
}

void chronicle_sort(struct chronicle *chronicle) {
  if (chronicle->line_count) qsort(chronicle->lines, chronicle->line_count, sizeof *chronicle->lines, line_order);
  chronicle->told = 0;
}

/* Keeps the earlier half. */
static void halve(struct chronicle *chronicle) {
  struct buffer text = BUFFER_NULL;
  chronicle_sort(chronicle);
  chronicle->line_count = (chronicle->line_count + 1) / 2;
  for (size_t i = 0; i < chronicle->line_count; i++) {
    struct chronicle_line *line = &chronicle->lines[i];
    buffer_append(&text, bytes_of(chronicle->text.data + line->offset, line->len));
    line->offset = text.len - line->len;
  }
  buffer_deinit(&chronicle->text);
  chronicle->text = text;
  chronicle->cut = true;
  chronicle->last = chronicle->lines[chronicle->line_count - 1].key;
}

static void put_row(struct chronicle *chronicle, const struct row *row) {
  switch (chronicle->form) {
    case CHRONICLE_LINES: row_put_line(&chronicle->text, row, &chronicle->style); break;
    case CHRONICLE_JSON: row_put_json(&chronicle->text, row, &chronicle->style); break;
    case CHRONICLE_CSV: row_put_csv(&chronicle->text, row, &chronicle->style); break;
  }
}

/* A record of another quality is a line without text: so it is counted once, where it stands. */
static bool is_of_quality(const struct chronicle *chronicle, const struct record *record) {
  if (chronicle->quality == CHRONICLE_ANY || record->quality == QUALITY_GOOD) return true;
  return chronicle->quality == CHRONICLE_USABLE && record->quality == QUALITY_UNCERTAIN;
}

static void take_row(struct chronicle *chronicle, const struct row *row, const struct chronicle_key *key) {
  if (chronicle->line_count == chronicle->line_cap) {
    chronicle->line_cap = chronicle->line_cap ? chronicle->line_cap * 2 : 1024;
    chronicle->lines = mem_resize(chronicle->lines, chronicle->line_cap, sizeof *chronicle->lines);
  }
  struct chronicle_line *line = &chronicle->lines[chronicle->line_count++];
  *line = (struct chronicle_line){.key = *key, .offset = chronicle->text.len};
  if (is_of_quality(chronicle, row->record)) put_row(chronicle, row);
  line->len = chronicle->text.len - line->offset;
  if (held(chronicle) > chronicle->most && chronicle->line_count > 1) halve(chronicle);
}

static bool is_wanted(const struct chronicle *chronicle, const struct chronicle_key *key) {
  if (key->at < chronicle->from || key->at >= chronicle->to) return false;
  if (chronicle->after.stream && key_compare(key, &chronicle->after) <= 0) return false;
  return !chronicle->cut || key_compare(key, &chronicle->last) < 0;
}

void chronicle_take(struct chronicle *chronicle, struct bytes bytes, enum lane lane) {
  struct block block;
  struct block_reader *reader = NULL;
  struct record record;
  if (block_open(&block, bytes) || block_reader_new(&reader, &block)) {
    chronicle->malformed++;
    return;
  }
  struct chronicle_key key = {.stream = stream_name(chronicle, block.stream), .epoch = block.epoch};
  while (block_reader_next(reader, &record) == 0) {
    if (record.kind != RECORD_READING && record.kind != RECORD_EVENT) continue;
    key.at = chronicle->by_received ? record.received : record.time;
    key.sequence = record.sequence;
    const struct row row = {&block, &record, unit_names_get(&chronicle->units, record.address), lane};
    if (is_wanted(chronicle, &key)) take_row(chronicle, &row, &key);
  }
  block_reader_free(reader);
}

/* ---- telling ---- */

bool chronicle_tell(struct chronicle *chronicle, size_t room, struct buffer *out) {
  size_t full = out->len + room;
  for (; chronicle->told < chronicle->line_count && out->len < full; chronicle->told++) {
    const struct chronicle_line *line = &chronicle->lines[chronicle->told];
    buffer_append(out, bytes_of(chronicle->text.data + line->offset, line->len));
    if (line->len)
      chronicle->count++;
    else
      chronicle->left_out++;
  }
  return chronicle->told < chronicle->line_count;
}

/* The same span once more, from its beginning: it did not come whole. */
static void chronicle_again(struct chronicle *chronicle) {
  chronicle->line_count = chronicle->told = 0;
  chronicle->cut = false;
  buffer_clear(&chronicle->text);
}

bool chronicle_next(struct chronicle *chronicle) {
  int64_t span = length(chronicle->from, chronicle->to);
  if (chronicle->cut) {
    chronicle->after = chronicle->last;
    span = add(length(chronicle->from, chronicle->last.at), 1);
    chronicle->from = chronicle->last.at;
  } else {
    chronicle->after.stream = NULL;
    chronicle->from = chronicle->to;
    if (held(chronicle) <= chronicle->most / FITS_WELL) span = span > INT64_MAX / GROWTH ? INT64_MAX : span * GROWTH;
  }
  chronicle->to = span_end(chronicle, span);
  chronicle_again(chronicle);
  return chronicle->from < chronicle->until;
}
