#include "common/door/history.h"
#include "common/base/mem.h"
#include "common/door/selection.h"
#include "common/door/subscribers.h"
#include <stdlib.h>

enum { PAGE_BYTES = 128 * 1024, UNITS_BYTES = 48 * 1024 };

struct page_entry {
  enum lane lane;
  uint64_t position;
  struct blob *block;
};

struct history {
  struct histories *owner;
  struct history *next;
  struct request *request;  /* NULL: it ended while a page was read; whoever brings the page frees us */
  struct patterns patterns; /* looked at by the store's reader too: they do not change */
  enum store_clock clock;
  int64_t from_us, to_us; /* both ends inside */
  enum lane lane;
  uint64_t at, last[LANES]; /* positions: where the next page begins; of the beginning */
  bool units_told, reading;
  size_t units_cursor;
  enum lane front; /* of the logs whose oldest entry is still to be read; LANES: none */
  uint64_t front_at;
  bool trimmed;
  int64_t kept_from; /* where something was taken away; INT64_MAX: nothing is left */
  struct page_entry *page;
  size_t page_count, page_at;
  uint64_t damaged;
};

static void step(struct history *history);

/* ---- what of a block is told ---- */

static bool wants_stream(const void *ctx, struct bytes stream) {
  return patterns_extent(ctx, stream_owner(stream)) != SELECTION_NONE;
}

static bool wants_address(void *ctx, struct bytes address) {
  const struct history *history = ctx;
  return patterns_match(&history->patterns, address) &&
         patterns_match(request_requester(history->request)->read, address);
}

static bool wants_record(void *ctx, const struct record *record) {
  const struct history *history = ctx;
  int64_t at = history->clock == STORE_BY_RECEIVED ? record->received : record->time;
  return at >= history->from_us && at <= history->to_us && wants_address(ctx, record->address);
}

/* A new reference, a new block, or NULL: nothing in it for this one. */
static struct blob *wanted_part(struct history *history, struct blob *from) {
  struct block block;
  if (block_open(&block, blob_bytes(from))) return NULL;
  struct bytes node = stream_owner(block.stream);
  enum selection_extent asked = patterns_extent(&history->patterns, node);
  enum selection_extent allowed = patterns_extent(request_requester(history->request)->read, node);
  if (asked == SELECTION_NONE || allowed == SELECTION_NONE) return NULL;
  bool received = history->clock == STORE_BY_RECEIVED;
  int64_t first = received ? block.received_from : block.time_from, last = received ? block.received_to : block.time_to;
  bool whole = first >= history->from_us && last <= history->to_us;
  if (asked == SELECTION_ALL && allowed == SELECTION_ALL && whole) return blob_ref(from);
  struct selection selection = {wants_address, wants_record, history};
  return selection_apply(&selection, from, &block);
}

/* ---- pages ---- */

static void page_clear(struct history *history) {
  for (size_t i = history->page_at; i < history->page_count; i++) blob_unref(history->page[i].block);
  free(history->page);
  history->page = NULL;
  history->page_count = history->page_at = 0;
}

static void history_free(struct history *history) {
  page_clear(history);
  patterns_deinit(&history->patterns);
  free(history);
}

static void page_keep(struct history *history, const struct store_done *done) {
  history->page = mem_alloc((done->entry_count + 1) * sizeof *history->page);
  for (size_t i = 0; i < done->entry_count; i++)
    history->page[i] =
        (struct page_entry){done->entries[i].lane, done->entries[i].position, blob_ref(done->entries[i].block)};
  history->page_count = done->entry_count;
  for (size_t i = 0; i < done->unreadable_count; i++)
    history->damaged += done->unreadable[i].to - done->unreadable[i].from + 1;
}

static void next_lane(struct history *history) {
  history->lane++;
  history->at = 1;
}

static void page_read(void *ctx, void *cookie, const struct store_done *done) {
  struct history *history = ctx;
  (void)cookie;
  history->reading = false;
  if (!history->request) {
    history_free(history);
    return;
  }
  if (done->kind != STORE_DONE_READ) return; /* the end of the process: the request ends with its session */
  page_keep(history, done);
  if (done->next)
    history->at = done->next;
  else
    next_lane(history);
  step(history);
}

static void start_read(struct history *history) {
  const struct store_read read = {.what = STORE_READ_TIME,
      .lane = history->lane,
      .from = history->at,
      .to = history->last[history->lane],
      .clock = history->clock,
      .from_us = history->from_us,
      .to_us = history->to_us,
      .wants = wants_stream,
      .wants_ctx = &history->patterns,
      .max_bytes = PAGE_BYTES};
  history->reading = true;
  errands_read(history->owner->errands, ERRAND_PATIENT, &read, page_read, history, NULL);
}

/* ---- since when it is kept ---- */

struct looking {
  const struct history *history;
  bool trimmed;
};

static void look(void *ctx, const struct store_stream *stream) {
  struct looking *looking = ctx;
  const struct history *history = looking->history;
  struct bytes node = stream_owner(stream->stream);
  looking->trimmed =
      looking->trimmed || (stream->floor > 1 && wants_stream(&history->patterns, stream->stream) &&
                              patterns_extent(request_requester(history->request)->read, node) != SELECTION_NONE);
}

static bool is_trimmed(const struct history *history) {
  struct looking looking = {history, false};
  store_streams(history->owner->store, look, &looking);
  return looking.trimmed;
}

/* Retention takes the oldest of all logs: what is kept begins with the oldest that is left. */
static void front_begins(struct history *history, int64_t received) {
  if (received < history->kept_from) history->kept_from = received;
  history->front++;
  history->front_at = 0;
}

