/* The table of what operators may ask a broker, and the answers that are lists: rows in pieces as the window allows. */
#include "broker/broker.h"
#include "common/base/mem.h"
#include "common/base/units.h"
#include <stdlib.h>

enum {
  ROWS_BYTES = 24 * 1024, /* of one piece; a row with the largest descriptor or value still fits a reply */
  TURN_ROWS = 20000,      /* looked at before others have their turn: some milliseconds */
};

/* A list under way. An index stays good while the list is told, but for a reload, which may repeat or miss a link. */
struct listing {
  struct broker *broker;
  const struct listing_kind *kind;
  struct patterns patterns;
  const char *name; /* of the list in the reply */
  size_t at;
};
struct listing_kind {
  const char *member;
  size_t (*count)(struct broker *broker);
  /* puts one object or nothing */
  void (*put)(struct listing *listing, struct request *request, size_t index, struct buffer *out);
};

static void listing_put(struct listing *listing, struct request *request, size_t end, struct buffer *rows) {
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

static void listing_more(void *ctx, struct request *request) {
  struct listing *listing = request->state;
  struct buffer rows = BUFFER_NULL;
  bool sent = true;
  (void)ctx;
  size_t count = listing->kind->count(listing->broker), end = listing->at < count ? listing->at + TURN_ROWS : count;
  if (end > count) end = count;
  while (sent && listing->at < end) {
    size_t before = listing->at;
    buffer_clear(&rows);
    listing_put(listing, request, end, &rows);
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

static void listing_end(void *ctx, struct request *request) {
  struct listing *listing = request->state;
  (void)ctx;
  if (listing) patterns_deinit(&listing->patterns);
  free(listing);
}

static struct listing *listing_new(struct broker *broker, struct request *request, const struct listing_kind *kind) {
  struct listing *listing = mem_alloc(sizeof *listing);
  listing->broker = broker;
  listing->kind = kind;
  request->state = listing;
  return listing;
}

/* ---- last, points ---- */

static size_t count_points(struct broker *broker) { return broker->catalogue.count; }

static bool is_asked(const struct listing *listing, const struct request *request, const struct point *point) {
  return patterns_match(&listing->patterns, point->address) &&
         patterns_match(request_requester(request)->read, point->address);
}

static void put_last(struct listing *listing, struct request *request, size_t index, struct buffer *out) {
  const struct point *point = listing->broker->catalogue.points[index];
  if (point->has_last && is_asked(listing, request, point)) point_put_json(out, point);
}

static void put_point(struct listing *listing, struct request *request, size_t index, struct buffer *out) {
  const struct point *point = listing->broker->catalogue.points[index];
  if (is_asked(listing, request, point)) point_put_description(out, point);
}

static const struct listing_kind last_kind = {"last", count_points, put_last};
static const struct listing_kind points_kind = {"points", count_points, put_point};

/* One exact address is looked up, not searched for: a script asks so before each command. */
static bool answer_exact(struct broker *broker, struct listing *listing, struct request *request) {
  if (listing->patterns.count != 1) return false;
  const struct point *point = catalogue_find(&broker->catalogue, pattern_text(listing->patterns.items[0]));
  if (!point) return false;
  struct buffer rows = BUFFER_NULL;
  listing->at = point->index;
  listing_put(listing, request, listing->at + 1, &rows);
  if (rows.len && rows.len <= REQUEST_JSON_MAX) request_reply_text(request, buffer_bytes(&rows), false);
  buffer_deinit(&rows);
  listing->at = SIZE_MAX;
  return true;
}

static void start_points(
    struct broker *broker, struct request *request, const json_t *body, const struct listing_kind *kind) {
  struct patterns patterns = PATTERNS_NULL;
  if (!request_patterns(request, body, &patterns)) {
    patterns_deinit(&patterns);
    return;
  }
  struct listing *listing = listing_new(broker, request, kind);
  listing->patterns = patterns; /* consumes patterns */
  answer_exact(broker, listing, request);
  listing_more(broker, request);
}

static void start_last(void *ctx, struct request *request, const json_t *body) {
  start_points(ctx, request, body, &last_kind);
}
static void start_points_verb(void *ctx, struct request *request, const json_t *body) {
  start_points(ctx, request, body, &points_kind);
}

/* ---- status, peers ---- */

static size_t count_links(struct broker *broker) { return broker->links.count; }

static json_t *lane_counts(const uint64_t counts[LANES]) {
  json_t *out = json_object();
  for (int lane = 0; lane < LANES; lane++)
    json_object_set_new(out, lane_name((enum lane)lane), json_integer((json_int_t)counts[lane]));
  return out;
}

static json_t *time_or_null(int64_t us) {
  if (us <= 0) return json_null();
  struct buffer text = BUFFER_NULL;
  units_put_rfc3339(&text, us);
  json_t *out = json_string(buffer_text(&text));
  buffer_deinit(&text);
  return out;
}

static json_t *link_status(struct broker *broker, struct link *link) {
  struct node_peer_status s;
  node_peer_status(broker->node, link->peer, &s);
  return json_pack("{s:s,s:s,s:s,s:b,s:o,s:I,s:I,s:o,s:o,s:I,s:I,s:I,s:I,s:I}", "name", link->node, "kind",
      link->is_peer ? "peer" : "station", "state", link->refused[0] && !s.up ? link->refused : s.state, "up", (int)s.up,
      "since", time_or_null(s.since), "round_trip_us", (json_int_t)s.round_trip, "clock_offset_us",
      (json_int_t)s.clock_offset, "received", lane_counts(s.received_records), "sent", lane_counts(s.sent_records),
      "acked", (json_int_t)s.acked_records, "duplicates", (json_int_t)s.duplicates, "refused_blocks",
      (json_int_t)s.refused_blocks, "backlog", (json_int_t)s.backlog_records, "in_flight_bytes",
      (json_int_t)s.in_flight_bytes);
}

static void put_json(struct buffer *out, json_t *object) {
  char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(15));
  if (text) buffer_append(out, bytes_text(text));
  free(text);
  json_decref(object);
}

static void put_link(struct listing *listing, struct request *request, size_t index, struct buffer *out) {
  (void)request;
  put_json(out, link_status(listing->broker, listing->broker->links.items[index]));
}

static json_t *pattern_list(const struct patterns *patterns) {
  json_t *out = json_array();
  for (size_t i = 0; i < patterns->count; i++) {
    struct bytes text = pattern_text(patterns->items[i]);
    json_array_append_new(out, json_stringn((const char *)text.data, text.len));
  }
  return out;
}

static void put_peer(struct listing *listing, struct request *request, size_t index, struct buffer *out) {
  struct link *link = listing->broker->links.items[index];
  (void)request;
  if (!link->is_peer) return;
  json_t *row = link_status(listing->broker, link);
  json_object_set_new(row, "connect", link->endpoints[0] ? json_string(link->endpoints[0]) : json_null());
  json_object_set_new(row, "share", pattern_list(&link->rules.share));
  json_object_set_new(row, "accept", pattern_list(&link->rules.accept));
  put_json(out, row);
}

static const struct listing_kind links_kind = {"links", count_links, put_link};
static const struct listing_kind peers_kind = {"peers", count_links, put_peer};

static void start_status(void *ctx, struct request *request, const json_t *body) {
  (void)body;
  request_reply(request, json_pack("{s:o}", "status", broker_status(ctx)), false);
  listing_new(ctx, request, &links_kind);
  listing_more(ctx, request);
}

static void start_peers(void *ctx, struct request *request, const json_t *body) {
  (void)body;
  listing_new(ctx, request, &peers_kind);
  listing_more(ctx, request);
}

static json_t *lanes_status(struct broker *broker, const struct store_stats *s) {
  json_t *lanes = json_array();
  for (int lane = 0; lane < LANES; lane++)
    json_array_append_new(
        lanes, json_pack("{s:s,s:I,s:I,s:I}", "lane", lane_name((enum lane)lane), "first",
                   (json_int_t)s->logs[lane].first, "last", (json_int_t)node_log_last(broker->node, (enum lane)lane),
                   "bytes", (json_int_t)s->logs[lane].bytes));
  return lanes;
}

static json_t *store_status(const struct store_stats *s) {
  double per_thousand = s->records ? 1000.0 * (double)s->fsyncs / (double)s->records : 0;
  return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:f,s:I,s:I}", "commits", (json_int_t)s->commits,
      "fsyncs", (json_int_t)s->fsyncs, "records", (json_int_t)s->records, "blocks", (json_int_t)s->blocks, "duplicates",
      (json_int_t)s->duplicates, "late", (json_int_t)s->late, "damaged", (json_int_t)s->damaged, "refused_full",
      (json_int_t)s->refused_full, "discarded", (json_int_t)s->discarded_records, "used_bytes",
      (json_int_t)s->used_bytes, "max_bytes", (json_int_t)s->max_bytes, "fsyncs_per_1000_records", per_thousand,
      "commit_us", (json_int_t)s->commit_us_last, "commit_us_max", (json_int_t)s->commit_us_max);
}

