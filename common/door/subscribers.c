#include "common/door/subscribers.h"
#include "common/door/selection.h"
#include "common/base/mem.h"
#include <stdlib.h>

enum {
  PAGE_BYTES = 256 * 1024, /* of one read from the store */
  TURN_BYTES = 512 * 1024, /* to one subscriber before the others have their turn */
  UNITS_BYTES = 48 * 1024,
  PATTERNS_MAX = 64,
};

struct page_entry {
  uint64_t position;
  struct blob *block;
};

/* A subscriber's place in one log. */
struct place {
  bool wanted;
  uint64_t next;           /* position to send next */
  struct page_entry *page; /* what was read and not yet sent */
  size_t page_count, page_at;
  struct errand *reading;
  uint64_t reading_to;
};

struct subscriber {
  struct subscribers *owner;
  struct subscriber *next;
  struct request *request;
  struct patterns patterns;
  bool has_since;
  int64_t since;
  struct place places[LANES];
  size_t units_cursor;
  bool units_told;
  struct reader_place *durable;
  bool closing; /* cancelled: the last reply follows the last commit */
};

struct subscribers {
  struct subscribers_options options;
  struct subscriber *first;
  size_t count;
};

struct subscribers *subscribers_new(const struct subscribers_options *options) {
  struct subscribers *subscribers = mem_alloc(sizeof *subscribers);
  subscribers->options = *options;
  return subscribers;
}

struct subscribers *subscribers_free(struct subscribers *subscribers) {
  free(subscribers);
  return NULL;
}

size_t subscribers_count(const struct subscribers *subscribers) { return subscribers->count; }

/* ---- what of a block goes to a subscriber ---- */

static bool wants_address(void *ctx, struct bytes address) {
  const struct subscriber *subscriber = ctx;
  return patterns_match(&subscriber->patterns, address) &&
         patterns_match(request_requester(subscriber->request)->read, address);
}

static bool wants_record(void *ctx, const struct record *record) {
  const struct subscriber *subscriber = ctx;
  return (!subscriber->has_since || record->time >= subscriber->since) && wants_address(ctx, record->address);
}

/* A new reference, a new block, or NULL: nothing in it for this one. */
static struct blob *wanted_part(struct subscriber *subscriber, struct blob *from) {
  struct block block;
  if (block_open(&block, blob_bytes(from))) return NULL;
  if (subscriber->has_since && block.time_to < subscriber->since) return NULL;
  struct bytes node = stream_owner(block.stream);
  enum selection_extent asked = patterns_extent(&subscriber->patterns, node);
  enum selection_extent allowed = patterns_extent(request_requester(subscriber->request)->read, node);
  if (asked == SELECTION_NONE || allowed == SELECTION_NONE) return NULL;
  bool all_times = !subscriber->has_since || block.time_from >= subscriber->since;
  if (asked == SELECTION_ALL && allowed == SELECTION_ALL && all_times) return blob_ref(from);
  struct selection selection = {wants_address, wants_record, subscriber};
  return selection_apply(&selection, from, &block);
}

/* ---- serving ---- */

static void place_clear(struct place *place) {
  for (size_t i = place->page_at; i < place->page_count; i++) blob_unref(place->page[i].block);
  free(place->page);
  place->page = NULL;
  place->page_count = place->page_at = 0;
}

static void tell_lost(struct subscriber *subscriber, enum lane lane, uint64_t from, uint64_t to) {
  if (subscriber->durable) readers_lost(subscriber->owner->options.readers, subscriber->durable, lane, from, to);
  request_reply(subscriber->request,
      json_pack("{s:{s:s,s:I,s:I}}", "lost", "lane", lane_name(lane), "from", (json_int_t)from, "to", (json_int_t)to),
      false);
}

/* Positions have no holes but where retention cut the front or a damaged entry was set aside. */
static void note_gap(struct subscriber *subscriber, enum lane lane, uint64_t first) {
  struct place *place = &subscriber->places[lane];
  if (first <= place->next) return;
  tell_lost(subscriber, lane, place->next, first - 1);
  place->next = first;
}

