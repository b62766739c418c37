#include "common/door/answers.h"
#include "common/door/subscribers.h"

/* ---- last, points ---- */

static size_t count_points(void *ctx) { return ((struct answers *)ctx)->catalogue->count; }

static const struct catalogue_point *asked_point(
    const struct listing *listing, const struct request *request, size_t index) {
  const struct answers *answers = listing->ctx;
  const struct catalogue_point *point = answers->catalogue->points[index];
  bool asked = patterns_match(&listing->patterns, point->address) &&
               patterns_match(request_requester(request)->read, point->address);
  return asked ? point : NULL;
}

static void put_last(const struct listing *listing, const struct request *request, size_t index, struct buffer *out) {
  const struct catalogue_point *point = asked_point(listing, request, index);
  if (point && point->has_last) point_put_json(out, point);
}

static void put_point(const struct listing *listing, const struct request *request, size_t index, struct buffer *out) {
  const struct catalogue_point *point = asked_point(listing, request, index);
  if (point) point_put_description(out, point);
}

static const struct listing_kind last_kind = {"last", count_points, put_last};
static const struct listing_kind points_kind = {"points", count_points, put_point};

static void start_points(
    struct answers *answers, struct request *request, const json_t *body, const struct listing_kind *kind) {
  struct patterns patterns = PATTERNS_NULL;
  if (!request_patterns(request, body, &patterns)) {
    patterns_deinit(&patterns);
    return;
  }
  struct listing *listing = listing_new(request, kind, answers, &patterns);
  /* one exact address is looked up, not searched for: a script asks so before each command */
  const struct catalogue_point *exact = NULL;
  if (listing->patterns.count == 1)
    exact = catalogue_find(answers->catalogue, pattern_text(listing->patterns.items[0]));
  if (exact) listing_only(listing, request, exact->index);
  listing_more(NULL, request);
}

void answers_last(struct answers *answers, struct request *request, const json_t *body) {
  start_points(answers, request, body, &last_kind);
}
void answers_points(struct answers *answers, struct request *request, const json_t *body) {
  start_points(answers, request, body, &points_kind);
}

/* ---- durable readers ---- */

/* Entries of the logs: still to be read, and gone before they were. */
static json_t *reader_row(
    const struct answers *answers, const struct store_stats *stats, const struct reader_place *place) {
  json_t *behind = json_object(), *lost = json_object();
  for (enum lane lane = LANE_URGENT; lane < LANES; lane++) {
    uint64_t first = stats->logs[lane].first, last = node_log_last(answers->node, lane), at = place->positions[lane];
    if (at + 1 < first) at = first - 1;
    json_object_set_new(behind, lane_name(lane), json_integer((json_int_t)(last > at ? last - at : 0)));
    json_object_set_new(lost, lane_name(lane), json_integer((json_int_t)reader_loss(place, lane, first)));
  }
  return json_pack("{s:s,s:s,s:s,s:o,s:o,s:b,s:o,s:o}", "name", place->name, "operator", place->operator_name,
      "patterns", place->patterns, "created", listing_time(place->created), "seen", listing_time(place->seen),
      "connected", place->user != NULL, "behind", behind, "lost", lost);
}

static size_t count_readers(void *ctx) { return ((struct answers *)ctx)->readers->by_name->count; }

static void put_reader(const struct listing *listing, const struct request *request, size_t index, struct buffer *out) {
  const struct answers *answers = listing->ctx;
  struct table_cursor cursor = TABLE_CURSOR_NULL;
  struct store_stats stats;
  void *value = NULL;
  (void)request;
  for (size_t i = 0; i <= index; i++)
    if (!table_next(answers->readers->by_name, &cursor, NULL, &value)) return;
  store_stats(answers->store, &stats);
  listing_put_json(out, reader_row(answers, &stats, value));
}

static const struct listing_kind readers_kind = {"readers", count_readers, put_reader};

void answers_readers(struct answers *answers, struct request *request) {
  listing_new(request, &readers_kind, answers, NULL);
  listing_more(NULL, request);
}

void answers_readers_remove(struct answers *answers, struct request *request, const json_t *body) {
  const char *name = json_string_value(json_object_get(body, "name"));
  struct reader_place *place = name ? readers_find(answers->readers, name) : NULL;
  if (!place) {
    request_refuse(request, "not-found", "there is no durable reader of that name", "List them with: riverbus readers");
    return;
  }
  bool owned = strcmp(place->operator_name, request_requester(request)->name) == 0 ||
               !answers->is_operator(answers->is_operator_ctx, place->operator_name);
  if (!owned || place->user) {
    request_refuse(request, place->user ? "busy" : "authority",
        place->user ? "that reader is connected now" : "that reader belongs to another operator",
        place->user ? "End its run first." : "Only its owner can remove it, as long as there is one.");
    return;
  }
  readers_remove(answers->readers, place);
  request_reply(request, json_pack("{s:b}", "removed", 1), true);
}