static json_t *orders_status(struct broker *broker) {
  struct orders_stats s;
  orders_stats(broker->orders, &s);
  json_t *out = json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "open", (json_int_t)s.open, "taken", (json_int_t)s.taken,
      "refused", (json_int_t)s.refused, "unrecorded", (json_int_t)s.unrecorded, "reports", (json_int_t)s.reports,
      "forged", (json_int_t)s.forged);
  for (int state = STATE_EXECUTED; state < STATE_STATES; state++)
    if (s.ended[state])
      json_object_set_new(out, state_name((enum state)state), json_integer((json_int_t)s.ended[state]));
  return out;
}

static json_t *net_status(struct broker *broker) {
  struct net_stats s;
  net_stats(broker->daemon.net, &s);
  return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "connections", (json_int_t)s.connections, "messages_in",
      (json_int_t)s.messages_in, "messages_out", (json_int_t)s.messages_out, "bytes_in", (json_int_t)s.bytes_in,
      "bytes_out", (json_int_t)s.bytes_out, "refused_handshakes", (json_int_t)s.refused_handshakes, "refused_messages",
      (json_int_t)s.refused_messages);
}

static json_t *time_zone(const struct broker *broker) {
  int32_t minutes = broker->config->zone_s / 60, size = minutes < 0 ? -minutes : minutes;
  return json_sprintf("%c%02d:%02d", minutes < 0 ? '-' : '+', (int)(size / 60), (int)(size % 60));
}