static void front_read(void *ctx, void *cookie, const struct store_done *done) {
  struct history *history = ctx;
  struct block block;
  (void)cookie;
  history->reading = false;
  if (!history->request) {
    history_free(history);
    return;
  }
  if (done->kind != STORE_DONE_READ) return;
  size_t at = 0;
  while (at < done->entry_count &&
         (!done->entries[at].block || block_open(&block, blob_bytes(done->entries[at].block)) != 0))
    at++;
  if (at < done->entry_count || !done->next)
    front_begins(history, at < done->entry_count ? block.received_from : INT64_MAX);
  else
    history->front_at = done->next;
  step(history);
}

/* False: there is nothing to be read any more. */
static bool read_front(struct history *history) {
  struct store_stats stats;
  store_stats(history->owner->store, &stats);
  while (history->front < LANES && stats.logs[history->front].first <= 1) history->front++;
  if (history->front == LANES) return false;
  uint64_t first = stats.logs[history->front].first, last = stats.logs[history->front].last;
  if (first > last) {
    front_begins(history, INT64_MAX);
    return read_front(history);
  }
  const struct store_read read = {.what = STORE_READ_LOG,
      .lane = history->front,
      .from = history->front_at > first ? history->front_at : first,
      .to = last,
      .max_bytes = 1};
  history->reading = true;
  errands_read(history->owner->errands, ERRAND_PATIENT, &read, front_read, history, NULL);
  return true;
}

/* ---- telling ---- */

static bool tell_units(struct history *history) {
  struct histories *owner = history->owner;
  while (!history->units_told) {
    struct buffer rows = BUFFER_NULL;
    size_t cursor = history->units_cursor;
    buffer_printf(&rows, "{\"units\":[");
    bool more = owner->units(owner->units_ctx, &cursor, UNITS_BYTES, wants_address, history, &rows);
    buffer_printf(&rows, "]}");
    bool sent = request_rows(history->request, buffer_bytes(&rows));
    buffer_deinit(&rows);
    if (!sent) return false;
    history->units_cursor = cursor;
    history->units_told = !more;
  }
  return true;
}

/* False: the window or the socket is full. */
static bool tell_page(struct history *history) {
  while (history->page_at < history->page_count) {
    struct page_entry *entry = &history->page[history->page_at];
    struct blob *part = wanted_part(history, entry->block);
    bool sent = !part || request_records(history->request, entry->lane, entry->position, blob_bytes(part));
    blob_unref(part);
    if (!sent) return false;
    blob_unref(entry->block);
    history->page_at++;
  }
  page_clear(history);
  return true;
}

static void tell_end(struct history *history) {
  json_t *end = json_pack("{s:b,s:I}", "end", 1, "damaged", (json_int_t)history->damaged);
  if (history->trimmed) json_object_set_new(end, "kept_from", json_integer(history->kept_from));
  request_reply(history->request, end, true);
}

static void step(struct history *history) {
  if (history->reading || !tell_units(history) || !tell_page(history)) return;
  if (history->front < LANES && read_front(history)) return;
  while (history->lane < LANES && history->last[history->lane] < history->at) next_lane(history);
  if (history->lane < LANES)
    start_read(history);
  else
    tell_end(history);
}

/* ---- the verb ---- */

static bool is_open(const struct histories *histories, const struct session *session) {
  const struct history *history = histories->first;
  while (history && history->request->session != session) history = history->next;
  return history != NULL;
}

/* Refuses and returns false, or fills the history. */
static bool history_init(struct history *history, const json_t *body) {
  const json_t *since = json_object_get(body, "since"), *until = json_object_get(body, "until");
  const char *clock = json_string_value(json_object_get(body, "clock"));
  bool received = clock && strcmp(clock, "received") == 0;
  if (!request_patterns(history->request, body, &history->patterns)) return false;
  if (!json_is_integer(since) || !json_is_integer(until) || !clock || (!received && strcmp(clock, "time") != 0)) {
    request_refuse(history->request, "malformed", "a range of time and its clock are needed",
        "Install the same version of riverbus on both.");
    return false;
  }
  history->clock = received ? STORE_BY_RECEIVED : STORE_BY_TIME;
  history->from_us = json_integer_value(since);
  history->to_us = json_integer_value(until) - (json_integer_value(until) > INT64_MIN);
  history->units_told = !json_is_true(json_object_get(body, "units"));
  history->at = 1;
  history->kept_from = INT64_MAX;
  history->trimmed = !history->units_told && is_trimmed(history);
  history->front = history->trimmed ? LANE_URGENT : LANES;
  for (enum lane lane = LANE_URGENT; lane < LANES; lane++)
    history->last[lane] = node_log_last(history->owner->errands->node, lane);
  return true;
}

void history_start(struct histories *histories, struct request *request, const json_t *body) {
  if (is_open(histories, request->session)) {
    request_refuse(request, "busy", "a history is being told in this session", "Wait until it ends.");
    return;
  }
  struct history *history = mem_alloc(sizeof *history);
  history->owner = histories;
  history->request = request;
  if (!history_init(history, body)) { /* the request is gone */
    history_free(history);
    return;
  }
  request->state = history;
  history->next = histories->first;
  histories->first = history;
  step(history);
}

void history_more(void *ctx, struct request *request) {
  (void)ctx;
  if (request->state) step(request->state);
}

void history_end(void *ctx, struct request *request) {
  (void)ctx;
  struct history *history = request->state;
  if (!history) return;
  struct history **at = &history->owner->first;
  while (*at != history) at = &(*at)->next;
  *at = history->next;
  history->request = NULL;
  if (!history->reading) history_free(history);
}