/* ---- parts of a status ---- */

static json_t *lane_counts(const uint64_t counts[LANES]) {
  json_t *out = json_object();
  for (int lane = 0; lane < LANES; lane++)
    json_object_set_new(out, lane_name((enum lane)lane), json_integer((json_int_t)counts[lane]));
  return out;
}

json_t *answers_link(const struct answers *answers, const struct node_peer *peer, const char *name, const char *kind,
    const char *refused) {
  struct node_peer_status s;
  node_peer_status(answers->node, peer, &s);
  return json_pack("{s:s,s:s,s:s,s:b,s:o,s:I,s:I,s:o,s:o,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "name", name, "kind", kind,
      "state", refused[0] && !s.up ? refused : s.state, "up", (int)s.up, "since", listing_time(s.since),
      "round_trip_us", (json_int_t)s.round_trip, "clock_offset_us", (json_int_t)s.clock_offset, "received",
      lane_counts(s.received_records), "sent", lane_counts(s.sent_records), "acked", (json_int_t)s.acked_records,
      "duplicates", (json_int_t)s.duplicates, "refused_blocks", (json_int_t)s.refused_blocks, "backlog",
      (json_int_t)s.backlog_records, "in_flight_bytes", (json_int_t)s.in_flight_bytes, "sent_bytes",
      (json_int_t)s.sent_bytes, "saved_bytes", (json_int_t)s.saved_bytes);
}

json_t *answers_lanes(const struct answers *answers) {
  json_t *lanes = json_array();
  struct store_stats s;
  store_stats(answers->store, &s);
  for (int lane = 0; lane < LANES; lane++)
    json_array_append_new(
        lanes, json_pack("{s:s,s:I,s:I,s:I}", "lane", lane_name((enum lane)lane), "first",
                   (json_int_t)s.logs[lane].first, "last", (json_int_t)node_log_last(answers->node, (enum lane)lane),
                   "bytes", (json_int_t)s.logs[lane].bytes));
  return lanes;
}

json_t *answers_store(const struct answers *answers) {
  struct store_stats s;
  store_stats(answers->store, &s);
  double per_thousand = s.records ? 1000.0 * (double)s.fsyncs / (double)s.records : 0;
  return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:f,s:I,s:I}", "commits", (json_int_t)s.commits,
      "fsyncs", (json_int_t)s.fsyncs, "records", (json_int_t)s.records, "blocks", (json_int_t)s.blocks, "duplicates",
      (json_int_t)s.duplicates, "late", (json_int_t)s.late, "damaged", (json_int_t)s.damaged, "refused_full",
      (json_int_t)s.refused_full, "discarded", (json_int_t)s.discarded_records, "used_bytes", (json_int_t)s.used_bytes,
      "max_bytes", (json_int_t)s.max_bytes, "fsyncs_per_1000_records", per_thousand, "commit_us",
      (json_int_t)s.commit_us_last, "commit_us_max", (json_int_t)s.commit_us_max);
}

json_t *answers_net(const struct net *net) {
  struct net_stats s;
  net_stats(net, &s);
  return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "connections", (json_int_t)s.connections, "messages_in",
      (json_int_t)s.messages_in, "messages_out", (json_int_t)s.messages_out, "bytes_in", (json_int_t)s.bytes_in,
      "bytes_out", (json_int_t)s.bytes_out, "refused_handshakes", (json_int_t)s.refused_handshakes, "refused_messages",
      (json_int_t)s.refused_messages);
}

/* ---- units ---- */

bool answers_units(void *ctx, size_t *cursor, size_t room, bool (*wanted)(void *ctx, struct bytes address),
    void *wanted_ctx, struct buffer *out) {
  const struct catalogue *catalogue = ctx;
  size_t begin = out->len;
  for (; *cursor < catalogue->count && out->len - begin < room; ++*cursor) {
    const struct catalogue_point *point = catalogue->points[*cursor];
    if (!point->unit || !wanted(wanted_ctx, point->address)) continue;
    buffer_printf(out, out->len > begin ? ",[" : "[");
    json_put_text(out, point->address);
    buffer_append(out, bytes_text(","));
    json_put_text(out, point_unit(point));
    buffer_append(out, bytes_text("]"));
  }
  return *cursor < catalogue->count;
}
