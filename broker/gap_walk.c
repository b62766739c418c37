#include "broker/gap_walk.h"
#include "broker/broker.h"
#include "broker/gap_read.h"
#include "broker/gap_sources.h"
#include "common/base/mem.h"
#include "common/base/units.h"
#include <stdlib.h>

enum { PAGE_BYTES = 128 * 1024, PIECE_BYTES = 24 * 1024 };

struct part {          /* one epoch of a stream; epoch 0: nothing is known of a stream that should be there */
  struct bytes stream; /* owned */
  struct epoch epoch;
  uint64_t floor, last;
};
struct gap_walk {
  struct broker *broker;
  struct request *request;
  struct errand *reading;
  struct part *parts;
  size_t count, at;
  struct gap_fold fold;
  struct gap_facts facts; /* of the part at hand; texts of its discards are owned */
  struct gap_discard *discards;
  struct gap_sources sources;
  struct gap_words words; /* of the sources, about the part at hand */
  bool begun;             /* the part at hand is being read */
  uint64_t low, high;     /* while they are apart the beginning of the period is searched for between them */
  uint64_t start, next;   /* where reading begins, goes on */
  struct buffer rows;     /* JSON objects, each ended by a newline, that wait for the window */
  size_t sent;            /* of them */
};

static void step(struct gap_walk *walk);

/* ---- rows ---- */

static void put_number(struct buffer *out, const char *name, uint64_t number) {
  buffer_printf(out, ",\"%s\":%llu", name, (unsigned long long)number);
}

static void put_text(struct buffer *out, const char *name, struct bytes text) {
  buffer_printf(out, ",\"%s\":", name);
  if (text.len > 0)
    json_put_text(out, text);
  else
    buffer_printf(out, "null");
}

static void put_time(struct buffer *out, const char *name, int64_t time) {
  buffer_printf(out, ",\"%s\":", name);
  if (time <= 0 || time == INT64_MAX) {
    buffer_printf(out, "null");
    return;
  }
  buffer_printf(out, "\"");
  units_put_rfc3339(out, time);
  buffer_printf(out, "\"");
}

static void put_stream(struct gap_walk *walk) {
  buffer_printf(&walk->rows, "{\"stream\":");
  json_put_text(&walk->rows, walk->parts[walk->at].stream);
}

static void put_range(struct buffer *out, const struct gap_row *row) {
  if (row->state == GAP_SILENT) {
    buffer_printf(out, ",\"epoch\":null,\"from\":null,\"to\":null");
    return;
  }
  buffer_printf(out, ",\"epoch\":\"");
  epoch_put_text(out, row->epoch);
  buffer_printf(out, "\"");
  put_number(out, "from", row->from);
  put_number(out, "to", row->to);
}

static void take_row(void *ctx, const struct gap_row *row) {
  struct gap_walk *walk = ctx;
  struct buffer *out = &walk->rows;
  put_stream(walk);
  put_range(out, row);
  put_text(out, "state", bytes_text(gap_state_name(row->state)));
  put_number(out, "records", row->records);
  put_text(out, "by", row->by);
  put_text(out, "reason", row->reason);
  put_time(out, "named", row->named);
  put_time(out, "since", row->since);
  put_time(out, "until", row->until);
  buffer_printf(out, ",\"wanting\":%s}\n", row->wanting ? "true" : "false");
}

static void put_sources(struct gap_walk *walk) {
  struct buffer *out = &walk->rows;
  buffer_printf(out, ",\"sources\":[");
  for (size_t i = 0; i < walk->sources.count; i++) {
    const struct link *link = walk->sources.links[i];
    struct node_peer_status status;
    node_peer_status(walk->broker->node, link->peer, &status);
    buffer_printf(out, "%s{\"name\":", i ? "," : "");
    json_put_text(out, bytes_text(link->principal));
    buffer_printf(out, ",\"up\":%s", status.up ? "true" : "false");
    put_time(out, "since", status.since);
    put_text(out, "state", bytes_text(link->refused[0] && !status.up ? link->refused : status.state));
    buffer_printf(out, "}");
  }
  buffer_printf(out, "]");
}

static void put_end(struct gap_walk *walk) {
  const struct gap_totals *totals = &walk->fold.totals;
  struct buffer *out = &walk->rows;
  gap_sources_of(&walk->broker->links, walk->broker->links.name, walk->parts[walk->at].stream, &walk->sources);
  put_stream(walk);
  buffer_printf(out, ",\"complete\":%s", totals->wanting ? "false" : "true");
  put_time(out, "since", walk->fold.life.first);
  put_time(out, "until", walk->fold.life.last);
  put_number(out, "held", totals->held);
  put_number(out, "filtered", totals->filtered);
  put_number(out, "discarded", totals->discarded);
  put_number(out, "missing", totals->missing);
  put_number(out, "lost", totals->lost);
  put_number(out, "silent_us", (uint64_t)totals->silent_us);
  put_sources(walk);
  buffer_printf(out, "}\n");
}