static void page_read(void *ctx, void *cookie, const struct store_done *done) {
  struct subscriber *subscriber = ctx;
  struct place *place = cookie;
  enum lane lane = (enum lane)(place - subscriber->places);
  place->reading = NULL;
  place_clear(place);
  if (done->kind == STORE_DONE_READ && done->entry_count) {
    place->page = mem_alloc(done->entry_count * sizeof *place->page);
    for (size_t i = 0; i < done->entry_count; i++)
      place->page[i] = (struct page_entry){done->entries[i].position, blob_ref(done->entries[i].block)};
    place->page_count = done->entry_count;
  } else if (done->kind == STORE_DONE_READ) { /* trimmed meanwhile, or damaged and set aside */
    note_gap(subscriber, lane, done->next ? done->next : place->reading_to + 1);
  }
  subscriber_more(subscriber->owner, subscriber->request);
}

static void start_read(struct subscriber *subscriber, enum lane lane) {
  struct place *place = &subscriber->places[lane];
  struct subscribers_options *o = &subscriber->owner->options;
  struct store_read read = {.what = STORE_READ_LOG,
      .lane = lane,
      .from = place->next,
      .to = node_log_last(o->node, lane),
      .max_bytes = PAGE_BYTES};
  place->reading_to = read.to;
  place->reading = errands_read(o->errands, ERRAND_PATIENT, &read, page_read, subscriber, place);
}

/* The block at place->next: *block NULL for an entry that has none. False: not at hand, a read was begun. */
static bool fetch(struct subscriber *subscriber, enum lane lane, struct blob **block) {
  struct place *place = &subscriber->places[lane];
  if (place->page_at < place->page_count) {
    struct page_entry *entry = &place->page[place->page_at];
    note_gap(subscriber, lane, entry->position);
    *block = blob_ref(entry->block);
    return true;
  }
  *block = node_ring_get(subscriber->owner->options.node, lane, place->next);
  if (*block) return true;
  if (!place->reading) start_read(subscriber, lane);
  return false;
}

static void advance(struct place *place) {
  place->next++;
  if (place->page_at == place->page_count) return;
  blob_unref(place->page[place->page_at++].block);
  if (place->page_at == place->page_count) place_clear(place);
}

enum served { SERVED_ALL, SERVED_FULL, SERVED_TURN };

static enum served serve_lane(struct subscriber *subscriber, enum lane lane, size_t *left) {
  struct place *place = &subscriber->places[lane];
  while (place->wanted && place->next <= node_log_last(subscriber->owner->options.node, lane)) {
    struct blob *block = NULL;
    if (!fetch(subscriber, lane, &block)) return SERVED_ALL;
    struct blob *part = block ? wanted_part(subscriber, block) : NULL;
    size_t len = part ? part->len : block ? block->len / 16 : 0; /* looking costs too */
    bool sent = !part || request_records(subscriber->request, lane, place->next, blob_bytes(part));
    blob_unref(part);
    blob_unref(block);
    if (!sent) return SERVED_FULL;
    advance(place);
    if (len >= *left) return SERVED_TURN;
    *left -= len;
  }
  return SERVED_ALL;
}

static bool tell_units(struct subscriber *subscriber) {
  struct subscribers_options *o = &subscriber->owner->options;
  while (!subscriber->units_told) {
    struct buffer rows = BUFFER_NULL;
    size_t cursor = subscriber->units_cursor;
    buffer_printf(&rows, "{\"units\":[");
    bool more = o->units(o->units_ctx, &cursor, UNITS_BYTES, wants_address, subscriber, &rows);
    buffer_printf(&rows, "]}");
    bool sent = request_rows(subscriber->request, buffer_bytes(&rows));
    buffer_deinit(&rows);
    if (!sent) return false;
    subscriber->units_cursor = cursor;
    subscriber->units_told = !more;
  }
  return true;
}

void subscribers_tell_units(struct subscribers *subscribers) {
  for (struct subscriber *at = subscribers->first; at; at = at->next) {
    at->units_told = false;
    at->units_cursor = 0;
  }
}