json_t *broker_status(struct broker *broker) {
  struct store_stats s;
  struct instant now = world_now(broker->daemon.world);
  store_stats(broker->daemon.store, &s);
  return json_pack("{s:s,s:s,s:s,s:o,s:o,s:I,s:I,s:I,s:I,s:o,s:o,s:o,s:o}", "node", broker->config->node, "version",
      RIVERBUS_VERSION, "endpoint", broker->endpoints[CHANNEL_URGENT], "clock", time_or_null(now.wall), "time_zone",
      time_zone(broker), "uptime_us", (json_int_t)(now.mono - broker->daemon.started), "points",
      (json_int_t)broker->catalogue.count, "sessions", (json_int_t)requests_sessions(broker->requests), "subscribers",
      (json_int_t)subscribers_count(broker->subscribers), "store", store_status(&s), "lanes", lanes_status(broker, &s),
      "commands", orders_status(broker), "net", net_status(broker));
}

/* ---- durable readers ---- */

static void start_readers(void *ctx, struct request *request, const json_t *body) {
  struct broker *broker = ctx;
  struct table_cursor cursor = TABLE_CURSOR_NULL;
  void *value;
  (void)body;
  while (table_next(broker->readers.by_name, &cursor, NULL, &value)) {
    const struct reader_place *place = value;
    json_t *behind = json_object();
    for (int lane = 0; lane < LANES; lane++) {
      uint64_t last = node_log_last(broker->node, (enum lane)lane), at = place->positions[lane];
      json_object_set_new(behind, lane_name((enum lane)lane), json_integer((json_int_t)(last > at ? last - at : 0)));
    }
    json_t *row = json_pack("{s:s,s:s,s:s,s:o,s:o,s:b,s:o}", "name", place->name, "operator", place->operator_name,
        "patterns", place->patterns, "created", time_or_null(place->created), "seen", time_or_null(place->seen),
        "connected", place->user != NULL, "behind", behind);
    request_reply(request, json_pack("{s:[o]}", "readers", row), false);
  }
  request_reply(request, json_pack("{s:b}", "end", 1), true);
}