/* One piece of whole rows; false: the window is full. */
static bool send_piece(struct gap_walk *walk) {
  struct buffer piece = BUFFER_NULL;
  size_t at = walk->sent;
  buffer_printf(&piece, "{\"gaps\":[");
  while (at < walk->rows.len && piece.len < PIECE_BYTES) {
    const uint8_t *begin = walk->rows.data + at, *end = memchr(begin, '\n', walk->rows.len - at);
    if (at > walk->sent) buffer_append(&piece, bytes_text(","));
    buffer_append(&piece, bytes_of(begin, (size_t)(end - begin)));
    at += (size_t)(end - begin) + 1;
  }
  buffer_append(&piece, bytes_text("]}"));
  bool sent = request_rows(walk->request, buffer_bytes(&piece));
  buffer_deinit(&piece);
  if (sent) walk->sent = at;
  return sent;
}

static bool flush(struct gap_walk *walk) {
  while (walk->sent < walk->rows.len)
    if (!send_piece(walk)) return false;
  buffer_clear(&walk->rows);
  walk->sent = 0;
  return true;
}

/* ---- one part ---- */

static struct bytes keep(struct bytes text) {
  return text.len > 0 ? bytes_of(mem_copy(text.data, text.len), text.len) : BYTES_NULL;
}

static void drop(struct bytes text) { free((void *)(uintptr_t)text.data); }

static void take_discard(void *ctx, const struct store_discard *discard) {
  struct gap_walk *walk = ctx;
  if (epoch_compare(discard->epoch, walk->facts.epoch) != 0) return;
  size_t count = walk->facts.discard_count;
  walk->discards = mem_resize(walk->discards, count + 1, sizeof *walk->discards);
  walk->discards[count] =
      (struct gap_discard){discard->from, discard->to, keep(discard->by), keep(discard->reason), discard->time};
  walk->facts.discards = walk->discards;
  walk->facts.discard_count = count + 1;
}

static void forget_facts(struct gap_walk *walk) {
  for (size_t i = 0; i < walk->facts.discard_count; i++) {
    drop(walk->discards[i].by);
    drop(walk->discards[i].reason);
  }
  free(walk->discards);
  walk->discards = NULL;
  gap_words_deinit(&walk->words);
  walk->words = (struct gap_words){.count = 0};
  walk->facts = (struct gap_facts){.floor = 1};
}

static void begin_part(struct gap_walk *walk) {
  const struct part *part = &walk->parts[walk->at];
  struct store *store = walk->broker->daemon.store;
  bool from_here = walk->fold.period.since == INT64_MIN;
  walk->begun = true;
  gap_sources_of(&walk->broker->links, walk->broker->links.name, part->stream, &walk->sources);
  gap_sources_said(&walk->sources, store, part->stream, part->epoch, &walk->words);
  walk->facts = (struct gap_facts){.node = bytes_text(walk->broker->links.name),
      .stream = part->stream,
      .epoch = part->epoch,
      .floor = part->floor,
      .filtered = walk->words.filtered,
      .covered = walk->words.covered,
      .covered_since = walk->words.covered_since,
      .said = walk->words.said,
      .said_count = walk->words.count};
  store_discards(store, part->stream, take_discard, walk);
  walk->start = from_here ? part->floor : 1;
  walk->low = 0;
  walk->high = from_here ? 1 : part->last + 1;
}

/* Reading begins: at the last block before the period, or at the first there is. */
static void begin_pages(struct gap_walk *walk) {
  gap_fold_epoch(&walk->fold, &walk->facts, walk->start);
  walk->next = walk->start > walk->facts.floor ? walk->start : walk->facts.floor;
}

static bool same_stream(const struct gap_walk *walk, size_t a, size_t b) {
  return b < walk->count && bytes_equal(walk->parts[a].stream, walk->parts[b].stream);
}

static void end_part(struct gap_walk *walk) {
  struct gap_period period = walk->fold.period;
  int64_t silent_us = walk->fold.silent_us;
  gap_fold_epoch_end(&walk->fold, walk->parts[walk->at].last);
  forget_facts(walk);
  walk->begun = false;
  if (!same_stream(walk, walk->at, walk->at + 1)) {
    gap_fold_end(&walk->fold, world_now(walk->broker->daemon.world).wall);
    put_end(walk);
    gap_fold_deinit(&walk->fold);
    gap_fold_init(&walk->fold, &period, silent_us, take_row, walk);
  }
  walk->at++;
}

/* ---- reading ---- */

static void take_search(struct gap_walk *walk, const struct store_done *done) {
  uint64_t middle = walk->low + (walk->high - walk->low) / 2;
  struct block block;
  if (!gap_read_first(done, &block) || block.received_to >= walk->fold.period.since) {
    walk->high = middle;
  } else {
    walk->low = block.last > walk->low ? block.last : middle;
    walk->start = block.first;
  }
  if (walk->high <= walk->low + 1) begin_pages(walk);
}

static void take_page(struct gap_walk *walk, const struct store_done *done) {
  uint64_t last = walk->parts[walk->at].last, to = done->next > 0 && done->next - 1 < last ? done->next - 1 : last;
  gap_read_page(&walk->fold, walk->next, to, done);
  walk->next = to + 1;
}