/* True: there is more for it at once. */
static bool serve(struct subscriber *subscriber) {
  size_t left = TURN_BYTES;
  if (subscriber->closing || !tell_units(subscriber)) return false;
  for (int lane = 0; lane < LANES; lane++) {
    enum served served = serve_lane(subscriber, (enum lane)lane, &left);
    if (served != SERVED_ALL) return served == SERVED_TURN;
  }
  return false;
}

bool subscribers_pump(struct subscribers *subscribers) {
  bool more = false;
  for (struct subscriber *subscriber = subscribers->first, *next; subscriber; subscriber = next) {
    next = subscriber->next;
    more |= serve(subscriber);
  }
  return more;
}

void subscriber_more(struct subscribers *subscribers, struct request *request) {
  (void)subscribers;
  if (request->state) serve(request->state);
}

/* ---- the beginning ---- */

bool request_patterns(struct request *request, const json_t *body, struct patterns *patterns) {
  const json_t *list = json_object_get(body, "patterns");
  const char *why = "a list of 1 to 64 patterns is needed";
  bool good = json_array_size(list) >= 1 && json_array_size(list) <= PATTERNS_MAX;
  for (size_t i = 0; good && i < json_array_size(list); i++) {
    const json_t *text = json_array_get(list, i);
    good = json_is_string(text) &&
           !patterns_add(patterns, bytes_of(json_string_value(text), json_string_length(text)), &why);
  }
  if (!good)
    request_refuse(
        request, "malformed", why, "A pattern is an address in which a segment may be + and the last may be #.");
  return good;
}

static bool read_lanes(struct subscriber *subscriber, const json_t *body) {
  const json_t *list = json_object_get(body, "lanes");
  for (int lane = 0; lane < LANES; lane++) subscriber->places[lane].wanted = !list;
  for (size_t i = 0; i < json_array_size(list); i++) {
    const char *name = json_string_value(json_array_get(list, i));
    enum lane lane;
    if (!name || lane_parse(bytes_text(name), &lane)) return false;
    subscriber->places[lane].wanted = true;
  }
  return true;
}

static void begin_at_front(struct subscriber *subscriber) {
  struct store_stats stats;
  store_stats(subscriber->owner->options.store, &stats);
  for (int lane = 0; lane < LANES; lane++)
    subscriber->places[lane].next = stats.logs[lane].first ? stats.logs[lane].first : 1;
}

static void begin_now(struct subscriber *subscriber) {
  for (int lane = 0; lane < LANES; lane++)
    subscriber->places[lane].next = node_log_last(subscriber->owner->options.node, (enum lane)lane) + 1;
}

static char *joined_patterns(const struct patterns *patterns) {
  struct buffer text = BUFFER_NULL;
  for (size_t i = 0; i < patterns->count; i++) {
    if (i) buffer_append(&text, bytes_text("\n"));
    buffer_append(&text, pattern_text(patterns->items[i]));
  }
  char *out = mem_text(text.data, text.len);
  buffer_deinit(&text);
  return out;
}

static void durable_flushed(void *user) {
  struct subscriber *subscriber = user;
  if (subscriber->closing) request_reply(subscriber->request, json_pack("{s:b}", "cancelled", 1), true);
}

/* Another run under the same name has taken over: the older one ends, so that a killed client does not block its
 * successor. */
static void displace(struct reader_place *place) {
  struct subscriber *older = place->user;
  if (older)
    request_refuse(older->request, "busy", "another run reads under the same durable name",
        "Give each run a --durable name of its own.");
}

static bool begin_durable(struct subscriber *subscriber, const char *name, bool *resumed) {
  struct readers *readers = subscriber->owner->options.readers;
  const char *who = request_requester(subscriber->request)->name;
  struct reader_place *place = readers_find(readers, name);
  *resumed = place != NULL;
  if (place && strcmp(place->operator_name, who) != 0) {
    request_refuse(subscriber->request, "authority", "a durable reader of that name belongs to another operator",
        "Choose another name.");
    return false;
  }
  uint64_t positions[LANES];
  for (int lane = 0; lane < LANES; lane++) positions[lane] = subscriber->places[lane].next - 1;
  char *patterns = joined_patterns(&subscriber->patterns);
  if (place)
    displace(place);
  else
    place = readers_add(readers, name, who, patterns, positions);
  free(patterns);
  if (!place) {
    request_refuse(subscriber->request, "full", "there are too many durable readers",
        "Remove one with: riverbus readers remove NAME");
    return false;
  }
  for (int lane = 0; lane < LANES; lane++) subscriber->places[lane].next = place->positions[lane] + 1;
  place->user = subscriber;
  place->flushed = durable_flushed;
  subscriber->durable = place;
  return true;
}