static void start_readers_remove(void *ctx, struct request *request, const json_t *body) {
  struct broker *broker = ctx;
  const char *name = json_string_value(json_object_get(body, "name"));
  struct reader_place *place = name ? readers_find(&broker->readers, name) : NULL;
  if (!place) {
    request_refuse(request, "not-found", "there is no durable reader of that name", "List them with: riverbus readers");
    return;
  }
  if (strcmp(place->operator_name, request_requester(request)->name) != 0 || place->user) {
    request_refuse(request, place->user ? "busy" : "authority",
        place->user ? "that reader is connected now" : "that reader belongs to another operator",
        place->user ? "End its run first." : "Only its owner can remove it.");
    return;
  }
  readers_remove(&broker->readers, place);
  request_reply(request, json_pack("{s:b}", "removed", 1), true);
}

/* ---- tail, commands ---- */

static void start_tail(void *ctx, struct request *request, const json_t *body) {
  subscriber_start(((struct broker *)ctx)->subscribers, request, body);
}
static void more_tail(void *ctx, struct request *request) {
  subscriber_more(((struct broker *)ctx)->subscribers, request);
}
static void ack_tail(void *ctx, struct request *request, const struct request_message *ack) {
  subscriber_ack(((struct broker *)ctx)->subscribers, request, ack);
}
static void cancel_tail(void *ctx, struct request *request) {
  subscriber_cancel(((struct broker *)ctx)->subscribers, request);
}
static void end_tail(void *ctx, struct request *request) {
  subscriber_end(((struct broker *)ctx)->subscribers, request);
}

static void start_command(void *ctx, struct request *request, const json_t *body) {
  (void)body;
  orders_take(((struct broker *)ctx)->orders, request);
}
static void start_follow(void *ctx, struct request *request, const json_t *body) {
  orders_follow(((struct broker *)ctx)->orders, request, body);
}
static void start_commands(void *ctx, struct request *request, const json_t *body) {
  orders_list(((struct broker *)ctx)->orders, request, body);
}
static void more_commands(void *ctx, struct request *request) {
  (void)ctx;
  orders_list_more(request);
}
static void end_orders(void *ctx, struct request *request) {
  (void)ctx;
  orders_request_end(request);
}

const struct request_verb broker_command_verb = {.name = "command", .start = start_command, .end = end_orders};
const struct request_verb broker_verbs[] = {
    {.name = "tail", .start = start_tail, .more = more_tail, .ack = ack_tail, .cancel = cancel_tail, .end = end_tail},
    {.name = "last", .start = start_last, .more = listing_more, .end = listing_end},
    {.name = "points", .start = start_points_verb, .more = listing_more, .end = listing_end},
    {.name = "status", .start = start_status, .more = listing_more, .end = listing_end},
    {.name = "peers", .start = start_peers, .more = listing_more, .end = listing_end},
    {.name = "readers", .start = start_readers},
    {.name = "readers-remove", .start = start_readers_remove},
    {.name = "follow", .start = start_follow, .end = end_orders},
    {.name = "commands", .start = start_commands, .more = more_commands, .end = end_orders},
    {0},
};