static void page_read(void *ctx, void *cookie, const struct store_done *done) {
  struct gap_walk *walk = ctx;
  (void)cookie;
  walk->reading = NULL;
  if (done->kind != STORE_DONE_READ) {
    request_refuse(walk->request, "ended", "the store is being closed", NULL);
    return;
  }
  if (walk->high > walk->low + 1)
    take_search(walk, done);
  else
    take_page(walk, done);
  step(walk);
}

static void read_from(struct gap_walk *walk, uint64_t from, size_t most) {
  const struct part *part = &walk->parts[walk->at];
  const struct store_read read = {.what = STORE_READ_STREAM,
      .from = from,
      .to = part->last,
      .stream = part->stream,
      .epoch = part->epoch,
      .max_bytes = most};
  walk->reading = errands_read(&walk->broker->errands, ERRAND_PATIENT, &read, page_read, walk, NULL);
}

/* Until a read is under way: true; false: the part is at its end. */
static bool read_more(struct gap_walk *walk) {
  const struct part *part = &walk->parts[walk->at];
  if (walk->high > walk->low + 1) {
    read_from(walk, walk->low + (walk->high - walk->low) / 2, 1);
    return true;
  }
  if (walk->fold.past || walk->next > part->last) return false;
  read_from(walk, walk->next, PAGE_BYTES);
  return true;
}

static void step(struct gap_walk *walk) {
  while (!walk->reading) {
    if (!flush(walk)) return;
    if (walk->at == walk->count) {
      request_reply(walk->request, json_pack("{s:b}", "end", 1), true);
      return;
    }
    if (!walk->begun) {
      begin_part(walk);
      if (walk->high <= walk->low + 1) begin_pages(walk);
    }
    if (!read_more(walk)) end_part(walk);
  }
}

/* ---- the verb ---- */

struct choosing {
  struct gap_walk *walk;
  const struct patterns *read;
  struct bytes only; /* empty: all */
};

static bool may_see(const struct choosing *choosing, struct bytes stream) {
  return patterns_extent(choosing->read, stream_owner(stream)) != SELECTION_NONE &&
         (choosing->only.len == 0 || bytes_equal(choosing->only, stream));
}

static void add_part(struct gap_walk *walk, const struct part *part) {
  walk->parts = mem_resize(walk->parts, walk->count + 1, sizeof *walk->parts);
  walk->parts[walk->count] = *part;
  walk->parts[walk->count++].stream = keep(part->stream);
}

static void choose(void *ctx, const struct store_stream *stream) {
  struct choosing *choosing = ctx;
  if (may_see(choosing, stream->stream))
    add_part(choosing->walk, &(struct part){stream->stream, stream->epoch, stream->floor, stream->last});
}

/* A station that never said anything is wanting, too. */
static void choose_unknown(struct choosing *choosing, const char *node, const char *suffix) {
  struct buffer name = BUFFER_NULL;
  struct store_stream known;
  buffer_printf(&name, "%s%s", node, suffix);
  if (may_see(choosing, buffer_bytes(&name)) &&
      !store_stream_get(choosing->walk->broker->daemon.store, buffer_bytes(&name), &known))
    add_part(choosing->walk, &(struct part){buffer_bytes(&name), {0, 0}, 1, 0});
  buffer_deinit(&name);
}

static int64_t time_of(const json_t *body, const char *name, int64_t otherwise) {
  const json_t *time = json_object_get(body, name);
  return json_is_integer(time) ? json_integer_value(time) : otherwise;
}

void gap_walk_start(void *ctx, struct request *request, const json_t *body) {
  struct broker *broker = ctx;
  struct gap_walk *walk = mem_alloc(sizeof *walk);
  const char *stream = json_string_value(json_object_get(body, "stream"));
  struct gap_period period = {time_of(body, "since", INT64_MIN), time_of(body, "until", INT64_MAX)};
  struct choosing choosing = {walk, request_requester(request)->read, bytes_text(stream ? stream : "")};
  *walk = (struct gap_walk){.broker = broker, .request = request};
  gap_fold_init(&walk->fold, &period, broker->gap_silent_us, take_row, walk);
  request->state = walk;
  store_streams(broker->daemon.store, choose, &choosing);
  for (size_t i = 0; i < broker->config->station_count; i++) {
    choose_unknown(&choosing, broker->config->stations[i].node, "");
    choose_unknown(&choosing, broker->config->stations[i].node, "!urgent");
  }
  if (walk->count > 0 || !stream)
    step(walk);
  else
    request_refuse(request, "not-found", "nothing of that stream is known here, or you may not read it",
        "List all streams with: riverbus gaps");
}

void gap_walk_more(void *ctx, struct request *request) {
  (void)ctx;
  if (request->state) step(request->state);
}

void gap_walk_end(void *ctx, struct request *request) {
  struct gap_walk *walk = request->state;
  (void)ctx;
  if (!walk) return;
  errand_forget(walk->reading);
  forget_facts(walk);
  gap_fold_deinit(&walk->fold);
  for (size_t i = 0; i < walk->count; i++) drop(walk->parts[i].stream);
  free(walk->parts);
  buffer_deinit(&walk->rows);
  free(walk);
}