/* Refuses and returns false, or fills the subscriber. */
static bool subscriber_init(struct subscriber *subscriber, const json_t *body, bool *resumed) {
  struct request *request = subscriber->request;
  const json_t *since = json_object_get(body, "since");
  const char *durable = json_string_value(json_object_get(body, "durable"));
  if (!request_patterns(request, body, &subscriber->patterns)) return false;
  if (!read_lanes(subscriber, body) || (durable && !reader_name_is_good(durable))) {
    request_refuse(request, "malformed", "no such lane, or not a name for a durable reader",
        "Lanes are urgent, live and backfill.");
    return false;
  }
  subscriber->has_since = json_is_integer(since);
  subscriber->since = json_integer_value(since);
  if (subscriber->has_since || json_is_true(json_object_get(body, "from_start")))
    begin_at_front(subscriber);
  else
    begin_now(subscriber);
  *resumed = false;
  return !durable || begin_durable(subscriber, durable, resumed);
}

static void tell_start(struct subscriber *subscriber, bool resumed) {
  json_t *positions = json_array(), *within = json_array();
  for (int lane = 0; lane < LANES; lane++) {
    json_array_append_new(positions, json_integer((json_int_t)subscriber->places[lane].next));
    json_array_append_new(
        within, json_integer(subscriber->durable ? (json_int_t)subscriber->durable->within[lane] : 0));
  }
  request_reply(subscriber->request,
      json_pack("{s:{s:o,s:o,s:b}}", "start", "positions", positions, "within", within, "resumed", (int)resumed),
      false);
}

void subscriber_start(struct subscribers *subscribers, struct request *request, const json_t *body) {
  struct subscriber *subscriber = mem_alloc(sizeof *subscriber);
  bool resumed;
  subscriber->owner = subscribers;
  subscriber->request = request;
  if (!subscriber_init(subscriber, body, &resumed)) { /* the request is gone */
    patterns_deinit(&subscriber->patterns);
    free(subscriber);
    return;
  }
  request->state = subscriber;
  subscriber->next = subscribers->first;
  subscribers->first = subscriber;
  subscribers->count++;
  tell_start(subscriber, resumed);
  serve(subscriber);
}

/* ---- the end ---- */

/* Nobody acknowledges what was not sent. */
void subscriber_ack(struct subscribers *subscribers, struct request *request, const struct request_message *ack) {
  struct subscriber *subscriber = request->state;
  if (!subscriber || !subscriber->durable || ack->position >= subscriber->places[ack->lane].next) return;
  readers_ack(subscribers->options.readers, subscriber->durable, ack->lane, ack->position, ack->within);
}

void subscriber_cancel(struct subscribers *subscribers, struct request *request) {
  (void)subscribers;
  struct subscriber *subscriber = request->state;
  subscriber->closing = true;
  if (!subscriber->durable || reader_is_durable(subscriber->durable))
    request_reply(request, json_pack("{s:b}", "cancelled", 1), true);
}

void subscriber_end(struct subscribers *subscribers, struct request *request) {
  struct subscriber *subscriber = request->state;
  if (!subscriber) return;
  struct subscriber **at = &subscribers->first;
  while (*at != subscriber) at = &(*at)->next;
  *at = subscriber->next;
  subscribers->count--;
  for (int lane = 0; lane < LANES; lane++) {
    errand_forget(subscriber->places[lane].reading);
    place_clear(&subscriber->places[lane]);
  }
  if (subscriber->durable) subscriber->durable->user = NULL;
  patterns_deinit(&subscriber->patterns);
  free(subscriber);
}
